/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * MatMulNBits of com.microsoft: products with weights of few bits, which stay so: blocks of a
 * format that is spelled out, where scales and zero points are constants. */
#include "onnx_elementwise.h"
#include "onnx_qlinear.h"

#include "num/block.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of both operators scales are input 2, zero points input 3. */
typedef struct weights {
  int64_t rows, columns, bits, block, blocks;
  const nib_onnx_value *groups; /* the block of each column, NULL: column / block */
  bool reorder;                 /* blocks are whole once the columns are sorted by them */
} weights;

/* Codes of `bits` bits, packed from the low end of each row of bytes, one to a byte. */
static uint8_t *unpack(nib_onnx_node *n, const uint8_t *from, int64_t rows, int64_t row_bytes,
                       int64_t columns, int64_t bits) {
  uint8_t *to = nib_onnx_fold_alloc(n, (size_t)(rows * columns));
  for (int64_t r = 0; to && r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      to[r * columns + c] =
          (uint8_t)(from[r * row_bytes + c * bits / 8] >> (c * bits % 8) & ((1 << bits) - 1));
  return to;
}

static int64_t group_of(const weights *w, int64_t column) {
  return w->groups ? nib_onnx_integer_at(w->groups, column) : column / w->block;
}

/* g_idx, the block of each column. */
static nib_status read_groups(nib_onnx_node *n, weights *w) {
  const nib_onnx_value *v = nib_onnx_input(n, 4);
  bool plain = true;
  if (!v)
    return NIB_OK;
  if (!v->data || v->format != NIB_I32)
    return nib_onnx_unsupported(n, "g_idx that is not a constant of int32");
  if (nib_onnx_elems(v) != w->columns && nib_onnx_elems(v) != w->blocks * w->block)
    return nib_onnx_invalid(n, "%" PRId64 " elements of g_idx, not %" PRId64, nib_onnx_elems(v),
                            w->columns);
  int64_t *sizes = nib_onnx_longs(n, w->blocks);
  if (!sizes)
    return n->ctx->failure;
  for (int64_t c = 0; c < w->columns; ++c) {
    const int64_t group = nib_onnx_integer_at(v, c);
    if (group < 0 || group >= w->blocks)
      return nib_onnx_invalid(n, "g_idx has %" PRId64 " at %" PRId64 " of %" PRId64 " blocks",
                              group, c, w->blocks);
    plain &= group == c / w->block;
    ++sizes[group];
  }
  if (plain)
    return NIB_OK;
  w->groups = v;
  w->reorder = true;
  for (int64_t g = 0; g < w->blocks; ++g)
    w->reorder &= sizes[g] == (g + 1 < w->blocks ? w->block : w->columns - g * w->block);
  return NIB_OK;
}

static nib_status read_weights(nib_onnx_node *n, weights *w) {
  const nib_onnx_value *a = nib_onnx_input(n, 0), *b = nib_onnx_input(n, 1);
  const nib_onnx_value *scales = nib_onnx_input(n, 2);
  w->columns = nib_onnx_attr_int(n, "K", 0);
  w->rows = nib_onnx_attr_int(n, "N", 0);
  w->bits = nib_onnx_attr_int(n, "bits", 4);
  w->block = nib_onnx_attr_int(n, "block_size", 0);
  if (w->bits != 2 && w->bits != 4 && w->bits != 8)
    return nib_onnx_unsupported(n, "weights of %" PRId64 " bits", w->bits);
  if (w->block < 16 || w->block & (w->block - 1) || w->block > 1 << 20)
    return nib_onnx_invalid(n, "block_size is %" PRId64 ", not a power of two from 16", w->block);
  if (w->columns < 1 || w->rows < 1 || w->columns > 1 << 30 || w->rows > 1 << 30)
    return nib_onnx_invalid(n, "K is %" PRId64 " and N is %" PRId64, w->columns, w->rows);
  w->blocks = (w->columns + w->block - 1) / w->block;
  NIB_RETURN_IF_ERROR(read_groups(n, w));
  if (!b->data || b->format != NIB_U8)
    return nib_onnx_unsupported(n, "weights that are not constants of uint8");
  if (a->rank < 1 || a->dims[a->rank - 1] != w->columns)
    return nib_onnx_invalid(n, "the last dimension of its input is not K");
  if (nib_onnx_elems(b) != w->rows * w->blocks * (w->block * w->bits / 8))
    return nib_onnx_invalid(n, "%" PRId64 " bytes of weights, not %" PRId64, nib_onnx_elems(b),
                            w->rows * w->blocks * (w->block * w->bits / 8));
  if (nib_onnx_elems(scales) != w->rows * w->blocks)
    return nib_onnx_invalid(n, "%" PRId64 " scales, not %" PRId64, nib_onnx_elems(scales),
                            w->rows * w->blocks);
  return nib_onnx_check_scale(n, scales);
}

/* Zero points [N, blocks]: packed codes, or reals; 2^(bits - 1) where there are none. */
static int32_t zeros_of(nib_onnx_node *n, const weights *w) {
  const nib_onnx_value *v = nib_onnx_input(n, 3);
  const int64_t dims[] = {w->rows, w->blocks}, row_bytes = (w->blocks * w->bits + 7) / 8;
  if (!v)
    return nib_onnx_number(n, NIB_U8, (double)(1 << (w->bits - 1)));
  if (nib_format_get(v->format)->kind == NIB_KIND_FLOAT &&
      nib_onnx_elems(v) == w->rows * w->blocks) {
    const int32_t t = nib_onnx_in(n, 3);
    return t == NIB_NONE ? NIB_NONE : nib_onnx_reshaped(n, t, 2, dims);
  }
  if (!v->data || v->format != NIB_U8 || nib_onnx_elems(v) != w->rows * row_bytes) {
    nib_onnx_invalid(n, "its zero points are not %" PRId64 " constant bytes", w->rows * row_bytes);
    return NIB_NONE;
  }
  const uint8_t *codes = unpack(n, v->data, w->rows, row_bytes, w->blocks, w->bits);
  return codes ? nib_onnx_emit_constant(n, v->name, NIB_U8, 2, dims, codes) : NIB_NONE;
}

/* Whether scales and zero points are constants that lie block by block. */
static bool is_blocked(nib_onnx_node *n, const weights *w) {
  const nib_onnx_value *scales = nib_onnx_input(n, 2), *zeros = nib_onnx_input(n, 3);
  return scales->data && (!zeros || zeros->data) && (!w->groups || w->reorder);
}

/* The format of a block, NIB_FORMAT_COUNT if there is none. */
static nib_format block_format(nib_onnx_node *n, const weights *w) {
  const nib_onnx_value *zeros = nib_onnx_input(n, 3);
  char name[96], code[16];
  snprintf(code, sizeof code, "ui%d", (int)w->bits);
  const bool real = zeros && nib_format_get(zeros->format)->kind == NIB_KIND_FLOAT;
  snprintf(name, sizeof name, "%s:block=%d,scale=%s,zero=%s", code, (int)w->block,
           nib_format_get(nib_onnx_input(n, 2)->format)->name,
           real ? nib_format_get(zeros->format)->name : code);
  return nib_format_find(name);
}

/* The zero points [N, blocks] as numbers; NULL after a message. */
static const double *zero_numbers(nib_onnx_node *n, const weights *w) {
  const nib_onnx_value *v = nib_onnx_input(n, 3);
  const int64_t count = w->rows * w->blocks, row_bytes = (w->blocks * w->bits + 7) / 8;
  double *out = nib_onnx_doubles(n, count);
  const bool real = v && nib_format_get(v->format)->kind == NIB_KIND_FLOAT;
  if (v && (real ? nib_onnx_elems(v) != count
                 : v->format != NIB_U8 || nib_onnx_elems(v) != w->rows * row_bytes)) {
    nib_onnx_invalid(n, "its zero points are not %" PRId64 " constant bytes", w->rows * row_bytes);
    return NULL;
  }
  const uint8_t *codes =
      v && !real ? unpack(n, v->data, w->rows, row_bytes, w->blocks, w->bits) : NULL;
  if (!out || (v && !real && !codes))
    return NULL;
  for (int64_t i = 0; i < count; ++i)
    out[i] = !v     ? (double)(1 << (w->bits - 1))
             : real ? nib_format_load_real(v->format, v->data, i)
                    : (double)codes[i];
  return out;
}

/* i64 indices: of the columns, sorted by their blocks; or of each column's block. */
static int32_t column_indices(nib_onnx_node *n, const weights *w, bool sorted) {
  int64_t *at = nib_onnx_longs(n, w->columns), *next = nib_onnx_longs(n, w->blocks);
  if (!at || !next)
    return NIB_NONE;
  for (int64_t c = 0; c < w->columns; ++c) {
    const int64_t group = group_of(w, c);
    if (sorted)
      at[group * w->block + next[group]++] = c;
    else
      at[c] = group;
  }
  return nib_onnx_integers(n, 1, &w->columns, at);
}

/* Codes [N, columns] of the bytes, or those of the columns sorted by their blocks. */
static uint8_t *codes_of(nib_onnx_node *n, const weights *w) {
  const int64_t padded = w->blocks * w->block;
  uint8_t *from =
      unpack(n, nib_onnx_input(n, 1)->data, w->rows, padded * w->bits / 8, padded, w->bits);
  if (!from || !w->reorder)
    return from;
  uint8_t *to = nib_onnx_fold_alloc(n, (size_t)(w->rows * padded));
  int64_t *next = nib_onnx_longs(n, w->blocks);
  if (!to || !next)
    return NULL;
  for (int64_t c = 0; c < w->columns; ++c) {
    const int64_t group = group_of(w, c), slot = group * w->block + next[group]++;
    for (int64_t r = 0; r < w->rows; ++r)
      to[r * padded + slot] = from[r * padded + c];
  }
  return to;
}

/* Scales or zero points [N, blocks] as they are, or [N, columns] where blocks are scattered. */
static int32_t spread(nib_onnx_node *n, const weights *w, int32_t t) {
  if (t == NIB_NONE || !w->groups || w->reorder || nib_onnx_tensor(n, t)->rank < 2)
    return t;
  const int32_t indices = column_indices(n, w, false);
  return indices == NIB_NONE ? NIB_NONE : nib_onnx_gathered(n, t, indices, 1);
}

/* Codes [N, blocks * block] as blocks, few bits that stay few; codes and zeros may be NULL after a
 * message. */
static int32_t packed_weights(nib_onnx_node *n, const weights *w, nib_format format,
                              const char *name, const uint8_t *codes, const double *zeros) {
  const nib_onnx_value *scales = nib_onnx_input(n, 2);
  const int64_t dims[] = {w->rows, w->blocks * w->block};
  const size_t row_bytes = nib_format_packed_bytes(format, dims[1]);
  const nib_block_layout *b = &nib_format_get(format)->block;
  uint8_t *bytes = codes && zeros ? nib_onnx_fold_alloc(n, (size_t)w->rows * row_bytes) : NULL;
  if (!bytes)
    return NIB_NONE;
  for (int64_t i = 0; i < w->rows * w->blocks; ++i) {
    uint8_t *block = bytes + (size_t)i * (row_bytes / (size_t)w->blocks);
    nib_block_store_scale(b, block, (float)nib_format_load_real(scales->format, scales->data, i));
    nib_block_store_zero(b, block, (float)zeros[i]);
    for (int64_t k = 0; k < w->block; ++k)
      nib_split_field_set(&b->codes, block, (int)k, codes[i * w->block + k]);
  }
  return nib_onnx_emit_constant(n, name, format, 2, dims, bytes);
}

/* The weights [N, K] in the format of the scales. */
static int32_t dequantized_weights(nib_onnx_node *n, const weights *w) {
  nib_graph *g = n->ctx->graph;
  const bool scattered = w->groups && !w->reorder;
  const int64_t padded = w->blocks * w->block, begin[] = {0, 0}, sizes[] = {w->rows, w->columns};
  const int64_t scale_dims[] = {w->rows, w->blocks};
  int64_t dims[] = {w->rows, padded};
  const nib_format format = w->bits == 2 ? NIB_U2 : w->bits == 4 ? NIB_U4 : NIB_U8;
  const uint8_t *codes = codes_of(n, w);
  int32_t q = codes ? nib_onnx_emit_constant(n, nib_onnx_input(n, 1)->name, format, 2, dims, codes)
                    : NIB_NONE;
  if (scattered && q != NIB_NONE) {
    q = nib_onnx_sliced(n, q, begin, sizes);
    dims[1] = w->columns;
  }
  const int32_t s = q == NIB_NONE ? NIB_NONE : nib_onnx_in(n, 2);
  const int32_t scales =
      s == NIB_NONE ? NIB_NONE : spread(n, w, nib_onnx_reshaped(n, s, 2, scale_dims));
  const int32_t zeros = scales == NIB_NONE ? NIB_NONE : spread(n, w, zeros_of(n, w));
  if (zeros == NIB_NONE)
    return NIB_NONE;
  const int32_t in[] = {q, scales, zeros};
  const int32_t node = nib_onnx_emit(n, NIB_OP_DEQUANTIZE, in, 3, NIB_NONE, 2, dims, "_weights");
  if (node == NIB_NONE || scattered)
    return node == NIB_NONE ? NIB_NONE : g->nodes[node].out;
  return nib_onnx_sliced(n, g->nodes[node].out, begin, sizes);
}

nib_status nib_onnx_import_matmul_nbits(nib_onnx_node *n) {
  weights w = {0};
  NIB_RETURN_IF_ERROR(read_weights(n, &w));
  const nib_onnx_value *a = nib_onnx_input(n, 0);
  const nib_format format = a->format;
  if (nib_format_get(format)->kind != NIB_KIND_FLOAT)
    return nib_onnx_invalid(n, "its input is %s", nib_format_get(format)->name);
  int64_t dims[NIB_MAX_RANK], flat[] = {nib_onnx_elems(a) / w.columns, w.columns};
  const int32_t rank = a->rank;
  memcpy(dims, a->dims, sizeof dims);
  dims[rank - 1] = w.rows;
  const nib_format block = is_blocked(n, &w) ? block_format(n, &w) : NIB_FORMAT_COUNT;
  const int32_t x = nib_onnx_in(n, 0);
  const int32_t b = x == NIB_NONE ? NIB_NONE
                    : block == NIB_FORMAT_COUNT
                        ? dequantized_weights(n, &w)
                        : packed_weights(n, &w, block, nib_onnx_input(n, 1)->name, codes_of(n, &w),
                                         zero_numbers(n, &w));
  if (b == NIB_NONE)
    return n->ctx->failure;
  int32_t in[] = {nib_onnx_reshaped(n, nib_onnx_casted(n, x, NIB_F32), 2, flat), b};
  if (w.reorder && in[0] != NIB_NONE) {
    const int32_t order = column_indices(n, &w, true);
    in[0] = order == NIB_NONE ? NIB_NONE : nib_onnx_gathered(n, in[0], order, 1);
  }
  const int64_t low[] = {0, 0}, high[] = {0, nib_onnx_dim(n, b, 1) - w.columns};
  if (high[1])
    in[0] = nib_onnx_padded(n, in[0], low, high, 0.0);
  const int64_t product[] = {flat[0], w.rows};
  const int32_t node = in[0] == NIB_NONE ? NIB_NONE
                                         : nib_onnx_emit(n, NIB_OP_FULLY_CONNECTED, in, 2, NIB_NONE,
                                                         2, product, "_product");
  if (node == NIB_NONE)
    return n->ctx->failure;
  int32_t y = nib_onnx_reshaped(n, n->ctx->graph->nodes[node].out, rank, dims);
  if (nib_onnx_input(n, 5)) {
    const int32_t bias = nib_onnx_in(n, 5);
    y = nib_onnx_binary(n, NIB_OP_ADD, y,
                        bias == NIB_NONE ? NIB_NONE : nib_onnx_casted(n, bias, NIB_F32));
  }
  return nib_onnx_finish(n, y == NIB_NONE ? NIB_NONE : nib_onnx_casted(n, y, format));
}

/* ---- GatherBlockQuantized ---- */

static bool is_packed(const nib_onnx_value *data) { return data->format == NIB_U8; }

static nib_status read_table(nib_onnx_node *n, weights *w) {
  const nib_onnx_value *data = nib_onnx_input(n, 0), *scales = nib_onnx_input(n, 2);
  const nib_onnx_value *zeros = nib_onnx_input(n, 3), *indices = nib_onnx_input(n, 1);
  const int64_t axis = nib_onnx_attr_int(n, "quantize_axis", 1);
  if (!data->data || !scales->data || (zeros && !zeros->data))
    return nib_onnx_unsupported(n, "data, scales or zero points that are not constants");
  if (!is_packed(data) && data->format != NIB_U4 && data->format != NIB_I4)
    return nib_onnx_unsupported(n, "data of type %s", nib_format_get(data->format)->name);
  if (data->rank != 2 || nib_onnx_attr_int(n, "gather_axis", 0) != 0 || (axis != 1 && axis != -1))
    return nib_onnx_unsupported(n, "data other than rows of a matrix");
  if (indices->format != NIB_I32 && indices->format != NIB_I64)
    return nib_onnx_invalid(n, "its indices are %s", nib_format_get(indices->format)->name);
  w->bits = is_packed(data) ? nib_onnx_attr_int(n, "bits", 4) : 4;
  w->block = nib_onnx_attr_int(n, "block_size", 128);
  if (w->bits != 2 && w->bits != 4 && w->bits != 8)
    return nib_onnx_unsupported(n, "weights of %" PRId64 " bits", w->bits);
  if (w->block < 16 || w->block & (w->block - 1) || w->block > 1 << 20)
    return nib_onnx_invalid(n, "block_size is %" PRId64 ", not a power of two from 16", w->block);
  w->rows = data->dims[0];
  w->columns = is_packed(data) ? data->dims[1] * 8 / w->bits : data->dims[1];
  w->blocks = (w->columns + w->block - 1) / w->block;
  if (nib_onnx_elems(scales) != w->rows * w->blocks)
    return nib_onnx_invalid(n, "%" PRId64 " scales, not %" PRId64, nib_onnx_elems(scales),
                            w->rows * w->blocks);
  if (zeros && !is_packed(data) &&
      (zeros->format != data->format || nib_onnx_elems(zeros) != w->rows * w->blocks))
    return nib_onnx_invalid(n, "its zero points are not %" PRId64 " of %s", w->rows * w->blocks,
                            nib_format_get(data->format)->name);
  return nib_onnx_check_scale(n, scales);
}

/* Codes [rows, blocks * block] without sign; the ends of rows are 0. */
static const uint8_t *table_codes(nib_onnx_node *n, const weights *w) {
  const nib_onnx_value *data = nib_onnx_input(n, 0);
  const int64_t padded = w->blocks * w->block, sign = data->format == NIB_I4 ? 8 : 0;
  const uint8_t *packed =
      is_packed(data) ? unpack(n, data->data, w->rows, data->dims[1], w->columns, w->bits) : NULL;
  uint8_t *codes = nib_onnx_fold_alloc(n, (size_t)(w->rows * padded));
  if (!codes || (is_packed(data) && !packed))
    return NULL;
  for (int64_t i = 0; i < w->rows * w->columns; ++i)
    codes[i / w->columns * padded + i % w->columns] =
        packed ? packed[i] : (uint8_t)(nib_onnx_integer_at(data, i) + sign);
  return codes;
}

/* 0 where there are none, of packed data the middle. */
static const double *table_zeros(nib_onnx_node *n, const weights *w) {
  const nib_onnx_value *data = nib_onnx_input(n, 0), *zeros = nib_onnx_input(n, 3);
  if (is_packed(data))
    return zero_numbers(n, w);
  double *out = nib_onnx_doubles(n, w->rows * w->blocks);
  for (int64_t i = 0; out && i < w->rows * w->blocks; ++i)
    out[i] =
        (double)((zeros ? nib_onnx_integer_at(zeros, i) : 0) + (data->format == NIB_I4 ? 8 : 0));
  return out;
}

nib_status nib_onnx_import_gather_blocks(nib_onnx_node *n) {
  weights w = {0};
  NIB_RETURN_IF_ERROR(read_table(n, &w));
  const nib_format block = block_format(n, &w), format = nib_onnx_input(n, 2)->format;
  const nib_onnx_value *indices = nib_onnx_input(n, 1);
  int64_t dims[NIB_MAX_RANK], begin[NIB_MAX_RANK] = {0};
  const int32_t rank = indices->rank + 1;
  if (rank > NIB_MAX_RANK || block == NIB_FORMAT_COUNT)
    return nib_onnx_unsupported(n, "indices of rank %d, or scales of type %s", indices->rank,
                                nib_format_get(format)->name);
  memcpy(dims, indices->dims, sizeof dims);
  dims[rank - 1] = w.blocks * w.block;
  int32_t in[] = {packed_weights(n, &w, block, nib_onnx_input(n, 0)->name, table_codes(n, &w),
                                 table_zeros(n, &w)),
                  NIB_NONE};
  in[1] = in[0] == NIB_NONE ? NIB_NONE : nib_onnx_in(n, 1);
  const int32_t node =
      in[1] == NIB_NONE ? NIB_NONE
                        : nib_onnx_emit_as(n, NIB_OP_GATHER, in, 2, NIB_F32, rank, dims, "_rows");
  if (node == NIB_NONE)
    return n->ctx->failure;
  if (nib_graph_set_int(n->ctx->graph, node, NIB_A_AXIS, 0) != NIB_OK)
    return nib_onnx_out_of_memory(n->ctx);
  int32_t y = n->ctx->graph->nodes[node].out;
  if (dims[rank - 1] != w.columns) {
    dims[rank - 1] = w.columns;
    y = nib_onnx_sliced(n, y, begin, dims);
  }
  return nib_onnx_finish(n, y == NIB_NONE ? NIB_NONE : nib_onnx_casted(n, y, format));
}
