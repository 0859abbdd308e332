// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Codes that are made of computed reals: a real between two codes may be rounded to either, which what follows multiplies. Kernels are
// judged one by one then, on the inputs that they had. (Rows of equal numbers are 0 after the subtraction but for the order of
// additions, which the scale of the codes here makes a step of.)
// RUN: %nibc verify %s | FileCheck %s
// CHECK: output 0 {{.*}} elements differ, {{.*}} reals between two codes may be rounded to either
// CHECK: every kernel agrees on the inputs that it had: the results of
// Without such codes there is nothing to allow.
// RUN: %nibc verify %s --target=c99 | FileCheck %s --check-prefix=SAME
// SAME: output 0 ('{{.*}}') agrees with the reference
// SAME-NOT: between two codes
!x = !quant.uniform<i8:f32, 0.04729999974370003>
!n = !quant.uniform<i8:f32, 4.999999873689376e-05>
!y = !quant.uniform<i8:f32, 0.011699999682605267>
func.func @net(%x: tensor<8x96x!x>) -> tensor<8x24xf32> attributes {nib.rounding = "nearest-even"} {
  %eps = nib.constant dense<1.0e-05> : tensor<1xf32>
  %w = nib.constant dense<3> : tensor<24x96xi8>
  %s = nib.constant dense<0.5> : tensor<1xf32>
  %r = nib.dequantize %x : (tensor<8x96x!x>) -> tensor<8x96xf32>
  %m = nib.mean %r axes [1] keep_dims 1 : (tensor<8x96xf32>) -> tensor<8x1xf32>
  %d = nib.sub %r, %m : (tensor<8x96xf32>, tensor<8x1xf32>) -> tensor<8x96xf32>
  %q = nib.mul %d, %d : (tensor<8x96xf32>, tensor<8x96xf32>) -> tensor<8x96xf32>
  %v = nib.mean %q axes [1] keep_dims 1 : (tensor<8x96xf32>) -> tensor<8x1xf32>
  %e = nib.add %v, %eps : (tensor<8x1xf32>, tensor<1xf32>) -> tensor<8x1xf32>
  %i = nib.rsqrt %e : (tensor<8x1xf32>) -> tensor<8x1xf32>
  %n = nib.mul %d, %i : (tensor<8x96xf32>, tensor<8x1xf32>) -> tensor<8x96xf32>
  %c = nib.quantize %n : (tensor<8x96xf32>) -> tensor<8x96x!n>
  %f = nib.fully_connected %c, %w scales %s : (tensor<8x96x!n>, tensor<24x96xi8>, tensor<1xf32>) -> tensor<8x24x!y>
  %o = nib.dequantize %f : (tensor<8x24x!y>) -> tensor<8x24xf32>
  return %o : tensor<8x24xf32>
}
