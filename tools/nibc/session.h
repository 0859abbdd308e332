/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One model on its way through the compiler: the imported graph, the module, the pass pipeline. */
#ifndef NIBC_SESSION_H
#define NIBC_SESSION_H

#include "graph/graph.h"
#include "mlir-c/IR.h"
#include "options.h"
#include "target/target.h"
#include "test_data.h"

typedef enum nibc_stage {
  NIBC_STAGE_IMPORT,
  NIBC_STAGE_QUANTIZE,
  NIBC_STAGE_SIMPLIFY,
  NIBC_STAGE_FUSE,
  NIBC_STAGE_PLAN,
  NIBC_STAGE_SELECT,
  NIBC_STAGE_EMIT,
  NIBC_STAGE_COUNT
} nibc_stage;

typedef struct nibc_session {
  const nibc_options *options;
  nib_target target;
  char *name; /**< C identifier: prefix of files and symbols */
  MlirContext context;
  MlirModule module;
  nib_graph *imported;   /**< as the file says; valid until close */
  nib_graph *quantized;  /**< after quantize, if weights got other formats */
  nib_graph *simplified; /**< after simplify, if asked for */
  nib_graph *planned;    /**< after select (after plan, if the pipeline stopped there; after simplify
                            with --codegen=mlir) */
  nibc_test_data test_data; /**< --test-data: read before the import, which may need it */
  nib_graph *owned[8];
  int n_owned;
} nibc_session;

/** Reads and imports the model, checks that options and operators are supported (status 4 with all
 *  of them listed) and makes the module. On failure everything is released. */
nib_status nibc_session_open(const nibc_options *options, nibc_session *out_session);
void nibc_session_close(nibc_session *session);

/** A context and a name, nothing read yet. Close it after success and failure alike. */
nib_status nibc_session_begin(const nibc_options *options, nibc_session *out_session);
/** Imports only: the graph, or as much of it as possible with the unsupported operators listed
 *  through `diag` as notes (nibc inspect). *out_graph is released by nibc_session_close. */
nib_status nibc_session_import(nibc_session *session, bool list_only, const nib_diag *diag);

/** Runs the stages after `from` up to `to` on the session's module. keep_simplified also fills
 *  session->simplified. */
nib_status nibc_session_run(nibc_session *session, nibc_stage from, nibc_stage to,
                            bool keep_simplified);
/** Writes the C files of the session's module (selected), or the LLVM IR of a lowered one, into the
 *  folder `dir`. */
nib_status nibc_session_emit(nibc_session *session, const char *dir);
/** Names of the C files that nibc_session_emit wrote for the compiler: one to NIBC_MOST_SOURCES (free() each;
 *  NULL when out of memory). */
#define NIBC_MOST_SOURCES 3
int nibc_session_sources(const nibc_session *session, char *out_names[NIBC_MOST_SOURCES]);
/** Runs a pipeline in mlir-opt's words. */
nib_status nibc_session_run_text(nibc_session *session, const char *pipeline);

/** Replaces the module by one made from `graph` (nibc verify --per-layer). */
nib_status nibc_session_set_graph(nibc_session *session, const nib_graph *graph);
/** The module's graph; released by nibc_session_close. NULL after a message. */
nib_graph *nibc_session_graph(nibc_session *session);

/** What the compiled network means: the imported graph, with weights in the formats asked for. */
const nib_graph *nibc_session_source(const nibc_session *session);
/** The rules of --weight-format, separated by semicolons (free()); NULL after a message, or without
 * any. */
char *nibc_weight_formats(const nibc_options *options);
/** The same of --prefer. */
char *nibc_preferred_forms(const nibc_options *options);
/** Whether --precision asks for f16 or bf16. */
bool nibc_has_narrow_floats(const nibc_options *options);

/** Releases a graph of nibc_session_graph before close; NULL is allowed. */
void nibc_session_drop_graph(nibc_session *session, nib_graph *graph);

/** The IR as text (free()). */
nib_status nibc_session_print(nibc_session *session, char **out_text, size_t *out_size);

/** The stage of a --stop-after word. */
nibc_stage nibc_stage_find(const char *word);

#endif
