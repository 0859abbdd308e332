/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What nibc says: errors, hints, steps. One line each, to stderr. */
#ifndef NIBC_MESSAGE_H
#define NIBC_MESSAGE_H

#include "nib_status.h"

#include <stdbool.h>

/** `when`: auto, always or never; NULL is auto. `model_path` starts messages about the model. */
void nibc_message_setup(const char *when, bool verbose, const char *model_path);

void nibc_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void nibc_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void nibc_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Prints the error and returns `status`. */
nib_status nibc_fail(nib_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/** A message with its severity that already says where: printed with the program's name unless it
 *  starts with the model's path. */
void nibc_say(nib_severity severity, const char *message);

/** A sink that prints; valid for the whole run. */
const nib_diag *nibc_diag(void);
/** Number of errors printed so far. */
int nibc_error_count(void);

bool nibc_is_verbose(void);
/** With -v, nibc_step_end prints "name … ok (0.01 s)". Steps do not nest; `name` is kept. Returns the
 *  clock to give to nibc_step_end. */
double nibc_step_begin(const char *name);
void nibc_step_end(double begin, nib_status status);
/** Monotonic seconds. */
double nibc_seconds(void);
/** Escape sequences for a terminal on stdout, or "". */
const char *nibc_bold(void);
const char *nibc_plain(void);

#endif
