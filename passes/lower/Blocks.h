// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Tensors of formats whose elements are more than a number in a machine word: blocks, which lie as
// bytes along the last dimension, and codebooks. All of it is integer arithmetic on bytes that
// follows from the format table; runtime/num/block*.c has the same in C.
#ifndef NIB_PASSES_LOWER_BLOCKS_H
#define NIB_PASSES_LOWER_BLOCKS_H

#include "passes/lower/Lowering.h"

namespace nib {

bool isBlock(const nib_tensor &tensor);
/// Whether the elements, scales and zero points of a format have lowerings to read and write them.
bool hasCodec(nib_format format);

/// The dimensions of a tensor in memory: of blocks, the last counts bytes.
llvm::SmallVector<int64_t> storageDims(const nib_tensor &tensor);

/// The elements of a tensor of blocks, as f32.
mlir::Value decodeBlocks(Lowering &l, mlir::Value bytes, const nib_tensor &tensor);
/// One of them, in a loop's body; `places` are its indices.
Num decodeElement(Lowering &l, mlir::ImplicitLocOpBuilder &b, mlir::Value bytes,
                  const nib_tensor &tensor, llvm::ArrayRef<mlir::Value> places);

/// The bytes of f32 numbers in blocks; the shape is that of `tensor` in memory.
mlir::Value encodeBlocks(Lowering &l, mlir::Value reals, const nib_tensor &tensor,
                         nib_encode_mode mode, bool asSource);

/// The value of a code (i64) of any format but blocks, as f64, in a loop's body.
Num valueOfCode(Lowering &l, nib_format format, Num code);
/// The codes (i32) of numbers (f64) in any format of at most 32 bits but blocks; saturated.
mlir::Value codesOfReals(Lowering &l, mlir::Value reals, nib_format format, nib_encode_mode mode);

/// Bit of the block where code number i (i64) of a field begins.
int64_t bitOfField(const nib_bit_field &field, int64_t i);

} // namespace nib

#endif
