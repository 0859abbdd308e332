# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""compile_cost.py SECONDS MEGABYTES COMMAND...: runs it and checks the processor time and the peak of
memory of it (not the time that passes, which depends on what else runs)."""
import os
import sys

seconds, megabytes = float(sys.argv[1]), float(sys.argv[2])
child = os.posix_spawnp(sys.argv[3], sys.argv[3:], os.environ)
_, status, usage = os.wait4(child, 0)
used, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(f"{used:.2f} s, {peak:.0f} MB")
if status != 0 or used >= seconds or peak >= megabytes:
    sys.exit(f"exit status {status}; allowed: {seconds} s, {megabytes} MB")
