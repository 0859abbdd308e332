/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Runs models compiled for CUDA targets. libcuda.so.1, the driver's library, is loaded at run time:
 * neither an SDK nor its headers are needed to build this file or a model. A compiled model is data
 * (a module, weights, a list of launches); a session puts it on a device once and then runs it.
 *
 *     nibrt_cuda_session *session;
 *     if (nibrt_cuda_open(&NAME_cuda, NULL, &session) == NIBRT_OK) {
 *       nibrt_exec exec = {sizeof exec, NIBRT_ABI_VERSION, .device = session};
 *       NAME_run(&exec, in, out, NULL);
 *       nibrt_cuda_close(session);
 *     }
 */
#ifndef NIBRT_CUDA_H
#define NIBRT_CUDA_H

#include "nibrt_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What an argument of a kernel is. Addresses are in device memory. */
typedef enum nibrt_cuda_place {
  NIBRT_CUDA_INPUT,   /**< of the model: `index`, `offset` bytes on */
  NIBRT_CUDA_OUTPUT,  /**< of the model, likewise */
  NIBRT_CUDA_ARENA,   /**< `offset` bytes into the arena */
  NIBRT_CUDA_WEIGHTS, /**< `offset` bytes into the weights */
  NIBRT_CUDA_MAP,     /**< the tensor map `index`, 128 bytes by value */
} nibrt_cuda_place;

typedef struct nibrt_cuda_arg {
  uint32_t place, index;
  uint64_t offset;
} nibrt_cuda_arg;

/** A tensor map: how the copy engine reads boxes of a tensor. Numbers as of cuTensorMapEncodeTiled;
 * dimension 0 is contiguous, `strides_bytes` begin with that of dimension 1. */
typedef struct nibrt_cuda_map {
  nibrt_cuda_arg base;
  uint32_t type;    /**< CUtensorMapDataType */
  uint32_t swizzle; /**< CUtensorMapSwizzle */
  uint32_t promote; /**< CUtensorMapL2promotion */
  uint32_t rank;
  uint64_t dims[5], strides_bytes[4];
  uint32_t box[5];
} nibrt_cuda_map;

/** A launch of a kernel of the module; where `function` is NULL, a copy of `bytes` from args[0] to
 * args[1], or, with one argument alone, zeros into `bytes` of it. Launches run in order. */
typedef struct nibrt_cuda_launch {
  const char *function;
  uint32_t grid[3], threads, shared_bytes; /**< shared_bytes: dynamic */
  uint32_t n_args;
  const nibrt_cuda_arg *args;
  uint64_t bytes;
  uint32_t cluster;  /**< blocks of a cluster, along x; 0: there are no clusters */
  uint32_t overlaps; /**< the kernel waits by itself for what the one before writes */
} nibrt_cuda_launch;

/** A compiled model. All data is constant and outlives its sessions. */
typedef struct nibrt_cuda_model {
  const char *name, *target; /**< target: "sm_90a" … */
  const void *image;         /**< cubin, fatbin or PTX; PTX ends in a zero byte */
  const void *weights;
  uint64_t weights_bytes, arena_bytes;
  const nibrt_cuda_launch *launches;
  const nibrt_cuda_map *maps;
  const uint64_t *input_bytes, *output_bytes;
  uint32_t n_launches, n_maps, n_inputs, n_outputs;
} nibrt_cuda_model;

/** How to open a session. `size` is sizeof(nibrt_cuda_options); fields that are 0 mean the default.
 */
typedef struct nibrt_cuda_options {
  uint32_t size;
  uint32_t ordinal;  /**< of the device */
  void *stream;      /**< a CUstream of the device's primary context, which outlives the session;
                          NULL: the session's own */
  uint32_t no_graph; /**< launch one by one instead of capturing a graph */
  /** Called with what went wrong, in the driver's own words, before an error returns. */
  void (*message)(void *user, const char *text);
  void *user;
  uint32_t overlap; /**< launch kernels that wait by themselves before the one before has ended */
} nibrt_cuda_options;

typedef struct nibrt_cuda_session nibrt_cuda_session;

/** Loads the driver, retains the device's primary context, loads the module, uploads the weights,
 * allocates the arena, encodes tensor maps. The thread's current context is as before when it
 * returns, here and below. `options` may be NULL. On failure *out_session is NULL and nothing is
 * held. Errors: NIBRT_ERROR_DEVICE (no driver, no device, a device that `target` does not run on,
 * or a call of the driver failed), NIBRT_ERROR_NULL_ARGUMENT. */
nibrt_status nibrt_cuda_open(const nibrt_cuda_model *model, const nibrt_cuda_options *options,
                             nibrt_cuda_session **out_session);

/** Runs the model once. Each of in and out is a pointer to host or to device memory; device memory
 * must be aligned to 16 bytes. Returns when outputs are there; with all of in and out on the device
 * and a stream of the caller's, as soon as the work is in that stream. `arena`: device memory of
 * arena_bytes aligned to 256, or NULL for the session's own. The run is captured as a graph once
 * for each set of addresses (the last four are kept).
 *
 * One thread at a time uses a session; any number of sessions, of one model too, may be used by as
 * many threads. */
nibrt_status nibrt_cuda_run(nibrt_cuda_session *session, const void *const *in, void *const *out,
                            void *arena);

/** What went wrong in the last nibrt_cuda_run, "" if nothing did; valid until the next call. */
const char *nibrt_cuda_error(const nibrt_cuda_session *session);

/** The model that the session was opened for. */
const nibrt_cuda_model *nibrt_cuda_model_of(const nibrt_cuda_session *session);

/** Waits for the work of the session and frees what it holds; NULL is allowed. Its memory must not
 * be in use by a graph of the caller's. */
void nibrt_cuda_close(nibrt_cuda_session *session);

#ifdef __cplusplus
}
#endif
#endif
