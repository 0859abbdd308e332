// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Convolutions, fully connected and matrix products as plain loops over the source's layouts.
#include "schedule/direct.h"

#include "params/params.h"

#include <stdlib.h>
#include <string.h>

/* What the convolutions share. */
typedef struct conv {
  nib_direct *d;
  const nib_node *n;
  nib_conv_shape s;
  nib_conv_params p; /* integers only */
  bool is_float;
  nib_expr input, filter, bias; /* bias.s is "" when absent */
} conv;

/* Reals that C variables hold as float. */
static bool is_float_node(const nib_graph *g, const nib_node *n) {
  const nib_tensor *y = &g->tensors[n->out];
  return nib_direct_is_float(y) && y->format != NIB_F64;
}

/* Only dense layers read activations in blocks, where whole ones lie beside one of the filter. */
static bool blocks_meet(const nib_node *n, const nib_tensor *x, const nib_tensor *w) {
  const int a = nib_format_get(x->format)->block_elems, b = nib_format_get(w->format)->block_elems;
  return a == 0 || (n->op == NIB_OP_FULLY_CONNECTED && (b == 0 || a % b == 0 || b % a == 0));
}

bool nib_direct_conv_accepts(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  if (!x || !w)
    return false;
  if (is_float_node(g, n))
    return w->format != NIB_F64 && nib_direct_reads_weights(w) && nib_direct_reads_weights(x) &&
           blocks_meet(n, x, w);
  nib_conv_params p;
  if (nib_format_holds_reals(w->format) || nib_params_conv(g, n, &p) != NIB_OK)
    return false;
  free(p.requant);
  return p.raw_accumulator || nib_direct_can_round(p.rounding, p.acc64);
}

static bool conv_open(conv *c, nib_direct *d, const nib_node *n) {
  memset(c, 0, sizeof *c);
  c->d = d;
  c->n = n;
  c->is_float = is_float_node(d->g, n);
  nib_params_conv_shape(d->g, n, &c->s);
  if (!c->is_float && nib_params_conv(d->g, n, &c->p) != NIB_OK) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "its arithmetic has no parameters");
    return false;
  }
  c->input = nib_direct_pointer(d, n->in[0], "input");
  c->filter = nib_direct_pointer(d, n->in[1], "filter");
  if (nib_node_input(d->g, n, 2))
    c->bias = nib_direct_pointer(d, n->in[2], "bias");
  return true;
}

static void conv_close(conv *c) { free(c->p.requant); }

/* Whether the zero-padded taps need a test. */
static bool has_border(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                       int64_t pad) {
  return pad > 0 || (out - 1) * stride + (kernel - 1) * dilation - pad >= in;
}

static const char *accumulator_type(const conv *c) {
  return c->is_float ? "float" : c->p.acc64 ? "int64_t" : "int32_t";
}

/* Floats add their bias last, as the source's kernels do: the order of additions is theirs. */
static void declare_accumulator(conv *c, const char *channel) {
  const char *type = accumulator_type(c);
  if (c->bias.s[0] && !c->is_float)
    nib_text_line(c->d->t, "%s acc = %s[%s];", type, c->bias.s, channel);
  else
    nib_text_line(c->d->t, "%s acc = 0;", type);
}

/* A weight, in the format in which the operator multiplies it. */
static nib_expr rounded(const conv *c, nib_expr w) {
  const nib_format to = nib_node_decode_format(c->d->g, c->n);
  return to == NIB_NO_FORMAT ? w : nib_direct_decode(to, nib_direct_encode(to, w.s, false).s);
}

static void accumulate(conv *c, const char *input_index, const char *filter_index) {
  nib_expr x = nib_expr_printf("%s[%s]", c->input.s, input_index);
  nib_expr w = nib_expr_printf("%s[%s]", c->filter.s, filter_index);
  if (c->is_float) {
    x = nib_direct_real(c->d, nib_node_input(c->d->g, c->n, 0)->format, x.s);
    w = rounded(c, nib_direct_real(c->d, nib_node_input(c->d->g, c->n, 1)->format, w.s));
  } else {
    x = nib_direct_number(nib_node_input(c->d->g, c->n, 0)->format, x.s, c->p.in_zp);
    w = nib_direct_number(nib_node_input(c->d->g, c->n, 1)->format, w.s, c->p.w_zp);
  }
  nib_direct_add_product(c->d, c->n, accumulator_type(c), x.s, w.s);
}

void nib_direct_add_product(nib_direct *d, const nib_node *n, const char *acc_type, const char *x,
                            const char *w) {
  const int bits = nib_format_get(nib_node_input(d->g, n, 0)->format)->bits +
                   nib_format_get(nib_node_input(d->g, n, 1)->format)->bits;
  if (strcmp(acc_type, "int64_t") == 0)
    nib_text_line(d->t, "acc += (int64_t)%s * %s;", x, w);
  else if (strcmp(acc_type, "int32_t") == 0 && bits > 16)
    nib_text_line(d->t, "acc = (int32_t)((uint32_t)acc + (uint32_t)%s * (uint32_t)%s);", x, w);
  else
    nib_text_line(d->t, "acc += %s * %s;", x, w);
}

void nib_direct_finish_sum(nib_direct *d, const nib_node *n, const nib_conv_params *p,
                           const char *index, const char *channel) {
  if (p->raw_accumulator) {
    nib_direct_put(d, index, "acc");
    return;
  }
  nib_direct_multiplier m = {
      .rounding = p->rounding, .acc64 = p->acc64, .requant = p->requant, .n = p->n_requant};
  nib_expr scaled = nib_direct_requant(d, n, &m, "acc", channel);
  nib_text_line(d->t, "const int32_t scaled = %s;", scaled.s);
  nib_direct_put(d, index, nib_direct_saturate(d, n, "scaled", p->out_zp, p->lo, p->hi).s);
}

void nib_direct_finish_real(nib_direct *d, const nib_node *n, const char *bias, const char *index,
                            const char *channel) {
  if (bias[0])
    nib_text_line(d->t, "acc += %s;",
                  nib_direct_decode(nib_node_input(d->g, n, 2)->format,
                                    nib_expr_printf("%s[%s]", bias, channel).s)
                      .s);
  nib_direct_put(d, index, nib_direct_activate_real(d, n, "acc").s);
}

static void finish(conv *c, const char *index, const char *channel) {
  if (c->is_float)
    nib_direct_finish_real(c->d, c->n, c->bias.s, index, channel);
  else
    nib_direct_finish_sum(c->d, c->n, &c->p, index, channel);
}

/* Opens the loops over batch, rows, columns and channels of the result; returns how many. */
static int open_result(conv *c) {
  if (c->s.batch > 1)
    nib_direct_each(c->d, "n", c->s.batch);
  nib_direct_each(c->d, "oy", c->s.out_h);
  nib_direct_each(c->d, "ox", c->s.out_w);
  nib_direct_each(c->d, "oc", c->s.out_c);
  return c->s.batch > 1 ? 4 : 3;
}

static void close_loops(conv *c, int n) {
  for (int i = 0; i < n; ++i)
    nib_text_close(c->d->t, "");
}

/* Declares `iy` of `oy` and `ky` (or of x); a tap in the padding is left out. */
static void read_tap(conv *c, char axis, int64_t in, int64_t out, int64_t kernel, int64_t stride,
                     int64_t dilation, int64_t pad) {
  nib_direct *d = c->d;
  char k[] = {'k', axis, 0}, o[] = {'o', axis, 0}, i[] = {'i', axis, 0};
  nib_expr from =
      stride == 1 ? nib_expr_printf("%s", o) : nib_expr_printf("%s * %lld", o, (long long)stride);
  nib_expr tap = dilation == 1 ? nib_expr_printf("%s", k)
                               : nib_expr_printf("%s * %lld", k, (long long)dilation);
  if (pad)
    nib_text_line(d->t, "const %s %s = %s + %s - %lld;", d->index, i, from.s, tap.s,
                  (long long)pad);
  else
    nib_text_line(d->t, "const %s %s = %s + %s;", d->index, i, from.s, tap.s);
  if (has_border(in, out, kernel, stride, dilation, pad)) {
    nib_text_line(d->t, "if (%s < 0 || %s >= %lld)", i, i, (long long)in);
    nib_text_line(d->t, "  continue;");
  }
}

static void read_tap_y(conv *c) {
  const nib_conv_shape *s = &c->s;
  read_tap(c, 'y', s->in_h, s->out_h, s->kernel_h, s->stride_h, s->dilation_h, s->pad_top);
}

static void read_tap_x(conv *c) {
  const nib_conv_shape *s = &c->s;
  read_tap(c, 'x', s->in_w, s->out_w, s->kernel_w, s->stride_w, s->dilation_w, s->pad_left);
}

static void open_taps(conv *c) {
  nib_direct_for(c->d, "ky", c->s.kernel_h);
  read_tap_y(c);
  nib_direct_for(c->d, "kx", c->s.kernel_w);
  read_tap_x(c);
}

static nib_expr pixel_index(const conv *c, int64_t h, int64_t w, const char *y, const char *x,
                            int64_t channels, const char *channel) {
  nib_expr row = c->s.batch > 1 ? nib_expr_printf("(n * %lld + %s)", (long long)h, y)
                                : nib_expr_printf("%s", y);
  return nib_expr_printf("(%s * %lld + %s) * %lld + %s", row.s, (long long)w, x,
                         (long long)channels, channel);
}

/* One tap of a transposed convolution: the input row, if any, that this tap spreads to `oy`. */
static void read_spread(conv *c, char axis, int64_t in, int64_t stride, int64_t pad) {
  nib_direct *d = c->d;
  char k[] = {'k', axis, 0}, o[] = {'o', axis, 0}, i[] = {'i', axis, 0}, s[] = {'s', axis, 0};
  nib_text_line(d->t, "const %s %s = %s - %s;", d->index, s, nib_direct_plus(o, pad).s, k);
  nib_text_line(d->t, "const %s %s = %s / %lld;", d->index, i, s, (long long)stride);
  if (stride > 1)
    nib_text_line(d->t, "if (%s < 0 || %s %% %lld != 0 || %s >= %lld)", s, s, (long long)stride, i,
                  (long long)in);
  else
    nib_text_line(d->t, "if (%s < 0 || %s >= %lld)", s, i, (long long)in);
  nib_text_line(d->t, "  continue;");
}

static void read_spread_y(conv *c) { read_spread(c, 'y', c->s.in_h, c->s.stride_h, c->s.pad_top); }

static void read_spread_x(conv *c) { read_spread(c, 'x', c->s.in_w, c->s.stride_w, c->s.pad_left); }

/* ---- filters in blocks: each block is decoded for a tile of pixels, whose sums are in an array
 * ----
 */

/* Pixels of a tile, and in it the loop `r` over them. */
static long long open_tile(conv *c, int64_t floats_of_pixel) {
  enum { PIXELS = 16, FLOATS = 8192 };
  nib_direct *d = c->d;
  const int64_t pixels = c->s.batch * c->s.out_h * c->s.out_w;
  int64_t tile = FLOATS / floats_of_pixel;
  tile = tile < 1 ? 1 : tile > PIXELS ? PIXELS : tile;
  tile = tile < pixels ? tile : pixels;
  nib_direct_each(d, "t", (pixels + tile - 1) / tile);
  if (pixels % tile)
    nib_text_line(d->t, "const %s pixels = t < %lld ? %lld : %lld;", d->index,
                  (long long)(pixels / tile), (long long)tile, (long long)(pixels % tile));
  else
    nib_text_line(d->t, "const %s pixels = %lld;", d->index, (long long)tile);
  return (long long)tile;
}

/* The loop over the pixels of tile t: `n`, `oy` and `ox` as the other loops have them. */
static void open_pixels(conv *c, long long tile) {
  nib_direct *d = c->d;
  const long long w = c->s.out_w, h = c->s.out_h;
  nib_text_open(d->t, "for (%s r = 0; r < pixels; ++r) {", d->index);
  nib_text_line(d->t, "const %s p = t * %lld + r;", d->index, tile);
  nib_text_line(d->t, "const %s oy = p / %lld%s, ox = p %% %lld;", d->index, w,
                c->s.batch > 1 ? nib_expr_printf(" %% %lld", h).s : "", w);
  if (c->s.batch > 1)
    nib_text_line(d->t, "const %s n = p / %lld;", d->index, h * w);
}

static void finish_pixels(conv *c, long long tile, const char *sum, const char *channel) {
  nib_direct *d = c->d;
  nib_text_open(d->t, "for (%s r = 0; r < pixels; ++r) {", d->index);
  nib_text_line(d->t, "float acc = sums[%s];", sum);
  finish(c, nib_expr_printf("(t * %lld + r) * %lld + %s", tile, (long long)c->s.out_c, channel).s,
         channel);
  nib_text_close(d->t, "");
}

static nib_expr input_real(const conv *c, const char *index) {
  return nib_direct_real(c->d, nib_node_input(c->d->g, c->n, 0)->format,
                         nib_expr_printf("%s[%s]", c->input.s, index).s);
}

typedef void tap_reader(conv *c);

/* conv2d and transpose_conv2d: blocks lie along the channels of one tap. */
static void conv_of_blocks(conv *c, tap_reader *read_y, tap_reader *read_x) {
  nib_direct *d = c->d;
  const nib_conv_shape *s = &c->s;
  const nib_tensor *w = nib_node_input(d->g, c->n, 1);
  const long long size = nib_format_get(w->format)->block_elems;
  const long long group_in = s->in_c / s->groups, group_out = s->out_c / s->groups;
  const long long tile = open_tile(c, 1);
  nib_direct_each(d, "oc", s->out_c);
  nib_text_line(d->t, "float sums[%lld] = {0};", tile);
  nib_direct_for(d, "ky", s->kernel_h);
  nib_direct_for(d, "kx", s->kernel_w);
  nib_direct_for(d, "b", group_in / size);
  nib_direct_decode_block(d, "w", w, c->filter.s,
                          nib_expr_printf("((oc * %lld + ky) * %lld + kx) * %lld + b",
                                          (long long)s->kernel_h, (long long)s->kernel_w,
                                          group_in / size)
                              .s);
  open_pixels(c, tile);
  read_y(c);
  read_x(c);
  nib_direct_for(d, "i", size);
  nib_expr channel = nib_expr_printf("b * %lld + i", size);
  if (s->groups > 1)
    channel = nib_expr_printf("oc / %lld * %lld + %s", group_out, group_in, channel.s);
  nib_text_line(
      d->t, "sums[r] += %s * w[i];",
      input_real(c, pixel_index(c, s->in_h, s->in_w, "iy", "ix", s->in_c, channel.s).s).s);
  close_loops(c, 5);
  finish_pixels(c, tile, "r", "oc");
  close_loops(c, 2);
}

/* depthwise_conv2d: a block has the weights of neighbouring channels. */
static void depthwise_of_blocks(conv *c) {
  nib_direct *d = c->d;
  const nib_conv_shape *s = &c->s;
  const nib_tensor *w = nib_node_input(d->g, c->n, 1);
  const long long size = nib_format_get(w->format)->block_elems;
  const long long tile = open_tile(c, size);
  nib_direct_each(d, "b", s->out_c / size);
  nib_text_line(d->t, "float sums[%lld] = {0};", tile * size);
  nib_direct_for(d, "ky", s->kernel_h);
  nib_direct_for(d, "kx", s->kernel_w);
  nib_direct_decode_block(
      d, "w", w, c->filter.s,
      nib_expr_printf("(ky * %lld + kx) * %lld + b", (long long)s->kernel_w, s->out_c / size).s);
  open_pixels(c, tile);
  read_tap_y(c);
  read_tap_x(c);
  nib_direct_for(d, "i", size);
  nib_expr channel = nib_expr_printf("b * %lld + i", size);
  if (s->multiplier > 1)
    channel = nib_expr_printf("(%s) / %lld", channel.s, (long long)s->multiplier);
  nib_text_line(
      d->t, "sums[r * %lld + i] += %s * w[i];", size,
      input_real(c, pixel_index(c, s->in_h, s->in_w, "iy", "ix", s->in_c, channel.s).s).s);
  close_loops(c, 4);
  nib_direct_for(d, "i", size);
  nib_text_line(d->t, "const %s oc = b * %lld + i;", d->index, size);
  finish_pixels(c, tile, nib_expr_printf("r * %lld + i", size).s, "oc");
  close_loops(c, 3);
}

void nib_direct_conv2d(nib_direct *d, const nib_node *n) {
  conv c;
  if (!conv_open(&c, d, n))
    return;
  if (nib_direct_is_block(nib_node_input(d->g, n, 1))) {
    conv_of_blocks(&c, read_tap_y, read_tap_x);
    conv_close(&c);
    return;
  }
  const nib_conv_shape *s = &c.s;
  const int64_t group_in = s->in_c / s->groups, group_out = s->out_c / s->groups;
  const int loops = open_result(&c);
  declare_accumulator(&c, "oc");
  open_taps(&c);
  nib_direct_for(d, "ic", group_in);
  nib_expr channel = s->groups == 1 ? nib_expr_printf("ic")
                                    : nib_expr_printf("oc / %lld * %lld + ic", (long long)group_out,
                                                      (long long)group_in);
  nib_expr input = pixel_index(&c, s->in_h, s->in_w, "iy", "ix", s->in_c, channel.s);
  nib_expr filter =
      nib_expr_printf("((oc * %lld + ky) * %lld + kx) * %lld + ic", (long long)s->kernel_h,
                      (long long)s->kernel_w, (long long)group_in);
  accumulate(&c, input.s, filter.s);
  close_loops(&c, 3);
  finish(&c, pixel_index(&c, s->out_h, s->out_w, "oy", "ox", s->out_c, "oc").s, "oc");
  close_loops(&c, loops);
  conv_close(&c);
}

void nib_direct_depthwise_conv2d(nib_direct *d, const nib_node *n) {
  conv c;
  if (!conv_open(&c, d, n))
    return;
  if (nib_direct_is_block(nib_node_input(d->g, n, 1))) {
    depthwise_of_blocks(&c);
    conv_close(&c);
    return;
  }
  const nib_conv_shape *s = &c.s;
  const int loops = open_result(&c);
  declare_accumulator(&c, "oc");
  open_taps(&c);
  nib_expr channel = s->multiplier == 1 ? nib_expr_printf("oc")
                                        : nib_expr_printf("oc / %lld", (long long)s->multiplier);
  nib_expr input = pixel_index(&c, s->in_h, s->in_w, "iy", "ix", s->in_c, channel.s);
  nib_expr filter =
      nib_expr_printf("(ky * %lld + kx) * %lld + oc", (long long)s->kernel_w, (long long)s->out_c);
  accumulate(&c, input.s, filter.s);
  close_loops(&c, 2);
  finish(&c, pixel_index(&c, s->out_h, s->out_w, "oy", "ox", s->out_c, "oc").s, "oc");
  close_loops(&c, loops);
  conv_close(&c);
}

void nib_direct_transpose_conv2d(nib_direct *d, const nib_node *n) {
  conv c;
  if (!conv_open(&c, d, n))
    return;
  if (nib_direct_is_block(nib_node_input(d->g, n, 1))) {
    conv_of_blocks(&c, read_spread_y, read_spread_x);
    conv_close(&c);
    return;
  }
  const nib_conv_shape *s = &c.s;
  const int loops = open_result(&c);
  declare_accumulator(&c, "oc");
  nib_direct_for(d, "ky", s->kernel_h);
  read_spread_y(&c);
  nib_direct_for(d, "kx", s->kernel_w);
  read_spread_x(&c);
  nib_direct_for(d, "ic", s->in_c);
  nib_expr input = pixel_index(&c, s->in_h, s->in_w, "iy", "ix", s->in_c, "ic");
  nib_expr filter =
      nib_expr_printf("((oc * %lld + ky) * %lld + kx) * %lld + ic", (long long)s->kernel_h,
                      (long long)s->kernel_w, (long long)s->in_c);
  accumulate(&c, input.s, filter.s);
  close_loops(&c, 3);
  finish(&c, pixel_index(&c, s->out_h, s->out_w, "oy", "ox", s->out_c, "oc").s, "oc");
  close_loops(&c, loops);
  conv_close(&c);
}

/* Weights in blocks: each block is decoded for a tile of rows, whose sums are in an array. */
static void dense_of_blocks(conv *c, int64_t rows) {
  enum { TILE = 16 };
  nib_direct *d = c->d;
  const nib_tensor *x = nib_node_input(d->g, c->n, 0), *w = nib_node_input(d->g, c->n, 1);
  const long long tile = rows < TILE ? rows : TILE, k = c->s.in_c;
  const long long size = nib_format_get(w->format)->block_elems;
  nib_direct_each(d, "t", (rows + tile - 1) / tile);
  if (rows % tile)
    nib_text_line(d->t, "const %s rows = t < %lld ? %lld : %lld;", d->index, (long long)rows / tile,
                  tile, (long long)rows % tile);
  else
    nib_text_line(d->t, "const %s rows = %lld;", d->index, tile);
  nib_direct_each(d, "o", c->s.out_c);
  nib_text_line(d->t, "float sums[%lld] = {0};", tile);
  nib_direct_for(d, "b", k / size);
  nib_direct_decode_block(d, "w", w, c->filter.s, nib_expr_printf("o * %lld + b", k / size).s);
  if (nib_node_decode_format(d->g, c->n) != NIB_NO_FORMAT) {
    nib_text_line(d->t, "for (int i = 0; i < %lld; ++i)", size);
    nib_text_line(d->t, "  w[i] = %s;", rounded(c, nib_expr_printf("w[i]")).s);
  }
  nib_text_open(d->t, "for (%s r = 0; r < rows; ++r) {", d->index);
  nib_direct_for(d, "i", size);
  nib_expr index = nib_expr_printf("(t * %lld + r) * %lld + b * %lld + i", tile, k, size);
  nib_text_line(d->t, "sums[r] += %s * w[i];",
                nib_direct_real(d, x->format, nib_expr_printf("%s[%s]", c->input.s, index.s).s).s);
  close_loops(c, 3);
  nib_text_open(d->t, "for (%s r = 0; r < rows; ++r) {", d->index);
  nib_text_line(d->t, "float acc = sums[r];");
  finish(c, nib_expr_printf("(t * %lld + r) * %lld + o", tile, (long long)c->s.out_c).s, "o");
  close_loops(c, 3);
}

/* Decodes block `at` of the input's or the filter's row; the answer is an expression of its element
 * `i`, or, of scalars, of element `scalar` of the row. */
static nib_expr row_part(conv *c, int32_t slot, const char *at, const char *i, const char *scalar) {
  nib_direct *d = c->d;
  const nib_tensor *t = nib_node_input(d->g, c->n, slot);
  const long long k = c->s.in_c, size = nib_format_get(t->format)->block_elems;
  const char *pointer = slot ? c->filter.s : c->input.s;
  const char *name = slot ? "w" : "x", *row = slot ? "o" : "m";
  if (!nib_direct_is_block(t))
    return nib_direct_real(d, t->format,
                           nib_expr_printf("%s[%s * %lld + %s]", pointer, row, k, scalar).s);
  nib_direct_decode_block(d, name, t, pointer,
                          nib_expr_printf("%s * %lld + %s", row, k / size, at).s);
  return nib_expr_printf("%s[%s]", name, i);
}

/* Activations in blocks: of two kinds of blocks, the smaller ones are decoded within the larger. */
static void dense_from_blocks(conv *c, int64_t rows) {
  nib_direct *d = c->d;
  const int x = nib_format_get(nib_node_input(d->g, c->n, 0)->format)->block_elems;
  const int w = nib_format_get(nib_node_input(d->g, c->n, 1)->format)->block_elems;
  const int large = x > w ? x : w, small = w == 0 || x < w ? x : w, parts = large / small;
  const int32_t larger = x > w ? 0 : 1;
  nib_direct_each(d, "m", rows);
  nib_direct_each(d, "o", c->s.out_c);
  nib_text_line(d->t, "float acc = 0;");
  nib_direct_for(d, "b", c->s.in_c / large);
  nib_expr whole = nib_expr_printf("b * %d + i", small);
  nib_expr inner = parts > 1 ? nib_expr_printf("s * %d + i", small) : nib_expr_printf("i");
  nib_expr at = parts > 1 ? nib_expr_printf("b * %d + s", parts) : nib_expr_printf("b");
  nib_expr factors[2];
  factors[larger] = row_part(c, larger, "b", inner.s, whole.s);
  if (parts > 1)
    nib_direct_for(d, "s", parts);
  factors[!larger] = row_part(c, !larger, at.s, "i", whole.s);
  nib_direct_for(d, "i", small);
  nib_text_line(d->t, "acc += %s * %s;", factors[0].s, factors[1].s);
  close_loops(c, parts > 1 ? 3 : 2);
  finish(c, nib_expr_printf("m * %lld + o", (long long)c->s.out_c).s, "o");
  close_loops(c, 2);
}

void nib_direct_fully_connected(nib_direct *d, const nib_node *n) {
  conv c;
  if (!conv_open(&c, d, n))
    return;
  const nib_conv_shape *s = &c.s;
  const int64_t rows = s->batch * s->out_h * s->out_w;
  const bool from_blocks = nib_direct_is_block(nib_node_input(d->g, n, 0));
  if (from_blocks || nib_direct_is_block(nib_node_input(d->g, n, 1))) {
    if (from_blocks)
      dense_from_blocks(&c, rows);
    else
      dense_of_blocks(&c, rows);
    conv_close(&c);
    return;
  }
  const char *in = "i", *out = "o";
  nib_expr in_index, out_index;
  if (rows > 1) {
    nib_direct_each(d, "m", rows);
    in_index = nib_expr_printf("m * %lld + i", (long long)s->in_c);
    out_index = nib_expr_printf("m * %lld + o", (long long)s->out_c);
    in = in_index.s;
    out = out_index.s;
  }
  nib_direct_each(d, "o", s->out_c);
  const bool lanes = nib_direct_shares_sums(d); /* each has a sum of its own */
  if (lanes)
    nib_text_line(d->t, "%s acc = 0;", accumulator_type(&c));
  else
    declare_accumulator(&c, "o");
  nib_direct_for_lanes(d, "i", s->in_c);
  accumulate(&c, in, nib_expr_printf("o * %lld + i", (long long)s->in_c).s);
  close_loops(&c, 1);
  nib_direct_join_lanes(d, accumulator_type(&c), "acc",
                        c.is_float ? "acc + other" : "(int32_t)((uint32_t)acc + (uint32_t)other)");
  nib_direct_open_leader(d);
  if (lanes && c.bias.s[0] && !c.is_float)
    nib_text_line(d->t, "acc = (int32_t)((uint32_t)acc + (uint32_t)%s[o]);", c.bias.s);
  finish(&c, out, "o");
  nib_direct_close_leader(d);
  close_loops(&c, rows > 1 ? 2 : 1);
  conv_close(&c);
}
