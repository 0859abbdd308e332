// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"
#include "passes/pipeline/StageOptions.h"

namespace nib {
#define GEN_PASS_DEF_NIBSIMPLIFY
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class NibSimplify : public nib::impl::NibSimplifyBase<NibSimplify> {
public:
  using NibSimplifyBase::NibSimplifyBase;

  void runOnOperation() override {
    nib_options options = nib::makeOptions(target, rounding);
    options.no_fallback = noFallback;
    auto stage = [&](nib_graph *graph, const nib_diag *diag) {
      return nib_simplify_graph(graph, &options, diag);
    };
    if (failed(nib::runStage(getOperation(), /*rewrite=*/true, stage)))
      signalPassFailure();
  }
};

} // namespace
