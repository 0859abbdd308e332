/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * QuantizeLinear and DequantizeLinear with scales of any type and shape, constant or not, and
 * DynamicQuantizeLinear. */
#include "onnx_scaling.h"

#include "onnx_elementwise.h"
#include "onnx_qlinear.h"

#include <inttypes.h>

/* Integers of 2 to 16 bits (32 where they are read), and reals of 4 to 8. */
static bool is_code_format(nib_format format, bool read) {
  const nib_format_info *info = nib_format_get(format);
  if (info->kind == NIB_KIND_FLOAT)
    return info->bits <= 8 && format != NIB_F8E8M0FNU;
  return format != NIB_I1 && (info->bits <= 16 || (read && format == NIB_I32));
}

/* One scale for each block of `block` elements along the axis. */
static nib_status check_blocks(nib_onnx_node *n, const nib_onnx_value *x,
                               const nib_onnx_value *scales, int64_t axis, int64_t block) {
  if (block < 0)
    return nib_onnx_invalid(n, "block_size is %" PRId64, block);
  if (scales->rank != x->rank)
    return nib_onnx_invalid(n, "its scales have rank %d, its input %d", scales->rank, x->rank);
  if (x->dims[axis] % block)
    return nib_onnx_unsupported(
        n, "blocks of %" PRId64 " do not divide dimension %" PRId64 ", which is %" PRId64, block,
        axis, x->dims[axis]);
  for (int32_t i = 0; i < x->rank; ++i) {
    const int64_t want = i == axis ? x->dims[i] / block : x->dims[i];
    if (scales->dims[i] != want)
      return nib_onnx_invalid(n, "dimension %d of its scales is %" PRId64 ", not %" PRId64, i,
                              scales->dims[i], want);
  }
  return NIB_OK;
}

static nib_status check_zeros(nib_onnx_node *n, const nib_onnx_value *zeros,
                              const nib_onnx_value *scales, nib_format codes) {
  if (zeros->format != codes)
    return nib_onnx_invalid(n, "its zero point is %s, its codes are %s",
                            nib_format_get(zeros->format)->name, nib_format_get(codes)->name);
  if (nib_onnx_elems(zeros) != nib_onnx_elems(scales))
    return nib_onnx_invalid(n, "%" PRId64 " scales and %" PRId64 " zero points",
                            nib_onnx_elems(scales), nib_onnx_elems(zeros));
  const bool real = nib_format_get(codes)->kind == NIB_KIND_FLOAT;
  for (int64_t i = 0; (real || codes == NIB_I32) && zeros->data && i < nib_onnx_elems(zeros); ++i)
    if (nib_format_load_real(codes, zeros->data, i) != 0)
      return nib_onnx_invalid(n, "the zero point of %s codes is not 0",
                              nib_format_get(codes)->name);
  return NIB_OK;
}

/* Reads and checks inputs 1 and 2 of x, whose quantized side has the format `codes`. */
static nib_status read_scaling(nib_onnx_node *n, const nib_onnx_value *x, nib_format codes,
                               int64_t *out_axis) {
  const nib_onnx_value *scales = nib_onnx_input(n, 1), *zeros = nib_onnx_input(n, 2);
  const int64_t block = nib_onnx_attr_int(n, "block_size", 0);
  *out_axis = 0;
  NIB_RETURN_IF_ERROR(nib_onnx_check_scale(n, scales));
  if (nib_onnx_elems(scales) != 1 || block) {
    *out_axis = nib_onnx_attr_int(n, "axis", 1);
    NIB_RETURN_IF_ERROR(nib_onnx_normalize_axes(n, out_axis, 1, x->rank));
  }
  if (block)
    NIB_RETURN_IF_ERROR(check_blocks(n, x, scales, *out_axis, block));
  else if (nib_onnx_elems(scales) != 1 &&
           (scales->rank != 1 || scales->dims[0] != x->dims[*out_axis]))
    return nib_onnx_invalid(n, "%" PRId64 " scales for %" PRId64 " slices", nib_onnx_elems(scales),
                            x->dims[*out_axis]);
  return zeros ? check_zeros(n, zeros, scales, codes) : NIB_OK;
}

/* Constant zero points that are all 0 need no operand. */
static int32_t zeros_of(nib_onnx_node *n, bool *out_failed) {
  const nib_onnx_value *zeros = nib_onnx_input(n, 2);
  bool any = zeros && !zeros->data;
  for (int64_t i = 0; zeros && zeros->data && i < nib_onnx_elems(zeros); ++i)
    any |= nib_format_load_real(zeros->format, zeros->data, i) != 0;
  *out_failed = false;
  if (!any)
    return NIB_NONE;
  int32_t z = nib_onnx_in(n, 2);
  z = z == NIB_NONE ? NIB_NONE : nib_onnx_plain(n, z);
  *out_failed = z == NIB_NONE;
  return z;
}

static int32_t emit(nib_onnx_node *n, nib_op op, int32_t x, int32_t scales, int32_t zeros,
                    nib_format format, int64_t axis) {
  nib_graph *g = n->ctx->graph;
  if (x == NIB_NONE || scales == NIB_NONE)
    return NIB_NONE;
  const int32_t in[] = {x, scales, zeros};
  const nib_tensor from = g->tensors[x];
  const int32_t node =
      nib_onnx_emit(n, op, in, zeros == NIB_NONE ? 2 : 3, NIB_NONE, from.rank, from.dims, "");
  if (node == NIB_NONE)
    return NIB_NONE;
  g->tensors[g->nodes[node].out].format = format;
  nib_status status = nib_graph_set_int(g, node, NIB_A_AXIS, axis);
  if (from.rank == 0)
    nib_graph_clear_attr(g, node, NIB_A_AXIS);
  if (status == NIB_OK && op == NIB_OP_QUANTIZE)
    status = nib_graph_set_string(g, node, NIB_A_ROUNDING, "nearest-even");
  if (status == NIB_OK && op == NIB_OP_QUANTIZE && !nib_onnx_attr_int(n, "saturate", 1))
    status = nib_graph_set_int(g, node, NIB_A_SATURATE, 0);
  if (status == NIB_OK)
    return g->nodes[node].out;
  nib_onnx_out_of_memory(n->ctx);
  return NIB_NONE;
}

int32_t nib_onnx_quantized_by(nib_onnx_node *n, int32_t x, int32_t scales, int32_t zeros,
                              nib_format codes, int64_t axis) {
  return emit(n, NIB_OP_QUANTIZE, x, scales, zeros, codes, axis);
}

/* ---- division in the precision that the operator names ---- */

nib_status nib_onnx_read_precision(nib_onnx_node *n, nib_format *out) {
  const nib_format scale = nib_onnx_input(n, 1)->format;
  const int64_t type = nib_onnx_attr_int(n, "precision", 0);
  *out = scale == NIB_F16 || scale == NIB_BF16 ? scale : NIB_F32;
  if (!type)
    return NIB_OK;
  *out = type > 0 && type < 128 ? nib_onnx_format((int32_t)type) : NIB_FORMAT_COUNT;
  if (*out == NIB_F32 || *out == NIB_F16 || *out == NIB_BF16)
    return NIB_OK;
  return nib_onnx_unsupported(n, "division in the precision %s; f32, f16 and bf16 are supported",
                              nib_onnx_type_name(type < 128 ? (int32_t)type : -1));
}

/* x / scales, both rounded to `precision`, the quotient too. Blocks become a dimension. */
static int32_t divided(nib_onnx_node *n, int32_t x, int32_t scales, int64_t axis,
                       nib_format precision) {
  const int64_t block = nib_onnx_attr_int(n, "block_size", 0);
  if (x == NIB_NONE || scales == NIB_NONE)
    return NIB_NONE;
  const nib_tensor from = *nib_onnx_tensor(n, x), by = *nib_onnx_tensor(n, scales);
  int64_t split[NIB_MAX_RANK + 1], dims[NIB_MAX_RANK + 1];
  int32_t rank = 0, scale_rank = 0;
  if (block && from.rank == NIB_MAX_RANK) {
    nib_onnx_unsupported(n, "blocks of a tensor of rank %d in this precision", from.rank);
    return NIB_NONE;
  }
  for (int32_t i = 0; i < from.rank; ++i) {
    const bool blocked = block && i == axis;
    split[rank++] = blocked ? from.dims[i] / block : from.dims[i];
    dims[scale_rank++] = block ? by.dims[i] : i == axis ? nib_tensor_elems(&by) : 1;
    if (blocked) {
      split[rank++] = block;
      dims[scale_rank++] = 1;
    }
  }
  if (nib_tensor_elems(&by) == 1)
    scale_rank = 0;
  int32_t q = nib_onnx_reshaped(n, nib_onnx_casted(n, x, precision), rank, split);
  int32_t s = nib_onnx_casted(n, scales, precision);
  s = s == NIB_NONE ? NIB_NONE : nib_onnx_reshaped(n, s, scale_rank, dims);
  q = nib_onnx_binary(n, NIB_OP_DIV, q, s);
  return q == NIB_NONE ? NIB_NONE : nib_onnx_reshaped(n, q, from.rank, from.dims);
}

/* Ones where `zeros` has zero points, which lie as scales do. */
static int32_t ones_for(nib_onnx_node *n, int32_t zeros) {
  if (zeros == NIB_NONE)
    return nib_onnx_number(n, NIB_F32, 1.0);
  const nib_tensor t = *nib_onnx_tensor(n, zeros);
  double *values = nib_onnx_doubles(n, nib_tensor_elems(&t));
  for (int64_t i = 0; values && i < nib_tensor_elems(&t); ++i)
    values[i] = 1.0;
  return values ? nib_onnx_constant(n, NIB_F32, t.rank, t.dims, values) : NIB_NONE;
}

nib_status nib_onnx_quantize_by_operands(nib_onnx_node *n, nib_format codes) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  nib_format precision;
  int64_t axis;
  bool failed;
  if (!is_code_format(codes, false))
    return nib_onnx_unsupported(n, "codes of type %s", nib_format_get(codes)->name);
  if (nib_format_get(x->format)->kind != NIB_KIND_FLOAT && x->format != NIB_I32)
    return nib_onnx_invalid(n, "its input is %s", nib_format_get(x->format)->name);
  NIB_RETURN_IF_ERROR(read_scaling(n, x, codes, &axis));
  NIB_RETURN_IF_ERROR(nib_onnx_read_precision(n, &precision));
  int32_t in = nib_onnx_in(n, 0);
  if (in != NIB_NONE && x->format == NIB_I32)
    in = nib_onnx_casted(n, nib_onnx_plain(n, in), precision);
  int32_t scales = in == NIB_NONE ? NIB_NONE : nib_onnx_in(n, 1);
  const int32_t zeros = scales == NIB_NONE ? NIB_NONE : zeros_of(n, &failed);
  if (scales == NIB_NONE || failed)
    return n->ctx->failure;
  if (precision != NIB_F32) {
    in = divided(n, in, scales, axis, precision);
    scales = ones_for(n, zeros);
  }
  return nib_onnx_finish(n, emit(n, NIB_OP_QUANTIZE, in, scales, zeros, codes, axis));
}

nib_status nib_onnx_dequantize_by_operands(nib_onnx_node *n, nib_format result) {
  const nib_onnx_value *x = nib_onnx_input(n, 0);
  int64_t axis;
  bool failed;
  if (!is_code_format(x->format, true))
    return nib_onnx_unsupported(n, "codes of type %s", nib_format_get(x->format)->name);
  NIB_RETURN_IF_ERROR(read_scaling(n, x, x->format, &axis));
  const int32_t in = nib_onnx_in(n, 0), scales = in == NIB_NONE ? NIB_NONE : nib_onnx_in(n, 1);
  const int32_t zeros = scales == NIB_NONE ? NIB_NONE : zeros_of(n, &failed);
  if (scales == NIB_NONE || failed)
    return n->ctx->failure;
  return nib_onnx_finish(
      n, emit(n, NIB_OP_DEQUANTIZE, nib_onnx_plain(n, in), scales, zeros, result, axis));
}

/* scale = (max(x, 0) - min(x, 0)) / 255, 1 where that is 0; zero point = round(-min / scale). */
bool nib_onnx_quantize_dynamically(nib_onnx_node *n, int32_t x, nib_onnx_dynamic *out) {
  int64_t axes[NIB_MAX_RANK];
  const int32_t rank = nib_onnx_tensor(n, x)->rank;
  for (int32_t i = 0; i < rank; ++i)
    axes[i] = i;
  const int32_t high = nib_onnx_with(
      n, NIB_OP_MAXIMUM, rank ? nib_onnx_reduced(n, x, "max", axes, rank, false) : x, 0.0);
  const int32_t low = nib_onnx_with(
      n, NIB_OP_MINIMUM, rank ? nib_onnx_reduced(n, x, "min", axes, rank, false) : x, 0.0);
  const int32_t step =
      nib_onnx_with(n, NIB_OP_DIV, nib_onnx_binary(n, NIB_OP_SUB, high, low), 255.0);
  const int32_t zero = nib_onnx_number(n, NIB_F32, 0.0), one = nib_onnx_number(n, NIB_F32, 1.0);
  out->scale = nib_onnx_chosen(n, nib_onnx_compared(n, NIB_OP_EQUAL, step, zero), one, step);
  out->zero =
      nib_onnx_quantized_by(n, nib_onnx_unary(n, NIB_OP_NEG, low), out->scale, NIB_NONE, NIB_U8, 0);
  out->codes = nib_onnx_quantized_by(n, x, out->scale, out->zero, NIB_U8, 0);
  return out->zero != NIB_NONE && out->codes != NIB_NONE;
}

nib_status nib_onnx_import_dynamic_quantize(nib_onnx_node *n) {
  nib_onnx_dynamic d;
  NIB_RETURN_IF_ERROR(nib_onnx_require_f32(n, nib_onnx_input(n, 0)));
  const int32_t x = nib_onnx_in(n, 0);
  if (x == NIB_NONE || !nib_onnx_quantize_dynamically(n, x, &d))
    return n->ctx->failure;
  NIB_RETURN_IF_ERROR(nib_onnx_finish(n, d.codes));
  if (nib_onnx_output_is_used(n, 1))
    NIB_RETURN_IF_ERROR(nib_onnx_finish_at(n, 1, d.scale));
  return nib_onnx_output_is_used(n, 2) ? nib_onnx_finish_at(n, 2, d.zero) : NIB_OK;
}
