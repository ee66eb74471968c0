"""What tells that files have changed when a run is planned."""

import os

import pytest

from lib.plan.code import LARGE, fingerprint


@pytest.mark.parametrize("size", [9, LARGE + 1])
def test_a_fingerprint_changes_with_the_files_and_not_with_a_copy(tmp_path, size):
    def written(name, content, time):
        path = tmp_path / name
        path.write_bytes(content * size)
        os.utime(path, (time, time))
        return fingerprint([path])

    first = written("a", b"a", 10)
    assert written("copy", b"a", 10) == first
    assert written("a", b"b", 5) != first != written("a", b"aa", 10)
    assert (written("a", b"a", 20) == first) == (size < LARGE)  # a large file is not read
