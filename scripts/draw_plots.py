"""Draw a run's plots: scores by stage, size, speed and shared vectors, differences, similarities, losses."""

import argparse
import math
import textwrap
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox
from scipy.stats import spearmanr

from lib.differences import read_differences
from lib.job.command import run
from lib.job.files import read_json, write_text
from lib.plan.stage_files import in_order
from lib.plan.tasks import CATEGORIES
from lib.static_model import load_static_model
from lib.summary_tables import points
from lib.task_data import read_splits

# Okabe and Ito's colours, told apart with every kind of colour vision; markers and dashes tell them apart in grey
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = "osD^vPX"
DASHES = ["--", ":", "-.", (0, (8, 2)), (0, (1, 3))]
GREY = "#444444"
SMALL = 9
MEANS = [*CATEGORIES, "Avg"]
AVERAGE = "macro average (score × 100), better ↑"
# where a label may stand beside its point: the offset in points, which also says the corner of the text that is there
BESIDE = [(8, 0), (-8, 0), (0, 10), (0, -10), (8, 9), (-8, 9), (8, -9), (-8, -9)]
BESIDE += [(right, up) for far in (20, 32, 44, 56) for up in (far, -far) for right in (8, -8, 24, -24)]
plt.rcParams |= {"text.parse_math": False}  # a name may have a $
plt.rcParams |= {"svg.hashsalt": "born-again", "svg.fonttype": "none", "font.size": 11}
plt.rcParams |= {"axes.spines.top": False, "axes.spines.right": False, "axes.unicode_minus": True}


def look(number: int) -> dict[str, str]:
    """The colour and marker of curve number ``number``."""
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}


def entitle(figure: Figure, title: str, reading: str) -> None:
    """Put a title, and how to read the figure, above a figure with constrained layout, which grows by their height."""
    width, height = figure.get_size_inches()
    titles, lines = textwrap.wrap(title, int(9 * width)), textwrap.wrap(reading, int(13.5 * width))
    above = 0.15 + 0.24 * len(titles) + 0.17 * len(lines)
    figure.set_size_inches(width, height + above)
    figure.set_label(title)
    figure.get_layout_engine().set(rect=(0, 0, 1, height / (height + above)))  # type: ignore[union-attr, call-arg]
    left, top, line = 0.08 / width, 1 - 0.06 / (height + above), 0.24 / (height + above)
    figure.text(left, top, "\n".join(titles), va="top", weight="bold", size=13)
    figure.text(left, top - line * len(titles), "\n".join(lines), va="top", size=SMALL, color=GREY, linespacing=1.3)


def label_points(figure: Figure, axis: Axes, labels: Sequence[tuple[float, float, str]]) -> None:
    """Write the label of each point (x, y, label) beside it, where it covers the fewest labels and points; a line leads
    to a point that is not next to its label.

    The figure must be complete, for its layout is fixed.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    places = axis.transData.transform([(x, y) for x, y, _ in labels]) if labels else []
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]

    def write(x: float, y: float, label: str, right: int, up: int, line: dict | None = None) -> Annotation:
        text = textwrap.fill(label, 40, break_on_hyphens=False)
        corner = {"ha": ["center", "left", "right"][np.sign(right)], "va": ["center", "bottom", "top"][np.sign(up)]}
        place = {"xytext": (right, up), "textcoords": "offset points", "size": SMALL} | corner
        return axis.annotate(text, (x, y), arrowprops=line, **place)  # type: ignore[arg-type]

    for number, (x, y, label) in enumerate(labels):
        others = taken[:number] + taken[number + 1 :]
        least, best, around = math.inf, BESIDE[0], taken[number]
        for offset in BESIDE:
            text = write(x, y, label, *offset)
            box = text.get_window_extent()
            text.remove()
            inside = axis.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
            inside = inside and axis.bbox.y0 <= box.y0 and box.y1 <= axis.bbox.y1
            covered = box.count_overlaps(others) if inside else math.inf
            if covered < least:
                least, best, around = covered, offset, box
            if not covered:
                break
        right, up = best
        nearest = ((1 - np.sign(right)) / 2, (1 - np.sign(up)) / 2)  # the corner of the text that the line leads to
        line = {"arrowstyle": "-", "linewidth": 0.6, "color": GREY, "shrinkA": 1, "shrinkB": 4, "relpos": nearest}
        write(x, y, label, right, up, line if abs(up) > 10 else None)
        taken.append(around)


def label_ends(figure: Figure, axis: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write labels to the right of an axis, with a line to the end (x, y, label, colour) of the curve of each.

    The figure must be complete, for its layout is fixed.
    """
    arrow = {"arrowstyle": "-", "linewidth": 0.6, "shrinkA": 1, "shrinkB": 4, "relpos": (0, 0.5)}
    texts = [
        axis.annotate(
            textwrap.fill(label, 28, break_on_hyphens=False),
            (x, y),
            (1.06, y),
            textcoords=axis.get_yaxis_transform(),
            va="center",
            size=SMALL,
            annotation_clip=False,
            arrowprops=arrow | {"color": color},
        )
        for x, y, label, color in ends
    ]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    heights = np.array([axis.transData.transform((x, y))[1] for x, y, *_ in ends])
    order = np.argsort(heights, kind="stable")
    lines = np.array([texts[i].get_text().count("\n") + 1 for i in order])
    placed, gap = heights[order], 1.35 * SMALL * figure.dpi / 72 * (lines[1:] + lines[:-1]) / 2
    for _ in range(200):
        lacking = np.maximum(0, gap - np.diff(placed)) / 2  # labels that are too close move apart
        placed += np.append(0, lacking) - np.append(lacking, 0)
    for i, height in zip(order, placed, strict=True):
        texts[i].set_y(axis.transData.inverted().transform((0, height))[1])


def stages_plot(averages: list[dict], baselines: list[str], released: dict[str, str]) -> Figure:
    """The category means and the macro average of each model along its stages, baselines as horizontal lines.

    A dotted line leads from a model's released stage to its int8 version, a hollow mark.
    """
    categories = [c for c in MEANS if any(c in row for row in averages)]
    size = (2.4 * len(categories) + 1.6, 3.8)
    figure, axes = plt.subplots(1, len(categories), figsize=size, sharey=True, squeeze=False, layout="constrained")
    models = list(dict.fromkeys(row["model"] for row in averages if row["model"] not in baselines))
    stages = in_order(row["stage"] for row in averages if row["model"] in models)
    entitle(
        figure,
        "Scores by stage",
        "A line that rises from left to right is a model that each stage improved. A dotted line leads from the "
        "released stage to its int8 version, a hollow mark. Horizontal lines are baselines. All panels have the same "
        "scale.",
    )
    for axis, category in zip(axes[0], categories, strict=True):
        ends = []
        for i, model in enumerate(models):
            scores = {row["stage"]: row[category] for row in averages if row["model"] == model and category in row}
            trained = [stage for stage in in_order(scores) if stage != "int8"]
            exported = [stage for stage in [released[model], "int8"] if stage in scores]
            for path, line, fill in [(trained, "-", "full"), (exported, ":", "none")]:
                places = [stages.index(stage) for stage in path]
                hollow = {"fillstyle": fill, "markevery": [-1]} if fill == "none" and path else {}
                axis.plot(places, [scores[stage] for stage in path], linestyle=line, **look(i), **hollow)
                if path:
                    last = (float(places[-1]), scores[path[-1]], model, look(i)["color"])
            if scores:
                ends.append(last)
        for i, row in enumerate(row for row in averages if row["model"] in baselines and category in row):
            axis.axhline(row[category], linestyle=DASHES[i % len(DASHES)], color=GREY, linewidth=1.2)
            ends.append((len(stages) - 0.6, row[category], row["model"], GREY))
        axis.set_title(category, fontsize="medium")
        axis.set_xticks(range(len(stages)), stages, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_xlim(-0.4, len(stages) - 0.6)
        axis.grid(axis="y", alpha=0.3)
    axes[0][0].set_ylabel("score × 100, better ↑")
    label_ends(figure, axes[0][-1], ends)
    return figure


def quality_plot(
    averages: list[dict], places: dict[str, float], title: str, label: str, published: list[tuple], reading: str
) -> Figure:
    """The macro average of each int8 model and each baseline over another quantity, on a logarithmic axis.

    Args:
        averages: the summary's means.
        places: the other quantity, by model/stage.
        title: of the figure.
        label: of the other quantity's axis.
        published: numbers of other authors, drawn as crosses: quantity, macro average and label of each.
        reading: where the better models are.
    """
    figure, axis = plt.subplots(figsize=(7, 4.6), layout="constrained")
    marks = "Filled circles are the int8 models, hollow squares baselines"
    marks += (
        ", crosses numbers of other authors, which are comparable only if the tasks are the same. "
        if published
        else ". "
    )
    entitle(figure, title, marks + reading)
    labels = []
    for row in averages:
        name = f"{row['model']}/{row['stage']}"
        if row["stage"] not in ("int8", "baseline") or name not in places:
            continue
        own = row["stage"] == "int8"
        style = {"marker": "o", "color": COLORS[0]} if own else {"marker": "s", "color": GREY, "fillstyle": "none"}
        axis.plot(places[name], row["Avg"], linestyle="none", markersize=8, **style)
        labels.append((places[name], row["Avg"], f"{row['model']}, int8" if own else row["model"]))
    for place, score, name in published:
        axis.plot(place, score, "x", color=COLORS[1], markersize=7)
        labels.append((place, score, name))
    axis.set_xscale("log")
    shown = [place for place, *_ in labels]
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3) if shown and max(shown) < 500 * min(shown) else (1,)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(0.2)
    axis.grid(alpha=0.3)
    axis.set_xlabel(f"{label}, log scale")
    axis.set_ylabel(AVERAGE)
    label_points(figure, axis, labels)
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
    label, reading = "← better: size of the weights (MB)", "High and to the left is better."
    return quality_plot(averages, megabytes, "Quality and size", label, published, reading)


def speed_plot(averages: list[dict], speeds: dict[str, float]) -> Figure:
    """The macro average over the sentences per second: each int8 stage and the baselines."""
    label = "sentences per second on a CPU: better →"
    return quality_plot(averages, speeds, "Quality and speed", label, [], "High and to the right is better.")


def intervals(axis: Axes, rows: list[dict], places: list[float], **style: Any) -> None:
    """Draw differences as points on lines, their 95 % intervals as bars; hollow if not significant."""
    for row, place in zip(rows, places, strict=True):
        low, value, high = (row[key] for key in ("low", "difference", "high"))
        fill = "none" if row["significant"] == "no" else "full"
        axis.errorbar(value, place, xerr=[[value - low], [high - value]], capsize=2, fillstyle=fill, **style)
    axis.axvline(0, color="#666666", linewidth=0.8)
    axis.grid(axis="x", alpha=0.3)


def gains_plot(differences: list[dict], baselines: list[str]) -> Figure:
    """The gain of each stage over the one that it was made from, by category, with intervals over the tasks' items.

    The axis is linear near zero and logarithmic beyond, so that small gains can be read beside large ones.
    """
    pairs: dict[tuple, dict[str, dict]] = {}
    for row in differences:
        if row["against_model"] not in baselines:
            against = row["against_stage"] if row["against_model"] == row["model"] else row["against_model"]
            pairs.setdefault((row["model"], row["stage"], against), {})[row["of"]] = row
    models = list(dict.fromkeys(model for model, *_ in pairs))
    stages = in_order(stage for _, stage, _ in pairs)
    order = sorted(pairs, key=lambda pair: (models.index(pair[0]), stages.index(pair[1])))
    categories = [c for c in MEANS if any(c in pair for pair in pairs.values())]
    size = (2 + 2.4 * len(categories), 1 + 0.42 * len(pairs))
    figure, axes = plt.subplots(
        1, len(categories), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    entitle(
        figure,
        "The gain of each stage over the one that it was made from",
        "Right of zero the stage improved the model. Bars are 95 % intervals over the items of the tasks; a hollow "
        "mark is not significant. The axis is linear up to 0.1 and logarithmic beyond, so that small gains can be read "
        "too. The intervals do not cover the variation between trainings.",
    )
    for axis, category in zip(axes[0], categories, strict=True):
        rows = [pairs[pair][category] for pair in order]
        intervals(axis, rows, list(range(len(rows))), **look(0))
        for place, row in enumerate(rows):
            where = {"textcoords": "offset points", "ha": "center", "va": "bottom", "size": SMALL}
            gain = points(row["difference"]).replace("-", "\N{MINUS SIGN}")
            axis.annotate(gain, (row["difference"], place), (0, 5), **where)
        axis.set_title(category, fontsize="medium")
        axis.set_xscale("symlog", linthresh=0.1, linscale=0.5)
        axis.set_xticks([-10, -1, 0, 1, 10], ["−10", "−1", "0", "1", "10"])
        axis.margins(x=0.12)
    axes[0][0].set_yticks(
        range(len(order)), [textwrap.fill(f"{model}: {stage} − {against}", 48) for model, stage, against in order]
    )
    axes[0][0].set_ylim(len(order) - 0.6, -0.7)
    figure.supxlabel("gain (points, score × 100): better →", fontsize="medium")
    return figure


def tasks_plot(differences: list[dict], baselines: list[str]) -> Figure:
    """Each task's difference of the first model's int8 stage to each baseline, with intervals over its items."""
    first = next((row["model"] for row in differences if row["stage"] == "int8"), None)
    rows = [row for row in differences if row["model"] == first and row["against_model"] in baselines]
    rows = [row for row in rows if row["of"] not in MEANS]
    tasks = list(dict.fromkeys(row["of"] for row in rows))
    figure, axis = plt.subplots(figsize=(8, 1.2 + (0.2 + 0.13 * len(baselines)) * len(tasks)), layout="constrained")
    entitle(
        figure,
        f"{first}, int8, compared with each baseline on each task",
        "Right of zero the model is better, left of zero the baseline. Bars are 95 % intervals over the items of the "
        "task; a hollow mark is not significant.",
    )
    for i, baseline in enumerate(baselines):
        own = [row for row in rows if row["against_model"] == baseline]
        places = [tasks.index(row["of"]) + 0.7 * ((i + 0.5) / len(baselines) - 0.5) for row in own]
        intervals(axis, own, places, **look(i))
        axis.plot([], [], linestyle="none", label=textwrap.fill(f"minus {baseline}", 40), **look(i))
    axis.set_yticks(range(len(tasks)), tasks)
    axis.set_ylim(len(tasks) - 0.5, -0.5)
    axis.set_xlabel("difference (points, score × 100): better →")
    if baselines:
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    return figure


def clusters_plot(averages: list[dict], clusters: dict[str, dict]) -> Figure:
    """The macro average over the number of vectors that a model's tokens share, beside the model that it comes from.

    Args:
        averages: the summary's means.
        clusters: of each model whose tokens share vectors, ``from``, ``dimensions`` and ``clusters``.
    """
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    entitle(
        figure,
        "Quality and the number of shared vectors",
        "How much quality remains if the tokens of a model share vectors. A dashed line is the int8 model that they "
        "come from, in which each token has a vector of its own.",
    )
    score = {row["model"]: row["Avg"] for row in averages if row["stage"] == "int8"}
    curves: dict[tuple[str, int], list[tuple[int, float]]] = {}
    for model, settings in clusters.items():
        curve = curves.setdefault((settings["from"], settings["dimensions"]), [])
        curve.append((settings["clusters"], score[model]))
    curves = {key: sorted(curve) for key, curve in curves.items() if len(curve) > 1}
    ends = []
    for i, ((parent, dimensions), curve) in enumerate(curves.items()):
        axis.plot(*zip(*curve, strict=True), **look(i))
        ends.append((*curve[-1], f"from {parent}, {dimensions} dimensions", look(i)["color"]))
    axis.set_xscale("log")
    axis.margins(0.08, 0.15)
    for i, parent in enumerate(dict.fromkeys(parent for parent, _ in curves)):
        axis.axhline(score[parent], linestyle=DASHES[i % len(DASHES)], color=GREY)
        ends.append((axis.get_xlim()[1], score[parent], f"{parent}, one vector per token", GREY))
    ticks = sorted({place for curve in curves.values() for place, _ in curve})
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
    axis.set_xlabel("← better: shared vectors, log scale")
    axis.set_ylabel(AVERAGE)
    label_ends(figure, axis, ends)
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
    size = (3.8 * len(models), 3.8)
    figure, axes = plt.subplots(1, len(models), figsize=size, sharey=True, squeeze=False, layout="constrained")
    entitle(
        figure,
        f"Similarities of the pairs of {data.stem}",
        "A point is a pair of texts. The more the cosine of its embeddings rises with the rating by people, the "
        "better; the score is Spearman's correlation of the two.",
    )
    for i, (folder, axis) in enumerate(zip(models, axes[0], strict=True)):
        model = load_static_model(folder)
        first, second = (model.encode(texts, use_multiprocessing=False) for texts in pairs)
        cosines = (first * second).sum(axis=1)  # of unit length
        axis.scatter(ratings, cosines, s=8, alpha=0.3, color=COLORS[i], linewidths=0, rasterized=True)
        score = 100 * spearmanr(ratings, cosines).statistic
        axis.set_title(f"{', '.join(folder.parts[-2:])}\nscore {score:.2f}", fontsize="medium")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("cosine of the pair's embeddings")
    figure.supxlabel(f"rating of the pair, {data.stem}", fontsize="medium")
    return figure


def loss_plot(trainings: dict[str, dict]) -> Figure:
    """Training and held-out loss of each training over its epochs."""
    figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
    entitle(
        figure,
        "Losses of the trainings",
        "Solid: the loss on held-out sentences after each epoch; it levels off when there is nothing left to learn. "
        "Dotted: the mean training loss. A born-again generation has other targets, so its losses are not comparable "
        "with those of pretrained.",
    )
    ends = []
    for i, (name, training) in enumerate(trainings.items()):
        held_out = [(p["epoch"], p["validation_loss"]) for p in training["curve"]]
        seen = [(p["epoch"], p["train_loss"]) for p in training["curve"] if p["train_loss"] is not None]
        for curve, style in [
            (held_out, {"linestyle": "-", **look(i)}),
            (seen, {"linestyle": ":", "color": COLORS[i % 7]}),
        ]:
            if len(curve) > 1:
                axis.plot(*zip(*curve, strict=True), markevery=max(1, len(curve) // 8), **style)
        if len(held_out) > 1:
            ends.append((*held_out[-1], name, look(i)["color"]))
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.set_xlabel("epoch")
    axis.set_ylabel("loss, log scale, better ↓")
    label_ends(figure, axis, ends)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, with its title for screen readers; equal numbers give equal bytes.

    It shrinks to the width of the page that shows it.
    """
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Title": figure.get_label()})
    plt.close(figure)
    write_text(path, text.getvalue().replace("<svg ", '<svg style="max-width: 100%; height: auto" ', 1))


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
    curves = {", ".join(path.parts[-3:-1]): read_json(path, ["curve"]) for path in args.trainings}
    draw = {
        "stages": lambda: stages_plot(averages, settings["baselines"], settings["released"]),
        "gains": lambda: gains_plot(differences, settings["baselines"]),
        "tasks": lambda: tasks_plot(differences, settings["baselines"]),
        "size": lambda: size_plot(averages, summary["sizes"], settings["reference"]),
        "speed": lambda: speed_plot(averages, summary["speeds"]),
        "clusters": lambda: clusters_plot(averages, settings["clusters"]),
        "similarities": lambda: similarity_plot(args.similarities, args.task),
        "loss": lambda: loss_plot(curves),
    }
    for path in args.outputs:
        save(draw[path.stem](), path)


if __name__ == "__main__":
    run(main)
