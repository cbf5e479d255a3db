"""Makes blocks.txt: what other programs read from blocks and write to them.

    python blocks.py LIBGGML

needs the Python package gguf (0.19.0 was used) and, for the formats that it
does not write, ggml's library: LIBGGML is a libggml-base.so of llama.cpp,
compiled for plain x86-64, so that no multiplication is fused with an addition
(0.25.3 was used, as it comes with llama-cpp-python 0.3.36).
What both of them write is compared here. Lines are:

    values HEX           f32 numbers that are written below
    write FORMAT HEX     the bytes that they become
    read FORMAT HEX HEX  bytes, and the f32 numbers that they are

All numbers are little-endian.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import quants

READ = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
BY_GGUF = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
BY_GGML = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q6_K"]

# Where the halves of a block stand.
SCALES = {
    "F16": [0], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}


def values(rng):
    """Eight stretches of 256 values, of the kinds that weights have and some that they should not have."""
    wide = rng.standard_normal(256) * 10.0 ** rng.uniform(-6, 3, 256)
    steps = np.arange(-128, 128) / 16  # many ties
    holes = np.where(np.arange(256) // 32 % 2 == 0, 0, rng.standard_normal(256))
    heavy = rng.standard_t(2, 256) * 0.05
    small = rng.standard_normal(256) * 1e-7  # scales below the normal halves
    rows = [rng.standard_normal(256) * 0.02, wide, steps, holes, heavy, small, rng.uniform(0.5, 1, 256), np.full(256, -3)]
    return np.concatenate(rows).astype(np.float32)


def blocks(rng, name):
    """512 values in random bytes, with finite scales, some of them below the normal halves."""
    kind = Type[name]
    block, size = quants.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (512 // block, size), dtype=np.uint8)
    for place in SCALES.get(name, []):
        halves = rng.integers(0, 0x7C00, len(data)) >> np.where(rng.random(len(data)) < 0.2, 5, 0)
        halves |= rng.integers(0, 2, len(data)) << 15
        data[:, place : place + 2] = halves.astype("<u2").view(np.uint8).reshape(-1, 2)
    if name == "BF16":
        data[:, 1] &= 0xBF  # no infinities, no NaN
    return data.reshape(-1)


def by_ggml(library, name, x):
    out = np.zeros(len(x) // quants.GGML_QUANT_SIZES[Type[name]][0] * quants.GGML_QUANT_SIZES[Type[name]][1], np.uint8)
    write = getattr(library, f"quantize_row_{name.replace('Q', 'q')}_ref")
    write(x.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(x)))
    return out


def main():
    library = ctypes.CDLL(sys.argv[1])
    rng = np.random.default_rng(20)
    x = values(rng)
    lines = [f"values {x.tobytes().hex()}"]
    for name in dict.fromkeys(BY_GGUF + BY_GGML):
        written = []
        if name in BY_GGUF:
            written.append(quants.quantize(x, Type[name]).view(np.uint8))
        if name in BY_GGML:
            written.append(by_ggml(library, name, x))
        assert all(np.array_equal(written[0], other) for other in written), name
        lines.append(f"write {name} {written[0].tobytes().hex()}")
    for name in READ:
        data = blocks(rng, name)
        read = quants.dequantize(data, Type[name]).astype("<f4")
        assert np.isfinite(read).all(), name
        lines.append(f"read {name} {data.tobytes().hex()} {read.tobytes().hex()}")
    Path(__file__).with_name("blocks.txt").write_text("\n".join(lines) + "\n")


main()
