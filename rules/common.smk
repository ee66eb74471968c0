# What several rules need: the checked config, the lists that it gives, and the paths of scripts and sources. No rules.

import json
import os
import re
import shlex
import sys
from pathlib import Path

BASE = Path(workflow.basedir)
SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from lib.job.command import InputError
from lib.job.files import claim, visible_files
from lib.model_folder import is_static_model, weights_size
from lib.plan.code import imported
from lib.plan.config import check_config, folder_of, read_config
from lib.plan.family import Family, trained_stage
from lib.plan.sources import parse_source
from lib.plan.stage_files import FILES, MODEL_FILES, TRAINED_FILES

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

# config.yaml, and what the command line lays over it, one after another
try:
    LAYERS = [read_config(Path(path)) for path in [BASE / "config.yaml", *workflow.config_settings.configfiles]]
except InputError as error:
    sys.exit(f"config: {error}")


configfile: BASE / "config.yaml"


try:
    SEEDS = check_config(config, [*LAYERS, dict(workflow.config_settings.config)], SOURCES)
except InputError as error:
    sys.exit(f"config: {error}")

for place in [Path("results"), Path("results", config["run"])]:
    if place.exists() and not place.is_dir():
        sys.exit(f"results: {place}: expected a folder, found a file")

family = Family(config)
MODELS = family.models
BASELINES = family.baselines
TASKS = family.tasks
CUSTOM_TASKS = family.custom_tasks
SHARDS = family.shards(family.sentences)
DOWNLOADS = family.downloads()


def here(path):
    """A path of the checkout, relative to the working directory: recorded so, a moved checkout reruns nothing."""
    return os.path.relpath(path)


def script(name):
    """The path of a script; as an input of its rule it reruns the rule when it is edited, not when it is touched."""
    return here(SCRIPTS / f"{name}.py")


def library(name):
    """The modules of scripts/lib that a script imports, itself or through another of them, and the templates they name.

    Those of scripts/lib/job change no number, and none of them reruns a rule.
    """
    modules = imported(SCRIPTS / f"{name}.py", SCRIPTS)
    science = [module for module in modules if not module.is_relative_to(SCRIPTS / "lib/job")]
    code = "".join(file.read_text(encoding="utf-8") for file in [SCRIPTS / f"{name}.py", *science])
    templates = [file for file in (SCRIPTS / "templates").iterdir() if file.name in code]
    return sorted(map(here, [*science, *templates]))


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


def folder_of_input(name):
    """A function that gives the folder of an input's files."""
    return lambda wildcards, input: str(Path(input[name][0]).parent)


def folders_of_input(name):
    """A function that gives the folders of an input's files, each once."""
    return lambda wildcards, input: list(dict.fromkeys(str(Path(file).parent) for file in input[name]))


def folder_of_output(wildcards, output):
    """The folder of a rule's output files: scripts make a folder whole or not at all."""
    return str(Path(output[0]).parent)


def sentence_shards(wildcards):
    """The sentence shards that a model trains on; ancient: drawn again for a larger sample, they are the same."""
    shards = family.shards(family.sentences_of(wildcards.model))
    return ancient(expand("<results>/corpus/sentences/{shard}.parquet", shard=shards))


def embedding_shards(wildcards):
    """The teacher's embeddings that a model trains on."""
    shards = family.shards(family.sentences_of(wildcards.model))
    return expand("<results>/teacher/{shard}.{ending}", shard=shards, ending=["npy", "json"])


def training_settings(wildcards):
    """A model's training settings as arguments of train.py and derive.py."""
    return options(**dict(sorted(family.training(wildcards.model).items())))


def any_of(names):
    """A regular expression of names; where there are none, nothing matches it."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    model=any_of(MODELS),
    baseline=any_of(BASELINES),
    stage=r"distilled|derived|tokenlearn|pretrained|born-again-[1-9]\d*|int8",
    generation=r"[1-9]\d*",
    shard=r"\d{5}",
    task=any_of(family.used_tasks),
    slug=r"[\w.-]+",


def failed_jobs():
    """The failed jobs as JSON: for each its rule and wildcards, its log, and each model/stage that needs it."""
    dag, found = workflow.dag, []
    failed = [each for job in workflow.scheduler.failed for each in (job.jobs if job.is_group() else [job])]
    for job in sorted(failed, key=lambda job: job.log[0]):
        wildcards = [each.wildcards for each in dag.bfs(dag.depending, job) if each.rule.name.startswith("evaluate_")]
        needed_for = [f"{w.get('model', w.get('baseline'))}/{w.get('stage', 'baseline')}" for w in wildcards]
        name = " ".join([job.rule.name, *map("=".join, job.wildcards.items())])
        found.append([name, job.log[0], needed_for])
    return as_json(found)


# after a failure: what a run has and what it lacks
UNFINISHED = shlex.join(
    ["python", script("unfinished"), "--results", f"results/{config['run']}"]
    + ["--scored", *(f"{model}/{stage}" for model, stage in family.scored()), "--tasks", *TASKS]
    + ["--custom", as_json(family.custom_types()), "--output", f"results/{config['run']}/unfinished.md"]
)
