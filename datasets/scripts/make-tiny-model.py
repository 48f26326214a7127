"""Makes tiny-lm/: a Llama model with random weights and a small byte-level BPE, for unit tests.

    python make-tiny-model.py --corpus DIRECTORY

The shapes are legal but uncommon (3 heads over 1 key-value head, sizes that are no powers of two, an output head of
its own) and the tokenizer adds a beginning of sequence, so that code which takes the common case for granted fails.
The weights are large enough for the logits to differ clearly. The same seed gives the same bytes.
"""

import argparse
import json
import random
from pathlib import Path

import torch
from corpus import SPLIT_SEED, draw_passages, read_books, split_books
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM

DATASETS = Path(__file__).resolve().parent.parent
SEED = 20
BEGINNING, END = "<s>", "</s>"
TOKENIZER_SEED, TOKENIZER_NOVELS, TOKENIZER_NOVEL_TOKENS = 0, 60, 500
"""Which passages of training novels the tokenizer is trained on."""
CONFIG = {
    "vocab_size": 512,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 50000.0,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def train_tokenizer(text: str) -> Tokenizer:
    """Byte-level BPE whose post-processor puts BEGINNING before the text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[BEGINNING, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.split("\n"), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGINNING} $A", pair=f"{BEGINNING} $A $B", special_tokens=[(BEGINNING, 0)]
    )
    return tokenizer


def tokenizer_text(corpus: Path) -> str:
    """Passages of training novels, one paragraph a line, separated by an empty line."""
    books = read_books(corpus)
    train = split_books(len(books), random.Random(SPLIT_SEED)).train
    lengths = Tokenizer.from_file(str(DATASETS / "reference-lm" / "tokenizer.json"))
    generator = random.Random(TOKENIZER_SEED)
    passages = draw_passages(books, train, TOKENIZER_NOVELS, TOKENIZER_NOVEL_TOKENS, lengths, generator)
    return "\n".join("".join(paragraph + "\n" for paragraph in passage.paragraphs) for passage in passages)


def random_weights(generator: torch.Generator) -> dict[str, torch.Tensor]:
    """Normal weights that keep the size of activations, and norm weights around one; BF16."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in LlamaForCausalLM(LlamaConfig(**CONFIG)).state_dict().items()}
    weights = {}
    for name, shape in sorted(shapes.items()):
        noise = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            weights[name] = 1 + 0.1 * noise
        elif "embed_tokens" in name:
            weights[name] = noise
        else:
            weights[name] = noise * shape[1] ** -0.5
    return {name: weight.to(torch.bfloat16) for name, weight in weights.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="directory with novels.txt.gz and novels.list.tsv")
    arguments = parser.parse_args()

    out = DATASETS / "tiny-lm"
    out.mkdir(exist_ok=True)
    train_tokenizer(tokenizer_text(arguments.corpus)).save(str(out / "tokenizer.json"))
    save_file(
        random_weights(torch.Generator().manual_seed(SEED)), out / "model.safetensors", metadata={"format": "pt"}
    )
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", **CONFIG, "torch_dtype": "bfloat16"}
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGINNING,
        "eos_token": END,
        "add_bos_token": True,
        "model_max_length": CONFIG["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n")
    print({file.name: file.stat().st_size for file in sorted(out.iterdir())})


if __name__ == "__main__":
    main()
