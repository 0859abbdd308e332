// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Fifteen numbers within bounds that FP16 holds.
func.func @clamp15(%x: tensor<3x5xf32> {nib.name = "x"}) -> (tensor<3x5xf32> {nib.name = "out"})
    attributes {nib.rounding = "nearest-even"} {
  %0 = nib.clamp %x min -60000.0 max 60000.0 : (tensor<3x5xf32>) -> tensor<3x5xf32>
  return %0 : tensor<3x5xf32>
}
