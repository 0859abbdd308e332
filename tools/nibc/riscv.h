/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Programs for RISC-V around a compiled model, and the emulator that runs them. */
#ifndef NIBC_RISCV_H
#define NIBC_RISCV_H

#include "emit/text.h"
#include "session.h"

/** Whether the session's model runs without an operating system: of a bare-metal target, or
 * counted. */
bool nibc_riscv_is_bare(const nibc_session *session);
/** The program that runs the target's code, with or without an operating system. */
const char *nibc_riscv_emulator_name(const nib_target *target, bool bare);
/** The path of the emulator (free()); NULL after a message that says what to install. */
char *nibc_riscv_emulator(const nibc_session *session);
/** Compiles and links the files of nibc_session_emit in `dir` to `dir`/model.elf, with the server
 * of runtime/riscv around them. */
nib_status nibc_riscv_link(const nibc_session *session, const char *dir);
/** The emulator's command line for `dir`/model.elf, a word a line; `plugin`: argument of -plugin,
 * or NULL. */
void nibc_riscv_command(const nibc_session *session, const char *emulator, const char *dir,
                        const char *plugin, nib_text *out_words);

#endif
