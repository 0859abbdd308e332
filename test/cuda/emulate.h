/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The words of runtime/cuda/device.h for the CPU: included before a generated .cu, which is
 * compiled as C++ with NIB_EMULATE (emulate.py does it). See emulate_runtime.h. */
#ifndef NIB_EMULATE_H
#define NIB_EMULATE_H

#ifndef NIB_EMULATE
#define NIB_EMULATE 1
#endif
#include "emulate_runtime.h"

#include <cmath>
#include <math.h>
#include <string.h>
#include <utility>

#define NIB_DEVICE static inline __attribute__((unused))
#define NIB_KERNEL(threads, blocks) extern "C" void
#define NIB_KERNEL_CLUSTER(threads, blocks, cluster) extern "C" void
#define NIB_GRID_CONSTANT const
#define NIB_SHARED static
#define NIB_CONSTANT static const
#define NIB_ALIGN(n) __attribute__((aligned(n)))
#define nib_shared nib_emulated_shared

typedef struct NIB_ALIGN(64) nib_tensor_map {
  uint64_t opaque[16];
} nib_tensor_map;

/* ---- where a thread is; waiting for others ---- */

NIB_DEVICE int32_t nib_thread(void) { return nib_emulated_now->thread; }
NIB_DEVICE int32_t nib_block_x(void) { return nib_emulated_now->block[0]; }
NIB_DEVICE int32_t nib_block_y(void) { return nib_emulated_now->block[1]; }
NIB_DEVICE int32_t nib_grid_x(void) { return nib_emulated_now->grid[0]; }

NIB_DEVICE uint32_t nib_emulated_shuffle(int collective, uint32_t x, int32_t by) {
  nib_emulated_warp_args args = {};
  args.x = x;
  args.by = by & 255;
  nib_emulated_warp(collective, &args);
  return args.result;
}
NIB_DEVICE uint32_t nib_shuffle(uint32_t x, int32_t lane) {
  return nib_emulated_shuffle(NIB_EMULATED_SHUFFLE, x, lane);
}
NIB_DEVICE uint32_t nib_shuffle_xor(uint32_t x, int32_t mask) {
  return nib_emulated_shuffle(NIB_EMULATED_SHUFFLE_XOR, x, mask);
}
NIB_DEVICE float nib_fma_f32(float a, float b, float c) { return fmaf(a, b, c); }

NIB_DEVICE void nib_sync(void) { nib_emulated_bar_sync(); }
NIB_DEVICE void nib_sync_warp(void) {
  nib_emulated_warp_args args = {};
  nib_emulated_warp(NIB_EMULATED_SYNC, &args);
}

/* ---- memory ---- */

NIB_DEVICE uint32_t nib_shared_address(const void *shared) {
  return nib_emulated_shared_address(shared);
}
NIB_DEVICE void nib_copy16(void *shared, const void *global, int32_t bytes) {
  nib_emulated_copy_async(shared, global, 16, bytes);
}
NIB_DEVICE void nib_copy16_near(void *shared, const void *global, int32_t bytes) {
  nib_copy16(shared, global, bytes);
}
NIB_DEVICE void nib_copy_commit(void) { nib_emulated_copy_commit(); }
#define nib_copy_wait(n) nib_emulated_copy_wait(n)

NIB_DEVICE void nib_load16(uint32_t d[4], const void *global) {
  nib_emulated_check_aligned(global, 16);
  memcpy(d, global, 16);
}
NIB_DEVICE void nib_load8(uint32_t d[2], const void *global) {
  nib_emulated_check_aligned(global, 8);
  memcpy(d, global, 8);
}
NIB_DEVICE void nib_load4(uint32_t *d, const void *global) {
  nib_emulated_check_aligned(global, 4);
  memcpy(d, global, 4);
}
NIB_DEVICE void nib_get16(uint32_t d[4], const void *shared) { nib_load16(d, shared); }
NIB_DEVICE void nib_get8(uint32_t d[2], const void *shared) { nib_load8(d, shared); }
NIB_DEVICE void nib_get4(uint32_t *d, const void *shared) { nib_load4(d, shared); }
NIB_DEVICE void nib_store16(void *global, const uint32_t x[4]) {
  nib_emulated_check_aligned(global, 16);
  memcpy(global, x, 16);
}
NIB_DEVICE void nib_after_previous(void) {}

/* ---- matrices in a warp ---- */

NIB_DEVICE void nib_ldmatrix4(uint32_t d[4], const void *row) {
  nib_emulated_warp_args args = {};
  args.d = d;
  args.row = row;
  nib_emulated_warp(NIB_EMULATED_LDMATRIX4, &args);
}

NIB_DEVICE void nib_emulated_mma(nib_emulated_type type, void *d, const uint32_t *a,
                                 const uint32_t *b) {
  nib_emulated_warp_args args = {};
  args.type = type;
  args.d = d;
  args.a = a;
  args.b = b;
  nib_emulated_warp(NIB_EMULATED_MMA, &args);
}
#define NIB_EMULATED_MMA_OF(name, type, number)                                                    \
  NIB_DEVICE void nib_mma_##name(number d[4], const uint32_t a[4], const uint32_t b[2]) {          \
    nib_emulated_mma(NIB_EMULATED_##type, d, a, b);                                                \
  }
NIB_EMULATED_MMA_OF(bf16, bf16, float)
NIB_EMULATED_MMA_OF(f16, f16, float)
NIB_EMULATED_MMA_OF(f8e4m3, f8e4m3, float)
NIB_EMULATED_MMA_OF(i8, i8, int32_t)
NIB_EMULATED_MMA_OF(u8i8, u8i8, int32_t)

NIB_DEVICE uint32_t nib_transpose_halves(uint32_t x) {
  const int32_t lane = nib_thread() % 32, g = lane / 4, from = lane % 4 * 8 + g / 2, down = g % 2 * 16;
  const uint32_t low = nib_shuffle(x, from), high = nib_shuffle(x, from + 4);
  return (low >> down & 0xffff) | (high >> down & 0xffff) << 16;
}

/* ---- arithmetic on packed values ---- */

NIB_DEVICE uint32_t nib_select_bytes(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t all = (uint64_t)b << 32 | a;
  uint32_t d = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t s = selector >> 4 * i, byte = (uint32_t)(all >> (s & 7) * 8) & 255;
    d |= (s & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
  }
  return d;
}
NIB_DEVICE uint32_t nib_and_or(uint32_t a, uint32_t b, uint32_t c) { return (a & b) | c; }
NIB_DEVICE uint32_t nib_hfma2(uint32_t a, uint32_t b, uint32_t c) {
  return nib_emulated_fma2(a, b, c, 0);
}
NIB_DEVICE uint32_t nib_hsub2(uint32_t a, uint32_t b) { return nib_hfma2(b, 0xbc00bc00u, a); }
NIB_DEVICE uint32_t nib_bf16_fma2(uint32_t a, uint32_t b, uint32_t c) {
  return nib_emulated_fma2(a, b, c, 1);
}
NIB_DEVICE float nib_f32_f16(uint32_t x) {
  return nib_emulated_decode(NIB_EMULATED_f16, x & 0xffff);
}

NIB_DEVICE uint32_t nib_f16_pair(float low, float high) {
  return nib_emulated_encode(low, 0) | nib_emulated_encode(high, 0) << 16;
}
NIB_DEVICE uint32_t nib_bf16_pair(float low, float high) {
  return nib_emulated_encode(low, 1) | nib_emulated_encode(high, 1) << 16;
}
NIB_DEVICE uint16_t nib_f32_to_bf16(float x) { return (uint16_t)nib_emulated_encode(x, 1); }
NIB_DEVICE uint16_t nib_f32_to_f16(float x) { return (uint16_t)nib_emulated_encode(x, 0); }
NIB_DEVICE float nib_f16_to_f32(uint16_t x) { return nib_emulated_decode(NIB_EMULATED_f16, x); }
NIB_DEVICE int32_t nib_rq_nearest_even(int32_t x, float scale) {
  const float y = rintf((float)x * scale);
  return y >= 2147483520.0f ? 2147483647 : y <= -2147483648.0f ? -2147483647 - 1 : (int32_t)y;
}
NIB_DEVICE uint8_t nib_f32_to_f8e4m3fn(float x) {
  const uint32_t sign = std::signbit(x) ? 0x80u : 0;
  const float a = fabsf(x);
  if (!(a <= 464.0f))
    return (uint8_t)(sign | 0x7f);
  const int exponent = a < 0x1p-6f ? -6 : ilogbf(a);
  const int code = (int)rintf(ldexpf(a, 3 - exponent)); /* in steps of 1/8 of the power of two */
  return (uint8_t)(sign | (uint32_t)(code + (a < 0x1p-6f ? 0 : (exponent + 6) * 8)));
}

/* ---- barriers in shared memory, tensor maps, warpgroups ---- */

NIB_DEVICE void nib_barrier_init(uint64_t *barrier, uint32_t count) {
  nib_emulated_barrier_init(barrier, count);
}
NIB_DEVICE void nib_barrier_arrive(uint64_t *barrier) { nib_emulated_barrier_arrive(barrier, 0); }
NIB_DEVICE void nib_barrier_expect(uint64_t *barrier, uint32_t bytes) {
  nib_emulated_barrier_arrive(barrier, bytes);
}
NIB_DEVICE void nib_barrier_wait(uint64_t *barrier, uint32_t parity) {
  nib_emulated_barrier_wait(barrier, parity);
}
NIB_DEVICE void nib_fence_barrier_init(void) { nib_emulated_fence_barrier_init(); }
NIB_DEVICE void nib_tma_load2(void *shared, const nib_tensor_map *map, uint64_t *barrier, int32_t x,
                              int32_t y) {
  const int32_t at[] = {x, y};
  nib_emulated_tma_load(shared, map, barrier, at, 2, 0);
}
NIB_DEVICE void nib_tma_load2_both(void *shared, const nib_tensor_map *map, uint64_t *barrier,
                                   int32_t x, int32_t y) {
  const int32_t at[] = {x, y};
  nib_emulated_tma_load(shared, map, barrier, at, 2, 3);
}
NIB_DEVICE int32_t nib_cluster_rank(void) { return nib_emulated_cluster_rank(); }
NIB_DEVICE void nib_cluster_sync(void) { nib_emulated_cluster_sync(); }
NIB_DEVICE void nib_barrier_arrive_at(uint64_t *barrier, int32_t rank) {
  nib_emulated_barrier_arrive_at(barrier, rank);
}
#define nib_registers_more(n) nib_emulated_registers(n)
#define nib_registers_less(n) nib_emulated_registers(n)
NIB_DEVICE void nib_wgmma_fence(void) {}
NIB_DEVICE void nib_wgmma_commit(void) { nib_emulated_wgmma_commit(); }
#define nib_wgmma_wait(n) nib_emulated_wgmma_wait(n)

NIB_DEVICE void nib_keep_f32(float *) {}
NIB_DEVICE void nib_keep_i32(int32_t *) {}

#define NIB_EMULATED_WGMMA(type, number, n)                                                        \
  NIB_DEVICE void nib_wgmma_##type##_n##n(number *d, uint64_t a, uint64_t b, int32_t accumulate) { \
    nib_emulated_wgmma(NIB_EMULATED_##type, n, d, NULL, a, b, accumulate);                         \
  }                                                                                                \
  NIB_DEVICE void nib_wgmma_##type##_n##n##_ra(number *d, const uint32_t *a, uint64_t b,           \
                                               int32_t accumulate) {                               \
    nib_emulated_wgmma(NIB_EMULATED_##type, n, d, a, 0, b, accumulate);                            \
  }
#define NIB_EMULATED_WGMMAS(n)                                                                     \
  NIB_EMULATED_WGMMA(bf16, float, n)                                                               \
  NIB_EMULATED_WGMMA(f16, float, n)                                                                \
  NIB_EMULATED_WGMMA(f8e4m3, float, n)                                                             \
  NIB_EMULATED_WGMMA(i8, int32_t, n)                                                               \
  NIB_EMULATED_WGMMA(u8i8, int32_t, n)
#define NIB_EMULATED_EIGHT(a, b, c, d, e, f, g, h)                                                 \
  NIB_EMULATED_WGMMAS(a)                                                                           \
  NIB_EMULATED_WGMMAS(b)                                                                           \
  NIB_EMULATED_WGMMAS(c)                                                                           \
  NIB_EMULATED_WGMMAS(d)                                                                           \
  NIB_EMULATED_WGMMAS(e)                                                                           \
  NIB_EMULATED_WGMMAS(f)                                                                           \
  NIB_EMULATED_WGMMAS(g)                                                                           \
  NIB_EMULATED_WGMMAS(h)
NIB_EMULATED_EIGHT(8, 16, 24, 32, 40, 48, 56, 64)
NIB_EMULATED_EIGHT(72, 80, 88, 96, 104, 112, 120, 128)
NIB_EMULATED_EIGHT(136, 144, 152, 160, 168, 176, 184, 192)
NIB_EMULATED_EIGHT(200, 208, 216, 224, 232, 240, 248, 256)

/* ---- a kernel in the module's table: its parameters, unpacked ---- */

template <typename... A> struct nib_emulated_params {
  static constexpr uint32_t bytes[sizeof...(A) + 1] = {(uint32_t)sizeof(A)..., 0};
  template <void (*kernel)(A...), size_t... i>
  static void call_with(void **params, std::index_sequence<i...>) {
    kernel(*(A *)params[i]...);
  }
  template <void (*kernel)(A...)> static void call(void **params) {
    call_with<kernel>(params, std::make_index_sequence<sizeof...(A)>());
  }
  template <void (*kernel)(A...)>
  static constexpr nib_emulated_kernel entry(const char *name, int32_t threads, int32_t cluster) {
    return {name, threads, cluster, (int32_t)sizeof...(A), bytes, call<kernel>};
  }
};
template <typename... A> nib_emulated_params<A...> nib_emulated_params_of(void (*)(A...));
#define NIB_EMULATED_KERNEL(kernel, threads, cluster)                                              \
  decltype(nib_emulated_params_of(kernel))::entry<kernel>(#kernel, threads, cluster)

#endif
