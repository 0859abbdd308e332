/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The loops of an element-wise kernel whose operands are repeated along some dimensions: inside
 * each of them an operand either steps on or stays where it is. */
#ifndef NIB_SCHEDULE_FLAT_NEST_H
#define NIB_SCHEDULE_FLAT_NEST_H

#include "epilogue/epilogue.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_FLAT_MAX_LEVELS (NIB_MAX_RANK + 1)

typedef struct nib_flat_nest {
  int32_t levels; /**< loops; level 0 is the innermost */
  int64_t sizes[NIB_FLAT_MAX_LEVELS];
  int64_t strides[NIB_FLAT_MAX_LEVELS]; /**< of the result, in elements */
  /** By level, of what the first step begins with, and of the operand that each step reads beside
   * the running value. */
  int64_t start[NIB_FLAT_MAX_LEVELS];
  int64_t others[NIB_EPILOGUE_MAX_NODES][NIB_FLAT_MAX_LEVELS];
} nib_flat_nest;

/** The fewest loops for steps that nib_epilogue_can_finish accepts from their first on. False where
 * shapes do not nest. */
bool nib_flat_nest_make(const nib_graph *g, const nib_kernel *kernel, nib_flat_nest *out_nest);
/** The variable of the loop of `level` > 0: a, b … from the outermost inwards. */
char nib_flat_nest_loop(const nib_flat_nest *nest, int32_t level);
/** "a * 3584 + b * 64 + ": where they lead outside of it, or "". */
nib_word nib_flat_nest_base(const nib_flat_nest *nest, const int64_t *strides);

#ifdef __cplusplus
}
#endif
#endif
