"""Files that are whole or not there, and their hashes."""

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lib.job.command as command_line
from lib.job.command import InputError
from lib.job.files import (
    HASHES,
    check_hashes,
    claim,
    end_future,
    read_json,
    remove,
    replacing,
    sha256,
    write_hashes,
    write_json,
)


def test_replacing_writes_the_file_and_makes_its_folders(tmp_path):
    target = tmp_path / "a" / "b" / "file.txt"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
    assert target.read_text(encoding="utf-8") == "new"
    assert list(target.parent.iterdir()) == [target]


def test_replacing_leaves_the_old_file_and_no_partial_when_the_block_raises(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_leaves_the_old_folder_and_no_partial_when_the_block_raises(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(RuntimeError, match="stop"), replacing(target) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise RuntimeError("stop")
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with replacing(target) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_files_of_the_future_are_of_the_present_in_their_order(tmp_path):
    now = time.time()
    for name, ahead in {"old": -9, "second": 7200, "first": 3600, "too": 3600, "link": 9999}.items():
        path = tmp_path / name
        path.symlink_to("nowhere") if name == "link" else path.touch()
        os.utime(path, (now + ahead, now + ahead), follow_symlinks=False)
    assert end_future([tmp_path]) == 4
    times = {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    assert times["old"] < times["first"] == times["too"] < times["second"] < times["link"] <= time.time_ns()
    assert end_future([tmp_path]) == 0


def test_replacing_begins_afresh_where_a_killed_run_left_its_partial(tmp_path):
    code = "import os, sys; from pathlib import Path; from lib.job.files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as temporary: temporary.mkdir(); os._exit(9)"
    scripts = Path(__file__).parents[2] / "scripts"
    subprocess.run([sys.executable, "-c", code, tmp_path / "folder"], cwd=scripts, check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with replacing(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def test_two_processes_that_make_the_same_target_do_not_mix(tmp_path):
    code = "import sys; from pathlib import Path; from lib.job.files import replacing\n"
    code += "with replacing(Path(sys.argv[1])) as temporary: temporary.write_text('whole'); print('half', flush=True); "
    code += "input()"
    scripts = Path(__file__).parents[2] / "scripts"
    command = [sys.executable, "-c", code, tmp_path / "file"]
    with subprocess.Popen(
        command, cwd=scripts, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as other:
        assert other.stdout.readline() == "half\n"
        with pytest.raises(RuntimeError, match="stop"), replacing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")
        assert not (tmp_path / "file").exists()
        other.communicate("go on\n")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "whole"


def test_processes_that_replace_one_folder_at_once_all_succeed_and_it_is_whole(tmp_path):
    """As two runs do that fetch one source."""
    code = "import sys; from pathlib import Path; from lib.job.files import replacing\n"
    code += "for number in range(300):\n with replacing(Path(sys.argv[1])) as temporary:\n  temporary.mkdir()\n"
    code += "  for name in 'ab': (temporary / name).write_text(sys.argv[2])"
    command = [sys.executable, "-c", code, tmp_path / "folder"]
    scripts = Path(__file__).parents[2] / "scripts"
    running = [subprocess.Popen([*command, text], cwd=scripts) for text in "xyz"]
    assert [process.wait() for process in running] == [0, 0, 0]
    first, second = sorted((tmp_path / "folder").iterdir())
    assert first.read_text() == second.read_text()
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_what_is_renamed_is_on_disk_before(tmp_path, monkeypatch):
    """A power cut may leave a renamed file empty whose bytes are not."""
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.fstat(file).st_ino), fsync(file)))
    with replacing(tmp_path / "folder") as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "file").write_text("whole")
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert synced == [path.stat().st_ino for path in (tmp_path / "folder" / "inner" / "file", tmp_path / "file")]


def test_remove_takes_files_folders_and_links_but_not_what_links_point_to(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(kept)
    file.touch()
    for path in [link, file, tmp_path / "nothing"]:
        remove(path)
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / "file").exists()
    remove(kept)
    assert not kept.exists()


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()


def test_sha256_of_a_folder_changes_with_a_name_or_content_only(tmp_path):
    def folder(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return sha256(tmp_path / name)

    first = folder("first", {"a": "1", "b/c": "2"})
    assert folder("same", {"b/c": "2", "a": "1"}) == first
    assert folder("snakemake", {"a": "1", "b/c": "2", ".snakemake_timestamp": "now"}) == first
    others = [
        folder("content", {"a": "1", "b/c": "3"}),
        folder("name", {"a": "1", "b/d": "2"}),
        folder("place", {"a": "1", "c": "2"}),
        folder("swapped", {"a": "2", "b/c": "1"}),
        folder("more", {"a": "1", "b/c": "2", "d": ""}),
    ]
    assert len({first, *others}) == 6


def test_json_comes_back_as_it_was_written(tmp_path):
    content = {"b": [1, 2.5, None], "a": "Köln – 東京"}
    write_json(tmp_path / "file.json", content)
    assert read_json(tmp_path / "file.json") == content
    assert "東京" in (tmp_path / "file.json").read_text(encoding="utf-8")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "file.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "file.json", object())
    assert read_json(tmp_path / "file.json") == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 200_000])
def test_a_file_that_is_no_json_is_named(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.json"):
        read_json(path)


def test_a_folder_is_claimed_by_one_process_until_its_end(tmp_path):
    code = "import sys; from pathlib import Path; from lib.job.files import claim; held = claim(Path(sys.argv[1]))"
    code += "; print('has it', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    scripts = Path(command_line.__file__).parents[2]
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], cwd=scripts, **pipes)
    assert first.stdout.readline() == "has it\n"
    with pytest.raises(InputError, match=rf"run: .*\b{first.pid}\b"):
        claim(tmp_path / "run")
    first.kill()
    first.wait()
    assert claim(tmp_path / "run").name.startswith(str(tmp_path))


def test_a_folder_is_compared_with_the_hashes_that_were_written(tmp_path):
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a").write_text("one")
    (folder / "b").write_text("two")
    write_hashes(folder)
    write_hashes(folder)
    check_hashes(folder)
    (folder / "inner" / "a").write_text("other")
    for required in (True, False):
        with pytest.raises(InputError, match="inner/a"):
            check_hashes(folder, required)
    (folder / "inner" / "a").unlink()
    with pytest.raises(InputError, match="inner/a"):
        check_hashes(folder)
    (folder / HASHES).write_text("[]")
    with pytest.raises(InputError, match=HASHES):
        check_hashes(folder)
    (folder / HASHES).unlink()
    with pytest.raises(InputError, match=HASHES):
        check_hashes(folder)
    check_hashes(folder, required=False)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "results").touch()
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "results" / "run"))):
        claim(tmp_path / "results" / "run")
