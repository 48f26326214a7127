"""Makes the golden logits of packages/runtime/src/fixtures from transformers' LlamaForCausalLM in float32.

    python make-runtime-vectors.py

For each model NAME-logits.json and NAME-logits.bin. The binary is little-endian float32, row-major, section after
section as the JSON's `sections` lists them ({ name, shape, offset in bytes }):

- `logits` [positions, columns]: at every position of `tokens`, the logits of the vocabulary entries `columns`
  (all of them where `columns` is null);
- `logSumExp`, `maximum` [positions]: over the whole vocabulary.

`argmax` is in the JSON, and so are `continuations`: greedy decoding of a few prompts, with the least distance between
the best and the second logit, below which another implementation may rightly choose another token.
"""

import json
from pathlib import Path

import numpy as np
import torch
from model_files import sha256
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

DATASETS = Path(__file__).resolve().parent.parent
FIXTURES = DATASETS.parent / "packages" / "runtime" / "src" / "fixtures"
NEW_TOKENS = 32
PROMPTS = [
    "It was a dark night, and the",
    '"My dear fellow," said',
    "She looked at him for a moment, and then",
]


def greedy_continuation(model: LlamaForCausalLM, tokenizer: Tokenizer, prompt: str) -> dict:
    """Continues the prompt by the most likely token, NEW_TOKENS times, whatever the token is."""
    prompt_tokens = tokenizer.encode(prompt).ids
    tokens = list(prompt_tokens)
    least_margin = float("inf")
    for _ in range(NEW_TOKENS):
        best = model(torch.tensor([tokens])).logits[0, -1].topk(2)
        least_margin = min(least_margin, float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
    generated = tokens[len(prompt_tokens) :]
    return {
        "prompt": prompt,
        "promptTokens": prompt_tokens,
        "tokens": generated,
        "text": tokenizer.decode(generated, skip_special_tokens=False),
        "leastMargin": least_margin,
    }


def write_vectors(name: str, positions: int, columns: list[int] | None, text: str) -> None:
    directory = DATASETS / name
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    tokens = tokenizer.encode(text).ids[:positions]
    with torch.inference_mode():
        logits = model(torch.tensor([tokens])).logits[0]
        continuations = [greedy_continuation(model, tokenizer, prompt) for prompt in PROMPTS]
    arrays = {
        "logits": logits if columns is None else logits[:, columns],
        "logSumExp": logits.double().logsumexp(-1),
        "maximum": logits.amax(-1),
    }
    sections, data = [], b""
    for section, array in arrays.items():
        sections.append({"name": section, "shape": list(array.shape), "offset": len(data)})
        data += array.numpy().astype("<f4").tobytes()
    header = {
        "model": name,
        "modelSha256": sha256(directory / "model.safetensors"),
        "source": "transformers LlamaForCausalLM, float32, eager attention",
        "tokens": tokens,
        "columns": columns,
        "sections": sections,
        "argmax": logits.argmax(-1).tolist(),
        "continuations": continuations,
    }
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / f"{name}-logits.json").write_text(json.dumps(header) + "\n", "utf-8")
    (FIXTURES / f"{name}-logits.bin").write_bytes(data)
    print(name, len(data), "bytes; least margins", [c["leastMargin"] for c in continuations])


def main() -> None:
    text = (DATASETS / "texts" / "held-out.txt").read_text("utf-8")[:4000]
    columns = sorted(np.random.default_rng(0).choice(4096, 64, replace=False).tolist())
    write_vectors("reference-lm", 256, columns, text)
    write_vectors("tiny-lm", 64, None, text)


if __name__ == "__main__":
    main()
