// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// nib-to-llvm-pipeline: a network to the LLVM dialect by way of linalg.
#ifndef NIB_PASSES_LOWER_PIPELINE_H
#define NIB_PASSES_LOWER_PIPELINE_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassOptions.h"

namespace nib {

struct ToLLVMOptions : mlir::PassPipelineOptions<ToLLVMOptions> {
  Option<bool> simplify{*this, "simplify", llvm::cl::init(true),
                        llvm::cl::desc("Simplify the network first, as `nib-to-c-pipeline` does")};
  Option<std::string> rounding{*this, "rounding",
                               llvm::cl::desc("Rounding of operators that name none")};
  Option<bool> entry{*this, "entry", llvm::cl::init(true),
                     llvm::cl::desc("Add NAME_run and NAME as nibrt_abi.h has them")};
  Option<std::string> name{*this, "name",
                           llvm::cl::desc("Prefix of all symbols; default: the function's name")};
};

void buildToLLVM(mlir::OpPassManager &manager, const ToLLVMOptions &options);

/// The dialects and interfaces that the pipeline and the translation to LLVM IR need.
void registerToLLVM(mlir::DialectRegistry &registry);

} // namespace nib

#endif
