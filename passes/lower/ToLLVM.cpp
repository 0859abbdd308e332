// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From linalg to the LLVM dialect: MLIR's own passes, and two small ones that they leave room for.
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"
#include "passes/lower/Pipeline.h"

#include "emit/model.h"
#include "nibrt_abi.h"

namespace nib {
#define GEN_PASS_DEF_NIBCOPIESTOLINALG
#define GEN_PASS_DEF_NIBENTRYPOINTS
#include "NibPasses.h.inc"
} // namespace nib

using namespace mlir;

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

namespace {

// A strided memref.copy would become a call of MLIR's runtime library.
class NibCopiesToLinalg : public nib::impl::NibCopiesToLinalgBase<NibCopiesToLinalg> {
public:
  using NibCopiesToLinalgBase::NibCopiesToLinalgBase;

  void runOnOperation() override {
    getOperation().walk([](memref::CopyOp copy) {
      auto from = cast<MemRefType>(copy.getSource().getType());
      auto to = cast<MemRefType>(copy.getTarget().getType());
      if (from.getLayout().isIdentity() && to.getLayout().isIdentity())
        return;
      OpBuilder builder(copy);
      linalg::CopyOp::create(builder, copy.getLoc(), copy.getSource(), copy.getTarget());
      copy.erase();
    });
  }
};

//===----------------------------------------------------------------------===//
// Entry points
//===----------------------------------------------------------------------===//

// NAME_run and the typed wrapper of nibrt_abi.h around the function of one network.
class EntryPoints {
public:
  EntryPoints(LLVM::LLVMFuncOp network, std::string name)
      : network(network), name(std::move(name)), b(network.getLoc(), network),
        pointer(LLVM::LLVMPointerType::get(network.getContext())), i32(b.getI32Type()) {}

  LogicalResult add() {
    LLVM::LLVMFunctionType type = network.getFunctionType();
    if (!isa<LLVM::LLVMVoidType>(type.getReturnType()) ||
        !llvm::all_of(type.getParams(), [&](Type t) { return t == pointer; }))
      return network.emitError("a network in the LLVM dialect takes pointers and returns nothing");
    for (unsigned i = 0; i < type.getNumParams(); ++i)
      outputs += network.getArgAttr(i, "bufferize.result") ? 1 : 0;
    inputs = type.getNumParams() - outputs;
    for (unsigned i = 0; i < type.getNumParams(); ++i)
      network.removeArgAttr(i, StringAttr::get(network.getContext(), "bufferize.result"));
    network.setName(name + "_network");
    network.setLinkage(LLVM::Linkage::Internal);
    network.setVisibility(SymbolTable::Visibility::Public);
    addRun();
    addWrapper();
    return success();
  }

private:
  LLVM::LLVMFuncOp addFunction(StringRef symbol, unsigned pointers) {
    SmallVector<Type> arguments(pointers, pointer);
    return LLVM::LLVMFuncOp::create(b, symbol, LLVM::LLVMFunctionType::get(i32, arguments));
  }
  Value number(int64_t value) {
    return LLVM::ConstantOp::create(b, i32, b.getI32IntegerAttr(value));
  }
  Value elementAddress(Value array, unsigned i) {
    return LLVM::GEPOp::create(b, pointer, pointer, array, ArrayRef<LLVM::GEPArg>{(int32_t)i});
  }
  Value isNull(Value address) {
    Value null = LLVM::ZeroOp::create(b, pointer);
    return LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::eq, address, null);
  }
  // Returns `status` if `condition` holds; otherwise the builder is in the block that follows.
  void returnIf(Value condition, int64_t status) {
    Region *region = b.getInsertionBlock()->getParent();
    Block *before = b.getInsertionBlock();
    Block *fail = b.createBlock(region), *next = b.createBlock(region);
    b.setInsertionPointToEnd(before);
    LLVM::CondBrOp::create(b, condition, fail, next);
    b.setInsertionPointToEnd(fail);
    LLVM::ReturnOp::create(b, number(status));
    b.setInsertionPointToEnd(next);
  }
  // exec may be NULL; what it says must be known here.
  void checkExec(Value exec) {
    Value null = isNull(exec);
    Block *before = b.getInsertionBlock();
    Region *region = before->getParent();
    Block *check = b.createBlock(region), *next = b.createBlock(region);
    b.setInsertionPointToEnd(before);
    LLVM::CondBrOp::create(b, null, next, check);
    b.setInsertionPointToEnd(check);
    Value size = LLVM::LoadOp::create(b, i32, exec);
    Value second = LLVM::GEPOp::create(b, pointer, i32, exec, ArrayRef<LLVM::GEPArg>{1});
    Value version = LLVM::LoadOp::create(b, i32, second);
    Value small =
        LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ult, size, number(NIBRT_EXEC_SIZE_1));
    Value newer =
        LLVM::ICmpOp::create(b, LLVM::ICmpPredicate::ugt, version, number(NIBRT_ABI_VERSION));
    returnIf(LLVM::OrOp::create(b, small, newer), NIBRT_ERROR_ABI);
    LLVM::BrOp::create(b, next);
    b.setInsertionPointToEnd(next);
  }
  void loadAll(Value array, unsigned count, SmallVectorImpl<Value> &pointers) {
    for (unsigned i = 0; i < count; ++i) {
      pointers.push_back(LLVM::LoadOp::create(b, pointer, elementAddress(array, i)));
      returnIf(isNull(pointers.back()), NIBRT_ERROR_NULL_ARGUMENT);
    }
  }

  // NAME_run(exec, in, out, arenas).
  void addRun() {
    OpBuilder::InsertionGuard guard(b);
    run = addFunction(name + "_run", 4);
    Block *entry = run.addEntryBlock(b);
    b.setInsertionPointToEnd(entry);
    checkExec(entry->getArgument(0));
    SmallVector<Value> pointers;
    for (auto [argument, count] : {std::pair(1u, inputs), std::pair(2u, outputs)}) {
      if (!count)
        continue;
      returnIf(isNull(entry->getArgument(argument)), NIBRT_ERROR_NULL_ARGUMENT);
      loadAll(entry->getArgument(argument), count, pointers);
    }
    LLVM::CallOp::create(b, network, pointers);
    LLVM::ReturnOp::create(b, number(NIBRT_OK));
  }

  // NAME(in0, …, out0, …, arena).
  void addWrapper() {
    OpBuilder::InsertionGuard guard(b);
    char symbol[160];
    nib_model_wrapper_name(name.c_str(), symbol, sizeof symbol);
    LLVM::LLVMFuncOp wrapper = addFunction(symbol, inputs + outputs + 1);
    Block *entry = wrapper.addEntryBlock(b);
    b.setInsertionPointToEnd(entry);
    unsigned next = 0;
    auto array = [&](unsigned count) {
      Value memory = LLVM::AllocaOp::create(b, pointer, pointer, number(std::max(count, 1u)));
      for (unsigned i = 0; i < count; ++i)
        LLVM::StoreOp::create(b, entry->getArgument(next++), elementAddress(memory, i));
      return memory;
    };
    Value in = array(inputs), out = array(outputs), arenas = array(1);
    Value null = LLVM::ZeroOp::create(b, pointer);
    auto call = LLVM::CallOp::create(b, run, ValueRange{null, in, out, arenas});
    LLVM::ReturnOp::create(b, call.getResult());
  }

  LLVM::LLVMFuncOp network, run;
  std::string name;
  ImplicitLocOpBuilder b;
  Type pointer, i32;
  unsigned inputs = 0, outputs = 0;
};

class NibEntryPoints : public nib::impl::NibEntryPointsBase<NibEntryPoints> {
public:
  using NibEntryPointsBase::NibEntryPointsBase;

  void runOnOperation() override {
    SmallVector<LLVM::LLVMFuncOp> networks;
    for (auto function : getOperation().getOps<LLVM::LLVMFuncOp>())
      if (!function.isExternal() && function.getLinkage() == LLVM::Linkage::External)
        networks.push_back(function);
    if (networks.size() > 1 && !name.empty()) {
      networks[1].emitError("one name for two networks");
      return signalPassFailure();
    }
    for (LLVM::LLVMFuncOp network : networks)
      if (failed(EntryPoints(network, name.empty() ? network.getName().str() : name).add()))
        return signalPassFailure();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// The pipeline
//===----------------------------------------------------------------------===//

// Tensors become buffers; results become the last arguments.
static void addBufferization(OpPassManager &manager) {
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  manager.addPass(bufferization::createOneShotBufferizePass(bufferize));
  bufferization::BufferResultsToOutParamsPassOptions results;
  results.addResultAttribute = true;
  results.hoistStaticAllocs = false; // a buffer that is returned twice crashes it
  results.modifyPublicFunctions = true;
  manager.addPass(bufferization::createBufferResultsToOutParamsPass(results));
  bufferization::BufferDeallocationPipelineOptions deallocate;
  bufferization::buildBufferDeallocationPipeline(manager, deallocate);
  manager.addPass(createConvertBufferizationToMemRefPass());
}

static void addConversions(OpPassManager &manager) {
  manager.addPass(nib::createNibCopiesToLinalg());
  manager.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertMathToLibmPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  ConvertFuncToLLVMPassOptions functions;
  functions.useBarePtrCallConv = true;
  manager.addPass(createConvertFuncToLLVMPass(functions));
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
}

void nib::buildToLLVM(OpPassManager &manager, const ToLLVMOptions &o) {
  if (o.simplify)
    manager.addPass(createNibSimplify({"c99", o.rounding, false}));
  manager.addPass(createNibVerifyIntegerOnly());
  manager.addPass(createConvertNibToLinalg());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  addBufferization(manager);
  addConversions(manager);
  if (o.entry)
    manager.addPass(createNibEntryPoints({o.name}));
}
