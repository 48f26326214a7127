"""Makes the tokenizers of several families and what the Rust library does with them, for tokenizer-families.test.ts.

    python3 scripts/make_tokenizers.py --text FILE... [--train]
    python3 scripts/make_tokenizers.py --text FILE... --corpus DIRECTORY --bytes 2000000

Needs protobuf, sentencepiece and tokenizers. The first form writes src/fixtures/tokenizers: hashes of the ids and texts of
every family, and with --train also the vocabularies, trained on the text. The second form writes whole
tokenizer.json files with the ids of a long text, which compare-tokenizers.mjs holds the package against. The results
of the first are committed; the text may be any that has many scripts.
"""

import argparse
import base64
import hashlib
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

import sentencepiece
from make_fixtures import texts
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from tokenizers import Regex

FIXTURES = Path(__file__).parent.parent / "src" / "fixtures" / "tokenizers"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"


def cl100k(digits: str) -> str:
    return (
        CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def o200k(digits: str, contractions: str) -> str:
    upper, lower = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
    return (
        rf"[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{contractions}|[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{contractions}"
        rf"|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def split(pattern: str, behavior: str = "Isolated", invert: bool = False) -> dict:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def byte_level(use_regex: bool, add_prefix_space: bool = False) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def sequence(*parts: dict) -> dict:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def added(content: str, **flags: bool) -> dict:
    token = {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return token | flags


SPACE_TO_METASPACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
METASPACE_TO_SPACE = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
LLAMA_DECODER = {
    "type": "Sequence",
    "decoders": [METASPACE_TO_SPACE, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}],
}
CHATML = [added("<|endoftext|>"), added("<|im_start|>"), added("<|im_end|>")]
DIGITS = {"type": "Digits", "individual_digits": True}


def metaspace(scheme: str, split: bool) -> dict:
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}


# Name, vocabulary, and what of the tokenizer.json is particular to the family. `gguf` are the metadata that stand for it.
FAMILIES = [
    {"name": "gpt-2", "vocabulary": "byte-level", "pre_tokenizer": byte_level(True), "added": CHATML[:1], "gguf": "gpt-2"},
    {"name": "smollm", "vocabulary": "byte-level", "pre_tokenizer": sequence(DIGITS, byte_level(True)), "added": CHATML, "gguf": "smollm"},
    {
        "name": "qwen-2", "vocabulary": "byte-level", "normalizer": {"type": "NFC"}, "added": CHATML, "gguf": "qwen2",
        "pre_tokenizer": sequence(split(cl100k("")), byte_level(False)),
    },
    {
        "name": "llama-3", "vocabulary": "byte-level", "model": {"ignore_merges": True}, "added": CHATML, "gguf": "llama-bpe",
        "pre_tokenizer": sequence(split(cl100k("{1,3}")), byte_level(False)),
    },
    {
        "name": "gpt-neox", "vocabulary": "byte-level", "normalizer": {"type": "NFC"}, "pre_tokenizer": byte_level(True),
        "added": [*CHATML[:1], *[added(" " * n, normalized=True, special=False) for n in range(24, 1, -1)]],
    },
    {
        "name": "gpt-4o", "vocabulary": "byte-level", "model": {"ignore_merges": True}, "added": CHATML, "gguf": "gpt-4o",
        "pre_tokenizer": sequence(split(o200k("{1,3}", CONTRACTIONS + "?")), byte_level(False)),
    },
    {
        "name": "tekken", "vocabulary": "byte-level", "model": {"ignore_merges": True}, "added": CHATML, "gguf": "tekken",
        "pre_tokenizer": sequence(split(o200k("", "")), byte_level(False)),
    },
    {
        "name": "falcon", "vocabulary": "byte-level", "added": CHATML,
        "pre_tokenizer": sequence(
            {"type": "Punctuation", "behavior": "Contiguous"}, byte_level(True), {"type": "Digits", "individual_digits": False},
            split("[0-9][0-9][0-9]"),
        ),
    },
    {
        "name": "deepseek-coder", "vocabulary": "byte-level", "added": CHATML, "gguf": "deepseek-coder",
        "pre_tokenizer": sequence(
            split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), DIGITS, byte_level(False)
        ),
    },
    {"name": "roberta", "vocabulary": "byte-level", "pre_tokenizer": byte_level(True, True), "added": [added("<mask>", lstrip=True), *CHATML]},
    {
        "name": "split-behaviors", "vocabulary": "byte-level", "added": [added("Django", single_word=True, special=False), *CHATML],
        "pre_tokenizer": sequence(
            split(r"\n", "MergedWithPrevious"), split(" ", "MergedWithNext"), split(r"\p{P}", "Contiguous"), split(r"\p{L}+", "Isolated", True),
            {"type": "Split", "pattern": {"String": "x"}, "behavior": "Removed", "invert": False}, byte_level(False),
        ),
    },
    {
        "name": "llama-2", "vocabulary": "sentencepiece-bpe", "decoder": LLAMA_DECODER, "gguf": "llama",
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, SPACE_TO_METASPACE]},
    },
    {
        "name": "phi-3", "vocabulary": "sentencepiece-bpe", "decoder": LLAMA_DECODER,
        "added": [added("<|user|>", rstrip=True), added("<|end|>", rstrip=True), added("<|assistant|>", lstrip=True)],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, SPACE_TO_METASPACE]},
    },
    {"name": "llama-2-metaspace", "vocabulary": "sentencepiece-bpe", "decoder": LLAMA_DECODER, "pre_tokenizer": metaspace("first", False)},
    {
        "name": "gemma", "vocabulary": "sentencepiece-bpe", "normalizer": SPACE_TO_METASPACE, "gguf": "llama",
        "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False},
        "decoder": {"type": "Sequence", "decoders": LLAMA_DECODER["decoders"][:3]},
    },
    {"name": "unigram", "vocabulary": "unigram", "pre_tokenizer": metaspace("always", True), "decoder": metaspace("always", True), "charsmap": True},
    {
        "name": "unigram-bytes", "vocabulary": "unigram", "model": {"byte_fallback": True}, "decoder": LLAMA_DECODER,
        "normalizer": SPACE_TO_METASPACE,
    },
]  # fmt: skip

# A few rules of every kind that a character map can hold: one to one, one to many, to nothing, many to one.
CHARACTER_RULES = "FF21\t41\nFF22\t42\n2460\t31\nFB01\t66 69\n200B\t\n3000\t20\n0065 0301\t00E9\n1100 1161\tAC00\n09\t20\n0A\t20\n"


def train_byte_level(sentences: list[str]) -> dict:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(o200k("{1,3}", "")), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    # Some bytes have no token, as in SmolLM's vocabulary.
    alphabet = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {"Ģ", "ĥ"})
    trainer = trainers.BpeTrainer(vocab_size=1800, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = {token: id for token, id in model["vocab"].items() if token not in ("Ģ", "ĥ")}
    merges = [pair for pair in model["merges"] if not any("Ģ" in part or "ĥ" in part for part in pair)]
    kept = [token for token in sorted(vocab, key=vocab.get) if "Ģ" not in token and "ĥ" not in token]
    return {"tokens": kept, "merges": merges}


def train_sentencepiece(sentences: list[str], **options) -> tuple[list, str]:
    with tempfile.TemporaryDirectory() as folder:
        text, prefix = Path(folder) / "text", f"{folder}/model"
        # A small vocabulary has no room for every character: those that are left out become bytes.
        kept = {character for character, _ in Counter("".join(sentences)).most_common(600)}
        text.write_text("\n".join("".join(c for c in sentence if c in kept)[:2000] for sentence in sentences))
        sentencepiece.SentencePieceTrainer.train(
            input=str(text), model_prefix=prefix, byte_fallback=True, num_threads=1, split_digits=True, minloglevel=2,
            allow_whitespace_only_pieces=True, remove_extra_whitespaces=False, input_sentence_size=20000, **options,
        )  # fmt: skip
        processor = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
        from sentencepiece import sentencepiece_model_pb2

        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(processor.serialized_model_proto())
        pieces = [[piece.piece, round(piece.score, 6), piece.type] for piece in proto.pieces]
        return pieces, base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()


def train(sentences: list[str]) -> None:
    write("byte-level.json", train_byte_level(sentences))
    pieces, _ = train_sentencepiece(
        sentences, vocab_size=1500, model_type="bpe", character_coverage=1.0, normalization_rule_name="identity"
    )
    write("sentencepiece-bpe.json", {"pieces": pieces})
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write(CHARACTER_RULES)
        rules.flush()
        pieces, charsmap = train_sentencepiece(
            sentences, vocab_size=1500, model_type="unigram", character_coverage=1.0, normalization_rule_tsv=rules.name
        )
    write("unigram.json", {"pieces": pieces, "charsmap": charsmap})


def write(name: str, value) -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def read(name: str):
    return json.loads((FIXTURES / name).read_text())


def merges_of(pieces: list) -> list:
    """The merges that transformers derives from the scores: best score first, longer left parts before shorter ones."""
    vocab = {piece: (score, kind) for piece, score, kind in pieces}
    order = {piece: i for i, (piece, *_) in enumerate(pieces)}
    merges = []
    for piece, (score, kind) in vocab.items():
        if kind != 1:
            continue
        parts = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        known = [pair for pair in parts if all(part in vocab and vocab[part][1] == 1 for part in pair)]
        merges += [(score, *pair) for pair in sorted(known, key=lambda pair: (order[pair[0]], order[pair[1]]))]
    merges.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    return [list(merge[1:]) for merge in merges]


def model_of(vocabulary: str) -> tuple[dict, list]:
    """The model of a tokenizer.json, and the tokens of the vocabulary that are found before the text is split."""
    data = read(f"{vocabulary}.json")
    if vocabulary == "byte-level":
        vocab = {token: id for id, token in enumerate(data["tokens"])}
        model = {"type": "BPE", "vocab": vocab, "merges": data["merges"], "unk_token": None, "fuse_unk": False, "byte_fallback": False}
        return model, []
    pieces = data["pieces"]
    special = [added(piece) | {"id": id} for id, (piece, _, kind) in enumerate(pieces) if kind in (2, 3)]
    if vocabulary == "unigram":
        return {"type": "Unigram", "unk_id": 0, "vocab": [piece[:2] for piece in pieces], "byte_fallback": False}, special
    vocab = {piece: id for id, (piece, *_) in enumerate(pieces)}
    model = {
        "type": "BPE", "vocab": vocab, "merges": merges_of(pieces), "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
    }  # fmt: skip
    return model, special


def tokenizer_json(family: dict) -> dict:
    model, tokens = model_of(family["vocabulary"])
    size = len(model["vocab"])
    tokens = tokens + [token | {"id": size + i} for i, token in enumerate(family.get("added", []))]
    normalizer = family.get("normalizer")
    if family.get("charsmap"):
        charsmap = {"type": "Precompiled", "precompiled_charsmap": read("unigram.json")["charsmap"]}
        normalizer = {"type": "Sequence", "normalizers": [charsmap, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
        "pre_tokenizer": family.get("pre_tokenizer"), "post_processor": None,
        "decoder": family.get("decoder", byte_level(True)), "model": model | family.get("model", {}),
    }  # fmt: skip


def made_up_texts() -> list[str]:
    """Lines of pieces that occur in texts of many languages, put together by chance."""
    generator = random.Random(9)
    pieces = [piece.replace("▁", " ") for name in ("sentencepiece-bpe", "unigram") for piece, _, kind in read(f"{name}.json")["pieces"] if kind == 1]
    return ["".join(generator.choices(pieces, k=generator.randint(15, 50))) for _ in range(150)]


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:8]


def random_ids(size: int) -> list[list[int]]:
    """Ids in an order that no text has: halves of characters, bytes that belong to none."""
    samples, state = [], 3
    for i in range(150):
        samples.append([])
        for _ in range(12):
            state = (state * 1664525 + 1013904223) % 2**32
            samples[-1].append((state >> 8) % (min(size, 600) if i % 2 else size))
    return samples


def vectors(family: dict, lines: list[str]) -> dict:
    definition = tokenizer_json(family)
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    ids = [tokenizer.encode(line, add_special_tokens=False).ids for line in lines]
    samples = random_ids(tokenizer.get_vocab_size())
    decode = lambda ids: tokenizer.decode(ids, skip_special_tokens=False)
    return {
        "ids": [digest(",".join(map(str, each))) for each in ids],
        "decoded": digest("\0".join(map(decode, ids))),
        "samples": digest("\0".join(map(decode, samples))),
    }


def read_text(file: Path) -> str:
    with file.open(encoding="utf-8", newline="") as stream:
        return stream.read()


def family_fixture(family: dict, lines: list[str]) -> dict:
    """The tokenizer.json without what lies in the file of the vocabulary, and the vectors."""
    definition = tokenizer_json(family)
    model = {key: value for key, value in definition["model"].items() if key not in ("vocab", "merges")}
    if family.get("charsmap"):
        del definition["normalizer"]["normalizers"][0]["precompiled_charsmap"]
    named = {"name": family["name"], "vocabulary": family["vocabulary"], "gguf": family.get("gguf")}
    return named | {"tokenizer": definition | {"model": model}} | vectors(family, lines)


def sentences_of(files: list[Path]) -> list[str]:
    return [line for file in files for line in read_text(file).split("\n") if line.strip()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--bytes", type=int, default=2_000_000)
    parser.add_argument("--family", help="of --corpus only this one")
    arguments = parser.parse_args()
    if arguments.train:
        train(sentences_of(arguments.text))
    if arguments.corpus:
        text = "\n".join(map(read_text, arguments.text)).encode()[: arguments.bytes].decode(errors="ignore")
        lines = text.splitlines(keepends=True)
        pieces = ["".join(lines[i : i + 50]) for i in range(0, len(lines), 50)] + texts()
        (arguments.corpus / "texts.json").write_text(json.dumps(pieces))
        for family in [each for each in FAMILIES if arguments.family in (None, each["name"])]:
            definition = {"tokenizer": tokenizer_json(family), **vectors(family, pieces)}
            (arguments.corpus / f"{family['name']}.json").write_text(json.dumps(definition))
    else:
        write("texts.json", texts() + made_up_texts())
        lines = read("texts.json")
        write("families.json", [family_fixture(family, lines) for family in FAMILIES])
