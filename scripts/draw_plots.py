"""Draw a run's plots: scores by stage, size, speed and shared vectors, differences, similarities, losses."""

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from scipy.stats import spearmanr

from lib.differences import read_differences
from lib.job.command import run
from lib.job.files import read_json, replacing
from lib.plan.stage_files import in_order
from lib.plan.tasks import CATEGORIES
from lib.static_model import load_static_model
from lib.task_data import read_splits

# Okabe and Ito's colours, told apart with every kind of colour vision, and markers for print
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = "osD^vPX"
MEANS = [*CATEGORIES, "Avg"]
plt.rcParams |= {"text.parse_math": False}  # a name may have a $
plt.rcParams |= {"svg.hashsalt": "born-again", "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}


def look(number: int) -> dict[str, str]:
    """The colour and marker of curve number ``number``."""
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}


def stages_plot(averages: list[dict], baselines: list[str], released: dict[str, str]) -> Figure:
    """The category means and the macro average of each model along its stages, baselines as horizontal lines.

    A dotted line leads from a model's released stage to its int8 version.
    """
    categories = [c for c in MEANS if any(c in row for row in averages)]
    figure, axes = plt.subplots(1, len(categories), figsize=(3.4 * len(categories), 4.6), layout="constrained")
    models = list(dict.fromkeys(row["model"] for row in averages if row["model"] not in baselines))
    stages = in_order(row["stage"] for row in averages if row["model"] in models)
    for axis, category in zip(axes, categories, strict=True):
        for i, model in enumerate(models):
            scores = {row["stage"]: row[category] for row in averages if row["model"] == model and category in row}
            trained = [stage for stage in in_order(scores) if stage != "int8"]
            exported = [stage for stage in [released[model], "int8"] if stage in scores]
            for path, style in [(trained, "-"), (exported, ":")]:
                places = [stages.index(stage) for stage in path]
                label = model if style == ":" else None
                axis.plot(places, [scores[stage] for stage in path], style, **look(i), label=label)
        for i, row in enumerate(row for row in averages if row["model"] in baselines and category in row):
            color = COLORS[(len(models) + i) % len(COLORS)]
            axis.axhline(row[category], linestyle=["--", ":", "-."][i % 3], color=color, label=row["model"])
        axis.set_title(category)
        axis.set_xticks(range(len(stages)), stages, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_xlim(-0.4, len(stages) - 0.6)
    axes[0].set_ylabel("score × 100")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def quality_plot(averages: list[dict], places: dict[str, float], label: str, published: list[tuple]) -> Figure:
    """The macro average of each int8 model and each baseline over another quantity, on a logarithmic axis.

    Args:
        averages: the summary's means.
        places: the other quantity, by model/stage.
        label: of its axis.
        published: numbers of other authors, drawn as crosses: quantity, macro average and label of each.
    """
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    points = [row for row in averages if row["stage"] in ("int8", "baseline")]
    points = [row for row in points if f"{row['model']}/{row['stage']}" in places]
    for i, row in enumerate(points):
        own = row["stage"] != "baseline"
        axis.plot(
            places[f"{row['model']}/{row['stage']}"],
            row["Avg"],
            **look(i),
            linestyle="none",
            fillstyle="full" if own else "none",
            markersize=9,
            label=f"{row['model']}, {row['stage']}" if own else row["model"],
        )
    for i, (place, score, name) in enumerate(published):
        axis.plot(place, score, "x+1234"[i % 6], color="#666666", markersize=9, label=name)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(0.15)
    axis.grid(alpha=0.3)
    axis.set_xlabel(f"{label}, log scale")
    axis.set_ylabel("macro average (score × 100)")
    if axis.lines:
        figure.legend(loc="outside right upper", frameon=False)
    return figure


def size_plot(averages: list[dict], sizes: dict[str, int], reference: dict[str, dict]) -> Figure:
    """The macro average over the size of the weights: each int8 stage, the baselines, and crosses for a reference."""
    published = [
        (numbers["Size (MB)"], numbers["Avg"], f"{model}, {source}")
        for model, sources in reference.items()
        for source, numbers in sources.items()
        if {"Size (MB)", "Avg"} <= set(numbers)
    ]
    megabytes = {name: size / 1e6 for name, size in sizes.items()}
    return quality_plot(averages, megabytes, "size of the weights (MB)", published)


def intervals(axis: Axes, rows: list[dict], places: list[float], **style: Any) -> None:
    """Draw differences as points on lines, their 95 % intervals as bars; hollow if not significant."""
    for row, place in zip(rows, places, strict=True):
        low, value, high = (row[key] for key in ("low", "difference", "high"))
        fill = "none" if row["significant"] == "no" else "full"
        axis.errorbar(value, place, xerr=[[value - low], [high - value]], capsize=2, fillstyle=fill, **style)
    axis.axvline(0, color="#666666", linewidth=0.8)
    axis.grid(axis="x", alpha=0.3)


def gains_plot(differences: list[dict], baselines: list[str]) -> Figure:
    """The gain of each stage over the one that it was made from, by category, with intervals over the tasks' items."""
    pairs: dict[str, dict[str, dict]] = {}
    for row in differences:
        if row["against_model"] not in baselines:
            against = row["against_stage"] if row["against_model"] == row["model"] else row["against_model"]
            pairs.setdefault(f"{row['model']}: {row['stage']} − {against}", {})[row["of"]] = row
    categories = [c for c in MEANS if any(c in pair for pair in pairs.values())]
    size = (1.8 + 2.4 * len(categories), 1 + 0.32 * len(pairs))
    figure, axes = plt.subplots(1, len(categories), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for i, (axis, category) in enumerate(zip(axes[0], categories, strict=True)):
        rows = [pair[category] for pair in pairs.values()]
        intervals(axis, rows, list(range(len(rows))), **look(i))
        axis.set_title(category)
    axes[0][0].set_yticks(range(len(pairs)), pairs)
    axes[0][0].invert_yaxis()
    figure.supxlabel("gain (points, score × 100)")
    return figure


def tasks_plot(differences: list[dict], baselines: list[str]) -> Figure:
    """Each task's difference of the first model's int8 stage to each baseline, with intervals over its items."""
    first = next((row["model"] for row in differences if row["stage"] == "int8"), None)
    rows = [row for row in differences if row["model"] == first and row["against_model"] in baselines]
    rows = [row for row in rows if row["of"] not in MEANS]
    tasks = list(dict.fromkeys(row["of"] for row in rows))
    figure, axis = plt.subplots(figsize=(8, 1.6 + (0.2 + 0.13 * len(baselines)) * len(tasks)), layout="constrained")
    for i, baseline in enumerate(baselines):
        own = [row for row in rows if row["against_model"] == baseline]
        places = [tasks.index(row["of"]) + 0.7 * ((i + 0.5) / len(baselines) - 0.5) for row in own]
        intervals(axis, own, places, **look(i))
        axis.plot([], [], linestyle="none", label=baseline, **look(i))
    axis.set_yticks(range(len(tasks)), tasks)
    axis.invert_yaxis()
    axis.set_xlabel("difference (points, score × 100)")
    figure.suptitle(f"{first}, int8, minus each baseline", fontsize="medium")
    if baselines:
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def clusters_plot(averages: list[dict], clusters: dict[str, dict]) -> Figure:
    """The macro average over the number of vectors that a model's tokens share, beside the model that it comes from.

    Args:
        averages: the summary's means.
        clusters: of each model whose tokens share vectors, ``from``, ``dimensions`` and ``clusters``.
    """
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    score = {row["model"]: row["Avg"] for row in averages if row["stage"] == "int8"}
    curves: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for model, settings in clusters.items():
        curve = curves.setdefault((settings["from"], settings["dimensions"]), [])
        curve.append((settings["clusters"], score[model]))
    for i, ((parent, dimensions), curve) in enumerate(curves.items()):
        axis.plot(*zip(*sorted(curve), strict=True), **look(i), label=f"from {parent}, {dimensions} dimensions")
    for i, parent in enumerate(dict.fromkeys(parent for parent, _ in curves)):
        style = {"color": "#666666", "linestyle": ["--", ":", "-."][i % 3]}
        axis.axhline(score[parent], **style, label=f"{parent}, one vector per token")
    axis.set_xscale("log")
    ticks = sorted({settings["clusters"] for settings in clusters.values()})
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(0.15)
    axis.grid(alpha=0.3)
    axis.set_xlabel("shared vectors, log scale")
    axis.set_ylabel("macro average (score × 100)")
    figure.legend(loc="outside lower center", frameon=False)
    return figure


def similarity_plot(models: list[Path], data: Path) -> Figure:
    """The cosines of an STS task's pairs, by stages of a model, over the pairs' ratings.

    Args:
        models: the stages' folders, ``…/model/stage``.
        data: the task's data.
    """
    tables = [table for (_, split), table in read_splits(data).items() if split == "test"]
    pairs = [[text for table in tables for text in table[side].to_pylist()] for side in ("sentence1", "sentence2")]
    ratings = np.concatenate([np.array(table["score"], dtype=np.float64) for table in tables])
    size = (4.2 * len(models), 4.2)
    figure, axes = plt.subplots(1, len(models), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for i, (folder, axis) in enumerate(zip(models, axes[0], strict=True)):
        model = load_static_model(folder)
        first, second = (model.encode(texts, use_multiprocessing=False) for texts in pairs)
        cosines = (first * second).sum(axis=1)  # of unit length
        axis.scatter(ratings, cosines, s=8, alpha=0.3, color=COLORS[i], linewidths=0, rasterized=True)
        axis.set_title(f"{'/'.join(folder.parts[-2:])}\nSpearman {100 * spearmanr(ratings, cosines).statistic:.2f}")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("cosine of the pair's embeddings")
    figure.supxlabel(f"rating of the pair, {data.stem}")
    return figure


def loss_plot(trainings: dict[str, dict]) -> Figure:
    """Training and held-out loss of each training over its epochs."""
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for i, (name, training) in enumerate(trainings.items()):
        color = COLORS[i % len(COLORS)]
        curve = training["curve"]
        axis.plot([p["epoch"] for p in curve], [p["validation_loss"] for p in curve], color=color, label=name)
        seen = [p for p in curve if p["train_loss"] is not None]
        axis.plot([p["epoch"] for p in seen], [p["train_loss"] for p in seen], color=color, linestyle=":")
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel("loss (held-out; dotted: training)")
    axis.legend(frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; equal numbers give equal bytes."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def main(argv: list[str]) -> None:
    """Draw the requested plots of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.json")
    parser.add_argument("--differences", type=Path, required=True, help="differences.csv")
    parser.add_argument("--trainings", type=Path, nargs="*", default=[], help="training.json files of trained models")
    parser.add_argument(
        "--similarities", type=Path, nargs="*", default=[], help="folders of stages to compare on --task"
    )
    parser.add_argument("--task", type=Path, nargs="?", help="the data of an STS task")
    parser.add_argument(
        "--outputs", type=Path, nargs="+", required=True, help="the SVG files to write, each named after its plot"
    )
    args = parser.parse_args(argv)
    summary = read_json(args.summary)
    averages, settings = summary["averages"], summary["settings"]
    differences = read_differences(args.differences)
    curves = {"/".join(path.parts[-3:-1]): read_json(path, ["curve"]) for path in args.trainings}
    draw = {
        "stages": lambda: stages_plot(averages, settings["baselines"], settings["released"]),
        "gains": lambda: gains_plot(differences, settings["baselines"]),
        "tasks": lambda: tasks_plot(differences, settings["baselines"]),
        "size": lambda: size_plot(averages, summary["sizes"], settings["reference"]),
        "speed": lambda: quality_plot(
            averages, summary["speeds"], "sentences per second on a CPU, at the best number of threads", []
        ),
        "clusters": lambda: clusters_plot(averages, settings["clusters"]),
        "similarities": lambda: similarity_plot(args.similarities, args.task),
        "loss": lambda: loss_plot(curves),
    }
    for path in args.outputs:
        save(draw[path.stem](), path)


if __name__ == "__main__":
    run(main)
