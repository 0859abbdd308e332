# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""smaller.py A B FACTOR: the code in object A is less than FACTOR times that in object B."""
import re
import subprocess
import sys


def code_bytes(path):
    text = subprocess.run(["size", "-A", path], check=True, capture_output=True, text=True).stdout
    return sum(int(n) for n in re.findall(r"^\.text\S*\s+(\d+)", text, re.M))


a, b = code_bytes(sys.argv[1]), code_bytes(sys.argv[2])
print(a, b)
assert 0 < a < float(sys.argv[3]) * b
