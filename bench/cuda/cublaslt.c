// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// cuBLASLt without its SDK: functions and numbers as its documentation has them.
#include "cublaslt.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  COMPUTE_32F = 68,
  COMPUTE_32I = 72,
  DESC_TRANSA = 3,
  DESC_FAST_ACCUM = 25,
  PREF_MAX_WORKSPACE = 1,
  OP_T = 1,
  ALGORITHMS = 8,
};

typedef struct lt_algorithm {
  uint64_t data[8];
} lt_algorithm;

typedef struct lt_heuristic {
  lt_algorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
} lt_heuristic;

#define FUNCTIONS(X)                                                                               \
  X(cublasLtCreate, (void **handle))                                                               \
  X(cublasLtMatmulDescCreate, (void **desc, int compute, int scale))                               \
  X(cublasLtMatmulDescDestroy, (void *desc))                                                       \
  X(cublasLtMatmulDescSetAttribute, (void *desc, int attribute, const void *value, size_t bytes))  \
  X(cublasLtMatrixLayoutCreate,                                                                    \
    (void **layout, int type, uint64_t rows, uint64_t cols, int64_t ld))                           \
  X(cublasLtMatrixLayoutDestroy, (void *layout))                                                   \
  X(cublasLtMatmulPreferenceCreate, (void **preference))                                           \
  X(cublasLtMatmulPreferenceDestroy, (void *preference))                                           \
  X(cublasLtMatmulPreferenceSetAttribute,                                                          \
    (void *preference, int attribute, const void *value, size_t bytes))                            \
  X(cublasLtMatmulAlgoGetHeuristic, (void *handle, void *desc, void *a, void *b, void *c, void *d, \
                                     void *preference, int n, lt_heuristic *results, int *found))  \
  X(cublasLtMatmul,                                                                                \
    (void *handle, void *desc, const void *alpha, const void *a, void *a_layout, const void *b,    \
     void *b_layout, const void *beta, const void *c, void *c_layout, void *d, void *d_layout,     \
     const lt_algorithm *algorithm, void *workspace, size_t workspace_bytes, void *stream))

static struct {
#define X(name, parameters) int(*name) parameters;
  FUNCTIONS(X)
#undef X
  void *handle;
} lt;

struct lt_product {
  void *desc, *w, *x, *c, *y;
  bool integer; /* alpha and beta are */
  bool apart;   /* C, which nothing is read of, is of another type than the result */
  float alpha;
  lt_heuristic found[ALGORITHMS];
  int n;
  device_pointer workspace;
  size_t workspace_bytes;
};

/* On the linker's path, in the toolkit's folder, or in a Python package. */
static void *open_library(void) {
  static const char *const patterns[] = {
      "/usr/local/cuda*/lib64/libcublasLt.so.1[234]",
      "/usr/lib/x86_64-linux-gnu/libcublasLt.so.1[234]",
      "/opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib/libcublasLt.so.1[234]",
      "/usr/*/lib/python3*/*-packages/nvidia/*/lib/libcublasLt.so.1[234]",
      "/usr/lib/python3*/*-packages/nvidia/*/lib/libcublasLt.so.1[234]",
      "/root/*/lib/python3*/site-packages/nvidia/*/lib/libcublasLt.so.1[234]",
  };
  const char *chosen = getenv("NIB_CUBLASLT");
  void *library = chosen ? dlopen(chosen, RTLD_NOW | RTLD_LOCAL) : NULL;
  for (size_t i = 0; !library && i < sizeof patterns / sizeof *patterns; ++i) {
    glob_t found;
    if (glob(patterns[i], 0, NULL, &found) == 0) {
      for (size_t j = found.gl_pathc; j-- > 0 && !library;) {
        library = dlopen(found.gl_pathv[j], RTLD_NOW | RTLD_LOCAL);
        if (library)
          printf("cuBLASLt: %s\n", found.gl_pathv[j]);
      }
      globfree(&found);
    }
  }
  static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
  for (int i = 0; !library && i < 3; ++i) {
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (library)
      printf("cuBLASLt: %s\n", names[i]);
  }
  return library;
}

bool lt_open(void) {
  void *library = open_library();
  if (!library) {
    printf("no cuBLASLt: %s\n", dlerror());
    return false;
  }
#define X(name, parameters)                                                                        \
  {                                                                                                \
    void *found = dlsym(library, #name);                                                           \
    memcpy(&lt.name, &found, sizeof found);                                                        \
    if (!found)                                                                                    \
      return false;                                                                                \
  }
  FUNCTIONS(X)
#undef X
  return lt.cublasLtCreate(&lt.handle) == 0;
}

static int type_of(const char *type) {
  static const struct {
    const char *name;
    int type;
  } rows[] = {{"f32", 0}, {"f16", 2}, {"i8", 3}, {"i32", 10}, {"bf16", 14}, {"f8e4m3", 28}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    if (strcmp(rows[i].name, type) == 0)
      return rows[i].type;
  return -1;
}

/* Column-major: y^T[n, m] = w^T[k, n]^T x^T[k, m]. */
lt_product *lt_create(const char *type, const char *result, int64_t m, int64_t n, int64_t k,
                      device_pointer workspace, size_t workspace_bytes) {
  lt_product *p = lt.handle ? calloc(1, sizeof *p) : NULL;
  if (!p)
    return NULL;
  const bool bytes = strcmp(type, "f8e4m3") == 0;
  const int op = OP_T;
  const int8_t fast = 1;
  void *preference = NULL;
  p->integer = strcmp(type, "i8") == 0;
  p->workspace = workspace;
  p->workspace_bytes = workspace_bytes;
  const bool to_codes = p->integer && strcmp(result, "i8") == 0;
  int status = lt.cublasLtMatmulDescCreate(&p->desc, p->integer ? COMPUTE_32I : COMPUTE_32F,
                                           type_of(p->integer && !to_codes ? "i32" : "f32"));
  p->alpha = 1.0f;
  p->apart = bytes && strcmp(result, "bf16") != 0;
  if (to_codes) {
    p->integer = false;
    p->alpha = 1e-4f;
  }
  status =
      status ? status : lt.cublasLtMatmulDescSetAttribute(p->desc, DESC_TRANSA, &op, sizeof op);
  if (bytes && !status)
    status = lt.cublasLtMatmulDescSetAttribute(p->desc, DESC_FAST_ACCUM, &fast, sizeof fast);
  const uint64_t um = (uint64_t)m, un = (uint64_t)n, uk = (uint64_t)k;
  const int c_type = type_of(bytes ? "bf16" : result);
  status = status ? status : lt.cublasLtMatrixLayoutCreate(&p->w, type_of(type), uk, un, k);
  status = status ? status : lt.cublasLtMatrixLayoutCreate(&p->x, type_of(type), uk, um, k);
  status = status ? status : lt.cublasLtMatrixLayoutCreate(&p->c, c_type, un, um, n);
  status = status ? status : lt.cublasLtMatrixLayoutCreate(&p->y, type_of(result), un, um, n);
  status = status ? status : lt.cublasLtMatmulPreferenceCreate(&preference);
  status = status ? status
                  : lt.cublasLtMatmulPreferenceSetAttribute(
                        preference, PREF_MAX_WORKSPACE, &workspace_bytes, sizeof workspace_bytes);
  status = status ? status
                  : lt.cublasLtMatmulAlgoGetHeuristic(lt.handle, p->desc, p->w, p->x, p->c, p->y,
                                                      preference, ALGORITHMS, p->found, &p->n);
  if (preference)
    lt.cublasLtMatmulPreferenceDestroy(preference);
  if (status || p->n == 0) {
    printf("  cuBLASLt has no %s product with a result of %s here (status %d)\n", type, result,
           status);
    lt_destroy(p);
    return NULL;
  }
  return p;
}

int lt_algorithms(const lt_product *p) { return p->n; }

int lt_run(const lt_product *p, int algorithm, device_pointer x, device_pointer w, device_pointer y,
           void *stream) {
  static const float zero = 0.0f;
  static const int32_t one_i = 1, zero_i = 0;
  const void *alpha = p->integer ? (const void *)&one_i : &p->alpha;
  const void *beta = p->integer ? (const void *)&zero_i : &zero;
  const lt_heuristic *h = &p->found[algorithm];
  return lt.cublasLtMatmul(
      lt.handle, p->desc, alpha, (const void *)(uintptr_t)w, p->w, (const void *)(uintptr_t)x, p->x,
      beta, p->apart ? NULL : (const void *)(uintptr_t)y, p->c, (void *)(uintptr_t)y, p->y,
      &h->algorithm, (void *)(uintptr_t)p->workspace, p->workspace_bytes, stream);
}

void lt_destroy(lt_product *p) {
  if (!p)
    return;
  if (p->desc)
    lt.cublasLtMatmulDescDestroy(p->desc);
  void *const layouts[] = {p->w, p->x, p->c, p->y};
  for (int i = 0; i < 4; ++i)
    if (layouts[i])
      lt.cublasLtMatrixLayoutDestroy(layouts[i]);
  free(p);
}
