/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Writing several files into a folder, all or nothing. */
#ifndef NIB_EMIT_FILES_H
#define NIB_EMIT_FILES_H

#include "nib_status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_file {
  const char *name; /**< without folder */
  const char *data;
  size_t size;
} nib_file;

/** Creates `dir` and its parents where absent, writes temporaries beside their final names, and
 *  renames them when all are whole. On failure what was made is removed again, and one message says
 *  why (NIB_ERROR_IO). */
nib_status nib_files_write(const char *dir, const nib_file *files, size_t n, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
