/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Packed FP16 instructions in software: two halves in an integer register, done with the scalar
 * ones of zhinx. Called by the handler of illegal instructions, so that programs for cores that
 * have them run on cores, and in emulators, that do not. Everything is in one section: it is not
 * counted. */
#include "nibrt_bare.h"

#define IN_TRAP __attribute__((section(".text.nibrt_trap")))
#define INLINE static inline __attribute__((always_inline))

uint32_t nibrt_packed_count; /* instructions done so far */

#if defined(__riscv_zhinx)

typedef union pair {
  uint32_t bits;
  _Float16 half[2];
} pair;
typedef union single {
  uint32_t bits;
  float value;
} single;

enum {
  OPCODE = 0x33,
  ADD = 0x41,
  SUB = 0x42,
  MUL = 0x43,
  MAC = 0x48,
  DOT = 0x4b,
  PACK = 0x58,
  REPLICATE = 4, /* bit of funct3: both halves of rs2 are its low one */
};

INLINE _Float16 fused(_Float16 a, _Float16 b, _Float16 c) {
  __asm__("fmadd.h %0, %0, %1, %2" : "+r"(a) : "r"(b), "r"(c));
  return a;
}

/* The products of halves are exact in a float: two additions round, low halves first. */
INLINE uint32_t dot(uint32_t sum, pair a, pair b) {
  single s = {.bits = sum};
  s.value = s.value + (float)a.half[0] * (float)b.half[0];
  s.value = s.value + (float)a.half[1] * (float)b.half[1];
  return s.bits;
}

IN_TRAP long nibrt_packed_fp16(uint32_t code, uintptr_t registers[32]) {
#pragma STDC FP_CONTRACT OFF
  const uint32_t to = code >> 7 & 31, funct3 = code >> 12 & 7, funct7 = code >> 25;
  const uint32_t first = code >> 15 & 31, second = code >> 20 & 31;
  pair a = {.bits = first ? registers[first] : 0}, b = {.bits = second ? registers[second] : 0};
  pair d = {.bits = to ? registers[to] : 0};
  if ((code & 127) != OPCODE)
    return 0;
  /* Dot products have funct3 0 and 4, on some cores 2 and 6, the others 2 and 6. */
  const int is_dot = funct7 == DOT && (funct3 & 1) == 0;
  if (!is_dot && (funct3 & ~(uint32_t)REPLICATE) != 2)
    return 0;
  if (funct7 != PACK && funct3 & REPLICATE)
    b.half[1] = b.half[0];
  if (is_dot) {
    d.bits = dot(d.bits, a, b);
  } else if (funct7 == ADD) {
    d.half[0] = a.half[0] + b.half[0];
    d.half[1] = a.half[1] + b.half[1];
  } else if (funct7 == SUB) {
    d.half[0] = a.half[0] - b.half[0];
    d.half[1] = a.half[1] - b.half[1];
  } else if (funct7 == MUL) {
    d.half[0] = a.half[0] * b.half[0];
    d.half[1] = a.half[1] * b.half[1];
  } else if (funct7 == MAC) {
    d.half[0] = fused(a.half[0], b.half[0], d.half[0]);
    d.half[1] = fused(a.half[1], b.half[1], d.half[1]);
  } else if (funct7 == PACK && funct3 == 2) {
    const single x = {.bits = a.bits}, y = {.bits = b.bits};
    d.half[0] = (_Float16)x.value;
    d.half[1] = (_Float16)y.value;
  } else {
    return 0;
  }
  if (to)
    registers[to] = d.bits;
  ++nibrt_packed_count;
  return 1;
}

#else

long nibrt_packed_fp16(uint32_t code, uintptr_t registers[32]) {
  (void)code, (void)registers;
  return 0;
}

#endif
