/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The parts of block_reals: block_reals.c (what it accepts, groups and totals), block_numbers.c (a
 * register of codes to reals), block_real_rows.c (activations in scratch). */
#ifndef NIB_SCHEDULE_BLOCK_REALS_H
#define NIB_SCHEDULE_BLOCK_REALS_H

#include "schedule/block_dots.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A tile, or a panel that becomes weights, while it is emitted. */
typedef struct nib_block_reals {
  nib_block_dots *d;
  nib_emitter *e;
  const nib_block_pack *p;
  nib_block_tile size;
} nib_block_reals;

/** What code 0 is, and the difference of neighbours, where elements are integers. */
float nib_block_least(const nib_block_pack *p);
float nib_block_step(const nib_block_pack *p);
/** The bit of a lane at which the code of piece j of byte i becomes a real: as near to where it
 * lies in the first plane as one shift for half of all codes allows. What is unpacked has its own
 * value.
 */
int nib_block_place(const nib_block_pack *p, bool unpacks, int j, int i);

/** Declares the masks of codes that become reals. */
void nib_block_numbers_declare(const nib_block_reals *t);
/** w<plane>_0 … = the registers at `w` + `at`; `first`: they are read for the first time. */
void nib_block_numbers_load(const nib_block_reals *t, int plane, int64_t at, bool first);
/** number0 … = elements [4 at, 4 at + 4) of them, piece j of the first plane, byte i. */
void nib_block_numbers_say(const nib_block_reals *t, int j, int i, int64_t at);

/** Whether sums of groups start at something, `starts`: codes have a zero. */
bool nib_block_has_starts(const nib_block_pack *p);
/** Scratch of a panel's weights, or 0; of everything. */
int64_t nib_block_unpacked_bytes(const nib_block_pack *p);
int64_t nib_block_reals_bytes(const nib_block_dots *d);
/** Declares `numbers`, the activations in f32, and what tiles need of them: `staged`, the same
 * divided by the powers of two of their codes' places, `sums` of groups, and `starts`. */
nib_status nib_block_reals_rows_emit(const nib_block_dots *d, const nib_kernel *kernel);
/** A constant of the kernel, as a pointer of this name. */
nib_status nib_block_reals_constant(const nib_block_dots *d, const nib_kernel *kernel,
                                    const char *name, const float *values, size_t count);

#ifdef __cplusplus
}
#endif
#endif
