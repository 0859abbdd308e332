// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How every pass runs its algorithm, and the C interface of the bridge.
#include "passes/bridge/GraphIO.h"

#include "dialect/OperatorGraph.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"
#include "passes/bridge/bridge.h"
#include "pipeline/pass_status.h"

using namespace mlir;

LogicalResult
nib::runStage(ModuleOp module, bool rewrite,
              llvm::function_ref<nib_status(nib_graph *graph, const nib_diag *diag)> stage) {
  func::FuncOp function = findOnlyFunction(module);
  GraphPtr graph = function ? readGraph(function) : nullptr;
  if (!graph)
    return failure();
  DiagnosticSink sink(function.getLoc());
  nib_diag diag = sink.diag();
  nib_status status = stage(graph.get(), &diag);
  if (nib_pass_status_note(status) != NIB_OK) {
    if (!sink.errors)
      function.emitError("this stage failed without saying why");
    return failure();
  }
  if (!rewrite)
    return success();
  OpBuilder builder(function);
  func::FuncOp rewritten = writeGraph(builder, function.getLoc(), graph.get());
  if (!rewritten)
    return failure();
  for (NamedAttribute attr : function->getDiscardableAttrs())
    if (!attr.getName().strref().starts_with("nib.") && !rewritten->hasAttr(attr.getName()))
      rewritten->setAttr(attr.getName(), attr.getValue());
  function.erase();
  return success();
}

//===----------------------------------------------------------------------===//
// The C interface
//===----------------------------------------------------------------------===//

void nibRegisterEverything(MlirDialectRegistry registry) {
  unwrap(registry)
      ->insert<nib::NibDialect, func::FuncDialect, quant::QuantDialect, tosa::TosaDialect>();
  nibRegisterPasses();
}

void nibRegisterPasses(void) { nib::registerPassesAndPipelines(); }

MlirModule nibModuleFromGraph(MlirContext context, const nib_graph *graph) {
  MLIRContext *mlirContext = unwrap(context);
  mlirContext->loadDialect<nib::NibDialect, func::FuncDialect, quant::QuantDialect>();
  Location location = nib::makeLocation(mlirContext, graph->name, -1);
  OwningOpRef<ModuleOp> module = ModuleOp::create(location);
  OpBuilder builder = OpBuilder::atBlockBegin(module->getBody());
  if (!nib::writeGraph(builder, location, graph) || failed(verify(*module)))
    return MlirModule{nullptr};
  return wrap(module.release());
}

nib_graph *nibGraphFromModule(MlirModule module) {
  func::FuncOp function = nib::findOnlyFunction(unwrap(module));
  return function ? nib::readGraph(function).release() : nullptr;
}

// Only where there is something to convert: a function of nib keeps its own messages.
bool nibModuleConvert(MlirModule module) {
  ModuleOp op = unwrap(module);
  bool foreign = false;
  op.walk([&](Operation *inner) {
    foreign |= isa_and_nonnull<tosa::TosaDialect, quant::QuantDialect>(inner->getDialect());
  });
  if (!foreign)
    return true;
  PassManager passes(op.getContext());
  passes.addPass(nib::createConvertTosaToNib());
  return succeeded(passes.run(op));
}
