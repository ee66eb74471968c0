"""Compare the stages of a run with each other and with the baselines: which differences are significant?"""

import argparse
import json
from pathlib import Path

import polars

from lib.differences import difference
from lib.job.command import run
from lib.job.files import replacing
from lib.results import categories_of, read_results


def main(argv: list[str]) -> None:
    """Write the differences of one run as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, nargs="+", required=True, help="mteb's JSON files")
    parser.add_argument(
        "--resampled",
        type=Path,
        nargs="+",
        required=True,
        help="parquet files of resampled scores, model/stage.parquet",
    )
    parser.add_argument("--custom", type=json.loads, default={}, help="JSON: the types of custom tasks, by name")
    parser.add_argument("--pairs", type=json.loads, required=True, help="JSON list of [[model, stage], [model, stage]]")
    parser.add_argument("--seed", type=int, required=True, help="of the sampling of tasks")
    parser.add_argument("--output", type=Path, required=True, help="the CSV to write")
    args = parser.parse_args(argv)

    categories = categories_of({path.stem for path in args.results}, args.custom)
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for row in read_results(args.results, categories):
        scores.setdefault((row["model"], row["stage"]), {})[row["task"]] = row["score"]
    resampled = {(path.parent.name, path.stem): polars.read_parquet(path) for path in args.resampled}
    rows = []
    for ours, theirs in [map(tuple, pair) for pair in args.pairs]:
        names = {"model": ours[0], "stage": ours[1], "against_model": theirs[0], "against_stage": theirs[1]}
        compared = scores[ours], scores[theirs], resampled[ours], resampled[theirs]
        rows += [names | row for row in difference(*compared, categories, args.seed)]
    with replacing(args.output) as temporary:
        polars.DataFrame(rows, infer_schema_length=None).write_csv(temporary, float_precision=4)


if __name__ == "__main__":
    run(main)
