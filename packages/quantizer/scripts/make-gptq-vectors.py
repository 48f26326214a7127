"""Makes src/fixtures/gptq.json: codes of small layers, chosen by GPTQ as this file implements it in PyTorch.

    python make-gptq-vectors.py

GPTQ is that of arXiv 2210.17323 (algorithm 1) with the options of its reference implementation: damping by 1 % of the mean
of the Hessian's diagonal, scales given before the first column (static groups), columns by descending diagonal (act-order). Written
from the descriptions, in float64 and one column at a time, and knows nothing of the package's code. Sharing-aware GPTQ, for
formats whose blocks share low bits, is specified at `quantize_with_sharing`.

Inputs that were never active have H_jj = 0 and keep it: the damping alone makes the matrix definite. (The reference implementation puts
1 there, which changes the damping by an amount that depends on the unit of the activations, and zeroes the weights.)

A layer in the file: `weights` [rows, columns] and `scales` [rows, groups], base64 of little-endian float32; `hessian`, the same,
the upper triangle by rows; `codes` [rows, columns], base64 of one byte each, private and shared bits together; `ties`, ascending indices into
[rows, columns / block] of what another arithmetic may choose otherwise: a weight nearer than TIE steps to a border
between two levels (in a sharing block: with any row of the table), or two rows of the table with losses as near as that.
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch

DAMPING = 0.01
GROUP = 64
TIE = 1e-3

# Levels less the centre, by code. Of formats that share bits: (levels, shared bits, sharing block).
INTEGER_4 = np.arange(-8, 8)
INTEGER_3 = np.arange(-4, 4)
LINEAR_6 = np.arange(64) - 31.5
LINEAR_3 = np.arange(8) - 3.5
SHARED_LLOYD_5 = np.array([
    12, 36, 51, 60, 65, 74, 81, 87, 92, 97, 103, 109, 113, 117, 123, 128,
    131, 136, 142, 146, 151, 156, 162, 167, 173, 178, 186, 194, 200, 210, 223, 248,
]) - 128  # fmt: skip
PLAIN = {"int4-g64": INTEGER_4, "int3-g64": INTEGER_3}
SHARING = {
    "lbs-b4-s2x8-g64-linear-6": (LINEAR_6, 2, 8),
    "lbs-b3-s2x8-g64-shared-lloyd-5": (SHARED_LLOYD_5, 2, 8),
    "lbs-b2-s1x16-g64-linear-3": (LINEAR_3, 1, 16),
}


def inverse_factor(hessian: torch.Tensor) -> torch.Tensor:
    """The upper triangular U with U^T U = (H + damping)^-1."""
    damped = hessian + DAMPING * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True)


def nearest(w: torch.Tensor, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[rows] indices of the nearest levels, and the distance to the nearest border in steps between its levels."""
    index = (w[:, None] - levels).abs().argmin(1)
    borders = (levels[:, 1:] + levels[:, :-1]) / 2
    steps = levels[:, 1:] - levels[:, :-1]
    return index, ((w[:, None] - borders) / steps).abs().amin(1)


def quantize(w: torch.Tensor, hessian: torch.Tensor, scales: torch.Tensor, levels: np.ndarray):
    """Codes and distances to the nearest border, both [rows, columns]."""
    levels = torch.from_numpy(levels.astype(np.float64))
    order = torch.argsort(hessian.diagonal(), descending=True, stable=True)
    w = w[:, order].clone()
    u = inverse_factor(hessian[order][:, order])
    codes = torch.zeros(w.shape, dtype=torch.uint8)
    distances = torch.zeros(w.shape, dtype=torch.float64)
    for i, column in enumerate(order):
        grid = scales[:, column // GROUP, None] * levels
        index, distances[:, column] = nearest(w[:, i], grid)
        error = (w[:, i] - grid.gather(1, index[:, None])[:, 0]) / u[i, i]
        w[:, i:] -= error[:, None] * u[i, i:]
        codes[:, column] = index
    return codes, distances


def quantize_with_sharing(w, hessian, scales, levels: np.ndarray, shared_bits: int, block: int):
    """Codes [rows, columns] and margins [rows, blocks].

    A code is 2^s * private + shared, and the weights of a block have one shared value c. Blocks are taken by the descending sum
    of their columns' diag(H), a short one last, and their columns as they are in the row. A block tries every c: it rounds its columns one
    after the other to the levels {2^s h + c}, with the feedback of each error to the later columns of the block. The c with the least
    sum of (w - q)^2 / U_jj^2 is kept (the first of equals), and its errors are fed to the columns behind the block.
    """
    rows, columns = w.shape
    levels = torch.from_numpy(levels.astype(np.float64))
    starts = list(range(0, columns, block))
    power = {start: float(hessian.diagonal()[start : start + block].sum()) for start in starts}
    starts.sort(key=lambda start: (columns - start < block, -power[start], start))
    order = [column for start in starts for column in range(start, min(start + block, columns))]
    u = inverse_factor(hessian[order][:, order])
    codes = torch.zeros(w.shape, dtype=torch.uint8)
    margins = torch.zeros((rows, len(starts)), dtype=torch.float64)
    for r in range(rows):
        row = w[r, order].clone()
        done = 0
        for start in starts:
            size = min(block, columns - start)
            trials = []
            distance = np.inf
            for c in range(2**shared_bits):
                left = row[done:].clone()
                errors, chosen = [], []
                for k in range(size):
                    grid = scales[r, (start + k) // GROUP] * levels[c :: 2**shared_bits]
                    index, d = nearest(left[k : k + 1], grid[None])
                    errors.append((left[k] - grid[index[0]]) / u[done + k, done + k])
                    chosen.append((int(index[0]) << shared_bits) | c)
                    left -= errors[-1] * u[done + k, done:]
                    distance = min(distance, float(d[0]))
                trials.append((float(sum(error**2 for error in errors)), c, chosen, left))
            best, second = sorted(trials, key=lambda trial: trial[:2])[:2]
            margins[r, start // block] = min(distance, (second[0] - best[0]) / second[0])
            codes[r, start : start + size] = torch.tensor(best[2], dtype=torch.uint8)
            row[done:] = best[3]
            done += size
    return codes, margins


def inputs(kind: str, columns: int, generator: np.random.Generator) -> np.ndarray:
    """[tokens, columns] activations."""
    tokens = columns // 4 if kind == "nearly singular" else 4 * columns
    factors = generator.standard_normal((columns, columns)) * 0.9 ** np.arange(columns)
    x = generator.standard_normal((tokens, columns))
    if kind != "white":
        x = x @ factors.T + 0.3 * generator.standard_normal((tokens, columns))
    if kind == "heavy tails":
        x *= generator.standard_t(3, x.shape)
    if kind == "dead columns":
        x[:, generator.permutation(columns)[: columns // 8]] = 0
    if kind == "massive activation":
        x[:, columns // 3] *= 200
    return x


def layer(name: str, kind: str, rows: int, columns: int, generator: np.random.Generator) -> dict:
    x = inputs(kind, columns, generator)
    hessian = x.T @ x / len(x)
    if kind == "equal powers":
        # Act-order then has nothing to go by, and keeps the order of the columns.
        root = np.sqrt(np.diag(hessian))
        hessian /= np.outer(root, root)
        np.fill_diagonal(hessian, 1)
    hessian = np.triu(hessian).astype(np.float32)
    w = generator.standard_t(4, (rows, columns)) if kind == "heavy tails" else generator.standard_normal((rows, columns))
    w = (0.05 * w).astype(np.float32)
    levels, *sharing = SHARING[name] if name in SHARING else (PLAIN[name],)
    reach = np.abs(levels).max() - (0.5 if name in PLAIN else 0)
    starts = np.arange(0, columns, GROUP)
    # Somewhat below the largest weight, so that some weights lie beyond the outermost levels.
    scales = (0.9 * np.maximum.reduceat(np.abs(w), starts, axis=1) / reach).astype(np.float16).astype(np.float32)
    full = hessian.astype(np.float64)
    full = full + np.triu(full, 1).T
    choose = quantize_with_sharing if sharing else quantize
    tensors = [torch.from_numpy(a.astype(np.float64)) for a in (w, full, scales)]
    codes, margins = choose(*tensors, levels, *sharing)
    return {
        "format": name,
        "kind": kind,
        "rows": rows,
        "columns": columns,
        "weights": encode(w),
        "hessian": encode(hessian[np.triu_indices(columns)]),
        "scales": encode(scales),
        "codes": encode(codes.numpy()),
        "ties": np.flatnonzero(margins.numpy() < TIE).tolist(),
    }


def encode(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main() -> None:
    generator = np.random.default_rng(41)
    kinds = [
        "white",
        "correlated",
        "heavy tails",
        "dead columns",
        "massive activation",
        "nearly singular",
        "equal powers",
    ]
    shapes = [(16, 64), (8, 100), (24, 72)]
    plain = [
        layer(name, kind, *shapes[(i + j) % 3], generator)
        for j, name in enumerate(PLAIN)
        for i, kind in enumerate(kinds + ["correlated", "nearly singular", "massive activation"])
    ]
    sharing = [
        layer("lbs-b4-s2x8-g64-linear-6", "correlated", 16, 64, generator),
        layer("lbs-b3-s2x8-g64-shared-lloyd-5", "massive activation", 17, 100, generator),
        layer("lbs-b2-s1x16-g64-linear-3", "dead columns", 12, 80, generator),
        layer("lbs-b3-s2x8-g64-shared-lloyd-5", "nearly singular", 12, 64, generator),
    ]
    target = Path(__file__).parent.parent / "src" / "fixtures" / "gptq.json"
    target.write_text("[\n" + ",\n".join(json.dumps(item) for item in plain + sharing) + "\n]\n")


if __name__ == "__main__":
    main()
