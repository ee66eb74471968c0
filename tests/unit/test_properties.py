"""Properties of any config and of any text, tried on examples that the library hypothesis generates."""

import copy
import json
import unicodedata

import numpy as np
import polars
import pytest
from helpers import distilled, embed_shard, make_unigram, write_task
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config
from workflow import REPOSITORY, copy_checkout, planned, snakemake, tiny_config

import embed
import evaluate
import quantize
import sample_sentences
import train
from lib.job.command import InputError
from lib.plan.config import check_config, read_config
from lib.plan.family import Family
from lib.plan.keys import places
from lib.static_model import load_static_model, tokenize
from sample_sentences import REASONS, Rules, clean, examine, split_sentences

settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("same")

# configs

NUMBERS = st.one_of(st.integers(), st.integers(0, 40), st.floats(), st.sampled_from([10**400, 2**63, -1, 0, 1, 2]))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=12) | st.sampled_from(["path:.", "path:", "hub:a/b@main"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=6), values, max_size=3),
    max_leaves=4,
)
# a task that is not known is looked up by mteb, which takes seconds
PATHS = [path.split(".") for _, path, _ in places() if path not in ("evaluation.tasks", "corpus.decontaminate")]
NAMES = ["small", "b", "c", "d"]
TRAINED = st.fixed_dictionaries(
    {"dimensions": st.integers(2, 40), "sentences": st.integers(20, 600)},
    optional={
        "born_again": st.integers(0, 2),
        "tokenlearn": st.booleans(),
        "vocabulary": st.sampled_from(["teacher", 1, 500]),
        "released": st.sampled_from(["distilled", "pretrained", "tokenlearn", "born-again-1"]),
        "seeds": st.lists(st.integers(0, 9), min_size=2, max_size=3),
        "training": st.fixed_dictionaries({}, optional={"epochs": st.integers(0, 3), "batch_size": st.integers(2, 64)}),
    },
)
DERIVED = st.fixed_dictionaries(
    {"from": st.sampled_from(NAMES)},
    optional={"dimensions": st.integers(2, 20), "clusters": st.integers(2, 400)},
)
MODELS = st.dictionaries(st.sampled_from(NAMES), TRAINED | DERIVED, min_size=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, teacher_folder):
    """config.yaml, and an overlay whose sources are on disk."""
    return read_config(REPOSITORY / "config.yaml"), tiny_config(tmp_path_factory.mktemp("data"), teacher_folder)


def plan(base, overlay):
    """The checked config of an overlay and its family; None for a config that is refused, in one line."""
    config = copy.deepcopy(base)
    try:
        update_config(config, overlay)
        check_config(config, [base, overlay], "sources")
    except InputError as error:
        assert str(error).strip() and "\n" not in str(error)
        return None
    return config, Family(config)


def check_plan(config, family):
    """A planned family is whole: each thing that is made, scored or shown has its files, and none has two makers."""
    made = family.model_files()
    assert len(set(made)) == len(made)
    for model in family.models:
        assert set(family.released_files(model)) <= set(made)
        assert {file for stage in family.stages_of(model) for file in family.files(model, stage)} <= set(made)
        shards = family.shards(family.sentences_of(model))
        assert shards == family.shards(family.sentences)[: len(shards)]
        assert family.training(model)["batch_size"] >= 2 and family.dimensions(model) >= 2
        json.dumps(family.card_settings(model))
    results = family.result_files()
    assert len(set(results)) == len(results) == len(family.scored()) * len(family.tasks)
    assert {*family.similarity_files(), *family.training_reports()} <= set(made) <= set(family.run_files())
    assert {stage for pair in family.compared() for stage in pair} <= set(family.scored())
    json.dumps([family.summary_settings({}), family.sample_settings(), family.downloads(), config])


@settings(max_examples=150)
@given(path=st.sampled_from(PATHS), value=VALUES)
@example(path=["corpus", "source"], value="path:" + "x" * 5000)
@example(path=["teacher", "source"], value="path:a\0b")
@example(path=["training", "seed"], value=10**5000)
def test_a_config_with_any_value_anywhere_plans_or_is_refused_in_one_line(tiny, path, value):
    base, overlay = tiny[0], copy.deepcopy(tiny[1])
    section, *last = overlay, path[-1]
    for key in path[:-1]:
        key = "small" if key == "<name>" else key
        section = section.setdefault(key, {}) if isinstance(section, dict) else {}
    if isinstance(section, dict):
        section[last[0]] = value
    if found := plan(base, overlay):
        check_plan(*found)


@settings(max_examples=100)
@given(models=MODELS)
def test_models_of_any_settings_plan_or_are_refused_in_one_line(tiny, models):
    base, overlay = tiny[0], copy.deepcopy(tiny[1]) | {"models": models, "build": list(models)}
    if found := plan(base, overlay):
        check_plan(*found)


@settings(max_examples=2)
@given(models=MODELS)
def test_snakemake_plans_what_the_family_says(tiny, tmp_path_factory, models):
    overlay = tiny[1] | {"models": models, "build": list(models)}
    found = plan(tiny[0], overlay)
    assume(found and len(models) > 1)
    family = found[1]
    checkout = copy_checkout(tmp_path_factory.mktemp("plan") / "checkout")
    jobs = planned(snakemake(checkout, "-n", config=overlay))
    assert jobs["evaluate_model"] == len(family.stages()) and jobs["release_model"] == len(family.models)
    assert jobs["embed"] == len(family.shards(family.sentences))
    assert jobs["distill"] == len({family.owner(model, "distilled") for model in family.trained})


# texts

ODD = "\0\x07\x1b\x7f\x85\xa0\xad\u0301\u200b\u200d\u202e\u2028\ufeff\ufffe\ufffd\U0001f469\U000e0041\U0010ffff"
ODD += "\u05d0\u0627\u0644\u6f22\uac00\u1100\u0e01i\u0307\u0130\ufb01\u212b.!?;,'\"()[]{}<>%$#@ \t\r\n aAbZ09"
SURROGATES = "\ud800\udbff\udc00\udfff"
WORDS = ["boat", "Harbour", "the", "field.", "!?", "e.g.", "Mr.", "http://a.b/c", "\U0001f469\u200d\U0001f680"]
PIECES = st.text(ODD, max_size=8) | st.text(max_size=8) | st.sampled_from(WORDS)
TEXTS = st.lists(PIECES, max_size=12).map(" ".join)
WITHOUT_SPACE = "boat.\u6f22\u0301" * 150_000  # a megabyte


@settings(max_examples=300)
@given(TEXTS | st.text(ODD + SURROGATES, max_size=30))
@example(WITHOUT_SPACE)
def test_any_text_is_split_and_cleaned_into_sentences_that_can_be_written(text):
    cleaned = clean(text)
    assert cleaned == clean(cleaned) == unicodedata.normalize("NFC", cleaned)
    kept = examine([text], Rules(min_words=1, max_words=1000, language=None, seed=0))
    counts = kept.counts
    assert counts["sentences"] == len(kept.sentences) + sum(counts[reason] for reason in REASONS)
    for sentence in [cleaned, *kept.sentences, *map(clean, split_sentences(text))]:
        sentence.encode("utf-8")
        assert sentence == " ".join(sentence.split())
        assert not {unicodedata.category(character) for character in set(sentence)} & {"Cc", "Cs"}


@pytest.fixture(scope="module", params=["word pieces", "unigram"])
def model(request, teacher_folder, sentences, tmp_path_factory):
    """A static model."""
    folder = tmp_path_factory.mktemp("model")
    if request.param == "unigram":
        teacher_folder = make_unigram(folder / "teacher", teacher_folder, sentences)
    return load_static_model(distilled(teacher_folder, folder / "model"))


@settings(max_examples=100)
@given(TEXTS)
@example(WITHOUT_SPACE)
@example("")
@example("\u6f22 \u6f22")
@example("!!! ??? ...")
def test_any_text_has_a_unit_vector_or_if_it_has_no_known_token_the_zero_vector(model, text):
    _, offsets = tokenize(model, [text, "boat"])
    vector, boat = model.encode([text, "boat"], use_multiprocessing=False)
    np.testing.assert_allclose(np.linalg.norm(boat), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vector), 1 if offsets[1] else 0, atol=1e-5)


ODD_TEXTS = [
    *"\0!\ud800",
    "",
    "!!! ??? ...",
    "\u05d0\u05d1 \u202eboat\u202c",
    "\U0001f469\u200d\U0001f680 " * 9,
    "boat" * 250_000,
]


@settings(max_examples=2, phases=[Phase.generate])  # shrinking would take minutes
@given(st.lists(TEXTS | st.text(ODD + SURROGATES, max_size=30), min_size=20, max_size=40))
def test_any_texts_pass_through_a_whole_run(teacher_folder, sentences, tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("run")
    texts = [*texts, *ODD_TEXTS, *sentences[:40]]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "texts.jsonl").write_text(lines, encoding="ascii")
    shards = ["--shard-size", 40, "--sentences", folder / "corpus", "--manifest", folder / "manifest.json"]
    source = ["--sources", json.dumps([f"path:{folder}"]), "--paths", folder / "texts.jsonl", "--documents", "all"]
    call(sample_sentences, *source, "--min-words", 1, "--max-words", 10**6, "--count", 40, *shards)
    sampled = polars.read_parquet(folder / "corpus" / "00000.parquet")["text"]

    (folder / "teacher").mkdir()
    embed.main(
        embed_shard(
            folder / "corpus" / "00000.parquet", teacher_folder, folder / "teacher" / "00000.npy", "--max-length", "64"
        )
    )
    embeddings = np.load(folder / "teacher" / "00000.npy")
    assert len(embeddings) == len(sampled) == 40 and np.isfinite(embeddings).all()

    options = "--loss cosine --temperature 0.1 --batch-size 8 --learning-rate 0.01 --seed 1"
    options = [*options.split(), "--epochs", 1, "--patience", 1, "--count", 40, "--sentences", folder / "corpus"]
    student = distilled(teacher_folder, folder / "distilled")
    call(train, "--student", student, "--embeddings", folder / "teacher", *options, "--output", folder / "pretrained")
    precisions = ["--int8", folder / "int8", "--float16", folder / "float16"]
    shard = folder / "corpus" / "00000.parquet"
    call(quantize, "--model", folder / "pretrained", "--sentences", shard, *precisions)
    valid = [text.encode("utf-8", "ignore").decode() for text in texts]
    for name in ["pretrained", "int8", "float16"]:
        model = load_static_model(folder / name)
        norms = np.linalg.norm(model.encode(valid, use_multiprocessing=False), axis=1)
        known = np.diff(tokenize(model, valid)[1]) > 0
        np.testing.assert_allclose(norms, known, atol=0.01)
        assert not known[valid.index("")] and known[-40:].all()

    labels = [number % 2 for number in range(len(valid))]
    rows = {"train": {"text": sentences[:40], "label": labels[:40]}, "test": {"text": valid, "label": labels}}
    pairs = {"sentence1": valid, "sentence2": valid[::-1], "score": [float(label) for label in labels]}
    tasks = [write_task(folder / "Odd.arrow", **rows), write_task(folder / "Pairs.arrow", test=pairs)]
    scored = ["--custom", json.dumps({"Odd": "Classification", "Pairs": "STS"}), "--tasks", *tasks, "--seed", 0]
    scored += ["--cache", folder / "cache", "--resampled", folder / "resampled.parquet", "--output", folder / "scores"]
    call(evaluate, "--model", folder / "int8", "--name", "m", "--revision", "int8", *scored)
    resampled = polars.read_parquet(folder / "resampled.parquet")
    assert set(resampled.columns) == {"Odd", "Pairs"} and np.isfinite(resampled.to_numpy()).all()


def call(script, *arguments):
    """Run a script on a command line."""
    script.main([str(argument) for argument in arguments])
