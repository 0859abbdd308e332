// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A pass says what is no network, and where.
// RUN: %nib-opt %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(nib-fuse)'
// RUN: %mlir-opt-nib %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(nib-fuse)'

// Everything that cannot be compiled, at once.
func.func @foreign(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{'math.exp' is no operator of the nib dialect and cannot be compiled}}
  %0 = math.exp %x : tensor<2xf32>
  %1 = nib.relu %0 : (tensor<2xf32>) -> tensor<2xf32>
  // expected-error @+1 {{'math.absf' is no operator of the nib dialect and cannot be compiled}}
  %2 = math.absf %1 : tensor<2xf32>
  return %2 : tensor<2xf32>
}

// -----

func.func @first(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
// expected-error @+1 {{a network is one function, and the module has @first before this one}}
func.func @second(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}

// -----

// expected-error @+1 {{the function to compile has no body}}
func.func private @declared(tensor<2xf32>) -> tensor<2xf32>

// -----

// expected-error @+1 {{a network is one func.func, and the module has none}}
module {
}

// -----

// expected-error @+1 {{the function to compile must have one block: no control flow}}
func.func @flow(%x: tensor<2xf32>) -> tensor<2xf32> {
  cf.br ^end
^end:
  return %x : tensor<2xf32>
}

// -----

// expected-error @+1 {{argument 0: every dimension must be known, got 'tensor<?xf32>'}}
func.func @dynamic(%x: tensor<?xf32>) {
  return
}

// -----

func.func @alias(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @+1 {{nib.alias_of = 7, but nothing has nib.storage = 7}}
  %0 = nib.relu %x {nib.alias_of = 7 : i64} : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
