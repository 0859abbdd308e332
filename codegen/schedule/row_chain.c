/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * row_chain: convolutions in a row as one kernel. Each stage writes its rows into a ring as high as
 * the next one's window; before a stage's step, the one before it is run until the rows that the
 * step reads are there. So what is between the stages stays in the nearest caches and takes no
 * arena, no row is computed twice, and the loops are those of the stages' own schedules. */
#include "schedule/row_chain.h"

#include "emit/snippets.h"
#include "epilogue/say.h"
#include "pack/pack.h"
#include "params/params.h"

#include <stdio.h>
#include <string.h>

typedef long long ll;

enum { most_inputs = 2 * 16, slack = 64 /* what vectors read past a row */ };

static const nib_row_stage *const row_stages[] = {&nib_row_stage_quads, &nib_row_stage_depthwise,
                                                  &nib_row_stage_conv, &nib_row_stage_pool};

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- stages ---- */

static bool starts_stage(const nib_graph *g, int32_t node) {
  const nib_op op = g->nodes[node].op;
  return op == NIB_OP_CONV2D || op == NIB_OP_DEPTHWISE_CONV2D || op == NIB_OP_FULLY_CONNECTED ||
         op == NIB_OP_AVG_POOL2D || op == NIB_OP_MAX_POOL2D;
}

/* Whether all that `stage` reads is one tensor. */
static bool reads_one(const nib_graph *g, const nib_kernel *stage) {
  int32_t inputs[most_inputs];
  return nib_kernel_inputs(g, stage, inputs, most_inputs) == 1;
}

bool nib_chain_cut(const nib_graph *g, const nib_kernel *kernel, nib_chain *out) {
  memset(out, 0, sizeof *out);
  for (int32_t i = 0; i < kernel->n_nodes; i++) {
    const bool starts = starts_stage(g, kernel->nodes[i]);
    if (starts && out->n == NIB_MAX_CHAIN)
      return false;
    if (starts)
      out->stages[out->n++].kernel =
          (nib_kernel){.name = kernel->name, .nodes = kernel->nodes + i, .scratch_offset = -1};
    if (out->n == 0)
      return false;
    out->stages[out->n - 1].kernel.n_nodes++;
  }
  for (int i = 0; i < out->n; i++) {
    const nib_kernel *k = &out->stages[i].kernel;
    if (i > 0 && g->nodes[k->nodes[0]].in[0] != nib_kernel_output(g, &out->stages[i - 1].kernel))
      return false;
    if (i + 1 < out->n && !reads_one(g, k))
      return false;
  }
  return out->n >= 2;
}

static bool is_dense(const nib_node *n) { return n->op == NIB_OP_FULLY_CONNECTED; }

/* Rows of a stage's result, and pixels of a row; false where there is a batch of images. Rows of
 * fully connected are of one pixel each. */
static bool size_of(const nib_graph *g, const nib_node *n, int64_t *out_h, int64_t *out_w) {
  const nib_tensor *y = &g->tensors[n->out];
  const bool dense = is_dense(n);
  if (!dense && (y->rank != 4 || y->dims[0] != 1))
    return false;
  if (dense) {
    nib_conv_shape s;
    nib_params_conv_shape(g, n, &s);
    *out_h = s.out_w;
    *out_w = 1;
  } else {
    *out_h = y->dims[1];
    *out_w = y->dims[2];
  }
  return *out_h >= (dense ? 2 : 1);
}

/* Rows that a pointwise step takes: enough pixels for the weights that it walks. */
static int64_t rows_of_step(int64_t height, int64_t wanted) {
  return least(wanted > 0 ? wanted : 1, height);
}

static bool choose_stage(const nib_graph *g, const nib_vocab *v, int64_t rows, nib_chain_stage *s) {
  int64_t height, width;
  if (!size_of(g, &g->nodes[s->kernel.nodes[0]], &height, &width))
    return false;
  for (size_t i = 0; i < sizeof row_stages / sizeof *row_stages; i++) {
    const nib_row_stage *row = row_stages[i];
    int32_t tiles[1][NIB_MAX_TILE];
    s->kernel.tile[2] =
        (int32_t)(row == &nib_row_stage_conv ? rows_of_step(height, rows) * width : 0);
    if (!row->schedule->accepts(g, &s->kernel, v) || !row->shape(g, &s->kernel, v, &s->shape))
      continue;
    const int32_t pixels = s->kernel.tile[2];
    row->schedule->tiles(g, &s->kernel, v, tiles, 1);
    memcpy(s->kernel.tile, tiles[0], sizeof tiles[0]);
    s->kernel.tile[2] = pixels;
    s->row = row;
    return true;
  }
  return false;
}

/* Rows of the buffer between two stages: those that a step of the second reads, and those that the
 * first writes more than that because its steps are of several rows. */
static int64_t ring_rows(const nib_row_shape *from, const nib_row_shape *to, bool last) {
  const bool even =
      to->pad == 0 && to->span % from->rows == 0 && to->rows * to->stride % from->rows == 0;
  /* The last rows of an odd height come twice, but those of pointwise steps. */
  const int64_t again =
      last && !to->pointwise && to->out_h % to->rows ? (to->rows - 1) * to->stride : 0;
  const int64_t rows = even && !again ? to->span : to->span + again + from->rows - 1;
  const int64_t unit = to->pointwise ? round_up(to->rows, from->rows) : from->rows;
  const int64_t all = round_up(from->out_h, unit);
  return least(round_up(rows, unit), all);
}

static int64_t row_bytes(const nib_graph *g, const nib_chain_stage *s) {
  const nib_tensor *y = &g->tensors[nib_kernel_output(g, &s->kernel)];
  return s->shape.out_w * y->dims[y->rank - 1] * (int64_t)nib_format_bytes(y->format);
}

bool nib_chain_open(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                    nib_chain *out) {
  if (!nib_chain_cut(g, kernel, out))
    return false;
  for (int i = 0; i < out->n; i++) {
    nib_chain_stage *s = &out->stages[i];
    if (!choose_stage(g, v, kernel->tile[0], s))
      return false;
    snprintf(s->name, sizeof s->name, "%.80s_%d", kernel->name ? kernel->name : "", i);
    s->kernel.name = s->name;
    s->scratch_bytes = s->row->schedule->scratch_bytes(g, &s->kernel, v);
    s->scratch = out->scratch_bytes;
    out->scratch_bytes += round_up(s->scratch_bytes, 64);
  }
  for (int i = 0; i + 1 < out->n; i++) {
    nib_chain_stage *s = &out->stages[i];
    const nib_row_shape *to = &out->stages[i + 1].shape;
    if (to->in_h != s->shape.out_h) /* pixels of an image, to fully connected */
      return false;
    /* Rows as one are next to one another only where the ring is a multiple of them. */
    if (to->pointwise && to->rows % s->shape.rows && s->shape.rows % to->rows)
      return false;
    s->ring = ring_rows(&s->shape, to, i + 2 == out->n);
    s->buffer = out->scratch_bytes;
    out->scratch_bytes += round_up(s->ring * row_bytes(g, s) + slack, 64);
  }
  return true;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_chain c;
  return v->lanes > 1 && nib_chain_open(g, kernel, v, &c);
}

static int64_t weight_bytes(const nib_graph *g, const nib_chain *c) {
  int64_t bytes = 0;
  for (int i = 0; i < c->n; i++) {
    const nib_tensor *w = nib_node_input(g, &g->nodes[c->stages[i].kernel.nodes[0]], 1);
    bytes += w ? (int64_t)nib_tensor_bytes(w) : 0;
  }
  return bytes;
}

/* Rows of fully connected layers at once: in buffers of no more bytes than the weights that each
 * step reads. */
static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  enum { enough_pixels = 48, most = 4 };
  nib_chain c;
  int64_t height, width;
  if (!nib_chain_cut(g, kernel, &c) ||
      !size_of(g, &g->nodes[c.stages[c.n - 1].kernel.nodes[0]], &height, &width))
    return 0;
  const bool dense = is_dense(&g->nodes[c.stages[c.n - 1].kernel.nodes[0]]);
  const int32_t least_rows = (int32_t)(dense ? least(height, NIB_ROW_UNIT) : 1);
  int n = 0;
  for (int32_t rows = least_rows; n < capacity && n < most; rows *= 2) {
    nib_kernel trial = *kernel;
    if (rows > least_rows && (rows > height || (!dense && rows / 2 * width >= enough_pixels * 2)))
      break;
    trial.tile[0] = rows;
    if (!nib_chain_open(g, &trial, v, &c))
      continue;
    if (dense && n > 0 && c.scratch_bytes > weight_bytes(g, &c))
      break;
    memset(out_tiles[n], 0, sizeof out_tiles[n]);
    out_tiles[n++][0] = rows;
  }
  return n;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_chain c;
  return nib_chain_open(g, kernel, v, &c) ? c.scratch_bytes : 0;
}

static int64_t steps_of(const nib_row_shape *s) { return (s->out_h + s->rows - 1) / s->rows; }

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_chain c;
  if (!nib_chain_open(g, kernel, v, &c))
    return 1;
  const nib_row_shape *last = &c.stages[c.n - 1].shape;
  /* Steps that overlap write the same rows. */
  return !last->pointwise && last->out_h % last->rows ? 1 : steps_of(last);
}

/* Of each stage the most steps that any of `parts` parts runs. At their borders both run the rows
 * that the next stage's windows share. */
static void count_part_steps(const nib_chain *c, int64_t parts, int64_t *out_steps) {
  const int64_t all = steps_of(&c->stages[c->n - 1].shape);
  memset(out_steps, 0, (size_t)c->n * sizeof *out_steps);
  for (int64_t part = 0; part < parts; part++) {
    const nib_row_shape *to = &c->stages[c->n - 1].shape;
    int64_t steps = all * (part + 1) / parts - all * part / parts;
    int64_t top = all * part / parts * to->rows;
    for (int i = c->n - 1;; i--) {
      out_steps[i] = steps > out_steps[i] ? steps : out_steps[i];
      if (i == 0)
        break;
      const nib_row_shape *from = &c->stages[i - 1].shape;
      const int64_t end =
          least((top + (steps - 1) * to->rows) * to->stride - to->pad + to->span, from->out_h);
      const int64_t first = top * to->stride - to->pad;
      top = first > 0 ? first / from->rows * from->rows : 0;
      steps = (end - top + from->rows - 1) / from->rows;
      to = from;
    }
  }
}

static int stages(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                  nib_kernel_stage *out_stages, int capacity) {
  nib_chain c;
  int64_t part_steps[NIB_MAX_CHAIN];
  if (!nib_chain_open(g, kernel, v, &c) || c.n > capacity)
    return 0;
  count_part_steps(&c, kernel->parts > 1 ? kernel->parts : 1, part_steps);
  for (int i = 0; i < c.n; i++) {
    const nib_chain_stage *s = &c.stages[i];
    nib_kernel_stage *out = &out_stages[i];
    *out = (nib_kernel_stage){.kernel = s->kernel,
                              .steps = steps_of(&s->shape),
                              .part_steps = part_steps[i],
                              .buffer_bytes = s->ring * row_bytes(g, s),
                              .rereads = s->shape.pointwise};
    out->kernel.name = kernel->name;
    out->kernel.schedule = s->row->schedule->name;
    out->kernel.vocab = v->name;
    out->kernel.scratch_bytes = s->scratch_bytes;
  }
  return c.n;
}

/* ---- emission ---- */

typedef struct row_chain {
  nib_emitter *e;
  const nib_kernel *kernel;
  nib_chain chain;
  void *states[NIB_MAX_CHAIN];
  bool cut;
} row_chain;

static const char *result_type(const row_chain *r, int i) {
  const nib_graph *g = r->e->graph;
  return nib_format_get(g->tensors[nib_kernel_output(g, &r->chain.stages[i].kernel)].format)
      ->c_type;
}

/* The names that stage i's schedule knows: in0 and its other operands, out and scratch. */
static void emit_names(const row_chain *r, int i) {
  const nib_chain_stage *s = &r->chain.stages[i];
  const nib_graph *g = r->e->graph;
  nib_text *body = r->e->body;
  if (s->scratch_bytes > 0)
    nib_text_line(body, "uint8_t *const scratch = buffers + %lld;", (ll)s->scratch);
  if (s->ring > 0)
    nib_text_line(body, "%s *const out = rows_%d;", result_type(r, i), i);
  if (i == 0)
    return;
  int32_t own[most_inputs], all[most_inputs];
  const int32_t n_own = nib_kernel_inputs(g, &s->kernel, own, most_inputs);
  const int32_t n_all = nib_kernel_inputs(g, r->kernel, all, most_inputs);
  for (int32_t k = n_own - 1; k > 0;
       k--) /* the last first: each from one of an equal or smaller number */
    for (int32_t j = 0; j < n_all; j++)
      if (all[j] == own[k] && j != k)
        nib_text_line(body, "const %s *const in%d = in%d;",
                      nib_format_get(g->tensors[own[k]].format)->c_type, k, j);
  nib_text_line(body, "const %s *const in0 = rows_%d;", result_type(r, i - 1), i - 1);
}

static void emit_stage(const row_chain *r, int i);

/* Rows of stage i's result until all that the step at `top` of the next one reads are there. */
static void emit_pull(const row_chain *r, int i) {
  const nib_row_shape *from = &r->chain.stages[i].shape, *to = &r->chain.stages[i + 1].shape;
  nib_text *body = r->e->body;
  const bool again = i + 2 == r->chain.n && !to->pointwise && to->out_h % to->rows;
  const ll last = (ll)(to->out_h - to->rows);
  const nib_word top =
      again ? nib_word_of("(top < %lld ? top : %lld)", last, last) : nib_word_of("top");
  const ll behind = (ll)(to->span - to->pad);
  nib_text_line(body, "int32_t need_%d = %s * %lld + %lld;", i, top.s, (ll)to->stride, behind);
  nib_text_line(body, "need_%d = need_%d < %lld ? need_%d : %lld;", i, i, (ll)from->out_h, i,
                (ll)from->out_h);
  if (r->cut) {
    nib_text_line(body, "const int32_t first_%d = (%s * %lld - %lld) / %lld * %lld;", i, top.s,
                  (ll)to->stride, (ll)to->pad, (ll)from->rows, (ll)from->rows);
    nib_text_line(body, "done_%d = done_%d < first_%d ? first_%d : done_%d;", i, i, i, i, i);
  }
  nib_text_open(body, "for (; done_%d < need_%d; done_%d += %lld) {", i, i, i, (ll)from->rows);
  nib_text_line(body, "const int32_t top = done_%d;", i);
  emit_stage(r, i);
  nib_text_close(body, "");
}

/* The step of stage i at `top`. */
static void emit_stage(const row_chain *r, int i) {
  const nib_chain_stage *s = &r->chain.stages[i];
  nib_text *body = r->e->body;
  if (i > 0)
    emit_pull(r, i - 1);
  nib_text_open(body, "{ /* %s */",
                nib_op_get(r->e->graph->nodes[s->kernel.nodes[0]].op)->mnemonic);
  emit_names(r, i);
  if (s->shape.counts)
    nib_text_line(body, "int32_t next = next_%d;", i);
  s->row->emit_step(r->states[i]);
  if (s->shape.counts)
    nib_text_line(body, "next_%d = next;", i);
  nib_text_close(body, "");
}

static void emit_begin(const row_chain *r) {
  nib_text *body = r->e->body;
  nib_text_line(body, "/* %s: %d operators, row by row */", r->kernel->name, r->chain.n);
  nib_text_line(body, "uint8_t *const buffers = scratch;");
  for (int i = 0; i < r->chain.n; i++) {
    const nib_chain_stage *s = &r->chain.stages[i];
    if (s->shape.counts)
      nib_text_line(body, "int32_t next_%d = 0; /* input row to stage, counted from the padding */",
                    i);
    if (s->ring > 0) {
      nib_text_line(body,
                    "%s *const rows_%d = (%s *)(void *)(buffers + %lld); /* %lld rows, a ring */",
                    result_type(r, i), i, result_type(r, i), (ll)s->buffer, (ll)s->ring);
      nib_text_line(body, "int32_t done_%d = 0; /* rows that were there */", i);
    }
    if (s->row->emit_begin) {
      nib_text_open(body, "{");
      nib_text_line(body, "uint8_t *const scratch = buffers + %lld;", (ll)s->scratch);
      s->row->emit_begin(r->states[i]);
      nib_text_close(body, "");
    }
  }
}

static void emit_body(const row_chain *r) {
  nib_text *body = r->e->body;
  const nib_row_shape *last = &r->chain.stages[r->chain.n - 1].shape;
  emit_begin(r);
  if (r->cut)
    nib_text_open(body, "for (int32_t step = begin; step < end; step++) {");
  else
    nib_text_open(body, "for (int32_t step = 0; step < %lld; step++) {", (ll)steps_of(last));
  nib_text_line(body, "const int32_t top = step * %lld;", (ll)last->rows);
  emit_stage(r, r->chain.n - 1);
  nib_text_close(body, "");
}

static nib_status open_stages(row_chain *r) {
  nib_status status = NIB_OK;
  for (int i = 0; i < r->chain.n && status == NIB_OK; i++) {
    const nib_chain_stage *s = &r->chain.stages[i];
    const nib_row_rings rings = {i > 0 ? r->chain.stages[i - 1].ring : 0, s->ring};
    status = s->row->open(r->e, &s->kernel, rings, &r->states[i]);
  }
  return status;
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  row_chain r = {.e = e, .kernel = kernel, .cut = e->cut};
  if (!nib_chain_open(e->graph, kernel, e->vocab, &r.chain))
    return nib_diag_error(e->diag, NIB_ERROR_INVALID_INPUT, "%s: it is no chain that runs by rows",
                          kernel->name);
  e->cut = false; /* the chain's loop is cut, not those of its stages */
  nib_status status = open_stages(&r);
  const size_t before = e->body->size;
  if (status == NIB_OK) {
    emit_body(&r);
    if (!e->body->failed)
      nib_snippets_scan(e->body->data + before, e->snippets);
    else
      status = nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  }
  e->cut = r.cut;
  for (int i = 0; i < r.chain.n; i++)
    r.chain.stages[i].row->close(r.states[i]);
  return status;
}

const nib_schedule nib_schedule_row_chain = {
    .name = "row_chain",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
    .stages = stages,
};
