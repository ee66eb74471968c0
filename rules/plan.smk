# What a whole run would take, for the rule `plan`, from the functions of resources.smk and the sizes of sources and
# tasks, on disk or else where they would be downloaded. No rules.

from functools import cache
from types import SimpleNamespace

from lib.model_folder import check_folder
from lib.sizes import download_size, task_size


def on_disk(path):
    """A path of the rules without Snakemake's path variables."""
    return path.replace("<sources>", SOURCES).replace("<results>", f"results/{config['run']}")


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
    0.01, and a transformer in bfloat16 0.4 of the time in float32. A stage has about 30,000 vectors of four bytes a
    number.
    """
    from lib.precision import has_fast_bfloat16  # imports torch, which no other target needs

    faster = 0.4 if has_fast_bfloat16("cpu") else 1.0
    shard_sizes = {}
    for name, settings in family.teachers.items():
        folder = on_disk(source_path(settings["source"]))
        dimensions = check_folder(folder) if os.path.exists(folder) else None
        shard_sizes[folder] = None if dimensions is None else family.shard_size * dimensions * 2 / 1e6
        shards = [f"results/{config['run']}/{name}/{shard}.npy" for shard in SHARDS]
        EXPECTED.update({path: shard_sizes[folder] for path in shards if not os.path.exists(path)})
    embeddings = [f"results/{config['run']}/{TEACHERS[0]}/{shard}.npy" for shard in SHARDS]
    of_run = SimpleNamespace(
        teacher=on_disk(source_path(config["teacher"]["source"])),
        tasks=[on_disk(task_path(task)) for task in TASKS],
        baselines=[on_disk(source_path(source)) for source in BASELINES.values()],
        embeddings=embeddings,
    )
    for_sample = SimpleNamespace(tasks=[on_disk(task_path(task)) for task in family.decontaminate])

    def job(part, minutes, needed, disk, factor=1.0, model=None, input=of_run, besides=0.1):
        def value_of(amount):
            try:
                return amount(SimpleNamespace(model=model), input) if callable(amount) else amount
            except TypeError:  # arithmetic with a size that is None
                return None

        taken = value_of(minutes)
        return part, None if taken is None else besides + factor * taken, value_of(needed), disk

    scored = 0.1 + 0.01 * len(TASKS)
    yield job("sample_sentences", sampling_minutes, sampling_memory, 5e-5 * family.sentences, input=for_sample)
    for settings in family.teachers.values():
        folder = on_disk(source_path(settings["source"]))
        for _ in SHARDS:
            own = SimpleNamespace(teacher=folder)
            yield job("embed", embedding_minutes, embedding_memory, shard_sizes[folder], faster, input=own)
    for model, stage in family.stages():
        float32 = 0.12 * family.dimensions(model)
        if stage == "distilled":
            yield job("distill", distillation_minutes, distillation_memory, float32, faster, model)
        elif stage == "tokenlearn":
            yield job("train_tokenlearn", tokenlearn_minutes, tokenlearn_memory, float32, model=model)
        elif stage == "int8":
            yield job("quantize, export, release", 0.3, 2000, 5 * float32, model=model)
        elif stage == "derived":
            trained = training_minutes if family.trains_clusters(model) else 0
            yield job("derive", trained, training_memory, float32, model=model)
        else:
            yield job("pretrain, train_born_again", training_minutes, training_memory, float32, model=model)
        yield job("evaluate_model", scoring_minutes, scoring_memory, 0, model=model, besides=scored)
    for baseline in of_run.baselines:
        factor = 1.0 if is_static_model(baseline) else faster
        own = SimpleNamespace(model=baseline, tasks=of_run.tasks)
        yield job("evaluate_baseline", baseline_minutes, baseline_memory, 0, factor, input=own, besides=scored)
    yield job("measure_speed", 0.2 * (len(MODELS) + len(BASELINES)), speed_memory, 0)


@cache
def plan_of_run():
    """What the script shows, as JSON; sizes are asked for only when this target is named."""
    plan = as_json({"downloads": ask_for_sizes(), "jobs": list(planned_jobs())})
    EXPECTED.clear()  # jobs beside this one request their resources by what is on disk
    return plan
