// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The state of a lowering, and how operators say loops over tensors. Everything is built on
// linalg.generic, linalg.fill and the reshapes and slices of `tensor`.
//
// Every tensor has the storage type of its format: signless integers of 1, 2, 4 or 8 bytes, f32 or
// f64; what the bits mean is in the operations. Of blocks, the last dimension counts bytes
// (Blocks.h).
#ifndef NIB_PASSES_LOWER_LOWERING_H
#define NIB_PASSES_LOWER_LOWERING_H

#include "graph/graph.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "params/params.h"
#include "passes/lower/FixedPoint.h"

namespace nib {

/// An operand of a loop nest: a tensor, and the element that each iteration reads.
struct Operand {
  mlir::Value tensor;
  mlir::AffineMap map;
};

/// The numbers that one iteration reads, in the order of the operands.
using Numbers = llvm::ArrayRef<Num>;
using Body = llvm::function_ref<Num(Numbers)>;

class Lowering {
public:
  Lowering(mlir::ImplicitLocOpBuilder &builder, const nib_graph *graph)
      : b(builder), graph(graph), values(graph->n_tensors) {}

  mlir::ImplicitLocOpBuilder &b;
  const nib_graph *graph;
  const nib_node *node = nullptr;
  mlir::Block *entry = nullptr; ///< of the function

  //===--- the node ---===//

  const nib_tensor *input(int slot) const { return nib_node_input(graph, node, slot); }
  const nib_tensor &result() const { return graph->tensors[node->out]; }
  /// The value of operand `slot` in its storage type.
  mlir::Value operand(int slot) { return valueOf(node->in[slot]); }
  mlir::Value valueOf(int32_t tensor);
  /// Operand `slot` by element: blocks are decoded to f32, everything else is as it is stored.
  mlir::Value elements(int slot);
  /// Operand `slot` as real numbers, f32 or f64.
  mlir::Value realOperand(int slot);
  void setValue(int32_t tensor, mlir::Value value) { values[tensor] = value; }

  //===--- types and constants ---===//

  mlir::Type elementType(nib_format format) const;
  mlir::RankedTensorType typeOf(const nib_tensor &tensor) const;
  mlir::RankedTensorType typeOf(llvm::ArrayRef<int64_t> dims, mlir::Type element) const {
    return mlir::RankedTensorType::get(dims, element);
  }
  mlir::Value constant(mlir::RankedTensorType type, const void *data, size_t bytes);
  template <typename T> mlir::Value vector(llvm::ArrayRef<int64_t> dims, llvm::ArrayRef<T> data) {
    mlir::Type element = std::is_same_v<T, float> ? (mlir::Type)b.getF32Type()
                                                  : (mlir::Type)b.getIntegerType(8 * sizeof(T));
    return constant(typeOf(dims, element), data.data(), data.size() * sizeof(T));
  }

  //===--- elements ---===//

  /// What a stored element means: its code, as i32 (64-bit formats and u32: i64), or its real
  /// value, f32 (of f64: f64). Tables that it takes are made at the beginning of the function.
  Num load(Num stored, nib_format format);
  /// What is stored for a code or a real value; codes wrap.
  Num store(Num number, nib_format format);
  /// Element `index` (an integer) of a one-dimensional table.
  Num lookup(mlir::Value table, Num index);

  //===--- loops ---===//

  mlir::AffineExpr dim(unsigned i) { return b.getAffineDimExpr(i); }
  mlir::AffineMap mapOf(unsigned dims, llvm::ArrayRef<mlir::AffineExpr> exprs) {
    return mlir::AffineMap::get(dims, 0, exprs, b.getContext());
  }
  mlir::AffineMap identity(unsigned rank) { return b.getMultiDimIdentityMap(rank); }
  /// Operand of the result's shape, or one that broadcasts to it as in numpy.
  Operand broadcast(mlir::Value tensor, llvm::ArrayRef<int64_t> to);

  /// A tensor of `dims` whose elements the body computes.
  mlir::Value map(llvm::ArrayRef<int64_t> dims, mlir::Type element,
                  llvm::ArrayRef<Operand> operands, Body body);
  /// A reduction: `out` maps the iterations to elements of `init`. The body's last number is the
  /// element so far. Dimensions that `out` leaves out are reduced, in order.
  mlir::Value reduce(mlir::Value init, mlir::AffineMap out, llvm::ArrayRef<Operand> operands,
                     Body body);
  /// A tensor filled with one number.
  mlir::Value filled(llvm::ArrayRef<int64_t> dims, mlir::Type element, double number);
  mlir::Value filled(llvm::ArrayRef<int64_t> dims, Num number);

  //===--- places ---===//

  mlir::Value reshape(mlir::Value tensor, llvm::ArrayRef<int64_t> dims);
  /// A box of `sizes` filled with `border`, `tensor` in it at `low` (cut off where it is outside),
  /// its elements `steps` apart.
  mlir::Value pad(mlir::Value tensor, llvm::ArrayRef<int64_t> sizes, llvm::ArrayRef<int64_t> low,
                  Num border, llvm::ArrayRef<int64_t> steps = {});
  mlir::Value slice(mlir::Value tensor, llvm::ArrayRef<int64_t> begin,
                    llvm::ArrayRef<int64_t> sizes, llvm::ArrayRef<int64_t> steps = {});
  mlir::Value insert(mlir::Value tensor, mlir::Value into, llvm::ArrayRef<int64_t> begin,
                     llvm::ArrayRef<int64_t> steps = {});
  Num border(mlir::Type element, double number);
  Num border(nib_format format, double number); ///< a code, or a real that is encoded

  //===--- arithmetic of a node ---===//

  /// The fused activation on a real result.
  Num activate(Num x);

private:
  mlir::Value generic(mlir::Value init, mlir::AffineMap out, llvm::ArrayRef<Operand> operands,
                      Body body);
  mlir::Value codebook(nib_format format);
  llvm::SmallVector<mlir::Value> values; // by tensor
  llvm::SmallDenseMap<int, mlir::Value> codebooks;
};

/// Multipliers of a requantization: constants of the loop body, or tensors that it reads.
class Requants {
public:
  /// One for each element of a tensor of shape `dims`; equal ones are one constant.
  Requants(Lowering &lowering, nib_rounding rounding, llvm::ArrayRef<nib_requant> requants,
           llvm::ArrayRef<int64_t> dims);
  /// Appends what the body reads.
  void addOperands(llvm::SmallVectorImpl<Operand> &operands, mlir::AffineMap map);
  /// Inside the body.
  Requant read(mlir::ImplicitLocOpBuilder &builder, Numbers numbers) const;

private:
  nib_requant one;
  llvm::SmallVector<mlir::Value, 2> tensors;
  size_t first = 0;
  bool floats;
};

inline llvm::ArrayRef<int64_t> dimsOf(const nib_tensor &tensor) {
  return llvm::ArrayRef(tensor.dims, tensor.rank);
}
inline llvm::ArrayRef<int64_t> dimsOf(mlir::Value tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.getType()).getShape();
}
inline mlir::Type elementOf(mlir::Value tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.getType()).getElementType();
}
bool isReal(const nib_tensor &tensor);

/// How the operators of a row of ops.def are lowered.
struct LoweringRow {
  /// The node's result in its storage type.
  mlir::Value (*lower)(Lowering &lowering) = nullptr;
  /// Whether there is a lowering for this node, which the evaluator accepts; null: always.
  bool (*accepts)(const nib_graph *graph, const nib_node *node) = nullptr;
};
/// Null if there is no lowering.
const LoweringRow *loweringOf(nib_op op);
/// Whether a node can be lowered.
bool canLower(const nib_graph *graph, int32_t node);

/// Whether the reduction of a scatter has a lowering for the format.
bool scatterAccepts(const nib_graph *graph, const nib_node *node);

/// A row of functions.def on a number; the expressions of f32 and of f64.
bool hasRealFunction(nib_op op);
Num applyRealFunction(nib_op op, Num x);
/// A row of functions.def or binary.def on plain integers, widened to 64 bits.
Num applyIntegerFunction(nib_op op, bool isUnsigned, Num x);
Num applyBinaryReal(nib_op op, Num a, Num b);
Num applyBinaryInteger(nib_op op, bool isUnsigned, Num a, Num b);

mlir::Value lowerFilter(Lowering &l);
mlir::Value lowerMatMul(Lowering &l);
mlir::Value lowerAvgPool(Lowering &l);
mlir::Value lowerMaxPool(Lowering &l);
mlir::Value lowerMean(Lowering &l);
mlir::Value lowerReduce(Lowering &l);
mlir::Value lowerArithmetic(Lowering &l);
mlir::Value lowerBinary(Lowering &l);
mlir::Value lowerWhere(Lowering &l);
mlir::Value lowerFunction(Lowering &l);
mlir::Value lowerLookup(Lowering &l);
mlir::Value lowerQuantize(Lowering &l);
mlir::Value lowerDequantize(Lowering &l);
mlir::Value lowerRequantize(Lowering &l);
mlir::Value lowerMultiThreshold(Lowering &l);
mlir::Value lowerSoftmax(Lowering &l);
mlir::Value lowerPad(Lowering &l);
mlir::Value lowerReshape(Lowering &l);
mlir::Value lowerTranspose(Lowering &l);
mlir::Value lowerConcat(Lowering &l);
mlir::Value lowerSlice(Lowering &l);
mlir::Value lowerBroadcast(Lowering &l);
mlir::Value lowerGather(Lowering &l);
mlir::Value lowerGatherElements(Lowering &l);
mlir::Value lowerGatherNd(Lowering &l);
mlir::Value lowerCumulate(Lowering &l);
mlir::Value lowerScatterNd(Lowering &l);
mlir::Value lowerScatterElements(Lowering &l);
mlir::Value lowerTopK(Lowering &l);
mlir::Value lowerCast(Lowering &l);
mlir::Value lowerBitcast(Lowering &l);
mlir::Value lowerPack(Lowering &l);
mlir::Value lowerUnpack(Lowering &l);

} // namespace nib

#endif
