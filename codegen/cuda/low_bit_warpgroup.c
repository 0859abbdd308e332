// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// low_bit_warpgroup: dense layers of many rows whose weights have few bits, by warpgroups (sm_90a).
// The operand A of wgmma is 64 rows of weights, which each warp unpacks from global memory into
// registers; B is a box of activations, 64 of K, that the copy engine puts into a ring in shared
// memory. Groups with a scale of their own are summed apart, and the scale is applied to the sums
// in f32: results are as exact as those of decoded weights. While the products of a group run, the
// next step's weights are unpacked; while the scale is applied, the other warpgroup's products run.
// In a cluster two blocks load half a box each for both. tile[0] and tile[1]: rows of weights and
// of activations of a block; tile[2]: blocks of a cluster.
#include "cuda/low_bit.h"

#include "emit/storage.h"
#include "schedule/direct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum {
  PROCESSORS = 132,
  SHARED_BYTES = 227 * 1024,
  ROW_BYTES = 128, /* of a box: 64 of K */
  MAX_STAGES = 8,
  BAND = 8,  /* tiles of activations that run at a time */
  BOXES = 4, /* of K in a turn of the loop, or two steps of the weights */
  TYPE_UINT16 = 1,
  SWIZZLE_128B = 3,
  PROMOTE_256B = 3,
};

typedef struct plan {
  const nib_graph *g;
  const nib_node *n;
  nib_direct *d;
  nib_text *t;
  nib_low_bit w;
  int64_t m, rows, columns, cluster, groups, stages, stage_bytes;
  int64_t units, tiles_m,
      clusters; /* units: tiles of weights, those of a cluster counting as one */
  int boxes;    /* in a turn of the loop */
  int operands; /* of K = 16 in a group of 64 or less */
} plan;

static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

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
  q->boxes = 2 * q->w.step_elems > BOXES * NIB_LOW_BIT_SUB
                 ? 2 * (int)q->w.step_elems / NIB_LOW_BIT_SUB
                 : BOXES;
  const int64_t steps = q->boxes * NIB_LOW_BIT_SUB / q->w.step_elems;
  q->w.steps = ceil_div(q->w.steps, steps) * steps; /* whole turns: the last ones are zeros */
  q->m = nib_tensor_elems(x) / q->w.k;
  q->rows = k->tile[0] > 0 ? k->tile[0] : 128;
  q->columns = k->tile[1] > 0 ? k->tile[1] : 128;
  q->cluster = k->tile[2] > 0 ? k->tile[2] : 1;
  q->groups = q->rows / 64;
  q->stage_bytes = q->columns * ROW_BYTES;
  q->stages = least(MAX_STAGES, (SHARED_BYTES - 1024) / q->stage_bytes);
  q->units = ceil_div(q->w.outputs, q->rows * q->cluster);
  q->tiles_m = ceil_div(q->m, q->columns);
  q->clusters = least(q->units * q->tiles_m, PROCESSORS / q->cluster);
  q->operands =
      q->w.has_scales && q->w.padded_group < NIB_LOW_BIT_SUB ? (int)(q->w.padded_group / 16) : 4;
  /* Without tables and offsets; groups as they lie in memory, rows at multiples of 16 bytes. */
  return q->w.rule != NIB_LOW_BIT_TABLE && !q->w.has_offsets && q->w.k % 8 == 0 &&
         (!q->w.has_scales || q->w.padded_group == q->w.group) &&
         q->w.steps * q->w.step_bytes < INT32_MAX / 2 && q->m * q->w.k == nib_tensor_elems(x);
}

static bool is_aligned(const nib_graph *g, int32_t tensor) {
  const nib_storage place = nib_storage_of(g, tensor);
  return place.kind != NIB_STORAGE_ARENA || place.offset % 16 == 0;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  plan q;
  return (v->requires_ & NIB_FEATURE_BIT(WGMMA)) && make_plan(g, k, &q) &&
         is_aligned(g, q.n->in[0]) && nib_direct_accepts(g, k) && nib_direct_segments(g, k) == 1;
}

static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  static const int32_t shapes[][NIB_MAX_TILE] = {
      {128, 128, 2}, {128, 128, 1}, {128, 64, 1}, {64, 64, 1}, {128, 192, 2}};
  (void)g, (void)k, (void)v;
  const int n = (int)(sizeof shapes / sizeof *shapes);
  for (int i = 0; i < n && i < capacity; ++i)
    memcpy(out_tiles[i], shapes[i], sizeof shapes[i]);
  return n < capacity ? n : capacity;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  (void)g, (void)k, (void)v;
  return 0;
}

/* ---- both roles ---- */

/* Tiles of weights one after the other for BAND tiles of activations: `row0` of the weights,
 * `column0`. */
static void open_tiles(const plan *q) {
  const ll band = least(BAND, q->tiles_m), per_band = band * q->units;
  nib_text_open(q->t, "for (int32_t unit = %s; unit < %lld; unit += %lld) {",
                q->cluster > 1 ? "nib_block_x() / 2" : "nib_block_x()", (ll)(q->units * q->tiles_m),
                (ll)q->clusters);
  nib_text_line(q->t, "const int32_t band = unit / %lld, within = unit %% %lld;", per_band,
                per_band);
  if (q->tiles_m % band)
    nib_text_line(q->t, "const int32_t high = band < %lld ? %lld : %lld;", (ll)q->tiles_m / band,
                  band, (ll)q->tiles_m % band);
  else
    nib_text_line(q->t, "const int32_t high = %lld;", band);
  nib_text_line(q->t,
                "const int32_t row0 = %s * %lld, column0 = (band * %lld + within %% high) * %lld;",
                q->cluster > 1 ? "(within / high * 2 + rank)" : "within / high", (ll)q->rows, band,
                (ll)q->columns);
}

static void next_stage(const plan *q) {
  nib_text_open(q->t, "if (++stage == %lld) {", (ll)q->stages);
  nib_text_line(q->t, "stage = 0;");
  nib_text_line(q->t, "parity ^= 1;");
  nib_text_close(q->t, "");
}

static void emit_barriers(const plan *q) {
  nib_text *t = q->t;
  nib_text_line(t, "uint64_t *const full = (uint64_t *)(void *)(nib_shared + %lld);",
                (ll)(q->stages * q->stage_bytes));
  nib_text_line(t, "uint64_t *const empty = full + %lld;", (ll)q->stages);
  nib_text_line(t, "const int32_t lane = nib_lane(), group = nib_warp_uniform() / 4;");
  if (q->cluster > 1)
    nib_text_line(t, "const int32_t rank = nib_cluster_rank();");
  nib_text_open(t, "if (nib_thread() == 0) {");
  nib_text_open(t, "for (int32_t i = 0; i < %lld; ++i) {", (ll)q->stages);
  nib_text_line(t, "nib_barrier_init(&full[i], 1);");
  nib_text_line(t, "nib_barrier_init(&empty[i], %lld); /* the warps that multiply */",
                (ll)(4 * q->groups * q->cluster));
  nib_text_close(t, "");
  nib_text_line(t, "nib_fence_barrier_init();");
  nib_text_close(t, "");
  nib_text_line(t, q->cluster > 1 ? "nib_cluster_sync();" : "nib_sync();");
}

/* Boxes of 64 of K: as many as the steps of the weights have, zeros past the end. */
static ll boxes(const plan *q) { return (ll)(q->w.steps * (q->w.step_elems / NIB_LOW_BIT_SUB)); }

static void emit_producer(const plan *q) {
  nib_text *t = q->t;
  const ll half = q->columns / q->cluster;
  nib_text_open(t, "if (nib_thread() == %lld) {", (ll)(q->groups * 128));
  nib_text_line(t, "int32_t stage = 0;");
  nib_text_line(t, "uint32_t parity = 1;");
  open_tiles(q);
  nib_text_open(t, "for (int32_t k = 0; k < %lld; ++k) {", boxes(q));
  nib_text_line(t, "uint8_t *const box = nib_shared + stage * %lld;", (ll)q->stage_bytes);
  nib_text_line(t, "nib_barrier_wait(&empty[stage], parity);");
  nib_text_line(t, "nib_barrier_expect(&full[stage], %lld);", (ll)q->stage_bytes);
  if (q->cluster > 1)
    nib_text_line(t,
                  "nib_tma_load2_both(box + rank * %lld, &map0, &full[stage], k * 64, column0 + "
                  "rank * %lld);",
                  half * ROW_BYTES, half);
  else
    nib_text_line(t, "nib_tma_load2(box, &map0, &full[stage], k * 64, column0);");
  next_stage(q);
  for (int i = 0; i < 3; ++i)
    nib_text_close(t, "");
}

/* ---- products ---- */

/* Groups (or, where they are longer, parts of groups) of 64 elements. */
static int groups_of_box(const plan *q) { return 4 / q->operands; }

/* Unpacks group `e` of sub-step `sub` of the words in q into `operand`[slot]. */
static void emit_unpack(const plan *q, const char *slot, const char *sub, int e) {
  nib_text *t = q->t;
  const int first = e * q->operands * 4, n = q->operands * 4;
  nib_text_open(t, "{");
  nib_low_bit_unpack_emit(&q->w, t, "q", sub, "0", first, first + n);
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

/* Begins the products of group `e` of the box, number u * groups + e of those unrolled. */
static void emit_group(const plan *q, const char *type, int e) {
  nib_text *t = q->t;
  const char *slot = groups_of_box(q) == 1 ? "u % 2" : e % 2 ? "1" : "0";
  const nib_expr sums = q->w.has_scales ? nib_expr_printf("d[%s]", slot) : nib_expr_printf("total");
  nib_text_line(t, "nib_wgmma_fence();");
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %d; ++i)", q->operands);
  nib_text_line(t, "  nib_wgmma_%s_n%lld_ra(%s, operand[%s] + i * 4, b + 2 * (%d + i), %s);", type,
                (ll)q->columns, sums.s, slot, e * q->operands, q->w.has_scales ? "i" : "1");
  nib_text_line(t, "nib_wgmma_commit();");
}

/* Adds the products of the group in `slot`, whose scales are number `group` of those in f[step]. */
static void emit_scaled(const plan *q, const char *slot, const char *step, const char *group) {
  nib_text *t = q->t;
  const nib_expr sums = q->w.has_scales ? nib_expr_printf("d[%s]", slot) : nib_expr_printf("total");
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %lld; ++i)", (ll)q->columns / 2);
  nib_text_line(t, "  nib_keep_f32(&%s[i]);", sums.s);
  if (!q->w.has_scales)
    return;
  nib_text_open(t, "{");
  nib_low_bit_scales_emit(&q->w, t, nib_expr_printf("f[%s]", step).s, "0", group);
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %lld; ++i)", (ll)q->columns / 2);
  nib_text_line(t, "  total[i] = nib_fma_f32(d[%s][i], scale[i / 2 %% 2], total[i]);", slot);
  nib_text_close(t, "");
}

/* An expression: the number in its step of group `e` of sub-step `sub`. */
static nib_expr group_of_step(const plan *q, const char *sub, int e) {
  if (q->w.scales_of_step <= 1)
    return nib_expr_printf("0");
  return nib_expr_printf("(%s) * %d + %d", sub, groups_of_box(q), e);
}

/* Hands back the stage before. */
static void emit_arrive(const plan *q) {
  const nib_expr stage = nib_expr_printf("stage > 0 ? stage - 1 : %lld", (ll)q->stages - 1);
  nib_text_line(q->t, "if (lane < %lld)", (ll)q->cluster);
  nib_text_line(q->t,
                q->cluster > 1 ? "  nib_barrier_arrive_at(&empty[%s], lane);"
                               : "  nib_barrier_arrive(&empty[%s]);",
                stage.s);
}

/* Group `e` of box `u`: its products run while those of the group before are scaled and what comes
 * after is unpacked. The first group of a box ends the one before. */
static void emit_turn(const plan *q, const char *type, int e) {
  nib_text *t = q->t;
  const int groups = groups_of_box(q);
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB;
  const char *other = groups == 1 ? "1 - u % 2" : e % 2 ? "0" : "1";
  emit_group(q, type, e);
  if (e == 0) {
    nib_text_open(t, "if (u > 0) {");
    nib_text_line(t, "nib_wgmma_wait(1);");
    emit_scaled(q, other, nib_expr_printf("(u - 1) / %lld %% 2", subs).s,
                group_of_step(q, nib_expr_printf("(u - 1) %% %lld", subs).s, groups - 1).s);
    emit_arrive(q);
    nib_text_close(t, "");
    if (q->w.has_scales) {
      nib_text_open(t, "if (u %% %lld == 0) {", subs);
      emit_load(q, nib_expr_printf("box / %lld + 1", subs).s, NULL,
                nib_expr_printf("f[1 - u / %lld %% 2]", subs).s);
      nib_text_close(t, "");
    }
  } else {
    nib_text_line(t, "nib_wgmma_wait(1);");
    emit_scaled(q, other, nib_expr_printf("u / %lld %% 2", subs).s,
                group_of_step(q, nib_expr_printf("u %% %lld", subs).s, e - 1).s);
  }
  /* The next group's operands; after those of a step's last one its words are no longer needed. */
  const nib_expr next_sub = nib_expr_printf(e + 1 < groups ? "u %% %lld" : "(u + 1) %% %lld", subs);
  emit_unpack(q, other, next_sub.s, (e + 1) % groups);
  if ((e + 2) % groups == 0 || groups == 1) {
    nib_text_open(t, "if (%s == %lld) {", next_sub.s, subs - 1);
    emit_load(q, nib_expr_printf(groups > 1 ? "box / %lld + 1" : "(box + 1) / %lld + 1", subs).s,
              "q", NULL);
    nib_text_close(t, "");
  }
}

/* BOXES at a time, so that all registers have their numbers; no products are on their way when the
 * loop begins anew, which the assembler would not see through. */
static void emit_boxes(const plan *q, const char *type) {
  nib_text *t = q->t;
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB, n = boxes(q);
  const int groups = groups_of_box(q);
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %d) {", n, q->boxes);
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t u = 0; u < %d; ++u) {", q->boxes);
  nib_text_line(t, "const int32_t box = first + u;");
  nib_text_line(t, "const uint64_t b = nib_wgmma_descriptor(nib_shared + stage * %lld);",
                (ll)q->stage_bytes);
  nib_text_line(t, "nib_barrier_wait(&full[stage], parity);");
  for (int e = 0; e < groups; ++e)
    emit_turn(q, type, e);
  next_stage(q);
  nib_text_close(t, "");
  nib_text_line(t, "nib_wgmma_wait(0);");
  emit_scaled(q, "1", nib_expr_printf("%lld", (q->boxes - 1) / subs % 2).s,
              group_of_step(q, nib_expr_printf("%lld", (q->boxes - 1) % subs).s, groups - 1).s);
  emit_arrive(q);
  nib_text_close(t, "");
}

/* Element i: row 8 r below the lane's first, column c of pair b. */
static void emit_results(const plan *q) {
  nib_direct *d = q->d;
  nib_text *t = q->t;
  const nib_tensor *bias = nib_node_input(q->g, q->n, 2);
  const nib_expr pointer =
      bias ? nib_direct_pointer(d, q->n->in[2], "bias") : nib_expr_printf("%s", "");
  nib_text_line(t, "#pragma unroll");
  nib_text_open(t, "for (int32_t i = 0; i < %lld; ++i) {", (ll)q->columns / 2);
  nib_text_line(t, "const %s channel = row0 + first_row + i / 2 %% 2 * 8;", d->index);
  nib_text_line(t, "const %s row = column0 + i / 4 * 8 + lane %% 4 * 2 + i %% 2;", d->index);
  const bool channels_end = q->w.outputs % (q->rows * q->cluster) != 0,
             rows_end = q->m % q->columns != 0;
  nib_text_open(t, "%s%s%s%s{", channels_end || rows_end ? "if (" : "",
                channels_end ? nib_expr_printf("channel < %lld", (ll)q->w.outputs).s : "",
                channels_end && rows_end ? " && " : "",
                rows_end       ? nib_expr_printf("row < %lld) ", (ll)q->m).s
                : channels_end ? ") "
                               : "");
  if (!q->w.has_scales && q->w.exponent)
    nib_text_line(t, "float acc = total[i] * 0x1p%df;", q->w.exponent);
  else
    nib_text_line(t, "float acc = total[i];");
  nib_direct_finish_real(d, q->n, pointer.s,
                         nib_expr_printf("row * %lld + channel", (ll)q->w.outputs).s, "channel");
  nib_text_close(t, "");
  nib_text_close(t, "");
}

static void emit_consumer(const plan *q, const char *weights, const char *type) {
  nib_text *t = q->t;
  const ll subs = q->w.step_elems / NIB_LOW_BIT_SUB;
  nib_text_line(t, "int32_t stage = 0;");
  nib_text_line(t, "uint32_t parity = 0;");
  nib_text_line(
      t, "const int32_t warp = nib_warp_uniform(), g = lane / 4, first_row = warp * 16 + g;");
  open_tiles(q);
  nib_text_line(
      t, "const int32_t any_tile = row0 / 16 + warp, tile = any_tile < %lld ? any_tile : %lld;",
      (ll)q->w.row_blocks, (ll)q->w.row_blocks - 1);
  nib_low_bit_pointers_emit(
      &q->w, t,
      nib_expr_printf("%s + (int64_t)tile * %lld", weights, (ll)(q->w.steps * q->w.step_bytes)).s);
  nib_text_line(t, "uint32_t operand[2][%d], q[%d];", q->operands * 4, q->w.words);
  if (q->w.has_scales) {
    nib_text_line(t, "uint32_t f[2][%d];", q->w.scale_words);
    nib_text_line(t, "float d[2][%lld];", (ll)q->columns / 2);
  }
  nib_text_line(t, "float total[%lld];", (ll)q->columns / 2);
  nib_text_line(t, "#pragma unroll");
  nib_text_line(t, "for (int32_t i = 0; i < %lld; ++i)", (ll)q->columns / 2);
  nib_text_line(t, "  total[i] = 0;");
  emit_load(q, "0", "q", q->w.has_scales ? "f[0]" : NULL);
  emit_unpack(q, "0", "0", 0);
  if (subs == 1 && groups_of_box(q) == 1)
    emit_load(q, "1", "q", NULL);
  emit_boxes(q, type);
  emit_results(q);
  nib_text_close(t, "");
}

/* ---- the kernel ---- */

static void add_map(const plan *q) {
  nib_launch *l = q->d->e->launch;
  nib_launch_map *m = &l->maps[0];
  l->n_maps = 1;
  *m = (nib_launch_map){
      .type = TYPE_UINT16, .swizzle = SWIZZLE_128B, .promote = PROMOTE_256B, .rank = 2};
  m->dims[0] = (uint64_t)q->w.k;
  m->dims[1] = (uint64_t)q->m;
  m->strides_bytes[0] = (uint64_t)q->w.k * 2;
  m->box[0] = ROW_BYTES / 2;
  m->box[1] = (uint32_t)(q->columns / q->cluster);
  snprintf(m->parameter, sizeof m->parameter, "%.15s",
           nib_direct_pointer(q->d, q->n->in[0], "input").s);
}

static void emit_root(nib_direct *d, const nib_node *n) {
  plan q;
  uint8_t *data = NULL;
  size_t bytes = 0;
  if (!make_plan(d->g, d->kernel, &q)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "no plan of its weights");
    return;
  }
  q.d = d;
  q.t = d->t;
  const nib_status status = nib_low_bit_pack(&q.w, &data, &bytes);
  if (status != NIB_OK) {
    nib_direct_fail(d, n, status, "out of memory for its weights");
    return;
  }
  const nib_expr weights = nib_direct_constant(d, "filter", "uint8_t", data, bytes);
  free(data);
  const bool shares = q.groups == 2; /* registers: fewer for the warps that load */
  *d->e->launch = (nib_launch){.grid = {q.clusters * q.cluster},
                               .threads = (int32_t)(q.groups + 1) * 128,
                               .blocks_per_sm = 1,
                               .cluster = q.cluster > 1 ? (int32_t)q.cluster : 0,
                               .shared_bytes = q.stages * (q.stage_bytes + 16)};
  add_map(&q);
  nib_text_line(q.t, "/* %s weights, %d bits: %lld boxes of 64, groups of %lld */",
                nib_format_get(q.w.w->format)->name, q.w.bits, boxes(&q), (ll)q.w.group);
  emit_barriers(&q);
  nib_text_open(q.t, "if (group == %lld) {", (ll)q.groups);
  if (shares)
    nib_text_line(q.t, "nib_registers_less(24);");
  emit_producer(&q);
  q.t->indent--;
  nib_text_open(q.t, "} else {");
  if (shares)
    nib_text_line(q.t, "nib_registers_more(240);");
  emit_consumer(&q, weights.s, q.w.product == NIB_LOW_BIT_F16 ? "f16" : "bf16");
  nib_text_close(q.t, "");
  if (q.cluster > 1)
    nib_text_line(q.t, "nib_cluster_sync(); /* the other block may still write here */");
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  return nib_direct_emit(e, k, emit_root);
}

const nib_schedule nib_schedule_low_bit_warpgroup = {
    .name = "low_bit_warpgroup",
    .device = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
};
