// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The whole pipeline in the unmodified mlir-opt writes C that compiles without a warning, the same C as
// nib-opt and as the passes one by one.
// RUN: rm -rf %t && mkdir %t
// RUN: %mlir-opt-nib %s --pass-pipeline='builtin.module(nib-to-c-pipeline{target=c99 out=%t/a name=tiny})' -o /dev/null
// RUN: %nib-opt %s --pass-pipeline='builtin.module(nib-to-c-pipeline{target=c99 out=%t/b name=tiny})' -o /dev/null
// RUN: diff -r %t/a %t/b
// RUN: %nib-opt %s --mlir-print-debuginfo --pass-pipeline='builtin.module(nib-simplify)' -o %t/1.mlir
// RUN: %nib-opt %t/1.mlir --mlir-print-debuginfo --pass-pipeline='builtin.module(nib-fuse)' -o %t/2.mlir
// RUN: %nib-opt %t/2.mlir --mlir-print-debuginfo --pass-pipeline='builtin.module(nib-plan)' -o %t/3.mlir
// RUN: %nib-opt %t/3.mlir --mlir-print-debuginfo --pass-pipeline='builtin.module(nib-select)' -o %t/4.mlir
// RUN: %mlir-opt-nib %t/4.mlir --pass-pipeline='builtin.module(nib-emit-c{out=%t/c name=tiny})' -o /dev/null
// RUN: diff -r %t/a %t/c
// RUN: %gcc -std=c11 -Wall -Wextra -pedantic -Werror -O2 -c %t/a/tiny.c -I%t/a -o %t/tiny.o
// RUN: %gcc -std=c11 -Wall -Wextra -pedantic -Werror -O2 -c %t/a/tiny_weights.c -I%t/a -o %t/weights.o
// RUN: FileCheck %s < %t/a/tiny.h
// CHECK: tiny_run

!x = tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>
!y = tensor<1x4x4x4x!quant.uniform<i8:f32, 2.500000e-01:-128>>
!f = tensor<1x64x!quant.uniform<i8:f32, 2.500000e-01:-128>>
!p = tensor<1x64x!quant.uniform<i8:f32, 3.906250e-03:-128>>

func.func @tiny(%x: !x {nib.name = "image"}) -> (!p {nib.name = "scores"})
    attributes {nib.rounding = "tflite-double"} {
  %w = nib.constant dense<-3> : tensor<4x3x3x3xi8> loc("conv1/w")
  %b = nib.constant dense<[1, -200, 3, 400]> : tensor<4xi32> loc("conv1/b")
  %s = nib.constant dense<[5.0e-01, 2.5e-01, 1.25e-01, 7.5e-01]> : tensor<4xf32> loc("conv1/s")
  %0 = nib.conv2d %x, %w bias %b scales %s strides [2, 2] pads [0, 0, 1, 1] activation "relu"
       : (!x, tensor<4x3x3x3xi8>, tensor<4xi32>, tensor<4xf32>) -> !y loc("conv1"("#0"))
  %1 = nib.reshape %0 : (!y) -> !f loc("flat"("#1"))
  %2 = nib.softmax %1 axis 1 beta 1.0 : (!f) -> !p loc("soft"("#2"))
  return %2 : !p
}
