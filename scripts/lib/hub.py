"""Commits and file lists of a model hub, compared with the pinned ones.

Endpoint, cache and token come from the environment (``HF_ENDPOINT``, ``HF_HOME``, ``HF_TOKEN``).
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import httpx
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url, set_client_factory
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import filter_repo_objects
from huggingface_hub.utils._http import default_client_factory

from lib.job.command import InputError, first_line
from lib.job.files import read_json, write_json

UNCHECKED = "HUB_COMMITS_UNCHECKED"
TEXTS = [".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt"]
WANTED = {  # endings of the files that are read, by the type of the repository
    "model": [".jinja", ".json", ".model", ".safetensors", ".txt"],
    "dataset": [*TEXTS, *(f"{ending}.gz" for ending in TEXTS)],
}
OTHER_FORMATS = ["onnx/*", "openvino/*"]  # of the same weights
COMMIT = re.compile(r"[0-9a-f]{40}")


def limit_waiting(request: httpx.Request) -> None:
    """Let a request that would wait for ever end after the hub client's limit for downloads."""
    limits = request.extensions["timeout"].items()
    request.extensions["timeout"] = {phase: most or constants.HF_HUB_DOWNLOAD_TIMEOUT for phase, most in limits}


def client() -> httpx.Client:
    """The hub client's own connection, with a limit for each answer."""
    connection = default_client_factory()
    hooks = connection.event_hooks
    connection.event_hooks = hooks | {"request": [*hooks["request"], limit_waiting]}
    return connection


set_client_factory(client)


def check_commit(repository: str, pin: str, commit: str | None) -> None:
    """Compare the commit in a hub's answer with the pinned one.

    Tags are not compared. If ``HUB_COMMITS_UNCHECKED`` is set, nothing is, because some mirrors keep no commits.

    Raises:
        InputError: the commits differ.
    """
    if commit != pin and COMMIT.fullmatch(pin) and not os.environ.get(UNCHECKED):
        raise InputError(
            f"hub {repository}: expected the commit {pin}, found {commit}; "
            f"{UNCHECKED}=1 trusts a mirror that keeps no commits"
        )


def check_file_commit(repository: str, repo_type: str, pin: str, name: str) -> None:
    """Ask a hub for the commit of a file, and compare it with the pinned one.

    Raises:
        InputError: the hub does not answer, or answers with another commit.
    """
    try:
        about = get_hf_file_metadata(hf_hub_url(repository, name, repo_type=repo_type, revision=pin))
    except Exception as error:  # the client raises exceptions of its own for network faults
        raise InputError(f"hub {repository}@{pin}: {name}: download failed: {first_line(error)}") from error
    check_commit(repository, pin, about.commit_hash)


def list_files(repository: str, repo_type: str, pin: str) -> list[str]:
    """The names of a repository's files at a commit; the answer is kept in the hub client's cache.

    Raises:
        InputError: the hub does not answer, or answers with another commit.
    """
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type=repo_type)
    cached = folder / "listed" / f"{pin}.json"
    if cached.exists():
        return read_json(cached)
    try:
        about = getattr(HfApi(), f"{repo_type}_info")(repository, revision=pin)
    except Exception as error:  # the client raises exceptions of its own for network faults
        raise InputError(f"hub {repository}@{pin}: download failed: {first_line(error)}") from error
    check_commit(repository, pin, about.sha)
    names = [file.rfilename for file in about.siblings or []]
    if about.sha == pin:
        write_json(cached, names)
    return names


def wanted(names: Iterable[str], repo_type: str, path: str) -> list[str]:
    """Those of a repository's files that are downloaded: under a path if one is given, and with one of the endings.

    Neither code nor weights in a format that can hold code.
    """
    allowed = [path, f"{path}/*"] if path else None
    names = filter_repo_objects(names, allow_patterns=allowed, ignore_patterns=OTHER_FORMATS)
    return sorted(name for name in names if name.lower().endswith(tuple(WANTED[repo_type])))
