/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_dots: dense layers whose weights have few bits and whose activations are bytes, or f32 that
 * become bytes. The parts of the schedule: block_dots.c (what it accepts), block_panels.c (loops
 * over panels and rows), block_rows.c and block_digits.c (rows of activations in scratch),
 * block_tile.c and block_sums.c (the micro-kernel), block_unpack.c. block_reals.c is a schedule of
 * its own, for activations that stay f32. */
#ifndef NIB_SCHEDULE_BLOCK_DOTS_H
#define NIB_SCHEDULE_BLOCK_DOTS_H

#include "epilogue/epilogue.h"
#include "pack/pack_blocks.h"

/** Bytes ahead at which packed weights are prefetched: what comes from memory is late at half of
 * that, and what comes from the last cache is no sooner there. */
enum { NIB_BLOCK_AHEAD = 6144 };

/** Of scales: see nib_block_magic. */
#define NIB_BLOCK_MAGIC_FACTOR (-12582912.0f)

/** Of an f32 activation: to base 256, each in -128 to 127 (block_digits.c). */
enum { NIB_BLOCK_DIGITS = 3 };

#ifdef __cplusplus
extern "C" {
#endif

/** Bases can make the integer sum S the bits of the float 1.5 * 2^23 + S. A fused product with a
 * scale then takes the place of a conversion and a product: beside the scales of rows, or those of
 * columns, are their products by -1.5 * 2^23, which are exact. */
typedef enum nib_block_magic {
  NIB_BLOCK_NO_MAGIC,
  NIB_BLOCK_MAGIC_ROWS,
  NIB_BLOCK_MAGIC_COLUMNS /**< where factors of columns are unpacked */
} nib_block_magic;

/** Rows of activations as the micro-kernel reads them, and where in scratch they are. */
typedef struct nib_block_rows {
  const nib_tensor *x;
  int64_t rows, k;
  int digits; /**< rows of int8 codes that a row of activations is, each with scales of its own: 1
                 where they are blocks of these, or NIB_BLOCK_DIGITS where they are reals */
  int64_t scale_elems; /**< elements that share a scale */
  int64_t steps;       /**< integer sums of a row */
  int64_t chunk_steps; /**< of a chunk of K: what is of one for all rows lies together */
  int64_t chunks;
  int64_t stride; /**< bytes in a chunk from one row of int8 codes to the next */
  int64_t flip;   /**< subtracted from codes to make them int8: 128 or 0 */
  bool has_bases, has_offset_sums;
  nib_block_magic magic;
  int64_t codes_at, bases_at, scales_at, magics_at, offset_sums_at, bytes; /**< in scratch */
} nib_block_rows;

typedef struct nib_block_dots {
  nib_emitter *e; /**< NULL while planning */
  const nib_graph *g;
  const nib_node *n;
  const nib_vocab *v;
  nib_block_pack pack;
  nib_block_rows rows;
  nib_epilogue epilogue;
  int64_t tile_rows;
  bool in_chunks; /**< of K, [first, last) groups at a time: totals wait in scratch */
  bool
      totals_stay; /**< in scratch, where sums of a long group have the registers: met once in it */
  bool unpacks;    /**< many rows: a chunk of a panel becomes bytes in scratch first */
  int made_log2;   /**< unpacked bytes are codes times 2^made_log2: mul_log2 of the pack, or 0 */
  int in_place;    /**< codes that are spread: how many of a byte are multiplied where they lie
                        before they are shifted; 1: only the lowest */
  bool looks_up;   /**< sums of four activations are looked up (block_tables.c) */
  int64_t table_stride; /**< bytes of a row's tables */
  int64_t chunk_groups; /**< groups of a chunk */
  int64_t row_block; /**< where it unpacks: rows that all panels are run for before the next ones */
  int64_t unpacked_at, totals_at, tables_at, scratch_bytes;
  const char *weights, *bias;
  const char *tables[NIB_BLOCK_MAX_TABLES];
} nib_block_dots;

/** Whether a format is blocks of plain int8 codes without anything added to them. */
bool nib_block_codes_are_bytes(const nib_format_info *format);
/** Whether a format is blocks of plain int8 codes under one scale that block_rows reads. */
bool nib_block_is_bytes(const nib_format_info *format);
/** Plans the kernel's rows (see block_rows.c), in chunks of `chunk_groups` groups of the weights,
 * which are unpacked chunk by chunk, or 0 where they are multiplied as they lie; false where
 * activations are none that it reads. */
bool nib_block_rows_plan(const nib_graph *g, const nib_node *n, const nib_block_pack *pack,
                         const nib_vocab *v, int64_t chunk_groups, nib_block_rows *out_rows);
/** Elements of a row that share a scale: what the weights' packing must meet. 0: not accepted. */
int64_t nib_block_rows_group(const nib_tensor *x);
/** The same where f32 become digits, group by group of the weights. */
int64_t nib_block_digits_group(const nib_tensor *x, const nib_tensor *w);
/** Writes the rows into scratch: codes, -zero * sums of codes, scales. */
void nib_block_rows_emit(const nib_block_dots *d);
/** Opens the loops over the rows of activations and their blocks, and writes each block's digits:
 * int8_t digits[NIB_BLOCK_DIGITS][…], the highest first, and `unit`, what the last ones count, or a
 * NaN where a number of the block is none or infinite. `row` and `b` count; both loops stay open.
 */
void nib_block_digits_open(const nib_block_dots *d);

/** One tile: `rows` rows from row expression `row`, `columns` registers of the panel at pointer
 *  `panel`; `tail`: valid lanes of the last, 0 for all. */
typedef struct nib_block_tile {
  int64_t rows;
  int columns, tail;
} nib_block_tile;

/** Sums all groups, finishes and stores at `out`; or, where the kernel works in chunks, adds groups
 *  [first, last), which are at `unpacked` if it unpacks, to the totals in scratch. */
void nib_block_tile_emit(nib_block_dots *d, const nib_block_tile *t);
/** Bias, clamp, what follows the product, and the store of register total<m>_<c>, whose row is
 * `row` + m and whose first column `channel` + c registers. */
void nib_block_finish_value(nib_block_dots *d, const nib_block_tile *t, int64_t m, int c);
/** Whether operands and result are what schedules of blocks read and write: weights and a bias that
 * are constants, reals as results. */
bool nib_block_operands_fit(const nib_graph *g, const nib_node *n, const nib_vocab *v);
/** Pieces of a bundle of `spread` that are multiplied while their codes are at hand, each for
 * `sums` registers of sums: as many as half of the registers hold. */
int nib_block_pieces_together(const nib_vocab *v, int spread, int64_t sums);
/** Whether a schedule runs the kernel, and how. */
typedef bool nib_block_plan(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                            nib_block_dots *out_dots);
/** Begins to emit as `plan` says: the weights as out_dots->pack packs them, tables and the bias
 * (f32) are constants of the kernel. */
nib_status nib_block_begin(nib_emitter *e, const nib_kernel *kernel, nib_block_plan *plan,
                           nib_block_dots *out_dots);
/** Begins the epilogue, with the bounds that the node's activation has. */
nib_status nib_block_begin_epilogue(nib_block_dots *d, const nib_kernel *kernel);
/** Behind `bytes` of codes and factors from `w` on, of which the first `factor_bytes` are factors:
 * a line of each page well later, and the lines of factors `ahead`; `one_row`: see
 * nib_say_prefetch. */
void nib_block_prefetch(nib_emitter *e, int64_t bytes, int64_t factor_bytes, int ahead,
                        bool one_row);
/** All panels and, of each, tiles of tile_rows rows and the rest, by `emit`. */
typedef void nib_block_emit_tile(nib_block_dots *d, const nib_block_tile *t);
void nib_block_emit_rows(nib_block_dots *d, int columns, int tail, nib_block_emit_tile *emit);
void nib_block_emit_panels(nib_block_dots *d,
                           void (*emit_panel)(nib_block_dots *d, int columns, int tail));
/** Finishes and stores the totals in scratch. */
void nib_block_finish_emit(nib_block_dots *d, const nib_block_tile *t);

/** Tables of sums: 256 bytes for 32 activations, of which the first half is for the first 16: the
 * low 6 bits of 16 sums for each four, then the other bits. They are made nonnegative: what a
 * step's sums are too large by. */
int64_t nib_block_table_excess(const nib_block_pack *p);
/** Constants of looking up, and columns w0 … of 32 elements against the tables at `a` + `at` of
 *  rows [0, rows): acc<m>_<c>_0 += sums. */
void nib_block_lookup_declare(const nib_block_dots *d);
void nib_block_lookup_emit(const nib_block_dots *d, const nib_block_tile *size, int64_t at);

/** Constants of nested sums, and the products of the registers w0 … of codes that columns share
 * with the activations at `a` + `at`: acc0_<c>_0 += those of column register c and, times powers of
 * two, of the ones behind it in the byte. */
void nib_block_nested_declare(const nib_block_dots *d);
void nib_block_nested_emit(const nib_block_dots *d, const nib_block_tile *size, int64_t at);

/** Unpacks groups [first, last) of the panel at `panel`, of `columns` registers, to `unpacked`: of
 * each group the bytes [step][element / 4][column register], then scales, offsets and magic
 * numbers in f32 (block_unpack.c). */
void nib_block_unpack_emit(const nib_block_dots *d, int columns);
/** Whether there are magic numbers among them. */
bool nib_block_magic_is_by_columns(const nib_block_dots *d);
/** Bytes of those factors of a group. */
int64_t nib_block_unpacked_factor_bytes(const nib_block_dots *d, int64_t columns);

#ifdef __cplusplus
}
#endif
#endif
