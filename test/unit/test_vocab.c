/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_vocab
/* Each primitive of each vocabulary, alone: a small generated function is compiled without any
 * -march and run against the one of c99 on random and extreme operands. */
#include "vocab_functions.h"

#include "emit/snippets.h"
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
    const bool rounded = prim == NIB_PRIM_RQ_ROUNDED,
               has_start = rounded || prim == NIB_PRIM_RQ_STARTED;
    function *linear = nib_vocab_prim(v, prim) ? find(library, linears[kind].name, v) : NULL;
    for (int round = 0; linear && round < rounds; round++) {
      for (int i = 0; i < elems; i++) {
        const int32_t first = 1 << 23,
                      x = has_start ? first | (any_i32() & (first - 1)) : any_i32() >> 2;
        const float started = (float)x, middle = 12582912.0f;
        if (has_start)
          memcpy(pa + 4 * i, &started, sizeof started);
        else
          ((int32_t *)(void *)pa)[i] = x;
        b[i] = ldexpf((float)(next_random() % 65536), -17 - (int)(next_random() % 14));
        c[i] = (float)(int)(next_random() % 512) * 0.5f;
        if (rounded)
          c[i] = middle + rintf(c[i] - (float)x * b[i]);
        const float offset = prim == NIB_PRIM_RQ_SIGNED ? copysignf(c[i], (float)x) : c[i];
        const float real = fmaf((float)x, b[i], offset);
        ((int32_t *)(void *)want)[i] = (int32_t)(rounded ? real - middle : rintf(real));
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
/* Every byte at every place of a register, in random tables. */
static void test_lookup256(void *library, const nib_vocab *v) {
  function *f = find(library, "lookup256", v);
  const int bytes = 4 * v->lanes;
  for (int first = 0; f && first < 256; first++) {
    uint8_t table[256];
    fill_random(pa);
    memcpy(table, pa, sizeof table);
    nib_vocab_byte_table(v, pa);
    for (int i = 0; i < bytes; i++) {
      pb[i] = (uint8_t)(first + 5 * i);
      want[i] = table[pb[i]];
    }
    f(pa, pb, pc, got);
    if (memcmp(want, got, (size_t)bytes) != 0)
      report("lookup256", v, first);
    ++compared;
  }
}

/* By the bytes at b of each lane, or by the same at an odd address in all lanes. */
static void test_dot8(void *library, const nib_vocab *v, const char *name, bool near) {
  function *f = find(library, name, v);
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
        sum += pa[4 * lane + i] * (int8_t)pb[near ? 1 + i : 4 * lane + i];
      memcpy(want + 4 * lane, &sum, sizeof sum);
    }
    f(pa, pb, pc, got);
    if (memcmp(want, got, 4 * (size_t)v->lanes) != 0)
      report(name, v, round);
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

/* Products by reciprocals at ties of quotients and next to them: those that say that they are the
 * quotients', are; others beside a tie do not. */
static void test_near(void *library, const nib_vocab *v) {
  function *f = nib_vocab_prim(v, NIB_PRIM_I8_NEAR) ? find(library, "near", v) : NULL;
  float *a = (float *)(void *)pa, *b = (float *)(void *)pb;
  const int32_t *d = (const int32_t *)(void *)got, *c = d + v->lanes;
  int far = 0, certain = 0;
  for (int round = 0; f && round < 40 * rounds; round++) {
    const float unit =
        ldexpf(1 + (float)(next_random() >> 41) * 0x1p-23f, (int)(next_random() % 218) - 100);
    bool all = true;
    for (int i = 0; i < elems; i++) {
      b[i] = 1.0f / unit;
      a[i] = (float)(((int)(next_random() % 380) - 190 + (int)(next_random() % 4) * 0.5) *
                     (double)unit);
      for (int n = (int)(next_random() % 4); n > 0; n--)
        a[i] = nextafterf(a[i], next_random() % 2 ? INFINITY : -INFINITY);
      if (round % 2) /* anywhere */
        a[i] = (float)((double)(int32_t)(uint32_t)next_random() * 0x1p-31 * 190) * unit;
    }
    f(pa, pb, pc, got);
    for (int i = 0; i < v->lanes; i++) {
      const double exact = (double)a[i] / (double)unit, tie = fabs(exact - floor(exact) - 0.5);
      CHECK(c[i] == 0 ? tie < 0x1p-13 : d[i] == (int32_t)rint(exact));
      all = all && c[i];
      far += tie >= 0x1p-13;
      certain += tie >= 0x1p-13 && c[i] != 0;
    }
    CHECK(d[2 * v->lanes] == !all);
    ++compared;
  }
  CHECK(certain == far);
}

/* Sizes of numbers, infinities and NaN; numbers at ties and next to them, away from zero. */
static void test_sizes(void *library, const nib_vocab *v) {
  if (!nib_vocab_prim(v, NIB_PRIM_I32_SIZE))
    return;
  static const float ends[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, -NAN, 1e-42f, -3.4e38f};
  function *size = find(library, "size", v), *away = find(library, "of_away", v);
  float *a = (float *)(void *)pa;
  int32_t *c = (int32_t *)(void *)pc;
  const int32_t *d = (const int32_t *)(void *)got;
  for (int round = 0; size && away && round < rounds; round++) {
    fill_random(pa);
    for (int i = 0; i < v->lanes; i++) {
      a[i] = next_random() % 4 ? a[i] : ends[next_random() % 8];
      c[i] = (int32_t)(next_random() % 2 ? next_random() >> 33 : 0);
    }
    size(pa, pb, pc, got);
    for (int i = 0; i < v->lanes; i++) {
      const int32_t bits = (int32_t)(nib_f32_to_bits(a[i]) & INT32_MAX);
      CHECK(d[i] == (bits > c[i] ? bits : c[i]));
    }
    for (int i = 0; i < v->lanes; i++) {
      a[i] = (float)((int)(next_random() % 4001) - 2000) * 0.5f;
      for (int n = (int)(next_random() % 3); n > 0; n--)
        a[i] = nextafterf(a[i], next_random() % 2 ? INFINITY : -INFINITY);
    }
    away(pa, pb, pc, got);
    for (int i = 0; i < v->lanes; i++)
      CHECK(d[i] == (int32_t)roundf(a[i]));
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
  if (nib_vocab_prim(v, NIB_PRIM_BYTES_LOOKUP256))
    test_lookup256(library, v);
  test_dot8(library, v, "dot8", false);
  if (nib_vocab_prim(v, NIB_PRIM_DOT8_NEAR))
    test_dot8(library, v, "dot8_near", true);
  test_halves(library, v);
  test_largest(library, v);
  test_sums(library, v);
  test_quotient(library, v);
  test_near(library, v);
  test_sizes(library, v);
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
