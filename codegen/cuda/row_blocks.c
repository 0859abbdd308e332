/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * row_blocks: attention, norms and whatever else works row by row (schedule/row_plan.h) on CUDA. A
 * block of tile[1] threads takes tile[0] rows through all phases, with what is kept of them in
 * shared memory: a warp has each row, or, of one, the block; products are shared by all threads. */
#include "schedule/row_steps.h"

#include <string.h>

typedef long long ll;

/* Shared memory that every target has for a block, and what the joining of warps takes of it. */
enum { MOST_SHARED = 96 << 10, JOINING = 128 };

typedef struct row_block {
  nib_row_plan plan;
  nib_rows rows;
  int32_t threads;
  int64_t sums; /* offset of the parts of a product's sums */
  int64_t bytes;
  bool clipped; /* the last block of a matrix has fewer rows: `valid` */
} row_block;

/* Threads for each column of a product of `width` columns: 1, or a power of two. */
static int32_t parts_of(int32_t threads, int64_t width) {
  int32_t columns = 1;
  while (columns < width && columns < threads)
    columns *= 2;
  return threads / columns;
}

static bool plan_of(const nib_graph *g, const nib_kernel *k, row_block *b) {
  memset(b, 0, sizeof *b);
  if (!nib_row_plan_make(g, k, &b->plan) || b->plan.n_sums == 0)
    return false;
  const int32_t rows = k->tile[0] > 0 ? k->tile[0] : 1;
  b->threads = k->tile[1] > 0 ? k->tile[1] : 128;
  nib_rows_place(&b->rows, &b->plan, rows, b->threads > 32 * rows ? JOINING : 0);
  b->sums = b->bytes = b->rows.bytes;
  b->clipped = b->plan.n_products > 0 && b->plan.together % rows != 0;
  for (int32_t i = 0; i < b->plan.n_phases; ++i)
    if (b->plan.phases[i].kind == NIB_ROW_PRODUCT &&
        parts_of(b->threads, b->plan.phases[i].width) > 1)
      b->bytes = b->sums + (int64_t)rows * b->threads * (int64_t)sizeof(float);
  return b->bytes <= MOST_SHARED;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  row_block b;
  return !(v->requires_ & NIB_FEATURE_BIT(WGMMA)) && plan_of(g, k, &b);
}

/* Warps with a row each: as many as meet the same matrices; without products, the last may have
 * none. */
static int tiles(const nib_graph *g, const nib_kernel *k, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  static const int32_t shapes[][2] = {{8, 256}, {4, 128}, {2, 64}, {1, 128}, {1, 256}};
  row_block b;
  int n = 0;
  (void)v;
  nib_kernel trial = *k;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes && n < capacity; ++i) {
    memset(trial.tile, 0, sizeof trial.tile);
    trial.tile[0] = shapes[i][0];
    trial.tile[1] = shapes[i][1];
    if (plan_of(g, &trial, &b) && b.plan.together >= shapes[i][0])
      memcpy(out_tiles[n++], trial.tile, sizeof trial.tile);
  }
  return n > 0 ? n : nib_schedule_one_tile(g, k, v, out_tiles, capacity);
}

/* ---- products ---- */

static void say_products(row_block *b, const char *from, int32_t step, ll depth, ll width) {
  nib_direct *d = b->rows.d;
  nib_text_open(d->t, "for (int32_t k = %s; k < %lld; k += %d) {", from, depth, step);
  nib_text_line(d->t, "const float x = matrix[k * %lld + j];", width);
  for (int32_t i = 0; i < b->rows.block; ++i)
    nib_text_line(d->t, "acc%d += left%d[k] * x;", i, i);
  nib_text_close(d->t, "");
}

static void say_accumulators(row_block *b) {
  for (int32_t i = 0; i < b->rows.block; ++i)
    nib_text_line(b->rows.d->t, "float acc%d = 0.0f;", i);
}

/* Each thread has columns of its own. */
static void whole_columns(row_block *b, int32_t position, ll depth, ll width) {
  nib_direct *d = b->rows.d;
  nib_text_open(d->t, "for (int32_t j = nib_thread(); j < %lld; j += %d) {", width, b->threads);
  say_accumulators(b);
  say_products(b, "0", 1, depth, width);
  for (int32_t i = 0; i < b->rows.block; ++i) {
    nib_expr row = nib_expr_printf("(first + %d)", i), at = nib_expr_printf("%d", i);
    if (b->clipped && i > 0)
      nib_text_line(d->t, "if (%d < valid)", i);
    nib_text_line(d->t, "%s(%s)[j] = acc%d;", b->clipped && i > 0 ? "  " : "",
                  nib_rows_result(&b->rows, position, row.s, at.s).s, i);
  }
  nib_text_close(d->t, "");
}

/* Few columns: each has several threads, whose sums meet in shared memory. */
static void parts_of_columns(row_block *b, int32_t position, ll depth, ll width) {
  nib_direct *d = b->rows.d;
  const int32_t parts = parts_of(b->threads, width), columns = b->threads / parts;
  nib_text_line(d->t, "float *const sums = (float *)(void *)(nib_shared + %lld);", (ll)b->sums);
  nib_text_line(d->t, "const int32_t j = nib_thread() %% %d, part = nib_thread() / %d;", columns,
                columns);
  say_accumulators(b);
  nib_text_line(d->t, "if (j < %lld)", width);
  say_products(b, "part", parts, depth, width);
  for (int32_t i = 0; i < b->rows.block; ++i)
    nib_text_line(d->t, "sums[%d + nib_thread()] = acc%d;", i * b->threads, i);
  nib_text_line(d->t, "nib_sync();");
  nib_text_open(d->t, "for (int32_t i = nib_thread(); i < %s%lld; i += %d) {",
                b->clipped ? "valid * " : "", b->clipped ? width : b->rows.block * width,
                b->threads);
  nib_text_line(d->t, "const int32_t at = i / %lld, column = i %% %lld;", width, width);
  nib_text_line(d->t, "float sum = 0.0f;");
  nib_text_line(d->t, "for (int32_t p = 0; p < %d; ++p)", parts);
  nib_text_line(d->t, "  sum += sums[at * %d + p * %d + column];", b->threads, columns);
  nib_text_line(d->t, "(%s)[column] = sum;",
                nib_rows_result(&b->rows, position, "(first + at)", "at").s);
  nib_text_close(d->t, "");
}

static void say_product(row_block *b, int32_t position) {
  nib_direct *d = b->rows.d;
  const nib_node *n = &d->g->nodes[d->kernel->nodes[position]];
  const nib_tensor *a = nib_node_input(d->g, n, 0);
  const ll depth = (ll)a->dims[a->rank - 1], width = (ll)b->plan.width[position];
  nib_text_open(d->t, "{ /* matmul */");
  nib_text_line(d->t, "nib_sync();");
  for (int32_t i = 0; i < b->rows.block; ++i) {
    nib_expr at = nib_expr_printf(b->clipped && i > 0 ? "(%d < valid ? %d : 0)" : "%d", i, i);
    nib_expr row = nib_expr_printf("(first + %s)", at.s);
    nib_text_line(d->t, "const float *const left%d = %s;", i,
                  nib_rows_left(&b->rows, position, row.s, at.s).s);
  }
  nib_text_line(d->t, "const float *const matrix = %s;",
                nib_rows_matrix(&b->rows, position, "first").s);
  if (parts_of(b->threads, width) > 1)
    parts_of_columns(b, position, depth, width);
  else
    whole_columns(b, position, depth, width);
  nib_text_line(d->t, "nib_sync();");
  nib_text_close(d->t, "");
}

/* ---- the kernel ---- */

/* Which rows are the block's, and which is the warp's. */
static void say_rows(row_block *b) {
  nib_text *t = b->rows.d->t;
  const int32_t rows = b->rows.block;
  const ll together = (ll)b->plan.together, blocks = (together + rows - 1) / rows;
  if (b->clipped) {
    nib_text_line(t, "const int32_t base = nib_block_x() / %lld * %lld;", blocks, together);
    nib_text_line(t, "const int32_t first = base + nib_block_x() %% %lld * %d;", blocks, rows);
    nib_text_line(t, "const int32_t there = base + %lld - first, valid = there < %d ? there : %d;",
                  together, rows, rows);
  } else {
    nib_text_line(t, "const int32_t first = nib_block_x() * %d;", rows);
  }
  if (rows > 1)
    nib_text_line(t, "const int32_t r = nib_warp();");
  nib_text_line(t, "const int32_t row = first%s;", rows > 1 ? " + r" : "");
  nib_text_line(t, "(void)row;");
  if (b->clipped || b->plan.rows % rows == 0)
    return;
  nib_text_line(t, "if (row >= %lld) /* no phase meets the other warps */", (ll)b->plan.rows);
  nib_text_line(t, "  return;");
}

static void write(nib_direct *d, void *user) {
  row_block *b = user;
  b->rows.d = d;
  nib_rows_declare(&b->rows, "nib_shared");
  say_rows(b);
  for (int32_t i = 0; i < b->plan.n_phases; ++i) {
    const bool product = b->plan.phases[i].kind == NIB_ROW_PRODUCT;
    if (product) {
      say_product(b, b->plan.phases[i].items[0].position);
      continue;
    }
    if (b->clipped) /* a warp as a whole, which meets no other here */
      nib_text_open(d->t, "if (r < valid) {");
    nib_rows_phase(&b->rows, i);
    if (b->clipped)
      nib_text_close(d->t, "");
  }
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) {
  row_block b;
  if (!plan_of(e->graph, k, &b))
    return nib_diag_error(e->diag, NIB_ERROR_INTERNAL, "kernel '%s' has no rows", k->name);
  const int64_t together = b.clipped ? b.plan.together : b.plan.rows;
  const int64_t blocks = (together + b.rows.block - 1) / b.rows.block;
  *e->launch = (nib_launch){
      .grid = {b.plan.rows / together * blocks}, .threads = b.threads, .shared_bytes = b.bytes};
  nib_direct_grid grid = {.lanes = b.threads / b.rows.block};
  return nib_direct_emit_body(e, k, &grid, write, &b);
}

const nib_schedule nib_schedule_row_blocks = {
    .name = "row_blocks",
    .device = true,
    .by_rows = true,
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
