"""Shards of sentences, found and compared with their manifest."""

from pathlib import Path

import pytest
from helpers import write_shard

from lib.job.command import InputError
from lib.shards import read_sentences


def test_a_shard_in_the_working_directory_is_read(tmp_path, sentences, monkeypatch):
    monkeypatch.chdir(write_shard(tmp_path / "sentences" / "0.parquet", sentences).parent)
    assert read_sentences(Path("0.parquet")) == sentences


@pytest.mark.parametrize("hashes", ["[]", "null"])
def test_a_manifest_without_hashes_names_the_shard(tmp_path, sentences, hashes):
    shard = write_shard(tmp_path / "sentences" / "0.parquet", sentences)
    (tmp_path / "manifest.json").write_text(f'{{"shards": {hashes}}}')
    with pytest.raises(InputError, match=r"0\.parquet"):
        read_sentences(shard)
