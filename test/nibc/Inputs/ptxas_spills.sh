#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Says what ptxas -v says of a kernel that spills; the "cubin" is empty but for a word.
while [ "$1" != -o ]; do shift; done
echo none >"$2"
cat <<END
ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored to maintain minimum register requirements.
ptxas info    : Compiling entry function 'tiny_k00' for 'sm_90a'
ptxas info    : Function properties for tiny_k00
    24 bytes stack frame, 16 bytes spill stores, 24 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers
END
