// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Many rows of weights of few bits by warpgroups, scaled sums and rounded weights; of both the CUDA C is free of warnings.
// REQUIRES: clang
// RUN: %nibc compile %s --target=sm_90a --emit=cuda -o %t --weight-format=q4_0 --decode-weights=exact --explain | FileCheck %s
// RUN: %nibc compile %s --target=sm_90a --emit=cuda -o %t --weight-format=q4_k --decode-weights=operand --explain | FileCheck %s
// CHECK: * low_bit_warpgroup cuda90a
// RUN: FileCheck %s --check-prefix=TEXT < %t/decode_weights_cuda.cu
// TEXT: nib_bf16_pair
// TEXT: nib_transpose_halves
func.func @net(%x: tensor<2000x1024xbf16>) -> tensor<2000x1024xbf16> {
  %w = nib.constant dense<0.3> : tensor<1024x1024xf32> loc("w")
  %y = nib.fully_connected %x, %w : (tensor<2000x1024xbf16>, tensor<1024x1024xf32>) -> tensor<2000x1024xbf16>
  return %y : tensor<2000x1024xbf16>
}
