/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Writing blocks: a scale (and offset or zero point) for the block or for each of its groups, then
 * the elements in terms of the scales as they were stored. */
#include "num/block.h"

#include "num/format_snippets.h" /* nib_real_to_int */
#include "num/scale_search.h"

#include <math.h>
#include <string.h>

/* What encodes one block. */
typedef struct encoder {
  const nib_format_info *info;
  const nib_block_layout *b;
  const nib_encode_options *options;
  nib_scale_search search;
  uint8_t *block;
  int64_t first; /* number of the block's first element in its row */
} encoder;

static uint64_t random_bits(const encoder *e, int i) {
  return e->options->mode == NIB_ENCODE_STOCHASTIC
             ? nib_random_bits(e->options->seed, (uint64_t)(e->first + i))
             : 0;
}

/* ---- fields ---- */

/* Stores x at a byte; the value that can be read back. */
static float store_scale(const encoder *e, nib_format format, int at, double x,
                         nib_encode_mode mode) {
  const uint64_t code = nib_format_encode(format, x, mode, true, 0);
  const int bytes = (nib_format_get(format)->bits + 7) / 8;
  for (int i = 0; i < bytes; ++i)
    e->block[at + i] = (uint8_t)(code >> (8 * i));
  return (float)nib_format_decode(format, code);
}

/* How scales are stored: where nothing may saturate, not rounded down. */
static nib_encode_mode scale_mode(const encoder *e) {
  return e->b->scale_rule == NIB_SCALE_RULE_CEIL_POW2 ? NIB_ENCODE_UP : NIB_ENCODE_NEAREST_EVEN;
}

/* Adds element i, 0 to 2, to a block of zeros (nib_tq1_0_code reads it), with calls for ascending
 * i. */
static void add_tq1_0(uint8_t *block, int i, uint32_t code) {
  static const uint8_t weights[5] = {81, 27, 9, 3, 1};
  int byte = i < 160 ? i % 32 : i < 240 ? 32 + (i - 160) % 16 : 48 + (i - 240) % 4;
  int digit = i < 160 ? i / 32 : i < 240 ? (i - 160) / 16 : (i - 240) / 4;
  block[byte] = (uint8_t)(block[byte] + code * weights[digit]);
  if (digit == (i < 240 ? 4 : 3)) /* the last: the sum becomes a fraction of 256 */
    block[byte] = (uint8_t)((block[byte] * 256u + 242u) / 243u);
}

static void set_code(const encoder *e, int i, uint32_t code) {
  if (e->b->packing == NIB_PACKING_TQ1_0)
    add_tq1_0(e->block, i, code);
  else
    nib_split_field_set(&e->b->codes, e->block, i, code);
}

/* ---- elements ---- */

/* Code of an integer from the source's float arithmetic, within what the encoder may use. */
static uint32_t source_code(const encoder *e, float scaled) {
  const float zero = (float)e->b->element_zero;
  const float code =
      e->b->rounding == NIB_SOURCE_HALF_UP ? truncf(scaled + (zero + 0.5f)) : roundf(scaled) + zero;
  return (uint32_t)nib_real_to_int((double)code, (int64_t)e->search.low + e->b->element_zero,
                                   (int64_t)e->search.high + e->b->element_zero);
}

/* The first code of least error, in float arithmetic. */
static uint32_t least_error_code(const encoder *e, float x, float scale) {
  const nib_format element = (nib_format)e->b->element;
  const uint32_t n = 1u << nib_format_get(element)->bits;
  float least = INFINITY;
  uint32_t best = 0;
  for (uint32_t code = 0; code < n; ++code) {
    const float error = fabsf(scale * e->search.values[code] - x);
    if (error < least) {
      least = error;
      best = code;
    }
  }
  return best;
}

/* Ascending codebooks: how many midpoints of neighbours are below. */
static uint32_t midpoint_code(const encoder *e, float scaled) {
  const nib_format element = (nib_format)e->b->element;
  const uint32_t n = 1u << nib_format_get(element)->bits;
  uint32_t code = 0;
  scaled = fminf(fmaxf(scaled, (float)e->search.low), (float)e->search.high);
  while (code + 1 < n && (e->search.values[code] + e->search.values[code + 1]) / 2.0f < scaled)
    ++code;
  return code;
}

/* In the source's arithmetic, of x and the stored scale. */
static bool put_by_source(const encoder *e, const float *x, int first, int n, float scale) {
  const nib_source_rounding rounding = e->b->rounding;
  if (e->options->mode != NIB_ENCODE_AS_SOURCE ||
      (rounding != NIB_SOURCE_LEAST_ERROR && rounding != NIB_SOURCE_MIDPOINTS))
    return false;
  for (int i = first; i < first + n; ++i) {
    const float v = nib_scale_finite(x[i]);
    set_code(e, i,
             rounding == NIB_SOURCE_LEAST_ERROR
                 ? least_error_code(e, v, scale)
                 : midpoint_code(e, scale == 0 ? 0 : v * (1.0f / scale)));
  }
  return true;
}

static void put_elements(const encoder *e, const float *x, int first, int n, double scale,
                         double offset, double zero) {
  if (put_by_source(e, x, first, n, (float)scale))
    return;
  const double unit = ldexp(scale, e->b->element_exponent);
  const nib_encode_mode mode = e->options->mode;
  for (int i = first; i < first + n; ++i) {
    const double v = unit == 0 ? 0 : ((double)x[i] - offset) / unit;
    const uint64_t code =
        nib_scale_encode(&e->search, nib_scale_clip(&e->search, v) + zero, mode, random_bits(e, i));
    set_code(e, i, (uint32_t)code);
  }
}

/* ---- one level ---- */

/* The source's arithmetic: elements by the reciprocal of the scale before that was rounded. */
static void encode_as_source(const encoder *e, const float *x) {
  const nib_scale_pair s = nib_scale_by_rule(&e->search, x, e->info->block_elems);
  const float inverse = s.scale == 0 ? 0 : 1 / s.scale;
  store_scale(e, (nib_format)e->b->scale, e->b->scale_at, (double)s.scale, NIB_ENCODE_NEAREST_EVEN);
  if (e->b->offset != NIB_NO_FORMAT)
    store_scale(e, (nib_format)e->b->offset, e->b->offset_at, (double)s.offset,
                NIB_ENCODE_NEAREST_EVEN);
  for (int i = 0; i < e->info->block_elems; ++i)
    set_code(e, i,
             source_code(e, isfinite(x[i]) ? (x[i] - s.offset) * inverse
                                           : nib_scale_finite(x[i] * inverse)));
}

static void encode_flat(const encoder *e, const float *x) {
  const nib_block_layout *b = e->b;
  const int n = e->info->block_elems;
  const nib_scale_pair s = nib_scale_choose(&e->search, x, n);
  double scale = (double)s.scale, offset = (double)s.offset, zero = (double)b->element_zero;
  if (b->scale != NIB_NO_FORMAT)
    scale = (double)store_scale(e, (nib_format)b->scale, b->scale_at, scale, scale_mode(e));
  if (b->zero != NIB_NO_FORMAT) {
    const nib_format format = (nib_format)b->zero;
    const double wanted = scale == 0 ? 0 : -offset / scale;
    const uint64_t code = nib_format_encode(format, wanted, NIB_ENCODE_NEAREST_EVEN, true, 0);
    nib_bit_field_set(&b->zero_field, e->block, 0, (uint32_t)code);
    zero = nib_format_decode(format, code);
    offset = 0;
  } else if (b->offset != NIB_NO_FORMAT) {
    const double sign = b->offset_is_subtracted ? -1 : 1;
    offset = sign * (double)store_scale(e, (nib_format)b->offset, b->offset_at, sign * offset,
                                        NIB_ENCODE_NEAREST_EVEN);
  }
  put_elements(e, x, 0, n, scale, offset, zero);
}

/* ---- two levels ---- */

enum { MAX_GROUPS = 256 };

/* The block's factor of `values`: the largest of them becomes the largest code of the groups. */
static double common_factor(const float *values, int n, double least, double greatest) {
  double high = 0, low = 0;
  for (int i = 0; i < n; ++i) {
    high = fmax(high, (double)values[i]);
    low = fmin(low, (double)values[i]);
  }
  if (least < 0 && -low > high) /* signed codes reach further down */
    return low / least;
  return fmax(high / greatest, least < 0 ? low / least : 0);
}

/* Stores the groups' scales as codes times a factor of the block; scales[] become what is read. */
static void store_group_scales(const encoder *e, float *scales, int n) {
  const nib_block_layout *b = e->b;
  const nib_format format = (nib_format)b->group_scale;
  double low, high, d = 1;
  nib_scale_value_range(format, b->group_scale_zero, &low, &high);
  if (b->scale != NIB_NO_FORMAT)
    d = (double)store_scale(e, (nib_format)b->scale, b->scale_at,
                            common_factor(scales, n, low, high), NIB_ENCODE_NEAREST_EVEN);
  for (int g = 0; g < n; ++g) {
    const double wanted = d == 0 ? 0 : (double)scales[g] / d;
    const uint64_t code =
        nib_format_encode(format, wanted + b->group_scale_zero, scale_mode(e), true, 0);
    nib_split_field_set(&b->group_scales, e->block, g, (uint32_t)code);
    scales[g] = nib_block_scale(b, e->block, g);
  }
}

/* The same for offsets, which have unsigned codes. */
static void store_group_offsets(const encoder *e, float *offsets, int n) {
  const nib_block_layout *b = e->b;
  if (b->offset == NIB_NO_FORMAT)
    return;
  const float sign = b->offset_is_subtracted ? -1 : 1;
  const int bits = b->group_offsets.low.bits + b->group_offsets.high.bits;
  const double greatest = ldexp(1, bits) - 1;
  for (int g = 0; g < n; ++g)
    offsets[g] *= sign;
  const double m =
      (double)store_scale(e, (nib_format)b->offset, b->offset_at,
                          common_factor(offsets, n, 0, greatest), NIB_ENCODE_NEAREST_EVEN);
  for (int g = 0; g < n; ++g) {
    const double code = m == 0 ? 0 : nearbyint(fmin(fmax((double)offsets[g] / m, 0), greatest));
    nib_split_field_set(&b->group_offsets, e->block, g, (uint32_t)code);
    offsets[g] = nib_block_offset(b, e->block, g);
  }
}

static void encode_groups(const encoder *e, const float *x) {
  const nib_block_layout *b = e->b;
  const int size = b->group_elems, n = e->info->block_elems / size;
  float scales[MAX_GROUPS], offsets[MAX_GROUPS];
  for (int g = 0; g < n; ++g) {
    const nib_scale_pair s = nib_scale_choose(&e->search, x + g * size, size);
    scales[g] = s.scale;
    offsets[g] = s.offset;
  }
  store_group_scales(e, scales, n);
  store_group_offsets(e, offsets, n);
  for (int g = 0; g < n; ++g)
    put_elements(e, x, g * size, size, (double)scales[g], (double)offsets[g],
                 (double)nib_block_zero(b, e->block));
}

/* ---- rows ---- */

static const nib_encode_options as_source = {.mode = NIB_ENCODE_AS_SOURCE,
                                             .scale = NIB_SCALE_AS_SOURCE};

static bool has_own_arithmetic(const nib_block_layout *b, const nib_encode_options *o) {
  return o->mode == NIB_ENCODE_AS_SOURCE && o->scale == NIB_SCALE_AS_SOURCE &&
         (b->rounding == NIB_SOURCE_HALF_UP || b->rounding == NIB_SOURCE_HALF_AWAY);
}

static void encode_scalars(nib_format format, const float *x, int64_t elems,
                           const nib_encode_options *o, void *bytes) {
  for (int64_t i = 0; i < elems; ++i) {
    const uint64_t code = nib_format_encode(format, (double)x[i], o->mode, !o->wraps,
                                            nib_random_bits(o->seed, (uint64_t)i));
    nib_format_store_code(format, bytes, i, nib_format_extend_code(format, code));
  }
}

void nib_format_encode_row(nib_format format, const float *x, int64_t elems,
                           const nib_encode_options *options, void *bytes) {
  const nib_format_info *info = nib_format_get(format);
  const nib_encode_options *o = options ? options : &as_source;
  if (info->kind != NIB_KIND_BLOCK) {
    encode_scalars(format, x, elems, o, bytes);
    return;
  }
  encoder e = {.info = info, .b = &info->block, .options = o, .block = bytes};
  nib_scale_search_init(&e.search, info, o);
  for (; e.first + info->block_elems <= elems; e.first += info->block_elems) {
    memset(e.block, 0, (size_t)info->block_bytes);
    if (has_own_arithmetic(e.b, o))
      encode_as_source(&e, x + e.first);
    else if (e.b->group_elems)
      encode_groups(&e, x + e.first);
    else
      encode_flat(&e, x + e.first);
    e.block += info->block_bytes;
  }
}
