#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""terminal.py COMMAND…: runs the command on a terminal and prints what it wrote there, control characters escaped."""
import os
import pty
import sys

written = []
child, fd = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:  # Linux: the terminal's other side is closed
        break
    if not data:
        break
    written.append(data)
_, status = os.waitpid(child, 0)
text = b"".join(written).replace(b"\r\n", b"\n").decode()
print(text.replace("\r", "<CR>").replace("\033", "<ESC>"), end="")
sys.exit(os.waitstatus_to_exitcode(status))
