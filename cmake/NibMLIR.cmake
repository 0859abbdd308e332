# MLIR 22 as Debian packages it: everything links the shared libMLIR, never static components (two
# copies of MLIR in one process crash).
set(NIB_LLVM_DIR /usr/lib/llvm-22 CACHE PATH "Prefix of LLVM 22")
find_package(MLIR 22 REQUIRED CONFIG PATHS ${NIB_LLVM_DIR}/lib/cmake/mlir NO_DEFAULT_PATH)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
