// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A single row reads every weight once: of weights of few bits several stay in a byte, and a mask takes them out. Many rows multiply bytes.
// RUN: rm -rf %t && %nibc compile %s --target=sapphirerapids --explain -o %t | FileCheck %s
// RUN: FileCheck %s --check-prefix=CODE --input-file=%t/few_bits.c
// RUN: FileCheck %s --check-prefix=WEIGHTS --input-file=%t/few_bits_weights.c
// RUN: %nibc verify %s --target=native | FileCheck %s --check-prefix=EQUAL
// RUN: %nibc compile %s --target=sapphirerapids --size --explain -o %t.size | FileCheck %s --check-prefix=SIZE
// SIZE: rows: fully_connected
// SIZE: * conv_rows avx512vnni {{[0-9]+x[0-9]+}}x0x0x2 1
// CHECK: row: fully_connected
// CHECK: * conv_rows avx512vnni 1x{{[0-9]+}}x0x0x2 1
// CHECK: rows: fully_connected
// CHECK: * conv_rows avx512vnni {{[0-9]+x[0-9]+ }}
// CHECK: weights: 281,088 bytes
// CODE: mask0; /* of 4 bits, 2 codes to a byte */
// WEIGHTS: 262144 elements of int8_t
// WEIGHTS-NEXT: row_weights
// WEIGHTS: 16384 elements of int8_t
// WEIGHTS-NEXT: rows_weights
// EQUAL-COUNT-2: equals the reference
func.func @few_bits(%x: tensor<1x1024x!quant.uniform<i8:f32, 0.5:-128>>, %xs: tensor<512x128x!quant.uniform<i8:f32, 0.5:127>>)
    -> (tensor<1x512x!quant.uniform<i8:f32, 64.0:3>>, tensor<512x128x!quant.uniform<i8:f32, 16.0>>) attributes {nib.rounding = "nearest-even"} {
  %w = nib.constant dense<-3> : tensor<512x1024xi8> as tensor<512x1024xi4> loc("w")
  %v = nib.constant dense<5> : tensor<128x128xi8> as tensor<128x128xi4> loc("v")
  %s = nib.constant dense<0.25> : tensor<512xf32> loc("s")
  %r = nib.constant dense<0.5> : tensor<128xf32> loc("r")
  %y = nib.fully_connected %x, %w scales %s : (tensor<1x1024x!quant.uniform<i8:f32, 0.5:-128>>, tensor<512x1024xi4>, tensor<512xf32>) -> tensor<1x512x!quant.uniform<i8:f32, 64.0:3>> loc("row")
  %z = nib.fully_connected %xs, %v scales %r : (tensor<512x128x!quant.uniform<i8:f32, 0.5:127>>, tensor<128x128xi4>, tensor<128xf32>) -> tensor<512x128x!quant.uniform<i8:f32, 16.0>> loc("rows")
  return %y, %z : tensor<1x512x!quant.uniform<i8:f32, 64.0:3>>, tensor<512x128x!quant.uniform<i8:f32, 16.0>>
}
