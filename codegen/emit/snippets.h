/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The scalar helper functions of runtime/num/snippets.h as text: which exist, and which a generated
 * file needs. */
#ifndef NIB_EMIT_SNIPPETS_H
#define NIB_EMIT_SNIPPETS_H

#include "emit/text.h"
#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Whether a snippet of this name exists. */
bool nib_snippet_exists(const char *name);

/** Marks the snippet `name` as used by the kernel being emitted; the file will hold it and what it
 *  calls. False (and nothing marked) if there is none of this name. */
bool nib_emitter_use(nib_emitter *e, const char *name);

/** Appends every snippet of `used` and those they name, in the order of the source file. */
void nib_snippets_append(const uint64_t used[4], nib_text *t);

/** Appends the snippets that `text` needs, but for those whose names are `is_other`: somebody else defines them. */
void nib_snippets_append_for(const char *text, bool (*is_other)(const char *name), nib_text *t);

/** Marks the snippets that `text` names (vocabulary support code). */
void nib_snippets_scan(const char *text, uint64_t used[4]);

#ifdef __cplusplus
}
#endif
#endif
