// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Types of every kind of format, by name and as spelled with parameters; packing.
// RUN: %nib-opt %s | %nib-opt | FileCheck %s

// CHECK-LABEL: func.func @named
func.func @named(%a: tensor<2x32x!nib.format<"q4_0">>, %b: tensor<512x!nib.format<"q6_k">>,
                 %c: tensor<64x!nib.format<"mxfp6_e2m3">>, %d: tensor<32x!nib.format<"nvfp4">>,
                 %e: tensor<3x!nib.format<"nf4">>, %f: tensor<3x!nib.format<"bipolar2">>,
                 %g: tensor<5x!nib.format<"ternary">>, %h: tensor<2xtf32>) {
  // CHECK: nib.reshape {{.*}} -> tensor<64x!nib.format<"q4_0">>
  %0 = nib.reshape %a : (tensor<2x32x!nib.format<"q4_0">>) -> tensor<64x!nib.format<"q4_0">>
  // CHECK: nib.pack {{.*}} -> tensor<1xui8>
  %1 = nib.pack %g : (tensor<5x!nib.format<"ternary">>) -> tensor<1xui8>
  // CHECK: nib.pack {{.*}} -> tensor<2xi8>
  %2 = nib.pack %e : (tensor<3x!nib.format<"nf4">>) -> tensor<2xi8>
  // CHECK: nib.unpack {{.*}} -> tensor<3x!nib.format<"bipolar2">>
  %3 = nib.pack %f : (tensor<3x!nib.format<"bipolar2">>) -> tensor<1xui8>
  %4 = nib.unpack %3 : (tensor<1xui8>) -> tensor<3x!nib.format<"bipolar2">>
  // CHECK: nib.pack {{.*}} -> tensor<36xui8>
  %5 = nib.pack %a : (tensor<2x32x!nib.format<"q4_0">>) -> tensor<36xui8>
  return
}

// CHECK-LABEL: func.func @spelled
// CHECK-SAME: tensor<4x128x!nib.format<"ui4:block=128,scale=f16,zero=ui4">>
// CHECK-SAME: tensor<16x!nib.format<"e2m2:specials=none,block=16,scale=e8m0">>
// CHECK-SAME: tensor<8x!nib.format<"book:-1,-0.25,0.25,1">>
// CHECK-SAME: tensor<48x!nib.format<"bfp5:block=16">>
func.func @spelled(%a: tensor<4x128x!nib.format<"ui4:block=128,scale=f16,zero=ui4">>,
                   %b: tensor<16x!nib.format<"e2m2:specials=none,block=16,scale=e8m0">>,
                   %c: tensor<8x!nib.format<"book:-1,-0.25,0.25,1">>,
                   %d: tensor<48x!nib.format<"bfp5:block=16">>) {
  return
}
