"""Makes benchmarks/src/fixtures/reference-lm-perplexity.json: PyTorch's perplexity in llama.cpp's protocol.

    python make-perplexity-vector.py

The first 20 chunks of 256 tokens of texts/held-out.txt; positions n/2 .. n - 2 of every chunk are scored, each by the
token that follows. The tokenizer adds no beginning of sequence, so no token is replaced by one. The model computes
in float32, log-probabilities and sums are float64.
"""

import json
import math
from pathlib import Path

import torch
from model_files import sha256
from transformers import AutoTokenizer, LlamaForCausalLM

DATASETS = Path(__file__).resolve().parent.parent
FIXTURES = DATASETS.parent / "benchmarks" / "src" / "fixtures"
CONTEXT = 256
CHUNKS = 20


def main() -> None:
    directory = DATASETS / "reference-lm"
    tokenizer = AutoTokenizer.from_pretrained(directory)
    if tokenizer("a").input_ids[0] == tokenizer.bos_token_id:
        raise ValueError("the tokenizer adds a beginning of sequence: the protocol would have to replace tokens by it")
    tokens = tokenizer((DATASETS / "texts" / "held-out.txt").read_text("utf-8")).input_ids
    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    negative_log_likelihoods = []
    with torch.inference_mode():
        for first in range(0, CHUNKS * CONTEXT, CONTEXT):
            chunk = torch.tensor(tokens[first : first + CONTEXT])
            scored = model(chunk[None]).logits[0, CONTEXT // 2 : CONTEXT - 1].double().log_softmax(-1)
            negative_log_likelihoods.append(-scored.gather(1, chunk[CONTEXT // 2 + 1 :, None])[:, 0])
    values = torch.cat(negative_log_likelihoods)
    mean = values.mean().item()
    vector = {
        "model": "reference-lm",
        "modelSha256": sha256(directory / "model.safetensors"),
        "source": "transformers LlamaForCausalLM, float32, eager attention; float64 log-softmax",
        "text": "held-out.txt",
        "textTokens": len(tokens),
        "contextLength": CONTEXT,
        "chunks": CHUNKS,
        "count": len(values),
        "negativeLogLikelihoodSum": values.sum().item(),
        "perplexity": math.exp(mean),
        "stderr": math.sqrt(values.var(correction=0).item() / (len(values) - 1)) * math.exp(mean),
    }
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / "reference-lm-perplexity.json").write_text(json.dumps(vector, indent=2) + "\n")
    print(json.dumps(vector))


if __name__ == "__main__":
    main()
