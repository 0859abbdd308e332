/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A bare RISC-V core, in an emulator or under a debugger: start-up, semihosting, counting. */
#ifndef NIBRT_BARE_H
#define NIBRT_BARE_H

#include <stddef.h>
#include <stdint.h>

/* Ends the program with this exit status. */
_Noreturn void nibrt_exit(int status);
void nibrt_print(const char *text);
/* Opens a file of the host, to read or to write; negative if that fails. */
long nibrt_open(const char *path, int to_write);
/* All `size` bytes, or not all: 0 means that all were read or written. */
int nibrt_read(long file, void *bytes, size_t size);
int nibrt_write(long file, const void *bytes, size_t size);

/* Instructions retired so far, those of the packed instructions' handler left out (each packed
 * instruction counts as one). */
uint64_t nibrt_instructions(void);
/* Makes nibrt_instructions exact; once, before the first use. */
void nibrt_count_begin(void);
/* function(a, b, c, d), by a call that can be watched from outside. */
long nibrt_call(long (*function)(const void *, const void *, const void *, const void *),
                const void *a, const void *b, const void *c, const void *d);

/* Fills the stack below the caller, and how deep it has been written since. */
void nibrt_stack_paint(void);
size_t nibrt_stack_depth(void);

/* Does the packed FP16 instruction `code` on x1 to x31 in `registers`; 0 if it is none. */
long nibrt_packed_fp16(uint32_t code, uintptr_t registers[32]);

#endif
