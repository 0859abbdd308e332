/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_quantize_graph: constant weights into the formats that were asked for. Each tensor is encoded
 * once, whoever reads it. Rows that are not whole blocks are filled up with zeros: products and
 * convolutions get zeros beside them, lookups and depthwise convolutions cut them off again. */
#include "pipeline/stages.h"
#include "quantize/quantize.h"
#include "quantize/weight_codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct quantizer {
  nib_graph *g;
  const nib_diag *diag;
  const nib_weight_rules *rules;
  nib_encode_options encoding;
  int32_t *encoded; /* by tensor: its replacement, or NIB_NONE */
  bool *used;       /* by rule */
} quantizer;

static nib_status out_of_memory(const quantizer *q) {
  return nib_diag_error(q->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory for weights");
}

bool nib_is_weight(const nib_graph *g, const nib_node *n, int32_t slot) {
  const nib_tensor *w = nib_node_input(g, n, slot), *x = nib_node_input(g, n, 0);
  if (!w || !w->data || w->quantized || !nib_format_holds_reals(w->format))
    return false;
  if (n->op == NIB_OP_GATHER)
    return slot == 0 && w->rank == 2 && nib_node_int(n, NIB_A_AXIS, 0) == 0;
  if (n->op == NIB_OP_MATMUL)
    return slot == 1 && w->rank == 2;
  return slot == 1 && nib_op_get(n->op)->family == NIB_FAMILY_FILTER &&
         nib_format_get(x->format)->kind == NIB_KIND_FLOAT && x->format != NIB_F64;
}

/* ---- tensors ---- */

static int64_t whole_blocks(nib_format format, int64_t columns) {
  const int64_t size = nib_format_get(format)->block_elems;
  return size > 1 ? (columns + size - 1) / size * size : columns;
}

static int64_t width_of(const nib_tensor *t) { return t->dims[t->rank - 1]; }

/* The values of a weight as rows of `columns`, filled up with zeros; transposed, of a matrix;
 * free(). */
static float *load(const nib_tensor *w, bool transposed, int64_t rows, int64_t columns) {
  const int64_t width = width_of(w), from_rows = nib_tensor_elems(w) / width;
  float *values = calloc((size_t)(rows * columns), sizeof *values);
  float *row = malloc((size_t)width * sizeof *row);
  for (int64_t r = 0; values && row && r < from_rows; ++r) {
    nib_weight_load_row(w, r, row);
    for (int64_t c = 0; c < width; ++c)
      values[transposed ? c * columns + r : r * columns + c] = row[c];
  }
  if (!row) {
    free(values);
    values = NULL;
  }
  free(row);
  return values;
}

/* A new constant with the weight's values, or NIB_NONE when out of memory. */
static int32_t encode(quantizer *q, int32_t weight, nib_format format, bool transposed) {
  const nib_tensor w = q->g->tensors[weight];
  int64_t dims[NIB_MAX_RANK];
  memcpy(dims, w.dims, sizeof dims);
  if (transposed) {
    dims[0] = w.dims[1];
    dims[1] = w.dims[0];
  }
  const int64_t rows = nib_tensor_elems(&w) / dims[w.rank - 1];
  const int64_t columns = dims[w.rank - 1] = whole_blocks(format, dims[w.rank - 1]);
  float *values = load(&w, transposed, rows, columns);
  const size_t bytes = nib_format_storage_bytes(format, rows * columns);
  void *data = values ? nib_graph_alloc(q->g, bytes) : NULL;
  int32_t t = NIB_NONE;
  if (data) {
    nib_format_encode_row(format, values, rows * columns, &q->encoding, data);
    t = nib_graph_add_tensor(q->g, w.name, format, w.rank, dims);
  }
  free(values);
  if (t != NIB_NONE && nib_graph_set_data(q->g, t, data, bytes, NIB_DATA_COPY) != NIB_OK)
    t = NIB_NONE;
  return t;
}

static void say(const quantizer *q, int32_t from, int32_t to) {
  const nib_tensor *a = &q->g->tensors[from], *b = &q->g->tensors[to];
  char padded[64] = "";
  if (width_of(b) != width_of(a))
    snprintf(padded, sizeof padded, ", rows filled up from %lld to %lld", (long long)width_of(a),
             (long long)width_of(b));
  nib_diag_note(q->diag, "weights '%.200s': %s to %s, %zu bytes of %zu, SQNR %.2f dB%s", a->name,
                nib_format_get(a->format)->name, nib_format_get(b->format)->name, b->data_bytes,
                a->data_bytes, nib_weight_sqnr_db(a, b), padded);
}

/* The weight in its format, or itself where no rule names it or it is in that format. */
static nib_status replacement(quantizer *q, int32_t weight, int32_t *out) {
  const nib_tensor *w = &q->g->tensors[weight];
  const int rule = nib_weight_rules_find(q->rules, w->name);
  *out = weight;
  if (rule < 0)
    return NIB_OK;
  q->used[rule] = true;
  if (w->format == q->rules->rows[rule].format)
    return NIB_OK;
  if (q->encoded[weight] == NIB_NONE) {
    q->encoded[weight] = encode(q, weight, q->rules->rows[rule].format, false);
    if (q->encoded[weight] == NIB_NONE)
      return out_of_memory(q);
    say(q, weight, q->encoded[weight]);
  }
  *out = q->encoded[weight];
  return NIB_OK;
}

/* ---- nodes ---- */

static int32_t add_tensor(quantizer *q, int32_t like, int32_t rank, const int64_t *dims) {
  return nib_graph_add_tensor(q->g, q->g->tensors[like].name, q->g->tensors[like].format, rank,
                              dims);
}

/* A node located at node `at`, whose result is `out`. */
static int32_t add_node(quantizer *q, int32_t at, nib_op op, int32_t in, int32_t out) {
  const nib_node n = q->g->nodes[at];
  const int32_t made = nib_graph_add_node(q->g, op, n.name, n.source_index, &in, 1, out);
  if (made != NIB_NONE)
    q->g->nodes[made].origin = n.origin;
  return made;
}

/* Activations with zeros up to `columns` in their last dimension. */
static int32_t widen(quantizer *q, int32_t node, int32_t x, int64_t columns) {
  const int32_t last = q->g->tensors[x].rank - 1;
  int64_t dims[NIB_MAX_RANK], high[NIB_MAX_RANK] = {0};
  const int64_t low[NIB_MAX_RANK] = {0};
  memcpy(dims, q->g->tensors[x].dims, sizeof dims);
  high[last] = columns - dims[last];
  dims[last] = columns;
  const int32_t wide = add_tensor(q, x, last + 1, dims);
  const int32_t pad = wide == NIB_NONE ? NIB_NONE : add_node(q, node, NIB_OP_PAD, x, wide);
  if (pad == NIB_NONE || nib_graph_set_ints(q->g, pad, NIB_A_LOW, low, last + 1) != NIB_OK ||
      nib_graph_set_ints(q->g, pad, NIB_A_HIGH, high, last + 1) != NIB_OK)
    return NIB_NONE;
  return wide;
}

/* Makes the node's result `columns` wide, and a slice of it what the result was. */
static nib_status narrow(quantizer *q, int32_t node, int64_t columns) {
  const int32_t y = q->g->nodes[node].out, rank = q->g->tensors[y].rank;
  int64_t dims[NIB_MAX_RANK], sizes[NIB_MAX_RANK], begin[NIB_MAX_RANK] = {0};
  memcpy(dims, q->g->tensors[y].dims, sizeof dims);
  memcpy(sizes, dims, sizeof sizes);
  dims[rank - 1] = columns;
  const int32_t wide = add_tensor(q, y, rank, dims);
  if (wide == NIB_NONE)
    return out_of_memory(q);
  q->g->nodes[node].out = wide;
  q->g->tensors[wide].producer = node;
  const int32_t slice = add_node(q, node, NIB_OP_SLICE, wide, y);
  if (slice == NIB_NONE || nib_graph_set_ints(q->g, slice, NIB_A_BEGIN, begin, rank) != NIB_OK ||
      nib_graph_set_ints(q->g, slice, NIB_A_SIZES, sizes, rank) != NIB_OK)
    return out_of_memory(q);
  return NIB_OK;
}

static nib_status quantize_dense(quantizer *q, int32_t node) {
  int32_t w, x = q->g->nodes[node].in[0];
  NIB_RETURN_IF_ERROR(replacement(q, q->g->nodes[node].in[1], &w));
  const int64_t columns = width_of(&q->g->tensors[w]);
  if (columns != width_of(&q->g->tensors[x]) && (x = widen(q, node, x, columns)) == NIB_NONE)
    return out_of_memory(q);
  q->g->nodes[node].in[0] = x;
  q->g->nodes[node].in[1] = w;
  return NIB_OK;
}

/* ---- convolutions: blocks lie along the input channels of a tap, or, depthwise, its channels ----
 */

/* Why the weights of a convolution stay as they are, or NULL. Channels are filled up where that can
 * be done from outside and still saves bytes. */
static const char *conv_problem(const nib_graph *g, const nib_node *n, nib_format format) {
  const nib_tensor *w = nib_node_input(g, n, 1), *bias = nib_node_input(g, n, 2);
  const int64_t wide = whole_blocks(format, width_of(w));
  if (wide == width_of(w))
    return NULL;
  if (nib_format_storage_bytes(format, nib_tensor_elems(w) / width_of(w) * wide) >= w->data_bytes)
    return "filled up they would take more bytes than they do";
  if (n->op == NIB_OP_CONV2D && nib_node_int(n, NIB_A_GROUPS, 1) != 1)
    return "groups cannot be filled up";
  if (n->op == NIB_OP_DEPTHWISE_CONV2D && (bias && !bias->data))
    return "its bias, which is no constant, cannot be filled up";
  if (n->op == NIB_OP_DEPTHWISE_CONV2D &&
      wide % (width_of(w) / width_of(nib_node_input(g, n, 0))) != 0)
    return "its channels are no multiple of the input's when filled up";
  return NULL;
}

/* A constant bias with zeros up to `channels`. */
static int32_t widen_bias(quantizer *q, int32_t bias, int64_t channels) {
  const nib_tensor b = q->g->tensors[bias];
  const size_t bytes = nib_format_storage_bytes(b.format, channels);
  char *data = nib_graph_alloc(q->g, bytes);
  if (!data)
    return NIB_NONE;
  memset(data, 0, bytes);
  memcpy(data, b.data, b.data_bytes);
  const int32_t wide = add_tensor(q, bias, 1, &channels);
  if (wide != NIB_NONE && nib_graph_set_data(q->g, wide, data, bytes, NIB_DATA_COPY) != NIB_OK)
    return NIB_NONE;
  return wide;
}

static nib_status quantize_conv(quantizer *q, int32_t node) {
  const nib_node n = q->g->nodes[node];
  const nib_tensor from = q->g->tensors[n.in[1]];
  const int rule = nib_weight_rules_find(q->rules, from.name);
  if (rule < 0 || conv_problem(q->g, &n, q->rules->rows[rule].format))
    return NIB_OK;
  int32_t w, x = n.in[0];
  NIB_RETURN_IF_ERROR(replacement(q, n.in[1], &w));
  const int64_t width = width_of(&q->g->tensors[w]);
  q->g->nodes[node].in[1] = w;
  if (width == width_of(&from))
    return NIB_OK;
  const bool depthwise = n.op == NIB_OP_DEPTHWISE_CONV2D;
  const int64_t multiplier = depthwise ? width_of(&from) / width_of(&q->g->tensors[x]) : 1;
  if ((x = widen(q, node, x, width / multiplier)) == NIB_NONE)
    return out_of_memory(q);
  q->g->nodes[node].in[0] = x;
  if (depthwise && nib_node_input(q->g, &n, 2) &&
      (q->g->nodes[node].in[2] = widen_bias(q, n.in[2], width)) == NIB_NONE)
    return out_of_memory(q);
  return depthwise ? narrow(q, node, width) : NIB_OK;
}

/* ---- lookups and products ---- */

/* The lookup of wider rows, and a slice of them that makes the old result. */
static nib_status quantize_gather(quantizer *q, int32_t node) {
  int32_t w;
  const int32_t table = q->g->nodes[node].in[0];
  NIB_RETURN_IF_ERROR(replacement(q, table, &w));
  q->g->nodes[node].in[0] = w;
  const int64_t columns = width_of(&q->g->tensors[w]);
  return columns == width_of(&q->g->tensors[table]) ? NIB_OK : narrow(q, node, columns);
}

/* x [.., K] times a constant [K, N] is a dense layer of the constant's transpose, along whose rows
 * its blocks lie. */
static nib_status matmul_to_dense(quantizer *q, int32_t node) {
  const nib_node n = q->g->nodes[node];
  const nib_tensor x = q->g->tensors[n.in[0]], y = q->g->tensors[n.out];
  const nib_tensor w = q->g->tensors[n.in[1]];
  if (nib_weight_rules_find(q->rules, w.name) < 0 ||
      nib_format_get(w.format)->kind == NIB_KIND_BLOCK)
    return NIB_OK;
  const int64_t rows = nib_tensor_elems(&x) / x.dims[x.rank - 1];
  const int64_t x_dims[] = {rows, w.dims[0]}, y_dims[] = {rows, w.dims[1]};
  const int32_t filter = encode(q, n.in[1], w.format, true);
  int32_t flat = n.in[0], out = n.out;
  if (x.rank != 2 && (flat = add_tensor(q, n.in[0], 2, x_dims)) != NIB_NONE &&
      add_node(q, node, NIB_OP_RESHAPE, n.in[0], flat) == NIB_NONE)
    flat = NIB_NONE;
  if (y.rank != 2 && (out = add_tensor(q, n.out, 2, y_dims)) != NIB_NONE) {
    q->g->nodes[node].out = out;
    q->g->tensors[out].producer = node;
    if (add_node(q, node, NIB_OP_RESHAPE, out, n.out) == NIB_NONE)
      out = NIB_NONE;
  }
  if (filter == NIB_NONE || flat == NIB_NONE || out == NIB_NONE)
    return out_of_memory(q);
  q->g->nodes[node].op = NIB_OP_FULLY_CONNECTED;
  q->g->nodes[node].in[0] = flat;
  q->g->nodes[node].in[1] = filter;
  return NIB_OK;
}

/* ---- the stage ---- */

static nib_status each_node(quantizer *q, nib_op op, nib_status (*apply)(quantizer *, int32_t)) {
  for (int32_t i = 0, n = q->g->n_nodes; i < n; ++i) {
    const nib_node *node = &q->g->nodes[i];
    const int32_t slot = op == NIB_OP_GATHER ? 0 : 1;
    if (!nib_node_is_erased(node) && node->op == op && nib_is_weight(q->g, node, slot))
      NIB_RETURN_IF_ERROR(apply(q, i));
  }
  return NIB_OK;
}

/* Why a node's weights, which a rule names, were not encoded; NULL where they were. */
static const char *kept_because(const quantizer *q, const nib_node *n, nib_format format) {
  const nib_tensor *w = nib_node_input(q->g, n, 1);
  if (w->format == format)
    return NULL;
  if (nib_is_weight(q->g, n, 1))
    return conv_problem(q->g, n, format);
  return n->op == NIB_OP_MATMUL && w->rank != 2
             ? "products with weights of other than two dimensions keep them"
             : "layers whose activations are in blocks or f64 keep them";
}

static nib_status say_kept(const quantizer *q, int32_t node, nib_format format, const char *why,
                           bool is_error) {
  const nib_node *n = &q->g->nodes[node];
  const nib_tensor *w = nib_node_input(q->g, n, 1);
  const int64_t size = nib_format_get(format)->block_elems;
  char text[512], blocks[96] = "";
  if (size > 1 && width_of(w) % size)
    snprintf(blocks, sizeof blocks, "blocks of %lld do not divide its dimension %d, %lld; ",
             (long long)size, w->rank - 1, (long long)width_of(w));
  snprintf(text, sizeof text, "operator %d '%.100s' (%s): its weights '%.100s' stay in %s: %s%s",
           node, n->name, nib_op_get(n->op)->mnemonic, w->name, nib_format_get(w->format)->name,
           blocks, why);
  if (is_error)
    return nib_diag_error(q->diag, NIB_ERROR_LIMIT, "%s", text);
  nib_diag_note(q->diag, "%s", text);
  return NIB_OK;
}

/* Weights that a rule names and that stay as they are. */
static nib_status report_kept(const quantizer *q, bool is_error) {
  nib_status status = NIB_OK;
  for (int32_t i = 0; i < q->g->n_nodes; ++i) {
    const nib_node *n = &q->g->nodes[i];
    const nib_family family = nib_op_get(n->op)->family;
    const nib_tensor *w = nib_node_input(q->g, n, 1);
    if (nib_node_is_erased(n) || (family != NIB_FAMILY_FILTER && family != NIB_FAMILY_MATMUL) ||
        !w || !w->data || w->quantized || !nib_format_holds_reals(w->format))
      continue;
    const int rule = nib_weight_rules_find(q->rules, w->name);
    const char *why = rule < 0 ? NULL : kept_because(q, n, q->rules->rows[rule].format);
    if (!why)
      continue;
    q->used[rule] = true;
    status = say_kept(q, i, q->rules->rows[rule].format, why, is_error);
  }
  return status;
}

static nib_status check_used(const quantizer *q) {
  for (int i = 0; i < q->rules->n; ++i)
    if (!q->used[i] && q->rules->rows[i].pattern[0])
      return nib_diag_error(q->diag, NIB_ERROR_INVALID_USAGE,
                            "weight formats: no weights are called '%.100s'",
                            q->rules->rows[i].pattern);
    else if (!q->used[i])
      return nib_diag_error(q->diag, NIB_ERROR_INVALID_USAGE,
                            "weight formats: the network has no weights left for %s",
                            nib_format_get(q->rules->rows[i].format)->name);
  return NIB_OK;
}

static nib_status run(quantizer *q, bool no_fallback) {
  NIB_RETURN_IF_ERROR(each_node(q, NIB_OP_MATMUL, matmul_to_dense));
  q->encoded = malloc((size_t)(q->g->n_tensors + 1) * sizeof *q->encoded);
  if (!q->encoded)
    return out_of_memory(q);
  for (int32_t i = 0; i < q->g->n_tensors; ++i)
    q->encoded[i] = NIB_NONE;
  NIB_RETURN_IF_ERROR(each_node(q, NIB_OP_FULLY_CONNECTED, quantize_dense));
  NIB_RETURN_IF_ERROR(each_node(q, NIB_OP_CONV2D, quantize_conv));
  NIB_RETURN_IF_ERROR(each_node(q, NIB_OP_DEPTHWISE_CONV2D, quantize_conv));
  NIB_RETURN_IF_ERROR(each_node(q, NIB_OP_TRANSPOSE_CONV2D, quantize_conv));
  NIB_RETURN_IF_ERROR(each_node(q, NIB_OP_GATHER, quantize_gather));
  NIB_RETURN_IF_ERROR(report_kept(q, no_fallback));
  NIB_RETURN_IF_ERROR(check_used(q));
  return nib_graph_sweep(q->g, q->diag);
}

/* "source", "absmax", "mse". */
static nib_status read_scale(const char *word, nib_encode_options *out, const nib_diag *diag) {
  static const struct {
    const char *word;
    nib_encode_options options;
  } rows[] = {{"source", {.mode = NIB_ENCODE_AS_SOURCE, .scale = NIB_SCALE_AS_SOURCE}},
              {"absmax", {.mode = NIB_ENCODE_NEAREST_EVEN, .scale = NIB_SCALE_ABSMAX}},
              {"mse", {.mode = NIB_ENCODE_NEAREST_EVEN, .scale = NIB_SCALE_MSE}}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
    if (strcmp(word, rows[i].word) == 0) {
      *out = rows[i].options;
      return NIB_OK;
    }
  return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                        "scales of weights are chosen by source, absmax or mse, not '%.100s'",
                        word);
}

static nib_status quantize_weights(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  nib_weight_rules rules;
  bool used[NIB_MAX_WEIGHT_RULES] = {false};
  quantizer q = {.g = g, .diag = diag, .rules = &rules, .used = used};
  nib_status status = nib_weight_rules_parse(o->weight_formats, &rules, diag);
  if (status == NIB_OK)
    status = read_scale(o->weight_scale ? o->weight_scale : "source", &q.encoding, diag);
  if (status == NIB_OK)
    status = run(&q, o->no_fallback);
  free(q.encoded);
  nib_weight_rules_free(&rules);
  return status;
}

static bool is_of_few_bits(nib_format format) {
  const nib_format_info *f = nib_format_get(format);
  return nib_format_holds_reals(format) && (f->kind == NIB_KIND_BLOCK || f->bits <= 8);
}

/* Weights of few bits beside activations in f16 or bf16 are multiplied as numbers of that format.
 */
static nib_status decode_weights(nib_graph *g, const char *how, const nib_diag *diag) {
  int layers = 0;
  if (strcmp(how, "exact") == 0)
    return NIB_OK;
  if (strcmp(how, "operand") != 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "weights are decoded exact or operand, not '%.100s'", how);
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
    if (nib_node_is_erased(n) || n->op != NIB_OP_FULLY_CONNECTED || !x || !w || !w->data ||
        (x->format != NIB_F16 && x->format != NIB_BF16) || !is_of_few_bits(w->format))
      continue;
    NIB_RETURN_IF_ERROR(nib_graph_set_string(g, i, NIB_A_DECODE, how));
    ++layers;
  }
  if (layers == 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "decoded weights: no dense layer has weights of few bits and activations "
                          "in f16 or bf16");
  nib_diag_note(diag, "weights rounded to the type of the activations: %d dense layers", layers);
  return NIB_OK;
}

nib_status nib_quantize_graph(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  if (o->precision && o->precision[0])
    NIB_RETURN_IF_ERROR(nib_quantize_precision(g, o->precision, o->accumulate, diag));
  if (o->weight_formats && o->weight_formats[0])
    NIB_RETURN_IF_ERROR(quantize_weights(g, o, diag));
  if (o->activation_format && o->activation_format[0])
    NIB_RETURN_IF_ERROR(nib_quantize_activations(g, o->activation_format, o->no_fallback, diag));
  if (o->decode_weights && o->decode_weights[0])
    NIB_RETURN_IF_ERROR(decode_weights(g, o->decode_weights, diag));
  return NIB_OK;
}
