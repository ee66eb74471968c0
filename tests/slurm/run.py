"""Run a tiny pipeline through profiles/slurm on a real Slurm: ``make test-slurm``. It installs nothing.

Three runs: one without Slurm; one with it, whose distillation is given too little memory at first and one of whose
trainings is cancelled; and one whose Snakemake is killed and called again. All must give the same bytes.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from cluster import cluster, missing
from workflow import RUN, command, copy_checkout, snakemake, tiny_config

from lib.job.files import sha256
from synthetic import write_teacher

SITE = [
    "--max-threads",
    "2",
    "--slurm-no-account",
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "3",
]
GPU_RULES = {"embed", "distill", "pretrain"}
NOTE_GPU = """\
import os
import sys

script = os.path.basename((sys.orig_argv + ["", ""])[1])
if script.endswith(".py"):
    with open({seen!r}, "a") as file:
        file.write(f"{{script}} {{os.environ.get('CUDA_VISIBLE_DEVICES', 'none')}}\\n")
"""  # a sitecustomize.py: notes which script sees which GPU
TOO_LITTLE = 250  # MB: less than importing PyTorch takes


def slurm_command(checkout: Path, config: dict, modules: Path, *arguments: str) -> dict:
    """``subprocess``'s arguments for a run through the profile, with the test's site; each Python imports ``modules``'
    sitecustomize.
    """
    run = command(checkout, *arguments, config=config)
    run["args"] = [part for part in run["args"] if part not in ("--cores", "2")]
    run["args"] += ["--workflow-profile", "profiles/slurm", *SITE]
    run["args"] += ["--set-resources", f"distill:mem_mb=attempt**3*{TOO_LITTLE}"]
    run["env"] = run["env"] | {"PYTHONPATH": str(modules)}
    return run


def jobs() -> list[dict]:
    """What Slurm knows of each job: the rule, its state, partition, times and memory."""
    text = subprocess.run(["scontrol", "show", "job", "-o"], capture_output=True, encoding="utf-8", check=True).stdout
    found = []
    for line in text.splitlines():
        fields = dict(re.findall(r"(\w+)=(\S*)", line))
        if match := re.match(r"rule_(\w+?)(?:_wildcards|$)", fields.get("Comment", "")):
            found.append({"rule": match[1], **fields})
    return found


def tree(checkout: Path) -> dict[str, str]:
    """The sha256 of each file that is the same in every run."""
    results = checkout / "results" / RUN
    kept = [p for p in results.rglob("*") if p.suffix in {".parquet", ".npy", ".safetensors", ".arrow"}]
    return {p.relative_to(results).as_posix(): sha256(p) for p in kept}


def wait_for(condition, seconds: int, what: str):
    """What ``condition`` answers, as soon as it is true."""
    for _ in range(seconds):
        if answer := condition():
            return answer
        time.sleep(1)
    raise AssertionError(f"not seen within {seconds} s: {what}")


def main() -> None:
    """Run everything and print what was seen."""
    if reason := missing():
        sys.exit(f"test-slurm: {reason}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the cluster ends with this process
    folder = Path(tempfile.mkdtemp(prefix="slurm-run-"))
    modules = folder / "modules"
    modules.mkdir()
    seen = folder / "seen.txt"
    (modules / "sitecustomize.py").write_text(NOTE_GPU.format(seen=str(seen)))
    config = tiny_config(folder / "data", write_teacher(folder / "teacher"))
    config["models"]["small"]["born_again"] = 0
    config["corpus"]["decontaminate"] = []
    targets = [f"results/{RUN}/models/small/pretrained/model.safetensors"]

    print("test-slurm: the run without Slurm", flush=True)
    local = copy_checkout(folder / "local")
    done = snakemake(local, *targets, config=config)
    assert done.returncode == 0, done.stderr[-3000:]

    with cluster():
        print("test-slurm: the run with Slurm", flush=True)
        start = time.monotonic()
        checkout = copy_checkout(folder / "slurm")
        with (folder / "slurm.log").open("w") as log:
            run = subprocess.Popen(**slurm_command(checkout, config, modules, *targets), stdout=log, stderr=log)
            training = wait_for(
                lambda: next((j for j in jobs() if j["rule"] == "pretrain" and j["JobState"] == "RUNNING"), None),
                400,
                f"a training; see {log.name}",
            )
            subprocess.run(["scancel", training["JobId"]], check=True)
            assert run.wait(400) == 0, f"see {log.name}"
        seconds = time.monotonic() - start
        ran = jobs()
        for job in ran:
            assert job["Partition"] == ("gpu" if job["rule"] in GPU_RULES else "cpu"), job
        on_gpu = [job for job in ran if job["rule"] in GPU_RULES and job["StartTime"] != "Unknown"]
        gpu_jobs = sorted((job["StartTime"], job["EndTime"]) for job in on_gpu)
        assert all(before[1] <= after[0] for before, after in pairwise(gpu_jobs)), gpu_jobs
        visible = dict(line.rsplit(" ", 1) for line in seen.read_text(encoding="utf-8").splitlines())
        assert visible["embed.py"] == visible["distill.py"] == visible["train.py"] == "0", visible
        assert visible["sample_sentences.py"] == "none", visible
        distillations = [(j["JobState"], j["MinMemoryNode"]) for j in ran if j["rule"] == "distill"]
        assert len(distillations) >= 2 and distillations[-1][0] == "COMPLETED", distillations
        trainings = [j["JobState"] for j in ran if j["rule"] == "pretrain"]
        assert "CANCELLED" in trainings and trainings[-1] == "COMPLETED", trainings
        assert tree(checkout) == tree(local)

        print("test-slurm: the run whose Snakemake is killed", flush=True)
        killed = copy_checkout(folder / "killed")
        with (folder / "killed.log").open("w") as log:
            run = subprocess.Popen(**slurm_command(killed, config, modules, *targets), stdout=log, stderr=log)
            corpus = killed / "results" / RUN / "corpus" / "manifest.json"
            wait_for(
                lambda: corpus.exists() and "Finished jobid" in Path(log.name).read_text(encoding="utf-8"),
                200,
                "the corpus",
            )
            wait_for(lambda: (killed / "results" / RUN / "teacher" / "00000.npy").exists(), 200, "an embedding")
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
        before = {p: p.stat().st_mtime_ns for p in (killed / "results" / RUN / "corpus").rglob("*.parquet")}
        wait_for(lambda: not subprocess.run(["squeue", "-h"], capture_output=True).stdout, 200, "an empty queue")
        again = slurm_command(killed, config, modules, *targets)
        subprocess.run(**(again | {"args": [*again["args"], "--unlock"]}), check=True, capture_output=True)
        done = subprocess.run(**again, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr[-3000:]
        assert {p: p.stat().st_mtime_ns for p in before} == before
        assert tree(killed) == tree(local)
    print(
        f"test-slurm: {len(ran)} jobs in {seconds:.0f} s; GPU jobs in the partition gpu, one at a time, with"
        f" CUDA_VISIBLE_DEVICES; a distillation of too little memory came back with {distillations[-1][1]}, a cancelled"
        f" training came back; a killed Snakemake resumed; {len(tree(local))} files the same bytes as without Slurm"
    )


if __name__ == "__main__":
    main()
