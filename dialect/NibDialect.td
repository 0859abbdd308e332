// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The `nib` dialect: its types and the classes that its operations share.
#ifndef NIB_DIALECT_TD
#define NIB_DIALECT_TD

include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypeInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Nib_Dialect : Dialect {
  let name = "nib";
  let cppNamespace = "::nib";
  let summary = "Low-precision neural networks whose every number is defined";
  let description = [{
    An operation of `nib` keeps the meaning of the network's source: formats, scales, zero points
    and the way a result is rounded are all in the IR, so that one graph has one result.

    * Activations are tensors of a plain type or of a per-tensor `!quant.uniform` whose storage is
      `i8`, `u8` or `i16`. All shapes are static. Layouts are NHWC.
    * Scales per channel are operands (`filter_scales`), never lists in a type.
    * `rounding` names the arithmetic of a result. An operation without it uses the function's
      `nib.rounding`.
    * A location names the source's operator: `loc("conv1"("#3"))` is operator 3, called conv1.

    A function that Nibble compiles has these discardable attributes, all optional:

    | attribute | of | meaning |
    |---|---|---|
    | `nib.rounding` | function | the rounding of operations that name none |
    | `nib.integer_only` | function | nothing may compute in float: checked after simplification (`nib-verify-integer-only`), and the generated code has no float instruction |
    | `nib.threads` | function | threads to compile for: `nib-select` cuts kernels into as many parts at most |
    | `nib.name` | argument, result | the source's name of the tensor |
    | `nib.arena_bytes`, `nib.lower_bound_bytes`, `nib.unfused_lower_bound_bytes`, `nib.proven_bound_bytes` | function | what planning found |
    | `nib.result` | operation | the source's name of the result where it is not the operator's |
    | `nib.arena_offset` | argument, operation | byte offset of the tensor in the arena |
    | `nib.storage`, `nib.alias_of` | argument, operation | a tensor with `alias_of = N` lives in the storage of the one with `storage = N` |
  }];
  let dependentDialects = ["::mlir::quant::QuantDialect"];
  let hasOperationAttrVerify = 1;
  let useDefaultTypePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

def Nib_FormatType
    : TypeDef<Nib_Dialect, "Format", [
        DeclareTypeInterfaceMethods<MemRefElementTypeInterface>,
        DeclareTypeInterfaceMethods<VectorElementTypeInterface>]> {
  let mnemonic = "format";
  let summary = "A number format of the table that MLIR has no builtin type for";
  let description = [{
    `name` is a row of runtime/num/formats.def or one of the spellings with parameters: bipolar
    integers, codebooks, blocks, minifloats of any layout.

    Syntax: `!nib.format<"e3m4:bias=3">`
  }];
  let parameters = (ins StringRefParameter<"name in the table of formats">:$name);
  let assemblyFormat = "`<` $name `>`";
  let genVerifyDecl = 1;
}

// A tensor that a graph can hold: static shape, rank at most 8, a storage format of the format
// table or a per-tensor uniform quantization of one. verifyOperator says in words which part is
// wrong.
def Nib_Tensor
    : Type<CPred<"::llvm::isa<::mlir::RankedTensorType>($_self)">, "ranked tensor",
           "::mlir::RankedTensorType">;

class Nib_Optional<Attr attr> : OptionalAttr<attr>;
def Nib_Ints : Nib_Optional<DenseI64ArrayAttr>;
def Nib_Int : Nib_Optional<I64Attr>;
def Nib_Float : Nib_Optional<F64Attr>;
def Nib_String : Nib_Optional<StrAttr>;

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

// An operator of the table codegen/graph/ops.def. Its verifier reads that table.
class Nib_Operator<string mnemonic, list<Trait> traits = []>
    : Op<Nib_Dialect, mnemonic,
         traits # [Pure, DeclareOpInterfaceMethods<OpAsmOpInterface, ["getAsmResultNames"]>]> {
  let results = (outs Nib_Tensor:$result);
  let hasVerifier = 1;
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::verify() { return ::nib::verifyOperator(getOperation()); }
    void $cppClass::getAsmResultNames(::mlir::OpAsmSetValueNameFn setName) {
      ::nib::suggestResultName(getOperation(), setName);
    }
  }];
}

// One operand, one result.
class Nib_Unary<string mnemonic, string clauses, list<Trait> traits = []>
    : Nib_Operator<mnemonic, traits> {
  let assemblyFormat = "$input " # clauses # " attr-dict `:` functional-type(operands, results)";
}

// Two operands that broadcast as in numpy.
class Nib_Binary<string mnemonic, string clauses, list<Trait> traits = []>
    : Nib_Operator<mnemonic, traits> {
  let assemblyFormat =
      "$lhs `,` $rhs " # clauses # " attr-dict `:` functional-type(operands, results)";
}

// Activations times a filter, plus a bias.
class Nib_Filter<string mnemonic, string clauses>
    : Nib_Operator<mnemonic, [AttrSizedOperandSegments]> {
  let assemblyFormat = "$input `,` $filter (`bias` $bias^)? (`scales` $filter_scales^)? " #
                       clauses # " attr-dict `:` functional-type(operands, results)";
}

#endif
