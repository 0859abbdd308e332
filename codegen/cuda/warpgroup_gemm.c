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
  bool rows_end, columns_end; /* within a tile */
  nib_expr at;                /* of the result at `row` and `channel` */
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
  q.rows_end = p->m % (q.r.rows * q.r.cluster) != 0;
  q.columns_end = p->n % q.r.columns != 0;
  q.at = nib_expr_printf("row * %lld + channel", (ll)p->n);
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

/* The next box's products run while the one before is handed back. */
static const char k_products[] =
    "int32_t last = 0;\n"
    "for (int32_t k = 0; k < $boxes; ++k) {\n"
    "  const uint8_t *const box = nib_shared + stage * $stage_bytes;\n"
    "  const uint64_t a = nib_wgmma_descriptor(box + group * $group_bytes);\n"
    "  const uint64_t b = nib_wgmma_descriptor(box + $row_bytes);\n"
    "  nib_barrier_wait(&full[stage], parity);\n"
    "  nib_wgmma_fence();\n"
    "  #pragma unroll\n"
    "  for (int32_t i = 0; i < 4; ++i)\n"
    "    nib_wgmma_${type}_n$columns(sums, a + 2 * i, b + 2 * i, k | i);\n"
    "  nib_wgmma_commit();\n"
    "  nib_wgmma_wait(1);\n"
    "  if (k > 0) {\n";

static void emit_products(nib_direct *d, const plan *q) {
  nib_text_block(d->t, k_products);
  nib_ring_hand_back(&q->r, d->t, "last");
  nib_text_block(d->t, "}\n"
                       "last = stage;\n");
  nib_ring_next(&q->r, d->t);
  nib_text_block(d->t, "}\n"
                       "nib_wgmma_wait(0);\n"
                       "#pragma unroll\n"
                       "for (int32_t i = 0; i < $sums; ++i)\n"
                       "  nib_keep_$kept(&sums[i]);\n");
  nib_ring_hand_back(&q->r, d->t, "last");
}

/* `row` and `channel` of element `c` (0 or 1) of row half `r` in the 8 columns of block `b`; where
 * they are `kept`, operands are read even past the ends. */
static const char k_place[] =
    "[keeps_rows] const $index any_row = row0 + first_row + 8 * r, row = any_row < $m ? any_row : "
    "$last_row;\n"
    "[!keeps_rows] const $index row = row0 + first_row + 8 * r;\n"
    "[keeps_columns] const $index any_channel = column0 + 8 * b + 2 * (lane % 4) + c, channel = "
    "any_channel < $n ? any_channel : $last_column;\n"
    "[!keeps_columns] const $index channel = column0 + 8 * b + 2 * (lane % 4) + c;\n"
    "(void)row, (void)channel; /* not every result needs them */\n";

static void emit_place(nib_direct *d, bool keeps_rows, bool keeps_columns) {
  nib_text_set(d->t, "keeps_rows keeps_columns", keeps_rows, keeps_columns);
  nib_text_block(d->t, k_place);
}

/* Where tiles reach past the result: "row < … && COLUMN < …". */
static void set_guard(nib_direct *d, const plan *q, const char *column) {
  const nib_expr row = nib_expr_printf("row < %lld", (ll)q->p.m),
                 end = nib_expr_printf("%s < %lld", column, (ll)q->p.n);
  nib_text_set_words(d->t, "guard", "%s%s%s", q->rows_end ? row.s : "",
                     q->rows_end && q->columns_end ? " && " : "", q->columns_end ? end.s : "");
}

/* Elements one by one. */
static void emit_narrow(nib_direct *d, const nib_node *n, const plan *q, const char *start) {
  nib_text_block(d->t, "#pragma unroll\n"
                       "for (int32_t i = 0; i < $sums; ++i) {\n"
                       "  const int32_t b = i / 4, r = i / 2 % 2, c = i % 2;\n");
  emit_place(d, false, false);
  nib_text_block(d->t, "[guard] if ($guard) {\n"
                       "[!guard] {\n");
  nib_gemm_finish(d, n, &q->p, start, "sums[i]", q->at.s, "channel");
  nib_text_block(d->t, "  }\n"
                       "}\n");
}

/* $piece bytes, 16 or 4, at a time: `words` collects what four threads then exchange. */
static const char k_codes[] =
    "#pragma unroll\n"
    "for (int32_t j = 0; j < $turns; ++j) {\n"
    "  uint32_t words[2][4] = {{0, 0, 0, 0}, {0, 0, 0, 0}};\n"
    "  #pragma unroll\n"
    "  for (int32_t i = 0; i < $codes; ++i) {\n"
    "    const int32_t b = j * $blocks + i / 4, c = i / 2 % 2, r = i % 2;\n";

static const char k_stores[] =
    "    }\n"
    "    [bytes] words[r][i / 8] |= (uint32_t)(uint8_t)code << (i / 2 % 4 * 8);\n"
    "    [!bytes] words[r][i / 4] |= (uint32_t)(uint16_t)code << (c * 16);\n"
    "  }\n"
    "  #pragma unroll\n"
    "  for (int32_t r = 0; r < 2; ++r) {\n"
    "    const $index row = row0 + first_row + 8 * r;\n"
    "    const $index channel = column0 + (j * 4 + lane % 4) * $lane_codes;\n"
    "    nib_transpose_quad(words[r]);\n"
    "    [bytes] nib_join_halves(words[r]);\n"
    "    [words] #pragma unroll\n"
    "    [words] for (int32_t i = 0; i < 4; ++i) {\n"
    "    [guard] if ($guard)\n"
    "      [words] ((uint32_t *)(void *)(out + $at))[i] = words[r][i];\n"
    "      [!words] nib_store16(out + $at, words[r]);\n"
    "    [words] }\n"
    "  }\n"
    "}\n";

static void emit_wide(nib_direct *d, const nib_node *n, const plan *q, const char *start,
                      int64_t piece) {
  const nib_format format = d->g->tensors[nib_kernel_output(d->g, d->kernel)].format;
  const bool bytes = nib_format_bytes(format) == 1;
  const int64_t blocks = bytes ? 8 : 4; /* of 8 columns */
  nib_text_set(d->t, "blocks codes lane_codes bytes", blocks, 4 * blocks, 2 * blocks, bytes);
  nib_text_set(d->t, "turns words", q->r.columns / 8 / blocks, piece < 16);
  nib_text_block(d->t, k_codes);
  emit_place(d, q->rows_end, q->columns_end);
  nib_text_line(d->t, "%s code;", nib_format_get(format)->c_type);
  nib_text_block(d->t, "{\n");
  d->result = "code";
  nib_gemm_finish(d, n, &q->p, start, "sums[4 * b + 2 * r + c]", q->at.s, "channel");
  d->result = NULL;
  set_guard(d, q, piece == 16 ? "channel" : bytes ? "channel + 4 * i" : "channel + 2 * i");
  nib_text_block(d->t, k_stores);
}

/* Bytes of the result that threads may store at a time: 16 or 4, or else element by element. */
static int64_t piece_of(const nib_direct *d, const plan *q) {
  const int32_t output = nib_kernel_output(d->g, d->kernel);
  const int64_t bytes = nib_format_bytes(d->g->tensors[output].format);
  const nib_storage place = nib_storage_of(d->g, output);
  const int64_t at = q->p.n * bytes | (place.kind == NIB_STORAGE_ARENA ? place.offset : 0);
  return bytes > 2 ? 0 : at % 16 == 0 ? 16 : at % 4 == 0 ? 4 : 0;
}

/* What the text of the warpgroups that multiply names, beside the ring's. */
static void name_sizes(nib_direct *d, const plan *q) {
  nib_text_set(d->t, "m n last_row last_column", q->p.m, q->p.n, q->p.m - 1, q->p.n - 1);
  nib_text_set(d->t, "group_bytes row_bytes", 64 * NIB_BOX_BYTES, q->r.rows * NIB_BOX_BYTES);
  nib_text_set(d->t, "sums", q->r.columns / 2);
  nib_text_set_words(d->t, "type", "%s", q->p.type);
  nib_text_set_words(d->t, "kept", "%s", q->p.is_float ? "f32" : "i32");
  nib_text_set_words(d->t, "sum", "%s", q->p.is_float ? "float" : "int32_t");
  nib_text_set_words(d->t, "index", "%s", d->index);
  nib_text_set_words(d->t, "at", "%s", q->at.s);
  set_guard(d, q, "channel");
}

static void emit_consumer(nib_direct *d, const nib_node *n, const plan *q, const char *start) {
  const int64_t piece = piece_of(d, q);
  name_sizes(d, q);
  nib_text_block(d->t, "$sum sums[$sums];\n"
                       "const int32_t first_row = nib_thread() / 32 * 16 + lane / 4;\n");
  nib_ring_open_tiles(&q->r, d->t);
  emit_products(d, q);
  nib_ring_place(&q->r, d->t);
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
  const nib_pack_matrix w = nib_gemm_weights(d->g, n, &q->p);
  if (nib_pack_rows(&w, q->p.pitch, &data, &bytes) == NIB_OK)
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
