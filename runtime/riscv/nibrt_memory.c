/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The two functions of a C library that compiled models call, for where there is none; memmove and
 * memcmp, which compilers may call as well. */
#include <stddef.h>
#include <stdint.h>

#if defined(__riscv_vector)
#include <riscv_vector.h>
#endif

typedef uintptr_t __attribute__((may_alias)) word;
#define NOT_ITSELF __attribute__((no_builtin("memcpy", "memset", "memmove", "memcmp")))

NOT_ITSELF void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  uint8_t *d = to;
  const uint8_t *s = from;
#if defined(__riscv_vector)
  for (size_t n; size; size -= n, s += n, d += n) {
    n = __riscv_vsetvl_e8m8(size);
    __riscv_vse8(d, __riscv_vle8_v_u8m8(s, n), n);
  }
#else
  if ((((uintptr_t)d ^ (uintptr_t)s) & (sizeof(word) - 1)) == 0) {
    for (; size && (uintptr_t)d & (sizeof(word) - 1); --size)
      *d++ = *s++;
    for (; size >= 4 * sizeof(word); size -= 4 * sizeof(word)) {
      const word *w = (const word *)(const void *)s;
      word *to_words = (word *)(void *)d;
      const word a = w[0], b = w[1], c = w[2], e = w[3];
      to_words[0] = a, to_words[1] = b, to_words[2] = c, to_words[3] = e;
      s += 4 * sizeof(word), d += 4 * sizeof(word);
    }
    for (; size >= sizeof(word); size -= sizeof(word), s += sizeof(word), d += sizeof(word))
      *(word *)(void *)d = *(const word *)(const void *)s;
  }
  for (; size >= 4; size -= 4, s += 4, d += 4) {
    const uint8_t a = s[0], b = s[1], c = s[2], e = s[3];
    d[0] = a, d[1] = b, d[2] = c, d[3] = e;
  }
  for (; size; --size)
    *d++ = *s++;
#endif
  return to;
}

NOT_ITSELF void *memset(void *to, int value, size_t size) {
  uint8_t *d = to;
#if defined(__riscv_vector)
  const size_t most = __riscv_vsetvlmax_e8m8();
  const vuint8m8_t v = __riscv_vmv_v_x_u8m8((uint8_t)value, most);
  for (size_t n; size; size -= n, d += n) {
    n = __riscv_vsetvl_e8m8(size);
    __riscv_vse8(d, v, n);
  }
#else
  const word filled = (word)-1 / 255 * (uint8_t)value;
  for (; size && (uintptr_t)d & (sizeof(word) - 1); --size)
    *d++ = (uint8_t)value;
  for (; size >= 4 * sizeof(word); size -= 4 * sizeof(word), d += 4 * sizeof(word)) {
    word *w = (word *)(void *)d;
    w[0] = filled, w[1] = filled, w[2] = filled, w[3] = filled;
  }
  for (; size; --size)
    *d++ = (uint8_t)value;
#endif
  return to;
}

NOT_ITSELF void *memmove(void *to, const void *from, size_t size) {
  uint8_t *d = to;
  const uint8_t *s = from;
  if (d <= s)
    for (size_t i = 0; i < size; ++i)
      d[i] = s[i];
  else
    for (size_t i = size; i-- > 0;)
      d[i] = s[i];
  return to;
}

NOT_ITSELF int memcmp(const void *a, const void *b, size_t size) {
  const uint8_t *x = a, *y = b;
  for (size_t i = 0; i < size; ++i)
    if (x[i] != y[i])
      return x[i] < y[i] ? -1 : 1;
  return 0;
}
