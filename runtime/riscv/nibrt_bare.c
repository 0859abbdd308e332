/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Semihosting (RISC-V Semihosting 1.0: the operations of Arm's, called by slli, ebreak, srai) and
 * the count of retired instructions. */
#include "nibrt_bare.h"

enum {
  SYS_OPEN = 0x01,
  SYS_WRITE0 = 0x04,
  SYS_WRITE = 0x05,
  SYS_READ = 0x06,
  SYS_EXIT_EXTENDED = 0x20,
  MODE_READ_BINARY = 1,
  MODE_WRITE_BINARY = 5,
  STOPPED_APPLICATION_EXIT = 0x20026,
};

static long host(long operation, const void *argument) {
  register long a0 __asm__("a0") = operation;
  register const void *a1 __asm__("a1") = argument;
  __asm__ volatile(".balign 16\n\t"
                   ".option push\n\t"
                   ".option norvc\n\t"
                   "slli zero, zero, 0x1f\n\t"
                   "ebreak\n\t"
                   "srai zero, zero, 7\n\t"
                   ".option pop"
                   : "+r"(a0)
                   : "r"(a1)
                   : "memory");
  return a0;
}

_Noreturn void nibrt_exit(int status) {
  const long block[2] = {STOPPED_APPLICATION_EXIT, status};
  for (;;)
    host(SYS_EXIT_EXTENDED, block);
}

void nibrt_print(const char *text) { host(SYS_WRITE0, text); }

long nibrt_open(const char *path, int to_write) {
  const volatile char *text = path; /* or it would become a call of strlen */
  size_t size = 0;
  while (text[size])
    ++size;
  const long block[3] = {(long)(uintptr_t)path, to_write ? MODE_WRITE_BINARY : MODE_READ_BINARY,
                         (long)size};
  return host(SYS_OPEN, block);
}

/* Both return how many bytes are left. */
static int transfer(long operation, long file, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  while (size) {
    const long block[3] = {file, (long)(uintptr_t)at, (long)size};
    const long left = host(operation, block);
    if (left < 0 || (size_t)left >= size)
      return -1;
    at += size - (size_t)left;
    size = (size_t)left;
  }
  return 0;
}

int nibrt_read(long file, void *bytes, size_t size) {
  return transfer(SYS_READ, file, bytes, size);
}
int nibrt_write(long file, const void *bytes, size_t size) {
  return transfer(SYS_WRITE, file, bytes, size);
}

static void print_number(const char *name, uintptr_t value) {
  char digits[2 * sizeof value + 1];
  for (size_t i = 0; i < 2 * sizeof value; ++i)
    digits[i] = "0123456789abcdef"[value >> (4 * (2 * sizeof value - 1 - i)) & 15];
  digits[2 * sizeof value] = 0;
  nibrt_print(name);
  nibrt_print(digits);
}

_Noreturn void nibrt_trapped(uintptr_t cause, uintptr_t value, uintptr_t pc);
_Noreturn void nibrt_trapped(uintptr_t cause, uintptr_t value, uintptr_t pc) {
  nibrt_print(cause == 2 ? "illegal instruction" : "trap");
  print_number(": cause 0x", cause);
  print_number(", value 0x", value);
  print_number(", at 0x", pc);
  nibrt_print("\n");
  nibrt_exit(3);
}

/* ---- counting ---- */

extern volatile uint32_t nibrt_trap_retired;
static uint32_t traps_seen;
static uint64_t trap_total;
static int32_t trap_rest; /* what each trap retires besides what nibrt_trap counts */
static uint32_t packed_done;

#if __riscv_xlen == 64
static uint64_t retired(void) {
  uint64_t n;
  __asm__ volatile("csrr %0, minstret" : "=r"(n)::"memory");
  return n;
}
#else
static uint64_t retired(void) {
  uint32_t high, low, again;
  do {
    __asm__ volatile("csrr %0, minstreth" : "=r"(high)::"memory");
    __asm__ volatile("csrr %0, minstret" : "=r"(low)::"memory");
    __asm__ volatile("csrr %0, minstreth" : "=r"(again)::"memory");
  } while (high != again);
  return (uint64_t)high << 32 | low;
}
#endif

extern uint32_t nibrt_packed_count __attribute__((weak));

static uint32_t packed_count(void) { return &nibrt_packed_count ? nibrt_packed_count : 0; }

uint64_t nibrt_instructions(void) {
  const uint64_t now = retired();
  const uint32_t in_traps = nibrt_trap_retired, packed = packed_count();
  trap_total += in_traps - traps_seen;
  traps_seen = in_traps;
  trap_total += (uint64_t)(int64_t)trap_rest * (packed - packed_done);
  packed_done = packed;
  return now - trap_total;
}

void nibrt_count_begin(void) {
#if __riscv_xlen == 32 && defined(__riscv_zhinx)
  if (!&nibrt_packed_count)
    return;
  const uint32_t first = nibrt_trap_retired;
  uintptr_t begin, plain, end;
  /* One instruction between the reads, then a packed one. */
  __asm__ volatile(".balign 16\n\t"
                   "csrr %0, minstret\n\t"
                   "add t0, zero, zero\n\t"
                   "csrr %1, minstret\n\t"
                   ".insn r 0x33, 2, 0x41, t0, zero, zero\n\t"
                   "csrr %2, minstret"
                   : "=&r"(begin), "=&r"(plain), "=&r"(end)::"t0", "memory");
  trap_rest = (int32_t)((end - plain) - (plain - begin) - (nibrt_trap_retired - first));
  packed_done = packed_count();
  traps_seen = nibrt_trap_retired;
#endif
}

/* ---- stack ---- */

extern uint8_t nibrt_stack_bottom[], nibrt_stack_top[];
enum { PAINT = 0xa5, APART = 64 };
static uint8_t *painted_end;

__attribute__((noinline)) void nibrt_stack_paint(void) {
  uint8_t *end = (uint8_t *)__builtin_frame_address(0) - APART;
  for (volatile uint8_t *at = nibrt_stack_bottom; at < end; ++at)
    *at = PAINT;
  painted_end = end;
}

size_t nibrt_stack_depth(void) {
  const uint8_t *at = nibrt_stack_bottom;
  while (at < painted_end && *at == PAINT)
    ++at;
  return at < painted_end ? (size_t)(painted_end - at) + APART : APART;
}
