"""Makes texts/held-out.txt and texts/novels.tsv from the corpus.

    python make-texts.py --corpus DIRECTORY

held-out.txt is an equal contiguous share of each of the four test books, from the book's beginning to the end of the
paragraph that completes the share. Passages are separated by an empty line. Lengths count tokens of
reference-lm/tokenizer.json. Its part of texts/sources.json is written, the rest kept.
"""

import argparse
import json
import random
from pathlib import Path

from corpus import SPLIT_SEED, cut_passage, read_books, split_books
from tokenizers import Tokenizer

DATASETS = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="directory with novels.txt.gz and novels.list.tsv")
    parser.add_argument("--held-out-tokens", type=int, default=30_000, help="tokens from each test book")
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(str(DATASETS / "reference-lm" / "tokenizer.json"))
    books = read_books(arguments.corpus)
    split = split_books(len(books), random.Random(SPLIT_SEED))

    passages = [cut_passage(books[index], 0, arguments.held_out_tokens, tokenizer) for index in split.test]
    text = "\n".join("".join(paragraph + "\n" for paragraph in passage.paragraphs) for passage in passages)
    (DATASETS / "texts" / "held-out.txt").write_text(text, "utf-8")

    sources_file = DATASETS / "texts" / "sources.json"
    sources = json.loads(sources_file.read_text("utf-8"))
    sources["held-out.txt"] = [passage.source for passage in passages]
    sources_file.write_text(json.dumps(sources, indent=1, ensure_ascii=False) + "\n", "utf-8")

    parts = {i: part for part in ("validation", "test") for i in getattr(split, part)}
    rows = [f"{book.name}\t{len(book.text)}\t{parts.get(i, 'train')}\n" for i, book in enumerate(books)]
    (DATASETS / "texts" / "novels.tsv").write_text("file\tcharacters\tpart\n" + "".join(rows))
    print(f"held-out.txt: {len(text.encode())} bytes, {len(tokenizer.encode(text).ids)} tokens")


if __name__ == "__main__":
    main()
