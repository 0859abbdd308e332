/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernels of test_cuda_runtime.c. */
NIB_KERNEL(32, 1) add_weights(const int32_t *in0, int32_t *out, const uint8_t *weights) {
  const int32_t i = nib_block_x() * 32 + nib_thread();
  out[i] = (int32_t)((uint32_t)in0[i] + ((const uint32_t *)weights)[i % 32]);
}

/* Reads 4 rows of 32 by a tensor map, and uses all of the shared memory that was asked for. */
NIB_KERNEL(32, 1) through_map(int32_t *out, NIB_GRID_CONSTANT nib_tensor_map map0) {
  uint64_t *barrier = (uint64_t *)nib_shared;
  const int32_t *tile = (const int32_t *)(nib_shared + 1024);
  nib_shared[65536 - 1 - nib_thread()] = 1;
  if (nib_thread() == 0) {
    nib_barrier_init(barrier, 1);
    nib_fence_barrier_init();
  }
  nib_sync();
  if (nib_thread() == 0) {
    nib_barrier_expect(barrier, 512);
    nib_tma_load2(nib_shared + 1024, &map0, barrier, 0, 0);
  }
  nib_barrier_wait(barrier, 0);
  for (int32_t row = 0; row < 4; ++row)
    out[row * 32 + nib_thread()] = (int32_t)(2u * (uint32_t)tile[row * 32 + nib_thread()]);
}

/* Never ends: nobody arrives. */
NIB_KERNEL(32, 1) hangs(int32_t *out) {
  uint64_t *barrier = (uint64_t *)nib_shared;
  if (nib_thread() == 0)
    nib_barrier_init(barrier, 1);
  nib_sync();
  nib_barrier_wait(barrier, 0);
  out[nib_thread()] = 0;
}
