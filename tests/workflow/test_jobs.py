"""The jobs of the untouched config and of the quickstart, and what a bad config says; nothing is run."""

import os
import re
import time

import pytest
import yaml
from workflow import REPOSITORY, RUN, changed, copy_checkout, planned, snakemake, tiny_config


def test_untouched_config_gives_the_whole_family_without_a_hub(tmp_path):
    jobs = planned(snakemake(copy_checkout(tmp_path / "checkout"), "-n"))
    stages = 3 + 3 + 2 + 3 + 2  # 128d-v2 and micro come from 256d-v2
    expected = {
        "fetch_task": 25,
        "fetch": 3,  # the teacher is a baseline too, and fetched once; C4 is streamed
        "sample_sentences": 1,
        "count_vocabulary": 1,
        "embed": 19,  # 2,000,000 sentences in shards of 108,500
        "distill": 3,
        "pretrain": 3,
        "derive": 2,
        "quantize": 5,
        "evaluate_model": stages,
        "evaluate_baseline": 3,
        "summarize": 1,
        "write_summary": 1,
        "release_model": 5,
    }
    assert {rule: jobs[rule] for rule in expected} == expected
    assert "train_born_again" not in jobs


def test_two_million_sentences_in_small_shards_of_two_teachers_fit_on_command_lines(tmp_path):
    target = "results/potion-mxbai/models/potion-mxbai-2m-512d/pretrained/model.safetensors"
    checkout = copy_checkout(tmp_path / "checkout")
    other = {"source": f"hub:some/teacher@{'a' * 40}", "max_length": 256, "pooling": "cls", "prompt": "query: "}
    config = {"corpus": {"shard_size": 5000}, "teacher": {"others": [other]}}
    done = snakemake(checkout, "-n", "-p", target, config=config)
    jobs = planned(done)
    assert (jobs["embed"], jobs["embed_by_other_teacher"], jobs["check_other_teacher"]) == (400, 400, 1)
    assert "--max-length 256 --pooling cls --prompt='query: '" in done.stdout
    assert re.search(r"--embeddings \S+/teacher \S+/teacher-2 ", done.stdout)
    commands = [line for line in done.stdout.splitlines() if "python scripts/" in line]
    assert any("scripts/train.py" in command for command in commands)
    assert max(map(len, commands)) < 10_000  # Linux takes 131,072 for one argument


def test_quickstart_profile_uses_packages_only(tmp_path):
    done = snakemake(copy_checkout(tmp_path / "checkout"), "-n", "--workflow-profile", "profiles/quickstart")
    jobs = planned(done)
    assert jobs["evaluate_model"] == 4
    assert jobs["prepare_task"] == 5
    assert "hub:" not in done.stdout + done.stderr


def test_quickstart_profile_leaves_cores_to_the_command_and_to_other_profiles():
    profile = yaml.safe_load((REPOSITORY / "profiles" / "quickstart" / "profile.yaml").read_text(encoding="utf-8"))
    assert profile["configfile"] == "recipes/quickstart.yaml"
    assert not {"cores", "jobs", "executor", "resources"} & set(profile)


def test_a_rule_depends_on_the_modules_that_its_script_imports(tmp_path):
    done = snakemake(copy_checkout(tmp_path / "checkout"), "-n")
    text = done.stdout + done.stderr
    derive, speed, summary, release = (
        set(re.search(rf"rule {name}:\n    input: (.*)", text)[1].split(", "))
        for name in ("derive", "measure_speed", "write_summary", "release_model")
    )
    assert {"scripts/derive.py", "scripts/lib/training.py", "scripts/lib/losses.py"} <= derive
    assert {"scripts/measure_speed.py", "scripts/lib/embedder.py"} <= speed
    assert "scripts/templates/page.html.jinja" in summary - derive - release
    assert "scripts/templates/card.md.jinja" in release - derive - summary
    assert not {"scripts/lib/__init__.py", "scripts/lib/embedder.py", "scripts/lib/job/files.py"} & derive


def test_downloads_need_no_other_job(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    assert planned(snakemake(checkout, "-n", "downloads")) == {"fetch_task": 25, "fetch": 3, "downloads": 1}
    quickstart = snakemake(checkout, "-n", "downloads", "--workflow-profile", "profiles/quickstart")
    assert planned(quickstart) == {"fetch": 7, "downloads": 1}


def test_a_plan_has_each_long_job_and_grows_with_the_sentences(tmp_path, teacher_folder):
    checkout, config = copy_checkout(tmp_path / "checkout"), tiny_config(tmp_path / "data", teacher_folder)
    unfinished = checkout / "results" / RUN / "unfinished.md"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()
    minutes = []
    for sentences in (256, 200_000_000):
        config["models"]["small"]["sentences"] = sentences
        config["corpus"]["shard_size"] = sentences // 2
        done = snakemake(checkout, "plan", config=config)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = re.findall(r"^\| ([\w, ]+) \| (\d+) \| ([\d.]+) \|", done.stdout, re.MULTILINE)
        jobs = {part: int(count) for part, count, _ in lines}
        assert (jobs["embed"], jobs["evaluate_model"], jobs["evaluate_baseline"]) == (2, 4, 1)
        minutes.append({part: float(taken) for part, _, taken in lines})
    grown = {part for part in minutes[0] if minutes[1][part] > 2 * minutes[0][part]}
    assert grown == {"sample_sentences", "embed", "pretrain, train_born_again", "all"}
    assert unfinished.exists() and not (checkout / "results" / RUN / "corpus").exists()


def test_named_targets(tmp_path):
    targets = ["downloads", "corpus", "embeddings", "models", "evaluate", "report", "release"]
    jobs = planned(snakemake(copy_checkout(tmp_path / "checkout"), "-n", *targets))
    assert {target: jobs[target] for target in targets} == dict.fromkeys(targets, 1)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("training.temprature", 0.1, r"training\.temprature: .*temperature"),
        ("models.mine", {"dimensions": 8, "sentences": 99}, r"models\.mine: .*build"),
        ("teacher.source", "path:nowhere", r"teacher\.source: .*nowhere"),
    ],
)
def test_a_mistake_in_the_config_is_one_clear_line_before_any_job(tmp_path, teacher_folder, path, value, words):
    config = changed(tiny_config(tmp_path / "data", teacher_folder), path, value)
    checkout = copy_checkout(tmp_path / "checkout")
    assert re.match(f"config: {words}", mistake(snakemake(checkout, config=config)))
    assert not (checkout / "results").exists()


def test_a_mistake_in_config_yaml_itself_is_named_with_its_line(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    with (checkout / "config.yaml").open("a+") as file:
        file.seek(0)
        lines = len(file.readlines())
        file.write("\tmore: 1\n")
    assert re.match(rf"config: .*config\.yaml, line {lines + 1}: ", mistake(snakemake(checkout, "-n")))


def test_results_that_are_a_file_are_one_line(tmp_path, teacher_folder):
    checkout = copy_checkout(tmp_path / "checkout")
    (checkout / "results").touch()
    done = snakemake(checkout, config=tiny_config(tmp_path / "data", teacher_folder))
    assert mistake(done).startswith("results: results: ")


def test_a_checkout_in_a_folder_with_braces_is_one_line(tmp_path):
    checkout = copy_checkout(tmp_path / "{a}")
    assert mistake(snakemake(checkout, "-n")).startswith("checkout: ")


def test_a_clock_that_is_behind_is_one_line(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    os.utime(checkout / "Snakefile", (time.time() + 3600,) * 2)
    assert mistake(snakemake(checkout, "-n")).startswith("clock: ")


def mistake(done):
    """The one line that a run which refuses its config says, beside which profile and overlay it reads."""
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith(("Using workflow", "Config file")))
    return line


def test_helpers_are_inputs_however_they_are_imported(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    with (checkout / "scripts" / "sample_sentences.py").open("a", encoding="utf-8") as file:
        file.write("\nimport lib.losses\nfrom lib import model_folder\n")
    done = snakemake(checkout, "-n", "corpus")
    (inputs,) = (line for line in done.stdout.splitlines() if "input: scripts/sample_sentences.py" in line)
    assert {"scripts/lib/losses.py", "scripts/lib/model_folder.py", "scripts/lib/documents.py"} <= set(
        inputs.replace(",", "").split()
    )


def test_every_rule_has_a_docstring_and_a_log():
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for body in re.split(r"\n(?:use )?(?:rule|checkpoint) ", path.read_text(encoding="utf-8"))[1:]:
            name = body.partition(":")[0]
            assert '"""' in body.split("input:")[0], name
            assert "log:" in body, name
