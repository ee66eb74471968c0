"""The models of a run: their stages and files, what they share, and what is reported about them.

Everything follows from the config, nothing from files on disk.
"""

import math
from itertools import pairwise
from typing import Any

from lib.job.command import InputError
from lib.plan.sources import parse_source
from lib.plan.stage_files import FILES, TRAINED_FILES, in_order
from lib.plan.tasks import DEVELOPMENT, TYPE_OF

TOKENS_ONLY = ["initial", "shrinkage"]  # training settings of vectors that are not shared by tokens
Stage = tuple[str, str]  # a model or baseline, and its stage


def corpus_sources(config: dict) -> list[str]:
    """The corpus's sources as a list."""
    source = config["corpus"]["source"]
    return [source] if isinstance(source, str) else source


def lineage(models: dict, name: str) -> list[str]:
    """A model, the one that it is derived from, and so on up to a trained one.

    Args:
        models: the config's models.
        name: one of them.

    Raises:
        InputError: one of them does not exist, or the derivation is circular.
    """
    way = [name]
    while "from" in models[way[-1]]:
        source = models[way[-1]]["from"]
        if source not in models:
            raise InputError(f"models.{way[-1]}.from: {source!r}, expected one of {', '.join(models)}")
        if source in way:
            raise InputError(
                f"models.{name}.from: expected a trained model at the end, found {', '.join(way)}, {source}"
            )
        way.append(source)
    return way


def dimensions_of(models: dict, name: str) -> int:
    """The dimensions of a model, its own or those of the model that it is derived from."""
    return next(models[each]["dimensions"] for each in lineage(models, name) if "dimensions" in models[each])


def trained_stage(generation: int) -> str:
    """The stage of a born-again generation; generation 0 is ``pretrained``."""
    return f"born-again-{generation}" if generation else "pretrained"


def folder_of_teacher(number: int) -> str:
    """The name of a teacher's folder of embeddings: ``teacher`` for number 0, then ``teacher-2`` and so on."""
    return f"teacher-{number + 1}" if number else "teacher"


class Family:
    """The models of a run, by its config."""

    def __init__(self, config: dict) -> None:
        """Take a checked config, which has only models that are built, each with one seed."""
        self.config, self.models = config, config["models"]
        first = {key: value for key, value in config["teacher"].items() if key != "others"}
        self.teachers = {
            folder_of_teacher(number): each for number, each in enumerate([first, *config["teacher"]["others"]])
        }
        self.baselines, self.tasks = config["baselines"], config["evaluation"]["tasks"]
        self.custom_tasks = config["evaluation"]["custom_tasks"]
        self.corpus, decontaminate = corpus_sources(config), config["corpus"]["decontaminate"]
        self.decontaminate = self.tasks if decontaminate is None else decontaminate
        self.used_tasks = list(dict.fromkeys([*self.tasks, *self.decontaminate]))
        self.trained = [model for model in self.models if "from" not in self.models[model]]
        self.derived = [model for model in self.models if "from" in self.models[model]]
        self.shard_size = config["corpus"]["shard_size"]
        self.sentences = max(self.models[model]["sentences"] for model in self.trained)

    # inputs

    def downloads(self) -> dict[str, dict[str, str]]:
        """Each source that is downloaded, by its slug: its text, and its type of repository if it is on a hub.

        Texts of a hub are streamed, and paths are used in place.
        """
        teachers = [teacher["source"] for teacher in self.teachers.values()]
        texts = [(text, "model") for text in [*teachers, *self.baselines.values()]]
        texts += [(text, "dataset") for text in self.corpus if parse_source(text).kind != "hub"]
        texts += [(self.custom_tasks[t]["source"], "dataset") for t in self.used_tasks if t in self.custom_tasks]
        sources = [(parse_source(text), text, kind) for text, kind in texts]
        return {s.slug: {"source": text, "repo_type": kind} for s, text, kind in sources if s.kind != "path"}

    def sample_settings(self) -> dict[str, Any]:
        """The settings that decide the sample, besides its texts and the tasks whose test texts are kept out."""
        corpus = self.config["corpus"]
        return {"sources": self.corpus} | {k: v for k, v in corpus.items() if k not in ("source", "decontaminate")}

    # settings of a model

    def lineage(self, model: str) -> list[str]:
        """A model, the one that it is derived from, and so on up to a trained one."""
        return lineage(self.models, model)

    def dimensions(self, model: str) -> int:
        """The dimensions of a model's vectors."""
        return dimensions_of(self.models, model)

    def vocabulary(self, model: str) -> str | int:
        """``teacher``, or the number of words that a trained model adds to the teacher's vocabulary."""
        return self.models[model]["vocabulary"]

    def sentences_of(self, model: str) -> int:
        """The number of sentences that a model, or the one that it is derived from, is trained on."""
        return self.models[self.lineage(model)[-1]]["sentences"]

    def shards(self, sentences: int) -> list[str]:
        """The names of the shards that hold the first ``sentences`` sentences."""
        return [f"{i:05d}" for i in range(math.ceil(sentences / self.shard_size))]

    def training(self, model: str) -> dict[str, Any]:
        """The training settings of a model: its own, else those of the model that it is derived from."""
        settings = dict(self.config["training"])
        for each in reversed(self.lineage(model)):
            settings |= self.models[each].get("training", {})
        return {key: value for key, value in settings.items() if model in self.trained or key not in TOKENS_ONLY}

    def trains_clusters(self, model: str) -> bool:
        """Whether the shared vectors of a derived model are trained."""
        return "clusters" in self.models[model] and self.training(model)["epochs"] > 0

    # stages of a model

    def trained_stages(self, model: str) -> list[str]:
        """The stages of a model that our trainer makes; none for a derived model."""
        if model in self.derived:
            return []
        return list(map(trained_stage, range(self.models[model]["born_again"] + 1)))

    def stages_of(self, model: str) -> list[str]:
        """The stages of a model in the order in which they are made; the last is the quantized one."""
        if model in self.derived:
            return ["derived", "int8"]
        compared = ["tokenlearn"] if self.models[model]["tokenlearn"] else []
        return in_order(["distilled", *compared, *self.trained_stages(model), "int8"])

    def released(self, model: str) -> str:
        """The stage of a model that is quantized and released."""
        return "derived" if model in self.derived else self.models[model]["released"]

    def made_by(self, model: str, stage: str) -> list:
        """The settings that decide a stage of a trained model; models with equal settings share the stage."""
        vocabulary = self.vocabulary(model)
        distilled = [
            self.models[model]["dimensions"],
            vocabulary,
            None if vocabulary == "teacher" else self.models[model]["sentences"],
        ]
        if stage == "distilled":
            return distilled
        training = self.training(model)
        return [*distilled, self.models[model]["sentences"], training["seed"] if stage == "tokenlearn" else training]

    def owner(self, model: str, stage: str) -> str:
        """The model whose folder holds a stage: the first one with its settings."""
        if stage not in ("distilled", "tokenlearn", *self.trained_stages(model)):
            return model
        made_by = self.made_by(model, stage)
        return next(
            other for other in self.trained if stage in self.stages_of(other) and self.made_by(other, stage) == made_by
        )

    def files(self, model: str, stage: str) -> list[str]:
        """The files of a model's stage, which may be in another model's folder."""
        folder = f"<results>/models/{self.owner(model, stage)}/{stage}"
        return [f"{folder}/{file}" for file in FILES.get(stage, TRAINED_FILES)]

    def released_files(self, model: str) -> list[str]:
        """The files of the stage of a model that is quantized and released."""
        return self.files(model, self.released(model))

    # all models

    def stages(self) -> list[Stage]:
        """Each model and stage that is made, a shared one once."""
        pairs = [(model, stage) for model in self.models for stage in self.stages_of(model)]
        return [(model, stage) for model, stage in pairs if self.owner(model, stage) == model]

    def scored(self) -> list[Stage]:
        """Each model and stage that is scored, and the baselines."""
        return [*self.stages(), *((baseline, "baseline") for baseline in self.baselines)]

    def model_files(self) -> list[str]:
        """The files of every model at every stage."""
        return [file for pair in self.stages() for file in self.files(*pair)]

    def result_files(self) -> list[str]:
        """The result of every model and stage on every task, baselines last."""
        return [
            f"<results>/mteb/results/{model}/{stage}/{task}.json"
            for model, stage in self.scored()
            for task in self.tasks
        ]

    def resampled_files(self) -> list[str]:
        """The bootstrap of the scores of every model and stage, baselines last."""
        return [f"<results>/mteb/resampled/{model}/{stage}.parquet" for model, stage in self.scored()]

    def meta_files(self) -> list[str]:
        """mteb's description of the model in each folder of results, without which mteb does not read the folder."""
        return [f"<results>/mteb/results/{model}/{stage}/model_meta.json" for model, stage in self.scored()]

    def run_files(self) -> list[str]:
        """All that a run makes: models, scores, summary, plots and release folders."""
        files = ["<results>/summary.md", "<results>/costs.md", "<results>/config.yaml", *self.model_files()]
        files += self.meta_files()
        files += [f"<results>/plots/{plot}.svg" for plot in self.plots()]
        return [*files, *(f"<results>/release/{model}/README.md" for model in self.models)]

    def training_reports(self) -> list[str]:
        """The reports of the trainings."""
        return [self.files(*pair)[-1] for pair in self.stages() if pair[1] in self.trained_stages(pair[0])]

    def jobs_behind(self, model: str) -> list[str]:
        """The jobs that a model was made by, from its sample to ONNX, as their benchmark files without the ending."""
        *derived, trained = self.lineage(model)
        stages, released = self.trained_stages(trained), self.released(trained)
        made = stages[: stages.index(released) + 1] if released in stages else [released] * (released == "tokenlearn")
        teachers = list(self.teachers) if set(made) & set(stages) or any(map(self.trains_clusters, derived)) else []
        teachers = teachers or list(self.teachers)[: len(made)]  # tokenlearn has the first teacher alone
        shards = self.shards(self.sentences_of(model))
        jobs = ["sample_sentences", f"distill/{self.owner(trained, 'distilled')}"]
        jobs += [f"embed/{f'{name}-{shard}'.removeprefix('teacher-')}" for name in teachers for shard in shards]
        rules = {"pretrained": "pretrain/{}", "tokenlearn": "train_tokenlearn/{}"}
        for stage in made:
            generation = stage.removeprefix("born-again-")
            jobs.append(rules.get(stage, f"train_born_again/{{}}-{generation}").format(self.owner(trained, stage)))
        return [*jobs, *(f"derive/{each}" for each in derived), f"quantize/{model}", f"export_onnx/{model}"]

    def compared(self) -> list[tuple[Stage, Stage]]:
        """The pairs of stages that are compared.

        Each final stage is compared with each baseline and with the stage that it is made from, each derived model with
        the one that it is derived from, each stage with the one before it, and ours with tokenlearn's.
        """

        def place(model: str, stage: str) -> Stage:
            return self.owner(model, stage), stage

        pairs = [((model, "int8"), (baseline, "baseline")) for model in self.models for baseline in self.baselines]
        for model in self.models:
            pairs += [((model, "int8"), place(model, self.released(model)))]
            if model in self.derived:
                other = self.models[model]["from"]
                pairs += [((model, "derived"), place(other, self.released(other)))]
                continue
            made = ["distilled", *self.trained_stages(model)]
            pairs += [(place(model, stage), place(model, before)) for before, stage in pairwise(made)]
            if "tokenlearn" in self.stages_of(model):
                pairs += [(place(model, "pretrained"), place(model, "tokenlearn"))]
        return list(dict.fromkeys(pairs))

    # reports

    def custom_types(self) -> dict[str, str]:
        """The types of the custom tasks that are evaluated."""
        return {task: self.custom_tasks[task]["type"] for task in self.tasks if task in self.custom_tasks}

    def mteb_tasks(self) -> list[str]:
        """The evaluated tasks that are mteb's own, on its test splits."""
        return [task for task in self.tasks if task not in self.custom_tasks and not task.endswith(DEVELOPMENT)]

    def sts_task(self) -> str | None:
        """The STS task whose pairs are plotted: STSBenchmark, else the first one."""
        types = TYPE_OF | self.custom_types()
        tasks = [task for task in self.tasks if types.get(task.removesuffix(DEVELOPMENT)) == "STS"]
        return min(tasks, key="STSBenchmark".__ne__, default=None)

    def similarity_files(self) -> list[str]:
        """The files of the stages whose similarities are plotted: the first model's first stage and int8."""
        first = next(iter(self.models))
        return [file for stage in (self.stages_of(first)[0], "int8") for file in self.files(first, stage)]

    def plots(self) -> dict[str, str]:
        """A description of each plot, by its name."""
        plots = {
            "stages": "scores by stage",
            "gains": "the gain of each stage, and its significance",
            "tasks": "each task, compared with the baselines",
            "size": "quality over size",
            "speed": "quality over speed",
            "loss": "loss curves",
        }
        if self.sts_task():
            plots["similarities"] = "similarities of pairs, before and after"
        curves = [(model["from"], self.dimensions(name)) for name, model in self.models.items() if "clusters" in model]
        if len(set(curves)) < len(curves):  # a single point is no curve
            plots["clusters"] = "quality over the number of shared vectors"
        return plots

    def card_settings(self, model: str) -> dict[str, Any]:
        """The settings that a model card shows."""
        _, *sources = self.lineage(model)
        release = self.config["release"]
        corpus = self.config["corpus"]
        return {
            "about": self.config["about"],
            "baselines": list(self.baselines),
            "siblings": [other for other in self.models if other != model],
            "custom_tasks": list(self.custom_types()),
            "stage": self.released(sources[-1] if sources else model),
            "quantized": self.released(model),
            "scored_as": self.owner(model, self.released(model)),
            "most_lost": release["most_lost"],
            "language": corpus["language"],
            "from": sources,
            "corpus": self.corpus,
            "dimensions": self.dimensions(model),
            "license": release["license"],
            "owner": release["owner"],
            "training": self.training(model),
            "sample": {key: corpus[key] for key in ("min_words", "max_words", "spans", "span_words", "seed")},
            "sentences": self.sentences_of(model),
            "teachers": list(self.teachers.values()),
        }

    def summary_settings(self, seeds: dict[str, list[str]]) -> dict[str, Any]:
        """The settings that the summary shows with the results.

        Args:
            seeds: the models that differ in their seed only, by their common name in the config.
        """
        custom = [(task, self.custom_tasks[task]) for task in self.custom_types()]
        clustered = {name: model for name, model in self.models.items() if "clusters" in model}
        return {
            "run": self.config["run"],
            "about": self.config["about"],
            "baselines": list(self.baselines),
            "custom_tasks": {task: {"type": each["type"], "description": each["description"]} for task, each in custom},
            "released": {model: self.released(model) for model in self.models},
            "training_seeds": {model: self.training(model)["seed"] for model in self.models},
            "seeds": seeds,
            "clusters": {
                name: {"from": model["from"], "clusters": model["clusters"], "dimensions": self.dimensions(name)}
                for name, model in clustered.items()
            },
            "evaluation_seed": self.config["evaluation"]["seed"],
            "reference": self.config["reference"],
            "reference_about": self.config["reference_about"],
        }
