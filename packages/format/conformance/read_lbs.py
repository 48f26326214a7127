"""Reads quantized matrices as SPEC.md describes them, and checks vectors.json and vectors.safetensors with it.

    python read_lbs.py            (needs numpy; prints what it compared, exits 1 on the first difference)

Written from SPEC.md alone, as a check that the text is enough. Numbers in brackets are its sections.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

SALIENT_PARTS = ("weight_g_idx", "weight_zero_point", "weight_scale", "weight_scale_2")
LOG8_FACTORS = (2.0 ** (-np.arange(256) / 32)).astype(np.float32) * (np.arange(256) < 255)
ITEM_SIZES = {"U8": 1, "I8": 1, "F8_E4M3": 1, "U16": 2, "F16": 2, "BF16": 2, "U32": 4, "I32": 4, "F32": 4}
SCALE_DTYPES = {"float16": "F16", "bfloat16": "BF16", "float32": "F32", "log8": "U8", "e8m0": "U8", "e4m3": "F8_E4M3"}

def read_safetensors(path):
    """Name -> (dtype, shape, bytes) of a safetensors file."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    start = 8 + length
    span = lambda info: slice(*(start + offset for offset in info["data_offsets"]))
    return {name: (info["dtype"], info["shape"], data[span(info)]) for name, info in header.items()}

def take(tensors, name, dtypes, shape):
    """A tensor's bytes, or a refusal where it is missing or not of its type and shape [10]."""
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    dtype, found, data = tensors[name]
    if dtype not in dtypes or list(found) != list(shape) or len(data) != ITEM_SIZES[dtype] * int(np.prod(shape)):
        raise ValueError(f"{name} is {dtype} {found}")
    return dtype, data

def private_codes(packed, rows, columns, bits):
    """[rows, columns] from bit planes [4]."""
    units = -(-columns // 64)
    packed = np.frombuffer(packed, np.uint8).reshape(rows, units, 8 * bits)
    codes = np.zeros((rows, units, 64), np.int64)
    offset = shift = 0
    for width in (8, 4, 2, 1):
        if bits & width:
            plane = packed[:, :, offset : offset + 8 * width].astype(np.int64)
            fields = [plane >> (width * k) & (2**width - 1) for k in range(8 // width)]
            codes |= np.concatenate(fields, axis=2) << shift
            offset, shift = offset + 8 * width, shift + width
    return codes.reshape(rows, -1)[:, :columns]

def shared_codes(data, rows, blocks, bits):
    """[rows, blocks] from consecutive bits [5]."""
    row_bits = np.unpackbits(np.frombuffer(data, np.uint8).reshape(rows, -1), axis=1, bitorder="little")
    row_bits = row_bits[:, : blocks * bits].reshape(rows, blocks, bits).astype(np.int64)
    return (row_bits << np.arange(bits)).sum(axis=2)

def decode_scales(tensors, module, encoding, rows, groups):
    """[rows, groups] float64 that holds float32 values [6.1]."""
    _, data = take(tensors, f"{module}.weight_scale", (SCALE_DTYPES[encoding],), [rows, groups])
    codes = np.frombuffer(data, np.uint8).astype(np.int64)
    if encoding == "bfloat16":
        scales = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    elif encoding in ("float16", "float32"):
        scales = np.frombuffer(data, "<f2" if encoding == "float16" else "<f4").astype(np.float64)
    elif encoding == "log8":
        _, base = take(tensors, f"{module}.weight_scale_2", ("F16",), [rows])
        scales = np.repeat(np.frombuffer(base, "<f2").astype(np.float64), groups) * LOG8_FACTORS[codes]
    elif encoding == "e8m0":
        scales = np.where(codes == 255, np.nan, 2.0 ** (codes - 127))
    else:
        _, base = take(tensors, f"{module}.weight_scale_2", ("F32",), [1])
        exponent, mantissa = codes >> 3 & 15, codes & 7
        value = np.where(exponent == 0, mantissa * 2.0**-9, (1 + mantissa / 8) * 2.0 ** (exponent - 7))
        value = np.where(codes & 127 == 127, np.nan, np.where(codes & 128, -value, value))
        scales = np.frombuffer(base, "<f4").astype(np.float64) * value
    scales = scales.astype(np.float32).astype(np.float64).reshape(rows, groups)
    if not np.isfinite(scales).all():
        raise ValueError("a scale is not finite")
    return scales

def read_matrix(tensors, module, declaration):
    """(float32 weights, private codes, shared codes) of a module; tensors map a name to (dtype, shape, bytes)."""
    b, s = declaration["private_bits"], declaration["shared_bits"]
    g, group_size = declaration["sharing_block"], declaration["group_size"]
    rows, columns = struct.unpack("<ii", take(tensors, f"{module}.weight_shape", ("I32",), [2])[1])
    units, groups = -(-columns // 64), -(-columns // group_size)
    blocks = -(-columns // g) if s else 0
    _, packed = take(tensors, f"{module}.weight_packed", ("U8",), [rows, 8 * units * b])
    private = private_codes(packed, rows, columns, b)
    shared = np.zeros((rows, blocks), np.int64)
    codes = private << s
    if s:
        _, data = take(tensors, f"{module}.shared.weight_g_idx", ("U8",), [rows, -(-blocks * s // 8)])
        shared = shared_codes(data, rows, blocks, s)
        codes = codes | np.repeat(shared, g, axis=1)[:, :columns]
    values = np.array(declaration["level_table"]["levels"], np.float64)[codes] - declaration["level_table"]["centre"]
    if declaration.get("zero_point", False):
        _, data = take(tensors, f"{module}.weight_zero_point", ("U8",), [rows, groups])
        zero_points = np.frombuffer(data, np.uint8).reshape(rows, groups).astype(np.float64)
        values = values - np.repeat(zero_points, group_size, axis=1)[:, :columns]
    scales = decode_scales(tensors, module, declaration["scale_encoding"], rows, groups)
    with np.errstate(over="ignore"):
        weights = (np.repeat(scales, group_size, axis=1)[:, :columns] * values).astype(np.float32)
    add_salient(tensors, module, weights)
    return weights, private, shared

def salient_positions(data, count, size):
    """[count] from Rice codes of the gaps [7.1]."""
    low = next(k for k in range(64) if 27 * 2**k * count >= 13 * size)
    bits = "".join(f"{byte:08b}"[::-1] for byte in data)
    positions, behind, bit = [], 0, 0
    for _ in range(count):
        high = bits.find("0", bit) - bit
        bit += high + 1 + low
        if high < 0 or bit > len(bits):
            raise ValueError("the salient positions are too short")
        behind += high * 2**low + int("0" + bits[bit - low : bit][::-1], 2) + 1
        positions.append(behind - 1)
    if behind > size or len(bits) - bit >= 8 or "1" in bits[bit:]:
        raise ValueError("a salient weight is outside of the matrix, or bits follow the last one")
    return np.array(positions)

def add_salient(tensors, module, weights):
    """Adds float32(sigma * residual) to the salient weights [7]."""
    names = [f"{module}.salient.{part}" for part in SALIENT_PARTS]
    if not any(name in tensors for name in names):
        return
    rows, columns = weights.shape
    if names[1] not in tensors:
        raise ValueError(f"{names[1]} is missing")
    residual = take(tensors, names[1], ("I8",), tensors[names[1]][1][:1])[1]
    residual = np.frombuffer(residual, np.int8).astype(np.float64)
    if names[0] not in tensors or len(residual) == 0:
        raise ValueError("the salient weights are none or have no positions")
    data = take(tensors, names[0], ("U8",), tensors[names[0]][1][:1])[1]
    position = salient_positions(data, len(residual), rows * columns)
    row, column = np.divmod(position, columns)
    filled, row_number = np.unique(row, return_inverse=True)
    code = np.frombuffer(take(tensors, names[2], ("U8",), [len(filled)])[1], np.uint8)
    (base,) = np.frombuffer(take(tensors, names[3], ("F16",), [1])[1], "<f2")
    if not np.isfinite(base) or np.signbit(base):
        raise ValueError("the base of sigma is negative or not finite")
    sigma = (np.float64(base) * LOG8_FACTORS[code]).astype(np.float32).astype(np.float64)
    below = np.nextafter(base, np.float16(0)) if base > 0 else np.float16(-1)
    if float(below) >= sigma.max() or (code[sigma == 0] != 255).any():
        raise ValueError("the base is not the smallest one, or a code of sigma 0 is not 255")
    value = (sigma[row_number] * residual).astype(np.float32).astype(np.float64)
    weights[row, column] = (weights[row, column].astype(np.float64) + value).astype(np.float32)

def tensors_of(case):
    """The tensors that vectors.json lists for a case, as read_safetensors gives them."""
    return {f"{case['module']}.{t['suffix']}": (t["dtype"], t["shape"], bytes.fromhex(t["hex"])) for t in case["tensors"]}

def is_refused(case):
    try:
        read_matrix(tensors_of(case), case["module"], case["weights"])
    except ValueError:
        return True
    return False

def main():
    folder = Path(__file__).parent
    vectors = json.loads((folder / "vectors.json").read_text())
    cases = vectors["cases"]
    file = read_safetensors(folder / "vectors.safetensors")
    for case in cases:
        module = case["module"]
        listed = tensors_of(case)
        in_file = {name: tensor for name, tensor in file.items() if name.startswith(f"{module}.")}
        weights, private, shared = read_matrix(in_file, module, case["weights"])
        checks = {
            "tensors of the file": listed == in_file,
            "shape": list(weights.shape) == case["shape"],
            "private codes": private.astype(np.uint8).tobytes().hex() == case["private_codes"],
            "shared codes": shared.astype(np.uint8).tobytes().hex() == case["shared_codes"],
            "output": weights.astype("<f4").tobytes().hex() == case["output"],
        }
        for what in (what for what, is_equal in checks.items() if not is_equal):
            sys.exit(f"{module} ({case['weights']['name']}, {case['about']}): the {what} differ")
    for case in vectors["refused"]:
        if not is_refused(case):
            sys.exit(f"{case['about']}: accepted")
    print(f"{len(cases)} matrices: every stored byte, code and output bit is equal; {len(vectors['refused'])} are refused")

if __name__ == "__main__":
    main()
