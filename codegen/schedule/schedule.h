/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Schedules: from a fused group of nodes to the C text of one kernel function. */
#ifndef NIB_SCHEDULE_SCHEDULE_H
#define NIB_SCHEDULE_SCHEDULE_H

#include "emit/text.h"
#include "graph/graph.h"
#include "vocab/vocab.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Constant data that kernels refer to; collected while kernels are emitted, written to
 *  NAME_weights.c. Identical contents are shared. */
typedef struct nib_constants nib_constants;

/** Adds `bytes` (copied, zero-padded to 64) under a name made from `hint`; returns the C expression
 *  of a `const TYPE *` to it, valid as long as `constants`; NULL when out of memory. */
const char *nib_constants_add(nib_constants *constants, const char *hint, const char *c_type,
                              const void *data, size_t bytes);

/** Where a CUDA kernel's tensor map reads from: one of its parameters. */
typedef struct nib_launch_map {
  char parameter[16];                    /**< "in0", "out", "scratch", or "weights" + `offset` */
  uint64_t offset;                       /**< in bytes */
  uint32_t type, swizzle, promote, rank; /**< numbers of CUDA's own enums */
  uint64_t dims[5], strides_bytes[4];    /**< dimension 0 is contiguous; strides from dimension 1 */
  uint32_t box[5];
} nib_launch_map;

#define NIB_MAX_MAPS 4

/** How a CUDA kernel is launched. Maps are its last parameters: `map0`, `map1` … */
typedef struct nib_launch {
  int64_t grid[3];       /**< blocks; 0 counts as 1 */
  int32_t threads;       /**< of a block */
  int32_t blocks_per_sm; /**< that registers must suffice for; 0: the compiler's choice */
  int32_t cluster;       /**< blocks of a cluster, along x; 0: none */
  int64_t shared_bytes;  /**< dynamic */
  int32_t n_maps;
  nib_launch_map maps[NIB_MAX_MAPS];
} nib_launch;

/** What a schedule emits into. */
typedef struct nib_emitter {
  const nib_graph *graph;
  const nib_vocab *vocab; /**< of the kernel being emitted */
  nib_text *body;         /**< statements of the kernel function */
  nib_constants *constants;
  nib_diag *diag;
  uint64_t snippets[4]; /**< bit set of scalar helper functions used (emit/snippets.h) */
  bool size;            /**< prefer small code */
  int32_t unroll; /**< steps over K between two ends of their loop; 0: nib_emitter_unroll decides */
  nib_launch *launch; /**< to be filled by CUDA schedules; NULL for others */
  bool cut;           /**< the function runs units [begin, end) of its outermost loop */
} nib_emitter;

/** Steps over K that are unrolled: as asked for, else 1 in small code, else as the vocabulary says;
 * below 2: none. */
int32_t nib_emitter_unroll(const nib_emitter *e);

/** Opens the loop over `var` of [0, n); `cut`: of units [begin, end), which are its turns. */
void nib_emitter_open_loop(nib_emitter *e, const char *var, int64_t n, bool cut);
/** Opens the loop over i of elements [0, whole) in steps of `step`; `cut`: of units [begin, end),
 * which are steps. */
void nib_emitter_open_steps(nib_emitter *e, int64_t whole, int64_t step, bool cut);

/** A kernel function is emitted as
 *      static void NAME_kNN_<kernel name>(const T *restrict in0, …, T *restrict out,
 *                                         uint8_t *scratch, int32_t begin, int32_t end)
 *  without what it does not need. The emit room writes the signature and the call; a schedule
 * writes the body. In the body, the kernel's external input tensors (activations produced outside
 * the kernel, in order of first use by its nodes) are `in0`, `in1`, …, typed by their formats; the
 * kernel's result (the last node's) is `out`; `scratch` is 64-byte aligned scratch_bytes of arena.
 * Constants come through nib_constants_add.
 *
 *  On CUDA it is
 *      NIB_KERNEL(threads, blocks) NAME_kNN_<kernel name>(const T *in0, …, T *out, uint8_t
 * *scratch, const uint8_t *weights, const __grid_constant__ nib_tensor_map map0, …) one launch
 * whose threads share the work, and constants are expressions in `weights`. */

/** One of several operators that a schedule runs in turns, each in a schedule of its own. */
typedef struct nib_kernel_stage {
  nib_kernel kernel;    /**< nodes, schedule, tile and scratch */
  int64_t steps;        /**< in which it runs */
  int64_t part_steps;   /**< of those, how many the largest of kernel->parts runs: parts overlap */
  int64_t buffer_bytes; /**< of the rows of its result, beside its own scratch */
  bool rereads;         /**< every step reads all weights */
} nib_kernel_stage;

#define NIB_MAX_STAGES 8

typedef struct nib_schedule {
  const char *name;
  bool device;  /**< for CUDA's vocabularies, and no others */
  bool by_rows; /**< runs several roots that work on the same rows, a few rows at a time
                   (row_plan.h) */
  /** Whether this schedule can run `kernel` with `vocab` (formats, operators, attributes, shapes).
   */
  bool (*accepts)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab);
  /** Writes up to `capacity` tiles worth weighing, best guess first; returns their number (≥ 1). */
  int (*tiles)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab,
               int32_t (*out_tiles)[NIB_MAX_TILE], int capacity);
  /** Scratch of kernel->tile with `vocab`. */
  int64_t (*scratch_bytes)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab);
  nib_status (*emit)(nib_emitter *e, const nib_kernel *kernel);
  /** Units of the loop that kernel->parts threads share: kernel->tile with `vocab`. Threads write
   *  different elements of the result, each computed as by one thread. Less than 2 or NULL: the
   *  kernel is not cut. Where e->cut, `emit` runs units [begin, end), which are int32_t parameters;
   *  scratch_bytes is that of one part. */
  int64_t (*units)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab);
  /** Multiply-accumulates that `vocab` adds to those of the kernel, whatever the tile; NULL: none.
   */
  nib_status (*excess_macs)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab,
                            int64_t *out_macs);
  /** What the weights of kernel->tile take less than their tensors; NULL: nothing. */
  int64_t (*saved_bytes)(const nib_graph *g, const nib_kernel *kernel);
  /** Where it runs several operators in turns, each with a schedule of its own: what each of them
   * is alone, and how often its steps run. NULL: it is one. */
  int (*stages)(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab,
                nib_kernel_stage *out_stages, int capacity);
} nib_schedule;

/** i-th schedule in order of preference (vector schedules first, "direct" last), NULL past the end.
 */
const nib_schedule *nib_schedule_at(size_t i);
const nib_schedule *nib_schedule_find(const char *name);

/** Whether `s` can run `kernel` with `v` on `target`. */
bool nib_schedule_fits(const nib_schedule *s, const nib_graph *g, const nib_kernel *kernel,
                       const nib_vocab *v, const nib_target *target);

/** What the weights of `kernel`, in its tile, take less than their tensors where `s` runs it; 0 of
 * NULL. */
int64_t nib_schedule_saved_bytes(const nib_schedule *s, const nib_graph *g,
                                 const nib_kernel *kernel);

/** `tiles` of a schedule that has only one, all zeros. */
int nib_schedule_one_tile(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab,
                          int32_t (*out_tiles)[NIB_MAX_TILE], int capacity);
/** For those that need none. */
int64_t nib_schedule_no_scratch(const nib_graph *g, const nib_kernel *kernel,
                                const nib_vocab *vocab);

/** Number of external activation inputs of `kernel` and their tensor ids (order: see nib_schedule).
 */
int32_t nib_kernel_inputs(const nib_graph *g, const nib_kernel *kernel, int32_t *out_tensors,
                          int32_t capacity);
/** The tensor whose storage `tensor` is, looking through views that lie outside `kernel`. */
int32_t nib_kernel_source(const nib_graph *g, const nib_kernel *kernel, int32_t tensor);
/** The kernel's result tensor. */
int32_t nib_kernel_output(const nib_graph *g, const nib_kernel *kernel);

/** Whether node `node` may follow `root` as an epilogue step (elementwise on the running value,
 *  same element count). Fuse asks this. */
bool nib_epilogue_accepts(const nib_graph *g, int32_t root, int32_t node);

#ifdef __cplusplus
}
#endif
#endif
