"""Makes src/fixtures/sampling.json: the distributions that transformers samples from.

    python3 scripts/make-sampling-vectors.py

Needs PyTorch and transformers. Logits are quarters, which float32 holds exactly, so that no rounding decides a tie.
"""

import json
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

FIXTURE = Path(__file__).parent.parent / "src" / "fixtures" / "sampling.json"

CASES = [
    {"temperature": 0.7},
    {"temperature": 1.5, "top_k": 5},
    {"temperature": 1.0, "top_k": 1},
    {"temperature": 1.0, "top_p": 0.9},
    {"temperature": 0.5, "top_p": 0.3},
    {"temperature": 1.0, "top_p": 0.01},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 2.0, "min_p": 0.5},
    {"temperature": 1.0, "repetition_penalty": 1.3},
    {"temperature": 1.0, "repetition_penalty": 0.8},
    {"temperature": 0.8, "top_k": 20, "top_p": 0.8, "min_p": 0.05, "repetition_penalty": 1.1},
    {"temperature": 1.7, "top_k": 12, "top_p": 0.95, "min_p": 0.2, "repetition_penalty": 1.5},
]  # fmt: skip


def main() -> None:
    generator = torch.Generator().manual_seed(11)
    size = LlamaConfig(vocab_size=40, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    model = LlamaForCausalLM(size)
    vectors = []
    for case in CASES:
        for _ in range(3):
            logits = (torch.randn(1, 40, generator=generator) * 12).round() / 4
            context = torch.randint(0, 40, (1, 9), generator=generator)
            config = GenerationConfig(do_sample=True, **({"top_k": 0} | case))
            config._decoder_start_token_tensor = None
            config._eos_token_tensor = None
            processors = model._get_logits_processor(config, input_ids_seq_length=9)
            probabilities = torch.softmax(processors(context, logits.clone()).double(), -1)[0]
            kept = [[token, probability] for token, probability in enumerate(probabilities.tolist()) if probability > 0]
            vectors.append({"options": case, "logits": logits[0].tolist(), "context": context[0].tolist(), "kept": kept})
    FIXTURE.write_text("[\n" + ",\n".join(map(json.dumps, vectors)) + "\n]\n")


if __name__ == "__main__":
    main()
