/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The stages of the pipeline as C functions on a nib_graph. Each MLIR pass is a skin: graph from
 * IR, one of these, IR from graph. */
#ifndef NIB_PASSES_STAGES_H
#define NIB_PASSES_STAGES_H

#include "graph/graph.h"
#include "nib_status.h"
#include "target/target.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Options shared by both doors. Strings are borrowed. Zero-initialise, then nib_options_default.
 */
typedef struct nib_options {
  const char *target;         /**< spec; default "native" in nibc, "c99" in the pass pipeline */
  const char *name;           /**< symbol prefix; NULL: the graph's */
  const char *out_dir;        /**< emit: folder to write (created if absent) */
  const char *rounding;       /**< overrides the source's default, or NULL */
  const char *cost_model;     /**< "analytic" or a file */
  const char *prefer;         /**< fuse, plan, select: forms that kernels take where they can, whatever the
                                   cost: "SCHEDULE[/VOCABULARY][:TILE]", separated by semicolons, best
                                   first; NULL: none */
  const char *weights;        /**< "words" or "bytes" */
  const char *weight_formats; /**< quantize: "FORMAT" and "PATTERN=FORMAT", separated by
                                   semicolons; NULL: weights stay as they are */
  const char *weight_scale; /**< quantize: how scales are chosen, \"source\", \"absmax\" or \"mse\"
                               (least squared error); NULL: source */
  const char *activation_format; /**< quantize: a format of blocks that the f32 activations of dense
                                      layers with weights in blocks are cast to; NULL: none */
  const char *decode_weights; /**< quantize: "operand": dense layers with weights of few bits round them to
                                   their activations' f16 or bf16; "exact" or NULL: nothing changes */
  const char *precision;  /**< quantize: "f16" or "bf16" for what is f32; NULL: nothing changes */
  const char *accumulate; /**< quantize: with a precision, formats of sums by names of layers */
  int64_t max_arena_bytes;  /**< -1: no limit */
  int32_t threads;         /**< fuse: threads that kernels may be cut for (nib_graph.threads) */
  int32_t unroll; /**< emit: steps of products between two ends of their loop; 0: as the vocabulary says */
  bool no_fallback;
  bool size;    /**< prefer small code */
  bool check_c; /**< parse generated C with libclang before writing */
} nib_options;

nib_options nib_options_default(void);

/** Constant weights of convolutions, fully_connected, matmul and gather into o->weight_formats, activations
 *  beside weights in blocks into o->activation_format; nothing without them. NIB_ERROR_INVALID_USAGE for formats and names that are not known; with o->no_fallback
 *  NIB_ERROR_LIMIT for weights that had to stay. */
nib_status nib_quantize_graph(nib_graph *g, const nib_options *o, const nib_diag *diag);
/** QDQ and float islands to integer operators; transposes cancelled; pad, bias, relu, clamp
 *  absorbed; constants folded. Results of integer networks do not change by a bit, except that an
 *  ONNX QDQ island becomes its defined integer form (docs/numerics.md). */
nib_status nib_simplify_graph(nib_graph *g, const nib_options *o, const nib_diag *diag);
/** Groups every node into kernels (views stay outside); decisions through nib_cost_predict. */
nib_status nib_fuse_graph(nib_graph *g, const nib_options *o, const nib_diag *diag);
/** Order of kernels, in-place reuse, arena offsets and lower bounds. NIB_ERROR_LIMIT when the arena
 *  exceeds o->max_arena_bytes. */
nib_status nib_plan_graph(nib_graph *g, const nib_options *o, const nib_diag *diag);
/** Schedule, vocabulary and tile of each kernel. */
nib_status nib_select_graph(nib_graph *g, const nib_options *o, const nib_diag *diag);
/** Writes NAME.h, NAME.c, NAME_weights.c, nibrt_abi.h and NAME_main.c into o->out_dir, all or
 *  nothing. */
nib_status nib_emit_graph(const nib_graph *g, const nib_options *o, const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
