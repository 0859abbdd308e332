/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Writing the graph: constants where they are used, operators, and the transposes around spatial
 * operators. */
#include "onnx_internal.h"

#include "import/import_util.h"

#include <stdio.h>
#include <string.h>

void nib_onnx_permute(const uint8_t *from, uint8_t *to, size_t elem_bytes, int32_t rank,
                      const int64_t *dims, const int64_t *perm) {
  int64_t strides[NIB_MAX_RANK], counts[NIB_MAX_RANK], at[NIB_MAX_RANK] = {0}, total = 1;
  int64_t source_stride = 1;
  int64_t by_source[NIB_MAX_RANK];
  for (int32_t i = rank - 1; i >= 0; --i) {
    by_source[i] = source_stride;
    source_stride *= dims[i];
  }
  for (int32_t i = 0; i < rank; ++i) {
    strides[i] = by_source[perm[i]];
    counts[i] = dims[perm[i]];
    total *= counts[i];
  }
  int64_t offset = 0;
  for (int64_t k = 0; k < total; ++k) {
    memcpy(to + (size_t)k * elem_bytes, from + (size_t)offset * elem_bytes, elem_bytes);
    for (int32_t i = rank - 1; i >= 0; --i) {
      offset += strides[i];
      if (++at[i] < counts[i])
        break;
      offset -= strides[i] * counts[i];
      at[i] = 0;
    }
  }
}

static nib_status check_shape(nib_onnx_node *n, int32_t rank, const int64_t *dims) {
  if (rank > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "rank %d is above %d", rank, NIB_MAX_RANK);
  int64_t count = nib_onnx_count_elems(dims, rank);
  if (count < 0)
    return nib_onnx_invalid(n, "the shape of its result is negative or too large");
  if (count == 0)
    return nib_onnx_unsupported(n, "a tensor without elements");
  return NIB_OK;
}

static int32_t add_tensor(nib_onnx_node *n, const char *name, nib_format format, int32_t rank,
                          const int64_t *dims) {
  if (check_shape(n, rank, dims) != NIB_OK)
    return NIB_NONE;
  const char *clean = nib_import_clean_name(n->ctx->graph, name, strlen(name));
  int32_t t = nib_graph_add_tensor(n->ctx->graph, clean, format, rank, dims);
  if (t == NIB_NONE)
    nib_onnx_out_of_memory(n->ctx);
  return t;
}

int32_t nib_onnx_emit_constant(nib_onnx_node *n, const char *name, nib_format format, int32_t rank,
                               const int64_t *dims, const void *data) {
  int32_t t = add_tensor(n, name, format, rank, dims);
  if (t == NIB_NONE)
    return NIB_NONE;
  size_t bytes = nib_tensor_bytes(&n->ctx->graph->tensors[t]);
  if (nib_graph_set_data(n->ctx->graph, t, data, bytes, NIB_DATA_BORROWED) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return t;
}

static int32_t emit_value(nib_onnx_node *n, const nib_onnx_value *v) {
  return nib_onnx_emit_constant(n, v->name, v->format, v->rank, v->dims, v->data);
}

int64_t nib_onnx_integer_at(const nib_onnx_value *v, int64_t i) {
  return nib_format_load_code(v->format, v->data, i);
}

/* The zero points as i32, the form that dequantize takes; NULL when all are 0 or absent. */
static const uint8_t *widen_zeros(nib_onnx_node *n, const nib_onnx_value *zeros) {
  int64_t count = zeros ? nib_onnx_count_elems(zeros->dims, zeros->rank) : 0;
  bool any = false;
  for (int64_t i = 0; i < count; ++i)
    any |= nib_onnx_integer_at(zeros, i) != 0;
  if (!any)
    return NULL;
  uint8_t *wide = nib_onnx_fold_alloc(n, (size_t)count * sizeof(int32_t));
  for (int64_t i = 0; wide && i < count; ++i) {
    int32_t value = (int32_t)nib_onnx_integer_at(zeros, i);
    memcpy(wide + (size_t)i * sizeof value, &value, sizeof value);
  }
  return wide;
}

const float *nib_onnx_float_vector(nib_onnx_node *n, const nib_onnx_value *v) {
  if (v->data && v->format == NIB_F32)
    return (const float *)(const void *)v->data;
  if (v->data || !v->codes || v->rank != 1 || v->scales->format != NIB_F32) {
    nib_onnx_unsupported(n, "'%.100s' is not a constant vector of f32", v->name);
    return NULL;
  }
  float *out = (float *)(void *)nib_onnx_fold_alloc(n, (size_t)v->dims[0] * sizeof *out);
  const bool one = v->axis == NIB_ONNX_ABSENT;
  for (int64_t i = 0; out && i < v->dims[0]; ++i) {
    float scale;
    memcpy(&scale, v->scales->data + (one ? 0 : (size_t)i * sizeof scale), sizeof scale);
    const int64_t zero = v->zeros ? nib_onnx_integer_at(v->zeros, one ? 0 : i) : 0;
    out[i] = (float)(nib_onnx_integer_at(v->codes, i) - zero) * scale;
  }
  return out;
}

/* dequantize of the constant tensor `codes`, whose scales lie along `axis`. */
static int32_t emit_dequantize(nib_onnx_node *n, const nib_onnx_value *v, int32_t codes,
                               int32_t axis) {
  nib_graph *g = n->ctx->graph;
  int32_t in[3] = {codes, NIB_NONE, NIB_NONE}, n_in = 1;
  if (axis == NIB_ONNX_ABSENT && nib_format_get(v->codes->format)->kind == NIB_KIND_BIPOLAR) {
    in[1] = nib_onnx_emit_constant(n, v->scales->name, NIB_F32, 1, (int64_t[]){1}, v->scales->data);
    if (in[1] == NIB_NONE)
      return NIB_NONE;
    n_in = 2;
  } else if (axis == NIB_ONNX_ABSENT) {
    float scale;
    memcpy(&scale, v->scales->data, sizeof scale);
    nib_graph_set_quant(g, codes, scale, v->zeros ? nib_onnx_integer_at(v->zeros, 0) : 0);
  } else {
    in[1] = emit_value(n, v->scales);
    if (in[1] == NIB_NONE)
      return NIB_NONE;
    n_in = 2;
    const uint8_t *zeros = widen_zeros(n, v->zeros);
    if (zeros) {
      in[2] = nib_onnx_emit_constant(n, v->zeros->name, NIB_I32, 1, &v->dims[v->axis], zeros);
      if (in[2] == NIB_NONE)
        return NIB_NONE;
      n_in = 3;
    }
  }
  nib_onnx_node source = *n;
  source.index = v->dequantize_index;
  source.name = v->name;
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = g->tensors[codes].rank;
  memcpy(dims, g->tensors[codes].dims, sizeof dims);
  int32_t node = nib_onnx_emit(&source, NIB_OP_DEQUANTIZE, in, n_in, NIB_NONE, rank, dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  if (axis != NIB_ONNX_ABSENT && nib_graph_set_int(g, node, NIB_A_AXIS, axis) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  g->tensors[g->nodes[node].out].name = g->nodes[node].name;
  return g->nodes[node].out;
}

int32_t nib_onnx_materialize(nib_onnx_node *n, nib_onnx_value *v) {
  if (v->tensor != NIB_NONE)
    return v->tensor;
  if (v->codes) {
    int32_t codes = emit_value(n, v->codes);
    v->tensor = codes == NIB_NONE ? NIB_NONE : emit_dequantize(n, v, codes, v->axis);
  } else if (v->data)
    v->tensor = emit_value(n, v);
  else
    nib_onnx_invalid(n, "'%.100s' has no value", v->name);
  return v->tensor;
}

/* Constant bytes of `v` seen as `dims` and permuted. */
static int32_t emit_permuted(nib_onnx_node *n, const nib_onnx_value *v, const int64_t *dims,
                             int32_t rank, const int64_t *perm) {
  int64_t permuted[NIB_MAX_RANK];
  bool identity = true;
  for (int32_t i = 0; i < rank; ++i) {
    permuted[i] = dims[perm[i]];
    identity &= perm[i] == i;
  }
  const uint8_t *data = v->data;
  if (!identity) {
    uint8_t *copy = nib_onnx_fold_alloc(n, v->bytes);
    if (!copy)
      return NIB_NONE;
    nib_onnx_permute(v->data, copy, nib_format_bytes(v->format), rank, dims, perm);
    data = copy;
  }
  return nib_onnx_emit_constant(n, v->name, v->format, rank, permuted, data);
}

/* Where dimension `axis` of `v` is after it is seen as `dims` (1s inserted) and permuted. */
static int32_t map_axis(const nib_onnx_value *v, const int64_t *dims, int32_t rank,
                        const int64_t *perm) {
  if (v->axis == NIB_ONNX_ABSENT)
    return NIB_ONNX_ABSENT;
  int32_t from = 0, at = v->axis;
  for (int32_t i = 0; i < rank && from < v->rank; ++i) {
    bool inserted = rank - i > v->rank - from && dims[i] == 1 && v->dims[from] != 1;
    if (inserted)
      continue;
    if (from == v->axis)
      at = i;
    ++from;
  }
  for (int32_t i = 0; i < rank; ++i)
    if (perm[i] == at)
      return i;
  return NIB_ONNX_ABSENT;
}

int32_t nib_onnx_materialize_permuted(nib_onnx_node *n, nib_onnx_value *v, const int64_t *dims,
                                      int32_t rank, const int64_t *perm) {
  if (v->codes) {
    int32_t codes = emit_permuted(n, v->codes, dims, rank, perm);
    return codes == NIB_NONE ? NIB_NONE
                             : emit_dequantize(n, v, codes, map_axis(v, dims, rank, perm));
  }
  if (v->data)
    return emit_permuted(n, v, dims, rank, perm);
  int32_t t = nib_onnx_materialize(n, v);
  if (t != NIB_NONE && rank != v->rank)
    t = nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, t, rank, dims, "_filter");
  return t == NIB_NONE ? NIB_NONE : nib_onnx_emit_transpose(n, t, perm, "_filter_nhwc");
}

/* A plain real format; f32 for everything else. */
static nib_format real_format(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_FLOAT ? t->format : NIB_F32;
}

int32_t nib_onnx_emit(nib_onnx_node *n, nib_op op, const int32_t *in, int32_t n_in, int32_t like,
                      int32_t rank, const int64_t *dims, const char *suffix) {
  nib_graph *g = n->ctx->graph;
  const nib_format format = like != NIB_NONE ? g->tensors[like].format
                            : n_in > 0       ? real_format(&g->tensors[in[0]])
                                             : NIB_F32;
  const int32_t node = nib_onnx_emit_as(n, op, in, n_in, format, rank, dims, suffix);
  if (node != NIB_NONE && like != NIB_NONE && g->tensors[like].quantized)
    nib_graph_set_quant(g, g->nodes[node].out, g->tensors[like].scale, g->tensors[like].zero_point);
  return node;
}

int32_t nib_onnx_emit_as(nib_onnx_node *n, nib_op op, const int32_t *in, int32_t n_in,
                         nib_format format, int32_t rank, const int64_t *dims, const char *suffix) {
  nib_graph *g = n->ctx->graph;
  char name[512];
  const char *base = n->proto->n_output && n->proto->output[0][0] ? n->proto->output[0] : n->name;
  snprintf(name, sizeof name, "%.480s%s", base, suffix);
  int32_t out = add_tensor(n, name, format, rank, dims);
  if (out == NIB_NONE)
    return NIB_NONE;
  const char *clean = nib_import_clean_name(g, n->name, strlen(n->name));
  int32_t node = nib_graph_add_node(g, op, clean, n->index, in, n_in, out);
  if (node == NIB_NONE)
    nib_onnx_out_of_memory(n->ctx);
  return node;
}

int32_t nib_onnx_emit_transpose(nib_onnx_node *n, int32_t in, const int64_t *perm,
                                const char *suffix) {
  nib_graph *g = n->ctx->graph;
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = g->tensors[in].rank;
  for (int32_t i = 0; i < rank; ++i)
    dims[i] = g->tensors[in].dims[perm[i]];
  int32_t node = nib_onnx_emit(n, NIB_OP_TRANSPOSE, &in, 1, in, rank, dims, suffix);
  if (node == NIB_NONE)
    return NIB_NONE;
  if (nib_graph_set_ints(g, node, NIB_A_PERM, perm, rank) != NIB_OK) {
    nib_onnx_out_of_memory(n->ctx);
    return NIB_NONE;
  }
  return g->nodes[node].out;
}

int32_t nib_onnx_emit_reshape(nib_onnx_node *n, nib_op op, int32_t in, int32_t rank,
                              const int64_t *dims, const char *suffix) {
  int32_t node = nib_onnx_emit(n, op, &in, 1, in, rank, dims, suffix);
  return node == NIB_NONE ? NIB_NONE : n->ctx->graph->nodes[node].out;
}

int32_t nib_onnx_to_nhwc(nib_onnx_node *n, int32_t in) {
  static const int64_t perm[] = {0, 2, 3, 1};
  const nib_tensor *t = &n->ctx->graph->tensors[in];
  if (t->rank == 3) {
    const int64_t dims[] = {t->dims[0], t->dims[1], 1, t->dims[2]};
    in = nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, in, 4, dims, "_2d");
  }
  return in == NIB_NONE ? NIB_NONE : nib_onnx_emit_transpose(n, in, perm, "_nhwc_in");
}

int32_t nib_onnx_from_nhwc(nib_onnx_node *n, int32_t in, int32_t spatial) {
  static const int64_t perm[] = {0, 3, 1, 2};
  int32_t out = nib_onnx_emit_transpose(n, in, perm, spatial == 1 ? "_2d_out" : "");
  if (out == NIB_NONE || spatial != 1)
    return out;
  const nib_tensor *t = &n->ctx->graph->tensors[out];
  const int64_t dims[] = {t->dims[0], t->dims[1], t->dims[3]};
  return nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, out, 3, dims, "");
}

nib_status nib_onnx_set_result(nib_onnx_node *n, int32_t tensor) {
  return nib_onnx_set_result_at(n, 0, tensor);
}

nib_status nib_onnx_set_result_at(nib_onnx_node *n, size_t i, int32_t tensor) {
  int32_t id = nib_onnx_find_value(n->ctx, n->proto->output[i]);
  if (id == NIB_ONNX_ABSENT)
    return nib_onnx_invalid(n, "its output has no name");
  nib_onnx_value *v = &n->ctx->values[id];
  const nib_tensor *t = &n->ctx->graph->tensors[tensor];
  v->tensor = tensor;
  v->format = t->format;
  v->rank = t->rank;
  memcpy(v->dims, t->dims, sizeof v->dims);
  v->is_known = true;
  v->data = nib_onnx_evaluate(n->ctx, tensor);
  if (v->data) {
    v->bytes = nib_tensor_bytes(t);
    v->tensor = NIB_NONE; /* written where it is used */
  }
  return NIB_OK;
}

nib_status nib_onnx_set_constant(nib_onnx_node *n, nib_format format, int32_t rank,
                                 const int64_t *dims, const uint8_t *data) {
  int32_t id = nib_onnx_find_value(n->ctx, n->proto->output[0]);
  if (id == NIB_ONNX_ABSENT)
    return nib_onnx_invalid(n, "its output has no name");
  nib_onnx_value *v = &n->ctx->values[id];
  v->format = format;
  v->rank = rank;
  if (rank)
    memcpy(v->dims, dims, (size_t)rank * sizeof *dims);
  v->data = data;
  v->bytes = (size_t)nib_onnx_count_elems(dims, rank) * nib_format_bytes(format);
  v->is_known = true;
  return NIB_OK;
}

nib_status nib_onnx_require_f32(nib_onnx_node *n, const nib_onnx_value *v) {
  if (v->format == NIB_F32 || v->format == NIB_F16 || v->format == NIB_BF16)
    return NIB_OK;
  return nib_onnx_unsupported(n, "'%.100s' is %s, only f32, f16 and bf16 are supported here",
                              v->name, nib_format_get(v->format)->name);
}

nib_status nib_onnx_broadcast(nib_onnx_node *n, const nib_onnx_value *a, const nib_onnx_value *b,
                              int32_t *out_rank, int64_t *out_dims) {
  int32_t rank = a->rank > b->rank ? a->rank : b->rank;
  for (int32_t i = 0; i < rank; ++i) {
    int32_t ia = i - (rank - a->rank), ib = i - (rank - b->rank);
    int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
    if (da != db && da != 1 && db != 1)
      return nib_onnx_invalid(n, "shapes do not broadcast: %lld against %lld", (long long)da,
                              (long long)db);
    out_dims[i] = da == 1 ? db : da;
  }
  *out_rank = rank;
  return NIB_OK;
}
