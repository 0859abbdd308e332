// Two inputs and two outputs, all of other shapes: y = relu(a b), z = b + b.
func.func @two_by_two(%a: tensor<1x3x4xf32>, %b: tensor<1x4x5xf32>) -> (tensor<1x3x5xf32>, tensor<1x4x5xf32>) {
  %0 = nib.matmul %a, %b : (tensor<1x3x4xf32>, tensor<1x4x5xf32>) -> tensor<1x3x5xf32>
  %y = nib.relu %0 : (tensor<1x3x5xf32>) -> tensor<1x3x5xf32>
  %z = nib.add %b, %b : (tensor<1x4x5xf32>, tensor<1x4x5xf32>) -> tensor<1x4x5xf32>
  return %y, %z : tensor<1x3x5xf32>, tensor<1x4x5xf32>
}
