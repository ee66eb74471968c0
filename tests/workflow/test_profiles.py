"""The profiles: dry runs of each, what jobs ask for, and a run through a cluster's submit command that is made here."""

import re
import subprocess
import sys

import pytest
import yaml
from workflow import REPOSITORY, RUN, command, copy_checkout, planned, snakemake, tiny_config

PROFILES = sorted(path.parent.name for path in (REPOSITORY / "profiles").glob("*/profile.yaml"))


def asked(done) -> dict[str, dict[str, str]]:
    """The resources that a dry run's jobs ask for, by rule; the last job of a rule counts."""
    found = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", done.stdout, re.MULTILINE)
    return {
        rule: dict(re.findall(r"(\w+)=([^,\n]+)", block.partition("    resources: ")[2].partition("\n")[0]))
        for rule, block in found
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_a_dry_run_of_each_profile_plans_all(tmp_path, teacher_folder, profile):
    checkout = copy_checkout(tmp_path / "checkout")
    config = tiny_config(tmp_path / "data", teacher_folder)
    done = snakemake(checkout, "-n", "--workflow-profile", f"profiles/{profile}", config=config)
    assert planned(done)["all"] == 1


def test_gpu_jobs_are_those_that_use_one_and_a_cpu_serves_by_one_option(tmp_path, teacher_folder):
    checkout = copy_checkout(tmp_path / "checkout")
    config = tiny_config(tmp_path / "data", teacher_folder)
    jobs = asked(snakemake(checkout, "-n", config=config))
    with_gpu = {rule for rule, resources in jobs.items() if resources.get("gpu") == "1"}
    assert with_gpu == {"embed", "distill", "pretrain", "train_born_again", "evaluate_baseline"}
    jobs = asked(snakemake(checkout, "-n", "--resources", "gpu=0", config=config))
    assert {resources.get("gpu", "0") for resources in jobs.values()} == {"0"}


def test_a_static_baseline_asks_for_no_gpu(tmp_path, teacher_folder):
    static = tmp_path / "static"
    static.mkdir()
    (static / "config.json").write_text('{"model_type": "model2vec"}')
    (static / "model.safetensors").write_bytes(b"")
    checkout = copy_checkout(tmp_path / "checkout")
    config = tiny_config(tmp_path / "data", teacher_folder)
    config["baselines"] = {"static": f"path:{static}"}
    config["evaluation"]["baselines"] = ["static"]
    assert asked(snakemake(checkout, "-n", config=config))["evaluate_baseline"]["gpu"] == "0"


def test_memory_and_time_follow_the_teachers_weights_and_the_shards(tmp_path, teacher_folder):
    checkout = copy_checkout(tmp_path / "checkout")
    config = tiny_config(tmp_path / "data", teacher_folder)
    small = asked(snakemake(checkout, "-n", config=config))["embed"]
    with (tmp_path / "large.safetensors").open("wb") as file:
        file.truncate(1_340_000_000)
    large = tmp_path / "large"
    large.mkdir()
    for path in teacher_folder.iterdir():
        (large / path.name).write_bytes(path.read_bytes())
    (tmp_path / "large.safetensors").rename(large / "model.safetensors")
    config["teacher"]["source"] = f"path:{large}"
    config["corpus"]["shard_size"] = 16384
    asks = asked(snakemake(checkout, "-n", config=config))["embed"]
    assert int(small["mem_mb"]) < 2000 < 6000 < int(asks["mem_mb"]) < 8000
    assert int(small["runtime"]) < 15 < 60 < int(asks["runtime"]) < 180


def test_what_the_teacher_waits_for_comes_before_the_table(tmp_path, teacher_folder):
    checkout = copy_checkout(tmp_path / "checkout")
    done = snakemake(checkout, "-n", config=tiny_config(tmp_path / "data", teacher_folder))
    found = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", done.stdout, re.MULTILINE)
    priority = {rule: int((re.findall(r"priority: (\d+)", block) or [0])[0]) for rule, block in found}
    order = ["sample_sentences", "distill", "embed", "pretrain", "quantize", "evaluate_model", "evaluate_baseline"]
    assert sorted(order, key=priority.get, reverse=True) == order
    assert len({priority[rule] for rule in order}) == len(order)


def test_a_cluster_with_a_submit_command(tmp_path, teacher_folder):
    submit = tmp_path / "bin" / "qsub"
    submit.parent.mkdir()
    for_script = 'for last; do :; done; echo "$@" >> "$0.log"; sh "$last" > /dev/null 2>&1 & echo $!'
    submit.write_text(f"#!/bin/sh\n{for_script}\n")
    submit.chmod(0o755)
    checkout = copy_checkout(tmp_path / "checkout")
    config = tiny_config(tmp_path / "data", teacher_folder)
    arguments = ["corpus", "--workflow-profile", "profiles/cluster-generic"]
    run = command(checkout, *arguments, config=config)
    run["args"] = [sys.executable, *[part for part in run["args"][1:] if part not in ("--cores", "2")]]
    run["env"] |= {"PATH": f"{submit.parent}:{run['env']['PATH']}"}
    done = subprocess.run(**run, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert (checkout / "results" / RUN / "corpus" / "manifest.json").exists()
    lines = (submit.parent / "qsub.log").read_text(encoding="utf-8").splitlines()
    (submitted,) = (line for line in lines if "sentences.log" in line)
    assert not any("write_sample_settings" in line for line in lines)  # takes seconds, and is done where Snakemake runs
    assert re.match(
        r"-l select=1:ncpus=4:mem=20\d\dmb:ngpus=0 -l walltime=60:00 -o \S+sentences\.log\.cluster ", submitted
    )


def test_the_slurm_profile_names_partitions_that_it_has():
    profile = yaml.safe_load((REPOSITORY / "profiles" / "slurm" / "profile.yaml").read_text(encoding="utf-8"))
    partitions = yaml.safe_load((REPOSITORY / profile["slurm-partition-config"]).read_text(encoding="utf-8"))[
        "partitions"
    ]
    assert [limits.get("max_gpu", 0) > 0 for limits in partitions.values()] == [False, True]
