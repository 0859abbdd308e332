/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What both importers need: overflow-checked counts, names that are safe to print, integers out of
 * raw constant bytes. */
#ifndef NIB_IMPORT_IMPORT_UTIL_H
#define NIB_IMPORT_IMPORT_UTIL_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Longest name kept from a model file, in bytes. */
#define NIB_IMPORT_MAX_NAME 1024

/** Product of the dimensions (1 for rank 0). False when a dimension is negative or the product
 *  exceeds NIB_MAX_TENSOR_ELEMS. A zero dimension gives 0. */
bool nib_import_count_elems(int32_t rank, const int64_t *dims, int64_t *out_elems);

/** Graph-owned copy of `bytes[0..length)` up to its first NUL, cut to NIB_IMPORT_MAX_NAME; control
 *  characters and bytes that are not UTF-8 become '_'. NULL when out of memory. */
const char *nib_import_clean_name(nib_graph *g, const char *bytes, size_t length);

/** Element `i` of packed little-endian integers (any alignment), widened. Integer formats only. */
int64_t nib_import_load_int(const void *data, nib_format format, size_t i);

#ifdef __cplusplus
}
#endif
#endif
