/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the vocabularies of x86 say alike. */
#ifndef NIB_VOCAB_X86_H
#define NIB_VOCAB_X86_H

/* Fields of vocabularies that build on AVX2's registers and multiply bytes by fours. */
#define NIB_X86_AVX2_BYTES                                                                         \
  .includes = "#include <immintrin.h>\n", .lanes = 8, .dot_k = 4, .weights_i16 = false,             \
  .type_i32 = "__m256i", .type_f32 = "__m256", .type_act = "__m256i", .type_weight = "__m256i",    \
  .type_bytes = "__m256i", .base = &nib_vocab_avx2

#define NIB_X86_PREFETCH "_mm_prefetch((const char *)((uintptr_t)($a) + $b), _MM_HINT_T0);"

/* Compilers gather the prefetches of a loop at its start, where they fill the buffers for misses
 * that its own reads then wait for: the empty statement keeps each between the reads that it was
 * said between. Where registers are scarce, that costs more than it gains. */
#define NIB_X86_PREFETCH_HERE "__asm__ volatile(\"\" ::: \"memory\");\n" NIB_X86_PREFETCH

#endif
