/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Matrix products by warpgroups (sm_90a), from a ring of stages of both operands. The next stage's
 * products are in flight while the one before is handed back. Warps write their part of a tile
 * straight from registers, four threads that share a row exchanging elements so that each stores
 * 16 neighbouring bytes; meanwhile the ring fills for the next tile. */
#include "cuda/gemm.h"
#include "cuda/warpgroup_ring.h"

#include "emit/constants.h"
#include "emit/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum { BAND = 16 }; /* rows of tiles that run at a time, so that they share weights in the cache */

/* kernel->tile: rows and columns of the tile, blocks of a cluster, rows of tiles in a band (0:
 * BAND). */
typedef struct plan {
  nib_gemm p;
  nib_ring r;
} plan;

static plan make_plan(const nib_gemm *p, const int32_t tile[NIB_MAX_TILE]) {
  plan q = {.p = *p,
            .r = {.rows = tile[0],
                  .columns = tile[1],
                  .cluster = tile[2],
                  .loads_rows = true,
                  .element_bytes = p->bytes,
                  .boxes = (p->k * p->bytes + NIB_BOX_BYTES - 1) / NIB_BOX_BYTES,
                  .band = (tile[3] > 0 ? tile[3] : BAND) / tile[2],
                  .registers_less = 40,
                  .registers_more = 232}};
  nib_ring_plan(&q.r, p->m, p->n);
  return q;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  const nib_node *n = &g->nodes[k->nodes[0]];
  nib_gemm p;
  return (vocab->requires_ & NIB_FEATURE_BIT(WGMMA)) && nib_gemm_of(g, k, &p) &&
         p.k * p.bytes % 16 == 0 && nib_gemm_is_aligned(g, n->in[0]) &&
         (p.constant || nib_gemm_is_aligned(g, n->in[1]));
}

static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  static const int32_t shapes[][NIB_MAX_TILE] = {
      {128, 256, 2}, {128, 256, 1}, {128, 128, 2}, {128, 128, 1}, {64, 256, 2}, {64, 256, 1},
      {64, 128, 2},  {64, 128, 1},  {128, 64, 2},  {128, 64, 1},  {64, 64, 2},  {64, 64, 1}};
  nib_gemm p;
  (void)vocab;
  if (!nib_gemm_of(g, k, &p))
    return 0;
  return nib_ring_tiles(shapes, sizeof shapes / sizeof *shapes, p.m, p.n, p.k * p.bytes, out_tiles,
                        capacity);
}

/* ---- text ---- */

static void emit_products(nib_direct *d, const plan *q) {
  const bool is_float = q->p.is_float;
  nib_text_line(d->t, "int32_t last = 0;");
  nib_text_open(d->t, "for (int32_t k = 0; k < %lld; ++k) {", (ll)q->r.boxes);
  nib_text_line(d->t, "const uint8_t *const box = nib_shared + stage * %lld;",
                (ll)q->r.stage_bytes);
  nib_text_line(d->t, "const uint64_t a = nib_wgmma_descriptor(box + group * %d);",
                64 * NIB_BOX_BYTES);
  nib_text_line(d->t, "const uint64_t b = nib_wgmma_descriptor(box + %lld);",
                (ll)(q->r.rows * NIB_BOX_BYTES));
  nib_text_line(d->t, "nib_barrier_wait(&full[stage], parity);");
  nib_text_line(d->t, "nib_wgmma_fence();");
  nib_text_line(d->t, "#pragma unroll");
  nib_text_line(d->t, "for (int32_t i = 0; i < 4; ++i)");
  nib_text_line(d->t, "  nib_wgmma_%s_n%lld(sums, a + 2 * i, b + 2 * i, k | i);", q->p.type,
                (ll)q->r.columns);
  nib_text_line(d->t, "nib_wgmma_commit();");
  nib_text_line(d->t, "nib_wgmma_wait(1);");
  nib_text_open(d->t, "if (k > 0) {");
  nib_ring_hand_back(&q->r, d->t, "last");
  nib_text_close(d->t, "");
  nib_text_line(d->t, "last = stage;");
  nib_ring_next(&q->r, d->t);
  nib_text_close(d->t, "");
  nib_text_line(d->t, "nib_wgmma_wait(0);");
  nib_text_line(d->t, "#pragma unroll");
  nib_text_line(d->t, "for (int32_t i = 0; i < %lld; ++i)", (ll)(q->r.columns / 2));
  nib_text_line(d->t, is_float ? "  nib_keep_f32(&sums[i]);" : "  nib_keep_i32(&sums[i]);");
  nib_ring_hand_back(&q->r, d->t, "last");
}

/* Declares the variable, kept below `n` where `clamp`: operands are read there. */
static void declare_kept(nib_direct *d, const char *name, const char *value, bool clamp,
                         int64_t n) {
  if (!clamp) {
    nib_text_line(d->t, "const %s %s = %s;", d->index, name, value);
    return;
  }
  nib_text_line(d->t, "const %s any_%s = %s, %s = any_%s < %lld ? any_%s : %lld;", d->index, name,
                value, name, name, (ll)n, name, (ll)n - 1);
}

/* `row` and `channel` of element `c` (0 or 1) of row half `r` in the 8 columns of block `b`. */
static void declare_place(nib_direct *d, const plan *q, bool clamp) {
  declare_kept(d, "row", "row0 + first_row + 8 * r", clamp && q->p.m % (q->r.rows * q->r.cluster),
               q->p.m);
  declare_kept(d, "channel", "column0 + 8 * b + 2 * (lane % 4) + c", clamp && q->p.n % q->r.columns,
               q->p.n);
  nib_text_line(d->t, "(void)row, (void)channel; /* not every result needs them */");
}

static const char *within(const plan *q, char *text, size_t size, const char *column) {
  const bool rows = q->p.m % (q->r.rows * q->r.cluster) != 0, columns = q->p.n % q->r.columns != 0;
  char r[48] = "", c[96] = "";
  if (rows)
    snprintf(r, sizeof r, "row < %lld", (ll)q->p.m);
  if (columns)
    snprintf(c, sizeof c, "%s < %lld", column, (ll)q->p.n);
  if (rows || columns)
    snprintf(text, size, "if (%s%s%s)", r, rows && columns ? " && " : "", c);
  else
    text[0] = 0;
  return text;
}

static nib_expr result_index(const plan *q) {
  return nib_expr_printf("row * %lld + channel", (ll)q->p.n);
}

/* Elements one by one. */
static void emit_narrow(nib_direct *d, const nib_node *n, const plan *q, const char *start) {
  char guard[160];
  nib_text_open_unrolled(d->t, "for (int32_t i = 0; i < %lld; ++i) {", (ll)(q->r.columns / 2));
  nib_text_line(d->t, "const int32_t b = i / 4, r = i / 2 %% 2, c = i %% 2;");
  declare_place(d, q, false);
  nib_text_open(d->t, "%s {", within(q, guard, sizeof guard, "channel"));
  nib_gemm_finish(d, n, &q->p, start, "sums[i]", result_index(q).s, "channel");
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

static void guarded(nib_direct *d, const char *guard, const char *statement) {
  if (guard[0])
    nib_text_line(d->t, "%s", guard);
  nib_text_line(d->t, guard[0] ? "  %s" : "%s", statement);
}

/* `piece` bytes, 16 or 4, at a time: `words` collects what four threads then exchange. */
static void emit_wide(nib_direct *d, const nib_node *n, const plan *q, const char *start,
                      int64_t piece) {
  const nib_tensor *y = &d->g->tensors[nib_kernel_output(d->g, d->kernel)];
  const nib_format_info *f = nib_format_get(y->format);
  const bool bytes = nib_format_bytes(y->format) == 1;
  const ll blocks = bytes ? 8 : 4; /* of 8 columns */
  char guard[160];
  nib_text_open_unrolled(d->t, "for (int32_t j = 0; j < %lld; ++j) {",
                         (ll)q->r.columns / 8 / blocks);
  nib_text_line(d->t, "uint32_t words[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};");
  nib_text_open_unrolled(d->t, "for (int32_t i = 0; i < %lld; ++i) {", 4 * blocks);
  nib_text_line(d->t, "const int32_t b = j * %lld + i / 4, c = i / 2 %% 2, r = i %% 2;", blocks);
  declare_place(d, q, true);
  nib_text_line(d->t, "%s code;", f->c_type);
  nib_text_open(d->t, "{");
  d->result = "code";
  nib_gemm_finish(d, n, &q->p, start, "sums[4 * b + 2 * r + c]", result_index(q).s, "channel");
  d->result = NULL;
  nib_text_close(d->t, "");
  if (bytes)
    nib_text_line(d->t, "words[r][i / 8] |= (uint32_t)(uint8_t)code << (i / 2 %% 4 * 8);");
  else
    nib_text_line(d->t, "words[r][i / 4] |= (uint32_t)(uint16_t)code << (c * 16);");
  nib_text_close(d->t, "");
  nib_text_open_unrolled(d->t, "for (int32_t r = 0; r < 2; ++r) {");
  nib_text_line(d->t, "const %s row = row0 + first_row + 8 * r;", d->index);
  nib_text_line(d->t, "const %s channel = column0 + (j * 4 + lane %% 4) * %lld;", d->index,
                bytes ? 16LL : 8LL);
  nib_text_line(d->t, "nib_transpose_quad(words[r]);");
  if (bytes)
    nib_text_line(d->t, "nib_join_halves(words[r]);");
  if (piece == 16) {
    guarded(d, within(q, guard, sizeof guard, "channel"),
            nib_expr_printf("nib_store16(out + %s, words[r]);", result_index(q).s).s);
  } else {
    nib_text_open_unrolled(d->t, "for (int32_t i = 0; i < 4; ++i) {");
    guarded(
        d, within(q, guard, sizeof guard, bytes ? "channel + 4 * i" : "channel + 2 * i"),
        nib_expr_printf("((uint32_t *)(void *)(out + %s))[i] = words[r][i];", result_index(q).s).s);
    nib_text_close(d->t, "");
  }
  nib_text_close(d->t, "");
  nib_text_close(d->t, "");
}

/* Bytes of the result that threads may store at a time: 16 or 4, or else element by element. */
static int64_t piece_of(const nib_direct *d, const plan *q) {
  const int32_t output = nib_kernel_output(d->g, d->kernel);
  const int64_t bytes = nib_format_bytes(d->g->tensors[output].format);
  const nib_storage place = nib_storage_of(d->g, output);
  const int64_t at = q->p.n * bytes | (place.kind == NIB_STORAGE_ARENA ? place.offset : 0);
  return bytes > 2 ? 0 : at % 16 == 0 ? 16 : at % 4 == 0 ? 4 : 0;
}

static void emit_consumer(nib_direct *d, const nib_node *n, const plan *q, const char *start) {
  const int64_t piece = piece_of(d, q);
  nib_text_line(d->t, "%s sums[%lld];", q->p.is_float ? "float" : "int32_t",
                (ll)(q->r.columns / 2));
  nib_text_line(d->t, "const int32_t first_row = nib_thread() / 32 * 16 + lane / 4;");
  nib_ring_open_tiles(&q->r, d->t);
  emit_products(d, q);
  if (piece > 0)
    emit_wide(d, n, q, start, piece);
  else
    emit_narrow(d, n, q, start);
}

static void add_maps(nib_direct *d, const nib_node *n, const plan *q) {
  nib_launch *l = d->e->launch;
  nib_ring_add_map(&q->r, l, nib_direct_pointer(d, n->in[0], "input").s, q->p.k, q->p.m,
                   q->p.k * q->p.bytes, q->r.rows);
  nib_launch_map *weights = nib_ring_add_map(
      &q->r, l, q->p.constant ? "weights" : nib_direct_pointer(d, n->in[1], "filter").s, q->p.k,
      q->p.n, q->p.pitch, q->r.columns / q->r.cluster);
  if (!q->p.constant)
    return;
  void *data = NULL;
  size_t bytes;
  const char *expression = NULL;
  if (nib_gemm_pack_weights(d->g, n, &q->p, &data, &bytes) == NIB_OK)
    expression = nib_constants_add(d->e->constants, "filter", "uint8_t", data, bytes);
  free(data);
  if (!expression)
    nib_direct_fail(d, n, NIB_ERROR_OUT_OF_MEMORY, "out of memory for its weights");
  weights->offset = nib_constants_offset(d->e->constants, expression);
}

static void emit_root(nib_direct *d, const nib_node *n) {
  nib_gemm p;
  if (!nib_gemm_of(d->g, d->kernel, &p)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "it is no matrix product");
    return;
  }
  const plan q = make_plan(&p, d->kernel->tile);
  nib_ring_begin(&q.r, d);
  add_maps(d, n, &q);
  emit_consumer(d, n, &q, nib_gemm_start(d, n, &p).s);
  nib_ring_end(&q.r, d->t);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  return nib_direct_emit(e, kernel, emit_root);
}

const nib_schedule nib_schedule_warpgroup_gemm = {
    .name = "warpgroup_gemm",
    .device = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
