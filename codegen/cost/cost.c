/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The analytic cost model: a roofline of compute (throughputs of the vocabulary, utilisation of its
 * lanes and of the register tile) and of memory (compulsory bytes at the bandwidth of the cache
 * level that holds the working set), plus a fixed cost per kernel. */
#include "cost/cost.h"
#include "cost/terms.h"

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

static rates rates_of_vocab(const nib_vocab *v) {
  return (rates){
      .lanes = v->lanes > 0 ? v->lanes : 1,
      .dot_k = v->dot_k > 0 ? v->dot_k : 1,
      .real_k = v->half_k > 0 ? v->half_k : 1,
      .registers = v->registers > 0 ? v->registers : 16,
      .dot = nib_cost_or(v->dot_cycles, 1),
      .dot8 = nib_cost_or(v->dot8_cycles, 1),
      .fma = nib_cost_or(v->fma_cycles, 1),
      .lane_mac = nib_cost_or(v->mac16_cycles, 1),
      .requant = nib_cost_or(v->requant_cycles, 8),
      .element = v->lanes > 1 ? nib_cost_or(v->elementwise_cycles, 1) : k_scalar_element_cycles,
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
  const double loads = ((taps > 1 ? loaded : rows) + vectors / r->codes) / NIB_COST_LOADS_PER_CYCLE;
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
  const nib_desc_tensor *in = nib_cost_role(d, "in");
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
  const nib_desc_tensor *out = nib_cost_role(d, "out");
  const bool pointwise = d->kernel[0] * d->kernel[1] <= 1 && d->strides[0] * d->strides[1] <= 1;
  if (pointwise || out == NULL || out->rank < 2)
    return nib_cost_rows(d);
  const int64_t pixels = out->dims[out->rank - 2], apart = nib_kernel_desc_row(d).apart;
  return (double)(pixels > apart ? (pixels + apart - 1) / apart : 1);
}

static double dot_cycles(const nib_kernel_desc *d, const rates *r, bool real) {
  const double fold = (double)nib_kernel_desc_row(d).fold;
  const double n = nib_cost_columns(d) * fold, m = nib_cost_rows(d) / fold;
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

/* Pixels in lanes, of planes whose rows follow one another: each input register is multiplied by a
 * weight for each channel of the tile. Then sums are read across, pixel by pixel, or, of dense
 * planes (tile[2]) without followers, stored across. */
static double plane_cycles(const nib_kernel_desc *d, const rates *r) {
  const double n = nib_cost_columns(d), m = nib_cost_rows(d), width = row_pixels(d);
  const double across = (double)(d->kernel[1] > 0 ? d->kernel[1] : 1);
  const double sh = fmax((double)d->strides[0], 1), sw = fmax((double)d->strides[1], 1);
  const bool dense = d->tile[2] > 0;
  const double between = width < m && !dense ? (across - 1) / sw : 0.0;
  const double tiles = ceil(m * (width + between) / width / r->lanes);
  const double t = d->tile[0] > 0 ? d->tile[0] : 1;
  const double k = fmax(1.0, (double)d->macs / (n * m));
  const double products = ceil(n / t) * (r->fma + 1) + n * (r->fma + 1) + k_step_cycles;
  const nib_desc_tensor *in = nib_cost_role(d, "in");
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
  const double n = nib_cost_columns(d);
  const double padded = (double)d->macs * round_up(n, r->lanes) / n;
  return padded / r->lanes * (real ? r->fma : r->lane_mac);
}

/* Dot products of four kernel rows of a column each; four rows are interleaved for two or so. */
static const double k_interleave_cycles = 1.0;

static double quad_cycles(const nib_kernel_desc *d, const rates *r) {
  const double n = nib_cost_columns(d), taps_w = (double)(d->kernel[1] > 0 ? d->kernel[1] : 1);
  const double quads = ceil((double)d->kernel[0] / 4);
  const double registers = nib_cost_rows(d) * round_up(n, r->lanes) / r->lanes;
  const double excess = (double)d->excess_macs / (r->lanes * 4) * (r->dot + 0.5);
  /* Registers of channels that are packed together need no bytes moved between parts. */
  const double interleaving = k_interleave_cycles * quads * (d->tile[1] > 1 ? 0.5 : 1.0);
  return registers * (taps_w * quads * fmax(r->dot, 0.5) + 0.5 + interleaving) + excess;
}

/* Whether lanes do not end with rows: all operands are as large as the result, or one number. */
static bool runs_on(const nib_kernel_desc *d) {
  if (strcmp(d->schedule, "flat_steps") != 0)
    return false;
  const double result = nib_cost_rows(d) * nib_cost_columns(d);
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
  const double own =
      requantized && mac_kind_of(d) != MAC_NONE ? nib_cost_rows(d) * nib_cost_columns(d) : 0.0;
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
  const nib_desc_tensor *in = nib_cost_role(d, "in");
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

/* Several operators on each row: products in tiles of rows and registers, and a pass over the row
 * for each operator, which loads, computes and stores. */
static double row_cycles(const nib_kernel_desc *d, const rates *r) {
  const double mr = fmax(d->tile[0], 1), nr = fmax(d->tile[1], 1);
  const double entering = r->scalar ? 0.0 : nib_cost_row_count(d) * d->n_ops * k_row_cycles;
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

static double count_lookups(const nib_kernel_desc *d) {
  double lookups = 0;
  for (int32_t i = 0; i < d->n_ops; ++i)
    lookups += strcmp(d->ops[i], "lookup") == 0;
  return lookups;
}

/* Cycles of a byte that the last operator looks up in a register of them; 0: it gathers each, or is
 * another one. */
static double byte_lookup_cycles(const nib_kernel_desc *d) {
  const bool alone = d->macs == 0;
  const bool packs = !alone || d->schedule[0] == '\0' || strcmp(d->schedule, "byte_tables") == 0;
  const nib_vocab *v = nib_vocab_find(d->vocab);
  if (!packs || d->n_ops == 0 || strcmp(d->ops[d->n_ops - 1], "lookup") != 0)
    return 0;
  return v ? nib_vocab_lookup_cycles(v, alone) / (4.0 * v->lanes) : k_byte_lookup_cycles;
}

/* Tables of bytes: the last one may be of whole registers of them. */
static double lookup_cycles(const nib_kernel_desc *d, bool scalar) {
  const double lookups = count_lookups(d), elements = nib_cost_rows(d) * nib_cost_columns(d);
  const double whole = byte_lookup_cycles(d);
  return elements *
         (whole + (lookups - (whole > 0)) * (scalar ? k_scalar_lookup_cycles : k_gather_cycles));
}

/* Loading, storing and interleaving registers of bytes, two of them a cycle. */
static const double k_byte_register_cycles = 0.5;

static double transpose_cycles(const nib_kernel_desc *d, const rates *r) {
  const nib_format_info *out = nib_cost_format(nib_cost_role(d, "out"));
  const double bytes = out != NULL && out->bytes > 0 ? out->bytes : 1.0;
  const double registers = nib_cost_rows(d) * nib_cost_columns(d) * bytes / (4 * r->lanes);
  return registers * (log2(fmax(16 / bytes, 1)) + 4) * k_byte_register_cycles;
}

static double compute_cycles(const nib_kernel_desc *d, const nib_vocab *v, const rates *r) {
  if (strcmp(d->schedule, "transpose_tiles") == 0)
    return transpose_cycles(d, r);
  if (strcmp(d->schedule, "row_steps") == 0)
    return row_cycles(d, r);
  if (strcmp(d->schedule, "byte_tables") == 0)
    return lookup_cycles(d, r->scalar);
  const nib_desc_tensor *in = nib_cost_role(d, "in"), *out = nib_cost_role(d, "out");
  const bool real = nib_cost_is_float(in);
  const double few_bits = nib_cost_few_bits_cycles(d, v);
  if (few_bits > 0)
    return few_bits + (double)d->elementwise * scalar_element_cycles(d, r);
  const mac_kind kind = mac_kind_of(d);
  const double n = runs_on(d) ? nib_cost_rows(d) * nib_cost_columns(d) : nib_cost_columns(d);
  const double lanes_used = n / round_up(n, r->lanes);
  double cycles = strcmp(d->schedule, "depthwise_quads") == 0 ? quad_cycles(d, r)
                  : strcmp(d->schedule, "conv_planes") == 0   ? plane_cycles(d, r)
                  : kind == MAC_DOT                           ? dot_cycles(d, r, real)
                  : kind == MAC_LANE                          ? lane_mac_cycles(d, r, real)
                                                              : 0.0;
  cycles += stage_cycles(d) + lookup_cycles(d, r->scalar);
  const bool requantized = !real && !nib_cost_is_float(out) && rescales(d);
  /* Codes are widened and narrowed around each step; floats are not. */
  const double element = pools(d)                         ? k_pool_cycles
                         : real && nib_cost_is_float(out) ? r->element / 2
                                                          : r->element;
  const double looked_up = byte_lookup_cycles(d) > 0 ? nib_cost_rows(d) * nib_cost_columns(d) : 0;
  cycles += fmax(other_elements(d, requantized) - looked_up, 0) / r->lanes * element /
            fmax(lanes_used, 1.0 / r->lanes);
  if (requantized)
    cycles +=
        nib_cost_rows(d) * nib_cost_columns(d) / n * round_up(n, r->lanes) / r->lanes * r->requant;
  return cycles;
}

/* Portable C turns a real of fewer than 32 bits into f32, or back, by integers. */
static const double k_convert_cycles = 3.0;

static double converted(const nib_desc_tensor *t) {
  return nib_cost_is_float(t) && strcmp(t->format, "f32") != 0 && strcmp(t->format, "f64") != 0
             ? 1.0
             : 0.0;
}

static double convert_cycles(const nib_kernel_desc *d) {
  const double in = converted(nib_cost_role(d, "in")), out = converted(nib_cost_role(d, "out"));
  const double elements = nib_cost_rows(d) * nib_cost_columns(d);
  const double read =
      d->macs > 0 ? (double)d->macs * (in + converted(nib_cost_role(d, "weight"))) : elements * in;
  return (read + elements * out) * k_convert_cycles;
}

/* An element of a block for each product: where it lies, its bits, its scale. */
static const double k_decode_cycles = 3.5, k_in_order_decode_cycles = 14;

static double decode_cycles(const nib_kernel_desc *d, const rates *r) {
  const double each =
      r->in_order && r->found_lanes <= 1 ? k_in_order_decode_cycles : k_decode_cycles;
  const char *const roles[] = {"in", "weight"};
  double blocks = 0;
  for (int i = 0; i < 2; ++i) {
    const nib_format_info *info = nib_cost_format(nib_cost_role(d, roles[i]));
    blocks += info != NULL && info->kind == NIB_KIND_BLOCK;
  }
  return (double)d->macs * blocks * each;
}

static double scalar_cycles(const nib_kernel_desc *d, const rates *r) {
  const bool real = nib_cost_is_float(nib_cost_role(d, "in"));
  const double mac = real ? r->fma : mac_kind_of(d) == MAC_LANE ? r->lane_mac : r->dot;
  return (double)d->macs * fmax(mac, 1.0) * direct_mac_cycles(r) /
             found_vectors(d, r->found_lanes, real) +
         convert_cycles(d) + decode_cycles(d, r) + nib_cost_encode_cycles(d) +
         (double)d->elementwise * scalar_element_cycles(d, r) +
         count_lookups(d) * nib_cost_rows(d) * nib_cost_columns(d) * k_scalar_lookup_cycles +
         (real ? summed_elements(d) * k_accumulate_latency : 0.0) +
         (real || !rescales(d) ? 0.0 : nib_cost_rows(d) * nib_cost_columns(d) * r->requant);
}

static double bytes_per_cycle(const nib_machine *m, double working_set) {
  if (working_set <= m->l1_bytes)
    return m->l1_bytes_per_cycle;
  if (working_set <= m->l2_bytes)
    return m->l2_bytes_per_cycle;
  return working_set <= m->l3_bytes ? m->l3_bytes_per_cycle : m->dram_bytes_per_cycle;
}

/* A product and a sum of reals by a library. */
static const double k_software_fma_cycles = 120;

nib_status nib_cost_predict(const nib_cost_model *model, const nib_kernel_desc *desc,
                            const nib_target *target, nib_cost *out_cost) {
  (void)model;
  const nib_vocab *vocab = desc->vocab[0] != '\0' ? nib_vocab_find(desc->vocab) : NULL;
  if (desc->vocab[0] != '\0' && vocab == NULL)
    return NIB_ERROR_INVALID_INPUT;
  const nib_machine *m = &target->machine;
  const bool direct = strcmp(desc->schedule, "direct") == 0;
  const nib_vocab *spoken = direct ? nib_vocab_find("c99") : vocab;
  nib_vocab in_software;
  if (spoken != NULL && nib_target_lacks_reals(target)) {
    in_software = *spoken;
    in_software.fma_cycles = k_software_fma_cycles;
    spoken = &in_software;
  }
  rates r = spoken != NULL ? rates_of_vocab(spoken) : rates_of_machine(m);
  r.in_order |= nib_target_is_riscv(target);
  share_bytes(desc, spoken, &r);
  r.found_lanes = m->vector_bytes >= 32 ? m->vector_bytes / 4 : 1;
  const double ghz = m->ghz > 0 ? m->ghz : 1.0;
  /* Tables of sums, and tiles, are made small enough to stay in the caches. */
  static const char *const k_near[] = {"block_tables", "block_sixes", "transpose_tiles"};
  bool cached = false;
  for (size_t i = 0; i < sizeof k_near / sizeof *k_near; ++i)
    cached |= strcmp(desc->schedule, k_near[i]) == 0 && (double)desc->scratch_bytes <= m->l2_bytes;
  const double traffic = (double)desc->input_bytes + (double)desc->weight_bytes +
                         (double)desc->output_bytes +
                         (cached ? 0.0 : 2.0 * (double)desc->scratch_bytes);
  if (vocab != NULL && vocab->device) {
    nib_cost_predict_device(desc, m, traffic, out_cost);
    return NIB_OK;
  }
  const double bandwidth = nib_cost_or(bytes_per_cycle(m, (double)desc->working_set_bytes), 1.0);
  out_cost->compute_ns =
      (direct ? scalar_cycles(desc, &r) : compute_cycles(desc, spoken, &r)) / ghz;
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
