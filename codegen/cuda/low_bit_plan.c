// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Weights of few bits for matrix instructions: numbers, groups, and bytes. See low_bit.h.
#include "cuda/low_bit.h"

#include "num/block.h"
#include "num/code_value.h"
#include "pack/element_codes.h"
#include "pack/element_integers.h"
#include "pack/pack_blocks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- K ---- */

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static int64_t padded(int64_t group) {
  return group <= 16 ? 16 : group <= 32 ? 32 : round_up(group, NIB_LOW_BIT_SUB);
}

/* Steps have at least 64 elements; more where one scale is for them all and a lane would load less
 * than 32 bytes. */
static void plan_k(nib_low_bit *p) {
  p->padded_group = p->has_scales ? padded(p->group) : p->group;
  p->groups = p->k / p->group;
  const int64_t k = p->has_scales ? p->groups * p->padded_group : p->k;
  p->step_elems = NIB_LOW_BIT_SUB;
  while (p->step_elems < 256 && p->step_elems * 2 <= round_up(k, NIB_LOW_BIT_SUB) &&
         p->tiles * p->step_elems * p->e.bits < 512 &&
         (!p->has_scales || p->padded_group % (p->step_elems * 2) == 0))
    p->step_elems *= 2;
  p->steps = (k + p->step_elems - 1) / p->step_elems;
  p->scales_of_step = !p->has_scales                     ? 0
                      : p->padded_group >= p->step_elems ? 1
                                                         : (int)(p->step_elems / p->padded_group);
}

/* A second level of integers that fit a byte, under a block's scale (and offset) in one format of
 * reals. */
static bool has_group_codes(const nib_low_bit *p, const nib_block_layout *b) {
  int64_t low, high;
  if (!b->group_elems || b->scale == NIB_NO_FORMAT ||
      nib_format_holds_reals((nib_format)b->group_scale) ||
      nib_format_get((nib_format)b->group_scale)->bits > 8 ||
      b->group_offsets.low.bits + b->group_offsets.high.bits > 7 ||
      (b->offset != NIB_NO_FORMAT && (b->offset != b->scale || !b->group_offsets.low.bits)) ||
      (b->scale != NIB_F16 && b->scale != NIB_BF16 && b->scale != NIB_F32))
    return false;
  if (nib_operand_has_nan(&p->e))
    return false;
  nib_format_value_range((nib_format)b->group_scale, &low, &high);
  return low - b->group_scale_zero >= -128 && high - b->group_scale_zero <= 127;
}

static void set_bytes(nib_low_bit *p) {
  const int rows = p->tiles * 2, factors = p->has_offsets ? 2 : 1;
  const int reals = rows * factors * (p->has_codes ? 1 : p->scales_of_step);
  p->words = (int)(p->tiles * (p->step_elems / NIB_LOW_BIT_SUB) * p->e.bits);
  p->code_words = p->has_codes ? (rows * p->scales_of_step * factors + 3) / 4 : 0;
  p->scale_words =
      !p->has_scales ? 0 : p->code_words + reals * (int)nib_format_bytes(p->scale_format) / 4;
  p->scales_at = (int64_t)p->words * 128;
  p->step_bytes = round_up(p->scales_at + (int64_t)p->scale_words * 32, 16);
}

int nib_low_bit_registers(const nib_low_bit *p) { return p->e.type == NIB_OPERAND_I8 ? 8 : 16; }

bool nib_low_bit_plan(const nib_graph *g, const nib_node *n, nib_operand_type type,
                      int64_t act_group, int tiles, int run, nib_low_bit *out_plan) {
  nib_low_bit *p = out_plan;
  const nib_tensor *w = nib_node_input(g, n, 1);
  const nib_format_info *f = nib_format_get(w->format);
  const bool is_block = f->kind == NIB_KIND_BLOCK;
  memset(p, 0, sizeof *p);
  if (w->rank != 2 || w->dims[0] < 1 || w->dims[1] < 1 || !nib_format_holds_reals(w->format))
    return false;
  p->w = w;
  p->outputs = w->dims[0];
  p->k = w->dims[1];
  p->has_scales = is_block;
  p->has_offsets = is_block && (f->block.offset != NIB_NO_FORMAT || f->block.zero != NIB_NO_FORMAT);
  p->group = is_block ? nib_block_group_elems(f) : p->k;
  p->scale_format = NIB_F16;
  p->tiles = tiles;
  p->row_blocks = (p->outputs + 16 * tiles - 1) / (16 * tiles);
  if (!nib_operand_numbers_of(w, type, &p->e) || p->k % p->group)
    return false;
  p->folds =
      nib_node_decode_format(g, n) != NIB_NO_FORMAT && (is_block || p->e.rule == NIB_OPERAND_TABLE);
  p->has_codes = is_block && has_group_codes(p, &f->block);
  plan_k(p);
  p->run = p->has_scales && p->padded_group < 32 && run > 4 ? 4 : run;
  set_bytes(p);
  /* Integer sums end where the activations' scale does. */
  return type != NIB_OPERAND_I8 || !p->has_scales ||
         (p->padded_group == p->group && (act_group % p->group == 0 || p->group % act_group == 0));
}

/* ---- data ---- */

/* Where element `kk` (of 64) of row `row` (of 16) of a tile is: lane, register, element of the
 * register. */
typedef struct place {
  int lane, reg, element;
} place;

static place place_of(const nib_low_bit *p, int row, int kk) {
  int s, i, t, e;
  if (p->e.type == NIB_OPERAND_I8) {
    s = kk / 32, i = kk % 32 / 16, t = kk % 16 / 4, e = kk % 4;
  } else if (p->run == 8) {
    s = kk / 32 * 2 + kk % 8 / 4, i = kk % 4 / 2, t = kk % 32 / 8, e = kk % 2;
  } else if (p->run == 4) {
    s = kk / 16, i = kk % 4 / 2, t = kk % 16 / 4, e = kk % 2;
  } else {
    s = kk / 16, i = kk % 16 / 8, t = kk % 8 / 2, e = kk % 2;
  }
  return (place){.lane = row % 8 * 4 + t, .reg = 4 * s + row / 8 + 2 * i, .element = e};
}

/* The byte of word `word` of a lane in a step. */
static int64_t word_at(const nib_low_bit *p, int word, int lane) {
  const int whole = p->words / 4 * 4, rest = p->words - whole;
  if (word < whole)
    return word / 4 * 512 + lane * 16 + word % 4 * 4;
  if (rest >= 2 && word < whole + 2)
    return (int64_t)whole * 128 + lane * 8 + (word - whole) * 4;
  return (int64_t)whole * 128 + (rest >= 2 ? 256 : 0) + lane * 4;
}

/* Where a bit of a step is. */
typedef struct spot {
  int32_t byte;
  uint8_t shift;
} spot;

typedef struct packer {
  const nib_low_bit *p;
  nib_block_factors factors;
  nib_code_reader codes;
  spot *targets; /* [tile * 16 + row][element][plane] */
} packer;

static spot *target_spots(const nib_low_bit *p) {
  const int rows = 16 * p->tiles, element_bits = p->e.type == NIB_OPERAND_I8 ? 8 : 16;
  const int elems = (int)p->step_elems;
  spot *spots = calloc((size_t)(rows * elems * p->e.n_planes), sizeof *spots), *to = spots;
  for (int row = 0; spots && row < rows; ++row)
    for (int k = 0; k < elems; ++k)
      for (int i = 0; i < p->e.n_planes; ++i) {
        const nib_operand_plane *plane = &p->e.planes[i];
        const place at = place_of(p, row % 16, k % NIB_LOW_BIT_SUB);
        const int of_word = element_bits / plane->bits,
                  tile = k / NIB_LOW_BIT_SUB * p->tiles + row / 16;
        const int bit = at.reg % of_word * plane->bits + at.element * element_bits;
        const int word = tile * p->e.bits + plane->shift + at.reg / of_word;
        *to++ = (spot){(int32_t)(word_at(p, word, at.lane) + bit / 8), (uint8_t)(bit % 8)};
      }
  return spots;
}

static bool open_packer(const nib_low_bit *p, packer *out) {
  *out = (packer){.p = p, .targets = target_spots(p)};
  return out->targets && nib_code_reader_open(p->w, &out->codes) &&
         (!p->has_scales || p->has_codes || nib_block_factors_read(p->w, &out->factors));
}

static void close_packer(packer *s) {
  nib_block_factors_free(&s->factors);
  nib_code_reader_close(&s->codes);
  free(s->targets);
}

/* Number `i` of the reals, or of the bytes, of a row in a step. */
static void put_real(const nib_low_bit *p, uint8_t *step, int row, int64_t i, float x) {
  nib_format_store_real(p->scale_format,
                        step + p->scales_at + row % 8 * p->scale_words * 4 + p->code_words * 4, i,
                        (double)x);
}

static void put_code(const nib_low_bit *p, uint8_t *step, int row, int64_t i, double code) {
  step[p->scales_at + row % 8 * p->scale_words * 4 + i] = (uint8_t)(int8_t)code;
}

/* The factors of group `g` of row `o`, in each step that it reaches into. */
static void put_factors(const packer *s, int64_t o, int64_t g, bool is_nan, uint8_t *steps) {
  const nib_low_bit *p = s->p;
  const nib_format_info *f = nib_format_get(p->w->format);
  const nib_block_layout *b = &f->block;
  const int row = (int)(o % 16), half = (int)(o / 16 % p->tiles) * 2 + row / 8,
            factors = p->has_offsets ? 2 : 1;
  const int64_t stride = p->padded_group < p->step_elems ? p->padded_group : p->step_elems;
  const int64_t elem = o * p->k + g * p->group;
  const uint8_t *block = (const uint8_t *)p->w->data + elem / f->block_elems * f->block_bytes;
  const int in_block = (int)(elem % f->block_elems / p->group);
  for (int64_t at = g * p->padded_group; at < (g + 1) * p->padded_group; at += stride) {
    uint8_t *step = steps + at / p->step_elems * p->step_bytes;
    const int64_t group = p->scales_of_step > 1 ? at % p->step_elems / p->padded_group : 0;
    const int64_t i = (half * p->scales_of_step + group) * factors;
    if (!p->has_codes) {
      put_real(p, step, row, i, is_nan ? NAN : s->factors.scales[o * p->groups + g]);
      if (p->has_offsets)
        put_real(p, step, row, i + 1, s->factors.offsets[o * p->groups + g]);
      continue;
    }
    put_code(p, step, row, i,
             nib_format_decode((nib_format)b->group_scale,
                               nib_split_field_get(&b->group_scales, block, in_block)) -
                 b->group_scale_zero);
    put_real(p, step, row, half * factors,
             (float)nib_format_load_real((nib_format)b->scale, block + b->scale_at, 0));
    if (!p->has_offsets)
      continue;
    const float offset =
        (float)nib_format_load_real((nib_format)b->offset, block + b->offset_at, 0);
    put_code(p, step, row, i + 1, nib_split_field_get(&b->group_offsets, block, in_block));
    put_real(p, step, row, half * factors + 1, b->offset_is_subtracted ? -offset : offset);
  }
}

/* Row `o` of the weights, a group (or, without groups, some elements) at a time. */
static void pack_row(const packer *s, int64_t o, uint8_t *data) {
  enum { PIECE = 256 };
  const nib_low_bit *p = s->p;
  const int64_t padded_group = p->has_scales ? p->padded_group : p->k;
  const spot *targets = s->targets + o % (16 * p->tiles) * p->step_elems * p->e.n_planes;
  uint8_t *steps = data + o / (16 * p->tiles) * p->steps * p->step_bytes, codes[PIECE];
  for (int64_t g = 0; g < p->groups; ++g) {
    bool is_nan = false;
    for (int64_t i = 0; i < p->group; i += PIECE) {
      const int64_t n = p->group - i < PIECE ? p->group - i : PIECE;
      nib_code_reader_get(&s->codes, o * p->k + g * p->group + i, n, codes);
      for (int64_t j = 0; j < n; ++j) {
        const int64_t at = g * padded_group + i + j;
        uint8_t *step = steps + at / p->step_elems * p->step_bytes;
        const spot *to = targets + at % p->step_elems * p->e.n_planes;
        const uint32_t code = p->e.stored[codes[j]];
        is_nan |= p->e.is_nan[codes[j]];
        for (int plane = 0; plane < p->e.n_planes; ++plane)
          step[to[plane].byte] |=
              (uint8_t)((code >> p->e.planes[plane].shift & ((1u << p->e.planes[plane].bits) - 1))
                        << to[plane].shift);
      }
    }
    if (p->has_scales)
      put_factors(s, o, g, is_nan, steps);
  }
}

static nib_format wider(nib_format a, nib_format b) { return a == b ? a : NIB_F32; }

nib_status nib_low_bit_pack(nib_low_bit *p, uint8_t **out_data, size_t *out_bytes) {
  packer s;
  *out_data = NULL;
  if (open_packer(p, &s)) {
    const nib_block_factors *f = &s.factors;
    if (p->has_codes)
      p->scale_format = (nib_format)nib_format_get(p->w->format)->block.scale;
    else if (p->has_scales)
      p->scale_format = nib_block_narrowest(f->scales, p->outputs * p->groups);
    if (p->has_offsets && !p->has_codes)
      p->scale_format =
          wider(p->scale_format, nib_block_narrowest(f->offsets, p->outputs * p->groups));
    set_bytes(p);
    *out_bytes = (size_t)(p->row_blocks * p->steps * p->step_bytes);
    *out_data = calloc(1, *out_bytes);
  }
  for (int64_t o = 0; *out_data && o < p->outputs; ++o)
    pack_row(&s, o, *out_data);
  close_packer(&s);
  return *out_data ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_expr nib_low_bit_constant(nib_low_bit *p, nib_direct *d, const nib_node *n) {
  uint8_t *data = NULL;
  size_t bytes = 0;
  if (nib_low_bit_pack(p, &data, &bytes) != NIB_OK) {
    nib_direct_fail(d, n, NIB_ERROR_OUT_OF_MEMORY, "out of memory for its weights");
    return nib_expr_printf("%s", "");
  }
  const nib_expr e = nib_direct_constant(d, "filter", "uint8_t", data, bytes);
  free(data);
  return e;
}
