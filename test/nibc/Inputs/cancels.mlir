// The exact result is 0; f32 leaves what rounding x + x + x lost.
func.func @cancels(%x: tensor<1x7xf32>) -> tensor<1x7xf32> {
  %0 = nib.add %x, %x : (tensor<1x7xf32>, tensor<1x7xf32>) -> tensor<1x7xf32>
  %1 = nib.add %0, %x : (tensor<1x7xf32>, tensor<1x7xf32>) -> tensor<1x7xf32>
  %2 = nib.sub %1, %x : (tensor<1x7xf32>, tensor<1x7xf32>) -> tensor<1x7xf32>
  %3 = nib.sub %2, %0 : (tensor<1x7xf32>, tensor<1x7xf32>) -> tensor<1x7xf32>
  return %3 : tensor<1x7xf32>
}
