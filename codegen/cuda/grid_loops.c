/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * grid_loops: any operator on CUDA, by the loops of `direct`, whose results the threads of a grid
 * share. row_sums: where each result, or row of them, needs a long sum: tile[0] threads share it.
 */
#include "params/params.h"
#include "schedule/direct.h"

#include <stdlib.h>

enum { THREADS = 128 };

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  return !(vocab->requires_ & NIB_FEATURE_BIT(WGMMA)) && nib_direct_accepts(g, k) &&
         nib_direct_segments(g, k) == 1;
}

static bool sums_32_bits(const nib_graph *g, const nib_node *n) {
  nib_conv_params p;
  if (nib_direct_is_float(&g->tensors[n->out]))
    return g->tensors[n->out].format != NIB_F64;
  if (nib_params_conv(g, n, &p) != NIB_OK)
    return false;
  free(p.requant);
  return !p.acc64;
}

/* Sums of floats and of 32-bit integers; those of 8-bit softmax are exact in any order, real ones
 * that become codes are not. */
static bool sums_accept(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  const nib_node *n = &g->nodes[k->nodes[0]];
  if (!accepts(g, k, vocab) || !nib_direct_op_of(g, n)->lanes)
    return false;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  const bool real = x->format == NIB_F32 && y->format == NIB_F32;
  nib_softmax_params p;
  switch (n->op) {
  case NIB_OP_FULLY_CONNECTED:
    return !nib_direct_is_block(x) && !nib_direct_is_block(nib_node_input(g, n, 1)) &&
           sums_32_bits(g, n);
  case NIB_OP_SOFTMAX:
    return real ||
           (nib_format_get(x->format)->bytes == 1 && nib_params_softmax(g, n, &p) == NIB_OK &&
            p.fixed_point && (nib_node_int(n, NIB_A_AXIS, -1) + x->rank) % x->rank == x->rank - 1);
  case NIB_OP_MEAN:
    return real || (nib_format_get(x->format)->bytes == 1 &&
                    nib_tensor_elems(x) / nib_tensor_elems(y) < 32768);
  default:
    return real || x->format == NIB_I32;
  }
}

/* Units in blocks of `threads`, each shared by `lanes` of them. */
static nib_status emit_units(nib_emitter *e, const nib_kernel *k, int32_t threads, int32_t lanes) {
  const int64_t of_block = threads / lanes;
  int64_t units;
  NIB_RETURN_IF_ERROR(nib_direct_emit_grid(e, k, threads, lanes, &units));
  *e->launch = (nib_launch){.grid = {(units + of_block - 1) / of_block},
                            .threads = threads,
                            .shared_bytes = lanes > 32 ? lanes / 32 * 4 : 0};
  return NIB_OK;
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) { return emit_units(e, k, THREADS, 1); }

static nib_status emit_sums(nib_emitter *e, const nib_kernel *k) {
  const int32_t lanes = k->tile[0] > 32 ? k->tile[0] : 32;
  return emit_units(e, k, lanes > 32 ? lanes : THREADS, lanes);
}

static int sum_tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                     int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  (void)g, (void)k, (void)v;
  out_tiles[0][0] = 32;
  if (capacity > 1)
    out_tiles[1][0] = 256;
  return capacity > 1 ? 2 : 1;
}

const nib_schedule nib_schedule_grid_loops = {
    .name = "grid_loops",
    .device = true,
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};

const nib_schedule nib_schedule_row_sums = {
    .name = "row_sums",
    .device = true,
    .accepts = sums_accept,
    .tiles = sum_tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit_sums,
};
