// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Values are printed with the names of the source's operators, and a pass keeps names and numbers.
// RUN: %nib-opt %s | FileCheck %s --check-prefixes=CHECK,PLAIN
// RUN: %nib-opt %s --pass-pipeline='builtin.module(nib-fuse)' --mlir-print-debuginfo | FileCheck %s --check-prefixes=CHECK,FUSED
// RUN: %nib-opt %s --mlir-print-debuginfo | %mlir-opt-nib --pass-pipeline='builtin.module(nib-fuse)' --mlir-print-debuginfo | FileCheck %s --check-prefixes=CHECK,FUSED

// CHECK-LABEL: func.func @names
func.func @names(%x: tensor<6xf32>) -> tensor<6xf32> {
  // The last part of a long path; the first of several sources.
  // CHECK: %Relu{{.*}} = nib.tanh
  %0 = nib.tanh %x : (tensor<6xf32>) -> tensor<6xf32> loc("functional_1/a_long_block_of_layers/Relu;other/Add"("#12"))
  // CHECK: %conv_1{{.*}} = nib.sigmoid
  %1 = nib.sigmoid %0 : (tensor<6xf32>) -> tensor<6xf32> loc("conv-1"("#13"))
  // PLAIN: %0 = nib.softmax
  // FUSED: nib.softmax
  %2 = nib.softmax %1 axis 0 beta 1.0 : (tensor<6xf32>) -> tensor<6xf32> loc("#"("#14"))
  return %2 : tensor<6xf32>
}
// FUSED-DAG: loc("functional_1/a_long_block_of_layers/Relu;other/Add"(
// FUSED-DAG: loc("#12")
// FUSED-DAG: loc("conv-1"(
// FUSED-DAG: loc("#13")
// FUSED-DAG: loc("#"(
// FUSED-DAG: loc("#14")
