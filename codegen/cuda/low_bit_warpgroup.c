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

#include "emit/storage.h"

#include <string.h>

typedef long long ll;

enum {
  BAND = 4,  /* tiles of activations that run at a time */
  BOXES = 4, /* of K in a turn of the loop, or two steps of the weights */
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

static bool make_plan(const nib_graph *g, const nib_kernel *k, plan *q) {
  memset(q, 0, sizeof *q);
  q->g = g;
  q->n = &g->nodes[k->nodes[0]];
  if (q->n->op != NIB_OP_FULLY_CONNECTED)
    return false;
  const nib_tensor *x = nib_node_input(g, q->n, 0), *w = nib_node_input(g, q->n, 1);
  if (!x || !w || !w->data || x->data || (x->format != NIB_F16 && x->format != NIB_BF16) ||
      !nib_low_bit_plan(w, x->format == NIB_F16 ? NIB_LOW_BIT_F16 : NIB_LOW_BIT_BF16, 0, 1, 2,
                        &q->w))
    return false;
  nib_low_bit_plan_fold(&q->w, g, q->n);
  q->apart = q->w.has_scales && !q->w.folds;
  const int64_t columns = k->tile[1] > 0 ? k->tile[1] : !q->apart ? 256 : 128;
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
  q->operands = q->apart && q->w.padded_group < NIB_LOW_BIT_SUB ? (int)(q->w.padded_group / 16) : 4;
  /* Without tables, and with offsets only where they fold; groups as they lie in memory, rows at
   * multiples of 16 bytes. */
  return q->w.rule != NIB_LOW_BIT_TABLE && (!q->w.has_offsets || q->w.folds) && q->w.k % 8 == 0 &&
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
  static const int32_t shapes[][NIB_MAX_TILE] = {{128, 256, 1}, {128, 256, 2}, {128, 128, 2},
                                                 {128, 128, 1}, {128, 64, 1},  {64, 64, 1}};
  plan q;
  (void)v;
  if (!make_plan(g, k, &q))
    return 0;
  const int skip = q.apart ? 2 : 0; /* sums apart take twice the registers */
  return nib_ring_tiles(shapes + skip, (int)(sizeof shapes / sizeof *shapes) - skip, q.w.outputs,
                        q.m, q.w.k * 2, out_tiles, capacity);
}

/* ---- products ---- */

/* Groups (or, where they are longer, parts of groups) of 64 elements. */
static int groups_of_box(const plan *q) { return 4 / q->operands; }

/* Unpacks group `e` of sub-step `sub` of the words `from`, whose scales are `scales`, into
 * `operand`[slot]. */
static void emit_unpack(const plan *q, const char *slot, const char *from, const char *scales,
                        const char *sub, int e) {
  nib_text *t = q->t;
  const int first = e * q->operands * 4, n = q->operands * 4;
  nib_text_open(t, "{");
  nib_low_bit_unpack_emit(&q->w, t, from, sub, "0", first, first + n);
  if (q->w.folds)
    nib_low_bit_fold_emit(&q->w, t, scales, sub, "0", first, first + n);
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %d; ++i)", n);
  nib_text_line(t, "  operand[%s][i] = a[0][i + %d];", slot, first);
  nib_text_close(t, "");
}

/* Loads words of step `step` (of the last one instead of those after it). */
static void emit_load(const plan *q, const char *step, const char *words, const char *scales) {
  nib_text *t = q->t;
  nib_text_open(t, "{");
  nib_text_line(t, "const int32_t step = %s;", step);
  nib_text_line(t, "const int32_t at = (step < %lld ? step : %lld) * %lld;", (ll)q->w.steps,
                (ll)q->w.steps - 1, (ll)q->w.step_bytes);
  nib_low_bit_load_emit(&q->w, t, words, scales, "at");
  nib_text_close(t, "");
}

/* Begins products with `operand`[slot] from its part `first` of the box on, added to `sums`. */
static void emit_group(const plan *q, const char *type, const char *sums, const char *slot,
                       int first, const char *accumulate) {
  nib_text *t = q->t;
  nib_text_line(t, "nib_wgmma_fence();");
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %d; ++i)", q->operands);
  nib_text_line(t, "  nib_wgmma_%s_n%lld_ra(%s, operand[%s] + i * 4, b + 2 * (%d + i), %s);", type,
                (ll)q->r.columns, sums, slot, first, accumulate);
  nib_text_line(t, "nib_wgmma_commit();");
}

static void emit_keep(const plan *q, const char *sums) {
  nib_text_line(q->t, "#pragma unroll");
  nib_text_line(q->t, "for (int32_t i = 0; i < %lld; ++i)", (ll)q->r.columns / 2);
  nib_text_line(q->t, "  nib_keep_f32(&%s[i]);", sums);
}

/* Adds the products of the group in `slot`, whose scales are number `group` of those in f[step]. */
static void emit_scaled(const plan *q, const char *slot, const char *step, const char *group) {
  nib_text *t = q->t;
  emit_keep(q, nib_expr_printf("d[%s]", slot).s);
  nib_text_open(t, "{");
  nib_low_bit_scales_emit(&q->w, t, nib_expr_printf("f[%s]", step).s, "0", group);
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %lld; ++i)", (ll)q->r.columns / 2);
  nib_text_line(t, "  total[i] = nib_fma_f32(d[%s][i], scale[i / 2 %% 2], total[i]);", slot);
  nib_text_close(t, "");
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
static void emit_turn(const plan *q, const char *type, int e) {
  nib_text *t = q->t;
  const int groups = groups_of_box(q);
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB;
  const char *slot = groups == 1 ? "u % 2" : e % 2 ? "1" : "0";
  const char *other = groups == 1 ? "1 - u % 2" : e % 2 ? "0" : "1";
  emit_group(q, type, nib_expr_printf("d[%s]", slot).s, slot, e * q->operands, "i");
  if (e == 0) {
    nib_text_open(t, "if (u > 0) {");
    nib_text_line(t, "nib_wgmma_wait(1);");
    emit_scaled(q, other, nib_expr_printf("(u - 1) / %lld %% 2", subs).s,
                group_of_step(q, nib_expr_printf("(u - 1) %% %lld", subs).s, groups - 1).s);
    hand_back_last(q);
    nib_text_close(t, "");
    nib_text_open(t, "if (u %% %lld == 0) {", subs);
    emit_load(q, nib_expr_printf("box / %lld + 1", subs).s, NULL,
              nib_expr_printf("f[1 - u / %lld %% 2]", subs).s);
    nib_text_close(t, "");
  } else {
    nib_text_line(t, "nib_wgmma_wait(1);");
    emit_scaled(q, other, nib_expr_printf("u / %lld %% 2", subs).s,
                group_of_step(q, nib_expr_printf("u %% %lld", subs).s, e - 1).s);
  }
  /* The next group's operands; after those of a step's last one its words are no longer needed. */
  const nib_expr next_sub = nib_expr_printf(e + 1 < groups ? "u %% %lld" : "(u + 1) %% %lld", subs);
  emit_unpack(q, other, "q[0]", NULL, next_sub.s, (e + 1) % groups);
  if ((e + 2) % groups == 0 || groups == 1) {
    nib_text_open(t, "if (%s == %lld) {", next_sub.s, subs - 1);
    emit_load(q, nib_expr_printf(groups > 1 ? "box / %lld + 1" : "(box + 1) / %lld + 1", subs).s,
              "q[0]", NULL);
    nib_text_close(t, "");
  }
}

/* One sum over all of K: while the products of a box run, the next one is unpacked. Words come
 * several steps ahead. */
static void emit_whole_turn(const plan *q, const char *type) {
  nib_text *t = q->t;
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB;
  const nib_expr slot = nib_expr_printf("(u + 1) / %lld %% %d", subs, q->slots),
                 words = nib_expr_printf("q[%s]", slot.s),
                 scales = nib_expr_printf("f[%s]", slot.s);
  emit_group(q, type, "total", "u % 2", 0, "box | i");
  nib_text_line(t, "nib_wgmma_wait(1);");
  nib_text_open(t, "if (box > 0) {");
  hand_back_last(q);
  nib_text_close(t, "");
  const nib_expr sub = nib_expr_printf("(u + 1) %% %lld", subs);
  emit_unpack(q, "1 - u % 2", words.s, scales.s, sub.s, 0);
  nib_text_open(t, "if (%s == %lld) {", sub.s, subs - 1);
  emit_load(q, nib_expr_printf("(box + 1) / %lld + %d", subs, q->slots).s, words.s,
            q->w.has_scales ? scales.s : NULL);
  nib_text_close(t, "");
}

/* Several at a time, so that all registers have their numbers. Where sums are apart no products are
 * on their way when the loop begins anew, which the assembler would not see through. */
static void emit_boxes(const plan *q, const char *type) {
  nib_text *t = q->t;
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB, n = (ll)q->r.boxes;
  const int groups = groups_of_box(q);
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %d) {", n, q->boxes);
  nib_text_open_unrolled(t, "for (int32_t u = 0; u < %d; ++u) {", q->boxes);
  nib_text_line(t, "const int32_t box = first + u;");
  nib_text_line(t, "const uint64_t b = nib_wgmma_descriptor(nib_shared + stage * %lld);",
                (ll)q->r.stage_bytes);
  nib_text_line(t, "nib_barrier_wait(&full[stage], parity);");
  if (!q->apart)
    emit_whole_turn(q, type);
  for (int e = 0; q->apart && e < groups; ++e)
    emit_turn(q, type, e);
  nib_ring_next(&q->r, q->t);
  nib_text_close(t, "");
  if (!q->apart)
    nib_text_close(t, "");
  nib_text_line(t, "nib_wgmma_wait(0);");
  if (q->apart)
    emit_scaled(q, "1", nib_expr_printf("%lld", (q->boxes - 1) / subs % 2).s,
                group_of_step(q, nib_expr_printf("%lld", (q->boxes - 1) % subs).s, groups - 1).s);
  else
    emit_keep(q, "total");
  hand_back_last(q);
  if (q->apart)
    nib_text_close(t, "");
}

static void emit_sum(const plan *q, const char *i) {
  if (!q->w.has_scales && q->w.exponent)
    nib_text_line(q->t, "float acc = total[%s] * 0x1p%df;", i, q->w.exponent);
  else
    nib_text_line(q->t, "float acc = total[%s];", i);
}

/* Element i: row 8 r below the lane's first, column c of pair b. */
static void emit_results(const plan *q) {
  nib_direct *d = q->d;
  nib_text *t = q->t;
  const nib_tensor *bias = nib_node_input(q->g, q->n, 2);
  const nib_expr pointer =
      bias ? nib_direct_pointer(d, q->n->in[2], "bias") : nib_expr_printf("%s", "");
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < %lld; ++i) {", (ll)q->r.columns / 2);
  nib_text_line(t, "const %s channel = row0 + first_row + i / 2 %% 2 * 8;", d->index);
  nib_text_line(t, "const %s row = column0 + i / 4 * 8 + lane %% 4 * 2 + i %% 2;", d->index);
  const bool channels_end = q->w.outputs % (q->r.rows * q->r.cluster) != 0,
             rows_end = q->m % q->r.columns != 0;
  nib_text_open(t, "%s%s%s%s{", channels_end || rows_end ? "if (" : "",
                channels_end ? nib_expr_printf("channel < %lld", (ll)q->w.outputs).s : "",
                channels_end && rows_end ? " && " : "",
                rows_end       ? nib_expr_printf("row < %lld) ", (ll)q->m).s
                : channels_end ? ") "
                               : "");
  emit_sum(q, "i");
  nib_direct_finish_real(d, q->n, pointer.s,
                         nib_expr_printf("row * %lld + channel", (ll)q->w.outputs).s, "channel");
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Two blocks of 8 rows of activations at a time: their 16 channels are transposed among the threads
 * of the warp, so that each stores 16 bytes and a pair of them 32. */
static void emit_wide_results(const plan *q) {
  nib_direct *d = q->d;
  nib_text *t = q->t;
  const nib_tensor *bias = nib_node_input(q->g, q->n, 2);
  const nib_expr pointer =
      bias ? nib_direct_pointer(d, q->n->in[2], "bias") : nib_expr_printf("%s", "");
  const nib_expr index = nib_expr_printf("row * %lld + channel", (ll)q->w.outputs);
  nib_text_open_unrolled(t, "for (int32_t j = 0; j < %lld; ++j) {", (ll)q->r.columns / 16);
  nib_text_line(t, "uint32_t words[4] = {0, 0, 0, 0};");
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < 8; ++i) {");
  nib_text_line(t, "const %s any_channel = row0 + first_row + i / 2 %% 2 * 8;", d->index);
  nib_text_line(t, "const %s any_row = column0 + (2 * j + i / 4) * 8 + lane %% 4 * 2 + i %% 2;",
                d->index);
  nib_text_line(t, "const %s channel = any_channel < %lld ? any_channel : 0;", d->index,
                (ll)q->w.outputs);
  nib_text_line(t, "const %s row = any_row < %lld ? any_row : 0;", d->index, (ll)q->m);
  nib_text_line(t, "(void)row, (void)channel; /* not every result needs them */");
  nib_text_line(t, "uint16_t code;");
  nib_text_open(t, "{");
  emit_sum(q, "8 * j + i");
  d->result = "code";
  nib_direct_finish_real(d, q->n, pointer.s, index.s, "channel");
  d->result = NULL;
  nib_text_close(t, "");
  nib_text_line(t, "words[i / 2] |= (uint32_t)code << i %% 2 * 16;");
  nib_text_close(t, "");
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < 4; ++i)");
  nib_text_line(t, "  words[i] = nib_transpose_halves(words[i]);");
  nib_text_line(t, "nib_transpose_quad(words);");
  nib_text_line(t, "const %s channel = row0 + warp * 16 + lane %% 2 * 8;", d->index);
  nib_text_line(t, "const %s row = column0 + (2 * j + lane / 2 %% 2) * 8 + g;", d->index);
  nib_text_line(t, "if (channel < %lld && row < %lld)", (ll)q->w.outputs, (ll)q->m);
  nib_text_line(t, "  nib_store16(out + %s, words);", index.s);
  nib_text_close(t, "");
}

/* Whether threads may store 16 bytes: rows of the result begin at multiples of them. */
static bool stores_wide(const plan *q) {
  const int32_t output = nib_kernel_output(q->g, q->d->kernel);
  const nib_storage place = nib_storage_of(q->g, output);
  const nib_format f = q->g->tensors[output].format;
  return (f == NIB_F16 || f == NIB_BF16) && q->w.outputs % 8 == 0 &&
         (place.kind != NIB_STORAGE_ARENA || place.offset % 16 == 0);
}

static void emit_consumer(const plan *q, const char *weights, const char *type) {
  nib_text *t = q->t;
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB;
  nib_text_line(
      t, "const int32_t warp = nib_warp_uniform(), g = lane / 4, first_row = warp * 16 + g;");
  nib_ring_open_tiles(&q->r, t);
  nib_text_line(
      t, "const int32_t any_tile = row0 / 16 + warp, tile = any_tile < %lld ? any_tile : %lld;",
      (ll)q->w.row_blocks, (ll)q->w.row_blocks - 1);
  nib_low_bit_pointers_emit(
      &q->w, t,
      nib_expr_printf("%s + (int64_t)tile * %lld", weights, (ll)(q->w.steps * q->w.step_bytes)).s);
  const int slots = q->apart ? 1 : q->slots;
  nib_text_line(t, "uint32_t operand[2][%d], q[%d][%d];", q->operands * 4, slots, q->w.words);
  if (q->w.has_scales)
    nib_text_line(t, "uint32_t f[%d][%d];", q->apart ? 2 : slots, q->w.scale_words);
  nib_text_line(t, "float total[%lld];", (ll)q->r.columns / 2);
  if (q->apart) {
    nib_text_line(t, "float d[2][%lld];", (ll)q->r.columns / 2);
    nib_text_line(t, "#pragma unroll");
    nib_text_line(t, "for (int32_t i = 0; i < %lld; ++i)", (ll)q->r.columns / 2);
    nib_text_line(t, "  total[i] = 0;");
  }
  const char *scales = q->w.has_scales ? "f[0]" : NULL;
  for (int i = 0; i < slots; ++i)
    emit_load(q, nib_expr_printf("%d", i).s, nib_expr_printf("q[%d]", i).s,
              scales ? nib_expr_printf("f[%d]", i).s : NULL);
  emit_unpack(q, "0", "q[0]", scales, "0", 0);
  if (subs == 1 && groups_of_box(q) == 1)
    emit_load(q, nib_expr_printf("%d", slots).s, "q[0]", q->apart ? NULL : scales);
  emit_boxes(q, type);
  if (stores_wide(q))
    emit_wide_results(q);
  else
    emit_results(q);
}

/* ---- the kernel ---- */

static void emit_root(nib_direct *d, const nib_node *n) {
  plan q;
  if (!make_plan(d->g, d->kernel, &q)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "no plan of its weights");
    return;
  }
  q.d = d;
  q.t = d->t;
  const nib_expr weights = nib_low_bit_constant(&q.w, d, n);
  nib_text_line(q.t, "/* %s weights, %d bits: %lld boxes of 64, groups of %lld */",
                nib_format_get(q.w.w->format)->name, q.w.bits, (ll)q.r.boxes, (ll)q.w.group);
  nib_ring_begin(&q.r, d);
  nib_ring_add_map(&q.r, d->e->launch, nib_direct_pointer(d, n->in[0], "input").s, q.w.k, q.m,
                   q.w.k * 2, q.r.columns / q.r.cluster);
  emit_consumer(&q, weights.s, q.w.product == NIB_LOW_BIT_F16 ? "f16" : "bf16");
  nib_ring_end(&q.r, q.t);
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
