/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One kernel for each group of primitives of sm_90a; check_primitives.c knows what they should write. */

NIB_KERNEL(32, 1) mma_f8e4m3(const uint32_t *a, const uint32_t *b, float *d) {
  int32_t t = nib_thread();
  uint32_t x[4], y[2];
  float z[4];
  for (int32_t i = 0; i < 4; ++i) {
    x[i] = a[4 * t + i];
    z[i] = d[4 * t + i];
  }
  for (int32_t i = 0; i < 2; ++i)
    y[i] = b[2 * t + i];
  nib_mma_f8e4m3(z, x, y);
  for (int32_t i = 0; i < 4; ++i)
    d[4 * t + i] = z[i];
}

NIB_KERNEL(128, 1) to_f8_hopper(const float *x, uint8_t *out) {
  nib_after_previous();
  int32_t i = 128 * nib_block_x() + nib_thread();
  out[i] = nib_f32_to_f8e4m3fn(x[i]);
}

/* A box as it lies in shared memory. */
NIB_KERNEL(32, 1) box(NIB_GRID_CONSTANT nib_tensor_map map, const int32_t *at, uint32_t *out) {
  uint64_t *barrier = (uint64_t *)(nib_shared + 8192);
  if (nib_thread() == 0) {
    nib_barrier_init(barrier, 1);
    nib_fence_barrier_init();
  }
  nib_sync();
  if (nib_thread() == 0) {
    nib_barrier_expect(barrier, (uint32_t)at[2]);
    nib_tma_load2(nib_shared, &map, barrier, at[0], at[1]);
  }
  nib_barrier_wait(barrier, 0);
  for (int32_t i = nib_thread(); i < at[2] / 4; i += 32)
    out[i] = ((uint32_t *)nib_shared)[i];
}

/* A warp that copies ahead, and three that add up. */
NIB_KERNEL(128, 1) ring(NIB_GRID_CONSTANT nib_tensor_map map, uint32_t *out) {
  uint64_t *full = (uint64_t *)(nib_shared + 8192), *empty = full + 2;
  int32_t t = nib_thread();
  if (t == 0) {
    for (int32_t i = 0; i < 2; ++i) {
      nib_barrier_init(full + i, 1);
      nib_barrier_init(empty + i, 3);
    }
    nib_fence_barrier_init();
  }
  nib_sync();
  nib_registers_less(64);
  if (nib_warp_uniform() == 3) {
    if (nib_lane() == 0)
      for (int32_t i = 0; i < 9; ++i) {
        nib_barrier_wait(empty + i % 2, (i / 2 & 1) ^ 1);
        nib_barrier_expect(full + i % 2, 384);
        nib_tma_load2(nib_shared + i % 2 * 384, &map, full + i % 2, 0, 3 * i);
      }
  } else {
    uint32_t sum = 0;
    for (int32_t i = 0; i < 9; ++i) {
      nib_barrier_wait(full + i % 2, i / 2 & 1);
      sum = 3 * sum + ((uint32_t *)(nib_shared + i % 2 * 384))[t];
      nib_sync_warp();
      if (nib_lane() == 0)
        nib_barrier_arrive(empty + i % 2);
    }
    out[t] = sum;
  }
}

/* Each block of a cluster of two loads one half for both, three times over the same place; it may do so again once
 * both blocks have read. */
NIB_KERNEL_CLUSTER(64, 1, 2) both(NIB_GRID_CONSTANT nib_tensor_map map, uint32_t *out) {
  uint64_t *full = (uint64_t *)(nib_shared + 2048), *empty = full + 1;
  int32_t t = nib_thread(), rank = nib_cluster_rank();
  if (t == 0) {
    nib_barrier_init(full, 1);
    nib_barrier_init(empty, 4);
    nib_fence_barrier_init();
  }
  nib_cluster_sync();
  uint32_t sum = 0;
  for (int32_t i = 0; i < 3; ++i) {
    if (t == 0) {
      nib_barrier_expect(full, 2048);
      nib_barrier_wait(empty, (i & 1) ^ 1);
      nib_tma_load2_both(nib_shared + 1024 * rank, &map, full, 0, 16 * i + 8 * rank);
    }
    nib_barrier_wait(full, i & 1);
    for (int32_t j = t; j < 512; j += 64)
      sum = 5 * sum + ((uint32_t *)nib_shared)[j];
    nib_sync_warp();
    if (nib_lane() < 2)
      nib_barrier_arrive_at(empty, nib_lane());
  }
  out[64 * nib_block_x() + t] = sum;
  nib_cluster_sync();
}

/* A of 64 rows and B of n rows, of 128 bytes each along K: K is two boxes. A in registers: as the thread's part
 * of `fragments`, for each of the eight steps. */
#define KEEP_float nib_keep_f32
#define KEEP_int32_t nib_keep_i32
#define WGMMA(type, number, n)                                                                                         \
  NIB_KERNEL(128, 1)                                                                                                   \
  wgmma_##type##_n##n(NIB_GRID_CONSTANT nib_tensor_map map_a, NIB_GRID_CONSTANT nib_tensor_map map_b,                  \
                      const uint32_t *fragments, number *out, int32_t columns) {                                       \
    uint64_t *barrier = (uint64_t *)(nib_shared + 2 * 8192 + 2 * n * 128);                                             \
    int32_t t = nib_thread();                                                                                          \
    number d[n / 2], e[n / 2];                                                                                         \
    nib_registers_more(240);                                                                                           \
    if (t == 0) {                                                                                                      \
      nib_barrier_init(barrier, 1);                                                                                    \
      nib_fence_barrier_init();                                                                                        \
    }                                                                                                                  \
    nib_sync();                                                                                                        \
    if (t == 0) {                                                                                                      \
      nib_barrier_expect(barrier, 2 * 8192 + 2 * n * 128);                                                             \
      for (int32_t i = 0; i < 2; ++i) {                                                                                \
        nib_tma_load2(nib_shared + i * 8192, &map_a, barrier, i * columns, 0);                                         \
        nib_tma_load2(nib_shared + 2 * 8192 + i * n * 128, &map_b, barrier, i * columns, 0);                           \
      }                                                                                                                \
    }                                                                                                                  \
    nib_barrier_wait(barrier, 0);                                                                                      \
    nib_wgmma_fence();                                                                                                 \
    _Pragma("unroll") for (int32_t i = 0; i < 8; ++i) {                                                                \
      uint64_t a = nib_wgmma_descriptor(nib_shared + i / 4 * 8192) + 2 * (i % 4);                                      \
      uint64_t b = nib_wgmma_descriptor(nib_shared + 2 * 8192 + i / 4 * n * 128) + 2 * (i % 4);                        \
      nib_wgmma_##type##_n##n(d, a, b, i > 0);                                                                         \
    }                                                                                                                  \
    nib_wgmma_commit();                                                                                                \
    nib_wgmma_wait(0);                                                                                                 \
    _Pragma("unroll") for (int32_t i = 0; i < n / 2; ++i) KEEP_##number(d + i);                                        \
    _Pragma("unroll") for (int32_t i = 0; i < 8; ++i) {                                                                \
      uint32_t a[4];                                                                                                   \
      _Pragma("unroll") for (int32_t j = 0; j < 4; ++j) a[j] = fragments[(i * 128 + t) * 4 + j];                       \
      uint64_t b = nib_wgmma_descriptor(nib_shared + 2 * 8192 + i / 4 * n * 128) + 2 * (i % 4);                        \
      nib_wgmma_fence();                                                                                               \
      nib_wgmma_##type##_n##n##_ra(e, a, b, i > 0);                                                                    \
      nib_wgmma_commit();                                                                                              \
      nib_wgmma_wait(0);                                                                                               \
    }                                                                                                                  \
    _Pragma("unroll") for (int32_t i = 0; i < n / 2; ++i) {                                                            \
      out[t * (n / 2) + i] = d[i];                                                                                     \
      out[(128 + t) * (n / 2) + i] = e[i];                                                                             \
    }                                                                                                                  \
  }
/* nib_wgmma_bf16_n128 nib_wgmma_bf16_n128_ra nib_wgmma_bf16_n8 nib_wgmma_bf16_n8_ra nib_wgmma_f16_n72
 * nib_wgmma_f16_n72_ra nib_wgmma_f8e4m3_n176 nib_wgmma_f8e4m3_n176_ra nib_wgmma_f8e4m3_n16 nib_wgmma_f8e4m3_n16_ra
 * nib_wgmma_i8_n192 nib_wgmma_i8_n192_ra nib_wgmma_i8_n24 nib_wgmma_i8_n24_ra nib_wgmma_u8i8_n64
 * nib_wgmma_u8i8_n64_ra nib_wgmma_u8i8_n32 nib_wgmma_u8i8_n32_ra */
WGMMA(bf16, float, 128)
WGMMA(bf16, float, 8)
WGMMA(f16, float, 72)
WGMMA(f8e4m3, float, 176)
WGMMA(f8e4m3, float, 16)
WGMMA(i8, int32_t, 192)
WGMMA(i8, int32_t, 24)
WGMMA(u8i8, int32_t, 64)
WGMMA(u8i8, int32_t, 32)
