#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Hybrid networks, float activations and int8 weights, against TensorFlow Lite's own kernels.

Usage: hybrid.py make SHARED                   writes hybrid.golden.txt; needs numpy and ai-edge-litert from PyPI
       hybrid.py check NIBC CC TARGET FOLDER [SHARED]
       hybrid.py refused FILE                  a convolution with a scale for each channel, which is not supported

The goldens are of BUILTIN_WITHOUT_DEFAULT_DELEGATES: the XNNPACK delegate computes something else (it quantizes
nothing of the activations; up to .14 of the probability of a class on noise), and the reference kernels differ from
the optimized ones where the last bit of a sum of floats, two operators later, moves a code across a half.
"""
import pathlib
import struct
import sys

sys.path += [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parent.parent / "support")]
from operator_models import stream  # noqa: E402
from tflite_writer import Model  # noqa: E402

NETWORK = "mlperf-tiny/kws_ref_model_float32"
GOLDEN = pathlib.Path(__file__).resolve().parent / "hybrid.golden.txt"
TOLERANCE = 1e-5
FLIPPED = 2e-3  # of the network: a code next to a half that another order of float additions moved
CASES = {NETWORK: 12}  # others: 6


def weights(m, shape, scale, seed):
    n = 1
    for d in shape:
        n *= d
    return m.tensor(shape, "i8", scale, 0, stream(seed, n, -127, 127))


def bias(m, n, seed):
    return m.tensor([n], "f32", data=[v / 64 for v in stream(seed, n, -100, 100)])


def conv(shape, filters, kernel, stride, padding, activation, seed, scale=0.013):
    m = Model()
    x = m.tensor(shape, "f32")
    w = weights(m, [filters, kernel, kernel, shape[3]], scale, seed)
    b = bias(m, filters, seed + 1)
    size = [(d + stride - 1) // stride if padding == 0 else (d - kernel) // stride + 1 for d in shape[1:3]]
    y = m.tensor([shape[0], *size, filters], "f32")
    options = {0: ("b", padding), 1: ("i", stride), 2: ("i", stride), 3: ("b", activation), 4: ("i", 1), 5: ("i", 1)}
    return m.build(3, 5, (1, options), [x, w, b], [y], [x])


def dense(rows, k, n, activation, with_bias, seed):
    m = Model()
    x = m.tensor([rows, k], "f32")
    w = weights(m, [n, k], 0.021, seed)
    b = bias(m, n, seed + 1) if with_bias else -1
    y = m.tensor([rows, n], "f32")
    return m.build(9, 9, (8, {0: ("b", activation)}), [x, w, b], [y], [x])


def refused(to):
    content = conv([1, 4, 4, 2], 3, 1, 1, 0, 0, 61, [0.01, 0.02, 0.03])
    pathlib.Path(to).write_bytes(content)


def small_models():
    """name, file, elements of the input"""
    yield "conv_same", conv([1, 7, 5, 3], 6, 3, 1, 0, 1, 11), 105
    yield "conv_batches", conv([3, 6, 6, 4], 9, 2, 2, 1, 0, 21), 432
    yield "conv_pixel", conv([2, 4, 4, 16], 20, 1, 1, 1, 3, 31), 512
    yield "dense_row", dense(1, 33, 10, 0, True, 41), 33
    yield "dense_rows", dense(5, 40, 17, 1, False, 51), 200


def make_case(case, elems):
    """Multiples of 1/32; the first case is 0 in all elements, the second in all but one."""
    values = [v / 32 for v in stream(1000 + case, elems, -1000, 1000)]
    if case == 0:
        values = [0.0] * elems
    if case == 1:
        values = [0.0] * (elems - 1) + [-7.25]
    return struct.pack(f"<{elems}f", *values)


def make(shared):
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    network = (pathlib.Path(shared) / "data" / f"{NETWORK}.tflite").read_bytes()
    lines = ["# Model, case, results of TensorFlow Lite's kernels without delegates."]
    for name, content, elems in [*small_models(), (NETWORK, network, 490)]:
        run = Interpreter(model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, num_threads=1)
        run.allocate_tensors()
        x, y = run.get_input_details()[0], run.get_output_details()[0]
        for case in range(CASES.get(name, 6)):
            run.set_tensor(x["index"], np.frombuffer(make_case(case, elems), "f4").reshape(x["shape"]))
            run.invoke()
            lines.append(" ".join([name, str(case)] + [f"{v:.9g}" for v in run.get_tensor(y["index"]).ravel()]))
    GOLDEN.write_text("\n".join(lines) + "\n")


def check(nibc, cc, target, folder, shared=None):
    from compiled import Compiled

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    models = {name: (content, elems) for name, content, elems in small_models()}
    if shared:
        models = {NETWORK: ((pathlib.Path(shared) / "data" / f"{NETWORK}.tflite").read_bytes(), 490)}
    golden = {}
    for line in GOLDEN.read_text().splitlines()[1:]:
        name, case, *values = line.split()
        golden.setdefault(name, {})[int(case)] = [float(v) for v in values]
    wrong = cases = 0
    for name, (content, elems) in models.items():
        path = folder / "model.tflite"
        path.write_bytes(content)
        run = Compiled(nibc, cc, path, target, folder / name.replace("/", "_"))  # a path of its own: dlopen knows the others
        worst = flipped = 0
        for case, wanted in golden[name].items():
            got = struct.unpack(f"<{len(wanted)}f", run(make_case(case, elems))[0])
            bound = max(1.0, max(abs(v) for v in wanted))
            off = max(abs(a - b) / bound if a == a else 1e9 for a, b in zip(got, wanted))
            flipped += off > TOLERANCE
            worst = max(worst, off)
            cases += 1
        wrong += worst > (FLIPPED if name == NETWORK and flipped <= 2 else TOLERANCE)
        print(f"{name}: {len(golden[name])} cases, {flipped} beyond {TOLERANCE}, largest difference {worst:.1e}")
    print(f"{target}: {len(models)} models, {cases} cases, {wrong} wrong")


if __name__ == "__main__":
    {"make": make, "check": check, "refused": refused}[sys.argv[1]](*sys.argv[2:])
