"""Makes src/fixtures/architecture-gradients.json and .bin: squared gradients by PyTorch's autograd in float64, of tiny models of every architecture.

    python3 scripts/make_architecture_gradients.py

Needs numpy, torch and transformers. The models are those of make_architecture_vectors.py, each on the first tokens of its text, with the next ones as labels. For each
matrix of a block and for the head, by module: `tokenSums` [tokens], the sums of the squared gradients with respect to its outputs, and `rowMeans` [rows], their means over
tokens, one behind the other in the binary as little-endian float32.
"""

import json
from pathlib import Path

import torch
from architecture_models import build, fill, published_name, tokens_of
from make_architecture_vectors import CASES

FIXTURES = Path(__file__).resolve().parent.parent / "src" / "fixtures"
TOKENS = 24


def gradients_of(model, config: dict, tokens: list[int]) -> list[tuple[str, torch.Tensor]]:
    """Gradients [tokens, rows] of the loss with respect to what each linear layer puts out."""
    outputs, hooks = {}, []

    def keep(name):
        def hook(_, __, output):
            output.retain_grad()
            outputs[name] = output
            # OLMo clips what it is given in place.
            return output.clone()

        return hook

    for name, module in model.named_modules():
        if type(module).__name__ in ("Linear", "Conv1D"):
            hooks.append(module.register_forward_hook(keep(name)))
    logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
    likelihoods = logits.log_softmax(-1)
    loss = -sum(likelihoods[i, label] for i, label in enumerate(tokens[1:]))
    loss.backward()
    result = []
    for name, output in outputs.items():
        # Names with another prefix are read as those of transformers.
        module = name if config["model_type"] in ("gemma3", "gpt2") else published_name(f"{name}.", config).removesuffix(".")
        # The same name for the head whatever the architecture calls it.
        result.append(("lm_head" if "layers." not in module and "h." not in module else module, output.grad.reshape(len(tokens), -1)))
    return result


def main() -> None:
    cases, data = [], b""
    for name, config in CASES.items():
        model = build({key: value for key, value in config.items() if key != "bare_names"})
        fill(model, config)
        tokens = tokens_of(model.config.vocab_size)[:TOKENS]
        modules = []
        for module, gradient in gradients_of(model.double(), config, tokens):
            squares = gradient**2
            modules.append({"module": module, "rows": squares.shape[1]})
            data += squares.sum(1).numpy().astype("<f4").tobytes() + squares.mean(0).numpy().astype("<f4").tobytes()
        cases.append({"name": name, "modules": modules})
    (FIXTURES / "architecture-gradients.json").write_text(json.dumps({"tokens": TOKENS, "cases": cases}) + "\n", "utf-8")
    (FIXTURES / "architecture-gradients.bin").write_bytes(data)
    print(len(data), "bytes")


if __name__ == "__main__":
    main()
