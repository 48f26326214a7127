"""Compares the GGUF codecs of this package with gguf-py, block by block and bit by bit.

    pnpm build
    python3 scripts/compare_codecs.py [--blocks 131072] [--rounds 3] [--ggml libggml-base.so]

Needs gguf and numpy; types that gguf-py cannot read are compared with a shared
library of ggml where one is given. Blocks are random bytes, so that every bit
field takes all of its values. A NaN equals any other NaN. The rates are
in float32 megabytes for each second of CPU time, of the same blocks in turn.
"""

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, dequantize
from gguf import GGMLQuantizationType as Type

ONLY_GGML = {"Q1_0": (128, 18), "Q2_0": (64, 18), "Q8_K": (256, 292)}
ELEMENTS = {"F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}
TYPES = [kind.name for kind in Type if kind.name not in ("Q8_1", *ONLY_GGML)] + list(ONLY_GGML)


def reference(name: str, blocks: np.ndarray, library) -> np.ndarray | None:
    if name in ELEMENTS:
        with np.errstate(all="ignore"):
            return blocks.reshape(-1).view(ELEMENTS[name]).astype("<f4")
    if name in ONLY_GGML:
        if library is None:
            return None
        values = np.empty(len(blocks) * ONLY_GGML[name][0], dtype="<f4")
        function = getattr(library, f"dequantize_row_{name.lower() if name != 'Q8_K' else 'q8_K'}")
        function(ctypes.c_void_p(blocks.ctypes.data), ctypes.c_void_p(values.ctypes.data), ctypes.c_int64(values.size))
        return values
    with np.errstate(all="ignore"):
        return dequantize(blocks, Type[name]).reshape(-1)


def equal_bits(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    same = found.view("<u4") == expected.view("<u4")
    return same | (np.isnan(found) & np.isnan(expected))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=131072)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ggml")
    parser.add_argument("--types", nargs="*", default=TYPES)
    arguments = parser.parse_args()
    library = ctypes.CDLL(arguments.ggml) if arguments.ggml else None
    script = Path(__file__).with_name("codec-process.mjs")
    process = subprocess.Popen(["node", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    generator = np.random.default_rng(arguments.seed)
    failed = []
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "in"), Path(directory, "out")
        for name in arguments.types:
            size, width = ONLY_GGML.get(name) or GGML_QUANT_SIZES[Type[name]]
            # As many elements at a time for a type without blocks as for one with blocks of 256.
            count = arguments.blocks * 256 // size if size == 1 else arguments.blocks
            different, own, other = 0, [], []
            for _ in range(arguments.rounds):
                blocks = generator.integers(0, 256, (count, width), dtype=np.uint8)
                source.write_bytes(blocks.tobytes())
                started = time.process_time()
                expected = reference(name, blocks, library)
                other.append(time.process_time() - started)
                process.stdin.write(f"dequantize {name} {source} {target}\n")
                process.stdin.flush()
                own.append(float(process.stdout.readline()))
                if expected is None:
                    continue
                found = np.fromfile(target, dtype="<f4")
                different += int((~equal_bits(found, expected)).reshape(count, -1).any(axis=1).sum())
            megabytes = count * size * 4 / 1e6
            rates = f"{megabytes / statistics.median(own):7.0f} MB/s, reference {megabytes / statistics.median(other):6.0f} MB/s"
            compared = f"{different} of {count * arguments.rounds} blocks differ" if expected is not None else "no reference"
            print(f"{name:8} {compared:38} {rates}", flush=True)
            if different:
                failed.append(name)
    process.stdin.close()
    process.wait()
    if failed:
        raise SystemExit(f"different: {', '.join(failed)}")


if __name__ == "__main__":
    main()
