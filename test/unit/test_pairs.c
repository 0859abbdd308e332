/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_pairs
/* Products of every pair of an activation and a weight format of the table: convolutions of each
 * kind, fully_connected and matmul, in generated code and in the reference, against sums in double
 * (exact for integers) that are written out here. Zero points are at both ends of both sides. */
#include "emit_harness.h"

static int compared, rounded; /* results; layers that round their weights */

/* ---- the definition ---- */

/* The numbers of a tensor. */
static double *numbers(const nib_tensor *t, const void *data) {
  const nib_format_info *f = nib_format_get(t->format);
  const int64_t n = nib_tensor_elems(t);
  double *x = malloc((size_t)n * sizeof *x);
  float *row = malloc((size_t)n * sizeof *row);
  if (f->kind == NIB_KIND_BLOCK)
    nib_format_decode_row(t->format, data, n, row);
  for (int64_t i = 0; i < n; ++i) {
    uint64_t code = 0;
    if (f->kind == NIB_KIND_BLOCK) {
      x[i] = (double)row[i];
      continue;
    }
    memcpy(&code, (const char *)data + i * f->bytes, (size_t)f->bytes);
    code &= f->bits < 64 ? (UINT64_C(1) << f->bits) - 1 : ~UINT64_C(0);
    if (f->kind == NIB_KIND_FLOAT || f->kind == NIB_KIND_CODEBOOK)
      x[i] = nib_format_decode(t->format, code);
    else if (f->kind == NIB_KIND_BIPOLAR)
      x[i] = (double)(2 * (int64_t)code - ((1 << f->bits) - 1));
    else if (f->kind == NIB_KIND_SIGNED && code >> (f->bits - 1))
      x[i] = (double)((int64_t)code - (INT64_C(1) << f->bits) - t->zero_point);
    else
      x[i] = (double)((int64_t)code - t->zero_point);
  }
  free(row);
  return x;
}

typedef struct sum {
  double value, magnitude; /* of the terms */
} sum;

static void add(sum *s, double x, double w) {
  s->value += x * w;
  s->magnitude += fabs(x * w);
}

/* One result of conv2d or depthwise_conv2d at (oy, ox, oc). */
static sum window(const nib_node *n, const int64_t *xd, const int64_t *wd, const double *x,
                  const double *w, int64_t oy, int64_t ox, int64_t oc) {
  const bool deep = n->op == NIB_OP_DEPTHWISE_CONV2D;
  const int64_t groups = nib_node_int(n, NIB_A_GROUPS, 1), channels = deep ? 1 : wd[3];
  const int64_t first = deep ? oc / (wd[3] / xd[3]) : oc / (wd[0] / groups) * channels;
  sum s = {0};
  for (int64_t ky = 0; ky < wd[1]; ++ky)
    for (int64_t kx = 0; kx < wd[2]; ++kx)
      for (int64_t i = 0; i < channels; ++i) {
        const int64_t iy = oy * 2 + ky - 1, ix = ox + kx;
        if (iy < 0 || iy >= xd[1] || ix >= xd[2])
          continue;
        add(&s, x[(iy * xd[2] + ix) * xd[3] + first + i],
            w[deep ? (ky * wd[2] + kx) * wd[3] + oc
                   : ((oc * wd[1] + ky) * wd[2] + kx) * wd[3] + i]);
      }
  return s;
}

/* One result of transpose_conv2d: the inputs that reach it. */
static sum spread(const int64_t *xd, const int64_t *wd, const double *x, const double *w,
                  int64_t oy, int64_t ox, int64_t oc) {
  sum s = {0};
  for (int64_t iy = 0; iy < xd[1]; ++iy)
    for (int64_t ix = 0; ix < xd[2]; ++ix) {
      const int64_t ky = oy - 2 * iy, kx = ox - ix;
      if (ky < 0 || ky >= wd[1] || kx < 0 || kx >= wd[2])
        continue;
      for (int64_t i = 0; i < xd[3]; ++i)
        add(&s, x[(iy * xd[2] + ix) * xd[3] + i], w[((oc * wd[1] + ky) * wd[2] + kx) * wd[3] + i]);
    }
  return s;
}

static sum product(const nib_node *n, const int64_t *xd, const int64_t *wd, const double *x,
                   const double *w, int64_t row, int64_t column) {
  const bool dense = n->op == NIB_OP_FULLY_CONNECTED;
  sum s = {0};
  for (int64_t k = 0; k < xd[1]; ++k)
    add(&s, x[row * xd[1] + k], w[dense ? column * wd[1] + k : k * wd[1] + column]);
  return s;
}

static sum result_at(const nib_graph *g, const nib_node *n, const double *x, const double *w,
                     int64_t i) {
  const int64_t *xd = g->tensors[n->in[0]].dims, *wd = g->tensors[n->in[1]].dims;
  const nib_tensor *y = &g->tensors[n->out];
  if (y->rank == 2)
    return product(n, xd, wd, x, w, i / y->dims[1], i % y->dims[1]);
  const int64_t oc = i % y->dims[3], ox = i / y->dims[3] % y->dims[2];
  const int64_t oy = i / y->dims[3] / y->dims[2];
  return n->op == NIB_OP_TRANSPOSE_CONV2D ? spread(xd, wd, x, w, oy, ox, oc)
                                          : window(n, xd, wd, x, w, oy, ox, oc);
}

/* ---- comparing ---- */

static double stored(nib_format f, double x) {
  uint64_t code = 0;
  nib_format_store_real(f, &code, 0, x);
  return nib_format_load_real(f, &code, 0);
}

/* Reals: what may come of a sum that is off by the rounding of its terms. */
static bool real_is_right(nib_format f, sum s, double got) {
  const double slack = 1e-5 * s.magnitude;
  const double lo = stored(f, s.value - slack), hi = stored(f, s.value + slack);
  if (isnan(got))
    return isnan(lo) || isnan(hi);
  return (isnan(lo) || got >= lo) && (isnan(hi) || got <= hi);
}

/* Integers: the sum, or the nearest code, ties to even, of a sum times 1/32. */
static bool integer_is_right(const nib_tensor *t, sum s, int64_t got) {
  if (t->format == NIB_I64)
    return got == (int64_t)s.value;
  if (!t->quantized)
    return got == (int32_t)(uint32_t)(uint64_t)(int64_t)s.value;
  double code = nearbyint(s.value / 32.0) + (double)t->zero_point;
  code = code < -128 ? -128 : code > 127 ? 127 : code;
  return got == (int64_t)code;
}

static void check_case(const suite *s, const nib_node *n, const void *in, const void *reference,
                       const void *generated) {
  const nib_graph *g = s->g;
  const nib_tensor *w = &g->tensors[n->in[1]], *y = &g->tensors[n->out];
  const int32_t bias = n->n_in > 2 ? n->in[2] : NIB_NONE;
  double *xs = numbers(&g->tensors[n->in[0]], in), *ws = numbers(w, w->data);
  const nib_format decoded = nib_node_decode_format(g, n);
  for (int64_t i = 0; decoded != NIB_NO_FORMAT && i < nib_tensor_elems(w); ++i)
    ws[i] = stored(decoded, ws[i]);
  double *bs = bias == NIB_NONE ? NULL : numbers(&g->tensors[bias], g->tensors[bias].data);
  const bool real = nib_format_holds_reals(y->format);
  int64_t bad = 0, first = -1;
  for (int64_t i = 0; i < nib_tensor_elems(y); ++i) {
    sum sum = result_at(g, n, xs, ws, i);
    if (bs)
      add(&sum, bs[i % y->dims[y->rank - 1]], 1);
    bool right = true;
    for (int k = 0; k < 2; ++k) {
      const void *data = k ? generated : reference;
      right =
          right && (real ? real_is_right(y->format, sum, nib_format_load_real(y->format, data, i))
                         : integer_is_right(y, sum, nib_format_load_code(y->format, data, i)));
    }
    if (!right && bad++ == 0)
      first = i;
  }
  if (bad) {
    printf("%s (%s): %" PRId64 " of %" PRId64 " wrong, the first at %" PRId64
           ": reference %.9g, generated %.9g, expected %.9g\n",
           n->name, nib_op_get(n->op)->mnemonic, bad, nib_tensor_elems(y), first,
           nib_format_load_real(y->format, reference, first),
           nib_format_load_real(y->format, generated, first), result_at(g, n, xs, ws, first).value);
    ++harness_failures;
  }
  ++compared;
  free(xs);
  free(ws);
  free(bs);
}

/* ---- the cases ---- */

typedef enum data_kind { RANDOM, LEAST, GREATEST, KINDS } data_kind;

/* Codes of integers; reals around 1, positive where the format has no sign. */
static void fill(suite *s, nib_format f, void *data, int64_t n, data_kind kind) {
  const nib_format_info *info = nib_format_get(f);
  const int64_t top = info->kind == NIB_KIND_BIPOLAR ? (1 << info->bits) - 1 : info->max;
  const bool no_sign = f == NIB_F8E8M0FNU || f == NIB_UDYNAMIC8 || f == NIB_DYADIC8;
  float *x = malloc((size_t)n * sizeof *x);
  for (int64_t i = 0; i < n; ++i) {
    x[i] = (float)pick(s, no_sign ? 1 : -1000, 1000) / (kind == RANDOM ? 900.0f : 400.0f);
    if (!nib_format_holds_reals(f))
      nib_format_store_code(f, data, i,
                            kind == LEAST      ? info->min
                            : kind == GREATEST ? top
                                               : pick(s, info->min, top));
  }
  if (nib_format_holds_reals(f))
    nib_format_encode_row(f, x, n, NULL, data);
  free(x);
}

static int32_t weights(suite *s, nib_format f, shape_of d, double scale, int64_t zp) {
  const int32_t t = value(s, f, d, scale, zp);
  const nib_tensor *w = &s->g->tensors[t];
  char *data = malloc(nib_tensor_bytes(w));
  fill(s, f, data, nib_tensor_elems(w), RANDOM);
  if (!nib_format_holds_reals(f) && nib_format_get(f)->kind != NIB_KIND_BIPOLAR) {
    nib_format_store_code(f, data, 0, nib_format_get(f)->min);
    nib_format_store_code(f, data, 1, nib_format_get(f)->max);
  }
  nib_graph_set_data(s->g, t, data, nib_tensor_bytes(w), NIB_DATA_COPY);
  free(data);
  return t;
}

/* Both ends of a format's codes as zero points: `at_max` picks one. */
static int32_t operand(suite *s, nib_format f, shape_of d, double scale, bool at_max,
                       bool constant) {
  const nib_format_info *info = nib_format_get(f);
  const bool plain = nib_format_holds_reals(f) || info->kind == NIB_KIND_BIPOLAR;
  const int64_t zp = plain ? 0 : at_max ? info->max : info->min;
  return constant ? weights(s, f, d, plain ? 0 : scale, zp) : input(s, f, d, plain ? 0 : scale, zp);
}

/* The result of a product of x: reals as they come in, or of any of three types; sums, or i8 codes
 * where the operands are of at most 8 bits and `codes` asks for them. */
static int32_t result(suite *s, nib_format x, nib_format w, shape_of d, bool codes) {
  static const nib_format reals[] = {NIB_F32, NIB_F16, NIB_BF16};
  if (nib_format_get(x)->kind == NIB_KIND_FLOAT)
    return value(s, x, d, 0, 0);
  if (nib_format_holds_reals(x))
    return value(s, reals[(x + w) % 3], d, 0, 0);
  const bool bipolar =
      nib_format_get(x)->kind == NIB_KIND_BIPOLAR || nib_format_get(w)->kind == NIB_KIND_BIPOLAR;
  if (codes && !bipolar && nib_format_get(x)->bits <= 8 && nib_format_get(w)->bits <= 8)
    return value(s, NIB_I8, d, 4.0, -3);
  return value(s, x == NIB_I16 || x == NIB_U16 ? NIB_I64 : NIB_I32, d, 0, 0);
}

static int32_t add_case(suite *s, nib_op op, nib_format x, nib_format w, bool codes, int ends) {
  const int left = nib_format_get(x)->block_elems, block = nib_format_get(w)->block_elems;
  const int c = block > left ? block : left ? left : 4, columns = block ? block : 4;
  const bool deep = op == NIB_OP_DEPTHWISE_CONV2D, matmul = op == NIB_OP_MATMUL;
  shape_of xs = shape(4, 1, 3, 3, c), ws = shape(4, 2, 2, 2, c), ys = shape(4, 1, 2, 2, 2);
  if (deep) {
    ws = shape(4, 1, 2, 2, 2 * c);
    ys = shape(4, 1, 2, 2, 2 * c);
  } else if (op == NIB_OP_TRANSPOSE_CONV2D) {
    xs = shape(4, 1, 2, 2, c);
    ys = shape(4, 1, 4, 3, 2);
  } else if (op != NIB_OP_CONV2D) {
    const int k = !matmul ? c : left ? left : 5;
    xs = shape(2, 3, k);
    ws = matmul ? shape(2, k, columns) : shape(2, 2, c);
    ys = shape(2, 3, matmul ? columns : 2);
  }
  const bool grouped = op == NIB_OP_CONV2D && ends % 2;
  if (grouped)
    xs.dims[3] *= 2;
  snprintf(s->label, sizeof s->label, "%.26s by %.26s", nib_format_get(x)->name,
           nib_format_get(w)->name);
  const int32_t in = operand(s, x, xs, 0.5, ends & 1, false);
  const int32_t filter = operand(s, w, ws, 0.25, ends & 2, true);
  const int32_t out = result(s, x, w, ys, codes);
  const bool real = nib_format_holds_reals(x);
  int32_t n;
  if (matmul || s->g->tensors[out].format == NIB_I64)
    n = node(s, op, out, 2, in, filter);
  else
    n = node(s, op, out, 3, in, filter,
             real ? weights(s, s->g->tensors[out].format, shape(1, (int)ys.dims[ys.rank - 1]), 0, 0)
                  : constant(s, NIB_I32, shape(1, (int)ys.dims[ys.rank - 1]), 0, 0, 100));
  if (ys.rank == 4)
    set_ints(s, n, NIB_A_STRIDES, 2, 2, 1);
  if (op == NIB_OP_CONV2D || deep)
    set_ints(s, n, NIB_A_PADS, 4, 1, 0, 0, 0);
  if (grouped)
    nib_graph_set_int(s->g, n, NIB_A_GROUPS, 2);
  output(s, out);
  return n;
}

/* A convolution, a matmul and one of the others for each pair; of activations in blocks a dense
 * layer and a matmul; of those in f16 and bf16 also a dense layer that rounds its weights. */
static void add_pair(suite *s, nib_format x, nib_format w, int number) {
  static const nib_op others[] = {NIB_OP_DEPTHWISE_CONV2D, NIB_OP_TRANSPOSE_CONV2D,
                                  NIB_OP_FULLY_CONNECTED};
  add_case(s, NIB_OP_MATMUL, x, w, true, ~number);
  if (nib_format_get(x)->kind == NIB_KIND_BLOCK) {
    add_case(s, NIB_OP_FULLY_CONNECTED, x, w, false, number);
    return;
  }
  add_case(s, NIB_OP_CONV2D, x, w, false, number);
  add_case(s, others[number % 3], x, w, number % 2, number / 4);
  if ((x == NIB_F16 || x == NIB_BF16) && ++rounded)
    nib_graph_set_string(s->g, add_case(s, NIB_OP_FULLY_CONNECTED, x, w, false, number),
                         NIB_A_DECODE, "operand");
}

static int run_cases(suite *s, model_run *run, int argument) {
  (void)argument;
  const nib_graph *g = s->g;
  void *in[max_ports], *out[max_ports], *arenas[] = {aligned_alloc(64, 64)};
  nib_reference *r = NULL;
  CHECK(nib_reference_create(g, &r, &harness_diag) == NIB_OK);
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    in[i] = malloc(nib_tensor_bytes(&g->tensors[g->inputs[i]]));
    out[i] = malloc(nib_tensor_bytes(&g->tensors[g->outputs[i]]));
  }
  for (int kind = 0; r && kind < KINDS; ++kind) {
    for (int32_t i = 0; i < g->n_inputs; ++i) {
      const nib_tensor *t = &g->tensors[g->inputs[i]];
      fill(s, t->format, in[i], nib_tensor_elems(t), (data_kind)kind);
    }
    CHECK(run(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
    CHECK(nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
    for (int32_t i = 0; i < g->n_outputs; ++i)
      check_case(s, &g->nodes[i], in[i], nib_reference_tensor(r, g->outputs[i]), out[i]);
  }
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    free(in[i]);
    free(out[i]);
  }
  nib_reference_destroy(r);
  free(arenas[0]);
  return g->n_outputs;
}

static void compile_and_run(suite *s) {
  const nib_schedule *direct = nib_schedule_find("direct");
  finish(s);
  CHECK(nib_graph_validate(s->g, &harness_diag) == NIB_OK);
  for (int32_t k = 0; k < s->g->n_kernels; ++k)
    if (!direct->accepts(s->g, &s->g->kernels[k], nib_vocab_find("c99"))) {
      printf("%s (%s): no generated code\n", s->g->nodes[k].name,
             nib_op_get(s->g->nodes[k].op)->mnemonic);
      ++harness_failures;
    }
  use_generated(s, "-O0 -ffp-contract=off", run_cases, 0);
  nib_graph_destroy(s->g);
}

static bool is_number(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  return f != NIB_I1 && info->bits <= 16 &&
         (info->kind == NIB_KIND_SIGNED || info->kind == NIB_KIND_UNSIGNED ||
          info->kind == NIB_KIND_BIPOLAR);
}

/* All pairs of at most 8 bits; wider ones with the widths of C's types and with themselves. */
static bool integers_meet(nib_format x, nib_format w) {
  const int xb = nib_format_get(x)->bits, wb = nib_format_get(w)->bits;
  return (xb <= 8 && wb <= 8) || x == w ||
         (xb > 8 && (w == NIB_I8 || w == NIB_U8 || w == NIB_I16 || w == NIB_U16)) ||
         (wb > 8 && (x == NIB_I8 || x == NIB_U8 || x == NIB_I16 || x == NIB_U16));
}

static bool is_real_weight(nib_format f) { return nib_format_holds_reals(f) && f != NIB_F64; }

/* Activations in 8-bit blocks with weights of every format, whole blocks beside each other; other
 * blocks and codebooks with some. */
static bool reals_meet(nib_format x, nib_format w) {
  static const nib_format some[] = {NIB_F32, NIB_NF4, NIB_Q8_0, NIB_Q4_0, NIB_MXFP4, NIB_TQ2_0};
  const nib_format_info *a = nib_format_get(x), *b = nib_format_get(w);
  if (a->kind == NIB_KIND_FLOAT)
    return is_real_weight(w);
  bool meets = x == NIB_Q8_0 || x == NIB_MXINT8 || x == w;
  for (size_t i = 0; i < sizeof some / sizeof *some; ++i)
    meets |= w == some[i];
  return meets && is_real_weight(w) &&
         (!a->block_elems || !b->block_elems || a->block_elems % b->block_elems == 0 ||
          b->block_elems % a->block_elems == 0);
}

/* Blocks with every part that a spelling may have, and learned tables. */
static const char *const spelled[] = {"ui4:block=32,scale=f16,zero=ui4",
                                      "ui3:block=24,scale=f32,zero=f16",
                                      "i5:block=16,scale=bf16,offset=f16",
                                      "bfp6:block=16",
                                      "book:-1,-0.3,0.3,1",
                                      "book:-1,-0.3,0.3,1:block=16,scale=bf16",
                                      "power4:0.7",
                                      "bipolar3:block=8,scale=f32",
                                      "e3m6",
                                      "e2m2:block=16,scale=e8m0"};

static int test_activation(nib_format x) {
  suite s = suite_open("pairs", "nearest-even", 77 + (uint64_t)x);
  int pairs = 0;
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f) {
    const nib_format w = (nib_format)f;
    if (nib_format_holds_reals(x) ? reals_meet(x, w) : is_number(w) && integers_meet(x, w))
      add_pair(&s, x, w, pairs++);
  }
  for (size_t i = 0; x == NIB_F32 && i < sizeof spelled / sizeof *spelled; ++i)
    add_pair(&s, x, nib_format_find(spelled[i]), pairs++);
  compile_and_run(&s);
  return pairs;
}

int main(void) {
  int integers = 0, reals = 0, blocks = 0;
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f) {
    const nib_format x = (nib_format)f;
    if (is_number(x))
      integers += test_activation(x);
    else if (nib_format_get(x)->kind == NIB_KIND_BLOCK)
      blocks += test_activation(x);
    else if (nib_format_holds_reals(x) && x != NIB_F64)
      reals += test_activation(x);
  }
  reals += test_activation(nib_format_find("ue4m4")); /* has no sign */
  printf("%d pairs of integers, %d of reals, %d with activations in blocks: %d results\n", integers,
         reals, blocks, compared);
  CHECK(integers >= 700 && reals >= 700 && blocks >= 200);
  CHECK(compared == KINDS * (3 * (integers + reals) + 2 * blocks + rounded) && rounded >= 80);
  if (harness_failures)
    printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
