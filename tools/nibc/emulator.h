/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A compiled model in an emulator: a process that answers requests over two pipes. */
#ifndef NIBC_EMULATOR_H
#define NIBC_EMULATOR_H

#include "session.h"

typedef struct nibc_emulator nibc_emulator;

/** Starts `command` (a word a line) with requests on its file 3 and answers on its file 4. */
nib_status nibc_emulator_start(const nibc_session *session, const char *command,
                               nibc_emulator **out_emulator);
/** One run. *out_instructions and *out_stack_bytes: 0 where they are not counted; may be NULL. */
nib_status nibc_emulator_run(nibc_emulator *emulator, const void *const *in, void *const *out,
                             uint64_t *out_instructions, uint64_t *out_stack_bytes);
/** Ends the process and waits for it; NULL is allowed. */
void nibc_emulator_stop(nibc_emulator *emulator);

#endif
