// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"
#include "passes/pipeline/StageOptions.h"

namespace nib {
#define GEN_PASS_DEF_NIBPLAN
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class NibPlan : public nib::impl::NibPlanBase<NibPlan> {
public:
  using NibPlanBase::NibPlanBase;

  void runOnOperation() override {
    nib_options options = nib::makeOptions(target, rounding);
    options.size = size;
    options.prefer = nib::textOrNull(prefer);
    options.max_arena_bytes = maxArena;
    auto stage = [&](nib_graph *graph, const nib_diag *diag) {
      return nib_plan_graph(graph, &options, diag);
    };
    if (failed(nib::runStage(getOperation(), /*rewrite=*/true, stage)))
      signalPassFailure();
  }
};

} // namespace
