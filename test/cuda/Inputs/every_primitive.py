# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""every_primitive.py DEVICE.h FILE.cu...: fails unless each primitive of DEVICE.h is in one of the files."""
import pathlib
import re
import sys

names = re.findall(r"^//@ (nib_\w+)", pathlib.Path(sys.argv[1]).read_text(), re.M)[1:]
used = set(re.findall(r"\bnib_\w+", "".join(pathlib.Path(name).read_text() for name in sys.argv[2:])))
missing = [name for name in names if name not in used]
sys.exit(f"not tested: {' '.join(missing)}" if missing or not names else 0)
