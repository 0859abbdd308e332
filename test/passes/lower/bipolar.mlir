// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Numbers become bipolar codes, and products of them are integers, by way of linalg as in the evaluator.
// RUN: %nibc verify %s --codegen=mlir | FileCheck %s
// RUN: %nibc verify %s --target=c99 | FileCheck %s
// CHECK: output 0 {{.*}} equals the reference
// CHECK: output 1 {{.*}} equals the reference
// CHECK: output 2 {{.*}} equals the reference

func.func @bipolar(%x: tensor<2x5xf32>, %w: tensor<3x5x!nib.format<"bipolar3">>)
    -> (tensor<2x5x!nib.format<"bipolar2">>, tensor<2x3xi32>, tensor<2x3x!nib.format<"bipolar1">>) {
  %three = nib.constant dense<3.0> : tensor<f32>
  %wide = nib.mul %x, %three : (tensor<2x5xf32>, tensor<f32>) -> tensor<2x5xf32>
  %q = nib.quantize %wide : (tensor<2x5xf32>) -> tensor<2x5x!nib.format<"bipolar2">>
  %p = nib.fully_connected %q, %w
       : (tensor<2x5x!nib.format<"bipolar2">>, tensor<3x5x!nib.format<"bipolar3">>) -> tensor<2x3xi32>
  %t = nib.constant dense<[[-3], [0], [4]]> : tensor<3x1xi32>
  %y = nib.multi_threshold %p, %t : (tensor<2x3xi32>, tensor<3x1xi32>) -> tensor<2x3x!nib.format<"bipolar1">>
  return %q, %p, %y : tensor<2x5x!nib.format<"bipolar2">>, tensor<2x3xi32>, tensor<2x3x!nib.format<"bipolar1">>
}
