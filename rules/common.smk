# What several rules need: the checked config, the lists that it gives, and the paths of scripts and sources. No rules.

import json
import math
import os
import re
import shlex
import sys
from modulefinder import ModuleFinder
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.utils import validate

BASE = Path(workflow.basedir)
SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from lib.benchmark import DEVELOPMENT, TYPE_OF
from lib.job.command import InputError
from lib.config import (
    check_meaning,
    check_schema,
    check_used,
    corpus_sources,
    dimensions_of,
    expand_seeds,
    folder_of,
    lineage,
    select,
)
from lib.job.files import claim, visible_files
from lib.model_folder import is_static_model, weights_size
from lib.sources import parse_source

# what the command line lays over config.yaml, one after another
OVERLAYS = [*map(load_configfile, workflow.config_settings.configfiles), dict(workflow.config_settings.config)]

# folders that this Snakemake works on
CLAIMS = []

# what every run downloads is shared between runs
SOURCES = "results/sources"

# a prefix replaces Snakemake's own, which makes a failure before `| tee` a failure of the job; libraries' own bars
# write into logs: a line every half minute is enough
shell.prefix(
    "set -euo pipefail; export TQDM_MININTERVAL=30 HF_DATASETS_DISABLE_PROGRESS_BARS=1 "
    "HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_VERBOSITY=error PYTHONWARNINGS=ignore::FutureWarning; "
)

# jobs use the Python that runs this, where no environment of their own is activated
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

# mteb makes a folder for results when it is imported, by default at home
os.environ.setdefault("MTEB_CACHE", ".snakemake/mteb")

# what the user typed; jobs elsewhere parse this file again, with a command of Snakemake's own
os.environ.setdefault("RUN_COMMAND", shlex.join(["snakemake", *sys.argv[1:]]))

# a job ends when this process is gone
os.environ.update(WORKFLOW_PID=str(os.getpid()))

try:
    check_schema(config, BASE / "schemas" / "config.schema.yaml")
    validate(config, str(BASE / "schemas" / "config.schema.yaml"))  # fills in the defaults
    check_used([load_configfile(BASE / "config.yaml"), *OVERLAYS])
    select(config)
    SEEDS = expand_seeds(config["models"])
    config["build"] = list(config["models"])
    check_meaning(config, SOURCES)
except InputError as error:
    sys.exit(f"config: {error}")

MODELS = config["models"]
TASKS = config["evaluation"]["tasks"]
CUSTOM_TASKS = config["evaluation"]["custom_tasks"]
BASELINES = config["baselines"]
TRAINED = [model for model in MODELS if "from" not in MODELS[model]]
DERIVED = [model for model in MODELS if "from" in MODELS[model]]
SENTENCES = max(MODELS[model]["sentences"] for model in TRAINED)
SHARD_SIZE = config["corpus"]["shard_size"]
DECONTAMINATE = TASKS if config["corpus"]["decontaminate"] is None else config["corpus"]["decontaminate"]
USED_TASKS = list(dict.fromkeys([*TASKS, *DECONTAMINATE]))
CORPUS = corpus_sources(config)

# what a model2vec folder holds at each stage
MODEL_FILES = ["config.json", "model.safetensors", "tokenizer.json"]
HASHES = ".sha256.json"
DISTILLED_FILES = [*MODEL_FILES, "modules.json", HASHES]
TRAINED_FILES = [*DISTILLED_FILES, "training.json"]
DERIVED_FILES = [*DISTILLED_FILES, "derivation.json"]
INT8_FILES = [*MODEL_FILES, "quantization.json", HASHES]
ONNX_FILES = ["model.onnx", "model_quantized.onnx", "onnx.json"]


def here(path):
    """A path of the checkout, relative to the working directory: recorded so, a moved checkout reruns nothing."""
    return os.path.relpath(path)


def script(name):
    """The path of a script; as an input of its rule it reruns the rule when it is edited, not when it is touched."""
    return here(SCRIPTS / f"{name}.py")


def library(name):
    """The modules of scripts/lib, and other scripts, that a script imports, itself or through another of them.

    Those of scripts/lib/job change no number, and none of them reruns a rule.
    """
    finder = ModuleFinder([str(SCRIPTS)])
    finder.run_script(script(name))
    files = [Path(module.__file__) for key, module in finder.modules.items() if key != "__main__" and module.__file__]
    science = [file for file in files if file.is_relative_to(SCRIPTS) and not file.is_relative_to(SCRIPTS / "lib/job")]
    return sorted(here(file) for file in science if file.name != "__init__.py")


def options(**values):
    """Command line options of the values that are not None: ``options(a_b=0, c=None)`` is ``--a-b 0``."""
    given = {f"--{key.replace('_', '-')}": value for key, value in values.items() if value is not None}
    return [part for option in given.items() for part in option]


def as_json(value):
    """JSON in which no tag begins: Snakemake's report has the params of jobs in a script of its page."""
    return json.dumps(value).replace("<", r"\u003c")


def source_path(text):
    """Where a source is on disk: the user's own path, or the folder that the rule fetch makes."""
    return folder_of(text, "<sources>")


def files_of(text):
    """The files of a source that is a user's own folder: inputs too, so that an edit in it reruns what reads it."""
    source = parse_source(text)
    return list(map(str, visible_files(Path(source.path)))) if source.kind == "path" else []


def task_path(task):
    """The file of a task's data: made from a custom task's source, or fetched once for all runs."""
    return f"<results>/tasks/{task}.arrow" if task in CUSTOM_TASKS else f"<sources>/tasks/{task}.arrow"


def model_setting(key):
    """A function of the wildcards that gives a model's setting."""
    return lambda wildcards: MODELS[wildcards.model].get(key)


def sentences_of(model):
    """The number of sentences that a model, or the one that it comes from, was trained on."""
    return MODELS[lineage(MODELS, model)[-1]]["sentences"]


def recipe(model):
    """The training settings of a model; those of the one that it comes from, but for what it says itself."""
    settings = dict(config["training"])
    for each in reversed(lineage(MODELS, model)):
        settings |= MODELS[each].get("training", {})
    return settings


def folder_of_input(name):
    """A function that gives the folder of an input's files."""
    return lambda wildcards, input: str(Path(input[name][0]).parent)


def folders_of_input(name):
    """A function that gives the folders of an input's files, each once."""
    return lambda wildcards, input: list(dict.fromkeys(str(Path(file).parent) for file in input[name]))


def folder_of_output(wildcards, output):
    """The folder of a rule's output files: scripts make a folder whole or not at all."""
    return str(Path(output[0]).parent)


def shards_of(sentences):
    """The names of the shards that hold the first ``sentences`` sentences."""
    return [f"{i:05d}" for i in range(math.ceil(sentences / SHARD_SIZE))]


SHARDS = shards_of(SENTENCES)


def sentence_shards(wildcards):
    """The sentence shards that a model trains on; ancient: drawn again for a larger sample, they are the same."""
    shards = shards_of(sentences_of(wildcards.model))
    return ancient(expand("<results>/corpus/sentences/{shard}.parquet", shard=shards))


def trained_stage(generation):
    """The stage after a born-again generation: ``pretrained`` is number 0."""
    return f"born-again-{generation}" if generation else "pretrained"


def trained_stages(model):
    """All stages of a model that are trained; of one that comes from another, none."""
    return [] if "from" in MODELS[model] else list(map(trained_stage, range(MODELS[model].get("born_again", 0) + 1)))


def stages_of(model):
    """All stages of a model, in the order in which they are made."""
    if "from" in MODELS[model]:
        return ["derived", "int8"]
    compared = ["tokenlearn"] if MODELS[model].get("tokenlearn") else []
    return ["distilled", *compared, *trained_stages(model), "int8"]


def made_by(model, stage):
    """The settings that decide a stage of a trained model; models that agree in them share the stage."""
    settings = MODELS[model]
    vocabulary = settings.get("vocabulary", "teacher")
    distilled = [settings["dimensions"], vocabulary, None if vocabulary == "teacher" else settings["sentences"]]
    if stage == "distilled":
        return distilled
    seed = recipe(model)["seed"]
    return [*distilled, settings["sentences"], seed if stage == "tokenlearn" else recipe(model)]


def owner(model, stage):
    """The model in whose folder a stage is: of those whose settings make it, one that has it, else the first.

    So a new model takes over what an old one made.
    """
    if stage == "derived":
        return model
    owners = [
        other for other in TRAINED if stage in stages_of(other) and made_by(other, stage) == made_by(model, stage)
    ]
    made = Path("results", config["run"], "models")
    return next((other for other in owners if (made / other / stage).exists()), owners[0])


def files_in(model, stage):
    """The files in a model's folder of a stage."""
    files = {"distilled": DISTILLED_FILES, "derived": DERIVED_FILES, "int8": INT8_FILES}.get(stage, TRAINED_FILES)
    return [f"<results>/models/{model}/{stage}/{file}" for file in files]


def stage_files(model, stage):
    """The files of a stage of a model before quantization, which may stand in another model's folder."""
    return files_in(owner(model, stage), stage)


def released_stage(model):
    """The stage of a model that is quantized and released."""
    return "derived" if "from" in MODELS[model] else MODELS[model].get("released", "pretrained")


def released_model(wildcards):
    """The files of the stage of a model that is quantized and released."""
    return stage_files(wildcards.model, released_stage(wildcards.model))


STAGES = [
    (model, stage) for model in MODELS for stage in stages_of(model) if stage == "int8" or owner(model, stage) == model
]

SCORED = [*STAGES, *((baseline, "baseline") for baseline in BASELINES)]


def any_of(names):
    """A regular expression of names; where there are none, nothing matches it."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    model=any_of(MODELS),
    baseline=any_of(BASELINES),
    stage=r"distilled|derived|tokenlearn|pretrained|born-again-[1-9]\d*|int8",
    generation=r"[1-9]\d*",
    shard=r"\d{5}",
    task=any_of(USED_TASKS),
    slug=r"[\w.-]+",
