// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The result of the second operator is an output too, and that of the first is read twice.
!x = tensor<1x32x30x24x!quant.uniform<i8:f32, 5.000000e-01:3>>
!y = tensor<1x32x30x64x!quant.uniform<i8:f32, 2.500000e-01:-20>>
!z = tensor<1x32x30x96x!quant.uniform<i8:f32, 2.500000e-01:7>>

func.func @branch(%x: !x {nib.name = "image"}) -> (!z {nib.name = "features"}, !y {nib.name = "first"})
    attributes {nib.rounding = "tflite-double"} {
  %w1 = nib.constant dense<-3> : tensor<64x3x3x24xi8>
  %b1 = nib.constant dense<300> : tensor<64xi32>
  %s1 = nib.constant dense<0.0078125> : tensor<64xf32>
  %c1 = nib.conv2d %x, %w1 bias %b1 scales %s1 strides [1, 1] pads [1, 1, 1, 1] : (!x, tensor<64x3x3x24xi8>, tensor<64xi32>, tensor<64xf32>) -> !y
  %w2 = nib.constant dense<5> : tensor<1x3x3x64xi8>
  %c2 = nib.depthwise_conv2d %c1, %w2 bias %b1 scales %s1 strides [1, 1] pads [1, 1, 1, 1] : (!y, tensor<1x3x3x64xi8>, tensor<64xi32>, tensor<64xf32>) -> !y
  %sum = nib.add %c1, %c2 : (!y, !y) -> !y
  %w3 = nib.constant dense<2> : tensor<96x1x1x64xi8>
  %b3 = nib.constant dense<-77> : tensor<96xi32>
  %s3 = nib.constant dense<0.0078125> : tensor<96xf32>
  %c3 = nib.conv2d %sum, %w3 bias %b3 scales %s3 strides [1, 1] pads [0, 0, 0, 0] : (!y, tensor<96x1x1x64xi8>, tensor<96xi32>, tensor<96xf32>) -> !z
  return %c3, %c2 : !z, !y
}
