"""Release folders uploaded to a hub of this machine by the real client, from a checkout under git."""

import json
import subprocess
import sys

import pytest
from loopback import COMMIT, serving
from workflow import copy_checkout

from lib.job.files import HASHES, sha256, write_hashes

FILES = ["README.md", "LICENSE", "config.json", "model.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx"]
FILES += ["tokenizer.json", "int8/model.safetensors", ".eval_results/mteb.yaml"]
SETTINGS = {"m": {"scored_as": "m", "quantized": "pretrained", "most_lost": 0.1}}


def git(checkout, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, encoding="utf-8", check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A checkout without changes, and a run that its commit made of one model and two tasks."""
    checkout = copy_checkout(tmp_path / "checkout")
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "all")
    run = checkout / "results" / "made"
    for name in FILES:
        path = run / "release" / "m" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"---\nlicense: mit\n---\n{name}")
    write_hashes(run / "release" / "m")
    (run / "config.yaml").write_text(f"# commit: {git(checkout, 'rev-parse', 'HEAD')}\nrun: made\n")
    write_summary(run, 70.0)
    return checkout


def write_summary(run, int8, tasks=("STS12", "STS13")):
    averages = [{"model": "m", "stage": stage, "STS": score} for stage, score in [("pretrained", 70.0), ("int8", int8)]]
    rows = [{"model": "m", "stage": "int8", "task": task, "score": int8} for task in tasks]
    (run / "summary.json").write_text(json.dumps({"averages": averages, "rows": rows}))


def publish(checkout, hub, *options):
    run = checkout / "results" / "made"
    command = [sys.executable, "scripts/publish.py", "--releases", run / "release" / "m", "--tasks", "STS12", "STS13"]
    command += ["--summary", run / "summary.json", "--config", run / "config.yaml", "--settings", json.dumps(SETTINGS)]
    return subprocess.run(
        [*command, *options], cwd=checkout, env=hub, capture_output=True, encoding="utf-8", check=False, timeout=120
    )


def test_a_folder_arrives_whole_in_a_private_repository_and_is_recorded(checkout, tmp_path):
    run, root = checkout / "results" / "made", tmp_path / "hub"
    files = [*FILES, "model.sig"]
    (run / "release" / "m" / "model.sig").write_text("a signature of the author's")
    with serving(root, tmp_path / "cache") as (server, hub):
        listed = publish(checkout, hub, "--owner", "me")
        assert listed.returncode == 0, listed.stderr
        assert not root.exists()
        done = publish(checkout, hub, "--owner", "me", "--output", run / "published.json")
        again = publish(checkout, hub, "--owner", "me", "--output", run / "published.json")
    assert done.returncode == again.returncode == 0, done.stderr + again.stderr
    for output in (listed.stderr, done.stderr):
        assert output.startswith("me/m\n")
        assert all(name in output for name in files)
        assert hub["HF_TOKEN"] not in output
    assert server.visibility == {"me/m": "private"}
    for name in files:
        assert (root / "models" / "me" / "m" / name).read_bytes() == (run / "release" / "m" / name).read_bytes()
    (record,) = json.loads((run / "published.json").read_text(encoding="utf-8"))["models"].values()
    assert (record["repository"], record["commit"]) == ("me/m", COMMIT)
    assert record["sha256"] == {name: sha256(run / "release" / "m" / name) for name in [*files, HASHES]}


def lose_a_score(checkout):
    write_summary(checkout / "results" / "made", 70.0, tasks=["STS12"])


def lose_quality(checkout):
    write_summary(checkout / "results" / "made", 69.8)


def lose_a_file(checkout):
    (checkout / "results" / "made" / "release" / "m" / "tokenizer.json").unlink()


def flip_a_bit(checkout):
    path = checkout / "results" / "made" / "release" / "m" / "int8" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def edit_a_script(checkout):
    (checkout / "scripts" / "train.py").write_text("pass\n")


def make_with_changes(checkout):
    (checkout / "results" / "made" / "config.yaml").write_text(f"# commit: {COMMIT}, with changes in 2 file(s)\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose_a_score, "release/m: expected a score on STS13, found none"),
        (lose_quality, "release of m: int8 has 69.80 in STS, pretrained has 70.00: expected a loss of at most 0.1"),
        (lose_a_file, "release/m: expected the file tokenizer.json, found none"),
        (flip_a_bit, "release/m/int8/model.safetensors: damaged: its hash is not the one in .sha256.json"),
        (edit_a_script, "with changes in 1 file(s): expected one without changes; commit them and run again"),
        (make_with_changes, f"config.yaml: made from commit {COMMIT}, with changes in 2 file(s): expected one without"),
    ],
)
def test_what_is_not_fit_is_refused_before_any_upload(checkout, tmp_path, spoil, message):
    spoil(checkout)
    with serving(tmp_path / "hub", tmp_path / "cache") as (_, hub):
        done = publish(checkout, hub, "--owner", "me", "--output", tmp_path / "published.json")
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "hub").exists()
    assert not (tmp_path / "published.json").exists()


def test_a_hub_that_refuses_and_an_owner_that_is_missing_are_one_line(checkout, tmp_path):
    with serving(tmp_path / "hub", tmp_path / "cache") as (_, hub):
        wrong = hub | {"HF_TOKEN": "hf_another"}
        refused = publish(checkout, wrong, "--owner", "me", "--output", tmp_path / "published.json")
        nobody = publish(checkout, hub, "--output", tmp_path / "published.json")
    assert refused.returncode == nobody.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "publish me/m: " in refused.stderr.splitlines()[-1]
    assert "401" in refused.stderr.splitlines()[-1]
    assert "hf_another" not in refused.stderr
    assert nobody.stderr.splitlines()[-1].endswith(
        "release.owner: expected the hub's user or organisation to publish under, found none"
    )
    assert not (tmp_path / "published.json").exists()
