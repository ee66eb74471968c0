"""Write a release folder: a model as float32, float16, int8 and ONNX, with its card, if int8 loses little quality."""

import argparse
import json
import shutil
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from lib.gate import averages_of, check_loss, stage_rows
from lib.job.command import InputError, run
from lib.job.files import check_hashes, read_json, replacing, sha256
from lib.job.provenance import commit
from lib.page import render, table
from lib.plan.sources import parse_source
from lib.plan.stage_files import MODEL_FILES, ONNX_FILES
from lib.plan.tasks import DEVELOPMENT, TYPE_OF, TYPES
from lib.summary_tables import SPEED_HEADER, cell, speed_lines, speed_text

MEASURED = ["precision", "bytes", "float32_bytes", "clusters", "sentences", "cosine_change_max", "cosine_change_mean"]


def metadata(name: str, settings: dict, clustered: bool, rows: list[dict]) -> ModelCardData:
    """The metadata for model hubs, with the score of each of the summary's rows."""
    teacher, *corpus = [parse_source(text) for text in [settings["teacher"], *settings["corpus"]]]
    datasets = list(dict.fromkeys(source.name for source in corpus if source.kind == "hub"))
    results = []
    for row in rows:
        known = row["task"].removesuffix(DEVELOPMENT) in TYPE_OF
        results.append(
            EvalResult(
                task_type=row["category"],
                dataset_type=f"{'mteb/' if known else ''}{row['task']}",
                dataset_name=f"{'MTEB ' if known else ''}{row['task']}",
                dataset_split="test",
                dataset_revision=row["dataset_revision"],
                metric_type=TYPES[row["category"]].main_score,
                metric_value=round(row["score"], 4),
                metric_name="main score",
            )
        )
    return ModelCardData(
        model_name=name,
        language=settings["language"],
        license=settings["license"],
        library_name="model2vec",
        pipeline_tag="feature-extraction",
        tags=["embeddings", "static-embeddings", "model2vec", *([] if clustered else ["sentence-transformers"])],
        base_model=teacher.name if teacher.kind == "hub" else None,
        datasets=datasets or None,
        eval_results=results,
    )


def model_card(
    name: str, settings: dict, summary: dict, speed: dict, reports: list[dict], onnx: dict, max_tokens: int
) -> ModelCard:
    """The model card, with its metadata.

    Raises:
        InputError: int8 lost more than the config allows.
    """
    stage, clusters = settings["quantized"], reports[0]["clusters"]
    before = averages_of(summary, settings["scored_as"], stage)
    after = averages_of(summary, name, "int8")
    check_loss(name, before, after, settings["most_lost"])
    categories = [key for key in after if key not in ("model", "stage")]
    others = [row for row in summary["averages"] if row["model"] in settings["baselines"]]
    averages = [
        [row["model"], row["stage"], *(cell(row[key]) for key in categories)]
        for row in [before | {"model": name}, after, *others]
    ]
    old = {row["task"]: row["score"] for row in stage_rows(summary["rows"], settings["scored_as"], stage)}
    rows = stage_rows(summary["rows"], name, "int8")
    tasks = [
        [row["task"], row["category"], cell(score), cell(row["score"]), f"{row['score'] - score:+.2f}"]
        for row, score in [(row, old[row["task"]]) for row in rows]
    ]
    measured = {report["precision"]: report for report in reports}
    measured |= {f"ONNX, {precision}": onnx[precision] for precision in ONNX_FILES}
    precisions = [["float32", f"{reports[0]['float32_bytes']:,}", "1", "1"]]
    for precision, report in measured.items():
        cosines = [f"{1 - report[key]:.6f}" for key in ("cosine_change_mean", "cosine_change_max")]
        precisions.append([precision, f"{report['bytes']:,}", *cosines])
    speeds = speed_lines(speed, [f"{name}/int8", *(f"{baseline}/baseline" for baseline in settings["baselines"])])
    text = render(
        "card.md.jinja",
        **settings,
        name=name,
        sources=settings["from"],
        clusters=clusters,
        max_tokens=max_tokens,
        commit=commit(),
        averages=table(["Model", "Stage", *categories], averages),
        speed_text=speed_text(speed),
        speeds=table(SPEED_HEADER, speeds),
        measured=reports[0]["sentences"],
        precisions=table(["Format", "Bytes", "Mean cosine", "Minimum cosine"], precisions),
        tasks=table(["Task", "Category", stage, "int8", "Change"], tasks),
    )
    return ModelCard(f"---\n{metadata(name, settings, bool(clusters), rows)}\n---\n\n{text}")


def main(argv: list[str]) -> None:
    """Write one model's release folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--float32", type=Path, required=True, help="the folder of the float32 model")
    parser.add_argument("--float16", type=Path, required=True, help="the folder of the float16 model")
    parser.add_argument("--int8", type=Path, required=True, help="the folder of the int8 model")
    parser.add_argument("--onnx", type=Path, required=True, help="the folder of the ONNX models")
    parser.add_argument("--summary", type=Path, required=True, help="summary.json")
    parser.add_argument("--speed", type=Path, required=True, help="speed.json")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: teacher, corpus, dimensions, seed…")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    reports = [read_json(folder / "quantization.json", MEASURED) for folder in (args.int8, args.float16)]
    onnx = read_json(args.onnx / "onnx.json", ONNX_FILES)
    max_tokens = read_json(args.int8 / "config.json").get("max_length")
    for folder in (args.float32, args.float16, args.int8):
        check_hashes(folder)
    for precision, name in ONNX_FILES.items():
        if sha256(args.onnx / name) != onnx[precision]["sha256"]:
            raise InputError(
                f"{args.onnx / name}: damaged: its hash is not the one in onnx.json; delete it to make it again"
            )
    summary, speed = read_json(args.summary), read_json(args.speed, ["rows", "loading", "failed"])
    card = model_card(args.name, args.settings, summary, speed, reports, onnx, max_tokens)
    # tokens share vectors to save space, so such a model's own folder is int8
    first = "int8" if reports[0]["clusters"] else "float32"
    with replacing(args.output) as folder:
        for precision in sorted(["float32", "float16", "int8"], key=lambda name: name != first):
            source, target = getattr(args, precision), folder if precision == first else folder / precision
            target.mkdir()
            for name in [*MODEL_FILES, *(path.name for path in source.glob("modules.json"))]:
                shutil.copyfile(source / name, target / name)
        (folder / "onnx").mkdir()
        for name in ONNX_FILES.values():
            shutil.copyfile(args.onnx / name, folder / "onnx" / name)
        (folder / "README.md").write_text(str(card), encoding="utf-8")


if __name__ == "__main__":
    run(main)
