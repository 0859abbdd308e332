// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "passes/Passes.h"
#include "passes/convert/TosaOperators.h"
#include "pipeline/pass_status.h"

using namespace mlir;

namespace nib {
#define GEN_PASS_DEF_CONVERTTOSATONIB
#include "NibPasses.h.inc"
} // namespace nib

namespace {

class ConvertTosaToNib : public nib::impl::ConvertTosaToNibBase<ConvertTosaToNib> {
public:
  using ConvertTosaToNibBase::ConvertTosaToNibBase;

  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      nib::FunctionConverter converter(
          function, {nib::tosaLayerRows(), nib::tosaElementRows(), nib::quantRows()});
      if (failed(converter.run())) {
        nib_pass_status_note(NIB_ERROR_UNSUPPORTED);
        return signalPassFailure();
      }
      if (!function->hasAttr("nib.rounding"))
        function->setAttr("nib.rounding", StringAttr::get(&getContext(), "tosa-single"));
    }
  }
};

} // namespace
