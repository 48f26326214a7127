"""Makes src/fixtures/smollm2-perplexity.json: PyTorch's perplexity of a published GGUF model in llama.cpp's protocol.

    python make-smollm2-vector.py SmolLM2-135M-Instruct.Q4_1.gguf wiki.test.raw

Needs torch, transformers, accelerate and gguf. transformers dequantizes the file, tokenizes the text and computes in float32.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

CONTEXT = 512
CHUNKS = 2
FIXTURE = Path(__file__).resolve().parent.parent / "src" / "fixtures" / "smollm2-perplexity.json"

model_file, text_file = map(Path, sys.argv[1:])
tokenizer = AutoTokenizer.from_pretrained(model_file.parent, gguf_file=model_file.name)
model = AutoModelForCausalLM.from_pretrained(model_file.parent, gguf_file=model_file.name, dtype=torch.float32).eval()
# Enough text for the chunks; a token at its cut end is not evaluated.
text = text_file.read_text(encoding="utf-8")[: 16 * CONTEXT * CHUNKS]
tokens = tokenizer(text, add_special_tokens=False)["input_ids"][: CONTEXT * CHUNKS]
losses = []
for chunk in torch.tensor(tokens).view(CHUNKS, CONTEXT):
    with torch.inference_mode():
        log_probabilities = model(chunk[None]).logits[0].double().log_softmax(-1)
    scored = range(CONTEXT // 2, CONTEXT - 1)
    losses += [-float(log_probabilities[i, chunk[i + 1]]) for i in scored]
mean = sum(losses) / len(losses)
fixture = {
    "source": "transformers, float32; float64 log-softmax",
    "contextLength": CONTEXT,
    "chunks": CHUNKS,
    "count": len(losses),
    "perplexity": float(torch.tensor(mean).double().exp()),
    "tokens": tokens,
}
FIXTURE.write_text(json.dumps(fixture) + "\n")
print(fixture["count"], fixture["perplexity"])
