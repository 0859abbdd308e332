// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// low_bit_stream: dense layers of few rows whose weights have few bits. Every weight is read once
// for 16 rows of activations: copied, together with the activations that it meets, into a ring in
// shared memory that each warp has for itself, several steps ahead; it becomes an operand A of
// mma.sync in registers, activations are B. The warps of a block take turns at the steps along K of
// the same rows of weights; their sums meet in shared memory. tile[0] is tiles of 16 rows of
// weights in a block, tile[1] warps, tile[2] slots of a ring.
#include "cuda/low_bit.h"
#include "schedule/block_dots.h"

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
  int groups;          /* of 64 elements: whose sums share a scale, each a number of operands */
  bool sums;           /* of activations alone are needed */
  bool bytes;          /* activations are in blocks of int8 */
} stream;

/* ---- what it accepts ---- */

static bool product_of(stream *s, nib_operand_type *out_product) {
  const nib_format_info *f = nib_format_get(s->x->format);
  if (s->x->format == NIB_F16)
    *out_product = NIB_OPERAND_F16;
  else if (s->x->format == NIB_BF16 || s->x->format == NIB_F32)
    *out_product = NIB_OPERAND_BF16;
  else if (nib_block_codes_are_bytes(f) && f->block_elems % 32 == 0)
    *out_product = NIB_OPERAND_I8;
  else
    return false;
  s->x_parts = s->x->format == NIB_F32 ? 3 : 1;
  return true;
}

static bool plan(const nib_graph *g, const nib_kernel *k, stream *s) {
  nib_operand_type product;
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
  if (!nib_low_bit_plan(g, s->n, product, 32, k->tile[0] > 0 ? k->tile[0] : 1, 8, &s->plan))
    return false;
  s->rows = nib_tensor_elems(s->x) / s->plan.k;
  s->columns = s->rows > 8 ? 2 : 1;
  uint32_t words[512];
  s->table_words = (nib_operand_table(&s->plan.e, words) + 3) / 4 * 4;
  const nib_low_bit *p = &s->plan;
  s->bytes = product == NIB_OPERAND_I8;
  s->groups = p->has_scales && p->padded_group < 64 ? (int)(64 / p->padded_group) : 1;
  s->groups = s->bytes && s->groups < 2 ? 2 : s->groups;
  s->sums = (p->has_offsets && !p->folds) || (s->bytes && !p->e.is_signed && p->e.zero);
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
  return s->plan.e.type != NIB_OPERAND_I8 && runs && s->plan.run * bytes >= 16 ? bytes : 0;
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
            operands = 16 * s->plan.e.parts + 8 * s->columns * s->x_parts;
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

/* Where the piece of 16 bytes `h` of a lane's elements of a column in 64 of K is in a slot. */
static nib_expr piece_in_slot(const stream *s, const char *row) {
  return nib_expr_printf("%lld + (((sub * %d + c) * %d + h) * %d + %s * 4 + t) * 16",
                         (ll)s->plan.step_bytes, s->columns, x_pieces(s), 4 * (int)kept_rows(s),
                         row);
}

/* Declares `b`, the operands of sub-step `sub` of step `step`: [part][column][register]. */
static const char k_operands[] =
    "[!pieces] const int64_t k = (int64_t)step * $step_elems + sub * 64;\n"
    "uint32_t b[$x_parts][$columns][$b_words];\n"
    "#pragma unroll\n"
    "for (int32_t c = 0; c < $columns; ++c) {\n"
    "  #pragma unroll\n";

/* Bytes: four neighbours a register. */
static const char k_bytes[] = "  for (int32_t i = 0; i < 4; ++i) {\n"
                              "    const int64_t at = k + i * 16 + t * 4;\n"
                              "    b[0][c][i] = 0;\n"
                              "    if (at < $k)\n"
                              "      memcpy(&b[0][c][i], x[c] + at / $x_block * $x_block_bytes + "
                              "$x_codes_at + at % $x_block, "
                              "4);\n"
                              "  }\n"
                              "}\n";

/* Two floats (words v0 and v1) as a pair of each of three parts: what is cut off a float's low bits
 * is a float. */
static const char k_split[] = "b[0][c][i] = nib_select_bytes(v0, v1, 0x7632);\n"
                              "v0 = nib_f32_rest(v0);\n"
                              "v1 = nib_f32_rest(v1);\n"
                              "b[1][c][i] = nib_select_bytes(v0, v1, 0x7632);\n"
                              "v0 = nib_f32_rest(v0);\n"
                              "v1 = nib_f32_rest(v1);\n"
                              "b[2][c][i] = nib_select_bytes(v0, v1, 0x7632);\n";

static const char k_from_slot[] =
    "  for (int32_t h = 0; h < $pieces; ++h) {\n"
    "    [!splits] nib_get16(b[0][c] + h * 4, slot + $slot_piece);\n"
    "    [splits] uint32_t v[4];\n"
    "    [splits] nib_get16(v, slot + $slot_piece);\n"
    "    [splits] #pragma unroll\n"
    "    [splits] for (int32_t i = h * 2; i < h * 2 + 2; ++i) {\n"
    "      [splits] uint32_t v0 = v[(i - h * 2) * 2], v1 = v[(i - h * 2) * 2 + 1];\n";

/* Pairs one by one, wherever K ends and whatever lies between groups: the first of the two
 * neighbours in K (of 64) that are pair `i` of a lane, and the second. */
static const char k_gathered[] =
    "const int64_t p$e = k + $pair + $e;\n"
    "[padded] const int64_t k$e = p$e / $padded * $group + p$e % $padded;\n"
    "[padded] if (p$e % $padded < $group && k$e < $k)\n"
    "[!padded] const int64_t k$e = p$e;\n"
    "[!padded] if (k$e < $k)\n"
    "  [splits] v$e = nib_bits_f32(x[c][k$e]);\n"
    "  [!splits] v$e = x[c][k$e];\n";

static void emit_activations(const stream *s) {
  nib_text *t = s->t;
  const bool splits = s->x->format == NIB_F32;
  nib_text_block(t, k_operands);
  if (s->bytes) {
    nib_text_block(t, k_bytes);
    return;
  }
  if (x_pieces(s)) {
    nib_text_block(t, k_from_slot);
  } else {
    nib_text_block(t, "for (int32_t i = 0; i < 8; ++i) {\n"
                      "  uint32_t v0 = 0, v1 = 0;\n");
    for (int e = 0; e < 2; ++e) {
      nib_text_set(t, "e", e);
      nib_text_block(t, k_gathered);
    }
  }
  if (splits)
    nib_text_block(t, k_split);
  nib_text_block(t, "[gathers_pairs] b[0][c][i] = v0 | v1 << 16;\n"
                    "    [splits_slots] }\n"
                    "  }\n"
                    "}\n");
}

/* ---- products ---- */

static const char *mma_of(const nib_low_bit *p) {
  return p->e.type == NIB_OPERAND_F16                       ? "nib_mma_f16"
         : p->e.type == NIB_OPERAND_BF16                    ? "nib_mma_bf16"
         : p->e.is_signed || p->e.rule == NIB_OPERAND_TABLE ? "nib_mma_i8"
                                                            : "nib_mma_u8i8";
}

/* An expression: the number in its step of group `e` of sub-step `sub`. */
static const char *group_of_step(const nib_low_bit *p) {
  return p->scales_of_step <= 1               ? "0"
         : p->padded_group >= NIB_LOW_BIT_SUB ? "sub"
         : p->padded_group == 32              ? "(sub * 2 + e)"
                                              : "(sub * 4 + e)";
}

/* sum[c] += the products of group e, of the weights or (`ones`) of the activations alone. Parts of
 * weights go with parts of activations; of short groups of bytes half an operand is 0. */
static void emit_products(const stream *s, const char *sum, bool ones) {
  nib_text *t = s->t;
  const int operands = 4 / s->groups;
  nib_text_set_words(t, "to", "%s", sum);
  if (s->bytes) {
    nib_text_set(t, "half", s->groups == 4);
    nib_text_set_words(t, "a", "%s", ones ? "ones" : "a[0] + e * 4");
    nib_text_set_words(t, "half_a", "%s",
                       ones ? "0x01010101u, 0x01010101u" : "a[0][e * 2], a[0][e * 2 + 1]");
    nib_text_block(t, "[half] const uint32_t half_a[4] = {$half_a, 0, 0};\n"
                      "[half] const uint32_t half_b[2] = {b[0][c][e], 0};\n"
                      "[half] $mma($to, half_a, half_b);\n"
                      "[!half] $mma($to, $a, b[0][c] + e * 2);\n");
    return;
  }
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < %d; ++i) {", operands);
  for (int wp = 0; wp < (ones || s->plan.folds ? 1 : s->plan.e.parts); ++wp)
    for (int xp = 0; xp < s->x_parts && wp + xp < NIB_OPERAND_MAX_PARTS; ++xp) {
      const nib_expr a = nib_expr_printf("a[%d] + (e * %d + i) * 4", wp, operands);
      nib_text_line(t, "$mma($to, %s, b[%d][c] + (e * %d + i) * 2);", ones ? "ones" : a.s, xp,
                    operands);
    }
  nib_text_block(t, "}\n");
}

static const char k_groups[] = "#pragma unroll\n"
                               "for (int32_t e = 0; e < $groups; ++e) {\n";
static const char k_columns[] = "#pragma unroll\n"
                                "for (int32_t c = 0; c < $columns; ++c) {\n";

/* The scale of the block of activations at `q`. */
static nib_expr x_scale_of(const stream *s) {
  const nib_block_layout *b = &nib_format_get(s->x->format)->block;
  const nib_expr scale = nib_direct_block_number(s->d, (nib_format)b->scale, b->scale_at);
  if (!b->element_exponent)
    return scale;
  return nib_expr_printf("%s * %s", scale.s, nib_direct_f32(ldexpf(1, b->element_exponent)).s);
}

/* What activations alone give: the scales of bytes of the columns that the lane's sums belong to,
 * and their sums. */
static const char k_x_scales[] =
    "float x_scale[2][$columns][2];\n"
    "#pragma unroll\n"
    "for (int32_t h = 0; h < 2; ++h) {\n"
    "  #pragma unroll\n"
    "  for (int32_t c = 0; c < $columns; ++c) {\n"
    "    #pragma unroll\n"
    "    for (int32_t i = 0; i < 2; ++i) {\n"
    "      const int64_t at = (int64_t)step * $step_elems + sub * 64 + h * 32;\n"
    "      x_scale[h][c][i] = 0;\n"
    "      if (at < $k) {\n"
    "        const uint8_t *const q = y[c][i] + at / $x_block * $x_block_bytes;\n"
    "        x_scale[h][c][i] = $x_scale;\n"
    "      }\n"
    "    }\n"
    "  }\n"
    "}\n";

static void emit_sums(const stream *s) {
  nib_text *t = s->t;
  if (s->bytes) {
    nib_text_set_words(t, "x_scale", "%s", x_scale_of(s).s);
    nib_text_block(t, k_x_scales);
  }
  if (!s->sums)
    return;
  nib_text_block(t, "$sum sums[$groups][$columns][4] = {{{0}}};\n");
  nib_text_block(t, k_groups);
  nib_text_block(t, k_columns);
  emit_products(s, "sums[e][c]", true);
  nib_text_block(t, "  }\n"
                    "}\n");
}

/* Of element i of a lane's sums. Reals: scaled in f32. Bytes: sum, activations' scale, weights'
 * scale, in the order of the CPU's block_dots. */
static const char k_scaled[] =
    "[!bytes] total[r][c][$i] = nib_fma_f32(d[$i], scale[$half], total[r][c][$i]);\n"
    "[adds_f32] total[r][c][$i] = nib_fma_f32(sums[e][c][$odd], offset[$half], "
    "total[r][c][$i]);\n"
    "[of_table] const int32_t s$i = d[$i];\n"
    "[of_codes] const int32_t s$i = (d[$i] >> $down) * $unit;\n"
    "[of_zeros] const int32_t s$i = (d[$i] >> $down) * $unit - sums[e][c][$odd] * $zero;\n"
    "[bytes] total[r][c][$i] += (float)s$i * x_scale[$block][c][$odd]$scale;\n"
    "[adds_i32] total[r][c][$i] += (float)sums[e][c][$odd] * x_scale[$block][c][$odd] * "
    "offset[$half];\n";

/* Tile r. */
static void emit_tile(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  const bool scaled = p->has_scales && !p->folds, apart = s->bytes || scaled; /* a group's sums */
  nib_text_block(t, k_groups);
  if (scaled)
    nib_low_bit_scales_emit(p, t, "f", "r", group_of_step(p));
  nib_text_block(t, k_columns);
  if (apart)
    nib_text_block(t, "$sum d[4] = {0};\n");
  emit_products(s, apart ? "d" : "total[r][c]", false);
  for (int i = 0; apart && i < 4; ++i) {
    nib_text_set(t, "i half odd", i, i / 2, i % 2);
    nib_text_set_words(t, "scale", "%s",
                       !p->has_scales ? ""
                       : i < 2        ? " * scale[0]"
                                      : " * scale[1]");
    nib_text_block(t, k_scaled);
  }
  nib_text_block(t, "  }\n"
                    "}\n");
}

/* ---- the kernel ---- */

/* Begins to copy step $next into the slot at $to; after the last step, nothing. Runs of a lane are
 * next to those of its neighbours; a run of floats may be two pieces. */
static const char k_copy[] =
    "{\n"
    "  uint8_t *const to = $to;\n"
    "  const int32_t next = $next, some = next < $steps ? 16 : 0, from = some ? next : 0;\n"
    "  const uint8_t *const codes = weights_of_block + (int64_t)from * $step_bytes;\n"
    "  [whole] #pragma unroll\n"
    "  [whole] for (int32_t i = 0; i < $whole; ++i)\n"
    "    [whole] nib_copy16(to + i * 512 + lane * 16, codes + i * 512 + lane * 16, some);\n"
    "  [rest] if (lane < $rest)\n"
    "    [rest] nib_copy16(to + $rest_at + lane * 16, codes + $rest_at + lane * 16, some);\n"
    "  [few_rows] if (g < $kept_rows) {\n"
    "    [pieces] #pragma unroll\n"
    "    [pieces] for (int32_t sub = 0; sub < $subs; ++sub) {\n"
    "      [pieces] #pragma unroll\n"
    "      [pieces] for (int32_t c = 0; c < $columns; ++c) {\n"
    "        [pieces] #pragma unroll\n"
    "        [pieces] for (int32_t h = 0; h < $pieces; ++h) {\n"
    "          [pieces] const int64_t at = (int64_t)from * $step_elems + sub * 64 + h / $runs * "
    "$runs_apart + t * $run + h % $runs * $in_piece;\n"
    "          [pieces] nib_copy16_near(to + $copied_piece, x[c] + at, $some);\n"
    "        [pieces] }\n"
    "      [pieces] }\n"
    "    [pieces] }\n"
    "  [few_rows] }\n"
    "  nib_copy_commit();\n"
    "}\n";

static void emit_copy(const stream *s, const char *to, const char *next) {
  nib_text_set_words(s->t, "to", "%s", to);
  nib_text_set_words(s->t, "next", "%s", next);
  nib_text_block(s->t, k_copy);
}

static void emit_step(const stream *s) {
  nib_text *t = s->t;
  const nib_low_bit *p = &s->plan;
  nib_text_block(t, "#pragma unroll\n"
                    "for (int32_t sub = 0; sub < $subs; ++sub) {\n");
  emit_activations(s);
  emit_sums(s);
  nib_text_block(t, "#pragma unroll\n"
                    "for (int32_t r = 0; r < $tiles; ++r) {\n");
  nib_low_bit_unpack_emit(p, t, "q", "sub", "r", 0, nib_low_bit_registers(p));
  if (p->folds)
    nib_low_bit_fold_emit(p, t, "f", "sub", "r", 0, nib_low_bit_registers(p));
  emit_tile(s);
  nib_text_block(t, "  }\n"
                    "}\n");
}

/* Rows past the last are those of the last: their sums are nobody's. */
static const char k_begin[] =
    "const int32_t lane = nib_lane(), warp = nib_warp(), g = lane >> 2, t = lane & 3;\n"
    "[table] uint32_t *const table = (uint32_t *)(void *)nib_shared;\n"
    "[table] for (int32_t i = nib_thread(); i < $table; i += $threads)\n"
    "  [table] table[i] = $elements[i];\n"
    "[table] nib_sync();\n"
    "[!bytes] const $x_type *x[$columns];\n"
    "[bytes] const $x_type *x[$columns], *y[$columns][2];\n"
    "#pragma unroll\n"
    "for (int32_t c = 0; c < $columns; ++c) {\n"
    "  const int32_t m = nib_block_y() * $block_columns + c * 8 + g;\n"
    "  x[c] = $input + (int64_t)(m < $last ? m : $last) * $x_row;\n"
    "  [bytes] for (int32_t i = 0; i < 2; ++i) {\n"
    "    [bytes] const int32_t n = nib_block_y() * $block_columns + c * 8 + t * 2 + i;\n"
    "    [bytes] y[c][i] = $input + (int64_t)(n < $last ? n : $last) * $x_row;\n"
    "  [bytes] }\n"
    "}\n"
    "const uint8_t *const weights_of_block = $weights + nib_block_x() * (int64_t)$block_bytes;\n"
    "[sums] const uint32_t ones[4] = {$ones, $ones, $ones, $ones};\n"
    "float total[$tiles][$columns][4] = {{{0}}};\n"
    "uint8_t *const ring = nib_shared + $table_bytes + warp * $ring_bytes;\n"
    "[few_rows] const int32_t kept = g < $kept_rows ? g : $last_kept;\n"
    "#pragma unroll\n"
    "for (int32_t u = 0; u < $ahead; ++u) {\n";

/* Steps warp, warp + warps, …, each in a slot of the warp's ring, that is filled again when it was
 * used. */
static const char k_step[] = "}\n"
                             "uint8_t *slot = ring;\n"
                             "for (int32_t step = warp; step < $steps; step += $warps) {\n"
                             "  nib_copy_wait($others);\n"
                             "  nib_sync_warp();\n"
                             "  uint32_t q[$words];\n"
                             "  [scale_words] uint32_t f[$scale_words];\n";

/* Copies of nothing write zeros where the sums of all warps will be. */
static const char k_reduction[] =
    "  slot = slot == ring + $last_slot ? ring : slot + $slot_bytes;\n"
    "}\n"
    "nib_copy_wait(0);\n"
    "nib_sync();\n"
    "float *const sums = (float *)(void *)nib_shared + $table_words;\n"
    "#pragma unroll\n"
    "for (int32_t r = 0; r < $tiles; ++r) {\n"
    "  #pragma unroll\n"
    "  for (int32_t c = 0; c < $columns; ++c) {\n"
    "    #pragma unroll\n"
    "    for (int32_t i = 0; i < 4; ++i) {\n"
    "      const int32_t column = c * 8 + t * 2 + i % 2;\n"
    "      if (column < $kept)\n"
    "        sums[(warp * $kept + column) * $stride + r * 16 + g + i / 2 * 8] = total[r][c][i];\n"
    "    }\n"
    "  }\n"
    "}\n"
    "nib_sync();\n"
    "for (int32_t i = nib_thread(); i < $block_sums; i += $threads) {\n"
    "  const int32_t o = nib_block_x() * $rows + i % $rows, m = nib_block_y() * $block_columns + i "
    "/ $rows;\n"
    "  float acc = sums[i / $rows * $stride + i % $rows];\n"
    "  for (int32_t j = 1; j < $warps; ++j)\n"
    "    acc += sums[(j * $kept + i / $rows) * $stride + i % $rows];\n"
    "  [exponent] acc *= 0x1p${exponent}f;\n"
    "  if (o < $outputs && m < $m) {\n";

static void name_activations(const stream *s, nib_text *t) {
  const nib_low_bit *p = &s->plan;
  const nib_format_info *f = nib_format_get(s->x->format);
  const int64_t in_piece = s->x->format == NIB_F32 ? 4 : 8, kept = kept_rows(s);
  const bool padded = p->has_scales && p->group != p->padded_group, pieces = x_pieces(s) > 0,
             splits = !s->bytes && s->x->format == NIB_F32;
  nib_text_set(t, "m last columns block_columns", s->rows, s->rows - 1, s->columns, 8 * s->columns);
  nib_text_set(t, "bytes splits pieces", s->bytes, splits, x_pieces(s));
  nib_text_set(t, "gathers_pairs splits_slots", !pieces && !splits, pieces && splits);
  nib_text_set(t, "x_parts b_words", s->x_parts, s->bytes ? 4 : 8);
  nib_text_set(t, "k group padded", p->k, p->group, padded ? p->padded_group : 0);
  nib_text_set(t, "x_row", s->bytes ? p->k / f->block_elems * f->block_bytes : p->k);
  nib_text_set(t, "x_block x_block_bytes x_codes_at", f->block_elems, f->block_bytes,
               f->block.codes.low.at / 8);
  nib_text_set(t, "kept_rows last_kept few_rows", kept, kept - 1, pieces && kept < 8);
  nib_text_set(t, "runs in_piece", p->run / in_piece ? p->run / in_piece : 1, in_piece);
  nib_text_set(t, "run runs_apart", p->run, 4 * p->run);
  nib_text_set_words(t, "some", p->k % p->step_elems ? "at < %lld ? some : 0" : "some", (ll)p->k);
  nib_text_set_words(t, "x_type", "%s", f->c_type);
  nib_text_set_words(t, "slot_piece", "%s", piece_in_slot(s, kept < 8 ? "kept" : "g").s);
  nib_text_set_words(t, "copied_piece", "%s", piece_in_slot(s, "g").s);
  nib_text_set_words(t, "pair", "%s",
                     p->run == 8 ? "i / 4 * 32 + t * 8 + i % 4 * 2"
                                 : "i / 2 * 16 + t * 4 + i % 2 * 2");
}

static void name_weights(const stream *s, nib_text *t) {
  const nib_low_bit *p = &s->plan;
  const int64_t slot = slot_bytes(s), kept = kept_columns(s), rows = 16 * p->tiles;
  const bool zeros = s->bytes && !p->e.is_signed && p->e.zero,
             table = p->e.rule == NIB_OPERAND_TABLE;
  nib_text_set(t, "steps step_elems step_bytes", p->steps, p->step_elems, p->step_bytes);
  nib_text_set(t, "subs tiles groups", p->step_elems / NIB_LOW_BIT_SUB, p->tiles, s->groups);
  nib_text_set(t, "block_bytes words scale_words", p->steps * p->step_bytes, p->words,
               p->scale_words);
  nib_text_set(t, "whole rest rest_at", p->step_bytes / 512, p->step_bytes % 512 / 16,
               p->step_bytes / 512 * 512);
  nib_text_set(t, "warps threads ahead others", s->warps, 32 * s->warps, s->ahead, s->ahead - 1);
  nib_text_set(t, "table_words table_bytes", s->table_words, 4 * s->table_words);
  nib_text_set(t, "slot_bytes ring_bytes last_slot", slot, s->ahead * slot, (s->ahead - 1) * slot);
  nib_text_set(t, "kept stride rows block_sums", kept, column_stride(s), rows, rows * kept);
  nib_text_set(t, "outputs exponent", p->outputs, p->has_scales || p->folds ? 0 : p->e.exponent);
  nib_text_set(t, "sums adds_f32 adds_i32", s->sums, p->has_offsets && !s->bytes,
               p->has_offsets && s->bytes);
  nib_text_set(t, "of_table of_codes of_zeros", s->bytes && table, s->bytes && !table && !zeros,
               zeros);
  nib_text_set(t, "down unit zero", 8 - p->e.bits, 1 << p->e.mul_log2, p->e.zero);
  nib_text_set_words(t, "block", "%s", s->groups == 4 ? "e / 2" : "e");
  nib_text_set_words(t, "sum", "%s", s->bytes ? "int32_t" : "float");
  nib_text_set_words(t, "mma", "%s", mma_of(p));
  nib_text_set_words(t, "ones", "%s",
                     s->bytes                       ? "0x01010101u"
                     : p->e.type == NIB_OPERAND_F16 ? "0x3c003c00u"
                                                    : "0x3f803f80u");
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
  const nib_tensor *bias = nib_node_input(s.g, n, 2);
  uint32_t table[512];
  const int n_table = nib_operand_table(&p->e, table);
  nib_text_set_words(t, "weights", "%s", nib_low_bit_constant(&s.plan, d, n).s);
  name_activations(&s, t);
  name_weights(&s, t);
  nib_text_line(t, "/* %s weights, %d bits%s; %lld steps of %d x %lld for %d warps, %d ahead */",
                nib_format_get(s.w->format)->name, p->e.bits, n_table ? " into a table" : "",
                (ll)p->steps, 16 * p->tiles, (ll)p->step_elems, s.warps, s.ahead);
  nib_text_set(t, "table", n_table);
  if (n_table)
    nib_text_set_words(
        t, "elements", "%s",
        nib_direct_constant(d, "elements", "uint32_t", table, (size_t)n_table * sizeof *table).s);
  nib_text_set_words(t, "input", "%s", nib_direct_pointer(d, n->in[0], "input").s);
  nib_text_block(t, k_begin);
  emit_copy(&s, nib_expr_printf("ring + u * %lld", (ll)slot_bytes(&s)).s,
            nib_expr_printf("warp + u * %d", s.warps).s);
  nib_text_block(t, k_step);
  nib_low_bit_get_emit(p, t, "q", "f", "slot");
  emit_step(&s);
  nib_text_block(t, "nib_sync_warp();\n");
  emit_copy(&s, "slot", nib_expr_printf("step + %d", s.ahead * s.warps).s);
  nib_text_block(t, k_reduction);
  nib_direct_finish_real(d, n, bias ? nib_direct_pointer(d, n->in[2], "bias").s : "",
                         nib_expr_printf("(%s)m * %lld + o", d->index, (ll)p->outputs).s, "o");
  nib_text_block(t, "  }\n"
                    "}\n");
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
