# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""bench/cases.txt is consistent: targets are of variants that there are, limits have names, groups have members."""
import fnmatch
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))
import cases  # noqa: E402

table, groups = cases.read_table()
names = {case.name for case in table}
limits = set(re.findall(r'^    \{"([a-z0-9-]+)",', (cases.TABLE.parent / "harness" / "limits.c").read_text(), re.M)) | {"read"}
for case in table:
    variants = {*case.variants, "gcc"} if case.kind not in ("net", "compile") else {"any", "int8", "float", "2threads"}
    assert case.want.keys() <= variants, case.name
    for target in sum(case.want.values(), []):
        assert re.fullmatch(r"[0-9.]+[%xftp]|<[0-9.]+[xsM]", target), (case.name, target)
    if case.kind not in ("net", "compile"):
        assert set(case.values["limit"].split("+")) <= limits, case.name
        assert case.shape["m"] > 0 and case.macs > 0, case.name
    assert case.values.get("than", case.name) in names, case.name
for pattern, _ in groups:
    assert fnmatch.filter(names, pattern), pattern
assert cases.window(32, 3, 2, "SAME") == (16, 0, 1) and cases.window(49, 10, 2, "SAME") == (25, 4, 5)
assert cases.window(5, 3, 1, "VALID") == (3, 0, 0)
assert cases.spread_window(16, 4, 2, "SAME") == (32, 1, 1) and cases.spread_window(14, 3, 2, "SAME") == (28, 0, 1)
assert cases.spread_window(5, 2, 3, "SAME") == (15, 0, -1) and cases.spread_window(5, 4, 2, "VALID") == (12, 0, 0)
small = next(case for case in table if case.name == "gemm.64")
data = cases.make(small)
weights = [b - 256 if b > 127 else b for b in data.weights]
assert data == cases.make(small) and len(weights) == 64 * 64 and abs(sum(weights) / len(weights)) < 2
assert 34 < (sum(w * w for w in weights) / len(weights)) ** 0.5 < 38
print(f"{len(table)} cases")
