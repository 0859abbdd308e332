# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# A thin front to CMake and lit: `make help`.
BUILD ?= build
JOBS ?= $(shell nproc)
PYTHON ?= python3

.PHONY: help setup configure build demo check check-long bench docs format clean

help:
	@echo "make demo     install what is missing, build, compile a real model, run it on real data"
	@echo "make check    the same set-up, then every test; ends with 'N passed, N failed, N skipped'"
	@echo "make check-long  also what takes minutes: the node tests of ONNX on every target and by way of MLIR"
	@echo "make bench    Nibble against its peers and the machine's limits (ONLY=gemm: a part; docs/benchmarks.md)"
	@echo "make docs     generated reference into $(BUILD)/docs"
	@echo "make build    only build;  make check ONLY=path runs a part of test/"
	@echo "make format   clang-format over the C and C++ sources"

setup:
	@tools/dev/install_packages.sh

configure: setup
	@cmake -G Ninja -S . -B $(BUILD) -DCMAKE_C_COMPILER=clang-22 -DCMAKE_CXX_COMPILER=clang++-22 >.configure.log 2>&1 || (cat .configure.log; exit 1)
	@mv .configure.log $(BUILD)/configure.log

build: configure
	@cmake --build $(BUILD) -j $(JOBS)

demo: build
	@examples/fashion-mnist/demo.sh $(BUILD)

check-long: export NIB_LONG = 1
check-long: check

check: build
	@$(PYTHON) test/run.py --build $(BUILD) -j $(JOBS) $(ONLY)

bench: build
	@$(PYTHON) bench/run.py --build $(BUILD) $(if $(ONLY),--only $(ONLY)) $(BENCH_FLAGS)

docs: configure
	@cmake --build $(BUILD) --target nib-docs

format:
	@git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format-14 -i

clean:
	@cmake -E rm -rf $(BUILD)
