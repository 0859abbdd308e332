// Convolutions with filters that are encoded on the way, and ones with constant filters for --weight-format.
func.func @convolutions(%x: tensor<1x5x4x64xf32>, %w: tensor<6x3x2x64xf32>, %v: tensor<1x3x2x64xf32>)
    -> (tensor<1x2x2x6xf32>, tensor<1x2x2x64xf32>, tensor<1x11x8x6xf32>, tensor<1x5x4x6xf32>, tensor<1x5x4x6xf32>) {
  %a = nib.cast %w : (tensor<6x3x2x64xf32>) -> tensor<6x3x2x64x!nib.format<"q4_0">>
  %0 = nib.conv2d %x, %a strides [2, 2] : (tensor<1x5x4x64xf32>, tensor<6x3x2x64x!nib.format<"q4_0">>) -> tensor<1x2x2x6xf32>
  %b = nib.cast %v : (tensor<1x3x2x64xf32>) -> tensor<1x3x2x64x!nib.format<"mxfp4">>
  %1 = nib.depthwise_conv2d %x, %b strides [2, 2] : (tensor<1x5x4x64xf32>, tensor<1x3x2x64x!nib.format<"mxfp4">>) -> tensor<1x2x2x64xf32>
  %c = nib.cast %w : (tensor<6x3x2x64xf32>) -> tensor<6x3x2x64x!nib.format<"nf4">>
  %2 = nib.transpose_conv2d %x, %c strides [2, 2] : (tensor<1x5x4x64xf32>, tensor<6x3x2x64x!nib.format<"nf4">>) -> tensor<1x11x8x6xf32>
  %d = nib.constant dense<0.25> : tensor<6x1x1x64xf32> loc("whole")
  %3 = nib.conv2d %x, %d : (tensor<1x5x4x64xf32>, tensor<6x1x1x64xf32>) -> tensor<1x5x4x6xf32> loc("first")
  %e = nib.constant dense<0.25> : tensor<6x1x1x6xf32> loc("few")
  %4 = nib.conv2d %3, %e : (tensor<1x5x4x6xf32>, tensor<6x1x1x6xf32>) -> tensor<1x5x4x6xf32> loc("second")
  return %0, %1, %2, %3, %4 : tensor<1x2x2x6xf32>, tensor<1x2x2x64xf32>, tensor<1x11x8x6xf32>, tensor<1x5x4x6xf32>, tensor<1x5x4x6xf32>
}
