"""Quantized matrices of others and what their own code makes of them.

    pip install torch numpy safetensors transformers compressed-tensors==0.20.0 bitsandbytes==0.50.2
    pip download --no-deps auto-gptq==0.7.1 autoawq==0.2.9      and unpack both
    python scripts/make_checkpoint_vectors.py AUTO_GPTQ/auto_gptq/nn_modules/qlinear/qlinear_cuda.py AUTOAWQ/awq/utils/packing_utils.py

Both files run by themselves on a CPU; the packages want a GPU. Version 2 of GPTQ is GPTQModel's formula, written down here: zero-points as they
are, scales[g_idx] * (weight - zeros[g_idx]) in the type of the scales.

Writes src/fixtures/checkpoints.safetensors: the parts of every case under `CASE.m.`, the dequantized matrix as `CASE.expected`, and as metadata
the quantization_config of every case.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "src" / "fixtures"
generator = torch.Generator().manual_seed(11)
tensors, configs = {}, {}


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add(case, config, parts, expected):
    configs[case] = json.dumps(config)
    for part, tensor in parts.items():
        tensors[f"{case}.m.{part}"] = tensor.contiguous()
    tensors[f"{case}.expected"] = expected.contiguous()


def randn(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=generator).to(dtype)


def randint(low, high, shape):
    return torch.randint(low, high, shape, generator=generator)


# --- GPTQ


def gptq(quantizer):
    for bits in (2, 3, 4, 8):
        for act_order in (False, True):
            inputs, outputs, group = 64, 32, 32
            name = f"gptq{bits}" + ("-act-order" if act_order else "")
            g_idx = torch.arange(inputs) // group
            if act_order:
                g_idx = g_idx[torch.randperm(inputs, generator=generator)]
            scales = randn(outputs, inputs // group).abs().to(torch.float16) + 0.01
            # AutoGPTQ cannot store a zero-point of 0: one less is not a code.
            zeros = randint(1, 2**bits, (outputs, inputs // group)).float()
            codes = randint(0, 2**bits, (outputs, inputs))
            weight = (codes - zeros[:, g_idx]) * scales[:, g_idx].float()
            linear = torch.nn.Linear(inputs, outputs, bias=False)
            linear.weight.data = weight.to(torch.float16)
            layer = quantizer.QuantLinear(bits, group, inputs, outputs, False)
            layer.pack(linear, scales.float(), zeros.clone(), g_idx.to(torch.int32))
            layer.scales = scales.t().contiguous()
            expected = layer(torch.eye(inputs, dtype=torch.float16)).t()
            parts = {"qweight": layer.qweight, "qzeros": layer.qzeros, "scales": layer.scales, "g_idx": layer.g_idx.to(torch.int32)}
            config = {"quant_method": "gptq", "bits": bits, "group_size": group, "sym": False, "desc_act": act_order, "checkpoint_format": "gptq"}
            add(name, config, parts, expected)
    # Version 2, and symmetric files of version 2 that are labelled as version 1.
    for name, symmetric, label in (("gptq4-v2", False, "gptq_v2"), ("gptq4-mislabelled", True, "gptq")):
        inputs, outputs, group = 64, 32, 16
        codes = randint(0, 16, (inputs, outputs))
        zeros = torch.full((inputs // group, outputs), 8) if symmetric else randint(0, 16, (inputs // group, outputs))
        scales = randn(inputs // group, outputs).abs().to(torch.float16)
        g_idx = (torch.arange(inputs) // group).to(torch.int32)
        expected = (scales[g_idx.long()] * (codes - zeros[g_idx.long()]).to(torch.float16)).t()
        pack = lambda values: torch.from_numpy(sum((values[..., i].numpy().astype(np.uint32) << (4 * i)) for i in range(8)).astype(np.uint32).view(np.int32))
        qweight = pack(codes.reshape(inputs // 8, 8, outputs).transpose(1, 2))
        qzeros = pack(zeros.reshape(inputs // group, outputs // 8, 8))
        config = {"quant_method": "gptq", "bits": 4, "group_size": group, "sym": symmetric, "checkpoint_format": label}
        add(name, config, {"qweight": qweight, "qzeros": qzeros, "scales": scales, "g_idx": g_idx}, expected)


# --- AWQ


def awq(packing):
    inputs, outputs, group = 64, 32, 32
    qweight = randint(-(2**31), 2**31, (inputs, outputs // 8)).to(torch.int32)
    qzeros = randint(-(2**31), 2**31, (inputs // group, outputs // 8)).to(torch.int32)
    scales = randn(inputs // group, outputs).abs().to(torch.float16)
    expected = packing.dequantize_gemm(qweight, qzeros, scales, 4, group).t()
    config = {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": "gemm"}
    add("awq4", config, {"qweight": qweight, "qzeros": qzeros, "scales": scales}, expected)


# --- compressed-tensors


def compressed_tensors():
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    rows, columns = 24, 64
    cases = [
        ("pack4-group", "pack-quantized", dict(num_bits=4, strategy="group", group_size=16), torch.bfloat16),
        ("pack4-group-asymmetric", "pack-quantized", dict(num_bits=4, strategy="group", group_size=32, symmetric=False), torch.float16),
        ("pack8-channel", "pack-quantized", dict(num_bits=8, strategy="channel"), torch.bfloat16),
        ("pack8-channel-asymmetric", "pack-quantized", dict(num_bits=8, strategy="channel", symmetric=False), torch.float32),
        ("pack3-group", "pack-quantized", dict(num_bits=3, strategy="group", group_size=32), torch.bfloat16),
        ("pack3-group-asymmetric", "pack-quantized", dict(num_bits=3, strategy="group", group_size=32, symmetric=False), torch.bfloat16),
        ("int8-channel", "int-quantized", dict(num_bits=8, strategy="channel"), torch.bfloat16),
        ("int8-tensor", "naive-quantized", dict(num_bits=8, strategy="tensor"), torch.float32),
        ("int8-group-asymmetric", "naive-quantized", dict(num_bits=8, strategy="group", group_size=32, symmetric=False), torch.float16),
        ("float8-tensor", "float-quantized", dict(num_bits=8, type="float", strategy="tensor"), torch.float32),
        ("float8-channel", "float-quantized", dict(num_bits=8, type="float", strategy="channel"), torch.bfloat16),
        ("float8-block", "float-quantized", dict(num_bits=8, type="float", strategy="block", block_structure=[16, 24]), torch.bfloat16),
    ]
    for name, form, options, dtype in cases:
        args = QuantizationArgs(**options)
        scheme = QuantizationScheme(targets=["Linear"], weights=args)
        strategy = options["strategy"]
        grid = {"tensor": (1,), "channel": (rows, 1), "group": (rows, columns // (args.group_size or 1))}.get(strategy)
        if strategy == "block":
            grid = (-(-rows // 16), -(-columns // 24))
        scale = (randn(*grid).abs() * 0.05 + 0.01).to(dtype)
        state = {"weight": randn(rows, columns, dtype=dtype), "weight_scale": scale}
        if not args.symmetric:
            half = 2 ** (args.num_bits - 1)
            state["weight_zero_point"] = randint(-half, half, grid).to(torch.int8)
        compressor = BaseCompressor.get_value_from_registry(form)
        stored = compressor.compress(dict(state), scheme)
        expected = compressor.decompress(dict(stored), scheme)["weight"]
        group = {"targets": ["Linear"], "weights": json.loads(args.model_dump_json())}
        config = {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group}, "ignore": ["lm_head"]}
        add(name, config, {part: tensor for part, tensor in stored.items()}, expected)


# --- bitsandbytes


def bitsandbytes():
    import bitsandbytes.functional as functional
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

    def case(name, weight, kind, nested, block):
        packed, state = functional.quantize_4bit(weight, blocksize=block, quant_type=kind, compress_statistics=nested)
        parts = {"weight": packed, **{f"weight.{part}": tensor for part, tensor in state.as_dict(packed=True).items()}}
        expected = functional.dequantize_4bit(packed, state)
        if weight.shape[1] % block:
            # The CPU kernel of 0.50.2 begins a block anew in every row, which quantize_4bit and the GPU do not; the generic one is right.
            absmax = functional.dequantize_blockwise(state.absmax, state.state2) + state.offset if nested else state.absmax
            expected = _dequantize_4bit_compute(packed.reshape(-1), absmax, state.code, block, weight.shape, weight.dtype)
        config = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": kind, "bnb_4bit_use_double_quant": nested}
        add(name, config, parts, expected)

    for kind, dtype in (("nf4", torch.bfloat16), ("nf4", torch.float16), ("fp4", torch.float32)):
        for nested in (False, True):
            case(f"{kind}-{str(dtype)[6:]}" + ("-nested" if nested else ""), randn(16, 128, dtype=dtype), kind, nested, 64)
    case("nf4-blocks-across-rows", randn(20, 96, dtype=torch.bfloat16), "nf4", False, 64)
    # More than 256 blocks have two nested scales; the last block is not whole.
    case("nf4-many-blocks", randn(130, 66, dtype=torch.bfloat16), "nf4", True, 32)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    gptq(load("qlinear_cuda", sys.argv[1]))
    awq(load("packing_utils", sys.argv[2]))
    compressed_tensors()
    bitsandbytes()
    save_file(tensors, FIXTURES / "checkpoints.safetensors", metadata=configs)
    (FIXTURES / "checkpoints.safetensors").chmod(0o644)
