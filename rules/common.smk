# What several rules need: the checked config, the lists that it gives, and the paths of scripts and sources. No rules.

import ast
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

BASE = Path(workflow.basedir)
SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from lib.command import InputError
from lib.sources import parse_source
from lib.teacher_folder import check_folder

# what every run downloads is shared between runs
SOURCES = "results/sources"

# MTEB(eng, v1)'s STS, classification and pair classification tasks, known without asking mteb, which takes seconds
MTEB_TASKS = set(yaml.safe_load((BASE / "config.yaml").read_text())["evaluation"]["tasks"])

# a prefix replaces Snakemake's own, which makes a failure before `| tee` a failure of the job; libraries' own bars write
# into logs: a line every half minute is enough
shell.prefix(
    "set -euo pipefail; export TQDM_MININTERVAL=30 TRANSFORMERS_VERBOSITY=error HF_DATASETS_DISABLE_PROGRESS_BARS=1 "
    "HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_VERBOSITY=error PYTHONWARNINGS=ignore::FutureWarning; "
)


def check_config(config):
    """Leave out what is null, check the config against the schema, and fill in defaults.

    Raises:
        WorkflowError: one line with the key, the value found and what was expected.
    """
    evaluation = config.get("evaluation") or {}
    for section in [config, evaluation]:
        for name in ["models", "reference", "custom_tasks", "baselines"]:
            if isinstance(section.get(name), dict):
                section[name] = {key: value for key, value in section[name].items() if value is not None}
    schema = BASE / "schemas" / "config.schema.yaml"
    error = best_match(Draft202012Validator(yaml.safe_load(schema.read_text())).iter_errors(config))
    if error:
        raise WorkflowError(f"config: {'.'.join(map(str, error.absolute_path)) or 'top level'}: {error.message}")
    validate(config, str(schema))
    check_meaning(config)


def check_meaning(config):
    """Check what a schema cannot: that sources parse and exist, and that tasks are known."""
    evaluation = config["evaluation"]
    sources = {"teacher.source": config["teacher"]["source"]}
    sources |= {f"corpus.source[{i}]": source for i, source in enumerate(corpus_sources(config))}
    sources |= {f"evaluation.baselines.{name}": source for name, source in evaluation["baselines"].items()}
    for name, task in evaluation["custom_tasks"].items():
        sources[f"evaluation.custom_tasks.{name}.source"] = task["source"]
    for key, text in sources.items():
        try:
            source = parse_source(text)
        except InputError as error:
            raise WorkflowError(f"config: {key}: {error}")
        if source.kind == "path" and not Path(source.path).exists():
            raise WorkflowError(f"config: {key}: expected a file or folder, found nothing at {source.path}")
    teacher = source_path(config["teacher"]["source"]).replace("<sources>", SOURCES)
    if Path(teacher).exists():
        try:
            check_folder(teacher, max(model["dimensions"] for model in config["models"].values()))
        except InputError as error:
            raise WorkflowError(f"config: {error}")
    if config["corpus"]["min_words"] > config["corpus"]["max_words"]:
        raise WorkflowError("config: corpus.min_words: expected at most corpus.max_words")
    both = set(config["models"]) & set(evaluation["baselines"])
    if both:
        raise WorkflowError(f"config: {sorted(both)}: expected different names for models and baselines")
    named = evaluation["tasks"] + (config["corpus"]["decontaminate"] or [])
    unknown = [task for task in named if task not in MTEB_TASKS | set(evaluation["custom_tasks"])]
    if unknown:
        check = """from lib.command import run
from lib.tasks import mteb_task

run(lambda names: [mteb_task(name) for name in names])"""
        done = subprocess.run(
            [sys.executable, "-c", check, *unknown],
            cwd=SCRIPTS,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1]
            raise WorkflowError(f"config: {last.removeprefix('-c: error: ')}")


def corpus_sources(config):
    """The corpus's sources as a list."""
    source = config["corpus"]["source"]
    return [source] if isinstance(source, str) else source


def source_path(text):
    """Where a source is on disk: the user's own path, or the folder that the rule fetch makes."""
    source = parse_source(text)
    return source.path if source.kind == "path" else f"<sources>/{source.slug}"


check_config(config)

MODELS = config["models"]
TASKS = config["evaluation"]["tasks"]
CUSTOM_TASKS = config["evaluation"]["custom_tasks"]
BASELINES = config["evaluation"]["baselines"]
SENTENCES = max(model["sentences"] for model in MODELS.values())
PLOTS = ["stages", "size", "loss"]
SHARD_SIZE = config["corpus"]["shard_size"]
DECONTAMINATE = TASKS if config["corpus"]["decontaminate"] is None else config["corpus"]["decontaminate"]


def shards_of(sentences):
    """The names of the shards that hold the first ``sentences`` sentences."""
    return [f"{i:05d}" for i in range(math.ceil(sentences / SHARD_SIZE))]


SHARDS = shards_of(SENTENCES)


def trained_stage(model, generation=None):
    """The stage after the given born-again generation, by default the model's last: ``pretrained`` is number 0."""
    generation = MODELS[model].get("born_again", 0) if generation is None else generation
    return f"born-again-{generation}" if generation else "pretrained"


def trained_stages(model):
    """All stages of a model that were trained."""
    return [trained_stage(model, generation) for generation in range(MODELS[model].get("born_again", 0) + 1)]


def made_by(model, stage):
    """The settings that decide a stage before quantisation; models that agree in them share the stage."""
    settings = MODELS[model]
    vocabulary = settings.get("vocabulary", "teacher")
    distilled = [settings["dimensions"], vocabulary, None if vocabulary == "teacher" else settings["sentences"]]
    if stage == "distilled":
        return distilled
    return [*distilled, settings["sentences"], config["training"] | settings.get("training", {})]


def owner(model, stage):
    """The first model that has a stage made by the same settings: in its folder the stage is; clustered ones last."""
    return next(
        other
        for other in sorted(MODELS, key=lambda name: bool(MODELS[name].get("clusters")))
        if stage in ["distilled", *trained_stages(other)] and made_by(other, stage) == made_by(model, stage)
    )


def stage_folder(model, stage):
    """Where a stage of a model before quantisation is."""
    return f"<results>/models/{owner(model, stage)}/{stage}"


STAGES = [
    (model, stage)
    for model in MODELS
    for stage in ["distilled", *trained_stages(model), "int8"]
    if stage == "int8" or owner(model, stage) == model
]

SCORED = [*STAGES, *((baseline, "baseline") for baseline in BASELINES)]


def here(path):
    """A path of the checkout, relative to the working directory: recorded so, a moved checkout reruns nothing."""
    return os.path.relpath(path)


def script(name):
    """The path of a script; as an input of its rule it reruns the rule when it is edited, not when it is touched."""
    return here(SCRIPTS / f"{name}.py")


def library(name):
    """The modules of scripts/lib that a script imports, itself or through another of them."""
    found, waiting = set(), [SCRIPTS / f"{name}.py"]
    while waiting:
        tree = ast.parse(waiting.pop().read_text(encoding="utf-8"))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        for module in modules:
            path = SCRIPTS / f"{module.replace('.', '/')}.py"
            if module.startswith("lib.") and path not in found:
                found.add(path)
                waiting.append(path)
    return sorted(map(here, found))


def fetched_sources():
    """Each source that the rule fetch serves by its slug, with the kind of hub repository that it would be."""
    texts = [(text, "model") for text in [config["teacher"]["source"], *BASELINES.values()]]
    texts += [(text, "dataset") for text in corpus_sources(config)]
    texts += [(task["source"], "dataset") for task in CUSTOM_TASKS.values()]
    return {parse_source(text).slug: (text, kind) for text, kind in texts if parse_source(text).kind != "path"}


FETCHED = fetched_sources()


def fetch_arguments(wildcards):
    """The arguments that tell fetch.py what a slug stands for."""
    text, kind = FETCHED[wildcards.slug]
    return ["--source", text, "--repo-type", kind]


def corpus_paths():
    """The corpus's sources that are on disk; a hub's is streamed, never downloaded whole."""
    return [source_path(text) for text in corpus_sources(config) if parse_source(text).kind != "hub"]


def language_arguments():
    """The argument for the language to keep, where there is one."""
    language = config["corpus"]["language"]
    return ["--language", language] if language else []


def task_folder(task):
    """The folder of a task's data: made from a custom task's source, or fetched once for all runs."""
    return f"<results>/tasks/{task}" if task in CUSTOM_TASKS else f"<sources>/tasks/{task}"


def sentence_shards(wildcards):
    """The sentence shards that a model trains on."""
    return expand(
        "<results>/corpus/sentences/{shard}.parquet",
        shard=shards_of(MODELS[wildcards.model]["sentences"]),
    )


def embedding_shards(wildcards):
    """The teacher's embeddings that a model trains on."""
    return expand(
        "<results>/teacher/{shard}.npy",
        shard=shards_of(MODELS[wildcards.model]["sentences"]),
    )


def vocabulary_file(wildcards):
    """The words that are added to a model's vocabulary, or nothing."""
    vocabulary = MODELS[wildcards.model].get("vocabulary", "teacher")
    return [] if vocabulary == "teacher" else f"<results>/corpus/vocabulary/{wildcards.model}.txt"


def vocabulary_arguments(wildcards, input):
    """The argument for the added words, where there are some."""
    return ["--vocabulary", input.vocabulary] if input.vocabulary else []


def model_setting(key):
    """A function of the wildcards that gives a model's setting."""
    return lambda wildcards: MODELS[wildcards.model].get(key)


def training_arguments(wildcards):
    """A model's training settings as arguments of train.py."""
    recipe = config["training"] | MODELS[wildcards.model].get("training", {})
    return [part for key in sorted(recipe) for part in [f"--{key.replace('_', '-')}", recipe[key]]]


def previous_generation(wildcards):
    """The model whose embeddings a born-again generation learns."""
    return stage_folder(wildcards.model, trained_stage(wildcards.model, int(wildcards.generation) - 1))


def distilled_model(wildcards):
    """The model that a training begins from."""
    return stage_folder(wildcards.model, "distilled")


def final_model(wildcards):
    """A model's last stage before quantisation."""
    return stage_folder(wildcards.model, trained_stage(wildcards.model))


def float32_model(wildcards):
    """A model's float32 folder, or nothing where its vocabulary is clustered: that is its int8 folder's only."""
    return [] if MODELS[wildcards.model].get("clusters") else final_model(wildcards)


def float32_arguments(wildcards, input):
    """The argument for a model's float32 folder, where there is one."""
    return ["--model", input.model] if input.model else []


def cluster_arguments(wildcards):
    """The argument for the clusters of a model's vocabulary, where it has some."""
    clusters = MODELS[wildcards.model].get("clusters")
    return ["--clusters", clusters] if clusters else []


def baseline_path(wildcards):
    """The folder of a baseline."""
    return source_path(BASELINES[wildcards.baseline])


def custom_task_path(wildcards):
    """The raw file or folder of a custom task."""
    return source_path(CUSTOM_TASKS[wildcards.task]["source"])


def custom_task_arguments(wildcards):
    """A custom task's type and format as arguments of prepare_task.py."""
    task = CUSTOM_TASKS[wildcards.task]
    return ["--type", task["type"], "--format", task.get("format", "table")]


def task_data(wildcards):
    """The data of a task."""
    return task_folder(wildcards.task)


def task_arguments(wildcards):
    """The argument that tells evaluate.py of a custom task."""
    custom = CUSTOM_TASKS.get(wildcards.task)
    return ["--task-type", custom["type"]] if custom else []


def results_files():
    """The result of every (model, stage, task), baselines last."""
    return [f"<results>/mteb/results/{model}/{stage}/{task}.json" for model, stage in SCORED for task in TASKS]


def summary_settings():
    """What the summary says beside the results, as JSON."""
    settings = {
        "run": config["run"],
        "about": config["about"],
        "baselines": list(BASELINES),
        "custom_tasks": {n: {k: t[k] for k in ("type", "description")} for n, t in CUSTOM_TASKS.items() if n in TASKS},
        "finals": {model: "int8" for model in MODELS},
        "reference": config["reference"],
        "reference_about": config["reference_about"],
    }
    return json.dumps(settings)


def release_settings(wildcards):
    """What a model card says of how its model was made, as JSON."""
    model = MODELS[wildcards.model]
    settings = {
        "about": config["about"],
        "baselines": list(BASELINES),
        "born_again": model.get("born_again", 0),
        "corpus": corpus_sources(config),
        "dimensions": model["dimensions"],
        "license": config["release"].get("license", "other"),
        "seed": (config["training"] | model.get("training", {}))["seed"],
        "sentences": model["sentences"],
        "teacher": config["teacher"]["source"],
    }
    return json.dumps(settings)


wildcard_constraints:
    model="|".join(map(re.escape, MODELS)),
    baseline="|".join(map(re.escape, BASELINES)) or "(?!)",
    stage=r"distilled|pretrained|born-again-[1-9]\d*|int8",
    generation=r"[1-9]\d*",
    shard=r"\d{5}",
    task="|".join(map(re.escape, dict.fromkeys([*TASKS, *DECONTAMINATE]))),
    slug=r"[\w.-]+",
