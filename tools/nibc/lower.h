/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * --codegen=mlir: the network by way of linalg and LLVM instead of generated C. */
#ifndef NIBC_LOWER_H
#define NIBC_LOWER_H

#include "session.h"

/** Whether --codegen=mlir was given. */
bool nibc_is_lowered(const nibc_options *options);

/** Lowers the session's simplified module to the LLVM dialect. Operators without a lowering: status
 *  4, all of them named. */
nib_status nibc_session_lower(nibc_session *session);

/** Writes NAME.ll, NAME.h and nibrt_abi.h of a lowered session into the folder `dir`. */
nib_status nibc_lowered_write(const nibc_session *session, const char *dir);

#endif
