"""Makes src/fixtures/architectures.json and .bin: what transformers computes with tiny models of every architecture.

    python3 scripts/make_architecture_vectors.py

Needs numpy, torch and transformers. A case has the config.json, of each tensor its name, shape and distribution (see architecture_models.py), and the
place in the binary of the logits [64, columns] at every position, little-endian float32; `columns` are every third entry of the vocabulary.
"""

import json
from pathlib import Path

import torch
import transformers
from architecture_models import build, fill, logits_of, tokens_of

FIXTURES = Path(__file__).resolve().parent.parent / "src" / "fixtures"
COLUMN_STEP = 3

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 72,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 96,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {"model_type": "llama", **SIZES, "num_key_value_heads": 2, "head_dim": 20, "rms_norm_eps": 1e-5, "rope_theta": 500.0}
GEMMA = {**SIZES, "num_key_value_heads": 2, "head_dim": 24, "num_hidden_layers": 3, "hidden_activation": "gelu_pytorch_tanh"}
LONGROPE = {
    "type": "longrope",
    "short_factor": [1.0, 1.1, 1.25, 1.5, 2.0, 2.5],
    "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 16.0],
}
PHI3 = {"model_type": "phi3", **SIZES, "num_key_value_heads": 2, "rope_theta": 10000.0, "rope_scaling": None}
PHI = {"model_type": "phi", **SIZES, "num_attention_heads": 2, "partial_rotary_factor": 0.34, "hidden_act": "gelu_new"}
GPT2 = {
    "model_type": "gpt2",
    "n_embd": 48,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 80,
    "vocab_size": 96,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "activation_function": "gelu_new",
}
OPT = {
    "model_type": "opt",
    "hidden_size": 48,
    "ffn_dim": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "word_embed_proj_dim": 48,
    "vocab_size": 96,
    "bos_token_id": 2,
    "eos_token_id": 2,
}
NEOX = {"model_type": "gpt_neox", **SIZES, "num_attention_heads": 2, "rotary_pct": 0.25, "rotary_emb_base": 10000}
STABLELM = {"model_type": "stablelm", **SIZES, "num_attention_heads": 2, "num_key_value_heads": 1, "partial_rotary_factor": 0.25}
GRANITE = {
    "model_type": "granite",
    **SIZES,
    "num_key_value_heads": 2,
    "embedding_multiplier": 6.0,
    "logits_scaling": 3.0,
    "residual_multiplier": 0.4,
    "attention_multiplier": 0.15,
    "tie_word_embeddings": True,
}
SCALED = {**LLAMA, "max_position_embeddings": 64}

CASES = {
    "llama": LLAMA,
    "llama, tied, biases": {**LLAMA, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    "llama, heads of 80": {**LLAMA, "head_dim": 80, "num_attention_heads": 2, "num_key_value_heads": 1},
    "llama 3.1, beyond the original context": {
        **SCALED,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16,
        },
    },
    "llama, linear scaling": {**SCALED, "rope_scaling": {"type": "linear", "factor": 4.0}},
    "llama, dynamic scaling": {**SCALED, "max_position_embeddings": 32, "rope_scaling": {"rope_type": "dynamic", "factor": 4.0}},
    "llama, YaRN": {
        **SCALED,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "beta_fast": 8, "beta_slow": 1},
    },
    "mistral, window of 20": {**LLAMA, "model_type": "mistral", "sliding_window": 20},
    "mistral, no window": {**LLAMA, "model_type": "mistral", "sliding_window": None},
    "qwen2": {**LLAMA, "model_type": "qwen2", "head_dim": 12, "sliding_window": 8, "use_sliding_window": False, "max_window_layers": 1},
    "qwen2, tied, windows, YaRN": {
        **LLAMA,
        "model_type": "qwen2",
        "head_dim": 12,
        "tie_word_embeddings": True,
        "use_sliding_window": True,
        "sliding_window": 24,
        "max_window_layers": 1,
        "rope_scaling": {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32},
    },
    "qwen3": {**LLAMA, "model_type": "qwen3", "head_dim": 24, "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
    "qwen3, biases": {**LLAMA, "model_type": "qwen3", "attention_bias": True},
    "smollm3": {
        "model_type": "smollm3",
        **SIZES,
        "num_key_value_heads": 2,
        "num_hidden_layers": 4,
        "rope_theta": 5000000.0,
        "no_rope_layer_interval": 2,
        "tie_word_embeddings": True,
    },
    "gemma": {**GEMMA, "model_type": "gemma", "hidden_act": "gelu", "num_key_value_heads": 1},
    "gemma2": {
        **GEMMA,
        "model_type": "gemma2",
        "sliding_window": 16,
        "query_pre_attn_scalar": 20,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 4.0,
    },
    "gemma2, no caps": {
        **GEMMA,
        "model_type": "gemma2",
        "sliding_window": 64,
        "query_pre_attn_scalar": 24,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
    },
    "gemma3": {
        **GEMMA,
        "model_type": "gemma3_text",
        "sliding_window": 12,
        "sliding_window_pattern": 3,
        "query_pre_attn_scalar": 24,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    "gemma3, as transformers 5 writes it": {
        **GEMMA,
        "model_type": "gemma3_text",
        "sliding_window": 12,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "query_pre_attn_scalar": 24,
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 50000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
        },
    },
    "gemma3, the text of a multimodal model": {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            **GEMMA,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "sliding_window": 20,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
        "vision_config": {"model_type": "siglip_vision_model"},
    },
    "phi, heads of 24 that turn 8": PHI,
    "phi, grouped heads": {**PHI, "num_attention_heads": 4, "num_key_value_heads": 2, "partial_rotary_factor": 0.5},
    "phi3, window": {**PHI3, "sliding_window": 30},
    "phi3, long context": {**PHI3, "rope_scaling": LONGROPE, "max_position_embeddings": 256, "original_max_position_embeddings": 32},
    "phi3, short context": {**PHI3, "rope_scaling": LONGROPE, "max_position_embeddings": 512, "original_max_position_embeddings": 64},
    "phi4, partial": {**PHI3, "partial_rotary_factor": 0.75, "num_attention_heads": 3, "num_key_value_heads": 1, "tie_word_embeddings": True},
    "gpt2": GPT2,
    "gpt2, names without prefix, head of its own": {**GPT2, "bare_names": True, "n_inner": 100, "tie_word_embeddings": False},
    "opt": OPT,
    "opt, no biases, GELU": {**OPT, "enable_bias": False, "activation_function": "gelu", "tie_word_embeddings": False},
    "gpt_neox": NEOX,
    "gpt_neox, sequential": {**NEOX, "use_parallel_residual": False, "rotary_pct": 1.0, "hidden_act": "gelu_fast", "tie_word_embeddings": True},
    "gpt_neox, no biases of attention": {**NEOX, "attention_bias": False, "num_attention_heads": 4, "rotary_pct": 0.5},
    "stablelm": STABLELM,
    "stablelm 2, parallel": {**STABLELM, "use_parallel_residual": True, "use_qkv_bias": True},
    "olmo": {"model_type": "olmo", **SIZES, "num_key_value_heads": 2},
    "olmo, clipped, tied": {"model_type": "olmo", **SIZES, "clip_qkv": 0.5, "tie_word_embeddings": True},
    "olmo2": {"model_type": "olmo2", **SIZES, "num_key_value_heads": 2, "rms_norm_eps": 1e-6, "rope_theta": 500000.0},
    "granite": GRANITE,
    "granite, biases": {**GRANITE, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
}


def main() -> None:
    cases, data = [], b""
    for name, config in CASES.items():
        model = build({key: value for key, value in config.items() if key != "bare_names"})
        tensors = fill(model, config)
        vocabulary = model.config.vocab_size
        tokens = tokens_of(vocabulary)
        logits = logits_of(model, tokens)
        double = model.double()
        rounding = abs(logits_of(double, tokens) - logits).max()
        print(f"{name}: logits up to {abs(logits).max():.3g}, rounding {rounding:.2g}")
        published = {key: value for key, value in config.items() if key != "bare_names"}
        case = {"name": name, "config": published, "vocabularySize": vocabulary, "tensors": tensors}
        cases.append({**case, "tokens": tokens, "offset": len(data)})
        data += logits[:, ::COLUMN_STEP].astype("<f4").tobytes()
    header = {"source": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention", "cases": cases}
    (FIXTURES / "architectures.json").write_text(json.dumps(header) + "\n", "utf-8")
    (FIXTURES / "architectures.bin").write_bytes(data)
    print(len(data), "bytes")


if __name__ == "__main__":
    main()
