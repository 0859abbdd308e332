// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Entry points by which mlir-opt finds the dialect and the passes.
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "passes/Passes.h"

extern "C" LLVM_ATTRIBUTE_WEAK mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Nibble", LLVM_VERSION_STRING,
          [](mlir::DialectRegistry *registry) { registry->insert<nib::NibDialect>(); }};
}

extern "C" LLVM_ATTRIBUTE_WEAK mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "Nibble", LLVM_VERSION_STRING,
          [] { nib::registerPassesAndPipelines(); }};
}
