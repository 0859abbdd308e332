// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// relu and clamp keep NaN, alone and fused: in the evaluator, in generated code and by way of linalg. A code of NaN is the
// least one.
// REQUIRES: clang
// RUN: rm -rf %t && mkdir %t && %python -c "import sys; sys.path.insert(0, '%S/Inputs'); import npy, struct; nan, inf = float('nan'), float('inf'); npy.write('%t/x.npy', 'f4', (1, 1, 3, 8), struct.pack('<24f', *[nan, -nan, inf, -inf, -0.0, 0.0, -2, 7] * 3)); npy.write('%t/y.npy', 'f4', (1, 1, 3, 8), struct.pack('<24f', *[nan, nan, inf, 0, -0.0, 0.0, 0, 7] * 3)); npy.write('%t/z.npy', 'f4', (1, 1, 3, 8), struct.pack('<24f', *[nan, nan, 3, -1, -0.0, 0.0, -1, 3] * 3)); npy.write('%t/q.npy', 'i1', (1, 1, 3, 8), struct.pack('<24b', *[-128, -128, 127, -128, 1, 1, -3, 15] * 3))"
// RUN: %nibc verify %s --target=c99 --input %t/x.npy --expect %t/y.npy --expect %t/z.npy --expect %t/y.npy --expect %t/z.npy --expect %t/y.npy --expect %t/q.npy --expect %t/q.npy | FileCheck %s
// RUN: %nibc verify %s --target=native --input %t/x.npy --expect %t/y.npy --expect %t/z.npy --expect %t/y.npy --expect %t/z.npy --expect %t/y.npy --expect %t/q.npy --expect %t/q.npy | FileCheck %s
// RUN: %nibc verify %s --codegen=mlir --target=c99 --input %t/x.npy --expect %t/y.npy --expect %t/z.npy --expect %t/y.npy --expect %t/z.npy --expect %t/y.npy --expect %t/q.npy --expect %t/q.npy | FileCheck %s
// CHECK-COUNT-7: the reference
// CHECK-COUNT-7: what is expected
!x = tensor<1x1x3x8xf32>
!q = tensor<1x1x3x8x!quant.uniform<i8:f32, 0.5:1>>

func.func @net(%x: !x) -> (!x, !x, !x, !x, !x, !q, !q) {
  %zero = nib.constant dense<0.0> : tensor<1xf32>
  %one = nib.constant dense<1.0> : tensor<1xf32>
  %y = nib.relu %x : (!x) -> !x
  %z = nib.clamp %x min -1.0 max 3.0 : (!x) -> !x
  %a = nib.mul %x, %one activation "relu" : (!x, tensor<1xf32>) -> !x
  %m = nib.mul %x, %one : (!x, tensor<1xf32>) -> !x
  %b = nib.clamp %m min -1.0 max 3.0 : (!x) -> !x
  %c = nib.add %x, %zero activation "relu" : (!x, tensor<1xf32>) -> !x
  %q = nib.quantize %x rounding "nearest-even" : (!x) -> !q
  %d = nib.quantize %m rounding "nearest-away" : (!x) -> !q
  return %y, %z, %a, %b, %c, %q, %d : !x, !x, !x, !x, !x, !q, !q
}
