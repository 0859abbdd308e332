/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * flat_steps: element-wise operators alone or in a chain. One register of elements at a time is
 * loaded, taken through the steps of the epilogue, and stored; rows of the last dimension are
 * walked one by one only where an operand is one row. */
#include "emit/snippets.h"
#include "epilogue/epilogue.h"
#include "epilogue/say.h"

#include <string.h>

typedef long long ll;

static bool is_real(const nib_graph *g, int32_t tensor) {
  return nib_params_is_real(g->tensors[tensor].format);
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_tensor *y = &g->tensors[nib_kernel_output(g, kernel)];
  const int64_t elems = nib_tensor_elems(y);
  return v->lanes > 1 && elems > 0 && elems <= INT32_MAX / 4 &&
         nib_epilogue_can_finish(g, kernel, 0, v);
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  (void)g, (void)kernel, (void)v, (void)capacity;
  memset(out_tiles[0], 0, sizeof out_tiles[0]);
  out_tiles[0][0] = out_tiles[0][1] = 1;
  return 1;
}

/* Elements of a row if some operand is one row, else 0. */
static int64_t row_of(const nib_graph *g, const nib_kernel *kernel) {
  const nib_tensor *y = &g->tensors[g->nodes[kernel->nodes[0]].out];
  for (int32_t i = 0; i < kernel->n_nodes; i++) {
    const nib_node *n = &g->nodes[kernel->nodes[i]];
    const bool table = n->op == NIB_OP_LOOKUP;
    for (int32_t k = 0; k < (table ? 1 : n->n_in); k++) {
      const nib_tensor *t = nib_node_input(g, n, k);
      const int64_t elems = t ? nib_tensor_elems(t) : 1;
      if (elems > 1 && elems != nib_tensor_elems(y))
        return y->dims[y->rank - 1];
    }
  }
  return 0;
}

/* Declares the registers that the chain needs, loads, steps and stores. */
static void emit_register(nib_epilogue *p, const char *at, int tail) {
  nib_emitter *e = p->e;
  const nib_graph *g = e->graph;
  const int32_t start = nib_epilogue_start(g, p->kernel);
  bool real = is_real(g, start), code = !real;
  for (int32_t i = 0; i < p->kernel->n_nodes; i++) {
    const bool r = is_real(g, g->nodes[p->kernel->nodes[i]].out);
    real |= r;
    code |= !r;
  }
  if (code)
    nib_text_line(e->body, "%s code;", e->vocab->type_i32);
  if (real)
    nib_text_line(e->body, "%s real;", e->vocab->type_f32);
  nib_epilogue_load(p, start, is_real(g, start) ? "real" : "code",
                    nib_word_of("%s + %s", nib_epilogue_input(p, start).s, at).s, tail);
  nib_epilogue_finish(p, NULL, at, tail);
}

/* Whole registers of [0, elems), then the rest. `at`: what the variable `i` is added to, or "";
 * `cut`: registers [begin, end). */
static void emit_run(nib_epilogue *p, int64_t elems, const char *at, bool cut) {
  nib_emitter *e = p->e;
  const int64_t lanes = e->vocab->lanes, whole = elems / lanes * lanes;
  if (whole > 0) {
    nib_emitter_open_steps(e, whole, lanes, cut);
    emit_register(p, nib_word_of("%si", at).s, 0);
    nib_text_close(e->body, "");
  }
  if (whole < elems) {
    if (cut)
      nib_text_open(e->body, "if (end == %lld) { /* the last elements */", (ll)(whole / lanes + 1));
    else
      nib_text_open(e->body, "{ /* the last elements */");
    nib_text_line(e->body, "const int32_t i = %lld;", (ll)whole);
    emit_register(p, nib_word_of("%si", at).s, (int)(elems - whole));
    nib_text_close(e->body, "");
  }
}

static void emit_body(nib_epilogue *p) {
  nib_emitter *e = p->e;
  const nib_graph *g = e->graph;
  const int64_t elems = nib_tensor_elems(&g->tensors[p->root->out]);
  const int64_t row = row_of(g, p->kernel);
  nib_text_line(e->body, "/* %s: %lld elements */", p->kernel->name, (ll)elems);
  if (row == 0) {
    emit_run(p, elems, "", e->cut);
    return;
  }
  p->channel = "i";
  if (e->cut)
    nib_text_open(e->body, "for (int32_t row = begin * %lld; row < end * %lld; row += %lld) {",
                  (ll)row, (ll)row, (ll)row);
  else
    nib_text_open(e->body, "for (int32_t row = 0; row < %lld; row += %lld) {", (ll)elems, (ll)row);
  emit_run(p, row, "row + ", false);
  nib_text_close(e->body, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_epilogue p;
  NIB_RETURN_IF_ERROR(nib_epilogue_begin(&p, e, kernel, 0));
  p.code = "code";
  p.real = "real";
  const size_t before = e->body->size;
  emit_body(&p);
  return nib_epilogue_end(&p, e, before);
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const int64_t elems = nib_tensor_elems(&g->tensors[g->nodes[kernel->nodes[0]].out]);
  const int64_t row = row_of(g, kernel);
  return row > 0 ? elems / row : (elems + v->lanes - 1) / v->lanes;
}

const nib_schedule nib_schedule_flat_steps = {
    .name = "flat_steps",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
    .units = units,
};
