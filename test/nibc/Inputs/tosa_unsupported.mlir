// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Operators that nib does not have.
func.func @unsupported(%x: tensor<1x8x16xf32>) -> (tensor<1x8xi32>, tensor<1x8x9xf32>) {
  %t = tosa.tanh %x : (tensor<1x8x16xf32>) -> tensor<1x8x16xf32>
  %r, %i = tosa.rfft2d %t : (tensor<1x8x16xf32>) -> (tensor<1x8x9xf32>, tensor<1x8x9xf32>)
  %a = tosa.argmax %t {axis = 2 : i32} : (tensor<1x8x16xf32>) -> tensor<1x8xi32>
  return %a, %r : tensor<1x8xi32>, tensor<1x8x9xf32>
}
