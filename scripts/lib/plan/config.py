"""The config of a run, checked before any job: a mistake is reported in one line with key and expectation."""

import difflib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lib.job.command import InputError, first_line
from lib.job.files import read_json, visible_files
from lib.model_folder import check_folder
from lib.plan.family import corpus_sources, dimensions_of, lineage, trained_stage
from lib.plan.held_out import held_out
from lib.plan.keys import check_keys
from lib.plan.sources import parse_source
from lib.plan.tasks import DEVELOPMENT, TYPE_OF

# numbers that YAML 1.1 reads as octal or in base 60
ODD_NUMBER = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
MOST_SHARDS = 100_000  # their numbers have five digits
# mappings of a config, and the lists that select from them
LISTS = {"models": "build", "baselines": "evaluation.baselines", "reference": "evaluation.references"}


class Loader(yaml.SafeLoader):
    """YAML in which a repeated key is a mistake, and a number that means another one than it seems to."""

    def construct_scalar(self, node: yaml.ScalarNode) -> Any:
        """The value of a node that is no list or mapping."""
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float") and ODD_NUMBER.fullmatch(node.value):
            problem = f"{node.value}, an octal number or one in base 60; expected a decimal one, or a text in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """The mapping of a node."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                mark = node.value[number][0].start_mark
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} twice", problem_mark=mark)
        return super().construct_mapping(node, deep)


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a repeated key is a mistake, as in YAML."""
    keys = [key for key, _ in pairs]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise ValueError(f"the key {key!r} twice")
    return dict(pairs)


def read_config(path: Path) -> dict:
    """Read a config file: JSON if its name ends in ``.json``, else YAML.

    Raises:
        InputError: it is not in this format, not a mapping, or repeats a key; the message names the line if known.
    """
    language = "JSON" if path.suffix.lower() == ".json" else "YAML"  # JSON may be indented by tabs, YAML may not
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, object_pairs_hook=without_repeats) if language == "JSON" else yaml.load(text, Loader)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: expected UTF-8, found {error.object[error.start]:#x}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: expected JSON, found {error.msg}") from error
    except (ValueError, RecursionError) as error:  # nested too deeply
        raise InputError(f"{path}: expected {language}, found {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError(f"{path}, line {line}: expected YAML, found {error.problem}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: expected YAML, found {first_line(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping, found {type(content).__name__}")
    return content


def value_at(config: dict, path: str) -> Any:
    """The value under a dotted path, or None."""
    for key in path.split("."):
        config = config.get(key) if isinstance(config, dict) else None  # type: ignore[assignment]
    return config


def check_used(layers: Iterable[dict]) -> None:
    """Check that each definition of an overlay is selected by its own lists or by those of the configs before it.

    Args:
        layers: config.yaml, which may define more than it selects, and its overlays in order.

    Raises:
        InputError: a model, baseline or reference is not selected.
    """
    chosen: dict[str, list] = {}
    for number, layer in enumerate(layers):
        for kind, path in LISTS.items():
            names = value_at(layer, path)
            chosen[kind] = chosen.get(kind, []) if names is None else names
            unused = [name for name in value_at(layer, kind) or {} if name not in chosen[kind]]
            if number and unused:
                raise InputError(f"{kind}.{unused[0]}: expected its name under {path}, found {chosen[kind]}")


def nearest(name: str, names: Iterable[str]) -> str:
    """The most similar name, or else all names."""
    names = list(names)
    near = difflib.get_close_matches(name, names, 1)
    return near[0] if near else f"one of {', '.join(names)}"


def select(config: dict) -> None:
    """Keep the models, baselines and references that the config's lists select, in their order.

    Args:
        config: the merged config, changed in place.

    Raises:
        InputError: a name is not defined, or a model is derived from one that is not built.
    """
    for kind, path in LISTS.items():
        for name in value_at(config, path):
            if name not in config[kind]:
                raise InputError(f"{path}: {name!r}, expected {nearest(name, config[kind])}")
    for name in config["build"]:
        source = config["models"][name].get("from", name)
        if source in config["models"] and source not in config["build"]:
            raise InputError(f"build: {name} is derived from {source}, expected that one in the list too")
    for kind, path in LISTS.items():
        config[kind] = {name: config[kind][name] for name in value_at(config, path)}


def folder_of(text: str, sources: str) -> str:
    """The path of a source on disk: the user's own, or its folder among the downloads in ``sources``."""
    source = parse_source(text)
    return source.path if source.kind == "path" else f"{sources}/{source.slug}"


def check_derived(models: dict, name: str) -> None:
    """Check the model that another one is derived from, and that the derived one is smaller.

    Raises:
        InputError: it is not.
    """
    model, sources = models[name], lineage(models, name)[1:]
    if not {"dimensions", "clusters"} & set(model):
        raise InputError(f"models.{name}: derived from {model['from']}, expected dimensions or clusters, found neither")
    if "training" in model and "clusters" not in model:
        raise InputError(f"models.{name}.training: expected none, because nothing is trained without clusters")
    wide = dimensions_of(models, model["from"])
    if model.get("dimensions", 0) > wide - ("clusters" not in model):
        raise InputError(
            f"models.{name}.dimensions: {model['dimensions']}, expected fewer than the {wide} of {model['from']}"
        )
    if "clusters" in model and any("clusters" in models[source] for source in sources):
        raise InputError(f"models.{name}.clusters: expected none, because {model['from']} has clusters already")


def expand_seeds(models: dict) -> dict[str, list[str]]:
    """Replace each model that has several seeds by one model per seed.

    Args:
        models: the config's models; changed in place.

    Returns:
        For each model with several ``seeds`` the names of its replacements, ``<name>-seed<n>``.

    Raises:
        InputError: such a name is already in use.
    """
    groups: dict[str, list[str]] = {}
    for name, model in list(models.items()):
        if "seeds" not in model:
            continue
        shared = {key: value for key, value in models.pop(name).items() if key != "seeds"}
        for seed in model["seeds"]:
            member = f"{name}-seed{seed}"
            if member in models:
                raise InputError(f"models.{member}: expected another name, because {name}'s seeds need this one")
            models[member] = shared | {"training": shared.get("training", {}) | {"seed": seed}}
            groups.setdefault(name, []).append(member)
    return groups


def check_config(config: dict, layers: list[dict], sources: str) -> dict[str, list[str]]:
    """Check a config, keep what its lists select, and fill in defaults and seeds.

    Args:
        config: the merged config; changed in place.
        layers: config.yaml and its overlays in order.
        sources: the folder of the downloads.

    Returns:
        The models that differ in their seed only, by their common name in the config.

    Raises:
        InputError: there is a mistake; one line about the first.
    """
    config.update(check_keys(config))
    check_used(layers)
    select(config)
    seeds = expand_seeds(config["models"])
    config["build"] = list(config["models"])
    check_meaning(config, sources)
    return seeds


def check_meaning(config: dict, sources: str) -> None:
    """Check what a schema cannot: that sources parse and exist, that tasks are known, that numbers are consistent.

    Args:
        config: a config after ``check_keys``.
        sources: the folder of the downloads.

    Raises:
        InputError: one of these is not the case.
    """
    evaluation = config["evaluation"]
    texts = {"teacher.source": config["teacher"]["source"]}
    others = config["teacher"]["others"]
    texts |= {f"teacher.others[{number}].source": other["source"] for number, other in enumerate(others)}
    several = isinstance(config["corpus"]["source"], list)
    for number, text in enumerate(corpus_sources(config)):
        texts[f"corpus.source[{number}]" if several else "corpus.source"] = text
    texts |= {f"baselines.{name}": source for name, source in config["baselines"].items()}
    texts |= {f"evaluation.custom_tasks.{name}.source": t["source"] for name, t in evaluation["custom_tasks"].items()}
    for key, text in texts.items():
        try:
            source = parse_source(text)
        except InputError as error:
            raise InputError(f"{key}: {error}") from error
        if source.kind == "path" and not (os.path.isfile(source.path) or os.path.isdir(source.path)):
            there = "another kind of file" if os.path.exists(source.path) else "nothing"
            raise InputError(f"{key}: expected a file or folder, found {there} at {source.path}")
        files = visible_files(Path(source.path)) if source.kind == "path" else []
        for path in [source.path, *map(str, files)]:
            if re.search(r"[<>{}]", path):
                raise InputError(
                    f"{key}: expected a path without <, >, {{ and }}, which Snakemake interprets, found {path}"
                )
            if re.search("[\ud800-\udfff]", path):  # how Python reads such a name
                raise InputError(f"{key}: expected a path in UTF-8, found {path}")
    for name, task in evaluation["custom_tasks"].items():
        source = parse_source(task["source"])
        if source.kind == "path" and task["format"] == "table":
            from lib.task_tables import check_columns

            try:
                check_columns(Path(source.path), task["type"])
            except InputError as error:
                raise InputError(f"evaluation.custom_tasks.{name}: {error}") from error
    teacher = Path(folder_of(config["teacher"]["source"], sources))
    if teacher.exists():
        check_teacher(config, teacher)
    for number, other in enumerate(others):
        folder = Path(folder_of(other["source"], sources))
        if folder.exists():
            check_folder(folder)
            check_positions(folder, other["max_length"], f"teacher.others[{number}]")
    if config["corpus"]["language"] not in (None, "en"):
        from lib.language import check_language

        check_language(config["corpus"]["language"])
    most = max(model["sentences"] for model in config["models"].values() if "from" not in model)
    if most > MOST_SHARDS * config["corpus"]["shard_size"]:
        size = config["corpus"]["shard_size"]
        raise InputError(f"corpus.shard_size: {size}, expected at most {MOST_SHARDS:,} shards for {most:,} sentences")
    if config["corpus"]["min_words"] > config["corpus"]["max_words"]:
        raise InputError("corpus.min_words: expected at most corpus.max_words")
    for name, model in config["models"].items():
        if "from" in model:
            check_derived(config["models"], name)
            continue
        settings = config["training"] | model.get("training", {})
        batch_size, pooling = settings["batch_size"], config["teacher"]["pooling"]
        if settings["epochs"] < 1:
            raise InputError(f"models.{name}: 0 epochs, expected at least 1")
        if settings["initial"] == "contextual" and not pooling.startswith("mean"):
            raise InputError(
                f"models.{name}: training.initial is contextual with teacher.pooling {pooling}, expected aligned, "
                "because this embedding is no mean of tokens' hidden states"
            )
        training = model["sentences"] - held_out(model["sentences"])
        if batch_size > training:
            raise InputError(
                f"models.{name}: a batch_size of {batch_size}, expected at most the {training} of its "
                f"{model['sentences']} sentences that are not held out"
            )
        released, generations = model["released"], model["born_again"]
        stages = ["distilled", *map(trained_stage, range(generations + 1))]
        stages += ["tokenlearn"] if model["tokenlearn"] else []
        if released not in stages:
            raise InputError(
                f"models.{name}.released: {released!r}, expected a stage of the model: {', '.join(stages)}"
            )
    for name, model in config["models"].items():
        loss = (config["training"] | model.get("training", {}))["loss"]
        if others and loss == "contrastive":
            raise InputError(f"models.{name}: the loss {loss}, expected cosine, because teacher.others has entries")
    models = {name.casefold() for name in config["models"]}
    both = [name for name in config["baselines"] if name.casefold() in models]
    if both:
        raise InputError(f"{both}: expected different names for models and baselines")
    named = evaluation["tasks"] + (config["corpus"]["decontaminate"] or [])
    custom = evaluation["custom_tasks"]
    check_tasks([task for task in named if task not in custom], custom)


def check_teacher(config: dict, teacher: Path) -> None:
    """Check that a teacher on disk has enough dimensions, positions and tokens for the config.

    Raises:
        InputError: it does not.
    """
    models = config["models"]
    check_folder(teacher, max(dimensions_of(models, name) for name in models))
    check_positions(teacher, config["teacher"]["max_length"], "teacher")
    tokens = read_json(teacher / "config.json").get("vocab_size")
    for name, model in models.items():
        added = models[lineage(models, name)[-1]]["vocabulary"]
        most = tokens if added == "teacher" or tokens is None else tokens + added
        if isinstance(most, int) and model.get("clusters", 0) >= most:
            raise InputError(f"models.{name}.clusters: {model['clusters']}, expected fewer than the {most} tokens")


def check_positions(teacher: Path, length: int, key: str) -> None:
    """Check that a teacher on disk has positions for ``length`` tokens.

    Raises:
        InputError: it does not.
    """
    positions = read_json(teacher / "config.json").get("max_position_embeddings")
    if isinstance(positions, int) and length > positions:
        raise InputError(f"{key}.max_length: {length}, expected at most the teacher's {positions} positions")


def check_tasks(names: Iterable[str], custom: Iterable[str] = ()) -> None:
    """Check names of mteb's tasks; those of the benchmark are known, for others a subprocess asks mteb.

    Args:
        names: of tasks other than custom ones.
        custom: the custom tasks' names, for suggestions.

    Raises:
        InputError: mteb has no such task, or its type is not supported.
    """
    unknown = [name for name in names if name.removesuffix(DEVELOPMENT) not in TYPE_OF]
    if not unknown:
        return
    script = Path(__file__).parents[2] / "check_tasks.py"
    done = subprocess.run([sys.executable, script, *unknown], capture_output=True, text=True, check=False)
    if done.returncode:
        line = done.stderr.strip().splitlines()[-1].removeprefix(f"{script.name}: error: ")
        refused = next((name for name in unknown if repr(name) in line), "")
        near = difflib.get_close_matches(refused, [*custom, *TYPE_OF], 1)
        raise InputError(f"{line}; did you mean {near[0]}?" if near else line)
