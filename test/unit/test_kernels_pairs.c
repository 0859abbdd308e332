/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_kernels_pairs
/* Weights that would saturate dot products which sum pairs in i16: how packing splits them, and kernels of
 * such weights in every vocabulary that runs here, against the reference. */
#include "kernel_harness.h"

#include "pack/pack_pairs.h"

#include <math.h>

/* Weights by pattern; pair: even and odd elements of K. */
typedef enum pattern {
  ALL_127,
  ALL_M128,
  ALL_M127,
  ALTERNATING,  /* 127, -127 */
  ENDS,         /* 127 or -127 at random */
  EDGE,         /* pairs of exactly 128 or -128 */
  OVER_EDGE,    /* of exactly 129 or -129 */
  GAUSSIAN,     /* sigma 36, as trained weights */
  ONE_COLUMN,   /* 127 in one output channel, small in the others */
  LAST_PAIR,    /* 127 in the last two of K, else small */
  N_PATTERNS
} pattern;

static double gaussian(suite *s) {
  double sum = 0;
  for (int i = 0; i < 12; i++)
    sum += (double)pick(s, -500, 500) / 1000;
  return sum * 36;
}

static int weight_at(suite *s, pattern p, int64_t o, int64_t k, int64_t n_k, int previous) {
  const int sign = pick(s, 0, 1) ? 1 : -1;
  switch (p) {
  case ALL_127:
    return 127;
  case ALL_M128:
    return -128;
  case ALL_M127:
    return -127;
  case ALTERNATING:
    return k % 2 ? -127 : 127;
  case ENDS:
    return 127 * sign;
  case EDGE:
  case OVER_EDGE: {
    const int sum = p == EDGE ? 128 : 129;
    if (k % 2 == 0)
      return sign * (int)pick(s, sum - 127, 127);
    return previous > 0 ? sum - previous : -sum - previous;
  }
  case GAUSSIAN:
    return (int)fmax(-127, fmin(127, rint(gaussian(s))));
  case ONE_COLUMN:
    return o == 3 ? 127 : (int)pick(s, -20, 20);
  default:
    return k >= n_k - 2 ? 127 : (int)pick(s, -20, 20);
  }
}

typedef struct pair_case {
  nib_op op;
  int h, w, c, out_c, kernel, dilation, groups;
} pair_case;

static const pair_case cases[] = {
    {NIB_OP_FULLY_CONNECTED, 1, 1, 64, 21, 1, 1, 1},
    {NIB_OP_FULLY_CONNECTED, 9, 1, 35, 50, 1, 1, 1},
    {NIB_OP_CONV2D, 6, 7, 5, 19, 3, 1, 1},
    {NIB_OP_CONV2D, 6, 9, 6, 9, 3, 2, 1},
    {NIB_OP_CONV2D, 5, 13, 6, 20, 3, 1, 2},
    {NIB_OP_CONV2D, 6, 6, 1, 8, 4, 1, 1},
    {NIB_OP_CONV2D, 4, 6, 16, 40, 1, 1, 1},
    {NIB_OP_DEPTHWISE_CONV2D, 7, 9, 20, 20, 3, 1, 1},
    {NIB_OP_DEPTHWISE_CONV2D, 6, 6, 9, 9, 5, 1, 1},
};

static int32_t add_case(suite *s, const pair_case *k, pattern p, nib_format in) {
  const bool fc = k->op == NIB_OP_FULLY_CONNECTED, depthwise = k->op == NIB_OP_DEPTHWISE_CONV2D;
  const int zp = in == NIB_U8 ? 255 * (int)pick(s, 0, 1) : (int)pick(s, 0, 1) * 255 - 128;
  snprintf(s->label, sizeof s->label, "pattern %d", (int)p);
  const int32_t x = fc ? input(s, in, shape(2, k->h, k->c), (double)0.05f, zp)
                       : input(s, in, shape(4, 1, k->h, k->w, k->c), (double)0.05f, zp);
  const int in_c = depthwise ? 1 : k->c / k->groups;
  const int32_t f = constant(s, NIB_I8,
                             fc          ? shape(2, k->out_c, k->c)
                             : depthwise ? shape(4, 1, k->kernel, k->kernel, k->c)
                                         : shape(4, k->out_c, k->kernel, k->kernel, in_c),
                             0, 0, 0);
  int8_t *w = (int8_t *)(uintptr_t)s->g->tensors[f].data;
  const int64_t n_k = k->kernel * in_c; /* of a kernel row, as it is multiplied */
  const int64_t per_channel = fc ? k->c : k->kernel * n_k;
  const int64_t row = k->kernel * k->c; /* of a depthwise filter, whose pairs are of two rows */
  for (int64_t i = 0; depthwise && i < k->kernel * row; i++)
    w[i] = (int8_t)weight_at(s, p, i % k->c, i / row, k->kernel, i < row ? 0 : w[i - row]);
  for (int64_t o = 0; o < k->out_c && !depthwise; o++)
    for (int64_t i = 0; i < per_channel; i++) {
      int8_t *at = w + o * per_channel + i;
      *at = (int8_t)weight_at(s, p, o, fc ? i : i % n_k, fc ? k->c : n_k, i ? at[-1] : 0);
    }
  const int32_t bias = constant(s, NIB_I32, shape(1, k->out_c), 0, 0, 2000);
  const int32_t scales = constant_scales(s, k->out_c, 0.02);
  const int oh = k->h - (k->kernel - 1) * k->dilation + 2, ow = k->w - (k->kernel - 1) * k->dilation + 2;
  const int32_t y = value(s, in, fc ? shape(2, k->h, k->out_c) : shape(4, 1, oh, ow, k->out_c),
                          (double)(float)(0.05 * 0.02 * sqrt((double)per_channel) * 90), in == NIB_U8 ? 120 : 3);
  const int32_t n = node(s, k->op, y, 4, x, f, bias, scales);
  if (!fc) {
    set_ints(s, n, NIB_A_STRIDES, 2, 1, 1);
    set_ints(s, n, NIB_A_DILATIONS, 2, k->dilation, k->dilation);
    set_ints(s, n, NIB_A_PADS, 4, 1, 1, 1, 1);
  }
  if (k->groups > 1)
    nib_graph_set_int(s->g, n, NIB_A_GROUPS, k->groups);
  nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, "none");
  output(s, y);
  return n;
}

/* ---- packing ---- */

static const nib_vocab *pair_vocabulary(void) {
  const nib_vocab *v;
  for (size_t i = 0; (v = nib_vocab_at(i)) != NULL; i++)
    if (v->pair_limit)
      return v;
  return NULL;
}

/* No sign of a pair of dot product `w` exceeds the limit, with what `used` already holds. */
static bool within(const nib_conv_walk *w, int limit, const int8_t *dot, int (*used)[2]) {
  bool good = true;
  for (int64_t i = 0; i < w->lanes * w->dot_k; i++) {
    int *sum = &used[i / 2][dot[i] < 0];
    *sum += abs(dot[i]);
    good = good && *sum <= limit;
  }
  return good;
}

/* Adds the excess of one register back into its packed weights of `panel`. */
static bool give_back(const nib_conv_walk *w, const nib_vocab *v, const nib_excess *x, int64_t reg,
                      int16_t *panel, int64_t columns, int64_t column) {
  const int64_t elems = w->lanes * w->dot_k;
  bool good = true;
  for (int32_t sum = x->first_sum[reg]; sum < x->first_sum[reg + 1]; sum++) {
    int used[64][2] = {{0}};
    for (int32_t dot = x->first_dot[sum]; dot < x->first_dot[sum + 1]; dot++) {
      const int8_t *weights = x->weights + dot * elems;
      good = good && within(w, v->pair_limit, weights, used);
      const int64_t segment = w->segments > 1 ? x->at[2 * dot + 1] / w->pitch : 0;
      const int64_t from = x->at[2 * dot + 1] - segment * w->pitch;
      good = good && from >= 0 && from + w->dot_k <= w->steps * w->dot_k;
      for (int64_t i = 0; good && i < elems; i++) {
        const int64_t k = from + i % w->dot_k, lane = i / w->dot_k;
        const int64_t step = (x->at[2 * dot] * w->segments + segment) * w->steps + k / w->dot_k;
        panel[(step * columns + column) * elems + lane * w->dot_k + k % w->dot_k] += weights[i];
      }
    }
  }
  return good;
}

/* Split weights are within the limit, and with the excess they are what they were. */
static void test_split(suite *s, const nib_vocab *v, int32_t n, int64_t columns, int64_t *dots) {
  nib_conv_walk w;
  nib_pack_walk(s->g, &s->g->nodes[n], v, columns, &w);
  void *before = NULL, *after = NULL;
  size_t bytes = 0;
  nib_excess x;
  CHECK(nib_pack_weights(s->g, &s->g->nodes[n], v, &w, &before, &bytes) == NIB_OK);
  CHECK(nib_pack_weights(s->g, &s->g->nodes[n], v, &w, &after, &bytes) == NIB_OK);
  CHECK(nib_pack_split(v, &w, after, &x) == NIB_OK);
  int16_t *sums = malloc(bytes * sizeof *sums);
  const int8_t *packed = after;
  const int64_t elems = w.lanes * w.dot_k;
  for (size_t i = 0; i < bytes; i++)
    sums[i] = packed[i];
  bool good = true;
  for (size_t i = 0; i < bytes; i += (size_t)elems) {
    int used[64][2] = {{0}};
    good = good && within(&w, v->pair_limit, packed + i, used);
  }
  int64_t reg = 0, at = 0;
  for (int64_t g = 0; g < w.shape.groups; g++)
    for (int64_t panel = 0; panel <= w.full_panels; panel++) {
      const int64_t of_panel = panel < w.full_panels ? w.columns : w.last_columns;
      for (int64_t column = 0; column < of_panel; column++)
        good = give_back(&w, v, &x, reg++, sums + at, of_panel, column) && good;
      at += w.shape.kernel_h * nib_pack_row_elems(&w, of_panel);
    }
  CHECK(good && reg == x.registers && at == (int64_t)bytes);
  for (size_t i = 0; good && i < bytes; i++)
    good = sums[i] == ((const int8_t *)before)[i];
  CHECK(good);
  *dots = x.dots;
  free(sums);
  free(before);
  free(after);
  nib_excess_release(&x);
}

static void test_packing(void) {
  const nib_vocab *v = pair_vocabulary();
  CHECK(v != NULL);
  for (int p = 0; v && p < N_PATTERNS; p++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases && cases[i].op != NIB_OP_DEPTHWISE_CONV2D; i++)
      for (int64_t columns = 1; columns <= 3; columns++) {
        suite s = suite_open("split", "tflite-double", 31 * (uint64_t)p + i);
        const int32_t n = add_case(&s, &cases[i], (pattern)p, NIB_I8);
        int64_t dots = 0;
        test_split(&s, v, n, columns, &dots);
        if (p == ALTERNATING || p == EDGE)
          CHECK(dots == 0 || cases[i].kernel > 1 || cases[i].groups > 1);
        if (p == ALL_127 || p == ALL_M128 || p == OVER_EDGE)
          CHECK(dots > 0);
        nib_graph_destroy(s.g);
      }
}

/* ---- kernels ---- */

static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  if (strcmp(rounding, "tflite-double") != 0 && strcmp(rounding, "nearest-even") != 0)
    return;
  suite s = suite_open("pairs", rounding, seed);
  for (int p = 0; p < N_PATTERNS; p++)
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
      if ((p + (int)i + (int)seed) % 3 == 0 || v->pair_limit)
        add_case(&s, &cases[i], (pattern)p, (p + i) % 4 ? NIB_I8 : NIB_U8);
  run_suite(&s, v, target, seed % 2 && shell("command -v clang-22 >/dev/null") == 0 ? "clang-22" : "cc");
}

int main(void) {
  test_packing();
  return test_each_vocabulary(test_vocabulary);
}
