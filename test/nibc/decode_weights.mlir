// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights that are rounded to the type of the activations before they are multiplied: an attribute, which --decode-weights sets.
// RUN: %nibc verify %s --target=c99 | FileCheck %s
// RUN: %nibc verify %s --target=x86-64-v3 --weight-format=q4_0 --decode-weights=operand -v 2>&1 | FileCheck %s --check-prefixes=NOTE,CHECK
// NOTE: weights rounded to the type of the activations: 1 dense layers
// CHECK-COUNT-3: agrees with the reference
// RUN: %nibc compile %s --weight-format=q4_0 --decode-weights=operand --emit=mlir --stop-after=quantize | FileCheck %s --check-prefix=IR
// IR-COUNT-3: nib.fully_connected {{.*}} decode "operand"
// RUN: %nibc compile %s --weight-format=q4_0 --decode-weights=operand --report=%t.json -o %t.c && FileCheck %s --check-prefix=REPORT < %t.json
// REPORT: "decode_weights": "operand"
// RUN: %status 2 %nibc compile %s --weight-format=f16 --decode-weights=operand -o %t.c 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: decoded weights: no dense layer has weights of few bits and activations in f16 or bf16
// RUN: sed 's/decode "operand"/decode "twice"/' %s > %t.mlir
// RUN: %status 1 %nibc compile %t.mlir -o %t.c 2>&1 | FileCheck %s --check-prefix=WORD
// WORD: its weights are decoded exact or operand, not 'twice'
func.func @net(%x: tensor<3x64xf16>, %v: tensor<5x64xf32>, %z: tensor<2x64xbf16>) -> (tensor<3x5xf16>, tensor<2x5xbf16>, tensor<3x6xf16>) {
  %q = nib.cast %v : (tensor<5x64xf32>) -> tensor<5x64x!nib.format<"q4_0">>
  %0 = nib.fully_connected %x, %q decode "operand" : (tensor<3x64xf16>, tensor<5x64x!nib.format<"q4_0">>) -> tensor<3x5xf16>
  %n = nib.cast %v : (tensor<5x64xf32>) -> tensor<5x64x!nib.format<"mxfp4">>
  %1 = nib.fully_connected %z, %n decode "operand" : (tensor<2x64xbf16>, tensor<5x64x!nib.format<"mxfp4">>) -> tensor<2x5xbf16>
  %w = nib.constant dense<0.3> : tensor<6x64xf32> loc("w")
  %2 = nib.fully_connected %x, %w : (tensor<3x64xf16>, tensor<6x64xf32>) -> tensor<3x6xf16>
  return %0, %1, %2 : tensor<3x5xf16>, tensor<2x5xbf16>, tensor<3x6xf16>
}
