#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""against_compiler.py NIBC CLANG SOURCE OUT VLEN LEAST MODEL...: instructions of networks in Nibble's vector code, and in its
portable C that clang -O3 vectorises itself for the same processor. Fails if one takes less than LEAST times fewer."""
import pathlib
import re
import subprocess
import sys

nibc, clang, source, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
vlen, least, models = int(sys.argv[5]), float(sys.argv[6]), sys.argv[7:]
RUNTIME = source / "runtime" / "riscv"
MAIN = """#include "net.h"
#include "nibrt_bare.h"
static _Alignas(64) uint8_t arena[NET_ARENA_BYTES + 1], in[NET_INPUT_0_BYTES], out[NET_OUTPUT_0_BYTES];
int main(void) {
  const void *const ins[] = {in};
  void *const outs[] = {out}, *const arenas[] = {arena};
  for (unsigned i = 0; i < sizeof in; ++i)
    in[i] = (uint8_t)(i * 167 >> 3);
  nibrt_status (*volatile run)(const nibrt_exec *, const void *const *, void *const *, void *const *) = net_run;
  const uint64_t begin = nibrt_instructions();
  const nibrt_status status = run(0, ins, outs, arenas);
  uint64_t n = nibrt_instructions() - begin;
  uint32_t sum = 0;
  for (unsigned i = 0; i < sizeof out; ++i)
    sum = sum * 31 + out[i];
  char text[64], *at = text + 63;
  *at = 0;
  *--at = '\\n';
  for (uint64_t x = sum; *--at = (char)('0' + x % 10), x /= 10;)
    ;
  *--at = ' ';
  for (; *--at = (char)('0' + n % 10), n /= 10;)
    ;
  nibrt_print(at);
  return status != NIBRT_OK;
}
"""


def count(model, target, march):
    """Instructions of one run, and a sum of its results."""
    folder = out / target
    subprocess.run([nibc, "compile", model, f"--target={target}", "--name", "net", "-o", str(folder)], check=True, stdout=subprocess.DEVNULL)
    (folder / "main.c").write_text(MAIN)
    program = folder / "net.elf"
    flags = f"--target=riscv64-unknown-elf -march={march} -mabi=lp64d -mcmodel=medany -O3 -fno-math-errno -ffp-contract=off"
    runtime = [str(RUNTIME / f"nibrt_{name}") for name in ("start.S", "bare.c", "memory.c")]
    subprocess.run([clang, *flags.split(), "-nostdlib", "-fuse-ld=lld", f"-T{RUNTIME}/nibrt_virt.ld", f"-I{RUNTIME}", f"-I{folder}",
                    *runtime, str(folder / "main.c"), str(folder / "net.c"), str(folder / "net_weights.c"), "-o", str(program)], check=True)
    command = f"qemu-system-riscv64 -M virt -bios none -display none -monitor none -serial none -icount shift=0 -cpu rv64,v=true,vlen={vlen}"
    said = subprocess.run([*command.split(), "-semihosting-config", "enable=on,target=native", "-kernel", str(program)],
                          capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) (\d+)", said.stdout + said.stderr)
    return int(found.group(1)), found.group(2)


march = f"rv64imafdc_v_zvl{vlen}b"
bad = 0
for model in models:
    by_compiler, sum_1 = count(model, "riscv64-unknown-elf", march)
    ours, sum_2 = count(model, f"riscv64-unknown-elf+zvl{vlen}b", march)
    bad += by_compiler < least * ours or sum_1 != sum_2
    print(f"{pathlib.Path(model).stem}: {by_compiler:,} by clang, {ours:,}, {by_compiler / ours:.2f} times fewer"
          + ("" if sum_1 == sum_2 else "; RESULTS DIFFER"))
print(f"{len(models) - bad} of {len(models)} take at least {least} times fewer")
