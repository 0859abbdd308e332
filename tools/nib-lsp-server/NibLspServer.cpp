// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Language server for .mlir files with the nib dialect.
#include "mlir/InitAllDialects.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "passes/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  registry.insert<nib::NibDialect>();
  return mlir::failed(mlir::MlirLspServerMain(argc, argv, registry));
}
