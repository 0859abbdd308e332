/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Bump allocator behind a graph: everything is freed at once. */
#ifndef NIB_GRAPH_ARENA_H
#define NIB_GRAPH_ARENA_H

#include <stddef.h>

typedef struct nib_arena nib_arena;

nib_arena *nib_arena_create(void);
void nib_arena_destroy(nib_arena *arena);
/** Zeroed memory, aligned to 64 bytes if `bytes` ≥ 64, else to 16; NULL when exhausted. */
void *nib_arena_alloc(nib_arena *arena, size_t bytes);

#endif
