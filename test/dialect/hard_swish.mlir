// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// hard_swish parses, is verified, becomes a table in 8 bits, and runs as the reference says in each format.
// RUN: split-file %s %t
// RUN: %nib-opt %t/i8.mlir | %nib-opt | FileCheck %s
// CHECK: nib.hard_swish %{{.*}} rounding "nearest-even" : (tensor<1x16x24x!quant.uniform<i8:f32
// RUN: not %nib-opt %t/bad.mlir 2>&1 | FileCheck %s --check-prefix=BAD
// BAD: 'nib.hard_swish' op
// RUN: %nib-opt %t/i8.mlir --pass-pipeline='builtin.module(nib-simplify)' | FileCheck %s --check-prefix=TABLE
// TABLE: nib.lookup
// RUN: %nibc verify %t/i8.mlir | FileCheck %s --check-prefix=EQUAL
// RUN: %nibc verify %t/ui8.mlir --target=c99 | FileCheck %s --check-prefix=EQUAL
// RUN: %nibc verify %t/i16.mlir --target=c99 | FileCheck %s --check-prefix=EQUAL
// RUN: %nibc verify %t/i16.mlir --codegen=mlir | FileCheck %s --check-prefix=EQUAL
// RUN: %nibc verify %t/f32.mlir | FileCheck %s --check-prefix=EQUAL
// EQUAL: {{equals|agrees with}} the reference

//--- i8.mlir
func.func @i8(%x: tensor<1x16x24x!quant.uniform<i8:f32, 0.046875:-3>>)
    -> tensor<1x16x24x!quant.uniform<i8:f32, 0.0390625:-117>> {
  %y = nib.hard_swish %x rounding "nearest-even"
       : (tensor<1x16x24x!quant.uniform<i8:f32, 0.046875:-3>>)
       -> tensor<1x16x24x!quant.uniform<i8:f32, 0.0390625:-117>>
  return %y : tensor<1x16x24x!quant.uniform<i8:f32, 0.0390625:-117>>
}

//--- ui8.mlir
func.func @ui8(%x: tensor<8x24x!quant.uniform<u8:f32, 0.046875:120>>)
    -> tensor<8x24x!quant.uniform<u8:f32, 0.03125:10>> {
  %y = nib.hard_swish %x rounding "tflite-double"
       : (tensor<8x24x!quant.uniform<u8:f32, 0.046875:120>>)
       -> tensor<8x24x!quant.uniform<u8:f32, 0.03125:10>>
  return %y : tensor<8x24x!quant.uniform<u8:f32, 0.03125:10>>
}

//--- i16.mlir
func.func @i16(%x: tensor<8x24x!quant.uniform<i16:f32, 2.44140625e-4>>)
    -> tensor<8x24x!quant.uniform<i16:f32, 1.220703125e-4>> {
  %y = nib.hard_swish %x rounding "tflite-double"
       : (tensor<8x24x!quant.uniform<i16:f32, 2.44140625e-4>>)
       -> tensor<8x24x!quant.uniform<i16:f32, 1.220703125e-4>>
  return %y : tensor<8x24x!quant.uniform<i16:f32, 1.220703125e-4>>
}

//--- f32.mlir
func.func @f32(%x: tensor<8x24xf32>) -> tensor<8x24xf32> {
  %y = nib.hard_swish %x : (tensor<8x24xf32>) -> tensor<8x24xf32>
  return %y : tensor<8x24xf32>
}

//--- bad.mlir
func.func @bad(%x: tensor<8x24xf32>) -> tensor<24x8xf32> {
  %y = nib.hard_swish %x : (tensor<8x24xf32>) -> tensor<24x8xf32>
  return %y : tensor<24x8xf32>
}
