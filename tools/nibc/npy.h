/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * NumPy's .npy files, versions 1 to 3, little-endian, C order. */
#ifndef NIBC_NPY_H
#define NIBC_NPY_H

#include "graph/graph.h"

/** One more dimension than a tensor: a batch. */
#define NIBC_ARRAY_MAX_RANK (NIB_MAX_RANK + 1)

typedef struct nibc_array {
  nib_format format;
  int32_t rank;
  int64_t dims[NIBC_ARRAY_MAX_RANK];
  void *data; /**< owned: free(); aligned for the element */
  size_t bytes;
} nibc_array;

/** Reads `path`; on failure prints one line naming it. */
nib_status nibc_npy_read(const char *path, nibc_array *out_array);
/** Parses the bytes of a file; `path` is for messages. */
nib_status nibc_npy_parse(const char *path, const uint8_t *bytes, size_t size,
                          nibc_array *out_array);
/** Writes `path` as a whole (nibc_file_write). */
nib_status nibc_npy_write(const char *path, const nibc_array *array);
void nibc_array_free(nibc_array *array);
/** "1x49x10" into a static-size buffer. */
typedef struct nibc_shape_text {
  char text[200];
} nibc_shape_text;
nibc_shape_text nibc_shape(int32_t rank, const int64_t *dims);

#endif
