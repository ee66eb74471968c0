"""The teacher's embeddings, the check before the work, and the shards of embeddings."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars
import pytest
import torch
from helpers import distilled, embed_shard, make_byte_level, make_unigram, write_embeddings, write_shard
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordLevel, WordPiece
from transformers import AutoModel, AutoTokenizer, DistilBertConfig, DistilBertModel

import check_teacher
import distill
import embed
from lib.job.command import InputError
from lib.job.files import sha256
from lib.model_folder import check_folder, check_unchanged, teacher_hashes
from lib.packed_linear import pack_linear_layers
from lib.precision import has_fast_bfloat16
from lib.shards import RowsOnDisk, read_embeddings, read_sentences
from lib.static_model import load_static_model
from lib.teacher import POOLINGS, TOKENS_PER_BATCH, Teacher
from lib.token_sums import TokenSums, read_token_sums

MAX_LENGTH = 32


def naive(folder, sentences: list[str], pooling: str) -> np.ndarray:
    """One sentence at a time, without padding, in float32."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    rows = []
    for sentence in sentences:
        ids = tokenizer(sentence, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**ids).last_hidden_state[0]
        chosen = {"mean": hidden[1:-1], "mean-with-special": hidden, "cls": hidden[:1], "last": hidden[-1:]}[pooling]
        rows.append(chosen.mean(0).numpy())
    return np.stack(rows)


def embedded(teacher: Teacher, sentences: list[str]) -> np.ndarray:
    """All embeddings that the teacher yields, in the sentences' order."""
    rows, parts = zip(*teacher.embed(sentences), strict=True)
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(sentences)))
    return np.concatenate(parts)[np.argsort(np.concatenate(rows))]


def cosine(left, right):
    left, right = np.float64(left), np.float64(right)
    return (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)


@pytest.fixture(scope="module")
def uneven(sentences):
    """60 sentences of very different lengths, in no order, some longer than what is read."""
    chance = random.Random(0)
    return [" ".join(chance.sample(sentences, chance.choice([1, 1, 2, 6]))) for _ in range(60)]


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("pooling", POOLINGS)
def test_embeddings_equal_the_naive_ones_in_the_sentences_order(teacher_folder, uneven, monkeypatch, pooling):
    monkeypatch.setitem(TOKENS_PER_BATCH, "cpu", 100)
    found = embedded(Teacher(teacher_folder, MAX_LENGTH, pooling, "cpu"), uneven)
    expected = naive(teacher_folder, uneven, pooling)
    assert found.shape == (60, 32) and found.dtype == np.float32
    assert cosine(found, expected).min() >= 0.999
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.usefixtures("precision")
def test_a_sentence_without_tokens_is_zero_and_its_neighbours_are_not(teacher_folder):
    found = embedded(Teacher(teacher_folder, MAX_LENGTH, "mean", "cpu"), ["the boat", "", "the field"])
    assert found.any(axis=1).tolist() == [True, False, True]


@pytest.mark.usefixtures("precision")
def test_the_prompt_is_read_before_each_sentence(teacher_folder, sentences):
    found = embedded(Teacher(teacher_folder, MAX_LENGTH, "mean", "cpu", "passage: "), sentences[:8])
    expected = naive(teacher_folder, [f"passage: {text}" for text in sentences[:8]], "mean")
    assert cosine(found, expected).min() >= 0.999
    assert cosine(found, naive(teacher_folder, sentences[:8], "mean")).max() < 0.999


@pytest.mark.usefixtures("precision")
def test_batches_are_of_like_lengths_longest_first_within_the_budget(teacher_folder, uneven, monkeypatch):
    monkeypatch.setitem(TOKENS_PER_BATCH, "cpu", 100)
    monkeypatch.setattr("lib.teacher.SENTENCES_AT_ONCE", 25)
    teacher = Teacher(teacher_folder, MAX_LENGTH, "mean", "cpu")
    lengths = np.diff(teacher.tokenize(uneven).offsets)
    parts = [rows for rows, _ in teacher.embed(uneven)]
    assert all(len(rows) * lengths[rows].max() <= 100 for rows in parts)
    order = np.concatenate(parts)
    for start in (0, 25, 50):  # one after another, while the next ones are tokenized
        block = order[start : start + 25]
        assert sorted(block.tolist()) == list(range(start, min(start + 25, 60)))
        assert (np.diff(lengths[block]) <= 0).all()
    assert len(parts) < 30


OUT_OF_MEMORY = """
import resource, sys
import numpy as np
import polars
from lib.teacher import Teacher

class Limited(Teacher):
    def halve(self, *given):
        super().halve(*given)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

teacher = Limited(sys.argv[1], 64, "mean", "cpu")
teacher.tokens_per_batch = 100
parts = teacher.embed(["the boat on the river " * (4 + row % 5) for row in range(8000)])
first = next(parts)
teacher.tokens_per_batch = 1 << 22
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (30 << 20), resource.RLIM_INFINITY))
rows, embeddings = zip(first, *parts)
assert sorted(np.concatenate(rows).tolist()) == list(range(8000))
assert np.concatenate(embeddings).any(axis=1).all()
"""


def test_a_batch_that_does_not_fit_into_memory_is_tried_again_at_half_the_size(teacher_folder):
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(teacher_folder)]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=Path(embed.__file__).parent)
    assert ended.returncode == 0, ended.stderr
    tried, halved = re.search(r"out of memory with ([\d,]+)\D+([\d,]+)", ended.stderr).groups()
    assert int(halved.replace(",", "")) == int(tried.replace(",", "")) // 2


def test_a_sentence_that_alone_does_not_fit_into_memory_is_named(teacher_folder, sentences):
    teacher = Teacher(teacher_folder, MAX_LENGTH, "mean", "cpu")
    with pytest.raises(InputError, match=r"row 7.*30.*teacher\.max_length"):
        teacher.halve(1, 30, 7, "no")


def test_weights_are_bfloat16_just_where_the_hardware_has_it(teacher_folder, precision):
    assert Teacher(teacher_folder, MAX_LENGTH, "mean", "cpu").model.dtype == getattr(torch, precision)


def test_packed_layers_give_what_they_gave_before():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Sequential(torch.nn.Linear(64, 32, bias=False)))
    values = torch.randn(2, 5, 32, dtype=torch.bfloat16)
    with torch.inference_mode():
        expected = model.to(torch.bfloat16)(values)
        pack_linear_layers(model, 10)
        torch.testing.assert_close(model(values), expected, atol=0.01, rtol=0.01)


@pytest.fixture
def copied(teacher_folder, tmp_path):
    """A copy of the teacher to damage."""
    return shutil.copytree(teacher_folder, tmp_path / "copied")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_one_of_its_files_is_refused(copied, name):
    (copied / name).unlink()
    with pytest.raises(InputError, match=re.escape(name)):
        Teacher(copied, MAX_LENGTH, "mean", "cpu")


def test_damaged_weights_are_refused(copied):
    whole = (copied / "model.safetensors").read_bytes()
    (copied / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=re.escape(str(copied))):
        Teacher(copied, MAX_LENGTH, "mean", "cpu")


def test_the_hidden_size_is_read_and_has_to_be_there(copied):
    assert check_folder(copied) == 32
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    del config["hidden_size"]
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json.*hidden_size.*None"):
        check_folder(copied)


def test_a_width_beyond_the_teacher_is_refused(teacher_folder):
    assert check_folder(teacher_folder, 32) == 32
    with pytest.raises(InputError, match=r"dimensions.*33.*32"):
        check_folder(teacher_folder, 33)


def test_more_tokens_than_the_teacher_reads_are_refused(teacher_folder):
    with pytest.raises(InputError, match=r"teacher\.max_length: 65.*64"):
        Teacher(teacher_folder, 65, "mean", "cpu")


def test_a_teacher_of_no_numbers_is_refused(copied, tmp_path, sentences):
    weights = load_file(copied / "model.safetensors")
    save_file({name: torch.full_like(w, float("nan")) for name, w in weights.items()}, copied / "model.safetensors")
    shard, output = write_shard(tmp_path / "sentences" / "00000.parquet", sentences[:5]), tmp_path / "00000.npy"
    with pytest.raises(InputError, match=r"32.*0 of 32"):
        embed.main(embed_shard(shard, copied, output, "--max-length", "32"))
    assert not output.exists()


@pytest.mark.usefixtures("precision")
def test_embed_writes_a_row_of_float16_for_each_sentence(teacher_folder, tmp_path, sentences):
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences[:50])
    output = tmp_path / "out" / "00000.npy"
    embed.main(embed_shard(shard, teacher_folder, output, "--max-length", "64"))
    found = np.load(output)
    assert found.dtype == np.float16 and found.shape == (50, 32)
    assert cosine(found, naive(teacher_folder, sentences[:50], "mean")).min() >= 0.999
    written = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert (written["rows"], written["dimensions"], written["device"]) == (50, 32, "cpu")
    assert written["sha256"] == sha256(output) and written["sentences_sha256"] == sha256(shard)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_token_sums_are_those_of_the_hidden_states(teacher_folder, tmp_path, sentences, monkeypatch, pooling):
    """Of each token that occurs but the special ones, in float32; the sum over a sentence's tokens is its mean's."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setitem(TOKENS_PER_BATCH, "cpu", 100)
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences[:50])
    output = tmp_path / "out" / "00000.npy"
    embed.main(embed_shard(shard, teacher_folder, output, "--max-length", str(MAX_LENGTH), "--pooling", pooling))
    tokenizer, model = AutoTokenizer.from_pretrained(teacher_folder), AutoModel.from_pretrained(teacher_folder).eval()
    expected: dict[str, list[np.ndarray]] = {}
    for sentence in sentences[:50]:
        ids = tokenizer(sentence, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
        with torch.inference_mode():
            hidden = model(**ids).last_hidden_state[0].numpy()
        for token, state in list(zip(tokenizer.convert_ids_to_tokens(ids["input_ids"][0]), hidden, strict=True))[1:-1]:
            expected.setdefault(token, []).append(state)
    sums, counts, pieces, share = read_token_sums(output.parent, 1, tokenizer.get_vocab())
    found = {token: row for token, row in tokenizer.get_vocab().items() if counts[row]}
    assert found.keys() == expected.keys() and share == 1 and (pieces == 1).all()
    for token, row in found.items():
        assert counts[row] == len(expected[token])
        np.testing.assert_allclose(sums[row], np.sum(expected[token], axis=0), atol=1e-3)


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "BPE"])
def test_states_of_split_words_are_summed_up_by_the_names_of_a_students_tokens(
    teacher_folder, tmp_path, sentences, monkeypatch, kind
):
    """But of a word that occurs once; of each that a distilled model has got, and its name is the distilled one's."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    make = {"Unigram": make_unigram, "BPE": make_byte_level}.get(kind)
    teacher = make(tmp_path / "teacher", teacher_folder, sentences) if make else teacher_folder
    words = ["waveh", "fieldat", "boath", "nearse"]
    texts = [f"{text[:-1]} {words[i % 3]}, then (the) {words[i % 2]}." for i, text in enumerate(sentences[:30])]
    for name, part in [("00000", texts[:15]), ("00001", [*texts[15:], "The nearse."])]:
        shard = write_shard(tmp_path / "sentences" / f"{name}.parquet", part)
        embed.main(embed_shard(shard, teacher, tmp_path / "out" / f"{name}.npy", "--max-length", "64"))
    (tmp_path / "words.txt").write_text("\n".join(words))
    student = load_static_model(distilled(teacher, tmp_path / "distilled", words=tmp_path / "words.txt"))
    sums, counts, pieces, share = read_token_sums(tmp_path / "out", 2, student.tokenizer.get_vocab())
    tokenizer, model = AutoTokenizer.from_pretrained(teacher), AutoModel.from_pretrained(teacher).eval()
    assert share > 0.9
    for word in words:
        row = next(i for i, token in enumerate(student.tokens) if token.endswith(word))
        expected, occurrences, length = np.zeros(32), 0, 1.0
        for text in texts:
            given = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
            spans = given.pop("offset_mapping")[0].tolist()
            with torch.inference_mode():
                hidden = model(**given).last_hidden_state[0].numpy()
            for match in re.finditer(f" {word}", text):
                own = [i for i, (start, end) in enumerate(spans) if start < match.end() and end > match.start()]
                expected, occurrences, length = expected + hidden[own].sum(0), occurrences + 1, len(own)
        assert (counts[row], pieces[row]) == (occurrences, length) and (occurrences > 0) == (length > 1)
        np.testing.assert_allclose(sums[row], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("model", "sentences", "expected"),
    [
        (WordPiece, "boat ##s boat|##s [CLS] ##s waves [UNK] ##s", ["boats"]),
        (WordPiece, "wave ##s [SEP]|boat ##s ##h", ["boatsh"]),  # "waves" is a token
        (WordPiece, f"boat{8 * ' ##s'} boat{7 * ' ##s'}", ["boat" + 7 * "s"]),
        (BPE, "Ġboat|s , s Ġwave s é [SEP]|Ġh s </s> s", ["Ġwavesé", "Ġhs"]),
        (BPE, "( s Ġ waves Ġboat , s Ġboat « s", ["Ġwaves", "Ġboat«s"]),
    ],
)
def test_words_of_several_tokens_are_found_by_the_marks_of_tokens(model, sentences, expected):
    """Sentences are separated by a bar; ``[SEP]`` is no added token, but one that the tokenizer adds to a sentence."""
    names = [
        "[UNK]",
        "[SEP]",
        "boat",
        "##s",
        "##h",
        "wave",
        "waves",
        "Ġboat",
        "Ġwave",
        "Ġ",
        "Ġh",
        "h",
        "s",
        ",",
        "(",
        "«",
        "é",
    ]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(WordPiece(vocabulary) if model is WordPiece else BPE(vocabulary, []))
    tokenizer.add_special_tokens(["[CLS]", "</s>", "[UNK]"])
    parts = [part.split() for part in sentences.split("|")]
    tokens = [token for part in parts for token in part]
    ids = np.array([tokenizer.token_to_id(token) for token in tokens], np.int32)
    special = np.array([token == "[SEP]" for token in tokens])
    words = TokenSums(tokenizer, 2, "cpu").find_words(ids, special, np.cumsum([0, *map(len, parts)]))
    assert [name for name, _ in words.names] == expected
    assert [int((words.places == i).sum()) for i in range(len(expected))] == [length for _, length in words.names]
    assert (words.places >= 0).sum() == sum(length for _, length in words.names)


def test_damaged_token_sums_are_named_and_made_again(teacher_folder, tmp_path, sentences, capsys):
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences[:50])
    command = embed_shard(shard, teacher_folder, tmp_path / "out" / "00000.npy", "--max-length", str(MAX_LENGTH))
    embed.main(command)
    path = tmp_path / "out" / "00000.tokens.parquet"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"00000\.tokens\.parquet.*00000\.json"):
        read_token_sums(tmp_path / "out", 1, {"a": 0})
    embed.main(command)
    assert "reused" not in capsys.readouterr().err and path.read_bytes() == whole


def test_an_embedding_too_large_for_float16_is_refused_by_its_row(tmp_path):
    embeddings = np.ones((3, 2), dtype=np.float32)
    embeddings[1, 1] = 1e6
    file = embed.HalfDone(tmp_path / "0.npy", 9, 2, TokenSums(Tokenizer(WordLevel({})), 2, "cpu"))
    with pytest.raises(InputError, match="row 5:"):
        file.write(np.array([4, 5, 6]), embeddings, 100)
    assert not file.done.any()


def test_a_damaged_shard_of_sentences_is_named(teacher_folder, tmp_path, sentences):
    shard = write_shard(tmp_path / "sentences" / "bad.parquet", sentences)
    shard.write_bytes(shard.read_bytes()[:-50])
    output = tmp_path / "bad.npy"
    with pytest.raises(InputError, match=r"bad\.parquet"):
        embed.main(embed_shard(shard, teacher_folder, output, "--max-length", "64"))
    assert not output.exists()


def test_an_empty_shard_of_sentences_is_named(tmp_path):
    with pytest.raises(InputError, match=r"0\.parquet"):
        read_sentences(write_shard(tmp_path / "sentences" / "0.parquet", []))


def test_embeddings_that_are_damaged_or_of_other_sentences_are_named(tmp_path):
    shard = write_shard(tmp_path / "sentences" / "0.parquet", ["one", "two", "three"])
    path = write_embeddings(shard, np.arange(6, dtype=np.float16).reshape(3, 2))
    assert read_embeddings(path, shard).tolist() == [[0, 1], [2, 3], [4, 5]]
    other = write_shard(tmp_path / "sentences" / "1.parquet", ["four", "five", "six"])
    with pytest.raises(InputError, match=r"0\.npy.*1\.parquet"):
        read_embeddings(path, other)
    whole = path.read_bytes()
    for damaged in [whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b""]:
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"0\.npy.*0\.json"):
            read_embeddings(path, shard)


@pytest.mark.parametrize(
    "other",
    [lambda rows: rows.astype(np.float32), lambda rows: rows.astype(">f2"), np.asfortranarray],
    ids=["float32", "big-endian", "column by column"],
)
def test_embeddings_of_another_type_or_order_are_refused(tmp_path, other):
    shard = write_shard(tmp_path / "sentences" / "0.parquet", ["one", "two", "three"])
    path = write_embeddings(shard, np.arange(6).reshape(3, 2))
    np.save(path, other(np.load(path)))
    path.with_suffix(".json").write_text(
        json.dumps(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) | {"sha256": sha256(path)})
    )
    with pytest.raises(InputError, match=r"0\.npy"):
        read_embeddings(path, shard)


def test_rows_that_a_file_no_longer_has_are_an_error(tmp_path):
    for i in range(2):
        np.save(tmp_path / f"{i}.npy", np.full((10, 8), i, np.float16))
    rows = RowsOnDisk([tmp_path / "0.npy", tmp_path / "1.npy"])
    assert rows[np.array([19, 0])].tolist() == [[1] * 8, [0] * 8]
    os.truncate(tmp_path / "1.npy", os.path.getsize(tmp_path / "1.npy") - 1)
    assert rows[np.array([18, 0])].tolist() == [[1] * 8, [0] * 8]
    with pytest.raises(InputError, match=r"1\.npy"):
        rows[np.array([19, 0])]


@pytest.mark.parametrize("other", [np.ones((4, 8), np.float32), np.ones((4, 7), np.float16), np.ones((8, 4)).T])
def test_rows_of_another_kind_are_not_read_with_the_first_ones(tmp_path, other):
    np.save(tmp_path / "0.npy", np.ones((4, 8), np.float16))
    np.save(tmp_path / "1.npy", other)
    with pytest.raises(InputError, match=r"1\.npy"):
        RowsOnDisk([tmp_path / "0.npy", tmp_path / "1.npy"])


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "model.safetensors", "added_tokens.json"])
def test_a_teacher_that_is_not_as_it_was_checked_embeds_and_distills_nothing(copied, sentences, tmp_path, name):
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", sentences[:5])
    command = embed_shard(shard, copied, tmp_path / "out" / "00000.npy", "--max-length", "32")
    with (copied / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match=re.escape(name)):
        embed.main(command)
    checked = str(tmp_path / "out" / "checked.json")
    with pytest.raises(InputError, match=re.escape(name)):
        distill.main(
            ["--teacher", str(copied), "--checked", checked, "--dimensions", "8", "--output", str(tmp_path / "model")]
        )
    assert not (tmp_path / "out" / "00000.npy").exists() and not (tmp_path / "model").exists()


def test_a_teacher_is_checked_by_loading_and_embedding(copied, tmp_path):
    command = ["--teacher", copied, "--max-length", 64, "--pooling", "mean", "--output", tmp_path / "checked.json"]
    check_teacher.main([str(part) for part in command])
    assert check_unchanged(copied, tmp_path / "checked.json") == teacher_hashes(copied)
    (tmp_path / "checked.json").unlink()
    weights = load_file(copied / "model.safetensors")
    save_file({f"wrapped.{name}": values for name, values in weights.items()}, copied / "model.safetensors")
    with pytest.raises(InputError, match="weights"):
        check_teacher.main([str(part) for part in command])
    assert not (tmp_path / "checked.json").exists()


def test_sentences_that_are_not_the_manifests_are_named(tmp_path):
    shard = write_shard(tmp_path / "sentences" / "00000.parquet", ["one", "two"])
    assert read_sentences(shard) == ["one", "two"]
    polars.DataFrame({"text": ["one", "too"]}).write_parquet(shard)
    with pytest.raises(InputError, match=r"00000\.parquet.*manifest\.json"):
        read_sentences(shard)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"00000\.parquet: .*manifest\.json"):
        read_sentences(shard)


def test_a_row_without_a_text_is_named(tmp_path):
    with pytest.raises(InputError, match=r"0\.parquet: row 1:"):
        read_sentences(write_shard(tmp_path / "sentences" / "0.parquet", ["one", None]))


def test_an_embedding_that_is_not_finite_is_named_by_shard_and_row(tmp_path):
    shard = write_shard(tmp_path / "sentences" / "0.parquet", ["one", "two", "three"])
    path = write_embeddings(shard, np.ones((3, 2)))
    embeddings = np.ones((3, 2), np.float16)
    embeddings[1, 0] = np.nan
    np.save(path, embeddings)
    written = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) | {"sha256": sha256(path)}
    path.with_suffix(".json").write_text(json.dumps(written))
    with pytest.raises(InputError, match=r"0\.npy: row 1:"):
        read_embeddings(path, shard)


@pytest.mark.usefixtures("precision")
def test_a_distilbert_is_a_teacher_too(teacher_folder, sentences, tmp_path):
    copied = shutil.copytree(teacher_folder, tmp_path / "copied")
    shape = {"vocab_size": 300, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 64}
    DistilBertModel(DistilBertConfig(**shape)).save_pretrained(copied)
    assert check_folder(copied) == 32
    found = embedded(Teacher(copied, MAX_LENGTH, "mean", "cpu"), sentences[:8])
    assert found.shape == (8, 32) and found.any(axis=1).all()
    assert distilled(copied, tmp_path / "distilled").is_dir()


def test_a_teachers_config_that_is_a_list_is_named(teacher_folder, tmp_path):
    copied = shutil.copytree(teacher_folder, tmp_path / "copied")
    (copied / "config.json").write_text("[]")
    with pytest.raises(InputError, match=r"config\.json.*list"):
        check_folder(copied)


@pytest.fixture
def shard(tmp_path, uneven):
    """A shard of 600 sentences, and the command that embeds it to ``out/00000.npy`` in some seconds."""
    split = ["waves", "boats", "fields"]  # words of two tokens, another one in longer sentences, which are done first
    texts = [
        f"{split[min(len(text) // 50, 2)]} {text} {turn}" for turn in range(10) for text in sorted(uneven, key=len)
    ]
    path = write_shard(tmp_path / "sentences" / "00000.parquet", texts)

    def command(output: str, teacher, *more: str) -> list[str]:
        return embed_shard(path, teacher, tmp_path / output, "--max-length", "32", *more)

    return command


SLOWLY = """
import sys, time
import embed
from lib import teacher

embed.SECONDS_BETWEEN_FLUSHES = 0
teacher.TOKENS_PER_BATCH["cpu"] = 200
pooled = teacher.Teacher.pooled
teacher.Teacher.pooled = lambda *given: time.sleep(0.01) or pooled(*given)
embed.main(sys.argv[1:])
"""


def test_embedding_that_is_killed_goes_on_to_the_same_bytes(teacher_folder, shard, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(TOKENS_PER_BATCH, "cpu", 200)
    embed.main(shard("once/00000.npy", teacher_folder))
    interrupted, kept = shard("killed/00000.npy", teacher_folder), tmp_path / "killed" / "kept" / "00000"
    slowly = [sys.executable, "-c", SLOWLY, *interrupted]
    with subprocess.Popen(slowly, cwd=Path(embed.__file__).parent) as process:
        while process.poll() is None and not done_of(kept):
            time.sleep(0.01)
        process.kill()
    done = done_of(kept)
    assert 0 < done < 600 and not (tmp_path / "killed" / "00000.npy").exists()
    capsys.readouterr()
    embed.main(interrupted)
    assert f"{done} of 600 sentences" in capsys.readouterr().err
    assert written(tmp_path / "killed") == written(tmp_path / "once")
    left = sorted(path.suffix for path in kept.iterdir() if not path.name.startswith("."))
    assert left == [".json", ".npy", ".parquet"]


def written(folder: Path) -> list[bytes]:
    """The embeddings and token sums of a job."""
    return [(folder / name).read_bytes() for name in ("00000.npy", "00000.tokens.parquet")]


def done_of(kept: Path) -> int:
    """How many sentences a killed job's file has."""
    return sum(np.count_nonzero(np.load(path)) for path in kept.glob("*.done.npy"))


def test_embedding_that_is_killed_after_memory_did_not_suffice_goes_on_to_the_same_bytes(
    teacher_folder, shard, tmp_path, monkeypatch
):
    """Killed in each of its batches; embeddings hold the size of their batch, so that other batches are other bytes."""
    calls, kill_at = 0, None

    def pooled(teacher, ids, special, words, starts, lengths, longest, even):
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise KeyboardInterrupt
        if len(starts) * longest > 1500:
            raise torch.OutOfMemoryError("out of memory")
        states = torch.full((len(starts), teacher.hidden_size), float(len(starts)))
        return states, ids[starts], words[starts], torch.ones(len(starts)), states

    monkeypatch.setattr(Teacher, "check", lambda *given: None)
    monkeypatch.setattr(Teacher, "pooled", pooled)
    embed.main(shard("once/00000.npy", teacher_folder))
    batches, expected = calls, written(tmp_path / "once")
    assert len(np.unique(np.load(tmp_path / "once" / "00000.npy"))) > 2
    for kill in range(2, batches + 1):
        calls, kill_at = 0, kill
        with pytest.raises(KeyboardInterrupt):
            embed.main(shard(f"{kill}/00000.npy", teacher_folder))
        kill_at = None
        embed.main(shard(f"{kill}/00000.npy", teacher_folder))
        assert written(tmp_path / f"{kill}") == expected


def test_embeddings_are_made_again_just_where_something_changed_that_decides_them(
    copied, shard, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "out" / "00000.npy"

    def embeds_again(*more: str) -> bool:
        output.unlink(missing_ok=True)  # as Snakemake does before a job
        output.with_suffix(".json").unlink(missing_ok=True)
        embed.main(shard("out/00000.npy", copied, *more))
        assert json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))["sha256"] == sha256(output)
        return "reused" not in capsys.readouterr().err

    assert embeds_again() and not embeds_again()
    assert (
        embeds_again("--pooling", "cls")
        and embeds_again("--prompt", "query: ")
        and not embeds_again("--prompt", "query: ")
    )
    with output.open("r+b") as file:  # the kept one is the same file
        file.seek(-1, 2)
        file.write(b"\xff")
    assert embeds_again("--prompt", "query: ")
    weights = load_file(copied / "model.safetensors")
    save_file({name: values * 1.5 for name, values in weights.items()}, copied / "model.safetensors")
    assert embeds_again("--prompt", "query: ")
    write_shard(tmp_path / "sentences" / "00000.parquet", ["other", "sentences"])
    assert embeds_again("--prompt", "query: ") and np.load(output).shape == (2, 32)
    other_processor = not has_fast_bfloat16("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: other_processor)
    assert embeds_again("--prompt", "query: ") and not embeds_again("--prompt", "query: ")
    monkeypatch.setattr(embed, "versions", lambda *names: dict.fromkeys(names, "0"))
    assert embeds_again("--prompt", "query: ") and not embeds_again("--prompt", "query: ")
    monkeypatch.setattr(embed.packed_linear, "__file__", str(copied / "config.json"))
    assert embeds_again("--prompt", "query: ")
    kept = [path for path in (tmp_path / "out" / "kept" / "00000").iterdir() if path.suffix == ".npy"]
    assert [path.stat().st_ino for path in kept] == [output.stat().st_ino]
