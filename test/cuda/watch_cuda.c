// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A libcuda.so.1 that passes every call on to the one that NIB_WATCHED names, lets the call fail
// that it is told to, and counts what is held. For test_cuda_runtime.c, which sees watch_* by
// dlsym.
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int result;
typedef unsigned long long address;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2 };

atomic_int watch_calls;    /* so far, those that can be let fail */
atomic_int watch_fail_at;  /* the call that fails, by number from 1; 0: none */
char watch_failed[64];     /* its name */
atomic_int watch_held;     /* contexts, modules, memory, streams, graphs */
atomic_int watch_captures; /* begun and not ended */
atomic_int watch_instantiated, watch_updated, watch_launched;

static void *real(const char *name) {
  static void *library;
  const char *path = getenv("NIB_WATCHED");
  if (!library && path)
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = library ? dlsym(library, name) : NULL;
  if (!symbol) {
    fprintf(stderr, "watch_cuda: no %s in NIB_WATCHED=%s\n", name, path ? path : "");
    abort();
  }
  return symbol;
}

static int fails(const char *name) {
  if (atomic_fetch_add(&watch_calls, 1) + 1 != atomic_load(&watch_fail_at))
    return 0;
  snprintf(watch_failed, sizeof watch_failed, "%s", name);
  return 1;
}

/* Passes on. `more`: what is held afterwards if it succeeds; releases count even where they are let
 * fail. */
#define PASS(name, more, parameters, ...)                                                          \
  result name parameters {                                                                         \
    result(*to) parameters;                                                                        \
    void *const symbol = real(#name);                                                              \
    memcpy(&to, &symbol, sizeof to);                                                               \
    const int releases = (more) < 0, failing = fails(#name);                                       \
    const result result_ = failing && !releases ? OUT_OF_MEMORY : to(__VA_ARGS__);                 \
    if (result_ == SUCCESS)                                                                        \
      atomic_fetch_add(&watch_held, more);                                                         \
    return failing ? OUT_OF_MEMORY : result_;                                                      \
  }
#define ALWAYS(name, counter, step, parameters, ...)                                               \
  result name parameters {                                                                         \
    result(*to) parameters;                                                                        \
    void *const symbol = real(#name);                                                              \
    memcpy(&to, &symbol, sizeof to);                                                               \
    const result result_ = to(__VA_ARGS__);                                                        \
    if (result_ == SUCCESS)                                                                        \
      atomic_fetch_add(counter, step);                                                             \
    return result_;                                                                                \
  }
#define COUNTED(name, counter, step, parameters, ...)                                              \
  result name parameters {                                                                         \
    result(*to) parameters;                                                                        \
    void *const symbol = real(#name);                                                              \
    memcpy(&to, &symbol, sizeof to);                                                               \
    const result result_ = fails(#name) ? OUT_OF_MEMORY : to(__VA_ARGS__);                         \
    if (result_ == SUCCESS)                                                                        \
      atomic_fetch_add(counter, step);                                                             \
    return result_;                                                                                \
  }

static atomic_int ignored;

PASS(cuInit, 0, (unsigned f), f)
ALWAYS(cuGetErrorName, &ignored, 0, (result e, const char **t), e, t)
ALWAYS(cuGetErrorString, &ignored, 0, (result e, const char **t), e, t)
PASS(cuDeviceGet, 0, (int *o, int n), o, n)
PASS(cuDeviceGetName, 0, (char *t, int n, int d), t, n, d)
PASS(cuDeviceGetAttribute, 0, (int *v, int a, int d), v, a, d)
PASS(cuDevicePrimaryCtxRetain, 1, (void **o, int d), o, d)
PASS(cuDevicePrimaryCtxRelease_v2, -1, (int d), d)
/* Entering must succeed for things to be given back. */
ALWAYS(cuCtxPushCurrent_v2, &watch_held, 1, (void *c), c)
ALWAYS(cuCtxPopCurrent_v2, &watch_held, -1, (void **o), o)
ALWAYS(cuCtxGetCurrent, &ignored, 0, (void **o), o)
/* Let fail as the driver's compiler does: with a log. */
result cuModuleLoadDataEx(void **out, const void *image, unsigned n, const int *options,
                          void **values) {
  enum { JIT_ERROR_LOG_BUFFER = 5, JIT_ERROR_LOG_BUFFER_BYTES = 6, INVALID_PTX = 218 };
  result (*to)(void **, const void *, unsigned, const int *, void **);
  void *const symbol = real("cuModuleLoadDataEx");
  memcpy(&to, &symbol, sizeof to);
  if (fails("cuModuleLoadDataEx")) {
    char *log = NULL;
    size_t bytes = 0;
    for (unsigned i = 0; i < n; ++i) {
      log = options[i] == JIT_ERROR_LOG_BUFFER ? values[i] : log;
      bytes = options[i] == JIT_ERROR_LOG_BUFFER_BYTES ? (size_t)(uintptr_t)values[i] : bytes;
    }
    if (log)
      snprintf(log, bytes, "ptxas application ptx input, line 7; error : no such thing\n");
    return INVALID_PTX;
  }
  const result result_ = to(out, image, n, options, values);
  atomic_fetch_add(&watch_held, result_ == SUCCESS);
  return result_;
}
PASS(cuModuleUnload, -1, (void *m), m)
PASS(cuModuleGetFunction, 0, (void **o, void *m, const char *n), o, m, n)
PASS(cuFuncSetAttribute, 0, (void *f, int a, int v), f, a, v)
PASS(cuMemAlloc_v2, 1, (address * o, size_t n), o, n)
PASS(cuMemFree_v2, -1, (address a), a)
PASS(cuMemAllocHost_v2, 1, (void **o, size_t n), o, n)
PASS(cuMemFreeHost, -1, (void *a), a)
PASS(cuMemcpyHtoDAsync_v2, 0, (address t, const void *f, size_t n, void *s), t, f, n, s)
PASS(cuMemcpyDtoHAsync_v2, 0, (void *t, address f, size_t n, void *s), t, f, n, s)
PASS(cuMemcpyDtoDAsync_v2, 0, (address t, address f, size_t n, void *s), t, f, n, s)
PASS(cuMemsetD8Async, 0, (address t, unsigned char v, size_t n, void *s), t, v, n, s)
PASS(cuPointerGetAttributes, 0, (unsigned n, int *a, void **v, address p), n, a, v, p)
PASS(cuStreamCreate, 1, (void **o, unsigned f), o, f)
PASS(cuStreamDestroy_v2, -1, (void *s), s)
PASS(cuStreamSynchronize, 0, (void *s), s)
COUNTED(cuStreamBeginCapture_v2, &watch_captures, 1, (void *s, int m), s, m)
COUNTED(cuGraphExecUpdate_v2, &watch_updated, 1, (void *e, void *g, void *i), e, g, i)
COUNTED(cuGraphLaunch, &watch_launched, 1, (void *g, void *s), g, s)
PASS(cuGraphDestroy, -1, (void *g), g)
PASS(cuGraphExecDestroy, -1, (void *g), g)
PASS(cuLaunchKernel, 0,
     (void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
      unsigned n, void *s, void **a, void **e),
     f, gx, gy, gz, bx, by, bz, n, s, a, e)
PASS(cuLaunchKernelEx, 0, (const void *c, void *f, void **a, void **e), c, f, a, e)
PASS(cuTensorMapEncodeTiled, 0,
     (void *o, int t, unsigned r, void *b, const void *d, const void *st, const void *x,
      const void *es, int i, int w, int p, int f),
     o, t, r, b, d, st, x, es, i, w, p, f)

result cuGraphInstantiateWithFlags(void **out, void *g, unsigned long long flags) {
  result (*to)(void **, void *, unsigned long long);
  void *const symbol = real("cuGraphInstantiateWithFlags");
  memcpy(&to, &symbol, sizeof to);
  if (fails("cuGraphInstantiateWithFlags"))
    return OUT_OF_MEMORY;
  const result result_ = to(out, g, flags);
  atomic_fetch_add(&watch_held, result_ == SUCCESS);
  atomic_fetch_add(&watch_instantiated, result_ == SUCCESS);
  return result_;
}

/* Let fail as the driver does where a call within the capture failed: it ends, and there is no
 * graph. */
result cuStreamEndCapture(void *s, void **out) {
  result (*to)(void *, void **);
  result (*destroy)(void *);
  void *symbols[] = {real("cuStreamEndCapture"), real("cuGraphDestroy")};
  memcpy(&to, &symbols[0], sizeof to);
  memcpy(&destroy, &symbols[1], sizeof destroy);
  const int failing = fails("cuStreamEndCapture");
  const result result_ = to(s, out);
  atomic_fetch_sub(&watch_captures, result_ == SUCCESS);
  if (failing && result_ == SUCCESS) {
    destroy(*out);
    *out = NULL;
    return OUT_OF_MEMORY;
  }
  atomic_fetch_add(&watch_held, result_ == SUCCESS);
  return result_;
}
