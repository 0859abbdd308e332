/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Bump allocator: a list of blocks, the newest first. */
#include "graph/arena.h"

#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES (64u * 1024u)
#define LARGE_ALIGNMENT 64u
#define SMALL_ALIGNMENT 16u

typedef struct block {
  struct block *next;
  size_t used, capacity;
  unsigned char *data;
} block;

struct nib_arena {
  block *head;
};

nib_arena *nib_arena_create(void) {
  return calloc(1, sizeof(nib_arena));
}

void nib_arena_destroy(nib_arena *arena) {
  if (!arena)
    return;
  for (block *b = arena->head, *next; b; b = next) {
    next = b->next;
    free(b);
  }
  free(arena);
}

static block *add_block(nib_arena *arena, size_t bytes) {
  size_t capacity = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
  if (capacity > SIZE_MAX / 2)
    return NULL;
  block *b = calloc(1, sizeof(block) + capacity + LARGE_ALIGNMENT);
  if (!b)
    return NULL;
  uintptr_t start = (uintptr_t)(b + 1);
  start = (start + LARGE_ALIGNMENT - 1) & ~(uintptr_t)(LARGE_ALIGNMENT - 1);
  b->data = (unsigned char *)start;
  b->capacity = capacity;
  b->next = arena->head;
  arena->head = b;
  return b;
}

void *nib_arena_alloc(nib_arena *arena, size_t bytes) {
  size_t alignment = bytes >= LARGE_ALIGNMENT ? LARGE_ALIGNMENT : SMALL_ALIGNMENT;
  block *b = arena->head;
  size_t offset = b ? (b->used + alignment - 1) & ~(alignment - 1) : 0;
  if (!b || offset > b->capacity || bytes > b->capacity - offset) {
    b = add_block(arena, bytes);
    if (!b)
      return NULL;
    offset = 0;
  }
  b->used = offset + bytes;
  return b->data + offset;
}
