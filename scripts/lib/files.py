"""Files that are either whole or not there, and their hashes."""

import fcntl
import glob
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from lib.command import InputError, is_running


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target`` that is this process's own; what is there at the block's end is removed.

    What a killed process left on this host is cleared away.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname()
    for left in target.parent.glob(f".{glob.escape(target.name)}.{glob.escape(host)}-*.partial"):
        if not is_running(int(left.name.removesuffix(".partial").rpartition("-")[2])):
            remove(left)
    temporary = target.with_name(f".{target.name}.{host}-{os.getpid()}.partial")
    remove(temporary)
    try:
        yield temporary
    finally:
        remove(temporary)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it to ``target`` when the block succeeds, remove it when not.

    Works for a file and for a folder alike; a folder that is already there is replaced. The name is the process's own,
    so that two that make the same target never mix.
    """
    with scratch(target) as temporary:
        yield temporary
        if temporary.is_dir():
            remove(target)
        temporary.replace(target)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def claim(folder: Path) -> IO[str]:
    """Take a folder for this process as long as the file that is returned is open; the system closes it at its end.

    Raises:
        InputError: another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / ".claimed").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise InputError(f"{folder}: {file.read()} is at work on it; wait for its end, or end it") from error
    except OSError:  # some shared file systems have no locks
        pass
    file.truncate(0)
    file.write(f"process {os.getpid()} of {socket.gethostname()}")
    file.flush()
    return file


def sha256(path: Path) -> str:
    """The sha256 of a file, or of a folder (of its files' names and hashes, sorted), as hexadecimal digits."""
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".snakemake_timestamp")
        listing = "".join(f"{sha256(p)}  {p.relative_to(path).as_posix()}\n" for p in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, keys: Iterable[str] = ()) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is no JSON, or no object with all of the keys.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found {error}") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(f"{path}: expected an object with the key {missing[0]!r}, found none")
    return content
