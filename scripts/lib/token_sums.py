"""What a teacher makes of each token in its sentences: sums of last hidden states, counted while it embeds them."""

from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars
import torch
from tokenizers import Tokenizer
from torch import Tensor

from lib.job.command import InputError, first_line
from lib.job.files import read_json, replacing, sha256
from lib.shards import shard_path

BEGINNINGS = ("▁", "Ġ")  # the first letter of a token that begins a word, if the tokenizer marks these
MOST_PIECES = 8  # of a word; longer ones are not language, or a language without spaces
LEAST_COUNT = 2  # occurrences of a word in a shard of sentences


class Words(NamedTuple):
    """The words in some sentences that a tokenizer splits."""

    places: np.ndarray  # for each token the number of the word that it is a piece of, -1 if none; int32
    names: list[tuple[str, int]]  # each word as a token of its own would be written, and of how many pieces it is


class TokenSums:
    """How often each token of a teacher occurs in some sentences, and the sum of its last hidden states there.

    The same for each word that its tokenizer splits, because a student may have a token of it: the sum over all pieces.
    """

    def __init__(self, tokenizer: Tokenizer, dimensions: int, device: str) -> None:
        """Begin with no sentences; read which tokens begin a word or continue it.

        WordPiece marks those that continue one, usually by ``##``. Other tokenizers mark those that begin one, by ``▁``
        or ``Ġ``; there punctuation continues none. Of a tokenizer without marks no word is found.
        """
        self.vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        self.rest = max(self.vocabulary.values(), default=0) + 1  # the row of tokens that are in no split word
        self.words: dict[tuple[str, int], int] = {}
        self.counts = torch.zeros(self.rest + 1, dtype=torch.int64, device=device)
        self.sums = torch.zeros(self.rest + 1, dimensions, device=device)
        self.texts = [""] * self.rest
        self.begins, self.continues = np.zeros(self.rest, bool), np.zeros(self.rest, bool)
        prefix = getattr(tokenizer.model, "continuing_subword_prefix", None)
        for token, number in tokenizer.get_vocab(with_added_tokens=False).items():
            self.texts[number] = token.removeprefix(prefix or "")
            self.begins[number] = not token.startswith(prefix) if prefix else token.startswith(BEGINNINGS)
            letters = any(character.isalnum() or not character.isascii() for character in token)
            self.continues[number] = not self.begins[number] and (bool(prefix) or letters)
        for number in tokenizer.get_added_tokens_decoder():
            self.begins[number] = self.continues[number] = False

    def find_words(self, ids: np.ndarray, special: np.ndarray, offsets: np.ndarray) -> Words:
        """Find the words that the tokenizer split; nothing is counted yet.

        Args:
            ids: the tokens of some sentences, one after another, int32.
            special: whether the tokenizer added the token, bool.
            offsets: where each sentence begins, and the end, int64.
        """
        inside = self.continues[ids] & ~special
        inside[offsets[:-1][np.diff(offsets) > 0]] = False
        first = np.flatnonzero(~inside)
        lengths = np.diff(first, append=len(ids))
        split = (lengths > 1) & (lengths <= MOST_PIECES) & self.begins[ids[first]]
        numbers: dict[tuple[str, int], int] = {}
        places = np.full(len(ids), -1, np.int32)
        for start, length in zip(first[split].tolist(), lengths[split].tolist(), strict=True):
            word = "".join(self.texts[number] for number in ids[start : start + length].tolist())
            if word not in self.vocabulary:
                places[start : start + length] = numbers.setdefault((word, length), len(numbers))
        return Words(places, list(numbers))

    def rows(self, words: Words) -> np.ndarray:
        """For each token the row of the word that it is a piece of, ``[tokens]`` int64; makes room for new words."""
        known = [self.row(word) for word in words.names]
        self.make_room()
        return np.array([*known, self.rest], np.int64)[words.places]

    def row(self, word: tuple[str, int]) -> int:
        """The row of a word, a new one if it has none."""
        return self.words.setdefault(word, self.rest + 1 + len(self.words))

    def make_room(self) -> None:
        """Make the tables large enough for all words."""
        missing = self.rest + 1 + len(self.words) - len(self.counts)
        if missing > 0:
            more = max(missing, len(self.counts) // 2)
            self.counts = torch.cat([self.counts, self.counts.new_zeros(more)])
            self.sums = torch.cat([self.sums, self.sums.new_zeros(more, self.sums.shape[1])])

    def add(self, ids: Tensor, words: Tensor, counted: Tensor, hidden: Tensor) -> None:
        """Add the tokens of a batch.

        Args:
            ids: token ids, ``[tokens]`` int64.
            words: for each the row of its word, ``[tokens]`` int64.
            counted: 1 for each that counts and 0 for others, such as padding; ``[tokens]`` float32.
            hidden: their hidden states times that, ``[tokens, dimensions]`` float32.
        """
        for rows in (ids, words):
            self.counts.index_add_(0, rows, counted.long())
            self.sums.index_add_(0, rows, hidden)

    def write(self, path: Path, least_count: int = 1) -> None:
        """Write what occurs: the columns ``token``, ``pieces``, ``count``, and ``sum`` as an array of float32.

        Args:
            path: of the parquet file.
            least_count: of a word; rarer ones are left out.
        """
        named = [(row, token, 1) for token, row in sorted(self.vocabulary.items(), key=itemgetter(1))]
        named += [(row, *word) for word, row in sorted(self.words.items())]
        pieces = np.array([pieces for *_, pieces in named], np.int64)
        counts = self.counts.cpu().numpy()[[row for row, *_ in named]] // pieces
        present = np.flatnonzero(counts >= np.where(pieces > 1, least_count, 1)).tolist()
        sums = self.sums[[named[i][0] for i in present]].cpu().numpy()
        columns = {
            "token": polars.Series([named[i][1] for i in present], dtype=polars.String),
            "pieces": pieces[present],
            "count": counts[present],
            "sum": polars.Series(sums, dtype=polars.Array(polars.Float32, self.sums.shape[1])),
        }
        with replacing(path) as temporary:
            polars.DataFrame(columns).write_parquet(temporary, compression="uncompressed")

    def read(self, path: Path) -> None:
        """Continue with what was written.

        Raises:
            polars.exceptions.PolarsError, OSError, ValueError, KeyError: the file is missing, damaged or another's.
        """
        table = polars.read_parquet(path)
        names = zip(table["token"], table["pieces"], strict=True)
        rows = [self.vocabulary[token] if pieces == 1 else self.row((token, pieces)) for token, pieces in names]
        self.make_room()
        sums = torch.from_numpy(table["sum"].to_numpy().copy())
        if sums.shape != (len(rows), self.sums.shape[1]):
            raise ValueError(f"{path}: expected sums of {self.sums.shape[1]} dimensions, found {tuple(sums.shape)}")
        self.counts[rows] = torch.tensor((table["count"] * table["pieces"]).to_list()).to(self.counts)
        self.sums[rows] = sums.to(self.sums)


def tokens_path(embeddings: Path) -> Path:
    """The file of token sums beside a file of embeddings."""
    return embeddings.with_suffix(".tokens.parquet")


def read_token_sums(
    folder: Path, shards: int, tokens: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """The token sums of some shards of embeddings, for a student's tokens.

    Args:
        folder: the folder of the embeddings.
        shards: how many to read, from the first on.
        tokens: the id of each token of the student. What is neither a token of the teacher nor a word in the sentences
            gets nothing.

    Returns:
        Sums, ``[tokens, the teacher's dimensions]`` float32; counts, ``[tokens]`` float32; of how many of the teacher's
        tokens each is on average, ``[tokens]`` float32; and the share of all the teacher's tokens in the sentences that
        the student has.

    Raises:
        InputError: a file is damaged.
    """
    size = max(tokens.values(), default=0) + 1
    sums, counts, lengths = np.zeros((size, 0), np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    total = shared = 0
    for number in range(shards):
        embeddings = shard_path(folder, number, "npy")
        path = tokens_path(embeddings)
        about = read_json(embeddings.with_suffix(".json"), ["tokens_sha256", "dimensions"])
        try:
            if sha256(path) != about["tokens_sha256"]:
                raise InputError(
                    f"{path}: damaged: its hash is not the one in {embeddings.stem}.json; delete it to make it again"
                )
            table = polars.read_parquet(path)
        except (polars.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path}: expected token sums, found {first_line(error)}") from error
        if not number:
            sums = np.zeros((size, about["dimensions"]), np.float32)
        ids = np.array([tokens.get(token, -1) for token in table["token"]], np.int64)
        pieces, occurrences = table["pieces"].to_numpy(), table["count"].to_numpy()
        total += occurrences[pieces == 1].sum()
        shared += occurrences[(pieces == 1) & (ids >= 0)].sum()
        known = np.flatnonzero(ids >= 0)
        np.add.at(sums, ids[known], table["sum"].to_numpy()[known])
        np.add.at(counts, ids[known], occurrences[known])
        np.add.at(lengths, ids[known], (occurrences * pieces)[known])
    return sums, counts, np.where(counts > 0, lengths / counts.clip(1), 1).astype(np.float32), shared / max(total, 1)
