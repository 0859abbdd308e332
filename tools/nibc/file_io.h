/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Files: whole reads, atomic writes, temporary folders. Every failure prints one line. */
#ifndef NIBC_FILE_IO_H
#define NIBC_FILE_IO_H

#include "nib_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Reads all of `path` ("-": standard input) into *out_bytes (free()), NUL-terminated beyond size.
 */
nib_status nibc_file_read(const char *path, uint8_t **out_bytes, size_t *out_size);

/** Writes `path` as a whole: a temporary file beside it, then a rename. */
nib_status nibc_file_write(const char *path, const void *bytes, size_t size);
/** The same for a regular file, without a message: 0 or an errno. */
int nibc_file_replace(const char *path, const void *bytes, size_t size);

/** Creates `path` and its parents. *out_created: the topmost folder that did not exist (free()), or
 *  NULL; give it to nibc_dir_abandon when nothing was written after all. */
nib_status nibc_dir_create(const char *path, char **out_created);
void nibc_dir_abandon(const char *path, const char *created);

/** A new folder in `parent` (NULL: $TMPDIR or /tmp); free() the name. It is removed, with the files
 *  in it, by nibc_dir_remove, or when nibc is interrupted. */
nib_status nibc_dir_temporary(const char *parent, char **out_path);
void nibc_dir_remove(const char *path);
/** Moves every file of folder `from` into `to`, or none if one of them cannot be. */
nib_status nibc_dir_move_files(const char *from, const char *to);

/** "a/b" from parts; NULL when out of memory; free(). */
char *nibc_path_join(const char *dir, const char *file);
/** printf into a new string; NULL when out of memory; free(). */
char *nibc_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
