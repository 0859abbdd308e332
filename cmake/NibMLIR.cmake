# MLIR 22 as Debian packages it: everything links the shared libMLIR, never static components (two
# copies of MLIR in one process crash).
set(NIB_LLVM_DIR /usr/lib/llvm-22 CACHE PATH "Prefix of LLVM 22")
find_package(MLIR REQUIRED CONFIG PATHS ${NIB_LLVM_DIR}/lib/cmake/mlir NO_DEFAULT_PATH)
if(NOT LLVM_VERSION_MAJOR EQUAL 22)
  message(FATAL_ERROR "MLIR 22 is needed, ${NIB_LLVM_DIR} has ${LLVM_VERSION}")
endif()
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "The MLIR part must be compiled by clang++ (configure an empty folder, or set "
    "CMAKE_CXX_COMPILER): another compiler gives MLIR's types other identities than libMLIR.so has")
endif()

# The C++ interface of MLIR: headers and the shared library.
add_library(NibMLIRHeaders INTERFACE)
target_include_directories(NibMLIRHeaders SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_compile_definitions(NibMLIRHeaders INTERFACE ${LLVM_DEFINITIONS_LIST})
target_link_libraries(NibMLIRHeaders INTERFACE MLIR LLVM)

# The C interface of MLIR: its archives by file. Linking the targets would pull in static MLIR
# components beside the shared library. The linker must be the C++ one (LINKER_LANGUAGE CXX).
add_library(NibMLIRCAPI INTERFACE)
target_include_directories(NibMLIRCAPI SYSTEM INTERFACE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
foreach(part RegisterEverything Transforms Func Quant IR)
  target_link_libraries(NibMLIRCAPI INTERFACE $<TARGET_FILE:MLIRCAPI${part}>)
endforeach()
target_link_libraries(NibMLIRCAPI INTERFACE MLIR LLVM)

# nib_add_mlir_library(name FILE...): a static C++ library against the shared MLIR.
function(nib_add_mlir_library name)
  add_library(${name} STATIC ${ARGN})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter -fvisibility-inlines-hidden)
  target_link_libraries(${name} PUBLIC NibMLIRHeaders)
endfunction()

# nib_add_doc(FILE.td OUT.md GENERATOR...): a page of the reference, in build/docs, made by nib-docs.
add_custom_target(nib-docs)
function(nib_add_doc source out)
  set(page ${CMAKE_BINARY_DIR}/docs/${out})
  file(GLOB tds CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.td)
  add_custom_command(
    OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/docs
    COMMAND ${NIB_LLVM_DIR}/bin/mlir-tblgen ${ARGN} -I ${CMAKE_CURRENT_SOURCE_DIR}
            -I ${NIB_LLVM_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${page}
    DEPENDS ${tds})
  string(MAKE_C_IDENTIFIER doc_${out} target)
  add_custom_target(${target} DEPENDS ${page})
  add_dependencies(nib-docs ${target})
endfunction()
