/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Staging of input rows: the vector convolutions read rows that were converted to the vocabulary's
 * stage format and given their borders, in a ring of as many rows as the filter spans. */
#ifndef NIB_SCHEDULE_STAGE_ROWS_H
#define NIB_SCHEDULE_STAGE_ROWS_H

#include "epilogue/say.h"
#include "params/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_stage {
  nib_conv_shape shape;
  nib_format format;  /**< of the input */
  const char *c_type; /**< of a staged element: uint8_t, int16_t, or the vocabulary's type of reals */
  nib_format real;    /**< of staged reals: f32 or f16 */
  int64_t elem_bytes;
  bool direct;                 /**< rows are read from in0 as they are */
  int64_t span;                /**< rows under a filter */
  int64_t ring;                /**< rows of the ring: of a span, or all where they are few bytes */
  int64_t pixels;              /**< staged pixels of a row, borders included */
  int64_t left, copied, right; /**< pixels = left + copied + right */
  int64_t last_copied; /**< of the last row: less only where pixels were flattened to rows */
  int64_t channels;    /**< staged elements of a pixel */
  int64_t row_elems;   /**< from one staged row to the next */
  int64_t fill;        /**< staged value of the border */
  int64_t zero_point;  /**< of the input, subtracted where the stage format says so */
  int64_t cut_pixels;  /**< not 0: of a single row without borders, a part stages its tiles of as
                          many  pixels, from `first` */
  bool repeat;         /**< depthwise with a multiplier: each input channel repeated */
  int64_t source_ring; /**< in0 is a ring of so many rows; 0: all rows of the input */
  bool twice;          /**< reals are staged twice, side by side, as one element */
  bool skips;          /**< steps may start at any row: `next` jumps to the first that they read */
} nib_stage;

/** `read_past`: elements that kernels may read past a row's end. `must_stage`: never direct. */
void nib_stage_init(nib_stage *s, const nib_tensor *input, const nib_conv_shape *shape,
                    const nib_vocab *v, int64_t fill, int64_t read_past, bool must_stage);
/** Stages each real twice, where the vocabulary can broadcast that: STAGE_TWICE and F32_TWICE. Right after
 *  nib_stage_init. */
void nib_stage_reals_twice(nib_stage *s, const nib_vocab *v, int64_t read_past);
int64_t nib_stage_ring_bytes(const nib_stage *s); /**< a multiple of 64; 0 when direct */
/** Primitives that it says. */
bool nib_stage_can_emit(const nib_stage *s, const nib_vocab *v);

/** Before the loops: `ring`. */
void nib_stage_emit_begin(const nib_stage *s, nib_emitter *e);
/** Opens the loop over output rows y, of a part of them if `cut`, and declares `next`. */
void nib_stage_emit_loop(const nib_stage *s, nib_emitter *e, bool cut);
/** At the top of the loop over y: stages what output row y needs and declares `rows[]` (or `row`,
 *  the first, where the others follow it in memory). After each staged row, `after(user)` may emit more; NULL for nothing. */
void nib_stage_emit_rows(const nib_stage *s, nib_emitter *e, void (*after)(void *user), void *user);
/** Expression of kernel row `ky`'s staged row. */
nib_word nib_stage_row(const nib_stage *s);
/** The same of a filter of `rows` rows that begins at row `first` of the window. */
nib_word nib_stage_row_of(const nib_stage *s, int64_t first, int64_t rows);

#ifdef __cplusplus
}
#endif
#endif
