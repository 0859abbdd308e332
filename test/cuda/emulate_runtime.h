/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Runs CUDA kernels on the CPU: each thread of a block is a fibre, blocks run one after another
 * (but those of a cluster), and what threads do together is a rendezvous of their fibres. For C and
 * C++. Generated code sees the names of runtime/cuda/device.h through emulate.h, which calls these.
 * Numbers and layouts are those of the PTX ISA. A mistake that hardware would answer with a hang,
 * garbage or a fault ends the launch with a message that names kernel, block and thread.
 *
 * Environment: NIB_EMULATE_ASYNC=eager lets asynchronous copies and wgmma happen when they are
 * issued; by default they happen when they are waited for, at the latest. NIB_EMULATE_ORDER=N, not
 * 0, lets threads run in a random order that N begins; by default those run first that could run
 * first. Programs that wait as they should cannot tell. */
#ifndef NIB_EMULATE_RUNTIME_H
#define NIB_EMULATE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_emulated_kernel {
  const char *name;
  int32_t most_threads; /* of NIB_KERNEL */
  int32_t cluster;      /* of NIB_KERNEL_CLUSTER; else 1 */
  int32_t n_params;
  const uint32_t *param_bytes;
  void (*call)(void **params);
} nib_emulated_kernel;

/* Where the running thread is. */
typedef struct nib_emulated_place {
  int32_t thread, block[3], grid[3];
} nib_emulated_place;
extern const nib_emulated_place *nib_emulated_now;
extern uint8_t *nib_emulated_shared; /* the block's dynamic shared memory */

/* Runs a kernel. 0, or not, with nib_emulated_error() saying what went wrong. One launch at a time.
 */
int nib_emulated_launch(const nib_emulated_kernel *kernel, const uint32_t grid[3], uint32_t threads,
                        uint32_t shared_bytes, void **params);
const char *nib_emulated_error(void);

/* What a tensor map holds here. */
typedef struct nib_emulated_map {
  uint32_t magic;
  uint8_t rank, swizzle, element_bytes, fill;
  uint64_t base, dims[5], strides[4]; /* strides[0] is that of dimension 1, in bytes */
  uint32_t box[5];
} nib_emulated_map;
#define NIB_EMULATED_MAP_MAGIC 0x4e49424du

/* ---- what device code calls ---- */

enum { /* collectives of a warp */
       NIB_EMULATED_SYNC,
       NIB_EMULATED_SHUFFLE,
       NIB_EMULATED_SHUFFLE_XOR,
       NIB_EMULATED_LDMATRIX4,
       NIB_EMULATED_MMA,
};
typedef enum nib_emulated_type { /* of matrices' elements: a and b */
                                 NIB_EMULATED_bf16,
                                 NIB_EMULATED_f16,
                                 NIB_EMULATED_f8e4m3,
                                 NIB_EMULATED_i8,
                                 NIB_EMULATED_u8i8,
} nib_emulated_type;

typedef struct nib_emulated_warp_args {
  uint32_t x, result; /* shuffles */
  int32_t by;
  const void *row;       /* ldmatrix */
  void *d;               /* ldmatrix, mma */
  const uint32_t *a, *b; /* mma */
  nib_emulated_type type;
} nib_emulated_warp_args;

void nib_emulated_warp(int collective, nib_emulated_warp_args *args);
void nib_emulated_bar_sync(void);
void nib_emulated_cluster_sync(void);
int32_t nib_emulated_cluster_rank(void);
uint32_t nib_emulated_shared_address(const void *shared);
void nib_emulated_copy_async(void *shared, const void *global, int32_t size, int32_t bytes);
void nib_emulated_copy_commit(void);
void nib_emulated_copy_wait(int32_t groups);
void nib_emulated_check_aligned(const void *global, size_t alignment);

void nib_emulated_barrier_init(uint64_t *barrier, uint32_t count);
void nib_emulated_fence_barrier_init(void);
void nib_emulated_barrier_arrive(uint64_t *barrier, uint32_t expected_bytes);
void nib_emulated_barrier_wait(uint64_t *barrier, uint32_t parity);
/* At the same place in block `block` of the cluster. */
void nib_emulated_barrier_arrive_at(uint64_t *barrier, int32_t block);
/* Into all blocks of the cluster whose bits are in `blocks`, at the same place; 0: the thread's
 * own. */
void nib_emulated_tma_load(void *shared, const void *map, uint64_t *barrier, const int32_t *at,
                           int rank, uint32_t blocks);

/* a: four registers, or NULL and a_descriptor. */
void nib_emulated_wgmma(nib_emulated_type type, int n, void *d, const uint32_t *a,
                        uint64_t a_descriptor, uint64_t b_descriptor, int accumulate);
void nib_emulated_wgmma_commit(void);
void nib_emulated_wgmma_wait(int32_t groups);
void nib_emulated_registers(int32_t n);

/* Pairs of f16, or bf16 where `bf16`: a b + c, each rounded once. */
uint32_t nib_emulated_fma2(uint32_t a, uint32_t b, uint32_t c, int bf16);
uint32_t nib_emulated_encode(float x, int bf16); /* to nearest even */
float nib_emulated_decode(nib_emulated_type type, uint32_t code);

#ifdef __cplusplus
}
#endif
#endif
