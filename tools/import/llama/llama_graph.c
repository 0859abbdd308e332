/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Builds the graph of a Llama network from general operators. */
#include "import/llama/llama_graph.h"

#include "graph/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What every step needs. The first failure (out of memory) makes all later steps give NIB_NONE. */
typedef struct builder {
  nib_graph *g;
  const nib_llama_config *c;
  nib_llama_weights *weights;
  void *file;
  int64_t window, layer;
  const char *name; /**< of the source's part that is being built: "blk.0.attn_q" */
  int32_t cosine, sine;
  bool failed; /**< a weight that the file has could not be added */
} builder;

typedef struct shape {
  int32_t rank;
  int64_t dims[4];
} shape;

/* ---- nodes and constants ---- */

static int32_t node(builder *b, nib_op op, const int32_t *in, int32_t n_in, shape out) {
  for (int32_t i = 0; i < n_in; ++i)
    if (in[i] == NIB_NONE && !(nib_op_operand_is_optional(op, i)))
      return NIB_NONE;
  while (n_in > 0 && in[n_in - 1] == NIB_NONE)
    --n_in;
  const int32_t t = nib_graph_add_tensor(b->g, b->name, NIB_F32, out.rank, out.dims);
  if (t == NIB_NONE || nib_graph_add_node(b->g, op, b->name, -1, in, n_in, t) == NIB_NONE)
    return NIB_NONE;
  return t;
}

static int32_t node_of(const builder *b, int32_t tensor) {
  return tensor == NIB_NONE ? NIB_NONE : b->g->tensors[tensor].producer;
}

static shape shape_of(const builder *b, int32_t tensor) {
  shape s = {0};
  if (tensor == NIB_NONE)
    return s;
  s.rank = b->g->tensors[tensor].rank;
  memcpy(s.dims, b->g->tensors[tensor].dims, sizeof s.dims);
  return s;
}

static int32_t unary(builder *b, nib_op op, int32_t x) {
  return node(b, op, &x, 1, shape_of(b, x));
}

/* The result has the shape of `a`, to which `c` is broadcast. */
static int32_t binary(builder *b, nib_op op, int32_t a, int32_t c) {
  return node(b, op, (int32_t[]){a, c}, 2, shape_of(b, a));
}

static int32_t reshape(builder *b, int32_t x, shape out) {
  return node(b, NIB_OP_RESHAPE, &x, 1, out);
}

static int32_t transpose(builder *b, int32_t x, const int64_t *perm) {
  const shape in = shape_of(b, x);
  shape out = in;
  for (int32_t i = 0; i < in.rank; ++i)
    out.dims[i] = in.dims[perm[i]];
  const int32_t y = node(b, NIB_OP_TRANSPOSE, &x, 1, out);
  if (y == NIB_NONE || nib_graph_set_ints(b->g, node_of(b, y), NIB_A_PERM, perm, in.rank) != NIB_OK)
    return NIB_NONE;
  return y;
}

static int32_t constant(builder *b, const char *name, nib_format format, shape s,
                        const void *data) {
  const int32_t t = nib_graph_add_tensor(b->g, name, format, s.rank, s.dims);
  if (t == NIB_NONE)
    return NIB_NONE;
  const size_t bytes = nib_tensor_bytes(&b->g->tensors[t]);
  return nib_graph_set_data(b->g, t, data, bytes, NIB_DATA_COPY) == NIB_OK ? t : NIB_NONE;
}

/* A number for operands of rank `rank`. */
static int32_t scalar(builder *b, int32_t rank, float value) {
  return constant(b, "", NIB_F32, (shape){rank, {1, 1, 1, 1}}, &value);
}

/* NIB_NONE where the file has none, or when out of memory. */
static int32_t weight(builder *b, nib_llama_role role) {
  char name[64];
  shape s = {0};
  const nib_llama_weight w = b->weights(b->file, role, b->layer);
  if (!w.data)
    return NIB_NONE;
  s.rank = nib_llama_weight_shape(b->c, role, s.dims);
  nib_llama_weight_name(role, b->layer, name);
  const int32_t t = constant(b, name, w.format, s, w.data);
  b->failed = b->failed || t == NIB_NONE;
  return t;
}

/* ---- parts of a layer ---- */

static void set_name(builder *b, const char *part) {
  char text[64];
  snprintf(text, sizeof text, "blk.%" PRId64 ".%s", b->layer, part);
  b->name = nib_graph_strdup(b->g, text);
  if (!b->name)
    b->name = "";
}

/* x / sqrt(mean(x²) + epsilon) · w over the last dimension. */
static int32_t rms_norm(builder *b, int32_t x, nib_llama_role role) {
  const shape s = shape_of(b, x), mean_shape = {2, {s.dims[0], 1}};
  const int64_t axis = 1;
  const int32_t square = binary(b, NIB_OP_MUL, x, x);
  const int32_t mean = node(b, NIB_OP_MEAN, &square, 1, mean_shape);
  if (mean == NIB_NONE ||
      nib_graph_set_ints(b->g, node_of(b, mean), NIB_A_AXES, &axis, 1) != NIB_OK ||
      nib_graph_set_int(b->g, node_of(b, mean), NIB_A_KEEP_DIMS, 1) != NIB_OK)
    return NIB_NONE;
  const int32_t sum = binary(b, NIB_OP_ADD, mean, scalar(b, 2, (float)b->c->epsilon));
  const int32_t root = unary(b, NIB_OP_SQRT, sum);
  return binary(b, NIB_OP_MUL, binary(b, NIB_OP_DIV, x, root), weight(b, role));
}

/* x · wᵀ (+ bias). */
static int32_t dense(builder *b, int32_t x, nib_llama_role role, nib_llama_role bias_role) {
  const int32_t w = weight(b, role), bias = bias_role == role ? NIB_NONE : weight(b, bias_role);
  const shape out = {2, {b->window, shape_of(b, w).dims[0]}};
  return node(b, NIB_OP_FULLY_CONNECTED, (int32_t[]){x, w, bias}, 3, out);
}

/* One of each pair of the last dimension, of extent 2. */
static int32_t half(builder *b, int32_t x, int64_t which) {
  shape out = shape_of(b, x);
  const int64_t begin[] = {0, 0, 0, which};
  out.dims[3] = 1;
  const int32_t y = node(b, NIB_OP_SLICE, &x, 1, out);
  if (y == NIB_NONE || nib_graph_set_ints(b->g, node_of(b, y), NIB_A_BEGIN, begin, 4) != NIB_OK ||
      nib_graph_set_ints(b->g, node_of(b, y), NIB_A_SIZES, out.dims, 4) != NIB_OK)
    return NIB_NONE;
  return y;
}

/* [T, heads · D] -> [T, heads, D], each pair (a, b) turned by its angle: (a·cos − b·sin, a·sin +
 * b·cos). */
static int32_t rotate(builder *b, int32_t x, int64_t heads) {
  const int64_t d = b->c->head_dim;
  const shape pairs = {4, {b->window, heads, d / 2, 2}};
  x = reshape(b, x, pairs);
  const int32_t first = half(b, x, 0), second = half(b, x, 1);
  const int32_t turned[] = {binary(b, NIB_OP_SUB, binary(b, NIB_OP_MUL, first, b->cosine),
                                   binary(b, NIB_OP_MUL, second, b->sine)),
                            binary(b, NIB_OP_ADD, binary(b, NIB_OP_MUL, first, b->sine),
                                   binary(b, NIB_OP_MUL, second, b->cosine))};
  const int32_t y = node(b, NIB_OP_CONCAT, turned, 2, pairs);
  if (y == NIB_NONE || nib_graph_set_int(b->g, node_of(b, y), NIB_A_AXIS, 3) != NIB_OK)
    return NIB_NONE;
  return reshape(b, y, (shape){3, {b->window, heads, d}});
}

/* Scores of each group of query heads with the keys that they share, softmax, values. */
static int32_t attend(builder *b, int32_t q, int32_t k, int32_t v, int32_t mask) {
  const int64_t t = b->window, d = b->c->head_dim, kv = b->c->kv_heads, group = b->c->heads / kv;
  const shape scores_shape = {4, {kv, group, t, t}};
  q = binary(b, NIB_OP_MUL, q, scalar(b, 3, (float)(1.0 / sqrt((double)d))));
  q = reshape(b, transpose(b, q, (int64_t[]){1, 0, 2}), (shape){4, {kv, group, t, d}});
  k = reshape(b, transpose(b, k, (int64_t[]){1, 2, 0}), (shape){4, {kv, 1, d, t}});
  v = reshape(b, transpose(b, v, (int64_t[]){1, 0, 2}), (shape){4, {kv, 1, t, d}});
  int32_t scores = node(b, NIB_OP_MATMUL, (int32_t[]){q, k}, 2, scores_shape);
  scores = binary(b, NIB_OP_ADD, scores, mask);
  const int32_t weights = unary(b, NIB_OP_SOFTMAX, scores);
  if (weights == NIB_NONE || nib_graph_set_int(b->g, node_of(b, weights), NIB_A_AXIS, 3) != NIB_OK)
    return NIB_NONE;
  const int32_t mixed =
      node(b, NIB_OP_MATMUL, (int32_t[]){weights, v}, 2, (shape){4, {kv, group, t, d}});
  const int32_t heads = reshape(b, mixed, (shape){3, {kv * group, t, d}});
  return reshape(b, transpose(b, heads, (int64_t[]){1, 0, 2}), (shape){2, {t, kv * group * d}});
}

static int32_t attention(builder *b, int32_t x, int32_t mask) {
  const nib_llama_config *c = b->c;
  set_name(b, "attn_norm");
  const int32_t in = rms_norm(b, x, NIB_LLAMA_ATTENTION_NORM);
  set_name(b, "attn_q");
  const int32_t q = rotate(b, dense(b, in, NIB_LLAMA_Q, NIB_LLAMA_Q_BIAS), c->heads);
  set_name(b, "attn_k");
  const int32_t k = rotate(b, dense(b, in, NIB_LLAMA_K, NIB_LLAMA_K_BIAS), c->kv_heads);
  set_name(b, "attn_v");
  const int32_t v = reshape(b, dense(b, in, NIB_LLAMA_V, NIB_LLAMA_V_BIAS),
                            (shape){3, {b->window, c->kv_heads, c->head_dim}});
  set_name(b, "attn");
  const int32_t mixed = attend(b, q, k, v, mask);
  set_name(b, "attn_output");
  const int32_t out = dense(b, mixed, NIB_LLAMA_ATTENTION_OUTPUT, NIB_LLAMA_ATTENTION_OUTPUT);
  return binary(b, NIB_OP_ADD, x, out);
}

/* down(silu(gate(x)) · up(x)) */
static int32_t feed_forward(builder *b, int32_t x) {
  set_name(b, "ffn_norm");
  const int32_t in = rms_norm(b, x, NIB_LLAMA_FFN_NORM);
  set_name(b, "ffn_gate");
  const int32_t gate = dense(b, in, NIB_LLAMA_GATE, NIB_LLAMA_GATE);
  const int32_t silu = unary(b, NIB_OP_SILU, gate);
  set_name(b, "ffn_up");
  const int32_t up = dense(b, in, NIB_LLAMA_UP, NIB_LLAMA_UP);
  const int32_t product = binary(b, NIB_OP_MUL, silu, up);
  set_name(b, "ffn_down");
  return binary(b, NIB_OP_ADD, x, dense(b, product, NIB_LLAMA_DOWN, NIB_LLAMA_DOWN));
}

/* ---- constants of positions ---- */

/* Cosines and sines [T, 1, D/2, 1]; pairs beyond rope_dims turn by nothing. */
static nib_status make_angles(builder *b) {
  const nib_llama_config *c = b->c;
  const int64_t pairs = c->head_dim / 2;
  const nib_llama_weight factors = b->weights(b->file, NIB_LLAMA_ROPE_FACTORS, 0);
  float *values = malloc((size_t)(2 * b->window * pairs) * sizeof *values);
  if (!values)
    return NIB_ERROR_OUT_OF_MEMORY;
  float *sines = values + b->window * pairs;
  for (int64_t p = 0; p < b->window; ++p)
    for (int64_t i = 0; i < pairs; ++i) {
      float factor = 1;
      if (factors.data && i < c->rope_dims / 2)
        memcpy(&factor, (const char *)factors.data + (size_t)i * sizeof factor, sizeof factor);
      const double frequency = pow(c->rope_base, -2.0 * (double)i / (double)c->rope_dims) / factor;
      const double angle = i < c->rope_dims / 2 ? (double)p / c->rope_scale * frequency : 0;
      values[p * pairs + i] = (float)cos(angle);
      sines[p * pairs + i] = (float)sin(angle);
    }
  const shape s = {4, {b->window, 1, pairs, 1}};
  b->cosine = constant(b, "rope_cos", NIB_F32, s, values);
  b->sine = constant(b, "rope_sin", NIB_F32, s, sines);
  free(values);
  return b->cosine == NIB_NONE || b->sine == NIB_NONE ? NIB_ERROR_OUT_OF_MEMORY : NIB_OK;
}

/* [T, T]: 0 where a token sees another, else a number whose exponential is 0 beside any score. */
static int32_t make_mask(builder *b) {
  const int64_t t = b->window;
  float *values = calloc((size_t)(t * t), sizeof *values);
  if (!values)
    return NIB_NONE;
  for (int64_t i = 0; i < t; ++i)
    for (int64_t j = i + 1; j < t; ++j)
      values[i * t + j] = -1e30f;
  const int32_t mask = constant(b, "causal_mask", NIB_F32, (shape){2, {t, t}}, values);
  free(values);
  return mask;
}

/* ---- the network ---- */

static int32_t build_logits(builder *b, int32_t tokens) {
  const nib_llama_config *c = b->c;
  const int32_t mask = make_mask(b);
  b->layer = 0;
  b->name = "token_embd";
  const int32_t table = weight(b, NIB_LLAMA_EMBEDDING);
  int32_t x =
      node(b, NIB_OP_GATHER, (int32_t[]){table, tokens}, 2, (shape){2, {b->window, c->dim}});
  if (x == NIB_NONE || nib_graph_set_int(b->g, node_of(b, x), NIB_A_AXIS, 0) != NIB_OK)
    return NIB_NONE;
  for (; b->layer < c->layers && x != NIB_NONE; ++b->layer)
    x = feed_forward(b, attention(b, x, mask));
  b->layer = 0;
  b->name = "output_norm";
  x = rms_norm(b, x, NIB_LLAMA_OUTPUT_NORM);
  b->name = "output";
  const int32_t own = weight(b, NIB_LLAMA_OUTPUT);
  const int32_t logits =
      node(b, NIB_OP_FULLY_CONNECTED, (int32_t[]){x, own == NIB_NONE ? table : own}, 2,
           (shape){2, {b->window, c->vocabulary}});
  if (logits != NIB_NONE)
    b->g->tensors[logits].name = "logits";
  return logits;
}

/* --dim seq=T, the only dimension that is not a number. */
static nib_status choose_window(const nib_llama_config *c, const nib_import_options *o,
                                int64_t *out_window, const nib_diag *diag) {
  enum { USUAL = 256 };
  *out_window = c->context < USUAL ? c->context : USUAL;
  for (size_t i = 0; i < o->n_dims; ++i) {
    if (strcmp(o->dims[i].name, "seq") != 0)
      return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                            "%s: --dim %s=%" PRId64
                            ": the model has no such dimension; it has: seq",
                            o->display_path, o->dims[i].name, o->dims[i].value);
    *out_window = o->dims[i].value;
  }
  if (*out_window < 1 || *out_window > c->context)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "%s: --dim seq=%" PRId64 ": the context has %" PRId64 " tokens",
                          o->display_path, *out_window, c->context);
  return NIB_OK;
}

static nib_status check_sizes(const builder *b, const nib_import_options *o, const nib_diag *diag) {
  const int64_t t = b->window, *largest = NULL;
  const int64_t sizes[][4] = {{b->c->heads, t, t, 1},
                              {t, b->c->vocabulary, 1, 1},
                              {t, b->c->hidden, 1, 1},
                              {t, b->c->heads, b->c->head_dim, 1}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    int64_t elems;
    if (!nib_count_elems(4, sizes[i], &elems))
      largest = sizes[i];
  }
  if (!largest)
    return NIB_OK;
  return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                        "%s: a window of %" PRId64
                        " tokens needs a tensor of more than %d elements; "
                        "choose a shorter one with --dim seq=N",
                        o->display_path, t, NIB_MAX_TENSOR_ELEMS);
}

static nib_status build(builder *b, const nib_import_options *o, const nib_diag *diag) {
  NIB_RETURN_IF_ERROR(choose_window(b->c, o, &b->window, diag));
  NIB_RETURN_IF_ERROR(check_sizes(b, o, diag));
  const int32_t tokens = nib_graph_add_tensor(b->g, "tokens", NIB_I32, 1, &b->window);
  int32_t logits = NIB_NONE;
  if (tokens != NIB_NONE && make_angles(b) == NIB_OK)
    logits = build_logits(b, tokens);
  if (logits == NIB_NONE || b->failed || nib_graph_set_inputs(b->g, &tokens, 1) != NIB_OK ||
      nib_graph_set_outputs(b->g, &logits, 1) != NIB_OK)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", o->display_path);
  return nib_graph_validate(b->g, diag);
}

nib_status nib_llama_build(const nib_llama_config *c, nib_llama_weights *weights, void *file,
                           const nib_import_options *options, nib_graph **out_graph,
                           const nib_diag *diag) {
  *out_graph = NULL;
  builder b = {
      .g = nib_graph_create(options->model_name), .c = c, .weights = weights, .file = file};
  if (!b.g)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory",
                          options->display_path);
  b.g->rounding = options->rounding ? nib_graph_strdup(b.g, options->rounding) : "nearest-even";
  const nib_status status = build(&b, options, diag);
  if (status == NIB_OK)
    *out_graph = b.g;
  else
    nib_graph_destroy(b.g);
  return status;
}
