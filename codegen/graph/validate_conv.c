/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rules of convolutions, matrix products and pooling. Dimensions and attribute values are below
 * 2^31 here, so that 64-bit arithmetic on them cannot overflow. */
#include "graph/validate_rules.h"

typedef struct window {
  int64_t kernel[2], strides[2], dilations[2], pads[4];
} window;

static bool check_rank(nib_check *c, const nib_tensor *t, const char *what, int32_t rank) {
  if (t->rank == rank)
    return true;
  nib_check_fail(c, "its %s has %d dimensions, not %d", what, t->rank, rank);
  return false;
}

static bool read_window(nib_check *c, window *w, int64_t lowest_pad) {
  return nib_check_ints(c, NIB_A_STRIDES, 2, 1, 1, w->strides) &&
         nib_check_ints(c, NIB_A_PADS, 4, lowest_pad, 0, w->pads);
}

/* One spatial dimension (0: h, 1: w) of a window that slides over `in`. */
static void check_extent(nib_check *c, const window *w, int i, int64_t in, int64_t out) {
  int64_t span = (w->kernel[i] - 1) * w->dilations[i] + 1;
  int64_t room = in + w->pads[i] + w->pads[i + 2] - span;
  int64_t wanted = room < 0 ? 0 : room / w->strides[i] + 1;
  if (out != wanted)
    nib_check_fail(c, "its result's %s is %lld, the window gives %lld", i ? "width" : "height",
                   (long long)out, (long long)wanted);
}

static void check_same(nib_check *c, const char *what, int64_t have, int64_t wanted) {
  if (have != wanted)
    nib_check_fail(c, "%s is %lld, expected %lld", what, (long long)have, (long long)wanted);
}

/* Numbers of a product: quantized, or the plain numbers of a bipolar format. */
static bool is_operand(const nib_tensor *t) {
  return nib_is_codes(t) || nib_format_get(t->format)->kind == NIB_KIND_BIPOLAR;
}

/* Products of reals are of the left operand's type; of codebooks and blocks, whose numbers are f32,
 * of any. */
static bool gives_reals(const nib_tensor *left, const nib_tensor *result) {
  return nib_is_float(left) ? result->format == left->format
                            : nib_is_float(result) && result->format != NIB_F64;
}

/* Integers of at most 8 bits, whose scales are an operand of their own or do not matter. */
static bool is_plain_filter(const nib_tensor *t) {
  const nib_format_info *f = nib_format_get(t->format);
  return !t->quantized && !nib_is_float(t) && f->kind != NIB_KIND_BLOCK &&
         f->kind != NIB_KIND_CODEBOOK && f->bits <= 8 && t->format != NIB_I1;
}

/* Types of input, filter, bias, scales and result against each other; O is the channel count. */
static void check_linear_types(nib_check *c, int64_t channels) {
  const nib_tensor *in = nib_check_in(c, 0), *filter = nib_check_in(c, 1);
  const nib_tensor *bias = nib_check_in(c, 2), *scales = nib_check_in(c, 3);
  if (bias && (bias->rank != 1 || bias->dims[0] != channels))
    nib_check_fail(c, "its bias must have the shape [%lld]", (long long)channels);
  if (nib_format_holds_reals(in->format)) {
    if (!gives_reals(in, c->out) || scales || 
        (bias && bias->format != c->out->format && bias->format != NIB_F32))
      nib_check_fail(c, "a %s input needs a result of the same type, and a bias of that or f32",
                     nib_format_get(in->format)->name);
    if (filter->quantized || !nib_format_holds_reals(filter->format))
      nib_check_fail(c, "a %s input needs a filter of reals, in any format",
                     nib_format_get(in->format)->name);
    return;
  }
  bool raw = nib_is_accumulator(c->out);
  if (!is_operand(in))
    nib_check_fail(c, "its input is neither quantized nor bipolar nor float");
  if (!raw && !nib_is_codes(c->out))
    nib_check_fail(c, "its result is neither quantized nor a plain accumulator");
  if (bias && bias->format != NIB_I32 && bias->format != NIB_I64)
    nib_check_fail(c, "its bias is %s, not i32 or i64", nib_format_get(bias->format)->name);
  if (scales && !is_plain_filter(filter))
    nib_check_fail(c, "filter_scales need a filter of plain i8, or of fewer bits");
  if (!scales && !is_operand(filter) && !(raw && is_plain_filter(filter)))
    nib_check_fail(c, "its filter has neither a quantized type nor filter_scales");
  if (scales)
    nib_check_scales(c, 3, channels);
}

typedef enum conv_kind { CONV, DEPTHWISE, TRANSPOSED } conv_kind;

static void check_channels(nib_check *c, conv_kind kind) {
  const nib_tensor *in = nib_check_in(c, 0), *filter = nib_check_in(c, 1);
  int64_t groups = nib_node_int(c->n, NIB_A_GROUPS, 1);
  check_same(c, "the batch of its result", c->out->dims[0], in->dims[0]);
  if (kind == DEPTHWISE) {
    check_same(c, "the first dimension of its filter", filter->dims[0], 1);
    check_same(c, "the channel count of its result", c->out->dims[3], filter->dims[3]);
    if (c->out->dims[3] % in->dims[3] != 0)
      nib_check_fail(c, "%lld channels are not a multiple of %lld", (long long)c->out->dims[3],
                     (long long)in->dims[3]);
    return;
  }
  check_same(c, "the channel count of its result", c->out->dims[3], filter->dims[0]);
  if (groups < 1 || groups > in->dims[3] || filter->dims[3] * groups != in->dims[3] ||
      filter->dims[0] % groups != 0)
    nib_check_fail(c, "a filter of %lldx…x%lld in %lld groups does not fit %lld channels",
                   (long long)filter->dims[0], (long long)filter->dims[3], (long long)groups,
                   (long long)in->dims[3]);
}

static void check_conv(nib_check *c, conv_kind kind) {
  const nib_tensor *in = nib_check_in(c, 0), *filter = nib_check_in(c, 1);
  if (!check_rank(c, in, "input", 4) || !check_rank(c, filter, "filter", 4) ||
      !check_rank(c, c->out, "result", 4))
    return;
  window w = {.kernel = {filter->dims[1], filter->dims[2]}, .dilations = {1, 1}};
  int64_t lowest_pad = kind == TRANSPOSED ? -INT32_MAX : 0;
  if (!read_window(c, &w, lowest_pad) ||
      (kind != TRANSPOSED && !nib_check_ints(c, NIB_A_DILATIONS, 2, 1, 1, w.dilations)))
    return;
  check_channels(c, kind);
  check_linear_types(c, c->out->dims[3]);
  for (int i = 0; i < 2; ++i) {
    if (kind != TRANSPOSED) {
      check_extent(c, &w, i, in->dims[1 + i], c->out->dims[1 + i]);
      continue;
    }
    /* Negative padding at the end: rows that no window reaches, fewer than a stride. */
    if (w.pads[i] < 0 || w.pads[i + 2] <= -w.strides[i])
      nib_check_fail(c, "padding %lld and %lld with stride %lld", (long long)w.pads[i],
                     (long long)w.pads[i + 2], (long long)w.strides[i]);
    check_same(c, i ? "its result's width" : "its result's height", c->out->dims[1 + i],
               (in->dims[1 + i] - 1) * w.strides[i] + w.kernel[i] - w.pads[i] - w.pads[i + 2]);
  }
}

void nib_check_conv2d(nib_check *c) { check_conv(c, CONV); }

void nib_check_depthwise(nib_check *c) { check_conv(c, DEPTHWISE); }

void nib_check_transpose_conv(nib_check *c) { check_conv(c, TRANSPOSED); }

void nib_check_fully_connected(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0), *filter = nib_check_in(c, 1);
  if (!check_rank(c, in, "input", 2) || !check_rank(c, filter, "filter", 2) ||
      !check_rank(c, c->out, "result", 2))
    return;
  check_same(c, "the width of its filter", filter->dims[1], in->dims[1]);
  check_same(c, "the row count of its result", c->out->dims[0], in->dims[0]);
  check_same(c, "the width of its result", c->out->dims[1], filter->dims[0]);
  check_linear_types(c, filter->dims[0]);
}

/* Dimension `from_end` (1 is the last) of t, 1 beyond its rank. */
static int64_t dim_from_end(const nib_tensor *t, int32_t from_end) {
  return from_end <= t->rank ? t->dims[t->rank - from_end] : 1;
}

void nib_check_matmul(nib_check *c) {
  const nib_tensor *a = nib_check_in(c, 0), *b = nib_check_in(c, 1), *out = c->out;
  if (a->rank < 2 || b->rank < 2 || out->rank != (a->rank > b->rank ? a->rank : b->rank)) {
    nib_check_fail(c, "operands of %d and %d dimensions and a result of %d", a->rank, b->rank,
                   out->rank);
    return;
  }
  check_same(c, "the height of the right operand", dim_from_end(b, 2), dim_from_end(a, 1));
  check_same(c, "the height of its result", dim_from_end(out, 2), dim_from_end(a, 2));
  check_same(c, "the width of its result", dim_from_end(out, 1), dim_from_end(b, 1));
  for (int32_t i = 3; i <= out->rank; ++i) {
    int64_t x = dim_from_end(a, i), y = dim_from_end(b, i);
    if ((x != y && x != 1 && y != 1) || dim_from_end(out, i) != (x == 1 ? y : x))
      nib_check_fail(c, "batch dimensions %lld and %lld do not give %lld", (long long)x,
                     (long long)y, (long long)dim_from_end(out, i));
  }
  bool floats = nib_format_holds_reals(a->format) && gives_reals(a, out) && !b->quantized &&
                nib_format_holds_reals(b->format);
  bool codes = is_operand(a) && is_operand(b) && (nib_is_codes(out) || nib_is_accumulator(out));
  if (!floats && !codes)
    nib_check_fail(c,
                   "its operands and result must all be quantized, or all real with left operand "
                   "and result of one type");
}

static void check_pool(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  window w = {.dilations = {1, 1}};
  if (!check_rank(c, in, "input", 4) || !check_rank(c, c->out, "result", 4) ||
      !nib_check_ints(c, NIB_A_KERNEL, 2, 1, 0, w.kernel) || !read_window(c, &w, 0))
    return;
  check_same(c, "the batch of its result", c->out->dims[0], in->dims[0]);
  check_same(c, "the channel count of its result", c->out->dims[3], in->dims[3]);
  for (int i = 0; i < 2; ++i) {
    if (w.kernel[i] < 1) {
      nib_check_fail(c, "it has no kernel");
      return;
    }
    if (w.pads[i] >= w.kernel[i] || w.pads[i + 2] >= w.kernel[i])
      nib_check_fail(c, "padding of the whole kernel or more");
    check_extent(c, &w, i, in->dims[1 + i], c->out->dims[1 + i]);
  }
  if (in->format != c->out->format || in->quantized != c->out->quantized)
    nib_check_fail(c, "its input and result differ in type");
}

void nib_check_avg_pool(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  check_pool(c);
  if (!nib_is_float(in) && !nib_is_codes(in))
    nib_check_fail(c, "its input is neither quantized nor float");
}

void nib_check_max_pool(nib_check *c) {
  check_pool(c);
  if (!nib_same_type(nib_check_in(c, 0), c->out))
    nib_check_fail(c, "its input and result differ in quantization");
}
