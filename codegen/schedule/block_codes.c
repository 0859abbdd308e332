/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_codes: casts of f32 to blocks of int8 whose largest magnitude becomes 127. As ggml encodes
 * Q8_0, products by the reciprocal of the scale before it is stored as f16 are rounded to nearest,
 * ties away from zero; otherwise the exact quotients by the stored scale, ties to even. A NaN
 * counts as 0, an infinity as the largest number. */
#include "schedule/schedule.h"

#include "emit/snippets.h"
#include "epilogue/say.h"
#include "schedule/block_dots.h"

#include <float.h>
#include <string.h>

typedef long long ll;

enum { MAX_REGISTERS = 32 };

static bool is_away(const nib_format_info *f) { return f->block.rounding == NIB_SOURCE_HALF_AWAY; }

static bool is_encoded_so(const nib_format_info *f) {
  const nib_block_layout *b = &f->block;
  return nib_block_is_bytes(f) && !b->element_exponent && !b->element_limit &&
         b->scale_rule == NIB_SCALE_RULE_ABSMAX &&
         (is_away(f) ? b->scale == NIB_F16
                     : b->rounding == NIB_SOURCE_NEAREST_EVEN &&
                           (b->scale == NIB_F16 || b->scale == NIB_F32));
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {
      NIB_PRIM_F32_LOAD,          NIB_PRIM_F32_SET,    NIB_PRIM_F32_SUB,
      NIB_PRIM_F32_MAX,           NIB_PRIM_F32_MIN,    NIB_PRIM_F32_MUL,
      NIB_PRIM_F32_ADD,           NIB_PRIM_F32_DIV,    NIB_PRIM_F32_FMA,
      NIB_PRIM_F32_FROM_I32,      NIB_PRIM_I8_STORE,   NIB_PRIM_I32_FROM_F32_AWAY,
      NIB_PRIM_I32_FROM_F32_EVEN, NIB_PRIM_F32_LARGEST};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  if (kernel->n_nodes != 1 || n->op != NIB_OP_CAST || nib_node_string(n, NIB_A_MODE, NULL) ||
      !nib_vocab_has(v, needed, sizeof needed / sizeof *needed))
    return false;
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  /* Exact quotients need products and sums that are fused: registers have them. */
  return x && !x->data && x->format == NIB_F32 && is_encoded_so(f) &&
         (is_away(f) || v->lanes > 1) && f->block_elems % v->lanes == 0 &&
         f->block_elems / v->lanes <= MAX_REGISTERS && nib_tensor_elems(x) <= INT32_MAX / 4;
}

/* ---- emission ---- */

static void declare(nib_emitter *e, const char *type, const char *name) {
  nib_text_line(e->body, "%s %s;", type, name);
}

static void set(nib_emitter *e, const char *name, float value) {
  declare(e, e->vocab->type_f32, name);
  nib_say(e, NIB_PRIM_F32_SET, name, nib_word_f32(value).s, NULL, NULL, NULL);
}

static void load_registers(nib_emitter *e, int first, int n) {
  for (int i = first; i < first + n; ++i) {
    const nib_word x = nib_word_of("x%d", i);
    declare(e, e->vocab->type_f32, x.s);
    nib_say(e, NIB_PRIM_F32_LOAD, x.s, nib_word_of("from + %d", i * e->vocab->lanes).s, NULL, NULL,
            NULL);
  }
}

/* magnitude: the largest of the block at `from`. */
static void emit_magnitude(nib_emitter *e, int registers) {
  const nib_vocab *v = e->vocab;
  set(e, "largest", 0.0f);
  for (int i = 0; i < registers; ++i) {
    const nib_word x = nib_word_of("x%d", i);
    nib_text_open(e->body, "{");
    load_registers(e, i, 1);
    declare(e, v->type_f32, "size");
    nib_say(e, NIB_PRIM_F32_SUB, "size", "zero", x.s, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_MAX, "size", "size", x.s, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_MAX, "largest", "size", "largest", NULL,
            NULL); /* of a NaN the latter */
    nib_text_close(e->body, "");
  }
  nib_say(e, NIB_PRIM_F32_MIN, "largest", "greatest", "largest", NULL, NULL);
  declare(e, "float", "magnitude");
  nib_say(e, NIB_PRIM_F32_LARGEST, "magnitude", "largest", NULL, NULL, NULL);
}

static nib_word code_of(int i) { return nib_word_of("code%d", i); }

/* Stores registers [first, first + n) of codes, n at most NIB_PACK_REGISTERS, from byte `to` of the
 * block on: narrowed together where the vocabulary can. */
static void store_codes(nib_emitter *e, int first, int n, int to) {
  static const nib_prim packed[] = {NIB_PRIM_NARROW16, NIB_PRIM_NARROW_I8, NIB_PRIM_BYTES_STORE4,
                                    NIB_PRIM_BYTES_STORE2};
  const nib_word at = nib_word_of("(int8_t *)(to + %d)", to);
  if (n % 2 || !nib_vocab_has(e->vocab, packed, sizeof packed / sizeof *packed)) {
    for (int i = 0; i < n; ++i)
      nib_say(e, NIB_PRIM_I8_STORE, NULL,
              nib_word_of("(int8_t *)(to + %d)", to + i * e->vocab->lanes).s, code_of(first + i).s,
              NULL, NULL);
    return;
  }
  nib_text_open(e->body, "{");
  nib_text_line(e->body, "%s low, high, bytes;", e->vocab->type_bytes);
  nib_say(e, NIB_PRIM_NARROW16, "low", code_of(first).s, code_of(first + 1).s, NULL, NULL);
  if (n > 2)
    nib_say(e, NIB_PRIM_NARROW16, "high", code_of(first + 2).s, code_of(first + 3).s, NULL, NULL);
  else
    nib_text_line(e->body, "high = low;");
  nib_say(e, NIB_PRIM_NARROW_I8, "bytes", "low", "high", NULL, NULL);
  if (n > 2)
    nib_say(e, NIB_PRIM_BYTES_STORE4, NULL, at.s, "bytes", NULL, NULL);
  else
    nib_say(e, NIB_PRIM_BYTES_STORE2, NULL, at.s, "bytes", "0", NULL);
  nib_text_close(e->body, "");
}

/* code<i> of register x<i>, by `emit`. */
static void emit_codes(nib_emitter *e, int registers, int at,
                       void (*emit)(nib_emitter *e, const char *x, const char *code)) {
  for (int first = 0; first < registers; first += NIB_PACK_REGISTERS) {
    const int n = registers - first < NIB_PACK_REGISTERS ? registers - first : NIB_PACK_REGISTERS;
    nib_text_open(e->body, "{");
    for (int i = first; i < first + n; ++i) {
      declare(e, e->vocab->type_i32, code_of(i).s);
      nib_text_open(e->body, "{");
      emit(e, nib_word_of("x%d", i).s, code_of(i).s);
      nib_text_close(e->body, "");
    }
    store_codes(e, first, n, at + first * e->vocab->lanes);
    nib_text_close(e->body, "");
  }
}

static void emit_product(nib_emitter *e, const char *x, const char *code) {
  nib_say(e, NIB_PRIM_F32_MUL, x, x, "factor", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_FROM_F32_AWAY, code, x, NULL, NULL, NULL);
}

/* y = x within [low, high]: the names of registers. */
static void clamp(nib_emitter *e, const char *y, const char *x, const char *low, const char *high) {
  nib_say(e, NIB_PRIM_F32_MAX, y, x, low, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MIN, y, y, high, NULL, NULL);
}

/* sign = -1, 0 or 1, or between 0 and 1 for what lies between low and 0: of any number but NaN. */
static void emit_sign(nib_emitter *e, const char *sign, const char *of, const char *low) {
  declare(e, e->vocab->type_f32, sign);
  nib_say(e, NIB_PRIM_F32_MUL, sign, of, "huge", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MUL, sign, sign, "huge", NULL, NULL);
  clamp(e, sign, sign, low, "one");
}

/* The quotient of register x by the unit in f32 may have been rounded onto a tie, or across it.
 * What is left over, and what of it is more than half a unit, are exact: they say which way it
 * lies. */
static void emit_quotient(nib_emitter *e, const char *x, const char *code) {
  nib_text_line(e->body, "%s rest, low, ratio, near, half;", e->vocab->type_f32);
  nib_say(e, NIB_PRIM_F32_MAX, "rest", x, "zero", NULL, NULL); /* of a NaN 0 */
  nib_say(e, NIB_PRIM_F32_MIN, "low", x, "zero", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_ADD, "rest", "rest", "low", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_DIV, "ratio", "rest", "unit", NULL, NULL);
  clamp(e, "ratio", "ratio", "least", "most");
  nib_say(e, NIB_PRIM_I32_FROM_F32_EVEN, code, "ratio", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_FROM_I32, "near", code, NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_FMA, "rest", "near", "minus", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_SUB, "half", "zero", "rest", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MAX, "half", "half", "rest", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_ADD, "half", "half", "half", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_ADD, "half", "half", "minus", NULL, NULL);
  emit_sign(e, "more", "half", "zero");
  emit_sign(e, "way", "rest", "minus_one");
  nib_say(e, NIB_PRIM_F32_FMA, "near", "more", "way", NULL, NULL);
  clamp(e, "near", "near", "least", "most");
  nib_say(e, NIB_PRIM_I32_FROM_F32_EVEN, code, "near", NULL, NULL, NULL);
}

/* Stores the float `scale` at byte `at` of the block. */
static void emit_scale(nib_emitter *e, nib_format format, int at) {
  if (format == NIB_F32) {
    nib_text_line(e->body, "memcpy(to + %d, &scale, sizeof scale);", at);
    return;
  }
  nib_text_line(e->body, "const uint16_t stored = nib_f32_to_f16(scale);");
  nib_text_line(e->body, "const uint16_t code = stored < 0x7C00u ? stored : 0x7BFFu;");
  nib_text_line(e->body, "to[%d] = (uint8_t)code;", at);
  nib_text_line(e->body, "to[%d] = (uint8_t)(code >> 8);", at + 1);
}

static bool has_quotients(const nib_emitter *e) {
  return nib_vocab_prim(e->vocab, NIB_PRIM_I8_QUOTIENT) != NULL;
}

static void say_quotient(nib_emitter *e, const char *x, const char *code) {
  nib_say(e, NIB_PRIM_I8_QUOTIENT, code, x, "unit", NULL, NULL);
}

/* The codes of a block by exact quotients. */
static void emit_quotients(nib_emitter *e, const nib_format_info *f, int registers) {
  nib_text_line(e->body, "const float stored_scale = %s;",
                f->block.scale == NIB_F32 ? "scale" : "nib_f16_to_f32(code)");
  nib_text_open(e->body, "if (stored_scale == 0.0f) {");
  nib_text_line(e->body, "memset(to + %d, 0, %d);", f->block.codes.low.at / 8, f->block_elems);
  nib_text_close(e->body, "");
  nib_text_open(e->body, "else {");
  declare(e, e->vocab->type_f32, "unit");
  nib_say(e, NIB_PRIM_F32_SET, "unit", "stored_scale", NULL, NULL, NULL);
  if (!has_quotients(e)) {
    declare(e, e->vocab->type_f32, "minus");
    nib_say(e, NIB_PRIM_F32_SUB, "minus", "zero", "unit", NULL, NULL);
  }
  emit_codes(e, registers, f->block.codes.low.at / 8,
             has_quotients(e) ? say_quotient : emit_quotient);
  nib_text_close(e->body, "");
}

static void emit_constants(nib_emitter *e, bool away) {
  set(e, "zero", 0.0f);
  set(e, "greatest", FLT_MAX);
  if (away || has_quotients(e))
    return;
  set(e, "least", -128.0f);
  set(e, "most", 127.0f);
  set(e, "one", 1.0f);
  set(e, "minus_one", -1.0f);
  set(e, "huge", 0x1p100f);
}

/* Opens the loop over blocks, one of which is from `from` to `to`, with its magnitude and
 * registers. What a magnitude waits for is long: those of a few blocks are there before the codes
 * of the first are. */
static void open_blocks(nib_emitter *e, const nib_format_info *f, int64_t blocks) {
  enum { TOGETHER = 16 };
  const int registers = f->block_elems / e->vocab->lanes;
  nib_text *t = e->body;
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %d) {", (ll)blocks, TOGETHER);
  nib_text_line(t, "float magnitudes[%d];", TOGETHER);
  if (blocks % TOGETHER)
    nib_text_line(t, "const int32_t last = first + %d < %lld ? first + %d : %lld;", TOGETHER,
                  (ll)blocks, TOGETHER, (ll)blocks);
  else
    nib_text_line(t, "const int32_t last = first + %d;", TOGETHER);
  for (int pass = 0; pass < 2; ++pass) {
    nib_text_open(t, "for (int32_t b = first; b < last; b++) {");
    nib_text_line(t, "const float *const from = in0 + b * %d;", f->block_elems);
    if (pass)
      break;
    emit_magnitude(e, registers);
    nib_text_line(t, "magnitudes[b - first] = magnitude;");
    nib_text_close(t, "");
  }
  nib_text_line(t, "uint8_t *const to = out + b * %d; /* %s */", f->block_bytes, f->name);
  nib_text_line(t, "const float magnitude = magnitudes[b - first];");
  for (int at = 0; at < f->block_elems * 4; at += 64)
    nib_say(e, NIB_PRIM_PREFETCH, NULL, nib_word_of("from + %d", at / 4).s,
            nib_word_of("%d", TOGETHER * f->block_elems * 4).s, NULL, NULL);
  load_registers(e, 0, registers);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  const nib_node *n = &e->graph->nodes[kernel->nodes[0]];
  const nib_tensor *y = &e->graph->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  const int registers = f->block_elems / e->vocab->lanes;
  if (f->block.scale == NIB_F16) {
    nib_emitter_use(e, "nib_f32_to_f16");
    if (!is_away(f))
      nib_emitter_use(e, "nib_f16_to_f32");
  }
  emit_constants(e, is_away(f));
  open_blocks(e, f, nib_tensor_elems(y) / f->block_elems);
  nib_text_line(e->body, "const float scale = magnitude / 127.0f;");
  emit_scale(e, (nib_format)f->block.scale, f->block.scale_at);
  if (is_away(f)) {
    nib_text_line(e->body, "const float inverse = scale == 0.0f ? 0.0f : 1.0f / scale;");
    declare(e, e->vocab->type_f32, "factor");
    nib_say(e, NIB_PRIM_F32_SET, "factor", "inverse", NULL, NULL, NULL);
    emit_codes(e, registers, f->block.codes.low.at / 8, emit_product);
  } else {
    emit_quotients(e, f, registers);
  }
  nib_text_close(e->body, "");
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
