// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A product of 64 by 64 by 64.
func.func @gemm(%x: tensor<64x64xf32> {nib.name = "x"}) -> (tensor<64x64xf32> {nib.name = "out"})
    attributes {nib.rounding = "nearest-even"} {
  %w = nib.constant dense<0.37> : tensor<64x64xf32> loc("w")
  %0 = nib.fully_connected %x, %w : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  return %0 : tensor<64x64xf32>
}
