// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A few rows wait for weights that no second-level cache holds: they are fetched ahead, for a single row less far. Weights that
// are near do without.
// RUN: %nibc compile %s --target=x86-64-v4+avx512vnni --name=few -o %t && cat %t/few.c | FileCheck %s
// RUN: sed 's/<8x/<1x/g' %s > %t/one.mlir && %nibc compile %t/one.mlir --target=x86-64-v4+avx512vnni --name=one -o %t && cat %t/one.c | FileCheck %s --check-prefix=ONE
// RUN: sed 's/1024x/512x/g' %s > %t/near.mlir && %nibc compile %t/near.mlir --target=x86-64-v4+avx512vnni --name=near -o %t && cat %t/near.c | FileCheck %s --check-prefix=NEAR
// RUN: %nibc verify %s --target=x86-64-v3
// CHECK: w0 = _mm512_loadu_si512((const void *)(w + 0));
// CHECK-NEXT: _mm_prefetch((const char *)((uintptr_t)(w + 0) + 12288), _MM_HINT_T0);
// ONE: __asm__ volatile("" ::: "memory");
// ONE-NEXT: _mm_prefetch((const char *)((uintptr_t)(w + 0) + 4096), _MM_HINT_T0);
// NEAR-NOT: _mm_prefetch
func.func @net(%x: tensor<8x2048x!quant.uniform<i8:f32, 0.5>>) -> tensor<8x1024x!quant.uniform<i8:f32, 64.0>> attributes {nib.rounding = "nearest-even"} {
  %w = nib.constant dense<3> : tensor<1024x2048xi8> loc("w")
  %b = nib.constant dense<0> : tensor<1024xi32> loc("b")
  %s = nib.constant dense<0.25> : tensor<1xf32> loc("s")
  %y = nib.fully_connected %x, %w bias %b scales %s : (tensor<8x2048x!quant.uniform<i8:f32, 0.5>>, tensor<1024x2048xi8>, tensor<1024xi32>, tensor<1xf32>) -> tensor<8x1024x!quant.uniform<i8:f32, 64.0>>
  return %y : tensor<8x1024x!quant.uniform<i8:f32, 64.0>>
}
