// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// TOSA to nib: both spellings, in nib-opt and in the unmodified mlir-opt.
// RUN: %nib-opt %s --convert-tosa-to-nib > %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: %mlir-opt-nib %s --pass-pipeline='builtin.module(convert-tosa-to-nib)' | diff %t.mlir -
// RUN: %nib-opt %t.mlir | diff %t.mlir -

// CHECK-LABEL: func.func @plain(%arg0: tensor<1x8x8x3xi8>) -> tensor<1x8x8x4xi8> attributes {nib.rounding = "tosa-single"}
func.func @plain(%x: tensor<1x8x8x3xi8>) -> tensor<1x8x8x4xi8> {
  %w = "tosa.const"() <{values = dense<1> : tensor<4x3x3x3xi8>}> : () -> tensor<4x3x3x3xi8>
  %b = "tosa.const"() <{values = dense<7> : tensor<1xi32>}> : () -> tensor<1xi32>
  %xz = "tosa.const"() <{values = dense<3> : tensor<1xi8>}> : () -> tensor<1xi8>
  %wz = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %z32 = "tosa.const"() <{values = dense<0> : tensor<1xi32>}> : () -> tensor<1xi32>
  %m = "tosa.const"() <{values = dense<1073741824> : tensor<4xi32>}> : () -> tensor<4xi32>
  %s = "tosa.const"() <{values = dense<[38, 39, 40, 41]> : tensor<4xi8>}> : () -> tensor<4xi8>
  // CHECK: %[[X:.*]] = nib.scast %arg0 : (tensor<1x8x8x3xi8>) -> tensor<1x8x8x3x!quant.uniform<i8:f32, 1.000000e+00:3>>
  // CHECK: %[[B:.*]] = nib.constant dense<7> : tensor<4xi32>
  // CHECK: %[[ACC:.*]] = nib.conv2d %[[X]], %{{.*}} bias %[[B]] strides [2, 1] dilations [1, 1] pads [1, 1, 2, 1]
  // CHECK-SAME: -> tensor<1x5x8x4xi32>
  %0 = tosa.conv2d %x, %w, %b, %xz, %wz {pad = array<i64: 1, 2, 1, 1>, stride = array<i64: 2, 1>, dilation = array<i64: 1, 1>, acc_type = i32} : (tensor<1x8x8x3xi8>, tensor<4x3x3x3xi8>, tensor<1xi32>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x5x8x4xi32>
  // CHECK: nib.requantize %[[ACC]] multipliers %{{.*}} shifts %{{.*}} rounding "tosa-inexact"
  // CHECK-SAME: -> tensor<1x5x8x4x!quant.uniform<i8:f32, 1.000000e+00:3>>
  %1 = tosa.rescale %0, %m, %s, %z32, %xz {scale32 = true, rounding_mode = INEXACT_ROUND, per_channel = true, input_unsigned = false, output_unsigned = false} : (tensor<1x5x8x4xi32>, tensor<4xi32>, tensor<4xi8>, tensor<1xi32>, tensor<1xi8>) -> tensor<1x5x8x4xi8>
  %p = tosa.const_shape {values = dense<[0, 0, 3, 0, 0, 0, 0, 0]> : tensor<8xindex>} : () -> !tosa.shape<8>
  // CHECK: nib.pad %{{.*}} low [0, 3, 0, 0] high [0, 0, 0, 0] pad_value 3.000000e+00
  %2 = tosa.pad %1, %p, %xz : (tensor<1x5x8x4xi8>, !tosa.shape<8>, tensor<1xi8>) -> tensor<1x8x8x4xi8>
  // CHECK: nib.scast %{{.*}} -> tensor<1x8x8x4xi8>
  return %2 : tensor<1x8x8x4xi8>
}

!x = tensor<1x4x4x3x!quant.uniform<i8:f32, 0.5:3>>
!w = tensor<2x1x1x3x!quant.uniform<i8<-127:127>:f32:0, {0.25, 0.125}>>
!y = tensor<1x4x4x2x!quant.uniform<i8:f32, 0.75:-5>>

// No rescale: the types say what the convolution gives.
// CHECK-LABEL: func.func @types
func.func @types(%x: !x) -> !y attributes {nib.rounding = "nearest-even"} {
  %w = "tosa.const"() <{values = dense<-3> : tensor<2x1x1x3xi8>}> : () -> !w
  %b = "tosa.const"() <{values = dense<[1, 2]> : tensor<2xi32>}> : () -> tensor<2x!quant.uniform<i32:f32:0, {0.125, 0.0625}>>
  %xz = "tosa.const"() <{values = dense<3> : tensor<1xi8>}> : () -> tensor<1xi8>
  %wz = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  // CHECK: %[[W:.*]] = nib.constant dense<-3> : tensor<2x1x1x3xi8>
  // CHECK: %[[B:.*]] = nib.constant dense<[1, 2]> : tensor<2xi32>
  // CHECK: %[[S:.*]] = nib.constant dense<[2.500000e-01, 1.250000e-01]> : tensor<2xf64>
  // CHECK: nib.conv2d %arg0, %[[W]] bias %[[B]] scales %[[S]]
  // CHECK-SAME: -> tensor<1x4x4x2x!quant.uniform<i8:f32, 7.500000e-01:-5>>
  %0 = tosa.conv2d %x, %w, %b, %xz, %wz {pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 1, 1>, dilation = array<i64: 1, 1>, acc_type = i32} : (!x, !w, tensor<2x!quant.uniform<i32:f32:0, {0.125, 0.0625}>>, tensor<1xi8>, tensor<1xi8>) -> !y
  return %0 : !y
}

// CHECK-LABEL: func.func @casts
func.func @casts(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: nib.quantize %arg0 rounding "nearest-even" : (tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  %q = quant.qcast %x : tensor<4xf32> to tensor<4x!quant.uniform<i8:f32, 0.5:3>>
  // CHECK: nib.scast %{{.*}} -> tensor<4xi8>
  %s = quant.scast %q : tensor<4x!quant.uniform<i8:f32, 0.5:3>> to tensor<4xi8>
  // CHECK: nib.clamp {{.*}} min -1.000000e+01 max 2.000000e+01
  %c = tosa.clamp %s {min_val = -10 : i8, max_val = 20 : i8} : (tensor<4xi8>) -> tensor<4xi8>
  %r = quant.scast %c : tensor<4xi8> to tensor<4x!quant.uniform<i8:f32, 0.5:3>>
  // CHECK: nib.dequantize
  %d = quant.dcast %r : tensor<4x!quant.uniform<i8:f32, 0.5:3>> to tensor<4xf32>
  return %d : tensor<4xf32>
}
