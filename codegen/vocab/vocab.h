/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A vocabulary says each primitive of the generator in the C of one instruction set. Schedules,
 * packing and epilogues are written against primitives only. One file in this folder is one
 * vocabulary, or a family of them linked by `next`, and CMake finds it (nib_vocab_<stem> must be
 * defined there). */
#ifndef NIB_VOCAB_VOCAB_H
#define NIB_VOCAB_VOCAB_H

#include "emit/text.h"
#include "num/format.h"
#include "target/target.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NIB_PRIM(ID, name, operands): a primitive is a statement template. `$d` is the destination
 * variable, `$a $b $c $e` the operands (C expressions), `$n` a count of valid lanes for the *_TAIL
 * forms (1 ≤ n < lanes, an integer expression). V32I/V32F is a register of `lanes` i32/f32.
 * Pointers are to the element type named. */
#define NIB_PRIMITIVES(X)                                                                          \
  /* constants and moves */                                                                        \
  X(I32_SET, "i32_set")             /* d = all lanes int32 a */                                    \
  X(I32_LOAD, "i32_load")           /* d = lanes i32 from a */                                     \
  X(I32_LOAD_TAIL, "i32_load_tail") /* n lanes, the others 0 */                                    \
  X(F32_SET, "f32_set")                                                                            \
  X(F32_LOAD, "f32_load")                                                                          \
  X(F32_LOAD_TAIL, "f32_load_tail")                                                                \
  X(F32_STORE, "f32_store")         /* a: pointer, b: register */                                  \
  X(F32_STORE_TAIL, "f32_store_tail")                                                              \
  X(I32_STORE, "i32_store")                                                                        \
  X(I32_STORE_TAIL, "i32_store_tail")                                                              \
  /* widening loads to i32 lanes */                                                                \
  X(I8_LOAD, "i8_load") X(I8_LOAD_TAIL, "i8_load_tail")                                            \
  X(U8_LOAD, "u8_load") X(U8_LOAD_TAIL, "u8_load_tail")                                            \
  X(I16_LOAD, "i16_load") X(I16_LOAD_TAIL, "i16_load_tail")                                        \
  /* narrowing stores of i32 lanes, saturating to the range of the format */                       \
  X(I8_STORE, "i8_store") X(I8_STORE_TAIL, "i8_store_tail")                                        \
  X(U8_STORE, "u8_store") X(U8_STORE_TAIL, "u8_store_tail")                                        \
  X(I16_STORE, "i16_store") X(I16_STORE_TAIL, "i16_store_tail")                                    \
  /* dot products: weights of `lanes` columns x dot_k, activations broadcast */                    \
  X(WEIGHT_LOAD, "weight_load")     /* d = packed weight group at a (lanes * dot_k elements) */    \
  X(ACT_BCAST, "act_bcast")         /* d = dot_k staged activations at a, in every column */       \
  X(DOT, "dot")                     /* d(i32) += activations a . weights b */                      \
  X(MAC16, "mac16")                 /* d(i32) += a * b lane by lane; a: i32 lanes in i16's range,  \
                                       b: i32 lanes whose low half is an i16, high half 0 */       \
  /* where lanes_i16: the operands of MAC16, from int8, uint8 and int16 */                         \
  X(LANE_I8, "lane_i8") X(LANE_U8, "lane_u8") X(LANE_LOAD, "lane_load")                            \
  X(F32_FMA_SCALAR, "f32_fma_scalar") /* d += a * b, a: one float for all lanes */                 \
  X(F32_FMA, "f32_fma")             /* d += a * b */                                               \
  /* i32 arithmetic */                                                                             \
  X(I32_ADD, "i32_add") X(I32_SUB, "i32_sub") X(I32_MUL, "i32_mul")                                \
  X(I32_MIN, "i32_min") X(I32_MAX, "i32_max")                                                      \
  /* the same with a constant for b; optional */                                                   \
  X(I32_ADD_CONST, "i32_add_const") X(I32_SUB_CONST, "i32_sub_const")                              \
  X(I32_MIN_CONST, "i32_min_const") X(I32_MAX_CONST, "i32_max_const")                              \
  X(I32_SHL, "i32_shl")             /* d = a << b, b a constant */                                 \
  /* requantization: d = rounded(a * multiplier), no zero point. b: multiplier register (i32, or   \
   * f32 for the float modes), c: shift register (i32, TFLite's sign: positive is left) */         \
  X(RQ_TFLITE_DOUBLE, "rq_tflite_double")                                                          \
  X(RQ_TFLITE_SINGLE, "rq_tflite_single")                                                          \
  X(RQ_TFLITE_AWAY, "rq_tflite_away")                                                              \
  /* the same where every shift is -2 or less */                                                   \
  X(RQ_TFLITE_DOUBLE_RIGHT, "rq_tflite_double_right")                                              \
  X(RQ_TFLITE_SINGLE_RIGHT, "rq_tflite_single_right")                                              \
  X(RQ_TFLITE_AWAY_RIGHT, "rq_tflite_away_right")                                                  \
  X(RQ_NEAREST_EVEN, "rq_nearest_even") /* saturated to i32 */                                     \
  X(RQ_NEAREST_AWAY, "rq_nearest_away")                                                            \
  /* f32 arithmetic */                                                                             \
  X(F32_ADD, "f32_add") X(F32_SUB, "f32_sub") X(F32_MUL, "f32_mul") X(F32_DIV, "f32_div")          \
  X(F32_MIN, "f32_min") X(F32_MAX, "f32_max")                                                      \
  /* b a constant; optional. The larger and smaller one, b for a NaN; and with a NaN kept */         \
  X(F32_MAX_CONST, "f32_max_const") X(F32_MIN_CONST, "f32_min_const")                              \
  X(F32_RAISE_CONST, "f32_raise_const") X(F32_LOWER_CONST, "f32_lower_const")                      \
  X(F32_FROM_I32, "f32_from_i32")                                                                  \
  X(F32_OF_BITS, "f32_of_bits")     /* d = the real whose bits are a (i32); F32_FMA rounds once */  \
  X(I32_FROM_F32_EVEN, "i32_from_f32_even") /* rint, saturated at 2^30 or more; NaN: 0 */         \
  X(I32_FROM_F32_AWAY, "i32_from_f32_away") /* roundf, with the same ends */                       \
  X(LOOKUP8, "lookup8")             /* d = a[b lane by lane], a: const int8_t * to 256 entries and \
                                       3 more readable bytes, b in 0..255 */                       \
  /* d = (int32) rint(fma((float)a, b, c)) without saturation: |fma| < 2^31, so that multiplier,   \
   * rounding and zero point are one step. The epilogue uses it where it proves it exact */        \
  X(RQ_LINEAR, "rq_linear")                                                                        \
  X(RQ_STARTED, "rq_started")       /* as RQ_LINEAR of the float whose bits are a, instead of (float)a */ \
  X(RQ_ROUNDED, "rq_rounded")       /* d = fma(x, b, c) - 1.5 * 2^23, x likewise: a float that is an integer */ \
  X(RQ_PRODUCT, "rq_product")       /* d = (int32) rint((float)a * b), likewise */                  \
  X(RQ_SIGNED, "rq_signed")         /* as RQ_LINEAR with copysign(c, a) for c, c >= 0 */             \
  /* staging of codes [$b, $b + $n) of four rows, $a: array of their pointers: at $d four staged      \
   * elements, one of each row, for each column; u8 staging with dot_k 4 only */                   \
  X(QUADS_I8, "quads_i8") X(QUADS_U8, "quads_u8")                                                  \
  /* the same for $n a multiple of 4 * lanes: of each 4 * lanes columns, part q of 16 bytes of      \
   * register j of four has columns 16q + 4j + 0..3, which NARROW16 of registers 0 and 1, and 2 and \
   * 3, and then PACK_I8 or PACK_U8 bring in order */                                               \
  X(QUADS_PARTS_I8, "quads_parts_i8") X(QUADS_PARTS_U8, "quads_parts_u8")                          \
  /* the same for $n a multiple of 2 * lanes: of each 2 * lanes columns, of h parts for each half    \
   * of a register, parts q and h + q of register j of two have columns 16q + 8j + 0..3 and + 4..7,  \
   * which NARROW16 of both, and then PACK_PAIRS of two columns' bring in order */                   \
  X(QUADS_PAIRS_I8, "quads_pairs_i8") X(QUADS_PAIRS_U8, "quads_pairs_u8")                          \
  X(RQ_FIX, "rq_fix")               /* d += a == b ? c : 0 */                                      \
  X(ORDER, "order")                 /* loads and stores stay on their side of it */                \
  X(RELOAD, "reload")               /* d, a pointer, stays: what it points to is loaded anew, since \
                                     * compilers keep constants over loops in spilled registers */ \
  X(I32_AFTER, "i32_after") X(F32_AFTER, "f32_after") /* d stays; what reads it comes after all    \
                                     * stores before: compilers that interleave chains spill */                                      \
  /* packed stores: registers of codes narrowed NIB_PACK_REGISTERS at a time. NARROW16 pairs are    \
   * in the vocabulary's own order, which NARROW_I8 and NARROW_U8 bring to that of the registers */ \
  X(NARROW16, "narrow16")           /* d (bytes) = i32 lanes of a and b saturated to i16 */        \
  X(I16_ADD, "i16_add")             /* d = a + the constant b, saturated, in i16 lanes */          \
  X(NARROW_I8, "narrow_i8")         /* d = i16 lanes of two NARROW16 a and b, saturated to bytes */ \
  X(NARROW_U8, "narrow_u8")                                                                        \
  X(PACK_I8, "pack_i8") X(PACK_U8, "pack_u8") /* the same in the vocabulary's own order */         \
  X(PACK_PAIRS_I8, "pack_pairs_i8") X(PACK_PAIRS_U8, "pack_pairs_u8") /* those of a, then of b */   \
  X(I8_MAX, "i8_max") X(I8_MIN, "i8_min") /* d = bytes a against the constant b */                 \
  X(U8_MAX, "u8_max") X(U8_MIN, "u8_min")                                                          \
  X(BYTES_STORE4, "bytes_store4")   /* a: pointer, b: all the bytes */                             \
  X(BYTES_STORE2, "bytes_store2")   /* the bytes of registers 2c and 2c + 1 */                     \
  X(BYTES_STORE1, "bytes_store1")   /* the bytes of register c */                                  \
  X(BYTES_STORE1_TAIL, "bytes_store1_tail") /* its first n */                                      \
  /* staging of $n codes at $a into staged elements at $d (see nib_stage_kind); $b: zero point */  \
  X(STAGE_I8, "stage_i8") X(STAGE_U8, "stage_u8")                                                  \
  X(STAGE_FILL, "stage_fill")       /* $n staged elements at $d become $a */                       \
  X(STAGE_SUM, "stage_sum")         /* d (a scalar int32_t) = sum of $n staged elements at $a */   \
  /* bit planes: registers of `bit_words` words of 64 bits */                                      \
  X(BITS_SET, "bits_set")           /* d = the word a in every place */                            \
  X(BITS_LOAD, "bits_load")         /* d = bit_words words from a */                               \
  X(BITS_STORE, "bits_store")       /* a: pointer to uint64_t, b: register */                      \
  X(BITS_COUNT_AND, "bits_count_and") /* d += ones of (a & b), word by word */                     \
  X(BITS_COUNT_XOR, "bits_count_xor")                                                              \
  /* codes of few bits: a register of i32 lanes as 4 * lanes bytes */                              \
  X(BYTES_SET, "bytes_set")         /* d = the byte a (a constant) in every place */               \
  X(BYTES_LOAD, "bytes_load")       /* d = 4 * lanes bytes from a */                               \
  X(BYTES_STORE, "bytes_store")     /* a: pointer to uint8_t, b: register */                       \
  X(BYTES_BCAST, "bytes_bcast")     /* d = the 4 bytes at a (int8_t) in every lane */              \
  X(BYTES_LOOKUP, "bytes_lookup")   /* d = a[each byte of b], a: 16 bytes in memory, b: 0..15 */   \
  X(BYTES_LOOKUP64, "bytes_lookup64") /* d = a[each byte of b & 63], a: 64 bytes in memory */      \
  X(BYTES_LOOKUP256, "bytes_lookup256") /* d = a[each byte of b], a: 256 bytes in memory */        \
  X(BYTES_AND, "bytes_and") X(BYTES_OR, "bytes_or")                                                \
  X(BYTES_ADD, "bytes_add")         /* d = a + b byte by byte, without carries */                  \
  X(BYTES_XOR3, "bytes_xor3")       /* d = a ^ b ^ c */                                             \
  X(BYTES_BLEND, "bytes_blend")     /* d = the bits of a where c has ones, those of b elsewhere */ \
  /* d = bytes of a and b in turns: of the lower, or upper, half of each part of 16 bytes, or of the register \
   * where it is shorter */                                                                        \
  X(BYTES_ZIP_LOW, "bytes_zip_low") X(BYTES_ZIP_HIGH, "bytes_zip_high")                            \
  /* the same of elements of $n bits, 8 to 64 */                                                   \
  X(ZIP_LOW, "zip_low") X(ZIP_HIGH, "zip_high")                                                    \
  /* parts of 16 bytes: d = those at a, a + b, a + 2 * b …; and those of b to a, a + c, a + 2 * c … (uint8_t) */ \
  X(PARTS_LOAD, "parts_load") X(PARTS_STORE, "parts_store")                                        \
  X(BYTES_PAIRS, "bytes_pairs")     /* d (i16 lanes) = sums of products of neighbours, a unsigned, b signed, \
                                     * saturated */                                                \
  X(DOT16, "dot16")                 /* d(i32) += sums of products of neighbours in i16 lanes of a and b */ \
  X(SIX_TABLES, "six_tables")       /* tables of sums of 32 activations at a (int8_t) to d (uint8_t), see \
                                     * block_sixes.c */                                            \
  X(BYTES_SHL, "bytes_shl") X(BYTES_SHR, "bytes_shr") /* of 32-bit lanes by the constant b */      \
  X(DOT8, "dot8")                   /* d += sums of products of bytes, a unsigned, b signed: of 4 in \
                                     * i32 lanes, or, where dot8_limit says how much these hold, of \
                                     * neighbours in i16 lanes */                                  \
  X(DOT8_NEAR, "dot8_near")         /* DOT8 of a and, in every lane, the four bytes at b, read by the \
                                     * product itself; optional */                                 \
  X(DOT8_SUM, "dot8_sum")           /* d(i32) += what DOT8 has summed in a */                      \
  X(I32_SAR, "i32_sar")             /* d = a >> b with its sign, b a constant */                   \
  X(F16_LOAD, "f16_load")           /* d(f32) = lanes f16 at a (uint16_t) */                       \
  X(F16_LOAD_TAIL, "f16_load_tail") /* n lanes, the others 0 */                                    \
  X(BF16_LOAD, "bf16_load") X(BF16_LOAD_TAIL, "bf16_load_tail") /* the same of bf16 */             \
  /* where type_half: d(half) = lanes f16 at a, and d(f32) += a * b of halves, or of a _Float16 a */ \
  /* reals b elements apart: d = n at a; and n staged ones from a to d, side by side */             \
  X(F32_LOAD_STRIDED, "f32_load_strided") X(STAGE_STRIDED, "stage_strided")                        \
  X(STAGE_TWICE, "stage_twice")     /* $n staged reals from a to d, each twice, side by side */     \
  X(F32_TWICE, "f32_twice")         /* d = the real that STAGE_TWICE has put at a, in every lane */ \
  X(F32_STORE_STRIDED, "f32_store_strided") /* n lanes of b to pointer a, c elements apart */       \
  X(HALF_LOAD, "half_load") X(HALF_FMA, "half_fma") X(HALF_FMA_SCALAR, "half_fma_scalar")          \
  X(HALF_GROUP, "half_group")       /* where half_k: d(half) = half_k f16 at a, which HALF_FMA_SCALAR multiplies \
                                     * by weights of as many K for each column, and sums */         \
  X(HALF_LAST, "half_last")         /* the same of the last of an odd run: one f16 at a, and 0; optional */ \
  /* where type_sum: d(sum) = 0, and d(f32) += what a(sum) holds of each column */                  \
  X(SUM_ZERO, "sum_zero") X(SUM_TOTAL, "sum_total")                                                \
  X(F32_LOOKUP16, "f32_lookup16")   /* d = a[b & 15] lane by lane, a: 16 floats in memory */       \
  /* a: pointer to uint16_t, b: f32 register, rounded to nearest even */                           \
  X(F16_STORE, "f16_store") X(F16_STORE_TAIL, "f16_store_tail")                                    \
  X(BF16_STORE, "bf16_store") X(BF16_STORE_TAIL, "bf16_store_tail")                                \
  X(F32_LARGEST, "f32_largest")     /* d (a scalar float) = the largest lane of a, none a NaN */     \
  X(I8_SUM, "i8_sum")               /* d (a scalar int32_t) = sum of n (a constant) int8_t at a */    \
  X(F16_VALUE, "f16_value")         /* d (a scalar float) = the f16 a (a uint16_t) */                \
  X(I8_QUOTIENT, "i8_quotient")     /* d (i32) = the integer nearest to the exact a / b, ties to even, 0  \
                                     * of a NaN; at an end of int8 or beyond where that is beyond;  \
                                     * b: positive and at least |a| / 2^10, the same in all lanes */ \
  X(I8_NEAR, "i8_near")             /* d (i32) = a * b to nearest, |a * b| < 256; c (i32), at least 0,  \
                                     * becomes 0 in lanes where the exact a / (1 / b) may be nearest \
                                     * to another integer: the product is next to a tie */           \
  X(I32_ANY_ZERO, "i32_any_zero")   /* d (a scalar int32_t) = whether a lane of a is 0 */             \
  X(I32_SIZE, "i32_size")           /* d = the larger of d, at least 0, and the bits of |a|, a: f32; \
                                     * they count as sizes do, those of a NaN above infinity's */     \
  X(I32_OF_F32_AWAY, "i32_of_f32_away") /* d = roundf(a), |a| < 2^30 */                              \
  X(F32_SUM, "f32_sum")             /* d (a scalar float) = the sum of the lanes of a, in any order */ \
  X(F32_FIRST, "f32_first")         /* d = the first n lanes of a, the others of b */               \
  X(F32_WHERE, "f32_where")         /* d = a (i32) != 0 ? b : c, lane by lane */                     \
  X(F32_EXP, "f32_exp")             /* d = exp(a) within 2 units in the last place, subnormal        \
                                     * results included */                                          \
  X(PREFETCH, "prefetch")           /* the line b bytes behind pointer a will be read */             \
  X(PREFETCH_HERE, "prefetch_here") /* the same, between the reads that it is said between; optional */

typedef enum nib_prim {
#define X(ID, name) NIB_PRIM_##ID,
  NIB_PRIMITIVES(X)
#undef X
      NIB_PRIM_COUNT
} nib_prim;

/** Registers of i32 lanes whose codes fill one register of bytes. */
#define NIB_PACK_REGISTERS 4

/** How conv schedules stage input rows for DOT (scratch rows hold this element). */
typedef enum nib_stage_kind {
  NIB_STAGE_U8,  /**< u8 = code - min(format): i8 flipped; zero point folded into the bias */
  NIB_STAGE_I16, /**< i16 = code - zero_point: padding is 0, nothing to fold */
  NIB_STAGE_CODES, /**< the input's own codes (int8 or uint8); zero point folded into the bias */
} nib_stage_kind;

typedef struct nib_vocab {
  const char *name;           /**< file stem */
  const char *description;
  nib_feature_set requires_;  /**< features that must be present */
  nib_feature_set unless;     /**< features that none of may be present: others serve better then */
  const char *function_attr;  /**< e.g. __attribute__((target("avx2,fma"))), "" if none */
  const char *includes;       /**< text for the top of the file: #include lines, "" if none */
  const char *support;        /**< static inline helpers that the templates call, "" if none;
                                   emitted once per file if the vocabulary is used. A paragraph that
                                   starts with "//@ name" is emitted only if a used template (or an
                                   emitted paragraph) contains `name` */
  int lanes;                  /**< of i32 and f32 */
  int registers;              /**< accumulators + operands that fit */
  nib_stage_kind stage;
  int dot_k;                  /**< K elements consumed by one DOT */
  int pair_limit;             /**< where DOT sums pairs of products in i16: what the positive weights of a
                                   pair, and the negative ones, may add up to; 0: anything */
  bool signed_row;            /**< DOT takes i8 activations of a single row, and weights above -128, of which there are many */
  bool weights_i16;           /**< packed weights are i16 (zero point subtracted), else i8 */
  const char *type_i32, *type_f32, *type_act, *type_weight; /**< C types of the registers */
  const char *type_bytes;     /**< of a register of bytes or i16 lanes; NULL without packed stores */
  const struct nib_vocab *base; /**< says what `prims` leaves out, with its `support`; or NULL */
  const char *prims[NIB_PRIM_COUNT]; /**< templates; read them by nib_vocab_prim */
  /* for the cost model: reciprocal throughputs in cycles per register operation */
  double dot_cycles, fma_cycles, mac16_cycles, requant_cycles, elementwise_cycles;
  int bit_words;              /**< of a register of bit planes; 0: the vocabulary has none */
  const char *type_bits;      /**< C type of that register */
  double bit_count_cycles;    /**< of one BITS_COUNT */
  bool device;                /**< of CUDA: schedules say its primitives (cuda/device.h) by name */
  bool lanes_i16;             /**< operands of MAC16 are registers of i16 lanes, type_lane */
  const char *type_lane;
  bool real_f16;              /**< type_f32 has lanes of f16: what F32_ primitives load, compute and store */
  const char *type_half;      /**< registers of f16 that reals multiply, summed in f32; or NULL */
  int half_k;                 /**< K elements of one product of halves; 0: 1 */
  const char *type_sum;       /**< registers that HALF_FMA_SCALAR sums in, in f16; NULL: type_f32 */
  const char *type_real;      /**< C type of a staged real; NULL: float */
  bool in_order;              /**< products, loads and stores issue one after another */
  int unroll;                 /**< of the loop over K; 0: as compilers choose */
  const char *serves;         /**< the schedules that this vocabulary is for, spaces between them; NULL: any */
  const char *serves_tables;  /**< and these, of kernels that end in a table of bytes */
  const struct nib_vocab *next; /**< another of the same file, or NULL */
  int32_t dot8_limit;         /**< largest magnitude of a sum of DOT8; 0: i32 */
  double dot8_cycles;         /**< of one DOT8 */
  double lookup16_operations; /**< that F32_LOOKUP16 takes; 0: one */
  double lookup_cycles;       /**< of one BYTES_LOOKUP256 */
  bool lookup_steps;          /**< its table is one of steps, as nib_vocab_byte_table makes it */
} nib_vocab;

/** i-th vocabulary, best first (by dot throughput), NULL past the end. */
const nib_vocab *nib_vocab_at(size_t i);
const nib_vocab *nib_vocab_find(const char *name);
/** Whether `target` has everything `v` needs. */
bool nib_vocab_fits(const nib_vocab *v, const nib_target *target);

/** Cycles, for a register of bytes, of a mask and a shift, which one of `codes` codes in a byte needs not; for a single
 *  row of activations all but one of them. */
double nib_vocab_unpack_cycles(const nib_vocab *v, int64_t codes, bool single_row);

/** Cycles of one BYTES_LOOKUP256; 0: `v` has none. Tables of steps are many registers, which only a loop of nothing
 *  else keeps. */
double nib_vocab_lookup_cycles(const nib_vocab *v, bool alone);

/** The table of BYTES_LOOKUP256 that looks up table[byte], in place: the same, or, where the vocabulary has shuffles in
 *  16 bytes alone, 16 tables of them. Value h of a place is the sum without carries of steps h - 7 to h, of those there are. */
void nib_vocab_byte_table(const nib_vocab *v, uint8_t table[256]);

/** How `v` (or its base) says `prim`; NULL: it cannot. */
const char *nib_vocab_prim(const nib_vocab *v, nib_prim prim);

/** Whether real products multiply f16: weights and staged activations are. */
bool nib_vocab_multiplies_f16(const nib_vocab *v);
/** Whether tensors of `format`, a real one, can be loaded into registers of reals and stored. */
bool nib_vocab_holds(const nib_vocab *v, nib_format format);

/** "i32_add" …; "" for anything else than a primitive. */
const char *nib_prim_name(nib_prim prim);

/** Arguments of one primitive; unused are NULL. */
typedef struct nib_prim_args {
  const char *d, *a, *b, *c, *e, *n;
} nib_prim_args;

/** Appends the primitive as one or more statements, indented, one per line. Returns false (and
 *  appends nothing) if the vocabulary cannot say it. */
bool nib_vocab_say(const nib_vocab *v, nib_prim prim, const nib_prim_args *args, nib_text *t);

#ifdef __cplusplus
}
#endif
#endif
