"""Progress: lines in a log, a bar on a terminal."""

import io
import sys

from lib.job import progress as module
from lib.job.progress import progress, say


def test_in_a_log_all_items_come_and_a_closing_line_tells_what_was_done(capsys):
    assert list(progress(iter("abc"), 3, "embed", "letters")) == ["a", "b", "c"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("embed: 3 letters in ")


def test_sizes_are_added_up(capsys):
    assert list(progress([[1] * 1000, [1] * 500], 1500, "embed", "sentences", len)) == [[1] * 1000, [1] * 500]
    assert "embed: 1,500 sentences in " in capsys.readouterr().err


def test_long_work_says_how_far_it_is_and_what_is_left(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    list(progress(range(2), 2, "train"))
    first, second, _ = capsys.readouterr().err.splitlines()
    assert first.startswith("train: 1 of 2 steps, about ")
    assert second.startswith("train: 2 of 2 steps, about 0 s left")


def test_without_a_total_no_time_left_is_made_up(capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0)
    list(progress(range(1), 0, "documents", "documents"))
    assert capsys.readouterr().err.splitlines()[0] == "documents: 1 documents"


def test_on_a_terminal_all_items_come_with_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert list(progress([[1, 2], [3]], 3, "embed", "sentences", len)) == [[1, 2], [3]]
    assert "embed: 100%" in sys.stderr.getvalue()
    assert "3/3" in sys.stderr.getvalue()


def test_say_prints_to_standard_error(capsys):
    say("a line")
    assert capsys.readouterr() == ("", "a line\n")
