/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_cost
/* The analytic model orders what must be ordered: fused before separate, vector before scalar,
 * whole lanes before tails, small working sets before large ones. */
#include "stage_harness.h"

#include "cost/cost.h"

static nib_kernel_desc make_desc(int64_t columns, const char *schedule, const char *vocab) {
  nib_kernel_desc d = {.n_ops = 1, .n_tensors = 3};
  strcpy(d.ops[0], "conv2d");
  const int64_t dims[3][4] = {{1, 32, 32, 16}, {1, 3, 3, 16}, {1, 32, 32, columns}};
  static const char *const roles[] = {"in", "weight", "out"};
  for (int i = 0; i < 3; ++i) {
    strcpy(d.tensors[i].role, roles[i]);
    strcpy(d.tensors[i].format, "i8");
    d.tensors[i].rank = 4;
    memcpy(d.tensors[i].dims, dims[i], sizeof dims[i]);
  }
  strcpy(d.schedule, schedule);
  strcpy(d.vocab, vocab);
  d.macs = 32 * 32 * columns * 144;
  d.elementwise = 32 * 32 * columns;
  d.input_bytes = 32 * 32 * 16;
  d.weight_bytes = columns * 144;
  d.output_bytes = 32 * 32 * columns;
  d.working_set_bytes = 16384;
  return d;
}

static double cost_of(const nib_cost_model *m, const nib_kernel_desc *d, const char *spec) {
  nib_target target;
  nib_cost cost = {0};
  CHECK(nib_target_parse(spec, &target, NULL) == NIB_OK, "target %s", spec);
  CHECK(nib_cost_predict(m, d, &target, &cost) == NIB_OK, "predict");
  CHECK(isfinite(cost.ns) && cost.ns > 0 && cost.compute_ns > 0 && cost.memory_ns > 0 &&
            cost.overhead_ns > 0,
        "cost %g", cost.ns);
  CHECK(cost.ns >= cost.compute_ns && cost.ns >= cost.memory_ns, "roofline");
  return cost.ns;
}

int main(void) {
  static const char *const k_wide = "x86-64-v4+avx512vnni";
  nib_cost_model *m = NULL;
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  CHECK(nib_cost_model_open("analytic", &m, &diag) == NIB_OK, "open");
  nib_kernel_desc d = make_desc(32, "conv_rows", "avx512vnni");
  const double wide = cost_of(m, &d, k_wide);
  strcpy(d.vocab, "avx2");
  const double narrow = cost_of(m, &d, k_wide);
  strcpy(d.vocab, "c99");
  const double scalar = cost_of(m, &d, k_wide);
  strcpy(d.schedule, "direct");
  const double direct = cost_of(m, &d, k_wide);
  CHECK(wide < narrow && narrow < scalar && scalar < direct, "vocabularies %g %g %g %g", wide,
        narrow, scalar, direct);

  /* 17 columns take two registers of 16 lanes, as 32 do. */
  const nib_kernel_desc whole = make_desc(32, "conv_rows", "avx512vnni");
  const nib_kernel_desc tail = make_desc(17, "conv_rows", "avx512vnni");
  CHECK(cost_of(m, &tail, k_wide) / 17 > cost_of(m, &whole, k_wide) / 32 * 1.3, "lane tail");

  nib_kernel_desc large = whole;
  large.working_set_bytes = INT64_C(1) << 40;
  large.weight_bytes = 1 << 24;
  CHECK(cost_of(m, &large, k_wide) > 2 * wide, "working set beyond the caches");

  /* An element-wise follower is cheaper inside than as a kernel of its own. */
  nib_kernel_desc fused = whole, alone = whole;
  fused.n_ops = 2;
  strcpy(fused.ops[1], "add");
  fused.elementwise += 2 * 32 * 32 * 32;
  fused.input_bytes += 32 * 32 * 32;
  strcpy(alone.ops[0], "add");
  alone.macs = alone.weight_bytes = 0;
  alone.elementwise = 2 * 32 * 32 * 32;
  alone.input_bytes = 2 * 32 * 32 * 32;
  CHECK(cost_of(m, &fused, k_wide) < wide + cost_of(m, &alone, k_wide), "fusing costs");

  /* Rows of eight pixels: two tiles of four, not one of six and a rest, where registers are few. */
  nib_kernel_desc fours = make_desc(64, "conv_rows", "avx2"), sixes = fours;
  fours.tensors[2].dims[2] = sixes.tensors[2].dims[2] = 8;
  fours.macs = sixes.macs = 32 * 8 * 64 * 144;
  fours.kernel[0] = fours.kernel[1] = sixes.kernel[0] = sixes.kernel[1] = 3;
  fours.tile[0] = 4, sixes.tile[0] = 6;
  fours.tile[1] = sixes.tile[1] = 2;
  CHECK(cost_of(m, &fours, "x86-64-v3") < cost_of(m, &sixes, "x86-64-v3"), "remainders of rows");

  /* Rows that must be staged take longer than those read in place. */
  nib_kernel_desc staged = whole;
  staged.input_bytes = 1 << 18;
  nib_kernel_desc in_place = staged;
  staged.scratch_bytes = 4096;
  CHECK(cost_of(m, &staged, k_wide) > cost_of(m, &in_place, k_wide) + 1000, "staging");

  /* Compilers find vectors in sums of integers over many channels where there are any; float sums
   * keep their order. */
  nib_kernel_desc ints = make_desc(32, "direct", "c99");
  ints.tensors[0].dims[3] = 256;
  nib_kernel_desc reals = ints;
  for (int i = 0; i < 3; ++i)
    strcpy(reals.tensors[i].format, "f32");
  CHECK(cost_of(m, &ints, k_wide) < cost_of(m, &reals, k_wide) / 2, "sums of integers");

  nib_kernel_desc unknown = whole;
  nib_target target;
  nib_cost cost;
  strcpy(unknown.vocab, "none such");
  nib_target_parse("c99", &target, NULL);
  CHECK(nib_cost_predict(m, &unknown, &target, &cost) == NIB_ERROR_INVALID_INPUT, "vocabulary");
  nib_cost_model *learned = NULL;
  CHECK(nib_cost_model_open("model.json", &learned, &diag) == NIB_ERROR_UNSUPPORTED &&
            learned == NULL && log.errors == 1,
        "learned model");
  nib_cost_model_close(m);
  return failures != 0;
}
