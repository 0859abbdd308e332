#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""plan.py LLVM FILE PLAN: what tools/qemu-count is to count of test/riscv/weights.S and packed.S."""
import subprocess
import sys

lines = subprocess.run([f"{sys.argv[1]}/bin/llvm-nm", sys.argv[2]], capture_output=True, text=True, check=True).stdout
at = {line.split()[2]: line.split()[0] for line in lines.splitlines() if len(line.split()) == 3}
with open(sys.argv[3], "w") as plan:
    plan.write(f"entry {at['outer']}\nbody {at['outer']} {at['outer_end']}\n")
    plan.write(f"skip {at['nibrt_trap_text_begin']} {at['nibrt_trap_text_end']}\n")
    plan.write(f"return {at['nibrt_call_returned']}\npart {at['inner']}\n")
