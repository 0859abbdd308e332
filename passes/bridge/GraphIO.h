// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The bridge in C++: a function of the IR to a nib_graph and back. bridge.h is its C interface.
#ifndef NIB_PASSES_BRIDGE_GRAPHIO_H
#define NIB_PASSES_BRIDGE_GRAPHIO_H

#include "graph/graph.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

#include <memory>

namespace nib {

struct GraphDeleter {
  void operator()(nib_graph *graph) const { nib_graph_destroy(graph); }
};
using GraphPtr = std::unique_ptr<nib_graph, GraphDeleter>;

/// The one function of `module`; null after an error.
mlir::func::FuncOp findOnlyFunction(mlir::ModuleOp module);

/// The graph of `function`, validated; null after located errors. Constant data is borrowed.
GraphPtr readGraph(mlir::func::FuncOp function);

/// A function of `graph` at the builder's insertion point; null after an error.
mlir::func::FuncOp writeGraph(mlir::OpBuilder &builder, mlir::Location location,
                              const nib_graph *graph);

/// Runs `stage` on the graph of the module's function and, if `rewrite`, puts the graph that it
/// leaves in the function's place. Its messages become diagnostics.
llvm::LogicalResult
runStage(mlir::ModuleOp module, bool rewrite,
         llvm::function_ref<nib_status(nib_graph *graph, const nib_diag *diag)> stage);

} // namespace nib

#endif
