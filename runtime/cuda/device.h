/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What generated CUDA is written in: every instruction that C has no words for, and the only PTX of
 * the project. The text after the mark of a primitive is copied into generated files that name
 * it, after the prelude (device_text.c). It must compile as CUDA by clang without any header, by
 * nvcc, and, where NIB_EMULATE is defined, as C++ for the CPU: there test/cuda/emulate.h defines
 * every primitive that has PTX, and this file only the rest.
 *
 * Threads of a warp run collectives (marked so) together, all 32 of them. */
#ifndef NIB_CUDA_DEVICE_H
#define NIB_CUDA_DEVICE_H

//@ nib_device_prelude
#if defined(NIB_EMULATE)
/* Everything comes from the header of the emulation, which is included before this text. */
#elif defined(__CUDACC_RTC__) || (defined(__CUDACC__) && !defined(__clang__))
#include <math.h>
#include <stdint.h>
#include <string.h>
#define NIB_DEVICE static __device__ __forceinline__
#define NIB_KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)
#define NIB_GRID_CONSTANT const __grid_constant__
#define NIB_SHARED __shared__
#define NIB_CONSTANT __device__ const
#define NIB_ALIGN(n) __align__(n)
#else
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long uint64_t;
typedef unsigned long uintptr_t;
typedef unsigned long size_t;
#define INT8_MIN (-128)
#define INT8_MAX 127
#define UINT8_MAX 255
#define INT16_MIN (-32768)
#define INT16_MAX 32767
#define UINT16_MAX 65535
#define INT32_MAX 2147483647
#define INT32_MIN (-INT32_MAX - 1)
#define UINT32_MAX 4294967295u
#define INT64_MAX 9223372036854775807l
#define INT64_MIN (-INT64_MAX - 1)
#define UINT64_MAX 18446744073709551615ul
#define INT32_C(x) x
#define UINT32_C(x) x##u
#define INT64_C(x) x##l
#define UINT64_C(x) x##ul
#define NULL 0
#define memcpy __builtin_memcpy
#define memset __builtin_memset
#define INFINITY __builtin_huge_valf()
#define NAN __builtin_nanf("")
#define isnan __builtin_isnan
#define isinf __builtin_isinf
#define isfinite __builtin_isfinite
#define signbit __builtin_signbit
#define fabsf __builtin_fabsf
#define fabs __builtin_fabs
#define fmaf __builtin_fmaf
#define fma __builtin_fma
#define fmaxf __builtin_fmaxf
#define fmax __builtin_fmax
#define fminf __builtin_fminf
#define fmin __builtin_fmin
#define copysignf __builtin_copysignf
#define copysign __builtin_copysign
#define sqrtf __builtin_sqrtf
#define sqrt __builtin_sqrt
#define rintf __builtin_rintf
#define rint __builtin_rint
#define nearbyintf __builtin_nearbyintf
#define nearbyint __builtin_nearbyint
#define roundf __builtin_roundf
#define round __builtin_round
#define floorf __builtin_floorf
#define floor __builtin_floor
#define ceilf __builtin_ceilf
#define ceil __builtin_ceil
#define truncf __builtin_truncf
#define trunc __builtin_trunc
#define NIB_DEVICE static __attribute__((device, always_inline)) inline
#define NIB_KERNEL(threads, blocks)                                                                \
  extern "C" __attribute__((global)) __attribute__((launch_bounds(threads, blocks))) void
#define NIB_GRID_CONSTANT const __attribute__((grid_constant))
#define NIB_SHARED __attribute__((shared))
#define NIB_CONSTANT __attribute__((device)) const
#define NIB_ALIGN(n) __attribute__((aligned(n)))
#endif
#ifndef NIB_EMULATE
/* Its launch says of how many blocks a cluster is. */
#define NIB_KERNEL_CLUSTER(threads, blocks, cluster) NIB_KERNEL(threads, blocks)
/* What cuTensorMapEncodeTiled makes; a kernel takes it as `NIB_GRID_CONSTANT nib_tensor_map name`.
 */
typedef struct NIB_ALIGN(64) nib_tensor_map {
  uint64_t opaque[16];
} nib_tensor_map;
/* The block's dynamic shared memory. */
extern NIB_SHARED NIB_ALIGN(1024) uint8_t nib_shared[];
#endif
//@ end

/* ---- where a thread is; waiting for others ---- */

//@ nib_place_of
#ifdef __clang__
#define nib_place_of(name, clang, nvcc)                                                            \
  NIB_DEVICE int32_t name(void) { return __nvvm_read_ptx_sreg_##clang(); }
#else
#define nib_place_of(name, clang, nvcc)                                                            \
  NIB_DEVICE int32_t name(void) { return (int32_t)nvcc; }
#endif
//@ nib_thread
/* The number of the thread in its block. */
nib_place_of(nib_thread, tid_x, threadIdx.x)
    //@ nib_block_x
    nib_place_of(nib_block_x, ctaid_x, blockIdx.x)
    //@ nib_block_y
    nib_place_of(nib_block_y, ctaid_y, blockIdx.y)
    //@ nib_grid_x
    /* The number of blocks along x. */
    nib_place_of(nib_grid_x, nctaid_x, gridDim.x)
    //@ nib_lane
    NIB_DEVICE int32_t nib_lane(void) {
  return nib_thread() & 31;
}
//@ nib_warp
NIB_DEVICE int32_t nib_warp(void) { return nib_thread() >> 5; }
//@ nib_sync
/* All threads of the block. */
NIB_DEVICE void nib_sync(void) { __asm__ volatile("bar.sync 0;" ::: "memory"); }
//@ nib_sync_warp
NIB_DEVICE void nib_sync_warp(void) { __asm__ volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }
//@ nib_shuffle
/* x of the thread `lane` of the warp (collective). */
NIB_DEVICE uint32_t nib_shuffle(uint32_t x, int32_t lane) {
  uint32_t d;
  __asm__ volatile("shfl.sync.idx.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(d) : "r"(x), "r"(lane));
  return d;
}
//@ nib_warp_uniform
/* The number of the warp, in a way that compilers see to be the same in all of its threads
 * (collective). */
NIB_DEVICE int32_t nib_warp_uniform(void) {
  return (int32_t)nib_shuffle((uint32_t)nib_thread() >> 5, 0);
}
//@ nib_shuffle_xor
NIB_DEVICE uint32_t nib_shuffle_xor(uint32_t x, int32_t mask) {
  uint32_t d;
  __asm__ volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(d) : "r"(x), "r"(mask));
  return d;
}
//@ nib_bits_f32
NIB_DEVICE uint32_t nib_bits_f32(float x) {
  uint32_t d;
  memcpy(&d, &x, 4);
  return d;
}
//@ nib_f32_bits
NIB_DEVICE float nib_f32_bits(uint32_t x) {
  float d;
  memcpy(&d, &x, 4);
  return d;
}
//@ nib_transpose_quad
/* Of each four threads that follow one another: w[j] of thread i goes to w[i] of thread j
 * (collective). */
NIB_DEVICE void nib_transpose_quad(uint32_t w[4]) {
  const bool odd = nib_thread() & 1, high = nib_thread() & 2;
  uint32_t x = nib_shuffle_xor(odd ? w[0] : w[1], 1), y = nib_shuffle_xor(odd ? w[2] : w[3], 1);
  w[0] = odd ? x : w[0], w[1] = odd ? w[1] : x;
  w[2] = odd ? y : w[2], w[3] = odd ? w[3] : y;
  x = nib_shuffle_xor(high ? w[0] : w[2], 2), y = nib_shuffle_xor(high ? w[1] : w[3], 2);
  w[0] = high ? x : w[0], w[2] = high ? w[2] : x;
  w[1] = high ? y : w[1], w[3] = high ? w[3] : y;
}
//@ nib_f32_rest
/* Bits of the float that is left of the float x where a bf16, its high half, is taken away; of an
 * infinity 0. */
NIB_DEVICE uint32_t nib_f32_rest(uint32_t x) {
  const float all = nib_f32_bits(x), high = nib_f32_bits(x & 0xffff0000u);
  return high == all ? 0 : nib_bits_f32(all - high);
}
//@ nib_fma_f32
/* a b + c, rounded once. */
NIB_DEVICE float nib_fma_f32(float a, float b, float c) {
  float d;
  __asm__("fma.rn.f32 %0, %1, %2, %3;" : "=f"(d) : "f"(a), "f"(b), "f"(c));
  return d;
}
//@ nib_shuffle_xor_f32
NIB_DEVICE float nib_shuffle_xor_f32(float x, int32_t mask) {
  return nib_f32_bits(nib_shuffle_xor(nib_bits_f32(x), mask));
}
//@ end

/* ---- memory ---- */

//@ nib_shared_address
/* The address in shared memory, in bytes, of a pointer to it. */
NIB_DEVICE uint32_t nib_shared_address(const void *shared) {
#ifdef __clang__
  return (uint32_t)(uintptr_t)(const __attribute__((address_space(3))) void *)shared;
#else
  return (uint32_t)__cvta_generic_to_shared(shared);
#endif
}
//@ nib_copy16
/* Begins to copy `bytes` (0 to 16) to 16 aligned bytes of shared memory; the rest becomes 0. */
NIB_DEVICE void nib_copy16(void *shared, const void *global, int32_t bytes) {
  __asm__ volatile(
      "cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(nib_shared_address(shared)),
      "l"(global), "r"(bytes)
      : "memory");
}
//@ nib_copy16_near
/* nib_copy16 of what other blocks of the multiprocessor read too: it stays in the first cache. */
NIB_DEVICE void nib_copy16_near(void *shared, const void *global, int32_t bytes) {
  __asm__ volatile(
      "cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(nib_shared_address(shared)),
      "l"(global), "r"(bytes)
      : "memory");
}
//@ nib_copy_commit
/* Closes the thread's group of copies. */
NIB_DEVICE void nib_copy_commit(void) { __asm__ volatile("cp.async.commit_group;" ::: "memory"); }
//@ nib_copy_wait
/* Until at most n of the thread's groups, a literal, are unfinished. */
#define nib_copy_wait(n) __asm__ volatile("cp.async.wait_group %0;" ::"n"(n) : "memory")
//@ nib_load16
NIB_DEVICE void nib_load16(uint32_t d[4], const void *global) {
  __asm__ volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                   : "l"(global)
                   : "memory");
}
//@ nib_load8
NIB_DEVICE void nib_load8(uint32_t d[2], const void *global) {
  __asm__ volatile("ld.global.v2.u32 {%0, %1}, [%2];"
                   : "=r"(d[0]), "=r"(d[1])
                   : "l"(global)
                   : "memory");
}
//@ nib_load4
NIB_DEVICE void nib_load4(uint32_t *d, const void *global) {
  __asm__ volatile("ld.global.u32 %0, [%1];" : "=r"(*d) : "l"(global) : "memory");
}
//@ nib_get16
/* From shared memory, aligned. */
NIB_DEVICE void nib_get16(uint32_t d[4], const void *shared) {
  __asm__ volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                   : "r"(nib_shared_address(shared))
                   : "memory");
}
//@ nib_get8
NIB_DEVICE void nib_get8(uint32_t d[2], const void *shared) {
  __asm__ volatile("ld.shared.v2.u32 {%0, %1}, [%2];"
                   : "=r"(d[0]), "=r"(d[1])
                   : "r"(nib_shared_address(shared))
                   : "memory");
}
//@ nib_get4
NIB_DEVICE void nib_get4(uint32_t *d, const void *shared) {
  __asm__ volatile("ld.shared.u32 %0, [%1];"
                   : "=r"(*d)
                   : "r"(nib_shared_address(shared))
                   : "memory");
}
//@ nib_store16
NIB_DEVICE void nib_store16(void *global, const uint32_t x[4]) {
  __asm__ volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(global), "r"(x[0]), "r"(x[1]),
                   "r"(x[2]), "r"(x[3])
                   : "memory");
}
//@ nib_after_previous
/* Waits until all that the kernel before wrote can be read, and lets the kernel after this one be
 * launched, which waits likewise. First in a kernel of sm_90 and later, whose launch may then
 * overlap with the one before. */
NIB_DEVICE void nib_after_previous(void) {
  __asm__ volatile("griddepcontrol.launch_dependents;\n\tgriddepcontrol.wait;" ::: "memory");
}
//@ end

//@ end

/* ---- matrices in a warp: all of these are collective ---- */

//@ nib_ldmatrix4
/* Four 8 x 8 matrices of 16-bit elements; threads 8i to 8i + 7 point to the rows of matrix i, 16
 * aligned bytes each. Thread t gets elements 2 (t % 4) and the next of row t / 4 of each. */
NIB_DEVICE void nib_ldmatrix4(uint32_t d[4], const void *row) {
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                   : "r"(nib_shared_address(row))
                   : "memory");
}
//@ nib_transpose_halves
/* Of an 8 x 8 matrix of 16-bit elements thread t holds 2 (t % 4) and the next of row t / 4: the same
 * of its transpose. */
NIB_DEVICE uint32_t nib_transpose_halves(uint32_t x) {
  uint32_t d;
  __asm__ volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(d) : "r"(x));
  return d;
}
//@ nib_mma_of
/* d += a b, of 16 x 8 += 16 x K times K x 8. With g = lane / 4 and t = lane % 4, and e elements in
 * a register, the thread holds of d: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1); in
 * registers of a: row g, columns e t and on; row g + 8, the same; row g, columns e (t + 4) and on;
 * row g + 8, those; of b: rows e t and on, e (t + 4) and on, of column g. */
#define nib_mma_of(name, number, letter, kind)                                                     \
  NIB_DEVICE void name(number d[4], const uint32_t a[4], const uint32_t b[2]) {                    \
    __asm__ volatile("mma.sync.aligned." kind                                                      \
                     " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"            \
                     : "+" letter(d[0]), "+" letter(d[1]), "+" letter(d[2]), "+" letter(d[3])      \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));          \
  }
//@ nib_mma_bf16
nib_mma_of(nib_mma_bf16, float, "f", "m16n8k16.row.col.f32.bf16.bf16.f32")
    //@ nib_mma_f16
    nib_mma_of(nib_mma_f16, float, "f", "m16n8k16.row.col.f32.f16.f16.f32")
    //@ nib_mma_f8e4m3
    /* sm_89 and up. */
    nib_mma_of(nib_mma_f8e4m3, float, "f", "m16n8k32.row.col.f32.e4m3.e4m3.f32")
    //@ nib_mma_i8
    /* Sums wrap. */
    nib_mma_of(nib_mma_i8, int32_t, "r", "m16n8k32.row.col.s32.s8.s8.s32")
    //@ nib_mma_u8i8
    nib_mma_of(nib_mma_u8i8, int32_t, "r", "m16n8k32.row.col.s32.u8.s8.s32")
    //@ end

    /* ---- arithmetic on packed values ---- */

    //@ nib_select_bytes
    /* Byte i of the result is byte (selector >> 4i) & 7 of b:a, a being the low half; with bit 3
     * set, its sign eight times. */
    NIB_DEVICE uint32_t nib_select_bytes(uint32_t a, uint32_t b, uint32_t selector) {
  uint32_t d;
  __asm__("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(selector));
  return d;
}
//@ nib_join_halves
/* The low halves of four words, then the high ones. */
NIB_DEVICE void nib_join_halves(uint32_t w[4]) {
  const uint32_t a = nib_select_bytes(w[0], w[1], 0x7632), b = nib_select_bytes(w[2], w[3], 0x7632);
  w[0] = nib_select_bytes(w[0], w[1], 0x5410);
  w[1] = nib_select_bytes(w[2], w[3], 0x5410);
  w[2] = a;
  w[3] = b;
}
//@ nib_and_or
/* (a & b) | c in one instruction. */
NIB_DEVICE uint32_t nib_and_or(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  __asm__("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
//@ end

/* Pairs of f16 (h) and bf16: the low half is the first. */

//@ nib_hfma2
NIB_DEVICE uint32_t nib_hfma2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  __asm__("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
//@ nib_hsub2
NIB_DEVICE uint32_t nib_hsub2(uint32_t a, uint32_t b) {
  uint32_t d;
  __asm__("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
  return d;
}
//@ nib_hmul2
/* As nib_bf16_mul2. */
NIB_DEVICE uint32_t nib_hmul2(uint32_t a, uint32_t b) { return nib_hfma2(a, b, 0x80008000u); }
//@ nib_f16_pair
/* Two floats, each rounded once. */
NIB_DEVICE uint32_t nib_f16_pair(float low, float high) {
  uint32_t d;
  __asm__("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
  return d;
}
//@ nib_bf16_pair
NIB_DEVICE uint32_t nib_bf16_pair(float low, float high) {
  uint32_t d;
  __asm__("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(high), "f"(low));
  return d;
}
//@ nib_bf16_fma2
NIB_DEVICE uint32_t nib_bf16_fma2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t d;
  __asm__("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
//@ nib_bf16_sub2
/* By a fused multiply-add, which sm_80 has for bf16; a - b rounded once, as it is. */
NIB_DEVICE uint32_t nib_bf16_sub2(uint32_t a, uint32_t b) {
  return nib_bf16_fma2(b, 0xbf80bf80u, a);
}
//@ nib_bf16_mul2
/* a b - 0, so that the sign of a zero stays. */
NIB_DEVICE uint32_t nib_bf16_mul2(uint32_t a, uint32_t b) {
  return nib_bf16_fma2(a, b, 0x80008000u);
}
//@ nib_f32_f16
/* The float of the f16 in the low half of x. */
NIB_DEVICE float nib_f32_f16(uint32_t x) {
  float d;
  __asm__("{ .reg .b16 low, high; mov.b32 {low, high}, %1; cvt.f32.f16 %0, low; }"
          : "=f"(d)
          : "r"(x));
  return d;
}
//@ nib_f32_bf16
NIB_DEVICE float nib_f32_bf16(uint32_t x) { return nib_f32_bits(x << 16); }
//@ end

/* In place of the helpers of these names: the same numbers, but for the codes of NaN. */

//@ nib_f32_to_bf16
NIB_DEVICE uint16_t nib_f32_to_bf16(float x) {
  uint16_t d;
  __asm__("cvt.rn.bf16.f32 %0, %1;" : "=h"(d) : "f"(x));
  return d;
}
//@ nib_f32_to_f16
NIB_DEVICE uint16_t nib_f32_to_f16(float x) {
  uint16_t d;
  __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(d) : "f"(x));
  return d;
}
//@ nib_f16_to_f32
NIB_DEVICE float nib_f16_to_f32(uint16_t x) {
  float d;
  __asm__("cvt.f32.f16 %0, %1;" : "=f"(d) : "h"(x));
  return d;
}
//@ nib_rq_nearest_even
/* The conversion rounds and saturates; 2^31 - 128 counts as beyond. */
NIB_DEVICE int32_t nib_rq_nearest_even(int32_t x, float scale) {
  const float y = (float)x * scale;
  int32_t d;
  __asm__("cvt.rni.s32.f32 %0, %1;" : "=r"(d) : "f"(y));
  return d >= 2147483520 ? 2147483647 : d;
}
//@ nib_f32_to_f8e4m3fn
/* The instruction, of sm_89, saturates: what rounds to more than 448 is NaN here. */
NIB_DEVICE uint8_t nib_f32_to_f8e4m3fn(float x) {
  const uint32_t bits = nib_bits_f32(x), magnitude = bits & 0x7fffffffu;
  uint32_t code;
#if __CUDA_ARCH__ >= 890
  uint16_t pair;
  __asm__("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(x));
  code = pair;
#else
  /* Below 2^-6 in steps of 2^-9: those of a sum with 2^14. */
  code = magnitude < 0x3c800000u
             ? nib_bits_f32(nib_f32_bits(magnitude) + 16384.0f) & 15u
             : (magnitude + 0x7ffffu + (magnitude >> 20 & 1u) - (120u << 23)) >> 20;
  code |= bits >> 24 & 0x80u;
#endif
  return (uint8_t)(magnitude > 0x43e80000u ? (bits >> 24 & 0x80u) | 0x7fu : code);
}
//@ end

/* ---- barriers in shared memory, tensor maps, warpgroups: sm_90 and up ---- */

//@ nib_barrier_init
/* A barrier whose phases end after `count` arrivals and the bytes expected. */
NIB_DEVICE void nib_barrier_init(uint64_t *barrier, uint32_t count) {
  __asm__ volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(nib_shared_address(barrier)),
                   "r"(count)
                   : "memory");
}
//@ nib_barrier_arrive
NIB_DEVICE void nib_barrier_arrive(uint64_t *barrier) {
  __asm__ volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(nib_shared_address(barrier))
                   : "memory");
}
//@ nib_barrier_expect
/* Arrives, and expects `bytes` of copies in this phase. */
NIB_DEVICE void nib_barrier_expect(uint64_t *barrier, uint32_t bytes) {
  __asm__ volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(nib_shared_address(barrier)),
      "r"(bytes)
      : "memory");
}
//@ nib_barrier_wait
/* Until the phase of this parity (that of the first is 0) has ended; a new barrier has ended one of
 * parity 1. */
NIB_DEVICE void nib_barrier_wait(uint64_t *barrier, uint32_t parity) {
  __asm__ volatile("{\n\t.reg .pred done;\n"
                   "nib_wait_%=:\n\t"
                   "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
                   "@!done bra nib_wait_%=;\n}" ::"r"(nib_shared_address(barrier)),
                   "r"(parity)
                   : "memory");
}
//@ nib_fence_barrier_init
/* After nib_barrier_init, before the nib_sync that lets others use it. */
NIB_DEVICE void nib_fence_barrier_init(void) {
  __asm__ volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
//@ nib_tma_load2
/* Begins to copy the box of a two-dimensional tensor map at column x and row y, zeros where it is
 * outside; its bytes count for the barrier. By one thread. x is a multiple of 16 bytes: devices stop at
 * other places with an illegal instruction. */
NIB_DEVICE void nib_tma_load2(void *shared, const nib_tensor_map *map, uint64_t *barrier, int32_t x,
                              int32_t y) {
  __asm__ volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                   "[%0], [%1, {%3, %4}], "
                   "[%2];" ::"r"(nib_shared_address(shared)),
                   "l"(map), "r"(nib_shared_address(barrier)), "r"(x), "r"(y)
                   : "memory");
}
//@ nib_tma_load2_both
/* The same into both blocks of the cluster, at the same place; in each its bytes count for the
 * barrier at the same place. */
NIB_DEVICE void nib_tma_load2_both(void *shared, const nib_tensor_map *map, uint64_t *barrier,
                                   int32_t x, int32_t y) {
  __asm__ volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(nib_shared_address(shared)),
      "l"(map), "r"(nib_shared_address(barrier)), "r"(x), "r"(y), "h"((uint16_t)3)
      : "memory");
}
//@ nib_cluster_rank
/* The number of the block in its cluster. */
NIB_DEVICE int32_t nib_cluster_rank(void) {
  int32_t d;
  __asm__("mov.u32 %0, %%cluster_ctarank;" : "=r"(d));
  return d;
}
//@ nib_cluster_sync
/* All threads of all blocks of the cluster. */
NIB_DEVICE void nib_cluster_sync(void) {
  __asm__ volatile("barrier.cluster.arrive;\n\tbarrier.cluster.wait;" ::: "memory");
}
//@ nib_barrier_arrive_at
/* nib_barrier_arrive at the same place in block `rank` of the cluster, after what nib_wgmma_* read
 * here; it orders no loads and stores for that block. */
NIB_DEVICE void nib_barrier_arrive_at(uint64_t *barrier, int32_t rank) {
  __asm__ volatile(
      "{\n\t.reg .b32 there;\n\t"
      "mapa.shared::cluster.u32 there, %0, %1;\n\t"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n\t}" ::"r"(nib_shared_address(barrier)),
      "r"(rank)
      : "memory");
}
//@ nib_registers_more
/* From here on n registers, a literal, in each thread of the warpgroup (collective). */
#define nib_registers_more(n) __asm__ volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(n))
//@ nib_registers_less
#define nib_registers_less(n) __asm__ volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(n))
//@ nib_wgmma_fence
/* Before the first nib_wgmma_*, and where registers of one were touched since. */
NIB_DEVICE void nib_wgmma_fence(void) {
  __asm__ volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
//@ nib_wgmma_commit
/* Closes the warpgroup's group of nib_wgmma_*. */
NIB_DEVICE void nib_wgmma_commit(void) {
  __asm__ volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
//@ nib_wgmma_wait
/* Until at most n groups, a literal, are unfinished. */
#define nib_wgmma_wait(n) __asm__ volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(n) : "memory")
//@ nib_keep_f32
/* No instruction: later reads of a register of nib_wgmma_* stay behind an earlier nib_wgmma_wait.
 */
NIB_DEVICE void nib_keep_f32(float *x) { __asm__ volatile("" : "+f"(*x)::"memory"); }
//@ nib_keep_i32
NIB_DEVICE void nib_keep_i32(int32_t *x) { __asm__ volatile("" : "+r"(*x)::"memory"); }
//@ nib_wgmma_descriptor
/* Of a matrix in shared memory whose rows of 128 bytes run along K, in groups of 8 rows of 1024
 * bytes, swizzled as a tensor map with NIB_SWIZZLE_128B does; it starts at a multiple of 1024. Add
 * 2 for each 32 bytes along K. */
NIB_DEVICE uint64_t nib_wgmma_descriptor(const void *shared) {
  return (uint64_t)((nib_shared_address(shared) & 0x3ffff) >> 4) | (uint64_t)1 << 16 |
         (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}
//@ end

#endif
