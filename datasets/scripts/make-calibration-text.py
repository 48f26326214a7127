"""Arranges texts/calibration.txt and its part of texts/sources.json; draws the passages of novels in it.

    python make-calibration-text.py [--corpus DIRECTORY]

calibration.txt is its own source. To add a passage, append it to the file and its entry to the list in sources.json, to
remove one, delete both, to mend one, edit it; then run this. With --corpus the passages of genre "fiction" are drawn
anew, one from each of a number of training books.

Passages are separated by two empty lines and have at most one empty line in a row inside. Within a genre they are in the
order of the hash of their beginnings, so that a mended passage stays where it is and a new one comes somewhere. The
genres are interleaved by length, so that every prefix of the file has each genre in about the proportion of the whole.
The order depends on the passages alone.
"""

import argparse
import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from corpus import SPLIT_SEED, draw_passages, read_books, split_books
from tokenizers import Tokenizer

DATASETS = Path(__file__).resolve().parent.parent
TEXT = DATASETS / "texts" / "calibration.txt"
SOURCES = DATASETS / "texts" / "sources.json"
SEPARATOR = "\n\n\n"
BEGINNING = 80
"""Characters of a passage that its place in its genre depends on."""

SEED = 0
FICTION = "fiction"
NOVELS_LICENCE = "public domain"


@dataclass(frozen=True)
class Entry:
    """A passage and what sources.json says of it."""

    text: str
    source: dict

    @property
    def genre(self) -> str:
        return self.source["genre"]

    @property
    def key(self) -> tuple[str, str]:
        return hashlib.sha256(self.text[:BEGINNING].encode()).hexdigest(), self.text


def read_entries() -> list[Entry]:
    passages = TEXT.read_text("utf-8").rstrip("\n").split(SEPARATOR)
    sources = json.loads(SOURCES.read_text("utf-8"))["calibration.txt"]
    if len(passages) != len(sources):
        raise ValueError(f"{TEXT.name} has {len(passages)} passages, {SOURCES.name} describes {len(sources)}")
    return [Entry(text, source) for text, source in zip(passages, sources)]


def draw_fiction(corpus: Path, count: int, tokens: int) -> list[Entry]:
    """Passages of `count` training books of at least `tokens` tokens of the reference model's tokenizer."""
    books = read_books(corpus)
    split = split_books(len(books), random.Random(SPLIT_SEED))
    tokenizer = Tokenizer.from_file(str(DATASETS / "reference-lm" / "tokenizer.json"))
    passages = draw_passages(books, split.train, count, tokens, tokenizer, random.Random(SEED))
    return [
        Entry("\n".join(passage.paragraphs), {"genre": FICTION, **passage.source, "licence": NOVELS_LICENCE})
        for passage in passages
    ]


def arrange(entries: list[Entry]) -> list[Entry]:
    """Every passage has its middle at the same part of its genre and, as nearly as can be, of the whole text."""
    placed = []
    for genre in {entry.genre for entry in entries}:
        members = sorted((entry for entry in entries if entry.genre == genre), key=lambda entry: entry.key)
        total = sum(len(entry.text) for entry in members)
        before = 0
        for entry in members:
            placed.append(((before + len(entry.text) / 2) / total, entry.key, entry))
            before += len(entry.text)
    return [entry for *_, entry in sorted(placed, key=lambda place: place[:2])]


def write_entries(entries: list[Entry]) -> None:
    TEXT.write_text(SEPARATOR.join(entry.text for entry in entries) + "\n", "utf-8")
    sources = json.loads(SOURCES.read_text("utf-8"))
    sources["calibration.txt"] = [{**entry.source, "characters": len(entry.text)} for entry in entries]
    SOURCES.write_text(json.dumps(sources, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="directory with novels.txt.gz and novels.list.tsv")
    parser.add_argument("--novels", type=int, default=40, help="training books to take a passage from")
    parser.add_argument("--novel-tokens", type=int, default=400, help="least tokens of a novel's passage")
    arguments = parser.parse_args()

    entries = read_entries()
    if arguments.corpus:
        entries = [entry for entry in entries if entry.genre != FICTION]
        entries += draw_fiction(arguments.corpus, arguments.novels, arguments.novel_tokens)
    entries = arrange(entries)
    write_entries(entries)

    passages = Counter(entry.genre for entry in entries)
    lengths: Counter[str] = Counter()
    for entry in entries:
        lengths[entry.genre] += len(entry.text.encode())
    for genre, length in lengths.most_common():
        print(f"{genre}: {passages[genre]} passages, {length} bytes")
    print(f"{TEXT.name}: {len(entries)} passages, {TEXT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
