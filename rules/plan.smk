# What a whole run would take, for the rule `plan`, from the functions of resources.smk and the sizes of sources and
# tasks, on disk or else where they would be downloaded; and how far a run is, by the same functions. No rules.

import logging
from contextlib import suppress
from datetime import datetime
from functools import cache
from types import SimpleNamespace

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from lib.job.files import write_text
from lib.job.time_left import RunJob, progress_line
from lib.model_folder import check_folder
from lib.sizes import download_size, task_size

# how far the run is, while it is under way
PROGRESS = Path("results", config["run"], "logs", "progress.txt")

# minutes of any job besides those by its work
BESIDES = 0.1

# the expected minutes of rules whose jobs take long
MINUTES = {
    "sample_sentences": sampling_minutes,
    "embed": embedding_minutes,
    "embed_by_other_teacher": embedding_minutes,
    "distill": distillation_minutes,
    "train_tokenlearn": tokenlearn_minutes,
    "pretrain": training_minutes,
    "train_born_again": training_minutes,
    "derive": derivation_minutes,
    "evaluate_model": scoring_minutes,
    "evaluate_baseline": baseline_minutes,
    "measure_speed": speed_minutes,
}


def ask_for_sizes():
    """The size in MB of each download that is not on disk, by its name, None if unknown; kept in ``EXPECTED`` too."""
    sizes = {}
    for slug, download in DOWNLOADS.items():
        path = f"{SOURCES}/{slug}"
        if not os.path.exists(path):
            sizes[slug] = EXPECTED[path] = download_size(download["source"], download["repo_type"])
    for task in family.used_tasks:
        path = on_disk(task_path(task))
        if task in CUSTOM_TASKS and not os.path.exists(path):
            EXPECTED[path] = 0.0  # a small part of a source
        elif not os.path.exists(path):
            sizes[task] = EXPECTED[path] = task_size(task)
    return sizes


def planned_jobs():
    """Part, minutes, and MB of memory and disk of each job that takes long; None where they depend on an unknown size.

    Minutes and memory come from the functions of ``resources.smk``. Each job takes 0.1 minutes besides, each scored task
    0.01, and a transformer in bfloat16 0.4 of the time in float32. A stage and a shard's token sums have about 30,000
    vectors of four bytes a number, the sums one more for six sentences, of a word.
    """
    from lib.precision import has_fast_bfloat16  # imports torch, which no other target needs

    faster = 0.4 if has_fast_bfloat16("cpu") else 1.0
    shard_sizes, sums_sizes = {}, {}
    for name, settings in family.teachers.items():
        folder = on_disk(source_path(settings["source"]))
        dimensions = check_folder(folder) if os.path.exists(folder) else None
        shard_sizes[folder] = None if dimensions is None else family.shard_size * dimensions * 2 / 1e6
        sums_sizes[folder] = None if dimensions is None else (0.12 + 6.6e-7 * family.shard_size) * dimensions
        for shard in SHARDS:
            path = f"results/{config['run']}/{name}/{shard}"
            files = {f"{path}.npy": shard_sizes[folder], f"{path}.tokens.parquet": sums_sizes[folder]}
            EXPECTED.update({file: size for file, size in files.items() if not os.path.exists(file)})
    embeddings = [f"results/{config['run']}/{TEACHERS[0]}/{shard}.npy" for shard in SHARDS]
    of_run = SimpleNamespace(
        teacher=on_disk(source_path(config["teacher"]["source"])),
        tasks=[on_disk(task_path(task)) for task in TASKS],
        baselines=[on_disk(source_path(source)) for source in BASELINES.values()],
        embeddings=embeddings,
    )
    sums = [path.replace(".npy", ".tokens.parquet") for path in embeddings]
    in_context = SimpleNamespace(**vars(of_run), context=sums)
    for_sample = SimpleNamespace(tasks=[on_disk(task_path(task)) for task in family.decontaminate])

    def job(part, minutes, needed, disk, factor=1.0, model=None, input=of_run, besides=BESIDES):
        def value_of(amount):
            try:
                return amount(SimpleNamespace(model=model), input) if callable(amount) else amount
            except TypeError:  # arithmetic with a size that is None
                return None

        taken = value_of(minutes)
        return part, None if taken is None else besides + factor * taken, value_of(needed), disk

    scored = BESIDES + 0.01 * len(TASKS)
    yield job("sample_sentences", sampling_minutes, sampling_memory, 5e-5 * family.sentences, input=for_sample)
    for settings in family.teachers.values():
        folder = on_disk(source_path(settings["source"]))
        for _ in SHARDS:
            own = SimpleNamespace(teacher=folder)
            disk = None if shard_sizes[folder] is None else shard_sizes[folder] + sums_sizes[folder]
            yield job("embed", embedding_minutes, embedding_memory, disk, faster, input=own)
    for model, stage in family.stages():
        float32 = 0.12 * family.dimensions(model)
        if stage == "distilled":
            yield job("distill", distillation_minutes, distillation_memory, float32, faster, model)
        elif stage == "tokenlearn":
            yield job("train_tokenlearn", tokenlearn_minutes, tokenlearn_memory, float32, model=model)
        elif stage == "int8":
            yield job("quantize, export, release", 0.3, 2000, 5 * float32, model=model)
        elif stage == "derived":
            yield job("derive", derivation_minutes, training_memory, float32, model=model)
        else:
            given = in_context if family.training(model)["initial"] == "contextual" else of_run
            yield job(
                "pretrain, train_born_again", training_minutes, training_memory, float32, model=model, input=given
            )
        yield job("evaluate_model", scoring_minutes, scoring_memory, 0, model=model, besides=scored)
    for baseline in of_run.baselines:
        factor = 1.0 if is_static_model(baseline) else faster
        own = SimpleNamespace(model=baseline, tasks=of_run.tasks)
        yield job("evaluate_baseline", baseline_minutes, baseline_memory, 0, factor, input=own, besides=scored)
    yield job("measure_speed", speed_minutes, speed_memory, 0)


@cache
def plan_of_run():
    """What the script shows, as JSON; sizes are asked for only when this target is named."""
    plan = as_json({"downloads": ask_for_sizes(), "jobs": list(planned_jobs())})
    EXPECTED.clear()  # jobs beside this one request their resources by what is on disk
    return plan


def minutes_of(job):
    """The expected minutes of one of Snakemake's jobs; None where they depend on a file that is not there yet."""
    scored = 0.01 * len(TASKS) if job.rule.name.startswith("evaluate_") else 0
    try:
        return BESIDES + scored + MINUTES.get(job.rule.name, lambda *_: 0)(job.wildcards, job.input)
    except (OSError, InputError):
        return None


class ShowProgress(logging.Handler):
    """Says at first and after each job how much of the run is done and how long the rest takes, in a line and a file.

    It gets the records that Snakemake's logger plugins get.
    """

    def __init__(self, file):
        super().__init__()
        self.file, self.start = file, time.time()
        self.planned, self.began, self.ended = {}, {}, {}

    def emit(self, record):
        """Take a job's start or end."""
        event = getattr(record, "event", None)
        try:
            if event == LogEvent.JOB_STARTED:
                first = not self.began
                self.began.update(dict.fromkeys(record.jobs, time.time()))
                if first:
                    self.show()
            elif event == LogEvent.JOB_FINISHED:
                (job,) = [job for job in workflow.dag.jobs if job.jobid == record.job_id]
                done = self.described(job)._replace(ended=True)
                # of jobs in a group only the end is told
                taken = done.taken if job.jobid in self.began else done.planned or 0.0
                self.ended[job.jobid] = done._replace(taken=taken)
            elif event == LogEvent.PROGRESS:
                self.show()
        except Exception:
            self.handleError(record)

    def described(self, job):
        """A job with its times; planned ones stay as they were when they were first known."""
        if self.planned.get(job.jobid) is None:
            self.planned[job.jobid] = minutes_of(job)
        taken = (time.time() - self.began[job.jobid]) / 60 if job.jobid in self.began else 0.0
        needs = tuple(other.jobid for other in workflow.dag.dependencies[job])
        return RunJob(job.rule.name, self.planned[job.jobid], taken, needs=needs)

    def show(self):
        """Say how far the run is, unless it has no long jobs, or nothing is left."""
        dag, failed = workflow.dag, failed_now()
        stopped = set(dag.bfs(dag.depending, *failed)) if failed else set()
        left = [job for job in dag.needrun_jobs() if job.jobid not in self.ended and not job.is_norun]
        jobs = self.ended | {job.jobid: self.described(job) for job in left if job not in stopped}
        named = {job.rule for job in jobs.values()}
        if left and MINUTES.keys() & named:
            minutes = (time.time() - self.start) / 60
            line = progress_line(jobs, minutes, len(failed), len(stopped) - len(failed), datetime.now())
            logger.info(f"progress: {line}")
            with suppress(OSError):  # a full disk, which the jobs tell
                write_text(self.file, f"{line}\n")
