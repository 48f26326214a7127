"""Makes src/fixtures/hqq.json: scales and zero-points by half-quadratic quantization as this file implements it in NumPy.

    python make-hqq-vectors.py

HQQ (Badri and Shaji, 2023, https://mobiusml.github.io/hqq_blog) with the defaults of its reference implementation: 20 steps, p = 0.7,
beta = 10, kappa = 1.01, groups of 64 along a row, the scale that of the least and the greatest weight. Written from the description, on whole
arrays, and knows nothing of the package's code. What this storage asks for differs from the reference: scales are binary16 throughout, a
group's range reaches to zero, so that zero-points are not negative, and a short last group is one of its own.

A matrix in the file: `weights` [rows, columns] and `scales` [rows, groups], base64 of little-endian float32; `zeroPoints` [rows, groups],
base64 of float32, before they are rounded to integers; `steps` that were taken.
"""

import base64
import json
from pathlib import Path

import numpy as np

GROUP = 64
STEPS = 20
NORM = 0.7
PENALTY = 10
GROWTH = 1.01


def shrink(error: np.ndarray, penalty: float) -> np.ndarray:
    """The generalized soft threshold for the l_p norm: sign(e) max(|e| - |e|^(p - 1) / beta, 0)."""
    size = np.abs(error)
    with np.errstate(divide="ignore"):
        return np.sign(error) * np.maximum(size - size ** (NORM - 1) / penalty, 0)


def quantize(weights: np.ndarray, bits: int):
    """Scales and zero-points [rows, groups], and the steps taken."""
    rows, columns = weights.shape
    groups = -(-columns // GROUP)
    # A short last group is filled up with weights that count nothing.
    w = np.zeros((rows, groups * GROUP))
    w[:, :columns] = weights
    counts = (np.arange(groups * GROUP) < columns).reshape(groups, GROUP).astype(float)
    w = w.reshape(rows, groups, GROUP)
    greatest = 2**bits - 1
    low, high = np.minimum(w.min(2), 0), np.maximum(w.max(2), 0)
    scales = ((high - low) / greatest).astype(np.float16).astype(np.float64)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)[..., None]
    zero = -low[..., None] * inverse
    penalty, least, steps = PENALTY, np.inf, 0
    while steps < STEPS:
        q = np.clip(np.round(w * inverse + zero), 0, greatest)
        error = w - (q - zero) * scales[..., None]
        kept = w - shrink(error, penalty)
        zero = ((q - kept * inverse) * counts).sum(2, keepdims=True) / counts.sum(1)[:, None]
        penalty *= GROWTH
        steps += 1
        mean = (np.abs(error) * counts).sum() / (counts.sum() * rows)
        if mean >= least:
            break
        least = mean
    return scales, zero[..., 0], steps


def encode(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()


def matrix(kind: str, bits: int, weights: np.ndarray) -> dict:
    weights = weights.astype(np.float32)
    scales, zero_points, steps = quantize(weights.astype(np.float64), bits)
    return {
        "kind": kind,
        "bits": bits,
        "rows": weights.shape[0],
        "columns": weights.shape[1],
        "weights": encode(weights),
        "scales": encode(scales),
        "zeroPoints": encode(zero_points),
        "steps": steps,
    }


def main() -> None:
    generator = np.random.default_rng(43)
    normal = generator.standard_normal
    zeros = 0.05 * normal((4, 128))
    zeros[1, 64:] = 0
    zeros[3] = 0
    matrices = [
        matrix("normal", 4, 0.05 * normal((8, 128))),
        matrix("heavy tails", 4, 0.05 * generator.standard_t(3, (8, 128))),
        # The threshold is one of absolute weights, and does nothing to errors below 10^(-1 / 1.3) = 0.17.
        matrix("large weights, which the threshold keeps", 4, 5 * generator.standard_t(3, (8, 128))),
        matrix("one sign", 4, 0.05 + 0.05 * np.abs(normal((4, 64)))),
        matrix("groups of zeros", 4, zeros),
        matrix("a short group", 4, 0.05 * normal((6, 100))),
        matrix("normal", 3, normal((8, 128))),
        matrix("heavy tails", 2, generator.standard_t(3, (8, 128))),
        matrix("normal", 8, 0.05 * normal((4, 64))),
        # The mean error of few weights often rises before the zero-points stand still, so that the end comes early.
        *[matrix(f"a single group, {i}", 3, normal((1, 64))) for i in range(8)],
    ]
    target = Path(__file__).parent.parent / "src" / "fixtures" / "hqq.json"
    target.write_text("[\n" + ",\n".join(map(json.dumps, matrices)) + "\n]\n")


if __name__ == "__main__":
    main()
