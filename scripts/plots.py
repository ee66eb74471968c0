"""Draw a run's plots: what each stage added, quality over size, and the loss curves."""

import argparse
from collections.abc import Iterable
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from lib.command import run
from lib.files import read_json, replacing

# Okabe and Ito's colours, told apart with every kind of colour vision, and markers for print
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = "osD^vPX"
CATEGORIES = ["STS", "Classification", "PairClassification", "Avg"]
plt.rcParams |= {"svg.hashsalt": "born-again", "font.size": 11, "axes.spines.top": False, "axes.spines.right": False}


def in_order(stages: Iterable[str]) -> list[str]:
    """Distinct stages in the order in which a model goes through them."""

    def place(stage: str) -> float:
        fixed = {"distilled": 0, "tokenlearn": 0.5, "pretrained": 1, "derived": 999, "int8": 1000}
        return fixed[stage] if stage in fixed else 1 + int(stage.removeprefix("born-again-"))

    return sorted(set(stages), key=place)


def stages_plot(averages: list[dict], baselines: list[str], released: dict[str, str]) -> Figure:
    """The category means and the macro average of each model along its stages, baselines as horizontal lines.

    A dotted line leads from a model's released stage to the int8 one that was made of it.
    """
    categories = [c for c in CATEGORIES if any(c in row for row in averages)]
    figure, axes = plt.subplots(1, len(categories), figsize=(3.4 * len(categories), 4.6), layout="constrained")
    models = list(dict.fromkeys(row["model"] for row in averages if row["model"] not in baselines))
    stages = in_order(row["stage"] for row in averages if row["model"] in models)
    for axis, category in zip(axes, categories, strict=True):
        for i, model in enumerate(models):
            scores = {row["stage"]: row[category] for row in averages if row["model"] == model and category in row}
            look = {"marker": MARKERS[i % len(MARKERS)], "color": COLORS[i % len(COLORS)]}
            trained = [stage for stage in in_order(scores) if stage != "int8"]
            exported = [stage for stage in [released[model], "int8"] if stage in scores]
            for path, style in [(trained, "-"), (exported, ":")]:
                places = [stages.index(stage) for stage in path]
                axis.plot(
                    places, [scores[stage] for stage in path], style, **look, label=model if style == ":" else None
                )
        for i, row in enumerate(row for row in averages if row["model"] in baselines and category in row):
            color = COLORS[(len(models) + i) % len(COLORS)]
            axis.axhline(row[category], linestyle=["--", ":", "-."][i % 3], color=color, label=row["model"])
        axis.set_title(category)
        axis.set_xticks(range(len(stages)), stages, rotation=45, ha="right", rotation_mode="anchor")
        axis.set_xlim(-0.4, len(stages) - 0.6)
    axes[0].set_ylabel("score (hundredths)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def size_plot(averages: list[dict], sizes: dict[str, int]) -> Figure:
    """The macro average over the size of the weights: each model's int8 stage, and the baselines."""
    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    points = [row for row in averages if row["stage"] in ("int8", "baseline")]
    points = [row for row in points if f"{row['model']}/{row['stage']}" in sizes]
    for i, row in enumerate(points):
        own = row["stage"] != "baseline"
        axis.plot(
            sizes[f"{row['model']}/{row['stage']}"] / 1e6,
            row["Avg"],
            MARKERS[i % len(MARKERS)],
            color=COLORS[i % len(COLORS)],
            fillstyle="full" if own else "none",
            markersize=9,
            label=f"{row['model']}, {row['stage']}" if own else row["model"],
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(0.15)
    axis.grid(alpha=0.3)
    axis.set_xlabel("size of the weights (MB, logarithmic)")
    axis.set_ylabel("macro average (hundredths)")
    figure.legend(loc="outside right upper", frameon=False)
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
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel("loss (held-out; dotted: training)")
    axis.legend(frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; the same numbers give the same bytes."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def main(argv: list[str]) -> None:
    """Draw one run's plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", type=Path, required=True, help="summary.json")
    parser.add_argument("--trainings", type=Path, nargs="*", default=[], help="training.json files of trained models")
    parser.add_argument("--stages", type=Path, required=True, help="the SVG of the stages to write")
    parser.add_argument("--size", type=Path, required=True, help="the SVG of quality over size to write")
    parser.add_argument("--loss", type=Path, required=True, help="the SVG of the loss curves to write")
    args = parser.parse_args(argv)
    summary = read_json(args.summary)
    averages, settings = summary["averages"], summary["settings"]
    save(stages_plot(averages, settings["baselines"], settings["released"]), args.stages)
    save(size_plot(averages, summary["sizes"]), args.size)
    curves = {"/".join(path.parts[-3:-1]): read_json(path, ["curve"]) for path in args.trainings}
    save(loss_plot(curves), args.loss)


if __name__ == "__main__":
    run(main)
