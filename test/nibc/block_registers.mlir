// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Sums of a few rows fill the registers: nothing that is said between products may make compilers keep them in memory.
// REQUIRES: clang
// RUN: rm -rf %t && %nibc compile %s --target=x86-64-v4+avx512vnni --weight-format=q4_0 --activation-format=q8_0 --emit=asm --name=few -o %t
// RUN: grep -c vpdpbusd %t/few.s | FileCheck %s --check-prefix=DOTS
// RUN: grep 'zmm' %t/few.s | grep -c '(%%rsp)' | FileCheck %s --check-prefix=STACK --allow-empty
// DOTS: {{^1[23][0-9]$}}
// STACK: {{^[0-9]$|^[1-3][0-9]$}}
func.func @net(%x: tensor<8x512xf32>) -> tensor<8x256xf32> {
  %w = nib.constant dense<0.5> : tensor<256x512xf32> loc("w")
  %y = nib.fully_connected %x, %w : (tensor<8x512xf32>, tensor<256x512xf32>) -> tensor<8x256xf32>
  return %y : tensor<8x256xf32>
}
