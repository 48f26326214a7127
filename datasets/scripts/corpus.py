"""The corpus of public-domain novels: its books, its split and its documents.

The corpus is one gzip file of UTF-8 text, one paragraph a line, books separated by an empty line, beside a list of
tab-separated lines "file name, characters" in the same order. It is not part of the repository (25 MB); everything
that the project needs from it at run time is.
"""

import gzip
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

END_OF_TEXT = 0
"""Token that begins every document."""

SPLIT_SEED = 0
"""Seed of the project's split."""

HELD_OUT_BOOKS = 8
"""Books kept from training: the first half for validation, the second for test."""

MINIMUM_BOOK_CHARACTERS = 1000


@dataclass(frozen=True)
class Book:
    """One novel: the file name that identifies it in the list, and its text with one paragraph a line."""

    name: str
    text: str

    @property
    def paragraphs(self) -> list[str]:
        return self.text.rstrip("\n").split("\n")


@dataclass(frozen=True)
class Split:
    """Indices of books, in the order in which they are encoded."""

    train: list[int]
    validation: list[int]
    test: list[int]


@dataclass(frozen=True)
class Passage:
    """Consecutive paragraphs of a book, the first one's index in it, and their tokens, a line feed after each."""

    book: str
    first: int
    paragraphs: list[str]
    tokens: int

    @property
    def source(self) -> dict:
        """What texts/sources.json says of it."""
        return {
            "book": self.book,
            "firstParagraph": self.first,
            "paragraphs": len(self.paragraphs),
            "tokens": self.tokens,
        }


def read_books(corpus: Path) -> list[Book]:
    """Reads CORPUS/novels.txt.gz and the names in CORPUS/novels.list.tsv."""
    text = gzip.decompress((corpus / "novels.txt.gz").read_bytes()).decode("utf-8")
    texts = [book for book in text.split("\n\n") if len(book) > MINIMUM_BOOK_CHARACTERS]
    names = [line.split("\t")[0] for line in (corpus / "novels.list.tsv").read_text().splitlines()]
    if len(names) != len(texts):
        raise ValueError(f"the list names {len(names)} books, the text has {len(texts)}")
    return [Book(name, text) for name, text in zip(names, texts)]


def split_books(count: int, generator: random.Random) -> Split:
    """Shuffles the books; the last eight are held out. The project's split is that of `random.Random(SPLIT_SEED)`."""
    order = list(range(count))
    generator.shuffle(order)
    return Split(
        train=order[:-HELD_OUT_BOOKS],
        validation=order[-HELD_OUT_BOOKS : -HELD_OUT_BOOKS // 2],
        test=order[-HELD_OUT_BOOKS // 2 :],
    )


def cut_passage(book: Book, first: int, tokens: int, tokenizer: Tokenizer) -> Passage:
    """Whole paragraphs of the book from index `first` on that together have at least `tokens` tokens."""
    chosen: list[str] = []
    length = 0
    for paragraph in book.paragraphs[first:]:
        chosen.append(paragraph)
        length += len(tokenizer.encode(paragraph + "\n").ids)
        if length >= tokens:
            break
    return Passage(book.name, first, chosen, length)


def draw_passages(
    books: list[Book], indices: list[int], count: int, tokens: int, tokenizer: Tokenizer, generator: random.Random
) -> list[Passage]:
    """One passage of at least `tokens` tokens from each of `count` books, drawn from those at `indices`."""
    passages = []
    for index in sorted(generator.sample(indices, count)):
        # Not the last tenth, so that the passage is complete.
        first = generator.randrange(len(books[index].paragraphs) * 9 // 10)
        passages.append(cut_passage(books[index], first, tokens, tokenizer))
    return passages


def encode_documents(
    books: list[Book], indices: list[int], tokenizer: Tokenizer, generator: random.Random
) -> np.ndarray:
    """Encodes books as documents of about 512 tokens that begin with END_OF_TEXT, at paragraphs.

    Every book begins a document. Without the further breaks the model would see END_OF_TEXT a hundred times in all,
    and would not know what to do at the start of a prompt.
    """
    tokens: list[int] = []
    for index in indices:
        document_length = 0
        tokens.append(END_OF_TEXT)
        paragraphs = [paragraph + "\n" for paragraph in books[index].text.split("\n")]
        for encoding in tokenizer.encode_batch(paragraphs):
            if document_length > 64 and generator.random() < len(encoding.ids) / 512:
                tokens.append(END_OF_TEXT)
                document_length = 0
            tokens += encoding.ids
            document_length += len(encoding.ids)
    return np.array(tokens, dtype=np.uint16)
