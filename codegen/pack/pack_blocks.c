/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Packing of weights of few bits: see pack_blocks.h. */
#include "pack/pack_blocks.h"

#include "num/block.h"
#include "pack/element_codes.h"
#include "pack/element_integers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- elements as integers ---- */

/* Numbers of all codes of `element`, less `zero`; false where one is none. */
static bool element_values(nib_format element, double zero, double values[256]) {
  const nib_format_info *f = nib_format_get(element);
  if (f->kind == NIB_KIND_BLOCK || f->bits > 8)
    return false;
  for (int code = 0; code < 1 << f->bits; ++code) {
    values[code] = nib_element_number(element, code) - zero;
    if (!isfinite(values[code]))
      return false;
  }
  return true;
}

static bool plan_numbers(nib_format element, double zero, const nib_vocab *v, nib_block_pack *p) {
  const nib_format_info *f = nib_format_get(element);
  const int n = f->bits <= 8 ? 1 << f->bits : 0;
  double values[256];
  nib_element_integers e; /* of the ternary format there are three codes */
  if (!n || !element_values(element, zero, values) || !nib_element_integers_of(values, n, &e))
    return false;
  p->unit_exponent = e.unit_exponent;
  p->mul_log2 = e.mul_log2;
  p->largest = (int)((e.high - e.low) >> p->mul_log2);
  p->zero = (int)-e.low;
  if (p->largest > 255)
    return false;
  p->bits = nib_element_bits(p->largest);
  if (p->bits > f->bits && f->bits <= 4) {
    const bool split = v->dot8_limit && p->largest * 256 > v->dot8_limit;
    p->n_tables = split ? 2 : 1;
    p->one_plane = true;
    for (int i = 0; i < 16; ++i) {
      const int entry = (int)((e.values[i % n] - e.low) >> p->mul_log2);
      p->tables[0][i] = (uint8_t)(split ? entry & 15 : entry);
      p->tables[1][i] = (uint8_t)(entry >> 4);
      p->stored[i] = (int16_t)i;
    }
    p->largest = split ? 15 : p->largest;
    p->bits = f->bits;
    return true;
  }
  for (int i = 0; i < n; ++i)
    p->stored[i] = (int16_t)((e.values[i] - e.low) >> p->mul_log2);
  return true;
}

/* ---- K and planes ---- */

/* Cuts `bits` into planes, widest first, none of which needs more elements for a register than a
 * unit has. Indices of a table have one plane. */
static bool plan_planes(nib_block_pack *p, const nib_vocab *v) {
  const int widest = (v->dot8_limit && !p->by_codes) || p->bits < 8 ? 4 : 8;
  int left = p->bits, shift = 0;
  p->unit = p->padded_step % 32 == 0 ? 32 : p->padded_step % 16 == 0 ? 16 : 8;
  for (p->n_planes = 0; left > 0 && p->n_planes < NIB_BLOCK_MAX_PLANES; ++p->n_planes) {
    int bits = 1;
    while (bits < widest &&
           (bits * 2 <= left || (p->one_plane && bits < left) || 32 / bits > p->unit))
      bits *= 2;
    p->planes[p->n_planes] = (nib_block_plane){bits, shift};
    shift += bits;
    left -= bits;
  }
  return left <= 0;
}

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

/* Bundles are of groups of one step, or of steps of one group. */
static void plan_spread(nib_block_pack *p) {
  const int pieces = 8 / p->planes[0].bits;
  const int64_t among = p->steps_of_group > 1 ? p->steps_of_group : p->groups;
  p->spread = 1;
  if (p->n_planes > 1 || pieces == 1 || !p->has_scales || among % pieces)
    return;
  p->spread = pieces;
  p->padded_step = round_up(p->step, 4);
}

/* Short groups are not padded to 32 elements where that costs more than wider planes do. */
static int64_t pad_step(int64_t step) {
  return step % 32 == 0 || step > 64 ? round_up(step, 32)
         : step % 16 == 0            ? step
                                     : round_up(step, 8);
}

static bool plan_k(nib_block_pack *p, int64_t act_group) {
  const int64_t other = act_group ? act_group : p->k;
  p->step = p->group < other ? p->group : other;
  if (p->group % p->step || other % p->step || p->k % p->group)
    return false;
  p->padded_step = pad_step(p->step);
  p->groups = p->chunk_groups = p->k / p->group;
  p->steps_of_group = p->group / p->step;
  /* An integer sum with delayed shifts is at most 255 * 128 for each element. */
  return p->padded_step <= 32768;
}

static void plan_columns(nib_block_pack *p, const nib_vocab *v, int columns) {
  const int64_t registers = (p->outputs + v->lanes - 1) / v->lanes;
  p->lanes = v->lanes;
  p->columns = registers < columns ? (int)registers : columns;
  p->panels = (registers + p->columns - 1) / p->columns;
  p->last_columns = registers - (p->panels - 1) * p->columns;
}

static void set_bytes(nib_block_pack *p) {
  int bits = 0;
  for (int i = 0; i < p->n_planes; ++i)
    bits += p->planes[i].bits;
  p->step_bytes = p->padded_step * bits * p->lanes / 8;
  p->group_bytes = p->steps_of_group * p->step_bytes;
  if (p->has_scales)
    p->group_bytes += p->lanes * (int64_t)nib_format_bytes(p->scale_format);
  if (p->has_offsets)
    p->group_bytes += p->lanes * (int64_t)nib_format_bytes(p->offset_format);
}

/* Integers are their codes; others of 4 bits are looked up by them. */
static bool plan_reals(nib_format element, double zero, int exponent, const nib_vocab *v,
                       nib_block_pack *p) {
  const nib_format_info *f = nib_format_get(element);
  double values[256];
  p->by_codes = plan_numbers(element, zero, v, p) && !p->n_tables;
  p->one_plane = f->bits <= 4;
  if (p->by_codes || f->bits > 4)
    return p->by_codes;
  if (!element_values(element, zero, values))
    return false;
  p->bits = f->bits;
  p->n_tables = 0;
  p->largest = (1 << f->bits) - 1;
  for (int i = 0; i < 16; ++i) {
    p->stored[i] = (int16_t)i;
    p->reals[i] = (float)ldexp(values[i & p->largest], exponent);
    if ((double)p->reals[i] != ldexp(values[i & p->largest], exponent))
      return false;
  }
  return true;
}

static bool plan_pack(const nib_tensor *w, int64_t act_group, bool reals, const nib_vocab *v,
                      int columns, nib_block_pack *out_pack) {
  nib_block_pack *p = out_pack;
  const nib_format_info *f = nib_format_get(w->format);
  const bool is_block = f->kind == NIB_KIND_BLOCK;
  memset(p, 0, sizeof *p);
  if (w->rank != 2 || w->dims[0] < 1 || w->dims[1] < 1)
    return false;
  p->outputs = w->dims[0];
  p->k = w->dims[1];
  p->group = is_block ? nib_block_group_elems(f) : p->k;
  p->has_scales = is_block;
  p->has_offsets = is_block && (f->block.offset != NIB_NO_FORMAT || f->block.zero != NIB_NO_FORMAT);
  p->scale_format = p->offset_format = NIB_F16;
  const nib_format element = is_block ? (nib_format)f->block.element : w->format;
  const double zero = !is_block                        ? (w->quantized ? (double)w->zero_point : 0)
                      : f->block.zero != NIB_NO_FORMAT ? 0 /* part of the offset */
                                                       : f->block.element_zero;
  const int exponent = is_block ? f->block.element_exponent : 0;
  if (reals ? !plan_reals(element, zero, exponent, v, p) : !plan_numbers(element, zero, v, p))
    return false;
  p->unit_exponent += exponent;
  p->fields = 1;
  if (!plan_k(p, act_group) || !plan_planes(p, v))
    return false;
  plan_spread(p);
  plan_columns(p, v, columns);
  set_bytes(p);
  return true;
}

/* Codes of a step together, whatever plan_spread has chosen. */
static void gather(nib_block_pack *p) {
  p->spread = 1;
  p->padded_step = pad_step(p->step);
  set_bytes(p);
}

bool nib_block_pack_plan(const nib_tensor *w, int64_t act_group, bool spreads, const nib_vocab *v,
                         int columns, nib_block_pack *out_pack) {
  if (!plan_pack(w, act_group, false, v, columns, out_pack))
    return false;
  if (!spreads)
    gather(out_pack);
  return true;
}

bool nib_block_pack_plan_reals(const nib_tensor *w, const nib_vocab *v, int columns,
                               nib_block_pack *out_pack) {
  return plan_pack(w, 0, true, v, columns, out_pack) && out_pack->has_scales &&
         out_pack->padded_step == out_pack->step;
}

bool nib_block_pack_plan_sums(const nib_tensor *w, int64_t act_group, const nib_vocab *v,
                              int columns, nib_block_pack *out_pack) {
  nib_block_pack *p = out_pack;
  if (!plan_pack(w, act_group, false, v, columns, p) || p->bits != 1 || p->n_tables)
    return false;
  p->by_fours = true;
  p->fours_log2 = p->mul_log2;
  p->mul_log2 = 0;
  p->spread = 1;
  p->unit = 32;
  p->padded_step = round_up(p->step, p->unit);
  set_bytes(p);
  return true;
}

bool nib_block_pack_plan_nested(const nib_tensor *w, int64_t act_group, const nib_vocab *v,
                                int registers, nib_block_pack *out_pack) {
  nib_block_pack *p = out_pack;
  if (!nib_block_pack_plan(w, act_group, false, v, 1, p) || p->n_planes > 1 || p->n_tables ||
      p->mul_log2 || !p->has_scales || (p->planes[0].bits != 2 && p->planes[0].bits != 4))
    return false;
  p->fields = 8 / p->planes[0].bits;
  plan_columns(p, v, registers * p->fields);
  return p->outputs % (registers * p->fields * (int64_t)p->lanes) == 0;
}

bool nib_block_pack_plan_sixes(const nib_tensor *w, int64_t act_group, const nib_vocab *v,
                               nib_block_pack *out_pack) {
  enum { COLUMNS = 4 };
  nib_block_pack *p = out_pack;
  if (!nib_block_pack_plan_sums(w, act_group, v, COLUMNS, p) || p->step != p->padded_step ||
      p->outputs % (COLUMNS * (int64_t)v->lanes) || !p->has_scales || p->has_offsets)
    return false;
  p->by_sixes = true;
  return true;
}

int64_t nib_block_six_byte(int lanes, int64_t in_panel) {
  const int64_t part = lanes < 4 ? 4 * lanes : 16; /* bytes */
  const int64_t column = in_panel / lanes, lane = in_panel % lanes;
  return lane / (part / 4) * part + column / 2 * (part / 2) + lane % (part / 4) * 2 + column % 2;
}

/* ---- data ---- */

int64_t nib_block_pack_panel_at(const nib_block_pack *p, int64_t column) {
  return column * p->chunk_groups * p->group_bytes;
}

static int64_t count_registers(const nib_block_pack *p) {
  return (p->panels - 1) * p->columns + p->last_columns;
}

int64_t nib_block_pack_chunk_bytes(const nib_block_pack *p) {
  return nib_block_pack_panel_at(p, count_registers(p));
}

static const uint8_t *block_at(const nib_tensor *w, int64_t elem) {
  const nib_format_info *f = nib_format_get(w->format);
  return (const uint8_t *)w->data + elem / f->block_elems * f->block_bytes;
}

bool nib_block_factors_read(const nib_tensor *w, nib_block_factors *out) {
  const nib_format_info *f = nib_format_get(w->format);
  const nib_block_layout *b = &f->block;
  const int64_t group = nib_block_group_elems(f);
  const int64_t groups = f->block_elems / group, n = nib_tensor_elems(w) / group;
  const bool has_zero = b->zero != NIB_NO_FORMAT, adds = b->offset != NIB_NO_FORMAT || has_zero;
  out->scales = malloc((size_t)n * sizeof *out->scales);
  out->offsets = adds ? malloc((size_t)n * sizeof *out->offsets) : NULL;
  if (!out->scales || (adds && !out->offsets)) {
    nib_block_factors_free(out);
    return false;
  }
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t *block = block_at(w, i * group);
    const int g = (int)(i % groups);
    out->scales[i] = nib_block_scale(b, block, g);
    if (adds)
      out->offsets[i] = nib_block_offset(b, block, g);
    if (has_zero)
      out->offsets[i] -= ldexpf(nib_block_zero(b, block), b->element_exponent) * out->scales[i];
  }
  return true;
}

void nib_block_factors_free(nib_block_factors *f) {
  free(f->scales);
  free(f->offsets);
  *f = (nib_block_factors){0};
}

nib_format nib_block_narrowest(const float *x, int64_t n) {
  static const nib_format formats[] = {NIB_F16, NIB_BF16};
  for (int i = 0; x && i < 2; ++i) {
    bool exact = true;
    for (int64_t k = 0; exact && k < n; ++k) {
      const uint64_t code =
          nib_format_encode(formats[i], (double)x[k], NIB_ENCODE_NEAREST_EVEN, false, 0);
      exact = (float)nib_format_decode(formats[i], code) == x[k] || x[k] != x[k];
    }
    if (exact)
      return formats[i];
  }
  return x ? NIB_F32 : NIB_F16;
}

/* Sets the code of element `at` of a step in its planes. `lane` points to the first byte of the
 * column's lane, `stride` is the bytes of all column registers. */
static void put_code(const nib_block_pack *p, uint8_t *lane, int64_t stride, int64_t at, int code) {
  const int64_t in_unit = at % p->unit;
  int64_t registers = 0;
  for (int i = 0; i < p->n_planes; ++i)
    registers += p->unit * p->planes[i].bits / 32;
  lane += at / p->unit * registers * stride;
  if (p->by_fours) {
    uint8_t *byte = lane + in_unit % 16 / 4;
    *byte = (uint8_t)(*byte | code << (in_unit / 16 * 4 + in_unit % 4));
    return;
  }
  for (int i = 0; i < p->n_planes; ++i) {
    const int bits = p->planes[i].bits;
    const int64_t per_register = 32 / bits, r = in_unit / per_register;
    const int piece = (int)(in_unit % per_register / 4), byte = (int)(in_unit % 4);
    const unsigned part = (unsigned)code >> p->planes[i].shift & ((1u << bits) - 1);
    lane[r * stride + byte] = (uint8_t)(lane[r * stride + byte] | part << (piece * bits));
    lane += p->unit / per_register * stride;
  }
}

/* The same of element `at` of a group by sixes; `registers`: first byte of the group's. Elements 24
 * to 29 are where they would be if nothing else were joined to them. */
static void put_six(const nib_block_pack *p, uint8_t *registers, int64_t in_panel, int64_t at,
                    int code) {
  const int64_t width = p->lanes * (int64_t)p->columns, i = at % 32;
  const int64_t r = i < 24 ? i / 6 : i < 30 ? 2 - (i - 24) / 2 : 3;
  const int64_t bit = i < 24 ? i % 6 : 6 + i % 2;
  uint8_t *byte = registers + (at / 32 * 4 + r) * width +
                  (nib_block_six_byte(p->lanes, in_panel) ^ (at / 32 & 1));
  *byte = (uint8_t)(*byte | code << bit);
}

/* The same where columns share bytes: `registers` is the first byte of the step's. */
static void put_nested(const nib_block_pack *p, uint8_t *registers, int64_t in_panel, int64_t at,
                       int code) {
  const int64_t column = in_panel / p->lanes, bytes = 4 * p->lanes;
  uint8_t *byte = registers + (at / 4 * (p->columns / p->fields) + column / p->fields) * bytes +
                  in_panel % p->lanes * 4 + at % 4;
  *byte = (uint8_t)(*byte | code << column % p->fields * p->planes[0].bits);
}

/* The same of step number `s` of a bundle. */
static void put_spread(const nib_block_pack *p, uint8_t *lane, int64_t stride, int64_t s,
                       int64_t at, int code) {
  uint8_t *byte = lane + at / 4 * stride + at % 4;
  *byte = (uint8_t)(*byte | code << s * p->planes[0].bits);
}

static uint32_t lane_at(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void flip_lane(uint8_t *p, uint32_t bits) {
  for (int i = 0; i < 4; ++i)
    p[i] = (uint8_t)(p[i] ^ bits >> 8 * i);
}

/* Takes what else is joined to elements 24 to 29 out of bits 6 and 7, in all registers of a group.
 */
static void part_sixes(const nib_block_pack *p, uint8_t *registers) {
  const int64_t width = p->lanes * (int64_t)p->columns;
  const uint32_t six = 0x3F3F3F3Fu;
  for (int64_t i = 0; i < p->group / 32; ++i, registers += 4 * width)
    for (int64_t at = 0; at < width; at += 4) {
      uint8_t *const lanes[] = {registers + at, registers + width + at, registers + 2 * width + at};
      const uint32_t other = (lane_at(lanes[0]) & six) >> 2 ^ (lane_at(lanes[1]) & six) >> 4 ^
                             (lane_at(lanes[2]) & six) >> 6;
      for (int r = 0; r < 3; ++r)
        flip_lane(lanes[r], (other & 0x30303030u >> 2 * r) << (2 + 2 * r));
    }
}

/* The codes of one output in group `g` by sixes. */
static void put_sixes(const nib_code_reader *codes, const nib_block_pack *p, int64_t o, int64_t g,
                      uint8_t *registers) {
  for (int64_t i = 0; i < p->group; ++i) {
    uint8_t stored;
    nib_code_reader_get(codes, o * p->k + g * p->group + i, 1, &stored);
    put_six(p, registers, o % (p->lanes * p->columns), i, p->stored[stored]);
  }
}

/* The codes of one output in step `s` of group `g`. `to`: first byte of the bundle, or of the step,
 * of a panel `width` columns wide. */
static void put_step(const nib_code_reader *codes, const nib_block_pack *p, int64_t o, int64_t g,
                     int64_t s, uint8_t *to, int64_t width) {
  const int64_t first = o * p->k + g * p->group + s * p->step;
  const int64_t in_bundle = (p->steps_of_group > 1 ? s : g) % p->spread;
  const int64_t in_panel = o % (p->lanes * p->columns);
  for (int64_t i = 0; i < p->step; ++i) {
    uint8_t stored;
    nib_code_reader_get(codes, first + i, 1, &stored);
    const int code = p->stored[stored];
    if (p->spread > 1)
      put_spread(p, to + 4 * in_panel, 4 * width, in_bundle, i, code);
    else if (p->fields > 1)
      put_nested(p, to, in_panel, i, code);
    else
      put_code(p, to + 4 * in_panel, 4 * width, i, code);
  }
}

/* One output: its codes and factors in all groups. */
static void pack_output(const nib_code_reader *codes, const nib_block_pack *p,
                        const nib_block_factors *f, int64_t o, uint8_t *data) {
  const int64_t panel = o / (p->lanes * p->columns), in_panel = o % (p->lanes * p->columns);
  const int64_t columns = panel + 1 == p->panels ? p->last_columns : p->columns;
  const int64_t width = columns * p->lanes;
  const int64_t bundled = p->steps_of_group > 1 ? 1 : p->spread; /* groups */
  const int64_t scale_bytes = p->has_scales ? (int64_t)nib_format_bytes(p->scale_format) : 0;
  for (int64_t g = 0; g < p->groups; ++g) {
    const int64_t in_bundle = g % bundled;
    uint8_t *to = data + g / p->chunk_groups * nib_block_pack_chunk_bytes(p) +
                  nib_block_pack_panel_at(p, panel * p->columns) +
                  (g % p->chunk_groups - in_bundle) * columns * p->group_bytes;
    if (p->by_sixes)
      put_sixes(codes, p, o, g, to);
    for (int64_t s = 0; !p->by_sixes && s < p->steps_of_group; ++s)
      put_step(codes, p, o, g, s, to + (s - s % p->spread) * columns * p->step_bytes, width);
    to += bundled * p->steps_of_group * columns * p->step_bytes;
    if (p->has_scales)
      nib_format_store_real(p->scale_format, to, in_bundle * width + in_panel,
                            (double)f->scales[o * p->groups + g]);
    to += bundled * width * scale_bytes;
    if (p->has_offsets)
      nib_format_store_real(p->offset_format, to, in_bundle * width + in_panel,
                            (double)f->offsets[o * p->groups + g]);
  }
}

nib_status nib_block_pack_data(const nib_tensor *w, nib_block_pack *pack, uint8_t **out_data,
                               size_t *out_bytes) {
  nib_block_factors f = {0};
  nib_code_reader codes;
  *out_data = NULL;
  if (nib_code_reader_open(w, &codes) && (!pack->has_scales || nib_block_factors_read(w, &f))) {
    pack->scale_format = nib_block_narrowest(f.scales, pack->outputs * pack->groups);
    pack->offset_format = nib_block_narrowest(f.offsets, pack->outputs * pack->groups);
    set_bytes(pack);
    *out_bytes = (size_t)(count_registers(pack) * pack->groups * pack->group_bytes);
    *out_data = calloc(1, *out_bytes);
  }
  for (int64_t o = 0; *out_data && o < pack->outputs; ++o)
    pack_output(&codes, pack, &f, o, *out_data);
  for (int64_t i = 0; *out_data && pack->by_sixes && i < pack->panels * pack->groups; ++i)
    part_sixes(pack, *out_data + i * pack->columns * pack->group_bytes);
  nib_code_reader_close(&codes);
  nib_block_factors_free(&f);
  return *out_data ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

int nib_block_pack_largest(const nib_block_pack *p) {
  int largest = p->n_tables ? 0 : p->largest;
  for (int i = 0; i < 16; ++i) {
    const int entry = p->tables[0][i] + (p->n_tables > 1 ? p->tables[1][i] << 4 : 0);
    largest = entry > largest ? entry : largest;
  }
  return largest;
}
