// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The passes. Each is the skin of a C function of pipeline/stages.h and has its options' names.
#ifndef NIB_PASSES_TD
#define NIB_PASSES_TD

include "mlir/Pass/PassBase.td"

class Nib_StringOption<string variable, string flag, string value, string help>
    : Option<variable, flag, "std::string", value, help>;

def Nib_Target : Nib_StringOption<"target", "target", "\"c99\"",
    "What to compile for: NAME{(+|,)[+|-]feature}, as `nibc targets` lists">;
def Nib_Rounding : Nib_StringOption<"rounding", "rounding", "\"\"",
    "The rounding of operators that name none, instead of the network's own">;
def Nib_CostModel : Nib_StringOption<"costModel", "cost-model", "\"analytic\"",
    "`analytic`, or a file of measured samples">;
def Nib_Size : Option<"size", "size", "bool", "false", "Prefer small code">;
def Nib_Prefer : Nib_StringOption<"prefer", "prefer", "\"\"",
    "Forms that kernels take where they can: SCHEDULE[/VOCABULARY][:TILE];…, best first">;
def Nib_WeightFormats : Nib_StringOption<"weightFormats", "weight-formats", "\"\"",
    "Formats of constant weights: FORMAT;PATTERN=FORMAT;…">;
def Nib_WeightScale : Nib_StringOption<"weightScale", "weight-scale", "\"source\"",
    "Scales of encoded weights: as the format's `source` does, `absmax`, `mse` (least error)">;
def Nib_ActivationFormat : Nib_StringOption<"activationFormat", "activation-format", "\"\"",
    "Format of blocks for the activations of dense layers whose weights are in blocks">;
def Nib_DecodeWeights : Nib_StringOption<"decodeWeights", "decode-weights", "\"\"",
    "How dense layers multiply weights of few bits: `exact`, or rounded to the `operand`s' type">;
def Nib_Precision : Nib_StringOption<"precision", "precision", "\"\"",
    "Format for what is f32 between inputs and outputs: f16 or bf16">;
def Nib_Accumulate : Nib_StringOption<"accumulate", "accumulate", "\"\"",
    "What a precision's products are summed in: FORMAT;PATTERN=FORMAT;…, f16 or f32">;
def Nib_NoFallback : Option<"noFallback", "no-fallback", "bool", "false",
    "Fail where something asked for cannot be done exactly as asked">;

def NibQuantize : Pass<"nib-quantize", "::mlir::ModuleOp"> {
  let summary = "Encode constant weights in other formats";
  let description = [{
    Weights of convolutions, `nib.fully_connected`, `nib.matmul` and `nib.gather` that are constants of reals are
    encoded in the formats of `weight-formats`: `FORMAT` for all, `PATTERN=FORMAT` for those whose
    name matches, separated by semicolons. The operators then read them in that format. With
    `activation-format` the f32 activations of `nib.fully_connected` with constant weights in blocks are cast to that
    format of blocks first (`q8_0`: products of integers, as ggml has them). Without options nothing changes.
    `precision` puts every f32 tensor between the inputs and outputs into f16 or bf16; products of f16 are summed in
    f16, or in f32 where `accumulate` says so for a layer by the name of its result. `decode-weights=operand` has
    every `nib.fully_connected` with activations in f16 or bf16 and constant weights of at most 8 bits, in blocks or codebooks
    or small reals, round each weight to the type of its activations before it is multiplied.
  }];
  let options = [Nib_Target, Nib_Rounding, Nib_NoFallback, Nib_WeightFormats, Nib_WeightScale,
    Nib_ActivationFormat, Nib_Precision, Nib_Accumulate, Nib_DecodeWeights];
  let dependentDialects = ["::nib::NibDialect", "::mlir::func::FuncDialect"];
}

def NibSimplify : Pass<"nib-simplify", "::mlir::ModuleOp"> {
  let summary = "Turn quantize-dequantize islands into integer operators";
  let description = [{
    Islands of float operators between `nib.dequantize` and `nib.quantize` become operators on
    codes; transposes cancel; padding, bias, relu and clamp move into the operator that can do them;
    constants are folded. An integer network keeps every bit of its results.
  }];
  let options = [Nib_Target, Nib_Rounding, Nib_NoFallback];
  let dependentDialects = ["::nib::NibDialect", "::mlir::func::FuncDialect"];
}

def NibFuse : Pass<"nib-fuse", "::mlir::ModuleOp"> {
  let summary = "Group operators into kernels";
  let description = [{
    Every operator but views goes into a `nib.kernel`. Which ones share a kernel is what the cost
    model predicts to be fastest on the target.
  }];
  let options = [Nib_Target, Nib_Rounding, Nib_CostModel, Nib_Size,
    Option<"threads", "threads", "int32_t", "1",
        "Threads that kernels may be cut for (`nib.threads`)">, Nib_Prefer];
  let dependentDialects = ["::nib::NibDialect", "::mlir::func::FuncDialect"];
}

def NibPlan : Pass<"nib-plan", "::mlir::ModuleOp"> {
  let summary = "Order the kernels and place tensors in the arena";
  let description = [{
    Orders kernels for a low peak, reuses storage in place where that is legal and gives every
    tensor its byte offset. The function gets `nib.arena_bytes` and the lower bounds of the fused
    and of the unfused network.
  }];
  let options = [Nib_Target, Nib_Rounding, Nib_Size,
    Option<"maxArena", "max-arena", "int64_t", "-1", "Bytes that the arena may have; -1: any">,
    Nib_Prefer];
  let dependentDialects = ["::nib::NibDialect", "::mlir::func::FuncDialect"];
}

def NibSelect : Pass<"nib-select", "::mlir::ModuleOp"> {
  let summary = "Choose schedule, vocabulary and tile of each kernel";
  let description = [{
    Weighs every schedule that accepts a kernel, with every vocabulary (instruction set) that the
    target has and the tiles that the schedule proposes, by the cost model.
  }];
  let options = [Nib_Target, Nib_Rounding, Nib_CostModel, Nib_NoFallback, Nib_Size,
    Option<"maxArena", "max-arena", "int64_t", "-1", "Bytes that the arena may have; -1: any">,
    Nib_Prefer];
  let dependentDialects = ["::nib::NibDialect", "::mlir::func::FuncDialect"];
}

def NibEmitC : Pass<"nib-emit-c", "::mlir::ModuleOp"> {
  let summary = "Write the network as C files";
  let description = [{
    Writes `NAME.h`, `NAME.c`, `NAME_weights.c`, `nibrt_abi.h` and `NAME_main.c` into the folder
    `out`, all of them or none. The IR stays as it is.
  }];
  let options = [Nib_Target, Nib_Rounding, Nib_Size,
    Nib_StringOption<"name", "name", "\"\"", "Prefix of all symbols; default: the function's name">,
    Nib_StringOption<"out", "out", "\"\"", "Folder to write; made if absent">,
    Nib_StringOption<"weights", "weights", "\"words\"",
        "Weights as 64-bit `words` or as `bytes`">,
    Option<"checkC", "check-c", "bool", "true", "Parse the C before it is written">,
    Option<"unroll", "unroll", "int32_t", "0",
        "Steps of products between two ends of their loop; 0: as the target's vocabularies say">];
}

def ConvertTosaToNib : Pass<"convert-tosa-to-nib", "::mlir::ModuleOp"> {
  let summary = "Convert TOSA and quant operations to nib";
  let description = [{
    Functions of `tosa` 1.0 operations, quantized as plain `i8` with zero point operands or with
    elements of `!quant.uniform`, become functions of `nib` with the same signature and, bit for
    bit, the same integer results. `tosa.rescale` becomes `nib.requantize` with given multipliers;
    its rounding mode becomes `tosa-single`, `tosa-double` or `tosa-inexact`. A function that names no
    `nib.rounding` gets `tosa-single`.
  }];
  let dependentDialects = ["::nib::NibDialect"];
}

def ConvertNibToTosa : Pass<"convert-nib-to-tosa", "::mlir::ModuleOp"> {
  let summary = "Write an int8 network as TOSA operations";
  let description = [{
    Plain `i8` tensors, zero points as operands, `tosa.rescale`: the same arithmetic to the bit, or
    an error that names the operator. Equality is by construction or proven over all accumulators
    that the constants let a channel reach; means whose ties TOSA rounds to the other side become sums
    and a rescale. `softmax` says what to do with TensorFlow Lite's fixed-point softmax: `error`,
    `keep` it as `nib.softmax`, or `omit` it where it is the last operator.
  }];
  let options = [Nib_StringOption<"softmax", "softmax", "\"error\"",
      "`error`, `keep` or `omit` (as the last operator)">];
  let dependentDialects = ["::mlir::tosa::TosaDialect", "::nib::NibDialect",
                           "::mlir::func::FuncDialect"];
}

def ConvertNibToLinalg : Pass<"convert-nib-to-linalg", "::mlir::ModuleOp"> {
  let summary = "Lower networks to linalg on tensors: the reference lowering";
  let description = [{
    Every function of `nib` operators becomes one of linalg, arith, math, scf and tensor, whose results
    are those of the reference evaluator: integers bit for bit. Tensors have the storage types of
    their formats: signless integers of 1, 2, 4 or 8 bytes, f32 and f64. It is meant to be read and
    to be compared with, not to be fast. docs/lowering.md lists the operators; others are errors.
  }];
  let dependentDialects = ["::nib::NibDialect", "::mlir::func::FuncDialect",
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
    "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def NibCopiesToLinalg : Pass<"nib-copies-to-linalg", "::mlir::ModuleOp"> {
  let summary = "Turn copies of strided buffers into linalg.copy";
  let description = [{
    Such a `memref.copy` would become a call of MLIR's runtime library; as linalg it becomes loops.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect"];
}

def NibEntryPoints : Pass<"nib-entry-points", "::mlir::ModuleOp"> {
  let summary = "Add the calling convention of compiled models";
  let description = [{
    Around each function of the LLVM dialect that takes inputs and results as bare pointers:
    `NAME_run` and `NAME` of `nibrt_abi.h`. The function itself becomes internal, `NAME_network`.
  }];
  let options = [
    Nib_StringOption<"name", "name", "\"\"", "Prefix of all symbols; default: the function's name">];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def ConvertLinalgToNib : Pass<"convert-linalg-to-nib", "::mlir::ModuleOp"> {
  let summary = "Convert linalg's named operations on tensors to nib";
  let description = [{
    Matrix products, NHWC convolutions (also with zero points), pools, element-wise operations,
    transposes and broadcasts of static shapes. An operation that starts from zeros accumulates
    nothing; from other values, these are added to its result. `linalg.generic` is not converted.
  }];
  let dependentDialects = ["::nib::NibDialect"];
}

def NibVerifyIntegerOnly : Pass<"nib-verify-integer-only", "::mlir::ModuleOp"> {
  let summary = "Prove that a function marked nib.integer_only computes with integers alone";
  let description = [{
    No tensor of real numbers is left but constant scales, and every operator on codes has integer
    arithmetic: an integer rounding mode, a table, or fixed point. One error for each operator that
    has not. The fuse and emit stages prove it as well. Changes nothing.
  }];
}

#endif
