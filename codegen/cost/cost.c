/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The analytic cost model: a roofline of compute (throughputs of the vocabulary, utilisation of its
 * lanes and of the register tile) and of memory (compulsory bytes at the bandwidth of the cache
 * level that holds the working set), plus a fixed cost per kernel. */
#include "cost/cost.h"

#include "num/format.h"
#include "vocab/vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct nib_cost_model {
  int unused; /* the analytic model has no state; a learned one will */
};

/* Entering a kernel: call, constants into registers, cold branches. */
static const double k_kernel_cycles = 20.0;
/* A chain of dependent accumulations issues one per this many cycles. */
static const double k_accumulate_latency = 4.0;
/* Counter and pointers of a step of a tile. */
static const double k_step_cycles = 0.5;
/* Registers that an epilogue holds besides accumulators: bounds and a zero point, and for each
 * register of channels a scale and an offset. What no longer fits is stored and loaded. */
static const double k_epilogue_registers = 3.0, k_channel_registers = 2.0;
static const double k_store_cycles = 1.0;
/* Of a register, what brings four narrowed ones in order: nothing where they are a pixel's, whose
 * channels are packed in the order that narrowing undoes. */
static const double k_order_cycles = 0.125, k_ordered_vectors = 4.0;
/* Input rows read, converted and written into a ring, before anything can multiply them. */
static const double k_stage_bytes = 16.0;
/* A pool loads a register, widening codes, and adds or compares. */
static const double k_pool_cycles = 0.75;
/* Vector loads per cycle. */
static const double k_loads_per_cycle = 2.0;
/* Portable C, measured: the C compiler finds vectors in the loops over channels of a c99 register
 * tile, and in element-wise loops, but not in the loop nest around one multiplication. */
static const double k_scalar_tile_share = 0.4;
static const double k_direct_mac_cycles = 1.5;
/* Where the target has vectors and integers are summed over a long run of input channels, compilers
 * find them: two thirds of the lanes' speed are left, and a run of fewer than so many channels for
 * each lane that is used does not reach that. */
static const double k_found_share = 0.67;
static const double k_found_run = 8.0;
static const double k_scalar_element_cycles = 0.2;
static const double k_exp_element_cycles = 1.0; /* softmax, sigmoid, tanh: no vectors found */

nib_status nib_cost_model_open(const char *spec, nib_cost_model **out_model, const nib_diag *diag) {
  *out_model = NULL;
  if (spec == NULL || strcmp(spec, "analytic") != 0)
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                          "cost model '%s': only 'analytic' exists; learned models are not "
                          "supported yet",
                          spec ? spec : "");
  nib_cost_model *m = calloc(1, sizeof *m);
  if (m == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory opening the cost model");
  *out_model = m;
  return NIB_OK;
}

void nib_cost_model_close(nib_cost_model *model) { free(model); }

/* What multiplies in a kernel of this root operator. */
typedef enum mac_kind { MAC_NONE, MAC_DOT, MAC_LANE } mac_kind;

static const struct mac_row {
  const char *op;
  mac_kind kind;
} k_macs[] = {
    {"conv2d", MAC_DOT}, {"transpose_conv2d", MAC_DOT},  {"fully_connected", MAC_DOT},
    {"matmul", MAC_DOT}, {"depthwise_conv2d", MAC_LANE},
};

static mac_kind mac_kind_of(const nib_kernel_desc *d) {
  for (size_t i = 0; d->n_ops > 0 && i < sizeof k_macs / sizeof k_macs[0]; ++i)
    if (strcmp(k_macs[i].op, d->ops[0]) == 0)
      return k_macs[i].kind;
  return MAC_NONE;
}

static const nib_desc_tensor *find_role(const nib_kernel_desc *d, const char *role) {
  for (int32_t i = 0; i < d->n_tensors; ++i)
    if (strcmp(d->tensors[i].role, role) == 0)
      return &d->tensors[i];
  return NULL;
}

static bool is_float(const nib_desc_tensor *t) {
  return t != NULL && (t->format[0] == 'f' || strcmp(t->format, "bf16") == 0);
}

/* Cycles of one element operation, of a kernel of several operators on rows: what vectors say takes
 * `vector` cycles, in portable C exponentials are calls. */
static double row_element_cycles(const nib_kernel_desc *d, double vector) {
  static const char *const k_calls[] = {"tanh", "sigmoid", "silu", "gelu", "gelu_tanh"};
  double work = 0, cycles = 0;
  for (int32_t i = 0; i < d->n_ops; ++i) {
    const nib_op op = nib_op_find(d->ops[i]);
    const double of_op = op != NIB_OP_COUNT ? nib_op_get(op)->work : 1;
    bool calls = vector == 0 && strcmp(d->ops[i], "softmax") == 0;
    for (size_t k = 0; k < sizeof k_calls / sizeof k_calls[0]; ++k)
      calls |= strcmp(k_calls[k], d->ops[i]) == 0;
    work += of_op;
    cycles += of_op * (calls        ? k_exp_element_cycles
                       : vector > 0 ? vector
                                    : k_scalar_element_cycles);
  }
  return work > 0 ? cycles / work : 0.0;
}

static double wide_element_cycles(const nib_kernel_desc *d) {
  static const char *const k_exps[] = {"softmax", "sigmoid", "tanh"};
  for (size_t i = 0; d->n_ops > 0 && i < sizeof k_exps / sizeof k_exps[0]; ++i)
    if (strcmp(k_exps[i], d->ops[0]) == 0)
      return k_exp_element_cycles;
  for (int32_t i = 1; i < d->n_ops; ++i) /* of several roots */
    if (strcmp(d->ops[i], "softmax") == 0)
      return row_element_cycles(d, 0);
  return k_scalar_element_cycles;
}

/* Whether results are rounded to another scale; the others move or compare codes. */
static bool rescales(const nib_kernel_desc *d) {
  static const char *const k_moves[] = {"max_pool2d", "relu",          "clamp",     "lookup",
                                        "pad",        "reshape",       "transpose", "concat",
                                        "slice",      "strided_slice", "dequantize"};
  for (size_t i = 0; d->n_ops == 1 && i < sizeof k_moves / sizeof k_moves[0]; ++i)
    if (strcmp(k_moves[i], d->ops[0]) == 0)
      return false;
  return true;
}

/* Throughputs per register operation. */
typedef struct rates {
  double lanes, dot_k, real_k, registers;
  double codes, unpack; /* of weights in a byte, and of taking one out of a register of them */
  double dot, dot8, fma, lane_mac, requant, element;
  double total;       /* of a register of sums that ends in another one */
  bool orders;        /* whether narrowing undoes an order of channels */
  double found_lanes; /* of the target's registers, which compilers may use for portable C */
  bool scalar, in_order;
} rates;

/* Lanes taken apart, widened and added. */
static const double k_total_cycles = 2.0;

/* Cores that issue one instruction after another, where compilers find few vectors. */
static const double k_in_order_elements = 12.0;

static double scalar_element_cycles(const nib_kernel_desc *d, const rates *r) {
  return wide_element_cycles(d) * (r->in_order ? k_in_order_elements : 1.0);
}

static double or_default(double value, double if_zero) { return value > 0 ? value : if_zero; }

static rates rates_of_vocab(const nib_vocab *v) {
  return (rates){
      .lanes = v->lanes > 0 ? v->lanes : 1,
      .dot_k = v->dot_k > 0 ? v->dot_k : 1,
      .real_k = v->half_k > 0 ? v->half_k : 1,
      .registers = v->registers > 0 ? v->registers : 16,
      .dot = or_default(v->dot_cycles, 1),
      .dot8 = or_default(v->dot8_cycles, 1),
      .fma = or_default(v->fma_cycles, 1),
      .lane_mac = or_default(v->mac16_cycles, 1),
      .requant = or_default(v->requant_cycles, 8),
      .element = v->lanes > 1 ? or_default(v->elementwise_cycles, 1) : k_scalar_element_cycles,
      .total = v->type_sum ? k_total_cycles : 0,
      .orders = nib_vocab_prim(v, NIB_PRIM_PACK_I8) != NULL,
      .scalar = v->lanes <= 1,
      .in_order = v->in_order,
  };
}

/* Before a vocabulary is weighed: what the widest registers of the target could do. */
static rates rates_of_machine(const nib_machine *m) {
  const double lanes = m->vector_bytes >= 8 ? m->vector_bytes / 4 : 1;
  return (rates){.lanes = lanes,
                 .dot_k = lanes > 1 ? 4 : 1,
                 .real_k = 1,
                 .registers = m->vector_registers > 0 ? m->vector_registers : 16,
                 .dot = 1,
                 .fma = 0.5,
                 .lane_mac = 1,
                 .requant = 8,
                 .element = 1,
                 .scalar = lanes <= 1};
}

/* What conv_rows' tile says of how weights share bytes. */
static void share_bytes(const nib_kernel_desc *d, const nib_vocab *v, rates *r) {
  const bool shared = strcmp(d->schedule, "conv_rows") == 0 && d->tile[4] > 1;
  r->codes = shared ? d->tile[4] : 1;
  r->unpack = shared && v != NULL ? nib_vocab_unpack_cycles(v, d->tile[4], d->tile[0] == 1) : 0;
}

static double round_up(double value, double unit) { return ceil(value / unit) * unit; }

static double columns_of(const nib_kernel_desc *d) {
  const nib_desc_tensor *out = find_role(d, "out");
  return out != NULL && out->rank > 0 && out->dims[out->rank - 1] > 0
             ? (double)out->dims[out->rank - 1]
             : 1.0;
}

static double rows_of(const nib_kernel_desc *d) {
  const nib_desc_tensor *out = find_role(d, "out");
  double rows = 1;
  for (int32_t i = 0; out != NULL && i + 1 < out->rank; ++i)
    rows *= (double)(out->dims[i] > 0 ? out->dims[i] : 1);
  return rows;
}

/* One after another: two loads, their addresses, the product and the end of the loop. */
static const double k_in_order_mac_cycles = 6.0;
static double direct_mac_cycles(const rates *r) {
  return r->in_order && r->found_lanes <= 1 ? k_in_order_mac_cycles : k_direct_mac_cycles;
}

/* Cycles of one step over K of a register tile of `rows` pixels by `vectors` column registers: the
 * slowest of issuing the products, loading their operands, and the chain of each accumulator. */
static double tile_step_cycles(const nib_kernel_desc *d, const rates *r, double rows,
                               double vectors, double issue) {
  const double registers = r->registers;
  /* By taps, an input column is loaded once for the taps of a row. */
  const nib_desc_row row = nib_kernel_desc_row(d);
  const double taps = d->tile[3] > 0 && row.taps > 0 ? (double)row.taps : 1;
  const double loaded = ((rows - 1) * (double)row.step + taps) / taps;
  const double loads = ((taps > 1 ? loaded : rows) + vectors / r->codes) / k_loads_per_cycle;
  double cycles =
      fmax(vectors * (rows * issue + r->unpack) + k_step_cycles, fmax(loads, k_accumulate_latency));
  if (r->in_order) /* a scalar load for each activation; weights are loaded and widened */
    cycles = (rows + 1) * vectors * issue + (taps > 1 ? loaded : rows) + k_step_cycles;
  const double used = rows * vectors + taps * vectors + 1;
  if (used > registers) /* accumulators spilled and reloaded at every step */
    cycles += 2 * (used - registers);
  return cycles;
}

/* Entering and leaving the loops over what would saturate pairs. */
static const double k_excess_cycles = 12.0;

/* How many times faster compilers make the loop around one multiplication. */
static double found_vectors(const nib_kernel_desc *d, double lanes, bool real) {
  const nib_desc_tensor *in = find_role(d, "in");
  const double run = in != NULL && in->rank > 0 ? (double)in->dims[in->rank - 1] : 1.0;
  /* Floats: over channels, which are independent, a register a cycle. */
  if (mac_kind_of(d) == MAC_LANE)
    return real && lanes > 1 ? fmin(lanes, run) * k_direct_mac_cycles : 1.0;
  /* The order of float sums is kept, so that they stay scalar. */
  return real ? 1.0 : fmax(1.0, fmin(k_found_share * lanes, run / k_found_run));
}

/* What a tile costs after its last step, besides arithmetic: the registers that its epilogue moves
 * between memory and the loop, and a store of each pixel's codes. */
static double finish_cycles(double rows, double vectors, double registers, bool real) {
  const double constants = k_epilogue_registers + (real ? 0.0 : k_channel_registers * vectors);
  return fmax(rows * vectors + constants - registers, 0.0) + (real ? 0.0 : rows * k_store_cycles);
}

/* Pixels of the result that tiles are cut from: all of them where each reads one pixel of the input
 * and none is passed over, else those of a row. */
static double row_pixels(const nib_kernel_desc *d) {
  const nib_desc_tensor *out = find_role(d, "out");
  const bool pointwise = d->kernel[0] * d->kernel[1] <= 1 && d->strides[0] * d->strides[1] <= 1;
  if (pointwise || out == NULL || out->rank < 2)
    return rows_of(d);
  const int64_t pixels = out->dims[out->rank - 2], apart = nib_kernel_desc_row(d).apart;
  return (double)(pixels > apart ? (pixels + apart - 1) / apart : 1);
}

static double dot_cycles(const nib_kernel_desc *d, const rates *r, bool real) {
  const double fold = (double)nib_kernel_desc_row(d).fold;
  const double n = columns_of(d) * fold, m = rows_of(d) / fold;
  const double k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 4, row_pixels(d));
  const double nr = d->tile[1] > 0 ? d->tile[1] : fmin(4, ceil(n / r->lanes));
  const double depth = real ? r->real_k : r->dot_k;
  const double steps = round_up(k, depth * r->codes) / depth;
  /* Along each row whole tiles, then a remainder of pixels and one of column registers at their
   * own efficiency. */
  const double row = row_pixels(d), vectors = ceil(n / r->lanes);
  const double issue = real ? r->fma : r->dot;
  const double whole_m = floor(row / mr), rest_m = row - whole_m * mr;
  const double whole_n = floor(vectors / nr), rest_n = vectors - whole_n * nr;
  double cycles = whole_m * whole_n * tile_step_cycles(d, r, mr, nr, issue);
  if (rest_n > 0)
    cycles += whole_m * tile_step_cycles(d, r, mr, rest_n, issue);
  if (rest_m > 0)
    cycles += whole_n * tile_step_cycles(d, r, rest_m, nr, issue);
  if (rest_m > 0 && rest_n > 0)
    cycles += tile_step_cycles(d, r, rest_m, rest_n, issue);
  cycles *= m / row * steps;
  cycles += real ? m * vectors * r->total : 0;
  if (d->excess_macs > 0) /* loops of their own for every column register of a tile */
    cycles += (double)d->excess_macs / (r->lanes * r->dot_k) * r->dot8 +
              ceil(m / mr) * vectors * (k_excess_cycles + mr);
  if (!real && r->orders && (nr != k_ordered_vectors || rest_n > 0 || fmod(n, r->lanes) > 0))
    cycles += m * vectors * k_order_cycles;
  if (!r->scalar)
    return cycles + m / mr * ceil(vectors / nr) * finish_cycles(mr, nr, r->registers, real);
  /* One instruction after another on a core without vectors: nothing is found, or overlapped. */
  const double share = r->in_order && r->found_lanes <= 1 ? 1.0 : k_scalar_tile_share;
  cycles *= share / (real ? 1.0 : fmax(1.0, r->found_lanes / k_found_run));
  return nr > 1 ? cycles
                : fmin(cycles, (double)d->macs * direct_mac_cycles(r) /
                                   found_vectors(d, r->found_lanes, real));
}

/* A bit of a code into its plane, eight at a time. */
static const double k_pack_cycles = 0.6;

static int bits_of(const nib_desc_tensor *t) {
  const nib_format format = t != NULL ? nib_format_find(t->format) : NIB_FORMAT_COUNT;
  return format != NIB_FORMAT_COUNT ? nib_format_get(format)->bits : 8;
}

/* Every word of 64 of K, for each pair of planes: counted bit_words outputs at a time. */
static double bit_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = columns_of(d), m = rows_of(d), k = fmax(1.0, (double)d->macs / (n * m));
  const double x = bits_of(find_role(d, "in")), w = bits_of(find_role(d, "weight"));
  const double lanes = v->bit_words > 0 ? v->bit_words : 1;
  const double counts = ceil(k / 64) * ceil(n / lanes) * x * w;
  return m * (counts * or_default(v->bit_count_cycles, 5) + k * x * k_pack_cycles);
}

/* Elements along K that share a scale. */
static double group_of(const nib_desc_tensor *t, double k) {
  const nib_format format = t != NULL ? nib_format_find(t->format) : NIB_FORMAT_COUNT;
  if (format == NIB_FORMAT_COUNT || nib_format_get(format)->kind != NIB_KIND_BLOCK)
    return k;
  const nib_format_info *info = nib_format_get(format);
  return info->block.group_elems ? info->block.group_elems : info->block_elems;
}

/* Planes of 1, 2, 4 or 8 bits that codes are cut into, each with dot products of its own. */
static int planes_of(const nib_desc_tensor *t) {
  const nib_format format = t != NULL ? nib_format_find(t->format) : NIB_FORMAT_COUNT;
  if (format == NIB_FORMAT_COUNT)
    return 1;
  const nib_format_info *info = nib_format_get(format);
  int bits = info->kind == NIB_KIND_BLOCK ? nib_format_get((nib_format)info->block.element)->bits
                                          : info->bits;
  int planes = 0;
  for (; bits > 0; bits &= bits - 1)
    ++planes;
  return planes > 1 ? planes : 1;
}

/* Of whole registers and of values in all lanes, a cycle: fewer than k_loads_per_cycle where loads
 * go on without a gap. */
static const double k_steady_loads_per_cycle = 1.7;

/* Bytes by codes of few bits. Of a step that shares scales: dot products, and masks on the codes
 * where these are not unpacked once (tile[2]), then two products of each sum by scales; loads of
 * activations, codes, and of three numbers of each row. */
static double block_dot_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = columns_of(d), m = rows_of(d), k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), nr = d->tile[1] > 0 ? d->tile[1] : 1;
  const double dot = or_default(v->dot8_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const bool unpacks = d->tile[2] > 0;
  const double panels = ceil(ceil(n / v->lanes) / nr), bytes = (double)d->weight_bytes / (n * k);
  const double step = fmin(group_of(find_role(d, "in"), k), group_of(find_role(d, "weight"), k));
  const double quads = ceil(step / 4), codes = unpacks ? nr : nr * bytes;
  const double stored = planes_of(find_role(d, "weight")), planes = unpacks ? 1 : stored;
  const double issue = quads * planes * (mr * nr * dot + (unpacks ? 0.0 : nr * simple)) +
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
  const double n = columns_of(d), m = rows_of(d), k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), nr = d->tile[1] > 0 ? d->tile[1] : 1;
  const double dot = or_default(v->dot8_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const double lookup = v->lanes > 1 ? 0.5 : 6.0;
  const double panels = ceil(ceil(n / v->lanes) / nr), units = ceil(k / 32);
  const double step = fmin(group_of(find_role(d, "in"), k), group_of(find_role(d, "weight"), k));
  const double issue = nr * 3 * simple + mr * nr * (4 * lookup + 2 * simple + 2 * dot);
  const double loads = (4 * mr + nr) / k_loads_per_cycle;
  const double scaling = mr * nr * 2 * simple + (2 * mr + nr) * simple;
  const double tile = units * fmax(issue, loads) + ceil(k / step) * scaling;
  const double tables = m * k / 4 * ceil(16.0 / v->lanes) * 4; /* and staging of rows */
  return panels * ceil(m / mr) * tile + tables;
}

/* The sums of six activations by codes of one bit. Of 32 elements of four registers of columns:
 * shifts and blends for the indices, twelve lookups, their sums, and eight to join and scale them;
 * of a group, each column's scale. */
static double block_six_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = columns_of(d), m = rows_of(d), k = fmax(1.0, (double)d->macs / (n * m));
  const double simple = v->lanes > 1 ? 0.5 : 6.0;
  const double panels = ceil(n / (4.0 * v->lanes)), units = ceil(k / 32);
  const double groups = ceil(k / group_of(find_role(d, "weight"), k));
  const double tables = 6 * 24 * ceil(16.0 / v->lanes); /* and staging of rows */
  return m * simple * (panels * (units * 35 + groups * 20) + units * tables);
}

/* Reals by codes of few bits: a shift and a lookup for each number, shared by a tile's rows, or
 * (tile[2]), beside a product and a store, by all of them. */
static double block_real_cycles(const nib_kernel_desc *d, const nib_vocab *v) {
  const double n = columns_of(d), m = rows_of(d), k = fmax(1.0, (double)d->macs / (n * m));
  const double mr = fmin(d->tile[0] > 0 ? d->tile[0] : 1, m), nr = d->tile[1] > 0 ? d->tile[1] : 1;
  const double fma = or_default(v->fma_cycles, 1), simple = v->lanes > 1 ? 0.5 : 1.0;
  const double panels = ceil(ceil(n / v->lanes) / nr);
  if (d->tile[2] > 0)
    return panels * k *
           (ceil(m / mr) * fmax(mr * nr * fma, (mr + nr) / k_loads_per_cycle) +
            nr * (3 * simple + fma + 1));
  const double issue = mr * nr * fma + nr * 3 * simple, loads = (mr + nr / 8) / k_loads_per_cycle;
  const double groups = ceil(k / group_of(find_role(d, "weight"), k));
  return panels * ceil(m / mr) * (k * fmax(issue, loads) + groups * mr * nr * 3 * simple);
}

/* Pixels in lanes, of planes whose rows follow one another: each input register is multiplied by a
 * weight for each channel of the tile. Then sums are read across, pixel by pixel, or, of dense
 * planes (tile[2]) without followers, stored across. */
static double plane_cycles(const nib_kernel_desc *d, const rates *r) {
  const double n = columns_of(d), m = rows_of(d), width = row_pixels(d);
  const double across = (double)(d->kernel[1] > 0 ? d->kernel[1] : 1);
  const double sh = fmax((double)d->strides[0], 1), sw = fmax((double)d->strides[1], 1);
  const bool dense = d->tile[2] > 0;
  const double between = width < m && !dense ? (across - 1) / sw : 0.0;
  const double tiles = ceil(m * (width + between) / width / r->lanes);
  const double t = d->tile[0] > 0 ? d->tile[0] : 1;
  const double k = fmax(1.0, (double)d->macs / (n * m));
  const double products = ceil(n / t) * (r->fma + 1) + n * (r->fma + 1) + k_step_cycles;
  const nib_desc_tensor *in = find_role(d, "in");
  const double channels = in != NULL && in->rank > 0 ? (double)in->dims[in->rank - 1] : 1;
  /* Dense planes of an image as wide as the result are copied as a whole. */
  const double row_lines = m / width * sh * ceil(width / r->lanes);
  const double lines = !dense         ? row_lines * sw
                       : sh * sw == 1 ? ceil(m / r->lanes) * across + across
                                      : row_lines * across;
  const double finished =
      dense && d->n_ops == 1 ? tiles * n * r->fma : m * (5 + ceil(n / r->lanes) * 3 * r->fma);
  return tiles * products * k + finished + lines * channels * 6;
}

static double lane_mac_cycles(const nib_kernel_desc *d, const rates *r, bool real) {
  const double n = columns_of(d);
  const double padded = (double)d->macs * round_up(n, r->lanes) / n;
  return padded / r->lanes * (real ? r->fma : r->lane_mac);
}

/* Dot products of four kernel rows of a column each; four rows are interleaved for two or so. */
static const double k_interleave_cycles = 1.0;

static double quad_cycles(const nib_kernel_desc *d, const rates *r) {
  const double n = columns_of(d), taps_w = (double)(d->kernel[1] > 0 ? d->kernel[1] : 1);
  const double quads = ceil((double)d->kernel[0] / 4);
  const double registers = rows_of(d) * round_up(n, r->lanes) / r->lanes;
  const double excess = (double)d->excess_macs / (r->lanes * 4) * (r->dot + 0.5);
  /* Registers of channels that are packed together need no bytes moved between parts. */
  const double interleaving = k_interleave_cycles * quads * (d->tile[1] > 1 ? 0.5 : 1.0);
  return registers * (taps_w * quads * fmax(r->dot, 0.5) + 0.5 + interleaving) + excess;
}

/* Whether lanes do not end with rows: all operands are as large as the result, or one number. */
static bool runs_on(const nib_kernel_desc *d) {
  if (strcmp(d->schedule, "flat_steps") != 0)
    return false;
  const double result = rows_of(d) * columns_of(d);
  for (int32_t i = 0; i < d->n_tensors; ++i) {
    double elements = 1;
    for (int32_t k = 0; k < d->tensors[i].rank; ++k)
      elements *= (double)d->tensors[i].dims[k];
    if (elements > 1 && elements != result)
      return false;
  }
  return true;
}

static bool pools(const nib_kernel_desc *d) {
  return d->n_ops > 0 && strcmp(d->schedule, "pool_channels") == 0;
}

/* Bias and clamp of a product are part of its requantization. */
static double other_elements(const nib_kernel_desc *d, bool requantized) {
  const double own = requantized && mac_kind_of(d) != MAC_NONE ? rows_of(d) * columns_of(d) : 0.0;
  return fmax((double)d->elementwise - own, 0.0);
}

/* Filling the ring of rows that convolutions walk, where they do not read the input in place. */
static double stage_cycles(const nib_kernel_desc *d) {
  static const char *const k_rings[] = {"conv_rows", "depthwise_rows", "depthwise_quads"};
  for (size_t i = 0; d->scratch_bytes > 0 && i < sizeof k_rings / sizeof k_rings[0]; ++i)
    if (strcmp(k_rings[i], d->schedule) == 0)
      return (double)d->input_bytes / k_stage_bytes;
  return 0.0;
}

/* Elements that sums run over one after another. */
static double summed_elements(const nib_kernel_desc *d) {
  double sums = 0;
  for (int32_t i = 0; i < d->n_ops; ++i)
    sums += strcmp(d->ops[i], "mean") == 0 || strcmp(d->ops[i], "reduce") == 0;
  const nib_desc_tensor *in = find_role(d, "in");
  double elements = 1;
  for (int32_t i = 0; in != NULL && i < in->rank; ++i)
    elements *= (double)in->dims[i];
  return sums * elements;
}

/* Entering the loops of one operator for one row, and joining the lanes of a sum. */
static const double k_row_cycles = 2.0;
/* A lane's look-up in a table in memory, by vector and portable code; a byte's in registers, before
 * a vocabulary is weighed. */
static const double k_gather_cycles = 1.5, k_scalar_lookup_cycles = 1.0, k_byte_lookup_cycles = 0.1;
/* Of an element operation on codes, one on floats in registers. */
static const double k_row_element_share = 0.2;
/* Loops over the columns of a product of floats in portable C: those found vectors for, or not. */
static const double k_portable_product_cycles = 0.25, k_portable_mac_cycles = 1.0;

static double count_rows(const nib_kernel_desc *d) {
  return d->n_ops > 0 && strcmp(d->ops[d->n_ops - 1], "mean") == 0 ? rows_of(d) * columns_of(d)
                                                                   : rows_of(d);
}

/* Several operators on each row: products in tiles of rows and registers, and a pass over the row
 * for each operator, which loads, computes and stores. */
static double row_cycles(const nib_kernel_desc *d, const rates *r) {
  const double mr = fmax(d->tile[0], 1), nr = fmax(d->tile[1], 1);
  const double entering = r->scalar ? 0.0 : count_rows(d) * d->n_ops * k_row_cycles;
  if (r->scalar)
    return entering + (double)d->elementwise * scalar_element_cycles(d, r) +
           summed_elements(d) * k_accumulate_latency +
           (double)d->macs *
               (r->found_lanes > 1 ? k_portable_product_cycles : k_portable_mac_cycles);
  const double vector_macs = (double)d->macs / r->lanes / (mr * nr);
  return entering + vector_macs * tile_step_cycles(d, r, mr, nr, r->fma) +
         (double)d->elementwise *
             row_element_cycles(d, k_row_element_share * r->element / r->lanes);
}

/* Weights in blocks: products, beside which elements that follow are scalar. */
static const struct {
  const char *name;
  double (*cycles)(const nib_kernel_desc *d, const nib_vocab *v);
} block_schedules[] = {{"block_reals", block_real_cycles},
                       {"block_tables", block_table_cycles},
                       {"block_sixes", block_six_cycles},
                       {"block_dots", block_dot_cycles}};

static double count_lookups(const nib_kernel_desc *d) {
  double lookups = 0;
  for (int32_t i = 0; i < d->n_ops; ++i)
    lookups += strcmp(d->ops[i], "lookup") == 0;
  return lookups;
}

/* Cycles of a byte that is looked up in a register of them; 0: each is gathered. */
static double byte_lookup_cycles(const nib_kernel_desc *d) {
  const bool alone = d->macs == 0;
  const bool packs = !alone || d->schedule[0] == '\0' || strcmp(d->schedule, "byte_tables") == 0;
  const nib_vocab *v = nib_vocab_find(d->vocab);
  if (!packs || strcmp(d->ops[d->n_ops - 1], "lookup") != 0)
    return 0;
  return v ? nib_vocab_lookup_cycles(v, alone) / (4.0 * v->lanes) : k_byte_lookup_cycles;
}

/* Tables of bytes: the last one may be of whole registers of them. */
static double lookup_cycles(const nib_kernel_desc *d, bool scalar) {
  const double lookups = count_lookups(d), elements = rows_of(d) * columns_of(d);
  const double whole = lookups > 0 ? byte_lookup_cycles(d) : 0;
  return elements *
         (whole + (lookups - (whole > 0)) * (scalar ? k_scalar_lookup_cycles : k_gather_cycles));
}

static double compute_cycles(const nib_kernel_desc *d, const rates *r) {
  if (strcmp(d->schedule, "row_steps") == 0)
    return row_cycles(d, r);
  if (strcmp(d->schedule, "byte_tables") == 0)
    return lookup_cycles(d, r->scalar);
  const nib_desc_tensor *in = find_role(d, "in"), *out = find_role(d, "out");
  const bool real = is_float(in);
  if (strcmp(d->schedule, "bit_planes") == 0)
    return bit_cycles(d, nib_vocab_find(d->vocab)) +
           (double)d->elementwise * scalar_element_cycles(d, r) + rows_of(d) * columns_of(d);
  for (size_t i = 0; i < sizeof block_schedules / sizeof *block_schedules; ++i)
    if (strcmp(d->schedule, block_schedules[i].name) == 0)
      return block_schedules[i].cycles(d, nib_vocab_find(d->vocab)) +
             (double)d->elementwise * scalar_element_cycles(d, r);
  const mac_kind kind = mac_kind_of(d);
  const double n = runs_on(d) ? rows_of(d) * columns_of(d) : columns_of(d);
  const double lanes_used = n / round_up(n, r->lanes);
  double cycles = strcmp(d->schedule, "depthwise_quads") == 0 ? quad_cycles(d, r)
                  : strcmp(d->schedule, "conv_planes") == 0   ? plane_cycles(d, r)
                  : kind == MAC_DOT                           ? dot_cycles(d, r, real)
                  : kind == MAC_LANE                          ? lane_mac_cycles(d, r, real)
                                                              : 0.0;
  cycles += stage_cycles(d) + lookup_cycles(d, r->scalar);
  const bool requantized = !real && !is_float(out) && rescales(d);
  /* Codes are widened and narrowed around each step; floats are not. */
  const double element = pools(d)                ? k_pool_cycles
                         : real && is_float(out) ? r->element / 2
                                                 : r->element;
  const double looked_up =
      count_lookups(d) > 0 && byte_lookup_cycles(d) > 0 ? rows_of(d) * columns_of(d) : 0;
  cycles += fmax(other_elements(d, requantized) - looked_up, 0) / r->lanes * element /
            fmax(lanes_used, 1.0 / r->lanes);
  if (requantized)
    cycles += rows_of(d) * columns_of(d) / n * round_up(n, r->lanes) / r->lanes * r->requant;
  return cycles;
}

/* Portable C turns a real of fewer than 32 bits into f32, or back, by integers. */
static const double k_convert_cycles = 3.0;

static double converted(const nib_desc_tensor *t) {
  return is_float(t) && strcmp(t->format, "f32") != 0 && strcmp(t->format, "f64") != 0 ? 1.0 : 0.0;
}

static double convert_cycles(const nib_kernel_desc *d) {
  const double in = converted(find_role(d, "in")), out = converted(find_role(d, "out"));
  const double elements = rows_of(d) * columns_of(d);
  const double read =
      d->macs > 0 ? (double)d->macs * (in + converted(find_role(d, "weight"))) : elements * in;
  return (read + elements * out) * k_convert_cycles;
}

static double scalar_cycles(const nib_kernel_desc *d, const rates *r) {
  const bool real = is_float(find_role(d, "in"));
  const double mac = real ? r->fma : mac_kind_of(d) == MAC_LANE ? r->lane_mac : r->dot;
  return (double)d->macs * fmax(mac, 1.0) * direct_mac_cycles(r) /
             found_vectors(d, r->found_lanes, real) +
         convert_cycles(d) + (double)d->elementwise * scalar_element_cycles(d, r) +
         count_lookups(d) * rows_of(d) * columns_of(d) * k_scalar_lookup_cycles +
         (real ? summed_elements(d) * k_accumulate_latency : 0.0) +
         (real || !rescales(d) ? 0.0 : rows_of(d) * columns_of(d) * r->requant);
}

static double bytes_per_cycle(const nib_machine *m, double working_set) {
  if (working_set <= m->l1_bytes)
    return m->l1_bytes_per_cycle;
  if (working_set <= m->l2_bytes)
    return m->l2_bytes_per_cycle;
  return working_set <= m->l3_bytes ? m->l3_bytes_per_cycle : m->dram_bytes_per_cycle;
}

/* ---- GPUs ---- */

/* Between two kernels of a graph. */
static const double k_launch_ns = 2000.0;
/* Lane operations of one multiply-accumulate in plain loops: loads, addresses, the product. */
static const double k_loop_mac_operations = 6.0, k_loop_element_operations = 40.0;
/* Of the tensor cores, in multiply-accumulates a cycle for each lane: those of mma.sync on bytes.
 */
static const double k_tensor_macs = 16.0;

/* Blocks beyond one for each multiprocessor run after the first; a tile's unused rows and columns
 * cost as much. */
static double tile_cycles(const nib_kernel_desc *d, double lanes) {
  const double mr = d->tile[0] > 0 ? d->tile[0] : 64, nr = d->tile[1] > 0 ? d->tile[1] : 64;
  const double m = rows_of(d), n = columns_of(d), processors = lanes / 128;
  const double blocks = ceil(m / mr) * ceil(n / nr), waves = ceil(blocks / processors);
  const double macs = mr * nr * ((double)d->macs / (m * n) + 64);
  /* A small tile reads each operand more often: from shared memory, at 128 bytes a cycle. */
  return waves * fmax(macs / (128 * k_tensor_macs), macs * (1 / mr + 1 / nr) / 128);
}

/* Until the first products; for 128 bytes along K, the slower of products and of what a
 * multiprocessor gets from the second-level cache, where the blocks of a cluster share columns; for
 * each element of the result what does not overlap. Near what small products take on an H200. */
static const double k_first_cycles = 2500.0, k_cluster_cycles = 1500.0, k_result_cycles = 0.06,
                    k_cache_bytes = 28.0;

double nib_cost_warpgroup_cycles(double m, double n, double k_bytes,
                                 const int32_t tile[NIB_MAX_TILE], double processors) {
  const double mr = tile[0], nr = tile[1], cluster = tile[2] > 0 ? tile[2] : 1;
  const double tiles = ceil(m / (mr * cluster)) * ceil(n / nr);
  const double rounds = ceil(tiles / fmax(floor(processors / cluster), 1.0));
  const double step = fmax(mr * nr / 32, (mr + nr / cluster) * 128 / k_cache_bytes);
  return k_first_cycles + (cluster > 1 ? k_cluster_cycles : 0) +
         rounds * (ceil(k_bytes / 128) * step + k_result_cycles * mr * nr);
}

static double warpgroup_cycles(const nib_kernel_desc *d, double lanes) {
  const nib_desc_tensor *in = find_role(d, "in");
  const nib_format_info *f = in != NULL ? nib_format_get(nib_format_find(in->format)) : NULL;
  const double m = rows_of(d), n = columns_of(d), k = (double)d->macs / (m * n);
  return nib_cost_warpgroup_cycles(m, n, k * (f != NULL ? f->bytes : 1), d->tile, lanes / 128);
}

/* Rows of a tile are those of weights, which are unpacked for each tile of 64 of K. */
static const double k_unpack_cycles = 350.0;

static double unpacking_cycles(const nib_kernel_desc *d, double lanes) {
  const double m = columns_of(d), n = rows_of(d), k = (double)d->macs / (m * n);
  const double tiles = ceil(m / fmax(d->tile[0], 64)) * ceil(n / fmax(d->tile[1], 64));
  return fmax(nib_cost_warpgroup_cycles(m, n, k * 2, d->tile, lanes / 128),
              ceil(tiles / (lanes / 128)) * ceil(k / 64) * k_unpack_cycles);
}

/* Weights are unpacked once for 16 rows of activations, or fewer: so many multiply-accumulates a
 * cycle and lane then, measured on an H100. */
static const double k_stream_macs = 2.5;

static double stream_cycles(const nib_kernel_desc *d, double lanes) {
  const double rows = rows_of(d);
  return (double)d->macs / rows * ceil(rows / 16) * 16 / (lanes * k_stream_macs);
}

/* Measured on an H200: what a thread waits for each element of a sum that it reads by itself, for
 * as many as there are lanes, and to join those; for a tile, for each 64 bytes of K, and more where
 * elements are gathered. */
static const double k_read_ns = 60.0, k_lanes_ns = 130.0, k_join_ns = 700.0;
static const double k_tile_ns = 1000.0, k_stage_ns = 500.0, k_gather_ns = 4000.0;

/* The elements that go into one result. */
static double reads_of_result(const nib_kernel_desc *d) {
  const nib_desc_tensor *in = find_role(d, "in");
  const double results = fmax(rows_of(d) * columns_of(d), 1.0);
  double elements = 1.0;
  for (int i = 0; in != NULL && i < in->rank; ++i)
    elements *= (double)in->dims[i];
  if (d->macs > 0)
    return (double)d->macs / results;
  if (d->n_ops > 0 && strcmp(d->ops[0], "softmax") == 0) /* three times, by each row's thread */
    return 3.0 * columns_of(d);
  return fmax(elements / results, 1.0);
}

static double sum_ns(const nib_kernel_desc *d) {
  const double lanes = d->tile[0] > 0 ? d->tile[0] : 32;
  return ceil(reads_of_result(d) / lanes) * k_lanes_ns + k_join_ns * (lanes > 32 ? 1.5 : 1.0);
}

static double tile_ns(const nib_kernel_desc *d) {
  const nib_desc_tensor *in = find_role(d, "in");
  const nib_format_info *f = in != NULL ? nib_format_get(nib_format_find(in->format)) : NULL;
  const double bytes = f != NULL ? (double)f->bytes : 1.0;
  const double tap = in != NULL && in->rank > 0 ? (double)in->dims[in->rank - 1] * bytes : 16.0;
  const double stages = ceil(reads_of_result(d) * bytes / 64);
  return k_tile_ns + stages * (fmod(tap, 16) == 0 ? k_stage_ns : k_gather_ns);
}

/* Of a block that takes rows through several operators: for each operator, and for a product's step
 * over K by each thread; so many threads are on a multiprocessor at once. */
static const double k_matrix_bytes = 0.3; /* of the second-level cache, a ns for each lane */
static const double k_phase_ns = 250.0, k_product_step_ns = 3.0, k_resident_threads = 2048.0;

static double row_block_ns(const nib_kernel_desc *d, double lanes) {
  const double rows = fmax(d->tile[0], 1), threads = fmax(d->tile[1], 32);
  const double blocks = ceil(count_rows(d) / rows);
  const double waves = ceil(blocks / (lanes / 128 * k_resident_threads / threads));
  const double steps = (double)d->macs / fmax(count_rows(d), 1) * rows / threads;
  const double passes = (double)d->elementwise / fmax(count_rows(d), 1) * rows / threads;
  const double joining = threads > 32 * rows ? 1.5 : 1.0; /* warps meet at barriers */
  const double matrices = (double)d->macs * 4 / rows;     /* bytes: every block reads them whole */
  return waves * (d->n_ops * k_phase_ns * joining + (steps + passes) * k_product_step_ns) +
         matrices / (lanes * k_matrix_bytes);
}

static void predict_device(const nib_kernel_desc *d, const nib_machine *m, double traffic,
                           nib_cost *out_cost) {
  const double lanes = m->l1_bytes_per_cycle; /* 128 of each multiprocessor */
  const bool sums = strcmp(d->schedule, "row_sums") == 0;
  const bool rows = strcmp(d->schedule, "row_blocks") == 0;
  const bool loops = sums || rows || strcmp(d->schedule, "grid_loops") == 0;
  const bool streams = strcmp(d->schedule, "low_bit_stream") == 0;
  const bool unpacks = strcmp(d->schedule, "low_bit_warpgroup") == 0;
  const bool warpgroups = unpacks || strcmp(d->schedule, "warpgroup_gemm") == 0;
  const double macs = loops        ? (double)d->macs * k_loop_mac_operations / lanes
                      : streams    ? stream_cycles(d, lanes)
                      : unpacks    ? unpacking_cycles(d, lanes)
                      : warpgroups ? warpgroup_cycles(d, lanes)
                                   : tile_cycles(d, lanes);
  const double elements =
      (double)d->elementwise * (loops ? k_loop_element_operations : 4.0) / lanes;
  const double latency = sums                    ? sum_ns(d)
                         : rows                  ? row_block_ns(d, lanes)
                         : loops                 ? reads_of_result(d) * k_read_ns
                         : streams || warpgroups ? 0.0
                                                 : tile_ns(d);
  out_cost->compute_ns = (macs + elements) / m->ghz + latency;
  out_cost->memory_ns = traffic / m->dram_bytes_per_cycle / m->ghz;
  out_cost->overhead_ns = k_launch_ns;
  out_cost->ns = fmax(out_cost->compute_ns, out_cost->memory_ns) + k_launch_ns;
}

nib_status nib_cost_predict(const nib_cost_model *model, const nib_kernel_desc *desc,
                            const nib_target *target, nib_cost *out_cost) {
  (void)model;
  const nib_vocab *vocab = desc->vocab[0] != '\0' ? nib_vocab_find(desc->vocab) : NULL;
  if (desc->vocab[0] != '\0' && vocab == NULL)
    return NIB_ERROR_INVALID_INPUT;
  const nib_machine *m = &target->machine;
  const bool direct = strcmp(desc->schedule, "direct") == 0;
  const nib_vocab *spoken = direct ? nib_vocab_find("c99") : vocab;
  rates r = spoken != NULL ? rates_of_vocab(spoken) : rates_of_machine(m);
  r.in_order |= nib_target_is_riscv(target);
  share_bytes(desc, spoken, &r);
  r.found_lanes = m->vector_bytes >= 32 ? m->vector_bytes / 4 : 1;
  const double ghz = m->ghz > 0 ? m->ghz : 1.0;
  /* Tables of sums are made small enough to stay in the caches. */
  const bool cached =
      (strcmp(desc->schedule, "block_tables") == 0 || strcmp(desc->schedule, "block_sixes") == 0) &&
      (double)desc->scratch_bytes <= m->l2_bytes;
  const double traffic = (double)desc->input_bytes + (double)desc->weight_bytes +
                         (double)desc->output_bytes +
                         (cached ? 0.0 : 2.0 * (double)desc->scratch_bytes);
  if (vocab != NULL && vocab->device) {
    predict_device(desc, m, traffic, out_cost);
    return NIB_OK;
  }
  const double bandwidth = or_default(bytes_per_cycle(m, (double)desc->working_set_bytes), 1.0);
  out_cost->compute_ns = (direct ? scalar_cycles(desc, &r) : compute_cycles(desc, &r)) / ghz;
  out_cost->memory_ns = traffic / bandwidth / ghz;
  out_cost->overhead_ns = k_kernel_cycles / ghz;
  out_cost->ns = fmax(out_cost->compute_ns, out_cost->memory_ns) + out_cost->overhead_ns;
  return NIB_OK;
}

/* Waking waiting threads and meeting them again, on one chip. */
static const double k_meeting_cycles = 2500;

void nib_cost_cut(const nib_target *target, double share, nib_cost *cost) {
  const double ghz = target->machine.ghz > 0 ? target->machine.ghz : 1.0;
  cost->compute_ns *= share;
  cost->memory_ns *= share;
  cost->overhead_ns += k_meeting_cycles / ghz;
  cost->ns = fmax(cost->compute_ns, cost->memory_ns) + cost->overhead_ns;
}
