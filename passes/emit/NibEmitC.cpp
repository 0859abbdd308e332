// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"
#include "passes/pipeline/StageOptions.h"

namespace nib {
#define GEN_PASS_DEF_NIBEMITC
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class NibEmitC : public nib::impl::NibEmitCBase<NibEmitC> {
public:
  using NibEmitCBase::NibEmitCBase;

  void runOnOperation() override {
    nib_options options = nib::makeOptions(target, rounding);
    if (out.empty()) {
      getOperation().emitError("nib-emit-c needs the folder to write: out=DIR");
      return signalPassFailure();
    }
    options.name = nib::textOrNull(name);
    options.out_dir = out.c_str();
    options.weights = weights.c_str();
    options.size = size;
    options.unroll = unroll;
    options.check_c = checkC;
    auto stage = [&](nib_graph *graph, const nib_diag *diag) {
      return nib_emit_graph(graph, &options, diag);
    };
    if (failed(nib::runStage(getOperation(), /*rewrite=*/false, stage)))
      signalPassFailure();
  }
};

} // namespace
