/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_chains
/* Convolutions in a row as one kernel, in every vocabulary that runs here, against the reference:
 * every pair of kinds, chains of three and four, strides, borders, odd heights, channel tails,
 * additions at the end; and fully connected layers over a batch of rows. */
#include "kernel_harness.h"

typedef struct layer {
  char kind; /* c: conv2d 3x3, s: of 5x3, p: pointwise, d: depthwise 3x3, q: depthwise 5x5, m: max
                pool 2x2, a: average pool 3x3, u and v: c and p of uint8 */
  int out_c, stride, pad;
} layer;

typedef struct chain_case {
  const char *name;
  int h, w, c;
  nib_format format;
  layer layers[8];
  bool add; /* an addition of another tensor at the end */
} chain_case;

static const chain_case cases[] = {
    {"depthwise and pointwise", 9, 10, 24, NIB_I8, {{'d', 24, 1, 1}, {'p', 40, 1, 0}}, false},
    {"stride 2 and tails", 13, 11, 19, NIB_I8, {{'d', 19, 2, 1}, {'p', 37, 1, 0}}, false},
    {"even borders", 12, 12, 16, NIB_U8, {{'d', 16, 2, 0}, {'p', 5, 1, 0}}, true},
    {"one row", 1, 9, 16, NIB_I8, {{'d', 16, 1, 1}, {'p', 16, 1, 0}}, false},
    {"three rows", 3, 33, 7, NIB_I8, {{'d', 7, 1, 1}, {'p', 9, 1, 0}}, true},
    {"pointwise and depthwise", 9, 10, 13, NIB_I8, {{'p', 24, 1, 0}, {'d', 24, 1, 1}}, false},
    {"into stride 2", 11, 12, 16, NIB_I8, {{'p', 33, 1, 0}, {'d', 33, 2, 1}}, false},
    {"into 5x5", 11, 9, 8, NIB_U8, {{'p', 20, 1, 0}, {'q', 20, 1, 2}}, true},
    {"odd height last", 7, 8, 8, NIB_I8, {{'p', 20, 1, 0}, {'d', 20, 1, 1}}, true},
    {"first layer", 15, 14, 3, NIB_I8, {{'c', 16, 2, 1}, {'d', 16, 1, 1}}, false},
    {"two convolutions", 10, 9, 5, NIB_I8, {{'c', 16, 1, 1}, {'c', 18, 1, 1}}, true},
    {"of other heights", 12, 9, 5, NIB_I8, {{'s', 8, 1, 1}, {'s', 9, 2, 2}}, false},
    {"without borders", 12, 10, 6, NIB_U8, {{'c', 8, 1, 0}, {'c', 8, 1, 0}}, false},
    {"two pointwise", 10, 11, 32, NIB_I8, {{'p', 24, 1, 0}, {'p', 48, 1, 0}}, true},
    {"pointwise in place",
     8,
     6,
     16,
     NIB_U8,
     {{'p', 24, 1, 0}, {'p', 16, 1, 0}, {'p', 20, 1, 0}},
     false},
    {"pointwise and convolution", 8, 11, 12, NIB_I8, {{'p', 24, 1, 0}, {'c', 17, 2, 1}}, false},
    {"convolution and pointwise", 9, 11, 12, NIB_I8, {{'c', 24, 1, 1}, {'p', 17, 1, 0}}, false},
    {"two depthwise", 11, 10, 20, NIB_I8, {{'d', 20, 1, 1}, {'d', 20, 2, 1}}, false},
    {"5x5 and 3x3", 9, 10, 20, NIB_I8, {{'q', 20, 2, 2}, {'d', 20, 1, 1}}, true},
    {"block", 14, 14, 8, NIB_I8, {{'p', 48, 1, 0}, {'d', 48, 1, 1}, {'p', 8, 1, 0}}, true},
    {"block of uint8", 13, 7, 8, NIB_U8, {{'p', 50, 1, 0}, {'d', 50, 2, 1}, {'p', 12, 1, 0}}, true},
    {"four",
     17,
     16,
     3,
     NIB_I8,
     {{'c', 8, 2, 1}, {'d', 8, 1, 1}, {'p', 16, 1, 0}, {'d', 16, 2, 1}},
     false},
    {"four the other way",
     9,
     24,
     16,
     NIB_I8,
     {{'d', 16, 1, 1}, {'p', 40, 1, 0}, {'d', 40, 2, 1}, {'p', 64, 1, 0}},
     true},
    {"six",
     21,
     10,
     3,
     NIB_I8,
     {{'c', 8, 2, 1},
      {'d', 8, 1, 1},
      {'p', 16, 1, 0},
      {'d', 16, 2, 1},
      {'p', 20, 1, 0},
      {'m', 20, 1, 0}},
     false},
    {"eight",
     19,
     9,
     16,
     NIB_U8,
     {{'p', 24, 1, 0},
      {'d', 24, 1, 1},
      {'p', 8, 1, 0},
      {'p', 17, 1, 0},
      {'d', 17, 2, 1},
      {'p', 8, 1, 0},
      {'q', 8, 1, 2},
      {'p', 12, 1, 0}},
     true},
    {"sums", 11, 10, 5, NIB_U8, {{'u', 20, 1, 1}, {'v', 33, 1, 0}, {'u', 18, 2, 1}}, true},
    {"sums and depthwise",
     9,
     10,
     6,
     NIB_U8,
     {{'v', 20, 1, 0}, {'d', 20, 1, 1}, {'v', 8, 1, 0}},
     false},
    {"convolution and max pool", 11, 12, 5, NIB_I8, {{'c', 20, 1, 1}, {'m', 20, 2, 0}}, false},
    {"convolution and mean", 11, 10, 5, NIB_I8, {{'c', 37, 1, 1}, {'a', 37, 2, 1}}, false},
    {"pools between",
     13,
     12,
     4,
     NIB_U8,
     {{'c', 16, 1, 1}, {'m', 16, 2, 0}, {'c', 24, 1, 1}, {'a', 24, 1, 1}},
     false},
    {"pool first", 12, 11, 9, NIB_I8, {{'m', 9, 1, 0}, {'p', 20, 1, 0}}, false},
    {"two pools", 12, 11, 17, NIB_I8, {{'a', 17, 1, 1}, {'m', 17, 2, 0}}, false},
    {"depthwise and pool", 12, 11, 17, NIB_I8, {{'d', 17, 1, 1}, {'a', 17, 1, 1}}, false},
    {"float pools", 10, 9, 5, NIB_F32, {{'c', 18, 1, 1}, {'m', 18, 2, 0}, {'a', 18, 1, 1}}, false},
    {"float", 9, 10, 5, NIB_F32, {{'c', 19, 1, 1}, {'d', 19, 2, 1}, {'p', 21, 1, 0}}, true},
    {"float 5x5", 8, 7, 16, NIB_F32, {{'p', 18, 1, 0}, {'q', 18, 1, 2}}, false},
};

typedef struct size3 {
  int h, w, c;
} size3;

/* One pool after `x`, which has the size *at. */
static int32_t add_pool(suite *s, const layer *l, nib_format format, int32_t x, size3 *at,
                        int32_t *out_node) {
  const int k = l->kind == 'm' ? 2 : 3;
  at->h = (at->h + 2 * l->pad - k) / l->stride + 1;
  at->w = (at->w + 2 * l->pad - k) / l->stride + 1;
  const nib_tensor t = s->g->tensors[x];
  const int32_t y = value(s, format, shape(4, 1, at->h, at->w, at->c), t.scale, t.zero_point);
  *out_node = node(s, l->kind == 'm' ? NIB_OP_MAX_POOL2D : NIB_OP_AVG_POOL2D, y, 1, x);
  set_ints(s, *out_node, NIB_A_KERNEL, 2, k, k);
  set_ints(s, *out_node, NIB_A_STRIDES, 2, l->stride, l->stride);
  set_ints(s, *out_node, NIB_A_PADS, 4, l->pad, l->pad, l->pad, l->pad);
  return y;
}

/* One convolution after `x`, which has the size *at. */
static int32_t add_layer(suite *s, const layer *l, nib_format format, int32_t x, size3 *at,
                         int32_t *out_node) {
  if (l->kind == 'm' || l->kind == 'a')
    return add_pool(s, l, format, x, at, out_node);
  const bool f = format == NIB_F32, depthwise = l->kind == 'd' || l->kind == 'q';
  /* Weights of uint8 whose zero point is left to subtract with sums of activations. */
  const bool sums = l->kind == 'u' || l->kind == 'v';
  const int kh = l->kind == 'p' || l->kind == 'v' ? 1 : l->kind == 'q' || l->kind == 's' ? 5 : 3;
  const int kw = l->kind == 's' ? 3 : kh;
  const int32_t filter =
      constant(s,
               f      ? NIB_F32
               : sums ? NIB_U8
                      : NIB_I8,
               depthwise ? shape(4, 1, kh, kw, l->out_c) : shape(4, l->out_c, kh, kw, at->c),
               sums ? (double)0.02f : 0, sums ? 200 : 0, 0);
  if (!f && !sums && pick(s, 0, 2) == 0) /* weights at an end of the range */
    memset((void *)(uintptr_t)s->g->tensors[filter].data, pick(s, 0, 1) ? 127 : 0x81,
           (size_t)nib_tensor_elems(&s->g->tensors[filter]) / 2);
  const int32_t bias = f ? constant(s, NIB_F32, shape(1, l->out_c), 0, 0, 0)
                         : constant(s, NIB_I32, shape(1, l->out_c), 0, 0, 2000);
  const int32_t scales = f || sums ? NIB_NONE : constant_scales(s, l->out_c, 0.02);
  const int taps = kh * kw * (depthwise ? 1 : at->c);
  at->h = (at->h + 2 * l->pad - kh) / l->stride + 1;
  at->w = (at->w + 2 * l->pad - kw) / l->stride + 1;
  at->c = l->out_c;
  static const int zeros[] = {-128, 127, 0, -5, 31};
  const int zero = zeros[pick(s, 0, 4)] + (format == NIB_U8 ? 128 : 0);
  const double sx = s->g->tensors[x].scale;
  const int32_t y = value(s, format, shape(4, 1, at->h, at->w, at->c),
                          f ? 0 : (double)(float)(sx * 0.02 * sqrt(taps) * 40.0), zero);
  *out_node =
      node(s, depthwise ? NIB_OP_DEPTHWISE_CONV2D : NIB_OP_CONV2D, y, 4, x, filter, bias, scales);
  set_ints(s, *out_node, NIB_A_STRIDES, 2, l->stride, l->stride);
  set_ints(s, *out_node, NIB_A_DILATIONS, 2, 1, 1);
  set_ints(s, *out_node, NIB_A_PADS, 4, l->pad, l->pad, l->pad, l->pad);
  nib_graph_set_string(s->g, *out_node, NIB_A_ACTIVATION, pick(s, 0, 1) ? "relu" : "none");
  return y;
}

static void add_chain(suite *s, const chain_case *k) {
  snprintf(s->label, sizeof s->label, "%s", k->name);
  size3 at = {k->h, k->w, k->c};
  int32_t x = input(s, k->format, shape(4, 1, k->h, k->w, k->c),
                    k->format == NIB_F32 ? 0 : (double)0.05f, k->format == NIB_U8 ? 3 : -3);
  int32_t nodes[9];
  int n = 0;
  for (int i = 0; i < 8 && k->layers[i].kind; i++)
    x = add_layer(s, &k->layers[i], k->format, x, &at, &nodes[n++]);
  const bool away = strcmp(s->g->rounding, "nearest-away") == 0;
  if (k->add && !away) {
    const nib_tensor t = s->g->tensors[x];
    const shape_of d = shape(4, 1, at.h, at.w, at.c);
    const int32_t other = input(s, k->format, d, (double)(float)(t.scale * 1.3), t.zero_point);
    const int32_t y = value(s, k->format, d, (double)(float)(t.scale * 1.7), t.zero_point);
    nodes[n++] =
        pick(s, 0, 1) ? node(s, NIB_OP_ADD, y, 2, x, other) : node(s, NIB_OP_ADD, y, 2, other, x);
    x = y;
  }
  add_kernel(s, nodes, n);
  output(s, x);
}

/* Fully connected layers over `rows` rows, from 2 to more than twice the most that a step takes. */
typedef struct dense_case {
  int rows;
  nib_format format;
  int widths[9]; /* of the input, then of each layer */
  bool sums; /* weights of uint8 whose zero point is left to subtract with sums of activations */
  bool add;  /* an addition of the input, or of another tensor where it has another width */
} dense_case;

static const dense_case dense_cases[] = {
    {2, NIB_I8, {16, 16, 16}, false, true},
    {2, NIB_U8, {16, 16, 20, 16}, false, false},
    {3, NIB_U8, {7, 19, 5}, false, false},
    {5, NIB_I8, {64, 33, 1, 17}, false, false},
    {23, NIB_I8, {13, 40, 13}, false, true},
    {24, NIB_U8, {32, 64, 32}, true, true},
    {47, NIB_I8, {128, 48, 7, 48, 128}, false, true},
    {48, NIB_U8, {20, 24, 16, 8, 12}, false, false}, /* read in place, all in step */
    {48, NIB_U8, {20, 21, 22}, true, false},
    {49, NIB_I8, {3, 100, 2}, false, true},
    {97, NIB_U8, {12, 17, 18, 19, 20}, false, true},
    {101, NIB_I8, {40, 128, 8, 64, 31, 32, 5, 16, 40}, false, true},
    {193, NIB_U8, {33, 5, 33}, true, true},
    {385, NIB_I8, {9, 18, 34}, false, true},
    {2, NIB_F32, {5, 16, 3}, false, true},
    {50, NIB_F32, {17, 33, 18, 17}, false, true},
    {195, NIB_F32, {8, 20, 16}, false, false},
};

/* Half of the weights, of integers, at an end of their range now and then. */
static int32_t dense_filter(suite *s, const dense_case *k, int out, int in) {
  if (k->format == NIB_F32)
    return constant(s, NIB_F32, shape(2, out, in), 0, 0, 0);
  if (k->sums)
    return constant(s, NIB_U8, shape(2, out, in), (double)0.02f, 200, 0);
  const int32_t filter = constant(s, NIB_I8, shape(2, out, in), 0, 0, 0);
  if (pick(s, 0, 2) == 0)
    memset((void *)(uintptr_t)s->g->tensors[filter].data, pick(s, 0, 1) ? 127 : 0x81,
           (size_t)(out * in / 2));
  return filter;
}

/* The zero point of a result: at either end of the range as often as not. */
static int dense_zero(suite *s, nib_format format) {
  static const int zeros[] = {-128, 127, 0, -5};
  return zeros[pick(s, 0, 3)] + (format == NIB_U8 ? 128 : 0);
}

static int32_t add_dense_layer(suite *s, const dense_case *k, int32_t x, int in, int out,
                               int32_t *out_node) {
  const bool f = k->format == NIB_F32;
  const int32_t filter = dense_filter(s, k, out, in);
  const int32_t bias = f ? constant(s, NIB_F32, shape(1, out), 0, 0, 0)
                         : constant(s, NIB_I32, shape(1, out), 0, 0, 2000);
  const int32_t scales = f || k->sums ? NIB_NONE : constant_scales(s, out, 0.02);
  const double scale = s->g->tensors[x].scale * 0.02 * sqrt(in) * 40.0;
  const int32_t y =
      value(s, k->format, shape(2, k->rows, out), f ? 0 : scale, dense_zero(s, k->format));
  *out_node = node(s, NIB_OP_FULLY_CONNECTED, y, 4, x, filter, bias, scales);
  nib_graph_set_string(s->g, *out_node, NIB_A_ACTIVATION, pick(s, 0, 1) ? "relu" : "none");
  return y;
}

static void add_dense(suite *s, const dense_case *k) {
  snprintf(s->label, sizeof s->label, "%d rows from %d", k->rows, k->widths[0]);
  const bool f = k->format == NIB_F32;
  const int32_t first = input(s, k->format, shape(2, k->rows, k->widths[0]), f ? 0 : (double)0.05f,
                              dense_zero(s, k->format));
  int32_t nodes[9], x = first;
  int n = 0, last = k->widths[0];
  for (int i = 1; i < 9 && k->widths[i]; i++) {
    x = add_dense_layer(s, k, x, last, k->widths[i], &nodes[n++]);
    last = k->widths[i];
  }
  if (k->add && strcmp(s->g->rounding, "nearest-away") != 0) {
    const nib_tensor t = s->g->tensors[x];
    const shape_of d = shape(2, k->rows, last);
    const int32_t other =
        last == k->widths[0] ? first : input(s, k->format, d, t.scale * 1.3, t.zero_point);
    const int32_t y = value(s, k->format, d, t.scale * 1.7, t.zero_point);
    nodes[n++] = node(s, NIB_OP_ADD, y, 2, x, other);
    x = y;
  }
  add_kernel(s, nodes, n);
  output(s, x);
}

/* On vocabularies of one lane there are no chains. */
static void test_vocabulary(const nib_vocab *v, const char *target, const char *rounding,
                            uint64_t seed) {
  if (v->lanes == 1)
    return;
  suite s = suite_open("chains", rounding, seed);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    add_chain(&s, &cases[i]);
  for (size_t i = 0; i < sizeof dense_cases / sizeof *dense_cases; i++)
    add_dense(&s, &dense_cases[i]);
  for (int32_t i = 0; i < s.g->n_kernels; i++)
    if (!nib_schedule_find("row_chain")->accepts(s.g, &s.g->kernels[i], v)) {
      printf("%s: kernel %d is no chain\n", v->name, (int)i);
      harness_failures++;
    }
  const bool clang = seed % 2 && shell("command -v clang-22 >/dev/null") == 0;
  run_suite(&s, v, target, clang ? "clang-22" : "cc");
}

int main(void) { return test_each_vocabulary(test_vocabulary); }
