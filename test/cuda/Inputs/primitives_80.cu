/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * One kernel for each group of primitives of sm_80; check_primitives.c knows what they should write. */

NIB_KERNEL(96, 1) place(int32_t *out) {
  int32_t block = nib_block_x() + 2 * nib_block_y();
  int32_t *at = out + 8 * (96 * block + nib_thread());
  at[0] = nib_thread();
  at[1] = nib_block_x();
  at[2] = nib_block_y();
  at[3] = nib_grid_x();
  at[4] = nib_lane();
  at[5] = nib_warp();
  at[6] = at[7] = nib_warp_uniform();
}

/* Sums of what other threads wrote, by each kind of waiting. */
NIB_KERNEL(128, 1) waiting(int32_t *out) {
  int32_t *s = (int32_t *)nib_shared, t = nib_thread();
  s[t] = 3 * t;
  nib_sync();
  int32_t sum = s[127 - t];
  nib_sync();
  s[t] = 11 * t;
  nib_sync_warp();
  sum += s[t ^ 31];
  out[t] = sum;
}

NIB_KERNEL(64, 1) shuffles(const uint32_t *x, const int32_t *lanes, uint32_t *out) {
  int32_t t = nib_thread();
  out[t] = nib_shuffle(x[t], lanes[t]);
  out[64 + t] = nib_shuffle_xor(x[t], 5);
  float f = (float)(int32_t)(x[t] & 0xffff);
  out[128 + t] = (uint32_t)nib_shuffle_xor_f32(f, 16);
}

/* Each thread copies 16 bytes twice, in two groups; the last part of each is zeros. */
NIB_KERNEL(64, 1) copies(const uint8_t *x, uint32_t *out) {
  int32_t t = nib_thread();
  uint8_t *s = nib_shared;
  nib_copy16(s + 16 * t, x + 16 * t, t % 17);
  nib_copy_commit();
  nib_copy16(s + 1024 + 16 * t, x + 16 * (63 - t), 16 - t % 17);
  nib_copy_commit();
  nib_copy_wait(1);
  nib_sync();
  for (int32_t i = 0; i < 4; ++i)
    out[4 * t + i] = ((uint32_t *)s)[4 * (63 - t) + i];
  nib_copy_wait(0);
  nib_sync();
  for (int32_t i = 0; i < 4; ++i)
    out[256 + 4 * t + i] = ((uint32_t *)s)[256 + 4 * (63 - t) + i];
}

/* rows: the unit of 16 bytes that each thread points to. */
NIB_KERNEL(32, 1) matrices(const uint32_t *x, const int32_t *rows, uint32_t *out) {
  int32_t t = nib_thread();
  for (int32_t i = 0; i < 16; ++i)
    ((uint32_t *)nib_shared)[i * 32 + t] = x[i * 32 + t];
  nib_sync();
  const uint8_t *row = nib_shared + 16 * rows[t];
  nib_ldmatrix4(out + 4 * t, row);
  out[128 + t] = nib_transpose_halves(x[t]);
}

#define MMA(type, number)                                                                                              \
  NIB_KERNEL(32, 1) mma_##type(const uint32_t *a, const uint32_t *b, number *d) {                                      \
    int32_t t = nib_thread();                                                                                          \
    uint32_t x[4], y[2];                                                                                               \
    number z[4];                                                                                                       \
    for (int32_t i = 0; i < 4; ++i) {                                                                                  \
      x[i] = a[4 * t + i];                                                                                             \
      z[i] = d[4 * t + i];                                                                                             \
    }                                                                                                                  \
    for (int32_t i = 0; i < 2; ++i)                                                                                    \
      y[i] = b[2 * t + i];                                                                                             \
    nib_mma_##type(z, x, y);                                                                                           \
    for (int32_t i = 0; i < 4; ++i)                                                                                    \
      d[4 * t + i] = z[i];                                                                                             \
  }
/* nib_mma_bf16 nib_mma_f16 nib_mma_i8 nib_mma_u8i8 */
MMA(bf16, float)
MMA(f16, float)
MMA(i8, int32_t)
MMA(u8i8, int32_t)

NIB_KERNEL(128, 1) arithmetic(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t *out) {
  int32_t i = 128 * nib_block_x() + nib_thread(), n = 128 * nib_grid_x();
  uint32_t x = a[i], y = b[i], z = c[i];
  out[i] = nib_select_bytes(x, y, z);
  out[n + i] = nib_and_or(x, y, z);
  out[2 * n + i] = nib_hfma2(x, y, z);
  out[3 * n + i] = nib_hsub2(x, y);
  out[4 * n + i] = nib_bf16_fma2(x, y, z);
  out[5 * n + i] = nib_bf16_sub2(x, y);
  out[6 * n + i] = nib_bf16_mul2(x, y);
  out[7 * n + i] = nib_bits_f32(nib_f32_f16(x));
  out[8 * n + i] = nib_bits_f32(nib_f32_bf16(x));
  out[9 * n + i] = nib_f32_to_bf16(nib_f32_bits(x));
  out[10 * n + i] = nib_f32_to_f16(nib_f32_bits(x));
  out[11 * n + i] = nib_bits_f32(nib_f16_to_f32((uint16_t)x));
  out[12 * n + i] = nib_f32_to_f8e4m3fn(nib_f32_bits(x));
  out[13 * n + i] = nib_bits_f32(nib_fma_f32(nib_f32_bits(x), nib_f32_bits(y), nib_f32_bits(z)));
  out[14 * n + i] = nib_f32_rest(x);
  out[15 * n + i] = (uint32_t)nib_rq_nearest_even((int32_t)x, nib_f32_bits(y));
  out[16 * n + i] = nib_hmul2(x, y);
  out[17 * n + i] = nib_f16_pair(nib_f32_bits(x), nib_f32_bits(y));
  out[18 * n + i] = nib_bf16_pair(nib_f32_bits(x), nib_f32_bits(y));
}

NIB_KERNEL(64, 1) quads(const uint32_t *x, uint32_t *out) {
  int32_t t = nib_thread();
  uint32_t w[4];
  nib_load16(w, x + 4 * t);
  nib_transpose_quad(w);
  nib_store16(out + 4 * t, w);
  nib_load8(w, x + 4 * t);
  nib_load8(w + 2, x + 4 * t + 2);
  nib_join_halves(w);
  nib_store16(out + 256 + 4 * t, w);
}

NIB_KERNEL(128, 1) conversions(const uint32_t *a, const uint32_t *b, const uint32_t *c, uint32_t *out) {
  int32_t i = 128 * nib_block_x() + nib_thread(), n = 128 * nib_grid_x();
  uint32_t x[2];
  nib_load8(x, a + 2 * (i / 2));
  float f = nib_f32_bits(x[i % 2]);
  out[i] = nib_f32_to_bf16(f);
  out[n + i] = nib_f32_to_f16(f);
  out[2 * n + i] = nib_bits_f32(nib_f16_to_f32((uint16_t)x[i % 2]));
  out[3 * n + i] = nib_f32_rest(x[i % 2]);
  out[4 * n + i] = nib_bits_f32(nib_fma_f32(f, nib_f32_bits(b[i]), nib_f32_bits(c[i])));
}

NIB_KERNEL(128, 1) to_f8_ampere(const float *x, uint8_t *out) {
  int32_t i = 128 * nib_block_x() + nib_thread();
  out[i] = nib_f32_to_f8e4m3fn(x[i]);
}

NIB_KERNEL(32, 1) memory(const uint8_t *x, uint32_t *out) {
  int32_t t = nib_thread();
  uint32_t d[4], e[4];
  nib_load16(d, x + 16 * t);
  nib_load16(e, x + 16 * (31 - t));
  for (int32_t i = 0; i < 4; ++i)
    d[i] += e[i];
  nib_load8(e, x + 8 * t);
  d[0] ^= e[0];
  d[1] ^= e[1];
  nib_load4(e, x + 4 * t);
  d[2] ^= e[0];
  nib_load4(e, x + 4 * (31 - t));
  d[3] += e[0];
  uint32_t *own = (uint32_t *)nib_shared + 4 * t;
  nib_copy16_near(own, x + 16 * (t ^ 3), 12);
  nib_copy_commit();
  nib_copy_wait(0);
  uint32_t got[7];
  nib_get16(got, own);
  nib_get8(got + 4, own + 2);
  nib_get4(got + 6, own + 1);
  d[0] += got[0] + got[3] + 3 * got[4] + got[5];
  d[1] += got[1] + 3 * got[6];
  nib_store16(out + 4 * t, d);
}
