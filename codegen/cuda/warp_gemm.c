/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Products by mma.sync: conv2d (implicitly, without an im2col buffer) and fully_connected, of bytes
 * or halves.
 *
 * A block computes tile[0] pixels x tile[1] output channels. K runs over the taps and, in each,
 * over its channels, in chunks of 16 bytes; a ring of stages, each of 64 bytes of K, is filled by
 * cp.async. Operands of all formats look alike to it: 32 bytes of K are one instruction. Chunks of
 * a stage's rows are exchanged (slot_of), so that the eight rows of an 8 x 8 matrix lie in
 * different banks.
 *
 * Sums go through shared memory to the epilogue, which is that of `direct`, channels side by side.
 */
#include "cuda/gemm.h"
#include "params/params.h"
#include "schedule/direct.h"

#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum { STAGES = 3, STAGE_BYTES = 64, CHUNK_BYTES = 16, STAGE_CHUNKS = STAGE_BYTES / CHUNK_BYTES };

/* A tile and its warps. */
static const struct warp_tile {
  int32_t rows, columns, warps_m, warps_n;
} k_tiles[] = {
    {128, 128, 2, 4}, {128, 64, 4, 2}, {64, 64, 2, 2}, {64, 32, 4, 1},
    {64, 16, 4, 1},   {32, 32, 2, 2},  {16, 16, 1, 1},
};
enum { N_TILES = sizeof k_tiles / sizeof *k_tiles };

typedef struct warp_gemm {
  nib_direct *d;
  const nib_node *n;
  nib_conv_shape s;
  nib_gemm p; /* pixels by output channels, K without padding */
  const nib_tensor *x, *w;
  struct warp_tile tile;
  bool chunked;       /* a chunk is 16 bytes of one tap, else elements are gathered one by one */
  int64_t tap_chunks; /* of one tap, if chunked */
  int64_t chunks;     /* of K */
  int64_t steps;      /* stages of K */
  int32_t planes;     /* int8 numbers that add up to a weight */
} warp_gemm;

/* ---- what is accepted ---- */

/* How many int8 numbers the largest weight less its zero point is made of. */
static int32_t planes_of(const nib_tensor *w) {
  int32_t planes = 1;
  for (int64_t i = 0, n = nib_tensor_elems(w); i < n; ++i) {
    const int64_t v = nib_pack_weight(w, i);
    while (v > 127 * planes || v < -128 * planes)
      planes++;
  }
  return planes;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  const nib_node *n = &g->nodes[k->nodes[0]];
  if ((n->op != NIB_OP_CONV2D && n->op != NIB_OP_FULLY_CONNECTED) ||
      (v->requires_ & NIB_FEATURE_BIT(WGMMA)) || !nib_direct_accepts(g, k) ||
      nib_direct_segments(g, k) != 1)
    return false;
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  nib_gemm p = {0};
  if (x->data || !w->data || !nib_gemm_formats(g, n, &p) || strcmp(p.type, "f8e4m3") == 0)
    return false;
  nib_conv_shape s;
  nib_params_conv_shape(g, n, &s);
  return s.groups == 1 && s.out_c > 0 && s.in_c > 0 && nib_tensor_elems(x) < INT32_MAX / 4 &&
         nib_tensor_elems(&g->tensors[n->out]) < INT32_MAX / 4;
}

/* ---- shape ---- */

static int64_t ceil_div(int64_t x, int64_t by) { return (x + by - 1) / by; }

static const struct warp_tile *tile_of(const nib_kernel *k) {
  for (int i = 0; i < N_TILES; ++i)
    if (k_tiles[i].rows == k->tile[0] && k_tiles[i].columns == k->tile[1])
      return &k_tiles[i];
  return &k_tiles[2];
}

static void describe(warp_gemm *m, nib_direct *d, const nib_node *n) {
  memset(m, 0, sizeof *m);
  m->d = d;
  m->n = n;
  m->x = nib_node_input(d->g, n, 0);
  m->w = nib_node_input(d->g, n, 1);
  m->tile = *tile_of(d->kernel);
  nib_params_conv_shape(d->g, n, &m->s);
  nib_gemm_formats(d->g, n, &m->p);
  m->p.m = m->s.batch * m->s.out_h * m->s.out_w;
  m->p.n = m->s.out_c;
  m->p.k = m->s.kernel_h * m->s.kernel_w * m->s.in_c;
  m->planes = m->p.is_float ? 1 : planes_of(m->w);
  const int64_t tap_bytes = m->s.in_c * m->p.bytes, taps = m->s.kernel_h * m->s.kernel_w;
  m->chunked = tap_bytes % CHUNK_BYTES == 0 && nib_gemm_is_aligned(d->g, n->in[0]);
  m->tap_chunks = tap_bytes / CHUNK_BYTES;
  m->chunks =
      (m->chunked ? taps * m->tap_chunks : ceil_div(taps * tap_bytes, CHUNK_BYTES)) * m->planes;
  m->steps = ceil_div(m->chunks, STAGE_CHUNKS);
}

static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  (void)g, (void)k, (void)v;
  int n = 0;
  for (; n < N_TILES && n < capacity; ++n) {
    out_tiles[n][0] = k_tiles[n].rows;
    out_tiles[n][1] = k_tiles[n].columns;
  }
  return n;
}

/* ---- packing: [output channel][K in chunks], channels up to whole tiles, zeros past the end ----
 */

/* Of one plane, in elements. */
static int64_t plane_elems(const warp_gemm *m) {
  return m->chunks / m->planes * CHUNK_BYTES / m->p.bytes;
}

/* What plane `plane` has of the weight `v`. */
static int8_t part_of(int64_t v, int32_t plane) {
  for (int32_t i = 0;; ++i) {
    const int64_t part = v > 127 ? 127 : v < -128 ? -128 : v;
    if (i == plane)
      return (int8_t)part;
    v -= part;
  }
}

static nib_expr pack_weights(const warp_gemm *m) {
  const int64_t k = m->p.k, size = m->p.bytes;
  const int64_t columns = ceil_div(m->p.n, m->tile.columns) * m->tile.columns;
  const size_t bytes = (size_t)(columns * m->steps * STAGE_BYTES);
  uint8_t *data = calloc(bytes ? bytes : 1, 1);
  for (int64_t o = 0; data && o < m->p.n; ++o)
    for (int32_t plane = 0; plane < m->planes; ++plane) {
      uint8_t *to = data + o * m->steps * STAGE_BYTES + plane * plane_elems(m) * size;
      if (m->p.is_float)
        memcpy(to, (const uint8_t *)m->w->data + o * k * size, (size_t)(k * size));
      for (int64_t i = 0; !m->p.is_float && i < k; ++i)
        to[i] = (uint8_t)part_of(nib_pack_weight(m->w, o * k + i), plane);
    }
  nib_expr packed = {""};
  if (data)
    packed = nib_direct_constant(m->d, "packed", "uint8_t", data, bytes);
  else
    nib_direct_fail(m->d, m->n, NIB_ERROR_OUT_OF_MEMORY, "out of memory for packed weights");
  free(data);
  return packed;
}

/* ---- text ---- */

static int32_t threads_of(const warp_gemm *m) { return 32 * m->tile.warps_m * m->tile.warps_n; }
/* Of sums in shared memory: rows begin in different banks. */
static int32_t pitch_of(const warp_gemm *m) { return m->tile.columns + 4; }

/* Each thread loads chunks of a stage: chunk `q` of row `r`, of the pixels and then of the weights.
 * Outside the input is its zero point, which `start` takes away again; past the last pixel or the
 * end of K, where weights or results do not count, anything. What is no chunk comes by elements: K
 * is taps x channels without gaps. One wait and one barrier a step: a stage is filled again after
 * the barrier that follows its product. */
static const char k_load[] =
    "const int32_t thread = nib_thread(), lane = nib_lane(), warp = nib_warp();\n"
    "const int32_t row0 = nib_block_x() * $rows, column0 = nib_block_y() * $columns;\n"
    "const int32_t warp_row = warp / $warps_n * $warp_rows, "
    "warp_column = warp % $warps_n * $warp_columns;\n"
    "$sum sums[$across][$eights][4] = {};\n"
    "for (int32_t step = -2; step < $steps; ++step) {\n"
    "  if (step >= 0) {\n"
    "    nib_copy_wait(1);\n"
    "    nib_sync();\n"
    "  }\n"
    "  const int32_t next = step + 2;\n"
    "  if (next < $steps) {\n"
    "    uint8_t *stage = nib_shared + next % 3 * $stage_bytes;\n"
    "    #pragma unroll\n"
    "    for (int32_t i = thread; i < $row_chunks; i += $threads) {\n"
    "      const int32_t r = i / 4, q = i % 4, chunk = next * 4 + q;\n"
    "      uint8_t *const slot = stage + r * 64 + (q ^ ((r >> 1) & 3)) * 16;\n"
    "      [chunked] const int32_t tap = chunk / $tap_chunks % $taps, ky = tap / $kernel_w, "
    "kx = tap % $kernel_w;\n"
    "      const int32_t pixel = row0 + r, ox = pixel % $out_w, oy = pixel / $out_w % $out_h, "
    "n = pixel / $out_pixels;\n"
    "      [!chunked] for (int32_t b = 0; b < $elements; ++b) {\n"
    "        [!chunked] const int32_t k = (chunk * $elements + b) % $plane, c = k % $in_c, "
    "kx = k / $in_c % $kernel_w, ky = k / $kernel_row;\n"
    "        const int32_t iy = oy * $stride_h + ky * $dilation_h - $pad_top, "
    "ix = ox * $stride_w + kx * $dilation_w - $pad_left;\n"
    "        const int32_t inside = iy >= 0 && iy < $in_h && ix >= 0 && ix < $in_w;\n"
    "        [!chunked] (($element *)(void *)slot)[b] = inside && pixel < $pixels && "
    "ky < $kernel_h ? ((const $element *)in0)[((n * $in_h + iy) * $in_w + ix) * $in_c + c] : "
    "$zero;\n"
    "      [chunked] if (inside && pixel < $pixels && chunk < $chunks) {\n"
    "        [chunked] nib_copy16(slot, (const uint8_t *)in0 + ((int64_t)(n * $in_h + iy) * $in_w "
    "+ ix) * $pixel_bytes + chunk % $tap_chunks * 16, 16);\n"
    "      [chunked] } else {\n"
    "        [fills_zeros] nib_copy16(slot, in0, 0);\n"
    "        [fills_codes] for (int32_t b = 0; b < 4; ++b)\n"
    "          [fills_codes] ((uint32_t *)(void *)slot)[b] = $zero_codes;\n"
    "      }\n"
    "    }\n"
    "    stage += $row_bytes;\n"
    "    #pragma unroll\n"
    "    for (int32_t i = thread; i < $column_chunks; i += $threads) {\n"
    "      const int32_t r = i / 4, q = i % 4, chunk = next * 4 + q;\n"
    "      uint8_t *const slot = stage + r * 64 + (q ^ ((r >> 1) & 3)) * 16;\n"
    "      nib_copy16(slot, $weights + (int64_t)(column0 + r) * $weights_row + chunk * 16, 16);\n"
    "    }\n"
    "  }\n"
    "  nib_copy_commit();\n"
    "  if (step < 0)\n"
    "    continue;\n";

/* Fragments of a warp's rows and columns are matrices of 16 rows. Threads 8i to 8i + 7 point to
 * matrix i of an nib_ldmatrix4: rows first for A (low rows, high rows, then their second halves),
 * halves first for B. In the end sums go to shared memory, as [row][column]. */
static const char k_multiply[] =
    "  const uint8_t *const stage_a = nib_shared + step % 3 * $stage_bytes, "
    "*const stage_b = stage_a + $row_bytes;\n"
    "  #pragma unroll\n"
    "  for (int32_t k = 0; k < 2; ++k) {\n"
    "    uint32_t a[$across][4];\n"
    "    #pragma unroll\n"
    "    for (int32_t i = 0; i < $across; ++i) {\n"
    "      const int32_t r = warp_row + i * 16 + lane % 8 + (lane >> 3 & 1) * 8, "
    "q = k * 2 + (lane >> 4 & 1);\n"
    "      nib_ldmatrix4(a[i], stage_a + r * 64 + (q ^ ((r >> 1) & 3)) * 16);\n"
    "    }\n"
    "    uint32_t b[$along][4];\n"
    "    #pragma unroll\n"
    "    for (int32_t i = 0; i < $along; ++i) {\n"
    "      const int32_t r = warp_column + i * 16 + lane % 8 + (lane >> 4 & 1) * 8, "
    "q = k * 2 + (lane >> 3 & 1);\n"
    "      nib_ldmatrix4(b[i], stage_b + r * 64 + (q ^ ((r >> 1) & 3)) * 16);\n"
    "    }\n"
    "    #pragma unroll\n"
    "    for (int32_t i = 0; i < $across; ++i) {\n"
    "      #pragma unroll\n"
    "      for (int32_t j = 0; j < $eights; ++j)\n"
    "        nib_mma_$operand(sums[i][j], a[i], b[j / 2] + j % 2 * 2);\n"
    "    }\n"
    "  }\n"
    "}\n"
    "nib_copy_wait(0);\n"
    "nib_sync();\n"
    "$sum *const tile = ($sum *)(void *)nib_shared;\n"
    "#pragma unroll\n"
    "for (int32_t i = 0; i < $across; ++i) {\n"
    "  #pragma unroll\n"
    "  for (int32_t j = 0; j < $eights; ++j) {\n"
    "    #pragma unroll\n"
    "    for (int32_t e = 0; e < 4; ++e)\n"
    "      tile[(warp_row + i * 16 + lane / 4 + e / 2 * 8) * $pitch + warp_column + j * 8 + "
    "lane % 4 * 2 + e % 2] = sums[i][j][e];\n"
    "  }\n"
    "}\n"
    "nib_sync();\n"
    "for (int32_t i = thread; i < $outputs; i += $threads) {\n"
    "  const int32_t m = row0 + i / $columns, oc = column0 + i % $columns;\n"
    "  if (m >= $pixels || oc >= $channels)\n"
    "    continue;\n";

/* Names of what both say. */
static void name_sizes(const warp_gemm *m, nib_text *t) {
  const nib_conv_shape *s = &m->s;
  const int32_t rows = m->tile.rows, columns = m->tile.columns, bytes = m->p.bytes;
  const int32_t warp_rows = rows / m->tile.warps_m, warp_columns = columns / m->tile.warps_n;
  const uint32_t zero = m->p.is_float ? 0 : (uint32_t)nib_pack_zero(m->x) & 255;
  nib_text_set(t, "rows columns threads outputs", rows, columns, threads_of(m), rows * columns);
  nib_text_set(t, "warps_n warp_rows warp_columns", m->tile.warps_n, warp_rows, warp_columns);
  nib_text_set(t, "across along eights", warp_rows / 16, warp_columns / 16, warp_columns / 8);
  nib_text_set(t, "row_chunks column_chunks", rows * STAGE_CHUNKS, columns * STAGE_CHUNKS);
  nib_text_set(t, "row_bytes stage_bytes", rows * STAGE_BYTES, (rows + columns) * STAGE_BYTES);
  nib_text_set(t, "steps chunks tap_chunks pitch", m->steps, m->chunks, m->tap_chunks, pitch_of(m));
  nib_text_set(t, "chunked elements plane", m->chunked, CHUNK_BYTES / bytes, plane_elems(m));
  nib_text_set(t, "weights_row pixel_bytes", m->steps * STAGE_BYTES, s->in_c * bytes);
  nib_text_set(t, "pixels channels out_pixels", m->p.m, m->p.n, s->out_h * s->out_w);
  nib_text_set(t, "in_h in_w in_c out_h out_w", s->in_h, s->in_w, s->in_c, s->out_h, s->out_w);
  nib_text_set(t, "kernel_h kernel_w taps", s->kernel_h, s->kernel_w, s->kernel_h * s->kernel_w);
  nib_text_set(t, "kernel_row pad_top pad_left", s->in_c * s->kernel_w, s->pad_top, s->pad_left);
  nib_text_set(t, "stride_h stride_w", s->stride_h, s->stride_w);
  nib_text_set(t, "dilation_h dilation_w zero", s->dilation_h, s->dilation_w, zero);
  nib_text_set(t, "fills_zeros fills_codes", m->chunked && !zero, m->chunked && zero);
  nib_text_set_words(t, "zero_codes", "0x%08xu", zero * 0x01010101u);
  nib_text_set_words(t, "element", "uint%d_t", 8 * bytes);
  nib_text_set_words(t, "operand", "%s", m->p.type);
  nib_text_set_words(t, "sum", "%s", m->p.is_float ? "float" : "int32_t");
}

static void multiply(nib_direct *d, const nib_node *n) {
  warp_gemm m;
  describe(&m, d, n);
  name_sizes(&m, d->t);
  nib_text_set_words(d->t, "weights", "%s", pack_weights(&m).s);
  nib_text_block(d->t, k_load);
  nib_text_block(d->t, k_multiply);
  const ll columns = m.tile.columns, pitch = pitch_of(&m);
  nib_expr sum = nib_expr_printf("tile[i / %lld * %lld + i %% %lld]", columns, pitch, columns);
  nib_gemm_finish(d, n, &m.p, nib_gemm_start(d, n, &m.p).s, sum.s,
                  nib_expr_printf("m * %lld + oc", (ll)m.p.n).s, "oc");
  nib_text_block(d->t, "}\n");
  const int64_t stages = (int64_t)STAGES * (m.tile.rows + columns) * STAGE_BYTES;
  const int64_t tile = m.tile.rows * pitch * 4;
  *d->e->launch = (nib_launch){
      .grid = {ceil_div(m.p.m, m.tile.rows), ceil_div(m.p.n, columns)},
      .threads = threads_of(&m),
      .blocks_per_sm = threads_of(&m) > 128 ? 1 : 2,
      .shared_bytes = stages > tile ? stages : tile,
  };
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  return nib_direct_emit(e, k, multiply);
}

const nib_schedule nib_schedule_warp_gemm = {
    .name = "warp_gemm",
    .device = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
