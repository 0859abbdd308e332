/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Formats that were found by a spelling with parameters. */
#ifndef NIB_NUM_FORMAT_FOUND_H
#define NIB_NUM_FORMAT_FOUND_H

#include "num/format.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Row of a format that is not in the table; NULL if there is none. */
const nib_format_info *nib_format_found(nib_format format);

/** Whether `name` is the spelling of a block of elements; then `out_info` is all but the name. */
bool nib_format_parse_block(const char *name, nib_format_info *out_info);

/* Reading spellings: each steps over what it reads, and reads nothing if it fails. */
bool nib_read_number(const char **at, int *out);
bool nib_read_word(const char **at, const char *word);

#ifdef __cplusplus
}
#endif
#endif
