// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A nib_graph of int8 arithmetic as a function of TOSA whose results are equal bit for bit.
#ifndef NIB_PASSES_CONVERT_TOSAWRITER_H
#define NIB_PASSES_CONVERT_TOSAWRITER_H

#include "graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "params/params.h"

namespace nib {

/// What becomes of softmax, whose fixed-point arithmetic TOSA has no operator for.
enum class SoftmaxChoice {
  Error, ///< it is refused
  Keep,  ///< nib.softmax stays among the operators of TOSA
  Omit,  ///< as the last operator it is left out: the function returns its operand
};

class TosaWriter {
public:
  TosaWriter(mlir::OpBuilder &builder, mlir::Location location, const nib_graph *graph,
             SoftmaxChoice softmax)
      : builder(builder), location(location), graph(graph), softmax(softmax),
        values(graph->n_tensors) {}

  /// The function at the builder's insertion point; null after a located error for each operator
  /// that has no exact equivalent.
  mlir::func::FuncOp write();

  // What the writers of operators use.

  /// The least and the greatest value that something has.
  struct Range {
    int64_t low, high;
  };

  mlir::InFlightDiagnostic error(const nib_node &node);
  const nib_tensor &tensor(int32_t id) const { return graph->tensors[id]; }
  const nib_tensor &input(const nib_node &node, int slot) const {
    return graph->tensors[node.in[slot]];
  }
  const nib_tensor &output(const nib_node &node) const { return graph->tensors[node.out]; }
  /// Null after an error.
  mlir::Value value(const nib_node &node, int slot);
  mlir::Value make(mlir::StringRef name, mlir::Type type, mlir::ValueRange operands,
                   mlir::ArrayRef<mlir::NamedAttribute> attrs = {});
  mlir::RankedTensorType type(mlir::ArrayRef<int64_t> dims, unsigned bits);
  mlir::RankedTensorType type(const nib_tensor &tensor);
  mlir::ArrayRef<int64_t> dims(const nib_tensor &tensor) {
    return mlir::ArrayRef<int64_t>(tensor.dims, tensor.rank);
  }
  mlir::Value constant(mlir::RankedTensorType type, mlir::ArrayRef<int64_t> numbers);
  mlir::Value zero(unsigned bits, int64_t value) { return constant(type({1}, bits), value); }
  mlir::Value shape(mlir::ArrayRef<int64_t> numbers);
  mlir::Value reshape(mlir::Value value, mlir::ArrayRef<int64_t> dims);
  mlir::NamedAttribute ints(mlir::StringRef name, mlir::ArrayRef<int64_t> numbers);
  mlir::NamedAttribute attr(mlir::StringRef name, mlir::Attribute value) {
    return builder.getNamedAttr(name, value);
  }
  mlir::OpBuilder &ops() { return builder; }

  /// value * 2^30 / 2^shift with its zero point subtracted, as i32.
  mlir::Value widen(mlir::Value value, int64_t zeroPoint, int shift);
  /// Rescale by `multipliers` (one, or one for each channel), whose inputs are within `ranges` (one
  /// or as many), to `bits` bits, exactly as `rounding` says. Null after an error at `node`.
  mlir::Value rescale(const nib_node &node, mlir::Value value, unsigned bits,
                      mlir::ArrayRef<nib_requant> multipliers, nib_rounding rounding,
                      mlir::ArrayRef<Range> ranges, int64_t outputZero);
  mlir::Value clamp(mlir::Value value, int64_t low, int64_t high);

private:
  mlir::LogicalResult writeNode(const nib_node &node);
  mlir::Value writeOperator(const nib_node &node);
  mlir::Value awayFromZero(const nib_node &node, mlir::Value value, unsigned bits,
                           mlir::ArrayRef<nib_requant> multipliers, mlir::ArrayRef<Range> ranges,
                           int64_t outputZero);
  mlir::Value emitRescale(mlir::Value value, unsigned bits, mlir::ArrayRef<nib_requant> multipliers,
                          bool twice, int64_t outputZero);
  mlir::Value keepSoftmax(const nib_node &node);

  mlir::OpBuilder &builder;
  mlir::Location location;
  const nib_graph *graph;
  SoftmaxChoice softmax;
  llvm::SmallVector<mlir::Value> values; // by tensor
};

// Writers by file. Each gives the result of `node`, or null after an error.
mlir::Value writeTosaLayer(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaMatMul(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaPool(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaMean(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaArithmetic(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaTable(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaRequantize(TosaWriter &writer, const nib_graph *graph, const nib_node &node);
mlir::Value writeTosaMovement(TosaWriter &writer, const nib_graph *graph, const nib_node &node);

} // namespace nib

#endif
