// Operators without a lowering to linalg.
func.func @unlowered(%x: tensor<4x3xf32>, %i: tensor<2x1xi64>, %u: tensor<2x3xf32>) -> (tensor<4x3xf32>, tensor<4x2xi64>) {
  %0 = nib.scatter_nd %x, %i, %u reduction "add" : (tensor<4x3xf32>, tensor<2x1xi64>, tensor<2x3xf32>) -> tensor<4x3xf32>
  %1 = nib.top_k %0 axis 1 : (tensor<4x3xf32>) -> tensor<4x2xi64>
  return %0, %1 : tensor<4x3xf32>, tensor<4x2xi64>
}
