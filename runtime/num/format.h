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
#include "num/formats.def"
#undef NIB_FORMAT
#undef NIB_SIGNED_ROW
#undef NIB_UNSIGNED_ROW
  NIB_FORMAT_ROWS, /**< rows of the table; formats found by a spelling with parameters follow */
  NIB_FORMAT_COUNT = 4096 /**< above every format; "there is none" */
} nib_format;

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
} nib_format_info;

/** Row of `format`; never NULL for a value that nib_format_find or the enum gave. Thread-safe. */
const nib_format_info *nib_format_get(nib_format format);
/** Whether `format` is a row, or was found by its spelling. */
bool nib_format_is_known(nib_format format);
/** Whether `name` is the spelling of a builtin type of MLIR. */
bool nib_format_is_builtin(nib_format format);
/** Format whose name or alias is `name`, or a spelling with parameters:
 *    eXmY, eXmY:bias=N,specials=ieee|fn|fnuz|none   a minifloat of at most 16 bits
 *  NIB_FORMAT_COUNT if there is none. Thread-safe; the same spelling gives the same format for the
 *  life of the process. */
nib_format nib_format_find(const char *name);
/** Whether elements are reals without a scale that a tensor's type or an operand would add: reals,
 *  codebooks, blocks. */
bool nib_format_holds_reals(nib_format format);
/** Bytes of one unpacked element (1, 2, 4 or 8). */
size_t nib_format_bytes(nib_format format);
/** Bytes of `elems` elements in memory: unpacked, or whole blocks (elems is then a multiple of
 *  block_elems; the last block counts whole). */
size_t nib_format_storage_bytes(nib_format format, int64_t elems);

/** Integers, also bool: an element's code from unpacked memory. */
int64_t nib_format_load_code(nib_format format, const void *data, int64_t i);
/** Stores the low bits of `code`. */
void nib_format_store_code(nib_format format, void *data, int64_t i, int64_t code);

/** How a real becomes a code. */
typedef enum nib_encode_mode {
  NIB_ENCODE_NEAREST_EVEN,
  NIB_ENCODE_NEAREST_AWAY,
  NIB_ENCODE_TOWARD_ZERO,
  NIB_ENCODE_UP,
  NIB_ENCODE_DOWN,
  NIB_ENCODE_STOCHASTIC, /**< up with the probability of the remainder: `random` decides */
} nib_encode_mode;

#define NIB_ENCODE_MODE_NONE ((nib_encode_mode)-1)
/** Mode whose name is `name` (nearest-even, nearest-away, toward-zero, up, down), or
 *  NIB_ENCODE_MODE_NONE. */
nib_encode_mode nib_encode_mode_find(const char *name);

/** Reals: the value of a code, exact. */
double nib_format_decode(nib_format format, uint64_t code);
/** Reals: the code of `x`. What is too large becomes the largest number when `saturate`, else
 *  infinity, or NaN where there is none, or the largest number where there is neither. `random`:
 *  64 random bits for NIB_ENCODE_STOCHASTIC. */
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

#ifdef __cplusplus
}
#endif
#endif
