/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The analytic model of kernels on GPUs. */
#include "cost/terms.h"

#include "num/format.h"

#include <math.h>
#include <string.h>

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
  const double m = nib_cost_rows(d), n = nib_cost_columns(d), processors = lanes / 128;
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
  const nib_format_info *f = nib_cost_format(nib_cost_role(d, "in"));
  const double m = nib_cost_rows(d), n = nib_cost_columns(d), k = (double)d->macs / (m * n);
  return nib_cost_warpgroup_cycles(m, n, k * (f != NULL ? f->bytes : 1), d->tile, lanes / 128);
}

/* Rows of a tile are those of weights, which are unpacked for each tile of 64 of K. */
static const double k_unpack_cycles = 350.0;

static double unpacking_cycles(const nib_kernel_desc *d, double lanes) {
  const double m = nib_cost_columns(d), n = nib_cost_rows(d), k = (double)d->macs / (m * n);
  const double tiles = ceil(m / fmax(d->tile[0], 64)) * ceil(n / fmax(d->tile[1], 64));
  return fmax(nib_cost_warpgroup_cycles(m, n, k * 2, d->tile, lanes / 128),
              ceil(tiles / (lanes / 128)) * ceil(k / 64) * k_unpack_cycles);
}

/* Weights are unpacked once for 16 rows of activations, or fewer: so many multiply-accumulates a
 * cycle and lane then, measured on an H100. */
static const double k_stream_macs = 2.5;

static double stream_cycles(const nib_kernel_desc *d, double lanes) {
  const double rows = nib_cost_rows(d);
  return (double)d->macs / rows * ceil(rows / 16) * 16 / (lanes * k_stream_macs);
}

/* Measured on an H200: what a thread waits for each element of a sum that it reads by itself, for
 * as many as there are lanes, and to join those; for a tile, for each 64 bytes of K, and more where
 * elements are gathered. */
static const double k_read_ns = 60.0, k_lanes_ns = 130.0, k_join_ns = 700.0;
static const double k_tile_ns = 1000.0, k_stage_ns = 500.0, k_gather_ns = 4000.0;

/* The elements that go into one result. */
static double reads_of_result(const nib_kernel_desc *d) {
  const nib_desc_tensor *in = nib_cost_role(d, "in");
  const double results = fmax(nib_cost_rows(d) * nib_cost_columns(d), 1.0);
  double elements = 1.0;
  for (int i = 0; in != NULL && i < in->rank; ++i)
    elements *= (double)in->dims[i];
  if (d->macs > 0)
    return (double)d->macs / results;
  if (d->n_ops > 0 && strcmp(d->ops[0], "softmax") == 0) /* three times, by each row's thread */
    return 3.0 * nib_cost_columns(d);
  return fmax(elements / results, 1.0);
}

static double sum_ns(const nib_kernel_desc *d) {
  const double lanes = d->tile[0] > 0 ? d->tile[0] : 32;
  return ceil(reads_of_result(d) / lanes) * k_lanes_ns + k_join_ns * (lanes > 32 ? 1.5 : 1.0);
}

static double tile_ns(const nib_kernel_desc *d) {
  const nib_desc_tensor *in = nib_cost_role(d, "in");
  const nib_format_info *f = nib_cost_format(in);
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
  const double blocks = ceil(nib_cost_row_count(d) / rows);
  const double waves = ceil(blocks / (lanes / 128 * k_resident_threads / threads));
  const double steps = (double)d->macs / fmax(nib_cost_row_count(d), 1) * rows / threads;
  const double passes = (double)d->elementwise / fmax(nib_cost_row_count(d), 1) * rows / threads;
  const double joining = threads > 32 * rows ? 1.5 : 1.0; /* warps meet at barriers */
  const double matrices = (double)d->macs * 4 / rows;     /* bytes: every block reads them whole */
  return waves * (d->n_ops * k_phase_ns * joining + (steps + passes) * k_product_step_ns) +
         matrices / (lanes * k_matrix_bytes);
}

void nib_cost_predict_device(const nib_kernel_desc *d, const nib_machine *m, double traffic,
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
