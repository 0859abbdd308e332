// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Registration of the passes, and the pipeline that is all of them.
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "passes/lower/Pipeline.h"

#include <mutex>

using namespace mlir;

namespace {

struct ToCOptions : PassPipelineOptions<ToCOptions> {
  Option<std::string> target{*this, "target", llvm::cl::init("c99"),
                             llvm::cl::desc("What to compile for")};
  Option<std::string> out{*this, "out", llvm::cl::desc("Folder to write")};
  Option<std::string> name{*this, "name", llvm::cl::desc("Prefix of all symbols")};
  Option<std::string> rounding{*this, "rounding",
                               llvm::cl::desc("Rounding of operators that name none")};
  Option<std::string> costModel{*this, "cost-model", llvm::cl::init("analytic"),
                                llvm::cl::desc("`analytic`, or a file of measured samples")};
  Option<std::string> weights{*this, "weights", llvm::cl::init("words"),
                              llvm::cl::desc("Weights as `words` or `bytes`")};
  Option<std::string> weightFormats{*this, "weight-formats",
                                    llvm::cl::desc("Formats of constant weights")};
  Option<std::string> weightScale{*this, "weight-scale", llvm::cl::init("source"),
                                  llvm::cl::desc("How scales of weights are chosen")};
  Option<std::string> activationFormat{
      *this, "activation-format", llvm::cl::desc("Format of activations beside weights in blocks")};
  Option<std::string> decodeWeights{
      *this, "decode-weights", llvm::cl::desc("How dense layers multiply weights of few bits")};
  Option<int64_t> maxArena{*this, "max-arena", llvm::cl::init(-1),
                           llvm::cl::desc("Bytes that the arena may have; -1: any")};
  Option<int32_t> threads{*this, "threads", llvm::cl::init(1),
                          llvm::cl::desc("Threads that kernels may be cut for")};
  Option<bool> noFallback{*this, "no-fallback", llvm::cl::init(false),
                          llvm::cl::desc("Fail where something cannot be done as asked")};
  Option<bool> size{*this, "size", llvm::cl::init(false), llvm::cl::desc("Prefer small code")};
  Option<std::string> prefer{*this, "prefer",
                             llvm::cl::desc("Forms that kernels take where they can")};
  Option<int32_t> unroll{*this, "unroll", llvm::cl::init(0),
                         llvm::cl::desc("Steps of products between two ends of their loop")};
  Option<bool> checkC{*this, "check-c", llvm::cl::init(true),
                      llvm::cl::desc("Parse the C before it is written")};
};

} // namespace

static void buildToC(OpPassManager &manager, const ToCOptions &o) {
  manager.addPass(
      nib::createNibQuantize({o.target, o.rounding, o.noFallback, o.weightFormats, o.weightScale,
                              o.activationFormat, "", "", o.decodeWeights}));
  manager.addPass(nib::createNibSimplify({o.target, o.rounding, o.noFallback}));
  manager.addPass(
      nib::createNibFuse({o.target, o.rounding, o.costModel, o.size, o.threads, o.prefer}));
  manager.addPass(nib::createNibPlan({o.target, o.rounding, o.size, o.maxArena, o.prefer}));
  manager.addPass(nib::createNibSelect(
      {o.target, o.rounding, o.costModel, o.noFallback, o.size, o.maxArena, o.prefer}));
  manager.addPass(nib::createNibEmitC(
      {o.target, o.rounding, o.size, o.name, o.out, o.weights, o.checkC, o.unroll}));
}

void nib::registerPassesAndPipelines() {
  static std::once_flag once;
  std::call_once(once, [] {
    registerNibPassesPasses();
    PassPipelineRegistration<ToCOptions>(
        "nib-to-c-pipeline", "Compile a network to C: quantize, simplify, fuse, plan, select, emit",
        buildToC);
    PassPipelineRegistration<ToLLVMOptions>(
        "nib-to-llvm-pipeline",
        "Lower a network to the LLVM dialect by way of linalg: the reference lowering",
        buildToLLVM);
  });
}
