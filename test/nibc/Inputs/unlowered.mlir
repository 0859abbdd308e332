// Operators without a lowering to linalg: arithmetic whose results are codes of a codebook.
func.func @unlowered(%x: tensor<4x32x!nib.format<"nf4">>, %y: tensor<4x32x!nib.format<"nf4">>) -> tensor<4x32x!nib.format<"nf4">> {
  %0 = nib.add %x, %y : (tensor<4x32x!nib.format<"nf4">>, tensor<4x32x!nib.format<"nf4">>) -> tensor<4x32x!nib.format<"nf4">>
  %1 = nib.mul %0, %y : (tensor<4x32x!nib.format<"nf4">>, tensor<4x32x!nib.format<"nf4">>) -> tensor<4x32x!nib.format<"nf4">>
  return %1 : tensor<4x32x!nib.format<"nf4">>
}
