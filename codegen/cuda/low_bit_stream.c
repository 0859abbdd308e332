// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// low_bit_stream: dense layers of few rows whose weights have few bits. Every weight is read once
// for 16 rows of activations: copied, together with the activations that it meets, into a ring in
// shared memory that each warp has for itself, several steps ahead; it becomes an operand A of
// mma.sync in registers, activations are B. The warps of a block take turns at the steps along K of
// the same rows of weights; their sums meet in shared memory. tile[0] is tiles of 16 rows of
// weights in a block, tile[1] warps, tile[2] slots of a ring.
#include "cuda/low_bit.h"

#include <math.h>
#include <stdio.h>
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
  nib_low_bit_plan_fold(&s->plan, g, s->n);
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

/* Pieces of 16 bytes in which a lane's 16 elements of a column come through the ring; 0: they come
 * one by one. */
static int x_pieces(const stream *s) {
  const int bytes = s->x->format == NIB_F32 ? 4 : 2;
  const bool runs = s->plan.k % s->plan.run == 0 &&
                    (!s->plan.has_scales || s->plan.group == s->plan.padded_group);
  return s->plan.product != NIB_LOW_BIT_I8 && runs && s->plan.run * bytes >= 16 ? bytes : 0;
}

static int64_t kept_rows(const stream *s) { return s->rows < 8 ? s->rows : 8; }

/* A slot of the ring: a step of the weights, and of the activations. */
static int64_t slot_bytes(const stream *s) {
  return s->plan.step_bytes +
         s->plan.step_elems / NIB_LOW_BIT_SUB * s->columns * x_pieces(s) * kept_rows(s) * 64;
}

/* Floats between the columns of a warp's sums: 4 more than rows, so that a store meets all banks.
 */
static int64_t column_stride(const stream *s) { return 16 * s->plan.tiles + 4; }
static int64_t kept_columns(const stream *s) {
  return s->rows < 8 * s->columns ? s->rows : 8 * s->columns;
}

/* The table, then the rings of all warps, whose place the sums take in the end. */
static int64_t shared_bytes(const stream *s) {
  const int64_t rings = s->warps * s->ahead * slot_bytes(s);
  const int64_t sums = 4 * s->warps * kept_columns(s) * column_stride(s);
  return 4 * s->table_words + (rings > sums ? rings : sums);
}

/* Registers of a thread, roughly. */
static int registers_of(const stream *s) {
  const int sums = s->plan.tiles * s->columns * 4,
            operands = 16 * s->plan.parts + 8 * s->columns * s->x_parts;
  return (s->columns > 1 ? 48
          : s->rows > 1  ? 36
                         : 16) +
         sums + operands + s->plan.words + s->plan.scale_words + 4 * s->columns;
}

/* Blocks that a multiprocessor is to hold: all of its share at once, if warps and memory suffice.
 */
static int64_t resident_blocks(const stream *s) {
  enum { PROCESSORS = 132, REGISTERS = 65536, SHARED_BYTES = 226 * 1024 };
  const int64_t share =
      (s->plan.row_blocks * ((s->rows + 8 * s->columns - 1) / (8 * s->columns)) + PROCESSORS - 1) /
      PROCESSORS;
  int64_t n = REGISTERS / (32 * s->warps * (int64_t)((registers_of(s) + 7) / 8 * 8));
  n = n < share ? n : share;
  while (n > 1 && n * (shared_bytes(s) + 1024) > SHARED_BYTES)
    --n;
  return n < 1 ? 1 : n;
}

/* Many rows of weights in a block read the activations less often, as long as there is a block for
 * each multiprocessor. Its warps are as many as it has registers for, shared by the blocks that it
 * will have. */
static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  enum { PROCESSORS = 132, SHARED_BYTES = 220 * 1024, MOST_AHEAD = 6 };
  (void)v;
  stream s;
  nib_kernel tried = *k;
  memset(out_tiles[0], 0, sizeof out_tiles[0]);
  if (capacity < 1 || !plan(g, k, &s))
    return 1;
  int32_t *tile = out_tiles[0];
  /* A single row needs little of the cache: two blocks for each multiprocessor are better. */
  const int32_t most = s.columns * s.x_parts > 2 ? 2 : 4,
                least = (PROCESSORS - 16) * (s.rows == 1 ? 2 : 1);
  for (tile[0] = 1; tile[0] < most && s.w->dims[0] >= (int64_t)tile[0] * 2 * 16 * least;)
    tile[0] *= 2;
  memcpy(tried.tile, tile, sizeof tried.tile);
  plan(g, &tried, &s);
  if (s.rows == 1 && tile[0] > 2 && registers_of(&s) > 80) {
    tried.tile[0] = tile[0] = 2;
    plan(g, &tried, &s);
  }
  const int64_t share = (s.plan.row_blocks + PROCESSORS - 1) / PROCESSORS;
  const int64_t blocks = share < 4 ? share : 3,
                fitting = 65536 / 32 / ((registers_of(&s) + 7) / 8 * 8);
  const int64_t warps = (fitting < 24 ? fitting : 24) / blocks;
  tile[1] = (int32_t)(warps < s.plan.steps ? warps : s.plan.steps);
  tile[1] = tile[1] > 12 ? 16 : tile[1];
  const int64_t turns = (s.plan.steps + tile[1] - 1) / tile[1];
  const int64_t fit = SHARED_BYTES / blocks / (tile[1] * slot_bytes(&s));
  tile[2] = (int32_t)(fit < 2 ? 2 : fit > MOST_AHEAD ? MOST_AHEAD : fit);
  tile[2] = tile[2] > turns ? (int32_t)turns : tile[2];
  return 1;
}

/* ---- activations ---- */

/* The first of the two neighbours in K (of 64) that are pair `i` of a lane. */
static const char *pair_at(const stream *s) {
  return s->plan.run == 8 ? "i / 4 * 32 + t * 8 + i % 4 * 2" : "i / 2 * 16 + t * 4 + i % 2 * 2";
}

/* Two floats (words v0 and v1) as pair `i` of three parts: what is cut off a float's low bits is a
 * float. */
static void emit_split(const stream *s) {
  nib_text *t = s->t;
  nib_text_line(t, "b[0][c][i] = nib_select_bytes(v0, v1, 0x7632);");
  for (int part = 1; part < 3; ++part) {
    for (int e = 0; e < 2; ++e)
      nib_text_line(t, "v%d = nib_f32_rest(v%d);", e, e);
    nib_text_line(t, "b[%d][c][i] = nib_select_bytes(v0, v1, 0x7632);", part);
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
    emit_split(s);
  else
    nib_text_line(t, "b[0][c][i] = v0 | v1 << 16;");
  nib_text_close(t, "");
}

/* Bytes: four neighbours a register; and the scales of the columns that the lane's sums belong to.
 */
static void emit_bytes(const stream *s) {
  nib_text *t = s->t;
  nib_text_open(t, "for (int32_t i = 0; i < 4; ++i) {");
  nib_text_line(t, "const int64_t at = k + i * 16 + t * 4;");
  nib_text_line(t, "b[0][c][i] = 0;");
  nib_text_line(t, "if (at < %lld)", (ll)s->plan.k);
  nib_text_line(t, "  memcpy(&b[0][c][i], x[c] + at / %lld * %lld + %lld + at %% %lld, 4);",
                (ll)s->x_block, (ll)s->x_block_bytes, (ll)s->x_codes_at, (ll)s->x_block);
  nib_text_close(t, "");
}

/* The piece of 16 bytes `h` of a lane's elements of a column in 64 of K: where it is in the ring's
 * slot. */
static nib_expr piece_in_slot(const stream *s, const char *row) {
  return nib_expr_printf("%lld + (((sub * %d + c) * %d + h) * %d + %s * 4 + t) * 16",
                         (ll)s->plan.step_bytes, s->columns, x_pieces(s), 4 * (int)kept_rows(s),
                         row);
}

static void emit_from_slot(const stream *s) {
  nib_text *t = s->t;
  const bool is_float = s->x->format == NIB_F32;
  const int pieces = x_pieces(s);
  nib_text_open(t, "for (int32_t h = 0; h < %d; ++h) {", pieces);
  if (is_float)
    nib_text_line(t, "uint32_t v[4];");
  nib_text_line(t, "nib_get16(%s, slot + %s);", is_float ? "v" : "b[0][c] + h * 4",
                piece_in_slot(s, kept_rows(s) < 8 ? "kept" : "g").s);
  if (is_float) {
    nib_text_open_unrolled(t, "for (int32_t i = h * 2; i < h * 2 + 2; ++i) {");
    nib_text_line(t, "uint32_t v0 = v[(i - h * 2) * 2], v1 = v[(i - h * 2) * 2 + 1];");
    emit_split(s);
    nib_text_close(t, "");
  }
  nib_text_close(t, "");
}

/* Declares `b`, the operands of sub-step `sub` of step `step`: [part][column][register]. */
static void emit_activations(const stream *s) {
  nib_text *t = s->t;
  const bool bytes = s->plan.product == NIB_LOW_BIT_I8;
  if (!x_pieces(s))
    nib_text_line(t, "const int64_t k = (int64_t)step * %lld + sub * 64;", (ll)s->plan.step_elems);
  nib_text_line(t, "uint32_t b[%d][%d][%d];", s->x_parts, s->columns, bytes ? 4 : 8);
  nib_text_open_unrolled(t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
  nib_text_line(t, "#pragma unroll");
  if (bytes)
    emit_bytes(s);
  else if (x_pieces(s))
    emit_from_slot(s);
  else
    emit_gather(s);
  nib_text_close(t, "");
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
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < %d; ++i) {", operands);
  for (int wp = 0; wp < w_parts; ++wp)
    for (int xp = 0; xp < s->x_parts && wp + xp < NIB_LOW_BIT_MAX_PARTS; ++xp) {
      char operand[96];
      snprintf(operand, sizeof operand, a, wp);
      nib_text_line(t, "%s(%s, %s, b[%d][c] + (e * %d + i) * 2);", mma_of(p), sum, operand, xp,
                    operands);
    }
  nib_text_close(t, "");
}

static void open_columns(const stream *s) {
  nib_text_open_unrolled(s->t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
}

static void open_groups(const stream *s) {
  nib_text_open_unrolled(s->t, "for (int32_t e = 0; e < %d; ++e) {", groups_of_sub(&s->plan));
}

/* Reals: `sums` are those of the activations alone, of each group. */
static void emit_real_sums(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  if (!p->has_offsets || p->folds)
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
  if (!p->has_scales || p->folds) {
    open_columns(s);
    emit_products(s, "total[r][c]", p->folds ? 1 : p->parts, a);
    nib_text_close(t, "");
    nib_text_close(t, "");
    return;
  }
  nib_low_bit_scales_emit(p, t, "f", "r", group_of_step(p));
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

/* d += of half an operand: the other half is 0. */
static void emit_byte_product(const stream *s, const char *sum, const char *a0, const char *a1) {
  nib_text *t = s->t;
  nib_text_line(t, "const uint32_t half_a[4] = {%s, %s, 0, 0};", a0, a1);
  nib_text_line(t, "const uint32_t half_b[2] = {b[0][c][e], 0};");
  nib_text_line(t, "%s(%s, half_a, half_b);", mma_of(&s->plan), sum);
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
  nib_text_open_unrolled(t, "for (int32_t h = 0; h < 2; ++h) {");
  open_columns(s);
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < 2; ++i) {");
  nib_text_line(t, "const int64_t at = (int64_t)step * %lld + sub * 64 + h * 32;",
                (ll)p->step_elems);
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
  nib_text_open_unrolled(t, "for (int32_t e = 0; e < %d; ++e) {", groups);
  open_columns(s);
  if (groups == 4)
    emit_byte_product(s, "sums[e][c]", "0x01010101u", "0x01010101u");
  else
    nib_text_line(t, "%s(sums[e][c], ones, b[0][c] + e * 2);", mma_of(p));
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
  nib_text_open_unrolled(t, "for (int32_t e = 0; e < %d; ++e) {", groups);
  if (p->has_scales)
    nib_low_bit_scales_emit(p, t, "f", "r",
                            p->scales_of_step <= 1        ? "0"
                            : p->group >= NIB_LOW_BIT_SUB ? "sub"
                            : p->group == 32              ? "(sub * 2 + e)"
                                                          : "(sub * 4 + e)");
  open_columns(s);
  nib_text_line(t, "int32_t d[4] = {0};");
  if (groups == 4)
    emit_byte_product(s, "d", "a[0][e * 2]", "a[0][e * 2 + 1]");
  else
    nib_text_line(t, "%s(d, a[0] + e * 4, b[0][c] + e * 2);", mma_of(p));
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
  nib_text_open_unrolled(t, "for (int32_t sub = 0; sub < %lld; ++sub) {",
                         (ll)(p->step_elems / NIB_LOW_BIT_SUB));
  emit_activations(s);
  if (bytes)
    emit_byte_sums(s);
  else
    emit_real_sums(s);
  nib_text_open_unrolled(t, "for (int32_t r = 0; r < %d; ++r) {", p->tiles);
  nib_low_bit_unpack_emit(p, t, "q", "sub", "r", 0, nib_low_bit_registers(p));
  if (p->folds)
    nib_low_bit_fold_emit(p, t, "f", "sub", "r", 0, nib_low_bit_registers(p));
  if (bytes)
    emit_byte_tile(s);
  else
    emit_real_tile(s);
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Begins to copy step `next` into the slot at `to`; after the last step, nothing. */
static void emit_copy(const stream *s, const char *to, const char *next) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const ll whole = p->step_bytes / 512, rest = p->step_bytes % 512 / 16, kept = kept_rows(s);
  nib_text_open(t, "{");
  nib_text_line(t, "uint8_t *const to = %s;", to);
  nib_text_line(t, "const int32_t next = %s, some = next < %lld ? 16 : 0, from = some ? next : 0;",
                next, (ll)p->steps);
  nib_text_line(t, "const uint8_t *const codes = weights_of_block + (int64_t)from * %lld;",
                (ll)p->step_bytes);
  if (whole) {
    nib_text_line(t, "#pragma unroll");
    nib_text_line(t, "for (int32_t i = 0; i < %lld; ++i)", whole);
    nib_text_line(t, "  nib_copy16(to + i * 512 + lane * 16, codes + i * 512 + lane * 16, some);");
  }
  if (rest) {
    nib_text_line(t, "if (lane < %lld)", rest);
    nib_text_line(t, "  nib_copy16(to + %lld + lane * 16, codes + %lld + lane * 16, some);",
                  whole * 512, whole * 512);
  }
  if (x_pieces(s)) {
    const ll in_piece = s->x->format == NIB_F32 ? 4 : 8;
    if (kept < 8)
      nib_text_open(t, "if (g < %lld) {", kept);
    nib_text_open_unrolled(t, "for (int32_t sub = 0; sub < %lld; ++sub) {",
                           (ll)p->step_elems / NIB_LOW_BIT_SUB);
    nib_text_open_unrolled(t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
    nib_text_open_unrolled(t, "for (int32_t h = 0; h < %d; ++h) {", x_pieces(s));
    /* Runs of a lane are next to those of its neighbours; a run of floats may be two pieces. */
    const ll runs = p->run / in_piece;
    nib_text_line(t,
                  "const int64_t at = (int64_t)from * %lld + sub * 64 + h / %lld * %d + t * %d + h "
                  "%% %lld * %lld;",
                  (ll)p->step_elems, runs, 4 * p->run, p->run, runs, in_piece);
    nib_text_line(t, "nib_copy16_near(to + %s, x[c] + at, %s);", piece_in_slot(s, "g").s,
                  p->k % p->step_elems ? nib_expr_printf("at < %lld ? some : 0", (ll)p->k).s
                                       : "some");
    for (int i = 0; i < 3 + (kept < 8); ++i)
      nib_text_close(t, "");
  }
  nib_text_line(t, "nib_copy_commit();");
  nib_text_close(t, "");
}

/* Steps warp, warp + warps, …, each in a slot of the warp's ring, that is filled again when it was
 * used. */
static void emit_steps(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const ll bytes = slot_bytes(s);
  nib_text_line(t, "uint8_t *const ring = nib_shared + %lld + warp * %lld;", (ll)s->table_words * 4,
                s->ahead * bytes);
  if (kept_rows(s) < 8 && x_pieces(s))
    nib_text_line(t, "const int32_t kept = g < %lld ? g : %lld;", (ll)kept_rows(s),
                  (ll)kept_rows(s) - 1);
  nib_text_open_unrolled(t, "for (int32_t u = 0; u < %d; ++u) {", s->ahead);
  emit_copy(s, nib_expr_printf("ring + u * %lld", bytes).s,
            nib_expr_printf("warp + u * %d", s->warps).s);
  nib_text_close(t, "");
  nib_text_line(t, "uint8_t *slot = ring;");
  nib_text_open(t, "for (int32_t step = warp; step < %lld; step += %d) {", (ll)p->steps, s->warps);
  nib_text_line(t, "nib_copy_wait(%d);", s->ahead - 1);
  nib_text_line(t, "nib_sync_warp();");
  nib_text_line(t, "uint32_t q[%d];", p->words);
  if (p->has_scales)
    nib_text_line(t, "uint32_t f[%d];", p->scale_words);
  nib_low_bit_get_emit(p, t, "q", "f", "slot");
  emit_step(s);
  nib_text_line(t, "nib_sync_warp();");
  emit_copy(s, "slot", nib_expr_printf("step + %d", s->ahead * s->warps).s);
  nib_text_line(t, "slot = slot == ring + %lld ? ring : slot + %lld;", (s->ahead - 1) * bytes,
                bytes);
  nib_text_close(t, "");
  /* Copies of nothing write zeros where the sums will be. */
  nib_text_line(t, "nib_copy_wait(0);");
  nib_text_line(t, "nib_sync();");
}

static void emit_reduction(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const ll columns = kept_columns(s), stride = column_stride(s), rows = 16 * p->tiles;
  nib_text_line(t, "float *const sums = (float *)(void *)nib_shared + %lld;", (ll)s->table_words);
  nib_text_open_unrolled(t, "for (int32_t r = 0; r < %d; ++r) {", p->tiles);
  open_columns(s);
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < 4; ++i) {");
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
  if (!p->has_scales && !p->folds && p->exponent)
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
  nib_text_open_unrolled(t, "for (int32_t c = 0; c < %d; ++c) {", s->columns);
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
  nib_text *t = d->t;
  if (!plan(d->g, d->kernel, &s)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "no plan of its weights");
    return;
  }
  s.d = d;
  s.t = t;
  const nib_low_bit *p = &s.plan;
  const nib_expr weights = nib_low_bit_constant(&s.plan, d, n);
  nib_text_line(t, "/* %s weights, %d bits%s; %lld steps of %d x %lld for %d warps, %d ahead */",
                nib_format_get(s.w->format)->name, p->bits,
                p->rule == NIB_LOW_BIT_TABLE ? " into a table" : "", (ll)p->steps, 16 * p->tiles,
                (ll)p->step_elems, s.warps, s.ahead);
  nib_text_line(t,
                "const int32_t lane = nib_lane(), warp = nib_warp(), g = lane >> 2, t = lane & 3;");
  emit_table(&s);
  emit_pointers(&s);
  nib_text_line(t, "const uint8_t *const weights_of_block = %s + nib_block_x() * (int64_t)%lld;",
                weights.s, (ll)(p->steps * p->step_bytes));
  if ((p->has_offsets && !p->folds) || (p->product == NIB_LOW_BIT_I8 && !p->is_signed && p->zero))
    nib_text_line(t, "const uint32_t ones[4] = {%s, %s, %s, %s};", ones_of(p), ones_of(p),
                  ones_of(p), ones_of(p));
  nib_text_line(t, "float total[%d][%d][4] = {{{0}}};", p->tiles, s.columns);
  emit_steps(&s);
  emit_reduction(&s);
  emit_result(&s);
  *d->e->launch =
      (nib_launch){.grid = {p->row_blocks, (s.rows + 8 * s.columns - 1) / (8 * s.columns)},
                   .threads = 32 * s.warps,
                   .blocks_per_sm = (int32_t)resident_blocks(&s),
                   .shared_bytes = shared_bytes(&s)};
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  return nib_direct_emit(e, k, emit_root);
}

const nib_schedule nib_schedule_low_bit_stream = {
    .name = "low_bit_stream",
    .device = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
