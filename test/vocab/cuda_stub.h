/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef NIB_TEST_CUDA_STUB_H
#define NIB_TEST_CUDA_STUB_H

#include "vocab/vocab.h"

/** A vocabulary whose register is one value in each thread of a warp: it shows that the epilogue
 *  needs no instruction set's C. For tests alone. */
extern const nib_vocab nib_vocab_cuda_stub;

#endif
