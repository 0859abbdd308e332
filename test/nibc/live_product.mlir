// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Products of two activations are packed when the kernel runs, in scratch; a softmax of codes reads tables.
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni -o %t --explain | FileCheck %s
// RUN: %nibc verify %s | FileCheck %s --check-prefix=EQUAL
// RUN: %nibc verify %s --threads=2 | FileCheck %s --check-prefix=EQUAL
// CHECK: * conv_rows avx512vnni
// CHECK: * direct
// CHECK: * conv_rows avx512vnni
// EQUAL: equals the reference
// RUN: FileCheck %s --check-prefix=TEXT < %t/live_product.c
// TEXT: live_weights
// TEXT: nib_softmax_8bit_by_tables
// RUN: %nibc compile %s --target=c99 --size -o %t
// RUN: FileCheck %s --check-prefix=SIZE < %t/live_product.c
// SIZE-NOT: by_tables
!x = !quant.uniform<i8:f32, 0.0625:-3>
!s = !quant.uniform<i8:f32, 0.5:4>
!p = !quant.uniform<i8:f32, 0.00390625:-128>
func.func @net(%q: tensor<4x70x32x!x>, %k: tensor<4x32x70x!x>, %v: tensor<4x70x32x!x>) -> tensor<4x70x32x!x> attributes {nib.rounding = "tflite-double"} {
  %s = nib.matmul %q, %k : (tensor<4x70x32x!x>, tensor<4x32x70x!x>) -> tensor<4x70x70x!s>
  %p = nib.softmax %s axis 2 beta 1.0 : (tensor<4x70x70x!s>) -> tensor<4x70x70x!p>
  %y = nib.matmul %p, %v : (tensor<4x70x70x!p>, tensor<4x70x32x!x>) -> tensor<4x70x32x!x>
  return %y : tensor<4x70x32x!x>
}
