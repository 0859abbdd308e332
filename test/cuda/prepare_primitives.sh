#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# prepare_primitives.sh BUILD OUT: a folder whose run.sh checks every device primitive on a machine with a Hopper GPU and
# nothing else, against the definitions that the emulation is checked against.
set -e
build=$1 out=$2 here=$(dirname "$0")
clang=$(command -v clang-22 || command -v clang)
mkdir -p "$out"
compile() { # primitives_NUMBER, architecture, PTX version
  "$build/bin/unit/print_primitives" < "$here/Inputs/primitives_$1.cu" > "$out/$1.cu"
  "$clang" -x cuda --cuda-device-only -nocudainc -nocudalib -Wno-unknown-cuda-version -O3 -S --cuda-gpu-arch="$2" \
    --cuda-feature=+ptx"$3" "$out/$1.cu" -o "$out/$1.ptx"
}
compile 80 sm_80 82
compile 90 sm_90a 84
cc -O2 "$here/check_primitives.c" "$here/check_numbers.c" -o "$out/check_primitives" -lm -ldl
printf '#!/bin/sh\ncd "$(dirname "$0")" && ./check_primitives 80.ptx 90.ptx\n' > "$out/run.sh"
chmod +x "$out/run.sh"
