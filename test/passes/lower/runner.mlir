// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A small int8 network, lowered by an unmodified mlir-opt and run by mlir-runner.
// RUN: %python %S/Inputs/run_through_runner.py %plugin %llvm %s 1 -2 3 -4 5 -6 7 -8 | FileCheck %s
// Without the zero point the rows are 0 -3 2 -5 and 4 -7 6 -9; the multiplier is 1.
// CHECK: sizes = [2, 2]
// CHECK: {{\[\[4, +23\],}}
// CHECK-NEXT: {{\[4, +55\]\]}}
func.func @net(%x: tensor<2x4x!quant.uniform<i8:f32, 0.5:1>>)
    -> tensor<2x2x!quant.uniform<i8:f32, 0.25>> attributes {nib.rounding = "tflite-double"} {
  %w = nib.constant dense<[[1, 1, 1, 1], [2, -2, 1, -3]]> : tensor<2x4xi8>
         as tensor<2x4x!quant.uniform<i8:f32, 0.5>>
  %b = nib.constant dense<[10, 0]> : tensor<2xi32>
  %y = nib.fully_connected %x, %w bias %b
         : (tensor<2x4x!quant.uniform<i8:f32, 0.5:1>>, tensor<2x4x!quant.uniform<i8:f32, 0.5>>,
            tensor<2xi32>) -> tensor<2x2x!quant.uniform<i8:f32, 0.25>>
  return %y : tensor<2x2x!quant.uniform<i8:f32, 0.25>>
}
