/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Every packed FP16 instruction, done by the handler of illegal instructions, against scalar FP16
 * half by half; instructions are counted as if the core had them. */
#include "nibrt_bare.h"

static int failures;
static uint32_t state = 1;

static uint32_t next(void) {
  state = state * 1664525 + 1013904223;
  return state;
}

/* Halves that arithmetic treats differently, then anything. */
static uint32_t operand(uint32_t i) {
  static const uint16_t edges[] = {0x0000, 0x8000, 0x3c00, 0xbc00, 0x0001, 0x83ff, 0x0400,
                                   0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x3555, 0x6400};
  enum { N = sizeof edges / sizeof *edges };
  const uint32_t any = next() >> 8 ^ next() << 8;
  return i < 4 * N * N ? edges[next() >> 16 & 7] | (uint32_t)edges[(next() >> 16) % N] << 16 : any;
}

typedef union half {
  uint16_t bits;
  _Float16 value;
} half;
typedef union real {
  uint32_t bits;
  float value;
} real;

static uint32_t low(uint32_t x) { return x & 0xffff; }
static uint32_t high(uint32_t x) { return x >> 16; }

enum { ADD, SUB, MUL, MAC };

static uint32_t scalar(int operation, uint32_t d, uint32_t a, uint32_t b) {
  const half x = {.bits = (uint16_t)a}, y = {.bits = (uint16_t)b}, z = {.bits = (uint16_t)d};
  half r;
  r.value = operation == ADD   ? x.value + y.value
            : operation == SUB ? x.value - y.value
            : operation == MUL ? x.value * y.value
                               : __builtin_fmaf16(x.value, y.value, z.value);
  return r.bits;
}

static uint32_t both(int operation, int replicate, uint32_t d, uint32_t a, uint32_t b) {
  const uint32_t second = replicate ? low(b) : high(b);
  return scalar(operation, low(d), low(a), low(b)) | scalar(operation, high(d), high(a), second)
                                                         << 16;
}

static float widened(uint32_t bits) {
  const half h = {.bits = (uint16_t)bits};
  return (float)h.value;
}

static uint32_t dot(int replicate, uint32_t d, uint32_t a, uint32_t b) {
#pragma STDC FP_CONTRACT OFF
  real sum = {.bits = d};
  sum.value = sum.value + widened(low(a)) * widened(low(b));
  sum.value = sum.value + widened(high(a)) * widened(replicate ? low(b) : high(b));
  return sum.bits;
}

static uint32_t pack(uint32_t a, uint32_t b) {
  const real x = {.bits = a}, y = {.bits = b};
  const half first = {.value = (_Float16)x.value}, second = {.value = (_Float16)y.value};
  return first.bits | (uint32_t)second.bits << 16;
}

static int is_nan(uint32_t bits) { return (bits & 0x7fff) > 0x7c00; }

/* NaNs of any payload are alike. */
static int same(int is_single, uint32_t x, uint32_t y) {
  if (is_single)
    return x == y || ((x & 0x7fffffff) > 0x7f800000 && (y & 0x7fffffff) > 0x7f800000);
  return (low(x) == low(y) || (is_nan(low(x)) && is_nan(low(y)))) &&
         (high(x) == high(y) || (is_nan(high(x)) && is_nan(high(y))));
}

static void check(const char *name, int is_single, uint32_t is, uint32_t want) {
  if (same(is_single, is, want))
    return;
  if (++failures < 10) {
    nibrt_print("differs: ");
    nibrt_print(name);
    nibrt_print("\n");
  }
}

#define PACKED(funct3, funct7, d, a, b)                                                            \
  __asm__ volatile(".insn r 0x33, " #funct3 ", " #funct7 ", %0, %1, %2" : "+r"(d) : "r"(a), "r"(b))
#define TRY(name, funct3, funct7, single, want)                                                    \
  do {                                                                                             \
    uint32_t d_ = d;                                                                               \
    PACKED(funct3, funct7, d_, a, b);                                                              \
    check(name, single, d_, want);                                                                 \
  } while (0)

static void try_all(uint32_t d, uint32_t a, uint32_t b) {
  TRY("vfadd.h", 2, 0x41, 0, both(ADD, 0, d, a, b));
  TRY("vfadd.r.h", 6, 0x41, 0, both(ADD, 1, d, a, b));
  TRY("vfsub.h", 2, 0x42, 0, both(SUB, 0, d, a, b));
  TRY("vfsub.r.h", 6, 0x42, 0, both(SUB, 1, d, a, b));
  TRY("vfmul.h", 2, 0x43, 0, both(MUL, 0, d, a, b));
  TRY("vfmul.r.h", 6, 0x43, 0, both(MUL, 1, d, a, b));
  TRY("vfmac.h", 2, 0x48, 0, both(MAC, 0, d, a, b));
  TRY("vfmac.r.h", 6, 0x48, 0, both(MAC, 1, d, a, b));
  TRY("vfdotpex.s.h", 0, 0x4b, 1, dot(0, d, a, b));
  TRY("vfdotpex.s.h, funct3 2", 2, 0x4b, 1, dot(0, d, a, b));
  TRY("vfdotpex.s.r.h", 4, 0x4b, 1, dot(1, d, a, b));
  TRY("vfdotpex.s.r.h, funct3 6", 6, 0x4b, 1, dot(1, d, a, b));
  TRY("vfcpka.h.s", 2, 0x58, 0, pack(a, b));
}

/* Every register as destination and both sources, but those that the compiler has plans for; x0. */
#define IN_REGISTER(r)                                                                             \
  do {                                                                                             \
    uint32_t d_ = 0x3c004000, want = both(MAC, 0, d_, d_, d_);                                     \
    __asm__ volatile("mv " #r ", %0\n\t.insn r 0x33, 2, 0x48, " #r ", " #r ", " #r                 \
                     "\n\tmv %0, " #r                                                              \
                     : "+r"(d_)::#r);                                                              \
    check(#r, 0, d_, want);                                                                        \
  } while (0)

static void try_registers(void) {
  IN_REGISTER(ra);
  IN_REGISTER(t0);
  IN_REGISTER(t1);
  IN_REGISTER(t2);
  IN_REGISTER(s1);
  IN_REGISTER(a0);
  IN_REGISTER(a1);
  IN_REGISTER(a2);
  IN_REGISTER(a3);
  IN_REGISTER(a4);
  IN_REGISTER(a5);
  IN_REGISTER(a6);
  IN_REGISTER(a7);
  IN_REGISTER(s2);
  IN_REGISTER(s3);
  IN_REGISTER(s4);
  IN_REGISTER(s5);
  IN_REGISTER(s6);
  IN_REGISTER(s7);
  IN_REGISTER(s8);
  IN_REGISTER(s9);
  IN_REGISTER(s10);
  IN_REGISTER(s11);
  IN_REGISTER(t3);
  IN_REGISTER(t4);
  IN_REGISTER(t5);
  IN_REGISTER(t6);
  uint32_t zero = 1;
  __asm__ volatile(".insn r 0x33, 2, 0x41, zero, %1, %1\n\tmv %0, zero"
                   : "+r"(zero)
                   : "r"(0x3c003c00));
  check("x0", 0, zero, 0);
}

#define REPEATED(n)                                                                                \
  uint32_t d = 0;                                                                                  \
  const uint32_t a = 0x3c003c00;                                                                   \
  __asm__ volatile(".rept " #n "\n.insn r 0x33, 2, 0x48, %0, %1, %1\nadd %0, %0, zero\n"           \
                   ".insn r 0x33, 0, 0x4b, %0, %1, %1\n.endr"                                      \
                   : "+r"(d)                                                                       \
                   : "r"(a))
static void few(void) { REPEATED(100); }
static void more(void) { REPEATED(250); }

static __attribute__((noinline)) uint64_t count(void (*f)(void)) {
  const uint64_t begin = nibrt_instructions();
  f();
  return nibrt_instructions() - begin;
}

static void try_count(void) {
  void (*volatile f)(void) = few;
  void (*volatile g)(void) = more;
  count(f);
  const uint64_t first = count(f), second = count(g);
  if (second - first != 150 * 3 || first < 300 || first > 400) {
    ++failures;
    nibrt_print("packed instructions are not counted as one each\n");
  }
}

int main(void) {
  nibrt_count_begin();
  for (uint32_t i = 0; i < 3000; ++i)
    try_all(operand(i), operand(i), operand(i));
  try_registers();
  try_count();
  nibrt_print(failures ? "failed\n" : "39000 packed instructions equal scalar FP16\n");
#ifdef ILLEGAL
  __asm__ volatile(".insn r 0x33, 2, 0x77, zero, zero, zero");
#endif
  return failures != 0;
}
