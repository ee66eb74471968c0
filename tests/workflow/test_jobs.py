"""The jobs of the untouched config and of the quickstart, and what a bad config says; nothing is run."""

import re

import pytest
import yaml
from workflow import REPOSITORY, changed, copy_checkout, planned, snakemake, tiny_config


def test_untouched_config_gives_the_whole_family_without_a_hub(tmp_path):
    jobs = planned(snakemake(copy_checkout(tmp_path / "checkout"), "-n"))
    stages = 3 + 4 + 2 + 4 + 2  # 2m-512d has no born-again generation; 128d-v2 and micro come from 256d-v2
    expected = {
        "fetch_task": 25,
        "fetch": 3,  # the teacher is a baseline too, and fetched once; C4 is streamed
        "sentences": 1,
        "vocabulary": 1,
        "embed": 19,  # 2,000,000 sentences in shards of 108,500
        "distill": 3,
        "pretrained": 3,
        "born_again": 2,
        "derive": 2,
        "quantize": 5,
        "evaluate_model": stages,
        "evaluate_baseline": 3,
        "summary": 1,
        "release_model": 5,
    }
    assert {rule: jobs[rule] for rule in expected} == expected


def test_two_million_sentences_in_small_shards_fit_on_command_lines(tmp_path):
    target = "results/potion-mxbai/models/potion-mxbai-2m-512d/pretrained/model.safetensors"
    checkout = copy_checkout(tmp_path / "checkout")
    done = snakemake(checkout, "-n", "-p", target, config={"corpus": {"shard_size": 1024}})
    assert planned(done)["embed"] == 1954
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
    profile = yaml.safe_load((REPOSITORY / "profiles" / "quickstart" / "profile.yaml").read_text())
    assert profile["configfile"] == "recipes/quickstart.yaml"
    assert not {"cores", "jobs", "executor", "resources"} & set(profile)


def test_a_rule_depends_on_the_scripts_that_its_script_imports(tmp_path):
    done = snakemake(copy_checkout(tmp_path / "checkout"), "-n")
    inputs = re.search(r"rule derive:\n    input: (.*)", done.stdout + done.stderr)[1].split(", ")
    assert {"scripts/derive.py", "scripts/train.py", "scripts/lib/losses.py"} <= set(inputs)
    assert not {"scripts/lib/__init__.py", "scripts/evaluate.py"} & set(inputs)


def test_downloads_need_no_other_job(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    assert planned(snakemake(checkout, "-n", "downloads")) == {"fetch_task": 25, "fetch": 3, "downloads": 1}
    quickstart = snakemake(checkout, "-n", "downloads", "--workflow-profile", "profiles/quickstart")
    assert planned(quickstart) == {"fetch": 7, "downloads": 1}


def test_named_targets(tmp_path):
    targets = ["downloads", "corpus", "embeddings", "models", "evaluate", "report", "release"]
    jobs = planned(snakemake(copy_checkout(tmp_path / "checkout"), "-n", *targets))
    assert {target: jobs[target] for target in targets} == dict.fromkeys(targets, 1)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("corpus.shard_sise", 5, "corpus: Additional properties are not allowed ('shard_sise'"),
        ("trainin", {}, "'trainin' was unexpected"),
        ("training.temperature", 0, "training.temperature: 0 is less than or equal to the minimum of 0"),
        ("training.loss", "mean", "training.loss: 'mean' is not one of"),
        ("models.mine", None, "models.mine: None is not of type 'object'"),
        ("models.mine", {"dimensions": 8, "sentences": 99}, "models.mine: expected its name under build"),
        ("models.small.dimensions", "wide", "models.small.dimensions: 'wide' is not of type 'integer'"),
        (
            "models.b",
            {"from": "small", "sentences": 99},
            "models.b: Additional properties are not allowed ('sentences'",
        ),
        ("teacher.source", "huub:a/b@c", "teacher.source: 'huub:a/b@c' does not match"),
        ("teacher.source", "hub:a/b@main", "teacher.source: source 'hub:a/b@main': expected hub:owner/name@<40-digit"),
        ("teacher.source", "path:nowhere", "teacher.source: expected a file or folder, found nothing at nowhere"),
        ("evaluation.tasks", ["STS12", "STS31"], "evaluation.tasks: 'STS31': expected a custom task or one of mteb's"),
        (
            "models.small.released",
            "born-again-2",
            "models.small.released: 'born-again-2', expected a stage of the model",
        ),
        ("corpus.min_words", 70, "corpus.min_words: expected at most corpus.max_words"),
    ],
)
def test_a_mistake_in_the_config_is_one_clear_line_before_any_job(tmp_path, teacher_folder, path, value, words):
    config = changed(tiny_config(tmp_path / "data", teacher_folder), path, value)
    checkout = copy_checkout(tmp_path / "checkout")
    done = snakemake(checkout, config=config)
    assert mistake(done).startswith("config: ")
    assert words in mistake(done)
    assert not (checkout / "results").exists()


def mistake(done):
    """The one line that a run which refuses its config says, beside which profile and overlay it reads."""
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith(("Using workflow", "Config file")))
    return line


def test_a_task_that_mteb_lacks_is_noticed_in_config_yaml_itself(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    config = checkout / "config.yaml"
    config.write_text(config.read_text().replace("- STS12\n", "- STS31\n"))
    done = snakemake(checkout, "-n")
    assert mistake(done).startswith("config: evaluation.tasks: 'STS31': expected a custom task or one of mteb's: ")


def test_helpers_are_inputs_however_they_are_imported(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    with (checkout / "scripts" / "sentences.py").open("a", encoding="utf-8") as file:
        file.write("\nimport lib.losses\nfrom lib import model_folder\n")
    done = snakemake(checkout, "-n", "corpus")
    (inputs,) = (line for line in done.stdout.splitlines() if "input: scripts/sentences.py" in line)
    assert {"scripts/lib/losses.py", "scripts/lib/model_folder.py", "scripts/lib/documents.py"} <= set(
        inputs.replace(",", "").split()
    )


def test_every_rule_has_a_docstring_and_a_log():
    for path in sorted((REPOSITORY / "rules").glob("*.smk")):
        for body in re.split(r"\n(?:use )?rule ", path.read_text(encoding="utf-8"))[1:]:
            name = body.partition(":")[0]
            assert '"""' in body.split("input:")[0], name
            assert "log:" in body, name
