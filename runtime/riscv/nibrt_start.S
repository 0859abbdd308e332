/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * From reset to main on a bare RISC-V core in machine mode, and its traps: packed FP16 instructions go
 * to nibrt_packed_fp16 where it is linked, all others to nibrt_trapped. */

#if __riscv_xlen == 64
#define STORE sd
#define LOAD ld
#define WORD 8
#else
#define STORE sw
#define LOAD lw
#define WORD 4
#endif
#define FRAME (32 * WORD)

  .section .text.nibrt_start, "ax"
  .globl _start
  .type _start, @function
_start:
  .option push
  .option norelax
  la gp, __global_pointer$
  .option pop
  csrr a0, mhartid
  bnez a0, other
  la sp, nibrt_stack_top
  la tp, nibrt_thread_begin
  li t0, 0x6600 /* mstatus.FS and VS: floats and vectors on */
  csrs mstatus, t0
  la t0, nibrt_trap
  csrw mtvec, t0
  la t0, nibrt_data_source /* from flash to RAM, where they differ */
  la t1, nibrt_data_begin
  la t2, nibrt_data_end
  beq t0, t1, 2f
1:
  bgeu t1, t2, 2f
  LOAD t3, 0(t0)
  STORE t3, 0(t1)
  addi t0, t0, WORD
  addi t1, t1, WORD
  j 1b
2:
  la t1, nibrt_zero_begin
  la t2, nibrt_zero_end
3:
  bgeu t1, t2, 4f
  STORE zero, 0(t1)
  addi t1, t1, WORD
  j 3b
4:
  la t0, started
  li t1, 1
  fence rw, rw
  sw t1, 0(t0)
  li a0, 0
  li a1, 0
  call main
  call nibrt_exit
5:
  wfi
  j 5b

/* Other cores run nibrt_core(number) where there is one, each on a stack of 32 KB below the first core's,
 * as soon as memory is as the program expects it. */
other:
  la t0, core
  LOAD t0, 0(t0)
  beqz t0, 5b
  li t1, 0x6600
  csrs mstatus, t1
  la t1, nibrt_trap
  csrw mtvec, t1
  la sp, nibrt_stack_top
  slli t1, a0, 15
  sub sp, sp, t1
  la t1, started
6:
  lw t2, 0(t1)
  beqz t2, 6b
  fence rw, rw
  jalr t0
  j 5b
  .size _start, . - _start

  .section .data.nibrt_start, "aw"
  .balign WORD
core:
  .weak nibrt_core
#if __riscv_xlen == 64
  .dword nibrt_core
#else
  .word nibrt_core
#endif
started:
  .word 0

/* long nibrt_call(function, a, b, c, d): function(a, b, c, d). Whoever watches from outside knows by
 * the label behind the call that it has returned. */
  .text
  .globl nibrt_call
  .type nibrt_call, @function
nibrt_call:
  addi sp, sp, -16
  STORE ra, 0(sp)
  mv t0, a0
  mv a0, a1
  mv a1, a2
  mv a2, a3
  mv a3, a4
  jalr t0
  .globl nibrt_call_returned
nibrt_call_returned:
  LOAD ra, 0(sp)
  addi sp, sp, 16
  ret
  .size nibrt_call, . - nibrt_call

/* The frame holds x1 to x31 at their numbers. Instructions retired in here are kept apart: from the
 * first read of minstret to the last they are counted, the others are as many each time. */
  .section .text.nibrt_trap, "ax"
  .balign 4
  .globl nibrt_trap
  .type nibrt_trap, @function
nibrt_trap:
  addi sp, sp, -FRAME
  STORE x5, 5 * WORD(sp)
  csrr t0, minstret
  STORE x1, 1 * WORD(sp)
  STORE x3, 3 * WORD(sp)
  STORE x4, 4 * WORD(sp)
  STORE x6, 6 * WORD(sp)
  STORE x7, 7 * WORD(sp)
  STORE x8, 8 * WORD(sp)
  STORE x9, 9 * WORD(sp)
  STORE x10, 10 * WORD(sp)
  STORE x11, 11 * WORD(sp)
  STORE x12, 12 * WORD(sp)
  STORE x13, 13 * WORD(sp)
  STORE x14, 14 * WORD(sp)
  STORE x15, 15 * WORD(sp)
  STORE x16, 16 * WORD(sp)
  STORE x17, 17 * WORD(sp)
  STORE x18, 18 * WORD(sp)
  STORE x19, 19 * WORD(sp)
  STORE x20, 20 * WORD(sp)
  STORE x21, 21 * WORD(sp)
  STORE x22, 22 * WORD(sp)
  STORE x23, 23 * WORD(sp)
  STORE x24, 24 * WORD(sp)
  STORE x25, 25 * WORD(sp)
  STORE x26, 26 * WORD(sp)
  STORE x27, 27 * WORD(sp)
  STORE x28, 28 * WORD(sp)
  STORE x29, 29 * WORD(sp)
  STORE x30, 30 * WORD(sp)
  STORE x31, 31 * WORD(sp)
  mv s0, t0
  addi t1, sp, FRAME
  STORE t1, 2 * WORD(sp)
  csrr a0, mcause
  csrr a1, mtval
  csrr a2, mepc
  li t0, 2 /* illegal instruction */
  bne a0, t0, 1f
  mv a0, a1
  mv a1, sp
  la t0, packed
  LOAD t0, 0(t0)
  beqz t0, 1f
  jalr t0 /* whether it was one of its own */
  beqz a0, 1f
  csrr t0, mepc
  addi t0, t0, 4
  csrw mepc, t0
  la t1, nibrt_trap_retired
  lw t2, 0(t1)
  csrr t0, minstret
  sub t0, t0, s0
  add t2, t2, t0
  sw t2, 0(t1)
  LOAD x1, 1 * WORD(sp)
  LOAD x3, 3 * WORD(sp)
  LOAD x4, 4 * WORD(sp)
  LOAD x5, 5 * WORD(sp)
  LOAD x6, 6 * WORD(sp)
  LOAD x7, 7 * WORD(sp)
  LOAD x8, 8 * WORD(sp)
  LOAD x9, 9 * WORD(sp)
  LOAD x10, 10 * WORD(sp)
  LOAD x11, 11 * WORD(sp)
  LOAD x12, 12 * WORD(sp)
  LOAD x13, 13 * WORD(sp)
  LOAD x14, 14 * WORD(sp)
  LOAD x15, 15 * WORD(sp)
  LOAD x16, 16 * WORD(sp)
  LOAD x17, 17 * WORD(sp)
  LOAD x18, 18 * WORD(sp)
  LOAD x19, 19 * WORD(sp)
  LOAD x20, 20 * WORD(sp)
  LOAD x21, 21 * WORD(sp)
  LOAD x22, 22 * WORD(sp)
  LOAD x23, 23 * WORD(sp)
  LOAD x24, 24 * WORD(sp)
  LOAD x25, 25 * WORD(sp)
  LOAD x26, 26 * WORD(sp)
  LOAD x27, 27 * WORD(sp)
  LOAD x28, 28 * WORD(sp)
  LOAD x29, 29 * WORD(sp)
  LOAD x30, 30 * WORD(sp)
  LOAD x31, 31 * WORD(sp)
  LOAD x2, 2 * WORD(sp)
  mret
1:
  csrr a0, mcause
  csrr a1, mtval
  csrr a2, mepc
  call nibrt_trapped
2:
  wfi
  j 2b
  .size nibrt_trap, . - nibrt_trap

/* NULL where it is not linked. */
  .section .rodata.nibrt_trap, "a"
  .balign WORD
packed:
  .weak nibrt_packed_fp16
#if __riscv_xlen == 64
  .dword nibrt_packed_fp16
#else
  .word nibrt_packed_fp16
#endif

/* Low halves: a model retires fewer than 2^32 instructions in packed instructions' handler between two
 * looks at it. */
  .section .bss.nibrt_trap, "aw", @nobits
  .balign 4
  .globl nibrt_trap_retired
nibrt_trap_retired:
  .zero 4
