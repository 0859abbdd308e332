// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: %nib-opt %s --canonicalize | FileCheck %s
// RUN: %mlir-opt-nib %s --canonicalize | FileCheck %s

// CHECK-LABEL: func.func @identities
// CHECK-NEXT: return %arg0 : tensor<2x3xf32>
func.func @identities(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = nib.reshape %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = nib.transpose %0 perm [0, 1] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %2 = nib.pad %1 low [0, 0] high [0, 0] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %3 = nib.slice %2 begin [0, 0] sizes [2, 3] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %4 = nib.strided_slice %3 begin [0, 0] steps [1, 1] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %4 : tensor<2x3xf32>
}

// A reversed dimension has the same shape and is no identity.
// CHECK-LABEL: func.func @reversed
// CHECK-NEXT: nib.strided_slice
func.func @reversed(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nib.strided_slice %x begin [3] steps [-1] : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// A transpose of equal dimensions has the same shape and is no identity.
// CHECK-LABEL: func.func @square
// CHECK-NEXT: nib.transpose
func.func @square(%x: tensor<3x3xf32>) -> tensor<3x3xf32> {
  %0 = nib.transpose %x perm [1, 0] : (tensor<3x3xf32>) -> tensor<3x3xf32>
  return %0 : tensor<3x3xf32>
}

// CHECK-LABEL: func.func @transposes_cancel
// CHECK-NEXT: return %arg0
func.func @transposes_cancel(%x: tensor<1x4x5x3xf32>) -> tensor<1x4x5x3xf32> {
  %0 = nib.transpose %x perm [0, 3, 1, 2] : (tensor<1x4x5x3xf32>) -> tensor<1x3x4x5xf32>
  %1 = nib.transpose %0 perm [0, 2, 3, 1] : (tensor<1x3x4x5xf32>) -> tensor<1x4x5x3xf32>
  return %1 : tensor<1x4x5x3xf32>
}

// CHECK-LABEL: func.func @transposes_compose
// CHECK-NEXT: nib.transpose %arg0 perm [1, 2, 0] : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
// CHECK-NEXT: return
func.func @transposes_compose(%x: tensor<2x3x4xf32>) -> tensor<3x4x2xf32> {
  %0 = nib.transpose %x perm [2, 1, 0] : (tensor<2x3x4xf32>) -> tensor<4x3x2xf32>
  %1 = nib.transpose %0 perm [1, 0, 2] : (tensor<4x3x2xf32>) -> tensor<3x4x2xf32>
  return %1 : tensor<3x4x2xf32>
}

// CHECK-LABEL: func.func @reshapes
// CHECK-NEXT: nib.reshape %arg0 : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT: return
func.func @reshapes(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = nib.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
  %1 = nib.expand_dims %0 : (tensor<6xf32>) -> tensor<1x6xf32>
  %2 = nib.reshape %1 : (tensor<1x6xf32>) -> tensor<3x2xf32>
  return %2 : tensor<3x2xf32>
}

!a = tensor<4x!quant.uniform<i8:f32, 5.000000e-01:3>>
!b = tensor<4x!quant.uniform<i8:f32, 2.500000e-01:3>>

// CHECK-LABEL: func.func @formats
// CHECK-NEXT: return %arg0
func.func @formats(%x: !a) -> !a {
  %0 = nib.requantize %x : (!a) -> !a
  %1 = nib.dequantize %0 : (!a) -> tensor<4xf32>
  %2 = nib.quantize %1 : (tensor<4xf32>) -> !a
  return %2 : !a
}

// Another scale is another number.
// CHECK-LABEL: func.func @other_scale
// CHECK-NEXT: nib.dequantize
// CHECK-NEXT: nib.quantize
func.func @other_scale(%x: !a) -> !b {
  %0 = nib.dequantize %x : (!a) -> tensor<4xf32>
  %1 = nib.quantize %0 : (tensor<4xf32>) -> !b
  return %1 : !b
}

// CHECK-LABEL: func.func @relus
// CHECK-NEXT: nib.relu %arg0
// CHECK-NEXT: return
func.func @relus(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nib.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nib.relu %0 : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// CHECK-LABEL: func.func @clamps
// CHECK-NEXT: nib.clamp %arg0 min 0.000000e+00 max 6.000000e+00 :
// CHECK-NEXT: return
func.func @clamps(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nib.clamp %x min 0.0 : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nib.clamp %0 min -1.0 max 6.0 : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// Ranges that do not meet: the second decides, and one clamp could not say it.
// CHECK-LABEL: func.func @disjoint_clamps
// CHECK-COUNT-2: nib.clamp
func.func @disjoint_clamps(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = nib.clamp %x min 0.0 max 1.0 : (tensor<4xf32>) -> tensor<4xf32>
  %1 = nib.clamp %0 min 2.0 max 3.0 : (tensor<4xf32>) -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
