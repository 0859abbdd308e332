// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialect/TensorTypes.h"

#include "dialect/NibDialect.h"
#include "graph/validate.h"
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>

using namespace mlir;

// The table of formats spells names as MLIR does where MLIR has the type.
static Type plainType(MLIRContext *context, nib_format format) {
  const nib_format_info *info = nib_format_get(format);
  return nib_format_is_builtin(format) ? parseType(info->name, context)
                                       : Type(nib::FormatType::get(context, info->name));
}

static std::string spell(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

static std::string listFormats() {
  std::string text;
  for (int i = 0; i < NIB_FORMAT_ROWS; ++i)
    if (nib_format_is_builtin((nib_format)i))
      text += (text.empty() ? "" : ", ") + std::string(nib_format_get((nib_format)i)->name);
  return text;
}

static llvm::LogicalResult readQuantType(quant::QuantizedType type, nib::TensorFacts &facts,
                                         nib::EmitError emitError) {
  auto uniform = dyn_cast<quant::UniformQuantizedType>(type);
  if (!uniform)
    return emitError() << "quantization must be per tensor, got " << type
                       << " (scales per channel are an operand)";
  unsigned bits = uniform.getStorageTypeIntegralWidth();
  std::string name = (uniform.isSigned() ? "i" : "ui") + std::to_string(bits);
  facts.format = nib_format_find(name.c_str());
  if (facts.format == NIB_FORMAT_COUNT || bits < 2 || bits > 32)
    return emitError() << "the storage type of " << type << " is no integer of 2 to 16 or 32 bits";
  if (!uniform.getExpressedType().isF32())
    return emitError() << "the expressed type of " << type << " must be f32";
  const nib_format_info *info = nib_format_get(facts.format);
  if (uniform.getStorageTypeMin() != info->min || uniform.getStorageTypeMax() != info->max)
    return emitError() << "a narrowed storage range is not supported: " << type;
  if (uniform.getZeroPoint() < info->min || uniform.getZeroPoint() > info->max)
    return emitError() << "the zero point " << uniform.getZeroPoint() << " is not a code of "
                       << (uniform.isSigned() ? "i" : "u") << bits << " (" << info->min << " to "
                       << info->max << ")";
  if (!(uniform.getScale() > 0) || uniform.getScale() != (double)(float)uniform.getScale()) {
    char nearest[32];
    snprintf(nearest, sizeof nearest, "%.17g", (double)(float)uniform.getScale());
    return emitError() << "the scale of " << type
                       << " is not a positive f32 number; the nearest is " << nearest;
  }
  facts.quantized = true;
  facts.scale = uniform.getScale();
  facts.zeroPoint = uniform.getZeroPoint();
  return success();
}

llvm::LogicalResult nib::readTensorType(Type type, TensorFacts &facts, EmitError emitError) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return emitError() << "expected a ranked tensor, got " << type;
  if (!tensor.hasStaticShape())
    return emitError() << "every dimension must be known, got " << type;
  if (tensor.getRank() > NIB_MAX_RANK)
    return emitError() << "at most " << NIB_MAX_RANK << " dimensions are supported, got " << type;
  if (tensor.getEncoding())
    return emitError() << "a tensor's encoding has no meaning here: " << type;
  int64_t elems;
  if (!nib_count_elems((int32_t)tensor.getRank(), tensor.getShape().data(), &elems))
    return emitError() << "a tensor has at most " << NIB_MAX_TENSOR_ELEMS << " elements, got "
                       << type;
  facts.dims.assign(tensor.getShape().begin(), tensor.getShape().end());
  if (auto quantized = dyn_cast<quant::QuantizedType>(tensor.getElementType()))
    return readQuantType(quantized, facts, emitError);
  auto named = dyn_cast<nib::FormatType>(tensor.getElementType());
  facts.format = nib_format_find(named ? named.getName().str().c_str()
                                       : spell(tensor.getElementType()).c_str());
  if (facts.format == NIB_FORMAT_COUNT)
    return emitError() << "elements of type " << tensor.getElementType()
                       << " are not supported; a tensor holds " << listFormats()
                       << ", !nib.format or !quant.uniform";
  const nib_format_info *info = nib_format_get(facts.format);
  if (info->kind == NIB_KIND_BLOCK &&
      (facts.dims.empty() || facts.dims.back() % info->block_elems != 0))
    return emitError() << "blocks of " << info->block_elems
                       << " do not divide the last dimension of " << type;
  return success();
}

RankedTensorType nib::makeTensorType(MLIRContext *context, const nib_tensor &tensor,
                                     EmitError emitError) {
  if (tensor.rank < 0 || tensor.rank > NIB_MAX_RANK || !nib_format_is_known(tensor.format)) {
    emitError() << "tensor '" << tensor.name << "' has no valid shape or format";
    return {};
  }
  ArrayRef<int64_t> dims(tensor.dims, tensor.rank);
  if (llvm::any_of(dims, [](int64_t dim) { return dim < 0; })) {
    emitError() << "tensor '" << tensor.name << "' has a negative dimension";
    return {};
  }
  if (!tensor.quantized)
    return RankedTensorType::get(dims, plainType(context, tensor.format));
  const nib_format_info *info = nib_format_get(tensor.format);
  if ((info->kind != NIB_KIND_SIGNED && info->kind != NIB_KIND_UNSIGNED) || info->bits > 32 ||
      tensor.format == NIB_I1) {
    emitError() << "tensor '" << tensor.name << "' of " << info->name << " cannot be quantized";
    return {};
  }
  auto element = quant::UniformQuantizedType::getChecked(
      emitError, info->kind == NIB_KIND_SIGNED ? (unsigned)quant::QuantizationFlags::Signed : 0u,
      IntegerType::get(context, info->bits), Float32Type::get(context), tensor.scale,
      tensor.zero_point, info->min, info->max);
  return element ? RankedTensorType::get(dims, element) : RankedTensorType();
}

RankedTensorType nib::makeStorageType(MLIRContext *context, nib_format format,
                                      ArrayRef<int64_t> dims) {
  const nib_format_info *info = nib_format_get(format);
  int64_t elems = 1;
  for (int64_t dim : dims)
    elems *= dim;
  if (info->kind == NIB_KIND_BLOCK)
    return RankedTensorType::get({(int64_t)nib_format_storage_bytes(format, elems)},
                                 IntegerType::get(context, 8));
  bool native = info->bits == 8 * info->bytes &&
                (info->kind != NIB_KIND_FLOAT || format == NIB_F32 || format == NIB_F64);
  return RankedTensorType::get(dims, native && nib_format_is_builtin(format)
                                         ? plainType(context, format)
                                         : Type(IntegerType::get(context, 8 * info->bytes)));
}
