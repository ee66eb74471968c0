"""Faults that are injected for real: a disk that is full, a kill, a download that is damaged afterwards."""

import json
import os
import resource
import shutil
import sys
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest
from helpers import distilled, write_checked, write_embeddings, write_shard, write_task

import check_teacher
import distill
import embed
import evaluate
import measure_speed
import prepare_task
import quantize
import sample_sentences as sample
import train
from lib.job.command import InputError
from lib.job.files import sha256, write_hashes

TRAINING = "--loss cosine --temperature 0.1 --batch-size 32 --learning-rate 0.01 --seed 1"
TRAINING = [*TRAINING.split(), "--epochs", 1, "--patience", 1]
ROOM = 1500  # bytes that a file may have: less than the scripts' first one needs


@contextmanager
def full_disk():
    """Let no file grow beyond ``ROOM``, as a full disk or a quota would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class Killed(BaseException):
    """What no script expects."""


@contextmanager
def killed(folder, number):
    """Let no file in a folder be opened for writing, renamed or removed from the ``number``-th time on, as if killed.

    The list that this yields then has an item.
    """
    done, began = count(1), []

    def look(event, arguments):
        writes = event == "open" and (arguments[1] or "r")[0] not in "r"
        writes |= event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        changes = event in ("os.rename", "os.remove", "os.link")
        if (writes or changes) and str(folder) in str(arguments[0]) and next(done) >= number:
            began.append(event)
            raise Killed

    LOOKS.append(look)
    try:
        yield began
    except Killed:
        pass
    finally:
        LOOKS.pop()


LOOKS: list = []
sys.addaudithook(lambda event, arguments: LOOKS and LOOKS[-1](event, arguments))  # cannot be removed


@pytest.fixture
def commands(teacher_folder, sentences, tmp_path):
    """The command lines of scripts without their outputs, and the options of these."""
    shard = write_shard(tmp_path / "in" / "sentences" / "00000.parquet", sentences)
    model = distilled(teacher_folder, tmp_path / "in" / "model")
    teacher = ["--teacher", teacher_folder, "--checked", write_checked(tmp_path / "checked.json", teacher_folder)]
    write_embeddings(shard, np.random.default_rng(0).normal(size=(len(sentences), 32)))
    halves = {"sentence1": sentences[:200], "sentence2": sentences[200:], "score": [float(i % 7) for i in range(200)]}
    task, custom = write_task(tmp_path / "in" / "Made.arrow", test=halves), ["--custom", json.dumps({"Made": "STS"})]
    texts = tmp_path / "in" / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("\n\n".join(sentences))
    return {
        "sentences": (
            sample,
            ["--sources", json.dumps([f"path:{texts}"]), "--paths", texts, "--count", 200, "--shard-size", 100],
            {"--sentences": "corpus", "--manifest": "corpus/manifest.json"},
        ),
        "embed": (
            embed,
            ["--sentences", shard, *teacher, "--max-length", 64],
            {"--output": "teacher/00000.npy"},
        ),
        "distill": (distill, [*teacher, "--dimensions", 16], {"--output": "model"}),
        "quantize": (
            quantize,
            ["--model", model, "--sentences", shard],
            {"--int8": "int8", "--float16": "float16"},
        ),
        "train": (
            train,
            ["--student", model, "--sentences", shard.parent, "--count", 400, "--embeddings", shard.parent, *TRAINING],
            {"--output": "model"},
        ),
        "evaluate": (
            evaluate,
            ["--model", model, "--name", "m", "--revision", "distilled", "--tasks", task, "--seed", 0, *custom],
            {"--output": "scores", "--cache": "cache", "--resampled": "resampled.parquet"},
        ),
    }


@pytest.mark.parametrize("name", ["sentences", "embed", "distill", "quantize", "train", "evaluate"])
def test_a_full_disk_leaves_nothing_that_looks_finished_and_the_next_run_makes_it_whole(name, commands, tmp_path):
    script, arguments, outputs = commands[name]

    def run(folder):
        options = [part for option, path in outputs.items() for part in (option, tmp_path / folder / path)]
        script.main([str(part) for part in [*arguments, *options]])

    run("undisturbed")
    with pytest.raises(Exception, match="File too large"), full_disk():
        run("disturbed")
    left = {path.name for path in (tmp_path / "disturbed").rglob("*") if path.is_file()}
    finished = {"manifest.json", "00000.npy", "00000.json", "model.safetensors", "quantization.json", "training.json"}
    assert not left & (finished | {"result.json", "Made.json", "resampled.parquet"})
    assert not [path for path in left if path.endswith(".partial")]
    run("disturbed")
    whole = {path: tmp_path / "undisturbed" / path for path in outputs.values()}
    assert {path: sha256(tmp_path / "disturbed" / path) for path in whole} == {p: sha256(f) for p, f in whole.items()}


@pytest.mark.parametrize("name", ["sentences", "embed", "distill", "quantize", "train", "evaluate"])
def test_a_job_that_is_killed_at_any_change_of_a_file_leaves_none_that_looks_finished_and_is_not(
    name, commands, tmp_path
):
    script, arguments, outputs = commands[name]

    def run(folder):
        options = [part for option, path in outputs.items() for part in (option, tmp_path / folder / path)]
        script.main([str(part) for part in [*arguments, *options]])
        return {path.relative_to(tmp_path / folder): path for path in (tmp_path / folder).rglob("*") if path.is_file()}

    whole = {path: sha256(file) for path, file in run("undisturbed").items()}
    for number in count(1, 2):
        with killed(tmp_path / "disturbed", number) as began:
            run("disturbed")
        if not began:
            break
        for path in whole:
            file = tmp_path / "disturbed" / path
            assert "kept" in path.parts or not file.exists() or sha256(file) == whole[path], (number, path)
    assert number > 4
    assert {path: sha256(file) for path, file in run("disturbed").items()} == whole


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (
            sample,
            "--sources [] --paths {folder} --count 20 --documents all --shard-size 20"
            " --sentences {output} --manifest {output}/manifest.json",
        ),
        (prepare_task, "--name Mine --source {folder} --type STS --output {output}"),
        (check_teacher, "--teacher {folder} --max-length 64 --pooling mean --output {output}"),
        (
            evaluate,
            "--model {folder} --name peer --revision baseline --seed 0 --tasks {shard} --cache {output}/cache"
            " --resampled {output}/resampled.parquet --output {output}",
        ),
        (measure_speed, "--models {folder} --names m/int8 --sentences {shard} --threads 1 --output {output}"),
    ],
)
def test_a_download_or_stage_that_is_damaged_afterwards_is_named_by_what_reads_it(
    script, options, teacher_folder, sentences, tmp_path
):
    folder, output = shutil.copytree(teacher_folder, tmp_path / "made"), tmp_path / "output"
    (folder / "rows.csv").write_text("sentence1,sentence2,score\n" + "".join(f"{i},a,{i}\n" for i in range(9)))
    write_hashes(folder)
    with (folder / "vocab.txt").open("a") as file:
        file.write("x")
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences)
    with pytest.raises(InputError, match=r"vocab\.txt"):
        script.main(options.format(folder=folder, output=output, shard=shard).split())
    assert not output.exists()
