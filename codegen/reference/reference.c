/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The evaluator: buffers, the table of kernels, the walk over the nodes. */
#include "reference/internal.h"

#include <stdlib.h>
#include <string.h>

/* A formula per format exists when operands and result are all codes or all reals. */
static bool same_kind(const nib_graph *g, const nib_node *n) {
  const bool real = nib_ref_is_real(&g->tensors[n->out]);
  for (int32_t i = 0; i < n->n_in && i < 2; ++i)
    if (n->in[i] != NIB_NONE && nib_ref_is_real(&g->tensors[n->in[i]]) != real)
      return false;
  return true;
}

/* Integer codes need scales, unless the result is plain integers computed from plain integers. */
static bool codes_have_scales(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out], *x = nib_node_input(g, n, 0);
  return same_kind(g, n) && (nib_ref_is_real(y) || (x && x->quantized && y->quantized));
}

/* Some functions are defined for plain integers as well. */
static bool function_accepts(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  const bool plain = x && !x->quantized && !y->quantized && !nib_ref_is_real(y);
  return codes_have_scales(g, n) ||
         (plain && x->format == y->format && nib_params_integer_function(n->op));
}

static bool plain_or_scaled(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  const nib_tensor *a = nib_node_input(g, n, 0), *b = nib_node_input(g, n, 1);
  return same_kind(g, n) && a && b && a->quantized == y->quantized && b->quantized == y->quantized;
}

static bool is_bipolar(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_BIPOLAR;
}

static bool accumulates(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *y = &g->tensors[n->out];
  const nib_tensor *bias = n->op == NIB_OP_MATMUL ? NULL : nib_node_input(g, n, 2);
  const nib_tensor *scales = n->op == NIB_OP_MATMUL ? NULL : nib_node_input(g, n, 3);
  if (!x || !w || !same_kind(g, n))
    return false;
  if (nib_ref_is_real(y) || y->format == NIB_I32 || y->format == NIB_I64)
    return !bias || nib_ref_is_real(bias) == nib_ref_is_real(y);
  return (x->quantized || is_bipolar(x)) && y->quantized &&
         (w->quantized || is_bipolar(w) || (scales && scales->data)) &&
         (!bias || !nib_ref_is_real(bias));
}

/* quantize: to a type that has the scale, or by scales that are operands. */
static bool quantizes(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  return nib_node_input(g, n, 1) ? x && nib_ref_is_real(x)
                                 : is_bipolar(y) || (y->quantized && !nib_ref_is_real(y));
}

static bool to_codes(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  return is_bipolar(y) || (y->quantized && !nib_ref_is_real(y));
}

static bool requantizes(const nib_graph *g, const nib_node *n) {
  const nib_tensor *multipliers = nib_node_input(g, n, 2), *shifts = nib_node_input(g, n, 3);
  if (!multipliers)
    return to_codes(g, n);
  return multipliers->data && shifts && shifts->data && !nib_ref_is_real(&g->tensors[n->out]);
}

static bool to_reals(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0);
  return x && nib_ref_is_real(&g->tensors[n->out]) &&
         (x->quantized || is_bipolar(x) || (n->n_in > 1 && n->in[1] != NIB_NONE));
}

static bool lookup_accepts(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *table = nib_node_input(g, n, 1);
  return x && table && (x->format == NIB_I8 || x->format == NIB_U8) &&
         nib_tensor_elems(table) == 256 && table->format == g->tensors[n->out].format;
}

static const nib_ref_op ops[NIB_OP_COUNT] = {
    [NIB_OP_CONSTANT] = {nib_ref_constant, NULL},
    [NIB_OP_CONV2D] = {nib_ref_conv2d, accumulates},
    [NIB_OP_DEPTHWISE_CONV2D] = {nib_ref_conv2d, accumulates},
    [NIB_OP_TRANSPOSE_CONV2D] = {nib_ref_transpose_conv2d, accumulates},
    [NIB_OP_FULLY_CONNECTED] = {nib_ref_fully_connected, accumulates},
    [NIB_OP_MATMUL] = {nib_ref_matmul, accumulates},
    [NIB_OP_AVG_POOL2D] = {nib_ref_avg_pool2d, codes_have_scales},
    [NIB_OP_MAX_POOL2D] = {nib_ref_max_pool2d, same_kind},
    [NIB_OP_MEAN] = {nib_ref_mean, codes_have_scales},
    [NIB_OP_ADD] = {nib_ref_arithmetic, plain_or_scaled},
    [NIB_OP_SUB] = {nib_ref_arithmetic, plain_or_scaled},
    [NIB_OP_MUL] = {nib_ref_arithmetic, plain_or_scaled},
    [NIB_OP_DIV] = {nib_ref_arithmetic, plain_or_scaled},
    [NIB_OP_REDUCE] = {nib_ref_reduce, same_kind},
    [NIB_OP_CUMULATE] = {nib_ref_cumulate, same_kind},
    [NIB_OP_BITCAST] = {nib_ref_bitcast, NULL},
    [NIB_OP_WHERE] = {nib_ref_where, NULL},
    [NIB_OP_SOFTMAX] = {nib_ref_softmax, codes_have_scales},
    [NIB_OP_LOOKUP] = {nib_ref_lookup, lookup_accepts},
    [NIB_OP_MULTI_THRESHOLD] = {nib_ref_multi_threshold, NULL},
    [NIB_OP_PAD] = {nib_ref_pad, NULL},
    [NIB_OP_RESHAPE] = {nib_ref_copy, NULL},
    [NIB_OP_TRANSPOSE] = {nib_ref_transpose, NULL},
    [NIB_OP_CONCAT] = {nib_ref_concat, NULL},
    [NIB_OP_SLICE] = {nib_ref_slice, NULL},
    [NIB_OP_STRIDED_SLICE] = {nib_ref_strided_slice, NULL},
    [NIB_OP_BROADCAST] = {nib_ref_broadcast, NULL},
    [NIB_OP_GATHER] = {nib_ref_gather, NULL},
    [NIB_OP_GATHER_ND] = {nib_ref_gather_nd, NULL},
    [NIB_OP_GATHER_ELEMENTS] = {nib_ref_gather_elements, NULL},
    [NIB_OP_SCATTER_ND] = {nib_ref_scatter_nd, NULL},
    [NIB_OP_SCATTER_ELEMENTS] = {nib_ref_scatter_elements, NULL},
    [NIB_OP_TOP_K] = {nib_ref_top_k, NULL},
    [NIB_OP_SQUEEZE] = {nib_ref_copy, NULL},
    [NIB_OP_EXPAND_DIMS] = {nib_ref_copy, NULL},
    [NIB_OP_SCAST] = {nib_ref_copy, NULL},
    [NIB_OP_CAST] = {nib_ref_cast, NULL},
    [NIB_OP_QUANTIZE] = {nib_ref_quantize_op, quantizes},
    [NIB_OP_DEQUANTIZE] = {nib_ref_dequantize, to_reals},
    [NIB_OP_REQUANTIZE] = {nib_ref_requantize, requantizes},
    [NIB_OP_PACK] = {nib_ref_pack, NULL},
    [NIB_OP_UNPACK] = {nib_ref_unpack, NULL},
};

const nib_ref_op *nib_ref_op_get(nib_op op) {
  static const nib_ref_op function = {nib_ref_unary, function_accepts};
  static const nib_ref_op binary = {nib_ref_binary, nib_ref_binary_accepts};
  if ((size_t)op >= NIB_OP_COUNT)
    return NULL;
  if (!ops[op].run && nib_op_get(op)->family == NIB_FAMILY_BINARY)
    return &binary;
  return nib_op_get(op)->family == NIB_FAMILY_FUNCTION ? &function : &ops[op];
}

bool nib_reference_supports(const nib_graph *g, int32_t node) {
  const nib_node *n = &g->nodes[node];
  const nib_ref_op *op = nib_ref_op_get(n->op);
  return op && op->run && (!op->accepts || op->accepts(g, n));
}

nib_status nib_reference_create(const nib_graph *g, nib_reference **out_reference,
                                const nib_diag *diag) {
  *out_reference = NULL;
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (!nib_node_is_erased(&g->nodes[i]) && !nib_reference_supports(g, i))
      return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                            "operator %d '%s' (%s): no reference kernel for these formats", i,
                            g->nodes[i].name, nib_op_get(g->nodes[i].op)->mnemonic);
  nib_reference *r = calloc(1, sizeof *r);
  const size_t count = g->n_tensors > 0 ? (size_t)g->n_tensors : 1;
  if (r) {
    r->g = g;
    r->data = calloc(count, sizeof *r->data);
    r->wide = calloc(count, sizeof *r->wide);
  }
  bool ok = r && r->data && r->wide;
  for (int32_t i = 0; ok && i < g->n_tensors; ++i) {
    const nib_tensor *t = &g->tensors[i];
    if (t->data)
      continue;
    r->data[i] = calloc(nib_tensor_bytes(t) + 1, 1);
    ok = r->data[i] != NULL;
  }
  if (!ok) {
    nib_reference_destroy(r);
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory for the reference");
  }
  *out_reference = r;
  return NIB_OK;
}

void nib_reference_destroy(nib_reference *r) {
  if (!r)
    return;
  for (int32_t i = 0; i < r->g->n_tensors; ++i) {
    if (r->data)
      free(r->data[i]);
    if (r->wide)
      free(r->wide[i]);
  }
  free(r->data);
  free(r->wide);
  free(r);
}

void nib_reference_use_double(nib_reference *r, bool on) { r->use_double = on; }

void nib_reference_observe(nib_reference *r, nib_reference_observer *observer, void *context) {
  r->observer = observer;
  r->observer_context = context;
}

static nib_status allocate_wide(nib_reference *r, const nib_diag *diag) {
  for (int32_t i = 0; r->use_double && i < r->g->n_tensors; ++i) {
    const nib_tensor *t = &r->g->tensors[i];
    if (t->format != NIB_F32 || r->wide[i])
      continue;
    const int64_t elems = nib_tensor_elems(t);
    r->wide[i] = calloc((size_t)elems + 1, sizeof(double));
    if (!r->wide[i])
      return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory for the reference");
    for (int64_t e = 0; t->data && e < elems; ++e)
      r->wide[i][e] = ((const float *)t->data)[e];
  }
  return NIB_OK;
}

static void set_input(nib_reference *r, int32_t tensor, const void *bytes) {
  const nib_tensor *t = &r->g->tensors[tensor];
  if (!r->data[tensor])
    return;
  memcpy(r->data[tensor], bytes, nib_tensor_bytes(t));
  if (r->use_double && r->wide[tensor])
    for (int64_t e = 0; e < nib_tensor_elems(t); ++e)
      r->wide[tensor][e] = ((const float *)r->data[tensor])[e];
}

/* To the observer, as f32 where it is kept in double; what it changes is taken over. */
static void show(nib_reference *r, int32_t tensor) {
  double *const wide = r->use_double ? r->wide[tensor] : NULL;
  nib_reference_tensor(r, tensor);
  r->observer(r->observer_context, tensor, r->data[tensor]);
  for (int64_t e = 0; wide && e < nib_tensor_elems(&r->g->tensors[tensor]); ++e) {
    const float now = ((const float *)r->data[tensor])[e];
    wide[e] = (float)wide[e] == now ? wide[e] : (double)now;
  }
}

nib_status nib_reference_run(nib_reference *r, const void *const *inputs, const nib_diag *diag) {
  const nib_graph *g = r->g;
  NIB_RETURN_IF_ERROR(allocate_wide(r, diag));
  for (int32_t i = 0; i < g->n_inputs; ++i)
    set_input(r, g->inputs[i], inputs[i]);
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    if (nib_node_is_erased(n))
      continue;
    const nib_status status = nib_ref_op_get(n->op)->run(r, n);
    if (status != NIB_OK)
      return nib_diag_error(diag, status, "operator %d '%s' (%s): the reference failed%s", i,
                            n->name, nib_op_get(n->op)->mnemonic,
                            status == NIB_ERROR_OUT_OF_MEMORY ? ": out of memory" : "");
    if (r->observer && r->data[n->out])
      show(r, n->out);
  }
  return NIB_OK;
}

const void *nib_reference_tensor(nib_reference *r, int32_t tensor) {
  const nib_tensor *t = &r->g->tensors[tensor];
  if (t->data)
    return t->data;
  if (r->use_double && r->wide[tensor])
    for (int64_t e = 0; e < nib_tensor_elems(t); ++e)
      ((float *)r->data[tensor])[e] = (float)r->wide[tensor][e];
  return r->data[tensor];
}

const double *nib_reference_doubles(const nib_reference *r, int32_t tensor) {
  return r->use_double ? r->wide[tensor] : NULL;
}
