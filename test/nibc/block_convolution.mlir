// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Convolutions of activations in blocks: decoded before the loops in generated code, and by way of linalg.
// REQUIRES: clang
// RUN: %nibc verify %s --target=c99 | FileCheck %s
// RUN: %nibc verify %s --codegen=mlir | FileCheck %s
// CHECK-COUNT-3: agrees with the reference
func.func @net(%x: tensor<1x4x5x32x!nib.format<"q8_0">>, %w: tensor<3x2x2x32x!nib.format<"q4_0">>, %d: tensor<1x3x3x32xf32>)
    -> (tensor<1x3x4x3xf32>, tensor<1x2x3x32xf32>, tensor<1x5x6x3xf32>) {
  %y = nib.conv2d %x, %w : (tensor<1x4x5x32x!nib.format<"q8_0">>, tensor<3x2x2x32x!nib.format<"q4_0">>) -> tensor<1x3x4x3xf32>
  %z = nib.depthwise_conv2d %x, %d : (tensor<1x4x5x32x!nib.format<"q8_0">>, tensor<1x3x3x32xf32>) -> tensor<1x2x3x32xf32>
  %t = nib.transpose_conv2d %x, %w : (tensor<1x4x5x32x!nib.format<"q8_0">>, tensor<3x2x2x32x!nib.format<"q4_0">>) -> tensor<1x5x6x3xf32>
  return %y, %z, %t : tensor<1x3x4x3xf32>, tensor<1x2x3x32xf32>, tensor<1x5x6x3xf32>
}
