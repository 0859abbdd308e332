/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * transpose_tiles: transposes whose innermost dimension goes elsewhere. A register is parts of 16
 * bytes; as many registers as a part has elements are a tile, of which each part is transposed by
 * interleaving whole registers. Either the parts are read apart, rows of the operand, and results
 * stored as they are (TALL), or rows are read as they are and the parts of results stored apart
 * (WIDE). The last tiles along a dimension begin where they still fit, and copy some elements
 * twice. */
#include "epilogue/say.h"
#include "schedule/copy_box.h"

#include <string.h>

typedef long long ll;

enum { PART_BYTES = 16, MOST_BYTES = 8 };
/* Lines of the first level of caches that are so far apart share a set, which has room for a few.
 */
enum { SET_STRIDE = 4096, MOST_OF_SET = 24 };
/* Bytes of a row that are brought near, or of a result that are collected, and the step of that. */
enum { NEAR_BYTES = 256, COLLECTED_BYTES = 512, LINE = 64 };

/* The dimension that is innermost in the result, and the one that is in the operand. */
typedef struct plan {
  nib_copy_box box;               /* others alone; strides in elements */
  int64_t bytes;                  /* of an element */
  int64_t rows, row_stride;       /* innermost in the result; in the operand */
  int64_t columns, column_stride; /* innermost in the operand; in the result */
  int64_t width, parts;           /* elements of a part; parts of a register */
  bool tall;
  /* Rows of a block that is read from the cache sets of a few lines come near first; results that
   * would go there are collected; where both would be, whole lines are read in turns. */
  bool brings, collects, by_lines;
  int64_t tiles; /* of a block, along that dimension */
} plan;

/* A few bytes that stay together are one element. */
static void widen_elements(plan *p) {
  nib_copy_box *b = &p->box;
  const int32_t last = b->rank - 1;
  if (b->rank == 0 || b->from_stride[last] != 1 || b->to_stride[last] != 1)
    return;
  const int64_t size = b->dims[last];
  p->bytes *= size;
  nib_copy_box_take_out(b, last);
  for (int32_t i = 0; i < b->rank; ++i) {
    b->from_stride[i] /= size;
    b->to_stride[i] /= size;
  }
}

static bool find_dims(plan *p) {
  nib_copy_box *b = &p->box;
  const int32_t last = b->rank - 1;
  if (b->rank < 2 || b->to_stride[last] != 1)
    return false;
  p->rows = b->dims[last];
  p->row_stride = b->from_stride[last];
  nib_copy_box_take_out(b, last);
  for (int32_t i = 0; i < b->rank; ++i) {
    if (b->from_stride[i] != 1)
      continue;
    p->columns = b->dims[i];
    p->column_stride = b->to_stride[i];
    nib_copy_box_take_out(b, i);
    return true;
  }
  return false;
}

/* Whether lines `stride` bytes apart are in few sets, and how many of `n` in each. */
static int64_t lines_of_set(int64_t n, int64_t stride) {
  int64_t apart = SET_STRIDE;
  while (stride % apart != 0)
    apart /= 2;
  return n * apart / SET_STRIDE;
}

static void plan_block(plan *p) {
  const int64_t rows = p->width * p->parts;
  const int64_t from = p->row_stride * p->bytes, to = p->column_stride * p->bytes;
  const bool reads_apart = from % (SET_STRIDE / 2) != 0, writes_apart = to % (SET_STRIDE / 2) != 0;
  p->brings = p->tall && writes_apart && lines_of_set(rows, from) > MOST_OF_SET &&
              p->columns * p->bytes >= NEAR_BYTES;
  p->collects = p->tall && reads_apart && !writes_apart && !p->brings &&
                p->rows * p->bytes >= COLLECTED_BYTES;
  p->by_lines = p->tall && !reads_apart && !writes_apart && p->columns * p->bytes >= LINE;
  p->tiles = p->by_lines   ? LINE / PART_BYTES
             : p->brings   ? NEAR_BYTES / PART_BYTES
             : p->collects ? COLLECTED_BYTES / (rows * p->bytes)
                           : 1;
}

static bool plan_of(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v, plan *p) {
  static const nib_prim prims[] = {NIB_PRIM_ZIP_LOW,     NIB_PRIM_ZIP_HIGH,   NIB_PRIM_PARTS_LOAD,
                                   NIB_PRIM_PARTS_STORE, NIB_PRIM_BYTES_LOAD, NIB_PRIM_BYTES_STORE};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  if (kernel->n_nodes != 1 || n->op != NIB_OP_TRANSPOSE || x->data || !v->type_bytes ||
      !nib_vocab_has(v, prims, sizeof prims / sizeof *prims))
    return false;
  memset(p, 0, sizeof *p);
  p->bytes = (int64_t)nib_format_bytes(y->format);
  const int64_t all = nib_tensor_elems(y) * p->bytes;
  if (all == 0 || all != (int64_t)nib_tensor_bytes(y) || all > INT32_MAX)
    return false;
  nib_copy_box_transpose(g, n, &p->box);
  nib_copy_box_simplify(&p->box);
  widen_elements(p);
  if (p->bytes > MOST_BYTES || (p->bytes & (p->bytes - 1)) != 0 || !find_dims(p))
    return false;
  p->width = PART_BYTES / p->bytes;
  p->parts = 4 * v->lanes / PART_BYTES;
  const int64_t whole = p->width * p->parts;
  p->tall = p->rows >= whole && p->columns >= p->width;
  plan_block(p);
  return p->tall || (p->rows >= p->width && p->columns >= whole);
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  plan p;
  return plan_of(g, kernel, v, &p);
}

/* ---- one tile ---- */

static nib_word register_of(int stage, int64_t i) {
  return nib_word_of("%c%lld", 'p' + stage, (ll)i);
}

/* From registers, one for each element of a part, to as many: each stage brings the upper half
 * between the lower, so that after all of them registers and places have changed their meaning. */
static int say_stages(nib_emitter *e, const plan *p) {
  const nib_word bits = nib_word_of("%lld", (ll)(8 * p->bytes));
  int stage = 0;
  for (int64_t left = p->width; left > 1; left /= 2, ++stage) {
    const int64_t half = p->width / 2;
    for (int64_t i = 0; i < p->width; ++i)
      nib_text_line(e->body, "%s %s;", e->vocab->type_bytes, register_of(stage + 1, i).s);
    for (int64_t i = 0; i < p->width; ++i)
      nib_say(e, i % 2 ? NIB_PRIM_ZIP_HIGH : NIB_PRIM_ZIP_LOW, register_of(stage + 1, i).s,
              register_of(stage, i / 2).s, register_of(stage, i / 2 + half).s, NULL, bits.s);
  }
  return stage;
}

/* Bytes from one row that is brought near to the next, or from one column that is collected. */
static int64_t near_stride(const plan *p) {
  return (p->brings ? NEAR_BYTES : COLLECTED_BYTES) + LINE;
}

/* From pointer `from` to pointer `to`, rows and columns of which are so many bytes apart. */
static void say_tile(nib_emitter *e, const plan *p, const char *from, int64_t from_row,
                     const char *to, int64_t to_row) {
  const nib_word from_part = nib_word_of("%lld", (ll)(from_row * p->width));
  const nib_word to_part = nib_word_of("%lld", (ll)(to_row * p->width));
  for (int64_t i = 0; i < p->width; ++i) {
    nib_text_line(e->body, "%s %s;", e->vocab->type_bytes, register_of(0, i).s);
    const nib_word at = nib_word_of("%s + %lld", from, (ll)(from_row * i));
    nib_say(e, p->tall ? NIB_PRIM_PARTS_LOAD : NIB_PRIM_BYTES_LOAD, register_of(0, i).s, at.s,
            p->tall ? from_part.s : NULL, NULL, NULL);
  }
  const int last = say_stages(e, p);
  for (int64_t i = 0; i < p->width; ++i) {
    const nib_word at = nib_word_of("%s + %lld", to, (ll)(to_row * i));
    nib_say(e, p->tall ? NIB_PRIM_BYTES_STORE : NIB_PRIM_PARTS_STORE, NULL, at.s,
            register_of(last, i).s, p->tall ? NULL : to_part.s, NULL);
  }
}

/* Copies `n` rows of `bytes`, a multiple of a register's. */
static void say_rows(nib_emitter *e, int64_t n, int64_t bytes, const char *from, int64_t from_row,
                     const char *to, int64_t to_row) {
  const ll step = 4 * (ll)e->vocab->lanes;
  nib_text_open(e->body, "for (int32_t k = 0; k < %lld; ++k) {", (ll)n);
  nib_text_open(e->body, "for (int32_t at = 0; at < %lld; at += %lld) {", (ll)bytes, step);
  nib_text_line(e->body, "%s line;", e->vocab->type_bytes);
  nib_say(e, NIB_PRIM_BYTES_LOAD, "line", nib_word_of("%s + k * %lld + at", from, (ll)from_row).s,
          NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_STORE, NULL, nib_word_of("%s + k * %lld + at", to, (ll)to_row).s,
          "line", NULL, NULL);
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

static void say_block(nib_emitter *e, const plan *p) {
  const int64_t from_row = p->row_stride * p->bytes, to_row = p->column_stride * p->bytes;
  const int64_t near_row = near_stride(p), rows = p->width * p->parts;
  if (p->tiles == 1) {
    say_tile(e, p, "from", from_row, "to", to_row);
    return;
  }
  if (p->brings)
    say_rows(e, rows, NEAR_BYTES, "from", from_row, "scratch", near_row);
  nib_text_open(e->body, "for (int32_t k = 0; k < %lld; ++k) {", (ll)p->tiles);
  if (!p->collects)
    say_tile(e, p, nib_word_of("%s + k * %d", p->brings ? "scratch" : "from", PART_BYTES).s,
             p->brings ? near_row : from_row,
             nib_word_of("to + k * %lld", (ll)(to_row * p->width)).s, to_row);
  else
    say_tile(e, p, nib_word_of("from + k * %lld", (ll)(from_row * rows)).s, from_row,
             nib_word_of("scratch + k * %lld", (ll)(rows * p->bytes)).s, near_row);
  nib_text_close(e->body, "");
  if (p->collects)
    say_rows(e, p->width, COLLECTED_BYTES, "scratch", near_row, "to", to_row);
}

/* ---- loops ---- */

static int64_t blocks_of(int64_t size, int64_t step) { return (size + step - 1) / step; }

/* Declares `name`, the first element of tile `var`. */
static void say_first(nib_emitter *e, const char *name, const char *var, int64_t size,
                      int64_t step) {
  if (size % step == 0)
    nib_text_line(e->body, "const int32_t %s = %s * %lld;", name, var, (ll)step);
  else
    nib_text_line(e->body, "const int32_t %s = %s < %lld ? %s * %lld : %lld;", name, var,
                  (ll)(size / step), var, (ll)step, (ll)(size - step));
}

static nib_word index_of(const plan *p, const int64_t *strides, const char *row, int64_t row_stride,
                         const char *column, int64_t column_stride) {
  nib_word sum = {""};
  for (int32_t i = 0; i < p->box.rank; ++i)
    sum = nib_word_of("%s%c * %lld + ", sum.s, 'a' + i, (ll)(strides[i] * p->bytes));
  return nib_word_of("%s%s * %lld + %s * %lld", sum.s, row, (ll)(row_stride * p->bytes), column,
                     (ll)(column_stride * p->bytes));
}

static int64_t block_rows(const plan *p) {
  return p->width * (p->tall ? p->parts : 1) * (p->collects ? p->tiles : 1);
}

static int64_t block_columns(const plan *p) {
  return p->width * (p->tall ? 1 : p->parts) * (p->brings || p->by_lines ? p->tiles : 1);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  plan p;
  if (!plan_of(e->graph, kernel, e->vocab, &p))
    return nib_diag_error(e->diag, NIB_ERROR_INTERNAL, "kernel '%s' has no tiles", kernel->name);
  const int64_t rows = block_rows(&p), columns = block_columns(&p);
  nib_text_line(e->body, "/* blocks of %lld x %lld elements of %lld bytes */", (ll)rows,
                (ll)columns, (ll)p.bytes);
  for (int32_t i = 0; i < p.box.rank; ++i)
    nib_emitter_open_loop(e, nib_word_of("%c", 'a' + i).s, p.box.dims[i], e->cut && i == 0);
  for (int turn = 0; turn < 2; ++turn) {
    const bool by_row = (turn == 0) != p.by_lines;
    nib_emitter_open_loop(e, by_row ? "i" : "j",
                          by_row ? blocks_of(p.rows, rows) : blocks_of(p.columns, columns),
                          e->cut && p.box.rank == 0 && turn == 0);
    if (by_row)
      say_first(e, "row", "i", p.rows, rows);
    else
      say_first(e, "column", "j", p.columns, columns);
  }
  nib_text_line(e->body, "const uint8_t *const from = (const uint8_t *)in0 + %s;",
                index_of(&p, p.box.from_stride, "row", p.row_stride, "column", 1).s);
  nib_text_line(e->body, "uint8_t *const to = (uint8_t *)out + %s;",
                index_of(&p, p.box.to_stride, "row", 1, "column", p.column_stride).s);
  say_block(e, &p);
  for (int32_t i = 0; i < p.box.rank + 2; ++i)
    nib_text_close(e->body, "");
  return e->body->failed ? nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory")
                         : NIB_OK;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  plan p;
  if (!plan_of(g, kernel, v, &p) || (!p.brings && !p.collects))
    return 0;
  return near_stride(&p) * (p.brings ? p.width * p.parts : p.width);
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  plan p;
  if (!plan_of(g, kernel, v, &p))
    return 1;
  if (p.box.rank > 0)
    return p.box.dims[0];
  return p.by_lines ? blocks_of(p.columns, block_columns(&p)) : blocks_of(p.rows, block_rows(&p));
}

const nib_schedule nib_schedule_transpose_tiles = {
    .name = "transpose_tiles",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};
