/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * block_codes: casts of f32 to blocks of int8 whose largest magnitude becomes 127. As ggml encodes
 * Q8_0, products by the reciprocal of the scale before it is stored as f16 are rounded to nearest,
 * ties away from zero; otherwise the exact quotients by the stored scale, ties to even. A NaN
 * counts as 0, an infinity as the largest number.
 *
 * Where the vocabulary has what it takes, blocks whose numbers all are finite and whose scale has a
 * reciprocal are rounded as products. Of quotients, those next to a tie say so, and their block
 * is done again, carefully, as are all blocks elsewhere. */
#include "schedule/schedule.h"

#include "emit/snippets.h"
#include "epilogue/say.h"
#include "schedule/block_dots.h"

#include <float.h>
#include <string.h>

typedef long long ll;

enum {
  MAX_REGISTERS = 32, /* of a block */
  TOGETHER = 16,      /* blocks whose magnitudes and scales are there before their codes are */
  AHEAD = 16384,      /* bytes: reals come from memory or from the last cache */
  PAGES_AHEAD = 65536 /* of a line of each page, whose address takes as long as a line */
};

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

/* What blocks without exceptions need beyond `needed`. */
static bool has_products(const nib_vocab *v, bool away) {
  static const nib_prim to_even[] = {NIB_PRIM_I32_SIZE, NIB_PRIM_I8_NEAR, NIB_PRIM_I32_ANY_ZERO};
  static const nib_prim to_away[] = {NIB_PRIM_I32_SIZE, NIB_PRIM_I32_OF_F32_AWAY};
  return away ? nib_vocab_has(v, to_away, sizeof to_away / sizeof *to_away)
              : nib_vocab_has(v, to_even, sizeof to_even / sizeof *to_even);
}

static void declare(nib_emitter *e, const char *type, const char *name) {
  nib_text_line(e->body, "%s %s;", type, name);
}

static void set(nib_emitter *e, const char *name, const char *value) {
  declare(e, e->vocab->type_f32, name);
  nib_say(e, NIB_PRIM_F32_SET, name, value, NULL, NULL, NULL);
}

static void set_constant(nib_emitter *e, const char *name, float value) {
  set(e, name, nib_word_f32(value).s);
}

static void load(nib_emitter *e, const char *x, const char *at) {
  declare(e, e->vocab->type_f32, x);
  nib_say(e, NIB_PRIM_F32_LOAD, x, nib_word_of("from + %s", at).s, NULL, NULL, NULL);
}

/* A loop over the registers of a block, `x` being the one at `from` + i. */
static void open_registers(nib_emitter *e, const nib_format_info *f) {
  nib_text_open(e->body, "for (int32_t i = 0; i < %d; i += %d) {", f->block_elems, e->vocab->lanes);
  load(e, "x", "i");
}

/* ---- magnitudes ---- */

static void emit_size(nib_emitter *e, const char *x) {
  declare(e, e->vocab->type_f32, "size");
  nib_say(e, NIB_PRIM_F32_SUB, "size", "zero", x, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MAX, "size", "size", x, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_MAX, "largest", "size", "largest", NULL, NULL); /* of a NaN the latter */
}

/* Bits count as the sizes do, those of infinity and NaN beyond all others. */
static void emit_size_bits(nib_emitter *e, const char *x) {
  nib_say(e, NIB_PRIM_I32_SIZE, "sizes", x, NULL, NULL, NULL);
}

/* `emit` of every register of the block at `from`. */
static void emit_sizes(nib_emitter *e, int registers, void (*emit)(nib_emitter *e, const char *x)) {
  for (int i = 0; i < registers; ++i) {
    const nib_word x = nib_word_of("x%d", i);
    nib_text_open(e->body, "{");
    load(e, x.s, nib_word_of("%d", i * e->vocab->lanes).s);
    emit(e, x.s);
    nib_text_close(e->body, "");
  }
}

/* magnitude = the largest of `largest`, a NaN counting as the greatest. */
static void reduce(nib_emitter *e) {
  nib_say(e, NIB_PRIM_F32_MIN, "largest", "largest", "greatest", NULL, NULL);
  nib_say(e, NIB_PRIM_F32_LARGEST, "magnitude", "largest", NULL, NULL, NULL);
}

/* magnitude: of the block at `from`, whatever numbers it has. */
static void emit_magnitude(nib_emitter *e, int registers) {
  set_constant(e, "largest", 0.0f);
  emit_sizes(e, registers, emit_size);
  declare(e, "float", "magnitude");
  reduce(e);
}

/* The same, and whether all of them are finite. */
static void emit_plain_magnitude(nib_emitter *e, const nib_format_info *f, int registers) {
  declare(e, e->vocab->type_i32, "sizes");
  nib_say(e, NIB_PRIM_I32_SET, "sizes", "0", NULL, NULL, NULL);
  emit_sizes(e, registers, emit_size_bits);
  declare(e, e->vocab->type_f32, "largest");
  nib_say(e, NIB_PRIM_F32_OF_BITS, "largest", "sizes", NULL, NULL, NULL);
  declare(e, "float", "magnitude");
  reduce(e);
  nib_text_line(e->body, "plain[b - first] = magnitude < %s;", nib_word_f32(FLT_MAX).s);
  nib_text_open(e->body, "if (!plain[b - first]) {");
  nib_say(e, NIB_PRIM_F32_SET, "largest", "0.0f", NULL, NULL, NULL);
  open_registers(e, f);
  emit_size(e, "x");
  nib_text_close(e->body, "");
  reduce(e);
  nib_text_close(e->body, "");
}

/* ---- scales ---- */

static void open_together(nib_emitter *e, int step) {
  nib_text_open(e->body, "for (int32_t i = 0; i < %d; i += %d) {", TOGETHER, step);
}

/* What codes are multiples of is not the scale, but the f16 that is stored of it. */
static bool has_units(const nib_format_info *f) { return f->block.scale == NIB_F16 && !is_away(f); }

static const char *unit_of(const nib_format_info *f) { return has_units(f) ? "units" : "scales"; }

/* All of `to` = `from`, from f16 or to it: in registers by primitives, if the vocabulary has both,
 * or else by a function. */
static void emit_converted(nib_emitter *e, const char *to, const char *from, nib_prim load_prim,
                           nib_prim store_prim, const char *function) {
  if (nib_vocab_prim(e->vocab, load_prim) && nib_vocab_prim(e->vocab, store_prim)) {
    open_together(e, e->vocab->lanes);
    declare(e, e->vocab->type_f32, "reals");
    nib_say(e, load_prim, "reals", nib_word_of("%s + i", from).s, NULL, NULL, NULL);
    nib_say(e, store_prim, NULL, nib_word_of("%s + i", to).s, "reals", NULL, NULL);
  } else {
    nib_emitter_use(e, function);
    open_together(e, 1);
    nib_text_line(e->body, "%s[i] = %s(%s[i]);", to, function, from);
  }
  nib_text_close(e->body, "");
}

/* The scales of blocks whose magnitudes are there, and, if `inverted`, their reciprocals. */
static void emit_scales(nib_emitter *e, const nib_format_info *f, bool inverted) {
  nib_text *t = e->body;
  nib_text_line(t, "float scales[%d];", TOGETHER);
  open_together(e, 1);
  nib_text_line(t, "scales[i] = magnitudes[i] / 127.0f;");
  nib_text_close(t, "");
  if (f->block.scale == NIB_F16) {
    nib_text_line(t, "uint16_t stored[%d];", TOGETHER);
    emit_converted(e, "stored", "scales", NIB_PRIM_F32_LOAD, NIB_PRIM_F16_STORE, "nib_f32_to_f16");
    open_together(e, 1);
    nib_text_line(t, "stored[i] = stored[i] < 0x7C00u ? stored[i] : 0x7BFFu;");
    nib_text_close(t, "");
  }
  if (has_units(f)) {
    nib_text_line(t, "float units[%d];", TOGETHER);
    emit_converted(e, "units", "stored", NIB_PRIM_F16_LOAD, NIB_PRIM_F32_STORE, "nib_f16_to_f32");
  }
  if (!inverted)
    return;
  nib_text_line(t, "float inverses[%d];", TOGETHER);
  open_together(e, 1);
  nib_text_line(t, "inverses[i] = %s[i] == 0.0f ? 0.0f : 1.0f / %s[i];", unit_of(f), unit_of(f));
  nib_text_close(t, "");
}

/* ---- codes ---- */

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

typedef void emit_code(nib_emitter *e, const char *x, const char *code);

/* All codes, by `emit`, of which registers that are narrowed together are there at a time. */
static void emit_codes(nib_emitter *e, const nib_format_info *f, emit_code *emit) {
  const int lanes = e->vocab->lanes, registers = f->block_elems / lanes;
  for (int first = 0; first < registers; first += NIB_PACK_REGISTERS) {
    const int n = registers - first < NIB_PACK_REGISTERS ? registers - first : NIB_PACK_REGISTERS;
    nib_text_open(e->body, "{");
    for (int i = first; i < first + n; ++i) {
      const nib_word x = nib_word_of("x%d", i);
      declare(e, e->vocab->type_i32, code_of(i).s);
      nib_text_open(e->body, "{");
      load(e, x.s, nib_word_of("%d", i * lanes).s);
      emit(e, x.s, code_of(i).s);
      nib_text_close(e->body, "");
    }
    store_codes(e, first, n, f->block.codes.low.at / 8 + first * lanes);
    nib_text_close(e->body, "");
  }
}

/* The same where it need not be fast: a register at a time. */
static void emit_codes_in_loop(nib_emitter *e, const nib_format_info *f, emit_code *emit) {
  open_registers(e, f);
  declare(e, e->vocab->type_i32, "code");
  nib_text_open(e->body, "{");
  emit(e, "x", "code");
  nib_text_close(e->body, "");
  nib_say(e, NIB_PRIM_I8_STORE, NULL,
          nib_word_of("(int8_t *)(to + %d) + i", f->block.codes.low.at / 8).s, "code", NULL, NULL);
  nib_text_close(e->body, "");
}

static void say_product(nib_emitter *e, const char *x, const char *code) {
  nib_say(e, NIB_PRIM_F32_MUL, x, x, "factor", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_FROM_F32_AWAY, code, x, NULL, NULL, NULL);
}

static void say_plain_product(nib_emitter *e, const char *x, const char *code) {
  nib_say(e, NIB_PRIM_F32_MUL, x, x, "factor", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_OF_F32_AWAY, code, x, NULL, NULL, NULL);
}

static void say_near(nib_emitter *e, const char *x, const char *code) {
  nib_say(e, NIB_PRIM_I8_NEAR, code, x, "factor", "certain", NULL);
}

static void say_quotient(nib_emitter *e, const char *x, const char *code) {
  nib_say(e, NIB_PRIM_I8_QUOTIENT, code, x, "unit", NULL, NULL);
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

static bool has_quotients(const nib_vocab *v) {
  return nib_vocab_prim(v, NIB_PRIM_I8_QUOTIENT) != NULL;
}

/* The codes of any block. */
static void emit_careful_codes(nib_emitter *e, const nib_format_info *f, bool in_loop) {
  emit_code *const emit = is_away(f)                ? say_product
                          : has_quotients(e->vocab) ? say_quotient
                                                    : emit_quotient;
  if (!is_away(f)) {
    nib_text_open(e->body, "if (unit_of_block == 0.0f) {");
    nib_text_line(e->body, "memset(to + %d, 0, %d);", f->block.codes.low.at / 8, f->block_elems);
    nib_text_close(e->body, "");
    nib_text_open(e->body, "else {");
    set(e, "unit", "unit_of_block");
  }
  if (emit == emit_quotient) {
    declare(e, e->vocab->type_f32, "minus");
    nib_say(e, NIB_PRIM_F32_SUB, "minus", "zero", "unit", NULL, NULL);
  }
  (in_loop ? emit_codes_in_loop : emit_codes)(e, f, emit);
  if (!is_away(f))
    nib_text_close(e->body, "");
}

/* The codes of a block whose numbers are finite and whose scale has a reciprocal, and any others'.
 */
static void emit_plain_codes(nib_emitter *e, const nib_format_info *f) {
  nib_text *t = e->body;
  const char *unit = is_away(f) ? "scales[b - first]" : "unit_of_block";
  nib_text_line(t, "int32_t done = 0;");
  /* Where f16 has no number near the scale, products by the reciprocal of what it has are beyond
   * what I8_NEAR takes. */
  nib_text_open(t, "if (plain[b - first] && %s >= 0x1p-100f%s) {", unit,
                has_units(f) ? " && magnitudes[b - first] * inverses[b - first] < 255.0f" : "");
  if (is_away(f)) {
    emit_codes(e, f, say_plain_product);
    nib_text_line(t, "done = 1;");
  } else {
    declare(e, e->vocab->type_i32, "certain");
    nib_say(e, NIB_PRIM_I32_SET, "certain", "1", NULL, NULL, NULL);
    emit_codes(e, f, say_near);
    nib_text_line(t, "int32_t near_tie;");
    nib_say(e, NIB_PRIM_I32_ANY_ZERO, "near_tie", "certain", NULL, NULL, NULL);
    nib_text_line(t, "done = !near_tie;");
  }
  nib_text_close(t, "");
  nib_text_open(t, "if (!done) {");
  emit_careful_codes(e, f, true);
  nib_text_close(t, "");
}

/* ---- blocks ---- */

static void emit_constants(nib_emitter *e, const nib_format_info *f) {
  set_constant(e, "zero", 0.0f);
  set_constant(e, "greatest", FLT_MAX);
  if (is_away(f) || has_quotients(e->vocab))
    return;
  set_constant(e, "least", -128.0f);
  set_constant(e, "most", 127.0f);
  set_constant(e, "one", 1.0f);
  set_constant(e, "minus_one", -1.0f);
  set_constant(e, "huge", 0x1p100f);
}

static void open_block(nib_emitter *e, const nib_format_info *f) {
  nib_text_open(e->body, "for (int32_t b = first; b < last; b++) {");
  nib_text_line(e->body, "const float *const from = in0 + b * %d;", f->block_elems);
}

static void emit_magnitudes(nib_emitter *e, const nib_format_info *f, bool by_products) {
  const int registers = f->block_elems / e->vocab->lanes;
  nib_text_line(e->body, "float magnitudes[%d] = {0.0f};", TOGETHER);
  if (by_products)
    nib_text_line(e->body, "uint8_t plain[%d];", TOGETHER);
  open_block(e, f);
  if (by_products)
    emit_plain_magnitude(e, f, registers);
  else
    emit_magnitude(e, registers);
  nib_text_line(e->body, "magnitudes[b - first] = magnitude;");
  nib_text_close(e->body, "");
}

/* Whether any codes are products by the reciprocal. */
static bool multiplies(const nib_format_info *f, bool by_products) {
  return is_away(f) || by_products;
}

static void emit_block(nib_emitter *e, const nib_format_info *f, bool by_products) {
  nib_text *t = e->body;
  const bool is_half = f->block.scale == NIB_F16;
  open_block(e, f);
  nib_text_line(t, "uint8_t *const to = out + b * %d; /* %s */", f->block_bytes, f->name);
  for (int at = 0; at < f->block_elems * 4; at += 64)
    nib_say(e, NIB_PRIM_PREFETCH, NULL, nib_word_of("from + %d", at / 4).s,
            nib_word_of("%d", AHEAD).s, NULL, NULL);
  nib_text_line(t, "memcpy(to + %d, %s + (b - first), %d);", f->block.scale_at,
                is_half ? "stored" : "scales", is_half ? 2 : 4);
  if (!is_away(f))
    nib_text_line(t, "const float unit_of_block = %s[b - first];", unit_of(f));
  if (multiplies(f, by_products))
    set(e, "factor", "inverses[b - first]");
  if (by_products)
    emit_plain_codes(e, f);
  else
    emit_careful_codes(e, f, false);
  nib_text_close(t, "");
}

/* What a magnitude waits for is long, and so is a division: those of a few blocks are there before
 * the codes of the first are. */
static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  const nib_node *n = &e->graph->nodes[kernel->nodes[0]];
  const nib_tensor *y = &e->graph->tensors[n->out];
  const nib_format_info *f = nib_format_get(y->format);
  const int64_t blocks = nib_tensor_elems(y) / f->block_elems;
  const bool by_products = has_products(e->vocab, is_away(f));
  nib_text *t = e->body;
  emit_constants(e, f);
  nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %d) {", (ll)blocks, TOGETHER);
  if (blocks % TOGETHER)
    nib_text_line(t, "const int32_t last = first + %d < %lld ? first + %d : %lld;", TOGETHER,
                  (ll)blocks, TOGETHER, (ll)blocks);
  else
    nib_text_line(t, "const int32_t last = first + %d;", TOGETHER);
  for (int at = 0; at < TOGETHER * f->block_elems * 4; at += NIB_PAGE_BYTES)
    nib_say(e, NIB_PRIM_PREFETCH, NULL,
            nib_word_of("in0 + first * %d + %d", f->block_elems, at / 4).s,
            nib_word_of("%d", PAGES_AHEAD).s, NULL, NULL);
  emit_magnitudes(e, f, by_products);
  emit_scales(e, f, multiplies(f, by_products));
  emit_block(e, f, by_products);
  nib_text_close(t, "");
  return NIB_OK;
}

const nib_schedule nib_schedule_block_codes = {
    .name = "block_codes",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = nib_schedule_no_scratch,
    .emit = emit,
};
