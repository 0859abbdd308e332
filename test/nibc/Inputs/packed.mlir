// Operators without a lowering to linalg.
func.func @packed(%x: tensor<4xi16>) -> tensor<4xi16> {
  %0 = nib.pack %x : (tensor<4xi16>) -> tensor<8xi8>
  %1 = nib.reshape %0 : (tensor<8xi8>) -> tensor<8xi8>
  %2 = nib.unpack %1 : (tensor<8xi8>) -> tensor<4xi16>
  return %2 : tensor<4xi16>
}
