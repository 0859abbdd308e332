/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_binary
// Operators of binary.def and functions of plain numbers in every format, on extremes: the
// reference against plain C written here, and generated code against the reference, bit for bit.
#include "emit_harness.h"

enum { MAX_VALUES = 16 };

static const nib_format integers[] = {NIB_I8,  NIB_U8,  NIB_I16, NIB_U16,
                                      NIB_I32, NIB_U32, NIB_I64, NIB_U64};
static const nib_format reals[] = {NIB_F32, NIB_F64, NIB_F16, NIB_BF16};

static const nib_op binary_ops[] = {
    NIB_OP_POW,     NIB_OP_MOD,        NIB_OP_FMOD,        NIB_OP_MAXIMUM, NIB_OP_MINIMUM,
    NIB_OP_EQUAL,   NIB_OP_LESS,       NIB_OP_LESS_EQUAL,  NIB_OP_BIT_AND, NIB_OP_BIT_OR,
    NIB_OP_BIT_XOR, NIB_OP_SHIFT_LEFT, NIB_OP_SHIFT_RIGHT, NIB_OP_ADD,     NIB_OP_SUB,
    NIB_OP_MUL,     NIB_OP_DIV};

static bool is_comparison(nib_op op) {
  return op == NIB_OP_EQUAL || op == NIB_OP_LESS || op == NIB_OP_LESS_EQUAL;
}

/* ---- values ---- */

static int integer_values(nib_format f, __int128 out[MAX_VALUES]) {
  const nib_format_info *info = nib_format_get(f);
  const bool natural = info->kind == NIB_KIND_UNSIGNED;
  const __int128 max = ((__int128)1 << (info->bits - !natural)) - 1;
  const __int128 min = natural ? 0 : -max - 1;
  const __int128 all[] = {0,
                          1,
                          2,
                          3,
                          7,
                          info->bits - 1,
                          info->bits,
                          max,
                          max - 1,
                          max / 2,
                          min,
                          min + 1,
                          natural ? 5 : -1,
                          natural ? 6 : -2,
                          natural ? 11 : -7};
  const int n = sizeof all / sizeof *all;
  memcpy(out, all, sizeof all);
  return n;
}

static const double real_values[] = {0.0, -0.0,  1.0,   -1.0, 2.5,      -2.5,      0.5, -0.5,
                                     7.0, -3.25, 1e-30, 1e30, INFINITY, -INFINITY, NAN};

static void store_integer(nib_format f, void *data, int i, __int128 v) {
  memcpy((char *)data + (size_t)i * nib_format_bytes(f), &v, nib_format_bytes(f));
}

static void store_real(nib_format f, void *data, int i, double v) {
  nib_format_store_real(f, data, i, v);
}

static int fill_values(nib_format f, char data[MAX_VALUES * 8]) {
  __int128 v[MAX_VALUES];
  if (nib_format_get(f)->kind == NIB_KIND_FLOAT) {
    const int n = sizeof real_values / sizeof *real_values;
    for (int i = 0; i < n; ++i)
      store_real(f, data, i, real_values[i]);
    return n;
  }
  const int n = integer_values(f, v);
  for (int i = 0; i < n; ++i)
    store_integer(f, data, i, v[i]);
  return n;
}

/* ---- expectations ---- */

static __int128 power(__int128 a, __int128 b, int bits) {
  unsigned __int128 y = 1, x = (unsigned __int128)a;
  if (b < 0)
    return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  for (; b; b >>= 1, x *= x)
    y = b & 1 ? y * x : y;
  (void)bits;
  return (__int128)y;
}

static __int128 expected_integer(nib_op op, __int128 a, __int128 b, int bits) {
  const __int128 r = b ? a % b : 0;
  switch (op) {
  case NIB_OP_POW:
    return power(a, b, bits);
  case NIB_OP_MOD:
    return r && (r < 0) != (b < 0) ? r + b : r;
  case NIB_OP_FMOD:
    return r;
  case NIB_OP_MAXIMUM:
    return a > b ? a : b;
  case NIB_OP_MINIMUM:
    return a < b ? a : b;
  case NIB_OP_EQUAL:
    return a == b;
  case NIB_OP_LESS:
    return a < b;
  case NIB_OP_LESS_EQUAL:
    return a <= b;
  case NIB_OP_BIT_AND:
    return a & b;
  case NIB_OP_BIT_OR:
    return a | b;
  case NIB_OP_BIT_XOR:
    return a ^ b;
  case NIB_OP_SHIFT_LEFT:
    return b < 0 || b >= bits ? 0 : (__int128)((unsigned __int128)a << b);
  case NIB_OP_SHIFT_RIGHT:
    return b < 0 || b >= bits ? (a < 0 ? -1 : 0) : a >> b;
  case NIB_OP_ADD:
    return a + b;
  case NIB_OP_SUB:
    return a - b;
  case NIB_OP_MUL:
    return (__int128)((unsigned __int128)a * (unsigned __int128)b);
  default:
    return b ? a / b : 0;
  }
}

static double expected_real(nib_op op, double a, double b, bool single) {
  switch (op) {
  case NIB_OP_POW:
    return single ? (double)powf((float)a, (float)b) : pow(a, b);
  case NIB_OP_MOD: {
    const double r = single ? (double)fmodf((float)a, (float)b) : fmod(a, b);
    return r == 0 || (r < 0) == (b < 0) ? r : single ? (double)((float)r + (float)b) : r + b;
  }
  case NIB_OP_FMOD:
    return fmod(a, b);
  case NIB_OP_MAXIMUM:
    return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
  case NIB_OP_MINIMUM:
    return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
  case NIB_OP_EQUAL:
    return a == b;
  case NIB_OP_LESS:
    return a < b;
  case NIB_OP_LESS_EQUAL:
    return a <= b;
  case NIB_OP_ADD:
    return single ? (double)((float)a + (float)b) : a + b;
  case NIB_OP_SUB:
    return single ? (double)((float)a - (float)b) : a - b;
  case NIB_OP_MUL:
    return single ? (double)((float)a * (float)b) : a * b;
  default:
    return single ? (double)((float)a / (float)b) : a / b;
  }
}

/* ---- one graph of everything ---- */

typedef struct expectation {
  int32_t tensor;
  nib_op op;
  nib_format format; /* of the operands */
  int n;
} expectation;

static expectation expectations[max_ports];
static int n_expectations;

static int32_t values(suite *s, nib_format f, bool column, int *out_n) {
  char data[MAX_VALUES * 8];
  *out_n = fill_values(f, data);
  const int32_t t = value(s, f, column ? shape(2, *out_n, 1) : shape(1, *out_n), 0, 0);
  nib_graph_set_data(s->g, t, data, nib_tensor_bytes(&s->g->tensors[t]), NIB_DATA_COPY);
  return t;
}

static void add_pairs(suite *s, nib_format f) {
  const bool real = nib_format_get(f)->kind == NIB_KIND_FLOAT;
  for (size_t k = 0; k < sizeof binary_ops / sizeof *binary_ops; ++k) {
    const nib_op op = binary_ops[k];
    const bool stored =
        f == NIB_F16 || f == NIB_BF16; /* generated code against the reference only */
    if (real && op >= NIB_OP_BIT_AND && op <= NIB_OP_SHIFT_RIGHT)
      continue;
    int n;
    snprintf(s->label, sizeof s->label, "%s %s", nib_op_get(op)->mnemonic, nib_format_get(f)->name);
    const int32_t a = values(s, f, true, &n), b = values(s, f, false, &n);
    const int32_t y = value(s, is_comparison(op) ? NIB_I1 : f, shape(2, n, n), 0, 0);
    node(s, op, y, 2, a, b);
    output(s, y);
    if (!stored)
      expectations[n_expectations++] = (expectation){y, op, f, n};
  }
}

static void add_functions(suite *s, nib_format f) {
  const bool real = nib_format_get(f)->kind == NIB_KIND_FLOAT;
  for (int op = 0; op < NIB_OP_COUNT; ++op) {
    const bool integer = op == NIB_OP_ABS || op == NIB_OP_NEG || op == NIB_OP_SIGN;
    const bool function = op >= NIB_OP_ABS && op <= NIB_OP_MISH;
    if (!function || (!real && !integer))
      continue;
    int n;
    snprintf(s->label, sizeof s->label, "%s %s", nib_op_get((nib_op)op)->mnemonic,
             nib_format_get(f)->name);
    const int32_t x = values(s, f, false, &n), y = value(s, f, shape(1, n), 0, 0);
    node(s, (nib_op)op, y, 1, x);
    output(s, y);
    if (!real)
      expectations[n_expectations++] = (expectation){y, (nib_op)op, f, n};
  }
  int n, m;
  if (real) { /* all but NaN, which is the last value */
    snprintf(s->label, sizeof s->label, "relu %s", nib_format_get(f)->name);
    char data[MAX_VALUES * 8];
    n = fill_values(f, data) - 1;
    const int32_t x = value(s, f, shape(1, n), 0, 0), y = value(s, f, shape(1, n), 0, 0);
    nib_graph_set_data(s->g, x, data, nib_tensor_bytes(&s->g->tensors[x]), NIB_DATA_COPY);
    node(s, NIB_OP_RELU, y, 1, x);
    output(s, y);
  }
  snprintf(s->label, sizeof s->label, "where %s", nib_format_get(f)->name);
  const int32_t a = values(s, f, false, &n), c = input(s, NIB_I1, shape(2, n, 1), 0, 0);
  const int32_t b = values(s, f, true, &m), y = value(s, f, shape(2, n, n), 0, 0);
  node(s, NIB_OP_WHERE, y, 3, c, a, b);
  output(s, y);
}

static __int128 wrap(nib_format f, __int128 v) {
  const int bits = nib_format_get(f)->bits;
  const unsigned __int128 low = (unsigned __int128)v & (((unsigned __int128)1 << bits) - 1);
  const bool negative = nib_format_get(f)->kind == NIB_KIND_SIGNED && (low >> (bits - 1) & 1);
  return negative ? (__int128)low - ((__int128)1 << bits) : (__int128)low;
}

static __int128 read_integer(nib_format f, const void *data, int i) {
  uint64_t v = 0;
  memcpy(&v, (const char *)data + (size_t)i * nib_format_bytes(f), nib_format_bytes(f));
  return wrap(f, v);
}

static double read_real(nib_format f, const void *data, int i) {
  return nib_format_load_real(f, data, i);
}

static void check_integers(const expectation *e, const void *got) {
  __int128 v[MAX_VALUES];
  const int n = integer_values(e->format, v), bits = nib_format_get(e->format)->bits;
  const bool one = e->op >= NIB_OP_ABS && e->op <= NIB_OP_SIGN;
  const nib_format f = is_comparison(e->op) ? NIB_U8 : e->format;
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < (one ? 1 : n); ++k) {
      const __int128 x = wrap(e->format, v[i]), z = wrap(e->format, v[k]);
      const __int128 want = e->op == NIB_OP_ABS    ? (x < 0 ? -x : x)
                            : e->op == NIB_OP_NEG  ? -x
                            : e->op == NIB_OP_SIGN ? (x > 0) - (x < 0)
                                                   : expected_integer(e->op, x, z, bits);
      const int at = one ? i : i * n + k;
      if (read_integer(f, got, at) != wrap(f, want)) {
        printf("%s %s: (%lld, %lld) gives %lld\n", nib_op_get(e->op)->mnemonic,
               nib_format_get(e->format)->name, (long long)x, (long long)z,
               (long long)read_integer(f, got, at));
        ++harness_failures;
      }
    }
}

static void check_reals(const expectation *e, const void *got) {
  const bool single = e->format == NIB_F32;
  for (int i = 0; i < e->n; ++i)
    for (int k = 0; k < e->n; ++k) {
      const double x = single ? (double)(float)real_values[i] : real_values[i];
      const double z = single ? (double)(float)real_values[k] : real_values[k];
      const double want = expected_real(e->op, x, z, single);
      const double y = is_comparison(e->op) ? ((const uint8_t *)got)[i * e->n + k]
                                            : read_real(e->format, got, i * e->n + k);
      if (y != want && !(single && (float)y == (float)want) && !(isnan(y) && isnan(want))) {
        printf("%s: (%g, %g) gives %g, not %g\n", nib_op_get(e->op)->mnemonic, x, z, y, want);
        ++harness_failures;
      }
    }
}

static void check_reference(suite *s) {
  nib_reference *r = NULL;
  const void *inputs[max_ports];
  static const uint8_t truth[MAX_VALUES] = {1, 0, 1, 1, 0};
  for (int32_t i = 0; i < s->n_inputs; ++i)
    inputs[i] = truth;
  CHECK(nib_reference_create(s->g, &r, &harness_diag) == NIB_OK);
  if (!r) {
    printf("%s\n", harness_message);
    return;
  }
  CHECK(nib_reference_run(r, inputs, &harness_diag) == NIB_OK);
  for (int i = 0; i < n_expectations; ++i) {
    const expectation *e = &expectations[i];
    const void *got = nib_reference_tensor(r, e->tensor);
    if (nib_format_get(e->format)->kind == NIB_KIND_FLOAT)
      check_reals(e, got);
    else
      check_integers(e, got);
  }
  nib_reference_destroy(r);
}

int main(void) {
  suite s = suite_open("m", "nearest-even", 7);
  for (size_t i = 0; i < sizeof integers / sizeof *integers; ++i) {
    add_pairs(&s, integers[i]);
    add_functions(&s, integers[i]);
  }
  for (size_t i = 0; i < sizeof reals / sizeof *reals; ++i) {
    add_pairs(&s, reals[i]);
    add_functions(&s, reals[i]);
  }
  finish(&s);
  CHECK(compare_generated(&s, "-O1", 1) > 0);
  check_reference(&s);
  nib_graph_destroy(s.g);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
