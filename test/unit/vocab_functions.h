/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * For test_vocab.c: the primitives that are tried alone, and the generated functions that try them.
 */
#ifndef NIB_TEST_VOCAB_FUNCTIONS_H
#define NIB_TEST_VOCAB_FUNCTIONS_H

#include "epilogue/say.h"

#include <stdio.h>
#include <string.h>

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
               {"rounded", NIB_PRIM_RQ_ROUNDED},
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
  open_function(e, "near", elems); /* the codes, then what is certain, then whether all are */
  load_register(e, "a", F32, "pa");
  load_register(e, "b", F32, "pb");
  nib_text_line(e->body, "%s d, c;", e->vocab->type_i32);
  nib_text_line(e->body, "int32_t any;");
  nib_say(e, NIB_PRIM_I32_SET, "c", "1", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_I8_NEAR, "d", "a", "b", "c", NULL);
  nib_say(e, NIB_PRIM_I32_ANY_ZERO, "any", "c", NULL, NULL, NULL);
  store_register(e, I32, "d");
  nib_say(e, NIB_PRIM_I32_STORE, NULL, nib_word_of("(int32_t *)pd + %d", e->vocab->lanes).s, "c",
          NULL, NULL);
  nib_text_line(e->body, "((int32_t *)pd)[%d] = any;", 2 * e->vocab->lanes);
  close_function(e);
  open_function(e, "size", elems);
  load_register(e, "a", F32, "pa");
  load_register(e, "d", I32, "pc");
  nib_say(e, NIB_PRIM_I32_SIZE, "d", "a", NULL, NULL, NULL);
  store_register(e, I32, "d");
  close_function(e);
  open_function(e, "of_away", elems);
  load_register(e, "a", F32, "pa");
  nib_text_line(e->body, "%s d;", e->vocab->type_i32);
  nib_say(e, NIB_PRIM_I32_OF_F32_AWAY, "d", "a", NULL, NULL, NULL);
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
  if (nib_vocab_prim(v, NIB_PRIM_BYTES_LOOKUP256)) {
    open_function(e, "lookup256", elems);
    nib_text_line(e->body, "%s d;", v->type_bytes);
    nib_say(e, NIB_PRIM_BYTES_LOAD, "d", "(const uint8_t *)pb", NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_BYTES_LOOKUP256, "d", "(const uint8_t *)pa", "d", NULL, NULL);
    nib_say(e, NIB_PRIM_BYTES_STORE, NULL, "(uint8_t *)pd", "d", NULL, NULL);
    close_function(e);
  }
  if (nib_vocab_prim(v, NIB_PRIM_DOT8_NEAR)) {
    open_function(e, "dot8_near", elems);
    load_register(e, "a", I32, "pa");
    load_register(e, "d", I32, "pc");
    nib_say(e, NIB_PRIM_DOT8_NEAR, "d", "a", "(const int8_t *)pb + 1", NULL, NULL);
    store_register(e, I32, "d");
    close_function(e);
  }
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
    nib_say_prefetch(e, "(const uint8_t *)pa", 64, i == 0);
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

#endif
