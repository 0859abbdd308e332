// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Marked as integer-only, which four of its operators are not.
!q = tensor<4x64x!quant.uniform<i8:f32, 0.5:3>>
!w = tensor<4x64x!quant.uniform<i16:f32, 0.5>>
func.func @net(%x: !q, %z: !q, %y: !w) -> (!q, !w, tensor<4x64xf32>) attributes {nib.integer_only, nib.rounding = "dyadic"} {
  %0 = nib.add %x, %z rounding "nearest-even" : (!q, !q) -> !q loc("even")
  %1 = nib.tanh %y rounding "nearest-even" : (!w) -> !w loc("wide")
  %2 = nib.dequantize %x : (!q) -> tensor<4x64xf32> loc("real")
  %3 = nib.exp %2 : (tensor<4x64xf32>) -> tensor<4x64xf32> loc("exponential")
  return %0, %1, %3 : !q, !w, tensor<4x64xf32>
}
