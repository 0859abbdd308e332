/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernels that hardware would hang on, or that would read and write what they should not. */

NIB_KERNEL(128, 1) fine(uint32_t *x) {
  if (nib_thread() >= 96)
    return; /* whole warps may leave */
  nib_sync();
  x[nib_thread()] = 1;
}

NIB_KERNEL(64, 1) mixed(uint32_t *x) {
  if (nib_thread() % 2)
    nib_sync_warp();
  else
    x[0] = nib_shuffle(1, 0);
}

NIB_KERNEL(64, 1) lane_leaves(uint32_t *x) {
  if (nib_thread() == 33)
    return;
  x[nib_thread()] = nib_shuffle(1, 0);
}

NIB_KERNEL(32, 1) beyond(uint32_t *x) {
  uint32_t d[4];
  nib_ldmatrix4(d, nib_shared + 16 * nib_thread());
  x[0] = d[0];
}

NIB_KERNEL(32, 1) writes_beyond(uint32_t *x) { nib_shared[70 + nib_thread()] = (uint8_t)x[0]; }

NIB_KERNEL(32, 1) crooked(uint32_t *x) { nib_copy16(nib_shared + nib_thread() * 16, x + nib_thread(), 16); }

NIB_KERNEL(32, 1) no_bytes(uint32_t *x) {
  uint64_t *b = (uint64_t *)nib_shared;
  if (nib_thread() == 0) {
    nib_barrier_init(b, 1);
    nib_fence_barrier_init();
    nib_barrier_expect(b, 32);
  }
  nib_sync();
  nib_barrier_wait(b, 0);
}

NIB_KERNEL(32, 1) no_fence(uint32_t *x) {
  uint64_t *b = (uint64_t *)nib_shared;
  if (nib_thread() == 0) {
    nib_barrier_init(b, 1);
    nib_barrier_arrive_at(b, 0);
  }
  nib_sync();
  nib_barrier_wait(b, 0);
}

NIB_KERNEL(32, 1) no_barrier(uint32_t *x) { nib_barrier_arrive((uint64_t *)nib_shared); }

NIB_KERNEL(32, 1) many_arrive(uint32_t *x) {
  uint64_t *b = (uint64_t *)nib_shared;
  if (nib_thread() == 0)
    nib_barrier_init(b, 1);
  nib_sync();
  if (nib_thread() == 1)
    nib_barrier_expect(b, 16);
  nib_sync();
  if (nib_thread() == 2)
    nib_barrier_arrive(b);
}

NIB_KERNEL(128, 1) other_descriptors(uint32_t *x) {
  float d[4];
  nib_wgmma_bf16_n8(d, (uint64_t)nib_thread(), 0, 0);
  nib_wgmma_wait(0);
}

NIB_KERNEL(384, 1) registers(uint32_t *x) {
  if (nib_warp_uniform() / 4 == 2)
    nib_registers_less(40);
  else
    nib_registers_more(240);
  x[nib_thread()] = 1;
}

NIB_KERNEL(32, 1) misaligned(uint8_t *x) { *(uint32_t *)(void *)(x + nib_thread()) = 7; }

NIB_KERNEL(32, 1) outside(uint32_t *x) {
  uint32_t y[4] = {1, 2, 3, 4};
  x[0] = y[nib_thread() & 7];
}

NIB_KERNEL(32, 1) overflows(int32_t *x) { x[0] = 2147483647 + nib_thread(); }

NIB_KERNEL(64, 1) race(uint32_t *x) {
  uint32_t *s = (uint32_t *)nib_shared;
  s[nib_thread()] = 7;
  x[nib_thread()] = s[63 - nib_thread()];
}
