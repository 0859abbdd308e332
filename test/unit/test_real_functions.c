/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_real_functions
 * Functions of reals in each vector vocabulary, alone and after a dense layer: over the whole
 * range, around the places where their forms change, at infinities and NaN, against double
 * precision, element by element. */
#include "kernel_harness.h"

typedef struct function_case {
  nib_op op;
  double (*exact)(double x);
  double relative; /* error allowed */
} function_case;

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double silu(double x) { return x / (1 + exp(-x)); }
static double gelu(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752); }
static double hard_swish(double x) { return x * fmin(fmax(x / 6 + 0.5, 0), 1); }
static double gelu_tanh(double x) {
  return x / (1 + exp(-2 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

/* Powers of large numbers carry the rounding of these. */
static const function_case functions[] = {{NIB_OP_EXP, exp, 3e-7},
                                          {NIB_OP_SIGMOID, sigmoid, 4e-7},
                                          {NIB_OP_SILU, silu, 4e-7},
                                          {NIB_OP_TANH, tanh, 4e-7},
                                          {NIB_OP_ERF, erf, 4e-7},
                                          {NIB_OP_GELU, gelu, 2e-5},
                                          {NIB_OP_GELU_TANH, gelu_tanh, 2e-5},
                                          {NIB_OP_HARD_SWISH, hard_swish, 2e-7}};
enum { n_functions = sizeof functions / sizeof *functions, n_values = 6000 };

/* Both signs of powers of 2^(1/64) from 1e-38 to 1e38, 0, infinity, NaN, and a fine grid. */
static void fill(float *x) {
  int n = 0;
  x[n++] = 0, x[n++] = -0.0f, x[n++] = INFINITY, x[n++] = -INFINITY, x[n++] = NAN;
  for (double p = 1e-38; p < 1e38 && n + 2 < n_values / 2; p *= 1.09)
    x[n++] = (float)p, x[n++] = (float)-p;
  for (int i = 0; n < n_values; i++)
    x[n++] = (float)((i - n_values / 4) * (24.0 / n_values)) + 0.5f;
}

static void check(const function_case *f, const char *vocab, const float *x, const float *y) {
  int bad = 0;
  for (int i = 0; i < n_values; i++) {
    const double r = f->exact((double)x[i]);
    CHECK(!isnan(x[i]) || isnan(y[i]));
    /* x / (1 + exp(-x)) of minus infinity is no number in f32 either. */
    if (isnan(r) || (isinf(x[i]) && x[i] < 0))
      continue;
    const double error = fabs((double)y[i] - r);
    const bool ok = isinf((float)r) ? y[i] == (float)r : error <= f->relative * fabs(r) + 3e-38;
    if (!ok && bad++ < 3)
      printf("%s, %s(%.9g): %.9g instead of %.9g\n", vocab, nib_op_get(f->op)->mnemonic,
             (double)x[i], (double)y[i], r);
  }
  harness_failures += bad;
}

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  if (v->lanes < 2 || strcmp(rounding, "nearest-even") != 0)
    return;
  suite s = suite_open("functions", rounding, seed);
  const int32_t x = input(&s, NIB_F32, shape(2, n_values / 60, 60), 0, 0);
  for (int i = 0; i < n_functions; i++) {
    snprintf(s.label, sizeof s.label, "%s", nib_op_get(functions[i].op)->mnemonic);
    const int32_t y = value(&s, NIB_F32, shape(2, n_values / 60, 60), 0, 0);
    node(&s, functions[i].op, y, 1, x);
    output(&s, y);
  }
  finish(&s);
  CHECK(select_vector(&s, v) == n_functions);
  char dir[64];
  make_folder(dir);
  nib_options o = emit_options(dir);
  o.target = target;
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_OK);
  void *library = load_library(dir, seed % 2 ? "cc" : "clang-22");
  float *in = aligned_alloc(64, n_values * 4 + 64), *out[n_functions];
  fill(in);
  for (int i = 0; i < n_functions; i++)
    out[i] = aligned_alloc(64, n_values * 4 + 64);
  const void *inputs[] = {in};
  void *arenas[] = {aligned_alloc(64, ((size_t)s.g->arena_bytes + 127) / 64 * 64)};
  if (library)
    CHECK(find_run(library, s.g->name)(NULL, inputs, (void *const *)out, arenas) == NIBRT_OK);
  for (int i = 0; library && i < n_functions; i++) {
    check(&functions[i], v->name, in, out[i]);
    free(out[i]);
  }
  printf("%s: %d functions of %d values\n", v->name, n_functions, n_values);
  free(in);
  free(arenas[0]);
  if (library)
    dlclose(library);
  remove_folder(dir);
  nib_graph_destroy(s.g);
}

int main(void) { return test_each_vocabulary(test_vocabulary); }
