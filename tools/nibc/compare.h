/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Comparing results: integers exactly, floats within a bound relative to the largest reference. */
#ifndef NIBC_COMPARE_H
#define NIBC_COMPARE_H

#include "graph/graph.h"

/** ‖y − r‖∞ ≤ this · ‖r‖∞. */
#define NIBC_FLOAT_TOLERANCE 1e-5
/** The same for networks that --precision put into f16, where sums of products are in f16 too, or
 *  bf16: whole networks against f32. */
#define NIBC_F16_TOLERANCE 0x1p-5
#define NIBC_BF16_TOLERANCE 0x1p-3
/** From now on: what f16 or bf16 is allowed. */
void nibc_allow_precision(nib_format format);
/** Where r is known in double: or ‖y − r‖∞ ≤ this · ‖f − r‖∞, f the portable f32 reference's result,
 *  at its largest over all runs. Sums that cancel lose more than the tolerance in any f32
 *  arithmetic, though one order of them may be lucky in one run. */
#define NIBC_FLOAT_DEVIATIONS 2

/** Differences of one tensor, over all runs. */
typedef struct nibc_tally {
  int64_t elems, differing;
  double largest;  /**< largest |difference|: codes, or real units of floats */
  double distance; /**< floats: largest ‖y − r‖∞ of a run */
  double relative; /**< floats: largest ‖y − r‖∞ / ‖r‖∞ of a run with r ≠ 0 */
  bool has_single; /**< the f32 reference was compared as well: the same two of ‖f − r‖∞ */
  double single_distance, single_relative;
  int64_t first_run, first_index;
  double first_got, first_want, first_bound;
} nibc_tally;

/** Adds one run of `n` elements. Integers differ when they are not equal, floats when they are
 *  further apart than the bound (NaN equals NaN). */
void nibc_tally_add(nibc_tally *tally, nib_format format, const void *got, const void *want,
                    int64_t n, int64_t run);
/** What is expected of f32 was summed in f32: numbers that should be 0 are noise of the largest. */
#define NIBC_F32_NOISE 0x1p-22
/** The same as the ONNX standard's own tests do: floats differ when |got − want| is above
 *  1e-7 + 1e-3 · |want| (of f32, + NIBC_F32_NOISE · ‖want‖∞), or one is not finite and the other another number. */
void nibc_tally_add_standard(nibc_tally *tally, nib_format format, const void *got,
                             const void *want, int64_t n, int64_t run);
/** Adds one run of `n` f32 elements, with the result in double and that of the f32 reference. */
void nibc_tally_add_exact(nibc_tally *tally, const void *got, const double *exact,
                          const void *single, int64_t n, int64_t run);
/** Whether the runs must be added again to tallies[0..n), which are cleared for it: something differs
 *  from results in double, and how far the f32 reference strays is known only after all runs. */
bool nibc_tallies_restart(nibc_tally *tallies, int n);
/** "3 of 120 elements differ, by at most 2; first in run 0 at element 5: 7 instead of 9" */
void nibc_tally_describe(const nibc_tally *tally, char *out_text, size_t size);
/** "largest difference 1e-08, relative 6e-06 (f32 reference: 9e-09, 5e-06)"; for floats. */
void nibc_tally_describe_distance(const nibc_tally *tally, char *out_text, size_t size);
/** Element `i` as a real number (integers: the code). */
double nibc_element(nib_format format, const void *data, int64_t i);

#endif
