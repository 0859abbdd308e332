/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Lines of samples. */
#include "bench.h"
#include "file_io.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *bench_spell_target(const nib_target *target) {
  if (strcmp(target->name, "native") != 0)
    return nibc_format("%s", target->spec);
  char *text = nibc_format("x86-64");
  for (int f = 0; text && f < NIB_FEATURE_COUNT; ++f)
    if (target->features >> f & 1) {
      char *longer = nibc_format("%s+%s", text, nib_feature_name((nib_feature)f));
      free(text);
      text = longer;
    }
  return text;
}

nib_status bench_append(const char *path, const char *line) {
  nib_status status = line ? NIB_OK : nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  const int fd = line ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
  const ssize_t size = line ? (ssize_t)strlen(line) : 0;
  if (line && (fd < 0 || write(fd, line, (size_t)size) != size))
    status = nibc_fail(NIB_ERROR_IO, "%s: cannot append: %s", path, strerror(errno));
  if (fd >= 0)
    close(fd);
  return status;
}
