// Attention whose rows are longer than a block has threads, seven of them, and a norm of longer ones.
func.func @rows(%q: tensor<7x8xf32>, %k: tensor<8x300xf32>, %v: tensor<300x70xf32>, %x: tensor<5x1100xf32>) -> (tensor<7x70xf32>, tensor<5x1100xf32>) {
  %0 = nib.matmul %q, %k : (tensor<7x8xf32>, tensor<8x300xf32>) -> tensor<7x300xf32>
  %1 = nib.softmax %0 axis 1 : (tensor<7x300xf32>) -> tensor<7x300xf32>
  %2 = nib.matmul %1, %v : (tensor<7x300xf32>, tensor<300x70xf32>) -> tensor<7x70xf32>
  %3 = nib.mean %x axes [1] keep_dims 1 : (tensor<5x1100xf32>) -> tensor<5x1xf32>
  %4 = nib.sub %x, %3 : (tensor<5x1100xf32>, tensor<5x1xf32>) -> tensor<5x1100xf32>
  %5 = nib.mul %4, %4 : (tensor<5x1100xf32>, tensor<5x1100xf32>) -> tensor<5x1100xf32>
  %6 = nib.mean %5 axes [1] keep_dims 1 : (tensor<5x1100xf32>) -> tensor<5x1xf32>
  %7 = nib.sqrt %6 : (tensor<5x1xf32>) -> tensor<5x1xf32>
  %8 = nib.div %4, %7 : (tensor<5x1100xf32>, tensor<5x1xf32>) -> tensor<5x1100xf32>
  return %2, %8 : tensor<7x70xf32>, tensor<5x1100xf32>
}
