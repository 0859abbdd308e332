/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The steps that rewrite rules are made of. */
#include "simplify/simplify.h"

#include <stdlib.h>
#include <string.h>

nib_node *nib_simplify_node(nib_simplify *s, int32_t node) { return &s->g->nodes[node]; }

void nib_simplify_check(nib_simplify *s, nib_status status) {
  if (s->status == NIB_OK && status != NIB_OK)
    s->status = nib_diag_error(s->diag, status, "simplify: out of memory");
}

int32_t nib_simplify_producer(const nib_simplify *s, int32_t tensor) {
  return tensor == NIB_NONE ? NIB_NONE : s->g->tensors[tensor].producer;
}

int32_t nib_simplify_producer_of(const nib_simplify *s, int32_t tensor, nib_op op) {
  const int32_t p = nib_simplify_producer(s, tensor);
  return p != NIB_NONE && s->g->nodes[p].op == op ? p : NIB_NONE;
}

bool nib_simplify_is_single_use(const nib_simplify *s, int32_t tensor) {
  return !nib_graph_is_output(s->g, tensor) && nib_graph_count_uses(s->g, tensor, NULL) == 1;
}

bool nib_simplify_is_float(const nib_tensor *t) {
  return t != NULL && nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

bool nib_simplify_is_8bit(const nib_tensor *t) {
  return t != NULL && t->quantized && (t->format == NIB_I8 || t->format == NIB_U8);
}

bool nib_simplify_same_type(const nib_tensor *a, const nib_tensor *b) {
  if (a->format != b->format || a->quantized != b->quantized)
    return false;
  return !a->quantized || (a->scale == b->scale && a->zero_point == b->zero_point);
}

bool nib_simplify_same_shape(const nib_tensor *a, const nib_tensor *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

int32_t nib_simplify_add_tensor(nib_simplify *s, int32_t like, int32_t rank, const int64_t *dims) {
  const nib_tensor model = s->g->tensors[like];
  int64_t copy[NIB_MAX_RANK];
  memcpy(copy, dims, (size_t)rank * sizeof *dims);
  const int32_t id = nib_graph_add_tensor(s->g, model.name, model.format, rank, copy);
  if (id == NIB_NONE)
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
  else if (model.quantized)
    nib_graph_set_quant(s->g, id, model.scale, model.zero_point);
  return id;
}

int32_t nib_simplify_add_constant(nib_simplify *s, const char *name, nib_format format,
                                  int32_t rank, const int64_t *dims, const void *data) {
  const int32_t id = nib_graph_add_tensor(s->g, name, format, rank, dims);
  if (id == NIB_NONE ||
      nib_graph_set_data(s->g, id, data, nib_tensor_bytes(&s->g->tensors[id]), NIB_DATA_COPY)) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return NIB_NONE;
  }
  return id;
}

int32_t nib_simplify_add_node(nib_simplify *s, int32_t at, nib_op op, const int32_t *in,
                              int32_t n_in, int32_t out) {
  const nib_node model = s->g->nodes[at];
  const int32_t id =
      out == NIB_NONE ? NIB_NONE
                      : nib_graph_add_node(s->g, op, model.name, model.source_index, in, n_in, out);
  if (id == NIB_NONE)
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
  return id;
}

bool nib_simplify_become(nib_simplify *s, int32_t node, nib_op op, const int32_t *in,
                         int32_t n_in) {
  int32_t *copy = nib_graph_alloc(s->g, ((size_t)n_in + 1) * sizeof *copy);
  if (copy == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return false;
  }
  memcpy(copy, in, (size_t)n_in * sizeof *in);
  nib_node *n = &s->g->nodes[node];
  n->op = op;
  n->in = copy;
  n->n_in = n_in;
  n->n_attrs = 0;
  n->attrs = NULL;
  return true;
}

void nib_simplify_take_over(nib_simplify *s, int32_t node, int32_t out) {
  nib_node *n = &s->g->nodes[node];
  const int32_t before = s->g->tensors[out].producer;
  if (before != NIB_NONE && before != node)
    nib_graph_erase_node(s->g, before);
  if (s->g->tensors[n->out].producer == node)
    s->g->tensors[n->out].producer = NIB_NONE;
  n->out = out;
  s->g->tensors[out].producer = node;
}

bool nib_simplify_forward(nib_simplify *s, int32_t node, int32_t tensor) {
  nib_graph *g = s->g;
  const int32_t out = g->nodes[node].out;
  if (!nib_graph_is_output(g, out)) {
    nib_graph_replace_uses(g, out, tensor);
    nib_graph_erase_node(g, node);
    return true;
  }
  const int32_t p = g->tensors[tensor].producer;
  if (p == NIB_NONE || nib_graph_is_output(g, tensor) ||
      !nib_simplify_same_type(&g->tensors[tensor], &g->tensors[out]) ||
      !nib_simplify_same_shape(&g->tensors[tensor], &g->tensors[out]))
    return false;
  nib_graph_replace_uses(g, tensor, out);
  nib_simplify_take_over(s, p, out);
  return true;
}

bool nib_simplify_perm(const nib_simplify *s, int32_t node, int64_t out_perm[NIB_MAX_RANK]) {
  const nib_node *n = &s->g->nodes[node];
  const int32_t rank = s->g->tensors[n->out].rank;
  for (int32_t i = 0; i < rank; ++i) {
    out_perm[i] = nib_node_ints_at(n, NIB_A_PERM, i, -1);
    if (out_perm[i] < 0 || out_perm[i] >= rank)
      return false;
  }
  return true;
}

int32_t nib_simplify_permute_constant(nib_simplify *s, int32_t tensor, const int64_t *perm) {
  const nib_tensor from = s->g->tensors[tensor];
  int64_t dims[NIB_MAX_RANK], stride[NIB_MAX_RANK], index[NIB_MAX_RANK] = {0};
  int64_t step = 1;
  for (int32_t i = from.rank - 1; i >= 0; --i) {
    stride[i] = step;
    step *= from.dims[i];
  }
  for (int32_t i = 0; i < from.rank; ++i)
    dims[i] = from.dims[perm[i]];
  const size_t size = nib_format_bytes(from.format);
  const int64_t n = nib_tensor_elems(&from);
  unsigned char *data = malloc((size_t)n * size + 1);
  if (data == NULL) {
    nib_simplify_check(s, NIB_ERROR_OUT_OF_MEMORY);
    return NIB_NONE;
  }
  for (int64_t k = 0; k < n; ++k) {
    int64_t at = 0;
    for (int32_t i = 0; i < from.rank; ++i)
      at += index[i] * stride[perm[i]];
    memcpy(data + (size_t)k * size, (const unsigned char *)from.data + (size_t)at * size, size);
    for (int32_t i = from.rank - 1; i >= 0 && ++index[i] == dims[i]; --i)
      index[i] = 0;
  }
  const int32_t id = nib_simplify_add_constant(s, from.name, from.format, from.rank, dims, data);
  free(data);
  if (id != NIB_NONE && from.quantized)
    nib_graph_set_quant(s->g, id, from.scale, from.zero_point);
  return id;
}

int32_t nib_simplify_reshape_constant(nib_simplify *s, int32_t tensor, int32_t rank,
                                      const int64_t *dims) {
  const nib_tensor from = s->g->tensors[tensor];
  const int32_t id = nib_simplify_add_tensor(s, tensor, rank, dims);
  if (id != NIB_NONE) {
    nib_simplify_check(s,
                       nib_graph_set_data(s->g, id, from.data, from.data_bytes, NIB_DATA_BORROWED));
    s->g->tensors[id].origin = NULL;
  }
  return id;
}

/* --- dequantize --- */

bool nib_simplify_dequant_of(const nib_simplify *s, int32_t tensor, nib_dequant *out) {
  const int32_t p = nib_simplify_producer_of(s, tensor, NIB_OP_DEQUANTIZE);
  if (p == NIB_NONE)
    return false;
  const nib_node *n = &s->g->nodes[p];
  const nib_tensor *code = &s->g->tensors[n->in[0]], *scales = nib_node_input(s->g, n, 1);
  memset(out, 0, sizeof *out);
  out->code = n->in[0];
  out->zero_points = n->n_in > 2 ? n->in[2] : NIB_NONE;
  out->axis = nib_node_int(n, NIB_A_AXIS, 0);
  if (out->axis < 0)
    out->axis += code->rank;
  out->n = 1;
  if (nib_simplify_is_float(code) || !nib_simplify_is_float(&s->g->tensors[tensor]) ||
      s->g->tensors[tensor].format != NIB_F32)
    return false;
  if (scales != NULL) { /* blocks, and what is not constant, stay as they are */
    if (scales->data == NULL || scales->format != NIB_F32 || scales->rank > 1)
      return false;
    out->scales = scales->data;
    out->n = nib_tensor_elems(scales);
  } else if (code->quantized) {
    out->scale = code->scale;
    out->zero_point = code->zero_point;
  } else if (nib_format_get(code->format)->kind == NIB_KIND_BIPOLAR) {
    out->scale = 1;
  } else {
    return false;
  }
  return out->zero_points == NIB_NONE || (s->g->tensors[out->zero_points].data != NULL &&
                                          !nib_simplify_is_float(&s->g->tensors[out->zero_points]));
}

double nib_dequant_scale(const nib_dequant *d, int64_t channel) {
  return d->scales != NULL ? (double)d->scales[d->n > 1 ? channel : 0] : d->scale;
}

int64_t nib_simplify_code_at(const nib_tensor *t, int64_t i) {
  return nib_format_load_code(t->format, t->data, i);
}

int64_t nib_dequant_zero_point(const nib_simplify *s, const nib_dequant *d, int64_t channel) {
  if (d->zero_points == NIB_NONE)
    return d->zero_point;
  const nib_tensor *t = &s->g->tensors[d->zero_points];
  return nib_simplify_code_at(t, nib_tensor_elems(t) > 1 ? channel : 0);
}
