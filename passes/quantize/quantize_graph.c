/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_quantize_graph: constant weights into the formats that were asked for. Each tensor is encoded
 * once, whoever reads it. Rows that are not whole blocks are filled up with zeros: products get
 * zeros beside them, lookups cut them off again. */
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
  const bool product = n->op == NIB_OP_FULLY_CONNECTED || n->op == NIB_OP_MATMUL;
  const nib_tensor *w = nib_node_input(g, n, slot);
  if (!w || !w->data || w->rank != 2 || w->quantized || !nib_format_holds_reals(w->format))
    return false;
  if (n->op == NIB_OP_GATHER)
    return slot == 0 && nib_node_int(n, NIB_A_AXIS, 0) == 0;
  return product && slot == 1;
}

/* ---- tensors ---- */

static int64_t whole_blocks(nib_format format, int64_t columns) {
  const int64_t size = nib_format_get(format)->block_elems;
  return size > 1 ? (columns + size - 1) / size * size : columns;
}

/* The values of a weight as [rows, columns], rows filled up with zeros; free(). */
static float *load(const nib_tensor *w, bool transposed, int64_t rows, int64_t columns) {
  const int64_t from_columns = w->dims[1];
  float *values = calloc((size_t)(rows * columns), sizeof *values);
  float *row = malloc((size_t)from_columns * sizeof *row);
  for (int64_t r = 0; values && row && r < w->dims[0]; ++r) {
    nib_weight_load_row(w, r, row);
    for (int64_t c = 0; c < from_columns; ++c)
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
  const int64_t rows = w.dims[transposed], width = w.dims[!transposed];
  const int64_t dims[] = {rows, whole_blocks(format, width)};
  float *values = load(&w, transposed, rows, dims[1]);
  const size_t bytes = nib_format_storage_bytes(format, rows * dims[1]);
  void *data = values ? nib_graph_alloc(q->g, bytes) : NULL;
  int32_t t = NIB_NONE;
  if (data) {
    nib_format_encode_row(format, values, rows * dims[1], &q->encoding, data);
    t = nib_graph_add_tensor(q->g, w.name, format, 2, dims);
  }
  free(values);
  if (t != NIB_NONE && nib_graph_set_data(q->g, t, data, bytes, NIB_DATA_COPY) != NIB_OK)
    t = NIB_NONE;
  return t;
}

static void say(const quantizer *q, int32_t from, int32_t to) {
  const nib_tensor *a = &q->g->tensors[from], *b = &q->g->tensors[to];
  char padded[64] = "";
  if (b->dims[1] != a->dims[1])
    snprintf(padded, sizeof padded, ", rows filled up from %lld to %lld", (long long)a->dims[1],
             (long long)b->dims[1]);
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

/* Activations [M, K] with zeros up to `columns`. */
static int32_t widen(quantizer *q, int32_t node, int32_t x, int64_t columns) {
  const int64_t dims[] = {q->g->tensors[x].dims[0], columns};
  const int64_t low[] = {0, 0}, high[] = {0, columns - q->g->tensors[x].dims[1]};
  const int32_t wide = add_tensor(q, x, 2, dims);
  const int32_t pad = wide == NIB_NONE ? NIB_NONE : add_node(q, node, NIB_OP_PAD, x, wide);
  if (pad == NIB_NONE || nib_graph_set_ints(q->g, pad, NIB_A_LOW, low, 2) != NIB_OK ||
      nib_graph_set_ints(q->g, pad, NIB_A_HIGH, high, 2) != NIB_OK)
    return NIB_NONE;
  return wide;
}

static nib_status quantize_dense(quantizer *q, int32_t node) {
  int32_t w, x = q->g->nodes[node].in[0];
  NIB_RETURN_IF_ERROR(replacement(q, q->g->nodes[node].in[1], &w));
  const int64_t columns = q->g->tensors[w].dims[1];
  if (columns != q->g->tensors[x].dims[1] && (x = widen(q, node, x, columns)) == NIB_NONE)
    return out_of_memory(q);
  q->g->nodes[node].in[0] = x;
  q->g->nodes[node].in[1] = w;
  return NIB_OK;
}

/* The lookup of wider rows, and a slice of them that makes the old result. */
static nib_status quantize_gather(quantizer *q, int32_t node) {
  int32_t w;
  const int32_t table = q->g->nodes[node].in[0], y = q->g->nodes[node].out;
  NIB_RETURN_IF_ERROR(replacement(q, table, &w));
  q->g->nodes[node].in[0] = w;
  const int64_t columns = q->g->tensors[w].dims[1];
  if (columns == q->g->tensors[table].dims[1])
    return NIB_OK;
  const int32_t rank = q->g->tensors[y].rank;
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

/* Real weights that no rule can reach: convolutions and products of more than two dimensions. */
static nib_status report_kept(const quantizer *q, bool is_error) {
  nib_status status = NIB_OK;
  for (int32_t i = 0; i < q->g->n_nodes; ++i) {
    const nib_node *n = &q->g->nodes[i];
    const nib_family family = nib_op_get(n->op)->family;
    const nib_tensor *w = nib_node_input(q->g, n, 1);
    if (nib_node_is_erased(n) || (family != NIB_FAMILY_FILTER && family != NIB_FAMILY_MATMUL) ||
        !w || !w->data || w->format != NIB_F32 || nib_is_weight(q->g, n, 1) ||
        nib_weight_rules_find(q->rules, w->name) < 0)
      continue;
    if (is_error)
      status = nib_diag_error(q->diag, NIB_ERROR_LIMIT,
                              "operator %d '%s' (%s): its weights '%.200s' stay in f32", i, n->name,
                              nib_op_get(n->op)->mnemonic, w->name);
    else
      nib_diag_note(q->diag, "operator %d '%s' (%s): its weights '%.200s' stay in f32", i, n->name,
                    nib_op_get(n->op)->mnemonic, w->name);
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

nib_status nib_quantize_graph(nib_graph *g, const nib_options *o, const nib_diag *diag) {
  if (!o->weight_formats || !o->weight_formats[0])
    return NIB_OK;
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
