// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"
#include "passes/pipeline/StageOptions.h"

namespace nib {
#define GEN_PASS_DEF_NIBQUANTIZE
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class NibQuantize : public nib::impl::NibQuantizeBase<NibQuantize> {
public:
  using NibQuantizeBase::NibQuantizeBase;

  void runOnOperation() override {
    nib_options options = nib::makeOptions(target, rounding);
    options.no_fallback = noFallback;
    options.weight_formats = nib::textOrNull(weightFormats);
    options.weight_scale = nib::textOrNull(weightScale);
    options.activation_format = nib::textOrNull(activationFormat);
    options.decode_weights = nib::textOrNull(decodeWeights);
    options.precision = nib::textOrNull(precision);
    options.accumulate = nib::textOrNull(accumulate);
    auto stage = [&](nib_graph *graph, const nib_diag *diag) {
      return nib_quantize_graph(graph, &options, diag);
    };
    if (failed(nib::runStage(getOperation(), /*rewrite=*/true, stage)))
      signalPassFailure();
  }
};

} // namespace
