// No vector schedule runs a product of two activations of 16 bits.
!a = !quant.uniform<i16:f32, 0.5>
!y = !quant.uniform<i16:f32, 1.0>
func.func @matmul(%a: tensor<2x3x4x!a>, %b: tensor<4x5x!a>) -> tensor<2x3x5x!y> {
  %0 = nib.matmul %a, %b : (tensor<2x3x4x!a>, tensor<4x5x!a>) -> tensor<2x3x5x!y>
  return %0 : tensor<2x3x5x!y>
}
