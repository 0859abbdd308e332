// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialect/NibDialect.h"

#include "dialect/OperatorGraph.h"

using namespace mlir;

#include "NibDialect.cpp.inc"

void nib::NibDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "NibOps.cpp.inc"
      >();
}

// Long names of the source are paths (`block_1/conv/Relu;block_1/…`): the last part of the first says
// most.
static StringRef shortName(StringRef name) {
  name = name.split(';').first.rtrim('/');
  return name.size() > 32 && name.contains('/') ? name.rsplit('/').second : name;
}

void nib::suggestResultName(Operation *op, OpAsmSetValueNameFn setName) {
  std::string name = readLocation(op->getLoc()).name;
  if (!name.empty())
    setName(op->getResult(0), shortName(name).take_front(48));
}

void nib::KernelOp::getAsmResultNames(OpAsmSetValueNameFn setName) {
  if (!getName().empty())
    setName(getResult(), getName().take_front(48));
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

#define GET_OP_CLASSES
#include "NibOps.cpp.inc"
