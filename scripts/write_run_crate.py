"""Describe a finished run as a Process Run Crate: its provenance, its inputs, and the sha256 of each of its files.

https://w3id.org/ro/wfrun/process, a profile of RO-Crate (https://w3id.org/ro/crate/1.1); written by ro-crate-py.
"""

import argparse
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from lib.crate import CRATE, described_files
from lib.job.command import run
from lib.job.files import read_json, replacing, sha256
from lib.job.progress import progress

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"


def read_header(config: Path) -> dict[str, str]:
    """The provenance in the comments of a run's ``config.yaml``: commit, command, devices, versions."""
    lines = (line for line in config.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    return dict(line.removeprefix("# ").split(": ", 1) for line in lines if ": " in line)


def describe(folder: Path) -> ROCrate:
    """The crate of a run's folder."""
    header = read_header(folder / "config.yaml")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    summary = read_json(folder / "summary.json", ["rows"])
    crate = ROCrate(version="1.1")
    crate.name = config["run"]
    crate.description = config["about"] or f"static embedding models, the run {config['run']}"
    if config["release"]["license"]:
        crate.license = config["release"]["license"]
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    crate.root_dataset["conformsTo"] = crate.add(ContextEntity(crate, PROFILE, properties=profile))
    pipeline = {
        "@type": "SoftwareApplication",
        "name": "Born-again static embeddings",
        "version": header["commit"],
        "softwareRequirements": header["versions"].split(", "),
    }
    corpus = config["corpus"]["source"]
    sources = [teacher["source"] for teacher in [config["teacher"], *config["teacher"]["others"]]]
    sources += [corpus] if isinstance(corpus, str) else corpus
    sources += config["baselines"].values()
    sources += [task["source"] for task in config["evaluation"]["custom_tasks"].values()]
    revisions = {row["task"]: row["dataset_revision"] for row in summary["rows"]}
    used = [(source, source) for source in dict.fromkeys(sources)]
    used += [(task, f"{task}@{revision}") for task, revision in revisions.items()]
    inputs = [
        crate.add(
            ContextEntity(crate, f"#{name}", properties={"@type": "CreativeWork", "name": name, "identifier": pin})
        )
        for name, pin in used
    ]
    paths = described_files(folder)
    files = [
        crate.add_file(
            folder / path,
            dest_path=path.as_posix(),
            properties={"sha256": sha256(folder / path), "contentSize": str((folder / path).stat().st_size)},
        )
        for path in progress(paths, len(paths), "hash", "files")
    ]
    crate.add_action(
        crate.add(ContextEntity(crate, "#pipeline", properties=pipeline)),
        identifier="#run",
        object=inputs,
        result=files,
        properties={
            "@type": "CreateAction",
            "name": f"the run {config['run']}",
            "description": "; ".join(f"{key}: {header[key]}" for key in ("command", "embedded on", "trained on")),
            "endTime": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    return crate


def main(argv: list[str]) -> None:
    """Write the crate of a run into its folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the run's folder")
    args = parser.parse_args(argv)
    crate = describe(args.run)
    with tempfile.TemporaryDirectory() as temporary, replacing(args.run / CRATE) as target:
        crate.metadata.write(temporary)  # always writes a file of the crate's name
        shutil.copyfile(Path(temporary) / CRATE, target)


if __name__ == "__main__":
    run(main)
