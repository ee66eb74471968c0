"""Gather every result of a run, as CSV and JSON."""

import argparse
import json
import platform
from pathlib import Path

import polars

from lib.differences import score_intervals
from lib.job.command import run
from lib.job.files import read_json, replacing, write_json
from lib.job.provenance import versions
from lib.model_folder import weights_size
from lib.results import averages, categories_of, fastest, read_results
from lib.task_data import read_splits

COLUMNS = ["model", "stage", "task", "category", "score", "test_items", "seed", "mteb_version"]
COLUMNS += ["dataset_revision", "result"]
VERSIONED = ["model2vec", "mteb", "numpy", "scikit-learn", "snakemake", "tokenizers", "torch", "transformers"]


def test_items(path: Path) -> int:
    """The number of test items in a task's data: pairs or texts, of all subsets."""
    return sum(table.num_rows for (_, split), table in read_splits(path).items() if split == "test")


def main(argv: list[str]) -> None:
    """Write the summary of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="mteb's JSON files")
    parser.add_argument(
        "--resampled", type=Path, nargs="+", required=True, help="parquet files of their bootstrap, model/stage.parquet"
    )
    parser.add_argument("--speed", type=Path, required=True, help="speed.json")
    parser.add_argument(
        "--tasks", type=Path, nargs="+", required=True, help="the tasks' data, to count their test items"
    )
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="the models' safetensors files, for their sizes"
    )
    parser.add_argument(
        "--baselines", type=Path, nargs="*", default=[], help="the baselines' folders, in the settings' order"
    )
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: run, about, custom_tasks, reference…")
    parser.add_argument("--csv", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args(argv)

    settings = args.settings
    custom = {name: task["type"] for name, task in settings["custom_tasks"].items()}
    categories = categories_of({path.stem for path in args.results}, custom)
    items = {path.stem: test_items(path) for path in args.tasks}
    rows = read_results(args.results, categories)
    for row in rows:
        row |= {"test_items": items[row["task"]], "seed": settings["training_seeds"].get(row["model"])}
    means = averages(rows)
    resampled = {(path.parent.name, path.stem): polars.read_parquet(path) for path in args.resampled}
    intervals = {}
    for model, stage in [(row["model"], row["stage"]) for row in means]:
        scores = {row["task"]: row["score"] for row in rows if (row["model"], row["stage"]) == (model, stage)}
        own = score_intervals(scores, resampled[model, stage], categories, settings["evaluation_seed"])
        intervals[f"{model}/{stage}"] = own
    speed = read_json(args.speed, ["rows", "loading", "failed"])
    sizes = {"/".join(path.parts[-3:-1]): path.stat().st_size for path in args.weights}
    for name, folder in zip(settings["baselines"], args.baselines, strict=True):
        sizes[f"{name}/baseline"] = weights_size(folder)

    shown = [row | {"score": f"{row['score']:.4f}"} for row in rows]
    with replacing(args.csv) as temporary:
        polars.DataFrame(shown, infer_schema_length=None).select(COLUMNS).write_csv(temporary)
    speeds = {name: row["texts_per_second"] for name, row in fastest(speed["rows"]).items()}
    content = {"settings": settings, "averages": means, "intervals": intervals, "sizes": sizes, "speeds": speeds}
    content |= {"rows": rows, "versions": versions(*VERSIONED) | {"python": platform.python_version()}}
    write_json(args.json, content)


if __name__ == "__main__":
    run(main)
