/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The scale of elements that share one. */
#ifndef NIB_NUM_SCALE_SEARCH_H
#define NIB_NUM_SCALE_SEARCH_H

#include "num/format.h"

#ifdef __cplusplus
extern "C" {
#endif

/** value = scale * element + offset. */
typedef struct nib_scale_pair {
  float scale, offset;
} nib_scale_pair;

typedef struct nib_scale_search {
  const nib_block_layout *b;
  const nib_encode_options *options;
  double low, high;  /**< values of an element less the zero point, before the scale */
  bool has_offset;   /**< or a zero point: elements are not centred on 0 */
  bool has_nan;      /**< the element type has a code for it */
  float values[256]; /**< of the codes of an element, where there are no more */
} nib_scale_search;

void nib_scale_search_init(nib_scale_search *s, const nib_format_info *info,
                           const nib_encode_options *options);
/** By the format's rule alone. */
nib_scale_pair nib_scale_by_rule(const nib_scale_search *s, const float *x, int n);
/** As the options ask for. */
nib_scale_pair nib_scale_choose(const nib_scale_search *s, const float *x, int n);

/** The code of an element's value `v`, before the scale, saturated unless the options say else. */
uint64_t nib_scale_encode(const nib_scale_search *s, double v, nib_encode_mode mode,
                          uint64_t random);

/** The values of a format's codes less `zero`. */
void nib_scale_value_range(nib_format format, double zero, double *out_low, double *out_high);
/** `v` within the values that the encoder may use; NaN as it is or 0. */
double nib_scale_clip(const nib_scale_search *s, double v);
/** A large number for an infinity, 0 for NaN. */
float nib_scale_finite(float x);
/** Number `i` of a sequence of 64 random bits each. */
uint64_t nib_random_bits(uint64_t seed, uint64_t i);

#ifdef __cplusplus
}
#endif
#endif
