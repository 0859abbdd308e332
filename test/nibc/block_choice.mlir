// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights of few bits in blocks by reals, and by bytes: which kernels run them in vector code, in portable C, and without instructions for reals.
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni --weight-format=q4_0 --dry-run | FileCheck %s --check-prefix=DIGITS
// RUN: %nibc compile %s --target=x86-64-v3 --weight-format=q4_0 --dry-run | FileCheck %s --check-prefix=DIGITS
// RUN: %nibc compile %s --target=riscv32-unknown-elf --weight-format=q4_0 --dry-run | FileCheck %s --check-prefix=DIGITS
// RUN: %nibc compile %s --target=c99 --weight-format=q4_0 --dry-run | FileCheck %s --check-prefix=REALS
// RUN: %nibc compile %s --target=riscv64-linux-gnu --weight-format=q4_0 --dry-run | FileCheck %s --check-prefix=REALS
// RUN: %nibc compile %s --target=c99 --weight-format=q4_0 --activation-format=q8_0 --dry-run | FileCheck %s --check-prefix=BYTES
// DIGITS: fully_connected block_dots/
// DIGITS: fully_connected block_dots/
// REALS: fully_connected block_reals/c99
// REALS: fully_connected block_reals/c99
// BYTES: fully_connected block_nested/c99
func.func @net(%x: tensor<1x256xf32>, %h: tensor<1x256xf16>) -> (tensor<1x256xf32>, tensor<1x256xf16>) {
  %w = nib.constant dense<0.5> : tensor<256x256xf32> loc("w")
  %v = nib.constant dense<14336> : tensor<256x256xi16> as tensor<256x256xf16> loc("v")
  %y = nib.fully_connected %x, %w : (tensor<1x256xf32>, tensor<256x256xf32>) -> tensor<1x256xf32>
  %z = nib.fully_connected %h, %v : (tensor<1x256xf16>, tensor<256x256xf16>) -> tensor<1x256xf16>
  return %y, %z : tensor<1x256xf32>, tensor<1x256xf16>
}
