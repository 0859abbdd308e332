/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Status codes and the error sink that every Nibble library shares. */
#ifndef NIB_STATUS_H
#define NIB_STATUS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a library function returns. Libraries never print, abort or exit: they fill a nib_diag and
 *  return one of these. `nibc` maps each to an exit status (nib_status_exit_code). Append-only. */
typedef enum nib_status {
  NIB_OK = 0,
  NIB_ERROR_INVALID_INPUT,   /**< malformed file, inconsistent model, wrong-shaped data (exit 1) */
  NIB_ERROR_INVALID_USAGE,   /**< caller's arguments or options make no sense (exit 2) */
  NIB_ERROR_MISMATCH,        /**< results differ (exit 3) */
  NIB_ERROR_UNSUPPORTED,     /**< well-formed, but not supported yet (exit 4) */
  NIB_ERROR_LIMIT,           /**< a limit the user stated is exceeded (exit 5) */
  NIB_ERROR_OUT_OF_MEMORY,   /**< (exit 1) */
  NIB_ERROR_IO,              /**< a file could not be read or written (exit 1) */
  NIB_ERROR_INTERNAL,        /**< a broken invariant of ours (exit 1) */
} nib_status;

#define NIB_RETURN_IF_ERROR(expr)                                                                  \
  do {                                                                                             \
    nib_status nib_status_ = (expr);                                                               \
    if (nib_status_ != NIB_OK)                                                                     \
      return nib_status_;                                                                          \
  } while (0)

typedef enum nib_severity { NIB_NOTE = 0, NIB_WARNING = 1, NIB_ERROR = 2 } nib_severity;

/** Message sink. `emit` may be NULL (messages are dropped). One call is one complete message,
 *  without a trailing newline and without "error:". A function that returns an error has emitted at
 *  least one NIB_ERROR message saying what, where and what to do. */
typedef struct nib_diag {
  void (*emit)(void *user, nib_severity severity, const char *message);
  void *user;
} nib_diag;

/** Formats and emits one message; returns `status`, so that errors read
 *  `return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "operator %d: …", i);`. `diag` may be NULL. */
nib_status nib_diag_error(const nib_diag *diag, nib_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void nib_diag_warn(const nib_diag *diag, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void nib_diag_note(const nib_diag *diag, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Process exit status for a nib_status (see `nibc help`). */
int nib_status_exit_code(nib_status status);

#ifdef __cplusplus
}
#endif
#endif
