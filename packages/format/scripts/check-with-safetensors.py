"""Opens a quantized model with the safetensors library and checks what SPEC.md 12 promises.

    lbs quantize datasets/tiny-lm --preset lbs-4 --max-shard-size 60kB -o /tmp/tiny
    python packages/format/scripts/check-with-safetensors.py /tmp/tiny

Needs safetensors and numpy. The library itself refuses files with holes, overlaps or bytes behind the last tensor.
"""

import json
import math
import struct
import sys
import zlib
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file

directory = Path(sys.argv[1])
index_file = directory / "model.safetensors.index.json"
index = json.loads(index_file.read_text()) if index_file.exists() else None
names = sorted(set(index["weight_map"].values())) if index else ["model.safetensors"]

shard_of = {}
total_size = 0
for name in names:
    file = directory / name
    with safe_open(file, "np") as opened:
        metadata = opened.metadata()
        tensors = set(opened.keys())
    assert tensors == {key[6:] for key in metadata if key.startswith("crc32.")}, f"{name}: checksums"
    # bfloat16 has no numpy type: take bytes by the offsets of the header, values by the library where it can.
    data = file.read_bytes()
    (header_length,) = struct.unpack("<Q", data[:8])
    start = 8 + header_length
    header = json.loads(data[8:start])
    assert start % 64 == 0, f"{name}: data section"
    aligned = 0
    for tensor in tensors:
        begin, end = header[tensor]["data_offsets"]
        assert zlib.crc32(data[start + begin : start + end]) == int(metadata["crc32." + tensor], 16), tensor
        if end > begin and (end - begin) % 64 == 0:
            assert (start + begin) % 64 == 0, f"{tensor}: alignment"
            aligned += 1
        shard_of[tensor] = name
        total_size += end - begin
    if all(header[tensor]["dtype"] != "BF16" for tensor in tensors):
        loaded = load_file(file)
        for tensor, array in loaded.items():
            assert list(array.shape) == header[tensor]["shape"]
    print(f"{name}: {len(tensors)} tensors, {aligned} of them aligned to 64 bytes")

modules = {name.removesuffix(".weight_packed") for name in shard_of if name.endswith(".weight_packed")}
for module in modules:
    parts = {shard for tensor, shard in shard_of.items() if tensor.startswith(module + ".")}
    assert len(parts) == 1, f"{module}: in {parts}"
if index:
    assert index["weight_map"] == shard_of
    assert index["metadata"]["total_size"] == total_size

config = json.loads((directory / "config.json").read_text())["quantization_config"]
helpers = {"weight_scale", "weight_scale_2", "weight_zero_point", "weight_shape", "weight_g_idx"}
counted = weights = 0
for name in names:
    with safe_open(directory / name, "np") as opened:
        for tensor in opened.keys():
            shape = opened.get_slice(tensor).get_shape()
            dtype = opened.get_slice(tensor).get_dtype()
            suffix = tensor.rsplit(".", 1)[-1]
            if suffix == "weight_shape":
                weights += math.prod(int(size) for size in opened.get_tensor(tensor))
            if suffix in helpers:
                continue
            counted += math.prod(shape) * (2 if dtype == "U8" and config.get("bits") == 4 else 1)
            if suffix != "weight_packed":
                weights += math.prod(shape)
print(f"{counted} parameters as a hub counts them, {weights} in the original model")
