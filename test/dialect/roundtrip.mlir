// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Every operation prints as it is written, in nib-opt and in the unmodified mlir-opt, from custom and from
// generic syntax.
// RUN: %nib-opt %s -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: %nib-opt %t.mlir | diff %t.mlir -
// RUN: %mlir-opt-nib %s | diff %t.mlir -
// RUN: %nib-opt %s --mlir-print-op-generic | %nib-opt | diff %t.mlir -
// RUN: %nib-opt %s --emit-bytecode | %nib-opt | diff %t.mlir -

!q = tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>
!y = tensor<1x4x4x4x!quant.uniform<i8:f32, 2.500000e-01:-128>>

// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<2xi8>, tensor<2x!quant.uniform<u8:f32, 5.000000e-01:3>>, tensor<2xi1>) {
  // CHECK: nib.constant dense<[1, -2]> : tensor<2xi8>{{ *$}}
  %0 = nib.constant dense<[1, -2]> : tensor<2xi8>
  // CHECK: nib.constant dense_resource<codes> : tensor<2xui8> as tensor<2x!quant.uniform<u8:f32, 5.000000e-01:3>>
  %1 = nib.constant dense_resource<codes> : tensor<2xui8> as tensor<2x!quant.uniform<u8:f32, 5.000000e-01:3>>
  // CHECK: nib.constant dense<[1, 0]> : tensor<2xi8> as tensor<2xi1>
  %2 = nib.constant dense<[1, 0]> : tensor<2xi8> as tensor<2xi1>
  return %0, %1, %2 : tensor<2xi8>, tensor<2x!quant.uniform<u8:f32, 5.000000e-01:3>>, tensor<2xi1>
}

// CHECK-LABEL: func.func @filters
func.func @filters(%x: !q, %w: tensor<4x3x3x3xi8>, %b: tensor<4xi32>, %s: tensor<4xf32>,
                   %d: tensor<1x3x3x3xi8>, %ds: tensor<3xf32>, %t: tensor<4x2x2x3xi8>,
                   %f: tensor<2x16xf32>, %fw: tensor<10x16xf32>, %fb: tensor<10xf32>) {
  // CHECK: nib.conv2d %{{.*}}, %{{.*}} bias %{{.*}} scales %{{.*}} strides [2, 2] dilations [1, 1] pads [0, 0, 1, 1] groups 1 activation "relu" clamp [-128, 127] rounding "tflite-double" :
  %0 = nib.conv2d %x, %w bias %b scales %s rounding "tflite-double" clamp [-128, 127]
         activation "relu" groups 1 pads [0, 0, 1, 1] dilations [1, 1] strides [2, 2]
       : (!q, tensor<4x3x3x3xi8>, tensor<4xi32>, tensor<4xf32>) -> !y
  // CHECK: nib.depthwise_conv2d %{{.*}}, %{{.*}} scales %{{.*}} pads [1, 1, 1, 1] :
  %1 = nib.depthwise_conv2d %x, %d scales %ds pads [1, 1, 1, 1]
       : (!q, tensor<1x3x3x3xi8>, tensor<3xf32>) -> tensor<1x8x8x3x!quant.uniform<i8:f32, 2.500000e-01>>
  // CHECK: nib.transpose_conv2d %{{.*}}, %{{.*}} scales %{{.*}} strides [2, 2] :
  %2 = nib.transpose_conv2d %x, %t scales %s strides [2, 2]
       : (!q, tensor<4x2x2x3xi8>, tensor<4xf32>) -> tensor<1x16x16x4x!quant.uniform<i8:f32, 2.500000e-01>>
  // CHECK: nib.fully_connected %{{.*}}, %{{.*}} bias %{{.*}} activation "relu6" :
  %3 = nib.fully_connected %f, %fw bias %fb activation "relu6"
       : (tensor<2x16xf32>, tensor<10x16xf32>, tensor<10xf32>) -> tensor<2x10xf32>
  // CHECK: nib.fully_connected %{{[a-z0-9_]*}}, %{{[a-z0-9_]*}} :
  %4 = nib.fully_connected %f, %fw : (tensor<2x16xf32>, tensor<10x16xf32>) -> tensor<2x10xf32>
  // CHECK: nib.fully_connected %{{.*}}, %{{.*}} activation "relu" decode "operand" :
  %5 = nib.fully_connected %f, %fw decode "operand" activation "relu" : (tensor<2x16xf32>, tensor<10x16xf32>) -> tensor<2x10xf32>
  return
}

// CHECK-LABEL: func.func @matmul
func.func @matmul(%a: tensor<2x3x4xf32>, %b: tensor<4x5xf32>) -> tensor<2x3x5xf32> {
  // CHECK: nib.matmul %{{.*}}, %{{.*}} : (tensor<2x3x4xf32>, tensor<4x5xf32>) -> tensor<2x3x5xf32>
  %0 = nib.matmul %a, %b : (tensor<2x3x4xf32>, tensor<4x5xf32>) -> tensor<2x3x5xf32>
  return %0 : tensor<2x3x5xf32>
}

// CHECK-LABEL: func.func @pools
func.func @pools(%x: tensor<1x4x4x3xf32>) {
  // CHECK: nib.avg_pool2d %{{.*}} kernel [2, 2] strides [2, 2] count_include_pad 1 :
  %0 = nib.avg_pool2d %x kernel [2, 2] strides [2, 2] count_include_pad 1
       : (tensor<1x4x4x3xf32>) -> tensor<1x2x2x3xf32>
  // CHECK: nib.max_pool2d %{{.*}} kernel [3, 3] strides [2, 2] pads [0, 0, 1, 1] :
  %1 = nib.max_pool2d %x kernel [3, 3] strides [2, 2] pads [0, 0, 1, 1]
       : (tensor<1x4x4x3xf32>) -> tensor<1x2x2x3xf32>
  // CHECK: nib.mean %{{.*}} axes [1, 2] keep_dims 1 :
  %2 = nib.mean %x axes [1, 2] keep_dims 1 : (tensor<1x4x4x3xf32>) -> tensor<1x1x1x3xf32>
  return
}

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%a: tensor<2x3xf32>, %b: tensor<3xf32>, %c: tensor<4xi8>, %t: tensor<256xi8>,
                       %q: tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>) {
  // CHECK: nib.add %{{.*}}, %{{.*}} activation "relu" :
  %0 = nib.add %a, %b activation "relu" : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.sub
  %1 = nib.sub %a, %b : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.mul %{{.*}}, %{{.*}} clamp [-100, 100] rounding "nearest-even" :
  %2 = nib.mul %q, %q clamp [-100, 100] rounding "nearest-even"
       : (tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>, tensor<4x!quant.uniform<i8:f32, 5.000000e-01>>)
         -> tensor<4x!quant.uniform<i8:f32, 2.500000e-01>>
  // CHECK: nib.div
  %3 = nib.div %a, %b : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.relu
  %4 = nib.relu %a : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.clamp %{{.*}} min -1.000000e+00 max 6.000000e+00 :
  %5 = nib.clamp %a max 6.0 min -1.0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.leaky_relu %{{.*}} alpha 1.000000e-01 :
  %6 = nib.leaky_relu %a alpha 0.1 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.sigmoid
  %7 = nib.sigmoid %a : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.tanh
  %8 = nib.tanh %a : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.softmax %{{.*}} axis 1 beta 1.000000e+00 :
  %9 = nib.softmax %a axis 1 beta 1.0 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  // CHECK: nib.lookup %{{.*}}, %{{.*}} : (tensor<4xi8>, tensor<256xi8>) -> tensor<4xi8>
  %10 = nib.lookup %c, %t : (tensor<4xi8>, tensor<256xi8>) -> tensor<4xi8>
  return
}

// CHECK-LABEL: func.func @shapes
func.func @shapes(%a: tensor<2x3xf32>, %b: tensor<2x1xf32>, %c: tensor<1x3x1xf32>) {
  // CHECK: nib.pad %{{.*}} low [0, 1] high [0, 2] pad_value 5.000000e-01 :
  %0 = nib.pad %a low [0, 1] high [0, 2] pad_value 0.5 : (tensor<2x3xf32>) -> tensor<2x6xf32>
  // CHECK: nib.reshape
  %1 = nib.reshape %a : (tensor<2x3xf32>) -> tensor<6xf32>
  // CHECK: nib.transpose %{{.*}} perm [1, 0] :
  %2 = nib.transpose %a perm [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
  // CHECK: nib.concat %{{.*}}, %{{.*}}, %{{.*}} axis 1 :
  %3 = nib.concat %a, %b, %a axis 1 : (tensor<2x3xf32>, tensor<2x1xf32>, tensor<2x3xf32>) -> tensor<2x7xf32>
  // CHECK: nib.slice %{{.*}} begin [0, 1] sizes [2, 2] :
  %4 = nib.slice %a begin [0, 1] sizes [2, 2] : (tensor<2x3xf32>) -> tensor<2x2xf32>
  // CHECK: nib.strided_slice %{{.*}} begin [1, 0] steps [-1, 2] :
  %5 = nib.strided_slice %a begin [1, 0] steps [-1, 2] : (tensor<2x3xf32>) -> tensor<2x2xf32>
  // CHECK: nib.squeeze
  %6 = nib.squeeze %c : (tensor<1x3x1xf32>) -> tensor<3xf32>
  // CHECK: nib.expand_dims
  %7 = nib.expand_dims %6 : (tensor<3xf32>) -> tensor<1x3xf32>
  return
}

// CHECK-LABEL: func.func @formats
func.func @formats(%x: tensor<2x3xf32>, %c: tensor<2x3xi8>, %s: tensor<2xf32>, %z: tensor<2xi8>,
                   %acc: tensor<2x3xi32>) {
  // CHECK: nib.quantize %{{.*}} rounding "nearest-even" :
  %0 = nib.quantize %x rounding "nearest-even" : (tensor<2x3xf32>) -> tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01:3>>
  // CHECK: nib.dequantize
  %1 = nib.dequantize %0 : (tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01:3>>) -> tensor<2x3xf32>
  // CHECK: nib.dequantize %{{.*}} scales %{{.*}} axis 0 :
  %2 = nib.dequantize %c scales %s axis 0 : (tensor<2x3xi8>, tensor<2xf32>) -> tensor<2x3xf32>
  // CHECK: nib.dequantize %{{.*}} scales %{{.*}} zero_points %{{.*}} axis 0 :
  %3 = nib.dequantize %c scales %s zero_points %z axis 0
       : (tensor<2x3xi8>, tensor<2xf32>, tensor<2xi8>) -> tensor<2x3xf32>
  // CHECK: nib.requantize %{{.*}} rounding "tflite-double" :
  %4 = nib.requantize %0 rounding "tflite-double"
       : (tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01:3>>) -> tensor<2x3x!quant.uniform<u8:f32, 5.000000e-01:131>>
  // CHECK: nib.requantize %{{.*}} scales %{{.*}} axis 0 :
  %5 = nib.requantize %acc scales %s axis 0 : (tensor<2x3xi32>, tensor<2xf32>) -> tensor<2x3x!quant.uniform<i8:f32, 5.000000e-01>>
  // CHECK: nib.pack
  %6 = nib.pack %x : (tensor<2x3xf32>) -> tensor<24xi8>
  // CHECK: nib.unpack
  %7 = nib.unpack %6 : (tensor<24xi8>) -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @kernel
// CHECK-SAME: nib.name = "x"
// CHECK-SAME: nib.rounding = "tflite-double"
func.func @kernel(%x: tensor<2x3xf32> {nib.name = "x"}) -> tensor<6xf32>
    attributes {nib.rounding = "tflite-double"} {
  // CHECK: %both = nib.kernel "both" schedule "direct" vocab "c99" tile [4, 1, 0, 0, 0] predicted_ns 1.250000e+01 scratch_bytes 64 scratch_offset 128 arena_offset 192 {
  %y = nib.kernel "both" schedule "direct" vocab "c99" tile [4, 1, 0, 0, 0] predicted_ns 12.5
      scratch_bytes 64 scratch_offset 128 arena_offset 192 {
    // CHECK: nib.relu
    %0 = nib.relu %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
    // CHECK: nib.reshape %{{.*}} {nib.result = "flat"} :
    %1 = nib.reshape %0 {nib.result = "flat"} : (tensor<2x3xf32>) -> tensor<6xf32>
    // CHECK: nib.yield %{{.*}} : tensor<6xf32>
    nib.yield %1 : tensor<6xf32>
  // CHECK: } : tensor<6xf32>
  } : tensor<6xf32>
  return %y : tensor<6xf32>
}

{-# dialect_resources: { builtin: { codes: "0x0100000001FF" } } #-}

// CHECK-LABEL: func.func @casts
func.func @casts(%x: tensor<4xf32>, %h: tensor<4xbf16>, %e: tensor<3x!nib.format<"e3m4:bias=2">>) {
  // CHECK: nib.cast %{{.*}} : (tensor<4xf32>) -> tensor<4xf16>
  %0 = nib.cast %x : (tensor<4xf32>) -> tensor<4xf16>
  // CHECK: nib.cast %{{.*}} saturate 1 : (tensor<4xbf16>) -> tensor<4xf8E4M3FN>
  %1 = nib.cast %h saturate 1 : (tensor<4xbf16>) -> tensor<4xf8E4M3FN>
  // CHECK: nib.cast %{{.*}} : (tensor<3x!nib.format<"e3m4:bias=2">>) -> tensor<3xi4>
  %2 = nib.cast %e : (tensor<3x!nib.format<"e3m4:bias=2">>) -> tensor<3xi4>
  // CHECK: nib.constant dense<[1, -8]> : tensor<2xi8> as tensor<2xi4>
  %3 = nib.constant dense<[1, -8]> : tensor<2xi8> as tensor<2xi4>
  // CHECK: nib.constant dense<[60, 61]> : tensor<2xi16> as tensor<2xf16>
  %4 = nib.constant dense<[60, 61]> : tensor<2xi16> as tensor<2xf16>
  return
}
