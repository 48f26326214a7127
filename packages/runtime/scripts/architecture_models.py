"""Tiny models of every architecture, whose weights are a hash of their names and places, so that nobody has to store them."""

import copy
import math
import zlib

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

POSITIONS = 64


def hashed(seed: int, count: int) -> np.ndarray:
    """For each index 32 mixed bits: the finalizer of MurmurHash3 over the index and the seed."""
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(seed)
        h ^= h >> np.uint32(16)
        h *= np.uint32(0x85EBCA6B)
        h ^= h >> np.uint32(13)
        h *= np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    return h


def weights(name: str, shape: list[int], offset: float, gain: float) -> np.ndarray:
    """offset + gain * u with u uniform in [-1, 1) in steps of 2^-15; exact in float32."""
    seed = zlib.crc32(name.encode())
    u = (hashed(seed, math.prod(shape)) >> np.uint32(16)).astype(np.float64) / 2**15 - 1
    return (offset + gain * u).astype(np.float32).reshape(shape)


def tokens_of(vocabulary: int) -> list[int]:
    return [int(h) % vocabulary for h in hashed(7, POSITIONS)]


def distribution(name: str, shape: list[int], norm_offset: float, transposed: bool) -> tuple[float, float]:
    """Offset and gain: products of about the size of what is multiplied, norms around 1, attention that is not flat."""
    if len(shape) == 1:
        if name.endswith("bias"):
            return 0, 0.25
        return norm_offset, 0.25
    if any(part in name for part in ("embed", "wte", "wpe")) and "embed_out" not in name:
        return 0, 1
    fan_in = shape[0] if transposed and name.endswith(".weight") and "lm_head" not in name else shape[1]
    sharpness = 2 if any(part in name for part in ("q_proj", "k_proj", "qkv", "c_attn", "query_key")) else 1
    return 0, 2.0 ** round(math.log2(math.sqrt(3) * sharpness / math.sqrt(fan_in)))


def build(config: dict):
    """The model of a config.json as transformers makes it, in float32 with the plainest attention; of a multimodal one the text model."""
    config = config.get("text_config", config)
    # transformers writes into what it is given.
    fields = {key: copy.deepcopy(value) for key, value in config.items() if key not in ("model_type", "architectures")}
    # Class tokens of the defaults lie outside of a tiny vocabulary.
    hf_config = AutoConfig.for_model(config["model_type"], **{"pad_token_id": None, **fields})
    model = AutoModelForCausalLM.from_config(hf_config, attn_implementation="eager", dtype=torch.float32)
    return model.eval()


def published_name(name: str, config: dict) -> str:
    """Name of a parameter in published checkpoints."""
    if config["model_type"] == "gpt_neox":
        return name.replace("lm_head.", "embed_out.")
    if config["model_type"] == "gemma3":
        return f"language_model.{name}"
    if config["model_type"] == "gpt2" and config.get("bare_names"):
        return name.removeprefix("transformer.")
    return name


def fill(model, config: dict, change=lambda name, values: values) -> dict[str, dict]:
    """Gives all parameters their hashed values; returns name, shape and distribution of each."""
    norm_offset = 0.0 if config["model_type"].startswith("gemma") else 1.0
    tensors = {}
    for parameter_name, parameter in model.named_parameters():
        name = published_name(parameter_name, config)
        shape = list(parameter.shape)
        offset, gain = distribution(name, shape, norm_offset, config["model_type"] == "gpt2")
        tensors[name] = {"shape": shape, "offset": offset, "gain": gain}
        values = change(parameter_name, weights(name, shape, offset, gain))
        parameter.data = torch.from_numpy(values.copy())
    return tensors


@torch.inference_mode()
def logits_of(model, tokens: list[int]) -> np.ndarray:
    return model(torch.tensor([tokens]), use_cache=False).logits[0].numpy()
