"""Makes the golden gradients of packages/runtime/src/fixtures with PyTorch's autograd, from transformers' LlamaForCausalLM in float64.

    python make-gradient-vectors.py

tiny-lm-gradients.json and tiny-lm-gradients.bin. The loss is the sum of -log p(label) over the positions of `tokens`, with the given `labels`;
gradients are with respect to the outputs of the linear layers of all blocks, before the rotary embedding. The binary is little-endian
float32, section after section as the JSON's `sections` lists them ({ name, shape, offset in bytes }), for each module:

- `MODULE.tokenSums` [tokens]: the squared gradients, summed over output features;
- `MODULE.rowMeans` [rows]: the squared gradients of an output feature, mean over tokens.
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
# More than the runtime takes at a time of queries (128) and of logits (64), and of the context that the model was trained for.
POSITIONS = 139


def squared_gradients(model: LlamaForCausalLM, tokens: list[int], labels: list[int]) -> dict[str, torch.Tensor]:
    """Squared gradients [tokens, rows] of the loss, by linear module of a block."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str):
        def hook(_module, _inputs, output):
            output.retain_grad()
            outputs[name] = output

        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and name != "lm_head":
            module.register_forward_hook(keep(name))
    logits = model(torch.tensor([tokens])).logits[0]
    torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="sum").backward()
    return {name: output.grad[0].square() for name, output in outputs.items()}


def main() -> None:
    directory = DATASETS / "tiny-lm"
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float64, attn_implementation="eager").eval()
    text = (DATASETS / "texts" / "held-out.txt").read_text("utf-8")[:4000]
    tokens = tokenizer.encode(text).ids[:POSITIONS]
    labels = np.random.default_rng(0).integers(model.config.vocab_size, size=POSITIONS).tolist()
    sections, data = [], b""
    for module, squares in squared_gradients(model, tokens, labels).items():
        for quantity, values in {"tokenSums": squares.sum(1), "rowMeans": squares.mean(0)}.items():
            sections.append({"name": f"{module}.{quantity}", "shape": list(values.shape), "offset": len(data)})
            data += values.detach().numpy().astype("<f4").tobytes()
    header = {
        "model": "tiny-lm",
        "modelSha256": sha256(directory / "model.safetensors"),
        "source": "PyTorch autograd, transformers LlamaForCausalLM, float64, eager attention",
        "tokens": tokens,
        "labels": labels,
        "sections": sections,
    }
    (FIXTURES / "tiny-lm-gradients.json").write_text(json.dumps(header) + "\n", "utf-8")
    (FIXTURES / "tiny-lm-gradients.bin").write_bytes(data)
    print(len(sections), "sections,", len(data), "bytes")


if __name__ == "__main__":
    main()
