"""Tables that the summary shows, and other pages too: comparisons, model cards and the page of an unfinished run."""

from collections.abc import Collection, Iterable

from lib.differences import LEAST_TASKS
from lib.page import Noted
from lib.plan.tasks import CATEGORIES
from lib.results import fastest

SCORES = (
    "Scores are mteb's main scores × 100: Spearman correlation of cosines (STS), accuracy (classification), average "
    "precision (pair classification). Avg is the macro average: the mean of the category means."
)
SPEED_HEADER = ["Model", "Kind", "Sentences/s (threads)", "Ratio", "Sentences/s, one thread", "Ratio, one thread"]
SPEED_HEADER += ["Long texts/s (threads)", "Latency, median (ms)", "Latency, 99th percentile (ms)"]
SPEED_HEADER += ["Load time (s)", "Memory (MB)"]
DIFFERENCES_HEADER = ["Model", "Compared with", "Avg", "95 % interval of Avg", "95 % interval of Avg over tasks"]
DIFFERENCES_HEADER += ["Significant"]
DIFFERENCES = (
    "Differences in points (score × 100); a positive one means that the first model is better than the second. A "
    "star marks a statistically significant difference: the 95 % interval of a paired bootstrap over the items of "
    "these tasks (for classification, over mteb's ten training samples) excludes zero. The column Significant is about "
    "the difference of Avg: «over items» if it is significant over the items of these tasks, «over items and tasks» if "
    "it also is when the tasks of each category are resampled, as if others had been chosen, else «no». There is no "
    f"interval over tasks if a category has fewer than {LEAST_TASKS} tasks, too few to represent others of its kind."
)


def cell(value: float | None, digits: int = 2) -> str:
    """A number as the table shows it, never as -0; a dash where there is none."""
    return "–" if value is None else f"{value:z.{digits}f}"


def points(value: float) -> str:
    """A difference as the table shows it, with its sign; one that rounds to zero is +0.00."""
    return f"{value:+z.2f}"


def interval_text(low: float | None, high: float | None) -> str:
    """An interval as the table shows it, which no line break divides; a dash where there is none."""
    return "–" if low is None or high is None else f"{points(low)} to {points(high)}".replace(" ", "\N{NO-BREAK SPACE}")


def headings(tasks: dict[str, int]) -> list[str]:
    """The heading of each category, with the number of its tasks, which no line break divides."""
    return [
        f"{c} ({tasks[c]}\N{NO-BREAK SPACE}task{'s' if tasks[c] > 1 else ''})" if tasks.get(c) else c
        for c in CATEGORIES
    ]


def task_notes(custom: dict[str, dict], tasks: Collection[str]) -> list[str]:
    """What each custom task is, of those that were scored.

    Args:
        custom: ``type`` and ``description`` of each custom task.
        tasks: the tasks that were scored.
    """
    return [
        f"{name} ({task['type']}, not part of MTEB): {task['description']}."
        for name, task in custom.items()
        if name in tasks
    ]


def difference_text(row: dict) -> Noted:
    """A difference of means, with a star if it is significant, and its intervals as a note."""
    note = f"95 % interval {interval_text(row['low'], row['high'])}"
    if row["low_over_tasks"] is not None:
        note += f", over tasks {interval_text(row['low_over_tasks'], row['high_over_tasks'])}"
    return Noted(f"{points(row['difference'])}{'' if row['significant'] == 'no' else '*'}", note)


def difference_lines(rows: list[dict]) -> list[list[str]]:
    """For each pair: differences of the means, significant ones with a star; intervals and significance of Avg's."""
    pairs: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        names = (f"{row['model']}, {row['stage']}", f"{row['against_model']}, {row['against_stage']}")
        pairs.setdefault(names, {})[row["of"]] = row
    lines = []
    for names, pair in pairs.items():
        shown = {key: difference_text(row) for key, row in pair.items()}
        avg = pair["Avg"]
        interval, over_tasks = (interval_text(avg[f"low{over}"], avg[f"high{over}"]) for over in ("", "_over_tasks"))
        means = [shown.get(category, "–") for category in CATEGORIES]
        lines.append([*names, shown["Avg"], interval, over_tasks, avg["significant"], *means])
    return lines


def rate_text(row: dict) -> str:
    """Texts a second, and with how many threads."""
    return f"{row['texts_per_second']:,.0f} ({row['threads']})"


def speed_lines(speed: dict, names: Iterable[str] | None = None) -> list[list[str]]:
    """The lines below ``SPEED_HEADER``, from ``speed.json``: of the given models ``model/stage``, or of all."""
    shown = list(dict.fromkeys([*speed["loading"], *speed["failed"]]) if names is None else names)
    measured = [name for name in shown if name not in speed["failed"]]
    best, long = fastest(speed["rows"]), fastest(speed["rows"], "long")
    single = fastest([row for row in speed["rows"] if row["threads"] == 1])
    slowest, slowest_single = (
        min((rows[name]["texts_per_second"] for name in measured), default=0.0) for rows in (best, single)
    )
    lines = []
    for name in shown:
        model, _, stage = name.rpartition("/")
        if name in speed["failed"]:
            why = f"not measured: {speed['failed'][name]}"
            lines.append([model, stage, why, *["–"] * (len(SPEED_HEADER) - 3)])
            continue
        alone, loaded = single[name], speed["loading"][name]
        lines.append([model, stage, rate_text(best[name]), f"{best[name]['texts_per_second'] / slowest:,.1f}"])
        lines[-1] += [f"{alone['texts_per_second']:,.0f}", f"{alone['texts_per_second'] / slowest_single:,.1f}"]
        lines[-1] += [rate_text(long[name]), *(f"{alone['milliseconds'][key]:.2f}" for key in ("p50", "p99"))]
        lines[-1] += [f"{loaded['seconds']:.2f}", f"{loaded['megabytes']:,.0f}"]
    return lines


def speed_text(speed: dict) -> str:
    """How the numbers of ``speed_lines`` were measured."""
    counts = f"1 and {speed['threads']} threads" if speed["threads"] > 1 else "1 thread"
    return (
        f"Measured on {speed['processor']} with {speed['sentences']:,} sentences of the corpus and {counts}; the "
        "models take turns in one process. Each model is shown at its fastest number of threads (in parentheses) and "
        "with one thread; ratios are to the slowest model of the table. A long text is twenty sentences. Latency is "
        "the time for a single sentence with one thread. Memory is what the model takes in addition to Python and its "
        "libraries."
    )
