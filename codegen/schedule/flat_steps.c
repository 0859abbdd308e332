/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * flat_steps: element-wise operators alone or in a chain. One register of elements at a time is
 * loaded, taken through the steps of the epilogue, and stored. Where operands are repeated along
 * some dimensions, loops around run over what repeats (flat_nest.h): inside the innermost one an
 * operand is a run of elements, or the same one for all lanes. */
#include "emit/snippets.h"
#include "epilogue/epilogue.h"
#include "epilogue/say.h"
#include "schedule/flat_nest.h"

#include <string.h>

typedef long long ll;

static bool is_real(const nib_graph *g, int32_t tensor) {
  return nib_params_is_real(g->tensors[tensor].format);
}

/* A number for all lanes that is in memory is a code, or an f32. */
static bool can_repeat(const nib_graph *g, const nib_kernel *kernel, const nib_flat_nest *nest) {
  for (int32_t i = -1; i < kernel->n_nodes; i++) {
    const int32_t tensor =
        i < 0 ? nib_epilogue_start(g, kernel) : nib_epilogue_beside(g, kernel, i);
    if (tensor == NIB_NONE || (i < 0 ? nest->start : nest->others[i])[0] != 0)
      continue;
    const nib_tensor *t = &g->tensors[tensor];
    const bool literal = t->data && nib_tensor_elems(t) == 1;
    if (!literal && is_real(g, tensor) && t->format != NIB_F32)
      return false;
  }
  return true;
}

/* Less than half a register at a time is slower than what compilers make of portable loops, where
 * these are not one scalar after another. */
static bool fills_registers(const nib_flat_nest *nest, const nib_vocab *v) {
  return v->in_order || nest->levels == 1 || 2 * nest->sizes[0] >= v->lanes;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_tensor *y = &g->tensors[nib_kernel_output(g, kernel)];
  const int64_t elems = nib_tensor_elems(y);
  nib_flat_nest nest;
  return v->lanes > 1 && elems > 0 && elems <= INT32_MAX / 4 &&
         nib_epilogue_can_finish(g, kernel, 0, v) && nib_flat_nest_make(g, kernel, &nest) &&
         fills_registers(&nest, v) && can_repeat(g, kernel, &nest);
}

static int tiles(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                 int32_t (*out_tiles)[NIB_MAX_TILE], int capacity) {
  (void)g, (void)kernel, (void)v, (void)capacity;
  memset(out_tiles[0], 0, sizeof out_tiles[0]);
  out_tiles[0][0] = out_tiles[0][1] = 1;
  return 1;
}

/* Where operands lie in the loops. */
typedef struct run {
  nib_epilogue *p;
  nib_flat_nest nest;
  nib_word at, start, others[NIB_EPILOGUE_MAX_NODES]; /* elements of the result and of operands */
} run;

/* Declares the registers that the chain needs, loads, steps and stores. */
static void emit_register(const run *r, int tail) {
  nib_epilogue *p = r->p;
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
  const nib_word from = nib_epilogue_input(p, start);
  const bool starts_real = is_real(g, start);
  const char *to = starts_real ? "real" : "code";
  if (r->nest.start[0] == 0)
    nib_say(e, starts_real ? NIB_PRIM_F32_SET : NIB_PRIM_I32_SET, to,
            nib_word_of("%s[%s]", from.s, r->start.s).s, NULL, NULL, NULL);
  else
    nib_epilogue_load(p, start, to, nib_word_of("%s + %s", from.s, r->start.s).s, tail);
  nib_epilogue_finish(p, NULL, r->at.s, tail);
}

/* Whole registers of the innermost loop, then the rest. `cut`: registers [begin, end). */
static void emit_run(const run *r, bool cut) {
  nib_emitter *e = r->p->e;
  const int64_t elems = r->nest.sizes[0], lanes = e->vocab->lanes, whole = elems / lanes * lanes;
  if (whole > 0) {
    nib_emitter_open_steps(e, whole, lanes, cut);
    emit_register(r, 0);
    nib_text_close(e->body, "");
  }
  if (whole < elems) {
    if (cut)
      nib_text_open(e->body, "if (end == %lld) { /* the last elements */", (ll)(whole / lanes + 1));
    else
      nib_text_open(e->body, "{ /* the last elements */");
    nib_text_line(e->body, "const int32_t i = %lld;", (ll)whole);
    emit_register(r, (int)(elems - whole));
    nib_text_close(e->body, "");
  }
}

/* The element that the first lane reads where strides lead. */
static nib_word place_of(const nib_flat_nest *nest, const int64_t *strides) {
  nib_word base = nib_flat_nest_base(nest, strides);
  if (strides[0] != 0)
    return nib_word_of("%si", base.s);
  const size_t size = strlen(base.s), plus = strlen(" + ");
  if (size == 0)
    return nib_word_of("0");
  base.s[size - plus] = '\0';
  return base;
}

static void place_operands(run *r) {
  r->at = place_of(&r->nest, r->nest.strides);
  r->start = place_of(&r->nest, r->nest.start);
  for (int32_t i = 0; i < r->p->kernel->n_nodes; i++) {
    r->others[i] = place_of(&r->nest, r->nest.others[i]);
    r->p->places[i] = (nib_operand_place){r->others[i].s, r->nest.others[i][0] == 0};
  }
}

static void emit_body(run *r) {
  nib_emitter *e = r->p->e;
  const nib_flat_nest *nest = &r->nest;
  const int32_t outermost = nest->levels - 1;
  nib_text_line(e->body, "/* %s: %lld elements */", r->p->kernel->name,
                (ll)nib_tensor_elems(&e->graph->tensors[r->p->root->out]));
  for (int32_t l = outermost; l > 0; l--)
    nib_emitter_open_loop(e, nib_word_of("%c", nib_flat_nest_loop(nest, l)).s, nest->sizes[l],
                          e->cut && l == outermost);
  emit_run(r, e->cut && outermost == 0);
  for (int32_t l = outermost; l > 0; l--)
    nib_text_close(e->body, "");
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  nib_epilogue p;
  run r = {.p = &p};
  if (!nib_flat_nest_make(e->graph, kernel, &r.nest))
    return nib_diag_error(e->diag, NIB_ERROR_INTERNAL, "kernel '%s' has no loops", kernel->name);
  NIB_RETURN_IF_ERROR(nib_epilogue_begin(&p, e, kernel, 0));
  p.code = "code";
  p.real = "real";
  place_operands(&r);
  const size_t before = e->body->size;
  emit_body(&r);
  return nib_epilogue_end(&p, e, before);
}

static int64_t units(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  nib_flat_nest nest;
  if (!nib_flat_nest_make(g, kernel, &nest))
    return 1;
  return nest.levels > 1 ? nest.sizes[nest.levels - 1] : (nest.sizes[0] + v->lanes - 1) / v->lanes;
}

const nib_schedule nib_schedule_flat_steps = {
    .name = "flat_steps",
    .accepts = accepts,
    .tiles = tiles,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
    .units = units,
};
