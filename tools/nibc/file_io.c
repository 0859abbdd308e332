/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Files: whole reads, atomic writes, temporary folders. */
#include "file_io.h"
#include "interrupt.h"
#include "message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *nibc_format(const char *format, ...) {
  va_list args;
  va_start(args, format);
  const int size = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *text = size < 0 ? NULL : malloc((size_t)size + 1);
  if (!text)
    return NULL;
  va_start(args, format);
  vsnprintf(text, (size_t)size + 1, format, args);
  va_end(args);
  return text;
}

char *nibc_path_join(const char *dir, const char *file) {
  const size_t size = strlen(dir);
  return nibc_format(size && dir[size - 1] == '/' ? "%s%s" : "%s/%s", dir, file);
}

static nib_status no_memory(const char *path) {
  return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", path);
}

nib_status nibc_file_read(const char *path, uint8_t **out_bytes, size_t *out_size) {
  const bool standard = strcmp(path, "-") == 0;
  const char *shown = standard ? "standard input" : path;
  FILE *file = standard ? stdin : fopen(path, "rb");
  if (!file)
    return nibc_fail(NIB_ERROR_IO, "%s: %s", shown, strerror(errno));
  uint8_t *bytes = NULL;
  size_t size = 0, capacity = 0;
  nib_status status = NIB_OK;
  while (status == NIB_OK) {
    if (capacity - size < 2) {
      capacity = capacity ? capacity * 2 : 1 << 16;
      uint8_t *grown = realloc(bytes, capacity);
      if (!grown) {
        status = no_memory(shown);
        break;
      }
      bytes = grown;
    }
    const size_t n = fread(bytes + size, 1, capacity - size - 1, file);
    size += n;
    if (n == 0) {
      if (ferror(file))
        status = nibc_fail(NIB_ERROR_IO, "%s: %s", shown, strerror(errno));
      break;
    }
  }
  if (!standard)
    fclose(file);
  if (status != NIB_OK) {
    free(bytes);
    return status;
  }
  bytes[size] = 0;
  *out_bytes = bytes;
  *out_size = size;
  return NIB_OK;
}

static int write_all(int fd, const void *bytes, size_t size) {
  const mode_t mask = umask(0);
  umask(mask);
  int failure = fchmod(fd, 0666 & ~mask) ? errno : 0;
  for (size_t done = 0; !failure && done < size;) {
    const ssize_t n = write(fd, (const char *)bytes + done, size - done);
    if (n < 0 && errno != EINTR)
      failure = errno;
    else if (n > 0)
      done += (size_t)n;
  }
  if (close(fd) && !failure)
    failure = errno;
  return failure;
}

int nibc_file_replace(const char *path, const void *bytes, size_t size) {
  char *temporary = nibc_format("%s.XXXXXX", path);
  if (!temporary)
    return ENOMEM;
  const int fd = mkstemp(temporary);
  int failure = fd < 0 ? errno : 0;
  if (!failure) {
    nibc_interrupt_remove(temporary);
    failure = write_all(fd, bytes, size);
    if (!failure && rename(temporary, path))
      failure = errno;
    if (failure)
      unlink(temporary);
    nibc_interrupt_forget(temporary);
  }
  free(temporary);
  return failure;
}

nib_status nibc_file_write(const char *path, const void *bytes, size_t size) {
  struct stat existing;
  if (stat(path, &existing) == 0 && !S_ISREG(existing.st_mode)) {
    // A device or pipe: nothing to rename over.
    FILE *file = S_ISDIR(existing.st_mode) ? NULL : fopen(path, "wb");
    if (!file)
      return nibc_fail(NIB_ERROR_IO, "%s: %s", path,
                       S_ISDIR(existing.st_mode) ? "is a directory" : strerror(errno));
    const bool written = fwrite(bytes, 1, size, file) == size;
    const bool closed = fclose(file) == 0;
    return written && closed ? NIB_OK : nibc_fail(NIB_ERROR_IO, "%s: %s", path, strerror(errno));
  }
  const int failure = nibc_file_replace(path, bytes, size);
  return failure ? nibc_fail(NIB_ERROR_IO, "%s: cannot write: %s", path, strerror(failure))
                 : NIB_OK;
}

nib_status nibc_dir_create(const char *path, char **out_created) {
  *out_created = NULL;
  char *partial = nibc_format("%s", path);
  if (!partial)
    return no_memory(path);
  nib_status status = NIB_OK;
  for (char *at = partial + 1; status == NIB_OK; ++at) {
    if (*at && *at != '/')
      continue;
    const char end = *at;
    *at = 0;
    if (mkdir(partial, 0777) == 0) {
      if (!*out_created)
        *out_created = nibc_format("%s", partial);
    } else if (errno != EEXIST) {
      status = nibc_fail(NIB_ERROR_IO, "%s: cannot create the folder: %s", path, strerror(errno));
    }
    *at = end;
    if (!end)
      break;
  }
  struct stat info;
  if (status == NIB_OK && (stat(path, &info) || !S_ISDIR(info.st_mode)))
    status = nibc_fail(NIB_ERROR_IO, "%s: is not a folder", path);
  free(partial);
  if (status == NIB_OK && *out_created)
    nibc_interrupt_remove_empty(path, *out_created);
  if (status != NIB_OK) {
    nibc_dir_abandon(path, *out_created);
    free(*out_created);
    *out_created = NULL;
  }
  return status;
}

void nibc_dir_abandon(const char *path, const char *created) {
  if (!created)
    return;
  char *partial = nibc_format("%s", path);
  const size_t top = strlen(created);
  while (partial && strlen(partial) >= top) {
    if (rmdir(partial) && errno != ENOENT)
      break;
    char *slash = strrchr(partial, '/');
    if (!slash || slash == partial)
      break;
    *slash = 0;
  }
  free(partial);
}

static void remove_flat(const char *path) {
  DIR *dir = opendir(path);
  if (dir) {
    for (const struct dirent *entry; (entry = readdir(dir));)
      if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
  }
  rmdir(path);
}

nib_status nibc_dir_temporary(const char *parent, char **out_path) {
  const char *tmp = getenv("TMPDIR");
  const char *in = parent ? parent : tmp && *tmp ? tmp : "/tmp";
  char *path = nibc_path_join(in, ".nibc-XXXXXX");
  if (!path)
    return no_memory(in);
  if (!mkdtemp(path)) {
    const nib_status status =
        nibc_fail(NIB_ERROR_IO, "%s: cannot write to this folder: %s", in, strerror(errno));
    free(path);
    return status;
  }
  nibc_interrupt_remove(path);
  *out_path = path;
  return NIB_OK;
}

void nibc_dir_remove(const char *path) {
  if (!path)
    return;
  remove_flat(path);
  nibc_interrupt_forget(path);
}

/* Whether `to` can take the place of whatever is there: all of it is found out before anything is
 * moved. */
static nib_status check_target(const char *to) {
  struct stat info;
  if (lstat(to, &info) == 0 && S_ISDIR(info.st_mode))
    return nibc_fail(NIB_ERROR_IO, "%s: cannot write: is a folder", to);
  return NIB_OK;
}

static nib_status move_file(const char *from, const char *to) {
  if (rename(from, to) == 0)
    return NIB_OK;
  return nibc_fail(NIB_ERROR_IO, "%s: cannot write: %s", to, strerror(errno));
}

nib_status nibc_dir_move_files(const char *from, const char *to) {
  DIR *dir = opendir(from);
  if (!dir)
    return nibc_fail(NIB_ERROR_IO, "%s: %s", from, strerror(errno));
  nib_status status = NIB_OK;
  nibc_interrupt_hold();
  for (int pass = 0; pass < 2; ++pass) {
    rewinddir(dir);
    for (const struct dirent *entry; status == NIB_OK && (entry = readdir(dir));) {
      if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
        continue;
      char *old_path = nibc_path_join(from, entry->d_name);
      char *new_path = nibc_path_join(to, entry->d_name);
      if (!old_path || !new_path)
        status = no_memory(to);
      else
        status = pass == 0 ? check_target(new_path) : move_file(old_path, new_path);
      free(old_path);
      free(new_path);
    }
  }
  nibc_interrupt_release();
  closedir(dir);
  return status;
}
