#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""status.py [--file-limit=BYTES] STATUS COMMAND…: runs the command, fails unless it ends with that status."""
import resource
import subprocess
import sys

words = sys.argv[1:]
limit = None
if words[0].startswith("--file-limit="):
    limit = int(words.pop(0).split("=")[1])


def set_limit():
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


status = subprocess.run(words[1:], preexec_fn=set_limit).returncode
if status != int(words[0]):
    sys.exit(f"status {status}, not {words[0]}: {' '.join(words[1:])}")
