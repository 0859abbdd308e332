// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// quant IR through the passes of the unmodified mlir-opt, with the plugin loaded and without: the plugin
// changes nothing that is not its own.
// RUN: %mlir-opt %s > %t.parsed
// RUN: %mlir-opt-nib %s | diff %t.parsed -
// RUN: FileCheck %s --check-prefix=PARSED < %t.parsed
// PARSED: quant.qcast

// RUN: %mlir-opt %s --canonicalize --cse > %t.clean
// RUN: %mlir-opt-nib %s --canonicalize --cse | diff %t.clean -
// RUN: FileCheck %s --check-prefix=CLEAN < %t.clean
// A cast there and back is nothing.
// CLEAN-LABEL: func.func @there_and_back
// CLEAN-NEXT: return %arg0

// RUN: %mlir-opt %s --lower-quant-ops > %t.lowered
// RUN: %mlir-opt-nib %s --lower-quant-ops | diff %t.lowered -
// RUN: FileCheck %s --check-prefix=LOWERED < %t.lowered
// LOWERED-LABEL: func.func @per_tensor
// LOWERED: arith.divf
// LOWERED-NOT: quant.qcast

// RUN: %mlir-opt %s --strip-func-quant-types > %t.stripped
// RUN: %mlir-opt-nib %s --strip-func-quant-types | diff %t.stripped -
// RUN: FileCheck %s --check-prefix=STRIPPED < %t.stripped
// STRIPPED: func.func @there_and_back(%arg0: tensor<4xi8>) -> tensor<4xi8>

// RUN: %mlir-opt %s --normalize-quant-types > %t.normal
// RUN: %mlir-opt-nib %s --normalize-quant-types | diff %t.normal -

// RUN: %mlir-opt %s --strip-func-quant-types --lower-quant-ops --canonicalize --cse --mlir-print-op-generic > %t.all
// RUN: %mlir-opt-nib %s --strip-func-quant-types --lower-quant-ops --canonicalize --cse --mlir-print-op-generic | diff %t.all -
// RUN: %mlir-opt %s --emit-bytecode > %t.bc && %mlir-opt-nib %t.bc | diff %t.parsed -

!tensor = !quant.uniform<i8:f32, 5.000000e-01:3>
!narrow = !quant.uniform<i8<-127:127>:f32, 2.500000e-01>
!axis = !quant.uniform<i8:f32:1, {1.0:1, 2.0:2, 3.0:3}>
!blocks = !quant.uniform<i8:f32:{0:1, 1:3}, {{1.0}, {2.0}}>

func.func @there_and_back(%x: tensor<4x!tensor>) -> tensor<4x!tensor> {
  %0 = quant.scast %x : tensor<4x!tensor> to tensor<4xi8>
  %1 = quant.scast %0 : tensor<4xi8> to tensor<4x!tensor>
  return %1 : tensor<4x!tensor>
}

func.func @per_tensor(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %0 = quant.qcast %x : tensor<?x3xf32> to tensor<?x3x!tensor>
  %1 = quant.dcast %0 : tensor<?x3x!tensor> to tensor<?x3xf32>
  return %1 : tensor<?x3xf32>
}

func.func @per_axis(%x: tensor<2x3xf32>, %y: tensor<2x3x!axis>) -> (tensor<2x3x!axis>, tensor<2x3xf32>) {
  %0 = quant.qcast %x : tensor<2x3xf32> to tensor<2x3x!axis>
  %1 = quant.dcast %y : tensor<2x3x!axis> to tensor<2x3xf32>
  return %0, %1 : tensor<2x3x!axis>, tensor<2x3xf32>
}

func.func @narrow(%x: tensor<5xf32>, %s: f32) -> (tensor<5x!narrow>, !narrow) {
  %0 = quant.qcast %x : tensor<5xf32> to tensor<5x!narrow>
  %1 = quant.qcast %x : tensor<5xf32> to tensor<5x!narrow>
  %2 = quant.qcast %s : f32 to !narrow
  return %1, %2 : tensor<5x!narrow>, !narrow
}

func.func @blocks(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = quant.qcast %x : tensor<2x3xf32> to tensor<2x3x!blocks>
  %1 = quant.dcast %0 : tensor<2x3x!blocks> to tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}
