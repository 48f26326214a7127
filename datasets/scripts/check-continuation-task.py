"""Scores tasks/continuation.jsonl with the reference model in PyTorch: the task must be neither trivial nor hopeless.

    python check-continuation-task.py [--items N]

Prints accuracy by the sum of log-probabilities (acc) and by that sum per character (acc_norm) as JSON.
"""

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

DATASETS = Path(__file__).resolve().parent.parent


def choice_scores(model: LlamaForCausalLM, tokenizer: Tokenizer, item: dict) -> torch.Tensor:
    """Sum of the log-probabilities of every choice's tokens after the context."""
    context = tokenizer.encode(item["context"]).ids
    sequences = [tokenizer.encode(f"{item['context']} {choice}").ids for choice in item["choices"]]
    longest = max(len(sequence) for sequence in sequences)
    padded = torch.tensor([sequence + [0] * (longest - len(sequence)) for sequence in sequences])
    logits = model(padded, logits_to_keep=longest - len(context) + 1).logits.double()
    log_probabilities = logits.log_softmax(-1)
    scores = []
    for row, sequence in enumerate(sequences):
        targets = torch.tensor(sequence[len(context) :])
        scored = log_probabilities[row, : len(targets)]
        scores.append(scored.gather(1, targets[:, None]).sum())
    return torch.stack(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DATASETS / "reference-lm")
    parser.add_argument("--items", type=int, default=1000, help="score the first N items")
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    model = LlamaForCausalLM.from_pretrained(arguments.model, dtype=torch.float32, attn_implementation="eager").eval()
    lines = (DATASETS / "tasks" / "continuation.jsonl").read_text("utf-8").splitlines()[: arguments.items]
    correct = correct_normalized = 0
    with torch.inference_mode():
        for item in map(json.loads, lines):
            scores = choice_scores(model, tokenizer, item)
            lengths = torch.tensor([len(choice) for choice in item["choices"]])
            correct += int(scores.argmax()) == item["gold"]
            correct_normalized += int((scores / lengths).argmax()) == item["gold"]
    print(json.dumps({"items": len(lines), "acc": correct / len(lines), "acc_norm": correct_normalized / len(lines)}))


if __name__ == "__main__":
    main()
