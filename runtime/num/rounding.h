/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The named rounding modes: one table. Definitions: docs/numerics.md. */
#ifndef NIB_NUM_ROUNDING_H
#define NIB_NUM_ROUNDING_H

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_ROUNDINGS(X)                                                                           \
  X(NEAREST_EVEN, "nearest-even")   /* saturate(rint((float)acc * (float)scale) + zp) */           \
  X(NEAREST_AWAY, "nearest-away")   /* the same with ties away from zero */                        \
  X(TFLITE_SINGLE, "tflite-single") /* 31-bit multiplier, one rounding shift */                    \
  X(TFLITE_DOUBLE, "tflite-double") /* doubling high multiply rounded, then rounding shift */      \
  X(TFLITE_INT64, "tflite-int64")   /* 64-bit accumulator, 16-bit multiplier, one rounding */      \
  X(DYADIC, "dyadic")               /* integer m * 2^-s, rounded half up */                        \
  X(TOSA_SINGLE, "tosa-single")                                                                    \
  X(TOSA_DOUBLE, "tosa-double")                                                                    \
  X(TOSA_INEXACT, "tosa-inexact")                                                                  \
  X(TFLITE_AWAY, "tflite-away") /* 31-bit multiplier, one rounding, ties away from zero */

typedef enum nib_rounding {
#define X(ID, name) NIB_ROUNDING_##ID,
  NIB_ROUNDINGS(X)
#undef X
      NIB_ROUNDING_COUNT
} nib_rounding;

const char *nib_rounding_name(nib_rounding rounding);
/** NIB_ROUNDING_COUNT if `name` is none of the table's. */
nib_rounding nib_rounding_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
