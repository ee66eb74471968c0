# What the rules of one file need: functions that give them inputs and options, under that file's name. No rules.

# corpus.smk


def fetched_sources():
    """Each source that the rule fetch serves by its slug, with the kind of hub repository that it would be."""
    texts = [(text, "model") for text in [config["teacher"]["source"], *BASELINES.values()]]
    texts += [(text, "dataset") for text in CORPUS if parse_source(text).kind != "hub"]
    texts += [(CUSTOM_TASKS[task]["source"], "dataset") for task in USED_TASKS if task in CUSTOM_TASKS]
    return {parse_source(text).slug: (text, kind) for text, kind in texts if parse_source(text).kind != "path"}


FETCHED = fetched_sources()


def fetched(wildcards):
    """What a slug stands for."""
    source, repo_type = FETCHED[wildcards.slug]
    return options(source=source, repo_type=repo_type)


def sample_settings():
    """The settings that decide the sample; the rule adds its texts and the tasks that it stays clear of."""
    return {"sources": CORPUS} | {k: v for k, v in config["corpus"].items() if k not in ("source", "decontaminate")}


# student.smk


def vocabulary_file(wildcards):
    """The words that are added to a model's vocabulary, or nothing."""
    vocabulary = MODELS[wildcards.model].get("vocabulary", "teacher")
    return [] if vocabulary == "teacher" else f"<results>/corpus/vocabulary/{wildcards.model}.txt"


def added_words(wildcards, input):
    """The option for the added words, where there are some."""
    return options(vocabulary=input.vocabulary or None)


def distilled_model(wildcards):
    """The model that a training begins from."""
    return stage_files(wildcards.model, "distilled")


def embedding_shards(wildcards):
    """The teacher's embeddings that a model trains on."""
    shards = shards_of(sentences_of(wildcards.model))
    return expand("<results>/teacher/{shard}.{ending}", shard=shards, ending=["npy", "json"])


def previous_generation(wildcards):
    """The model whose embeddings a born-again generation learns."""
    return stage_files(wildcards.model, trained_stage(int(wildcards.generation) - 1))


def training(wildcards):
    """A model's training settings as options of train.py."""
    return options(**dict(sorted(recipe(wildcards.model).items())))


def source_model(wildcards):
    """The files of the model that a model comes from, at the stage that is released."""
    source = MODELS[wildcards.model]["from"]
    return stage_files(source, released_stage(source))


def trains_clusters(wildcards):
    """Whether the vectors that a derived model's tokens share are trained."""
    return "clusters" in MODELS[wildcards.model] and recipe(wildcards.model)["epochs"] > 0


def derivation_targets(wildcards):
    """The teacher's embeddings, where vectors that tokens share are trained."""
    return embedding_shards(wildcards) if trains_clusters(wildcards) else []


def derivation(wildcards, input):
    """What makes a model of another one, as options of derive.py."""
    model = MODELS[wildcards.model]
    embeddings = str(Path(input.embeddings[0]).parent) if input.embeddings else None
    return options(dimensions=model.get("dimensions"), clusters=model.get("clusters"), embeddings=embeddings)


def count(wildcards):
    """The number of sentences that a model's first one was trained on."""
    return sentences_of(wildcards.model)


# export.smk


def card_settings(model):
    """What a model card says of how its model was made."""
    model, *sources = lineage(MODELS, model)
    return {
        "about": config["about"],
        "baselines": list(BASELINES),
        "stage": released_stage(sources[-1] if sources else model),
        "quantized": released_stage(model),
        "scored_as": scored(model, released_stage(model))[0],
        "most_lost": config["release"]["most_lost"],
        "language": config["corpus"]["language"],
        "from": sources,
        "corpus": CORPUS,
        "dimensions": dimensions_of(MODELS, model),
        "license": config["release"].get("license", "other"),
        "seed": recipe(model)["seed"],
        "sentences": sentences_of(model),
        "teacher": config["teacher"]["source"],
    }


def publishing():
    """Where release folders go and what is asked of them, as options of publish.py."""
    settings = as_json({model: card_settings(model) for model in MODELS})
    return [*options(owner=config["release"]["owner"], settings=settings), "--tasks", *TASKS]


# evaluate.smk


def model_files():
    """The files of every model at every stage."""
    return [file for stage in STAGES for file in files_in(*stage)]


def run_files():
    """What a whole run makes: models, scores, summary, plots and release folders."""
    files = ["<results>/summary.md", "<results>/config.yaml", rules.model_metas.output, model_files()]
    files += [f"<results>/plots/{plot}.svg" for plot in PLOTS]
    return [*files, *(f"<results>/release/{model}/README.md" for model in MODELS)]


def results_files():
    """The result of every (model, stage, task), baselines last."""
    return [f"<results>/mteb/results/{model}/{stage}/{task}.json" for model, stage in SCORED for task in TASKS]


def resampled_files():
    """The bootstrap of every (model, stage)'s scores."""
    return [f"<results>/mteb/resampled/{model}/{stage}.parquet" for model, stage in SCORED]


def scored(model, stage):
    """A model's stage where it was scored: models share the stages that the same settings make."""
    return (model if stage == "int8" else owner(model, stage), stage)


def compared_pairs():
    """Which (model, stage) is compared with which, as JSON.

    A final stage with each baseline and with the stage that it was made of, a derived model with the one that it comes
    from, each stage with the one before it, and ours with tokenlearn's.
    """
    pairs = [((model, "int8"), (baseline, "baseline")) for model in MODELS for baseline in BASELINES]
    for model in MODELS:
        pairs += [((model, "int8"), scored(model, released_stage(model)))]
        if model in DERIVED:
            other = MODELS[model]["from"]
            pairs += [((model, "derived"), scored(other, released_stage(other)))]
            continue
        made = ["distilled", *trained_stages(model)]
        pairs += [(scored(model, stage), scored(model, before)) for before, stage in zip(made, made[1:])]
        if "tokenlearn" in stages_of(model):
            pairs += [(scored(model, "pretrained"), scored(model, "tokenlearn"))]
    return as_json(list(dict.fromkeys(pairs)))


def custom_task_path(wildcards):
    """The raw file or folder of a custom task."""
    return source_path(CUSTOM_TASKS[wildcards.task]["source"])


def custom_task_files(wildcards):
    """The files of a custom task's folder."""
    return files_of(CUSTOM_TASKS[wildcards.task]["source"])


def custom_task(wildcards):
    """A custom task's type and format as options of prepare_task.py."""
    task = CUSTOM_TASKS[wildcards.task]
    return options(type=task["type"], format=task.get("format"))


def scored_model(wildcards):
    """The files of a stage of a model."""
    return files_in(wildcards.model, wildcards.stage)


def custom_types(wildcards):
    """The types of the custom tasks, as JSON."""
    return as_json({task: CUSTOM_TASKS[task]["type"] for task in TASKS if task in CUSTOM_TASKS})


def baseline_path(wildcards):
    """The folder of a baseline."""
    return source_path(BASELINES[wildcards.baseline])


def baseline_files(wildcards):
    """The files of a baseline's folder."""
    return files_of(BASELINES[wildcards.baseline])


# report.smk


# the STS task on whose pairs similarities are plotted: of all, the best known
TYPES = TYPE_OF | {task: CUSTOM_TASKS[task]["type"] for task in CUSTOM_TASKS}
STS_TASKS = [task for task in TASKS if TYPES.get(task.removesuffix(DEVELOPMENT)) == "STS"]
SIMILARITY_TASKS = sorted(STS_TASKS, key="STSBenchmark".__ne__)[:1]

# what the trainings report of themselves
TRAINING_FILES = [stage_files(*stage)[-1] for stage in STAGES if stage[1] in trained_stages(stage[0])]

# name: what it shows
PLOTS = {
    "stages": "scores along the stages",
    "gains": "what each stage gained, and whether by chance",
    "tasks": "each task, against the baselines",
    "size": "quality over size",
    "speed": "quality over speed",
    "loss": "loss curves",
}
if STS_TASKS:
    PLOTS["similarities"] = "similarities of pairs, before and after"
if any("clusters" in MODELS[model] for model in MODELS):
    PLOTS["clusters"] = "quality over the number of shared vectors"


def failed_jobs():
    """The jobs that failed, as JSON: of each its rule and wildcards, its log, and the model/stages that it is needed for."""
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
    + ["--scored", *(f"{model}/{stage}" for model, stage in SCORED), "--tasks", *TASKS]
    + ["--custom", custom_types(None), "--output", f"results/{config['run']}/unfinished.md"]
)


def similarity_models(wildcards):
    """The files of the stages whose similarities are plotted: of the first model the first, and int8."""
    first = next(iter(MODELS))
    stages = dict.fromkeys(scored(first, stage) for stage in (stages_of(first)[0], "int8"))
    return [file for stage in stages for file in files_in(*stage)]


def summary_settings():
    """What the summary says beside the results, as JSON."""
    settings = {
        "run": config["run"],
        "about": config["about"],
        "baselines": list(BASELINES),
        "custom_tasks": {n: {k: t[k] for k in ("type", "description")} for n, t in CUSTOM_TASKS.items() if n in TASKS},
        "released": {model: released_stage(model) for model in MODELS},
        "training_seeds": {model: recipe(model)["seed"] for model in MODELS},
        "seeds": SEEDS,
        "clusters": {
            model: {key: MODELS[model].get(key) for key in ("from", "clusters")}
            | {"dimensions": dimensions_of(MODELS, model)}
            for model in MODELS
            if "clusters" in MODELS[model]
        },
        "evaluation_seed": config["evaluation"]["seed"],
        "reference": config["reference"],
        "reference_about": config["reference_about"],
    }
    return as_json(settings)
