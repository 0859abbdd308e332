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
static const char k_tiles[] =
    "for (int32_t unit = $first_unit; unit < $units; unit += $clusters) {\n";

static const char k_tile[] =
    "const int32_t band = unit / $per_band, within = unit % $per_band;\n"
    "[last_band] const int32_t high = band < $bands ? $band : $last_band;\n"
    "[!last_band] const int32_t high = $band;\n"
    "[clustered] const int32_t row0 = (($row) * 2 + rank) * $rows;\n"
    "[!clustered] const int32_t row0 = ($row) * $rows;\n"
    "const int32_t column0 = ($column) * $columns;\n";

static const char k_next[] = "if (++stage == $stages) {\n"
                             "  stage = 0;\n"
                             "  parity ^= 1;\n"
                             "}\n";

/* Opens the role of the thread that loads. */
static const char k_barriers[] =
    "uint64_t *const full = (uint64_t *)(void *)(nib_shared + $ring_bytes);\n"
    "uint64_t *const empty = full + $stages;\n"
    "const int32_t lane = nib_lane(), group = nib_warp_uniform() / 4;\n"
    "[clustered] const int32_t rank = nib_cluster_rank();\n"
    "if (nib_thread() == 0) {\n"
    "  for (int32_t i = 0; i < $stages; ++i) {\n"
    "    nib_barrier_init(&full[i], 1);\n"
    "    nib_barrier_init(&empty[i], $multiplying); /* the warps that multiply */\n"
    "  }\n"
    "  nib_fence_barrier_init();\n"
    "}\n"
    "[clustered] nib_cluster_sync();\n"
    "[!clustered] nib_sync();\n"
    "if (group == $groups) {\n"
    "  [shares] nib_registers_less($registers_less);\n"
    "  if (nib_thread() == $first_loading) {\n"
    "    int32_t stage = 0;\n"
    "    uint32_t parity = 1;\n";

static const char k_load[] =
    "for (int32_t k = 0; k < $boxes; ++k) {\n"
    "  uint8_t *const box = nib_shared + stage * $stage_bytes;\n"
    "  nib_barrier_wait(&empty[stage], parity);\n"
    "  nib_barrier_expect(&full[stage], $stage_bytes);\n"
    "  [!loads_rows] (void)row0;\n"
    "  [loads_rows] nib_tma_load2(box, &map0, &full[stage], k * $box_k, row0);\n"
    "  [clustered] nib_tma_load2_both(box + $columns_at + rank * $half_bytes, &map$loads_rows, "
    "&full[stage], k * $box_k, column0 + rank * $half);\n"
    "  [!clustered] nib_tma_load2(box + $columns_at, &map$loads_rows, &full[stage], k * $box_k, "
    "column0);\n";

static const char k_role[] = "      }\n"
                             "    }\n"
                             "  }\n"
                             "} else {\n"
                             "  [shares] nib_registers_more($registers_more);\n"
                             "  int32_t stage = 0;\n"
                             "  uint32_t parity = 0;\n";

void nib_ring_open_tiles(const nib_ring *r, nib_text *t) { nib_text_block(t, k_tiles); }

void nib_ring_place(const nib_ring *r, nib_text *t) {
  nib_text_block(t, "nib_keep_i32(&unit);\n");
  nib_text_block(t, k_tile);
}

void nib_ring_next(const nib_ring *r, nib_text *t) { nib_text_block(t, k_next); }

void nib_ring_hand_back(const nib_ring *r, nib_text *t, const char *stage) {
  nib_text_set_words(t, "handed", "%s", stage);
  nib_text_block(t, "if (lane < $cluster)\n"
                    "  [clustered] nib_barrier_arrive_at(&empty[$handed], lane);\n"
                    "  [!clustered] nib_barrier_arrive(&empty[$handed]);\n");
}

static void name_sizes(const nib_ring *r, nib_text *t) {
  const int64_t tiles = r->row_tiles * r->column_tiles, half = r->columns / r->cluster,
                banded = r->bands_of_columns ? r->column_tiles : r->row_tiles;
  nib_text_set(t, "rows columns cluster clustered", r->rows, r->columns, r->cluster,
               r->cluster > 1);
  nib_text_set(t, "units clusters per_band", tiles, r->clusters, r->band * (tiles / banded));
  nib_text_set(t, "band bands last_band", r->band, banded / r->band, banded % r->band);
  nib_text_set(t, "boxes box_k", r->boxes, NIB_BOX_BYTES / r->element_bytes);
  nib_text_set(t, "stages stage_bytes", r->stages, r->stage_bytes);
  nib_text_set(t, "ring_bytes", r->stages * r->stage_bytes);
  nib_text_set(t, "groups first_loading", r->groups, r->groups * 128);
  nib_text_set(t, "multiplying", 4 * r->groups * r->cluster);
  nib_text_set(t, "shares registers_less", r->groups == 2, r->registers_less);
  nib_text_set(t, "registers_more loads_rows", r->registers_more, r->loads_rows);
  nib_text_set(t, "columns_at", r->loads_rows ? r->rows * NIB_BOX_BYTES : 0);
  nib_text_set(t, "half half_bytes", half, half * NIB_BOX_BYTES);
  nib_text_set_words(t, "first_unit", "nib_block_x()%s", r->cluster > 1 ? " / 2" : "");
  nib_text_set_words(t, r->bands_of_columns ? "column" : "row", "band * %lld + within %% high",
                     (ll)r->band);
  nib_text_set_words(t, r->bands_of_columns ? "row" : "column", "within / high");
}

void nib_ring_begin(const nib_ring *r, nib_direct *d) {
  *d->e->launch = (nib_launch){.grid = {r->clusters * r->cluster},
                               .threads = (int32_t)(r->groups + 1) * 128,
                               .blocks_per_sm = 1,
                               .cluster = r->cluster > 1 ? (int32_t)r->cluster : 0,
                               .shared_bytes = r->stages * (r->stage_bytes + 16)};
  name_sizes(r, d->t);
  const char *const parts[] = {k_barriers, k_tiles, k_tile, k_load, k_next, k_role};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i)
    nib_text_block(d->t, parts[i]);
}

void nib_ring_end(const nib_ring *r, nib_text *t) {
  nib_text_block(t, "  }\n"
                    "}\n"
                    "[clustered] nib_cluster_sync(); /* the other block may still write here */\n");
}
