// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
func.func @back(%q: tensor<2x64x!nib.format<"q8_0">>, %i: tensor<2x64xi12>) -> (tensor<2x64xf32>, tensor<2x64xf32>) {
  %x = nib.cast %q : (tensor<2x64x!nib.format<"q8_0">>) -> tensor<2x64xf32>
  %y = nib.cast %i : (tensor<2x64xi12>) -> tensor<2x64xf32>
  return %x, %y : tensor<2x64xf32>, tensor<2x64xf32>
}
