# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A network compiled by nibc and a C compiler, called through ctypes. Standard library only."""
import ctypes
import pathlib
import re
import shutil
import subprocess

FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra", "-pedantic", "-Werror"]


class Compiled:
    def __init__(self, nibc, cc, model, target, folder):
        folder = pathlib.Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([nibc, "compile", model, f"--target={target}", "--name=net", "-o", folder], check=True, stdout=subprocess.DEVNULL)
        sources = [s for s in sorted(folder.glob("*.c")) if not s.name.endswith("_main.c")]
        subprocess.run([cc, *FLAGS, "-o", folder / "net.so", *sources, "-lm"], check=True)
        self.header = (folder / "net.h").read_text()
        self.run_network = ctypes.CDLL(str(folder / "net.so")).net_run
        self.sizes = [self.constant(f"INPUT_{i}_BYTES") for i in range(self.constant("INPUTS"))]
        self.results = [ctypes.create_string_buffer(self.constant(f"OUTPUT_{i}_BYTES")) for i in range(self.constant("OUTPUTS"))]
        self.arena = ctypes.create_string_buffer(self.constant("ARENA_BYTES") + 64)
        at = ctypes.addressof(self.arena)
        self.arenas = (ctypes.c_void_p * 1)(at + -at % 64)
        self.out = (ctypes.c_void_p * len(self.results))(*[ctypes.addressof(r) for r in self.results])

    def constant(self, name):
        return int(re.search(rf"#define NET_{name} (\d+)", self.header).group(1))

    def __call__(self, *inputs):
        """Bytes of each output."""
        assert [len(i) for i in inputs] == self.sizes
        buffers = [ctypes.create_string_buffer(i, len(i)) for i in inputs]
        given = (ctypes.c_void_p * len(buffers))(*[ctypes.addressof(b) for b in buffers])
        assert self.run_network(None, given, self.out, self.arenas) == 0
        return [r.raw for r in self.results]
