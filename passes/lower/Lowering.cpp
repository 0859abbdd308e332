// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/lower/Lowering.h"
#include "passes/lower/Blocks.h"
#include "passes/lower/Formats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <cmath>
#include <vector>

using namespace mlir;
using namespace nib;

bool nib::isReal(const nib_tensor &tensor) {
  return nib_format_get(tensor.format)->kind == NIB_KIND_FLOAT;
}

//===----------------------------------------------------------------------===//
// Types and constants
//===----------------------------------------------------------------------===//

Type Lowering::elementType(nib_format format) const {
  if (format == NIB_F32)
    return b.getF32Type();
  if (format == NIB_F64)
    return b.getF64Type();
  return b.getIntegerType(8 * nib_format_bytes(format));
}

RankedTensorType Lowering::typeOf(const nib_tensor &tensor) const {
  return typeOf(storageDims(tensor), elementType(tensor.format));
}

Value Lowering::constant(RankedTensorType type, const void *data, size_t bytes) {
  if (type.getNumElements() == 0)
    return tensor::EmptyOp::create(b, type.getShape(), type.getElementType());
  ArrayRef<char> raw(static_cast<const char *>(data), bytes);
  return arith::ConstantOp::create(b, type, DenseElementsAttr::getFromRawBuffer(type, raw));
}

Value Lowering::valueOf(int32_t tensor) {
  const nib_tensor &t = graph->tensors[tensor];
  if (!values[tensor] && t.data)
    values[tensor] = constant(typeOf(t), t.data, t.data_bytes);
  return values[tensor];
}

Value Lowering::elements(int slot) {
  const nib_tensor &x = *input(slot);
  return isBlock(x) ? decodeBlocks(*this, operand(slot), x) : operand(slot);
}

Value Lowering::codebook(nib_format format) {
  Value &table = codebooks[format];
  if (!table) {
    std::vector<float> numbers(size_t(1) << nib_format_get(format)->bits);
    for (size_t code = 0; code < numbers.size(); ++code)
      numbers[code] = (float)nib_format_decode(format, code);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(entry); // we are inside a loop's body
    table = vector<float>((int64_t)numbers.size(), numbers);
  }
  return table;
}

Value Lowering::realOperand(int slot) {
  const nib_tensor &x = *input(slot);
  if (isBlock(x) || isa<FloatType>(elementType(x.format)))
    return elements(slot);
  return map(dimsOf(x), b.getF32Type(), {{operand(slot), identity(x.rank)}},
             [&](Numbers v) { return load(v[0], x.format).toF32(); });
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

Num Lowering::load(Num stored, nib_format format) {
  const nib_format_info *info = nib_format_get(format);
  if (stored.isFloat())
    return stored;
  if (info->kind == NIB_KIND_FLOAT)
    return decode(format, stored.toUnsigned(64)).toF32();
  if (info->kind == NIB_KIND_CODEBOOK || info->kind == NIB_KIND_BIPOLAR) {
    Num code = stored.toUnsigned(32) & ((INT64_C(1) << info->bits) - 1);
    if (info->kind == NIB_KIND_CODEBOOK)
      return lookup(codebook(format), code);
    return (code * 2 - ((INT64_C(1) << info->bits) - 1)).toF32();
  }
  if (stored.bits() == 64)
    return stored;
  if (info->kind == NIB_KIND_SIGNED)
    return stored.toInt(32);
  return stored.toUnsigned(stored.bits() == 32 ? 64 : 32);
}

Num Lowering::store(Num number, nib_format format) {
  if (isMinifloat(format))
    return encode(format, number, NIB_ENCODE_NEAREST_EVEN, /*saturate=*/false)
        .toInt(8 * nib_format_bytes(format));
  if (nib_format_get(format)->kind == NIB_KIND_FLOAT)
    return number.toFloat(8 * nib_format_bytes(format));
  return number.toInt(8 * nib_format_bytes(format));
}

Num Lowering::lookup(Value table, Num index) {
  return index.with(tensor::ExtractOp::create(index.at(), table, index.toIndex()));
}

Num Lowering::activate(Num x) {
  float lo, hi;
  nib_params_real_range(graph, node, &lo, &hi);
  if (StringRef(nib_node_string(node, NIB_A_ACTIVATION, "none")) == "tanh")
    return x.with(math::TanhOp::create(x.at(), x));
  Num y = x;
  if (std::isfinite(hi))
    y = select(y > y.real(hi), y.real(hi), y);
  if (std::isfinite(lo))
    y = select(x < x.real(lo), x.real(lo), y);
  return y;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Operand Lowering::broadcast(Value tensor, ArrayRef<int64_t> to) {
  ArrayRef<int64_t> dims = dimsOf(tensor);
  SmallVector<AffineExpr> exprs;
  for (size_t i = 0; i < dims.size(); ++i) {
    unsigned d = to.size() - dims.size() + i;
    exprs.push_back(dims[i] == 1 && to[d] != 1 ? b.getAffineConstantExpr(0) : dim(d));
  }
  return {tensor, mapOf(to.size(), exprs)};
}

Value Lowering::generic(Value init, AffineMap out, ArrayRef<Operand> operands, Body body) {
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  for (const Operand &operand : operands) {
    inputs.push_back(operand.tensor);
    maps.push_back(operand.map);
  }
  maps.push_back(out);
  SmallVector<utils::IteratorType> iterators(out.getNumDims(), utils::IteratorType::reduction);
  for (AffineExpr expr : out.getResults())
    if (auto position = dyn_cast<AffineDimExpr>(expr))
      iterators[position.getPosition()] = utils::IteratorType::parallel;
  auto op =
      linalg::GenericOp::create(b, init.getType(), inputs, init, maps, iterators,
                                [&](OpBuilder &nested, Location location, ValueRange arguments) {
                                  ImplicitLocOpBuilder inside(location, nested);
                                  SmallVector<Num> numbers;
                                  for (Value argument : arguments)
                                    numbers.push_back(Num(inside, argument));
                                  linalg::YieldOp::create(inside, ValueRange{body(numbers)});
                                });
  return op.getResult(0);
}

Value Lowering::map(ArrayRef<int64_t> dims, Type element, ArrayRef<Operand> operands, Body body) {
  Value empty = tensor::EmptyOp::create(b, dims, element);
  return generic(empty, identity(dims.size()), operands, body);
}

Value Lowering::reduce(Value init, AffineMap out, ArrayRef<Operand> operands, Body body) {
  return generic(init, out, operands, body);
}

Num Lowering::border(Type element, double number) {
  if (isa<FloatType>(element))
    return Num(b, arith::ConstantOp::create(b, b.getFloatAttr(element, number)));
  return Num(b, arith::ConstantOp::create(b, b.getIntegerAttr(element, (int64_t)number)));
}

Num Lowering::border(nib_format format, double number) {
  if (isMinifloat(format) || nib_format_get(format)->kind == NIB_KIND_CODEBOOK)
    number = (double)nib_format_encode(format, number, NIB_ENCODE_NEAREST_EVEN, false, 0);
  return border(elementType(format), number);
}

Value Lowering::filled(ArrayRef<int64_t> dims, Num number) {
  Value empty = tensor::EmptyOp::create(b, dims, number.type());
  return linalg::FillOp::create(b, ValueRange{number}, ValueRange{empty}).getResult(0);
}

Value Lowering::filled(ArrayRef<int64_t> dims, Type element, double number) {
  return filled(dims, border(element, number));
}

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

Value Lowering::reshape(Value tensor, ArrayRef<int64_t> dims) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.getShape() == dims)
    return tensor;
  RankedTensorType wanted = typeOf(dims, type.getElementType());
  if (type.getNumElements() == 0)
    return tensor::EmptyOp::create(b, dims, type.getElementType());
  auto all = [](size_t rank) {
    SmallVector<ReassociationIndices> groups;
    if (rank)
      groups.push_back(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
    return groups;
  };
  if (type.getRank() != 1 && (type.getRank() || dims.size() == 0)) {
    RankedTensorType flat =
        typeOf(dims.empty() ? ArrayRef<int64_t>() : ArrayRef<int64_t>(type.getNumElements()),
               type.getElementType());
    tensor = tensor::CollapseShapeOp::create(
        b, flat, tensor, dims.empty() ? SmallVector<ReassociationIndices>() : all(type.getRank()));
  } else if (dims.empty()) {
    return tensor::CollapseShapeOp::create(b, wanted, tensor, SmallVector<ReassociationIndices>());
  }
  if (dimsOf(tensor) == dims)
    return tensor;
  return tensor::ExpandShapeOp::create(
      b, wanted, tensor, type.getRank() ? all(dims.size()) : SmallVector<ReassociationIndices>());
}

static SmallVector<OpFoldResult> attributes(OpBuilder &builder, ArrayRef<int64_t> numbers) {
  return llvm::map_to_vector(numbers,
                             [&](int64_t n) -> OpFoldResult { return builder.getIndexAttr(n); });
}

Value Lowering::slice(Value tensor, ArrayRef<int64_t> begin, ArrayRef<int64_t> sizes,
                      ArrayRef<int64_t> steps) {
  SmallVector<int64_t> ones(begin.size(), 1);
  return tensor::ExtractSliceOp::create(
      b, tensor, attributes(b, begin), attributes(b, sizes),
      attributes(b, steps.empty() ? ArrayRef<int64_t>(ones) : steps));
}

Value Lowering::insert(Value tensor, Value into, ArrayRef<int64_t> begin, ArrayRef<int64_t> steps) {
  SmallVector<int64_t> ones(begin.size(), 1);
  return tensor::InsertSliceOp::create(
      b, tensor, into, attributes(b, begin), attributes(b, dimsOf(tensor)),
      attributes(b, steps.empty() ? ArrayRef<int64_t>(ones) : steps));
}

Value Lowering::pad(Value tensor, ArrayRef<int64_t> sizes, ArrayRef<int64_t> low, Num border,
                    ArrayRef<int64_t> steps) {
  ArrayRef<int64_t> dims = dimsOf(tensor);
  SmallVector<int64_t> first(dims.size()), count(dims.size()), at(dims.size());
  bool whole = dims == sizes, cut = false, empty = false;
  for (size_t d = 0; d < dims.size(); ++d) {
    const int64_t step = steps.empty() ? 1 : steps[d];
    // The elements i with 0 <= low + i * step < size.
    first[d] = low[d] < 0 ? (-low[d] + step - 1) / step : 0;
    const int64_t last = sizes[d] <= low[d] ? -1 : (sizes[d] - 1 - low[d]) / step;
    count[d] = std::min(last, dims[d] - 1) - first[d] + 1;
    at[d] = low[d] + first[d] * step;
    whole &= low[d] == 0 && step == 1;
    cut |= first[d] > 0 || count[d] < dims[d];
    empty |= count[d] <= 0;
  }
  if (whole)
    return tensor;
  Value box = filled(sizes, border);
  if (empty)
    return box;
  return insert(cut ? slice(tensor, first, count) : tensor, box, at, steps);
}

//===----------------------------------------------------------------------===//
// Multipliers
//===----------------------------------------------------------------------===//

Requants::Requants(Lowering &lowering, nib_rounding rounding, ArrayRef<nib_requant> requants,
                   ArrayRef<int64_t> dims)
    : one(requants.front()), floats(isFloatMode(rounding)) {
  auto same = [&](const nib_requant &q) {
    return floats ? q.scale == one.scale : q.multiplier == one.multiplier && q.shift == one.shift;
  };
  if (llvm::all_of(requants, same))
    return;
  SmallVector<int32_t> multipliers, shifts;
  SmallVector<float> scales;
  for (const nib_requant &q : requants) {
    multipliers.push_back(q.multiplier);
    shifts.push_back(q.shift);
    scales.push_back(q.scale);
  }
  if (floats)
    tensors = {lowering.vector<float>(dims, scales)};
  else
    tensors = {lowering.vector<int32_t>(dims, multipliers), lowering.vector<int32_t>(dims, shifts)};
}

void Requants::addOperands(SmallVectorImpl<Operand> &operands, AffineMap map) {
  first = operands.size();
  for (Value tensor : tensors)
    operands.push_back({tensor, map});
}

Requant Requants::read(ImplicitLocOpBuilder &builder, Numbers numbers) const {
  if (tensors.empty())
    return constantRequant(builder, one);
  if (floats)
    return {std::nullopt, std::nullopt, numbers[first]};
  return {numbers[first], numbers[first + 1], std::nullopt};
}
