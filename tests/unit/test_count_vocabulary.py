"""The most frequent words of the corpus."""

import pytest
from helpers import write_shard

import count_vocabulary
from lib.job.command import InputError


def test_most_frequent_first_and_ties_in_code_point_order():
    words = count_vocabulary.frequent_words(["b a d b c.", "B a: d."], 3)
    assert words == ["b", "a", "d"]


def test_a_word_is_a_run_of_letters_and_digits():
    words = count_vocabulary.frequent_words(["Don't über-cool!? ... _so_ हिन्दी 2nd"], 10)
    assert set(words) == {"don", "t", "über", "cool", "so", "हिन्दी", "2nd"}


def test_main_counts_over_all_shards(tmp_path):
    for i, texts in enumerate([["b b a"], ["a a", "c"], ["c c c c"]]):
        write_shard(tmp_path / "sentences" / f"0000{i}.parquet", texts)
    shards, output = tmp_path / "sentences", tmp_path / "words.txt"
    count_vocabulary.main(["--sentences", str(shards), "--count", "3", "--size", "2", "--output", str(output)])
    assert output.read_text(encoding="utf-8") == "a\nb\n"


def test_too_few_words_is_a_mistake_and_leaves_no_file(tmp_path):
    write_shard(tmp_path / "sentences" / "00000.parquet", ["one two"])
    argv = ["--sentences", tmp_path / "sentences", "--count", 1, "--size", 3, "--output", tmp_path / "words.txt"]
    with pytest.raises(InputError, match=r"3 .*2"):
        count_vocabulary.main(list(map(str, argv)))
    assert not (tmp_path / "words.txt").exists()
