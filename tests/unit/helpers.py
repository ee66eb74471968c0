"""What several unit tests share: shards on disk and a small static model."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pyarrow
from tokenizers import ByteLevelBPETokenizer, SentencePieceUnigramTokenizer
from transformers import PreTrainedTokenizerFast

import distill
from lib.job.files import read_json, sha256, write_json
from lib.model_folder import teacher_hashes
from lib.task_data import write_splits
from lib.token_sums import tokens_path


def write_shard(path: Path, sentences: list[str]) -> Path:
    """Write a sentence shard as ``sample_sentences.py`` does, and its hash into the manifest beside its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    polars.DataFrame({"text": sentences}).write_parquet(path)
    hashes = {shard.name: sha256(shard) for shard in path.parent.glob("*.parquet")}
    write_json(path.parents[1] / "manifest.json", {"shards": hashes})
    return path


def write_checked(path: Path, teacher: Path) -> Path:
    """Write the hashes of a teacher's files as ``check_teacher.py`` does."""
    write_json(path, {"files": teacher_hashes(teacher)})
    return path


def write_embeddings(sentences: Path, embeddings: np.ndarray) -> Path:
    """Write the embeddings of a sentence shard beside it as ``embed.py`` does."""
    path = sentences.with_suffix(".npy")
    np.save(path, embeddings.astype(np.float16))
    hashes = {"sha256": sha256(path), "sentences_sha256": sha256(sentences)}
    teacher = {"teacher_sha256": "", "max_length": 64, "pooling": "mean", "prompt": ""}
    shape = {"rows": len(embeddings), "dimensions": embeddings.shape[1]}
    write_json(path.with_suffix(".json"), hashes | shape | teacher)
    return path


def write_token_sums(embeddings: Path, tokens: list[str], counts: np.ndarray, sums: np.ndarray) -> None:
    """Write token sums beside a shard of embeddings, and their hash into its report, as ``embed.py`` does."""
    sums_column = polars.Series(sums, dtype=polars.Array(polars.Float32, 32))
    columns = {"token": tokens, "pieces": np.ones(len(tokens), np.int64), "count": counts, "sum": sums_column}
    polars.DataFrame(columns).write_parquet(tokens_path(embeddings))
    about = read_json(embeddings.with_suffix(".json"), [])
    write_json(embeddings.with_suffix(".json"), about | {"tokens_sha256": sha256(tokens_path(embeddings))})


def write_task(path: Path, subset: str = "default", **splits: dict[str, list]) -> Path:
    """Write a task's data, each split as lists by column."""
    tables = {split: pyarrow.table(columns) for split, columns in splits.items()}
    columns = next(iter(tables.values())).column_names
    write_splits(path, [(subset, split, [table]) for split, table in tables.items()], columns)
    return path


def embed_shard(sentences: Path, teacher: Path, output: Path, *more: str) -> list[str]:
    """The command line that embeds a shard."""
    checked = write_checked(output.parent / "checked.json", teacher)
    command = ["--sentences", sentences, "--teacher", teacher, "--checked", checked, "--output", output, *more]
    return [str(part) for part in command]


def distilled(teacher: Path, folder: Path, dimensions: int = 16, words: Path | None = None) -> Path:
    """Distill the teacher into a static model folder, with the words of a file if there is one."""
    checked = write_checked(folder.with_suffix(".checked.json"), teacher)
    command = ["--teacher", teacher, "--checked", checked, "--dimensions", dimensions, "--output", folder]
    command += ["--vocabulary", words] if words else []
    distill.main([str(part) for part in command])
    return folder


def make_unigram(folder: Path, teacher: Path, sentences: list[str]) -> Path:
    """The teacher with a Unigram tokenizer in place of its own."""
    return with_tokenizer(folder, teacher, SentencePieceUnigramTokenizer(), sentences, 200, unk_token="[UNK]")


def make_byte_level(folder: Path, teacher: Path, sentences: list[str]) -> Path:
    """The teacher with a byte-level BPE tokenizer in place of its own."""
    return with_tokenizer(folder, teacher, ByteLevelBPETokenizer(), sentences, 300)


def with_tokenizer(folder: Path, teacher: Path, tokenizer: Any, sentences: list[str], size: int, **more: str) -> Path:
    """The teacher with a tokenizer of the sentences in place of its own."""
    shutil.copytree(teacher, folder, ignore=shutil.ignore_patterns("vocab.txt", "tokenizer*"))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(sentences, vocab_size=size, special_tokens=special, **more)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer._tokenizer, **names).save_pretrained(folder)
    return folder
