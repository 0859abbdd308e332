// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Activations become blocks of bytes in vector code, whatever name their format has: portable C takes ten times as long.
// RUN: %nibc compile %s --target=x86-64-v3 --weight-format=q4_0 --activation-format=q8_0 --dry-run | FileCheck %s --check-prefix=AVX2
// RUN: %nibc compile %s --target=x86-64-v3 --weight-format=tq2_0 --activation-format=i8:block=256,scale=f16 --dry-run | FileCheck %s --check-prefix=AVX2
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni --weight-format=tq2_0 --activation-format=i8:block=256,scale=f16 --dry-run | FileCheck %s --check-prefix=AVX512
// AVX2: cast cast block_codes/avx2
// AVX2: fully_connected block_dots/avx2
// AVX512: cast cast block_codes/avx512vnni
// AVX512: fully_connected block_nested/avx512vnni
func.func @net(%x: tensor<1x512xf32>) -> tensor<1x256xf32> {
  %w = nib.constant dense<0.5> : tensor<256x512xf32> loc("w")
  %y = nib.fully_connected %x, %w : (tensor<1x512xf32>, tensor<256x512xf32>) -> tensor<1x256xf32>
  return %y : tensor<1x256xf32>
}
