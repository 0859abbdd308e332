/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators that rearrange elements in ways known beforehand: DepthToSpace and its inverse, Pad,
 * CenterCropPad, Trilu, ReverseSequence, OneHot, Col2Im. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- blocks ---- */

nib_status nib_onnx_import_depth_to_space(nib_onnx_node *n) {
  static const int64_t dcr[] = {0, 3, 4, 1, 5, 2}, crd[] = {0, 1, 4, 2, 5, 3};
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t b = nib_onnx_attr_int(n, "blocksize", 0);
  const char *mode = nib_onnx_attr_string(n, "mode", "DCR");
  const bool rows = !strcmp(mode, "CRD");
  if (x->rank != 4 || b < 1 || b > INT32_MAX || x->dims[1] % (b * b))
    return nib_onnx_invalid(n, "blocks of %" PRId64 " of an input of rank %d", b, x->rank);
  if (!rows && strcmp(mode, "DCR"))
    return nib_onnx_invalid(n, "mode '%.40s' does not exist", mode);
  const int64_t depth = x->dims[1] / (b * b);
  const int64_t split[] = {x->dims[0],       rows ? depth : b, b,
                           rows ? b : depth, x->dims[2],       x->dims[3]};
  const int64_t dims[] = {x->dims[0], depth, x->dims[2] * b, x->dims[3] * b};
  const int32_t t = nib_onnx_reshaped(n, nib_onnx_materialize(n, x), 6, split);
  return nib_onnx_finish(
      n, nib_onnx_reshaped(n, nib_onnx_transposed(n, t, rows ? crd : dcr), 4, dims));
}

nib_status nib_onnx_import_space_to_depth(nib_onnx_node *n) {
  static const int64_t perm[] = {0, 3, 5, 1, 2, 4};
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const int64_t b = nib_onnx_attr_int(n, "blocksize", 0);
  if (x->rank != 4 || b < 1 || b > INT32_MAX || x->dims[2] % b || x->dims[3] % b)
    return nib_onnx_invalid(n, "blocks of %" PRId64 " of an input of rank %d", b, x->rank);
  const int64_t split[] = {x->dims[0], x->dims[1], x->dims[2] / b, b, x->dims[3] / b, b};
  const int64_t dims[] = {x->dims[0], x->dims[1] * b * b, x->dims[2] / b, x->dims[3] / b};
  const int32_t t = nib_onnx_reshaped(n, nib_onnx_materialize(n, x), 6, split);
  return nib_onnx_finish(n, nib_onnx_reshaped(n, nib_onnx_transposed(n, t, perm), 4, dims));
}

/* ---- padding ---- */

/* Padding in front of and behind each dimension; negative: cropped. */
static nib_status read_pads(nib_onnx_node *n, const nib_onnx_value *x, int64_t *low,
                            int64_t *high) {
  int64_t pads[2 * NIB_MAX_RANK], axes[NIB_MAX_RANK];
  int32_t n_pads, n_axes = -1;
  NIB_RETURN_IF_ERROR(nib_onnx_ints(n, 11, 1, "pads", 2 * NIB_MAX_RANK, pads, &n_pads));
  if (n->ctx->opset >= 18)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 3, NIB_MAX_RANK, axes, &n_axes));
  for (int32_t i = 0; n_axes < 0 && i < x->rank; ++i)
    axes[i] = i;
  n_axes = n_axes < 0 ? x->rank : n_axes;
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, n_axes, x->rank));
  if (n_pads != 2 * n_axes)
    return nib_onnx_invalid(n, "%d pads for %d dimensions", n_pads, n_axes);
  memset(low, 0, NIB_MAX_RANK * sizeof *low);
  memset(high, 0, NIB_MAX_RANK * sizeof *high);
  for (int32_t i = 0; i < n_axes; ++i) {
    const int64_t size = x->dims[axes[i]], before = pads[i], behind = pads[n_axes + i];
    if (before > INT32_MAX || behind > INT32_MAX || before < -INT32_MAX || behind < -INT32_MAX)
      return nib_onnx_invalid(n, "its pads are out of range");
    if (size + before + behind < 1 || size + before < 0 || size + behind < 0)
      return nib_onnx_unsupported(n, "a result without elements");
    low[axes[i]] = before;
    high[axes[i]] = behind;
  }
  return NIB_OK;
}

/* The place in 0 .. size - 1 that index i, which may lie outside, takes its element from. */
static int64_t source_of(const char *mode, int64_t i, int64_t size) {
  if (!strcmp(mode, "edge"))
    return i < 0 ? 0 : i < size ? i : size - 1;
  if (!strcmp(mode, "wrap"))
    return ((i % size) + size) % size;
  const int64_t period = size > 1 ? 2 * (size - 1) : 1; /* reflect: the ends are not repeated */
  i = ((i % period) + period) % period;
  return i < size ? i : period - i;
}

static int32_t pad_by_index(nib_onnx_node *n, int32_t t, const char *mode, const int64_t *low,
                            const int64_t *high) {
  const int32_t rank = t == NIB_NONE ? 0 : nib_onnx_tensor(n, t)->rank;
  for (int32_t d = 0; d < rank && t != NIB_NONE; ++d) {
    const int64_t size = nib_onnx_dim(n, t, d), padded = low[d] + size + high[d];
    if (!low[d] && !high[d])
      continue;
    int64_t *indices = nib_onnx_longs(n, padded);
    for (int64_t i = 0; indices && i < padded; ++i)
      indices[i] = source_of(mode, i - low[d], size);
    t = nib_onnx_gathered(n, t, nib_onnx_integers(n, 1, &padded, indices), d);
  }
  return t;
}

nib_status nib_onnx_import_pad(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const char *mode = nib_onnx_attr_string(n, "mode", "constant");
  int64_t low[NIB_MAX_RANK], high[NIB_MAX_RANK];
  double value = 0;
  const bool constant = !strcmp(mode, "constant");
  if (!constant && strcmp(mode, "edge") && strcmp(mode, "wrap") && strcmp(mode, "reflect"))
    return nib_onnx_invalid(n, "mode '%.40s' does not exist", mode);
  NIB_RETURN_IF_ERROR(read_pads(n, x, low, high));
  if (n->ctx->opset < 11)
    value = (double)nib_onnx_attr_float(n, "value", 0.0f);
  else if (constant)
    NIB_RETURN_IF_ERROR(nib_onnx_constant_number(n, 2, 0, &value));
  const int32_t in = nib_onnx_materialize(n, x);
  return nib_onnx_finish(n, constant ? nib_onnx_padded(n, in, low, high, value)
                                     : pad_by_index(n, in, mode, low, high));
}

nib_status nib_onnx_import_center_crop_pad(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axes[NIB_MAX_RANK], shape[NIB_MAX_RANK];
  int64_t low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {0};
  int32_t n_axes = x->rank, n_shape;
  const Onnx__AttributeProto *a = nib_onnx_attr(n, "axes");
  if (a && a->n_ints > (size_t)x->rank)
    return nib_onnx_invalid(n, "attribute axes has %zu elements", a->n_ints);
  n_axes = a ? (int32_t)a->n_ints : n_axes;
  for (int32_t i = 0; i < n_axes; ++i)
    axes[i] = a ? a->ints[i] : i;
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, axes, n_axes, x->rank));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, NIB_MAX_RANK, shape, &n_shape));
  if (n_shape != n_axes)
    return nib_onnx_invalid(n, "%d sizes for %d dimensions", n_shape, n_axes);
  for (int32_t i = 0; i < n_axes; ++i) {
    const int64_t change = shape[i] - x->dims[axes[i]];
    if (shape[i] < 1 || shape[i] > INT32_MAX)
      return nib_onnx_unsupported(n, "the size %" PRId64, shape[i]);
    low[axes[i]] = change / 2; /* toward zero: one more is cropped or added behind */
    high[axes[i]] = change - change / 2;
  }
  return nib_onnx_finish(n, nib_onnx_padded(n, nib_onnx_materialize(n, x), low, high, 0));
}

/* ---- masks ---- */

nib_status nib_onnx_import_trilu(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0);
  const bool upper = nib_onnx_attr_int(n, "upper", 1) != 0;
  int64_t k = 0;
  int32_t count;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, 1, &k, &count));
  if (x->rank < 2)
    return nib_onnx_invalid(n, "its input has rank %d", x->rank);
  k = count == 1 ? k : 0;
  const int64_t *dims = x->dims + x->rank - 2, total = dims[0] * dims[1];
  double *kept = nib_onnx_doubles(n, total);
  for (int64_t i = 0; kept && i < total; ++i) {
    const int64_t distance = i % dims[1] - i / dims[1];
    kept[i] = upper ? distance >= k : distance <= k;
  }
  const int32_t mask = nib_onnx_constant(n, NIB_I1, 2, dims, kept);
  return nib_onnx_finish(
      n, nib_onnx_chosen(n, mask, nib_onnx_materialize(n, x), nib_onnx_number(n, x->format, 0)));
}

/* 0, 1 .. count - 1 in a format. */
static int32_t counting(nib_onnx_node *n, nib_format format, int64_t count) {
  double *values = nib_onnx_doubles(n, count);
  for (int64_t i = 0; values && i < count; ++i)
    values[i] = (double)i;
  return nib_onnx_constant(n, format, 1, &count, values);
}

/* Element t < length of a sequence comes from length - 1 - t, others stay. */
nib_status nib_onnx_import_reverse_sequence(nib_onnx_node *n) {
  nib_onnx_value *x = nib_onnx_input(n, 0), *lengths = nib_onnx_input(n, 1);
  const int64_t batch_axis = nib_onnx_attr_int(n, "batch_axis", 1);
  const int64_t time_axis = nib_onnx_attr_int(n, "time_axis", 0);
  if (x->rank < 2 || batch_axis + time_axis != 1 || batch_axis * time_axis != 0)
    return nib_onnx_invalid(n, "axes %" PRId64 " and %" PRId64 " of rank %d", batch_axis, time_axis,
                            x->rank);
  const int64_t batch = x->dims[batch_axis], steps = x->dims[time_axis], column[] = {batch, 1};
  if (lengths->format != NIB_I64 || lengths->rank != 1 || lengths->dims[0] != batch)
    return nib_onnx_invalid(n, "its lengths are not one i64 for each sequence");
  const int32_t in = nib_onnx_materialize(n, x), time = counting(n, NIB_I64, steps);
  const int32_t length = nib_onnx_reshaped(n, nib_onnx_materialize(n, lengths), 2, column);
  const int32_t mirrored =
      nib_onnx_with(n, NIB_OP_SUB, nib_onnx_binary(n, NIB_OP_SUB, length, time), 1);
  const int32_t indices =
      nib_onnx_chosen(n, nib_onnx_compared(n, NIB_OP_LESS, time, length), mirrored, time);
  const int32_t first = time_axis == 0 ? nib_onnx_swapped(n, in, 0, 1) : in;
  const int32_t y = nib_onnx_gathered_batches(n, first, indices, 1, 1);
  return nib_onnx_finish(n, time_axis == 0 ? nib_onnx_swapped(n, y, 0, 1) : y);
}

/* Indices against 0 .. depth - 1 along a new dimension; negative ones count from the end, others
 * beyond it hold nowhere. */
nib_status nib_onnx_import_one_hot(nib_onnx_node *n) {
  nib_onnx_value *indices = nib_onnx_input(n, 0), *values = nib_onnx_input(n, 2);
  double depth = 0;
  int64_t axis = nib_onnx_attr_int(n, "axis", -1), dims[NIB_MAX_RANK + 1];
  NIB_RETURN_IF_ERROR(nib_onnx_constant_number(n, 1, 0, &depth));
  if (values->rank != 1 || values->dims[0] != 2)
    return nib_onnx_invalid(n, "its values are not a pair");
  if (!(depth >= 1) || depth > INT32_MAX)
    return nib_onnx_unsupported(n, "a depth of %g", depth);
  const int32_t rank = indices->rank + 1;
  if (rank > NIB_MAX_RANK)
    return nib_onnx_unsupported(n, "rank %d is above %d", rank, NIB_MAX_RANK);
  NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, &axis, 1, rank));
  for (int32_t i = 0; i < rank; ++i)
    dims[i] = i < axis ? indices->dims[i] : i == axis ? 1 : indices->dims[i - 1];
  int32_t at = nib_onnx_reshaped(n, nib_onnx_materialize(n, indices), rank, dims);
  const int32_t negative =
      nib_onnx_compared(n, NIB_OP_LESS, at, nib_onnx_number(n, indices->format, 0));
  at = nib_onnx_chosen(n, negative, nib_onnx_with(n, NIB_OP_ADD, at, trunc(depth)), at);
  const int64_t column[NIB_MAX_RANK] = {(int64_t)depth, 1, 1, 1, 1, 1, 1, 1};
  const int32_t places = nib_onnx_reshaped(n, counting(n, indices->format, (int64_t)depth),
                                           rank - (int32_t)axis, column);
  const int32_t pair = nib_onnx_materialize(n, values);
  const int32_t off = nib_onnx_part(n, pair, 0, 0, 1, 1), on = nib_onnx_part(n, pair, 0, 1, 1, 1);
  return nib_onnx_finish(
      n, nib_onnx_chosen(n, nib_onnx_compared(n, NIB_OP_EQUAL, at, places), on, off));
}

/* ---- Col2Im ---- */

typedef struct blocks {
  int32_t spatial;
  int64_t image[NIB_MAX_RANK], block[NIB_MAX_RANK];
  int64_t strides[NIB_MAX_RANK], dilations[NIB_MAX_RANK], pads[2 * NIB_MAX_RANK];
  int64_t padded[NIB_MAX_RANK], steps[NIB_MAX_RANK]; /* the padded image; blocks along it */
  int64_t taps, positions;
} blocks;

static nib_status read_blocks(nib_onnx_node *n, blocks *b) {
  int32_t n_block;
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 1, NIB_MAX_RANK - 2, b->image, &b->spatial));
  NIB_RETURN_IF_ERROR(nib_onnx_constant_ints(n, 2, NIB_MAX_RANK - 2, b->block, &n_block));
  if (b->spatial < 1 || n_block != b->spatial)
    return nib_onnx_invalid(n, "its image and block differ in dimensions");
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", b->spatial, 1, b->strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "dilations", b->spatial, 1, b->dilations));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "pads", 2 * b->spatial, 0, b->pads));
  b->taps = b->positions = 1;
  for (int32_t i = 0; i < b->spatial; ++i) {
    const int64_t limit = INT64_C(1) << 24;
    if (b->image[i] < 1 || b->block[i] < 1 || b->strides[i] < 1 || b->dilations[i] < 1 ||
        b->pads[i] < 0 || b->pads[b->spatial + i] < 0 || b->image[i] > limit ||
        b->block[i] > limit || b->dilations[i] > limit || b->pads[i] > limit ||
        b->pads[b->spatial + i] > limit)
      return nib_onnx_invalid(n, "its image, block, strides or pads are out of range");
    b->padded[i] = b->image[i] + b->pads[i] + b->pads[b->spatial + i];
    const int64_t room = b->padded[i] - b->dilations[i] * (b->block[i] - 1) - 1;
    if (room < 0)
      return nib_onnx_invalid(n, "its block is larger than its image");
    b->steps[i] = room / b->strides[i] + 1;
  }
  b->taps = nib_onnx_count_elems(b->block, b->spatial);
  b->positions = nib_onnx_count_elems(b->steps, b->spatial);
  return b->taps > 0 && b->positions > 0 ? NIB_OK : nib_onnx_invalid(n, "its block is too large");
}

/* For each tap and position the place in the padded image. */
static int32_t block_places(nib_onnx_node *n, const blocks *b) {
  const int64_t dims[] = {b->taps * b->positions, 1};
  int64_t *places = nib_onnx_longs(n, dims[0]);
  for (int64_t k = 0; places && k < dims[0]; ++k) {
    int64_t tap = k / b->positions, position = k % b->positions, stride = 1;
    for (int32_t i = b->spatial - 1; i >= 0; --i) {
      const int64_t at =
          position % b->steps[i] * b->strides[i] + tap % b->block[i] * b->dilations[i];
      places[k] += at * stride;
      stride *= b->padded[i];
      position /= b->steps[i];
      tap /= b->block[i];
    }
  }
  return nib_onnx_integers(n, 2, dims, places);
}

/* Blocks added where they overlap. */
nib_status nib_onnx_import_col2im(nib_onnx_node *n) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  blocks b = {0};
  NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, x));
  NIB_RETURN_IF_ERROR(read_blocks(n, &b));
  if (x->rank != 3 || x->dims[1] % b.taps || x->dims[2] != b.positions)
    return nib_onnx_invalid(n, "its input does not fit its image and block");
  const int64_t batch = x->dims[0], channels = x->dims[1] / b.taps, rows = batch * channels;
  const int64_t columns[] = {rows, b.taps * b.positions};
  const int64_t image[] = {nib_onnx_count_elems(b.padded, b.spatial), rows};
  int64_t dims[NIB_MAX_RANK] = {batch, channels}, begin[NIB_MAX_RANK] = {0};
  memcpy(dims + 2, b.padded, (size_t)b.spatial * sizeof *dims);
  memcpy(begin + 2, b.pads, (size_t)b.spatial * sizeof *begin);
  const int32_t zeros =
      nib_onnx_constant(n, x->format, 2, image, nib_onnx_doubles(n, image[0] * image[1]));
  const int32_t values =
      nib_onnx_swapped(n, nib_onnx_reshaped(n, nib_onnx_in(n, 0), 2, columns), 0, 1);
  int32_t y = nib_onnx_scattered_nd(n, zeros, block_places(n, &b), values, "add");
  y = nib_onnx_reshaped(n, nib_onnx_swapped(n, y, 0, 1), b.spatial + 2, dims);
  memcpy(dims + 2, b.image, (size_t)b.spatial * sizeof *dims);
  return nib_onnx_finish(n, nib_onnx_sliced(n, y, begin, dims));
}
