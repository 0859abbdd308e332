// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A single row takes every weight once, from memory where they are many, which all code waits for alike: vectors multiply it all the same.
// RUN: %nibc compile %s --target=sapphirerapids --dry-run | FileCheck %s
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni --dry-run | FileCheck %s
// CHECK: fully_connected fully_connected conv_rows/avx512vnni
func.func @net(%x: tensor<1x2048x!quant.uniform<i8:f32, 0.5>>) -> tensor<1x2048x!quant.uniform<i8:f32, 64.0>> attributes {nib.rounding = "nearest-even"} {
  %w = nib.constant dense<3> : tensor<2048x2048xi8> loc("w")
  %b = nib.constant dense<0> : tensor<2048xi32> loc("b")
  %s = nib.constant dense<0.25> : tensor<1xf32> loc("s")
  %y = nib.fully_connected %x, %w bias %b scales %s : (tensor<1x2048x!quant.uniform<i8:f32, 0.5>>, tensor<2048x2048xi8>, tensor<2048xi32>, tensor<1xf32>) -> tensor<1x2048x!quant.uniform<i8:f32, 64.0>>
  return %y : tensor<1x2048x!quant.uniform<i8:f32, 64.0>>
}
