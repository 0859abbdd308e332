/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * For tests of generated C: random graphs, a plan without reuse, compiling with the C compiler,
 * loading, and comparing with the reference evaluator. */
#ifndef NIB_TEST_EMIT_HARNESS_H
#define NIB_TEST_EMIT_HARNESS_H

#include "../support/random.h"
#include "graph/graph.h"
#include "nibrt_abi.h"
#include "num/format.h"
#include "pipeline/stages.h"
#include "reference/reference.h"
#include "schedule/schedule.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HARNESS_UNUSED __attribute__((unused))

static int harness_failures;
static char harness_message[4096];

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                               \
      ++harness_failures;                                                                          \
    }                                                                                              \
  } while (0)

static void harness_keep(void *user, nib_severity severity, const char *message) {
  (void)user, (void)severity;
  snprintf(harness_message, sizeof harness_message, "%s", message);
}
HARNESS_UNUSED static const nib_diag harness_diag = {harness_keep, NULL};

/* ---- random graphs ---- */

enum { max_ports = 512 };

typedef struct suite {
  nib_graph *g;
  uint64_t rng;
  int32_t inputs[max_ports], outputs[max_ports];
  int32_t n_inputs, n_outputs;
  char label[64]; /* names the nodes of the case being built */
} suite;

HARNESS_UNUSED static int64_t pick(suite *s, int64_t lo, int64_t hi) {
  return lo + (int64_t)(next_random(&s->rng) % (uint64_t)(hi - lo + 1));
}

HARNESS_UNUSED static double pick_scale(suite *s, double around) {
  return (double)(float)(around * (0.5 + (double)pick(s, 0, 1000) / 700.0));
}

HARNESS_UNUSED static suite suite_open(const char *name, const char *rounding, uint64_t seed) {
  suite s = {.g = nib_graph_create(name), .rng = seed};
  s.g->rounding = rounding;
  return s;
}

HARNESS_UNUSED static int32_t tensor_of(suite *s, nib_format format, int32_t rank,
                                        const int64_t *dims) {
  return nib_graph_add_tensor(s->g, s->label, format, rank, dims);
}

/* Rank and extents as trailing arguments: shape(4, 1, 5, 6, 3). */
typedef struct shape_of {
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
} shape_of;

HARNESS_UNUSED static shape_of shape(int32_t rank, ...) {
  shape_of r = {.rank = rank};
  va_list args;
  va_start(args, rank);
  for (int32_t i = 0; i < rank; ++i)
    r.dims[i] = va_arg(args, int);
  va_end(args);
  return r;
}

/* Scale 0 leaves the tensor plain. */
HARNESS_UNUSED static int32_t value(suite *s, nib_format f, shape_of d, double scale, int64_t zp) {
  const int32_t t = tensor_of(s, f, d.rank, d.dims);
  if (scale > 0)
    nib_graph_set_quant(s->g, t, (double)(float)scale, zp);
  return t;
}

HARNESS_UNUSED static int32_t input(suite *s, nib_format f, shape_of d, double scale, int64_t zp) {
  const int32_t t = value(s, f, d, scale, zp);
  s->inputs[s->n_inputs++] = t;
  return t;
}

/* Where sums of f16, bf16 and f8 are compared: their random contents lie in [-1, 1), as those of f32
 * do. */
static bool harness_tame_halves;
/* Not 0: then f16 are whole numbers up to so much, whose sums are exact in any order. */
static int harness_whole_halves;
/* What sums of f16 may differ by, as a share of the largest result, beside a step of rounding. */
static double harness_half_error = 1e-5;
/* The same of f32. */
static double harness_real_error = 1e-5;

/* Random contents; floats in [-1, 1), integers within `span` of 0 (0: the whole range). */
HARNESS_UNUSED static void fill_random(uint64_t *rng, nib_format f, void *data, int64_t n,
                                       int64_t span) {
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t r = next_random(rng);
    const int64_t v = span ? (int64_t)(r % (uint64_t)(2 * span + 1)) - span : (int64_t)r;
    switch (nib_format_bytes(f)) {
    case 1:
      if (harness_tame_halves && f == NIB_F8E4M3FN)
        nib_format_store_real(f, data, i, (double)(r >> 40) / 8388608.0 - 1.0);
      else
        ((uint8_t *)data)[i] = (uint8_t)v;
      break;
    case 2:
      if (harness_whole_halves && f == NIB_F16)
        nib_format_store_real(f, data, i,
                              (double)((int64_t)(r >> 40) % (2 * harness_whole_halves + 1) - harness_whole_halves));
      else if (harness_tame_halves && (f == NIB_F16 || f == NIB_BF16))
        nib_format_store_real(f, data, i, (double)(r >> 40) / 8388608.0 - 1.0);
      else
        ((uint16_t *)data)[i] = (uint16_t)v;
      break;
    case 4:
      if (f == NIB_F32)
        ((float *)data)[i] = (float)((double)(r >> 40) / 8388608.0 - 1.0);
      else
        ((uint32_t *)data)[i] = (uint32_t)v;
      break;
    default:
      ((int64_t *)data)[i] = v;
    }
  }
}

HARNESS_UNUSED static int32_t constant(suite *s, nib_format f, shape_of d, double scale, int64_t zp,
                                       int64_t span) {
  const int32_t t = value(s, f, d, scale, zp);
  const size_t bytes = nib_tensor_bytes(&s->g->tensors[t]);
  void *data = malloc(bytes + 1);
  fill_random(&s->rng, f, data, nib_tensor_elems(&s->g->tensors[t]), span);
  nib_graph_set_data(s->g, t, data, bytes, NIB_DATA_COPY);
  free(data);
  return t;
}

/* Positive scales around `around`. */
HARNESS_UNUSED static int32_t constant_scales(suite *s, int n, double around) {
  const int32_t t = value(s, NIB_F32, shape(1, n), 0, 0);
  float *data = malloc((size_t)n * sizeof *data);
  for (int i = 0; i < n; ++i)
    data[i] = (float)pick_scale(s, around);
  nib_graph_set_data(s->g, t, data, (size_t)n * sizeof *data, NIB_DATA_COPY);
  free(data);
  return t;
}

HARNESS_UNUSED static int32_t node(suite *s, nib_op op, int32_t out, int32_t n_in, ...) {
  int32_t in[8];
  va_list args;
  va_start(args, n_in);
  for (int32_t i = 0; i < n_in; ++i)
    in[i] = va_arg(args, int32_t);
  va_end(args);
  return nib_graph_add_node(s->g, op, s->label, s->g->n_nodes, in, n_in, out);
}

HARNESS_UNUSED static void set_ints(suite *s, int32_t n, nib_attr_id id, int32_t count, ...) {
  int64_t v[NIB_MAX_RANK];
  va_list args;
  va_start(args, count);
  for (int32_t i = 0; i < count; ++i)
    v[i] = va_arg(args, int);
  va_end(args);
  nib_graph_set_ints(s->g, n, id, v, count);
}

HARNESS_UNUSED static void output(suite *s, int32_t tensor) { s->outputs[s->n_outputs++] = tensor; }

/* ---- kernels and a plan without reuse ---- */

HARNESS_UNUSED static void add_kernel(suite *s, const int32_t *nodes, int32_t n) {
  char name[64];
  snprintf(name, sizeof name, "%s_%d", nib_op_get(s->g->nodes[nodes[0]].op)->mnemonic,
           s->g->n_kernels);
  const int32_t k = nib_graph_add_kernel(s->g, name, nodes, n);
  for (int32_t i = 0; i < n; ++i)
    s->g->nodes[nodes[i]].kernel = k;
}

HARNESS_UNUSED static bool is_graph_port(const nib_graph *g, int32_t tensor) {
  for (int32_t i = 0; i < g->n_inputs; ++i)
    if (g->inputs[i] == tensor)
      return true;
  return nib_graph_is_output(g, tensor);
}

/* Kernels of single nodes for all nodes that have none; schedule direct; offsets one after another.
 */
HARNESS_UNUSED static void finish(suite *s) {
  nib_graph *g = s->g;
  nib_graph_set_inputs(g, s->inputs, s->n_inputs);
  nib_graph_set_outputs(g, s->outputs, s->n_outputs);
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (g->nodes[i].kernel == NIB_NONE)
      add_kernel(s, &i, 1);
  const nib_schedule *direct = nib_schedule_find("direct");
  int64_t at = 0;
  for (int32_t i = 0; i < g->n_tensors; ++i) {
    nib_tensor *t = &g->tensors[i];
    if (t->data || is_graph_port(g, i))
      continue;
    t->arena_offset = at;
    at += ((int64_t)nib_tensor_bytes(t) + 63) / 64 * 64;
  }
  for (int32_t i = 0; i < g->n_kernels; ++i) {
    nib_kernel *k = &g->kernels[i];
    k->schedule = "direct";
    k->vocab = "c99";
    k->scratch_bytes = direct->scratch_bytes(g, k, nib_vocab_find("c99"));
    k->scratch_offset = at;
    at += (k->scratch_bytes + 63) / 64 * 64;
  }
  g->arena_bytes = at;
}

/* ---- compile and load ---- */

typedef nibrt_status model_run(const nibrt_exec *exec, const void *const *in, void *const *out,
                               void *const *arenas);

HARNESS_UNUSED static nib_options emit_options(const char *dir) {
  nib_options o = nib_options_default();
  o.target = "c99";
  o.out_dir = dir;
  o.check_c = false;
  return o;
}

/* A new folder that the test removes with remove_folder. */
HARNESS_UNUSED static void make_folder(char out[64]) {
  const char *tmp = getenv("TMPDIR");
  snprintf(out, 64, "%.40s/nib_emit_XXXXXX", tmp ? tmp : "/tmp");
  if (!mkdtemp(out))
    abort();
}

HARNESS_UNUSED static int shell(const char *format, ...) {
  char command[4096];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  return system(command);
}

HARNESS_UNUSED static void remove_folder(const char *dir) { shell("rm -rf '%s'", dir); }

/* Compiles the model files in DIR, the examples left out, to DIR/model.so. */
HARNESS_UNUSED static void *load_models(const char *dir, const char *flags) {
  char path[128];
  CHECK(shell("cd '%s' && mkdir -p ex && mv *_main.c ex/ && cc -std=c11 -Wall -Wextra -pedantic "
              "-Werror %s -shared -fPIC *.c -lm -o model.so",
              dir, flags) == 0);
  snprintf(path, sizeof path, "%s/model.so", dir);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    printf("%s\n", dlerror());
  CHECK(library != NULL);
  return library;
}

HARNESS_UNUSED static model_run *find_run(void *library, const char *name) {
  char symbol[128];
  snprintf(symbol, sizeof symbol, "%s_run", name);
  model_run *run = NULL;
  void *found = library ? dlsym(library, symbol) : NULL;
  memcpy(&run, &found, sizeof run);
  CHECK(run != NULL);
  return run;
}

/* ---- run and compare ---- */

typedef enum fill_kind { FILL_RANDOM, FILL_LEAST, FILL_GREATEST, FILL_EDGES, FILL_COUNT } fill_kind;

HARNESS_UNUSED static void fill_input(uint64_t *rng, const nib_tensor *t, void *data,
                                      fill_kind kind) {
  const nib_format_info *f = nib_format_get(t->format);
  const int64_t n = nib_tensor_elems(t);
  fill_random(rng, t->format, data, n, t->format == NIB_I32 ? 1 << 22 : 0);
  if (t->format == NIB_F32) {
    const float gain = kind == FILL_RANDOM ? 4.0f : kind == FILL_EDGES ? 40.0f : 0.01f;
    for (int64_t i = 0; i < n; ++i)
      ((float *)data)[i] *= gain;
    return;
  }
  if (kind == FILL_RANDOM || f->bits > 16 || (harness_tame_halves && f->kind == NIB_KIND_FLOAT))
    return;
  for (int64_t i = 0; i < n; ++i) {
    const bool low = kind == FILL_LEAST || (kind == FILL_EDGES && next_random(rng) % 2);
    const int64_t v = low ? f->min : f->max;
    if (f->bytes == 1)
      ((uint8_t *)data)[i] = (uint8_t)v;
    else
      ((uint16_t *)data)[i] = (uint16_t)v;
  }
}

/* Number of elements that differ: any difference of integers, a share of the largest for floats. */
HARNESS_UNUSED static int64_t count_differences(const nib_tensor *t, const void *want,
                                                const void *got, int64_t *out_first) {
  const int64_t n = nib_tensor_elems(t);
  const size_t size = nib_format_bytes(t->format);
  int64_t bad = 0;
  double largest = 0;
  for (int64_t i = 0; nib_format_get(t->format)->kind == NIB_KIND_FLOAT && i < n; ++i)
    largest = fmax(largest, fabs(nib_format_load_real(t->format, want, i)));
  for (int64_t i = 0; i < n; ++i) {
    bool same = memcmp((const char *)want + i * (int64_t)size,
                       (const char *)got + i * (int64_t)size, size) == 0;
    if (!same && nib_format_get(t->format)->kind == NIB_KIND_FLOAT) { /* both zeros, all NaN */
      const double a = nib_format_load_real(t->format, want, i);
      const double b = nib_format_load_real(t->format, got, i);
      same = a == b || (isnan(a) && isnan(b));
    }
    if (!same && t->format == NIB_F32) {
      const double w = (double)((const float *)want)[i], x = (double)((const float *)got)[i];
      same = fabs(w - x) <= harness_real_error * largest || (isnan(w) && isnan(x));
    }
    if (!same && (t->format == NIB_F16 || t->format == NIB_BF16 ||
                  t->format == NIB_F8E4M3FN)) { /* a step of rounding apart */
      const double w = nib_format_load_real(t->format, want, i);
      const double x = nib_format_load_real(t->format, got, i);
      same = fabs(w - x) <= harness_half_error * largest + ldexp(fabs(w), -nib_format_get(t->format)->real.mantissa_bits);
    }
    if (!same && bad++ == 0)
      *out_first = i;
  }
  return bad;
}

HARNESS_UNUSED static void report_difference(const nib_tensor *t, const nib_graph *g,
                                             const void *want, const void *got, int64_t bad,
                                             int64_t first) {
  printf("%s (%s): %" PRId64 " of %" PRId64 " differ, first at %" PRId64 ": want %.9g, got %.9g\n",
         t->name, t->producer >= 0 ? nib_op_get(g->nodes[t->producer].op)->mnemonic : "", bad,
         nib_tensor_elems(t), first, nib_format_load_real(t->format, want, first),
         nib_format_load_real(t->format, got, first));
  ++harness_failures;
}

/* Runs `run` and the reference on `rounds` inputs of each kind; returns the outputs compared. */
HARNESS_UNUSED static int compare_with_reference(suite *s, model_run *run, int rounds) {
  nib_graph *g = s->g;
  nib_reference *r = NULL;
  int compared = 0;
  if (nib_reference_create(g, &r, &harness_diag) != NIB_OK) {
    printf("reference: %s\n", harness_message);
    ++harness_failures;
    return 0;
  }
  void *in[max_ports], *out[max_ports];
  for (int32_t i = 0; i < g->n_inputs; ++i)
    in[i] = aligned_alloc(64, (nib_tensor_bytes(&g->tensors[g->inputs[i]]) + 64) / 64 * 64);
  for (int32_t i = 0; i < g->n_outputs; ++i)
    out[i] = aligned_alloc(64, (nib_tensor_bytes(&g->tensors[g->outputs[i]]) + 64) / 64 * 64);
  void *arena = aligned_alloc(64, ((size_t)g->arena_bytes + 64) / 64 * 64);
  void *arenas[1] = {arena};
  for (int round = 0; round < rounds * FILL_COUNT; ++round) {
    for (int32_t i = 0; i < g->n_inputs; ++i)
      fill_input(&s->rng, &g->tensors[g->inputs[i]], in[i], (fill_kind)(round % FILL_COUNT));
    for (int32_t i = 0; i < g->n_outputs; ++i)
      memset(out[i], 0xA5, nib_tensor_bytes(&g->tensors[g->outputs[i]]));
    CHECK(run(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
    CHECK(nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
    for (int32_t i = 0; i < g->n_outputs; ++i) {
      const nib_tensor *t = &g->tensors[g->outputs[i]];
      const void *want = nib_reference_tensor(r, g->outputs[i]);
      int64_t first = 0;
      const int64_t bad = count_differences(t, want, out[i], &first);
      if (bad)
        report_difference(t, g, want, out[i], bad, first);
      ++compared;
    }
  }
  for (int32_t i = 0; i < g->n_inputs; ++i)
    free(in[i]);
  for (int32_t i = 0; i < g->n_outputs; ++i)
    free(out[i]);
  free(arena);
  nib_reference_destroy(r);
  return compared;
}

/* Emits the suite's graph, compiles it with `flags` and calls `use` with its function, which
 * returns a count; 0 where that cannot be. */
HARNESS_UNUSED static int use_generated(suite *s, const char *flags,
                                        int (*use)(suite *s, model_run *run, int argument),
                                        int argument) {
  int count = 0;
  CHECK(nib_graph_validate(s->g, &harness_diag) == NIB_OK);
  char dir[64];
  make_folder(dir);
  const nib_options o = emit_options(dir);
  if (nib_emit_graph(s->g, &o, &harness_diag) != NIB_OK) {
    printf("%s\n", harness_message);
    ++harness_failures;
  } else {
    void *library = load_models(dir, flags);
    model_run *run = find_run(library, s->g->name);
    count = run ? use(s, run, argument) : 0;
    if (library)
      dlclose(library);
  }
  remove_folder(dir);
  return count;
}

/* The same, compared with the reference in `rounds` rounds; returns the outputs compared. */
HARNESS_UNUSED static int compare_generated(suite *s, const char *flags, int rounds) {
  const int compared = use_generated(s, flags, compare_with_reference, rounds);
  printf("%d outputs compared with the reference\n", compared);
  return compared;
}

#endif
