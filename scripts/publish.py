"""Upload release folders to a model hub with its own client, or list the files; refuse incomplete ones."""

import argparse
import json
from pathlib import Path

from huggingface_hub import HfApi

from lib.gate import averages_of, check_loss, stage_rows
from lib.job.command import InputError, first_line, run
from lib.job.files import check_hashes, read_json, sha256, write_json
from lib.job.progress import say
from lib.job.provenance import commit
from lib.plan.stage_files import MODEL_FILES, ONNX_FILES

HEADER = "# commit: "  # first line of the run's config.yaml
EXPECTED = ["README.md", "LICENSE", *MODEL_FILES, *(f"onnx/{name}" for name in ONNX_FILES.values())]


def check_commits(config: Path) -> str:
    """The commit of a run.

    Args:
        config: the run's ``config.yaml``.

    Raises:
        InputError: the run or the checkout has uncommitted changes, or no commit.
    """
    first = config.read_text(encoding="utf-8").partition("\n")[0]
    of_run = first.removeprefix(HEADER) if first.startswith(HEADER) else "unknown"
    for what, name in [(f"{config}: made from commit", of_run), ("the checkout: commit", commit())]:
        if not name.isalnum():
            raise InputError(f"publish: {what} {name}: expected one without changes; commit them and run again")
    return of_run


def check_release(folder: Path, summary: dict, settings: dict, tasks: list[str]) -> None:
    """Check that a release folder is complete and unchanged but for its card and licence, that its model has a score on
    every task, and that int8 lost little.

    Raises:
        InputError: one of these is not the case.
    """
    missing = [name for name in EXPECTED if not (folder / name).is_file()]
    if missing:
        raise InputError(f"publish {folder}: expected the file {missing[0]}, found none")
    check_hashes(folder)
    scored = {row["task"] for row in stage_rows(summary["rows"], folder.name, "int8")}
    unscored = [task for task in tasks if task not in scored]
    if unscored:
        raise InputError(f"publish {folder}: expected a score on {unscored[0]}, found none")
    before = averages_of(summary, settings["scored_as"], settings["quantized"])
    check_loss(folder.name, before, averages_of(summary, folder.name, "int8"), settings["most_lost"])


def files_in(folder: Path) -> list[Path]:
    """All files of a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def upload(folder: Path, repository: str, message: str) -> dict:
    """Upload a folder, if need be to a new private repository; files that are there already are not sent.

    Raises:
        InputError: the hub refuses, or cannot be reached.
    """
    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    except Exception as error:  # the client raises exceptions of its own and of its transport
        raise InputError(f"publish {repository}: {first_line(error)}") from error
    hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in files_in(folder)}
    return {"repository": repository, "commit": done.oid, "sha256": hashes}


def main(argv: list[str]) -> None:
    """Publish all release folders of a run, or none if one of them is refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=Path, nargs="+", required=True, help="the models' folders")
    parser.add_argument("--owner", help="user or organisation on the hub")
    parser.add_argument("--summary", type=Path, required=True, help="summary.json")
    parser.add_argument("--config", type=Path, required=True, help="the run's config.yaml")
    parser.add_argument("--tasks", nargs="+", required=True, help="the tasks that a model must have a score on")
    parser.add_argument(
        "--settings", type=json.loads, required=True, help="JSON: for each model the settings of its card"
    )
    parser.add_argument("--output", type=Path, help="the JSON file to write; without it, files are only listed")
    args = parser.parse_args(argv)
    if args.owner is None:
        raise InputError("release.owner: expected the hub's user or organisation to publish under, found none")
    for folder in args.releases:
        say(f"{args.owner}/{folder.name}")
        for path in files_in(folder):
            say(f"  {path.stat().st_size:>13,} bytes  {path.relative_to(folder)}")
    commit_of_run = check_commits(args.config)
    summary = read_json(args.summary, ["rows", "averages"])
    for folder in args.releases:
        check_release(folder, summary, args.settings[folder.name], args.tasks)
    if args.output is None:
        say("nothing was uploaded: this is only the list of files")
        return
    published = {}
    for folder in args.releases:
        repository = f"{args.owner}/{folder.name}"
        published[folder.name] = upload(folder, repository, f"{folder.name}, made by commit {commit_of_run}")
        say(f"{repository}: commit {published[folder.name]['commit']}")
    write_json(args.output, {"made_by": commit_of_run, "models": published})


if __name__ == "__main__":
    run(main)
