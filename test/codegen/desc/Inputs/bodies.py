# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Bodies of the kernels of reports (nibc --report), each as function @k<n>, as one module."""
import json
import sys

bodies = [kernel["body"] for path in sys.argv[1:] for kernel in json.load(open(path))["kernels"]]
print("module {")
for number, body in enumerate(bodies):
    for line in body.replace("@kernel", f"@k{number}", 1).splitlines():
        print("  " + line)
print("}\n")
