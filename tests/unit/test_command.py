"""A user's mistake is one line and exit code 1; a bug keeps its traceback."""

import sys

import pytest

from lib.command import InputError, run


@pytest.mark.parametrize("mistake", [InputError("config: too wide"), OSError(28, "No space left on device")])
def test_a_mistake_ends_with_one_line_that_names_the_script(monkeypatch, mistake):
    def main(argv):
        raise mistake

    monkeypatch.setattr(sys, "argv", ["/some/where/train.py"])
    with pytest.raises(SystemExit) as raised:
        run(main)
    # Python prints a text given to SystemExit and exits with code 1
    assert raised.value.code == f"train.py: error: {mistake}"


def test_other_exceptions_keep_their_traceback(monkeypatch):
    def main(argv):
        return {}["no such key"]

    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(KeyError):
        run(main)


def test_main_gets_the_arguments_after_the_script(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["train.py", "--seed", "1"])
    run(seen.extend)
    assert seen == ["--seed", "1"]
