"""Makes src/fixtures/kl-divergence.json: figures of a toy comparison, computed by NumPy.

    python make-kl-divergence-vector.py

The models are bigram tables: the logits after a token are its row. Protocol of llama.cpp: chunks of `contextLength`
tokens, the first replaced by `beginningOfSequence`, positions n/2 .. n - 2 scored by the next token.
"""

import json
from pathlib import Path

import numpy as np

VOCABULARY = 24
CONTEXT = 15
CHUNKS = 5
BEGINNING = 3


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def perplexity(losses: np.ndarray) -> dict:
    value = float(np.exp(losses.mean()))
    return {"value": value, "stderr": value * standard_error(losses)}


def main() -> None:
    generator = np.random.default_rng(7)
    reference = (3 * generator.standard_normal((VOCABULARY, VOCABULARY))).astype(np.float32)
    model = (reference + 0.6 * generator.standard_normal(reference.shape)).astype(np.float32)
    # A token that the reference never predicts and the model hardly ever: 0 log 0 must count as 0.
    reference[:, 5] = -np.inf
    model[:, 5] = -1000
    tokens = generator.integers(6, VOCABULARY, CONTEXT * CHUNKS + 4)

    inputs, targets = [], []
    for chunk in tokens[: CONTEXT * CHUNKS].reshape(CHUNKS, CONTEXT):
        chunk = np.concatenate([[BEGINNING], chunk[1:]])
        inputs += chunk[CONTEXT // 2 : CONTEXT - 1].tolist()
        targets += chunk[CONTEXT // 2 + 1 :].tolist()
    rows = np.arange(len(inputs))
    reference_rows = log_softmax(reference.astype(np.float64)[inputs])
    model_rows = log_softmax(model.astype(np.float64)[inputs])
    reference_losses, losses = -reference_rows[rows, targets], -model_rows[rows, targets]
    probabilities = np.exp(reference_rows)
    with np.errstate(invalid="ignore"):
        divergences = np.where(probabilities > 0, probabilities * (reference_rows - model_rows), 0).sum(-1)
    deltas = np.exp(-losses) - np.exp(-reference_losses)
    agreement = reference_rows.argmax(-1) == model_rows.argmax(-1)
    rms = float(np.sqrt((deltas**2).mean()))
    vector = {
        "source": f"NumPy {np.__version__}, float64",
        "contextLength": CONTEXT,
        "beginningOfSequence": BEGINNING,
        "tokens": tokens.tolist(),
        "reference": [[None if np.isinf(x) else float(x) for x in row] for row in reference],
        "model": model.tolist(),
        "count": len(inputs),
        "referencePerplexity": perplexity(reference_losses),
        "perplexity": perplexity(losses),
        "kld": {
            "mean": float(divergences.mean()),
            "stderr": standard_error(divergences),
            "median": float(np.median(divergences)),
            "p90": float(np.percentile(divergences, 90)),
            "p95": float(np.percentile(divergences, 95)),
            "p99": float(np.percentile(divergences, 99)),
            "p999": float(np.percentile(divergences, 99.9)),
            "max": float(divergences.max()),
            "topAgreement": float(agreement.mean()),
            "topAgreementStderr": standard_error(agreement),
            "deltaProbability": {"value": float(deltas.mean()), "stderr": standard_error(deltas)},
            "rmsDeltaProbability": {"value": rms, "stderr": 0.5 / rms * standard_error(deltas**2)},
            "logPerplexityRatio": {
                "value": float((losses - reference_losses).mean()),
                # The paired difference has this error by itself: no covariance is needed.
                "stderr": standard_error(losses - reference_losses),
            },
        },
    }
    file = Path(__file__).resolve().parent.parent / "src" / "fixtures" / "kl-divergence.json"
    file.write_text(json.dumps(vector) + "\n")
    print(json.dumps(vector["kld"]))


if __name__ == "__main__":
    main()
