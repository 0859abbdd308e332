/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A float network in f16 or bf16: every f32 tensor between its inputs and outputs, and the constants
 * beside them. Inputs and outputs keep their format; casts stand behind and before them. */
#include "params/params.h"
#include "quantize/quantize.h"

#include <stdlib.h>
#include <string.h>

typedef struct narrower {
  nib_graph *g;
  const nib_diag *diag;
  nib_format format;
  const nib_weight_rules *sums; /* formats of accumulators by name of the layer */
  bool *used;                   /* by rule */
  int32_t *narrow;              /* by tensor that was there before: its narrow twin, or NIB_NONE */
  int32_t n_tensors;
  int layers, wide_layers;
} narrower;

static nib_status out_of_memory(const narrower *w) {
  return nib_diag_error(w->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory changing the precision");
}

/* A constant of the same values in `format`, or NIB_NONE. */
static int32_t narrow_constant(narrower *w, int32_t tensor) {
  const nib_tensor t = w->g->tensors[tensor];
  const int64_t elems = nib_tensor_elems(&t);
  const size_t bytes = nib_format_storage_bytes(w->format, elems);
  void *data = nib_graph_alloc(w->g, bytes > 0 ? bytes : 1);
  const int32_t to =
      data ? nib_graph_add_tensor(w->g, t.name, w->format, t.rank, t.dims) : NIB_NONE;
  for (int64_t i = 0; to != NIB_NONE && i < elems; ++i)
    nib_format_store_real(w->format, data, i, nib_format_load_real(t.format, t.data, i));
  if (to == NIB_NONE || nib_graph_set_data(w->g, to, data, bytes, NIB_DATA_COPY) != NIB_OK)
    return NIB_NONE;
  return to;
}

static int32_t add_cast(narrower *w, const nib_node *at, int32_t from, int32_t to) {
  const int32_t made =
      nib_graph_add_node(w->g, NIB_OP_CAST, at->name, at->source_index, &from, 1, to);
  if (made != NIB_NONE)
    w->g->nodes[made].origin = at->origin;
  return made;
}

/* The narrow twin of an f32 tensor that node `at` reads: one for all that read it. */
static int32_t twin(narrower *w, const nib_node *at, int32_t tensor) {
  if (w->narrow[tensor] != NIB_NONE)
    return w->narrow[tensor];
  const nib_tensor t = w->g->tensors[tensor];
  int32_t to;
  if (t.data) {
    to = narrow_constant(w, tensor);
  } else { /* an input of the network, or what an operator gives only in f32 */
    to = nib_graph_add_tensor(w->g, t.name, w->format, t.rank, t.dims);
    if (to != NIB_NONE && add_cast(w, at, tensor, to) == NIB_NONE)
      return NIB_NONE;
  }
  w->narrow[tensor] = to;
  return to;
}

/* The rule's format of the layer's accumulators; f16 sums unless one says f32. */
static bool sums_in_f32(narrower *w, const nib_node *n) {
  const int rule = nib_weight_rules_find(w->sums, w->g->tensors[n->out].name);
  if (rule < 0)
    return w->format != NIB_F16;
  w->used[rule] = true;
  return w->sums->rows[rule].format == NIB_F32;
}

/* Sums start from the bias, and have its format. */
static nib_status set_sums(narrower *w, int32_t node) {
  const nib_node n = w->g->nodes[node];
  ++w->layers;
  if (!sums_in_f32(w, &n))
    return NIB_OK;
  ++w->wide_layers;
  if (nib_node_input(w->g, &n, 2))
    return NIB_OK;
  const nib_tensor *y = &w->g->tensors[n.out];
  const int64_t channels = y->dims[y->rank - 1];
  const size_t bytes = (size_t)channels * sizeof(float);
  void *zeros = nib_graph_alloc(w->g, bytes);
  const int32_t bias =
      zeros ? nib_graph_add_tensor(w->g, "zero_bias", NIB_F32, 1, &channels) : NIB_NONE;
  if (bias == NIB_NONE)
    return out_of_memory(w);
  memset(zeros, 0, bytes);
  NIB_RETURN_IF_ERROR(nib_graph_set_data(w->g, bias, zeros, bytes, NIB_DATA_COPY));
  const int32_t n_in = n.n_in > 3 ? n.n_in : 3;
  int32_t *in = nib_graph_alloc(w->g, (size_t)n_in * sizeof *in);
  if (!in)
    return out_of_memory(w);
  for (int32_t i = 0; i < n_in; ++i)
    in[i] = i == 2 ? bias : i < n.n_in ? n.in[i] : NIB_NONE;
  w->g->nodes[node].in = in;
  w->g->nodes[node].n_in = n_in;
  return NIB_OK;
}

static bool multiplies(const nib_node *n) {
  return n->op == NIB_OP_CONV2D || n->op == NIB_OP_DEPTHWISE_CONV2D ||
         n->op == NIB_OP_TRANSPOSE_CONV2D || n->op == NIB_OP_FULLY_CONNECTED;
}

/* Operators that become narrow; pools, means and functions such as softmax keep to f32. */
static bool narrows(const nib_node *n) {
  switch (n->op) {
  case NIB_OP_CONV2D:
  case NIB_OP_DEPTHWISE_CONV2D:
  case NIB_OP_TRANSPOSE_CONV2D:
  case NIB_OP_FULLY_CONNECTED:
  case NIB_OP_MATMUL:
  case NIB_OP_ADD:
  case NIB_OP_SUB:
  case NIB_OP_MUL:
  case NIB_OP_RELU:
  case NIB_OP_CLAMP:
  case NIB_OP_LEAKY_RELU:
  case NIB_OP_PAD:
  case NIB_OP_TRANSPOSE:
  case NIB_OP_CONCAT:
  case NIB_OP_SLICE:
  case NIB_OP_RESHAPE:
  case NIB_OP_SQUEEZE:
  case NIB_OP_EXPAND_DIMS:
    return true;
  default:
    return false;
  }
}

static nib_status narrow_node(narrower *w, int32_t node) {
  const nib_node n = w->g->nodes[node];
  if (nib_node_is_erased(&n) || !narrows(&n) || w->g->tensors[n.out].format != NIB_F32)
    return NIB_OK;
  const bool product = multiplies(&n);
  if (product)
    NIB_RETURN_IF_ERROR(set_sums(w, node));
  const bool wide = product && sums_in_f32(w, &n);
  for (int32_t i = 0; i < w->g->nodes[node].n_in; ++i) {
    const int32_t t = w->g->nodes[node].in[i];
    const bool known = t != NIB_NONE && t < w->n_tensors;
    if (!known || w->g->tensors[t].format != NIB_F32 || (wide && i == 2))
      continue;
    const int32_t to = twin(w, &n, t);
    if (to == NIB_NONE)
      return out_of_memory(w);
    w->g->nodes[node].in[i] = to;
  }
  const nib_tensor y = w->g->tensors[n.out];
  const int32_t out = nib_graph_add_tensor(w->g, y.name, w->format, y.rank, y.dims);
  if (out == NIB_NONE)
    return out_of_memory(w);
  w->g->nodes[node].out = out;
  w->g->tensors[out].producer = node;
  w->narrow[n.out] = out;
  w->g->tensors[n.out].producer = NIB_NONE;
  return NIB_OK;
}

/* f32 tensors that lost their operator and are still read: outputs, and what stays f32. */
static nib_status widen_again(narrower *w, int32_t n_nodes) {
  for (int32_t t = 0; t < w->n_tensors; ++t) {
    int32_t first;
    if (w->narrow[t] == NIB_NONE || w->g->tensors[t].data || w->g->tensors[t].format != NIB_F32 ||
        w->g->tensors[w->narrow[t]].producer >= n_nodes)
      continue;
    if (nib_graph_count_uses(w->g, t, &first) == 0 && !nib_graph_is_output(w->g, t))
      continue;
    const nib_node at = w->g->nodes[w->g->tensors[w->narrow[t]].producer];
    if (add_cast(w, &at, w->narrow[t], t) == NIB_NONE)
      return out_of_memory(w);
  }
  return NIB_OK;
}

static nib_status check_rules(const narrower *w) {
  for (int i = 0; i < w->sums->n; ++i) {
    const nib_weight_rule *r = &w->sums->rows[i];
    if (r->format != NIB_F32 && r->format != w->format)
      return nib_diag_error(w->diag, NIB_ERROR_INVALID_USAGE,
                            "sums in %s: layers of %s are summed in it or in f32",
                            nib_format_get(r->format)->name, nib_format_get(w->format)->name);
    if (r->format == NIB_BF16)
      return nib_diag_error(w->diag, NIB_ERROR_INVALID_USAGE,
                            "sums in bf16: layers of bf16 are summed in f32");
  }
  return NIB_OK;
}

nib_status nib_quantize_precision(nib_graph *g, const char *format, const char *sums,
                                  const nib_diag *diag) {
  nib_weight_rules rules;
  bool used[NIB_MAX_WEIGHT_RULES] = {false};
  narrower w = {.g = g, .diag = diag, .format = nib_format_find(format), .sums = &rules, .used = used};
  if (w.format != NIB_F16 && w.format != NIB_BF16)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "precision '%.100s' is not f16 or bf16",
                          format);
  nib_status status = nib_weight_rules_parse(sums ? sums : "", &rules, diag);
  const int32_t n_nodes = g->n_nodes;
  w.n_tensors = g->n_tensors;
  w.narrow = malloc((size_t)(g->n_tensors + 1) * sizeof *w.narrow);
  if (status == NIB_OK && !w.narrow)
    status = out_of_memory(&w);
  if (status == NIB_OK)
    status = check_rules(&w);
  for (int32_t i = 0; w.narrow && i < w.n_tensors; ++i)
    w.narrow[i] = NIB_NONE;
  for (int32_t i = 0; status == NIB_OK && i < n_nodes; ++i)
    status = narrow_node(&w, i);
  if (status == NIB_OK)
    status = widen_again(&w, n_nodes);
  for (int i = 0; status == NIB_OK && i < rules.n; ++i)
    if (!used[i] && rules.rows[i].pattern[0])
      status = nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "no layer is called '%.100s'",
                              rules.rows[i].pattern);
  free(w.narrow);
  nib_weight_rules_free(&rules);
  NIB_RETURN_IF_ERROR(status);
  nib_diag_note(diag, "precision %s: %d layers, %d of them summed in f32", format, w.layers,
                w.wide_layers);
  return nib_graph_sweep(g, diag);
}
