#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A network of the dialect, lowered by an unmodified mlir-opt with the plugin and run by mlir-runner.

Usage: run_through_runner.py PLUGIN LLVM NETWORK.mlir NUMBER...

The function has one input, the NUMBERs, and one result, which is printed as integers or floats.
"""
import pathlib
import re
import subprocess
import sys

PASSES = """convert-nib-to-linalg, one-shot-bufferize{bufferize-function-boundaries
 function-boundary-type-conversion=identity-layout-map}, convert-linalg-to-loops, expand-strided-metadata, lower-affine,
 convert-scf-to-cf, convert-math-to-llvm, convert-math-to-libm, convert-arith-to-llvm, convert-index-to-llvm,
 finalize-memref-to-llvm, convert-func-to-llvm, convert-cf-to-llvm, reconcile-unrealized-casts"""


def run(words, text):
    result = subprocess.run([str(w) for w in words], input=text, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{words[0]}:\n{result.stderr}")
    return result.stdout


def lowered(opt, plugin, pipeline, text):
    return run([opt, f"--load-dialect-plugin={plugin}", f"--load-pass-plugin={plugin}",
                f"--pass-pipeline=builtin.module({pipeline})"], text)


def main():
    plugin, llvm, network, *numbers = sys.argv[1:]
    tools = pathlib.Path(llvm) / "bin"
    text = lowered(tools / "mlir-opt", plugin, "convert-nib-to-linalg", pathlib.Path(network).read_text())
    name, source, to = re.search(r"func.func @(\w+)\(%\w+: (tensor<[^>]*>)[^)]*\) -> (tensor<[^>]*>)", text).groups()
    *shape, element = source[7:-1].split("x")
    for d in reversed([int(d) for d in shape]):
        numbers = ["[" + ", ".join(numbers[i:i + d]) + "]" for i in range(0, len(numbers), d)]
    wide = to[:to.rindex("x") + 1] + ("f32" if to.endswith("f32>") else "i32") + ">"
    kind = wide[-4:-1].upper()
    extend = "%w = arith.extsi %y : " + f"{to} to {wide}" if wide != to else "%z = arith.constant 0 : i32"
    value = "%w" if wide != to else "%y"
    main_ = f"""
  func.func private @printMemref{kind}(%a: tensor<*x{kind.lower()}>)
  func.func @main() {{
    %x = arith.constant dense<{numbers[0]}> : {source}
    %y = func.call @{name}(%x) : ({source}) -> {to}
    {extend}
    %u = tensor.cast {value} : {wide} to tensor<*x{kind.lower()}>
    func.call @printMemref{kind}(%u) : (tensor<*x{kind.lower()}>) -> ()
    return
  }}
}}"""
    text = text.rstrip()[:-1] + main_
    text = lowered(tools / "mlir-opt", plugin, "convert-elementwise-to-linalg, " + PASSES.replace("\n", ""), text)
    libraries = [f"--shared-libs={llvm}/lib/libmlir_{n}_utils.so" for n in ("c_runner", "runner")]
    print(run([tools / "mlir-runner", "-e", "main", "--entry-point-result=void", *libraries], text))


if __name__ == "__main__":
    main()
