#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""verify_changed.py NIBC WORK: `nibc verify` notices one changed element of the expected output, for one model of
each kind of operator in operator_models.py: all formats take turns."""
import pathlib
import re
import subprocess
import sys

from operator_models import all_models

FORMATS = ("i8", "u8", "i16")


def one_of_each():
    """Name and file of one model of each kind: kind number n in format n, where it has that."""
    kinds = {}
    for name, data in all_models():
        kind, form = name.split("_")[:2]
        kinds.setdefault(kind, {}).setdefault(form, (name, data))
    for number, forms in enumerate(kinds.values()):
        yield forms.get(FORMATS[number % 3]) or next(iter(forms.values()))


def main():
    nibc, work = sys.argv[1], pathlib.Path(sys.argv[2])
    verify = pathlib.Path(__file__).resolve().parent.parent / "nibc/Inputs/verify_operators.py"
    paths = []
    for name, data in one_of_each():
        paths.append(work / f"{name}.tflite")
        paths[-1].write_bytes(data)
    result = subprocess.run([sys.executable, verify, nibc, "-", work, *paths], capture_output=True, text=True, check=False)
    noticed = len(re.findall(r" ok$", result.stdout, re.MULTILINE))
    print(f"{result.stdout}{result.stderr}{noticed} of {len(paths)} kinds of operator noticed")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
