/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparing results: integers exactly, floats within a bound relative to the largest reference. */
#ifndef NIBC_COMPARE_H
#define NIBC_COMPARE_H

#include "graph/graph.h"

/** ‖y − r‖∞ ≤ this · ‖r‖∞. */
#define NIBC_FLOAT_TOLERANCE 1e-5

/** Differences of one tensor, over all runs. */
typedef struct nibc_tally {
  int64_t elems, differing;
  double largest;  /**< largest |difference|: codes, or real units of floats */
  double relative; /**< floats: largest ‖y − r‖∞ / ‖r‖∞ of a run */
  int64_t first_run, first_index;
  double first_got, first_want;
} nibc_tally;

/** Adds one run of `n` elements. Integers differ when they are not equal, floats when they are
 *  further apart than the bound (NaN equals NaN). */
void nibc_tally_add(nibc_tally *tally, nib_format format, const void *got, const void *want,
                    int64_t n, int64_t run);
/** "3 of 120 elements differ, by at most 2; first in run 0 at element 5: 7 instead of 9" */
void nibc_tally_describe(const nibc_tally *tally, char *out_text, size_t size);
/** Element `i` as a real number (integers: the code). */
double nibc_element(nib_format format, const void *data, int64_t i);

#endif
