/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_vocab
/* Each primitive of each vocabulary, alone: a small generated function is compiled without any
 * -march and run against the one of c99 on random and extreme operands. */
#include "emit/snippets.h"
#include "epilogue/say.h"
#include "num/format_snippets.h"
#include "target/target.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures, compared;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                               \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

enum { elems = 16, rounds = 300, buffer_bytes = 1024 };

/* What an operand or the result is in memory: its C type, 0 for none. */
typedef enum role { NONE, I32, F32, I8, U8, I16, POINTER, CONSTANT } role;

/* How operands are made. */
typedef enum values { ANY, SHIFTS, MULTIPLIERS, SCALES, SMALL, BYTES, LOW_HALF, REALS } values;

typedef struct prim_case {
  nib_prim prim;
  role d, a, b, c; /* d: what it computes, or for stores what it writes */
  values va, vb, vc;
  bool tail;        /* a tail form follows in the table */
  bool accumulates; /* d is read too */
} prim_case;

#define LOAD(P, from, to)                                                                          \
  { NIB_PRIM_##P, to, POINTER, from, NONE, ANY, ANY, ANY, true, false }
#define STORE(P, to, from)                                                                         \
  { NIB_PRIM_##P, to, POINTER, from, NONE, ANY, ANY, ANY, true, false }
#define BINARY(P, t, v)                                                                            \
  { NIB_PRIM_##P, t, t, t, NONE, v, v, ANY, false, false }

static const prim_case loads[] = {LOAD(I32_LOAD, I32, I32), LOAD(F32_LOAD, F32, F32),
                                  LOAD(I8_LOAD, I8, I32), LOAD(U8_LOAD, U8, I32),
                                  LOAD(I16_LOAD, I16, I32)};
static const prim_case stores[] = {STORE(F32_STORE, F32, F32), STORE(I32_STORE, I32, I32),
                                   STORE(I8_STORE, I8, I32), STORE(U8_STORE, U8, I32),
                                   STORE(I16_STORE, I16, I32)};
static const prim_case computes[] = {
    BINARY(I32_ADD, I32, ANY),
    BINARY(I32_SUB, I32, ANY),
    BINARY(I32_MUL, I32, ANY),
    BINARY(I32_MIN, I32, ANY),
    BINARY(I32_MAX, I32, ANY),
    {NIB_PRIM_I32_SHL, I32, I32, CONSTANT, NONE, ANY, ANY, ANY, false, false},
    {NIB_PRIM_MAC16, I32, I32, I32, NONE, SMALL, LOW_HALF, ANY, false, true},
    {NIB_PRIM_DOT16, I32, I32, I32, NONE, ANY, SMALL, SMALL, false, true},
    {NIB_PRIM_BYTES_ADD, I32, I32, I32, NONE, ANY, ANY, ANY, false, false},
    {NIB_PRIM_BYTES_XOR3, I32, I32, I32, I32, ANY, ANY, ANY, false, false},
    {NIB_PRIM_BYTES_BLEND, I32, I32, I32, I32, ANY, ANY, ANY, false, false},
    {NIB_PRIM_BYTES_PAIRS, I32, I32, I32, NONE, ANY, ANY, ANY, false, false},
    {NIB_PRIM_RQ_TFLITE_DOUBLE, I32, I32, I32, I32, ANY, MULTIPLIERS, SHIFTS, false, false},
    {NIB_PRIM_RQ_TFLITE_SINGLE, I32, I32, I32, I32, ANY, MULTIPLIERS, SHIFTS, false, false},
    {NIB_PRIM_RQ_TFLITE_AWAY, I32, I32, I32, I32, ANY, MULTIPLIERS, SHIFTS, false, false},
    {NIB_PRIM_RQ_NEAREST_EVEN, I32, I32, F32, NONE, ANY, SCALES, ANY, false, false},
    {NIB_PRIM_RQ_NEAREST_AWAY, I32, I32, F32, NONE, ANY, SCALES, ANY, false, false},
    BINARY(F32_ADD, F32, REALS),
    BINARY(F32_SUB, F32, REALS),
    BINARY(F32_MUL, F32, REALS),
    BINARY(F32_DIV, F32, REALS),
    BINARY(F32_MIN, F32, REALS),
    BINARY(F32_MAX, F32, REALS),
    {NIB_PRIM_F32_FROM_I32, F32, I32, NONE, NONE, ANY, ANY, ANY, false, false},
    {NIB_PRIM_I32_FROM_F32_EVEN, I32, F32, NONE, NONE, REALS, ANY, ANY, false, false},
    {NIB_PRIM_I32_FROM_F32_AWAY, I32, F32, NONE, NONE, REALS, ANY, ANY, false, false},
    {NIB_PRIM_LOOKUP8, I32, POINTER, I32, NONE, ANY, BYTES, ANY, false, false},
    {NIB_PRIM_F32_LOOKUP16, F32, POINTER, I32, NONE, ANY, ANY, ANY, false, false},
};

static const char *type_of(role r) {
  static const char *const names[] = {"void", "int32_t", "float", "int8_t", "uint8_t", "int16_t"};
  return names[r <= I16 ? r : 0];
}

static size_t bytes_of(role r) { return r == I8 || r == U8 ? 1 : r == I16 ? 2 : 4; }

/* ---- generated functions: void NAME(const void *pa, const void *pb, const void *pc, void *pd)
 * ---- */

static void open_function(nib_emitter *e, const char *name, int step) {
  nib_text_printf(e->body, "%s\n", e->vocab->function_attr);
  nib_text_open(e->body, "void %s_%s(const void *pa, const void *pb, const void *pc, void *pd) {",
                name, e->vocab->name);
  nib_text_line(e->body, "(void)pa, (void)pb, (void)pc, (void)pd;");
  nib_text_open(e->body, "for (int i = 0; i < %d; i += %d) {", elems, step);
}

static void close_function(nib_emitter *e) {
  nib_text_close(e->body, "");
  nib_text_close(e->body, "");
}

static const char *register_type(const nib_emitter *e, role r) {
  return r == F32 ? e->vocab->type_f32 : e->vocab->type_i32;
}

/* Declares register `name` and loads it from pointer `p`, as i32 or f32. */
static void load_register(nib_emitter *e, const char *name, role r, const char *p) {
  nib_text_line(e->body, "%s %s;", register_type(e, r), name);
  nib_say(e, r == F32 ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD, name,
          nib_word_of("(const %s *)%s + i", type_of(r), p).s, NULL, NULL, NULL);
}

static void store_register(nib_emitter *e, role r, const char *name) {
  nib_say(e, r == F32 ? NIB_PRIM_F32_STORE : NIB_PRIM_I32_STORE, NULL,
          nib_word_of("(%s *)pd + i", type_of(r)).s, name, NULL, NULL);
}

/* `n`: 0 or the lanes of a tail, of which only the first register is done. */
static void write_load(nib_emitter *e, const prim_case *k, int n) {
  open_function(e, nib_word_of("p%d_%d", (int)k->prim, n).s, n ? elems : e->vocab->lanes);
  nib_text_line(e->body, "%s d;", register_type(e, k->d));
  nib_say_lanes(e, k->prim, "d", nib_word_of("(const %s *)pa + i", type_of(k->b)).s, NULL, n);
  store_register(e, k->d, "d");
  close_function(e);
}

static void write_store(nib_emitter *e, const prim_case *k, int n) {
  open_function(e, nib_word_of("p%d_%d", (int)k->prim, n).s, n ? elems : e->vocab->lanes);
  load_register(e, "b", k->b, "pb");
  nib_say_lanes(e, k->prim, NULL, nib_word_of("(%s *)pd + i", type_of(k->d)).s, "b", n);
  close_function(e);
}

static void write_compute(nib_emitter *e, const prim_case *k) {
  open_function(e, nib_word_of("p%d_0", (int)k->prim).s, e->vocab->lanes);
  if (k->a == I32 || k->a == F32)
    load_register(e, "a", k->a, "pa");
  if (k->b == I32 || k->b == F32)
    load_register(e, "b", k->b, "pb");
  if (k->c == I32 || k->c == F32)
    load_register(e, "c", k->c, "pc");
  if (k->accumulates)
    load_register(e, "d", k->d, "pc");
  else
    nib_text_line(e->body, "%s d;", register_type(e, k->d));
  nib_say(e, k->prim, "d",
          k->a != POINTER ? "a"
          : k->d == F32   ? "(const float *)pa"
                          : "(const int8_t *)pa",
          k->b == CONSTANT ? "5" : "b", "c", NULL);
  store_register(e, k->d, "d");
  close_function(e);
}

/* Codes stay int8 or uint8; the dot product and sums are tried on int8. */
static const char *staged_type(const nib_vocab *v) {
  static const char *const types[] = {
      [NIB_STAGE_U8] = "uint8_t", [NIB_STAGE_I16] = "int16_t", [NIB_STAGE_CODES] = "int8_t"};
  return types[v->stage];
}

/* The primitives whose operands depend on the vocabulary. */
#define COUNT(array) (sizeof array / sizeof *array)

static const struct {
  const char *name;
  nib_prim prim;
} linears[] = {{"linear", NIB_PRIM_RQ_LINEAR},
               {"started", NIB_PRIM_RQ_STARTED},
               {"signed", NIB_PRIM_RQ_SIGNED}};

static void write_others(nib_emitter *e) {
  const nib_vocab *v = e->vocab;
  const char *staged = staged_type(v);
  open_function(e, "dot", elems);
  nib_text_line(e->body, "%s w;", v->type_weight);
  nib_say(e, NIB_PRIM_WEIGHT_LOAD, "w",
          nib_word_of("(const %s *)pb", v->weights_i16 ? "int16_t" : "int8_t").s, NULL, NULL, NULL);
  nib_text_line(e->body, "%s a;", v->type_act);
  nib_say(e, NIB_PRIM_ACT_BCAST, "a", nib_word_of("(const %s *)pa", staged).s, NULL, NULL, NULL);
  load_register(e, "d", I32, "pc");
  nib_say(e, NIB_PRIM_DOT, "d", "a", "w", NULL, NULL);
  store_register(e, I32, "d");
  close_function(e);
  static const struct {
    const char *name;
    nib_prim prim;
    const char *type;
  } stages[] = {{"stage_i8", NIB_PRIM_STAGE_I8, "int8_t"},
                {"stage_u8", NIB_PRIM_STAGE_U8, "uint8_t"}};
  for (int i = 0; i < 2; i++) {
    open_function(e, stages[i].name, elems);
    nib_say(e, stages[i].prim, nib_word_of("(%s *)pd", staged).s,
            nib_word_of("(const %s *)pa", stages[i].type).s, "*(const int32_t *)pc", NULL, "213");
    close_function(e);
  }
  open_function(e, "stage_sum", elems);
  nib_say(e, NIB_PRIM_STAGE_SUM, "*(int32_t *)pd", nib_word_of("(const %s *)pa", staged).s, NULL,
          NULL, "213");
  close_function(e);
  open_function(e, "fill", elems);
  nib_say(e, NIB_PRIM_STAGE_FILL, nib_word_of("(%s *)pd", staged).s, "77", NULL, NULL, "41");
  close_function(e);
  static const char *const sets[] = {"set_i32", "set_f32"};
  for (int i = 0; i < 2; i++) {
    const role r = i ? F32 : I32;
    open_function(e, sets[i], v->lanes);
    nib_text_line(e->body, "%s d;", register_type(e, r));
    nib_say(e, i ? NIB_PRIM_F32_SET : NIB_PRIM_I32_SET, "d", i ? "-2.75f" : "-123456789", NULL,
            NULL, NULL);
    store_register(e, r, "d");
    close_function(e);
  }
  open_function(e, "fma", v->lanes);
  load_register(e, "a", F32, "pa");
  load_register(e, "b", F32, "pb");
  load_register(e, "d", F32, "pc");
  nib_say(e, NIB_PRIM_F32_FMA, "d", "a", "b", NULL, NULL);
  store_register(e, F32, "d");
  close_function(e);
  for (int i = 0;
       nib_vocab_prim(v, NIB_PRIM_RQ_FIX) && nib_vocab_prim(v, NIB_PRIM_RQ_PRODUCT) && i < 2; i++) {
    open_function(e, i ? "product" : "fix", v->lanes);
    load_register(e, "a", I32, "pa");
    load_register(e, "b", i ? F32 : I32, "pb");
    load_register(e, "c", I32, "pc");
    nib_text_line(e->body, "%s d;", v->type_i32);
    if (i) {
      nib_text_line(e->body, "(void)c;");
      nib_say(e, NIB_PRIM_RQ_PRODUCT, "d", "a", "b", NULL, NULL);
    } else {
      nib_say(e, NIB_PRIM_I32_SET, "d", "7", NULL, NULL, NULL);
      nib_say(e, NIB_PRIM_RQ_FIX, "d", "a", "b", "c", NULL);
    }
    store_register(e, I32, "d");
    close_function(e);
  }
  if (!nib_vocab_prim(v, NIB_PRIM_RQ_LINEAR))
    return;
  for (size_t i = 0; i < COUNT(linears); i++) {
    if (!nib_vocab_prim(v, linears[i].prim))
      continue;
    open_function(e, linears[i].name, v->lanes);
    load_register(e, "a", I32, "pa");
    load_register(e, "b", F32, "pb");
    load_register(e, "c", F32, "pc");
    nib_text_line(e->body, "%s d;", v->type_i32);
    nib_say(e, linears[i].prim, "d", "a", "b", "c", NULL);
    store_register(e, I32, "d");
    close_function(e);
  }
}

/* Four registers from pa narrowed to bytes: whole at pd, then by halves, by registers, and as tails
 * of each register, 64 bytes apart. */
enum { pack_zero = -100, pack_low = 11, pack_high = 120 };
static void write_pack(nib_emitter *e, bool is_unsigned) {
  const nib_vocab *v = e->vocab;
  nib_text_printf(e->body, "%s\n", v->function_attr);
  nib_text_open(e->body,
                "void pack%d_%s(const void *pa, const void *pb, const void *pc, void *pd) {",
                is_unsigned, v->name);
  nib_text_line(e->body, "(void)pb, (void)pc;");
  nib_text_line(e->body, "const int32_t *const a = (const int32_t *)pa;");
  nib_text_line(e->body, "uint8_t *const d = (uint8_t *)pd;");
  for (int i = 0; i < NIB_PACK_REGISTERS; i++) {
    nib_text_line(e->body, "%s r%d;", v->type_i32, i);
    nib_say(e, NIB_PRIM_I32_LOAD, nib_word_of("r%d", i).s, nib_word_of("a + %d", i * v->lanes).s,
            NULL, NULL, NULL);
  }
  nib_text_line(e->body, "%s low, high, bytes;", v->type_bytes);
  nib_say(e, NIB_PRIM_NARROW16, "low", "r0", "r1", NULL, NULL);
  nib_say(e, NIB_PRIM_NARROW16, "high", "r2", "r3", NULL, NULL);
  const nib_word zero = nib_word_of("%d", pack_zero);
  nib_say(e, NIB_PRIM_I16_ADD, "low", "low", zero.s, NULL, NULL);
  nib_say(e, NIB_PRIM_I16_ADD, "high", "high", zero.s, NULL, NULL);
  nib_say(e, is_unsigned ? NIB_PRIM_NARROW_U8 : NIB_PRIM_NARROW_I8, "bytes", "low", "high", NULL,
          NULL);
  nib_say(e, is_unsigned ? NIB_PRIM_U8_MAX : NIB_PRIM_I8_MAX, "bytes", "bytes",
          nib_word_of("%d", pack_low).s, NULL, NULL);
  nib_say(e, is_unsigned ? NIB_PRIM_U8_MIN : NIB_PRIM_I8_MIN, "bytes", "bytes",
          nib_word_of("%d", pack_high + (is_unsigned ? 100 : 0)).s, NULL, NULL);
  nib_say(e, NIB_PRIM_BYTES_STORE4, NULL, "d", "bytes", NULL, NULL);
  for (int i = 0; i < 2; i++)
    nib_say(e, NIB_PRIM_BYTES_STORE2, NULL, nib_word_of("d + %d", 64 + 64 * i).s, "bytes",
            nib_word_of("%d", i).s, NULL);
  for (int i = 0; i < NIB_PACK_REGISTERS; i++) {
    nib_say(e, NIB_PRIM_BYTES_STORE1, NULL, nib_word_of("d + %d", 192 + 64 * i).s, "bytes",
            nib_word_of("%d", i).s, NULL);
    nib_say(e, NIB_PRIM_BYTES_STORE1_TAIL, NULL, nib_word_of("d + %d", 448 + 64 * i).s, "bytes",
            nib_word_of("%d", i).s, nib_word_of("%d", 2 * i + 1).s);
  }
  nib_text_close(e->body, "");
}

/* ---- registers of bytes ---- */

/* d = what `prim` makes of registers of bytes (a: or the pointer) and b: or the constant 3. */
static const struct byte_case {
  nib_prim prim;
  bool a_pointer, b_constant;
} byte_cases[] = {{NIB_PRIM_BYTES_AND, false, false},     {NIB_PRIM_BYTES_OR, false, false},
                  {NIB_PRIM_BYTES_SHL, false, true},      {NIB_PRIM_BYTES_SHR, false, true},
                  {NIB_PRIM_I32_SAR, false, true},        {NIB_PRIM_BYTES_LOOKUP, true, false},
                  {NIB_PRIM_BYTES_LOOKUP64, true, false}, {NIB_PRIM_BYTES_BCAST, true, true},
                  {NIB_PRIM_BYTES_LOAD, true, true}};

enum { summed = 61 };

/* What reads and writes blocks of int8. */
static void write_blocks(nib_emitter *e) {
  open_function(e, "i8_sum", elems);
  nib_text_line(e->body, "int32_t d;");
  nib_say(e, NIB_PRIM_I8_SUM, "d", "(const int8_t *)pa", NULL, NULL, nib_word_of("%d", summed).s);
  nib_text_line(e->body, "*(int32_t *)pd = d;");
  close_function(e);
  open_function(e, "f16_value", elems);
  nib_text_line(e->body, "float d;");
  nib_say(e, NIB_PRIM_F16_VALUE, "d", "*(const uint16_t *)pa", NULL, NULL, NULL);
  nib_text_line(e->body, "*(float *)pd = d;");
  close_function(e);
  open_function(e, "quotient", elems);
  load_register(e, "a", F32, "pa");
  load_register(e, "b", F32, "pb");
  nib_text_line(e->body, "%s d;", e->vocab->type_i32);
  nib_say(e, NIB_PRIM_I8_QUOTIENT, "d", "a", "b", NULL, NULL);
  store_register(e, I32, "d");
  close_function(e);
}

static void write_bytes(nib_emitter *e) {
  const nib_vocab *v = e->vocab;
  for (size_t i = 0; i < COUNT(byte_cases); i++) {
    const struct byte_case *k = &byte_cases[i];
    if (!nib_vocab_prim(v, k->prim))
      continue;
    open_function(e, nib_word_of("p%d_0", (int)k->prim).s, elems);
    load_register(e, "a", I32, "pa");
    load_register(e, "b", I32, "pb");
    nib_text_line(e->body, "%s d;", v->type_i32);
    nib_text_line(e->body, "(void)a, (void)b;");
    nib_say(e, k->prim, "d",
            k->a_pointer
                ? k->prim == NIB_PRIM_BYTES_BCAST ? "(const int8_t *)pa" : "(const uint8_t *)pa"
                : "a",
            k->b_constant ? "3" : "b", NULL, NULL);
    nib_say(e, NIB_PRIM_BYTES_STORE, NULL, "(uint8_t *)pd", "d", NULL, NULL);
    close_function(e);
  }
  open_function(e, "dot8", elems);
  load_register(e, "a", I32, "pa");
  load_register(e, "b", I32, "pb");
  load_register(e, "d", I32, "pc");
  nib_text_line(e->body, "%s part;", v->type_i32);
  nib_say(e, NIB_PRIM_BYTES_SET, "part", "0", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_DOT8, "part", "a", "b", NULL, NULL);
  nib_say(e, NIB_PRIM_DOT8_SUM, "d", "part", NULL, NULL, NULL);
  store_register(e, I32, "d");
  close_function(e);
  open_function(e, "largest", elems);
  load_register(e, "a", F32, "pa");
  nib_text_line(e->body, "float d;");
  nib_say(e, NIB_PRIM_F32_LARGEST, "d", "a", NULL, NULL, NULL);
  nib_text_line(e->body, "*(float *)pd = d;");
  close_function(e);
  if (nib_vocab_prim(v, NIB_PRIM_I8_SUM))
    write_blocks(e);
  open_function(e, "sum", elems);
  load_register(e, "a", F32, "pa");
  nib_text_line(e->body, "float d;");
  nib_say(e, NIB_PRIM_F32_SUM, "d", "a", NULL, NULL, NULL);
  nib_text_line(e->body, "*(float *)pd = d;");
  close_function(e);
  for (int n = 1; n < e->vocab->lanes; n++) {
    open_function(e, nib_word_of("first_%d", n).s, elems);
    load_register(e, "a", F32, "pa");
    load_register(e, "b", F32, "pb");
    nib_say(e, NIB_PRIM_F32_FIRST, "b", "a", "b", NULL, nib_word_of("%d", n).s);
    store_register(e, F32, "b");
    close_function(e);
  }
  open_function(e, "where", elems);
  load_register(e, "a", I32, "pa");
  load_register(e, "b", F32, "pb");
  load_register(e, "c", F32, "pc");
  nib_text_line(e->body, "%s d;", v->type_f32);
  nib_say(e, NIB_PRIM_F32_WHERE, "d", "a", "b", "c", NULL);
  store_register(e, F32, "d");
  close_function(e);
  if (nib_vocab_prim(v, NIB_PRIM_F32_EXP)) {
    open_function(e, "exp_", elems);
    load_register(e, "a", F32, "pa");
    nib_text_line(e->body, "%s d;", v->type_f32);
    nib_say(e, NIB_PRIM_F32_EXP, "d", "a", NULL, NULL, NULL);
    store_register(e, F32, "d");
    close_function(e);
  }
  static const char *const halves[] = {"f16", "bf16"};
  for (int i = 0; i < 2; i++) {
    open_function(e, halves[i], elems);
    nib_text_line(e->body, "%s d;", v->type_f32);
    nib_say(e, i ? NIB_PRIM_BF16_LOAD : NIB_PRIM_F16_LOAD, "d", "(const uint16_t *)pa", NULL, NULL,
            NULL);
    nib_say(e, NIB_PRIM_PREFETCH, NULL, "(const uint8_t *)pa", "64", NULL, NULL);
    store_register(e, F32, "d");
    close_function(e);
  }
}

static void write_vocabulary(nib_emitter *e) {
  for (size_t i = 0; i < COUNT(loads); i++)
    for (int n = 0; n < e->vocab->lanes; n++)
      write_load(e, &loads[i], n);
  for (size_t i = 0; i < COUNT(stores); i++)
    for (int n = 0; n < e->vocab->lanes; n++)
      write_store(e, &stores[i], n);
  for (size_t i = 0; i < COUNT(computes); i++)
    if (nib_vocab_prim(e->vocab, computes[i].prim))
      write_compute(e, &computes[i]);
  write_others(e);
  for (int i = 0; e->vocab->type_bytes && i < 2; i++)
    write_pack(e, i);
  if (nib_vocab_prim(e->vocab, NIB_PRIM_DOT8))
    write_bytes(e);
}

/* ---- operands ---- */

static uint64_t random_state = 7;
static uint64_t next_random(void) {
  random_state += UINT64_C(0x9E3779B97F4A7C15);
  uint64_t z = random_state;
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* Of all magnitudes, and often at an end. */
static int32_t any_i32(void) {
  static const int32_t ends[] = {0, 1, -1, INT32_MAX, INT32_MIN, INT32_MIN + 1, 127, -128, 255};
  const uint64_t r = next_random();
  if (r % 8 == 0)
    return ends[(r >> 8) % COUNT(ends)];
  return (int32_t)(uint32_t)(r >> 32) >> (r % 31);
}

static float any_f32(void) {
  static const float ends[] = {0.0f,       -0.0f,         0.5f,           -0.5f,    1.5f,
                               2.5f,       2147483648.0f, -2147483648.0f, INFINITY, -INFINITY,
                               4194304.5f, 0.49999997f,   2147483520.0f};
  const uint64_t r = next_random();
  if (r % 8 == 0)
    return ends[(r >> 8) % COUNT(ends)];
  return ldexpf((float)(int32_t)(uint32_t)(r >> 32), -(int)(r % 40));
}

static void make_operand(values kind, role r, void *out) {
  for (int i = 0; i < elems; i++) {
    const int32_t x = any_i32();
    const uint64_t bits = next_random();
    int32_t *to = (int32_t *)out + i;
    float *real = (float *)out + i;
    switch (kind) {
    case SHIFTS:
      *to = (int32_t)(bits % 38) - 30;
      break;
    case MULTIPLIERS:
      *to = bits % 16 ? (int32_t)(bits % (1u << 30)) + (1 << 30) : 0;
      break;
    case SMALL:
      *to = (int16_t)x;
      break;
    case LOW_HALF:
      *to = (uint16_t)(int16_t)x;
      break;
    case BYTES:
      *to = (int32_t)(bits % 256);
      break;
    case SCALES:
      *real = ldexpf((float)(bits % 65536) + 1.0f, -(int)(bits >> 59) - 8);
      break;
    default:
      if (r == F32)
        *real = any_f32();
      else
        *to = x;
    }
  }
}

/* ---- running ---- */

typedef void function(const void *, const void *, const void *, void *);

static function *find(void *library, const char *name, const nib_vocab *v) {
  function *f = NULL;
  void *symbol = dlsym(library, nib_word_of("%s_%s", name, v->name).s);
  memcpy(&f, &symbol, sizeof f);
  CHECK(f != NULL);
  return f;
}

static _Alignas(64) unsigned char pa[buffer_bytes], pb[buffer_bytes], pc[buffer_bytes],
    want[buffer_bytes], got[buffer_bytes];

static void report(const char *what, const nib_vocab *v, int round) {
  printf("%s, %s: differs in round %d (first words %d and %d)\n", v->name, what, round,
         *(int32_t *)(void *)want, *(int32_t *)(void *)got);
  ++failures;
}

static void fill_random(unsigned char *p) {
  for (size_t i = 0; i < buffer_bytes; i++)
    p[i] = (unsigned char)next_random();
}

/* Loads and stores: `n` lanes of one register, or 16 elements when n is 0. */
static void test_moves(void *library, const nib_vocab *v, const prim_case *k, bool is_load, int n) {
  const nib_vocab *c99 = nib_vocab_find("c99");
  char name[32], reference[32];
  snprintf(name, sizeof name, "p%d_%d", (int)k->prim, n);
  snprintf(reference, sizeof reference, "p%d_0", (int)k->prim);
  function *f = find(library, name, v), *ref = find(library, reference, c99);
  const size_t size = bytes_of(is_load ? I32 : k->d);
  for (int round = 0; f && ref && round < rounds / 10; round++) {
    fill_random(pa);
    make_operand(ANY, k->b, pb);
    memset(got, 0x5A, sizeof got);
    ref(pa, pb, pc, want);
    f(pa, pb, pc, got);
    if (n) { /* past the tail: zero lanes after loads, untouched memory after stores */
      const size_t end = is_load ? (size_t)v->lanes * size : elems * size;
      memset(want + (size_t)n * size, is_load ? 0 : 0x5A, end - (size_t)n * size);
    }
    const size_t checked = is_load && n ? (size_t)v->lanes * size : elems * size;
    if (memcmp(want, got, checked) != 0)
      report(nib_prim_name(k->prim), v, round);
    ++compared;
  }
}

static void test_compute(void *library, const nib_vocab *v, const prim_case *k) {
  char name[32];
  snprintf(name, sizeof name, "p%d_0", (int)k->prim);
  function *f = find(library, name, v), *ref = find(library, name, nib_vocab_find("c99"));
  for (int round = 0; f && ref && round < rounds; round++) {
    make_operand(k->va, k->a, pa);
    if (k->a == POINTER)
      fill_random(pa);
    make_operand(k->vb, k->b, pb);
    make_operand(k->vc, k->c, pc);
    ref(pa, pb, pc, want);
    f(pa, pb, pc, got);
    bool same = true;
    for (int i = 0; i < elems; i++) {
      const float x = ((float *)(void *)want)[i], y = ((float *)(void *)got)[i];
      const bool nans = k->d == F32 && isnan(x) && isnan(y);
      same &= nans || memcmp(want + 4 * i, got + 4 * i, 4) == 0;
    }
    if (!same)
      report(nib_prim_name(k->prim), v, round);
    ++compared;
  }
}

static int32_t staged_at(const nib_vocab *v, const void *p, int i) {
  return v->stage == NIB_STAGE_U8    ? ((const uint8_t *)p)[i]
         : v->stage == NIB_STAGE_I16 ? ((const int16_t *)p)[i]
                                     : ((const int8_t *)p)[i];
}

static int staged_bytes(const nib_vocab *v) { return v->stage == NIB_STAGE_I16 ? 2 : 1; }

/* Staged values that a schedule can make: every u8, or int8/uint8 codes minus a zero point. */
static void make_staged(const nib_vocab *v, unsigned char *p, bool ends) {
  fill_random(p);
  for (int i = 0; i < buffer_bytes / 2; i++) {
    const int16_t value = ends ? (next_random() % 2 ? 255 : -255) : (int16_t)(p[i] - 128);
    if (v->stage == NIB_STAGE_I16)
      ((int16_t *)(void *)p)[i] = value;
    else if (ends)
      p[i] = value > 0 ? 255 : 0;
  }
}

/* Makes pairs of weights such that neither sign exceeds the limit; at the edge of it if `ends`. */
static void keep_within(int limit, int8_t *w, int n, bool ends) {
  for (int i = 0; i < n; i += 2) {
    if (ends)
      w[i] = next_random() % 2 ? 127 : -128;
    const int sum = w[i] + w[i + 1];
    if (ends || sum > limit || sum < -limit)
      w[i + 1] = (int8_t)(w[i] > 0 ? limit - w[i] : -limit - w[i]);
  }
}

static void test_dot(void *library, const nib_vocab *v) {
  function *f = find(library, "dot", v);
  for (int round = 0; f && round < rounds; round++) {
    make_staged(v, pa, round % 3 == 0);
    fill_random(pb);
    for (int i = 0; v->weights_i16 && i < buffer_bytes / 2; i++)
      ((int16_t *)(void *)pb)[i] =
          round % 3 ? (int8_t)pb[i] : (int16_t)(next_random() % 2 ? 255 : -255);
    if (!v->weights_i16 && round % 3 == 0)
      memset(pb, round % 2 ? 127 : -128, sizeof pb);
    if (v->pair_limit)
      keep_within(v->pair_limit, (int8_t *)pb, v->lanes * v->dot_k, round % 3 == 0);
    make_operand(SMALL, I32, pc);
    f(pa, pb, pc, got);
    for (int lane = 0; lane < v->lanes; lane++) {
      int32_t sum = ((int32_t *)(void *)pc)[lane];
      for (int i = 0; i < v->dot_k; i++) {
        const int at = lane * v->dot_k + i;
        const int32_t w = v->weights_i16 ? ((int16_t *)(void *)pb)[at] : ((int8_t *)pb)[at];
        sum += staged_at(v, pa, i) * w;
      }
      ((int32_t *)(void *)want)[lane] = sum;
    }
    if (memcmp(want, got, 4 * (size_t)v->lanes) != 0)
      report("dot", v, round);
    ++compared;
  }
}

static void test_staging(void *library, const nib_vocab *v) {
  static const char *const names[] = {"stage_i8", "stage_u8"};
  for (int kind = 0; kind < 2; kind++) {
    function *f = find(library, names[kind], v);
    for (int round = 0; f && round < rounds; round++) {
      fill_random(pa);
      const int32_t least = kind ? 0 : -128;
      const int32_t zero = least + (int32_t)(next_random() % 256);
      memcpy(pc, &zero, sizeof zero);
      memset(got, 0x5A, sizeof got);
      f(pa, pb, pc, got);
      const int32_t minus = v->stage == NIB_STAGE_U8 ? least : zero;
      bool same = got[staged_bytes(v) * 213] == 0x5A;
      for (int i = 0; i < 213; i++)
        same &= v->stage == NIB_STAGE_CODES
                    ? got[i] == pa[i]
                    : staged_at(v, got, i) == (kind ? pa[i] : (int8_t)pa[i]) - minus;
      if (!same)
        report(names[kind], v, round);
      ++compared;
    }
  }
  function *sum = find(library, "stage_sum", v), *fill = find(library, "fill", v);
  for (int round = 0; sum && fill && round < rounds; round++) {
    make_staged(v, pa, round % 3 == 0);
    int32_t total = 0;
    for (int i = 0; i < 213; i++)
      total += staged_at(v, pa, i);
    memcpy(want, &total, sizeof total);
    sum(pa, pb, pc, got);
    if (memcmp(want, got, sizeof total) != 0)
      report("stage_sum", v, round);
    memset(got, 0x5A, sizeof got);
    fill(pa, pb, pc, got);
    for (int i = 0; i < 41; i++)
      CHECK(staged_at(v, got, i) == 77);
    CHECK(got[staged_bytes(v) * 41] == 0x5A);
    compared += 2;
  }
}

static void test_floats(void *library, const nib_vocab *v) {
  function *fma_ = find(library, "fma", v), *set_i = find(library, "set_i32", v),
           *set_f = find(library, "set_f32", v);
  if (!fma_ || !set_i || !set_f)
    return;
  set_i(pa, pb, pc, got);
  set_f(pa, pb, pc, got + 64);
  for (int i = 0; i < elems; i++) {
    CHECK(((int32_t *)(void *)got)[i] == -123456789);
    CHECK(((float *)(void *)(got + 64))[i] == -2.75f);
  }
  float *a = (float *)(void *)pa, *b = (float *)(void *)pb, *c = (float *)(void *)pc,
        *d = (float *)(void *)got;
  for (int round = 0; round < rounds; round++) { /* exact operands: fused or not is the same */
    for (int i = 0; i < elems; i++) {
      a[i] = (float)((int)(next_random() % 2000) - 1000);
      b[i] = (float)((int)(next_random() % 2000) - 1000);
      c[i] = (float)((int)(next_random() % 2000) - 1000);
    }
    fma_(pa, pb, pc, got);
    for (int i = 0; i < elems; i++)
      CHECK(d[i] == a[i] * b[i] + c[i]);
    ++compared;
  }
  function *fix = nib_vocab_prim(v, NIB_PRIM_RQ_FIX) ? find(library, "fix", v) : NULL,
           *product = nib_vocab_prim(v, NIB_PRIM_RQ_PRODUCT) ? find(library, "product", v) : NULL;
  for (int round = 0; fix && product && round < rounds; round++) {
    int32_t *x = (int32_t *)(void *)pa, *y = (int32_t *)(void *)pb, *z = (int32_t *)(void *)pc;
    for (int i = 0; i < elems; i++) {
      x[i] = any_i32(), y[i] = next_random() % 2 ? x[i] : any_i32(),
      z[i] = next_random() % 2 ? 1 : -1;
      ((int32_t *)(void *)want)[i] = 7 + (x[i] == y[i] ? z[i] : 0);
    }
    fix(pa, pb, pc, got);
    if (memcmp(want, got, 4 * elems) != 0)
      report("rq_fix", v, round);
    for (int i = 0; i < elems; i++) {
      x[i] = any_i32() >> 2;
      b[i] = ldexpf((float)(next_random() % 65536), -17 - (int)(next_random() % 14));
      volatile float exact = (float)x[i] * b[i];
      ((int32_t *)(void *)want)[i] = (int32_t)rintf(exact);
    }
    product(pa, pb, pc, got);
    if (memcmp(want, got, 4 * elems) != 0)
      report("rq_product", v, round);
    compared += 2;
  }
  for (size_t kind = 0; kind < COUNT(linears); kind++) {
    const nib_prim prim = linears[kind].prim;
    function *linear = nib_vocab_prim(v, prim) ? find(library, linears[kind].name, v) : NULL;
    for (int round = 0; linear && round < rounds; round++) {
      for (int i = 0; i < elems; i++) {
        const int32_t first = 1 << 23, x = prim == NIB_PRIM_RQ_STARTED
                                               ? first | (any_i32() & (first - 1))
                                               : any_i32() >> 2;
        const float started = (float)x;
        if (prim == NIB_PRIM_RQ_STARTED)
          memcpy(pa + 4 * i, &started, sizeof started);
        else
          ((int32_t *)(void *)pa)[i] = x;
        b[i] = ldexpf((float)(next_random() % 65536), -17 - (int)(next_random() % 14));
        c[i] = (float)(int)(next_random() % 512) * 0.5f;
        const float offset = prim == NIB_PRIM_RQ_SIGNED ? copysignf(c[i], (float)x) : c[i];
        ((int32_t *)(void *)want)[i] = (int32_t)rintf(fmaf((float)x, b[i], offset));
      }
      linear(pa, pb, pc, got);
      if (memcmp(want, got, 4 * elems) != 0)
        report(nib_prim_name(prim), v, round);
      ++compared;
    }
  }
}

static void test_pack(void *library, const nib_vocab *v, bool is_unsigned) {
  function *f = find(library, is_unsigned ? "pack1" : "pack0", v);
  const int32_t high = pack_high + (is_unsigned ? 100 : 0);
  for (int round = 0; f && round < rounds; round++) {
    uint8_t bytes[64];
    for (int i = 0; i < NIB_PACK_REGISTERS * v->lanes; i++) {
      const int32_t x = round % 2 ? any_i32() : (int32_t)(next_random() % 700) - 350;
      const int32_t wide = x > 100000 ? 100000 : x < -100000 ? -100000 : x;
      const int32_t code = wide + pack_zero;
      ((int32_t *)(void *)pa)[i] = x;
      bytes[i] = (uint8_t)(code < pack_low ? pack_low : code > high ? high : code);
    }
    memset(got, 0x5A, sizeof got);
    memset(want, 0x5A, sizeof want);
    memcpy(want, bytes, 4 * (size_t)v->lanes);
    for (int i = 0; i < 2; i++)
      memcpy(want + 64 + 64 * i, bytes + 2 * i * v->lanes, 2 * (size_t)v->lanes);
    for (int i = 0; i < NIB_PACK_REGISTERS; i++) {
      memcpy(want + 192 + 64 * i, bytes + i * v->lanes, (size_t)v->lanes);
      memcpy(want + 448 + 64 * i, bytes + i * v->lanes, 2 * (size_t)i + 1);
    }
    f(pa, pb, pc, got);
    if (memcmp(want, got, 704) != 0)
      report("packed stores", v, round);
    ++compared;
  }
}

static uint32_t word_at(const unsigned char *p, int lane) {
  uint32_t x;
  memcpy(&x, p + 4 * lane, sizeof x);
  return x;
}

/* What byte_cases[i] makes of lane `lane`. */
static uint32_t expected_bytes(const struct byte_case *k, int lane) {
  const uint32_t a = word_at(pa, lane), b = word_at(pb, lane);
  uint32_t y = 0;
  switch (k->prim) {
  case NIB_PRIM_BYTES_AND:
    return a & b;
  case NIB_PRIM_BYTES_OR:
    return a | b;
  case NIB_PRIM_BYTES_SHL:
    return a << 3;
  case NIB_PRIM_BYTES_SHR:
    return a >> 3;
  case NIB_PRIM_I32_SAR:
    return a >> 3 | (a >> 31 ? 7u << 29 : 0);
  case NIB_PRIM_BYTES_BCAST:
    return word_at(pa, 0);
  case NIB_PRIM_BYTES_LOAD:
    return a;
  default: /* lookups */
    for (int i = 0; i < 4; i++)
      y |= (uint32_t)pa[b >> 8 * i & (k->prim == NIB_PRIM_BYTES_LOOKUP ? 15 : 63)] << 8 * i;
    return y;
  }
}

static void test_bytes(void *library, const nib_vocab *v) {
  const size_t bytes = 4 * (size_t)v->lanes;
  for (int round = 0; round < rounds / 10; round++)
    for (size_t i = 0; i < COUNT(byte_cases); i++) {
      const struct byte_case *k = &byte_cases[i];
      if (!nib_vocab_prim(v, k->prim))
        continue;
      function *f = find(library, nib_word_of("p%d_0", (int)k->prim).s, v);
      fill_random(pa);
      fill_random(pb);
      for (int j = 0; k->prim == NIB_PRIM_BYTES_LOOKUP && j < buffer_bytes; j++)
        pb[j] &= 15;
      for (int lane = 0; lane < v->lanes; lane++) {
        const uint32_t y = expected_bytes(k, lane);
        memcpy(want + 4 * lane, &y, sizeof y);
      }
      if (f)
        f(pa, pb, pc, got);
      if (memcmp(want, got, bytes) != 0)
        report(nib_prim_name(k->prim), v, round);
      ++compared;
    }
}

/* Sums of products at their ends, as far as an i16 holds them; the unsigned side has any byte else.
 */
static void test_dot8(void *library, const nib_vocab *v) {
  function *f = find(library, "dot8", v);
  for (int round = 0; f && round < rounds; round++) {
    fill_random(pa);
    fill_random(pb);
    for (int i = 0; i < buffer_bytes; i++) {
      pa[i] = round % 2 ? pa[i] : pa[i] % 2 ? 0 : 255;
      pa[i] = v->dot8_limit ? pa[i] / 2 : pa[i];
      pb[i] = round % 3 ? pb[i] : round % 2 ? 0x80 : 0x7F;
    }
    make_operand(SMALL, I32, pc);
    for (int lane = 0; lane < v->lanes; lane++) {
      int32_t sum = (int32_t)word_at(pc, lane);
      for (int i = 0; i < 4; i++)
        sum += pa[4 * lane + i] * (int8_t)pb[4 * lane + i];
      memcpy(want + 4 * lane, &sum, sizeof sum);
    }
    f(pa, pb, pc, got);
    if (memcmp(want, got, 4 * (size_t)v->lanes) != 0)
      report("dot8", v, round);
    ++compared;
  }
}

static void test_largest(void *library, const nib_vocab *v) {
  function *f = find(library, "largest", v);
  for (int round = 0; f && round < rounds; round++) {
    make_operand(REALS, F32, pa);
    float most = -INFINITY;
    for (int lane = 0; lane < v->lanes; lane++)
      most = fmaxf(most, ((float *)(void *)pa)[lane]);
    f(pa, pb, pc, got);
    CHECK(*(float *)(void *)got == most);
    ++compared;
  }
}

static void test_sums(void *library, const nib_vocab *v) {
  if (!nib_vocab_prim(v, NIB_PRIM_I8_SUM))
    return;
  function *sum = find(library, "i8_sum", v), *value = find(library, "f16_value", v);
  for (int round = 0; sum && value && round < rounds; round++) {
    int32_t total = 0;
    fill_random(pa);
    if (round < 2)
      memset(pa, round ? 127 : -128, summed);
    for (int i = 0; i < summed; i++)
      total += (int8_t)pa[i];
    sum(pa, pb, pc, got);
    CHECK(*(int32_t *)(void *)got == total);
    ++compared;
  }
  for (uint32_t code = 0; value && code < 0x7C00; code++) { /* of both signs, none a NaN */
    const uint16_t of = (uint16_t)(code % 2 ? code | 0x8000 : code);
    const float want_value = nib_f16_to_f32(of);
    memcpy(pa, &of, sizeof of);
    value(pa, pb, pc, got);
    if (memcmp(got, &want_value, sizeof want_value) != 0)
      report("f16_value", v, (int)code);
  }
}

/* Quotients at ties and next to them, of units down to the least. */
static void test_quotient(void *library, const nib_vocab *v) {
  if (!nib_vocab_prim(v, NIB_PRIM_I8_SUM))
    return;
  function *f = find(library, "quotient", v);
  float *a = (float *)(void *)pa, *b = (float *)(void *)pb;
  for (int round = 0; f && round < rounds; round++) {
    const float unit = ldexpf(1 + (float)(next_random() >> 41) * 0x1p-23f,
                              round == 0 ? -149 : (int)(next_random() % 268) - 149);
    for (int i = 0; i < elems; i++) {
      const double at = (int)(next_random() % 257) - 128 + (int)(next_random() % 4) * 0.5;
      b[i] = unit;
      a[i] = (float)(at * (double)unit);
      if (next_random() % 2)
        a[i] = nextafterf(a[i], next_random() % 2 ? INFINITY : -INFINITY);
    }
    a[0] = round % 2 ? INFINITY : NAN;
    f(pa, pb, pc, got);
    for (int i = 0; i < v->lanes; i++) {
      const int32_t d = ((int32_t *)(void *)got)[i];
      const double exact = isnan(a[i]) ? 0 : rint((double)a[i] / (double)b[i]);
      CHECK(fmin(fmax(d, -128), 127) == fmin(fmax(exact, -128), 127));
    }
    ++compared;
  }
}

/* Whole numbers, whose sums are exact in any order; selections to the bit. */
static void test_rows(void *library, const nib_vocab *v) {
  function *sum = find(library, "sum", v), *where = find(library, "where", v);
  float *a = (float *)(void *)pa, *b = (float *)(void *)pb, *c = (float *)(void *)pc;
  for (int round = 0; sum && where && round < rounds; round++) {
    float total = 0;
    for (int lane = 0; lane < v->lanes; lane++)
      total += a[lane] = (float)(int32_t)(next_random() % 2000) - 1000;
    sum(pa, pb, pc, got);
    CHECK(*(float *)(void *)got == total);
    for (int lane = 0; lane < v->lanes; lane++) {
      a[lane] = (float)(next_random() % 100);
      b[lane] = lane + 0.25f;
      c[lane] = -lane - 0.5f;
    }
    for (int n = 1; n < v->lanes; n++) {
      function *first = find(library, nib_word_of("first_%d", n).s, v);
      if (!first)
        continue;
      first(pa, pb, pc, got);
      for (int lane = 0; lane < v->lanes; lane++)
        CHECK(((float *)(void *)got)[lane] == (lane < n ? a[lane] : b[lane]));
    }
    int32_t *conditions = (int32_t *)(void *)pa;
    for (int lane = 0; lane < v->lanes; lane++)
      conditions[lane] = next_random() % 3 ? (int32_t)(next_random() % 300) : 0;
    where(pa, pb, pc, got);
    for (int lane = 0; lane < v->lanes; lane++)
      CHECK(((float *)(void *)got)[lane] == (conditions[lane] ? b[lane] : c[lane]));
    ++compared;
  }
}

/* Within two units in the last place of the double's, from what underflows to what overflows. */
static void test_exp(void *library, const nib_vocab *v) {
  static const float ends[] = {0.0f,     -0.0f,    88.72283f, 88.7229f, 1e30f,  INFINITY,
                               -87.336f, -103.97f, -104.5f,   -1e30f,   1e-30f, -INFINITY};
  if (!nib_vocab_prim(v, NIB_PRIM_F32_EXP))
    return;
  function *f = find(library, "exp_", v);
  float *a = (float *)(void *)pa;
  for (int round = 0; f && round < 4000; round++) {
    for (int lane = 0; lane < v->lanes; lane++)
      a[lane] = round < 20 ? ends[(size_t)(round * v->lanes + lane) % COUNT(ends)]
                           : (float)((int32_t)(next_random() % 2000001) - 1000000) * 1.1e-4f;
    f(pa, pb, pc, got);
    for (int lane = 0; lane < v->lanes; lane++) {
      const float y = ((float *)(void *)got)[lane];
      const double exact = exp((double)a[lane]), step = exact < 1.2e-38 ? 1.5e-45 : exact * 1.2e-7;
      if (exact > 3.4028235e38 ? y != INFINITY : !(fabs(y - exact) <= 2 * step)) {
        printf("%s: exp(%a) = %a\n", v->name, a[lane], y);
        ++failures;
        return;
      }
    }
    ++compared;
  }
  a[0] = NAN;
  f(pa, pb, pc, got);
  CHECK(isnan(*(float *)(void *)got));
}

static void test_halves(void *library, const nib_vocab *v) {
  static const struct {
    const char *name;
    nib_format format;
  } halves[] = {{"f16", NIB_F16}, {"bf16", NIB_BF16}};
  for (int i = 0; i < 2; i++) {
    function *f = find(library, halves[i].name, v);
    for (int code = 0; f && code < 65536; code += v->lanes) {
      for (int lane = 0; lane < v->lanes; lane++)
        ((uint16_t *)(void *)pa)[lane] = (uint16_t)(code + lane);
      f(pa, pb, pc, got);
      for (int lane = 0; lane < v->lanes; lane++) {
        const float x = (float)nib_format_decode(halves[i].format, (uint64_t)(code + lane));
        const float y = ((float *)(void *)got)[lane];
        CHECK(x == y || (isnan(x) && isnan(y)));
      }
    }
    ++compared;
  }
}

static void test_vocabulary(void *library, const nib_vocab *v) {
  for (size_t i = 0; i < COUNT(loads); i++)
    for (int n = 0; n < v->lanes; n++)
      test_moves(library, v, &loads[i], true, n);
  for (size_t i = 0; i < COUNT(stores); i++)
    for (int n = 0; n < v->lanes; n++)
      test_moves(library, v, &stores[i], false, n);
  for (size_t i = 0; i < COUNT(computes); i++)
    if (nib_vocab_prim(v, computes[i].prim))
      test_compute(library, v, &computes[i]);
  test_dot(library, v);
  test_staging(library, v);
  test_floats(library, v);
  for (int i = 0; v->type_bytes && i < 2; i++)
    test_pack(library, v, i);
  if (!nib_vocab_prim(v, NIB_PRIM_DOT8))
    return;
  test_bytes(library, v);
  test_dot8(library, v);
  test_halves(library, v);
  test_largest(library, v);
  test_sums(library, v);
  test_quotient(library, v);
  test_rows(library, v);
  test_exp(library, v);
}

/* ---- the file ---- */

static void *compile(const nib_vocab *const *vocabs, int n, char *dir) {
  nib_text body, file;
  nib_text_init(&body);
  nib_text_init(&file);
  uint64_t used[4] = {0};
  nib_text_printf(&file, "#include <math.h>\n#include <stdint.h>\n#include <string.h>\n");
  for (int i = n - 1; i >= 0; i--) /* a base before what builds on it */
    nib_text_printf(&body, "%s\n", vocabs[i]->support);
  for (int i = 0; i < n; i++) {
    nib_emitter e = {.vocab = vocabs[i], .body = &body};
    nib_text_printf(&file, "%s", vocabs[i]->includes);
    write_vocabulary(&e);
  }
  nib_snippets_scan(body.data, used);
  nib_snippets_append(used, &file);
  char path[128];
  snprintf(path, sizeof path, "%s/prims.c", dir);
  FILE *out = fopen(path, "w");
  CHECK(out && !body.failed && !file.failed);
  if (out) {
    fprintf(out, "%s%s", file.data, body.data);
    fclose(out);
  }
  nib_text_free(&body);
  nib_text_free(&file);
  char command[512];
  snprintf(command, sizeof command,
           "cc -std=c11 -Wall -Wextra -pedantic -Werror -O1 -shared -fPIC %s -lm -o %s/prims.so",
           path, dir);
  CHECK(system(command) == 0);
  snprintf(path, sizeof path, "%s/prims.so", dir);
  void *library = dlopen(path, RTLD_NOW);
  CHECK(library != NULL);
  return library;
}

int main(void) {
  nib_target host;
  CHECK(nib_target_parse("native", &host, NULL) == NIB_OK);
  const nib_vocab *vocabs[16];
  int n = 0;
  for (size_t i = 0; nib_vocab_at(i) && n < 16; i++) {
    const nib_vocab *v = nib_vocab_at(i);
    CHECK(nib_vocab_find(v->name) == v);
    if (v->real_f16 || v->type_half)
      continue; /* test_fp16.c, test/riscv */
    if (nib_vocab_fits(v, &host))
      vocabs[n++] = v;
    else
      printf("%s: skipped, this processor lacks its features\n", v->name);
  }
  CHECK(n >= 1 && strcmp(vocabs[n - 1]->name, "c99") == 0);
  const char *tmp = getenv("TMPDIR");
  char dir[64];
  snprintf(dir, sizeof dir, "%.40s/nib_vocab_XXXXXX", tmp ? tmp : "/tmp");
  CHECK(mkdtemp(dir) != NULL);
  void *library = compile(vocabs, n, dir);
  for (int i = 0; library && i < n; i++) {
    const int before = compared;
    test_vocabulary(library, vocabs[i]);
    printf("%s: %d comparisons\n", vocabs[i]->name, compared - before);
  }
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", dir);
  CHECK(system(command) == 0);
  printf("%d failures\n", failures);
  return failures != 0;
}
