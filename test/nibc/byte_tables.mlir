// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A function of codes of 8 bits ends a convolution where tables of bytes are two instructions, and is a
// kernel of its own where they are many; alone it looks up whole registers of bytes.
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni+avx512vbmi --dry-run --explain -o %t | FileCheck %s --check-prefix=VBMI
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni --dry-run --explain -o %t | FileCheck %s --check-prefix=VNNI
// RUN: %nibc compile %s --target=x86-64-v3 --dry-run --explain -o %t | FileCheck %s --check-prefix=AVX2
// RUN: %nibc verify %s
// VBMI: conv2d+lookup conv_rows/avx512vbmi
// VBMI: lookup byte_tables/avx512vbmi
// VNNI: conv2d conv_rows/avx512vnni
// VNNI: lookup byte_tables/avx512vnni
// VNNI: lookup byte_tables/avx512vnni
// AVX2: conv2d conv_rows/avx2maddubs
// AVX2: lookup byte_tables/avx2
!x = tensor<1x28x28x32x!quant.uniform<i8:f32, 0.046875:3>>
!m = tensor<1x28x28x64x!quant.uniform<i8:f32, 0.0625:-4>>
!y = tensor<1x28x28x64x!quant.uniform<i8:f32, 0.0546875:1>>
!w = tensor<64x1x1x32x!quant.uniform<i8:f32, 0.0078125>>
func.func @tables(%x: !x, %z: !m) -> (!y, !y) {
  %w = nib.constant dense<7> : tensor<64x1x1x32xi8> as !w
  %c = nib.conv2d %x, %w : (!x, !w) -> !m
  %r = nib.leaky_relu %c alpha 0.1 : (!m) -> !y
  %s = nib.leaky_relu %z alpha 0.1 : (!m) -> !y
  return %r, %s : !y, !y
}
