/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * External tensor data. The path must stay below the model's folder: neither absolute nor with
 * "..", and no component is a symbolic link. */
#include "onnx_external.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *find_entry(const Onnx__TensorProto *t, const char *key) {
  for (size_t i = 0; i < t->n_external_data; ++i)
    if (!strcmp(nib_onnx_text(t->external_data[i]->key), key))
      return nib_onnx_text(t->external_data[i]->value);
  return NULL;
}

/* A decimal number ≥ 0, or -1. */
static int64_t parse_number(const char *s) {
  char *end;
  errno = 0;
  long long value = *s >= '0' && *s <= '9' ? strtoll(s, &end, 10) : -1;
  return value >= 0 && !errno && !*end ? value : -1;
}

/* Opens base/location one component at a time; -1 with errno, or EPERM when it would escape. */
static int open_below(const char *base, const char *location) {
  int folder = open(*base ? base : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (folder >= 0) {
    const char *slash = strchr(location, '/');
    size_t length = slash ? (size_t)(slash - location) : strlen(location);
    char part[256];
    int next = -1;
    if (length == 0 || length >= sizeof part || (length == 2 && !memcmp(location, "..", 2)))
      errno = EPERM;
    else {
      memcpy(part, location, length);
      part[length] = '\0';
      next = openat(folder, part,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (slash ? O_DIRECTORY : 0));
    }
    int error = errno;
    close(folder);
    errno = error;
    if (!slash || next < 0)
      return next;
    folder = next;
    location = slash + 1;
  }
  return folder;
}

static bool read_range(int file, int64_t offset, uint8_t *to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t got = pread(file, to + done, bytes - done, (off_t)(offset + (int64_t)done));
    if (got <= 0)
      return false;
    done += (size_t)got;
  }
  return true;
}

nib_status nib_onnx_read_external(const Onnx__TensorProto *t, const char *base_dir,
                                  const char *where, size_t bytes, uint8_t **out_data,
                                  const nib_diag *diag) {
  const char *location = find_entry(t, "location");
  const char *offset_text = find_entry(t, "offset"), *length_text = find_entry(t, "length");
  int64_t offset = offset_text ? parse_number(offset_text) : 0;
  int64_t length = length_text ? parse_number(length_text) : (int64_t)bytes;
  if (!location || offset < 0 || length < 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: external data has no location, or a damaged offset or length",
                          where);
  if ((uint64_t)length != bytes)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %" PRId64 " bytes of external data, its shape needs %zu", where,
                          length, bytes);
  if (!base_dir)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: its data is in the file '%s', and this model comes from no folder",
                          where, location);
  int file = open_below(base_dir, location);
  if (file < 0)
    return nib_diag_error(diag, errno == EPERM || errno == ELOOP ? NIB_ERROR_INVALID_INPUT
                                                                 : NIB_ERROR_IO,
                          "%s: external data '%s': %s", where, location,
                          errno == EPERM || errno == ELOOP
                              ? "the path may not leave the model's folder"
                              : strerror(errno));
  struct stat info;
  nib_status status = NIB_OK;
  uint8_t *data = NULL;
  if (fstat(file, &info) || !S_ISREG(info.st_mode) || offset > info.st_size ||
      length > info.st_size - offset)
    status = nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                            "%s: external data '%s' is shorter than offset + length", where,
                            location);
  else if (!(data = malloc(bytes ? bytes : 1)))
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  else if (!read_range(file, offset, data, bytes)) {
    free(data);
    data = NULL;
    status = nib_diag_error(diag, NIB_ERROR_IO, "%s: external data '%s': %s", where, location,
                            strerror(errno));
  }
  close(file);
  *out_data = data;
  return status;
}
