// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Thresholds of each channel, rising and falling, by way of linalg: the evaluator's codes.
// RUN: %nibc verify %s --codegen=mlir | FileCheck %s
// RUN: %nibc verify %s --target=c99 | FileCheck %s
// CHECK: output 0 {{.*}} equals the reference
// CHECK: output 1 {{.*}} equals the reference

func.func @thresholds(%x: tensor<3x2xi32>) -> (tensor<3x2x!quant.uniform<u2:f32, 1.0>>, tensor<3x2x!quant.uniform<i4:f32, 1.0>>) {
  %t = nib.constant dense<[[-100, 0], [-3, 90]]> : tensor<2x2xi32>
  %s = nib.constant dense<[1, -1]> : tensor<2xi8>
  %y = nib.multi_threshold %x, %t steps %s clamp [1, 3]
       : (tensor<3x2xi32>, tensor<2x2xi32>, tensor<2xi8>) -> tensor<3x2x!quant.uniform<u2:f32, 1.0>>
  %one = nib.constant dense<[[-5, 6, 7]]> : tensor<1x3xi32>
  %z = nib.multi_threshold %x, %one clamp [-8, -5]
       : (tensor<3x2xi32>, tensor<1x3xi32>) -> tensor<3x2x!quant.uniform<i4:f32, 1.0>>
  return %y, %z : tensor<3x2x!quant.uniform<u2:f32, 1.0>>, tensor<3x2x!quant.uniform<i4:f32, 1.0>>
}
