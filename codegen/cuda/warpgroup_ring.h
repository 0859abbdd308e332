/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What schedules for warpgroups (sm_90a) share. A block computes one tile after another of a result
 * of rows by columns. One thread of its last warpgroup fills a ring of stages in shared memory with
 * boxes of operands, 128 bytes along K, by the copy engine; the other warpgroups multiply 64 rows
 * each, and hand stages back. The ring runs on from tile to tile. In a cluster two blocks, one
 * below the other, load half a box of columns each for both. */
#ifndef NIB_CUDA_WARPGROUP_RING_H
#define NIB_CUDA_WARPGROUP_RING_H

#include "schedule/direct.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  NIB_PROCESSORS = 132, /**< multiprocessors of an H100 or H200 */
  NIB_BOX_BYTES = 128,  /**< of a row of a box: one swizzle */
};

typedef struct nib_ring {
  int64_t rows, columns, cluster; /**< of a block's tile; blocks of a cluster */
  int64_t groups;                 /**< warpgroups that multiply */
  int64_t element_bytes;
  int64_t boxes;   /**< along K, of a tile */
  bool loads_rows; /**< boxes of rows come by map 0, and lie before those of columns; else those of
                      columns come by map 0 */
  int64_t stage_bytes, stages;
  int64_t row_tiles, column_tiles; /**< those of a cluster count as one */
  int64_t clusters;                /**< that run */
  /** So many tiles along columns (else rows) run at a time for each place along the other, so that
   * what all of them read stays in the cache. */
  int64_t band;
  bool bands_of_columns;
  int registers_less, registers_more; /**< where two warpgroups multiply */
} nib_ring;

/** Fills what follows from rows, columns, cluster, loads_rows, band and bands_of_columns, for a
 * result of `m` rows by `n` columns. */
void nib_ring_plan(nib_ring *r, int64_t m, int64_t n);

/** The shapes, at most 12, that the cost model finds fastest for a result of `m` rows by `n`
 * columns, first; the answer is how many. */
int nib_ring_tiles(const int32_t (*shapes)[NIB_MAX_TILE], int count, int64_t m, int64_t n,
                   int64_t k_bytes, int32_t (*out_tiles)[NIB_MAX_TILE], int capacity);

/** Adds the map of an operand of `rows` rows of `k` elements, `pitch` bytes apart, in boxes of
 * `box_rows`, to the launch. Its parameter is `name`. */
nib_launch_map *nib_ring_add_map(const nib_ring *r, nib_launch *l, const char *name, int64_t k,
                                 int64_t rows, int64_t pitch, int64_t box_rows);

/** Sets the launch; writes the barriers, the role of the thread that loads, and opens that of the
 * warpgroups that multiply: `lane`, `group`, `rank` (in a cluster), `stage` and `parity`. There
 * nib_ring_open_tiles opens the loop over tiles, and nib_ring_place declares `row0` and `column0`
 * of the tile, computed where they are needed: kept through all products, they would take registers
 * that sums need. nib_ring_end closes both. */
void nib_ring_begin(const nib_ring *r, nib_direct *d);
void nib_ring_open_tiles(const nib_ring *r, nib_text *t);
void nib_ring_place(const nib_ring *r, nib_text *t);
void nib_ring_end(const nib_ring *r, nib_text *t);
/** Goes on to the next stage; hands back stage number `stage`, an expression. */
void nib_ring_next(const nib_ring *r, nib_text *t);
void nib_ring_hand_back(const nib_ring *r, nib_text *t, const char *stage);

#ifdef __cplusplus
}
#endif
#endif
