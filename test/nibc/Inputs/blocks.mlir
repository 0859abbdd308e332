// Activations and weights that are encoded in blocks on the way: q8_0 by q4_0, mxfp4 and tq2_0; a table of nf4
// codes and one of blocks.
func.func @blocks(%x: tensor<3x256xf32>, %w: tensor<4x256xf32>, %i: tensor<5xi32>)
    -> (tensor<3x4xf32>, tensor<3x4xf16>, tensor<3x4xf32>, tensor<5x256xf32>, tensor<5x256xbf16>) {
  %q = nib.cast %x : (tensor<3x256xf32>) -> tensor<3x256x!nib.format<"q8_0">>
  %a = nib.cast %w : (tensor<4x256xf32>) -> tensor<4x256x!nib.format<"q4_0">>
  %0 = nib.fully_connected %q, %a : (tensor<3x256x!nib.format<"q8_0">>, tensor<4x256x!nib.format<"q4_0">>) -> tensor<3x4xf32>
  %b = nib.cast %w mode "nearest-away" : (tensor<4x256xf32>) -> tensor<4x256x!nib.format<"mxfp4">>
  %1 = nib.fully_connected %q, %b : (tensor<3x256x!nib.format<"q8_0">>, tensor<4x256x!nib.format<"mxfp4">>) -> tensor<3x4xf16>
  %c = nib.cast %w : (tensor<4x256xf32>) -> tensor<4x256x!nib.format<"tq2_0">>
  %2 = nib.fully_connected %q, %c : (tensor<3x256x!nib.format<"q8_0">>, tensor<4x256x!nib.format<"tq2_0">>) -> tensor<3x4xf32>
  %d = nib.cast %w : (tensor<4x256xf32>) -> tensor<4x256x!nib.format<"nf4">>
  %3 = nib.gather %d, %i axis 0 : (tensor<4x256x!nib.format<"nf4">>, tensor<5xi32>) -> tensor<5x256xf32>
  %4 = nib.gather %a, %i axis 0 : (tensor<4x256x!nib.format<"q4_0">>, tensor<5xi32>) -> tensor<5x256xbf16>
  return %0, %1, %2, %3, %4 : tensor<3x4xf32>, tensor<3x4xf16>, tensor<3x4xf32>, tensor<5x256xf32>, tensor<5x256xbf16>
}
