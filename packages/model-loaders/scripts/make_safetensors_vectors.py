"""Values of every dtype of safetensors, from PyTorch (and ml_dtypes for four bits, which PyTorch does not convert).

    pip install torch ml_dtypes safetensors
    python scripts/make_safetensors_vectors.py

Writes src/fixtures/every-dtype.safetensors, as the reference implementation writes it, and src/fixtures/every-dtype.json with
the float32 of every value as hexadecimal bits, NaN as "nan".
"""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "src" / "fixtures"
generator = torch.Generator().manual_seed(5)


def all_codes(dtype):
    return torch.arange(256, dtype=torch.uint8).view(dtype)


def random_bits(dtype, bytes_per_value, count=96):
    return torch.randint(0, 256, (count * bytes_per_value,), dtype=torch.uint8, generator=generator).view(dtype)


def integers(dtype):
    info = torch.iinfo(dtype)
    edges = [info.min, info.max, 0, 1, info.max - 1, info.max // 2, info.max // 3]
    # Halfway between two float32, and just beside: rounded once or twice makes a difference.
    for shift in range(25, info.bits):
        step = 2 ** (shift - 24)
        for odd in (0, 1):
            for off in (-1, 0, 1):
                value = 2**shift + odd * 2 * step + step + off
                edges += [v for v in (value, -value) if info.min <= v <= info.max]
    return torch.tensor(edges, dtype=dtype)


tensors = {
    "F64": torch.cat([random_bits(torch.float64, 8), torch.tensor([0.1, 1e39, -1e-46, 1 + 2**-24, 1 + 3 * 2**-24, float("inf"), float("nan")], dtype=torch.float64)]),
    "F32": random_bits(torch.float32, 4),
    "F16": random_bits(torch.float16, 2, 300),
    "BF16": random_bits(torch.bfloat16, 2, 300),
    "F8_E4M3": all_codes(torch.float8_e4m3fn),
    "F8_E5M2": all_codes(torch.float8_e5m2),
    "F8_E4M3FNUZ": all_codes(torch.float8_e4m3fnuz),
    "F8_E5M2FNUZ": all_codes(torch.float8_e5m2fnuz),
    "F8_E8M0": all_codes(torch.float8_e8m0fnu),
    "F4": all_codes(torch.float4_e2m1fn_x2),
    "BOOL": torch.tensor([True, False, True]),
    "I8": all_codes(torch.int8),
    "U8": all_codes(torch.uint8),
    **{name: integers(getattr(torch, dtype)) for name, dtype in [("I16", "int16"), ("U16", "uint16"), ("I32", "int32"), ("U32", "uint32"), ("I64", "int64"), ("U64", "uint64")]},
    "C64": torch.tensor([1 + 2j], dtype=torch.complex64),
}


def float32_of(name, tensor):
    if name == "F4":
        codes = tensor.view(torch.uint8).numpy()
        unpacked = np.stack([codes & 15, codes >> 4], axis=-1).reshape(-1)
        return unpacked.view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    return tensor.to(torch.float32).numpy()


def bits(value):
    return "nan" if np.isnan(value) else struct.pack(">f", value).hex()


save_file(tensors, FIXTURES / "every-dtype.safetensors")
values = {name: " ".join(bits(v) for v in float32_of(name, tensor)) for name, tensor in tensors.items() if name != "C64"}
(FIXTURES / "every-dtype.json").write_text(json.dumps(values, indent=1) + "\n")
