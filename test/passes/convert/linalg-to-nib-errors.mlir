// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: %nib-opt %s --convert-linalg-to-nib --split-input-file --verify-diagnostics

func.func @generic(%x: tensor<4xf32>, %y: tensor<?xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  // expected-error@+1 {{'linalg.generic' has no counterpart in the nib dialect}}
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
         ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<4xf32>
  // expected-error@+1 {{every dimension must be known, got 'tensor<?xf32>'}}
  %1 = linalg.exp ins(%y : tensor<?xf32>) outs(%y : tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @zero_point(%a: tensor<2x3xi8>, %b: tensor<3x4xi8>, %z: i32, %c: tensor<2x4xi32>) -> tensor<2x4xi32> {
  %w = arith.constant 300 : i32
  // expected-error@+1 {{its zero points must be constants}}
  %0 = linalg.quantized_matmul ins(%a, %b, %w, %z : tensor<2x3xi8>, tensor<3x4xi8>, i32, i32) outs(%c : tensor<2x4xi32>) -> tensor<2x4xi32>
  return %0 : tensor<2x4xi32>
}

// -----

func.func @range(%a: tensor<2x3xi8>, %b: tensor<3x4xi8>, %c: tensor<2x4xi32>) -> tensor<2x4xi32> {
  %w = arith.constant 300 : i32
  // expected-error@+1 {{zero point 300 is no code of i8}}
  %0 = linalg.quantized_matmul ins(%a, %b, %w, %w : tensor<2x3xi8>, tensor<3x4xi8>, i32, i32) outs(%c : tensor<2x4xi32>) -> tensor<2x4xi32>
  return %0 : tensor<2x4xi32>
}

// -----

func.func @words(%a: tensor<2x3xi32>, %b: tensor<3x4xi32>, %c: tensor<2x4xi32>) -> tensor<2x4xi32> {
  // expected-error@+1 {{operands of 'i32' are not multiplied here}}
  %0 = linalg.matmul ins(%a, %b : tensor<2x3xi32>, tensor<3x4xi32>) outs(%c : tensor<2x4xi32>) -> tensor<2x4xi32>
  return %0 : tensor<2x4xi32>
}
