#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Compiles the example network to C, builds it with the demo program and runs it on the 10,000 test
# images. Usage: demo.sh BUILD
set -eu
here=$(dirname "$0")
build=${1:-build}
out=$build/demo
data=$(dirname "$(dpkg -L dataset-fashion-mnist | grep t10k-images)")

mkdir -p "$out"
echo "== nibc compile $here/fashion_mnist_int8.onnx"
"$build/bin/nibc" compile "$here/fashion_mnist_int8.onnx" -o "$out" --name fashion --target=native

echo
echo "== cc fashion.c fashion_weights.c demo.c"
for source in fashion fashion_weights; do
  cc -std=c11 -O2 -Wall -Wextra -pedantic -c "$out/$source.c" -o "$out/$source.o"
done
cc -std=c11 -O2 -Wall -Wextra -I"$out" "$here/demo.c" "$out/fashion.o" "$out/fashion_weights.o" \
  -o "$out/demo" -lpng -lz -lm
size "$out/fashion.o" "$out/fashion_weights.o" |
  awk 'NR == 2 { print "code size:    " $1 " bytes" } NR == 3 { print "weights size: " $1 " bytes" }'

echo
echo "== $out/demo"
"$out/demo" "$data" "$out/predictions.png"
