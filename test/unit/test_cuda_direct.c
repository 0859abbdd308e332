/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_cuda_direct
 * Every operator on CUDA, in emulation (test/cuda), against the reference: whichever schedules of
 * sm_80 accept it take turns, with whichever tiles they offer. */
#include "cuda_harness.h"
#include "every_operator.h"

/* Chooses for each kernel; returns how many have a schedule of their own. */
static int select_kernels(suite *s) {
  const nib_vocab *v = nib_vocab_find("cuda");
  int special = 0;
  for (int32_t i = 0; i < s->g->n_kernels; ++i) {
    nib_kernel *k = &s->g->kernels[i];
    const nib_schedule *of[16];
    int n = 0;
    for (size_t j = 0; nib_schedule_at(j) && n < 16; ++j)
      if (nib_schedule_at(j)->device && nib_schedule_at(j)->accepts(s->g, k, v))
        of[n++] = nib_schedule_at(j);
    if (n == 0) {
      printf("%s: no schedule\n", s->g->nodes[k->nodes[0]].name);
      ++harness_failures;
      continue;
    }
    const nib_schedule *schedule = of[pick(s, 0, n - 1)];
    int32_t tiles[64][NIB_MAX_TILE] = {{0}};
    const int n_tiles = schedule->tiles(s->g, k, v, tiles, 64);
    memcpy(k->tile, tiles[pick(s, 0, n_tiles - 1)], sizeof k->tile);
    k->schedule = schedule->name;
    k->vocab = v->name;
    special += strcmp(schedule->name, "grid_loops") != 0;
    CHECK(schedule->scratch_bytes(s->g, k, v) == 0);
  }
  return special;
}

static int pick_of(suite *s, const int *list, int n) { return list[pick(s, 0, n - 1)]; }

/* A convolution of halves or of FP8, whose parameters add_conv does not know. */
static int32_t add_real_conv(suite *s, const conv_case *c, nib_format f, bool with_bias) {
  const bool dense = c->op == NIB_OP_FULLY_CONNECTED;
  const int32_t x = input(s, f, shape(4, c->in[0], c->in[1], c->in[2], c->in[3]), 0, 0);
  const int32_t w =
      constant(s, f,
               dense ? shape(2, c->filter[0], c->filter[1])
                     : shape(4, c->filter[0], c->filter[1], c->filter[2], c->filter[3]),
               0, 0, 0);
  const int channels = c->filter[0];
  const int32_t bias = with_bias ? constant(s, f, shape(1, channels), 0, 0, 0) : NIB_NONE;
  const int32_t y = value(s, f,
                          dense ? shape(2, c->out[0], c->out[1])
                                : shape(4, c->out[0], c->out[1], c->out[2], c->out[3]),
                          0, 0);
  const int32_t n = node(s, c->op, y, 3, x, w, bias);
  if (!dense) {
    set_ints(s, n, NIB_A_STRIDES, 2, c->stride, c->stride);
    set_ints(s, n, NIB_A_PADS, 4, c->pads[0], c->pads[1], c->pads[2], c->pads[3]);
    set_ints(s, n, NIB_A_DILATIONS, 2, c->dilation, c->dilation);
  }
  return n;
}

static void add_random_product(suite *s, int i) {
  static const int in_channels[] = {1, 3, 4, 8, 16, 20, 32, 48, 67},
                   out_channels[] = {1, 3, 8, 16, 17, 40, 64, 130};
  static const nib_format formats[] = {NIB_I8, NIB_U8, NIB_BF16, NIB_F16};
  const nib_format f = formats[i % 4];
  conv_case c = {.op = i % 5 == 4 ? NIB_OP_FULLY_CONNECTED : NIB_OP_CONV2D,
                 .stride = pick(s, 1, 2),
                 .dilation = pick(s, 1, 2),
                 .groups = 1};
  const int cin = pick_of(s, in_channels, 9), cout = pick_of(s, out_channels, 8);
  const int kernel[2] = {pick(s, 1, 3), pick(s, 1, 3)};
  c.in[0] = pick(s, 1, 3), c.in[3] = cin, c.out[3] = cout;
  for (int j = 0; j < 2; ++j) {
    const int reach = (kernel[j] - 1) * c.dilation + 1;
    c.pads[2 * j] = pick(s, 0, reach - 1),
               c.pads[2 * j + 1] = pick(s, 0, reach - 1); /* top, bottom; left, right */
    c.in[1 + j] = reach + pick(s, 0, 9);
    c.out[1 + j] = (c.in[1 + j] + c.pads[2 * j] + c.pads[2 * j + 1] - reach) / c.stride + 1;
  }
  /* The attribute's order is top, left, bottom, right. */
  const int pads[4] = {c.pads[0], c.pads[2], c.pads[1], c.pads[3]};
  memcpy(c.pads, pads, sizeof pads);
  c.filter[0] = cout, c.filter[1] = kernel[0], c.filter[2] = kernel[1], c.filter[3] = cin;
  c.out[0] = c.in[0];
  if (c.op == NIB_OP_FULLY_CONNECTED) {
    const int rows = pick(s, 1, 70);
    const conv_case dense = {c.op, {1, 1, rows, cin}, {cout, cin}, {rows, cout}, 1, 1, {0}, 1};
    c = dense;
  }
  label(s, "product %d %s %dx%dx%dx%d filter %dx%dx%dx%d stride %d dilation %d", i,
        nib_format_get(f)->name, c.in[0], c.in[1], c.in[2], c.in[3], c.filter[0], c.filter[1],
        c.filter[2], c.filter[3], c.stride, c.dilation);
  const int32_t n = nib_format_get(f)->kind == NIB_KIND_FLOAT
                        ? add_real_conv(s, &c, f, i % 3 != 0)
                        : add_conv(s, &c, f, f, i % 2 == 0 && f != NIB_U8, i % 3 != 0,
                                   i % 7 == 0 ? "relu" : NULL);
  output(s, s->g->nodes[n].out);
}

static void run_products(const char *rounding, uint64_t seed) {
  suite s = suite_open("products", rounding, seed);
  for (int i = 0; i < 40; ++i)
    add_random_product(&s, i);
  finish(&s);
  const nib_vocab *v = nib_vocab_find("cuda");
  const nib_schedule *schedule = nib_schedule_find("warp_gemm");
  for (int32_t i = 0; i < s.g->n_kernels; ++i) {
    nib_kernel *k = &s.g->kernels[i];
    int32_t tiles[64][NIB_MAX_TILE] = {{0}};
    if (!schedule->accepts(s.g, k, v)) {
      printf("%s: not accepted\n", s.g->nodes[k->nodes[0]].name);
      ++harness_failures;
      continue;
    }
    memcpy(k->tile, tiles[pick(&s, 0, schedule->tiles(s.g, k, v, tiles, 64) - 1)], sizeof k->tile);
    k->schedule = schedule->name;
    k->vocab = v->name;
  }
  const int compared = compare_on_cuda(&s, "sm_80", 1, NULL);
  printf("products, %s: %d outputs compared\n", rounding, compared);
  CHECK(compared == FILL_COUNT * s.g->n_outputs);
  nib_graph_destroy(s.g);
}

static void run_rounding(const char *rounding, uint64_t seed) {
  char name[64];
  snprintf(name, sizeof name, "m_%s", rounding);
  suite s = suite_open(name, rounding, seed);
  add_all(&s, rounding[0] == 't');
  finish(&s);
  const int special = select_kernels(&s);
  const int compared = compare_on_cuda(&s, "sm_80", 1, NULL);
  printf("%s: %d outputs compared, %d kernels, %d not by grid_loops\n", rounding, compared,
         s.g->n_kernels, special);
  CHECK(compared == FILL_COUNT * s.g->n_outputs && special > 0);
  nib_graph_destroy(s.g);
}

int main(int argc, char **argv) {
  static const char *const roundings[] = {"tflite-double", "tosa-single", "nearest-even",
                                          "tflite-single", "tosa-double", "tosa-inexact",
                                          "dyadic",        "nearest-away"};
  const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000;
  const int n = getenv("NIB_LONG") ? 8 : 2;
  every_root_alone = harness_any_graph = true;
  for (int i = 0; i < n; ++i)
    run_rounding(roundings[i], seed + (uint64_t)i);
  harness_tame_halves = true;
  for (int i = 0; i < n; ++i)
    run_products(roundings[2 * i % 7], seed + 100 + (uint64_t)i);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
