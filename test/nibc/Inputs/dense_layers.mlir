// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Three fully connected layers over 500 rows, and over one.
!x = tensor<500x64x!quant.uniform<i8:f32, 5.000000e-01:3>>
!y = tensor<500x96x!quant.uniform<i8:f32, 2.500000e-01:-128>>
!z = tensor<500x10x!quant.uniform<i8:f32, 2.500000e-01:7>>
!x1 = tensor<1x64x!quant.uniform<i8:f32, 5.000000e-01:3>>
!y1 = tensor<1x96x!quant.uniform<i8:f32, 2.500000e-01:-128>>
!z1 = tensor<1x10x!quant.uniform<i8:f32, 2.500000e-01:7>>

func.func @dense_layers(%x: !x {nib.name = "rows"}, %v: !x1 {nib.name = "row"}) -> (!z {nib.name = "classes"}, !z1 {nib.name = "class"})
    attributes {nib.rounding = "tflite-double"} {
  %w1 = nib.constant dense<-3> : tensor<96x64xi8>
  %b1 = nib.constant dense<300> : tensor<96xi32>
  %s1 = nib.constant dense<0.0078125> : tensor<96xf32>
  %w2 = nib.constant dense<5> : tensor<96x96xi8>
  %w3 = nib.constant dense<2> : tensor<10x96xi8>
  %b3 = nib.constant dense<-77> : tensor<10xi32>
  %s3 = nib.constant dense<0.0078125> : tensor<10xf32>
  %d1 = nib.fully_connected %x, %w1 bias %b1 scales %s1 activation "relu" : (!x, tensor<96x64xi8>, tensor<96xi32>, tensor<96xf32>) -> !y
  %d2 = nib.fully_connected %d1, %w2 bias %b1 scales %s1 activation "relu" : (!y, tensor<96x96xi8>, tensor<96xi32>, tensor<96xf32>) -> !y
  %d3 = nib.fully_connected %d2, %w3 bias %b3 scales %s3 : (!y, tensor<10x96xi8>, tensor<10xi32>, tensor<10xf32>) -> !z
  %e1 = nib.fully_connected %v, %w1 bias %b1 scales %s1 activation "relu" : (!x1, tensor<96x64xi8>, tensor<96xi32>, tensor<96xf32>) -> !y1
  %e2 = nib.fully_connected %e1, %w2 bias %b1 scales %s1 activation "relu" : (!y1, tensor<96x96xi8>, tensor<96xi32>, tensor<96xf32>) -> !y1
  %e3 = nib.fully_connected %e2, %w3 bias %b3 scales %s3 : (!y1, tensor<10x96xi8>, tensor<10xi32>, tensor<10xf32>) -> !z1
  return %d3, %e3 : !z, !z1
}
