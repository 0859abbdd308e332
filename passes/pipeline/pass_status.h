/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The nib_status of a stage that failed inside a pass: MLIR's pass manager only says "failed", and
 * nibc's exit status needs to know why. */
#ifndef NIB_PASSES_PASS_STATUS_H
#define NIB_PASSES_PASS_STATUS_H

#include "nib_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Called by the skin of a pass with what its stage returned; keeps the first failure of the
 *  thread. Returns `status`. */
nib_status nib_pass_status_note(nib_status status);
/** The first failure noted on this thread since the last call, or NIB_OK. */
nib_status nib_pass_status_take(void);

#ifdef __cplusplus
}
#endif
#endif
