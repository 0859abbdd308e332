/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A compiled model in a process of its own, run by requests over two files: what nibc starts in an
 * emulator. */
#ifndef NIBRT_SERVER_H
#define NIBRT_SERVER_H

#include "nibrt_abi.h"

typedef struct nibrt_server_buffer {
  void *bytes;
  uint32_t size;
} nibrt_server_buffer;

typedef struct nibrt_server_model {
  nibrt_status (*run)(const nibrt_exec *, const void *const *, void *const *, void *const *);
  void *arena;
  const nibrt_server_buffer *in, *out;
  uint32_t n_in, n_out;
} nibrt_server_model;

/* The model that the server is linked with. */
extern const nibrt_server_model nibrt_server;

/* A request is its inputs' bytes, one after the other; the answer this and then the outputs. Both
 * are little-endian. */
typedef struct nibrt_server_answer {
  uint64_t instructions; /* from entry to return of NAME_run; 0 where they cannot be counted */
  uint64_t stack_bytes;  /* how deep the stack was, where that can be seen */
  int32_t status;        /* nibrt_status */
  uint32_t reserved;
} nibrt_server_answer;

enum { NIBRT_SERVER_MOST_BUFFERS = 64 };

#endif
