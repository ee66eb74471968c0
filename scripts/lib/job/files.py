"""Files that are either complete or absent, and their hashes."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from lib.job.command import InputError, is_running

HASHES = ".sha256.json"


@contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``, only for this process; it is removed at the end of the block.

    Temporary files that a killed process left on this host are removed.
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


def sync(path: Path) -> None:
    """Flush a file, or all files in a folder, to disk; otherwise a power cut can leave a renamed file empty."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as content:
                os.fsync(content.fileno())


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it to ``target`` if the block succeeds, else remove it.

    Works for files and folders; an existing folder is replaced. The temporary name contains the process's number, so
    two processes that write the same target never mix.
    """
    with scratch(target) as temporary:
        yield temporary
        sync(temporary)
        if not temporary.is_dir():
            temporary.replace(target)
            return
        with scratch(target.with_name(f"{target.name}.old")) as old:
            while True:
                with suppress(FileNotFoundError):
                    target.rename(old)
                try:
                    temporary.replace(target)
                    return
                except OSError as error:
                    if error.errno != errno.ENOTEMPTY:  # as it is if another process has just made the folder
                        raise
                    remove(old)


def remove(path: Path) -> None:
    """Remove a file, or a folder with its content, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def claim(folder: Path) -> IO[str]:
    """Lock a folder for this process as long as the returned file is open; the system closes it when the process ends.

    Raises:
        InputError: another process has locked it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".claimed").open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: expected a writable folder, found: {error}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise InputError(f"{folder}: in use by {file.read()}; wait until it has ended, or end it") from error
    except OSError:  # some shared file systems have no locks
        pass
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()
    return file


def end_future(folders: Iterable[Path]) -> int:
    """Give files whose time is more than a minute ahead of the clock the present time, and return their number.

    Otherwise what is made anew would look older than what was made from it while the clock was wrong. Their order is
    kept, a microsecond apart.
    """
    now = time.time_ns()
    late: dict[str, int] = {}
    for place, _, names in (each for folder in folders for each in os.walk(folder)):
        for path in [place, *(os.path.join(place, name) for name in names)]:
            with suppress(FileNotFoundError):  # another run's temporary file
                if (at := os.lstat(path).st_mtime_ns) > now + 60 * 10**9:
                    late[path] = at
    ranks = {at: rank for rank, at in enumerate(sorted(set(late.values()), reverse=True))}
    for path, at in late.items():
        with suppress(OSError):  # another user's
            os.utime(path, ns=(now - 1000 * ranks[at],) * 2, follow_symlinks=False)
    return len(late)


def sha256(path: Path) -> str:
    """The sha256 of a file, or of a folder (of its files' names and hashes, sorted), as hexadecimal digits."""
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.name != ".snakemake_timestamp")
        listing = "".join(f"{sha256(p)}  {p.relative_to(path).as_posix()}\n" for p in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def visible_files(folder: Path) -> list[Path]:
    """The files in a folder and its folders, sorted, without those whose name, or a folder's, begins with a dot."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def write_hashes(folder: Path) -> None:
    """Write the hashes of a folder's files, for ``check_hashes``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != HASHES)
    write_json(folder / HASHES, {path.relative_to(folder).as_posix(): sha256(path) for path in files})


def check_hashes(folder: Path, required: bool = True) -> None:
    """Compare a folder's files with the hashes that ``write_hashes`` wrote.

    Args:
        folder: the folder.
        required: whether there must be hashes; a user's own folder has none.

    Raises:
        InputError: a file is missing or has changed, or the hashes are missing.
    """
    if not required and not (folder / HASHES).exists():
        return
    if not (folder / HASHES).exists():
        raise InputError(
            f"{folder}: expected {HASHES}, the hashes of its files, found none; delete it to make it again"
        )
    hashes = read_json(folder / HASHES)
    if not isinstance(hashes, dict):
        raise InputError(f"{folder / HASHES}: expected hashes by name, found others; delete {folder} to make it again")
    for name, expected in hashes.items():
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise InputError(
                f"{folder / name}: damaged: its hash is not the one in {HASHES}; delete {folder} to make it again"
            )


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, completely or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, keys: Iterable[str] = ()) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is not JSON, or not an object with all of the keys.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # nested too deeply
        raise InputError(f"{path}: expected JSON, found {error}") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(f"{path}: expected an object with the key {missing[0]!r}, found none")
    return content
