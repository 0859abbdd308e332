// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// low_bit_stream: dense layers of few rows whose weights have few bits. Every weight is read once
// for 16 rows of activations, in 16-byte loads that bypass the first cache and leave the second one
// first, several steps ahead; becomes an operand A of mma.sync in registers; and meets the
// activations, which come through the first cache, as B. The warps of a block take turns at the
// steps along K of the same rows of weights; their sums meet in shared memory. tile[0] is tiles of
// 16 rows of weights in a block, tile[1] warps, tile[2] steps loaded ahead.
#include "cuda/low_bit.h"

#include "schedule/direct.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

/* A layer, and its tile. */
typedef struct stream {
  const nib_graph *g;
  const nib_node *n;
  const nib_tensor *x, *w;
  nib_direct *d; /* NULL while planning */
  nib_text *t;
  nib_low_bit plan;
  int64_t rows; /* of activations */
  int columns;  /* of 8 rows of activations each: operands B */
  int warps, ahead;
  int x_parts;         /* of an activation: f32 is the sum of three bf16 */
  int64_t table_words; /* in shared memory */
  /* activations in blocks of int8 */
  int64_t x_block, x_block_bytes, x_codes_at;
} stream;

/* ---- what it accepts ---- */

/* Blocks of plain int8 with a scale. */
static bool reads_bytes(const nib_format_info *f, stream *s) {
  const nib_block_layout *b = &f->block;
  if (f->kind != NIB_KIND_BLOCK || b->element != NIB_I8 || b->element_zero ||
      b->offset != NIB_NO_FORMAT || b->zero != NIB_NO_FORMAT || b->group_elems ||
      b->codes.high.bits || b->codes.low.stride != 8 || b->codes.low.run || b->codes.low.chunk ||
      b->codes.low.at % 8 || f->block_elems % 32)
    return false;
  s->x_block = f->block_elems;
  s->x_block_bytes = f->block_bytes;
  s->x_codes_at = b->codes.low.at / 8;
  return true;
}

static bool product_of(stream *s, nib_low_bit_product *out_product) {
  s->x_parts = 1;
  if (s->x->format == NIB_F16)
    *out_product = NIB_LOW_BIT_F16;
  else if (s->x->format == NIB_BF16 || s->x->format == NIB_F32)
    *out_product = NIB_LOW_BIT_BF16;
  else if (reads_bytes(nib_format_get(s->x->format), s))
    *out_product = NIB_LOW_BIT_I8;
  else
    return false;
  s->x_parts = s->x->format == NIB_F32 ? 3 : 1;
  return true;
}

static bool plan(const nib_graph *g, const nib_kernel *k, stream *s) {
  nib_low_bit_product product;
  memset(s, 0, sizeof *s);
  s->g = g;
  s->n = &g->nodes[k->nodes[0]];
  if (s->n->op != NIB_OP_FULLY_CONNECTED)
    return false;
  s->x = nib_node_input(g, s->n, 0);
  s->w = nib_node_input(g, s->n, 1);
  const nib_tensor *y = &g->tensors[s->n->out];
  if (!s->x || !s->w || !s->w->data || s->x->data || y->format == NIB_F64 ||
      nib_format_get(y->format)->kind != NIB_KIND_FLOAT || !product_of(s, &product))
    return false;
  s->warps = k->tile[1] > 0 ? k->tile[1] : 1;
  s->ahead = k->tile[2] > 0 ? k->tile[2] : 1;
  if (!nib_low_bit_plan(s->w, product, 32, k->tile[0] > 0 ? k->tile[0] : 1, 8, &s->plan))
    return false;
  s->rows = nib_tensor_elems(s->x) / s->plan.k;
  s->columns = s->rows > 8 ? 2 : 1;
  uint32_t words[512];
  s->table_words = (nib_low_bit_table(&s->plan, words) + 3) / 4 * 4;
  /* Integer sums need a scale of the weights for each block, or the same one everywhere. */
  return s->rows * s->plan.k == nib_tensor_elems(s->x) && s->rows < 16 * 65535;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  stream s;
  return v->device && plan(g, k, &s) && nib_direct_accepts(g, k) && nib_direct_segments(g, k) == 1;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  (void)g, (void)k, (void)v;
  return 0;
}

/* Many rows of weights in a block read the activations less often, as long as there is a block for
 * each multiprocessor. One block for each of them has as many steps on their way as its registers
 * hold. */
static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  enum { PROCESSORS = 132, WORDS_AHEAD = 96 };
  (void)v;
  stream s;
  nib_kernel tried = *k;
  memset(out_tiles[0], 0, sizeof out_tiles[0]);
  if (capacity < 1 || !plan(g, k, &s))
    return 1;
  int32_t tiles = 1;
  const int32_t most = s.rows == 1 || s.columns * s.x_parts > 2 ? 2 : 4;
  while (tiles < most && s.w->dims[0] >= (int64_t)tiles * 2 * 16 * (PROCESSORS - 16))
    tiles *= 2;
  tried.tile[0] = tiles;
  plan(g, &tried, &s);
  int32_t warps = s.plan.steps >= 64 && s.plan.row_blocks < PROCESSORS ? 16 : 8;
  warps = tiles > 2 ? 8 : warps;
  while (warps > 1 && warps > s.plan.steps)
    warps /= 2;
  const int32_t turns = (int32_t)((s.plan.steps + warps - 1) / warps),
                words = s.plan.words + s.plan.scale_words;
  int32_t ahead = (tiles > 2 ? WORDS_AHEAD : WORDS_AHEAD / 2) / words;
  ahead = ahead < 1 ? 1 : ahead > 4 ? 4 : ahead;
  out_tiles[0][0] = tiles;
  out_tiles[0][1] = warps;
  out_tiles[0][2] = ahead < turns ? ahead : turns;
  return 1;
}

/* ---- activations ---- */

/* The first of the two neighbours in K (of 64) that are pair `i` of a lane. */
static const char *pair_at(const stream *s) {
  return s->plan.run == 8 ? "i / 4 * 32 + t * 8 + i % 4 * 2" : "i / 2 * 16 + t * 4 + i % 2 * 2";
}

/* Whether whole runs lie in memory as they are wanted. */
static bool loads_runs(const stream *s) {
  return s->plan.k % s->plan.run == 0 &&
         (!s->plan.has_scales || s->plan.group == s->plan.padded_group);
}

/* Two floats (words v0 and v1) as pair `i` of three parts: what is cut off a float's low bits is a
 * float. */
static void emit_split(const stream *s, const char *column) {
  nib_text *t = s->t;
  nib_text_line(t, "b[0][0][%s][i] = nib_select_bytes(v0, v1, 0x7632);", column);
  for (int part = 1; part < 3; ++part) {
    for (int e = 0; e < 2; ++e)
      nib_text_line(t, "v%d = nib_f32_rest(v%d);", e, e);
    nib_text_line(t, "b[0][%d][%s][i] = nib_select_bytes(v0, v1, 0x7632);", part, column);
  }
}

/* Pairs one by one, wherever K ends and whatever lies between groups. */
static void emit_gather(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const bool is_float = s->x->format == NIB_F32;
  nib_text_open(t, "for (int32_t i = 0; i < 8; ++i) {");
  nib_text_line(t, "uint32_t v0 = 0, v1 = 0;");
  for (int e = 0; e < 2; ++e) {
    nib_text_line(t, "const int64_t p%d = k + %s + %d;", e, pair_at(s), e);
    if (p->has_scales && p->group != p->padded_group) {
      nib_text_line(t, "const int64_t k%d = p%d / %lld * %lld + p%d %% %lld;", e, e,
                    (ll)p->padded_group, (ll)p->group, e, (ll)p->padded_group);
      nib_text_line(t, "if (p%d %% %lld < %lld && k%d < %lld)", e, (ll)p->padded_group,
                    (ll)p->group, e, (ll)p->k);
    } else {
      nib_text_line(t, "const int64_t k%d = p%d;", e, e);
      nib_text_line(t, "if (k%d < %lld)", e, (ll)p->k);
    }
    nib_text_line(t, is_float ? "  v%d = nib_bits_f32(x[c][k%d]);" : "  v%d = x[c][k%d];", e, e);
  }
  if (is_float)
    emit_split(s, "c");
  else
    nib_text_line(t, "b[0][0][c][i] = v0 | v1 << 16;");
  nib_text_close(t, "");
}

/* Runs of 8 or 4. */
static void emit_runs(const stream *s, const char *slot) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const bool is_float = s->x->format == NIB_F32;
  const int run = p->run, pairs = run / 2, bytes = run * (is_float ? 4 : 2);
  const bool ends = p->k % p->step_elems != 0;
  nib_text_open(t, "for (int32_t j = 0; j < 8; j += %d) {", pairs);
  nib_text_line(t, "const int64_t at = k + j * %d + t * %d;", 64 / 8, run);
  if (is_float)
    nib_text_line(t, "uint32_t v[%d] = {0};", run);
  if (ends)
    nib_text_open(t, "if (at < %lld) {", (ll)p->k);
  for (int i = 0; i < bytes; i += 16) {
    char to[64];
    if (is_float)
      snprintf(to, sizeof to, "v + %d", i / 4);
    else
      snprintf(to, sizeof to, "b[%.40s][0][c] + j", slot);
    nib_text_line(t, "nib_load%d(%s, x[c] + at + %d);", bytes < 16 ? bytes : 16, to,
                  is_float ? i / 4 : 0);
  }
  if (ends) {
    nib_text_close(t, is_float ? "" : " else {");
    if (!is_float) {
      t->indent++;
      nib_text_line(t, "for (int32_t i = j; i < j + %d; ++i)", pairs);
      nib_text_line(t, "  b[%s][0][c][i] = 0;", slot);
      nib_text_close(t, "");
    }
  }
  if (is_float) {
    nib_text_line(t, "#pragma unroll");
    nib_text_open(t, "for (int32_t i = j; i < j + %d; ++i) {", pairs);
    nib_text_line(t, "uint32_t v0 = v[(i - j) * 2], v1 = v[(i - j) * 2 + 1];");
    emit_split(s, "c");
    nib_text_close(t, "");
  }
  nib_text_close(t, "");
}

/* Bytes: four neighbours a register; and the scales of the columns that the lane's sums belong to.
 */
static void emit_bytes(const stream *s) {
  nib_text *t = s->t;
  nib_text_open(t, "for (int32_t i = 0; i < 4; ++i) {");
  nib_text_line(t, "const int64_t at = k + i * 16 + t * 4;");
  nib_text_line(t, "b[0][0][c][i] = 0;");
  nib_text_line(t, "if (at < %lld)", (ll)s->plan.k);
  nib_text_line(t, "  memcpy(&b[0][0][c][i], x[c] + at / %lld * %lld + %lld + at %% %lld, 4);",
                (ll)s->x_block, (ll)s->x_block_bytes, (ll)s->x_codes_at, (ll)s->x_block);
  nib_text_close(t, "");
}

/* Halves in runs come a sub-step before they are wanted; what has to be worked on first would only
 * wait earlier. */
static bool loads_early(const stream *s) {
  return s->plan.product != NIB_LOW_BIT_I8 && s->x_parts == 1 && loads_runs(s) &&
         s->ahead * s->plan.step_elems > NIB_LOW_BIT_SUB;
}

/* Fills `b`[slot], the operands of the 64 of K from `from` on: [part][column][register]. */
static void emit_activations(const stream *s, const char *slot, const char *from) {
  nib_text *t = s->t;
  nib_text_open(t, "{");
  nib_text_line(t, "const int64_t k = %s;", from);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
  nib_text_line(t, "#pragma unroll");
  if (s->plan.product == NIB_LOW_BIT_I8)
    emit_bytes(s);
  else if (loads_runs(s))
    emit_runs(s, slot);
  else
    emit_gather(s);
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Those of sub-step `sub` of slot u, or, where they are there, those of the one after it. The last
 * step of a warp has none after it: its own are loaded once more. */
static void emit_next_activations(const stream *s) {
  const nib_low_bit *p = &s->plan;
  const ll subs = p->step_elems / NIB_LOW_BIT_SUB;
  if (!loads_early(s)) {
    emit_activations(
        s, "0",
        nib_expr_printf("(int64_t)(step + u * %d) * %lld + sub * 64", s->warps, (ll)p->step_elems)
            .s);
    return;
  }
  const nib_expr next = nib_expr_printf("step + (u + (sub + 1) / %lld) * %d", subs, s->warps);
  emit_activations(
      s, nib_expr_printf("(u * %lld + sub + 1) %% %lld", subs, s->ahead * subs).s,
      nib_expr_printf("(int64_t)(%s < %lld ? %s : step) * %lld + (sub + 1) %% %lld * 64", next.s,
                      (ll)p->steps, next.s, (ll)p->step_elems, subs)
          .s);
}

/* An expression of the operands of sub-step `sub` of slot u. */
static const char *activations_of(const stream *s) {
  static const char *const slots[] = {"b[u]", "b[u * 2 + sub]", "b[u * 4 + sub]"};
  const int64_t subs = s->plan.step_elems / NIB_LOW_BIT_SUB;
  return loads_early(s) ? slots[subs / 2] : "b[0]";
}

/* ---- products ---- */

static const char *mma_of(const nib_low_bit *p) {
  return p->product == NIB_LOW_BIT_F16                  ? "nib_mma_f16"
         : p->product == NIB_LOW_BIT_BF16               ? "nib_mma_bf16"
         : p->is_signed || p->rule == NIB_LOW_BIT_TABLE ? "nib_mma_i8"
                                                        : "nib_mma_u8i8";
}

/* Groups of 64 elements, and operands of K = 16 of each (bytes: halves of K = 32). */
static int groups_of_sub(const nib_low_bit *p) {
  return p->has_scales && p->padded_group < NIB_LOW_BIT_SUB
             ? (int)(NIB_LOW_BIT_SUB / p->padded_group)
             : 1;
}

/* An expression: the number in its step of group `e` of sub-step `sub`. */
static const char *group_of_step(const nib_low_bit *p) {
  return p->scales_of_step <= 1               ? "0"
         : p->padded_group >= NIB_LOW_BIT_SUB ? "sub"
         : groups_of_sub(p) == 2              ? "(sub * 2 + e)"
                                              : "(sub * 4 + e)";
}

/* sum[c] += the products of group e; `a` is an expression of the operand, parts of it going with
 * parts of b. */
static void emit_products(const stream *s, const char *sum, int w_parts, const char *a) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const int operands = 4 / groups_of_sub(p);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t i = 0; i < %d; ++i) {", operands);
  for (int wp = 0; wp < w_parts; ++wp)
    for (int xp = 0; xp < s->x_parts && wp + xp < NIB_LOW_BIT_MAX_PARTS; ++xp) {
      char operand[96];
      snprintf(operand, sizeof operand, a, wp);
      nib_text_line(t, "%s(%s, %s, %s[%d][c] + (e * %d + i) * 2);", mma_of(p), sum, operand,
                    activations_of(s), xp, operands);
    }
  nib_text_close(t, "");
}

static void open_columns(const stream *s) {
  nib_text_line(s->t, "#pragma unroll");
  nib_text_open(s->t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
}

static void open_groups(const stream *s) {
  nib_text_line(s->t, "#pragma unroll");
  nib_text_open(s->t, "for (int32_t e = 0; e < %d; ++e) {", groups_of_sub(&s->plan));
}

/* Reals: `sums` are those of the activations alone, of each group. */
static void emit_real_sums(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  if (!p->has_offsets)
    return;
  nib_text_line(t, "float sums[%d][%d][4] = {{{0}}};", groups_of_sub(p), s->columns);
  open_groups(s);
  open_columns(s);
  emit_products(s, "sums[e][c]", 1, "ones");
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Tile r: reals. */
static void emit_real_tile(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const int operands = 4 / groups_of_sub(p);
  char a[64];
  snprintf(a, sizeof a, "a[%%d] + (e * %d + i) * 4", operands);
  open_groups(s);
  if (!p->has_scales) {
    open_columns(s);
    emit_products(s, "total[r][c]", p->parts, a);
    nib_text_close(t, "");
    nib_text_close(t, "");
    return;
  }
  nib_low_bit_scales_emit(p, t, "f[u]", "r", group_of_step(p));
  open_columns(s);
  nib_text_line(t, "float d[4] = {0};");
  emit_products(s, "d", p->parts, a);
  for (int i = 0; i < 4; ++i) {
    nib_text_line(t, "total[r][c][%d] = nib_fma_f32(d[%d], scale[%d], total[r][c][%d]);", i, i,
                  i / 2, i);
    if (p->has_offsets)
      nib_text_line(t,
                    "total[r][c][%d] = nib_fma_f32(sums[e][c][%d], offset[%d], total[r][c][%d]);",
                    i, i % 2, i / 2, i);
  }
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* ---- products of bytes ---- */

/* Sums of K = 16 or 32, which share both scales. */
static int byte_groups(const nib_low_bit *p) { return p->has_scales && p->group == 16 ? 4 : 2; }

/* d += of half or whole operand e: the other half is 0. */
static void emit_byte_product(const stream *s, const char *sum, const char *a0, const char *a1) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  if (byte_groups(p) == 4) {
    nib_text_line(t, "const uint32_t half_a[4] = {%s, %s, 0, 0};", a0, a1);
    nib_text_line(t, "const uint32_t half_b[2] = {b[0][0][c][e], 0};");
    nib_text_line(t, "%s(%s, half_a, half_b);", mma_of(p), sum);
  }
}

/* The scale of the block of activations at `q`. */
static nib_expr x_scale_of(const stream *s) {
  const nib_block_layout *b = &nib_format_get(s->x->format)->block;
  const nib_expr scale = nib_direct_block_number(s->d, (nib_format)b->scale, b->scale_at);
  if (!b->element_exponent)
    return scale;
  return nib_expr_printf("%s * %s", scale.s, nib_direct_f32(ldexpf(1, b->element_exponent)).s);
}

static void emit_byte_sums(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const int groups = byte_groups(p);
  nib_text_line(t, "float x_scale[2][%d][2];", s->columns);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t h = 0; h < 2; ++h) {");
  open_columns(s);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t i = 0; i < 2; ++i) {");
  nib_text_line(t, "const int64_t at = (int64_t)(step + u * %d) * %lld + sub * 64 + h * 32;",
                s->warps, (ll)p->step_elems);
  nib_text_line(t, "x_scale[h][c][i] = 0;");
  nib_text_open(t, "if (at < %lld) {", (ll)p->k);
  nib_text_line(t, "const uint8_t *const q = y[c][i] + at / %lld * %lld;", (ll)s->x_block,
                (ll)s->x_block_bytes);
  nib_text_line(t, "x_scale[h][c][i] = %s;", x_scale_of(s).s);
  for (int i = 0; i < 4; ++i)
    nib_text_close(t, "");
  if (!p->has_offsets && (p->is_signed || p->rule == NIB_LOW_BIT_TABLE || p->zero == 0))
    return;
  nib_text_line(t, "int32_t sums[%d][%d][4] = {{{0}}};", groups, s->columns);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t e = 0; e < %d; ++e) {", groups);
  open_columns(s);
  if (groups == 4)
    emit_byte_product(s, "sums[e][c]", "0x01010101u", "0x01010101u");
  else
    nib_text_line(t, "%s(sums[e][c], ones, b[0][0][c] + e * 2);", mma_of(p));
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* An expression of int32_t: the sum of elements times bytes, of d[i]. */
static void emit_byte_value(const stream *s, int i) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  if (p->rule == NIB_LOW_BIT_TABLE)
    nib_text_line(t, "const int32_t s%d = d[%d];", i, i);
  else if (p->is_signed || p->zero == 0)
    nib_text_line(t, "const int32_t s%d = (d[%d] >> %d) * %d;", i, i, 8 - p->bits,
                  1 << p->mul_log2);
  else
    nib_text_line(t, "const int32_t s%d = (d[%d] >> %d) * %d - sums[e][c][%d] * %d;", i, i,
                  8 - p->bits, 1 << p->mul_log2, i % 2, p->zero);
}

/* Tile r: bytes. Sum, activations' scale, weights' scale: in the order of the CPU's block_dots. */
static void emit_byte_tile(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const int groups = byte_groups(p);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t e = 0; e < %d; ++e) {", groups);
  if (p->has_scales)
    nib_low_bit_scales_emit(p, t, "f[u]", "r",
                            p->scales_of_step <= 1        ? "0"
                            : p->group >= NIB_LOW_BIT_SUB ? "sub"
                            : p->group == 32              ? "(sub * 2 + e)"
                                                          : "(sub * 4 + e)");
  open_columns(s);
  nib_text_line(t, "int32_t d[4] = {0};");
  if (groups == 4)
    emit_byte_product(s, "d", "a[0][e * 2]", "a[0][e * 2 + 1]");
  else
    nib_text_line(t, "%s(d, a[0] + e * 4, b[0][0][c] + e * 2);", mma_of(p));
  for (int i = 0; i < 4; ++i) {
    emit_byte_value(s, i);
    char x_scale[48];
    snprintf(x_scale, sizeof x_scale, "x_scale[%s][c][%d]", groups == 4 ? "e / 2" : "e", i % 2);
    nib_text_line(t, "total[r][c][%d] += (float)s%d * %s%s;", i, i, x_scale,
                  p->has_scales ? i < 2 ? " * scale[0]" : " * scale[1]" : "");
    if (p->has_offsets)
      nib_text_line(t, "total[r][c][%d] += (float)sums[e][c][%d] * %s * offset[%d];", i, i % 2,
                    x_scale, i / 2);
  }
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* ---- the kernel ---- */

static void emit_step(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const bool bytes = p->product == NIB_LOW_BIT_I8;
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t sub = 0; sub < %lld; ++sub) {",
                (ll)(p->step_elems / NIB_LOW_BIT_SUB));
  emit_next_activations(s);
  if (bytes)
    emit_byte_sums(s);
  else
    emit_real_sums(s);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t r = 0; r < %d; ++r) {", p->tiles);
  nib_low_bit_unpack_emit(p, t, "q[u]", "sub", "r", 0, nib_low_bit_registers(p));
  if (bytes)
    emit_byte_tile(s);
  else
    emit_real_tile(s);
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Loads what follows in slot u, of which `turn` is the number of the step in those of the warp. */
static void emit_load(const stream *s, const char *first, const char *turn) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  char offset[64], wanted[160];
  snprintf(offset, sizeof offset, "u * %lld", (ll)(s->warps * p->step_bytes));
  snprintf(wanted, sizeof wanted, "%s + (%s) * %d < %lld", first, turn, s->warps, (ll)p->steps);
  nib_text_line(t, "const bool more = %s;", wanted);
  nib_low_bit_load_emit(p, t, "q[u]", "f[u]", offset, "more");
}

/* Steps warp, warp + warps, …: step + u * warps is in q[u]. */
static void emit_steps(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const ll subs = p->step_elems / NIB_LOW_BIT_SUB;
  nib_text_line(t, "uint32_t q[%d][%d] = {{0}};", s->ahead, p->words);
  if (p->has_scales)
    nib_text_line(t, "uint32_t f[%d][%d] = {{0}};", s->ahead, p->scale_words);
  nib_text_line(t, "uint32_t b[%lld][%d][%d][%d];", loads_early(s) ? s->ahead * subs : 1,
                s->x_parts, s->columns, p->product == NIB_LOW_BIT_I8 ? 4 : 8);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t u = 0; u < %d; ++u) {", s->ahead);
  emit_load(s, "warp", "u");
  nib_text_close(t, "");
  if (loads_early(s))
    emit_activations(s, "0", nib_expr_printf("warp * %lld", (ll)p->step_elems).s);
  nib_text_open(t, "for (int32_t step = warp; step < %lld; step += %d) {", (ll)p->steps,
                s->warps * s->ahead);
  nib_low_bit_advance_emit(p, t, (ll)(s->ahead * s->warps * p->step_bytes));
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t u = 0; u < %d; ++u) {", s->ahead);
  if (p->steps % ((int64_t)s->warps * s->ahead))
    nib_text_open(t, "if (step + u * %d < %lld) {", s->warps, (ll)p->steps);
  else
    nib_text_open(t, "{");
  emit_step(s);
  emit_load(s, "step", nib_expr_printf("u + %d", s->ahead).s);
  for (int i = 0; i < 3; ++i)
    nib_text_close(t, "");
}

/* Floats between the columns of a warp's sums: 4 more than rows, so that a store meets all banks.
 */
static int64_t column_stride(const stream *s) { return 16 * s->plan.tiles + 4; }
static int64_t kept_columns(const stream *s) {
  return s->rows < 8 * s->columns ? s->rows : 8 * s->columns;
}

static void emit_reduction(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const ll columns = kept_columns(s), stride = column_stride(s), rows = 16 * p->tiles;
  nib_text_line(t, "float *const sums = (float *)(void *)nib_shared + %lld;", (ll)s->table_words);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t r = 0; r < %d; ++r) {", p->tiles);
  open_columns(s);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t i = 0; i < 4; ++i) {");
  nib_text_line(t, "const int32_t column = c * 8 + t * 2 + i %% 2;");
  nib_text_line(t, "if (column < %lld)", columns);
  nib_text_line(t,
                "  sums[(warp * %lld + column) * %lld + r * 16 + g + i / 2 * 8] = total[r][c][i];",
                columns, stride);
  for (int i = 0; i < 3; ++i)
    nib_text_close(t, "");
  nib_text_line(t, "nib_sync();");
  nib_text_open(t, "for (int32_t i = nib_thread(); i < %lld; i += %d) {", rows * columns,
                s->warps * 32);
  nib_text_line(
      t, "const int32_t o = nib_block_x() * %lld + i %% %lld, m = nib_block_y() * %d + i / %lld;",
      rows, rows, 8 * s->columns, rows);
  nib_text_line(t, "float acc = sums[i / %lld * %lld + i %% %lld];", rows, stride, rows);
  nib_text_line(t, "for (int32_t j = 1; j < %d; ++j)", s->warps);
  nib_text_line(t, "  acc += sums[(j * %lld + i / %lld) * %lld + i %% %lld];", columns, rows,
                stride, rows);
  if (!p->has_scales && p->exponent)
    nib_text_line(t, "acc *= 0x1p%df;", p->exponent);
}

static void emit_result(const stream *s) {
  nib_direct *d = s->d;
  nib_text *t = s->t;
  const nib_tensor *bias = nib_node_input(s->g, s->n, 2);
  nib_text_open(t, "if (o < %lld && m < %lld) {", (ll)s->plan.outputs, (ll)s->rows);
  nib_direct_finish_real(d, s->n, bias ? nib_direct_pointer(d, s->n->in[2], "bias").s : "",
                         nib_expr_printf("(%s)m * %lld + o", d->index, (ll)s->plan.outputs).s, "o");
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Rows past the last are those of the last: their sums are nobody's. */
static void emit_pointers(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const bool bytes = p->product == NIB_LOW_BIT_I8;
  const ll row = bytes ? p->k / s->x_block * s->x_block_bytes : p->k, last = s->rows - 1;
  const char *type = nib_format_get(s->x->format)->c_type;
  const nib_expr input = nib_direct_pointer(s->d, s->n->in[0], "input");
  nib_text_line(t, "const %s *x[%d]%s;", type, s->columns,
                bytes ? nib_expr_printf(", *y[%d][2]", s->columns).s : "");
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
  nib_text_line(t, "const int32_t m = nib_block_y() * %d + c * 8 + g;", 8 * s->columns);
  nib_text_line(t, "x[c] = %s + (int64_t)(m < %lld ? m : %lld) * %lld;", input.s, last, last, row);
  if (bytes) {
    nib_text_open(t, "for (int32_t i = 0; i < 2; ++i) {");
    nib_text_line(t, "const int32_t n = nib_block_y() * %d + c * 8 + t * 2 + i;", 8 * s->columns);
    nib_text_line(t, "y[c][i] = %s + (int64_t)(n < %lld ? n : %lld) * %lld;", input.s, last, last,
                  row);
    nib_text_close(t, "");
  }
  nib_text_close(t, "");
}

static void emit_table(const stream *s) {
  uint32_t words[512];
  const int n = nib_low_bit_table(&s->plan, words);
  if (n == 0)
    return;
  const nib_expr from =
      nib_direct_constant(s->d, "elements", "uint32_t", words, (size_t)n * sizeof *words);
  nib_text_line(s->t, "uint32_t *const table = (uint32_t *)(void *)nib_shared;");
  nib_text_line(s->t, "for (int32_t i = nib_thread(); i < %d; i += %d)", n, s->warps * 32);
  nib_text_line(s->t, "  table[i] = %s[i];", from.s);
  nib_text_line(s->t, "nib_sync();");
}

static const char *ones_of(const nib_low_bit *p) {
  return p->product == NIB_LOW_BIT_F16    ? "0x3c003c00u"
         : p->product == NIB_LOW_BIT_BF16 ? "0x3f803f80u"
                                          : "0x01010101u";
}

static void emit_root(nib_direct *d, const nib_node *n) {
  stream s;
  uint8_t *data = NULL;
  size_t bytes = 0;
  nib_text *t = d->t;
  if (!plan(d->g, d->kernel, &s)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "no plan of its weights");
    return;
  }
  s.d = d;
  s.t = t;
  const nib_status status = nib_low_bit_pack(&s.plan, &data, &bytes);
  if (status != NIB_OK) {
    nib_direct_fail(d, n, status, "out of memory for its weights");
    return;
  }
  const nib_low_bit *p = &s.plan;
  const nib_expr weights = nib_direct_constant(d, "filter", "uint8_t", data, bytes);
  free(data);
  nib_text_line(t, "/* %s weights, %d bits%s; %lld steps of %d x %lld for %d warps, %d ahead */",
                nib_format_get(s.w->format)->name, p->bits,
                p->rule == NIB_LOW_BIT_TABLE ? " into a table" : "", (ll)p->steps, 16 * p->tiles,
                (ll)p->step_elems, s.warps, s.ahead);
  nib_text_line(t,
                "const int32_t lane = nib_lane(), warp = nib_warp(), g = lane >> 2, t = lane & 3;");
  emit_table(&s);
  emit_pointers(&s);
  nib_low_bit_pointers_emit(p, t,
                            nib_expr_printf("%s + nib_block_x() * (int64_t)%lld + warp * %lld",
                                            weights.s, (ll)(p->steps * p->step_bytes),
                                            (ll)p->step_bytes)
                                .s);
  if (p->has_offsets || (p->product == NIB_LOW_BIT_I8 && !p->is_signed && p->zero))
    nib_text_line(t, "const uint32_t ones[4] = {%s, %s, %s, %s};", ones_of(p), ones_of(p),
                  ones_of(p), ones_of(p));
  nib_text_line(t, "float total[%d][%d][4] = {{{0}}};", p->tiles, s.columns);
  emit_steps(&s);
  emit_reduction(&s);
  emit_result(&s);
  *d->e->launch = (nib_launch){
      .grid = {p->row_blocks, (s.rows + 8 * s.columns - 1) / (8 * s.columns)},
      .threads = 32 * s.warps,
      .blocks_per_sm = s.warps <= 8 && p->tiles <= 2 && s.columns * s.x_parts <= 2 ? 2 : 1,
      .shared_bytes = 4 * (s.table_words + s.warps * kept_columns(&s) * column_stride(&s))};
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  return nib_direct_emit(e, k, emit_root);
}

const nib_schedule nib_schedule_low_bit_stream = {
    .name = "low_bit_stream",
    .device = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
};
