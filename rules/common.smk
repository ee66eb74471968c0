# Shared by the rules: the checked config, lists derived from it, and paths of scripts and sources. No rules.

import json
import math
import os
import re
import shlex
import sys
import time
from pathlib import Path

BASE = Path(workflow.basedir).resolve()  # as the working directory is
SCRIPTS = BASE / "scripts"
sys.path.insert(0, str(SCRIPTS))

from lib.job.command import InputError
from lib.job.files import claim, end_future, visible_files
from lib.model_folder import is_static_model, weights_size
from lib.plan.code import fingerprint, imported
from lib.plan.config import check_config, folder_of, read_config
from lib.plan.family import Family, trained_stage
from lib.plan.sources import parse_source
from lib.plan.stage_files import FILES, MODEL_FILES, TRAINED_FILES

# locked folders of this Snakemake
CLAIMS = []

# downloads are shared by all runs
SOURCES = "results/sources"

# this prefix replaces Snakemake's own: set -o pipefail makes a failure before `| tee` a failure of the job; progress
# bars of libraries write into logs, for which a line every half minute is enough
shell.prefix(
    "set -euo pipefail; export TQDM_MININTERVAL=30 HF_DATASETS_DISABLE_PROGRESS_BARS=1 "
    "HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_VERBOSITY=error PYTHONWARNINGS=ignore::FutureWarning; "
)

# jobs use the Python that runs Snakemake, unless they have an environment of their own
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

# mteb creates a folder for results on import, by default in the home directory
os.environ.setdefault("MTEB_CACHE", ".snakemake/mteb")
# threads of PyTorch that wait sleep, so that they take nothing from other work on the machine
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# the user's command; jobs on other nodes parse this file again, with a command of Snakemake's
os.environ.setdefault("RUN_COMMAND", shlex.join(["snakemake", *sys.argv[1:]]))

# jobs end when this process has ended
os.environ.update(WORKFLOW_PID=str(os.getpid()))

if {"{", "}"} & set(str(BASE)):
    sys.exit(f"checkout: expected a path without {{ and }}, which Snakemake interprets, found {BASE}")

if (BASE / "Snakefile").stat().st_mtime > time.time() + 60:
    sys.exit(f"clock: {time.ctime()}, expected a time after that of {BASE / 'Snakefile'}; set it, or touch the file")

# config.yaml and the overlays of the command line, in order
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

# Snakemake's own locks and records
OWN = next(place for place in [Path(".snakemake/locks"), Path(".snakemake"), Path()] if place.exists())
if not os.access(OWN, os.W_OK):
    sys.exit(f"{OWN.resolve()}: expected a writable folder, found one of another user or a read-only one")

family = Family(config)
MODELS = family.models
BASELINES = family.baselines
TASKS = family.tasks
CUSTOM_TASKS = family.custom_tasks
SHARDS = family.shards(family.sentences)
TEACHERS = list(family.teachers)
DOWNLOADS = family.downloads()


def here(path):
    """A path in the checkout, relative to the working directory, so that a moved checkout reruns nothing."""
    return os.path.relpath(path)


def script(name):
    """The path of a script, an input of its rule: editing the script reruns the rule, touching it does not."""
    return here(SCRIPTS / f"{name}.py")


def library(name):
    """The modules of scripts/lib that a script imports, directly or through others, and the templates that they name.

    Modules of scripts/lib/job are left out: they affect no number, so a change in them reruns nothing.
    """
    modules = imported(SCRIPTS / f"{name}.py", SCRIPTS)
    science = [module for module in modules if not module.is_relative_to(SCRIPTS / "lib/job")]
    code = "".join(file.read_text(encoding="utf-8") for file in [SCRIPTS / f"{name}.py", *science])
    templates = [file for file in (SCRIPTS / "templates").iterdir() if file.name in code]
    return sorted(map(here, [*science, *templates]))


def code_of(files):
    """The fingerprint of the code among a rule's inputs, unless it is ancient; empty without code."""
    own = [file for file in files if isinstance(file, str) and file.startswith(here(SCRIPTS))]
    code = [file for file in own if not file.is_ancient]
    return fingerprint(map(Path, code)) if code else ""


def options(**values):
    """Command line options for the values that are not None: ``options(a_b=0, c=None)`` is ``--a-b 0``."""
    given = {f"--{key.replace('_', '-')}": value for key, value in values.items() if value is not None}
    return [part for option in given.items() for part in option]


def as_json(value):
    """JSON without HTML tags, because Snakemake's report embeds the params of jobs in a script."""
    return json.dumps(value).replace("<", r"\u003c")


def source_path(text):
    """The path of a source on disk: the user's own, or the folder that the rule fetch writes."""
    return folder_of(text, "<sources>")


def source_input(text):
    """The input of a source; ancient if it is a folder of the user's, whose time says nothing of the files in it."""
    path = source_path(text)
    return ancient(path) if parse_source(text).kind == "path" and Path(path).is_dir() else path


def files_of(text):
    """The files of a path: source; they are inputs too, so that editing one reruns the rules that read it."""
    source = parse_source(text)
    return list(map(str, visible_files(Path(source.path)))) if source.kind == "path" else []


def content_of(text):
    """The fingerprint of a path: source, a parameter of rules that read one.

    Snakemake compares times alone, and a file that is put in another's place may be older.
    """
    files = [parse_source(text).path, *files_of(text)]
    return fingerprint(path for path in map(Path, files) if path.is_file())


def task_path(task):
    """The file of a task's data: prepared from a custom task's source, or downloaded once for all runs."""
    return f"<results>/tasks/{task}.arrow" if task in CUSTOM_TASKS else f"<sources>/tasks/{task}.arrow"


def on_disk(path):
    """A path of the rules without Snakemake's path variables."""
    return path.replace("<sources>", SOURCES).replace("<results>", f"results/{config['run']}")


def folder_of_input(name):
    """A function that returns the folder of an input's files."""
    return lambda wildcards, input: str(Path(input[name][0]).parent)


def folders_of_input(name):
    """A function that returns the distinct folders of an input's files."""
    return lambda wildcards, input: list(dict.fromkeys(str(Path(file).parent) for file in input[name]))


def folder_of_output(wildcards, output):
    """The folder of a rule's output files; scripts write a folder completely or not at all."""
    return str(Path(output[0]).parent)


def sentence_shards(wildcards):
    """The sentence shards that a model trains on; ancient: those of a larger sample are the same."""
    shards = family.shards(family.sentences_of(wildcards.model))
    return ancient(expand("<results>/corpus/sentences/{shard}.parquet", shard=shards))


def embedding_shards(wildcards, teachers=TEACHERS):
    """The teachers' embeddings that a model trains on."""
    shards = family.shards(family.sentences_of(wildcards.model))
    return expand("<results>/{teacher}/{shard}.{ending}", teacher=teachers, shard=shards, ending=["npy", "json"])


def context_shards(wildcards):
    """The first teacher's embeddings and token sums, if a model's training begins with them."""
    if family.training(wildcards.model)["initial"] != "contextual":
        return []
    shards = family.shards(family.sentences_of(wildcards.model))
    return expand(
        "<results>/{teacher}/{shard}.{ending}",
        teacher=TEACHERS[:1],
        shard=shards,
        ending=["npy", "json", "tokens.parquet"],
    )


def context_option(wildcards, input):
    """The folder of ``context_shards`` as an argument of train.py."""
    return ["--context", *folders_of_input("context")(wildcards, input)] if input.context else []


def teacher_of(wildcards):
    """The settings of one of the teachers besides the first."""
    return family.teachers[f"teacher-{wildcards.number}"]


def training_settings(wildcards):
    """A model's training settings as arguments of train.py and derive.py."""
    return options(**dict(sorted(family.training(wildcards.model).items())))


def emission_options(model):
    """What release_model.py estimates a model's emissions from, if the config states a carbon intensity.

    Undeclared inputs, like those of list_costs: the jobs have ended before, and a missing benchmark file reruns nothing.
    """
    if config["release"]["carbon_intensity"] is None:
        return []
    results = f"results/{config['run']}"
    embeddings = [f"{results}/{teacher}" for teacher in TEACHERS]
    given = options(carbon_intensity=config["release"]["carbon_intensity"], benchmarks=f"{results}/benchmarks")
    given += ["--jobs", *family.jobs_behind(model), "--embeddings", *embeddings]
    return [*given, "--trainings", *(on_disk(report) for report in family.training_reports())]


def any_of(names):
    """A regular expression that matches these names; without names it matches nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    model=any_of(MODELS),
    baseline=any_of(BASELINES),
    stage=r"distilled|derived|tokenlearn|pretrained|born-again-[1-9]\d*|int8",
    generation=r"[1-9]\d*",
    shard=r"\d{5}",
    number=any_of(name.removeprefix("teacher-") for name in TEACHERS[1:]),
    task=any_of(family.used_tasks),
    slug=r"[\w.-]+",


def scored_by(job):
    """The model/stage that a job scores."""
    return f"{job.wildcards.get('model', job.wildcards.get('baseline'))}/{job.wildcards.get('stage', 'baseline')}"


def makes_files():
    """Whether this run makes files; ``plan`` and ``verify`` do not, so they change nothing about what is missing."""
    return not {job.rule.name for job in workflow.dag.jobs} <= {"plan", "verify"}


def current_scores():
    """Each model/stage whose scores this run made, or found up to date."""
    dag = workflow.dag
    waiting = set(dag.needrun_jobs())
    return [scored_by(job) for job in dag.jobs if job.rule.name.startswith("evaluate_") and job not in waiting]


def failed_now():
    """The jobs that have failed so far."""
    return [each for job in workflow.scheduler.failed for each in (job.jobs if job.is_group() else [job])]


def failed_jobs():
    """The failed jobs as JSON: for each its rule and wildcards, its log, and each model/stage that needs it."""
    dag, jobs = workflow.dag, []
    for job in sorted(failed_now(), key=lambda job: job.log[0]):
        needed_for = [scored_by(each) for each in dag.bfs(dag.depending, job) if each.rule.name.startswith("evaluate_")]
        name = " ".join([job.rule.name, *map("=".join, job.wildcards.items())])
        jobs.append([name, job.log[0], needed_for])
    return as_json(jobs)


# after a failure: a report on available and missing scores
UNFINISHED = shlex.join(
    ["python", script("unfinished"), "--results", f"results/{config['run']}"]
    + ["--scored", *(f"{model}/{stage}" for model, stage in family.scored()), "--tasks", *TASKS]
    + ["--custom", as_json(family.custom_types()), "--output", f"results/{config['run']}/unfinished.md"]
)
