/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Parsing generated C with libclang before anything is written. */
#ifndef NIB_EMIT_CHECK_C_H
#define NIB_EMIT_CHECK_C_H

#include "emit/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Parses NAME.c from memory (-std=c11 -Wall -Wextra -pedantic). A diagnostic is NIB_ERROR_INTERNAL
 *  with a message that names the kernel, and the source operator, whose code it is in. */
nib_status nib_check_c(const nib_graph *g, const nib_model_options *o, const nib_model_text *m,
                       const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
