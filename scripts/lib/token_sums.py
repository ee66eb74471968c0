"""What a teacher makes of each token in its sentences: sums of last hidden states, counted while it embeds them."""

from pathlib import Path

import numpy as np
import polars
import torch
from tokenizers import Tokenizer
from torch import Tensor

from lib.job.command import InputError, first_line
from lib.job.files import read_json, replacing, sha256
from lib.shards import shard_path


class TokenSums:
    """How often each token of a teacher occurs in some sentences, and the sum of its last hidden states there."""

    def __init__(self, tokenizer: Tokenizer, dimensions: int, device: str) -> None:
        """Begin with no sentences."""
        self.vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        size = max(self.vocabulary.values(), default=0) + 1
        self.counts = torch.zeros(size, dtype=torch.int64, device=device)
        self.sums = torch.zeros(size, dimensions, device=device)

    def add(self, ids: Tensor, counted: Tensor, hidden: Tensor) -> None:
        """Add the tokens of a batch.

        Args:
            ids: token ids, ``[tokens]`` int64.
            counted: 1 for each that counts and 0 for others, such as padding; ``[tokens]`` float32.
            hidden: their hidden states times that, ``[tokens, dimensions]`` float32.
        """
        self.counts.index_add_(0, ids, counted.long())
        self.sums.index_add_(0, ids, hidden)

    def write(self, path: Path) -> None:
        """Write the tokens that occur: the columns ``token``, ``count``, and ``sum`` as an array of float32."""
        names = {number: token for token, number in self.vocabulary.items()}
        present = self.counts.nonzero().flatten()
        kind = polars.Array(polars.Float32, self.sums.shape[1])
        columns = {
            "token": polars.Series([names.get(number) for number in present.tolist()], dtype=polars.String),
            "count": self.counts[present].cpu().numpy(),
            "sum": polars.Series(self.sums[present].cpu().numpy(), dtype=kind),
        }
        with replacing(path) as temporary:
            polars.DataFrame(columns).write_parquet(temporary, compression="uncompressed")

    def read(self, path: Path) -> None:
        """Continue with what was written.

        Raises:
            polars.exceptions.PolarsError, OSError, ValueError, KeyError: the file is missing, damaged or another's.
        """
        table = polars.read_parquet(path)
        ids = torch.tensor([self.vocabulary[token] for token in table["token"]], dtype=torch.int64)
        sums = torch.from_numpy(table["sum"].to_numpy().copy())
        if sums.shape != (len(ids), self.sums.shape[1]):
            raise ValueError(f"{path}: expected sums of {self.sums.shape[1]} dimensions, found {tuple(sums.shape)}")
        self.counts[ids.to(self.counts.device)] = torch.tensor(table["count"].to_list()).to(self.counts)
        self.sums[ids.to(self.sums.device)] = sums.to(self.sums)


def tokens_path(embeddings: Path) -> Path:
    """The file of token sums beside a file of embeddings."""
    return embeddings.with_suffix(".tokens.parquet")


def read_token_sums(folder: Path, shards: int, tokens: dict[str, int]) -> tuple[np.ndarray, np.ndarray, float]:
    """The token sums of some shards of embeddings, for a student's tokens.

    Args:
        folder: the folder of the embeddings.
        shards: how many to read, from the first on.
        tokens: the id of each token of the student. Tokens that the teacher does not have get nothing.

    Returns:
        Sums, ``[tokens, the teacher's dimensions]`` float32, counts, ``[tokens]`` float32, and the share of all
        occurrences that are of tokens that the student has.

    Raises:
        InputError: a file is damaged.
    """
    size = max(tokens.values(), default=0) + 1
    sums, counts, total = np.zeros((size, 0), np.float32), np.zeros(size, np.float32), 0.0
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
        known = ids >= 0
        sums[ids[known]] += table["sum"].to_numpy()[known]
        counts[ids[known]] += table["count"].to_numpy()[known]
        total += float(table["count"].to_numpy().sum())
    return sums, counts, float(counts.sum()) / max(total, 1.0)
