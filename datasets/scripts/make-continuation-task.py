"""Makes tasks/continuation.json and tasks/continuation.jsonl from the test books.

    python make-continuation-task.py --corpus DIRECTORY

An item is a context of 48 to 64 tokens from the part of a test book that texts/held-out.txt leaves out, and four
continuations of 12 to 16 tokens: the true one, and three from other places of the same book. Contexts and choices
are cut between two words of one clause, and the four choices have equally many tokens, so that neither punctuation
nor length gives the answer away. The true passages of different items do not overlap.
"""

import argparse
import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from corpus import read_books, split_books
from tokenizers import Tokenizer

DATASETS = Path(__file__).resolve().parent.parent
SEED = 0
CONTEXT_TOKENS = (48, 64)
CHOICE_TOKENS = (12, 16)
CHOICES = 4
LEAST_DISTANCE = 40
"""Paragraphs between an item and the source of its distractors: a neighbour could continue the context too."""

DECLARATION = {
    "task": "continuation",
    "version": 1,
    "description": "Which of four passages of a novel continues the context? Contexts of 48 to 64 tokens and choices "
    "of 12 to 16 (of the reference model's tokenizer) from four public-domain novels that the reference model was not "
    "trained on; the wrong choices are from the same book.",
    "targetDelimiter": " ",
    "items": "continuation.jsonl",
}


@dataclass(frozen=True)
class Paragraph:
    """A paragraph's text with, for every token, where it starts and whether it starts a word inside a clause."""

    text: str
    starts: list[int]
    boundaries: list[bool]

    def piece(self, first: int, last: int) -> str:
        """Text of the tokens first .. last - 1."""
        return self.text[self.starts[first] : self.starts[last] if last < len(self.starts) else len(self.text)]


def read_paragraph(text: str, tokenizer: Tokenizer) -> Paragraph:
    starts = [start for start, _ in tokenizer.encode(text).offsets]
    boundaries = [
        0 < start < len(text) - 1 and text[start] == " " and text[start - 1].isalpha() and text[start + 1].isalpha()
        for start in starts
    ]
    return Paragraph(text, starts, boundaries)


def true_passages(paragraph: Paragraph, generator: random.Random) -> list[tuple[int, int, int]]:
    """Disjoint (context start, choice start, choice end) of the paragraph, from its beginning on."""
    found = []
    start = 0
    while True:
        ends = range(start + CONTEXT_TOKENS[0], start + CONTEXT_TOKENS[1] + 1)
        middles = [i for i in ends if i < len(paragraph.starts) and paragraph.boundaries[i]]
        if not middles:
            return found
        middle = generator.choice(middles)
        end = choice_end(paragraph, middle, range(CHOICE_TOKENS[0], CHOICE_TOKENS[1] + 1), generator)
        if end is None:
            return found
        found.append((start, middle, end))
        following = [i for i in range(end, len(paragraph.starts)) if paragraph.boundaries[i]]
        if not following:
            return found
        start = following[0]


def choice_end(paragraph: Paragraph, first: int, lengths: range, generator: random.Random) -> int | None:
    """A place behind one of the lengths where a choice that begins at token `first` can end."""
    ends = [first + n for n in lengths if first + n < len(paragraph.starts) and paragraph.boundaries[first + n]]
    return generator.choice(ends) if ends else None


def distractors(paragraphs: list[Paragraph], own: int, length: int, generator: random.Random) -> list[str]:
    """Three different pieces of `length` tokens from paragraphs away from the item's own."""
    chosen: list[str] = []
    while len(chosen) < CHOICES - 1:
        index = generator.randrange(len(paragraphs))
        if abs(index - own) < LEAST_DISTANCE:
            continue
        paragraph = paragraphs[index]
        firsts = [
            i
            for i in range(len(paragraph.starts) - length)
            if paragraph.boundaries[i] and paragraph.boundaries[i + length]
        ]
        if not firsts:
            continue
        first = generator.choice(firsts)
        text = paragraph.piece(first, first + length)
        if text not in chosen:
            chosen.append(text)
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="directory with novels.txt.gz and novels.list.tsv")
    parser.add_argument("--items", type=int, default=1000)
    arguments = parser.parse_args()

    tokenizer = Tokenizer.from_file(str(DATASETS / "reference-lm" / "tokenizer.json"))
    generator = random.Random(SEED)
    books = read_books(arguments.corpus)
    held_out = set((DATASETS / "texts" / "held-out.txt").read_text("utf-8").split("\n"))
    passages = []
    for index in split_books(len(books), random.Random(SEED)).test:
        rest = [text for text in books[index].paragraphs if text not in held_out]
        paragraphs = [read_paragraph(text, tokenizer) for text in rest]
        for own, paragraph in enumerate(paragraphs):
            for place in true_passages(paragraph, generator):
                passages.append((paragraphs, own, *place))
    print(f"{len(passages)} passages for {arguments.items} items")

    golds = [i % CHOICES for i in range(arguments.items)]
    generator.shuffle(golds)
    items = []
    for gold, (paragraphs, own, start, middle, end) in zip(golds, generator.sample(passages, arguments.items)):
        truth = paragraphs[own].piece(middle, end)
        choices = distractors(paragraphs, own, end - middle, generator)
        choices.insert(gold, truth)
        # The space between context and choice is the task's delimiter.
        choices = [choice.strip() for choice in choices]
        items.append({"context": paragraphs[own].piece(start, middle).strip(), "choices": choices, "gold": gold})

    tasks = DATASETS / "tasks"
    (tasks / "continuation.json").write_text(json.dumps(DECLARATION, indent=2) + "\n")
    lines = (json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    (tasks / "continuation.jsonl").write_text("".join(lines), "utf-8")
    print("gold positions", dict(sorted(Counter(golds).items())))


if __name__ == "__main__":
    main()
