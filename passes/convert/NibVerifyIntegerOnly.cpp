// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "params/params.h"
#include "passes/Passes.h"
#include "passes/bridge/GraphIO.h"

using namespace mlir;

namespace nib {
#define GEN_PASS_DEF_NIBVERIFYINTEGERONLY
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class NibVerifyIntegerOnly : public nib::impl::NibVerifyIntegerOnlyBase<NibVerifyIntegerOnly> {
public:
  using NibVerifyIntegerOnlyBase::NibVerifyIntegerOnlyBase;

  void runOnOperation() override {
    if (failed(nib::runStage(getOperation(), /*rewrite=*/false, nib_check_integer_only)))
      signalPassFailure();
  }
};

} // namespace
