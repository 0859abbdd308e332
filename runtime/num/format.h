/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The number formats: one table (formats.def), read by every room. */
#ifndef NIB_NUM_FORMAT_H
#define NIB_NUM_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum nib_format_kind {
  NIB_KIND_SIGNED,   /**< two's complement integers */
  NIB_KIND_UNSIGNED, /**< integers from 0 */
  NIB_KIND_FLOAT,    /**< reals: f32 and f64, and every minifloat (f16, bf16, f8 …) */
  NIB_KIND_BIPOLAR,  /**< each of `bits` bits is -1 or +1, weighted by its power of two */
  NIB_KIND_CODEBOOK, /**< a code is an index into a table of reals */
  NIB_KIND_BLOCK,    /**< elements that share a scale, packed */
} nib_format_kind;

/** What the extreme codes of a minifloat mean. */
typedef enum nib_specials {
  NIB_SPECIALS_IEEE,  /**< the top exponent is infinity and NaN */
  NIB_SPECIALS_FN,    /**< no infinity; all ones is NaN */
  NIB_SPECIALS_FNUZ,  /**< no infinity, no negative zero: its code is the only NaN */
  NIB_SPECIALS_NONE,  /**< every code is a number */
  NIB_SPECIALS_SCALE, /**< E8M0: no sign, no zero, no mantissa: 2^(code - bias); all ones is NaN */
} nib_specials;

/** Sign bit (but for NIB_SPECIALS_SCALE), exponent bits, mantissa bits. */
typedef struct nib_real_layout {
  int exponent_bits, mantissa_bits, bias;
  nib_specials specials;
} nib_real_layout;

typedef enum nib_format {
#define NIB_FORMAT(ID, ...) NIB_##ID,
#define NIB_SIGNED_ROW(BITS, ...) NIB_I##BITS,
#define NIB_UNSIGNED_ROW(BITS, ...) NIB_U##BITS,
#define NIB_BIPOLAR_ROW(BITS) NIB_BIPOLAR##BITS,
#define NIB_BLOCK(ID, ...) NIB_##ID,
#include "num/formats.def"
#undef NIB_BLOCK
#undef NIB_BIPOLAR_ROW
#undef NIB_FORMAT
#undef NIB_SIGNED_ROW
#undef NIB_UNSIGNED_ROW
  NIB_FORMAT_ROWS, /**< rows of the table; formats found by a spelling with parameters follow */
  NIB_FORMAT_COUNT = 4096 /**< above every format; "there is none" */
} nib_format;

/** Where some of the bits of code number i lie in a block, as a bit of the little-endian block:
 *    at + i / chunk * chunk_step + i % chunk % run * stride + i % chunk / run * step
 *  A run or chunk of 0 never ends. */
typedef struct nib_bit_field {
  int at;   /**< of code 0 */
  int bits; /**< of each code; 0: there is no such field */
  int stride, run, step, chunk, chunk_step;
} nib_bit_field;

/** A code that is split over two places: its low bits and the bits above them. */
typedef struct nib_split_field {
  nib_bit_field low, high;
} nib_split_field;

/** How a block packs its elements. */
typedef enum nib_packing {
  NIB_PACKING_FIELDS, /**< as nib_split_field says */
  NIB_PACKING_TQ1_0,  /**< five ternary digits to a byte, as block_tq1_0 of ggml has them */
} nib_packing;

/** How a block's scale follows from its elements where nothing else is asked for. */
typedef enum nib_scale_rule {
  NIB_SCALE_RULE_ABSMAX,     /**< the largest magnitude becomes the largest code */
  NIB_SCALE_RULE_SIGNED_MAX, /**< the element of largest magnitude becomes the lowest code */
  NIB_SCALE_RULE_RANGE,      /**< least and greatest element become least and greatest code */
  NIB_SCALE_RULE_FLOOR_POW2, /**< exponent of the largest magnitude less that of the element type */
  NIB_SCALE_RULE_CEIL_POW2,  /**< the least power of two with which nothing saturates */
} nib_scale_rule;

/** How a format's own encoder (NIB_ENCODE_AS_SOURCE) rounds. */
typedef enum nib_source_rounding {
  NIB_SOURCE_NEAREST_EVEN, /**< of the quotient by the stored scale */
  NIB_SOURCE_HALF_UP,      /**< ggml: truncates x * (1 / scale) + zero + 0.5, all in f32 */
  NIB_SOURCE_HALF_AWAY,    /**< ggml: roundf(x * (1 / scale)), all in f32 */
  NIB_SOURCE_LEAST_ERROR,  /**< ggml: the first code of least error */
  NIB_SOURCE_MIDPOINTS,    /**< bitsandbytes: x * (1 / scale) against midpoints, all in f32; a tie
                                goes to the lower code */
} nib_source_rounding;

/** A block: value of element i = (element code - zero) * 2^exponent * scale + offset, where scale
 *  and offset may each be a product of one of the block and one of the element's group. */
typedef struct nib_block_layout {
  int element;               /**< nib_format of a code: integer, codebook or minifloat */
  int element_zero;          /**< subtracted from an integer code */
  int element_limit;         /**< largest magnitude that the encoder uses; 0: the element's own */
  int element_exponent;      /**< a power of two that all elements have as a factor */
  nib_split_field codes;     /**< of the elements */
  int scale, scale_at;       /**< nib_format and byte; NIB_NO_FORMAT: 1 */
  int offset, offset_at;     /**< the same of what is added; NIB_NO_FORMAT: 0 */
  bool offset_is_subtracted; /**< subtracted instead */
  int zero;                  /**< nib_format of a zero point per block: an integer or a real */
  nib_bit_field zero_field;
  int group_elems;      /**< second level: elements of a group; 0: there is none */
  int group_scale;      /**< nib_format of group_scales' codes */
  int group_scale_zero; /**< subtracted from an integer code */
  nib_split_field group_scales, group_offsets; /**< by number of the group; offsets are unsigned */
  nib_packing packing;
  nib_scale_rule scale_rule;
  nib_source_rounding rounding;
} nib_block_layout;

/** In nib_block_layout: no such part. (No part of a block is a boolean.) */
#define NIB_NO_FORMAT NIB_I1

/** What the codes of a codebook mean. */
typedef enum nib_codebook_rule {
  NIB_CODEBOOK_TABLE,            /**< `values` */
  NIB_CODEBOOK_DYNAMIC,          /**< 8-bit dynamic map */
  NIB_CODEBOOK_DYNAMIC_UNSIGNED, /**< the same without negative numbers */
  NIB_CODEBOOK_POWER,            /**< sign(c) * (|c| / max)^parameter of the signed code c */
  NIB_CODEBOOK_HALVES,           /**< 2^-code */
  NIB_CODEBOOK_DYADIC,           /**< m 2^-s: s is the low `parameter` bits of the code */
} nib_codebook_rule;

typedef struct nib_codebook {
  nib_codebook_rule rule;
  double parameter;
  const float *values; /**< by code */
} nib_codebook;

typedef struct nib_format_info {
  const char *name;    /**< MLIR's spelling, or the name in !nib.format<"name"> */
  const char *aliases; /**< other names, space-separated; NULL for none */
  const char *source;  /**< paper or section of a specification */
  nib_format_kind kind;
  int bits;             /**< of a code */
  int bytes;            /**< of one unpacked element in memory: 1, 2, 4 or 8; 1 for blocks */
  int64_t min, max;     /**< integers: range of the codes; 0 for others */
  const char *c_type;   /**< C11 type of one unpacked element; minifloats are their bits */
  nib_real_layout real; /**< NIB_KIND_FLOAT */
  bool is_extra;        /**< an integer or real that MLIR has no builtin type for */
  int block_elems;      /**< NIB_KIND_BLOCK: elements that make a block, else 0 */
  int block_bytes;      /**< and the bytes that they are packed into */
  nib_block_layout block;
  nib_codebook codebook; /**< NIB_KIND_CODEBOOK */
} nib_format_info;

/** Row of `format`; never NULL for a value that nib_format_find or the enum gave. Thread-safe. */
const nib_format_info *nib_format_get(nib_format format);
/** Whether `format` is a row, or was found by its spelling. */
bool nib_format_is_known(nib_format format);
/** Whether `name` is the spelling of a builtin type of MLIR. */
bool nib_format_is_builtin(nib_format format);
/** Format whose name or alias is `name`, or a spelling with parameters:
 *    eXmY, eXmY:bias=N,specials=ieee|fn|fnuz|none   a minifloat of at most 16 bits; ueXmY: no sign
 *    book:V,V,…   a codebook of 2 to 256 values;  powerN:A  sign(c) |c / max|^A;  halvesN  2^-code
 *    ELEMENT:block=N,scale=FORMAT,…   a block (docs/formats.md);  bfpM:block=N  block floating
 * point NIB_FORMAT_COUNT if there is none. Thread-safe; the same spelling gives the same format for
 * the life of the process. */
nib_format nib_format_find(const char *name);
/** Whether elements are reals without a scale that a tensor's type or an operand would add: reals,
 *  codebooks, blocks. */
bool nib_format_holds_reals(nib_format format);
/** Bytes of one unpacked element (1, 2, 4 or 8). */
size_t nib_format_bytes(nib_format format);
/** Bytes of `elems` elements in memory: unpacked, or whole blocks (elems is then a multiple of
 *  block_elems; the last block counts whole). */
size_t nib_format_storage_bytes(nib_format format, int64_t elems);

/** Bytes of `elems` elements packed: codes one after the other, low bits first; ternary numbers
 * five to a byte, in base 3; blocks as they are. */
size_t nib_format_packed_bytes(nib_format format, int64_t elems);
/** Packs unpacked elements, and back. `packed` and `unpacked` do not overlap. */
void nib_format_pack(nib_format format, const void *unpacked, int64_t elems, void *packed);
void nib_format_unpack(nib_format format, const void *packed, int64_t elems, void *unpacked);

/** Integers, also bool: an element's code from unpacked memory. */
int64_t nib_format_load_code(nib_format format, const void *data, int64_t i);
/** Stores the low bits of `code`. */
void nib_format_store_code(nib_format format, void *data, int64_t i, int64_t code);

/** The low bits of a code as they lie in unpacked memory: sign-extended or not. */
int64_t nib_format_extend_code(nib_format format, uint64_t code);

/** How a real becomes a code. */
typedef enum nib_encode_mode {
  NIB_ENCODE_NEAREST_EVEN,
  NIB_ENCODE_NEAREST_AWAY,
  NIB_ENCODE_TOWARD_ZERO,
  NIB_ENCODE_UP,
  NIB_ENCODE_DOWN,
  NIB_ENCODE_STOCHASTIC, /**< up with the probability of the remainder: `random` decides */
  NIB_ENCODE_AS_SOURCE,  /**< blocks: as the format's own encoder does; else nearest even */
} nib_encode_mode;

#define NIB_ENCODE_MODE_NONE ((nib_encode_mode)-1)
/** Mode whose name is `name` (nearest-even, nearest-away, toward-zero, up, down), or
 *  NIB_ENCODE_MODE_NONE. */
nib_encode_mode nib_encode_mode_find(const char *name);

/** The value of a code's low bits, exact (but for u64 above 2^53). Not for blocks. */
double nib_format_decode(nib_format format, uint64_t code);
/** The code of `x`. Integers saturate, NaN becomes 0; codebooks and bipolars take the nearest value
 *  (nearest even: the even code of two) or that of the mode's direction. Reals: what is too large
 * becomes the largest number when `saturate`, else infinity, or NaN where there is none, or the
 * largest number where there is neither. `random`: 64 random bits for NIB_ENCODE_STOCHASTIC. */
uint64_t nib_format_encode(nib_format format, double x, nib_encode_mode mode, bool saturate,
                           uint64_t random);
/** Reals, f32 and f64 included: an element of unpacked memory as a double; stored to nearest even,
 *  not saturating. Integers are converted. */
double nib_format_load_real(nib_format format, const void *data, int64_t i);
void nib_format_store_real(nib_format format, void *data, int64_t i, double x);
/** `n` elements in another scalar format: docs/numerics.md, Casts. `mode` is for reals below 32
 *  bits. */
void nib_format_cast(nib_format from, const void *in, nib_format to, void *out, int64_t n,
                     nib_encode_mode mode, bool saturate);

/* ---- rows of elements, blocks (block.c, block_encode.c) ---- */

/** How the scale of a block is chosen. */
typedef enum nib_scale_choice {
  NIB_SCALE_AS_SOURCE,  /**< by the format's rule, in the source's own arithmetic */
  NIB_SCALE_ABSMAX,     /**< by the format's rule: nothing is clipped (much) */
  NIB_SCALE_MSE,        /**< least squared error among scales around that of the rule */
  NIB_SCALE_PERCENTILE, /**< the rule, with elements beyond a percentile clipped */
} nib_scale_choice;

typedef struct nib_encode_options {
  nib_encode_mode mode;
  nib_scale_choice scale;
  double percentile; /**< of magnitudes, 0 < p <= 100; 0 stands for 99.9 */
  bool wraps;        /**< elements too large become infinity or NaN where the element has it */
  uint64_t seed;     /**< of NIB_ENCODE_STOCHASTIC; element i of a row has its own number */
} nib_encode_options;

/** Decodes elems elements of any format: unpacked, or blocks. */
void nib_format_decode_row(nib_format format, const void *bytes, int64_t elems, float *out);
/** Encodes elems elements, whole blocks if the format has blocks; `options` NULL: as the format's
 *  source does. NaN becomes NaN where the element type has it, else 0, and does not count for the
 *  scale; infinities count as the largest finite number. */
void nib_format_encode_row(nib_format format, const float *x, int64_t elems,
                           const nib_encode_options *options, void *bytes);

#ifdef __cplusplus
}
#endif
#endif
