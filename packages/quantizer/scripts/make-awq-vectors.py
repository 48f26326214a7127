"""Makes src/fixtures/awq.json: scales and clipping by activation-aware weight quantization as this file implements it in PyTorch.

    python make-awq-vectors.py

AWQ (Lin et al., arXiv 2306.00978) with the constants of its reference implementation: scales mean |x|^a with a = 0, 1/20, ..., 19/20, at least 1e-4,
normalised by the root of their least times their greatest; the squared error of the attention's, the feed-forward network's or the layer's own
output decides; then the range of each group, q and k excepted, shrinks in steps of 1/20 down to 0.55, and the squared error of the group's
outputs decides. Written from the paper's description, in float64, by forward passes through a decoder block; it knows nothing of the
package's code. What differs from the reference: scales are binary16, a group's range reaches to zero, and weights are rounded at the clipped
range without being clipped themselves. Tokens may count differently, and scales of values that several heads share are one, of the mean over the
heads.

The block is made of a congruential generator, so that the test makes the same; `Block` says how.

A case in the file: `heads`, `keyValueHeads`, `firstPositionWeight`; for each stage the best exponent and its scales, one for each row of
what gives the input; for each clipped module the group scales [rows, groups] and zero-points.
"""

import json
from pathlib import Path

import numpy as np
import torch

HIDDEN, INTERMEDIATE, HEAD, GROUP = 64, 96, 16, 32
HEADS = HIDDEN // HEAD
SEQUENCES, TOKENS = 3, 16
EPSILON, THETA = 1e-5, 10000.0
EXPONENTS = [i / 20 for i in range(20)]
SHARES = [1 - i / 20 for i in range(10)]
GREATEST = 15


class Generator:
    """x <- 1664525 x + 1013904223 mod 2^32; a value is the cube of the sum of two of x / 2^32 less 1, as float32."""

    def __init__(self, seed: int):
        self.x = seed

    def uniform(self) -> float:
        self.x = (1664525 * self.x + 1013904223) % 2**32
        return self.x / 2**32

    def values(self, *shape: int) -> torch.Tensor:
        flat = []
        for _ in range(int(np.prod(shape))):
            t = self.uniform() + self.uniform() - 1
            flat.append(t * t * t)
        return torch.tensor(np.array(flat, dtype=np.float32).reshape(shape).astype(np.float64))


def as_float32(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.float().double()


class Block:
    """A Llama block. Modules are drawn in the order of `shapes`, then the norms as 1 + value, then hidden states times 1 + (7 j mod 5)^2."""

    def __init__(self, kv_heads: int, seed: int):
        self.kv_heads = kv_heads
        kv = kv_heads * HEAD
        shapes = {
            "q": (HIDDEN, HIDDEN),
            "k": (kv, HIDDEN),
            "v": (kv, HIDDEN),
            "o": (HIDDEN, HIDDEN),
            "gate": (INTERMEDIATE, HIDDEN),
            "up": (INTERMEDIATE, HIDDEN),
            "down": (HIDDEN, INTERMEDIATE),
        }
        generator = Generator(seed)
        self.w = {name: generator.values(*shape) for name, shape in shapes.items()}
        self.attention_norm = as_float32(1 + generator.values(HIDDEN))
        self.feed_forward_norm = as_float32(1 + generator.values(HIDDEN))
        # A channel that is never active, a row of zeros (and behind it another such channel), a row of one value.
        self.attention_norm[5] = 0
        self.w["up"][7] = 0
        self.w["gate"][3] = 0.25
        channels = torch.tensor([1.0 + (7 * j % 5) ** 2 for j in range(HIDDEN)], dtype=torch.float64)
        self.sequences = [as_float32(generator.values(TOKENS, HIDDEN) * channels) for _ in range(SEQUENCES)]

    def norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON) * weight

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        half = HEAD // 2
        frequencies = THETA ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(x.shape[0], dtype=torch.float64)[:, None] * frequencies
        cos, sin = angles.cos()[:, None, :], angles.sin()[:, None, :]
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def attend(self, x: torch.Tensor, w: dict) -> torch.Tensor:
        """The input of o."""
        t = x.shape[0]
        q = self.rotate((x @ w["q"].T).view(t, HEADS, HEAD))
        k = self.rotate((x @ w["k"].T).view(t, self.kv_heads, HEAD))
        v = (x @ w["v"].T).view(t, self.kv_heads, HEAD)
        repeat = HEADS // self.kv_heads
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        scores = torch.einsum("thd,shd->hts", q, k) / HEAD**0.5
        scores = scores.masked_fill(torch.ones(t, t).triu(1).bool(), -torch.inf)
        return torch.einsum("hts,shd->thd", scores.softmax(-1), v).reshape(t, HIDDEN)

    def gated(self, x: torch.Tensor, w: dict) -> torch.Tensor:
        """The input of down."""
        return torch.nn.functional.silu(x @ w["gate"].T) * (x @ w["up"].T)


def ranges(w: torch.Tensor):
    """[rows, groups, GROUP] weights, and the least and greatest of each group, and zero."""
    groups = w.view(w.shape[0], -1, GROUP)
    return groups, groups.amin(-1).clamp(max=0), groups.amax(-1).clamp(min=0)


def round_between(groups: torch.Tensor, low: torch.Tensor, high: torch.Tensor):
    scale = ((high - low) / GREATEST).half().double()
    inverse = torch.where(scale > 0, 1 / scale, 0)
    zero = (-low * inverse).round().clamp(0, GREATEST)
    codes = ((groups * inverse[..., None]).round() + zero[..., None]).clamp(0, GREATEST)
    return (codes - zero[..., None]) * scale[..., None], scale, zero


def round_to_nearest(w: torch.Tensor) -> torch.Tensor:
    return round_between(*ranges(w))[0].view(w.shape)


def weighted_error(outputs, expected, weights) -> float:
    return sum(float((weights * (a - b).square().sum(-1)).sum()) for a, b in zip(outputs, expected))


def search_scales(block: Block, modules, inputs, run, producer_rows, weights) -> dict:
    x = torch.cat(inputs)
    token_weights = weights.repeat(len(inputs))
    magnitudes = (token_weights[:, None] * x.abs()).sum(0) / token_weights.sum()
    count = int(producer_rows.max()) + 1
    mean = torch.stack([magnitudes[producer_rows == row].mean() for row in range(count)])
    expected = [run(inp, block.w) for inp in inputs]
    errors, candidates = [], []
    for exponent in EXPONENTS:
        s = mean.pow(exponent).clamp(min=1e-4)
        s = s / (s.max() * s.min()).sqrt()
        columns = s[producer_rows]
        changed = {name: round_to_nearest(block.w[name] * columns) / columns for name in modules}
        errors.append(weighted_error([run(inp, {**block.w, **changed}) for inp in inputs], expected, weights))
        candidates.append(s)
    best = int(np.argmin(errors))
    return {"modules": modules, "exponent": EXPONENTS[best], "scales": candidates[best]}


def search_clipping(w: torch.Tensor, x: torch.Tensor, weights: torch.Tensor):
    groups, low, high = ranges(w)
    limit = torch.maximum(-low, high)
    xg = x.view(x.shape[0], -1, GROUP)
    expected = torch.einsum("rgj,tgj->rgt", groups, xg)
    least = torch.full(limit.shape, torch.inf, dtype=torch.float64)
    scale, zero = torch.zeros_like(least), torch.zeros_like(least)
    for share in SHARES:
        top = share * limit
        clipped = torch.minimum(torch.maximum(groups, -top[..., None]), top[..., None])
        # Where both ends are cut the zero-point is a tie, and one level lies beyond the range; the weights themselves may take it.
        q, s, z = round_between(groups, clipped.amin(-1).clamp(max=0), clipped.amax(-1).clamp(min=0))
        error = (weights * (torch.einsum("rgj,tgj->rgt", q, xg) - expected).square()).sum(-1)
        better = error < least
        least = torch.where(better, error, least)
        scale, zero = torch.where(better, s, scale), torch.where(better, z, zero)
    return scale, zero


def case(kv_heads: int, first_position_weight: float, seed: int) -> dict:
    block = Block(kv_heads, seed)
    weights = torch.ones(TOKENS, dtype=torch.float64)
    weights[0] = first_position_weight
    attention_in = [block.norm(h, block.attention_norm) for h in block.sequences]
    attended = [block.attend(x, block.w) for x in attention_in]
    behind = [h + a @ block.w["o"].T for h, a in zip(block.sequences, attended)]
    feed_forward_in = [block.norm(h, block.feed_forward_norm) for h in behind]
    gated = [block.gated(x, block.w) for x in feed_forward_in]
    each = torch.arange
    heads = each(HIDDEN) // HEAD // (HEADS // kv_heads)
    stages = [
        (["q", "k", "v"], attention_in, lambda x, w: block.attend(x, w) @ w["o"].T, each(HIDDEN)),
        (["o"], attended, lambda x, w: x @ w["o"].T, heads * HEAD + each(HIDDEN) % HEAD),
        (["gate", "up"], feed_forward_in, lambda x, w: block.gated(x, w) @ w["down"].T, each(HIDDEN)),
        (["down"], gated, lambda x, w: x @ w["down"].T, each(INTERMEDIATE)),
    ]
    found = [search_scales(block, m, x, run, rows, weights) for m, x, run, rows in stages]
    row_scales = {"v": found[1]["scales"], "up": found[3]["scales"]}
    clipping = {}
    for (modules, inputs, _, rows), stage in zip(stages, found):
        columns = stage["scales"][rows]
        for name in modules:
            if name in "qk":
                continue
            w = block.w[name] * columns
            if name in row_scales:
                w = w / row_scales[name][:, None]
            scale, zero = search_clipping(w, torch.cat(inputs) / columns, weights.repeat(SEQUENCES))
            clipping[name] = {"scales": scale.flatten().tolist(), "zeroPoints": zero.flatten().int().tolist()}
    return {
        "heads": HEADS,
        "keyValueHeads": kv_heads,
        "firstPositionWeight": first_position_weight,
        "seed": seed,
        "stages": [
            {**stage, "scales": [float(f"{scale:.8g}") for scale in stage["scales"].tolist()]} for stage in found
        ],
        "clipping": clipping,
    }


def main() -> None:
    cases = [case(HEADS, 1, 1), case(2, 4, 2)]
    target = Path(__file__).parent.parent / "src" / "fixtures" / "awq.json"
    target.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")


if __name__ == "__main__":
    main()
