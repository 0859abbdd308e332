#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""interrupt.py FOLDER NIBC…: interrupts the command while its C compiler, one that never ends, runs.

For each signal: the command must end by it and nothing be left in FOLDER (working folder, $TMPDIR, cache).
"""
import os
import pathlib
import signal
import subprocess
import sys
import time

folder = pathlib.Path(sys.argv[1]).resolve()
outside = folder.parent / (folder.name + ".compiler")
outside.mkdir(parents=True, exist_ok=True)
folder.mkdir(parents=True, exist_ok=True)
compiler, mark = outside / "clang", outside / "started"
compiler.write_text(f"#!/bin/sh\n: > temporary.o\n: > \"$TMPDIR/another.o\"\necho $$ > '{mark}'\nexec sleep 60\n")
compiler.chmod(0o755)
environment = dict(os.environ, NIBC_CC=str(compiler), TMPDIR=str(folder), XDG_CACHE_HOME=str(outside))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def usual():
    for each in SIGNALS:  # a signal that the test's own parent ignores would stay ignored
        signal.signal(each, signal.SIG_DFL)


def runs(process):
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().split()[2] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


for number in SIGNALS:
    mark.unlink(missing_ok=True)
    process = subprocess.Popen(sys.argv[2:], cwd=folder, env=environment, preexec_fn=usual)
    until = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()):
        if time.monotonic() > until or process.poll() is not None:
            sys.exit("the compiler was not started")
        time.sleep(0.01)
    process.send_signal(number)
    status = process.wait(30)
    if status != -number:
        sys.exit(f"status {status} after {number.name}")
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    if left:
        sys.exit(f"left behind after {number.name}: {left}")
    while runs(mark.read_text().strip()):
        if time.monotonic() > until:
            sys.exit(f"the compiler still runs after {number.name}")
        time.sleep(0.01)
