/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Gemm and MatMul: a fully connected layer where the right operand is a constant matrix, otherwise
 * a matrix product. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static bool is_constant(const nib_onnx_value *v) { return v->data || v->codes; }

static nib_status finish(nib_onnx_node *n, int32_t tensor) {
  return tensor == NIB_NONE ? n->ctx->failure : nib_onnx_set_result(n, tensor);
}

static int32_t result_of(nib_onnx_node *n, int32_t node) {
  return node == NIB_NONE ? NIB_NONE : n->ctx->graph->nodes[node].out;
}

/* input [M, K] x filter [N, K] + bias. */
static int32_t emit_dense(nib_onnx_node *n, int32_t input, int32_t filter, int32_t bias,
                          const char *suffix) {
  const nib_graph *g = n->ctx->graph;
  const int32_t in[] = {input, filter, bias};
  const int64_t dims[] = {g->tensors[input].dims[0], g->tensors[filter].dims[0]};
  return result_of(n, nib_onnx_emit(n, NIB_OP_FULLY_CONNECTED, in, bias == NIB_NONE ? 2 : 3,
                                    NIB_NONE, 2, dims, suffix));
}

static int32_t emit_elementwise(nib_onnx_node *n, nib_op op, int32_t a, int32_t b,
                                const char *suffix) {
  const int32_t in[] = {a, b};
  int64_t dims[2];
  memcpy(dims, n->ctx->graph->tensors[a].dims, sizeof dims);
  return result_of(n, nib_onnx_emit(n, op, in, 2, NIB_NONE, 2, dims, suffix));
}

static int32_t scaled(nib_onnx_node *n, int32_t t, float factor, const char *suffix) {
  if (factor == 1.0f)
    return t;
  nib_graph *g = n->ctx->graph;
  float *data = (float *)(void *)nib_onnx_fold_alloc(n, sizeof factor);
  if (!data)
    return NIB_NONE;
  *data = factor;
  int32_t k = nib_onnx_emit_constant(n, "factor", NIB_F32, 0, NULL, data);
  if (k == NIB_NONE)
    return NIB_NONE;
  const int32_t in[] = {t, k};
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = g->tensors[t].rank;
  memcpy(dims, g->tensors[t].dims, sizeof dims);
  return result_of(n, nib_onnx_emit(n, NIB_OP_MUL, in, 2, NIB_NONE, rank, dims, suffix));
}

/* The constant addend as a bias of `channels` elements, or NIB_NONE (not an error) if it is not
 * one. */
static bool is_bias(const nib_onnx_value *c, int64_t channels) {
  if (!c || !is_constant(c))
    return false;
  return nib_onnx_count_elems(c->dims, c->rank) == channels && c->rank >= 1 &&
         c->dims[c->rank - 1] == channels;
}

static int32_t emit_bias(nib_onnx_node *n, nib_onnx_value *c, int64_t channels) {
  if (c->rank == 1)
    return nib_onnx_materialize(n, c);
  int32_t t = nib_onnx_materialize(n, c);
  return t == NIB_NONE ? NIB_NONE
                       : nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, t, 1, &channels, "_bias");
}

/* A rank-1 view of a plain constant needs no operator. */
static int32_t plain_bias(nib_onnx_node *n, nib_onnx_value *c, int64_t channels) {
  if (c->data && c->rank != 1)
    return nib_onnx_emit_constant(n, c->name, c->format, 1, &channels, c->data);
  return emit_bias(n, c, channels);
}

typedef struct gemm {
  nib_onnx_value *a, *b, *c;
  bool trans_a, trans_b;
  float alpha, beta;
  int64_t m, k, n;
} gemm;

static nib_status read_gemm(nib_onnx_node *n, gemm *p) {
  p->a = nib_onnx_input(n, 0);
  p->b = nib_onnx_input(n, 1);
  p->c = nib_onnx_input(n, 2);
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, p->a));
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, p->b));
  if (p->c)
    NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, p->c));
  p->trans_a = nib_onnx_attr_int(n, "transA", 0) != 0;
  p->trans_b = nib_onnx_attr_int(n, "transB", 0) != 0;
  p->alpha = nib_onnx_attr_float(n, "alpha", 1.0f);
  p->beta = nib_onnx_attr_float(n, "beta", 1.0f);
  if (!isfinite(p->alpha) || !isfinite(p->beta))
    return nib_onnx_invalid(n, "alpha or beta is not finite");
  if (p->a->rank != 2 || p->b->rank != 2)
    return nib_onnx_invalid(n, "its operands have ranks %d and %d, not 2", p->a->rank, p->b->rank);
  p->m = p->a->dims[p->trans_a];
  p->k = p->a->dims[!p->trans_a];
  p->n = p->b->dims[!p->trans_b];
  if (p->b->dims[p->trans_b] != p->k)
    return nib_onnx_invalid(n, "its inner dimensions are %" PRId64 " and %" PRId64, p->k,
                            p->b->dims[p->trans_b]);
  const nib_onnx_value result = {.rank = 2, .dims = {p->m, p->n}};
  int64_t dims[NIB_MAX_RANK];
  int32_t rank = 2;
  if (p->c)
    NIB_RETURN_IF_ERROR(nib_onnx_broadcast(n, &result, p->c, &rank, dims));
  if (p->c && (rank != 2 || dims[0] != p->m || dims[1] != p->n))
    return nib_onnx_invalid(n, "its addend is larger than its product");
  return NIB_OK;
}

static int32_t transposed(nib_onnx_node *n, nib_onnx_value *v, bool transpose, const char *suffix) {
  static const int64_t swap[] = {1, 0};
  int32_t t;
  if (!transpose)
    return nib_onnx_materialize(n, v);
  if (is_constant(v))
    return nib_onnx_materialize_permuted(n, v, v->dims, 2, swap);
  t = nib_onnx_materialize(n, v);
  return t == NIB_NONE ? NIB_NONE : nib_onnx_emit_transpose(n, t, swap, suffix);
}

/* alpha * A * B, with the bias inside where it can be. */
static int32_t emit_product(nib_onnx_node *n, gemm *p, bool bias_inside, bool last) {
  const char *suffix = last && p->alpha == 1.0f ? "" : "_product";
  int32_t a = transposed(n, p->a, p->trans_a, "_a");
  if (a == NIB_NONE)
    return NIB_NONE;
  int32_t t;
  if (is_constant(p->b)) {
    int32_t b = transposed(n, p->b, !p->trans_b, "_b");
    int32_t bias = b != NIB_NONE && bias_inside ? plain_bias(n, p->c, p->n) : NIB_NONE;
    if (b == NIB_NONE || (bias_inside && bias == NIB_NONE))
      return NIB_NONE;
    t = emit_dense(n, a, b, bias, suffix);
  } else {
    const int64_t dims[] = {p->m, p->n};
    int32_t in[] = {a, transposed(n, p->b, p->trans_b, "_b")};
    if (in[1] == NIB_NONE)
      return NIB_NONE;
    t = result_of(n, nib_onnx_emit(n, NIB_OP_MATMUL, in, 2, NIB_NONE, 2, dims, suffix));
  }
  return t == NIB_NONE ? NIB_NONE : scaled(n, t, p->alpha, last ? "" : "_scaled");
}

nib_status nib_onnx_import_gemm(nib_onnx_node *n) {
  gemm p = {0};
  NIB_RETURN_IF_ERROR(read_gemm(n, &p));
  bool bias_inside = is_constant(p.b) && p.alpha == 1.0f && p.beta == 1.0f && is_bias(p.c, p.n);
  bool last = !p.c || bias_inside;
  int32_t t = emit_product(n, &p, bias_inside, last);
  if (t == NIB_NONE || last)
    return finish(n, t);
  int32_t c = nib_onnx_materialize(n, p.c);
  c = c == NIB_NONE ? NIB_NONE : scaled(n, c, p.beta, "_addend");
  return finish(n, c == NIB_NONE ? NIB_NONE : emit_elementwise(n, NIB_OP_ADD, t, c, ""));
}

/* [.., M, K] x constant [K, N]: rows of one matrix. */
static nib_status import_dense(nib_onnx_node *n, nib_onnx_value *a, nib_onnx_value *b) {
  int64_t k = a->dims[a->rank - 1], dims[NIB_MAX_RANK];
  int64_t rows = nib_onnx_count_elems(a->dims, a->rank - 1);
  int32_t x = nib_onnx_materialize(n, a);
  int32_t filter = x == NIB_NONE ? NIB_NONE : transposed(n, b, true, "_b");
  if (filter == NIB_NONE)
    return n->ctx->failure;
  if (a->rank == 2)
    return finish(n, emit_dense(n, x, filter, NIB_NONE, ""));
  const int64_t flat[] = {rows, k};
  x = nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, x, 2, flat, "_rows");
  int32_t y = x == NIB_NONE ? NIB_NONE : emit_dense(n, x, filter, NIB_NONE, "_product");
  if (y == NIB_NONE)
    return n->ctx->failure;
  memcpy(dims, a->dims, sizeof dims);
  dims[a->rank - 1] = b->dims[1];
  return finish(n, nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, y, a->rank, dims, ""));
}

/* A vector as a matrix: [K] becomes [1, K] on the left, [K, 1] on the right. */
static int32_t as_matrix(nib_onnx_node *n, nib_onnx_value *v, bool left) {
  int32_t t = nib_onnx_materialize(n, v);
  if (t == NIB_NONE || v->rank != 1)
    return t;
  const int64_t dims[] = {left ? 1 : v->dims[0], left ? v->dims[0] : 1};
  return nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, t, 2, dims, left ? "_row" : "_column");
}

nib_status nib_onnx_import_matmul(nib_onnx_node *n) {
  nib_onnx_value *a = nib_onnx_input(n, 0), *b = nib_onnx_input(n, 1);
  NIB_RETURN_IF_ERROR(nib_onnx_require_reals(n));
  if (a->rank < 1 || b->rank < 1)
    return nib_onnx_invalid(n, "an operand is a scalar");
  int64_t k = a->dims[a->rank - 1], kb = b->rank == 1 ? b->dims[0] : b->dims[b->rank - 2];
  if (k != kb)
    return nib_onnx_invalid(n, "its inner dimensions are %" PRId64 " and %" PRId64, k, kb);
  if (is_constant(b) && b->rank == 2 && a->rank >= 2 && a->format == NIB_F32)
    return import_dense(n, a, b);
  int32_t in[2];
  in[0] = as_matrix(n, a, true);
  in[1] = in[0] == NIB_NONE ? NIB_NONE : as_matrix(n, b, false);
  if (in[1] == NIB_NONE)
    return n->ctx->failure;
  /* Leading dimensions broadcast; the last two are the matrices'. */
  const nib_tensor *ta = &n->ctx->graph->tensors[in[0]], *tb = &n->ctx->graph->tensors[in[1]];
  nib_onnx_value la = {.rank = ta->rank - 2}, lb = {.rank = tb->rank - 2};
  memcpy(la.dims, ta->dims, sizeof la.dims);
  memcpy(lb.dims, tb->dims, sizeof lb.dims);
  int64_t rows = ta->dims[ta->rank - 2], columns = tb->dims[tb->rank - 1];
  int64_t dims[NIB_MAX_RANK], squeezed[NIB_MAX_RANK];
  int32_t rank, kept;
  NIB_RETURN_IF_ERROR(nib_onnx_broadcast(n, &la, &lb, &rank, dims));
  kept = rank;
  memcpy(squeezed, dims, sizeof squeezed);
  if (a->rank > 1)
    squeezed[kept++] = rows;
  if (b->rank > 1)
    squeezed[kept++] = columns;
  dims[rank++] = rows;
  dims[rank++] = columns;
  bool vector = a->rank == 1 || b->rank == 1;
  int32_t t = result_of(
      n, nib_onnx_emit(n, NIB_OP_MATMUL, in, 2, in[0], rank, dims, vector ? "_product" : ""));
  if (t == NIB_NONE || !vector)
    return finish(n, t);
  return finish(n, nib_onnx_emit_reshape(n, NIB_OP_RESHAPE, t, kept, squeezed, ""));
}
