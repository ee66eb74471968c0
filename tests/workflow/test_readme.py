"""The README's worked example does what it says."""

import json
import re

import polars
import yaml
from conftest import TOPICS, made_sentences, make_teacher
from workflow import REPOSITORY, copy_checkout, planned, snakemake

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_each_fault_has_a_test():
    names = re.findall(r"`(test_\w+)`", (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8"))
    tests = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert names
    assert [name for name in names if f"def {name}(" not in tests] == []


def test_the_commands_with_a_file_or_an_overlay_are_whole(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    commands = re.findall(r"`snakemake (.*?(?:results/|--configfile recipes/).*?)`", README)
    commands = [command for command in commands if "mine.yaml" not in command]
    assert commands
    for command in commands:
        done = snakemake(checkout, "-n", *command.replace("--cores 2", "").split())
        assert planned(done)["sentences"] == 1, command


def test_own_teacher_corpus_and_tasks(tmp_path):
    example = re.search(r"```yaml\n(# mine\.yaml\n.*?)```", README, re.DOTALL)[1]
    checkout = copy_checkout(tmp_path / "checkout")
    own = checkout / "my"
    make_teacher(own / "bert", hidden_size=128, positions=256)
    polars.DataFrame({"body": [text for text, _ in made_sentences(3000)]}).write_parquet(own / "texts.parquet")
    labelled = made_sentences(200, seed=1)
    rows = [
        {"text": text, "label": list(TOPICS).index(topic), "split": ["train", "test"][i % 2]}
        for i, (text, topic) in enumerate(labelled)
    ]
    polars.DataFrame(rows).write_csv(own / "topics.csv")
    pairs = [
        {"sentence1": one, "sentence2": two, "score": float(topic == other)}
        for (one, topic), (two, other) in zip(labelled[:100], labelled[100:], strict=True)
    ]
    polars.DataFrame(pairs).write_ndjson(own / "pairs.jsonl")
    done = snakemake(checkout, config=yaml.safe_load(example))
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    about = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (checkout / "results" / "mine" / "teacher").glob("0*.json")
    ]
    assert [each["rows"] for each in about] == [2000]
    summary = json.loads((checkout / "results" / "mine" / "summary.json").read_text(encoding="utf-8"))
    assert {row["task"] for row in summary["rows"]} == {"MyTopics", "MyPairs"}
    assert {row["model"] for row in summary["averages"]} == {"my-model", "my-small-model", "my-teacher"}
