# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# One of each kind of vector instruction, with what it weighs, at 128 bits.
  .text
  .globl main
main:
  addi sp, sp, -16
  sd ra, 0(sp)
  la a0, outer
  call nibrt_call
  ld ra, 0(sp)
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
inner:                         # part 1
  la a1, bytes                 # 2 instructions
  vsetvli zero, zero, e8, mf2, ta, ma  # 1
  vadd.vv v8, v8, v8           # 1: a part of a register
  vsetvli t0, zero, e8, m4, ta, ma     # 1
  vadd.vv v8, v8, v8           # 4
  vle8.v v8, (a1)              # 4
  vle16.v v8, (a1)             # 8: EMUL
  vsetvli t0, zero, e32, m2, ta, ma    # 1
  vle8.v v8, (a1)              # 1: EMUL 1/2
  vlse32.v v8, (a1), t0        # 2
  vluxei8.v v8, (a1), v12      # 2: the data's
  vlseg2e32.v v8, (a1)         # 4
  vmseq.vv v0, v8, v10         # 2
  vmand.mm v0, v0, v0          # 1
  vmv.x.s t1, v8               # 1
  vfmv.s.f v8, fa0             # 1
  vmv4r.v v8, v12              # 4
  vl2re8.v v8, (a1)            # 2
  vs8r.v v8, (a1)              # 8
  vlm.v v0, (a1)               # 1
  vsetivli zero, 4, e16, m8, ta, ma    # 1
  vredsum.vs v8, v8, v8        # 8
  ret                          # 1

  .bss
  .balign 64
bytes:
  .zero 4096
