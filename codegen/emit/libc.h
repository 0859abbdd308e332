/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What generated code takes from a C library: its headers, or declarations of just what is used. */
#ifndef NIB_EMIT_LIBC_H
#define NIB_EMIT_LIBC_H

#include "emit/text.h"
#include "target/target.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Whether code for `target` is to compile where no C library is installed. */
bool nib_libc_is_declared(const nib_target *target);
/** Declares in `t` the functions and macros of <string.h> and <math.h> that the texts mention. */
void nib_libc_declare(const nib_text *const *texts, int n, nib_text *t);

#ifdef __cplusplus
}
#endif
#endif
