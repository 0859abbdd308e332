/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The subcommands. Each returns what decides the exit status; messages are already printed. */
#ifndef NIBC_COMMANDS_H
#define NIBC_COMMANDS_H

#include "session.h"

#include <stdio.h>

nib_status nibc_command_compile(const nibc_options *o);
nib_status nibc_command_run(const nibc_options *o);
nib_status nibc_command_verify(const nibc_options *o);
nib_status nibc_command_inspect(const nibc_options *o);
nib_status nibc_command_targets(const nibc_options *o);
nib_status nibc_command_formats(const nibc_options *o);

/** Opens the model and runs every stage up to select, checking the stated limits: what compile, run
 *  and verify share. */
nib_status nibc_compile_model(const nibc_options *o, bool keep_simplified,
                              nibc_session *out_session);
/** Writes what --emit names into --output-dir, and --report; nothing with --dry-run. Prints the
 *  table to `table` unless it is NULL. */
nib_status nibc_write_files(nibc_session *session, FILE *table);

#endif
