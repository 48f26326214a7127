"""Makes the golden vectors of src/fixtures from independent implementations;
make_codec_fixtures.py makes those of the GGUF codecs.

    python3 scripts/make_fixtures.py [--smollm2 SmolLM2.gguf] [--reference-tokenizer tokenizer.json]

Needs gguf, numpy, safetensors, tokenizers and transformers. The results are
committed; run this again only to add vectors.
"""

import argparse
import hashlib
import json
import random
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter, dequantize, quantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, Regex

FIXTURES = Path(__file__).parent.parent / "src" / "fixtures"


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").tobytes()).hexdigest()


def write_json(name: str, value) -> None:
    """A list has one item a line, so that a difference shows."""
    text = json.dumps(value, indent=1) if isinstance(value, dict) else "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
    (FIXTURES / name).write_text(text + "\n")


def make_safetensors() -> None:
    tensors = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "half": np.array([1.5, -2.0, 65504], dtype=np.float16),
        "double": np.array([0.1, -1e300]),
        "codes": np.arange(5, dtype=np.uint8),
        "indices": np.array([[1, -2]], dtype=np.int64),
        "scalar": np.array(3.5, dtype=np.float32),
        "empty": np.zeros((0, 4), dtype=np.float32),
    }
    save_file(tensors, FIXTURES / "from-python.safetensors", metadata={"made by": "safetensors of Python"})


def make_gguf() -> None:
    """A file that exercises every kind of metadata value, with a few small tensors."""
    writer = GGUFWriter(FIXTURES / "from-python.gguf", "test")
    writer.add_uint8("u8", 200)
    writer.add_int8("i8", -100)
    writer.add_uint16("u16", 60000)
    writer.add_int16("i16", -30000)
    writer.add_uint32("u32", 4000000000)
    writer.add_int32("i32", -2000000000)
    writer.add_uint64("u64", 2**53 - 1)
    writer.add_uint64("u64.large", 2**64 - 1)
    writer.add_int64("i64", -(2**53) + 1)
    writer.add_float32("f32", 0.1)
    writer.add_float64("f64", 0.1)
    writer.add_bool("bool", True)
    writer.add_string("string", "naïve ☃ 😀")
    writer.add_array("strings", ["a", "", "ß"])
    writer.add_array("integers", [1, -2, 3])
    writer.add_array("floats", [0.5, -1.25])
    writer.add_array("booleans", [True, False])
    generator = np.random.default_rng(11)
    writer.add_tensor("matrix", generator.standard_normal((3, 64)).astype(np.float32))
    writer.add_tensor("half", generator.standard_normal(5).astype(np.float16))
    matrix = generator.standard_normal((2, 32)).astype(np.float32)
    writer.add_tensor("blocks", quantize(matrix, Type.Q8_0), raw_dtype=Type.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_split_gguf() -> None:
    """Three files of one model, of which the first holds the metadata."""
    writer = GGUFWriter(FIXTURES / "split.gguf", "test", split_max_tensors=2)
    writer.add_string("general.name", "split")
    for i in range(5):
        writer.add_tensor(f"t{i}", np.arange(i + 1, dtype=np.float32) + 10 * i)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_smollm2(path: Path) -> None:
    reader = GGUFReader(path)
    rows = {}
    for tensor in reader.tensors:
        if tensor.name in ("token_embd.weight", "output_norm.weight", "blk.0.attn_v.weight", "blk.29.ffn_down.weight"):
            values = dequantize(tensor.data, tensor.tensor_type)
            values = values.reshape(-1, values.shape[-1])
            rows[tensor.name] = {str(row): sha256(values[row]) for row in {0, len(values) // 2, len(values) - 1}}
    # transformers undoes the row order of query and key by code of its own.
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

    processor = LlamaTensorProcessor({"num_attention_heads": 9, "num_key_value_heads": 3})
    tensors = {}
    for tensor in reader.tensors:
        _, block, part, *_ = tensor.name.split(".") + ["", ""]
        if block in ("0", "29") and part in ("attn_q", "attn_k", "attn_v"):
            values = processor.process(dequantize(tensor.data, tensor.tensor_type), tensor.name).weights
            tensors[f"model.layers.{block}.self_attn.{part[-1]}_proj.weight"] = sha256(values)
    write_json("smollm2.json", {"rows": rows, "tensors": tensors})


def texts() -> list[str]:
    fixed = [
        "", " ", "  ", "\n", "\t", "\r\n", "\n\n\n", " \n \n", "a", " a", "a ", "  a  b   c    d",
        "Hello, world!", "The quick brown fox jumps over the lazy dog.", "don't can't I'll we've you're I'm he'd it's",
        "DON'T CAN'T I'LL WE'VE", "'s 't 're", "''''", "1234567890", "3.14159", "1,000,000", "0x7fff_ffff", "v1.2.3-rc4",
        "½ ¼ ² ³ ① Ⅳ ٣٤٥ १२३ 四 ໓", "a1b22c333", "1 2  3   4", " 1", "x²+y²=z²", "١٢٣ and 一二三",
        "naïve café résumé", "e\u0301 vs \u00e9", "Ångström \u212b", "ﬁ ligature", "Straße ẞ", "İstanbul ı",
        "Привет, мир!", "Γειά σου Κόσμε", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "こんにちは世界",
        "你好，世界！", "안녕하세요 세계", "ｆｕｌｌ　ｗｉｄｔｈ", "𠀀𠀁𠀂", "😀", "😀😁😂🤣", "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽 ok", "❤️ ♥", "a😀b",
        "\u00a0non\u00a0breaking", "\u2003em\u2003space", "\u3000ideographic\u3000", "\u200bzero\u200bwidth", "\ufeffbom", "a\ufeffb \ufeff c",
        "nel\u0085nel", " \u0085 ", "\u2028line\u2029paragraph", "\u180emongolian", "\x00", "a\x00b", "\x01\x02\x03", "tab\tand\x0bvt\x0cff",
        "\x1b[31mred\x1b[0m", "\x7f\x80\x9f", "th\x00e t\x01he", "\x1c\x1d\x1e\x1f", "\ufffd", "\U0010ffff", "\ue000private",
        "soft\u00adhyphen", "rtl\u202eoverride", "combining: a\u0300\u0301\u0302\u0303", "Z̸a̷l̶g̵o̴",
        "def f(x):\n    return x * 2\n", "for (let i = 0; i < n; i++) {\n\t\tsum += a[i];\n}\n", "#include <stdio.h>\n\nint main(void) { return 0; }",
        "SELECT * FROM t WHERE a='b' -- c", "<html>\n  <body class=\"x\">&amp;</body>\n</html>", "{\"a\": [1, 2, {\"b\": null}]}", "a=b&c=d%20e#f?g",
        "https://example.org/path/to?query=1&x=%C3%A9#frag", "user@example.org", "C:\\Users\\name\\file.txt", "/usr/local/bin/../lib", "```python\nprint('hi')\n```",
        "$E = mc^2$", "\\frac{1}{2}", "∀x∈ℝ: x²≥0 ⇒ √x²=|x|", "→←↑↓⇄", "…—–‘’“”", "!?!?!?...", "----------", "==========", "**bold** _it_ ~~no~~",
        "snake_case camelCase PascalCase kebab-case SCREAMING_CASE", "antidisestablishmentarianism", "Donaudampfschifffahrtsgesellschaftskapitän",
        "pneumonoultramicroscopicsilicovolcanoconiosis" * 3, "a" * 300, "ab" * 200, " " * 100, "\n" * 50, "\t" * 40 + "x", "x" + " " * 33 + "y", "=" * 500, "ha" * 1000,
        "😀" * 60, "é" * 150, "中" * 120, "0" * 200, "a " * 150, ".\n" * 60, "the" * 100,
        "<|endoftext|>", "a<|endoftext|>b", "<|im_start|>user\nHi<|im_end|>\n", "<|endoftext|><|endoftext|>", " <|endoftext|> ", "<|endoftext", "<|im_start|", "<s></s><unk>",
        "<repo_name>x<file_sep>", "<|IM_START|>", "[INST] hi [/INST]", "<issue_start>",
        "once upon a time\nthere was\r\n\r\na   line  ", "trailing space ", " leading space", "two  spaces", "mixed \t\n whitespace \n\t end",
        "constructor __proto__ toString hasOwnProperty", "undefined null NaN", "It was the best of times, it was the worst of times,",
        "\"Oh!\" said she; \"I heard you before.\"", "MR. DARCY", "Chapter I.", "1st 2nd 3rd 4th",
        # White space where JavaScript's differs, and bytes that SmolLM2 has no token for, inside of one word.
        "x \ufeff\ufeffy", ".\ufeff.", "x\u0085\u0085y", ".\u0085.", ".\x06.", "!\x16\x1d!! -\x04-", "\U00080000\U000fffff", "12:34:56", "2024-01-02T03:04:05Z", "+1 (555) 010-9999", "50% off!!!", "C++ C# F#",
    ]
    generator = random.Random(5)
    pools = [
        (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F),
        (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1F64F), (0x2000, 0x206F), (0x2200, 0x22FF), (0x00, 0x20), (0x80, 0xA0),
    ]
    while len(fixed) < 220:
        text = ""
        for _ in range(generator.randint(1, 8)):
            low, high = generator.choice(pools)
            text += "".join(chr(generator.randint(low, high)) for _ in range(generator.randint(1, 12)))
            text += generator.choice(["", " ", "  ", "\n"])
        fixed.append(text)
    return fixed


def golden_ids(tokenizer: Tokenizer) -> list:
    result = []
    for text in texts():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        result.append([text, ids, tokenizer.decode(ids, skip_special_tokens=False)])
    return result


def smollm2_tokenizer(path: Path) -> Tokenizer:
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = fields["tokenizer.ggml.token_type"].contents()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token, kind in zip(tokens, types) if kind == 3]
    )
    return tokenizer


def patterned_tokenizers(path: Path) -> list:
    """Ids of each text with the tokens of a small tokenizer under the pre-tokenizers of Llama 3 and of Qwen 2."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    result = {}
    for name, digits, ignore_merges in (("llama-bpe", "{1,3}", True), ("qwen2", "", False)):
        model = json.loads(path.read_text())
        model["model"]["ignore_merges"] = ignore_merges
        tokenizer = Tokenizer.from_str(json.dumps(model))
        if name == "qwen2":
            tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern.replace("DIGITS", digits)), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        result[name] = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts()]
    return [list(pair) for pair in zip(*result.values())]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--smollm2", type=Path)
    parser.add_argument("--reference-tokenizer", type=Path)
    arguments = parser.parse_args()
    FIXTURES.mkdir(exist_ok=True)
    make_safetensors()
    make_gguf()
    make_split_gguf()
    if arguments.smollm2:
        make_smollm2(arguments.smollm2)
        write_json("smollm2-tokenizer.json", golden_ids(smollm2_tokenizer(arguments.smollm2)))
    if arguments.reference_tokenizer:
        write_json("reference-tokenizer.json", golden_ids(Tokenizer.from_file(str(arguments.reference_tokenizer))))
        write_json("patterned-tokenizers.json", patterned_tokenizers(arguments.reference_tokenizer))
