"""The keys of a config: what each takes, and what is said of a wrong one."""

import math
import re

import pytest
import yaml
from workflow import REPOSITORY, changed

import describe_config
from lib.job.command import InputError
from lib.plan.config import read_config
from lib.plan.keys import check_keys

MODEL = "models.potion-mxbai-256d-v2"
DERIVED = "models.potion-mxbai-micro"


def checked(path, value):
    """config.yaml with another value under a dotted path, checked."""
    return check_keys(changed(read_config(REPOSITORY / "config.yaml"), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((f"training.{key}", 32.0) for key in ["batch_size", "epochs", "patience", "seed"]),
        *((f"{MODEL}.{key}", 64.0) for key in ["dimensions", "sentences", "born_again"]),
        *((f"{DERIVED}.{key}", 64.0) for key in ["dimensions", "clusters"]),
        ("corpus.shard_size", 1024.0),
        ("corpus.seed", True),
        ("training.temperature", math.nan),
        ("training.temperature", math.inf),
        ("training.temperature", 0),
        ("training.shrinkage", math.inf),
        ("training.loss", "mean"),
        ("evaluation.seed", -1),
        ("evaluation", ["a"]),
        (f"{MODEL}.sentences", 10**12),
        (f"{MODEL}.dimensions", "wide"),
        (f"{MODEL}.vocabulary", "teachers"),
        (f"{MODEL}.vocabulary", 0),
        (f"{MODEL}.seeds", [1]),
        (f"{MODEL}.seeds", [1, 1]),
        (f"{MODEL}.training", None),
        ("models.mine", None),
        ("models", None),
        ("build", None),
        ("run", "sources"),
        ("run", "README.md"),
        ("run", "line\n"),
        ("run", "a/b"),
        ("run", "x" * 250),
        ("about", "what {word} means"),
        ("about", "half of an emoji: \ud83d"),
        ("corpus.source", 5),
        ("corpus.source", []),
        ("corpus.text_key", "-x"),
        ("teacher.source", "huub:a/b@c"),
        ("evaluation.tasks", []),
        ("evaluation.tasks", ["STS12", "STS12"]),
        ("release.owner", "a b"),
    ],
)
def test_a_value_that_will_not_do_is_shown_with_its_key(path, value):
    shown = re.escape(repr(value)[:70])
    with pytest.raises(InputError, match=rf"^{re.escape(path)}: {shown}.*, ") as raised:
        checked(path, value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "number"), [("3e-3", "0.003"), ("1e-10", "0.0000000001"), ("2E3", "2000")])
def test_a_number_that_yaml_reads_as_text_is_named_in_digits(text, number):
    assert yaml.safe_load(text) == text
    with pytest.raises(InputError, match=rf"{text}.*, .* {re.escape(number)}$"):
        checked("training.learning_rate", text)
    assert yaml.safe_load(number) == float(text)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("evaluation.tasks", ["STS12", 3]),
        ("corpus.source", ["path:a", 5]),
        ("evaluation.custom_tasks", {"model_meta": {"type": "STS", "source": "path:a", "description": "a"}}),
        ("evaluation.custom_tasks", {"a/b": {"type": "STS", "source": "path:a", "description": "a"}}),
        ("models", {"a b": {"dimensions": 2, "sentences": 20}}),
        ("reference", {"a": {"b": {"Avg": "1"}}}),
        (f"{MODEL}.training", {"seed": -1}),
    ],
)
def test_an_entry_that_will_not_do_is_named_by_its_place(path, value):
    with pytest.raises(InputError, match=rf"^{re.escape(path)}\.[\w ./]+: .*, "):
        checked(path, value)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("corpus.shard_sise", "shard_size"),
        ("trainin", "training"),
        (f"{MODEL}.dimension", "dimensions"),
        (f"{MODEL}.batch_size", r"training\.batch_size or models\.<name>\.training\.batch_size"),
        ("batch_size", r"training\.batch_size"),
        ("training.pooling", r"teacher\.pooling"),
        (f"{DERIVED}.training.epoch", "epochs"),
        (f"{DERIVED}.sentences", "from, dimensions, clusters, training"),
    ],
)
def test_an_unknown_key_is_named_with_the_one_that_is_meant_or_with_its_place(path, meant):
    with pytest.raises(InputError, match=rf"^{re.escape(path)}: .*{meant}"):
        checked(path, 5)


def test_a_key_that_is_missing_is_named():
    config = read_config(REPOSITORY / "config.yaml")
    del config["models"]["potion-mxbai-256d-v2"]["dimensions"]
    with pytest.raises(InputError, match=r"^models\.potion-mxbai-256d-v2\.dimensions: "):
        check_keys(config)


def test_models_and_custom_tasks_get_their_defaults_and_nothing_else_changes():
    config = read_config(REPOSITORY / "config.yaml")
    config["models"] = {"a": {"dimensions": 8, "sentences": 20}, "b": {"from": "a", "dimensions": 4}}
    config["evaluation"]["custom_tasks"] = {"Mine": {"type": "STS", "source": "path:a", "description": "a"}}
    filled = check_keys(config)
    defaults = {"vocabulary": "teacher", "born_again": 0, "tokenlearn": False, "released": "pretrained"}
    assert filled["models"] == {"a": defaults | config["models"]["a"], "b": config["models"]["b"]}
    assert filled["evaluation"]["custom_tasks"]["Mine"]["format"] == "table"
    assert {key: value for key, value in filled.items() if key not in ("models", "evaluation")} == {
        key: value for key, value in config.items() if key not in ("models", "evaluation")
    }


def test_the_schema_and_the_page_are_those_that_the_keys_give(tmp_path):
    """``make docs`` writes them."""
    written = {"--schema": tmp_path / "schema.json", "--page": tmp_path / "config.md"}
    options = [str(part) for option in written.items() for part in option]
    describe_config.main(["--config", str(REPOSITORY / "config.yaml"), *options])
    assert written["--schema"].read_text(encoding="utf-8") == (REPOSITORY / "schemas" / "config.schema.json").read_text(
        encoding="utf-8"
    )
    assert written["--page"].read_text(encoding="utf-8") == (REPOSITORY / "docs" / "config.md").read_text(
        encoding="utf-8"
    )
