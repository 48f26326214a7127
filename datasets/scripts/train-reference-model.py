"""Trains the reference model: a small Llama-architecture language model of public-domain novels (CPU, PyTorch).

    python train-reference-model.py --corpus DIRECTORY --out DIRECTORY --minutes 80 [--resume]

Writes config.json, model.safetensors (BF16), tokenizer.json and tokenizer_config.json in Hugging Face form, and
held-out.json with the indices of the books that were kept from training. Matrices are trained by Muon, embeddings and
norms by AdamW. The learning rate follows the wall clock: a short warm-up, constant, then a linear decay over the last
part of the minutes.

--resume goes on from OUT/checkpoint.pt, or, where there is none, from the weights of OUT/model.safetensors with fresh
optimizers. A tokenizer.json in OUT is always kept.
"""

import argparse
import json
import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from corpus import encode_documents, read_books, split_books
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

END_OF_TEXT = "<|endoftext|>"
ROPE_THETA = 10000.0
NORM_EPSILON = 1e-5
WARM_UP_STEPS = 60
LEAST_RATE_FACTOR = 0.02
MINUTES_BETWEEN_REPORTS = 1


@dataclass(frozen=True)
class Shape:
    """Sizes of the model, named as in the configuration of Hugging Face."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


class RMSNorm(nn.Module):
    def __init__(self, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, NORM_EPSILON)


def rotate(x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotary position embedding of x [..., positions, head_dim], halves paired as in Llama's Hugging Face form."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class DecoderLayer(nn.Module):
    """Pre-norm attention and gated feed-forward network; parameter names are those of LlamaForCausalLM."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.head_dim = shape.head_dim
        hidden, key_value = shape.hidden_size, shape.num_key_value_heads * shape.head_dim
        self.input_layernorm = RMSNorm(hidden)
        self.post_attention_layernorm = RMSNorm(hidden)
        self.self_attn = nn.ModuleDict(
            {
                "q_proj": linear(hidden, hidden),
                "k_proj": linear(hidden, key_value),
                "v_proj": linear(hidden, key_value),
                "o_proj": linear(hidden, hidden),
            }
        )
        self.mlp = nn.ModuleDict(
            {
                "gate_proj": linear(hidden, shape.intermediate_size),
                "up_proj": linear(hidden, shape.intermediate_size),
                "down_proj": linear(shape.intermediate_size, hidden),
            }
        )

    def forward(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        x = x + self.attention(self.input_layernorm(x), cosines, sines)
        return x + self.feed_forward(self.post_attention_layernorm(x))

    def attention(self, x: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        batch, positions, _ = x.shape
        query, key, value = (
            self.self_attn[name](x).view(batch, positions, -1, self.head_dim).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        query, key = rotate(query, cosines, sines), rotate(key, cosines, sines)
        repeats = query.shape[1] // key.shape[1]
        mixed = F.scaled_dot_product_attention(
            query, key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1), is_causal=True
        )
        return self.self_attn["o_proj"](mixed.transpose(1, 2).reshape(batch, positions, -1))

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](x)) * self.mlp["up_proj"](x))


class LanguageModel(nn.Module):
    """Llama with tied embeddings; forward returns the mean cross-entropy in nats a token."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size)
        frequencies = 1 / ROPE_THETA ** (torch.arange(0, shape.head_dim, 2) / shape.head_dim)
        angles = torch.arange(shape.max_position_embeddings)[:, None] * frequencies
        self.cosines, self.sines = angles.cos(), angles.sin()
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=initial_deviation(name, parameter))

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        positions = tokens.shape[1]
        cosines, sines = (table[:positions].to(torch.bfloat16) for table in (self.cosines, self.sines))
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cosines, sines)
        logits = (self.norm(x) @ self.embed_tokens.weight.T).float()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def initial_deviation(name: str, parameter: Tensor) -> float:
    """Small where a layer writes to the residual stream, so that depth does not blow it up."""
    if "embed" in name:
        return 0.02
    return parameter.shape[1] ** -0.5 * (0.3 if "o_proj" in name or "down_proj" in name else 1)


def byte_level_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def prepare_tokens(corpus: Path, out: Path, vocab_size: int) -> dict[str, np.ndarray]:
    """Tokens of the training, validation and test books; kept in OUT/ids.npz, for encoding takes minutes."""
    cache, tokenizer_file = out / "ids.npz", out / "tokenizer.json"
    if cache.exists():
        return dict(np.load(cache))
    books = read_books(corpus)
    generator = random.Random(0)
    split = split_books(len(books), generator)
    if tokenizer_file.exists():
        tokenizer = byte_level_tokenizer(Tokenizer.from_file(str(tokenizer_file)))
    else:
        tokenizer = byte_level_tokenizer(Tokenizer(models.BPE()))
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator((books[index].text for index in split.train), trainer)
        tokenizer.save(str(tokenizer_file))
    parts = {"train": split.train, "valid": split.validation, "test": split.test}
    tokens = {part: encode_documents(books, indices, tokenizer, generator) for part, indices in parts.items()}
    np.savez(cache, **tokens)
    (out / "held-out.json").write_text(json.dumps({"valid": split.validation, "test": split.test}))
    return tokens


class Batches:
    """Windows of context + 1 tokens: every epoch in a new order and from a new offset."""

    def __init__(self, tokens: np.ndarray, context: int, size: int, generator: np.random.Generator):
        self.tokens, self.context, self.size, self.generator = tokens, context, size, generator
        self.starts = np.empty(0, dtype=np.int64)
        self.position = 0

    def next(self) -> tuple[Tensor, Tensor]:
        if self.position + self.size > len(self.starts):
            offset = int(self.generator.integers(self.context))
            windows = (len(self.tokens) - offset - 1) // self.context
            self.starts = self.generator.permutation(windows) * self.context + offset
            self.position = 0
        starts = self.starts[self.position : self.position + self.size]
        self.position += self.size
        windows = np.stack([self.tokens[start : start + self.context + 1] for start in starts])
        batch = torch.from_numpy(windows.astype(np.int64))
        return batch[:, :-1], batch[:, 1:]


def evaluate(model: LanguageModel, tokens: np.ndarray, context: int, windows: int = 64) -> float:
    """Mean cross-entropy of the first windows of the tokens."""
    part = torch.from_numpy(tokens[: windows * context + 1].astype(np.int64))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return model(part[:-1].view(windows, context), part[1:].view(windows, context)).item()


def create_optimizers(model: LanguageModel, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=matrix_rate, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.95), weight_decay=0),
    ]


def rate_factor(step: int, elapsed: float, decay: float) -> float:
    """Factor of the learning rates at a step, `elapsed` being the part of the time that has passed."""
    warm_up = min(1, (step + 1) / WARM_UP_STEPS)
    return warm_up * (1 if elapsed < 1 - decay else max(LEAST_RATE_FACTOR, (1 - elapsed) / decay))


@dataclass
class Trainer:
    """The model, its optimizers and how far they have come."""

    model: LanguageModel
    optimizers: list[torch.optim.Optimizer]
    rates: list[float]
    step: int = 0
    tokens_seen: int = 0

    def load(self, out: Path) -> None:
        checkpoint_file = out / "checkpoint.pt"
        if checkpoint_file.exists():
            checkpoint = torch.load(checkpoint_file)
            self.model.load_state_dict(checkpoint["m"])
            for optimizer, state in zip(self.optimizers, checkpoint["o"]):
                optimizer.load_state_dict(state)
            self.step, self.tokens_seen = checkpoint["step"], checkpoint["seen"]
        else:
            weights = load_file(out / "model.safetensors")
            self.model.load_state_dict({name.removeprefix("model."): w.float() for name, w in weights.items()})

    def save(self, out: Path) -> None:
        checkpoint = {
            "m": self.model.state_dict(),
            "o": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "seen": self.tokens_seen,
        }
        torch.save(checkpoint, out / "checkpoint.pt")

    def train_step(self, tokens: Tensor, targets: Tensor, factor: float) -> float:
        """One optimizer step; returns the loss before it."""
        for optimizer, rate in zip(self.optimizers, self.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.model(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens_seen += tokens.numel()
        return loss.item()


def export(model: LanguageModel, shape: Shape, out: Path) -> None:
    """Writes the weights and configuration in Hugging Face form."""
    weights = {"model." + name: w.detach().to(torch.bfloat16).contiguous() for name, w in model.state_dict().items()}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads,
        "num_key_value_heads": shape.num_key_value_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab_size,
        "max_position_embeddings": shape.max_position_embeddings,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_THETA,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "torch_dtype": "bfloat16",
    }
    (out / "config.json").write_text(json.dumps(config, indent=2))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "unk_token": END_OF_TEXT,
        "model_max_length": shape.max_position_embeddings,
        "clean_up_tokenization_spaces": False,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2))


def train(trainer: Trainer, tokens: dict[str, np.ndarray], shape: Shape, arguments: argparse.Namespace) -> None:
    """Trains until the minutes are over; reports, and saves a checkpoint, about every minute."""
    context = shape.max_position_embeddings
    generator = np.random.default_rng(arguments.seed + trainer.step)
    batches = Batches(tokens["train"], context, arguments.batch, generator)
    start = last_report = time.time()
    losses: list[float] = []
    while (elapsed := (time.time() - start) / 60 / arguments.minutes) < 1:
        factor = rate_factor(trainer.step, elapsed, arguments.decay)
        losses.append(trainer.train_step(*batches.next(), factor))
        if time.time() - last_report > MINUTES_BETWEEN_REPORTS * 60:
            validation = evaluate(trainer.model, tokens["valid"], context)
            print(
                f"{(time.time() - start) / 60:.1f} min step {trainer.step} tokens {trainer.tokens_seen / 1e6:.2f}M "
                f"lr {factor:.3f} loss {np.mean(losses):.3f} valid {validation:.3f}",
                flush=True,
            )
            last_report = time.time()
            losses = []
            trainer.save(arguments.out)
    trainer.save(arguments.out)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="directory with novels.txt.gz and novels.list.tsv")
    parser.add_argument("--out", type=Path, required=True, help="directory of the model")
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--hidden-size", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--key-value-heads", type=int, default=2)
    parser.add_argument("--intermediate-size", type=int, default=768)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--context", type=int, default=256, help="tokens of a training window")
    parser.add_argument("--batch", type=int, default=32, help="windows of a step")
    parser.add_argument("--matrix-rate", type=float, default=2e-2, help="learning rate of Muon")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate of AdamW")
    parser.add_argument("--decay", type=float, default=0.4, help="part of the time over which the rates fall")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    shape = Shape(
        hidden_size=arguments.hidden_size,
        num_hidden_layers=arguments.layers,
        num_attention_heads=arguments.heads,
        num_key_value_heads=arguments.key_value_heads,
        intermediate_size=arguments.intermediate_size,
        vocab_size=arguments.vocabulary,
        max_position_embeddings=arguments.context,
    )
    tokens = prepare_tokens(arguments.corpus, arguments.out, shape.vocab_size)
    print("tokens", *(len(tokens[part]) for part in ("train", "valid", "test")), flush=True)
    model = LanguageModel(shape)
    print("parameters", sum(parameter.numel() for parameter in model.parameters()))
    optimizers = create_optimizers(model, arguments.matrix_rate, arguments.rate)
    trainer = Trainer(model, optimizers, rates=[arguments.matrix_rate, arguments.rate])
    if arguments.resume:
        trainer.load(arguments.out)
    train(trainer, tokens, shape, arguments)
    export(model, shape, arguments.out)
    test = {part: evaluate(model, tokens[part], arguments.context, 256) for part in ("valid", "test")}
    print("final valid", test["valid"], "test", test["test"], "tokens", trainer.tokens_seen)


if __name__ == "__main__":
    main()
