"""Provenance of files: the checkout's commit and the versions of libraries."""

import importlib.metadata
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def git(*arguments: str) -> str:
    """The output of a git command in the checkout; empty without git or a repository."""
    try:
        done = subprocess.run(["git", "-C", CHECKOUT, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> str:
    """The checkout's commit, and the number of files that differ from it."""
    if git("rev-parse", "--show-toplevel") != str(CHECKOUT):
        return "none: the checkout is no git repository"
    changed = len(git("status", "--porcelain", "--untracked-files=no").splitlines())
    return git("rev-parse", "HEAD") + (f", with changes in {changed} file(s)" if changed else "")


def versions(*libraries: str) -> dict[str, str]:
    """The installed version of each library."""
    return {name: importlib.metadata.version(name) for name in libraries}
