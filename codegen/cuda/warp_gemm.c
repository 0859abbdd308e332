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
    const int64_t v = nib_gemm_weight(w, i);
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
        to[i] = (uint8_t)part_of(nib_gemm_weight(m->w, o * k + i), plane);
    }
  nib_expr packed = {""};
  if (data)
    packed = nib_direct_constant(m->d, "packed", "uint8_t", data, bytes);
  else
    nib_direct_fail(m->d, m->n, NIB_ERROR_OUT_OF_MEMORY, "out of memory for packed weights");
  free(data);
  return packed;
}

/* ---- the ring of stages ---- */

static int32_t threads_of(const warp_gemm *m) { return 32 * m->tile.warps_m * m->tile.warps_n; }

#define LL(x) ((long long)(x))

/* Opens a loop of this thread over the chunks of `rows` rows of a stage: row `r`, chunk `q` of it.
 */
static void open_chunks(const warp_gemm *m, int32_t rows) {
  nib_text *t = m->d->t;
  nib_text_open_unrolled(t, "for (int32_t i = thread; i < %d; i += %d) {", rows * STAGE_CHUNKS,
                         threads_of(m));
  nib_text_line(t, "const int32_t r = i / %d, q = i %% %d, chunk = next * %d + q;", STAGE_CHUNKS,
                STAGE_CHUNKS, STAGE_CHUNKS);
  nib_text_line(t, "uint8_t *const slot = stage + r * %d + (q ^ ((r >> 1) & 3)) * %d;", STAGE_BYTES,
                CHUNK_BYTES);
}

/* The pixel of row r: `n`, `oy`, `ox`. */
static void declare_pixel(const warp_gemm *m) {
  const nib_conv_shape *s = &m->s;
  nib_text_line(m->d->t,
                "const int32_t pixel = row0 + r, ox = pixel %% %lld, oy = pixel / %lld %% %lld, n "
                "= pixel / %lld;",
                LL(s->out_w), LL(s->out_w), LL(s->out_h), LL(s->out_h * s->out_w));
}

/* `iy` and `ix` of tap (ky, kx), and whether they are `inside` the input. */
static void declare_place(const warp_gemm *m) {
  const nib_conv_shape *s = &m->s;
  nib_text_line(
      m->d->t,
      "const int32_t iy = oy * %lld + ky * %lld - %lld, ix = ox * %lld + kx * %lld - %lld;",
      LL(s->stride_h), LL(s->dilation_h), LL(s->pad_top), LL(s->stride_w), LL(s->dilation_w),
      LL(s->pad_left));
  nib_text_line(m->d->t, "const int32_t inside = iy >= 0 && iy < %lld && ix >= 0 && ix < %lld;",
                LL(s->in_h), LL(s->in_w));
}

/* Outside the input is its zero point, which `initial` takes away again; past the last pixel or the
 * end of K, where weights or results do not count, anything. */
static void fill_slot(const warp_gemm *m) {
  nib_text *t = m->d->t;
  if (m->p.is_float || nib_gemm_zero(m->x) == 0) {
    nib_text_line(t, "nib_copy16(slot, in0, 0);");
    return;
  }
  const uint32_t byte = (uint32_t)nib_gemm_zero(m->x) & 255;
  nib_text_line(t, "for (int32_t b = 0; b < 4; ++b)");
  nib_text_line(t, "  ((uint32_t *)(void *)slot)[b] = 0x%08xu;", (unsigned)(byte * 0x01010101u));
}

static void stage_chunks(const warp_gemm *m) {
  nib_text *t = m->d->t;
  const nib_conv_shape *s = &m->s;
  const int64_t taps = s->kernel_h * s->kernel_w;
  nib_text_line(t, "const int32_t tap = chunk / %lld %% %lld, ky = tap / %lld, kx = tap %% %lld;",
                LL(m->tap_chunks), LL(taps), LL(s->kernel_w), LL(s->kernel_w));
  declare_pixel(m);
  declare_place(m);
  nib_text_open(t, "if (inside && pixel < %lld && chunk < %lld) {", LL(m->p.m), LL(m->chunks));
  nib_text_line(t,
                "nib_copy16(slot, (const uint8_t *)in0 + ((int64_t)(n * %lld + iy) * %lld + ix) * "
                "%lld + chunk %% %lld "
                "* %d, %d);",
                LL(s->in_h), LL(s->in_w), LL(s->in_c * m->p.bytes), LL(m->tap_chunks), CHUNK_BYTES,
                CHUNK_BYTES);
  nib_text_close(t, " else {");
  t->indent++;
  fill_slot(m);
  nib_text_close(t, "");
}

/* Element by element: K is taps x channels without gaps. */
static void stage_elements(const warp_gemm *m) {
  nib_text *t = m->d->t;
  const nib_conv_shape *s = &m->s;
  const char *type = m->p.bytes == 2 ? "uint16_t" : "uint8_t";
  const uint32_t fill = !m->p.is_float ? (uint32_t)nib_gemm_zero(m->x) & 255 : 0;
  declare_pixel(m);
  nib_text_open(t, "for (int32_t b = 0; b < %d; ++b) {", (int)(CHUNK_BYTES / m->p.bytes));
  nib_text_line(t,
                "const int32_t k = (chunk * %d + b) %% %lld, c = k %% %lld, kx = k / %lld %% %lld, "
                "ky = k / %lld;",
                (int)(CHUNK_BYTES / m->p.bytes), LL(plane_elems(m)), LL(s->in_c), LL(s->in_c),
                LL(s->kernel_w), LL(s->in_c * s->kernel_w));
  declare_place(m);
  nib_text_line(t,
                "((%s *)(void *)slot)[b] = inside && pixel < %lld && ky < %lld ? ((const %s "
                "*)in0)[((n * %lld + iy) * "
                "%lld + ix) * %lld + c] : %u;",
                type, LL(m->p.m), LL(s->kernel_h), type, LL(s->in_h), LL(s->in_w), LL(s->in_c),
                fill);
  nib_text_close(t, "");
}

static void load_stage(const warp_gemm *m, const char *weights) {
  nib_text *t = m->d->t;
  const int32_t a_bytes = m->tile.rows * STAGE_BYTES, b_bytes = m->tile.columns * STAGE_BYTES;
  nib_text_line(t, "const int32_t next = step + %d;", STAGES - 1);
  nib_text_open(t, "if (next < %lld) {", LL(m->steps));
  nib_text_line(t, "uint8_t *stage = nib_shared + next %% %d * %d;", STAGES, a_bytes + b_bytes);
  open_chunks(m, m->tile.rows);
  if (m->chunked)
    stage_chunks(m);
  else
    stage_elements(m);
  nib_text_close(t, "");
  nib_text_line(t, "stage += %d;", a_bytes);
  open_chunks(m, m->tile.columns);
  nib_text_line(t, "nib_copy16(slot, %s + (int64_t)(column0 + r) * %lld + chunk * %d, %d);",
                weights, LL(m->steps * STAGE_BYTES), CHUNK_BYTES, CHUNK_BYTES);
  nib_text_close(t, "");
  nib_text_close(t, "");
  nib_text_line(t, "nib_copy_commit();");
}

/* The fragments of a warp's rows or columns: `count` matrices of 16 rows. Threads 8i to 8i + 7
 * point to matrix i of an nib_ldmatrix4: rows first for A (low rows, high rows, then their second
 * halves), halves first for B. */
static void load_fragments(const warp_gemm *m, const char *name, int32_t count, const char *first,
                           bool is_a) {
  nib_text *t = m->d->t;
  (void)m;
  nib_text_line(t, "uint32_t %s[%d][4];", name, count);
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < %d; ++i) {", count);
  nib_text_line(t,
                "const int32_t r = %s + i * 16 + lane %% 8 + (lane >> %d & 1) * 8, q = k * 2 + "
                "(lane >> %d & 1);",
                first, is_a ? 3 : 4, is_a ? 4 : 3);
  nib_text_line(t, "nib_ldmatrix4(%s[i], stage_%s + r * %d + (q ^ ((r >> 1) & 3)) * %d);", name,
                name, STAGE_BYTES, CHUNK_BYTES);
  nib_text_close(t, "");
}

static void multiply_stage(const warp_gemm *m) {
  nib_text *t = m->d->t;
  const int32_t stage = (m->tile.rows + m->tile.columns) * STAGE_BYTES;
  const int32_t across = m->tile.rows / m->tile.warps_m / 16,
                along = m->tile.columns / m->tile.warps_n / 16;
  nib_text_line(
      t,
      "const uint8_t *const stage_a = nib_shared + step %% %d * %d, *const stage_b = stage_a + %d;",
      STAGES, stage, m->tile.rows * STAGE_BYTES);
  nib_text_open_unrolled(t, "for (int32_t k = 0; k < 2; ++k) {");
  load_fragments(m, "a", across, "warp_row", true);
  load_fragments(m, "b", along, "warp_column", false);
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < %d; ++i) {", across);
  nib_text_open_unrolled(t, "for (int32_t j = 0; j < %d; ++j)", along * 2);
  nib_text_line(t, "nib_mma_%s(sums[i][j], a[i], b[j / 2] + j %% 2 * 2);", m->p.type);
  t->indent--;
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* ---- the epilogue ---- */

/* Sums to shared memory, as [row][column]. */
static void spill_sums(const warp_gemm *m, int32_t pitch) {
  nib_text *t = m->d->t;
  const int32_t across = m->tile.rows / m->tile.warps_m / 16,
                along = m->tile.columns / m->tile.warps_n / 8;
  const char *type = !m->p.is_float ? "int32_t" : "float";
  nib_text_line(t, "nib_copy_wait(0);");
  nib_text_line(t, "nib_sync();");
  nib_text_line(t, "%s *const tile = (%s *)(void *)nib_shared;", type, type);
  nib_text_open_unrolled(t, "for (int32_t i = 0; i < %d; ++i) {", across);
  nib_text_open_unrolled(t, "for (int32_t j = 0; j < %d; ++j) {", along);
  nib_text_open_unrolled(t, "for (int32_t e = 0; e < 4; ++e)");
  nib_text_line(t,
                "tile[(warp_row + i * 16 + lane / 4 + e / 2 * 8) * %d + warp_column + j * 8 + lane "
                "%% 4 * 2 + e %% 2] = "
                "sums[i][j][e];",
                pitch);
  t->indent--;
  nib_text_close(t, "");
  nib_text_close(t, "");
  nib_text_line(t, "nib_sync();");
}

static void finish_tile(const warp_gemm *m, int32_t pitch) {
  nib_direct *d = m->d;
  nib_text *t = d->t;
  nib_text_open(t, "for (int32_t i = thread; i < %d; i += %d) {", m->tile.rows * m->tile.columns,
                threads_of(m));
  nib_text_line(t, "const int32_t m = row0 + i / %d, oc = column0 + i %% %d;", m->tile.columns,
                m->tile.columns);
  nib_text_line(t, "if (m >= %lld || oc >= %lld)", LL(m->p.m), LL(m->p.n));
  nib_text_line(t, "  continue;");
  nib_expr index = nib_expr_printf("m * %lld + oc", LL(m->p.n));
  nib_expr sum =
      nib_expr_printf("tile[i / %d * %d + i %% %d]", m->tile.columns, pitch, m->tile.columns);
  nib_gemm_finish(d, m->n, &m->p, nib_gemm_start(d, m->n, &m->p).s, sum.s, index.s, "oc");
  nib_text_close(t, "");
}

static void launch(const warp_gemm *m, int32_t pitch) {
  const int64_t stages = (int64_t)STAGES * (m->tile.rows + m->tile.columns) * STAGE_BYTES;
  const int64_t tile = (int64_t)m->tile.rows * pitch * 4;
  *m->d->e->launch = (nib_launch){
      .grid = {ceil_div(m->p.m, m->tile.rows), ceil_div(m->p.n, m->tile.columns)},
      .threads = threads_of(m),
      .blocks_per_sm = threads_of(m) > 128 ? 1 : 2,
      .shared_bytes = stages > tile ? stages : tile,
  };
}

static void multiply(nib_direct *d, const nib_node *n) {
  warp_gemm m;
  describe(&m, d, n);
  nib_text *t = d->t;
  nib_expr weights = pack_weights(&m);
  const int32_t rows = m.tile.rows / m.tile.warps_m, columns = m.tile.columns / m.tile.warps_n;
  nib_text_line(t, "const int32_t thread = nib_thread(), lane = nib_lane(), warp = nib_warp();");
  nib_text_line(t, "const int32_t row0 = nib_block_x() * %d, column0 = nib_block_y() * %d;",
                m.tile.rows, m.tile.columns);
  nib_text_line(t, "const int32_t warp_row = warp / %d * %d, warp_column = warp %% %d * %d;",
                m.tile.warps_n, rows, m.tile.warps_n, columns);
  nib_text_line(t, "%s sums[%d][%d][4] = {};", !m.p.is_float ? "int32_t" : "float", rows / 16,
                columns / 8);
  /* One wait and one barrier a step: a stage is filled again after the barrier that follows its
   * product. */
  nib_text_open(t, "for (int32_t step = -%d; step < %lld; ++step) {", STAGES - 1, LL(m.steps));
  nib_text_open(t, "if (step >= 0) {");
  nib_text_line(t, "nib_copy_wait(%d);", STAGES - 2);
  nib_text_line(t, "nib_sync();");
  nib_text_close(t, "");
  load_stage(&m, weights.s);
  nib_text_line(t, "if (step < 0)");
  nib_text_line(t, "  continue;");
  multiply_stage(&m);
  nib_text_close(t, "");
  const int32_t pitch = m.tile.columns + 4;
  spill_sums(&m, pitch);
  finish_tile(&m, pitch);
  launch(&m, pitch);
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
