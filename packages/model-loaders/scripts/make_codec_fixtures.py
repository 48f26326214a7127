"""Makes the golden vectors of the GGUF codecs in src/fixtures.

    python3 scripts/make_codec_fixtures.py --ggml libggml-base.so

Needs gguf, numpy and a shared library of ggml, which quantizes to the types that
gguf-py cannot quantize to, and reads those that it cannot read. The results are
committed; run this again only to add vectors.
"""

import argparse
import base64
import ctypes
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, dequantize, quantize
from gguf import GGMLQuantizationType as Type

FIXTURES = Path(__file__).parent.parent / "src" / "fixtures"

# id, elements and bytes of a block of the types that gguf-py cannot read.
ONLY_GGML = {"Q1_0": (41, 128, 18), "Q2_0": (42, 64, 18), "Q8_K": (15, 256, 292)}
ELEMENTS = {"F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}

# Where the binary16 numbers of a block lie; all other bytes of a block may have any value.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "Q8_K": [],
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ1_M": [],
    "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [], "NVFP4": [], "Q1_0": [0], "Q2_0": [0],
}  # fmt: skip


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def read(name: str, blocks: np.ndarray, library: ctypes.CDLL) -> np.ndarray:
    if name in ELEMENTS:
        return blocks.reshape(-1).view(ELEMENTS[name]).astype("<f4")
    if name not in ONLY_GGML:
        return dequantize(blocks, Type[name]).reshape(-1)
    values = np.empty(len(blocks) * ONLY_GGML[name][1], dtype="<f4")
    function = getattr(library, f"dequantize_row_{name[:-1].lower() + name[-1]}")
    function(pointer(blocks), pointer(values), ctypes.c_int64(values.size))
    return values


def quantized(name: str, values: np.ndarray, library: ctypes.CDLL) -> np.ndarray:
    """Rows of 256 values as ggml quantizes them, with all of them equally important."""
    type_id, size, width = ONLY_GGML.get(name) or (Type[name].value, *GGML_QUANT_SIZES[Type[name]])
    rows, columns = values.shape
    target = np.zeros(values.size // size * width, dtype=np.uint8)
    importance = np.ones(columns, dtype="<f4")
    if name == "Q8_K":
        library.quantize_row_q8_K_ref(pointer(values), pointer(target), ctypes.c_int64(values.size))
    else:
        library.ggml_quantize_chunk(
            ctypes.c_int(type_id), pointer(values), pointer(target), ctypes.c_int64(0),
            ctypes.c_int64(rows), ctypes.c_int64(columns), pointer(importance),
        )  # fmt: skip
    return target.reshape(-1, width)


def random_blocks(name: str, generator: np.random.Generator) -> np.ndarray:
    """Random bytes under extreme scales and random ones, none of them a NaN."""
    width = (ONLY_GGML.get(name) or (0, *GGML_QUANT_SIZES[Type[name]]))[2]
    count = 6
    raw = generator.integers(0, 256, (count, width), dtype=np.uint8)

    def scales() -> np.ndarray:
        values = generator.standard_normal((count, 1)).astype(np.float16)
        values[:4, 0] = np.array([6e-8, -65504, -0.0, 1e-5])
        return values.view(np.uint8)

    for column in SCALES[name]:
        raw[:, column : column + 2] = scales()
    if name == "Q8_K":
        raw[:, :4] = generator.standard_normal((count, 1)).astype("<f4").view(np.uint8)
    if name == "IQ1_M":
        bits = scales().view("<u2")
        for i in range(4):
            nibble = ((bits >> (4 * i)) & 15).astype(np.uint8)
            raw[:, 49 + 2 * i] = (raw[:, 49 + 2 * i] & 15) | (nibble[:, 0] << 4)
    return raw


def elements(name: str) -> np.ndarray:
    """Values at the edges of what the type and float32 hold."""
    if name == "F32":
        values = np.array([0, -0.0, 1, -1.5, 1e-45, 3.4e38, np.inf, -np.inf, 1 / 3], dtype="<f4")
    elif name == "F16":
        values = np.array([0, -0.0, 1, -1.5, 6e-8, 6.1e-5, 65504, np.inf, -np.inf, 1 / 3], dtype="<f2")
    elif name == "BF16":
        values = np.array([0, 0x8000, 0x3F80, 0xBFC0, 1, 0x7F7F, 0x7F80, 0xFF80], dtype="<u2")
    elif name == "F64":
        values = np.array([0, -0.0, 1 / 3, 1e300, -1e-300, 2**24 + 1, 1 + 2**-24, np.inf], dtype="<f8")
    else:
        limits = np.iinfo(ELEMENTS[name])
        values = np.array([limits.min, limits.max, 0, -1, 1, limits.max // 3, limits.min // 7], dtype=ELEMENTS[name])
        if name == "I64":
            # Halfway between two float32, and next to it on both sides: rounding twice goes wrong.
            ties = [sign * (2**60 + 2**36 + step) for sign in (1, -1) for step in (-1, 0, 1)]
            values = np.append(values, np.array([*ties, 2**53 + 1, -(2**53) - 1, 2**52 + 2**28 + 1], dtype="<i8"))
    return values.view(np.uint8)


def make_dequantized(library: ctypes.CDLL) -> None:
    generator = np.random.default_rng(7)
    values = generator.standard_normal((2, 256)).astype("<f4")
    values[1, ::7] *= 6e3
    vectors = []
    for name in ("F32", "F16", "BF16", *ELEMENTS, *SCALES):
        if name in SCALES:
            width = (ONLY_GGML.get(name) or (0, *GGML_QUANT_SIZES[Type[name]]))[2]
            real = quantized(name, values, library) if name != "NVFP4" else np.empty((0, width), dtype=np.uint8)
            # Of the types with small blocks every fourth one is enough.
            data = np.concatenate([real[:: max(1, len(real) // 4)], random_blocks(name, generator)])
        else:
            data = elements(name)
        expected = read(name, data, library)
        encoded = [base64.b64encode(array.tobytes()).decode() for array in (data, expected.astype("<f4"))]
        vectors.append({"type": name, "bytes": encoded[0], "values": encoded[1]})
    text = "[\n" + ",\n".join(map(json.dumps, vectors)) + "\n]\n"
    (FIXTURES / "dequantized.json").write_text(text)


def make_quantized(library: ctypes.CDLL) -> None:
    """Blocks of 32 values as ggml stores them; gguf-py differs in the signs of zeros only."""
    generator = np.random.default_rng(9)
    values = generator.standard_normal((20, 32)).astype("<f4")
    values[4:7] = generator.integers(-20, 21, (3, 32)) * np.array([[0.5], [0.25], [3]])  # Ties.
    values[7:9] *= generator.random((2, 32)) < 0.1
    values[9] = 0
    values[10] = np.abs(values[10])
    values[11] = -np.abs(values[11])
    values[12:15] *= np.array([[1e-6], [1e-12], [1e-18]])
    values[15:17] *= np.array([[6e3], [6e4]])
    values[17] = -1.5
    values[18] = generator.standard_t(2, 32)
    values[19] = np.linspace(-1, 1, 32)
    vectors = []
    for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "IQ4_NL"):
        if name in ("F32", "F16", "BF16"):
            data = np.ascontiguousarray(quantize(values, Type[name])).view(np.uint8)
        else:
            _, width = GGML_QUANT_SIZES[Type[name]]
            data = np.zeros((len(values), width), dtype=np.uint8)
            library.ggml_quantize_chunk(
                ctypes.c_int(Type[name].value), pointer(values), pointer(data), ctypes.c_int64(0),
                ctypes.c_int64(len(values)), ctypes.c_int64(32), None,
            )  # fmt: skip
        vectors.append({"type": name, "bytes": base64.b64encode(data.tobytes()).decode()})
    result = {"values": base64.b64encode(values.tobytes()).decode(), "types": vectors}
    (FIXTURES / "quantized.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--ggml", required=True)
    ggml = ctypes.CDLL(parser.parse_args().ggml)
    make_dequantized(ggml)
    make_quantized(ggml)
