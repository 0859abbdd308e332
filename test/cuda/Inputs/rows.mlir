// Attention whose rows are longer than a block has threads, seven rows of each head, and a norm of longer ones; many short rows.
func.func @rows(%q: tensor<3x7x8xf32>, %k: tensor<3x8x300xf32>, %v: tensor<300x70xf32>, %x: tensor<5x1100xf32>,
                %a: tensor<151x7x6xf32>, %b: tensor<151x6x40xf32>, %c: tensor<40x20xf32>) -> (tensor<3x7x70xf32>, tensor<5x1100xf32>, tensor<151x7x20xf32>) {
  %0 = nib.matmul %q, %k : (tensor<3x7x8xf32>, tensor<3x8x300xf32>) -> tensor<3x7x300xf32>
  %1 = nib.softmax %0 axis 2 : (tensor<3x7x300xf32>) -> tensor<3x7x300xf32>
  %2 = nib.matmul %1, %v : (tensor<3x7x300xf32>, tensor<300x70xf32>) -> tensor<3x7x70xf32>
  %3 = nib.mean %x axes [1] keep_dims 1 : (tensor<5x1100xf32>) -> tensor<5x1xf32>
  %4 = nib.sub %x, %3 : (tensor<5x1100xf32>, tensor<5x1xf32>) -> tensor<5x1100xf32>
  %5 = nib.mul %4, %4 : (tensor<5x1100xf32>, tensor<5x1100xf32>) -> tensor<5x1100xf32>
  %6 = nib.mean %5 axes [1] keep_dims 1 : (tensor<5x1100xf32>) -> tensor<5x1xf32>
  %7 = nib.sqrt %6 : (tensor<5x1xf32>) -> tensor<5x1xf32>
  %8 = nib.div %4, %7 : (tensor<5x1100xf32>, tensor<5x1xf32>) -> tensor<5x1100xf32>
  %9 = nib.matmul %a, %b : (tensor<151x7x6xf32>, tensor<151x6x40xf32>) -> tensor<151x7x40xf32>
  %10 = nib.softmax %9 axis 2 : (tensor<151x7x40xf32>) -> tensor<151x7x40xf32>
  %11 = nib.matmul %10, %c : (tensor<151x7x40xf32>, tensor<40x20xf32>) -> tensor<151x7x20xf32>
  return %2, %8, %11 : tensor<3x7x70xf32>, tensor<5x1100xf32>, tensor<151x7x20xf32>
}
