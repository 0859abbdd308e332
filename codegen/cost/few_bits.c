/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The analytic model of kernels on weights of few bits. */
#include "cost/terms.h"

#include "num/block.h"

#include <math.h>
#include <string.h>

/* A bit of a code into its plane, eight at a time. */
static const double k_pack_cycles = 0.6;

/* Bits of a code, without what a block has beside its codes. */
static int code_bits(const nib_desc_tensor *t) {
  const nib_format_info *info = nib_cost_format(t);
  if (!info)
    return 8;
  return info->kind == NIB_KIND_BLOCK ? nib_format_get((nib_format)info->block.element)->bits
                                      : info->bits;
}

/* Every word of 64 of K, for each pair of planes: counted bit_words outputs at a time. */
static double bit_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const double x = code_bits(nib_cost_role(d, "in")), w = code_bits(nib_cost_role(d, "weight"));
  const double lanes = v->bit_words > 0 ? v->bit_words : 1;
  const double counts = ceil(k / 64) * ceil(n / lanes) * x * w;
  return m * (counts * nib_cost_or(v->bit_count_cycles, 5) + k * x * k_pack_cycles) + m * n;
}

/* Elements along K that share a scale. */
static double group_of(const nib_desc_tensor *t, double k) {
  const nib_format_info *info = nib_cost_format(t);
  return info && info->kind == NIB_KIND_BLOCK ? nib_block_group_elems(info) : k;
}

/* Planes of 1, 2, 4 or 8 bits that codes are cut into, each with dot products of its own. */
static int planes_of(const nib_desc_tensor *t) {
  int planes = 0;
  for (int bits = code_bits(t); bits > 0; bits &= bits - 1)
    ++planes;
  return planes;
}

/* Of whole registers and of values in all lanes, a cycle: fewer than NIB_COST_LOADS_PER_CYCLE where
 * loads go on without a gap. */
static const double k_steady_loads_per_cycle = 1.7;

/* Of an f32 activation that block_dots multiplies as bytes; and what finding them takes, where
 * bytes are copied. */
static const double k_digits = 3, k_digits_cycles = 4, k_stage_cycles = 0.1;

/* Of codes that are unpacked, which are read again soon. */
static const double k_stored_bytes_per_cycle = 48;

/* A register of codes to bytes: a shift and a mask for each plane, another shift and a blend for
 * all but the first, and the store. */
static double unpack_cycles(const nib_kernel_desc *d, const nib_vocab *v, double simple) {
  const double operations = 4 * planes_of(nib_cost_role(d, "weight")) - 2;
  return fmax(4 * v->lanes / k_stored_bytes_per_cycle, operations * simple);
}

/* Sums of a long group are scaled step by step and added up, beside those of the step, in two
 * pieces, and the totals: what has no register is stored and loaded in each step. */
static double long_group_cycles(const nib_vocab *v, double mr, double nr) {
  const double used = mr * nr * (2 + 2) + nr + 3;
  return 2 * fmax(0, used - v->registers);
}

/* Bytes by codes of few bits, or f32 as digits, which are so many rows of bytes. Of a step that
 * shares scales: dot products, and masks on the codes where these are not unpacked once (tile[2]),
 * all but one of a register where its sums are nested; then two products of each sum by scales;
 * loads of activations, codes, and of three numbers of each row. */
static double block_dot_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const bool nested = strcmp(d->schedule, "block_nested") == 0, unpacks = d->tile[2] > 0;
  const double bytes = (double)d->weight_bytes / (n * k);
  const double digits = nib_cost_is_float(nib_cost_role(d, "in")) ? k_digits : 1;
  const double each = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), mr = each * digits;
  const double nr = nested           ? 16.0 / code_bits(nib_cost_role(d, "weight"))
                    : d->tile[1] > 0 ? d->tile[1]
                                     : 1;
  const double dot = nib_cost_or(v->dot8_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const double fma = fmax(nib_cost_or(v->fma_cycles, 1), simple);
  const double panels = ceil(ceil(n / v->lanes) / nr);
  const double step =
      fmin(group_of(nib_cost_role(d, "in"), k), group_of(nib_cost_role(d, "weight"), k));
  const bool long_group = step < group_of(nib_cost_role(d, "weight"), k) && !nested && !unpacks;
  const double quads = ceil(step / 4), codes = unpacks ? nr : nested ? 2 : nr * bytes;
  const double masks = unpacks ? 0 : nested ? nr - codes : nr;
  const double stored = planes_of(nib_cost_role(d, "weight")), planes = unpacks ? 1 : stored;
  const double issue = quads * planes * (mr * nr * dot + masks * simple) +
                       (mr * nr + (unpacks ? 0.0 : nr)) * (simple + fma) +
                       (long_group ? long_group_cycles(v, mr, nr) : 0.0);
  const double loads = quads * (planes * mr + codes) + 3 * mr + nr;
  const double tile = ceil(k / step) * fmax(issue, loads / k_steady_loads_per_cycle);
  const double unpacked = unpacks ? ceil(k / 4) * nr * unpack_cycles(d, v, simple) : 0;
  return panels * (ceil(m / each) * tile + unpacked) +
         m * k * (digits > 1 ? k_digits_cycles : k_stage_cycles);
}

/* The sums of four activations by codes of one bit: of 32 elements a shift, two indices, and for
 * each row four lookups, two sums and two dot products. */
static double block_table_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), nr = d->tile[1] > 0 ? d->tile[1] : 1;
  const double dot = nib_cost_or(v->dot8_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const double lookup = v->lanes > 1 ? 0.5 : 6.0;
  const double panels = ceil(ceil(n / v->lanes) / nr), units = ceil(k / 32);
  const double step =
      fmin(group_of(nib_cost_role(d, "in"), k), group_of(nib_cost_role(d, "weight"), k));
  const double issue = nr * 3 * simple + mr * nr * (4 * lookup + 2 * simple + 2 * dot);
  const double loads = (4 * mr + nr) / NIB_COST_LOADS_PER_CYCLE;
  const double scaling = mr * nr * 2 * simple + (2 * mr + nr) * simple;
  const double tile = units * fmax(issue, loads) + ceil(k / step) * scaling;
  const double tables = m * k / 4 * ceil(16.0 / v->lanes) * 4; /* and staging of rows */
  return panels * ceil(m / mr) * tile + tables;
}

/* The sums of six activations by codes of one bit. Of 32 elements of four registers of columns:
 * shifts and blends for the indices, twelve lookups, their sums, and eight to join and scale them;
 * of a group, each column's scale. */
static double block_six_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const double simple = v->lanes > 1 ? 0.5 : 6.0;
  const double panels = ceil(n / (4.0 * v->lanes)), units = ceil(k / 32);
  const double groups = ceil(k / group_of(nib_cost_role(d, "weight"), k));
  const double tables = 6 * 24 * ceil(16.0 / v->lanes); /* and staging of rows */
  return m * simple * (panels * (units * 35 + groups * 20) + units * tables);
}

/* Operations on a code that becomes a real: where it is an integer, of each plane, a mask and, for
 * every other half of a lane, a shift, then the conversion; else a shift and a lookup. */
static double number_operations(const nib_kernel_desc *d, const nib_vocab *v) {
  const nib_desc_tensor *w = nib_cost_role(d, "weight");
  const nib_format_info *info = nib_cost_format(w);
  const bool integers = info && info->kind == NIB_KIND_BLOCK &&
                        !nib_format_holds_reals((nib_format)info->block.element);
  if (!integers)
    return 1 + nib_cost_or(v->lookup16_operations, 1);
  return code_bits(w) <= 4 ? 2.1 : 4.0 * planes_of(w);
}

/* Reals by codes of few bits: the numbers, shared by a tile's rows, or (tile[2]), beside a product
 * and a store, by all of them. Of portable C compilers make vectors. */
static double block_real_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), nr = d->tile[1] > 0 ? d->tile[1] : 1;
  const double fma = nib_cost_or(v->fma_cycles, 1), simple = 0.5;
  const double number = number_operations(d, v) * simple;
  const double panels = ceil(ceil(n / v->lanes) / nr);
  if (d->tile[2] > 0)
    return panels * k *
           (ceil(m / mr) * fmax(mr * nr * fma, (mr + nr) / NIB_COST_LOADS_PER_CYCLE) +
            nr * (number + fma + 1));
  const double issue = mr * nr * fma + nr * number,
               loads = (mr + nr / 8) / NIB_COST_LOADS_PER_CYCLE;
  const double groups = ceil(k / group_of(nib_cost_role(d, "weight"), k));
  return panels * ceil(m / mr) * (k * fmax(issue, loads) + groups * mr * nr * 3 * simple);
}

/* An element of blocks of bytes that portable C encodes: in a schedule that does so, in any. */
static const double k_code_cycles = 8.5, k_encode_cycles = 12;

/* Reals to blocks of bytes: the largest of a block, its scale and the reciprocal, and half a dozen
 * instructions for a register of codes, or a dozen for quotients. */
static double block_code_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double each = nib_vocab_prim(v, NIB_PRIM_I8_NEAR) ? 0.3 + 2.0 / v->lanes
                      : v->lanes > 1                      ? 0.5 + 3.0 / v->lanes
                                                          : k_code_cycles;
  return nib_cost_rows(d) * nib_cost_columns(d) * each;
}

double nib_cost_encode_cycles(const nib_kernel_desc *d) {
  const nib_format_info *out = nib_cost_format(nib_cost_role(d, "out"));
  return out && out->kind == NIB_KIND_BLOCK
             ? nib_cost_rows(d) * nib_cost_columns(d) * k_encode_cycles
             : 0;
}

static const struct {
  const char *schedule;
  double (*cycles)(const nib_kernel_desc *d, const nib_vocab *v);
} few_bits[] = {{"bit_planes", bit_cycles},         {"block_codes", block_code_cycles},
                {"block_reals", block_real_cycles}, {"block_tables", block_table_cycles},
                {"block_sixes", block_six_cycles},  {"block_nested", block_dot_cycles},
                {"block_dots", block_dot_cycles}};

double nib_cost_few_bits_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  for (size_t i = 0; i < sizeof few_bits / sizeof *few_bits; ++i)
    if (strcmp(d->schedule, few_bits[i].schedule) == 0)
      return few_bits[i].cycles(d, v);
  return 0;
}
