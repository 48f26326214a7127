"""Makes texts/held-out.txt, texts/calibration.txt, texts/sources.json and texts/novels.tsv from the corpus.

    python make-texts.py --corpus DIRECTORY

held-out.txt is an equal contiguous share of each of the four test books, from the book's beginning to the end of the
paragraph that completes the share. calibration.txt is one passage of each of a number of training books. Passages are
separated by an empty line. Lengths count tokens of reference-lm/tokenizer.json.
"""

import argparse
import json
import random
from pathlib import Path

from corpus import Book, read_books, split_books
from tokenizers import Tokenizer

DATASETS = Path(__file__).resolve().parent.parent
SEED = 0


def passage(book: Book, first: int, tokens: int, tokenizer: Tokenizer) -> tuple[list[str], int]:
    """Whole paragraphs of the book from index `first` on that together have at least `tokens` tokens."""
    chosen: list[str] = []
    length = 0
    for paragraph in book.paragraphs[first:]:
        chosen.append(paragraph)
        length += len(tokenizer.encode(paragraph + "\n").ids)
        if length >= tokens:
            break
    return chosen, length


def describe(book: Book, first: int, paragraphs: list[str], tokens: int) -> dict:
    return {"book": book.name, "firstParagraph": first, "paragraphs": len(paragraphs), "tokens": tokens}


def write(file: Path, passages: list[list[str]]) -> None:
    file.write_text("\n".join("".join(paragraph + "\n" for paragraph in passage) for passage in passages), "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="directory with novels.txt.gz and novels.list.tsv")
    parser.add_argument("--held-out-tokens", type=int, default=30_000, help="tokens from each test book")
    parser.add_argument("--calibration-passages", type=int, default=60, help="training books to take a passage from")
    parser.add_argument("--calibration-tokens", type=int, default=500, help="least tokens of a passage")
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(str(DATASETS / "reference-lm" / "tokenizer.json"))
    books = read_books(arguments.corpus)
    split = split_books(len(books), random.Random(SEED))
    sources: dict = {}

    held_out = []
    for index in split.test:
        paragraphs, tokens = passage(books[index], 0, arguments.held_out_tokens, tokenizer)
        held_out.append(paragraphs)
        sources.setdefault("held-out.txt", []).append(describe(books[index], 0, paragraphs, tokens))
    write(DATASETS / "texts" / "held-out.txt", held_out)

    generator = random.Random(SEED)
    calibration = []
    for index in sorted(generator.sample(split.train, arguments.calibration_passages)):
        book = books[index]
        # Not the last tenth, so that the passage is complete.
        first = generator.randrange(len(book.paragraphs) * 9 // 10)
        paragraphs, tokens = passage(book, first, arguments.calibration_tokens, tokenizer)
        calibration.append(paragraphs)
        sources.setdefault("calibration.txt", []).append(describe(book, first, paragraphs, tokens))
    write(DATASETS / "texts" / "calibration.txt", calibration)

    (DATASETS / "texts" / "sources.json").write_text(json.dumps(sources, indent=1) + "\n")
    parts = {i: part for part in ("validation", "test") for i in getattr(split, part)}
    rows = [f"{book.name}\t{len(book.text)}\t{parts.get(i, 'train')}\n" for i, book in enumerate(books)]
    (DATASETS / "texts" / "novels.tsv").write_text("file\tcharacters\tpart\n" + "".join(rows))
    for name in ("held-out.txt", "calibration.txt"):
        text = (DATASETS / "texts" / name).read_text("utf-8")
        print(f"{name}: {len(text.encode())} bytes, {len(tokenizer.encode(text).ids)} tokens")


if __name__ == "__main__":
    main()
