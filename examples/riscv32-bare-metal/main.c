/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A network on a bare 32-bit RISC-V core: no operating system and no C library. Classifies the images of
 * images.h and says on the serial port what it found, how many instructions an image took, and how deep
 * the stack was. */
#include "fashion_mnist.h"
#include "images.h"

#include <stddef.h>
#include <stdint.h>

/* ---- the board: QEMU's `virt` has a 16550 UART and a device that ends the emulator ---- */

static volatile uint8_t *const uart = (volatile uint8_t *)0x10000000;
static volatile uint32_t *const finisher = (volatile uint32_t *)0x100000;

_Noreturn void stop(int status);
_Noreturn void stop(int status) {
  *finisher = status ? (uint32_t)status << 16 | 0x3333 : 0x5555;
  for (;;)
    ;
}

static void print(const char *text) {
  while (*text) {
    while (!(uart[5] & 0x20)) /* until it takes another character */
      ;
    uart[0] = (uint8_t)*text++;
  }
}

static void print_number(uint32_t n) {
  char digits[11];
  char *at = digits + sizeof digits;
  *--at = 0;
  do
    *--at = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  print(at);
}

/* ---- the two functions that generated code calls ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  uint8_t *d = to;
  for (const volatile uint8_t *s = from; size; --size)
    *d++ = *s++;
  return to;
}

void *memset(void *to, int value, size_t size) {
  for (volatile uint8_t *d = to; size; --size)
    *d++ = (uint8_t)value;
  return to;
}

/* ---- the application ---- */

extern uint8_t stack_bottom[], stack_top[];
static _Alignas(NIBRT_ARENA_ALIGNMENT) uint8_t arena[FASHION_MNIST_ARENA_BYTES];

static void paint_stack(void) {
  const uint8_t *here = (const uint8_t *)__builtin_frame_address(0) - 64;
  for (volatile uint8_t *at = stack_bottom; at < here; ++at)
    *at = 0xa5;
}

static uint32_t stack_used(void) {
  const volatile uint8_t *at = stack_bottom;
  while (at < stack_top && *at == 0xa5)
    ++at;
  return (uint32_t)(stack_top - (const uint8_t *)at);
}

static uint32_t instructions(void) {
  uint32_t n;
  __asm__ volatile("csrr %0, minstret" : "=r"(n)::"memory");
  return n;
}

int main(void) {
  static const char *const names[10] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                        "sandal",  "shirt",   "sneaker",  "bag",   "boot"};
  uint32_t right = 0, taken = 0;
  paint_stack();
  for (int i = 0; i < IMAGE_COUNT; ++i) {
    float logits[10];
    const uint32_t begin = instructions();
    if (fashion_mnist(images[i], logits, arena) != NIBRT_OK)
      return 2;
    taken = instructions() - begin;
    int best = 0;
    for (int k = 1; k < 10; ++k)
      best = logits[k] > logits[best] ? k : best;
    right += best == labels[i];
    print(names[best]);
    print(best == labels[i] ? "\n" : " (wrong)\n");
  }
  print_number(right);
  print(" of ");
  print_number(IMAGE_COUNT);
  print(" right; ");
  print_number(taken);
  print(" instructions an image; stack ");
  print_number(stack_used());
  print(" bytes\n");
  return 0;
}
