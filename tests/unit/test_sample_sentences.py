"""The sample of training sentences."""

import json
import random
import unicodedata
from pathlib import Path

import polars
import pytest
from helpers import write_task

import sample_sentences as script
from lib.job.command import InputError
from lib.job.files import sha256
from lib.overlap import TaskTexts, hash_texts, normalized_words

DROPPED = [*script.REASONS, "not_sampled"]


def sampled(documents, count, seed=0, evenly=True, language=None, test_texts=None, workers=1):
    """The sample, and its counts."""
    rules = script.Rules(5, 60, language, seed)
    kept, report = script.sample(documents, count, evenly, rules, test_texts or TaskTexts(), workers)
    return kept, report["counts"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("The boat left. The tide rose.", ["The boat left.", "The tide rose."]),
        ("Dr. Smith paid 3.50 for it. He left.", ["Dr. Smith paid 3.50 for it.", "He left."]),
        ("A heading\n\nThen a sentence", ["A heading", "Then a sentence"]),
        (" \n\n", []),
    ],
)
def test_documents_are_split_into_sentences(document, expected):
    assert [sentence.strip() for sentence in script.split_sentences(document)] == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("  two\t words\u00a0here \n", "two words here"),
        ("nul\x00l\x1b and\x9f\ufeff more", "nul l and more"),
        ("cafe\u0301", "caf\u00e9"),
        ("lone \ud800surrogate\udfff", "lone surrogate"),
        ("東京 – naïve 😀", "東京 – naïve 😀"),
    ],
)
def test_cleaning(raw, expected):
    cleaned = script.clean(raw)
    assert cleaned == expected
    assert unicodedata.is_normalized("NFC", cleaned)
    cleaned.encode("utf-8")


def test_too_few_sentences_are_a_mistake_that_names_the_rule_which_dropped_most(tmp_path):
    long = [" ".join(["word"] * 70) + f" number {i}." for i in range(30)]
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("\n".join([*long, "Short.", "The boat left the old harbour."]))
    command = ["--sources", json.dumps([f"path:{tmp_path}/texts"]), "--paths", tmp_path / "texts", "--count", 20]
    command += ["--shard-size", 10, "--sentences", tmp_path / "shards", "--manifest", tmp_path / "manifest.json"]
    with pytest.raises(InputError, match=r"too_long.*max_words: 60.*30 of 32"):
        script.main([str(part) for part in command])
    assert not (tmp_path / "manifest.json").exists()


def test_a_document_with_a_lone_surrogate_is_cleaned_not_a_crash():
    kept, _ = sampled(["The boat \ud800 left the old harbour. The quiet tide rose under it."], 2)
    assert sorted(kept) == ["The boat left the old harbour.", "The quiet tide rose under it."]


def test_a_sentences_rank_depends_on_its_normalized_words_and_the_seed():
    def rank(text, seed):
        return script.rank_of(normalized_words(text), seed)

    assert rank("The Straße", 1) == rank("the STRASSE!", 1)
    assert rank("The boat", 1) != rank("The boat", 2)
    assert rank("The boat", 1) != rank("The boats", 1)


def test_the_sample_does_not_depend_on_the_order_of_the_documents(sentences):
    shuffled = random.Random(1).sample(sentences, len(sentences))
    assert shuffled != sentences
    kept = sampled(sentences, 100)[0]
    assert len(set(kept)) == 100
    assert sampled(shuffled, 100)[0] == kept


def test_the_sample_does_not_depend_on_the_order_of_sentences_that_differ_in_case():
    documents = ["The boat left the harbour.", "THE BOAT LEFT THE HARBOUR."]
    assert sampled(documents, 1)[0] == sampled(documents[::-1], 1)[0]


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(sentences):
    large = sampled(sentences, 300)[0]
    assert sampled(sentences, 50)[0] == large[:50]
    assert sampled(sentences, 1)[0] == large[:1]


def test_another_seed_gives_another_sample(sentences):
    assert set(sampled(sentences, 100, seed=0)[0]) != set(sampled(sentences, 100, seed=1)[0])


def test_sentences_that_are_no_use_are_dropped_and_counted():
    documents = [
        "One two three four five. One two three four.",
        "ONE TWO three four five.",
        "1 2 3 4 5 6.",
        "word " * 60 + "word.",
        "word " * 59 + "word.",
    ]
    kept, counts = sampled(documents, 10)
    assert sorted(kept) == ["One two three four five.", ("word " * 60)[:-1] + "."]
    expected = dict(documents=5, sentences=6, too_short=1, too_long=1, no_letters=1, duplicate=1, not_sampled=0, kept=2)
    assert counts == expected | dict(other_language=0, test_text=0)


@pytest.mark.parametrize("count", [1, 20, 400, 1000])
def test_counts_add_up(sentences, count):
    documents = [*sentences, *(text.upper() for text in sentences[::3]), "Too short.", "1 2 3 4 5 6 7"]
    kept, counts = sampled(documents, count)
    assert counts["sentences"] == len(documents) == counts["documents"]
    assert counts["sentences"] == sum(counts[name] for name in DROPPED) + counts["kept"]
    assert counts["kept"] == len(kept) == min(count, 400)


@pytest.fixture
def arguments(tmp_path, sentences):
    """The command line for 100 sentences in shards of 40 out of two files, and the shards."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("\n\n".join(sentences[:300]))
    (source / "b.txt").write_text("\n\n".join(sentences[200:]))
    shards = [tmp_path / "out" / f"{i:05}.parquet" for i in range(3)]
    argv = ["--sources", json.dumps([f"path:{source}"]), "--paths", str(source), "--shard-size", "40", "--seed", "5"]
    argv += ["--sentences", str(tmp_path / "out"), "--manifest", str(tmp_path / "out" / "manifest.json")]
    return argv, shards


def test_main_writes_shards_without_duplicates_and_a_manifest_with_their_hashes(arguments, sentences, tmp_path):
    argv, shards = arguments
    script.main([*argv, "--count", "100", "--documents", "all"])
    parts = [polars.read_parquet(shard)["text"].to_list() for shard in shards]
    assert [len(part) for part in parts] == [40, 40, 40]
    written = [text for part in parts for text in part]
    assert written == sampled(sentences, 120, seed=5)[0]
    assert len({text.casefold() for text in written}) == 120
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["shards"] == {shard.name: sha256(shard) for shard in shards}
    assert manifest["sources"] == [f"path:{tmp_path / 'source'}"]
    assert manifest["seed"] == 5
    assert manifest["counts"]["kept"] == 120


@pytest.mark.parametrize("documents", ["all", "enough"])
def test_a_larger_sample_leaves_the_shards_of_a_smaller_one_as_they_are(arguments, documents):
    argv, shards = arguments
    script.main([*argv, "--count", "50", "--documents", documents])
    before = {shard: sha256(shard) for shard in shards if shard.exists()}
    assert list(before) == shards[:2]
    script.main([*argv, "--count", "100", "--documents", documents])
    assert {shard: sha256(shard) for shard in before} == before


def test_the_last_shard_is_shorter_where_the_texts_end(arguments):
    argv, shards = arguments
    script.main([*argv, "--count", "385", "--documents", "all"])
    assert len(polars.read_parquet(shards[0].with_name("00009.parquet"))) == 40  # all 400
    for path in [part for part in argv if part.endswith("source")]:
        (Path(path) / "a.txt").unlink()
    with pytest.raises(InputError, match=r"201.*200"):
        script.main([*argv, "--count", "201", "--documents", "all"])
    script.main([*argv, "--count", "161", "--documents", "all", "--shard-size", "150"])
    assert [len(polars.read_parquet(shard)) for shard in shards[:2]] == [150, 50]


def test_of_enough_documents_a_smaller_sample_is_the_beginning_and_reads_less(sentences):
    documents = [" ".join(sentences[i % 400 : i % 400 + 2]) for i in range(0, 4000, 2)]
    read = []

    def counted():
        for document in documents:
            read.append(document)
            yield document

    small, counts = sampled(counted(), 40, evenly=False)
    assert len(read) == counts["documents"] == script.DOCUMENTS_AT_ONCE
    assert small == sampled(documents, 300, evenly=False)[0][:40] == sentences[:40]


@pytest.mark.parametrize("evenly", [True, False])
def test_workers_change_nothing(sentences, evenly):
    documents = [" ".join(sentences[i % 395 : i % 395 + 4]) for i in range(1000)]
    assert sampled(documents, 300, 0, evenly, "en", workers=2) == sampled(documents, 300, 0, evenly, "en")


def test_sentences_of_another_language_are_dropped():
    english = ["The boat left the old harbour early.", "Smith, Jones, Brown, Taylor and Clark."]
    others = ["Das Schiff hat den alten Hafen früh verlassen.", "Le bateau a quitté le vieux port très tôt."]
    kept, counts = sampled(english + others, 10, language="en")
    assert sorted(kept) == sorted(english)
    assert counts["other_language"] == 2
    assert len(sampled(english + others, 10)[0]) == 4


def test_an_unknown_language_is_a_mistake(arguments):
    with pytest.raises(InputError, match=r"corpus\.language: 'xx'.*en"):
        script.main([*arguments[0], "--count", "10", "--language", "xx"])


def test_planted_test_texts_are_dropped_and_counted_for_their_tasks(arguments, sentences, tmp_path):
    argv, shards = arguments
    pairs = {"sentence1": [sentences[3], "the"], "sentence2": [sentences[7], "old boat"], "score": [1.0, 2.0]}
    topics = {"text": [sentences[7].upper()], "label": [1]}
    tasks = [
        write_task(tmp_path / "Pairs.arrow", test=pairs),
        write_task(tmp_path / "Topics.arrow", "en", test=topics, train={"text": [sentences[9]], "label": [1]}),
    ]
    script.main([*argv, "--count", "100", "--documents", "all", "--tasks", *map(str, tasks)])
    written = polars.concat([polars.read_parquet(shard) for shard in shards])["text"].to_list()
    assert not {sentences[3], sentences[7]} & set(written)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["test_text"] == 2
    assert sorted(manifest["dropped_examples"]["test_text"]) == sorted([sentences[3], sentences[7]])
    assert manifest["test_texts"] == {
        "Pairs": {"texts": 4, "too_short_to_seek": 2, "dropped": 2},
        "Topics": {"texts": 1, "too_short_to_seek": 0, "dropped": 1},
    }


def test_test_texts_are_read_in_parts(sentences, tmp_path, monkeypatch):
    rows = {"sentence1": sentences[:150], "sentence2": sentences[150:300], "labels": [0, 1] * 75}
    path = write_task(tmp_path / "Pairs", test=rows)
    hashes = hash_texts(sentences)
    for size in (script.TEXTS_AT_ONCE, 50):
        monkeypatch.setattr(script, "TEXTS_AT_ONCE", size)
        texts = script.test_texts_of([path])
        assert texts.counts == {"Pairs": {"texts": 300, "too_short_to_seek": 0}}
        assert texts.overlaps(*hashes) == {row: ["Pairs"] for row in range(300)}


@pytest.mark.parametrize("documents", ["all", "enough"])
def test_spans_are_a_share_of_the_texts_and_leave_the_shards_of_a_smaller_sample(arguments, documents):
    argv, shards = arguments
    spans = ["--documents", documents, "--spans", "0.4", "--span-words", "4"]
    script.main([*argv, "--count", "80", *spans])
    before = {shard: sha256(shard) for shard in shards if shard.exists()}
    script.main([*argv, "--count", "120", *spans])
    assert len(before) == 2
    assert {shard: sha256(shard) for shard in before} == before
    texts = [text for shard in shards for text in polars.read_parquet(shard)["text"].to_list()]
    script.main([*argv, "--count", "72", "--documents", documents, "--shard-size", "72"])
    without = polars.read_parquet(shards[0])["text"].to_list()
    assert [text for text in texts if text in without] == without
    cut = [text for text in texts if text not in without]
    assert len(cut) == 48 == 0.4 * len(texts)
    assert len({text.casefold() for text in cut}) == 48
    assert {text.count(" ") + 1 for text in cut} == {1, 2, 3, 4}
    assert all(any(f" {span} " in f" {text.rstrip('.')} " for text in without) for span in cut)
    manifest = json.loads(shards[0].with_name("manifest.json").read_text(encoding="utf-8"))
    assert (manifest["counts"]["spans"], manifest["spans"]) == (0, 0.0)


def test_too_few_sentences_is_a_mistake_and_leaves_no_files(arguments, tmp_path):
    argv, _ = arguments
    with pytest.raises(InputError, match=r"corpus: .*401.*400.*500"):
        script.main([*argv, "--count", "401"])
    assert not (tmp_path / "out").exists()
