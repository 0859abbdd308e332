/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the tests of the stages share: messages, random inputs, comparing two graphs by the
 * reference evaluator, models of the shared data folder. Include it once per test program. */
#ifndef NIB_TEST_STAGE_HARNESS_H
#define NIB_TEST_STAGE_HARNESS_H

#include "graph/graph.h"
#include "pipeline/stages.h"
#include "reference/reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition, ...)                                                                      \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      ++failures;                                                                                  \
      fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                              \
      fprintf(stderr, __VA_ARGS__);                                                                \
      fputc('\n', stderr);                                                                         \
    }                                                                                              \
  } while (0)

/* Messages go to `log`, so that tests can look at them. */
typedef struct message_log {
  char text[16384];
  size_t used;
  int notes, errors;
} message_log;

static void log_message(void *user, nib_severity severity, const char *message) {
  message_log *log = user;
  log->notes += severity == NIB_NOTE;
  log->errors += severity == NIB_ERROR;
  const int n = snprintf(log->text + log->used, sizeof log->text - log->used, "%s\n", message);
  if (n > 0 && log->used + (size_t)n < sizeof log->text)
    log->used += (size_t)n;
}

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static inline uint64_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

/* Uniform in [lo, hi]. */
static inline int64_t random_in(int64_t lo, int64_t hi) {
  return lo + (int64_t)(next_random() % (uint64_t)(hi - lo + 1));
}

static inline void fill_random(const nib_tensor *t, void *data) {
  const int64_t n = nib_tensor_elems(t);
  const nib_format_info *f = nib_format_get(t->format);
  for (int64_t i = 0; i < n; ++i) {
    if (t->format == NIB_F32) {
      ((float *)data)[i] = (float)random_in(-4000, 4000) / 1000.0f;
    } else if (t->format == NIB_F64) {
      ((double *)data)[i] = (double)random_in(-4000, 4000) / 1000.0;
    } else {
      const int64_t lo = f->min < -32768 ? -1000 : f->min, hi = f->max > 65535 ? 1000 : f->max;
      const int64_t v = random_in(lo, hi);
      memcpy((char *)data + (size_t)i * nib_format_bytes(t->format), &v,
             nib_format_bytes(t->format));
    }
  }
}

static inline int64_t read_code(const nib_tensor *t, const void *data, int64_t i) {
  switch (t->format) {
  case NIB_I8:
    return ((const int8_t *)data)[i];
  case NIB_U8:
  case NIB_I1:
    return ((const uint8_t *)data)[i];
  case NIB_I16:
    return ((const int16_t *)data)[i];
  case NIB_I32:
    return ((const int32_t *)data)[i];
  case NIB_I64:
    return ((const int64_t *)data)[i];
  default:
    return 0;
  }
}

/* Largest difference of two results: codes for integers, |a - b| / max|a| for floats. */
static inline double difference(const nib_tensor *t, const void *a, const void *b) {
  double worst = 0, norm = 0;
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    if (t->format == NIB_F32) {
      const double x = ((const float *)a)[i], y = ((const float *)b)[i];
      norm = fmax(norm, fabs(x));
      worst = fmax(worst, fabs(x - y));
    } else {
      worst = fmax(worst, fabs((double)(read_code(t, a, i) - read_code(t, b, i))));
    }
  }
  return t->format == NIB_F32 && norm > 0 ? worst / norm : worst;
}

/* Runs both graphs on `runs` random inputs; the largest difference of any output, or -1 when a
 * graph does not run. Outputs must have equal types. */
static inline double compare_graphs(const nib_graph *a, const nib_graph *b, int runs,
                                    const nib_diag *diag) {
  nib_reference *ra = NULL, *rb = NULL;
  void *inputs[16] = {0};
  double worst = 0;
  bool ok = a->n_inputs <= 16 && a->n_outputs == b->n_outputs &&
            nib_reference_create(a, &ra, diag) == NIB_OK &&
            nib_reference_create(b, &rb, diag) == NIB_OK;
  for (int32_t i = 0; ok && i < a->n_inputs; ++i) {
    inputs[i] = malloc(nib_tensor_bytes(&a->tensors[a->inputs[i]]) + 8);
    ok = inputs[i] != NULL;
  }
  for (int r = 0; ok && r < runs; ++r) {
    for (int32_t i = 0; i < a->n_inputs; ++i)
      fill_random(&a->tensors[a->inputs[i]], inputs[i]);
    ok = nib_reference_run(ra, (const void *const *)inputs, diag) == NIB_OK &&
         nib_reference_run(rb, (const void *const *)inputs, diag) == NIB_OK;
    for (int32_t i = 0; ok && i < a->n_outputs; ++i) {
      const nib_tensor *t = &a->tensors[a->outputs[i]], *u = &b->tensors[b->outputs[i]];
      ok = t->format == u->format && nib_tensor_elems(t) == nib_tensor_elems(u);
      if (ok)
        worst = fmax(worst, difference(t, nib_reference_tensor(ra, a->outputs[i]),
                                       nib_reference_tensor(rb, b->outputs[i])));
    }
  }
  for (int i = 0; i < 16; ++i)
    free(inputs[i]);
  nib_reference_destroy(ra);
  nib_reference_destroy(rb);
  return ok ? worst : -1;
}

static inline int count_ops(const nib_graph *g, nib_op op) {
  int n = 0;
  for (int32_t i = 0; i < g->n_nodes; ++i)
    n += g->nodes[i].op == op;
  return n;
}

/* --- building --- */

static inline int32_t new_tensor(nib_graph *g, const char *name, nib_format format, int32_t rank,
                                 const int64_t *dims) {
  const int32_t id = nib_graph_add_tensor(g, name, format, rank, dims);
  CHECK(id != NIB_NONE, "out of memory");
  return id;
}

static inline int32_t new_quantized(nib_graph *g, const char *name, nib_format format, int32_t rank,
                                    const int64_t *dims, float scale, int64_t zero_point) {
  const int32_t id = new_tensor(g, name, format, rank, dims);
  nib_graph_set_quant(g, id, scale, zero_point);
  return id;
}

static inline int32_t new_constant(nib_graph *g, const char *name, nib_format format, int32_t rank,
                                   const int64_t *dims, const void *data) {
  const int32_t id = new_tensor(g, name, format, rank, dims);
  CHECK(nib_graph_set_data(g, id, data, nib_tensor_bytes(&g->tensors[id]), NIB_DATA_COPY) == NIB_OK,
        "constant %s", name);
  return id;
}

static inline int32_t random_constant(nib_graph *g, const char *name, nib_format format,
                                      int32_t rank, const int64_t *dims) {
  const nib_tensor t = {.format = format, .rank = rank};
  nib_tensor shaped = t;
  memcpy(shaped.dims, dims, (size_t)rank * sizeof *dims);
  void *data = malloc(nib_tensor_bytes(&shaped) + 8);
  fill_random(&shaped, data);
  const int32_t id = new_constant(g, name, format, rank, dims, data);
  free(data);
  return id;
}

/* A node whose only attribute may be set afterwards; returns the node. */
static inline int32_t new_node(nib_graph *g, nib_op op, const char *name, int32_t n_in,
                               const int32_t *in, int32_t out) {
  const int32_t id = nib_graph_add_node(g, op, name, g->n_nodes, in, n_in, out);
  CHECK(id != NIB_NONE, "out of memory");
  return id;
}

/* --- files --- */

/* The whole file NIB_SHARED/`path` (default ../shared), or NULL. */
static inline uint8_t *read_shared(const char *path, size_t *out_size) {
  const char *root = getenv("NIB_SHARED");
  char full[1024];
  snprintf(full, sizeof full, "%s/%s", root != NULL ? root : "../shared", path);
  FILE *f = fopen(full, "rb");
  if (f == NULL)
    return NULL;
  fseek(f, 0, SEEK_END);
  const long size = ftell(f);
  rewind(f);
  uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
  if (bytes != NULL && fread(bytes, 1, (size_t)size, f) != (size_t)size) {
    free(bytes);
    bytes = NULL;
  }
  fclose(f);
  *out_size = size > 0 ? (size_t)size : 0;
  return bytes;
}

#endif
