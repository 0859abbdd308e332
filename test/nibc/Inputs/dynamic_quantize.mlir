// Activations quantized by their own largest magnitude: once, per row, and in blocks of 32; the blocks are
// then multiplied by weights of 4 bits with a scale for each block of theirs.
func.func @dynamic_quantize(%x: tensor<3x64xf32>, %w: tensor<5x64xi4>, %ws: tensor<5x2xf32>)
    -> (tensor<3x64xi8>, tensor<1xf32>, tensor<3x64xi8>, tensor<3xf32>, tensor<3x64xi8>, tensor<3x2xf32>, tensor<3x5xf32>) {
  %step = nib.constant dense<0.0078740157> : tensor<f32>
  %size = nib.abs %x : (tensor<3x64xf32>) -> tensor<3x64xf32>

  %most = nib.reduce %size reduction "max" axes [0, 1] : (tensor<3x64xf32>) -> tensor<f32>
  %one = nib.reshape %most : (tensor<f32>) -> tensor<1xf32>
  %s0 = nib.mul %one, %step : (tensor<1xf32>, tensor<f32>) -> tensor<1xf32>
  %q0 = nib.quantize %x scales %s0 rounding "nearest-even" : (tensor<3x64xf32>, tensor<1xf32>) -> tensor<3x64xi8>

  %rows = nib.reduce %size reduction "max" axes [1] : (tensor<3x64xf32>) -> tensor<3xf32>
  %s1 = nib.mul %rows, %step : (tensor<3xf32>, tensor<f32>) -> tensor<3xf32>
  %q1 = nib.quantize %x scales %s1 rounding "nearest-even" axis 0 : (tensor<3x64xf32>, tensor<3xf32>) -> tensor<3x64xi8>

  %split = nib.reshape %size : (tensor<3x64xf32>) -> tensor<3x2x32xf32>
  %blocks = nib.reduce %split reduction "max" axes [2] : (tensor<3x2x32xf32>) -> tensor<3x2xf32>
  %s2 = nib.mul %blocks, %step : (tensor<3x2xf32>, tensor<f32>) -> tensor<3x2xf32>
  %q2 = nib.quantize %x scales %s2 rounding "nearest-even" : (tensor<3x64xf32>, tensor<3x2xf32>) -> tensor<3x64xi8>

  %a = nib.dequantize %q2 scales %s2 : (tensor<3x64xi8>, tensor<3x2xf32>) -> tensor<3x64xf32>
  %b = nib.dequantize %w scales %ws : (tensor<5x64xi4>, tensor<5x2xf32>) -> tensor<5x64xf32>
  %t = nib.transpose %b perm [1, 0] : (tensor<5x64xf32>) -> tensor<64x5xf32>
  %y = nib.matmul %a, %t : (tensor<3x64xf32>, tensor<64x5xf32>) -> tensor<3x5xf32>
  return %q0, %s0, %q1, %s1, %q2, %s2, %y
      : tensor<3x64xi8>, tensor<1xf32>, tensor<3x64xi8>, tensor<3xf32>, tensor<3x64xi8>, tensor<3x2xf32>, tensor<3x5xf32>
}
