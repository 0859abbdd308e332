// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Dense layers for --weight-format: 9 rows of 512, and an odd number of results.
func.func @dense(%x: tensor<9x512xf32> {nib.name = "rows"}) -> (tensor<9x1019xf32> {nib.name = "out"})
    attributes {nib.rounding = "nearest-even"} {
  %w = nib.constant dense<0.37> : tensor<1019x512xf32> loc("w")
  %0 = nib.fully_connected %x, %w : (tensor<9x512xf32>, tensor<1019x512xf32>) -> tensor<9x1019xf32>
  return %0 : tensor<9x1019xf32>
}
