// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators of nib in TOSA: layers, pools, arithmetic, tables, movement.
#include "passes/convert/TosaWriter.h"

#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "num/snippets.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace nib;
using Range = TosaWriter::Range;

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

// The sums of products that each output channel can reach from any codes, padding included.
static SmallVector<Range> reachOf(const nib_graph *graph, const nib_node &node,
                                  const nib_conv_shape &shape, const nib_conv_params &params) {
  const nib_tensor *filter = nib_node_input(graph, &node, 1);
  bool last = node.op == NIB_OP_DEPTHWISE_CONV2D;
  SmallVector<Range> reach(shape.out_c, Range{0, 0});
  const auto *weights = static_cast<const int8_t *>(filter->data);
  int64_t count = nib_tensor_elems(filter);
  for (int64_t i = 0; i < count; ++i) {
    Range &range = reach[last ? i % shape.out_c : i / (count / shape.out_c)];
    int64_t w = weights[i] - params.w_zp;
    int64_t low = w * (-128 - params.in_zp), high = w * (127 - params.in_zp);
    range.low += std::min<int64_t>(0, std::min(low, high));
    range.high += std::max<int64_t>(0, std::max(low, high));
  }
  return reach;
}

static int64_t codeOf(const nib_conv_params &p, const nib_requant &q, int64_t acc) {
  return std::clamp(nib_params_rescale(p.rounding, (int32_t)acc, &q) + p.out_zp, p.lo, p.hi);
}

// A channel whose code is the same for every input may have sums beyond what tosa.rescale defines
// (its bias is huge): another bias gives the same code. Ranges are with their bias afterwards.
static void tameBiases(const nib_conv_params &p, MutableArrayRef<int64_t> biases,
                       MutableArrayRef<Range> reach) {
  for (auto [c, range] : llvm::enumerate(reach)) {
    range = {range.low + biases[c], range.high + biases[c]};
    if (p.raw_accumulator || range.low < INT32_MIN || range.high > INT32_MAX)
      continue;
    const nib_requant &q = p.requant[p.n_requant > 1 ? c : 0];
    int64_t limit = INT64_C(1) << std::clamp(30 - q.shift, 0, 31);
    int64_t move =
        range.low < -limit ? -limit - range.low : std::min<int64_t>(0, limit - 1 - range.high);
    Range moved{range.low + move, range.high + move};
    int64_t code = codeOf(p, q, range.low);
    if (move == 0 || moved.low < -limit || moved.high >= limit ||
        codeOf(p, q, range.high) != code || codeOf(p, q, moved.low) != code ||
        codeOf(p, q, moved.high) != code)
      continue;
    biases[c] += move;
    range = moved;
  }
}

// TOSA's windows fill the padded input exactly: what no window reaches is cut off.
static Value cutToWindows(TosaWriter &writer, Value input, const nib_conv_shape &s,
                          int64_t pad[4]) {
  auto type = cast<RankedTensorType>(input.getType());
  SmallVector<int64_t> dims(type.getShape());
  int64_t extra[2] = {s.in_h + s.pad_top + s.pad_bottom -
                          ((s.out_h - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1),
                      s.in_w + s.pad_left + s.pad_right -
                          ((s.out_w - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1)};
  for (int i = 0; i < 2; ++i) {
    int64_t &end = pad[2 * i + 1];
    int64_t fromPad = std::min(extra[i], end);
    end -= fromPad;
    dims[1 + i] -= extra[i] - fromPad;
  }
  if (ArrayRef<int64_t>(dims) == type.getShape())
    return input;
  SmallVector<int64_t> begin(4, 0);
  return writer.make("tosa.slice", RankedTensorType::get(dims, type.getElementType()),
                     {input, writer.shape(begin), writer.shape(dims)});
}

// Zeros where there is no bias.
static SmallVector<int64_t> readBiases(const nib_graph *graph, const nib_node &node,
                                       int64_t channels) {
  const nib_tensor *bias = nib_node_input(graph, &node, 2);
  SmallVector<int64_t> biases(channels, 0);
  for (int64_t c = 0; bias && c < channels; ++c)
    biases[c] = static_cast<const int32_t *>(bias->data)[c];
  return biases;
}

static Value accumulate(TosaWriter &writer, const nib_node &node, const nib_conv_shape &s,
                        const nib_conv_params &p, ArrayRef<int64_t> biases) {
  Value input = writer.value(node, 0), filter = writer.value(node, 1);
  if (!input || !filter)
    return {};
  Value bias = writer.constant(writer.type({s.out_c}, 32), biases);
  int64_t pad[4] = {s.pad_top, s.pad_bottom, s.pad_left, s.pad_right};
  StringRef name = "tosa.conv2d";
  SmallVector<NamedAttribute> attrs{
      writer.attr("acc_type", TypeAttr::get(writer.ops().getI32Type()))};
  SmallVector<int64_t> out{s.batch, s.out_h, s.out_w, s.out_c};
  if (node.op == NIB_OP_FULLY_CONNECTED) {
    out = {s.out_w, 1, 1, s.out_c};
    input = writer.reshape(input, {s.out_w, 1, 1, s.in_c});
    filter = writer.reshape(filter, {s.out_c, 1, 1, s.in_c});
  } else if (node.op == NIB_OP_DEPTHWISE_CONV2D) {
    name = "tosa.depthwise_conv2d";
    filter = writer.reshape(filter, {s.kernel_h, s.kernel_w, s.in_c, s.multiplier});
  }
  if (node.op == NIB_OP_TRANSPOSE_CONV2D) {
    name = "tosa.transpose_conv2d";
    attrs.push_back(writer.ints("out_pad", {-pad[0], -pad[1], -pad[2], -pad[3]}));
  } else {
    if (node.op != NIB_OP_FULLY_CONNECTED)
      input = cutToWindows(writer, input, s, pad);
    attrs.push_back(writer.ints("pad", pad));
    attrs.push_back(writer.ints("dilation", {s.dilation_h, s.dilation_w}));
  }
  attrs.push_back(writer.ints("stride", {s.stride_h, s.stride_w}));
  return writer.make(name, writer.type(out, 32),
                     {input, filter, bias, writer.zero(8, p.in_zp), writer.zero(8, p.w_zp)}, attrs);
}

Value nib::writeTosaLayer(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  nib_conv_shape shape;
  nib_conv_params params;
  nib_params_conv_shape(graph, &node, &shape);
  llvm::scope_exit give([&] { free(params.requant); });
  if (nib_params_conv(graph, &node, &params) != NIB_OK) {
    writer.error(node) << "these formats have no arithmetic";
    return {};
  }
  const nib_tensor *filter = nib_node_input(graph, &node, 1),
                   *bias = nib_node_input(graph, &node, 2);
  if (shape.groups > 1 && node.op == NIB_OP_CONV2D) {
    writer.error(node) << "TOSA has no convolution in groups";
    return {};
  }
  if (!filter->data || filter->format != NIB_I8 ||
      (bias && (!bias->data || bias->format != NIB_I32))) {
    writer.error(node) << "its filter and bias must be constants of i8 and i32";
    return {};
  }
  SmallVector<Range> reach = reachOf(graph, node, shape, params);
  SmallVector<int64_t> biases = readBiases(graph, node, shape.out_c);
  for (auto [c, range] : llvm::enumerate(reach)) {
    Range any{range.low + std::min<int64_t>(biases[c], 0),
              range.high + std::max<int64_t>(biases[c], 0)};
    if (any.low < INT32_MIN || any.high > INT32_MAX) {
      writer.error(node) << "accumulators of channel " << c << " may overflow";
      return {};
    }
  }
  tameBiases(params, biases, reach);
  Value result = accumulate(writer, node, shape, params, biases);
  if (result && !params.raw_accumulator) {
    result = writer.rescale(node, result, 8, ArrayRef(params.requant, params.n_requant),
                            params.rounding, reach, params.out_zp);
    if (result)
      result = writer.clamp(result, params.lo, params.hi);
  }
  return result ? writer.reshape(result, writer.dims(writer.output(node))) : Value();
}

// TOSA multiplies batches of matrices, as many on either side.
Value nib::writeTosaMatMul(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  const nib_tensor &a = writer.input(node, 0), &b = writer.input(node, 1), &y = writer.output(node);
  int64_t m = a.dims[a.rank - 2], k = a.dims[a.rank - 1], n = b.dims[b.rank - 1];
  int64_t batch = nib_tensor_elems(&a) / (m * k);
  bool same = batch == nib_tensor_elems(&b) / (k * n);
  if (!same || (y.quantized && nib_format_get(y.format)->bits != 32)) {
    writer.error(node) << (same ? "a product with a quantized result is not written"
                                : "TOSA does not broadcast batches of matrices");
    return {};
  }
  Value lhs = writer.value(node, 0), rhs = writer.value(node, 1);
  if (!lhs || !rhs)
    return {};
  Value product =
      writer.make("tosa.matmul", writer.type({batch, m, n}, 32),
                  {writer.reshape(lhs, {batch, m, k}), writer.reshape(rhs, {batch, k, n}),
                   writer.zero(8, a.quantized ? a.zero_point : 0),
                   writer.zero(8, b.quantized ? b.zero_point : 0)});
  return writer.reshape(product, writer.dims(y));
}

//===----------------------------------------------------------------------===//
// Pools and means
//===----------------------------------------------------------------------===//

namespace {
struct Window {
  int64_t kernel[2], stride[2], pad[4]; // top, bottom, left, right
  int64_t count() const { return kernel[0] * kernel[1]; }
  bool padded() const { return pad[0] || pad[1] || pad[2] || pad[3]; }
};
} // namespace

static Window windowOf(TosaWriter &writer, const nib_node &node, Value &input) {
  Window w;
  nib_conv_shape s = {};
  const nib_tensor &x = writer.input(node, 0), &y = writer.output(node);
  s.in_h = x.dims[1], s.in_w = x.dims[2], s.out_h = y.dims[1], s.out_w = y.dims[2];
  s.kernel_h = nib_node_ints_at(&node, NIB_A_KERNEL, 0, 1);
  s.kernel_w = nib_node_ints_at(&node, NIB_A_KERNEL, 1, 1);
  s.stride_h = nib_node_ints_at(&node, NIB_A_STRIDES, 0, 1);
  s.stride_w = nib_node_ints_at(&node, NIB_A_STRIDES, 1, 1);
  s.dilation_h = s.dilation_w = 1;
  s.pad_top = nib_node_ints_at(&node, NIB_A_PADS, 0, 0);
  s.pad_left = nib_node_ints_at(&node, NIB_A_PADS, 1, 0);
  s.pad_bottom = nib_node_ints_at(&node, NIB_A_PADS, 2, 0);
  s.pad_right = nib_node_ints_at(&node, NIB_A_PADS, 3, 0);
  int64_t pad[4] = {s.pad_top, s.pad_bottom, s.pad_left, s.pad_right};
  input = cutToWindows(writer, input, s, pad);
  w.kernel[0] = s.kernel_h, w.kernel[1] = s.kernel_w;
  w.stride[0] = s.stride_h, w.stride[1] = s.stride_w;
  llvm::copy(pad, w.pad);
  return w;
}

// The mean of i8 codes as nib computes it and as TOSA's avg_pool2d does, for every sum of `count`.
static bool meansAgree(const nib_mean_params &p, int64_t count) {
  nib_requant q;
  int32_t k = 0;
  while ((INT64_C(1) << k) < count)
    ++k;
  q.multiplier = (int32_t)((((INT64_C(1) << 30) + 1) << k) / count);
  q.shift = 1 - k;
  for (int64_t sum = -128 * count; sum <= 127 * count; ++sum) {
    int64_t wanted =
        p.divide
            ? nib_avg_round((int32_t)sum, (int32_t)count)
            : p.out_zp + nib_params_rescale(p.rounding, (int32_t)(sum - count * p.in_zp), &p.out);
    int64_t got =
        p.out_zp + nib_rq_tosa_single((int32_t)(sum - count * p.in_zp), q.multiplier, q.shift);
    if (std::clamp(wanted, p.lo, p.hi) != std::clamp(got, p.lo, p.hi))
      return false;
  }
  return true;
}

static Value tosaAverage(TosaWriter &writer, const nib_node &node, Value input, const Window &w,
                         const nib_mean_params &p) {
  return writer.make("tosa.avg_pool2d", writer.type(writer.output(node)),
                     {input, writer.zero(8, p.in_zp), writer.zero(8, p.out_zp)},
                     {writer.ints("kernel", w.kernel), writer.ints("stride", w.stride),
                      writer.ints("pad", w.pad),
                      writer.attr("acc_type", TypeAttr::get(writer.ops().getI32Type()))});
}

// `factor` times the sums of all windows of codes less the zero point.
static Value sumWindows(TosaWriter &writer, ArrayRef<int64_t> result, Value input, const Window &w,
                        int64_t zero, int64_t factor) {
  int64_t channels = result[3];
  SmallVector<int64_t> weights(w.count() * channels, factor), none(channels, 0);
  return writer.make(
      "tosa.depthwise_conv2d", writer.type(result, 32),
      {input, writer.constant(writer.type({w.kernel[0], w.kernel[1], channels, 1}, 8), weights),
       writer.constant(writer.type({channels}, 32), none), writer.zero(8, zero), writer.zero(8, 0)},
      {writer.ints("pad", w.pad), writer.ints("stride", w.stride), writer.ints("dilation", {1, 1}),
       writer.attr("acc_type", TypeAttr::get(writer.ops().getI32Type()))});
}

// The multiplier that divides 64 times a sum by 64 * count so that two roundings give every mean
// with ties away from zero: the second rounding moves what lies within 2^30 of a tie, and with 6
// more bits nothing but ties lies there.
static bool divisionOf(int64_t count, nib_requant &q) {
  int32_t k = 0;
  while ((INT64_C(1) << k) < count)
    ++k;
  q = {(int32_t)((((INT64_C(1) << 30) + 1) << k) / count), 1 - k - 6, 0};
  for (int64_t sum = -128 * count; sum <= 127 * count; ++sum)
    if (nib_rq_tosa_double((int32_t)(64 * sum), q.multiplier, q.shift) !=
        nib_avg_round((int32_t)sum, (int32_t)count))
      return false;
  return true;
}

static Value writeAverage(TosaWriter &writer, const nib_graph *graph, const nib_node &node,
                          Value input, const Window &w) {
  nib_mean_params p;
  if (nib_params_mean(graph, &node, w.count(), &p) != NIB_OK || w.count() > 1 << 16) {
    writer.error(node) << "these formats have no arithmetic";
    return {};
  }
  // At the border windows have any count up to the whole.
  bool agree = !w.padded() || nib_node_int(&node, NIB_A_COUNT_INCLUDE_PAD, 0) == 0;
  for (int64_t count = w.padded() ? 1 : w.count(); agree && count <= w.count(); ++count)
    agree = nib_params_mean(graph, &node, count, &p) == NIB_OK && meansAgree(p, count);
  if (agree)
    return writer.clamp(tosaAverage(writer, node, input, w, p), p.lo, p.hi);
  if (w.padded()) {
    writer.error(node) << "means of padded windows round in another way than TOSA's";
    return {};
  }
  nib_params_mean(graph, &node, w.count(), &p);
  nib_requant q = p.out;
  nib_rounding rounding = p.rounding;
  int64_t zero = p.divide ? 0 : p.in_zp;
  int64_t factor = p.divide ? 64 : 1;
  Range range{factor * w.count() * (-128 - zero), factor * w.count() * (127 - zero)};
  if (p.divide) {
    rounding = NIB_ROUNDING_TOSA_DOUBLE;
    if (!divisionOf(w.count(), q)) {
      writer.error(node) << "a mean of " << w.count() << " codes has no exact equivalent in TOSA";
      return {};
    }
  }
  Value sums = sumWindows(writer, writer.dims(writer.output(node)), input, w, zero, factor);
  Value result = writer.rescale(node, sums, 8, q, rounding, range, p.divide ? 0 : p.out_zp);
  return result ? writer.clamp(result, p.lo, p.hi) : Value();
}

Value nib::writeTosaPool(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  Value input = writer.value(node, 0);
  if (!input)
    return {};
  Window w = windowOf(writer, node, input);
  if (node.op == NIB_OP_AVG_POOL2D)
    return writeAverage(writer, graph, node, input, w);
  int64_t low, high;
  nib_params_code_range(graph, &node, &low, &high);
  Value result = writer.make(
      "tosa.max_pool2d", writer.type(writer.output(node)), input,
      {writer.ints("kernel", w.kernel), writer.ints("stride", w.stride), writer.ints("pad", w.pad),
       writer.attr("nan_mode",
                   tosa::NanPropagationModeAttr::get(writer.ops().getContext(),
                                                     tosa::NanPropagationMode::PROPAGATE))});
  return writer.clamp(result, low, high);
}

Value nib::writeTosaMean(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  const nib_tensor &x = writer.input(node, 0), &y = writer.output(node);
  Value sum = writer.value(node, 0);
  const nib_attr *axes = nib_node_attr(&node, NIB_A_AXES);
  nib_mean_params p;
  int64_t count = nib_tensor_elems(&x) / nib_tensor_elems(&y);
  if (!sum || !axes || nib_params_mean(graph, &node, count, &p) != NIB_OK || p.divide) {
    writer.error(node) << "these formats have no arithmetic";
    return {};
  }
  ArrayRef<int64_t> over(axes->u.ints.v, axes->u.ints.n);
  if (x.rank == 4 && over.size() == 2 && over[0] + over[1] == 3 && over[0] * over[1] == 2) {
    Window w = {{x.dims[1], x.dims[2]}, {1, 1}, {0, 0, 0, 0}};
    sum = sumWindows(writer, {x.dims[0], 1, 1, x.dims[3]}, sum, w, p.in_zp, 1);
  } else {
    sum = writer.widen(sum, p.in_zp, 30);
    for (int64_t axis : over) {
      auto type = cast<RankedTensorType>(sum.getType());
      SmallVector<int64_t> dims(type.getShape());
      dims[axis] = 1;
      sum = writer.make("tosa.reduce_sum", RankedTensorType::get(dims, type.getElementType()), sum,
                        writer.attr("axis", writer.ops().getI32IntegerAttr((int32_t)axis)));
    }
  }
  Range range{count * (-128 - p.in_zp), count * (127 - p.in_zp)};
  Value result = writer.rescale(node, sum, 8, p.out, p.rounding, range, p.out_zp);
  return result ? writer.reshape(writer.clamp(result, p.lo, p.hi), writer.dims(y)) : Value();
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

// Operands of one rank, as TOSA broadcasts.
static Value ofRank(TosaWriter &writer, Value value, int32_t rank) {
  SmallVector<int64_t> dims(cast<RankedTensorType>(value.getType()).getShape());
  dims.insert(dims.begin(), rank - (int32_t)dims.size(), 1);
  return writer.reshape(value, dims);
}

static Value writeSum(TosaWriter &writer, const nib_graph *graph, const nib_node &node, Value lhs,
                      Value rhs) {
  nib_add_params p;
  if (nib_params_add(graph, &node, &p) != NIB_OK || p.left_shift != 20) {
    writer.error(node) << "these formats have no arithmetic";
    return {};
  }
  // (x - zx) << 20, then its own rounding; the sum of both has 29 bits at most.
  Range wide{-(INT64_C(255) << 20), INT64_C(255) << 20}, sum{-(INT64_C(1) << 29), INT64_C(1) << 29};
  lhs = writer.rescale(node, writer.widen(lhs, p.lhs_zp, 10), 32, p.lhs, p.rounding, wide, 0);
  rhs = writer.rescale(node, writer.widen(rhs, p.rhs_zp, 10), 32, p.rhs, p.rounding, wide, 0);
  if (!lhs || !rhs)
    return {};
  Value total = writer.make(node.op == NIB_OP_ADD ? "tosa.add" : "tosa.sub",
                            writer.type(writer.dims(writer.output(node)), 32), {lhs, rhs});
  Value result = writer.rescale(node, total, 8, p.out, p.rounding, sum, p.out_zp);
  return result ? writer.clamp(result, p.lo, p.hi) : Value();
}

static Value writeProduct(TosaWriter &writer, const nib_graph *graph, const nib_node &node,
                          Value lhs, Value rhs) {
  nib_mul_params p;
  if (nib_params_mul(graph, &node, &p) != NIB_OK) {
    writer.error(node) << "these formats have no arithmetic";
    return {};
  }
  lhs = writer.widen(lhs, p.lhs_zp, 30);
  rhs = writer.widen(rhs, p.rhs_zp, 30);
  Value product = writer.make("tosa.mul", writer.type(writer.dims(writer.output(node)), 32),
                              {lhs, rhs, writer.zero(8, 0)});
  Range range{-255 * 255, 255 * 255};
  Value result = writer.rescale(node, product, 8, p.out, p.rounding, range, p.out_zp);
  return result ? writer.clamp(result, p.lo, p.hi) : Value();
}

Value nib::writeTosaArithmetic(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  Value lhs = writer.value(node, 0), rhs = writer.value(node, 1);
  const nib_tensor &y = writer.output(node);
  if (!lhs || !rhs)
    return {};
  lhs = ofRank(writer, lhs, y.rank);
  rhs = ofRank(writer, rhs, y.rank);
  if (y.quantized)
    return node.op == NIB_OP_MUL ? writeProduct(writer, graph, node, lhs, rhs)
                                 : writeSum(writer, graph, node, lhs, rhs);
  if (y.format != NIB_I32) {
    writer.error(node) << "plain arithmetic of " << nib_format_get(y.format)->name
                       << " has no equivalent in TOSA";
    return {};
  }
  if (node.op == NIB_OP_MUL)
    return writer.make("tosa.mul", writer.type(y), {lhs, rhs, writer.zero(8, 0)});
  return writer.make(node.op == NIB_OP_ADD ? "tosa.add" : "tosa.sub", writer.type(y), {lhs, rhs});
}

Value nib::writeTosaTable(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  uint8_t table[256];
  Value input = writer.value(node, 0);
  if (!input)
    return {};
  if (node.op == NIB_OP_LOOKUP) {
    const nib_tensor &entries = writer.input(node, 1);
    if (!entries.data || entries.format != NIB_I8) {
      writer.error(node) << "its table must be a constant of i8";
      return {};
    }
    memcpy(table, entries.data, sizeof table);
  } else if (nib_params_unary_table(graph, &node, table) != NIB_OK) {
    writer.error(node) << "is no function of an 8-bit code, and has no other equivalent";
    return {};
  }
  SmallVector<int64_t> numbers;
  for (uint8_t entry : table)
    numbers.push_back((int8_t)entry);
  return writer.make("tosa.table", writer.type(writer.output(node)),
                     {input, writer.constant(writer.type({256}, 8), numbers)});
}

Value nib::writeTosaRequantize(TosaWriter &writer, const nib_graph *graph, const nib_node &node) {
  const nib_tensor &x = writer.input(node, 0), &y = writer.output(node);
  uint8_t table[256];
  if (x.format == NIB_I8 && y.format == NIB_I8 &&
      nib_params_unary_table(graph, &node, table) == NIB_OK)
    return writeTosaTable(writer, graph, node);
  nib_requantize_params p;
  llvm::scope_exit give([&] { free(p.requant); });
  if (nib_params_requantize(graph, &node, &p) != NIB_OK ||
      (p.n_requant > 1 && p.axis != x.rank - 1)) {
    writer.error(node) << "its multipliers must be constants of the last dimension";
    return {};
  }
  Value input = writer.value(node, 0);
  if (!input)
    return {};
  if (x.format == NIB_I8)
    input = writer.widen(input, p.in_zp, 30);
  // Nothing is known of an accumulator: its values are taken to be what tosa.rescale defines.
  int64_t limit = INT32_MAX;
  for (const nib_requant &q : ArrayRef(p.requant, p.n_requant))
    limit = std::min(limit, (INT64_C(1) << std::clamp(30 - q.shift, 0, 40)) - 1);
  Range range = x.format == NIB_I8 ? Range{-255, 255} : Range{-limit, limit};
  return writer.rescale(node, input, y.format == NIB_I8 ? 8 : 32, ArrayRef(p.requant, p.n_requant),
                        p.rounding, range, p.out_zp);
}

//===----------------------------------------------------------------------===//
// Movement
//===----------------------------------------------------------------------===//

static Value writePad(TosaWriter &writer, const nib_node &node, Value input) {
  const nib_tensor &x = writer.input(node, 0);
  SmallVector<int64_t> padding;
  for (int32_t i = 0; i < x.rank; ++i) {
    padding.push_back(nib_node_ints_at(&node, NIB_A_LOW, i, 0));
    padding.push_back(nib_node_ints_at(&node, NIB_A_HIGH, i, 0));
  }
  double code = nib_node_float(&node, NIB_A_PAD_VALUE, x.quantized ? (double)x.zero_point : 0.0);
  return writer.make(
      "tosa.pad", writer.type(writer.output(node)),
      {input, writer.shape(padding), writer.zero(nib_format_get(x.format)->bits, (int64_t)code)});
}

static Value writeConcat(TosaWriter &writer, const nib_node &node) {
  SmallVector<Value> parts;
  const nib_tensor &y = writer.output(node);
  for (int32_t i = 0; i < node.n_in; ++i) {
    const nib_tensor &x = writer.input(node, i);
    if (x.quantized && (x.scale != y.scale || x.zero_point != y.zero_point)) {
      writer.error(node) << "parts of other scales are rescaled in float";
      return {};
    }
    parts.push_back(writer.value(node, i));
    if (!parts.back())
      return {};
  }
  int32_t axis = (int32_t)nib_node_int(&node, NIB_A_AXIS, 0);
  return writer.make("tosa.concat", writer.type(y), parts,
                     writer.attr("axis", writer.ops().getI32IntegerAttr(axis)));
}

static Value writeSlice(TosaWriter &writer, const nib_node &node, Value input) {
  SmallVector<int64_t> begin;
  const nib_tensor &y = writer.output(node);
  for (int32_t i = 0; i < y.rank; ++i) {
    begin.push_back(nib_node_ints_at(&node, NIB_A_BEGIN, i, 0));
    if (nib_node_ints_at(&node, NIB_A_STEPS, i, 1) != 1 && y.dims[i] > 1) {
      writer.error(node) << "TOSA has no slice with steps";
      return {};
    }
  }
  return writer.make("tosa.slice", writer.type(y),
                     {input, writer.shape(begin), writer.shape(writer.dims(y))});
}

static Value writeTranspose(TosaWriter &writer, const nib_node &node, Value input) {
  SmallVector<int32_t> perm;
  const nib_tensor &y = writer.output(node);
  for (int32_t i = 0; i < y.rank; ++i)
    perm.push_back((int32_t)nib_node_ints_at(&node, NIB_A_PERM, i, y.rank - 1 - i));
  return writer.make("tosa.transpose", writer.type(y), input,
                     writer.attr("perms", writer.ops().getDenseI32ArrayAttr(perm)));
}

Value nib::writeTosaMovement(TosaWriter &writer, const nib_graph *, const nib_node &node) {
  if (node.op == NIB_OP_CONCAT)
    return writeConcat(writer, node);
  Value input = writer.value(node, 0);
  if (!input)
    return {};
  switch (node.op) {
  case NIB_OP_RESHAPE:
  case NIB_OP_SQUEEZE:
  case NIB_OP_EXPAND_DIMS:
  case NIB_OP_SCAST:
    return writer.reshape(input, writer.dims(writer.output(node)));
  case NIB_OP_PAD:
    return writePad(writer, node, input);
  case NIB_OP_SLICE:
  case NIB_OP_STRIDED_SLICE:
    return writeSlice(writer, node, input);
  case NIB_OP_TRANSPOSE:
    return writeTranspose(writer, node, input);
  default:
    writer.error(node) << "has no equivalent in TOSA";
    return {};
  }
}
