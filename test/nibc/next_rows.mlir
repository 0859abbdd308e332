// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Rows that are staged one after another come from far: each tile fetches its share of the next one, of every pixel what is
// one of as many as there are panels.
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni --name=rows -o %t && cat %t/rows.c | FileCheck %s
// RUN: %nibc verify %s --target=native
// CHECK: nib_avx512_stage_i8(staged + 0, in0 + (next - 0) * [[ROW:[0-9]+]],
// CHECK: for (int32_t c = 0; c < 512; c += 64) {
// CHECK: for (int32_t x = 0;
// CHECK-NEXT: _mm_prefetch((const char *)((uintptr_t)(in0 + next * [[ROW]] + c / 64 * {{[0-9]+}} + x * 64) + 0), _MM_HINT_T0);
// CHECK-NEXT: _mm_prefetch((const char *)((uintptr_t)(in0 + next * [[ROW]] + c / 64 * {{[0-9]+}} + x * 64) + 64), _MM_HINT_T0);
func.func @net(%x: tensor<2048x512x!quant.uniform<i8:f32, 0.5>>) -> tensor<2048x512x!quant.uniform<i8:f32, 64.0>> attributes {nib.rounding = "nearest-even"} {
  %w = nib.constant dense<3> : tensor<512x512xi8> loc("w")
  %b = nib.constant dense<0> : tensor<512xi32> loc("b")
  %s = nib.constant dense<0.25> : tensor<1xf32> loc("s")
  %y = nib.fully_connected %x, %w bias %b scales %s : (tensor<2048x512x!quant.uniform<i8:f32, 0.5>>, tensor<512x512xi8>, tensor<512xi32>, tensor<1xf32>) -> tensor<2048x512x!quant.uniform<i8:f32, 64.0>>
  return %y : tensor<2048x512x!quant.uniform<i8:f32, 64.0>>
}
