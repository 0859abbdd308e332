// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialect/NibDialect.h"

#include "dialect/OperatorGraph.h"
#include "mlir/IR/DialectImplementation.h"
#include "num/format.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "NibDialect.cpp.inc"

void nib::NibDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "NibTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "NibOps.cpp.inc"
      >();
}

// Long names of the source are paths (`block_1/conv/Relu;block_1/…`): the last part of the first
// says most.
static std::string shortName(StringRef name) {
  name = name.split(';').first.rtrim('/');
  if (name.size() > 32 && name.contains('/'))
    name = name.rsplit('/').second;
  std::string text = name.take_front(48).str();
  for (char &c : text)
    c = llvm::isAlnum(c) ? c : '_';
  return text;
}

void nib::suggestResultName(Operation *op, OpAsmSetValueNameFn setName) {
  std::string name = readLocation(op->getLoc()).name;
  if (!name.empty())
    setName(op->getResult(0), shortName(name));
}

void nib::KernelOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  if (!getName().empty())
    setName(getResult(), shortName(getName()));
}

// The result's type of a constant, where the type of its value does not say it.
static ParseResult parseConstantType(OpAsmParser &parser, ElementsAttr value, Type &result) {
  if (succeeded(parser.parseOptionalKeyword("as")))
    return parser.parseType(result);
  result = value.getShapedType();
  return success();
}

static void printConstantType(OpAsmPrinter &printer, Operation *, ElementsAttr value, Type result) {
  if (result != value.getShapedType())
    printer << "as " << result;
}

// `[1, 2]`
static ParseResult parseInts(OpAsmParser &parser, DenseI64ArrayAttr &ints) {
  ints = dyn_cast_or_null<DenseI64ArrayAttr>(DenseI64ArrayAttr::parse(parser, Type()));
  return success(ints != nullptr);
}

static void printInts(OpAsmPrinter &printer, Operation *, DenseI64ArrayAttr ints) {
  if (ints)
    ints.print(printer);
}

llvm::LogicalResult nib::FormatType::verify(function_ref<InFlightDiagnostic()> emitError,
                                            StringRef name) {
  nib_format format = nib_format_find(name.str().c_str());
  if (format == NIB_FORMAT_COUNT)
    return emitError() << "there is no number format called \"" << name << "\"";
  if (nib_format_is_builtin(format))
    return emitError() << "the format \"" << name << "\" is the builtin type "
                       << nib_format_get(format)->name;
  if (nib_format_get(format)->name != name)
    return emitError() << "the format \"" << name << "\" is called \""
                       << nib_format_get(format)->name << "\" in types";
  return success();
}

#define GET_TYPEDEF_CLASSES
#include "NibTypes.cpp.inc"

#define GET_OP_CLASSES
#include "NibOps.cpp.inc"
