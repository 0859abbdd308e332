/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the drivers of this folder compare: a model run by the reference evaluator, or its generated
 * code from a shared library. Functions print why they fail to standard error. */
#ifndef NIB_TEST_GOLDEN_SUBJECT_H
#define NIB_TEST_GOLDEN_SUBJECT_H

#include "graph/graph.h"
#include "nibrt_abi.h"
#include "reference/reference.h"

typedef nibrt_status golden_run_function(const nibrt_exec *exec, const void *const *in,
                                         void *const *out, void *const *arenas);

typedef struct golden_subject {
  const nib_graph *graph;   /* as imported; borrowed */
  nib_reference *reference; /* NULL when a library runs */
  golden_run_function *run;
  unsigned char *arena; /* followed by bytes that nobody may write */
  size_t arena_bytes;
  void **in, **out; /* 64-byte aligned, one for each input and output of the graph */
} golden_subject;

extern const nib_diag golden_diag;

/** A file's bytes with a zero behind them (free()); NULL if it cannot be read. */
unsigned char *golden_read_file(const char *path, size_t *out_size);
/** Imports .tflite or .onnx; NULL on failure. `rounding` may be NULL. */
nib_graph *golden_import(const char *path, const char *rounding);
/** The last component of `path` without its extension. */
void golden_stem(const char *path, char *out, size_t size);

bool golden_open_reference(const nib_graph *g, golden_subject *out);
/** NAME_run of `library`; the arena's size comes from NAME_ARENA_BYTES in `header`. */
bool golden_open_library(const nib_graph *g, const char *library, const char *name,
                         const char *header, golden_subject *out);
/** Also after a failed open. */
void golden_close(golden_subject *s);
/** From s->in to s->out. Of a library: the arena and the outputs are filled with garbage first, and
 *  writing behind the arena or the outputs is a failure. */
bool golden_run(golden_subject *s);

#endif
