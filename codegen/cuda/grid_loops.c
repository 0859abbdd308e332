/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Any operator on CUDA: the loops of `direct`, whose results the threads of a grid share. */
#include "schedule/direct.h"

enum { THREADS = 128 };

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  return !(vocab->requires_ & NIB_FEATURE_BIT(WGMMA)) && nib_direct_accepts(g, k) && nib_direct_segments(g, k) == 1;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  (void)g, (void)k, (void)vocab;
  return 0;
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  int64_t units;
  NIB_RETURN_IF_ERROR(nib_direct_emit_grid(e, k, THREADS, &units));
  *e->launch = (nib_launch){.grid = {(units + THREADS - 1) / THREADS}, .threads = THREADS};
  return NIB_OK;
}

const nib_schedule nib_schedule_grid_loops = {
    .name = "grid_loops",
    .device = true,
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
};
