"""Which files of a run its crate describes."""

from pathlib import Path

from lib.job.files import HASHES

CRATE = "ro-crate-metadata.json"
# written during a run, or after it on request
NOT_DESCRIBED = {"logs", "kept", "cache", "against", "submission"}
NOT_DESCRIBED |= {CRATE, "report.html", "report.zip", "published.json", "unfinished.md", "model.sig"}


def described_files(folder: Path) -> list[Path]:
    """A run's files, relative to its folder, sorted; without logs, caches, locks and what is made after a run."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    shown = (file for file in files if not any(part.startswith(".") for part in file.parts if part != HASHES))
    return sorted(file for file in shown if not NOT_DESCRIBED & set(file.parts))
