// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Tosa/IR/TosaOps.h"
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"
#include "passes/convert/TosaWriter.h"
#include "pipeline/pass_status.h"

using namespace mlir;

namespace nib {
#define GEN_PASS_DEF_CONVERTNIBTOTOSA
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class ConvertNibToTosa : public nib::impl::ConvertNibToTosaBase<ConvertNibToTosa> {
public:
  using ConvertNibToTosaBase::ConvertNibToTosaBase;

  void runOnOperation() override {
    std::optional<nib::SoftmaxChoice> choice =
        llvm::StringSwitch<std::optional<nib::SoftmaxChoice>>(softmax)
            .Case("error", nib::SoftmaxChoice::Error)
            .Case("keep", nib::SoftmaxChoice::Keep)
            .Case("omit", nib::SoftmaxChoice::Omit)
            .Default(std::nullopt);
    if (!choice) {
      getOperation().emitError() << "softmax=" << softmax << " is none of error, keep, omit";
      nib_pass_status_note(NIB_ERROR_INVALID_USAGE);
      return signalPassFailure();
    }
    func::FuncOp function = nib::findOnlyFunction(getOperation());
    nib::GraphPtr graph = function ? nib::readGraph(function) : nullptr;
    if (!graph)
      return signalPassFailure();
    OpBuilder builder(function);
    nib::TosaWriter writer(builder, function.getLoc(), graph.get(), *choice);
    if (!writer.write()) {
      nib_pass_status_note(NIB_ERROR_UNSUPPORTED);
      return signalPassFailure();
    }
    function.erase();
  }
};

} // namespace
