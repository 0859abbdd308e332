/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Between check_primitives.c, which has the driver, and check_numbers.c. */
#ifndef NIB_CHECK_PRIMITIVES_H
#define NIB_CHECK_PRIMITIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef unsigned long long address;

/* Memory of the device, and the same here. */
typedef struct buffer {
  address device;
  void *host;
  size_t bytes;
} buffer;

buffer make(size_t bytes, bool random);
void up(const buffer *b);
void down(const buffer *b);
void drop(buffer *b);
uint32_t *words(const buffer *b);
uint32_t random32(void);
void launch(void *f, const char *name, const unsigned grid[3], unsigned threads, unsigned shared,
            void **args);
void compare(const char *name, const void *got, const void *want, size_t n_words);

/* Cases of a kernel each. */
typedef void check(void *f);
check check_arithmetic, check_conversions, check_to_f8_ampere, check_to_f8_hopper;

#endif
