/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The analytic model of kernels on weights of few bits. */
#include "cost/terms.h"

#include "num/format.h"

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
  if (!info || info->kind != NIB_KIND_BLOCK)
    return k;
  return info->block.group_elems ? info->block.group_elems : info->block_elems;
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

/* Bytes by codes of few bits. Of a step that shares scales: dot products, and masks on the codes
 * where these are not unpacked once (tile[2]), all but one of a register where its sums are nested;
 * then two products of each sum by scales; loads of activations, codes, and of three numbers of
 * each row. */
static double block_dot_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const bool nested = strcmp(d->schedule, "block_nested") == 0, unpacks = d->tile[2] > 0;
  const double bytes = (double)d->weight_bytes / (n * k);
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m);
  const double nr = nested           ? 16.0 / code_bits(nib_cost_role(d, "weight"))
                    : d->tile[1] > 0 ? d->tile[1]
                                     : 1;
  const double dot = nib_cost_or(v->dot8_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const double panels = ceil(ceil(n / v->lanes) / nr);
  const double step =
      fmin(group_of(nib_cost_role(d, "in"), k), group_of(nib_cost_role(d, "weight"), k));
  const double quads = ceil(step / 4), codes = unpacks ? nr : nested ? 2 : nr * bytes;
  const double masks = unpacks ? 0 : nested ? nr - codes : nr;
  const double stored = planes_of(nib_cost_role(d, "weight")), planes = unpacks ? 1 : stored;
  const double issue = quads * planes * (mr * nr * dot + masks * simple) +
                       (mr * nr + (unpacks ? 0.0 : nr)) * 2 * simple;
  const double loads = quads * (planes * mr + codes) + 3 * mr + nr;
  const double tile = ceil(k / step) * fmax(issue, loads / k_steady_loads_per_cycle);
  /* Staging of rows; unpacked bytes are written, and read by what follows. */
  const double rows = m * k * 0.1;
  return panels * (ceil(m / mr) * tile +
                   (unpacks ? ceil(k / 4) * nr * (2 + 3 * stored) * simple : 0.0)) +
         rows;
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

/* Reals by codes of few bits: a shift and a lookup for each number, shared by a tile's rows, or
 * (tile[2]), beside a product and a store, by all of them. */
static double block_real_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d),
               k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), nr = d->tile[1] > 0 ? d->tile[1] : 1;
  const double fma = nib_cost_or(v->fma_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const double panels = ceil(ceil(n / v->lanes) / nr);
  if (d->tile[2] > 0)
    return panels * k *
           (ceil(m / mr) * fmax(mr * nr * fma, (mr + nr) / NIB_COST_LOADS_PER_CYCLE) +
            nr * (3 * simple + fma + 1));
  const double issue = mr * nr * fma + nr * 3 * simple,
               loads = (mr + nr / 8) / NIB_COST_LOADS_PER_CYCLE;
  const double groups = ceil(k / group_of(nib_cost_role(d, "weight"), k));
  return panels * ceil(m / mr) * (k * fmax(issue, loads) + groups * mr * nr * 3 * simple);
}

/* An element of blocks of bytes that portable C encodes: in a schedule that does so, in any. */
static const double k_code_cycles = 8.5, k_encode_cycles = 12;

/* Reals to blocks of bytes: the largest of a block, its scale and the reciprocal, and a dozen
 * instructions for a register of codes. */
static double block_code_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double each = v->lanes > 1 ? 0.5 + 3.0 / v->lanes : k_code_cycles;
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
