"""Embed one shard of sentences with the teacher, and sum up its hidden states by token.

Finished rows are kept in a folder beside the output, so a killed job continues where it was. The complete file stays
there too, as a hard link of the output, because Snakemake removes the outputs of a job before it runs: embeddings are
not computed again unless something has changed that decides them.
"""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

import numpy as np
import polars

from lib import packed_linear, teacher, token_sums, transformer
from lib.job.command import InputError, run
from lib.job.device import add_device_arguments, device_name, job_device
from lib.job.files import claim, read_json, remove, replacing, sha256, write_json
from lib.job.progress import progress, say
from lib.job.provenance import versions
from lib.model_folder import check_unchanged
from lib.precision import has_fast_bfloat16
from lib.shards import read_sentences
from lib.teacher import POOLINGS, Teacher
from lib.token_sums import LEAST_COUNT, TokenSums, tokens_path

SECONDS_BETWEEN_FLUSHES = 30


def kept_folder(output: Path) -> Path:
    """The folder that keeps the embeddings of an output, during and after the job."""
    return output.parent / "kept" / output.stem


def key_of(settings: dict) -> str:
    """A hash of everything that decides the embeddings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def is_whole(embeddings: Path) -> bool:
    """Whether a file of embeddings and that of its token sums are finished and unchanged."""
    try:
        about = read_json(embeddings.with_suffix(".json"), ["sha256", "tokens_sha256"])
        return (about["sha256"], about["tokens_sha256"]) == (sha256(embeddings), sha256(tokens_path(embeddings)))
    except (InputError, FileNotFoundError):
        return False


class HalfDone:
    """A file of embeddings, ``[rows, dimensions]`` float16, which rows are done, and the token sums of these.

    Continues that of a killed job.

    Beside each row that is done is the number of tokens that the next batch could have, which becomes smaller if memory
    does not suffice. A job that continues takes the smallest: other batches would give other bytes.
    """

    def __init__(self, path: Path, rows: int, dimensions: int, sums: TokenSums) -> None:
        """Open an existing file of the same shape and read its token sums, or create one."""
        self.path, self.sums = path, sums
        self.list = path.with_suffix(".done.npy")
        try:
            self.budgets = np.load(self.list, allow_pickle=False)
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            fits = self.budgets.shape == (rows,) and self.budgets.dtype == np.int64
            fits = fits and mapped.shape == (rows, dimensions)
            fits = fits and mapped.dtype == np.float16 and mapped.flags.c_contiguous
            if fits and self.done.any():
                sums.read(self.sums_path())
        except (OSError, ValueError, EOFError, KeyError, polars.exceptions.PolarsError):
            fits = False
        if not fits:
            self.list.unlink(missing_ok=True)
            self.budgets = np.zeros(rows, np.int64)  # 0: not done
            mapped = np.lib.format.open_memmap(path, "w+", np.float16, (rows, dimensions))
        self.start, self.stride = mapped.offset, mapped.strides[0]
        self.file = path.open("r+b", buffering=0)
        self.flushed = time.monotonic()

    @property
    def done(self) -> np.ndarray:
        """Which rows are done, ``[rows]`` bool."""
        return self.budgets > 0

    def sums_path(self) -> Path:
        """The file of the token sums of the rows that are done."""
        return tokens_path(self.path.with_suffix(f".{int(self.done.sum())}.npy"))

    def budget(self, default: int) -> int:
        """The number of tokens in a batch to continue with."""
        return int(self.budgets[self.done].min(initial=default))

    def write(self, rows: np.ndarray, embeddings: np.ndarray, budget: int) -> None:
        """Write some rows, and flush them every half minute, so that they survive a kill.

        Args:
            rows: their numbers.
            embeddings: ``[len(rows), dimensions]``.
            budget: the number of tokens that the next batch may have.

        Raises:
            InputError: a row is not finite in float16.
        """
        with np.errstate(over="ignore"):
            halves = embeddings.astype(np.float16)
        bad = np.flatnonzero(~np.isfinite(halves).all(axis=1))
        if len(bad):
            raise InputError(f"row {rows[bad[0]]}: expected a finite embedding in float16, found NaN or infinity")
        for row, values in zip(rows.tolist(), halves, strict=True):
            os.pwrite(self.file.fileno(), values, self.start + row * self.stride)
        self.budgets[rows] = budget
        if time.monotonic() - self.flushed >= SECONDS_BETWEEN_FLUSHES:
            self.flush()

    def flush(self) -> None:
        """Flush the rows to disk and write their token sums, then which rows are done."""
        os.fsync(self.file.fileno())
        self.sums.write(self.sums_path())
        with replacing(self.list) as temporary, temporary.open("wb") as file:
            np.save(file, self.budgets)
        self.remove_sums({self.sums_path()})
        self.flushed = time.monotonic()

    def remove_sums(self, current: set[Path]) -> None:
        """Remove the token sums of fewer rows."""
        for path in set(self.path.parent.glob(f"{self.path.stem}.*.tokens.parquet")) - current:
            remove(path)

    def finish(self) -> None:
        """Close the file, all of whose rows are done, and write the token sums."""
        self.file.close()
        self.sums.write(tokens_path(self.path), LEAST_COUNT)
        self.list.unlink(missing_ok=True)
        self.remove_sums(set())


def write_embeddings(loaded: Teacher, sentences: list[str], file: HalfDone, label: str) -> int:
    """Embed and write the sentences that are not done; return their number."""
    left = int((~file.done).sum())
    loaded.tokens_per_batch = file.budget(loaded.tokens_per_batch)
    loaded.sums = file.sums
    batches = loaded.embed(sentences, file.done)
    try:
        for rows, embeddings in progress(batches, left, label, "sentences", lambda batch: len(batch[0])):
            file.write(rows, embeddings, loaded.tokens_per_batch)
    finally:
        file.flush()
    return left


def publish(kept: Path, output: Path) -> None:
    """Link the kept embeddings, their token sums and their report to the output's names."""
    about = (kept.with_suffix(".json"), output.with_suffix(".json"))
    for source, target in [(kept, output), (tokens_path(kept), tokens_path(output)), about]:
        with replacing(target) as temporary:
            try:
                temporary.hardlink_to(source)
            except OSError:  # a file system without hard links: only the output is kept
                source.replace(temporary)


def main(argv: list[str]) -> None:
    """Embed one shard."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sentences", type=Path, required=True, help="the sentence shard")
    parser.add_argument("--teacher", type=Path, required=True, help="the teacher's folder")
    parser.add_argument("--checked", type=Path, required=True, help="the JSON file of check_teacher.py")
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--pooling", choices=POOLINGS, default="mean")
    parser.add_argument("--prompt", default="", help="text before each sentence")
    add_device_arguments(parser)
    parser.add_argument(
        "--output", type=Path, required=True, help="the npy file to write; token sums and a JSON report are beside it"
    )
    args = parser.parse_args(argv)
    os.environ.setdefault("RAYON_NUM_THREADS", str(args.threads))
    label = f"embed {args.sentences.stem}"
    sentences = read_sentences(args.sentences)
    device = job_device(args)
    settings = {"max_length": args.max_length, "pooling": args.pooling, "prompt": args.prompt}
    decides = settings | {
        "sentences": sha256(args.sentences),
        "teacher": check_unchanged(args.teacher, args.checked),
        "device": device,
        "bfloat16": has_fast_bfloat16(device),
        "versions": versions("torch", "transformers", "tokenizers"),
        "code": [sha256(Path(str(module.__file__))) for module in (packed_linear, teacher, token_sums, transformer)],
    }
    folder = kept_folder(args.output)
    with claim(folder):
        kept = folder / f"{key_of(decides)}.npy"
        for other in folder.iterdir():
            if other.is_file() and not other.name.startswith((kept.stem, ".claimed")):
                remove(other)
        if is_whole(kept):
            say(f"{label}: sentences, teacher and settings have not changed; the embeddings are reused")
        else:
            kept.with_suffix(".json").unlink(missing_ok=True)
            loaded = Teacher(args.teacher, args.max_length, args.pooling, device, args.prompt)
            sums = TokenSums(loaded.tokenizer.backend_tokenizer, loaded.hidden_size, device)
            file = HalfDone(kept, len(sentences), loaded.hidden_size, sums)
            if file.done.any():
                say(f"{label}: {file.done.sum():,} of {len(sentences):,} sentences are embedded already")
            start = time.monotonic()
            try:
                count = write_embeddings(loaded, sentences, file, label)
            except InputError as error:
                raise InputError(f"{args.sentences}: {error}") from error
            file.finish()
            say(f"embed: {count / (time.monotonic() - start):,.0f} sentences/s on {device}")
            about = {
                "teacher_sha256": decides["teacher"]["model.safetensors"],
                **settings,
                "device": device_name(device),
                "dtype": str(loaded.model.dtype).removeprefix("torch."),
                "versions": decides["versions"],
            }
            hashes = {"sha256": sha256(kept), "tokens_sha256": sha256(tokens_path(kept))}
            hashes |= {"sentences_sha256": decides["sentences"]}
            shape = {"rows": len(sentences), "dimensions": loaded.hidden_size}
            write_json(kept.with_suffix(".json"), shape | hashes | about)
        publish(kept, args.output)


if __name__ == "__main__":
    run(main)
