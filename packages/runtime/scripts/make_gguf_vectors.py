"""Makes src/fixtures/gguf: tiny GGUF files of the architectures that llama.cpp stores, and what transformers computes with their weights.

    python3 scripts/make_gguf_vectors.py

Needs gguf, numpy, torch and transformers. Tensor names come from gguf-py's own maps; metadata keys, row orders and offsets are those of llama.cpp's
conversion. Matrices are Q8_0, so the models of transformers get the dequantized ones. `logits.bin` has the logits [64, columns] of each file in the
order of `cases.json`, little-endian float32; `columns` are every fourth entry of the vocabulary.
"""

import json
import math
from pathlib import Path

import gguf
import numpy as np
from architecture_models import build, fill, logits_of, tokens_of
from gguf import GGMLQuantizationType, GGUFWriter, MODEL_ARCH

FIXTURES = Path(__file__).resolve().parent.parent / "src" / "fixtures" / "gguf"
VOCABULARY = 64
COLUMN_STEP = 4

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "rms_norm_eps": 1e-5,
}
WIDE = {**SIZES, "head_dim": 16}
GEMMA = {**SIZES, "head_dim": 24, "hidden_activation": "gelu_pytorch_tanh"}
LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
LONG_FACTORS = [1.0, 1.5, 2.0, 4.0]
SHORT_FACTORS = [1.0, 1.25, 1.5, 2.0]
PLAIN_LAYER_NORM = {**SIZES, "num_key_value_heads": 4, "layer_norm_eps": 1e-5}


def llama3_factors(head_size: int, theta: float) -> np.ndarray:
    """What llama.cpp stores for `rope_type` llama3: the factor that divides each frequency."""
    scaling, factors = LLAMA3_SCALING, []
    for i in range(head_size // 2):
        wavelength = 2 * math.pi * theta ** (2 * i / head_size)
        turns = scaling["original_max_position_embeddings"] / wavelength
        if turns > scaling["high_freq_factor"]:
            factors.append(1.0)
        elif turns < scaling["low_freq_factor"]:
            factors.append(scaling["factor"])
        else:
            kept = (turns - scaling["low_freq_factor"]) / (scaling["high_freq_factor"] - scaling["low_freq_factor"])
            factors.append(1 / ((1 - kept) / scaling["factor"] + kept))
    return np.array(factors, dtype=np.float32)


# Architecture of GGUF, config.json, further metadata (float, integer or truth) and tensors.
CASES = [
    ("LLAMA", {"model_type": "llama", **WIDE, "rope_theta": 500.0}, {}, {}),
    (
        "LLAMA",
        {"model_type": "llama", **WIDE, "rope_theta": 500.0, "rope_scaling": LLAMA3_SCALING, "tie_word_embeddings": True},
        {},
        {"rope_freqs.weight": llama3_factors(16, 500.0)},
    ),
    ("QWEN2", {"model_type": "qwen2", **SIZES, "rope_theta": 1000000.0, "tie_word_embeddings": True}, {}, {}),
    (
        "QWEN3",
        {"model_type": "qwen3", **WIDE, "rope_scaling": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 32}},
        {"rope.scaling.type": "yarn", "rope.scaling.factor": 2.0, "rope.scaling.original_context_length": 32},
        {},
    ),
    ("SMOLLM3", {"model_type": "smollm3", **SIZES, "num_hidden_layers": 4, "tie_word_embeddings": True, "rope_theta": 5000.0}, {}, {}),
    ("GEMMA", {"model_type": "gemma", **GEMMA}, {}, {}),
    (
        "GEMMA2",
        {"model_type": "gemma2", **GEMMA, "sliding_window": 16, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 4.0},
        {"attention.sliding_window": 16, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 4.0},
        {},
    ),
    (
        "GEMMA3",
        {
            "model_type": "gemma3_text",
            **GEMMA,
            "head_dim": 8,
            "num_hidden_layers": 6,
            "sliding_window": 12,
            "query_pre_attn_scalar": 8,
            "rope_theta": 1000000.0,
            "rope_scaling": {"rope_type": "linear", "factor": 8.0},
        },
        {"attention.sliding_window": 12, "rope.scaling.type": "linear", "rope.scaling.factor": 8.0},
        {},
    ),
    (
        "PHI3",
        {
            "model_type": "phi3",
            **SIZES,
            "max_position_embeddings": 128,
            "original_max_position_embeddings": 32,
            "rope_scaling": {"type": "longrope", "short_factor": SHORT_FACTORS, "long_factor": LONG_FACTORS},
            "sliding_window": 30,
        },
        {
            "attention.sliding_window": 30,
            "rope.scaling.original_context_length": 32,
            "rope.scaling.attn_factor": math.sqrt(1 + math.log(4) / math.log(32)),
        },
        {"rope_factors_long.weight": np.array(LONG_FACTORS, np.float32), "rope_factors_short.weight": np.array(SHORT_FACTORS, np.float32)},
    ),
    ("PHI3", {"model_type": "phi3", **SIZES, "partial_rotary_factor": 0.75}, {"attention.sliding_window": 0}, {}),
    ("PHI2", {"model_type": "phi", **PLAIN_LAYER_NORM, "partial_rotary_factor": 0.5}, {}, {}),
    (
        "GPT2",
        {
            "model_type": "gpt2",
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_inner": 64,
            "n_positions": 64,
            "vocab_size": VOCABULARY,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        {},
        {},
    ),
    ("GPTNEOX", {"model_type": "gpt_neox", **PLAIN_LAYER_NORM, "rotary_pct": 0.5}, {"use_parallel_residual": True}, {}),
    ("STABLELM", {"model_type": "stablelm", **SIZES, "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.25, "use_qkv_bias": True}, {"use_parallel_residual": False}, {}),
    ("OLMO", {"model_type": "olmo", **SIZES, "clip_qkv": 0.75}, {"attention.clamp_kqv": 0.75}, {}),
    ("OLMO2", {"model_type": "olmo2", **SIZES, "rope_theta": 500000.0}, {}, {}),
    (
        "GRANITE",
        {
            "model_type": "granite",
            **SIZES,
            "embedding_multiplier": 6.0,
            "logits_scaling": 3.0,
            "residual_multiplier": 0.4,
            "attention_multiplier": 0.15,
            "tie_word_embeddings": True,
        },
        {"embedding_scale": 6.0, "logit_scale": 3.0, "residual_scale": 0.4, "attention.scale": 0.15},
        {},
    ),
]
# The conversion puts the two rows of a pair side by side for these.
PAIRED = {"LLAMA", "SMOLLM3", "OLMO", "GRANITE"}
LAYER_NORM = {"PHI2", "GPT2", "GPTNEOX", "STABLELM", "OLMO"}


def quantized(values: np.ndarray) -> np.ndarray:
    return gguf.quantize(values, GGMLQuantizationType.Q8_0)


def dequantized(values: np.ndarray) -> np.ndarray:
    return gguf.dequantize(quantized(values), GGMLQuantizationType.Q8_0)


def paired(values: np.ndarray, heads: int) -> np.ndarray:
    return values.reshape(heads, 2, values.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(values.shape)


def stored(architecture: str, name: str, values: np.ndarray, config) -> np.ndarray:
    """A parameter as the conversion stores it."""
    if architecture.startswith("GEMMA") and name.endswith("norm.weight"):
        return values + 1
    if architecture in PAIRED and "q_proj" in name:
        return paired(values, config.num_attention_heads)
    if architecture in PAIRED and "k_proj" in name:
        return paired(values, config.num_key_value_heads)
    if architecture == "GPTNEOX" and "query_key_value" in name:
        heads = config.num_attention_heads
        parts = values.reshape(heads, 3, config.hidden_size // heads, -1)
        return np.concatenate([parts[:, i].reshape(config.hidden_size, -1) for i in range(3)]).reshape(values.shape)
    if architecture == "GPT2" and any(part in name for part in ("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return values.T
    return values


def add_metadata(writer: GGUFWriter, architecture: str, config, extra: dict) -> None:
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    inner = getattr(config, "intermediate_size", None) or config.n_inner
    writer.add_feed_forward_length(inner)
    writer.add_head_count(config.num_attention_heads)
    if architecture not in ("GPT2", "GPTNEOX"):
        writer.add_head_count_kv(config.num_key_value_heads)
    if head_size * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(head_size)
        writer.add_value_length(head_size)
    if architecture in LAYER_NORM:
        writer.add_layer_norm_eps(1e-5)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = getattr(config, "rope_parameters", None)
    if rope:
        rope = rope.get("full_attention", rope)
        writer.add_rope_freq_base(rope["rope_theta"])
        writer.add_rope_dimension_count(int(head_size * rope.get("partial_rotary_factor", 1.0)))
    for key, value in extra.items():
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)]
        add(f"{writer.arch}.{key}", value)
    # Some of the byte-level alphabet, so that a tokenizer of the kind of GPT-2 can be made of them.
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([chr(ord("!") + i) for i in range(VOCABULARY - 1)] + ["!!"])
    writer.add_token_types([1] * VOCABULARY)
    writer.add_token_merges(["! !"])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)


def write(architecture: str, fields: dict, extra: dict, tensors: dict, path: Path) -> np.ndarray:
    """Writes a file and returns the logits of its model."""
    transposed = fields["model_type"] == "gpt2"

    def change(name: str, values: np.ndarray) -> np.ndarray:
        if values.ndim == 1:
            return values
        # Blocks of Q8_0 lie along the inputs of a layer.
        isConv1d = transposed and ("c_attn" in name or "c_proj" in name or "c_fc" in name)
        return dequantized(np.ascontiguousarray(values.T)).T if isConv1d else dequantized(values)

    model = build(fields)
    fill(model, fields, change)
    arch = MODEL_ARCH[architecture]
    writer = GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    add_metadata(writer, architecture, model.config, extra)
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    for parameter_name, parameter in model.named_parameters():
        # gguf-py knows the names of published checkpoints.
        name = parameter_name.replace("lm_head", "embed_out") if architecture == "GPTNEOX" else parameter_name
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert target, name
        values = np.ascontiguousarray(stored(architecture, name, parameter.detach().numpy(), model.config))
        if values.ndim == 1:
            writer.add_tensor(target, values)
        else:
            writer.add_tensor(target, quantized(values), raw_dtype=GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return logits_of(model, tokens_of(VOCABULARY))


def main() -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    cases, data = [], b""
    for i, (architecture, fields, extra, tensors) in enumerate(CASES):
        file = f"{i:02}-{architecture.lower()}.gguf"
        logits = write(architecture, fields, extra, tensors, FIXTURES / file)
        print(file, (FIXTURES / file).stat().st_size, f"logits up to {abs(logits).max():.3g}")
        cases.append({"file": file, "modelType": fields["model_type"], "offset": len(data)})
        data += logits[:, ::COLUMN_STEP].astype("<f4").tobytes()
    (FIXTURES / "cases.json").write_text(json.dumps({"tokens": tokens_of(VOCABULARY), "cases": cases}) + "\n", "utf-8")
    (FIXTURES / "logits.bin").write_bytes(data)


if __name__ == "__main__":
    main()
