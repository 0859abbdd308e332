/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Islands: a float operator between dequantize and quantize becomes the integer operator. Weights
 * and biases become codes here; everything else (multipliers, clamps) is read off the types. */
#include "simplify/simplify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One island: float operator `p`, then relu and clamp nodes, then the quantize `q`. */
typedef struct island {
  int32_t q, p;
  double lo, hi; /* of the relus and clamps, in real units */
  bool try_only; /* report the reason, change nothing */
  const char *why;
} island;

static bool refuse(island *i, const char *why) {
  i->why = why;
  return false;
}

/* --- finding --- */

/* Clamps the bounds found so far (of operators further down) over those of one operator above. */
static void add_bounds(island *i, double lo, double hi) {
  const double a = fmin(fmax(lo, i->lo), i->hi), b = fmin(fmax(hi, i->lo), i->hi);
  i->lo = a;
  i->hi = b;
}

static bool bounds_of(const nib_node *n, double *out_lo, double *out_hi) {
  *out_lo = n->op == NIB_OP_RELU ? 0.0 : nib_node_float(n, NIB_A_MIN, -INFINITY);
  *out_hi = n->op == NIB_OP_RELU ? INFINITY : nib_node_float(n, NIB_A_MAX, INFINITY);
  return n->op == NIB_OP_RELU || n->op == NIB_OP_CLAMP;
}

static bool add_activation(island *i, const nib_node *n) {
  static const struct {
    const char *name;
    double lo, hi;
  } k_rows[] = {{"none", -INFINITY, INFINITY},
                {"relu", 0, INFINITY},
                {"relu6", 0, 6},
                {"relu_n1_to_1", -1, 1}};
  const char *name = nib_node_string(n, NIB_A_ACTIVATION, "none");
  for (size_t k = 0; k < sizeof k_rows / sizeof k_rows[0]; ++k)
    if (strcmp(name, k_rows[k].name) == 0) {
      add_bounds(i, k_rows[k].lo, k_rows[k].hi);
      return true;
    }
  return false;
}

/* A relu or clamp between dequantize and quantize, of 16 bits (of 8 bits it is a table). */
static bool is_whole_island(const nib_simplify *s, const nib_node *n) {
  const int32_t p = nib_simplify_producer_of(s, n->in[0], NIB_OP_DEQUANTIZE);
  return p != NIB_NONE && nib_format_get(s->g->tensors[s->g->nodes[p].in[0]].format)->bits == 16;
}

/* Walks up from the quantize. False: no float operator there, nothing to report. */
static bool find_operator(nib_simplify *s, int32_t q, island *out) {
  *out = (island){.q = q, .lo = -INFINITY, .hi = INFINITY};
  if (s->g->nodes[q].op != NIB_OP_QUANTIZE || nib_node_input(s->g, &s->g->nodes[q], 1))
    return false;
  int32_t t = s->g->nodes[q].in[0];
  if (!nib_simplify_is_float(&s->g->tensors[t]))
    return false;
  for (;;) {
    double lo, hi;
    out->p = nib_simplify_producer(s, t);
    if (out->p == NIB_NONE)
      return false;
    const nib_node *n = &s->g->nodes[out->p];
    if (!nib_simplify_is_single_use(s, t))
      return n->op != NIB_OP_DEQUANTIZE && refuse(out, "its float result has other readers");
    if (!bounds_of(n, &lo, &hi) || is_whole_island(s, n))
      return true;
    add_bounds(out, lo, hi);
    t = n->in[0];
  }
}

/* --- results --- */

static int64_t code_of(const nib_tensor *t, double real) {
  const nib_format_info *f = nib_format_get(t->format);
  if (isinf(real))
    return real < 0 ? f->min : f->max;
  const float steps = rintf((float)real / (float)t->scale);
  if (!(fabsf(steps) < 1e9f))
    return real < 0 ? f->min : f->max;
  const int64_t code = (int64_t)steps + t->zero_point;
  return code < f->min ? f->min : code > f->max ? f->max : code;
}

/* Makes `p` the integer operator: operands `in`, result the quantize's, bounds as codes. Quantizing
 * is monotone, so clamping the codes of the bounds is exactly clamping before quantizing. */
static bool finish(nib_simplify *s, const island *i, const int32_t *in, int32_t n_in) {
  nib_graph *g = s->g;
  const int32_t out = g->nodes[i->q].out;
  const nib_format_info *f = nib_format_get(g->tensors[out].format);
  const int64_t clamp[2] = {code_of(&g->tensors[out], i->lo), code_of(&g->tensors[out], i->hi)};
  int32_t *copy = nib_graph_alloc(g, ((size_t)n_in + 1) * sizeof *copy);
  if (copy == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  memcpy(copy, in, (size_t)n_in * sizeof *in);
  g->nodes[i->p].in = copy;
  g->nodes[i->p].n_in = n_in;
  nib_graph_clear_attr(g, i->p, NIB_A_ACTIVATION);
  nib_graph_clear_attr(g, i->p, NIB_A_CLAMP);
  if (clamp[0] != f->min || clamp[1] != f->max)
    nib_simplify_check(s, nib_graph_set_ints(g, i->p, NIB_A_CLAMP, clamp, 2));
  const bool away = g->rounding != NULL && strcmp(g->rounding, "nearest-away") == 0;
  nib_simplify_check(
      s, nib_graph_set_string(g, i->p, NIB_A_ROUNDING, away ? "nearest-away" : "nearest-even"));
  nib_simplify_take_over(s, i->p, out);
  return true;
}

/* --- operands --- */

static bool activation_codes(nib_simplify *s, island *i, int32_t tensor, int32_t *out) {
  nib_dequant dq;
  if (!nib_simplify_dequant_of(s, tensor, &dq))
    return refuse(i, "an operand is not quantized");
  const nib_tensor *t = &s->g->tensors[dq.code];
  if (dq.scales != NULL || !t->quantized)
    return refuse(i, "an operand has a scale per channel");
  if (nib_format_get(t->format)->bits > 16)
    return refuse(i, "an operand has more than 16 bits");
  *out = dq.code;
  return true;
}

typedef struct weights {
  nib_dequant dq;
  nib_format format;       /* of the integer operator's filter */
  int64_t channels, shift; /* shift: added to codes and zero points (ui8 to i8) */
  bool symmetric;          /* all zero points are 0 after the shift */
} weights;

static bool all_zero_points_are(const nib_simplify *s, const nib_dequant *dq, int64_t zero) {
  for (int64_t c = 0; c < dq->n; ++c)
    if (nib_dequant_zero_point(s, dq, c) != zero)
      return false;
  return true;
}

/* Unsigned codes become signed ones of as many bits, but those of few bits without a zero point
 * stay as they are. */
static bool choose_format(const nib_simplify *s, weights *w) {
  const nib_format from = s->g->tensors[w->dq.code].format;
  const nib_format_info *f = nib_format_get(from);
  char name[8];
  w->format = from;
  w->shift = 0;
  if (f->bytes != 1 ||
      (f->kind != NIB_KIND_SIGNED && f->kind != NIB_KIND_UNSIGNED && f->kind != NIB_KIND_BIPOLAR))
    return false;
  if (f->kind == NIB_KIND_UNSIGNED && (f->bits == 8 || !all_zero_points_are(s, &w->dq, 0))) {
    snprintf(name, sizeof name, "i%d", f->bits);
    w->format = nib_format_find(name);
    w->shift = -(INT64_C(1) << (f->bits - 1));
  }
  w->symmetric = all_zero_points_are(s, &w->dq, -w->shift);
  return w->format != NIB_FORMAT_COUNT &&
         (f->kind != NIB_KIND_BIPOLAR || (f->bits < 8 && w->symmetric));
}

/* Weights of few bits: with activations and results of 8 bits, as other ones stay apart for the
 * sake of thresholds. */
static bool suit_few_bits(const nib_simplify *s, const island *i) {
  const nib_tensor *y = &s->g->tensors[s->g->nodes[i->q].out];
  nib_dequant x;
  return nib_format_get(y->format)->bits == 8 &&
         nib_simplify_dequant_of(s, s->g->nodes[i->p].in[0], &x) &&
         nib_simplify_is_8bit(&s->g->tensors[x.code]);
}

static bool read_weights(nib_simplify *s, island *i, int32_t tensor, int64_t axis, weights *out) {
  if (!nib_simplify_dequant_of(s, tensor, &out->dq))
    return refuse(i, "its weights are not quantized constants");
  const nib_tensor *w = &s->g->tensors[out->dq.code];
  if (w->data == NULL)
    return refuse(i, "its weights are not constant");
  if (!choose_format(s, out))
    return refuse(i, "its weights are no integers of up to 8 bits");
  if (nib_format_get(w->format)->bits < 8 && !suit_few_bits(s, i))
    return refuse(i, "its weights have few bits, and its activations and result are not of 8");
  out->channels = w->dims[axis];
  if (out->dq.n != 1 && (out->dq.axis != axis || out->dq.n != out->channels))
    return refuse(i, "its weights are not quantized along the output channels");
  if (!out->symmetric && out->dq.n != 1)
    return refuse(i, "its weights have a zero point per channel");
  return true;
}

/* The filter as codes of its format: plain with scales, or one quantized tensor with a zero point.
 */
static bool make_filter(nib_simplify *s, const weights *w, int32_t *out_filter,
                        int32_t *out_scales) {
  const nib_tensor from = s->g->tensors[w->dq.code];
  const int64_t n = nib_tensor_elems(&from);
  *out_scales = NIB_NONE;
  *out_filter = nib_graph_add_tensor(s->g, from.name, w->format, from.rank, from.dims);
  if (*out_filter == NIB_NONE) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  int8_t *codes = nib_graph_alloc(s->g, (size_t)n < 64 ? 64 : (size_t)n);
  if (codes == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  for (int64_t k = 0; k < n; ++k)
    codes[k] = (int8_t)(nib_simplify_code_at(&from, k) + w->shift);
  nib_simplify_check(s, nib_graph_set_data(s->g, *out_filter, codes, (size_t)n, NIB_DATA_BORROWED));
  if (!w->symmetric) {
    nib_graph_set_quant(s->g, *out_filter, nib_dequant_scale(&w->dq, 0),
                        nib_dequant_zero_point(s, &w->dq, 0) + w->shift);
    return true;
  }
  float *scales = malloc(((size_t)w->dq.n + 1) * sizeof *scales);
  if (scales == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  for (int64_t c = 0; c < w->dq.n; ++c)
    scales[c] = (float)nib_dequant_scale(&w->dq, c);
  *out_scales = nib_simplify_add_constant(s, from.name, NIB_F32, 1, &w->dq.n, scales);
  free(scales);
  return *out_scales != NIB_NONE;
}

/* Bias element `c` as a code at scale sx*sw: the code itself when it has that scale already. */
static bool bias_code(const nib_simplify *s, const nib_tensor *real, const nib_dequant *dq,
                      int64_t c, double unit, double *out) {
  if (real != NULL) {
    const double value = ((const float *)real->data)[nib_tensor_elems(real) > 1 ? c : 0];
    *out = rint(value / unit);
  } else {
    const nib_tensor *t = &s->g->tensors[dq->code];
    const int64_t code =
        nib_simplify_code_at(t, nib_tensor_elems(t) > 1 ? c : 0) - nib_dequant_zero_point(s, dq, c);
    const double ratio = nib_dequant_scale(dq, c) / unit;
    *out = fabs(ratio - 1.0) < 1e-6 ? (double)code : rint((double)code * ratio);
  }
  return isfinite(*out);
}

/* The accumulator's steps as a share of the result's. Weights of few bits have large ones: a bias
 * of reals may lie between two. */
static double largest_step(const nib_simplify *s, const island *i, const weights *w, double sx) {
  double scale = 0;
  for (int64_t c = 0; c < w->dq.n; ++c)
    scale = fmax(scale, nib_dequant_scale(&w->dq, c));
  return sx * scale / s->g->tensors[s->g->nodes[i->q].out].scale;
}

static bool make_bias(nib_simplify *s, island *i, int32_t tensor, const weights *w, double sx,
                      bool wide, int32_t *out_bias) {
  *out_bias = NIB_NONE;
  if (tensor == NIB_NONE)
    return true;
  const nib_tensor *t = &s->g->tensors[tensor];
  const nib_tensor *real = t->data != NULL && t->format == NIB_F32 ? t : NULL;
  nib_dequant dq = {0};
  if (real == NULL &&
      !(nib_simplify_dequant_of(s, tensor, &dq) && s->g->tensors[dq.code].data != NULL))
    return refuse(i, "its bias is not a constant");
  const int64_t n = nib_tensor_elems(t);
  if (n != w->channels && n != 1)
    return refuse(i, "its bias does not have one element per output channel");
  if (real != NULL && nib_format_get(w->format)->bits < 8 && largest_step(s, i, w, sx) > 1.0 / 16)
    return refuse(i, "its bias lies between steps of the accumulator, which are large");
  const double limit = wide ? 9.0e15 : 2147483647.0;
  int64_t *codes = malloc(((size_t)w->channels + 1) * sizeof *codes);
  if (codes == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  bool fits = true;
  for (int64_t c = 0; c < w->channels && fits; ++c) {
    double code;
    fits =
        bias_code(s, real, &dq, c, sx * nib_dequant_scale(&w->dq, c), &code) && fabs(code) <= limit;
    if (fits && wide)
      codes[c] = (int64_t)code;
    else if (fits)
      ((int32_t *)codes)[c] = (int32_t)code;
  }
  if (fits && !i->try_only)
    *out_bias =
        nib_simplify_add_constant(s, t->name, wide ? NIB_I64 : NIB_I32, 1, &w->channels, codes);
  free(codes);
  return fits ? i->try_only || *out_bias != NIB_NONE
              : refuse(i, "its bias does not fit the accumulator at the scale of the products");
}

/* --- operators --- */

static bool island_conv(nib_simplify *s, island *i) {
  const nib_node *n = &s->g->nodes[i->p];
  const int64_t axis = n->op == NIB_OP_DEPTHWISE_CONV2D ? 3 : 0;
  const int32_t bias_operand = n->n_in > 2 ? n->in[2] : NIB_NONE;
  int32_t in[4] = {NIB_NONE, NIB_NONE, NIB_NONE, NIB_NONE};
  weights w;
  if (!activation_codes(s, i, n->in[0], &in[0]) || !read_weights(s, i, n->in[1], axis, &w))
    return false;
  const nib_tensor x = s->g->tensors[in[0]];
  const bool wide = x.format == NIB_I16 || x.format == NIB_U16;
  if (!make_bias(s, i, bias_operand, &w, x.scale, wide, &in[2]) || i->try_only)
    return false;
  return make_filter(s, &w, &in[1], &in[3]) && finish(s, i, in, 4);
}

/* The codes of both operands, which must fit the result's. */
static bool pair_codes(nib_simplify *s, island *i,
                       bool (*fit)(const nib_tensor *x, const nib_tensor *y), const char *why,
                       int32_t out[2]) {
  const nib_tensor *y = &s->g->tensors[s->g->nodes[i->q].out];
  for (int k = 0; k < 2; ++k) {
    if (!activation_codes(s, i, s->g->nodes[i->p].in[k], &out[k]))
      return false;
    if (!fit(&s->g->tensors[out[k]], y))
      return refuse(i, why);
  }
  return true;
}

static bool have_one_format(const nib_tensor *x, const nib_tensor *y) {
  return x->format == y->format;
}

static bool island_binary(nib_simplify *s, island *i) {
  int32_t in[2];
  return pair_codes(s, i, have_one_format, "its operands and result have different formats", in) &&
         !i->try_only && finish(s, i, in, 2);
}

static bool island_pool(nib_simplify *s, island *i) {
  int32_t in;
  if (!activation_codes(s, i, s->g->nodes[i->p].in[0], &in))
    return false;
  if (s->g->tensors[in].format != s->g->tensors[s->g->nodes[i->q].out].format)
    return refuse(i, "its operand and result have different formats");
  return !i->try_only && finish(s, i, &in, 1);
}

static bool island_unary(nib_simplify *s, island *i) {
  const nib_tensor *y = &s->g->tensors[s->g->nodes[i->q].out];
  int32_t in;
  if (!activation_codes(s, i, s->g->nodes[i->p].in[0], &in))
    return false;
  if (s->g->tensors[in].format != y->format || y->format != NIB_I16)
    return refuse(i, "its operand and result are not both of 8 or both of 16 bits");
  if (isfinite(i->lo) || isfinite(i->hi))
    return refuse(i, "it is followed by a clamp");
  return !i->try_only && finish(s, i, &in, 1);
}

static bool are_bytes(const nib_tensor *x, const nib_tensor *y) {
  return nib_format_get(x->format)->bits == 8 && nib_format_get(y->format)->bits == 8;
}

/* Of two activations; a constant was made a dense layer's weights before. */
static bool island_matmul(nib_simplify *s, island *i) {
  int32_t in[2];
  if (!pair_codes(s, i, are_bytes, "its operands and result are not all of 8 bits", in))
    return false;
  if (isfinite(i->lo) || isfinite(i->hi))
    return refuse(i, "it is followed by a clamp");
  return !i->try_only && finish(s, i, in, 2);
}

static bool island_none(nib_simplify *s, island *i) {
  (void)s;
  return refuse(i, "the operator has no integer form under nearest-even");
}

typedef bool island_fn(nib_simplify *s, island *i);

static island_fn *const k_islands[NIB_OP_COUNT] = {
    [NIB_OP_CONV2D] = island_conv,
    [NIB_OP_DEPTHWISE_CONV2D] = island_conv,
    [NIB_OP_TRANSPOSE_CONV2D] = island_conv,
    [NIB_OP_FULLY_CONNECTED] = island_conv,
    [NIB_OP_ADD] = island_binary,
    [NIB_OP_SUB] = island_binary,
    [NIB_OP_MUL] = island_binary,
    [NIB_OP_AVG_POOL2D] = island_pool,
    [NIB_OP_MEAN] = island_pool,
    [NIB_OP_MATMUL] = island_matmul,
    [NIB_OP_DIV] = island_none,
    [NIB_OP_SOFTMAX] = island_none,
};

/* By operator; functions alike. (A relu or clamp gets here only where nothing else is above it.) */
static island_fn *island_of(nib_op op) {
  return nib_op_get(op)->family == NIB_FAMILY_FUNCTION ? island_unary : k_islands[op];
}

static bool run(nib_simplify *s, island *i) {
  if (i->why != NULL)
    return false;
  const nib_node *p = &s->g->nodes[i->p];
  if (!s->g->tensors[s->g->nodes[i->q].out].quantized)
    return refuse(i, "its result has no static scale");
  if (island_of(p->op) == NULL)
    return false;
  if (!nib_simplify_is_float(&s->g->tensors[p->out]))
    return false;
  if (!add_activation(i, p))
    return refuse(i, "its activation has no integer form");
  return island_of(p->op)(s, i);
}

bool nib_simplify_island(nib_simplify *s, int32_t node) {
  island i;
  return find_operator(s, node, &i) && run(s, &i);
}

const char *nib_simplify_island_reason(nib_simplify *s, int32_t node) {
  island i;
  if (!find_operator(s, node, &i))
    return NULL;
  if (i.why == NULL) {
    i.try_only = true;
    run(s, &i);
  }
  return i.why;
}
