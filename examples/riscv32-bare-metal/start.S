/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * From reset to main: stack, floats on, initial values from flash to RAM, zeros. */
  .section .text.start, "ax"
  .globl _start
_start:
  .option push
  .option norelax
  la gp, __global_pointer$
  .option pop
  la sp, stack_top
  li t0, 0x2000 /* mstatus.FS: floats on */
  csrs mstatus, t0
  la t0, trap
  csrw mtvec, t0
  la t0, data_in_flash
  la t1, data_begin
  la t2, data_end
1:
  bgeu t1, t2, 2f
  lw t3, 0(t0)
  sw t3, 0(t1)
  addi t0, t0, 4
  addi t1, t1, 4
  j 1b
2:
  la t1, zero_begin
  la t2, zero_end
3:
  bgeu t1, t2, 4f
  sw zero, 0(t1)
  addi t1, t1, 4
  j 3b
4:
  call main
  tail stop /* with main's result */

  .balign 4
trap:
  li a0, 255
  tail stop
