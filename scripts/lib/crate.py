"""Which files of a run its crate describes."""

from pathlib import Path

CRATE = "ro-crate-metadata.json"
# written during a run, or after it on request
NOT_DESCRIBED = {"logs", "benchmarks", "kept", "cache", "against", "submission"}
NOT_DESCRIBED |= {CRATE, "report.html", "report.zip", "published.json", "unfinished.md"}


def described_files(folder: Path) -> list[Path]:
    """A run's files, relative to its folder, sorted; without logs, caches and what is made after a run."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(f for f in files if not NOT_DESCRIBED & set(f.parts) and not any(p.startswith(".") for p in f.parts))
