// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// low_bit_warpgroup: dense layers of many rows whose weights have few bits, by warpgroups (sm_90a).
// The operand A of wgmma is 64 rows of weights, which each warp unpacks from global memory into
// registers; B is a box of activations, 64 of K, that the copy engine puts into a ring in shared
// memory. Groups with a scale of their own are summed apart, and the scale is applied to the sums
// in f32: results are as exact as those of decoded weights. While the products of a group run, the
// next step's weights are unpacked; while the scale is applied, the other warpgroup's products run.
// Where the operator rounds scaled weights (`decode`), unpacking does, and all of K is one sum.
// In a cluster two blocks load half a box each for both. tile[0] and tile[1]: rows of weights and
// of activations of a block; tile[2]: blocks of a cluster; tile[3]: tiles in a band (0: BAND).
#include "cuda/gemm.h"
#include "cuda/low_bit.h"
#include "cuda/warpgroup_ring.h"

#include <string.h>

typedef long long ll;

enum {
  BAND = 4,  /* tiles of activations that run at a time */
  BOXES = 4, /* of K in a turn of the loop, or two steps of the weights */
  /* Registers of a thread for sums, operands and codes; 28 are for scales, addresses and counts. */
  REGISTERS = 212,
};

typedef struct plan {
  const nib_graph *g;
  const nib_node *n;
  nib_direct *d;
  nib_text *t;
  nib_low_bit w;
  nib_ring r;   /* of rows of weights by rows of activations */
  int64_t m;    /* rows of activations */
  int boxes;    /* in a turn of the loop */
  int slots;    /* steps of the weights in registers */
  int operands; /* of K = 16 in a group of 64 or less */
  bool apart;   /* groups are summed apart, and scaled then */
} plan;

/* Whether a thread has registers for that many rows of activations. */
static bool has_registers(const plan *q, int64_t columns) {
  const int64_t sums = columns / 2 * (q->apart ? 3 : 1), codes = q->apart ? q->w.words : 0;
  return sums + 2 * 4 * q->operands + codes <= REGISTERS;
}

static int64_t widest(const plan *q) {
  int64_t columns = 256;
  while (columns > 16 && !has_registers(q, columns))
    columns -= 16;
  return columns;
}

static bool make_plan(const nib_graph *g, const nib_kernel *k, plan *q) {
  memset(q, 0, sizeof *q);
  q->g = g;
  q->n = &g->nodes[k->nodes[0]];
  if (q->n->op != NIB_OP_FULLY_CONNECTED)
    return false;
  const nib_tensor *x = nib_node_input(g, q->n, 0), *w = nib_node_input(g, q->n, 1);
  if (!x || !w || !w->data || x->data || (x->format != NIB_F16 && x->format != NIB_BF16) ||
      !nib_low_bit_plan(g, q->n, x->format == NIB_F16 ? NIB_OPERAND_F16 : NIB_OPERAND_BF16, 0, 1, 2,
                        &q->w))
    return false;
  q->apart = q->w.has_scales && !q->w.folds;
  q->operands = q->apart && q->w.padded_group < NIB_LOW_BIT_SUB ? (int)(q->w.padded_group / 16) : 4;
  const int64_t columns = k->tile[1] > 0 ? k->tile[1] : widest(q);
  /* Weights that few rows of activations meet come from memory in the time that they take. */
  const int subs = (int)q->w.step_elems / NIB_LOW_BIT_SUB,
            least = !q->apart && columns <= 64 ? 2 * BOXES : BOXES;
  q->boxes = 2 * subs > least ? 2 * subs : least;
  q->slots = q->boxes / subs;
  const int64_t steps = q->boxes * NIB_LOW_BIT_SUB / q->w.step_elems;
  q->w.steps = (q->w.steps + steps - 1) / steps * steps; /* whole turns: the last ones are zeros */
  q->m = nib_tensor_elems(x) / q->w.k;
  q->r = (nib_ring){.rows = k->tile[0] > 0 ? k->tile[0] : 128,
                    .columns = columns,
                    .cluster = k->tile[2] > 0 ? k->tile[2] : 1,
                    .element_bytes = 2,
                    /* As many as the steps of the weights have, zeros past the end. */
                    .boxes = q->w.steps * (q->w.step_elems / NIB_LOW_BIT_SUB),
                    .band = k->tile[3] > 0 ? k->tile[3] : BAND,
                    .bands_of_columns = true,
                    .registers_less = 24,
                    .registers_more = 240};
  nib_ring_plan(&q->r, q->w.outputs, q->m);
  /* Without tables, and with offsets only where they fold; groups as they lie in memory, rows at
   * multiples of 16 bytes. */
  return has_registers(q, columns) && q->w.e.rule != NIB_OPERAND_TABLE &&
         (!q->w.has_offsets || q->w.folds) && q->w.k % 8 == 0 &&
         (!q->w.has_scales || q->w.padded_group == q->w.group) &&
         q->w.steps * q->w.step_bytes < INT32_MAX / 2 && q->m * q->w.k == nib_tensor_elems(x);
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  plan q;
  return (v->requires_ & NIB_FEATURE_BIT(WGMMA)) && make_plan(g, k, &q) &&
         nib_gemm_is_aligned(g, q.n->in[0]) && nib_direct_accepts(g, k) &&
         nib_direct_segments(g, k) == 1;
}

static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  plan q;
  (void)v;
  if (!make_plan(g, k, &q))
    return 0;
  const int32_t wide = (int32_t)widest(&q);
  const int32_t shapes[][NIB_MAX_TILE] = {{128, wide, 1}, {128, wide, 2}, {128, 64, 1},
                                          {64, 64, 1},    {128, 128, 2},  {128, 128, 1}};
  return nib_ring_tiles(shapes, wide > 128 ? 6 : 4, q.w.outputs, q.m, q.w.k * 2, out_tiles,
                        capacity);
}

/* ---- products ---- */

/* Groups (or, where they are longer, parts of groups) of 64 elements. */
static int groups_of_box(const plan *q) { return 4 / q->operands; }

/* Unpacks group `e` of sub-step `sub` of the words `from`, whose scales are `scales`, into
 * `operand`[slot]. */
static void emit_unpack(const plan *q, const char *slot, const char *from, const char *scales,
                        const char *sub, int e) {
  const int first = e * q->operands * 4, n = q->operands * 4;
  nib_text_block(q->t, "{\n");
  nib_low_bit_unpack_emit(&q->w, q->t, from, sub, "0", first, first + n);
  if (q->w.folds)
    nib_low_bit_fold_emit(&q->w, q->t, scales, sub, "0", first, first + n);
  nib_text_set_words(q->t, "slot", "%s", slot);
  nib_text_set(q->t, "first", first);
  nib_text_block(q->t, "  #pragma unroll\n"
                       "  for (int32_t i = 0; i < $operands * 4; ++i)\n"
                       "    operand[$slot][i] = a[0][i + $first];\n"
                       "}\n");
}

/* Loads words of step `step` (of the last one instead of those after it). */
static void emit_load(const plan *q, const char *step, const char *words, const char *scales) {
  nib_text_open(q->t, "{");
  nib_text_line(q->t, "const int32_t step = %s;", step);
  nib_text_block(q->t, "const int32_t at = (step < $steps ? step : $steps - 1) * $step_bytes;\n");
  nib_low_bit_load_emit(&q->w, q->t, words, q->w.has_scales ? scales : NULL, "at");
  nib_text_close(q->t, "");
}

/* Begins products with `operand`[slot] from its part `first` of the box on, added to `sums`. */
static void emit_group(const plan *q, const char *sums, const char *slot, int first,
                       const char *accumulate) {
  nib_text_set_words(q->t, "to", "%s", sums);
  nib_text_set_words(q->t, "slot", "%s", slot);
  nib_text_set_words(q->t, "adds", "%s", accumulate);
  nib_text_set(q->t, "first", first);
  nib_text_block(q->t, "nib_wgmma_fence();\n"
                       "#pragma unroll\n"
                       "for (int32_t i = 0; i < $operands; ++i)\n"
                       "  nib_wgmma_${type}_n${columns}_ra($to, operand[$slot] + i * 4, b + 2 * "
                       "($first + i), $adds);\n"
                       "nib_wgmma_commit();\n");
}

static void emit_keep(const plan *q, const char *sums) {
  nib_text_set_words(q->t, "to", "%s", sums);
  nib_text_block(q->t, "#pragma unroll\n"
                       "for (int32_t i = 0; i < $sums; ++i)\n"
                       "  nib_keep_f32(&$to[i]);\n");
}

/* Adds the products of the group in `slot`, whose scales are number `group` of those in f[step]. */
static void emit_scaled(const plan *q, const char *slot, const char *step, const char *group) {
  emit_keep(q, nib_expr_printf("d[%s]", slot).s);
  nib_text_block(q->t, "{\n");
  nib_low_bit_scales_emit(&q->w, q->t, nib_expr_printf("f[%s]", step).s, "0", group);
  nib_text_block(q->t, "  #pragma unroll\n"
                       "  for (int32_t i = 0; i < $sums; ++i)\n"
                       "    total[i] = nib_fma_f32($to[i], scale[i / 2 % 2], total[i]);\n"
                       "}\n");
}

/* An expression: the number in its step of group `e` of sub-step `sub`. */
static nib_expr group_of_step(const plan *q, const char *sub, int e) {
  if (q->w.scales_of_step <= 1)
    return nib_expr_printf("0");
  return nib_expr_printf("(%s) * %d + %d", sub, groups_of_box(q), e);
}

static void hand_back_last(const plan *q) {
  nib_ring_hand_back(&q->r, q->t,
                     nib_expr_printf("stage > 0 ? stage - 1 : %lld", (ll)q->r.stages - 1).s);
}

/* Group `e` of box `u`: its products run while those of the group before are scaled and what comes
 * after is unpacked. The first group of a box ends the one before. */
static void emit_turn(const plan *q, int e) {
  nib_text *t = q->t;
  const int groups = groups_of_box(q);
  const char *slot = groups == 1 ? "u % 2" : e % 2 ? "1" : "0";
  const char *other = groups == 1 ? "1 - u % 2" : e % 2 ? "0" : "1";
  emit_group(q, nib_expr_printf("d[%s]", slot).s, slot, e * q->operands, "i");
  if (e == 0) {
    nib_text_block(t, "if (u > 0) {\n"
                      "  nib_wgmma_wait(1);\n");
    emit_scaled(q, other, "(u - 1) / $subs % 2", group_of_step(q, "(u - 1) % $subs", groups - 1).s);
    hand_back_last(q);
    nib_text_block(t, "}\n"
                      "if (u % $subs == 0) {\n");
    emit_load(q, "box / $subs + 1", NULL, "f[1 - u / $subs % 2]");
    nib_text_block(t, "}\n");
  } else {
    nib_text_block(t, "nib_wgmma_wait(1);\n");
    emit_scaled(q, other, "u / $subs % 2", group_of_step(q, "u % $subs", e - 1).s);
  }
  /* The next group's operands; after those of a step's last one its words are no longer needed. */
  const char *next_sub = e + 1 < groups ? "u % $subs" : "(u + 1) % $subs";
  emit_unpack(q, other, "q[0]", NULL, next_sub, (e + 1) % groups);
  if ((e + 2) % groups == 0 || groups == 1) {
    nib_text_line(t, "if (%s == $subs - 1)", next_sub);
    emit_load(q, groups > 1 ? "box / $subs + 1" : "(box + 1) / $subs + 1", "q[0]", NULL);
  }
}

/* One sum over all of K: while the products of a box run, the next one is unpacked. Words come
 * several steps ahead. */
static void emit_whole_turn(const plan *q) {
  emit_group(q, "total", "u % 2", 0, "box | i");
  nib_text_block(q->t, "nib_wgmma_wait(1);\n"
                       "if (box > 0) {\n");
  hand_back_last(q);
  nib_text_block(q->t, "}\n");
  emit_unpack(q, "1 - u % 2", "q[(u + 1) / $subs % $slots]", "f[(u + 1) / $subs % $slots]",
              "(u + 1) % $subs", 0);
  nib_text_block(q->t, "if ((u + 1) % $subs == $subs - 1)\n");
  emit_load(q, "(box + 1) / $subs + $slots", "q[(u + 1) / $subs % $slots]",
            "f[(u + 1) / $subs % $slots]");
}

/* Several at a time, so that all registers have their numbers. Where sums are apart no products are
 * on their way when the loop begins anew, which the assembler would not see through. */
static void emit_boxes(const plan *q) {
  nib_text *t = q->t;
  const int groups = groups_of_box(q);
  nib_text_block(t, "for (int32_t first = 0; first < $boxes; first += $turn) {\n"
                    "  #pragma unroll\n"
                    "  for (int32_t u = 0; u < $turn; ++u) {\n"
                    "    const int32_t box = first + u;\n"
                    "    const uint64_t b = nib_wgmma_descriptor(nib_shared + stage * "
                    "$stage_bytes);\n"
                    "    nib_barrier_wait(&full[stage], parity);\n");
  if (!q->apart)
    emit_whole_turn(q);
  for (int e = 0; q->apart && e < groups; ++e)
    emit_turn(q, e);
  nib_ring_next(&q->r, t);
  nib_text_block(t, "  }\n"
                    "[!apart] }\n"
                    "nib_wgmma_wait(0);\n");
  if (q->apart)
    emit_scaled(q, "1", "($turn - 1) / $subs % 2",
                group_of_step(q, "($turn - 1) % $subs", groups - 1).s);
  else
    emit_keep(q, "total");
  hand_back_last(q);
  nib_text_block(t, "[apart] }\n");
}

/* Two blocks of 8 rows of activations at a time: element i is in row 8 (i / 2 % 2) below the lane's
 * first, column i % 2 of its pair. */
static const char k_place[] =
    "#pragma unroll\n"
    "for (int32_t j = 0; j < $columns / 16; ++j) {\n"
    "  [wide] uint32_t words[4] = {0, 0, 0, 0};\n"
    "  #pragma unroll\n"
    "  for (int32_t i = 0; i < 8; ++i) {\n"
    "    const $index any_channel = row0 + first_row + i / 2 % 2 * 8;\n"
    "    const $index any_row = column0 + (2 * j + i / 4) * 8 + lane % 4 * 2 + i % 2;\n"
    "    const bool inside = any_channel < $outputs && any_row < $m;\n"
    "    const $index channel = inside ? any_channel : 0, row = inside ? any_row : 0;\n"
    "    (void)row, (void)channel; /* not every result needs them */\n"
    "    [wide] uint16_t code;\n"
    "    [wide] {\n"
    "    [!wide] if (inside) {\n"
    "      float acc = total[8 * j + i]$unit;\n";

/* 16 channels are transposed among the threads of the warp, so that each stores 16 bytes and a pair
 * of them 32. */
static const char k_stores[] =
    "    }\n"
    "    [wide] words[i / 2] |= (uint32_t)code << i % 2 * 16;\n"
    "  }\n"
    "  [wide] #pragma unroll\n"
    "  [wide] for (int32_t i = 0; i < 4; ++i)\n"
    "    [wide] words[i] = nib_transpose_halves(words[i]);\n"
    "  [wide] nib_transpose_quad(words);\n"
    "  [wide] const $index channel = row0 + warp * 16 + lane % 2 * 8;\n"
    "  [wide] const $index row = column0 + (2 * j + lane / 2 % 2) * 8 + g;\n"
    "  [wide] if (channel < $outputs && row < $m)\n"
    "    [wide] nib_store16(out + row * $outputs + channel, words);\n"
    "}\n";

static void emit_results(const plan *q) {
  nib_direct *d = q->d;
  const int32_t output = nib_kernel_output(q->g, d->kernel);
  const nib_format f = q->g->tensors[output].format;
  const bool wide =
      (f == NIB_F16 || f == NIB_BF16) && q->w.outputs % 8 == 0 && nib_gemm_is_aligned(q->g, output);
  const bool unit = q->apart || q->w.folds || !q->w.e.exponent;
  nib_text_set(q->t, "wide outputs m", wide, q->w.outputs, q->m);
  nib_text_set_words(q->t, "index", "%s", d->index);
  nib_text_set_words(q->t, "unit", "%s",
                     unit ? "" : nib_expr_printf(" * 0x1p%df", q->w.e.exponent).s);
  nib_text_block(q->t, k_place);
  d->result = wide ? "code" : NULL;
  nib_direct_finish_real(
      d, q->n, nib_node_input(q->g, q->n, 2) ? nib_direct_pointer(d, q->n->in[2], "bias").s : "",
      nib_expr_printf("row * %lld + channel", (ll)q->w.outputs).s, "channel");
  d->result = NULL;
  nib_text_block(q->t, k_stores);
}

static void emit_consumer(const plan *q, const char *weights) {
  nib_text *t = q->t;
  const int slots = q->apart ? 1 : q->slots;
  nib_ring_open_tiles(&q->r, t);
  nib_text_block(t, "float total[$sums];\n"
                    "[apart] #pragma unroll\n"
                    "[apart] for (int32_t i = 0; i < $sums; ++i)\n"
                    "  [apart] total[i] = 0;\n"
                    "{\n");
  nib_ring_place(&q->r, t);
  nib_text_block(t, "(void)column0;\n"
                    "[scale_words] const int32_t g = lane / 4;\n"
                    "const int32_t any_tile = row0 / 16 + nib_warp_uniform();\n"
                    "const int32_t tile = any_tile < $row_blocks ? any_tile : $row_blocks - 1;\n");
  nib_low_bit_pointers_emit(
      &q->w, t,
      nib_expr_printf("%s + (int64_t)tile * %lld", weights, (ll)(q->w.steps * q->w.step_bytes)).s);
  nib_text_block(t, "uint32_t operand[2][$operands * 4], q[$kept][$words];\n"
                    "[scale_words] uint32_t f[$kept_scales][$scale_words];\n"
                    "[apart] float d[2][$sums];\n");
  for (int i = 0; i < slots; ++i)
    emit_load(q, nib_expr_printf("%d", i).s, nib_expr_printf("q[%d]", i).s,
              nib_expr_printf("f[%d]", i).s);
  emit_unpack(q, "0", "q[0]", "f[0]", "0", 0);
  if (q->w.step_elems == NIB_LOW_BIT_SUB && groups_of_box(q) == 1)
    emit_load(q, "$kept", "q[0]", q->apart ? NULL : "f[0]");
  emit_boxes(q);
  nib_text_block(t, "}\n");
  nib_ring_place(&q->r, t);
  nib_text_block(t,
                 "const int32_t warp = nib_warp_uniform(), g = lane / 4, first_row = warp * 16 + "
                 "g;\n");
  emit_results(q);
}

/* ---- the kernel ---- */

static void emit_root(nib_direct *d, const nib_node *n) {
  plan q;
  if (!make_plan(d->g, d->kernel, &q)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "no plan of its weights");
    return;
  }
  nib_text *t = q.t = d->t;
  q.d = d;
  const nib_expr weights = nib_low_bit_constant(&q.w, d, n);
  nib_text_set(t, "operands apart subs turn", q.operands, q.apart, q.w.step_elems / NIB_LOW_BIT_SUB,
               q.boxes);
  nib_text_set(t, "slots kept kept_scales", q.slots, q.apart ? 1 : q.slots, q.apart ? 2 : q.slots);
  nib_text_set(t, "steps step_bytes row_blocks", q.w.steps, q.w.step_bytes, q.w.row_blocks);
  nib_text_set(t, "words scale_words sums", q.w.words, q.w.scale_words, q.r.columns / 2);
  nib_text_set_words(t, "type", "%s", q.w.e.type == NIB_OPERAND_F16 ? "f16" : "bf16");
  nib_text_line(t, "/* %s weights, %d bits: %lld boxes of 64, groups of %lld */",
                nib_format_get(q.w.w->format)->name, q.w.e.bits, (ll)q.r.boxes, (ll)q.w.group);
  nib_ring_begin(&q.r, d);
  nib_ring_add_map(&q.r, d->e->launch, nib_direct_pointer(d, n->in[0], "input").s, q.w.k, q.m,
                   q.w.k * 2, q.r.columns / q.r.cluster);
  emit_consumer(&q, weights.s);
  nib_ring_end(&q.r, t);
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  return nib_direct_emit(e, k, emit_root);
}

const nib_schedule nib_schedule_low_bit_warpgroup = {
    .name = "low_bit_warpgroup",
    .device = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
