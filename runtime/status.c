/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Status codes and message formatting. */
#include "nib_status.h"

#include <stdio.h>
#include <stdlib.h>

/* Messages longer than this are cut; they name one problem each, so this is generous. */
#define MESSAGE_BYTES 2048

static void emit_message(const nib_diag *diag, nib_severity severity, const char *format,
                         va_list args) {
  char message[MESSAGE_BYTES];
  if (!diag || !diag->emit)
    return;
  vsnprintf(message, sizeof message, format, args);
  diag->emit(diag->user, severity, message);
}

nib_status nib_diag_error(const nib_diag *diag, nib_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  emit_message(diag, NIB_ERROR, format, args);
  va_end(args);
  return status;
}

void nib_diag_warn(const nib_diag *diag, const char *format, ...) {
  va_list args;
  va_start(args, format);
  emit_message(diag, NIB_WARNING, format, args);
  va_end(args);
}

void nib_diag_note(const nib_diag *diag, const char *format, ...) {
  va_list args;
  va_start(args, format);
  emit_message(diag, NIB_NOTE, format, args);
  va_end(args);
}

int nib_status_exit_code(nib_status status) {
  static const int codes[] = {
      [NIB_OK] = 0,
      [NIB_ERROR_INVALID_INPUT] = 1,
      [NIB_ERROR_INVALID_USAGE] = 2,
      [NIB_ERROR_MISMATCH] = 3,
      [NIB_ERROR_UNSUPPORTED] = 4,
      [NIB_ERROR_LIMIT] = 5,
      [NIB_ERROR_OUT_OF_MEMORY] = 1,
      [NIB_ERROR_IO] = 1,
      [NIB_ERROR_INTERNAL] = 1,
  };
  return (size_t)status < sizeof codes / sizeof codes[0] ? codes[status] : 1;
}
