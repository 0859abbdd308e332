# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Packed instructions that trap: what is done for them is not counted.
  .text
  .globl main
main:
  addi sp, sp, -16
  sw ra, 0(sp)
  la a0, outer
  call nibrt_call
  lw ra, 0(sp)
  addi sp, sp, 16
  li a0, 0
  ret

  .globl outer
outer:                         # part 0: 3 instructions
  mv s11, ra
  jal inner
  jr s11
outer_end:
  .globl outer_end

  .globl inner
inner:                         # part 1: 3 + 50 * 5 + 1
  li a1, 0x3c0                 # 1
  slli a1, a1, 4               # 1
  li a2, 50                    # 1
1:
  .insn r 0x33, 2, 0x48, a0, a1, a1  # 1
  .insn r 0x33, 0, 0x4b, a3, a1, a1  # 1
  .insn r 0x33, 6, 0x41, a4, a1, a1  # 1
  addi a2, a2, -1              # 1
  bnez a2, 1b                  # 1
  ret                          # 1
