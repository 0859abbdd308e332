/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The bridge between a nib_graph and MLIR, and the registration of everything, as a C API. */
#ifndef NIB_BRIDGE_BRIDGE_H
#define NIB_BRIDGE_BRIDGE_H

#include "graph/graph.h"
#include "mlir-c/IR.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Registers the nib, quant, func, tosa and builtin dialects and all passes and pipelines. */
void nibRegisterEverything(MlirDialectRegistry registry);
void nibRegisterPasses(void);

/** A module with one function @<graph name> from `graph`; a null module on failure (diagnostics are
 *  emitted in `context`). Constant data is copied into resources. */
MlirModule nibModuleFromGraph(MlirContext context, const nib_graph *graph);

/** The graph of the module's only function; constant data is borrowed from the module. NULL on
 *  failure; diagnostics are located in the IR. */
nib_graph *nibGraphFromModule(MlirModule module);

/** Converts a module of other dialects (tosa, quant) to nib in place; leaves one of nib alone. */
bool nibModuleConvert(MlirModule module);

/** Registers what `nib-to-llvm-pipeline` needs besides, for a context that runs it. */
void nibRegisterLowering(MlirDialectRegistry registry);

/** The LLVM IR of a module in the LLVM dialect, as text; `name` is the module's. False after
 *  diagnostics. */
bool nibModuleToLLVMIR(MlirModule module, const char *name, MlirStringCallback append, void *user);

#ifdef __cplusplus
}
#endif
#endif
