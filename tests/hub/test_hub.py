"""Teacher, corpus, baseline and task from a hub: a small one of made data, asked by the real clients."""

import gzip
import json
import os
import re
import socket
import subprocess
import sys
from contextlib import suppress
from threading import Thread

import polars
import pytest
from loopback import COMMIT, serving
from workflow import NO_HUB, REPOSITORY, RUN, copy_checkout, planned, snakemake, tiny_config

from lib.job.files import sha256
from lib.overlap import normalized_words
from lib.plan.sources import parse_source
from synthetic import synthetic_sentences, write_teacher

TESTED = [text for text, _ in synthetic_sentences(120, seed=7)]
PLANTED = [TESTED[0], TESTED[50], TESTED[110]]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The hub's folder: a teacher, texts in the shape of C4, and mteb's STSBenchmark with made sentences."""
    root = tmp_path_factory.mktemp("hub")
    write_teacher(root / "models" / "made" / "teacher")
    texts = [text for text, _ in synthetic_sentences(600)]
    for i in range(3):
        file = root / "datasets" / "made" / "texts" / "en" / f"c4-train.0000{i}-of-00003.json.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        documents = [f"{texts[j]} {texts[j + 1]}" for j in range(200 * i, 200 * i + 200, 2)]
        documents[5] += f" {PLANTED[i]} So they said: {PLANTED[i].lower()}"
        file.write_bytes(gzip.compress("\n".join(json.dumps({"text": d}) for d in documents).encode()))
    task = root / "datasets" / "mteb" / "stsbenchmark-sts" / "data" / "test.parquet"
    task.parent.mkdir(parents=True)
    scores = [float(i % 6) for i in range(60)]
    polars.DataFrame({"sentence1": TESTED[:60], "sentence2": TESTED[60:], "score": scores}).write_parquet(task)
    return root


@pytest.fixture(scope="module")
def hub_config(tmp_path_factory):
    """The tiny run with its teacher, corpus, baseline and a task from the hub."""
    config = tiny_config(tmp_path_factory.mktemp("data") / "data", "unused")
    teacher = f"hub:made/teacher@{COMMIT}"
    config["teacher"]["source"] = teacher
    config["corpus"] |= {"source": f"hub:made/texts@{COMMIT}/en/c4-train.*.json.gz", "documents": "enough"}
    config["baselines"]["teacher"] = teacher
    config["evaluation"]["tasks"] = ["STSBenchmark"]
    return config


def test_sources_of_a_hub_that_breaks_downloads_come_whole_and_serve_offline_afterwards(root, hub_config, tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    with serving(root, tmp_path / "asked") as (_, hub):
        plan = snakemake(checkout, "plan", config=hub_config, hub=hub).stdout
    weights = (root / "models" / "made" / "teacher" / "model.safetensors").stat().st_size / 1e6
    (megabytes,) = re.findall(r"^\| teacher-\w+ \| ([\d.]+) \|$", plan, re.MULTILINE)
    assert weights <= float(megabytes) + 0.05
    assert "| STSBenchmark | 0.1 |" in plan and not (checkout / "results" / "sources").exists()
    with serving(root, tmp_path / "cache", breaks=True) as (server, hub):
        done = snakemake(checkout, "downloads", "corpus", config=hub_config, hub=hub)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert {"model.safetensors", "c4-train.00001-of-00003.json.gz", "test.parquet"} <= {p.name for p in server.broken}

    results = checkout / "results" / RUN
    manifest = json.loads((results / "corpus" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["test_texts"]["STSBenchmark"]["dropped"] == manifest["counts"]["test_text"] >= 2
    shards = sorted((results / "corpus" / "sentences").iterdir())
    texts = polars.concat([polars.read_parquet(shard) for shard in shards])["text"].to_list()
    kept = [" ".join(normalized_words(text)) for text in texts]
    assert len(kept) == 256
    assert not [text for text in kept for planted in PLANTED if " ".join(normalized_words(planted)) in text]

    private = [hub["HF_TOKEN"], hub["HF_ENDPOINT"].removeprefix("http://"), hub["HF_HOME"]]
    for path in checkout.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [value for value in private if value.encode() in content], path

    offline = NO_HUB | {"HF_HOME": str(tmp_path / "empty")}
    for name in ["fetch", "fetch_task"]:  # an edited script downloads nothing again
        with (checkout / "scripts" / f"{name}.py").open("a", encoding="utf-8") as file:
            file.write("\n# edited\n")
    assert planned(snakemake(checkout, "-n", "downloads", "corpus", config=hub_config, hub=offline)) == {}
    score = results / "mteb" / "results" / "teacher" / "baseline" / "STSBenchmark.json"
    scored = snakemake(checkout, str(score.relative_to(checkout)), config=hub_config, hub=offline)
    assert scored.returncode == 0, scored.stderr[-3000:]
    assert json.loads(score.read_text(encoding="utf-8"))["task_name"] == "STSBenchmark"


OTHER = "f" * 40


def run_script(name: str, environment: dict, *options) -> subprocess.CompletedProcess:
    command = [sys.executable, REPOSITORY / "scripts" / f"{name}.py", *options]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"])
def test_a_hub_that_never_answers_or_is_busy_is_one_line(answer, tmp_path):
    connections = []

    def serve(server):
        with suppress(OSError):
            while True:
                connections.append(server.accept()[0])
                connections[-1].sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, args=[server], daemon=True).start()
        hub = {"HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}", "HF_HOME": str(tmp_path / "cache")}
        hub |= {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_OFFLINE": "0"}
        done = run_script("fetch", hub, "--source", f"hub:made/a@{COMMIT}", "--output", tmp_path / "out")
    assert connections and done.returncode == 1 and not (tmp_path / "out").exists()
    assert re.fullmatch(rf"fetch\.py: error: hub made/a@{COMMIT}: download failed: .*\n", done.stderr)


def test_a_repository_that_the_hub_lacks_is_one_line_without_its_address(root, tmp_path):
    source = f"hub:made/nothing@{COMMIT}"
    with serving(root, tmp_path / "cache") as (_, hub):
        done = run_script("fetch", hub, "--source", source, "--output", tmp_path / "out")
    assert done.returncode == 1
    assert f"fetch.py: error: hub made/nothing@{COMMIT}: download failed" in done.stderr
    assert hub["HF_ENDPOINT"].removeprefix("http://") not in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


SCRIPT_OF = {
    "teacher": ("fetch", ["--source", f"hub:made/teacher@{COMMIT}"]),
    "task": ("fetch_task", ["--task", "STSBenchmark"]),
}


@pytest.mark.parametrize("which", ["other_commit", "other_files"])
@pytest.mark.parametrize("what", SCRIPT_OF)
def test_a_hub_that_answers_with_another_commit_is_not_believed(root, tmp_path, which, what):
    script, options = SCRIPT_OF[what]
    with serving(root, tmp_path / "cache") as (server, hub):
        setattr(server, which, OTHER)
        done = run_script(script, hub, *options, "--output", tmp_path / "out")
    assert done.returncode == 1 and OTHER in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", SCRIPT_OF)
def test_another_commit_that_was_believed_once_is_not_taken_from_the_cache(root, tmp_path, what):
    script, options = SCRIPT_OF[what]
    with serving(root, tmp_path / "cache") as (server, hub):
        server.other_commit = OTHER
        believed = hub | {"HUB_COMMITS_UNCHECKED": "1"}
        assert run_script(script, believed, *options, "--output", tmp_path / "out").returncode == 0
        assert run_script(script, hub, *options, "--output", tmp_path / "again").returncode == 1


def test_texts_of_another_commit_are_not_streamed(root, tmp_path):
    source = parse_source(f"hub:made/texts@{COMMIT}/en/c4-train.*.json.gz")
    code = (
        f"from lib.documents import hub_files; from lib.plan.sources import Source; print(len(hub_files({source!r})))"
    )
    command = [sys.executable, "-c", code]
    with serving(root, tmp_path / "cache") as (server, hub):
        environment = os.environ | hub | {"PYTHONPATH": str(REPOSITORY / "scripts")}
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)
        assert done.stdout == "3\n"
        server.other_files = OTHER
        fresh = environment | {"HF_HOME": str(tmp_path / "fresh")}
        done = subprocess.run(command, env=fresh, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 1 and OTHER in done.stderr


def test_without_a_hub_no_other_commit_of_a_task_is_taken_from_the_cache(root, tmp_path):
    """What datasets made of another commit would be scored under the pinned one."""
    load = "import datasets; datasets.load_dataset('mteb/stsbenchmark-sts', revision='{}')"
    options = ["--task", "STSBenchmark", "--output", tmp_path / "task.arrow"]
    with serving(root, tmp_path / "cache") as (_, hub):
        command = [sys.executable, "-c", load.format(OTHER)]
        assert subprocess.run(command, env=os.environ | hub, capture_output=True, check=False).returncode == 0
    offline = NO_HUB | {"HF_HOME": hub["HF_HOME"]}
    done = run_script("fetch_task", offline, *options)
    assert done.returncode == 1 and "STSBenchmark" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "task.arrow").exists()


def test_a_source_is_found_again_without_a_hub_and_in_part_it_is_not(root, tmp_path):
    options = ["--source", f"hub:made/teacher@{COMMIT}", "--output"]
    with serving(root, tmp_path / "cache") as (_, hub):
        assert run_script("fetch", hub, *options, tmp_path / "first").returncode == 0
    offline = NO_HUB | {"HF_HOME": hub["HF_HOME"]}
    assert run_script("fetch", offline, *options, tmp_path / "again").returncode == 0
    assert sha256(tmp_path / "first") == sha256(tmp_path / "again")
    (missing,) = tmp_path.glob("cache/hub/models--made--teacher/snapshots/*/vocab.txt")
    missing.unlink()
    done = run_script("fetch", offline, *options, tmp_path / "part")
    assert done.returncode == 1 and "Traceback" not in done.stderr and not (tmp_path / "part").exists()


def test_a_file_that_is_not_what_its_hash_promises_is_refused(root, tmp_path):
    command = [sys.executable, REPOSITORY / "scripts" / "fetch.py", "--source", f"hub:made/teacher@{COMMIT}"]
    with serving(root, tmp_path / "cache", honest=False) as (_, hub):
        done = subprocess.run(
            [*command, "--output", tmp_path / "out"],
            env=os.environ | hub,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.search(f"config\\.json: .*{'0' * 64}", done.stderr)
    assert not (tmp_path / "out").exists()
