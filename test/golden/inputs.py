# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The twin of inputs.h: the same bytes from the same words."""
import pathlib

import numpy as np

MASK = (1 << 64) - 1
FNV_START = 0xCBF29CE484222325


def fnv1a(data: bytes, start: int = FNV_START) -> int:
    """64-bit FNV-1a."""
    value = start
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def random_at(seed: int, indices: np.ndarray) -> np.ndarray:
    """Elements of the splitmix64 stream of `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed * 0xD1342543DE82EF95 & MASK) + (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def synthetic(word, args, index, shape, dtype, zero_point):
    """Codes that need nothing but the format; f32 gets them divided by 128."""
    real = dtype == np.float32
    info = np.iinfo(np.int8 if real else dtype)
    low, span = int(info.min), int(info.max) - int(info.min) + 1
    i = np.arange(int(np.prod(shape)))
    seed = (args[0] if args else 0) * 16 + index
    if word == "random":
        codes = low + ((random_at(seed, i) >> np.uint64(32)) % np.uint64(span)).astype(np.int64)
    elif word == "near":
        codes = zero_point + ((random_at(seed, i) >> np.uint64(32)) % np.uint64(33)).astype(np.int64) - 16
    elif word == "blocks":
        codes = low + ((random_at(seed, i // 16) >> np.uint64(32)) % np.uint64(span)).astype(np.int64)
    elif word == "ramp":
        codes = low + i % span
    elif word == "alternate":
        codes = np.where(i % 2 == 1, info.max, info.min)
    else:
        codes = np.full(i.shape, {"min": low, "max": int(info.max), "zero": zero_point}[word])
    if real:
        return (codes.astype(np.float32) / np.float32(128)).reshape(shape)
    return np.clip(codes, info.min, info.max).astype(dtype).reshape(shape)


def pixels(values, dtype):
    """8-bit pixels as elements: u8 as they are, i8 minus 128, f32 as they are."""
    return (values.astype(np.int32) - (128 if dtype == np.int8 else 0)).astype(dtype)


def bitmap(path: pathlib.Path) -> np.ndarray:
    """Rows from the top, [h, w, channels], channels in file order."""
    data = path.read_bytes()
    start, width, height, bits = (int.from_bytes(data[a:b], "little") for a, b in ((10, 14), (18, 22), (22, 26), (28, 30)))
    channels = bits // 8
    row = (width * channels + 3) // 4 * 4
    rows = np.frombuffer(data, np.uint8, row * height, start).reshape(height, row)[::-1, : width * channels]
    return rows.reshape(height, width, channels)


def make_input(text, shared, index, shape, dtype, scale, zero_point):
    """Input number `index` of a case as an array."""
    parts = text.split(":")
    word, names = parts[0], [p for p in parts[1:] if not p.lstrip("-").isdigit()]
    args = [int(p) for p in parts[1:] if p.lstrip("-").isdigit()]
    data = pathlib.Path(shared) / "data"
    if word == "cifar":
        images = np.load(data / "cifar10/ic01_images_u8_200x32x32x3.npy")
        return pixels(images[args[0]], dtype).reshape(shape)
    if word == "gray":
        image = bitmap(data / names[0])[:, :, 0]
        if args[2]:
            image = image[:, ::-1]
        return np.roll(image, (-args[1], -args[0]), (0, 1)).astype(np.uint8).view(dtype).reshape(shape)
    if word == "photo":
        x0, y0, side, flip = args
        image = bitmap(data / names[0])[y0 : y0 + side, x0 : x0 + side, ::-1]
        if flip:
            image = image[:, ::-1]
        rows, columns = np.arange(shape[1]) * side // shape[1], np.arange(shape[2]) * side // shape[2]
        return pixels(image[rows][:, columns], dtype).reshape(shape)
    if word == "spectrum":
        count = int(np.prod(shape))
        values = np.fromfile(data / names[0], np.float32)[args[0] * 128 : args[0] * 128 + count]
        if dtype == np.float32:
            return values.reshape(shape)
        info = np.iinfo(dtype)
        codes = np.rint(values / np.float32(scale)).astype(np.int64) + zero_point
        return np.clip(codes, info.min, info.max).astype(dtype).reshape(shape)
    return synthetic(word, args, index, shape, dtype, zero_point)
