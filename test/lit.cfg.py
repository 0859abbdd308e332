# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The one lit configuration for everything under test/.

Substitutions:
  %nibc %nib-opt %nib-bench %nib-lsp-server   the tools of this build
  %mlir-opt       the unmodified mlir-opt-22
  %mlir-opt-nib   the same with the plugin's dialect and passes loaded
  %plugin         NibblePlugin.so
  %unit           the folder of unit tests
  %shared         the folder with the real models (feature `shared`)
  %source %build %llvm   the checkout, the build folder, the prefix of LLVM
  %python %cc %gcc %clang %ptxas %nvcc

Features: shared, long (NIB_LONG is set), mlir, gcc, clang, valgrind, numpy (of %python), ptxas, nvcc, cuda_h (CUDA's header), cuda (a driver) and what the processor has (avx2, fma, avx512f, avx512vnni).
"""
import ctypes
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import lit.formats

source = pathlib.Path(config.nib_source)
build = pathlib.Path(config.nib_build)
llvm_bin = pathlib.Path(config.nib_llvm) / "bin"
shared = pathlib.Path(os.environ.get("NIB_SHARED") or source.parent / "shared").resolve()

config.name = "Nibble"
config.test_format = lit.formats.ShTest(execute_external=False)
config.test_source_root = str(source / "test")
config.test_exec_root = str(build / "test")
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]


def first_program(*names):
    """Path of the first of `names` that exists, or an empty string."""
    return next((path for name in names if (path := shutil.which(name))), "")


def cuda_program(name):
    """Path of a program of the CUDA toolkit, where nibc looks for it, or an empty string."""
    folders = [os.environ.get("PATH", ""), os.path.join(os.environ.get("CUDA_HOME") or "/", "bin"), "/usr/local/cuda/bin"]
    return shutil.which(name, path=os.pathsep.join(folders)) or ""


def cuda_include():
    """The folder of cuda.h, or an empty string."""
    folders = [os.path.join(os.environ.get("CUDA_HOME") or "/usr/local/cuda", "include"), "/usr/local/cuda/include"]
    return next((folder for folder in folders if os.path.exists(os.path.join(folder, "cuda.h"))), "")


def has_cuda_driver():
    """Whether there is a driver, and a device."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        return driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(ctypes.c_int()), 0) == 0
    except OSError:
        return False


def qemu(name):
    """Path of an emulator of version 10 or newer, or an empty string."""
    path = shutil.which(name)
    if not path:
        return ""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)", said)
    return path if found and int(found.group(1)) >= 10 else ""


def bare_compiler(xlen):
    """A command that makes a program for QEMU's bare RISC-V machine, with all of runtime/riscv."""
    folder = source / "runtime" / "riscv"
    files = [folder / f"nibrt_{name}" for name in ("start.S", "bare.c", "memory.c", "packed_fp16.c")]
    words = [clang, f"--target=riscv{xlen}-unknown-elf", "-std=gnu11 -O2 -Wall -Wextra -fno-math-errno -ffp-contract=off",
             "-mcmodel=medany", "-nostdlib -fuse-ld=lld", f"-T {folder}/nibrt_virt.ld", f"-I{folder}", f"-I{source}/runtime/include"]
    return " ".join(words + [str(file) for file in files])


def bare_emulator(xlen):
    return (f"{qemu(f'qemu-system-riscv{xlen}')} -M virt -bios none -display none -monitor none -serial none "
            "-semihosting-config enable=on,target=native -icount shift=0")


def processor_flags():
    """Flags of the first processor as Linux names them."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


mlir_opt = first_program("mlir-opt-22", str(llvm_bin / "mlir-opt"))
plugin = build / "lib" / "NibblePlugin.so"
gcc = first_program("gcc")
clang = first_program("clang-22", str(llvm_bin / "clang"))

# Longer names first: a substitution is textual.
config.substitutions += [
    ("%mlir-opt-nib", f"{mlir_opt} --load-dialect-plugin={plugin} --load-pass-plugin={plugin}"),
    ("%mlir-opt", mlir_opt),
    ("%nib-lsp-server", str(build / "bin" / "nib-lsp-server")),
    ("%nib-bench", str(build / "bin" / "nib-bench")),
    ("%nib-opt", str(build / "bin" / "nib-opt")),
    ("%nibc", str(build / "bin" / "nibc")),
    ("%plugin", str(plugin)),
    ("%unit", str(build / "bin" / "unit")),
    ("%shared", str(shared)),
    ("%source", str(source)),
    ("%llvm", config.nib_llvm),
    ("%build", str(build)),
    ("%python", sys.executable),
    ("%clang", clang),
    ("%gcc", gcc),
    ("%cc", config.nib_cc),
    ("%ptxas", cuda_program("ptxas")),
    ("%cuda_h", f"-I {cuda_include()}"),
    ("%nvcc", cuda_program("nvcc")),
    ("%riscv32_bare", bare_compiler(32)),
    ("%riscv64_bare", bare_compiler(64)),
    ("%qemu_riscv32", bare_emulator(32)),
    ("%qemu_riscv64", bare_emulator(64)),
    ("%riscv", str(source / "test" / "riscv")),
]

features = {
    "shared": (shared / "data").is_dir(),
    "mlir": config.nib_mlir and bool(mlir_opt),
    "gcc": bool(gcc),
    "clang": bool(clang),
    "numpy": bool(importlib.util.find_spec("numpy")),
    "valgrind": bool(shutil.which("valgrind")),
    "ptxas": bool(cuda_program("ptxas")),
    "nvcc": bool(cuda_program("nvcc")),
    "cuda_h": bool(cuda_include()),
    "cuda": has_cuda_driver(),
    "qemu-riscv-system": bool(clang and qemu("qemu-system-riscv32") and qemu("qemu-system-riscv64")),
    "qemu-riscv-linux": bool(clang and qemu("qemu-riscv64") and shutil.which("riscv64-linux-gnu-gcc")),
    "picolibc-riscv": pathlib.Path("/usr/lib/picolibc/riscv64-unknown-elf").is_dir(),
    "long": bool(os.environ.get("NIB_LONG")),
}
flags = processor_flags()
for flag in ("avx2", "fma", "avx512f", "avx512bw", "avx512vl"):
    features[flag] = flag in flags
features["avx512vnni"] = "avx512_vnni" in flags
config.available_features.update(name for name, present in features.items() if present)

config.environment["PATH"] = os.pathsep.join([str(llvm_bin), config.environment.get("PATH", "")])
config.environment["NIB_SHARED"] = str(shared)
# Tests neither read nor fill the user's cache.
config.environment["XDG_CACHE_HOME"] = str(build / "test" / "cache")
