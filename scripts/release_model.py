"""Write a release folder: a model as float32, float16, int8 and ONNX, with its card, if int8 loses little quality."""

import argparse
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData, eval_result_entries_to_yaml
from markupsafe import Markup
from model2vec import StaticModel

from lib.costs import WATTS, gpus_in, grams, read_cost
from lib.gate import averages_of, check_loss, stage_rows
from lib.job.command import InputError, run
from lib.job.files import HASHES, check_hashes, read_json, remove, replacing, sha256, write_hashes, write_json
from lib.job.provenance import commit
from lib.page import in_markdown, render, table
from lib.plan.sources import parse_source
from lib.plan.stage_files import MODEL_FILES, ONNX_FILES
from lib.plan.tasks import CATEGORIES, DEVELOPMENT, TYPES
from lib.static_model import load_static_model, save_static_model
from lib.summary_tables import (
    SCORES,
    SPEED_HEADER,
    cell,
    headings,
    points,
    speed_lines,
    speed_text,
    task_notes,
)
from lib.tokenizer_files import write_tokenizer_files

MEASURED = ["precision", "bytes", "float32_bytes", "clusters", "sentences", "cosine_change_max", "cosine_change_mean"]
MEASURED += ["tokens", "max_tokens", "max_characters"]
RESULTS = ".eval_results/mteb.yaml"
MTEB = "https://github.com/embeddings-benchmark/mteb"


def dataset_of(task: str, custom: list[str]) -> str | None:
    """The data set on the hub of one of mteb's tasks; None for a custom task."""
    if task in custom:
        return None
    import mteb  # takes seconds

    return mteb.get_task(task.removesuffix(DEVELOPMENT)).metadata.dataset["path"]


def emissions(args: argparse.Namespace) -> tuple[dict[str, Any] | None, str]:
    """The estimated emissions of the jobs that made the model, as the hub has them, and in words.

    Returns:
        None and no words if the config states no carbon intensity; None and the reason if they cannot be estimated.

    Raises:
        InputError: a benchmark file of a job is damaged.
    """
    if args.carbon_intensity is None:
        return None, ""
    if gpus := gpus_in(args.embeddings, args.trainings):
        return None, f"not estimated: jobs ran on {', '.join(gpus)}, whose energy is not measured"
    paths = {job: args.benchmarks / f"{job}.tsv" for job in args.jobs}
    missing = [job for job, path in paths.items() if not path.exists()]
    if missing:
        return None, f"not estimated: the time of {len(missing)} jobs is not known, such as that of {missing[0]}"
    amount = float(f"{grams([read_cost(path, job) for job, path in paths.items()], args.carbon_intensity):.2g}")
    how = (
        f"estimate: processor time of the last run of each job that made the model, without what it found done before, "
        f"at {WATTS} W for each busy core and {args.carbon_intensity:g} g CO2eq for each kWh; scoring, memory and idle "
        "hardware are not counted"
    )
    hub = {"emissions": amount, "source": how, "training_type": "pre-training", "hardware_used": "CPU"}
    return hub, f"{amount:g} g CO2eq; {how}"


def metadata(
    name: str,
    settings: dict,
    clustered: bool,
    rows: list[dict],
    datasets: list[str | None],
    emitted: dict[str, Any] | None,
) -> ModelCardData:
    """The metadata for model hubs.

    Args:
        name: the model's name.
        settings: of its card.
        clustered: whether its tokens share vectors.
        rows: the summary's rows for its int8 version: their scores are in the metadata.
        datasets: for each row, the data set on the hub that it was scored on.
        emitted: the estimated emissions, as the hub has them, if there are any.
    """
    teachers = [parse_source(teacher["source"]) for teacher in settings["teachers"]]
    corpus = [parse_source(text) for text in settings["corpus"]]
    results = [
        EvalResult(
            task_type=row["category"],
            dataset_type=dataset or row["task"],
            dataset_name=f"MTEB {row['task']}" if dataset else row["task"],
            dataset_split=None if row["task"].endswith(DEVELOPMENT) else "test",
            dataset_revision=row["dataset_revision"],
            metric_type=TYPES[row["category"]].main_score,
            metric_value=round(row["score"], 4),
            metric_name="main score",
        )
        for row, dataset in zip(rows, datasets, strict=True)
    ]
    tags = ["embeddings", "static-embeddings", "model2vec", "sentence-transformers"]
    tags += ["tokenlearn"] if settings["stage"] != "distilled" else []
    tags += ["mteb"] if any(datasets) else []
    return ModelCardData(
        model_name=name,
        language=settings["language"],
        license=settings["license"] or "other",
        license_name=None if settings["license"] else "not-chosen",
        license_link=None if settings["license"] else "LICENSE",
        library_name="model2vec",
        pipeline_tag="feature-extraction",
        tags=tags,
        base_model=[teacher.name for teacher in teachers if teacher.kind == "hub"] or None,
        datasets=list(dict.fromkeys(source.name for source in corpus if source.kind == "hub")) or None,
        eval_results=results,
        co2_eq_emissions=emitted,
    )


def results_file(rows: list[dict], datasets: list[str | None]) -> str:
    """The scores on mteb's tasks as the YAML that the hub reads from ``.eval_results``."""
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=row["task"],
            value=round(row["score"], 4),
            dataset_revision=row["dataset_revision"],
            source_url=MTEB,
            source_name=f"mteb {row['mteb_version']}",
            notes="int8",
        )
        for row, dataset in zip(rows, datasets, strict=True)
        if dataset and not row["task"].endswith(DEVELOPMENT)
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)


def link(text: str, kind: str) -> Markup:
    """A source as a link; of a file or folder of the author's own only that it is one.

    Args:
        text: the source.
        kind: ``model`` or ``texts``.
    """
    source = parse_source(text)
    if source.kind == "path":
        return Markup(f"unpublished {kind}")
    if source.kind == "package":
        package, _, version = source.name.partition("==")
        return Markup(f"[{source.name}](https://pypi.org/project/{package}/{version}/)")
    place = source.name if kind == "model" else f"datasets/{source.name}"
    return Markup(f"[{source.name}](https://huggingface.co/{place})")


def pinned(text: str, kind: str) -> Markup:
    """A source as a link, with its commit or hash."""
    pin = parse_source(text).pin
    return Markup(f"{link(text, kind)}{f', `{pin}`' if pin else ''}")


def joined(parts: list[str]) -> Markup:
    """Texts as Markdown with commas and an and."""
    texts = [str(in_markdown(part)) for part in parts]
    return Markup(" and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts))


def stage_text(stage: str) -> str:
    """A stage, and what it was trained on."""
    if stage == "distilled":
        return stage
    other = "the born-again model before it" if stage.startswith("born-again") else "the teacher"
    return f"{stage}: a distilled model, trained on the embeddings of {other}"


def how_made(settings: dict, emitted: str) -> Markup:
    """A table of what made the model, with its emissions in words, if there are any."""
    sample = settings["sample"]
    words = f"{sample['min_words']} to {sample['max_words']} words"
    spans = f"; {sample['spans']:.0%} short spans of up to {sample['span_words']} words" if sample["spans"] else ""
    lines: list[list[str]] = []
    for teacher in settings["teachers"]:
        read = f"{teacher['pooling']}, of up to {teacher['max_length']} tokens"
        lines += [
            ["Teacher", pinned(teacher["source"], "model")],
            ["Pooling", read + (f", prompt “{teacher['prompt']}”" if teacher["prompt"] else "")],
        ]
    lines += [
        ["Texts", joined([pinned(text, "texts") for text in settings["corpus"]])],
        ["Sample", f"{settings['sentences']:,} sentences of {words}{spans}; seed {sample['seed']}"],
        ["Stage", stage_text(settings["stage"])],
        ["Training", ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings["training"].items())],
        *([["Derived from", " and ".join(settings["from"])]] if settings["from"] else []),
        ["Commit of the pipeline", commit()],
        *([["Emissions", emitted]] if emitted else []),
    ]
    return table(["What", "How"], lines)


def model_card(
    name: str,
    settings: dict,
    summary: dict,
    speed: dict,
    reports: list[dict],
    onnx: dict,
    rows: list[dict],
    datasets: list[str | None],
    emitted: tuple[dict[str, Any] | None, str],
) -> ModelCard:
    """The model card, with its metadata.

    Args:
        name: the model's name.
        settings: of its card.
        summary: ``summary.json``.
        speed: ``speed.json``.
        reports: the reports on int8 and on float16.
        onnx: the report on the ONNX files.
        rows: the summary's rows for the int8 version.
        datasets: for each row, the data set on the hub that it was scored on.
        emitted: the estimated emissions, as the hub has them, and in words.

    Raises:
        InputError: int8 lost more than the config allows.
    """
    stage, clusters = settings["quantized"], reports[0]["clusters"]
    before = averages_of(summary, settings["scored_as"], stage)
    after = averages_of(summary, name, "int8")
    check_loss(name, before, after, settings["most_lost"])
    categories = [key for key in after if key not in ("model", "stage")]
    titles = dict(zip(CATEGORIES, headings(Counter(row["category"] for row in rows)), strict=True))
    siblings = [row for row in summary["averages"] if row["model"] in settings["siblings"] and row["stage"] == "int8"]
    others = [row for row in summary["averages"] if row["model"] in settings["baselines"]]
    averages = [
        [row["model"], row["stage"], *(cell(row[key]) for key in categories)]
        for row in [before | {"model": name, "stage": "float32"}, after, *siblings, *others]
    ]
    old = {row["task"]: row["score"] for row in stage_rows(summary["rows"], settings["scored_as"], stage)}
    tasks = [
        [row["task"], row["category"], cell(score), cell(row["score"]), points(row["score"] - score)]
        for row, score in [(row, old[row["task"]]) for row in rows]
    ]
    measured = {report["precision"]: report for report in reports}
    measured |= {f"ONNX, {precision}": onnx[precision] for precision in ONNX_FILES}
    precisions = [["float32", f"{reports[0]['float32_bytes']:,}", "1", "1"]]
    for precision, report in measured.items():
        cosines = [f"{1 - report[key]:.6f}" for key in ("cosine_change_mean", "cosine_change_max")]
        precisions.append([precision, f"{report['bytes']:,}", *cosines])
    # an error's text may hold a path of this machine
    shown = speed | {"failed": dict.fromkeys(speed["failed"], "it did not run")}
    speeds = speed_lines(shown, [f"{name}/int8", *(f"{baseline}/baseline" for baseline in settings["baselines"])])
    text = render(
        "card.md.jinja",
        **settings,
        **{key: reports[0][key] for key in ("tokens", "clusters", "max_tokens", "max_characters")},
        measured=reports[0]["sentences"],
        name=name,
        repository=f"{settings['owner']}/{name}" if settings["owner"] else f"path/to/{name}",
        megabytes=f"{reports[0]['bytes'] / 1e6:.1f}",
        distilled_from=joined([link(teacher["source"], "model") for teacher in settings["teachers"]]),
        texts=joined([link(text, "texts") for text in settings["corpus"]]),
        made=how_made(settings, emitted[1]),
        scores_text=SCORES,
        averages=table(["Model", "Kind", *(titles.get(key, key) for key in categories)], averages),
        speed_text=speed_text(speed),
        speeds=table(SPEED_HEADER, speeds),
        precisions=table(["Format", "Bytes", "Mean cosine", "Minimum cosine"], precisions),
        task_notes=task_notes(summary["settings"]["custom_tasks"], [row["task"] for row in rows]),
        tasks=table(["Task", "Category", "float32", "int8", "Change"], tasks),
    )
    data = metadata(name, settings, bool(clusters), rows, datasets, emitted[0])
    return ModelCard.from_template(data, template_str="---\n{{ card_data }}\n---\n\n{{ text }}", text=text)


def with_own_vectors(model: StaticModel) -> StaticModel:
    """A model whose tokens share vectors as one with a vector for each token: the same embeddings from a larger table.

    Libraries load it that know no shared vectors.
    """
    vectors = model.embedding[model.token_mapping] * model.weights[:, None]
    return StaticModel(
        vectors, model.tokenizer, config=model.config, normalize=model.normalize, max_length=model.max_length
    )


def copy_models(args: argparse.Namespace, clustered: bool, folder: Path) -> None:
    """Copy the models at each precision, with what other libraries need, into a release folder.

    The folder itself is float32. If tokens share vectors, it is int8, as that is to save space; then the folder float32
    has a vector for each token, which sentence-transformers is led to.
    """
    first = "int8" if clustered else "float32"
    for precision in sorted(["float32", "float16", "int8"], key=lambda name: name != first):
        source, target = getattr(args, precision), folder if precision == first else folder / precision
        if clustered and precision == "float32":
            save_static_model(with_own_vectors(load_static_model(source)), target)
            remove(target / HASHES)
            modules = read_json(target / "modules.json")
            write_json(folder / "modules.json", [{**modules[0], "path": precision}, *modules[1:]])
            continue
        target.mkdir()
        for name in [*MODEL_FILES, *(path.name for path in source.glob("modules.json"))]:
            shutil.copyfile(source / name, target / name)
    (folder / "onnx").mkdir()
    for name in ONNX_FILES.values():
        shutil.copyfile(args.onnx / name, folder / "onnx" / name)


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
    parser.add_argument("--carbon-intensity", type=float, help="grams of CO2 equivalent for each kWh of electricity")
    parser.add_argument("--benchmarks", type=Path, help="the run's folder of benchmark files, for the emissions")
    parser.add_argument("--jobs", nargs="+", help="names in that folder, without ending, of what the model comes from")
    parser.add_argument("--embeddings", type=Path, nargs="+", help="the teachers' folders, for the devices")
    parser.add_argument("--trainings", type=Path, nargs="*", help="training.json files, for the devices")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    reports = [read_json(folder / "quantization.json", MEASURED) for folder in (args.int8, args.float16)]
    onnx = read_json(args.onnx / "onnx.json", ONNX_FILES)
    for folder in (args.float32, args.float16, args.int8):
        check_hashes(folder)
    for precision, name in ONNX_FILES.items():
        if sha256(args.onnx / name) != onnx[precision]["sha256"]:
            raise InputError(
                f"{args.onnx / name}: damaged: its hash is not the one in onnx.json; delete it to make it again"
            )
    summary, speed = read_json(args.summary), read_json(args.speed, ["rows", "loading", "failed"])
    rows = stage_rows(summary["rows"], args.name, "int8")
    datasets = [dataset_of(row["task"], args.settings["custom_tasks"]) for row in rows]
    card = model_card(args.name, args.settings, summary, speed, reports, onnx, rows, datasets, emissions(args))
    with replacing(args.output) as folder:
        copy_models(args, bool(reports[0]["clusters"]), folder)
        write_tokenizer_files(folder / "tokenizer.json", reports[0]["max_tokens"], folder)
        if any(datasets):
            (folder / RESULTS).parent.mkdir()
            (folder / RESULTS).write_text(results_file(rows, datasets), encoding="utf-8")
        write_hashes(folder)  # of all but the two files that an author may edit
        licence = render("licence.txt.jinja", name=args.name, **args.settings)
        (folder / "LICENSE").write_text(licence, encoding="utf-8")
        (folder / "README.md").write_text(str(card), encoding="utf-8")


if __name__ == "__main__":
    run(main)
