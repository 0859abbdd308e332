// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// linalg's named operations, in nib-opt and in the unmodified mlir-opt; the result compiles.
// RUN: %nib-opt %s --convert-linalg-to-nib > %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: %mlir-opt-nib %s --pass-pipeline='builtin.module(convert-linalg-to-nib)' | diff %t.mlir -
// RUN: %nibc verify %t.mlir

// CHECK-LABEL: func.func @net
func.func @net(%x: tensor<1x8x8x3xi8>, %a: tensor<4x6xf32>, %p: tensor<2x3x4xi8>)
    -> (tensor<1x6x6x4xi32>, tensor<5x4xf32>, tensor<1x4x4x3xi8>, tensor<2x3x2xi32>, tensor<1x6x6x3xi32>) {
  %w = arith.constant dense<2> : tensor<3x3x3x4xi8>
  %b = arith.constant dense<0.5> : tensor<6x5xf32>
  %bias = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0]> : tensor<5xf32>
  %zx = arith.constant 5 : i32
  %zw = arith.constant 1 : i32
  %c0 = arith.constant 0 : i32
  // CHECK: %[[X:.*]] = nib.scast %arg0 : (tensor<1x8x8x3xi8>) -> tensor<1x8x8x3x!quant.uniform<i8:f32, 1.000000e+00:5>>
  // CHECK: %[[W:.*]] = nib.transpose %{{.*}} perm [3, 0, 1, 2]
  // CHECK: nib.conv2d %[[X]], %[[W]] strides [1, 1] dilations [1, 1] : {{.*}} -> tensor<1x6x6x4xi32>
  %e = tensor.empty() : tensor<1x6x6x4xi32>
  %z = linalg.fill ins(%c0 : i32) outs(%e : tensor<1x6x6x4xi32>) -> tensor<1x6x6x4xi32>
  %0 = linalg.conv_2d_nhwc_hwcf_q {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
         ins(%x, %w, %zx, %zw : tensor<1x8x8x3xi8>, tensor<3x3x3x4xi8>, i32, i32)
         outs(%z : tensor<1x6x6x4xi32>) -> tensor<1x6x6x4xi32>
  // What the product starts from is added to it.
  // CHECK: %[[BIAS:.*]] = nib.broadcast %{{.*}} : (tensor<1x5xf32>) -> tensor<4x5xf32>
  // CHECK: %[[PRODUCT:.*]] = nib.matmul %arg1
  // CHECK: nib.add %[[PRODUCT]], %[[BIAS]]
  %e1 = tensor.empty() : tensor<4x5xf32>
  %br = linalg.broadcast ins(%bias : tensor<5xf32>) outs(%e1 : tensor<4x5xf32>) dimensions = [0]
  %1 = linalg.matmul ins(%a, %b : tensor<4x6xf32>, tensor<6x5xf32>) outs(%br : tensor<4x5xf32>) -> tensor<4x5xf32>
  // CHECK: nib.exp
  %2 = linalg.exp ins(%1 : tensor<4x5xf32>) outs(%e1 : tensor<4x5xf32>) -> tensor<4x5xf32>
  %e2 = tensor.empty() : tensor<5x4xf32>
  // CHECK: nib.transpose %{{.*}} perm [1, 0]
  %3 = linalg.transpose ins(%2 : tensor<4x5xf32>) outs(%e2 : tensor<5x4xf32>) permutation = [1, 0]
  // CHECK: nib.max_pool2d %arg0 kernel [2, 2] strides [2, 2]
  // CHECK-NOT: nib.maximum
  %low = arith.constant -128 : i8
  %e3 = tensor.empty() : tensor<1x4x4x3xi8>
  %window = tensor.empty() : tensor<2x2xi8>
  %start = linalg.fill ins(%low : i8) outs(%e3 : tensor<1x4x4x3xi8>) -> tensor<1x4x4x3xi8>
  %4 = linalg.pooling_nhwc_max {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
         ins(%x, %window : tensor<1x8x8x3xi8>, tensor<2x2xi8>) outs(%start : tensor<1x4x4x3xi8>) -> tensor<1x4x4x3xi8>
  // CHECK: nib.matmul {{.*}}!quant.uniform<i8:f32, 1.000000e+00:5>>, {{.*}}!quant.uniform<i8:f32, 1.000000e+00:1>>) -> tensor<2x3x2xi32>
  %q = arith.constant dense<[[[1, 2], [3, 4], [5, 6], [7, 8]], [[1, 2], [3, 4], [5, 6], [7, 8]]]> : tensor<2x4x2xi8>
  %e4 = tensor.empty() : tensor<2x3x2xi32>
  %z4 = linalg.fill ins(%c0 : i32) outs(%e4 : tensor<2x3x2xi32>) -> tensor<2x3x2xi32>
  %5 = linalg.quantized_batch_matmul ins(%p, %q, %zx, %zw : tensor<2x3x4xi8>, tensor<2x4x2xi8>, i32, i32)
         outs(%z4 : tensor<2x3x2xi32>) -> tensor<2x3x2xi32>
  // CHECK: nib.reshape {{.*}} -> tensor<1x3x3x3x!quant.uniform<i8:f32, 1.000000e+00>>
  // CHECK: nib.depthwise_conv2d
  %d = arith.constant dense<-3> : tensor<3x3x3xi8>
  %e5 = tensor.empty() : tensor<1x6x6x3xi32>
  %z5 = linalg.fill ins(%c0 : i32) outs(%e5 : tensor<1x6x6x3xi32>) -> tensor<1x6x6x3xi32>
  %6 = linalg.depthwise_conv_2d_nhwc_hwc {strides = dense<1> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
         ins(%x, %d : tensor<1x8x8x3xi8>, tensor<3x3x3xi8>) outs(%z5 : tensor<1x6x6x3xi32>) -> tensor<1x6x6x3xi32>
  return %0, %3, %4, %5, %6 : tensor<1x6x6x4xi32>, tensor<5x4xf32>, tensor<1x4x4x3xi8>, tensor<2x3x2xi32>, tensor<1x6x6x3xi32>
}
