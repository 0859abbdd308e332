/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Functions of reals in registers: sigmoid, silu, exp, tanh, erf, both forms of gelu and
 * hard_swish, within a few units in the last place, and of sums such as 1 + erf(x) as well as these
 * in f32 allow. */
#ifndef NIB_EPILOGUE_REAL_FUNCTIONS_H
#define NIB_EPILOGUE_REAL_FUNCTIONS_H

#include "epilogue/say.h"

#ifdef __cplusplus
extern "C" {
#endif

bool nib_real_function_is(nib_op op);
/** Whether the vocabulary has what it takes. */
bool nib_real_function_can_say(nib_op op, const nib_vocab *v);
/** value = op(value), in a scope of its own. */
void nib_real_function_say(nib_emitter *e, nib_op op, const char *value);

#ifdef __cplusplus
}
#endif
#endif
