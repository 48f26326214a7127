"""Checks with gguf-py that a GGUF file is the model of a Hugging Face directory.

    python3 scripts/check_gguf.py datasets/reference-lm model.gguf

Needs gguf, numpy, safetensors and tokenizers. Names come from gguf-py's own table,
the row order of queries and keys from the formula of convert_hf_to_gguf.py. Tensors
have to be what gguf-py makes of the original weights in the type of the file (IQ4_NL,
which it cannot make, within the distance of two levels).
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer


def load_weights(directory: Path) -> dict[str, np.ndarray]:
    weights = {}
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, "np") as file:
            for name in file.keys():
                info = file.get_slice(name)
                if info.get_dtype() == "BF16":
                    header = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
                    begin, end = header[name]["data_offsets"]
                    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
                    bits = np.frombuffer(path.read_bytes()[start + begin : start + end], dtype="<u2")
                    weights[name] = (bits.astype("<u4") << 16).view("<f4").reshape(info.get_shape())
                else:
                    weights[name] = file.get_tensor(name).astype("<f4")
    return weights


def paired(weights: np.ndarray, heads: int) -> np.ndarray:
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def check(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"differs: {what}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    config = json.loads((arguments.directory / "config.json").read_text())
    reader = gguf.GGUFReader(arguments.file)

    def value(key: str):
        field = reader.fields.get(key)
        return None if field is None else field.contents()

    expected = {
        "general.architecture": "llama",
        "llama.block_count": config["num_hidden_layers"],
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": config["hidden_size"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": config["num_attention_heads"],
        "llama.attention.head_count_kv": config["num_key_value_heads"],
        "llama.attention.layer_norm_rms_epsilon": float(np.float32(config["rms_norm_eps"])),
        "llama.rope.freq_base": float(np.float32(config["rope_theta"])),
        "llama.vocab_size": config["vocab_size"],
        "tokenizer.ggml.model": "gpt2",
    }
    for key, wanted in expected.items():
        check(value(key) == wanted, f"{key} is {value(key)}, not {wanted}")

    tokenizer = Tokenizer.from_file(str(arguments.directory / "tokenizer.json"))
    tokens = value("tokenizer.ggml.tokens")
    check(len(tokens) == config["vocab_size"], "the number of tokens")
    check(all(tokenizer.id_to_token(i) in (token, None) for i, token in enumerate(tokens)), "a token")
    merges = json.loads((arguments.directory / "tokenizer.json").read_text())["model"]["merges"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    check(value("tokenizer.ggml.merges") == merges, "the merges")

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    found = {tensor.name: tensor for tensor in reader.tensors}
    counts: dict[str, int] = {}
    for name, weights in load_weights(arguments.directory).items():
        tensor = found.pop(names.get_name(name, try_suffixes=(".weight",)))
        if ".q_proj." in name:
            weights = paired(weights, config["num_attention_heads"])
        if ".k_proj." in name:
            weights = paired(weights, config["num_key_value_heads"])
        kind = tensor.tensor_type
        check(tuple(reversed(tensor.shape.tolist())) == weights.shape, f"the shape of {name}")
        values = gguf.dequantize(tensor.data, kind).reshape(weights.shape)
        if kind == gguf.GGMLQuantizationType.IQ4_NL:
            limits = np.abs(weights).reshape(-1, 32).max(axis=1, keepdims=True) * 0.2 + 1e-7
            check(bool((np.abs(values - weights).reshape(-1, 32) <= limits).all()), name)
        else:
            wanted = gguf.dequantize(gguf.quantize(weights, kind), kind).reshape(weights.shape)
            check(bool((values == wanted).all()), name)
        counts[kind.name] = counts.get(kind.name, 0) + 1
    check(not found, f"there are more tensors: {list(found)}")
    print(f"{arguments.file.name}: the same model, {len(reader.fields)} fields, tensors {counts}")


if __name__ == "__main__":
    main()
