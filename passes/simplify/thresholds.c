/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Accumulators of few-bit products. What lies between a product of integers and the quantize after
 * it is, for each channel, a function of one integer; where it only rises or only falls, the codes
 * change at a few values of the accumulator, which are found here by running the float graph as it
 * is written. The integer operator, and thresholds, replace it (as FINN's streamlining does).
 *
 * Where no quantize follows, the sum of products is an integer all the same: it becomes one, and a
 * dequantize makes the float. */
#include "simplify/simplify.h"

#include "num/code_value.h"
#include "params/params.h"
#include "reference/reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_CONE = 24,
  MAX_LEVELS = 255,
  MAX_ACCUMULATOR = 1 << 24 /* beyond it f32 does not tell integers apart */
};

/* A float product of two tensors of codes, as integers. */
typedef struct product {
  int32_t node;
  nib_dequant x, w;
  int64_t channels;
  int64_t *limit; /* per channel: the accumulator is in [-limit, limit]; owned */
} product;

/* ---- the product ---- */

static bool is_few_bits(const nib_tensor *t) {
  const nib_format_info *f = nib_format_get(t->format);
  return f->kind != NIB_KIND_FLOAT && f->bits <= 8 && (t->quantized || f->kind == NIB_KIND_BIPOLAR);
}

static int64_t largest_magnitude(const nib_tensor *t, int64_t zero_point) {
  int64_t lo, hi;
  nib_format_value_range(t->format, &lo, &hi);
  lo = llabs(lo - zero_point);
  hi = llabs(hi - zero_point);
  return lo > hi ? lo : hi;
}

static int64_t channel_of_weight(const nib_tensor *w, nib_op op, int64_t i) {
  return op == NIB_OP_DEPTHWISE_CONV2D ? i % w->dims[w->rank - 1]
                                       : i / (nib_tensor_elems(w) / w->dims[0]);
}

/* Bounds of each channel's accumulator: the magnitudes of its weights by the largest operand. */
static bool bound(nib_simplify *s, product *p) {
  const nib_tensor *x = &s->g->tensors[p->x.code], *w = &s->g->tensors[p->w.code];
  const int64_t largest = largest_magnitude(x, p->x.zero_point), zero = p->w.zero_point;
  p->limit = calloc((size_t)p->channels + 1, sizeof *p->limit);
  if (!p->limit) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  for (int64_t i = 0; i < nib_tensor_elems(w); ++i) {
    int64_t *limit = &p->limit[channel_of_weight(w, s->g->nodes[p->node].op, i)];
    *limit += largest * llabs(nib_format_value_of(w->format, nib_simplify_code_at(w, i)) - zero);
    if (*limit > MAX_ACCUMULATOR)
      return false;
  }
  return true;
}

/* Whether `node` is a float product of codes by constant codes, of few bits on one side at least.
 */
static bool is_product(nib_simplify *s, int32_t node, product *p) {
  const nib_node *n = &s->g->nodes[node];
  memset(p, 0, sizeof *p);
  p->node = node;
  if (nib_op_get(n->op)->family != NIB_FAMILY_FILTER ||
      !nib_simplify_is_float(&s->g->tensors[n->out]))
    return false;
  if (!nib_simplify_dequant_of(s, n->in[0], &p->x) || !nib_simplify_dequant_of(s, n->in[1], &p->w))
    return false;
  const nib_tensor *x = &s->g->tensors[p->x.code], *w = &s->g->tensors[p->w.code];
  const int64_t axis = n->op == NIB_OP_DEPTHWISE_CONV2D ? w->rank - 1 : 0;
  p->channels = w->dims[axis];
  if (!w->data || x->data || !is_few_bits(x) || (!w->quantized && !is_few_bits(w) && !p->w.scales))
    return false;
  if (nib_format_get(w->format)->bits > 8 || p->x.n != 1 || (p->w.n != 1 && p->w.axis != axis))
    return false;
  /* Zero points of the weights: one, in their type, or none. */
  if (p->w.zero_points != NIB_NONE || (p->w.scales && p->w.zero_point != 0))
    return false;
  return bound(s, p);
}

/* The product as an operator on codes: a new result, the plain accumulator. Returns the tensor. */
static int32_t make_accumulator(nib_simplify *s, const product *p) {
  const nib_node *n = &s->g->nodes[p->node];
  const nib_tensor y = s->g->tensors[n->out];
  const int32_t acc = nib_graph_add_tensor(s->g, y.name, NIB_I32, y.rank, y.dims);
  int32_t *in = nib_graph_alloc(s->g, 2 * sizeof *in);
  if (acc == NIB_NONE || !in) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return NIB_NONE;
  }
  in[0] = p->x.code;
  in[1] = p->w.code;
  nib_node *node = nib_simplify_node(s, p->node);
  if (s->g->tensors[node->out].producer == p->node)
    s->g->tensors[node->out].producer = NIB_NONE;
  node->in = in;
  node->n_in = 2;
  node->out = acc;
  s->g->tensors[acc].producer = p->node;
  nib_graph_clear_attr(s->g, p->node, NIB_A_ACTIVATION);
  nib_graph_clear_attr(s->g, p->node, NIB_A_CLAMP);
  return acc;
}

/* What one unit of the accumulator is worth, per channel or once. */
static float *make_units(nib_simplify *s, const product *p) {
  float *units = malloc(((size_t)p->w.n + 1) * sizeof *units);
  if (!units)
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
  for (int64_t c = 0; units && c < p->w.n; ++c)
    units[c] = (float)nib_dequant_scale(&p->x, 0) * (float)nib_dequant_scale(&p->w, c);
  return units;
}

/* ---- the cone: from the product's result to a quantize ---- */

typedef struct cone {
  int32_t nodes[MAX_CONE]; /* producers first, the quantize last */
  int32_t n;
  int32_t root; /* the product's result */
  bool monotone;
} cone;

/* Operators that round a rising or falling function of their varying operand. */
static bool is_monotone(const nib_node *n, bool varies_left) {
  static const nib_op k_ops[] = {NIB_OP_ADD,  NIB_OP_SUB,   NIB_OP_MUL,  NIB_OP_RELU,  NIB_OP_CLAMP,
                                 NIB_OP_SIGN, NIB_OP_FLOOR, NIB_OP_CEIL, NIB_OP_ROUND, NIB_OP_NEG};
  for (size_t i = 0; i < sizeof k_ops / sizeof *k_ops; ++i)
    if (n->op == k_ops[i])
      return true;
  if (n->op == NIB_OP_LEAKY_RELU)
    return nib_node_float(n, NIB_A_ALPHA, 0.01) >= 0;
  return n->op == NIB_OP_DIV && varies_left;
}

static bool in_cone(const cone *c, int32_t node) {
  for (int32_t i = 0; i < c->n; ++i)
    if (c->nodes[i] == node)
      return true;
  return false;
}

/* Constants that have one element, or one for each channel. */
static bool is_channel_constant(const nib_tensor *t, int64_t channels) {
  const int64_t elems = nib_tensor_elems(t);
  return t->data && t->format == NIB_F32 &&
         (elems == 1 || (elems == channels && t->rank > 0 && t->dims[t->rank - 1] == channels));
}

static bool collect(const nib_simplify *s, cone *c, const product *p, int32_t tensor, int depth) {
  const nib_graph *g = s->g;
  const nib_tensor *t = &g->tensors[tensor];
  if (tensor == c->root || is_channel_constant(t, p->channels))
    return true;
  const int32_t made = t->producer;
  if (made == NIB_NONE || depth >= MAX_CONE || !nib_simplify_is_float(t))
    return false;
  if (in_cone(c, made))
    return true;
  const nib_node *n = &g->nodes[made];
  const nib_family family = nib_op_get(n->op)->family;
  if ((family != NIB_FAMILY_BINARY && family != NIB_FAMILY_FUNCTION) ||
      !nib_simplify_same_shape(t, &g->tensors[c->root]))
    return false;
  int varying = 0;
  for (int32_t i = 0; i < n->n_in; ++i) {
    if (n->in[i] == NIB_NONE || !collect(s, c, p, n->in[i], depth + 1))
      return false;
    varying += g->tensors[n->in[i]].data == NULL;
  }
  c->monotone = c->monotone && varying == 1 && is_monotone(n, g->tensors[n->in[0]].data == NULL);
  if (c->n == MAX_CONE - 1)
    return false;
  c->nodes[c->n++] = made;
  return true;
}

/* What is computed in the cone is read in it alone. */
static bool is_closed(const nib_simplify *s, const cone *c) {
  const nib_graph *g = s->g;
  if (nib_graph_is_output(g, c->root))
    return false;
  for (int32_t k = 0; k < g->n_nodes; ++k) {
    const nib_node *reader = &g->nodes[k];
    if (nib_node_is_erased(reader) || in_cone(c, k))
      continue;
    for (int32_t m = 0; m < reader->n_in; ++m)
      for (int32_t i = -1; i < c->n - 1; ++i)
        if (reader->in[m] == (i < 0 ? c->root : g->nodes[c->nodes[i]].out))
          return false;
  }
  for (int32_t i = 0; i < c->n - 1; ++i)
    if (nib_graph_is_output(g, g->nodes[c->nodes[i]].out))
      return false;
  return true;
}

/* The product above a float tensor through elementwise operators with constants. */
static int32_t find_root(const nib_simplify *s, int32_t tensor) {
  const nib_graph *g = s->g;
  for (int depth = 0; depth < MAX_CONE; ++depth) {
    const int32_t p = g->tensors[tensor].producer;
    if (p == NIB_NONE)
      return NIB_NONE;
    const nib_node *n = &g->nodes[p];
    const nib_family family = nib_op_get(n->op)->family;
    if (family == NIB_FAMILY_FILTER)
      return p;
    if (family != NIB_FAMILY_BINARY && family != NIB_FAMILY_FUNCTION)
      return NIB_NONE;
    int32_t next = NIB_NONE;
    for (int32_t i = 0; i < n->n_in && next == NIB_NONE; ++i)
      if (n->in[i] != NIB_NONE && g->tensors[n->in[i]].data == NULL)
        next = n->in[i];
    if (next == NIB_NONE)
      return NIB_NONE;
    tensor = next;
  }
  return NIB_NONE;
}

/* ---- probing the float graph ---- */

/* The cone as a graph of its own: input i32 [levels, channels], output the codes. */
typedef struct probe {
  nib_graph *g;
  nib_reference *run;
  int64_t levels, channels;
  int32_t *acc;  /* what to probe, [levels, channels] */
  int64_t *code; /* what it gives */
} probe;

static void close_probe(probe *p) {
  nib_reference_destroy(p->run);
  nib_graph_destroy(p->g);
  free(p->acc);
  free(p->code);
}

static int32_t probe_tensor(probe *p, const nib_tensor *like, bool vector) {
  const int64_t dims[] = {p->levels, p->channels};
  const int32_t t = vector ? nib_graph_add_tensor(p->g, like->name, like->format,
                                                  nib_tensor_elems(like) > 1, &p->channels)
                           : nib_graph_add_tensor(p->g, like->name, like->format, 2, dims);
  if (t == NIB_NONE)
    return NIB_NONE;
  if (like->quantized)
    nib_graph_set_quant(p->g, t, like->scale, like->zero_point);
  if (vector)
    nib_graph_set_data(p->g, t, like->data, like->data_bytes, NIB_DATA_BORROWED);
  return t;
}

static int32_t probe_node(probe *p, nib_op op, const int32_t *in, int32_t n, int32_t out) {
  return out == NIB_NONE ? NIB_NONE : nib_graph_add_node(p->g, op, "", -1, in, n, out);
}

/* The product's end in reals: the accumulator's worth, its bias and activation. */
static int32_t probe_product(nib_simplify *s, probe *p, const product *from, int32_t acc,
                             const float *units) {
  const nib_node *n = &s->g->nodes[from->node];
  const nib_tensor real = {.name = "", .format = NIB_F32};
  const int32_t scales = nib_graph_add_tensor(p->g, "", NIB_F32, 1, &from->w.n);
  int32_t in[2] = {acc, scales}, t = probe_tensor(p, &real, false);
  if (scales == NIB_NONE || t == NIB_NONE ||
      nib_graph_set_data(p->g, scales, units, (size_t)from->w.n * sizeof *units, NIB_DATA_COPY))
    return NIB_NONE;
  int32_t node = probe_node(p, NIB_OP_DEQUANTIZE, in, 2, t);
  if (node == NIB_NONE || nib_graph_set_int(p->g, node, NIB_A_AXIS, 1) != NIB_OK)
    return NIB_NONE;
  const nib_tensor *bias = nib_node_input(s->g, n, 2);
  const char *activation = nib_node_string(n, NIB_A_ACTIVATION, NULL);
  if (!bias && !activation)
    return t;
  static const float zero = 0;
  const nib_tensor none = {.name = "", .format = NIB_F32, .data = &zero, .data_bytes = sizeof zero};
  in[0] = t;
  in[1] = probe_tensor(p, bias ? bias : &none, true);
  t = probe_tensor(p, &real, false);
  node = in[1] == NIB_NONE ? NIB_NONE : probe_node(p, NIB_OP_ADD, in, 2, t);
  if (node == NIB_NONE ||
      (activation && nib_graph_set_string(p->g, node, NIB_A_ACTIVATION, activation) != NIB_OK))
    return NIB_NONE;
  return t;
}

/* Node `from` of the network; map[] of the cone's results. */
static bool probe_copy(nib_simplify *s, probe *p, const cone *c, int32_t at, const int32_t *map,
                       int32_t root, int32_t *out) {
  const nib_node *n = &s->g->nodes[c->nodes[at]];
  int32_t in[4];
  if (n->n_in > 4)
    return false;
  for (int32_t i = 0; i < n->n_in; ++i) {
    in[i] = n->in[i] == c->root ? root : NIB_NONE;
    for (int32_t k = 0; k < at && in[i] == NIB_NONE; ++k)
      if (n->in[i] == s->g->nodes[c->nodes[k]].out)
        in[i] = map[k];
    if (in[i] == NIB_NONE && n->in[i] != NIB_NONE)
      in[i] = probe_tensor(p, &s->g->tensors[n->in[i]], true);
    if (in[i] == NIB_NONE && n->in[i] != NIB_NONE)
      return false;
  }
  *out = probe_tensor(p, &s->g->tensors[n->out], false);
  const int32_t id = probe_node(p, n->op, in, n->n_in, *out);
  if (id == NIB_NONE)
    return false;
  /* Attributes are only read: the probe does not outlive the network. */
  p->g->nodes[id].attrs = n->attrs;
  p->g->nodes[id].n_attrs = n->n_attrs;
  return nib_reference_supports(p->g, id);
}

static bool open_probe(nib_simplify *s, const product *from, const cone *c, int64_t levels,
                       probe *p) {
  *p = (probe){.g = nib_graph_create("probe"), .levels = levels, .channels = from->channels};
  const size_t count = (size_t)(levels * from->channels) + 1;
  float *units = make_units(s, from);
  p->acc = calloc(count, sizeof *p->acc);
  p->code = calloc(count, sizeof *p->code);
  bool ok = p->g && units && p->acc && p->code;
  if (ok) {
    const int64_t dims[] = {levels, from->channels};
    p->g->rounding = s->g->rounding;
    const int32_t acc = nib_graph_add_tensor(p->g, "", NIB_I32, 2, dims);
    const int32_t root = acc == NIB_NONE ? NIB_NONE : probe_product(s, p, from, acc, units);
    int32_t map[MAX_CONE];
    ok = root != NIB_NONE && nib_graph_set_inputs(p->g, &acc, 1) == NIB_OK;
    for (int32_t i = 0; ok && i < c->n; ++i)
      ok = probe_copy(s, p, c, i, map, root, &map[i]);
    ok = ok && nib_graph_set_outputs(p->g, &map[c->n - 1], 1) == NIB_OK &&
         nib_reference_create(p->g, &p->run, NULL) == NIB_OK;
  }
  free(units);
  return ok;
}

static bool run_probe(probe *p) {
  const void *inputs[] = {p->acc};
  if (nib_reference_run(p->run, inputs, NULL) != NIB_OK)
    return false;
  const int32_t y = p->g->outputs[0];
  const void *bytes = nib_reference_tensor(p->run, y);
  for (int64_t i = 0; i < p->levels * p->channels; ++i)
    p->code[i] = nib_format_load_code(p->g->tensors[y].format, bytes, i);
  return true;
}

/* ---- thresholds ---- */

typedef struct thresholds {
  int64_t lo, hi; /* codes that occur */
  int64_t levels;
  int32_t *limits; /* [channels, levels] */
  int8_t *steps;   /* [channels] */
  bool falls;      /* some step is -1 */
} thresholds;

/* Codes at both ends of each channel's range: direction, and the codes that occur at all. */
static bool find_ends(probe *p, const product *from, thresholds *t) {
  for (int64_t c = 0; c < p->channels; ++c) {
    p->acc[c] = (int32_t)-from->limit[c];
    p->acc[p->channels + c] = (int32_t)from->limit[c];
  }
  if (!run_probe(p))
    return false;
  t->lo = INT64_MAX;
  t->hi = INT64_MIN;
  for (int64_t c = 0; c < p->channels; ++c) {
    const int64_t a = p->code[c], b = p->code[p->channels + c];
    t->steps[c] = b >= a ? 1 : -1;
    t->falls = t->falls || b < a;
    t->lo = t->lo < a && t->lo < b ? t->lo : a < b ? a : b;
    t->hi = t->hi > a && t->hi > b ? t->hi : a > b ? a : b;
  }
  return true;
}

/* Whether accumulator value at [k, c] has reached level k: the code is beyond it in the direction.
 */
static bool is_reached(const thresholds *t, const probe *p, int64_t k, int64_t c) {
  const int64_t code = p->code[k * p->channels + c];
  return t->steps[c] > 0 ? code >= t->lo + k + 1 : code <= t->hi - k - 1;
}

/* The least accumulator that reaches each level, by halving the interval of all of them at once. */
static bool search(probe *p, const product *from, thresholds *t) {
  const int64_t count = t->levels * p->channels;
  int32_t *low = malloc(((size_t)count + 1) * sizeof *low);
  int32_t *high = malloc(((size_t)count + 1) * sizeof *high);
  bool ok = low && high, open = ok;
  for (int64_t i = 0; ok && i < count; ++i) {
    low[i] = (int32_t)-from->limit[i % p->channels];
    high[i] = (int32_t)from->limit[i % p->channels] + 1; /* above the range: never reached */
  }
  while (ok && open) {
    open = false;
    for (int64_t i = 0; i < count; ++i)
      p->acc[i] = low[i] + (high[i] - low[i]) / 2 -
                  (low[i] == high[i] && high[i] > from->limit[i % p->channels]);
    ok = run_probe(p);
    for (int64_t i = 0; ok && i < count; ++i) {
      if (low[i] == high[i])
        continue;
      const int64_t k = i / p->channels, c = i % p->channels;
      if (is_reached(t, p, k, c))
        high[i] = p->acc[i];
      else
        low[i] = p->acc[i] + 1;
      open = open || low[i] != high[i];
    }
  }
  for (int64_t i = 0; ok && i < count; ++i)
    t->limits[i % p->channels * t->levels + i / p->channels] = low[i];
  free(low);
  free(high);
  return ok;
}

/* A cone that is not monotone operator by operator may be so as a whole: every value is tried. */
static bool holds_everywhere(nib_simplify *s, const product *from, const cone *c,
                             const thresholds *t) {
  int64_t widest = 0;
  for (int64_t i = 0; i < from->channels; ++i)
    widest = from->limit[i] > widest ? from->limit[i] : widest;
  const int64_t rows = 2 * widest + 1;
  if (rows > (1 << 22) / from->channels)
    return false;
  probe p;
  bool ok = open_probe(s, from, c, rows, &p);
  for (int64_t i = 0; ok && i < rows * from->channels; ++i)
    p.acc[i] = (int32_t)(i / from->channels - widest);
  ok = ok && run_probe(&p);
  for (int64_t i = 0; ok && i < rows * from->channels; ++i) {
    const int64_t channel = i % from->channels;
    int64_t count = 0;
    if (llabs(p.acc[i]) > from->limit[channel])
      continue;
    while (count < t->levels && p.acc[i] >= t->limits[channel * t->levels + count])
      ++count;
    ok = p.code[i] == (t->steps[channel] > 0 ? t->lo + count : t->hi - count);
  }
  close_probe(&p);
  return ok;
}

static bool find_thresholds(nib_simplify *s, const product *from, const cone *c, thresholds *t) {
  probe p;
  t->steps = calloc((size_t)from->channels + 1, 1);
  bool ok = t->steps && open_probe(s, from, c, 2, &p);
  if (t->steps) {
    ok = ok && find_ends(&p, from, t);
    close_probe(&p);
  }
  t->levels = t->hi - t->lo;
  if (!ok || t->levels < 1 || t->levels > MAX_LEVELS)
    return false;
  t->limits = calloc((size_t)(t->levels * from->channels) + 1, sizeof *t->limits);
  ok = t->limits && open_probe(s, from, c, t->levels, &p);
  if (t->limits) {
    ok = ok && search(&p, from, t);
    close_probe(&p);
  }
  return ok && (c->monotone || holds_everywhere(s, from, c, t));
}

static void free_thresholds(thresholds *t) {
  free(t->limits);
  free(t->steps);
}

/* The quantize becomes the thresholds of the accumulator. */
static bool become_thresholds(nib_simplify *s, int32_t node, const product *p,
                              const thresholds *t) {
  const int64_t dims[] = {p->channels, t->levels};
  int32_t in[3] = {
      NIB_NONE, nib_simplify_add_constant(s, "thresholds", NIB_I32, 2, dims, t->limits), NIB_NONE};
  if (t->falls)
    in[2] = nib_simplify_add_constant(s, "steps", NIB_I8, 1, dims, t->steps);
  if (in[1] == NIB_NONE || (t->falls && in[2] == NIB_NONE))
    return false;
  in[0] = make_accumulator(s, p);
  if (in[0] == NIB_NONE ||
      !nib_simplify_become(s, node, NIB_OP_MULTI_THRESHOLD, in, t->falls ? 3 : 2))
    return false;
  const int64_t clamp[] = {t->lo, t->hi};
  int64_t lo, hi;
  nib_format_code_range(s->g->tensors[s->g->nodes[node].out].format, &lo, &hi);
  if (clamp[0] != lo || clamp[1] != hi)
    nib_simplify_check(s, nib_graph_set_ints(s->g, node, NIB_A_CLAMP, clamp, 2));
  return true;
}

bool nib_simplify_thresholds(nib_simplify *s, int32_t node) {
  const nib_node *q = nib_simplify_node(s, node);
  const nib_tensor *y = &s->g->tensors[q->out];
  if (!is_few_bits(y) || nib_format_get(y->format)->bits > 7 ||
      !nib_simplify_is_float(&s->g->tensors[q->in[0]]))
    return false;
  const int32_t root = find_root(s, q->in[0]);
  product p = {0};
  cone c = {.monotone = true};
  thresholds t = {0};
  bool done = false;
  if (root != NIB_NONE && is_product(s, root, &p)) {
    c.root = s->g->nodes[root].out;
    const nib_tensor *bias = nib_node_input(s->g, &s->g->nodes[root], 2);
    const bool known = !bias || is_channel_constant(bias, p.channels);
    if (known && collect(s, &c, &p, q->in[0], 0)) {
      c.nodes[c.n++] = node;
      done =
          is_closed(s, &c) && find_thresholds(s, &p, &c, &t) && become_thresholds(s, node, &p, &t);
    }
  }
  free_thresholds(&t);
  free(p.limit);
  return done;
}

/* ---- no quantize follows ---- */

/* The bias, and the activation, of a product that has become an accumulator. */
static int32_t add_bias(nib_simplify *s, const product *p, int32_t real, int32_t bias,
                        const char *activation, int32_t out) {
  if (bias == NIB_NONE) {
    const float zero = 0;
    bias = nib_simplify_add_constant(s, "zero", NIB_F32, 0, NULL, &zero);
  }
  const int32_t in[] = {real, bias};
  const int32_t node =
      bias == NIB_NONE ? NIB_NONE : nib_simplify_add_node(s, p->node, NIB_OP_ADD, in, 2, out);
  if (node != NIB_NONE && activation)
    nib_simplify_check(s, nib_graph_set_string(s->g, node, NIB_A_ACTIVATION, activation));
  return node;
}

bool nib_simplify_accumulate(nib_simplify *s, int32_t node) {
  product p;
  if (!is_product(s, node, &p) || (nib_format_get(s->g->tensors[p.x.code].format)->bits > 7 &&
                                   nib_format_get(s->g->tensors[p.w.code].format)->bits > 7)) {
    free(p.limit);
    return false;
  }
  free(p.limit);
  const nib_node n = s->g->nodes[node];
  const int32_t bias = n.n_in > 2 ? n.in[2] : NIB_NONE, out = n.out;
  const char *activation = nib_node_string(&n, NIB_A_ACTIVATION, NULL);
  const nib_tensor y = s->g->tensors[out];
  float *units = make_units(s, &p);
  const int32_t scales =
      units ? nib_simplify_add_constant(s, "units", NIB_F32, 1, &p.w.n, units) : NIB_NONE;
  free(units);
  const int32_t acc = scales == NIB_NONE ? NIB_NONE : make_accumulator(s, &p);
  if (acc == NIB_NONE)
    return false;
  const bool last = bias == NIB_NONE && !activation;
  const int32_t in[] = {acc, scales},
                real = last ? out : nib_simplify_add_tensor(s, out, y.rank, y.dims);
  const int32_t dq = nib_simplify_add_node(s, node, NIB_OP_DEQUANTIZE, in, 2, real);
  if (dq == NIB_NONE)
    return false;
  nib_simplify_check(s, nib_graph_set_int(s->g, dq, NIB_A_AXIS, y.rank - 1));
  return last || add_bias(s, &p, real, bias, activation, out) != NIB_NONE;
}
