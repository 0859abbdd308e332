// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
func.func @to(%x: tensor<2x64xf32>) -> (tensor<2x64x!nib.format<"q8_0">>, tensor<2x64xi12>) {
  %q = nib.cast %x : (tensor<2x64xf32>) -> tensor<2x64x!nib.format<"q8_0">>
  %i = nib.cast %x : (tensor<2x64xf32>) -> tensor<2x64xi12>
  return %q, %i : tensor<2x64x!nib.format<"q8_0">>, tensor<2x64xi12>
}
