"""Read what a training with ``initial: contextual`` begins with."""

from pathlib import Path

from model2vec import StaticModel

from lib.job.command import InputError
from lib.shards import RowsOnDisk, each_shard, shard_path
from lib.token_sums import read_token_sums
from lib.training import Context

LEAST_SHARE = 0.5  # of a teacher's tokens that the student has to know


def read_context(folder: Path, sentences: Path, shards: int, student: StaticModel) -> Context:
    """The token sums and the embeddings of a teacher, for a student's tokens.

    Args:
        folder: the teacher's folder of embedding shards and token sums.
        sentences: the folder of the sentence shards.
        shards: how many to read, from the first on.
        student: the distilled model.

    Raises:
        InputError: a file is damaged, or the student has few of the teacher's tokens.
    """
    for _ in each_shard(folder, sentences, shards):  # each is checked
        pass
    sums, counts, pieces, share = read_token_sums(folder, shards, student.tokenizer.get_vocab())
    if share < LEAST_SHARE:
        raise InputError(
            f"training.initial: contextual: expected a student with the tokens of the teacher in {folder}, found one "
            f"that has {100 * share:.0f} % of those in the sentences; use aligned"
        )
    return Context(sums, counts, pieces, RowsOnDisk([shard_path(folder, i, "npy") for i in range(shards)]))
