"""The keys of a config: the type, default, bounds and meaning of each, in one place.

``describe_config.py`` makes ``schemas/config.schema.json`` and ``docs/config.md`` from this.
"""

import copy
import difflib
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, create_model
from pydantic_core import ErrorDetails, PydanticUndefined

from lib.job.command import InputError
from lib.plan.family import TOKENS_ONLY
from lib.plan.tasks import TYPES

WILDCARD = re.compile(r"\{\s*\w+\s*(,[^}]*)?\}")  # as Snakemake reads it in a rule's params
EXPONENT = r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d{1,2}"
PLAIN = {"dictionary": "a mapping", "list": "a list", "string": "text", "integer": "an integer", "number": "a number"}
RESERVED_RUNS = ["sources", "README.md"]  # other names in results/
RESERVED_TASKS = ["model_meta"]  # a file beside the results


def check_text(text: str) -> str:
    """Refuse text that Snakemake or UTF-8 cannot pass on."""
    if WILDCARD.search(text):
        raise ValueError("text without a word in braces, which Snakemake reads as a wildcard")
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("text without lone surrogates, which UTF-8 cannot encode")
    return text


def no_option(text: str) -> str:
    """Refuse a value that a command line would take for an option."""
    if text.startswith("-"):
        raise ValueError("text that does not begin with -")
    return text


def none_of(reserved: list[str]) -> AfterValidator:
    """A validator that refuses some names."""

    def check(name: str) -> str:
        if name in reserved:
            raise ValueError(f"another name, because {name} is reserved")
        return name

    return AfterValidator(check)


NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
SOURCE = r"^(hub|package|path):."
LANGUAGE = r"^[a-z]{2,3}$"
STAGE = r"^(distilled|tokenlearn|pretrained|born-again-[1-9][0-9]*)$"

Text = Annotated[str, AfterValidator(check_text)]
Name = Annotated[str, Field(pattern=NAME, max_length=100)]
SourceText = Annotated[Text, Field(pattern=SOURCE)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Dimensions = Annotated[int, Field(ge=2, le=65_536)]


def distinct(names: list) -> list:
    """Refuse a list in which an entry is repeated; some file systems do not distinguish upper and lower case."""
    same = [str(name).casefold() for name in names]
    twice = [name for number, name in enumerate(names) if same[number] in same[:number]]
    if twice:
        raise ValueError(f"different entries, but {twice[0]!r} is listed twice")
    return names


class Keys(BaseModel):
    """Keys of a mapping; other keys are refused, and no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class OtherTeacher(Keys):
    """A further transformer to learn from."""

    source: SourceText
    """A transformers folder with `model.safetensors` and a fast tokenizer."""
    max_length: Annotated[int, Field(ge=8, le=1_000_000)]
    """Tokens of a sentence that the teacher reads, including special tokens."""
    pooling: Literal["mean", "mean-with-special", "cls", "last"]
    """`mean` of all but the special tokens, `mean-with-special`, `cls` or `last`."""
    prompt: Text
    """Text before each sentence, if the teacher expects one."""


class Teacher(OtherTeacher):
    """The transformer to learn from; the student's vectors are first distilled from it."""

    others: list[OtherTeacher]
    """Further teachers, for the loss `cosine`: a target is all embeddings side by side. Each has the keys above."""


class Corpus(Keys):
    """The texts that sentences are sampled from."""

    source: SourceText | Annotated[list[SourceText], Field(min_length=1)]
    """A source, or a list of sources."""
    text_key: Annotated[Text, Field(min_length=1), AfterValidator(no_option)]
    """Key or column of the text, in JSON and in tables."""
    documents: Literal["enough", "all"]
    """`enough`: read files alternately until there are enough sentences; `all`: read all files."""
    language: Annotated[str, Field(pattern=LANGUAGE)] | None
    """Code of the language; sentences in other languages are dropped. null keeps all."""
    decontaminate: Annotated[list[Name], AfterValidator(distinct)] | None
    """Tasks whose test texts are kept out of the sample; null: all evaluated tasks."""
    min_words: Annotated[int, Field(ge=1, le=10_000)]
    """Sentences with fewer words are dropped."""
    max_words: Annotated[int, Field(ge=1, le=10_000)]
    """Sentences with more words are dropped."""
    spans: Annotated[float, Field(ge=0, le=0.9)]
    """Share of the texts that are short spans, cut from sentences at random: for models of short queries."""
    span_words: Annotated[int, Field(ge=1, le=10_000)]
    """The longest span, in words."""
    shard_size: Annotated[int, Field(ge=1, le=100_000_000)]
    """Sentences in a shard; embedding a shard is one job. The last shard is filled if there are enough texts."""
    seed: Seed
    """Seed of the sampling."""


class Training(Keys):
    """Training settings of all models; a model can change any of these under its own `training`."""

    loss: Literal["cosine", "contrastive"]
    """`cosine` (of each sentence with its target) or `contrastive` (the card's)."""
    temperature: Annotated[float, Field(gt=0, le=1000)]
    """Divides the cosines before the softmax; for the loss `contrastive` only."""
    batch_size: Annotated[int, Field(ge=2, le=2**20)]
    """Sentences in a step; the loss `contrastive` compares them with each other."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Learning rate of Adam, decayed linearly to zero."""
    epochs: Annotated[int, Field(ge=0, le=10_000)]
    """Passes over the sentences."""
    patience: Annotated[int, Field(ge=1, le=10_000)]
    """Training stops after so many epochs without a better held-out loss."""
    seed: Seed
    """Seed of the order of the sentences and of the choice of those held out."""
    initial: Literal["distilled", "aligned", "contextual"]
    """What training begins with: the distilled vectors, these after the linear map that fits the targets best, or the
    same map of them and of each token's mean hidden state in the sentences (of the first teacher)."""
    shrinkage: Annotated[float, Field(ge=0, le=1e9)]
    """A token that occurs so many times keeps half of what it learned, a rarer one less; 0 changes nothing."""


CHANGES: dict[str, Any] = {
    name: (Annotated[(field.annotation, Field(), *field.metadata)], Field(None, description=field.description))
    for name, field in Training.model_fields.items()
}
TrainingChange = create_model(
    "TrainingChange", __base__=Keys, __doc__="Training settings of one model, in place of `training`.", **CHANGES
)
SharedTrainingChange = create_model(
    "SharedTrainingChange",
    __base__=Keys,
    __doc__="Training settings of shared vectors, in place of the other model's.",
    **{name: change for name, change in CHANGES.items() if name not in TOKENS_ONLY},
)


class TrainedModel(Keys):
    """A model that is distilled from the teacher and trained."""

    dimensions: Dimensions
    """Dimensions of the model's vectors."""
    sentences: Annotated[int, Field(ge=20, le=10**10)]
    """Number of sentences to train on, from the beginning of the sample."""
    vocabulary: Literal["teacher"] | Annotated[int, Field(ge=1, le=10_000_000)] = "teacher"
    """`teacher`, or how many of the most frequent corpus words are tokens too, besides the teacher's tokens."""
    born_again: Annotated[int, Field(ge=0, le=20)] = 0
    """Number of generations, in each of which a fresh student learns the embeddings of the previous one."""
    tokenlearn: bool = False
    """Whether to train with tokenlearn's own trainer too, for comparison."""
    released: Annotated[str, Field(pattern=STAGE)] = "pretrained"
    """The stage that is quantized and released."""
    seeds: Annotated[list[Seed], Field(min_length=2), AfterValidator(distinct)] = None  # type: ignore[assignment]
    """Several training seeds, such as `[1, 2, 3]`: one model per seed; the tables show mean and standard deviation."""
    training: TrainingChange = None  # type: ignore[valid-type]
    """Any of the keys of `training`, for this model."""


class DerivedModel(Keys):
    """A model that is derived from another one: fewer dimensions, shared vectors, or both."""

    source: Name = Field(alias="from")
    """Name of the model that it is derived from."""
    dimensions: Dimensions = None  # type: ignore[assignment]
    """Fewer dimensions than the other model has, by PCA of its sentence embeddings."""
    clusters: Annotated[int, Field(ge=2, le=10_000_000)] = None  # type: ignore[assignment]
    """Number of vectors that the tokens share, trained with the other model's training settings."""
    training: SharedTrainingChange = None  # type: ignore[valid-type]
    """Any of the keys of `training` but `initial` and `shrinkage`, for the shared vectors; the others are those of the
    other model."""


def kind_of_model(value: Any) -> str:
    """The kind of model that a mapping describes."""
    return "derived" if isinstance(value, dict) and "from" in value else "trained"


Model = Annotated[
    Annotated[TrainedModel, Tag("trained")] | Annotated[DerivedModel, Tag("derived")], Discriminator(kind_of_model)
]


class CustomTask(Keys):
    """A task of your own."""

    type: Literal[tuple(TYPES)]  # type: ignore[valid-type]
    """Type of the task, which decides the score and the columns of the table."""
    source: SourceText
    """A table, or a folder with a table for each split."""
    format: Literal[
        "table",
        "trec",
        "amazon_snippets",
        "privacy_policy",
        "lee",
        "wordsim353",
        "rare_words",
        "semeval2017_task2",
        "boolq",
        "xsum",
        "tweets",
        "editorial_snippets",
        "medical_subjects",
    ] = "table"
    """`table`, or the file format of one of the data sets in packages that recipes use."""
    description: Annotated[Text, Field(min_length=1)]
    """Description of the task in the summary, the report and the model cards."""


class Evaluation(Keys):
    """The tasks that models are scored on, and the models to compare with."""

    tasks: Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)]
    """Names of mteb's tasks (English, test split), `<task>-dev` for development splits, or names of custom tasks."""
    custom_tasks: dict[Annotated[Name, none_of(RESERVED_TASKS)], CustomTask]
    """Tasks of your own, by name."""
    seed: Seed
    """Seed of the bootstrap for statistical significance."""
    baselines: Annotated[list[Name], AfterValidator(distinct)]
    """Names of the baselines to score, by the same script."""
    references: Annotated[list[Text], AfterValidator(distinct)]
    """Names under `reference` whose numbers are shown."""


class Release(Keys):
    """Conditions and destination of a release."""

    license: Annotated[Text, Field(min_length=1)] | None
    """Licence of the released models as the hub names it, such as `mit`; null: their cards say that none is chosen."""
    most_lost: Annotated[float, Field(ge=0, le=100)]
    """Points (score × 100) that int8 may lose in a category's mean; a model that loses more is not released."""
    owner: Name | None
    """User or organisation on the hub that `snakemake publish` uploads to."""
    carbon_intensity: Annotated[float, Field(ge=0, le=5000)] | None
    """Grams of CO2 equivalent for each kWh of your electricity, for estimated emissions in costs and model cards; null:
    none are stated."""


class Config(Keys):
    """The configuration of a run."""

    run: Annotated[Name, none_of(RESERVED_RUNS)]
    """Name of the run; results go to `results/<run>/`."""
    about: Text
    """One or two sentences at the top of the summary and the model cards."""
    teacher: Teacher
    corpus: Corpus
    training: Training
    models: Annotated[dict[Name, Model], Field(min_length=1)]
    """Definitions of models, by name; `build` selects from them."""
    build: Annotated[list[Name], Field(min_length=1), AfterValidator(distinct)]
    """Names of the models to make."""
    baselines: dict[Name, SourceText]
    """Sources of sentence-transformers or model2vec models to compare with, by name."""
    evaluation: Evaluation
    reference_about: Text
    """Where the reference numbers come from."""
    reference: dict[Text, dict[Text, dict[Text, float]]]
    """Published numbers, by model, by source, by category (or `Avg`, `Size (MB)`)."""
    release: Release


# what each pattern means, in words
PATTERNS = {
    NAME: "letters, digits, dots, underscores and hyphens, beginning with a letter or digit",
    SOURCE: "hub:…, package:… or path:…",
    LANGUAGE: "a language code of two or three letters, such as en",
    STAGE: "distilled, tokenlearn, pretrained or born-again-<number>",
}


def places(model: type[BaseModel] = Config, path: tuple[str, ...] = ()) -> Iterator[tuple[type[BaseModel], str, str]]:
    """Each key of a config, in order: the model of its mapping, its path, and its field's name.

    In a path ``<name>`` is a key that the user chooses, and ``<n>`` an entry of a list.
    """
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield model, ".".join(here), name
        for inner, within in inner_models(field.annotation):
            yield from places(inner, (*here, *within))


def inner_models(annotation: Any) -> Iterator[tuple[type[BaseModel], list[str]]]:
    """The models in a type, and the part of the path to values of a mapping and entries of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, []
    origin = get_origin(annotation)
    own = ["<name>"] if origin is dict else ["<n>"] if origin is list else []
    for part in get_args(annotation):
        for model, within in inner_models(part):
            yield model, [*own, *within]


def path_of(error: ErrorDetails, config: Any) -> list[str | int]:
    """The path of an error in a config: pydantic's location without the parts that only name a type."""
    path: list[str | int] = []
    for part in error["loc"]:
        if (isinstance(config, dict) and part in config) or (isinstance(config, list) and isinstance(part, int)):
            config = config[part]  # type: ignore[index]
            path.append(part)
    return [*path, error["loc"][-1]] if error["type"] == "missing" else path


def expected(error: ErrorDetails) -> str:
    """What pydantic expected, in plain words."""
    if error["type"] == "string_pattern_mismatch":
        return PATTERNS[error["ctx"]["pattern"]]
    if error["type"] in ("model_type", "invalid_key"):
        return {"model_type": "a mapping", "invalid_key": "a key that is text"}[error["type"]]
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("a valid ")
    text = re.sub(r"^\w+ should have (.*?)( after validation, not \d+)?$", r"\1", text)
    if text == "number" and isinstance(error["input"], str) and re.fullmatch(EXPONENT, error["input"]):
        return f"a number: {Decimal(error['input']):f}"  # YAML reads 3e-3 as text
    return PLAIN.get(text, text)


def hint(path: list[str | int], config: dict) -> str:
    """The likely key in place of an unknown one, or where the key belongs."""
    parent: Any = config
    for part in path[:-1]:
        parent = parent[part]
    here = [str(part) for part in path[:-1]]
    inside = here[:1] == ["models"] and len(here) >= 2
    kind = {"derived": DerivedModel, "trained": TrainedModel}[kind_of_model(parent)]
    siblings, elsewhere = [], []
    for model, place, _ in places():
        *above, key = place.split(".")
        fits = len(above) == len(here) and all(a in ("<name>", "<n>", b) for a, b in zip(above, here, strict=True))
        if fits and not (inside and len(here) == 2 and model is not kind):
            siblings.append(key)
        elif key == path[-1] and not fits:
            elsewhere.append(place)
    if elsewhere:
        return f"it belongs at {' or '.join(dict.fromkeys(elsewhere))}"
    near = difflib.get_close_matches(str(path[-1]), siblings, 1)
    return f"expected {near[0]}" if near else f"expected one of {', '.join(siblings)}"


def check_keys(config: dict) -> dict:
    """Check each key and value of a config on its own.

    Returns:
        The config, with the defaults of models and custom tasks.

    Raises:
        InputError: a key is unknown or missing, or its value is invalid; one line about the first mistake.
    """
    try:
        checked = Config.model_validate(config)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
        paths = [path_of(error, config) for error in errors]
        # an unknown key before a missing one, which it may misspell; of a list or a text, the entry
        order = [
            (error["type"] != "extra_forbidden", error["loc"][0] != errors[0]["loc"][0], -len(path))
            for error, path in zip(errors, paths, strict=True)
        ]
        first, path = errors[order.index(min(order))], paths[order.index(min(order))]
        name = ".".join(map(str, path)) or "top level"
        if first["type"] == "extra_forbidden":
            raise InputError(f"{name}: no such key; {hint(path, config)}") from invalid
        if first["type"] == "missing":
            raise InputError(f"{name}: expected a value, found none") from invalid
        # each type of a union has an error of its own
        wanted = dict.fromkeys(expected(error) for error, place in zip(errors, paths, strict=True) if place == path)
        try:
            value = repr(first["input"])
        except ValueError:  # Python writes no integer of so many digits
            value = "an integer of thousands of digits"
        shown = value if len(value) < 80 else f"{value[:77]}…"
        raise InputError(f"{name}: {shown}, expected {' or '.join(wanted)}") from invalid
    filled = copy.deepcopy(config)
    for name, model in checked.models.items():
        filled["models"][name] = defaults_of(model) | filled["models"][name]
    for name, task in checked.evaluation.custom_tasks.items():
        filled["evaluation"]["custom_tasks"][name] = defaults_of(task) | filled["evaluation"]["custom_tasks"][name]
    return filled


def defaults_of(keys: Keys) -> dict[str, Any]:
    """The defaults of the keys that have one."""
    fields = type(keys).model_fields.items()
    return {name: field.default for name, field in fields if field.default not in (None, PydanticUndefined)}
