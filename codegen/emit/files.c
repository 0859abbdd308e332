// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Files of a generated model: temporaries first, renamed together.
#define _POSIX_C_SOURCE 200809L
#include "emit/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* DIR/NAME or DIR/.NAME.tmp; malloc'd. */
static char *path_of(const char *dir, const char *name, int temporary) {
  const size_t size = strlen(dir) + strlen(name) + 8;
  char *path = malloc(size);
  if (path)
    snprintf(path, size, temporary ? "%s/.%s.tmp" : "%s/%s", dir, name);
  return path;
}

/* Creates the folder and its parents. *out_made is the length of the shortest prefix of `dir` that
 * did not exist before (0: all of it did). */
static nib_status make_folders(const char *dir, size_t *out_made, const nib_diag *diag) {
  *out_made = 0;
  char *path = strdup(dir);
  if (!path)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  int failure = 0;
  const size_t length = strlen(path);
  for (size_t i = 1; i <= length && !failure; ++i) {
    if (path[i] != '/' && path[i] != 0)
      continue;
    const char kept = path[i];
    path[i] = 0;
    if (mkdir(path, 0777) == 0)
      *out_made = *out_made ? *out_made : i;
    else if (errno != EEXIST)
      failure = errno;
    path[i] = kept;
  }
  struct stat s;
  if (!failure && stat(dir, &s) != 0)
    failure = errno;
  else if (!failure && !S_ISDIR(s.st_mode))
    failure = ENOTDIR;
  free(path);
  return failure ? nib_diag_error(diag, NIB_ERROR_IO, "cannot create folder '%s': %s", dir,
                                  strerror(failure))
                 : NIB_OK;
}

/* Removes the folders that make_folders made, as far as they are empty. */
static void remove_folders(const char *dir, size_t made) {
  char *path = made ? strdup(dir) : NULL;
  if (!path)
    return;
  for (size_t n = strlen(path); n >= made && n > 0; --n)
    if (path[n] == 0 || path[n] == '/') {
      path[n] = 0;
      rmdir(path);
    }
  free(path);
}

static int write_file(const char *path, const nib_file *file) {
  FILE *f = fopen(path, "wb");
  if (!f)
    return errno ? errno : EIO;
  int failure = 0;
  errno = 0;
  if (fwrite(file->data, 1, file->size, f) != file->size || fflush(f) != 0)
    failure = errno ? errno : EIO;
  if (fclose(f) != 0 && !failure)
    failure = errno ? errno : EIO;
  return failure;
}

static nib_status write_one(const char *dir, const nib_file *file, const nib_diag *diag) {
  char *path = path_of(dir, file->name, 1);
  if (!path)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const int failure = write_file(path, file);
  free(path);
  return failure ? nib_diag_error(diag, NIB_ERROR_IO, "cannot write '%s' in folder '%s': %s",
                                  file->name, dir, strerror(failure))
                 : NIB_OK;
}

static nib_status rename_one(const char *dir, const nib_file *file, const nib_diag *diag) {
  char *from = path_of(dir, file->name, 1), *to = path_of(dir, file->name, 0);
  nib_status status = NIB_OK;
  if (!from || !to)
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  else if (rename(from, to) != 0)
    status = nib_diag_error(diag, NIB_ERROR_IO, "cannot write '%s' in folder '%s': %s", file->name,
                            dir, strerror(errno));
  free(from);
  free(to);
  return status;
}

static void remove_one(const char *dir, const nib_file *file, int temporary) {
  char *path = path_of(dir, file->name, temporary);
  if (path)
    remove(path);
  free(path);
}

nib_status nib_files_write(const char *dir, const nib_file *files, size_t n, const nib_diag *diag) {
  size_t made = 0, written = 0, renamed = 0;
  nib_status status = make_folders(dir, &made, diag);
  for (; status == NIB_OK && written < n; ++written)
    status = write_one(dir, &files[written], diag);
  while (status == NIB_OK && renamed < n) {
    status = rename_one(dir, &files[renamed], diag);
    if (status == NIB_OK)
      ++renamed;
  }
  if (status == NIB_OK)
    return NIB_OK;
  for (size_t i = 0; i < written; ++i)
    remove_one(dir, &files[i], 1);
  for (size_t i = 0; i < renamed; ++i)
    remove_one(dir, &files[i], 0);
  remove_folders(dir, made);
  return status;
}
