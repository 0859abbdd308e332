// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Dequantized weights of few bits, as ONNX says int4 layers: one integer kernel each, with the weights' format kept; unsigned ones with zero points
// become signed, and a bias between the steps of the accumulator stays an addition of reals.
// RUN: %nibc compile %s --stop-after=simplify --emit=mlir | FileCheck %s
// RUN: %nibc verify %s --target=native | FileCheck %s --check-prefix=EQUAL
// CHECK: nib.fully_connected %{{.*}}, %{{.*}} bias %{{.*}} scales %{{.*}} tensor<8x96xi4>{{.*}} -> tensor<2x8x!quant.uniform<i8:f32, 1.000000e+00>>
// CHECK: nib.fully_connected %{{.*}}, %{{.*}} scales %{{.*}} tensor<8x96xi4>{{.*}} -> tensor<2x8x!quant.uniform<i8:f32, 1.000000e+00>>
// CHECK: nib.fully_connected %{{.*}}, %{{.*}} tensor<8x96xi2>{{.*}} -> tensor<2x8xi32>
// EQUAL-COUNT-3: agrees with the reference: 8 runs
// EQUAL: 0 of 384 elements of 3 tensors differ
!x = tensor<2x96xf32>
!q = tensor<2x96x!quant.uniform<i8:f32, 0.125:5>>
!y = tensor<2x8x!quant.uniform<i8:f32, 1.0>>
func.func @few_bits_qdq(%x: !x) -> (tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>) attributes {nib.rounding = "nearest-even"} {
  %w4 = nib.constant dense<-3> : tensor<8x96xi8> as tensor<8x96xi4> loc("w4")
  %u4 = nib.constant dense<13> : tensor<8x96xi8> as tensor<8x96xui4> loc("u4")
  %w2 = nib.constant dense<-2> : tensor<8x96xi8> as tensor<8x96xi2> loc("w2")
  %s = nib.constant dense<0.25> : tensor<8xf32> loc("s")
  %eights = nib.constant dense<8> : tensor<8xi8> as tensor<8xui4> loc("eights")
  %large = nib.constant dense<2.0> : tensor<8xf32> loc("large")
  %b = nib.constant dense<0.75> : tensor<8xf32> loc("b")
  %q = nib.quantize %x : (!x) -> !q
  %d = nib.dequantize %q : (!q) -> !x
  %w4d = nib.dequantize %w4 scales %s axis 0 : (tensor<8x96xi4>, tensor<8xf32>) -> tensor<8x96xf32>
  %y4 = nib.fully_connected %d, %w4d bias %b : (!x, tensor<8x96xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  %y4q = nib.quantize %y4 : (tensor<2x8xf32>) -> !y
  %y4d = nib.dequantize %y4q : (!y) -> tensor<2x8xf32>
  %u4d = nib.dequantize %u4 scales %s zero_points %eights axis 0 : (tensor<8x96xui4>, tensor<8xf32>, tensor<8xui4>) -> tensor<8x96xf32>
  %v4 = nib.fully_connected %d, %u4d : (!x, tensor<8x96xf32>) -> tensor<2x8xf32>
  %v4q = nib.quantize %v4 : (tensor<2x8xf32>) -> !y
  %v4d = nib.dequantize %v4q : (!y) -> tensor<2x8xf32>
  %w2d = nib.dequantize %w2 scales %large axis 0 : (tensor<8x96xi2>, tensor<8xf32>) -> tensor<8x96xf32>
  %y2 = nib.fully_connected %d, %w2d bias %b : (!x, tensor<8x96xf32>, tensor<8xf32>) -> tensor<2x8xf32>
  %y2q = nib.quantize %y2 : (tensor<2x8xf32>) -> !y
  %y2d = nib.dequantize %y2q : (!y) -> tensor<2x8xf32>
  return %y4d, %v4d, %y2d : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>
}
