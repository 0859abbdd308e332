// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda/warpgroup_ring.h"

#include "cost/cost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum {
  SHARED_BYTES = 227 * 1024, /* that a block may have */
  MAX_STAGES = 8,
  TYPE_UINT8 = 0, /* CUtensorMapDataType, CUtensorMapSwizzle, CUtensorMapL2promotion */
  TYPE_UINT16 = 1,
  SWIZZLE_128B = 3,
  PROMOTE_256B = 3,
};

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

void nib_ring_plan(nib_ring *r, int64_t m, int64_t n) {
  r->groups = r->rows / 64;
  r->stage_bytes = ((r->loads_rows ? r->rows : 0) + r->columns) * NIB_BOX_BYTES;
  r->stages = least(MAX_STAGES, (SHARED_BYTES - 1024) / r->stage_bytes);
  r->row_tiles = ceil_div(m, r->rows * r->cluster);
  r->column_tiles = ceil_div(n, r->columns);
  r->clusters = least(r->row_tiles * r->column_tiles, NIB_PROCESSORS / r->cluster);
  r->band = least(r->band, r->bands_of_columns ? r->column_tiles : r->row_tiles);
  r->band = r->band > 0 ? r->band : 1;
}

typedef struct weighed_tile {
  int32_t tile[NIB_MAX_TILE];
  double cycles;
} weighed_tile;

static int by_cycles(const void *a, const void *b) {
  const double x = ((const weighed_tile *)a)->cycles, y = ((const weighed_tile *)b)->cycles;
  return x < y ? -1 : x > y;
}

int nib_ring_tiles(const int32_t (*shapes)[NIB_MAX_TILE], int count, int64_t m, int64_t n,
                   int64_t k_bytes, int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  weighed_tile all[12];
  for (int i = 0; i < count; ++i) {
    memcpy(all[i].tile, shapes[i], sizeof shapes[i]);
    all[i].cycles =
        nib_cost_warpgroup_cycles((double)m, (double)n, (double)k_bytes, shapes[i], NIB_PROCESSORS);
  }
  qsort(all, (size_t)count, sizeof *all, by_cycles);
  count = capacity < count ? capacity : count;
  for (int i = 0; i < count; ++i)
    memcpy(out_tiles[i], all[i].tile, sizeof all[i].tile);
  return count;
}

nib_launch_map *nib_ring_add_map(const nib_ring *r, nib_launch *l, const char *name, int64_t k,
                                 int64_t rows, int64_t pitch, int64_t box_rows) {
  nib_launch_map *m = &l->maps[l->n_maps++];
  *m = (nib_launch_map){.type = r->element_bytes == 1 ? TYPE_UINT8 : TYPE_UINT16,
                        .swizzle = SWIZZLE_128B,
                        .promote = PROMOTE_256B,
                        .rank = 2};
  m->dims[0] = (uint64_t)k;
  m->dims[1] = (uint64_t)rows;
  m->strides_bytes[0] = (uint64_t)pitch;
  m->box[0] = (uint32_t)(NIB_BOX_BYTES / r->element_bytes);
  m->box[1] = (uint32_t)box_rows;
  snprintf(m->parameter, sizeof m->parameter, "%.15s", name);
  return m;
}

/* ---- text ---- */

/* Every role walks the same tiles. */
void nib_ring_open_tiles(const nib_ring *r, nib_text *t) {
  const int64_t banded = r->bands_of_columns ? r->column_tiles : r->row_tiles;
  const ll per_band = r->band * (r->row_tiles * r->column_tiles / banded);
  nib_text_open(t, "for (int32_t unit = %s; unit < %lld; unit += %lld) {",
                r->cluster > 1 ? "nib_block_x() / 2" : "nib_block_x()",
                (ll)(r->row_tiles * r->column_tiles), (ll)r->clusters);
  nib_text_line(t, "const int32_t band = unit / %lld, within = unit %% %lld;", per_band, per_band);
  if (banded % r->band)
    nib_text_line(t, "const int32_t high = band < %lld ? %lld : %lld;", (ll)(banded / r->band),
                  (ll)r->band, (ll)(banded % r->band));
  else
    nib_text_line(t, "const int32_t high = %lld;", (ll)r->band);
  const nib_expr in_band = nib_expr_printf("band * %lld + within %% high", (ll)r->band),
                 across = nib_expr_printf("within / high");
  const char *row = r->bands_of_columns ? across.s : in_band.s,
             *column = r->bands_of_columns ? in_band.s : across.s;
  nib_text_line(t,
                r->cluster > 1 ? "const int32_t row0 = ((%s) * 2 + rank) * %lld;"
                               : "const int32_t row0 = (%s) * %lld;",
                row, (ll)r->rows);
  nib_text_line(t, "const int32_t column0 = (%s) * %lld;", column, (ll)r->columns);
}

void nib_ring_next(const nib_ring *r, nib_text *t) {
  nib_text_open(t, "if (++stage == %lld) {", (ll)r->stages);
  nib_text_line(t, "stage = 0;");
  nib_text_line(t, "parity ^= 1;");
  nib_text_close(t, "");
}

void nib_ring_hand_back(const nib_ring *r, nib_text *t, const char *stage) {
  nib_text_line(t, "if (lane < %lld)", (ll)r->cluster);
  nib_text_line(t,
                r->cluster > 1 ? "  nib_barrier_arrive_at(&empty[%s], lane);"
                               : "  nib_barrier_arrive(&empty[%s]);",
                stage);
}

static void emit_barriers(const nib_ring *r, nib_text *t) {
  nib_text_line(t, "uint64_t *const full = (uint64_t *)(void *)(nib_shared + %lld);",
                (ll)(r->stages * r->stage_bytes));
  nib_text_line(t, "uint64_t *const empty = full + %lld;", (ll)r->stages);
  nib_text_line(t, "const int32_t lane = nib_lane(), group = nib_warp_uniform() / 4;");
  if (r->cluster > 1)
    nib_text_line(t, "const int32_t rank = nib_cluster_rank();");
  nib_text_open(t, "if (nib_thread() == 0) {");
  nib_text_open(t, "for (int32_t i = 0; i < %lld; ++i) {", (ll)r->stages);
  nib_text_line(t, "nib_barrier_init(&full[i], 1);");
  nib_text_line(t, "nib_barrier_init(&empty[i], %lld); /* the warps that multiply */",
                (ll)(4 * r->groups * r->cluster));
  nib_text_close(t, "");
  nib_text_line(t, "nib_fence_barrier_init();");
  nib_text_close(t, "");
  nib_text_line(t, r->cluster > 1 ? "nib_cluster_sync();" : "nib_sync();");
}

static void emit_loads(const nib_ring *r, nib_text *t) {
  const ll half = r->columns / r->cluster, k = NIB_BOX_BYTES / r->element_bytes;
  const ll columns_at = r->loads_rows ? r->rows * NIB_BOX_BYTES : 0;
  const int map = r->loads_rows;
  nib_text_open(t, "if (nib_thread() == %lld) {", (ll)(r->groups * 128));
  nib_text_line(t, "int32_t stage = 0;");
  nib_text_line(t, "uint32_t parity = 1;");
  nib_ring_open_tiles(r, t);
  nib_text_open(t, "for (int32_t k = 0; k < %lld; ++k) {", (ll)r->boxes);
  nib_text_line(t, "uint8_t *const box = nib_shared + stage * %lld;", (ll)r->stage_bytes);
  nib_text_line(t, "nib_barrier_wait(&empty[stage], parity);");
  nib_text_line(t, "nib_barrier_expect(&full[stage], %lld);", (ll)r->stage_bytes);
  if (r->loads_rows)
    nib_text_line(t, "nib_tma_load2(box, &map0, &full[stage], k * %lld, row0);", k);
  if (r->cluster > 1)
    nib_text_line(t,
                  "nib_tma_load2_both(box + %lld + rank * %lld, &map%d, &full[stage], k * %lld, "
                  "column0 + rank * %lld);",
                  columns_at, half * NIB_BOX_BYTES, map, k, half);
  else
    nib_text_line(t, "nib_tma_load2(box + %lld, &map%d, &full[stage], k * %lld, column0);",
                  columns_at, map, k);
  nib_ring_next(r, t);
  for (int i = 0; i < 3; ++i)
    nib_text_close(t, "");
}

void nib_ring_begin(const nib_ring *r, nib_direct *d) {
  nib_text *t = d->t;
  const bool shares = r->groups == 2; /* registers: fewer for the warps that load */
  *d->e->launch = (nib_launch){.grid = {r->clusters * r->cluster},
                               .threads = (int32_t)(r->groups + 1) * 128,
                               .blocks_per_sm = 1,
                               .cluster = r->cluster > 1 ? (int32_t)r->cluster : 0,
                               .shared_bytes = r->stages * (r->stage_bytes + 16)};
  emit_barriers(r, t);
  nib_text_open(t, "if (group == %lld) {", (ll)r->groups);
  if (shares)
    nib_text_line(t, "nib_registers_less(%d);", r->registers_less);
  emit_loads(r, t);
  t->indent--;
  nib_text_open(t, "} else {");
  if (shares)
    nib_text_line(t, "nib_registers_more(%d);", r->registers_more);
  nib_text_line(t, "int32_t stage = 0;");
  nib_text_line(t, "uint32_t parity = 0;");
}

void nib_ring_end(const nib_ring *r, nib_text *t) {
  nib_text_close(t, "");
  nib_text_close(t, "");
  if (r->cluster > 1)
    nib_text_line(t, "nib_cluster_sync(); /* the other block may still write here */");
}
