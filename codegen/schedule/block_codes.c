/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_codes: casts of f32 to blocks of int8 as ggml encodes Q8_0: the largest magnitude becomes
 * 127, and quotients, by the reciprocal of the scale before it is stored as f16, are rounded to
 * nearest, ties away from zero. A NaN counts as 0, an infinity as the largest number. */
#include "schedule/schedule.h"

#include "emit/snippets.h"
#include "epilogue/say.h"
#include "schedule/block_dots.h"

#include <float.h>
#include <string.h>

typedef long long ll;

enum { MAX_REGISTERS = 32 };

static bool is_encoded_so(const nib_format_info *f) {
  const nib_block_layout *b = &f->block;
  return nib_block_is_bytes(f) && !b->element_exponent && !b->element_limit &&
         b->scale == NIB_F16 && b->scale_rule == NIB_SCALE_RULE_ABSMAX &&
         b->rounding == NIB_SOURCE_HALF_AWAY;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {
      NIB_PRIM_F32_LOAD, NIB_PRIM_F32_SET,           NIB_PRIM_F32_SUB,
      NIB_PRIM_F32_MAX,  NIB_PRIM_F32_MIN,           NIB_PRIM_F32_MUL,
      NIB_PRIM_I8_STORE, NIB_PRIM_I32_FROM_F32_AWAY, NIB_PRIM_F32_LARGEST};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (kernel->n_nodes != 1 || n->op != NIB_OP_CAST || nib_node_string(n, NIB_A_MODE, NULL) ||
      !nib_vocab_has(v, needed, sizeof needed / sizeof *needed))
    return false;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  return x && !x->data && x->format == NIB_F32 && is_encoded_so(f) &&
         f->block_elems % v->lanes == 0 && f->block_elems / v->lanes <= MAX_REGISTERS &&
         nib_tensor_elems(x) <= INT32_MAX / 4;
}

/* ---- emission ---- */

static void declare(nib_emitter *e, const char *type, const char *name) {
  nib_text_line(e->body, "%s %s;", type, name);
}

static void set(nib_emitter *e, const char *name, float value) {
  declare(e, e->vocab->type_f32, name);
  nib_say(e, NIB_PRIM_F32_SET, name, nib_word_f32(value).s, NULL, NULL, NULL);
}

/* magnitude: the largest of the block at `from`, whose registers are x0 … */
static void emit_magnitude(nib_emitter *e, int registers) {
  const nib_vocab *v = e->vocab;
  set(e, "largest", 0.0f);
  for (int i = 0; i < registers; ++i) {
    const nib_word x = nib_word_of("x%d", i);
    declare(e, v->type_f32, x.s);
    nib_say(e, NIB_PRIM_F32_LOAD, x.s, nib_word_of("from + %d", i * v->lanes).s, NULL, NULL, NULL);
    nib_text_open(e->body, "{");
    declare(e, v->type_f32, "magnitude");
    nib_say(e, NIB_PRIM_F32_SUB, "magnitude", "zero", x.s, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_MAX, "magnitude", "magnitude", x.s, NULL, NULL);
    /* Of a NaN the minimum and maximum take the second operand. */
    nib_say(e, NIB_PRIM_F32_MIN, "magnitude", "greatest", "magnitude", NULL, NULL);
    nib_say(e, NIB_PRIM_F32_MAX, "largest", "magnitude", "largest", NULL, NULL);
    nib_text_close(e->body, "");
  }
  declare(e, "float", "magnitude");
  nib_say(e, NIB_PRIM_F32_LARGEST, "magnitude", "largest", NULL, NULL, NULL);
}

static void emit_codes(nib_emitter *e, int registers, int at) {
  const nib_vocab *v = e->vocab;
  declare(e, v->type_f32, "factor");
  nib_say(e, NIB_PRIM_F32_SET, "factor", "inverse", NULL, NULL, NULL);
  for (int i = 0; i < registers; ++i) {
    const nib_word x = nib_word_of("x%d", i);
    nib_text_open(e->body, "{");
    nib_say(e, NIB_PRIM_F32_MUL, x.s, x.s, "factor", NULL, NULL);
    declare(e, v->type_i32, "code");
    nib_say(e, NIB_PRIM_I32_FROM_F32_AWAY, "code", x.s, NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_I8_STORE, NULL, nib_word_of("(int8_t *)(to + %d)", at + i * v->lanes).s,
            "code", NULL, NULL);
    nib_text_close(e->body, "");
  }
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  const nib_node *n = &e->graph->nodes[kernel->nodes[0]];
  const nib_tensor *y = &e->graph->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  const int registers = f->block_elems / e->vocab->lanes, at = f->block.scale_at;
  nib_emitter_use(e, "nib_f32_to_f16");
  set(e, "zero", 0.0f);
  set(e, "greatest", FLT_MAX);
  nib_text_open(e->body, "for (int32_t b = 0; b < %lld; b++) {",
                (ll)(nib_tensor_elems(y) / f->block_elems));
  nib_text_line(e->body, "const float *const from = in0 + b * %d;", f->block_elems);
  nib_text_line(e->body, "uint8_t *const to = out + b * %d; /* %s */", f->block_bytes, f->name);
  emit_magnitude(e, registers);
  nib_text_line(e->body, "const float scale = magnitude / 127.0f;");
  nib_text_line(e->body, "const float inverse = scale == 0.0f ? 0.0f : 1.0f / scale;");
  nib_text_line(e->body, "const uint16_t stored = nib_f32_to_f16(scale);");
  nib_text_line(e->body, "const uint16_t code = stored < 0x7C00u ? stored : 0x7BFFu;");
  nib_text_line(e->body, "to[%d] = (uint8_t)code;", at);
  nib_text_line(e->body, "to[%d] = (uint8_t)(code >> 8);", at + 1);
  emit_codes(e, registers, f->block.codes.low.at / 8);
  nib_text_close(e->body, "");
  return NIB_OK;
}

const nib_schedule nib_schedule_block_codes = {
    .name = "block_codes",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
