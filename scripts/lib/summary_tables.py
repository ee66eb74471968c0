"""Tables that the summary shows, and others too: a comparison, a model card, what is said of an unfinished run."""

from collections.abc import Iterable

from lib.differences import LEAST_TASKS
from lib.results import CATEGORIES, fastest

SPEED_HEADER = ["Model", "Stage", "Sentences/s (threads)", "Ratio", "One thread", "Ratio, one thread"]
SPEED_HEADER += ["Long texts/s (threads)", "One, ms", "99 %, ms", "Load, s", "MB"]
DIFFERENCES_HEADER = ["This", "Against", "Avg", "95 % interval", "Over tasks", "Stands", *CATEGORIES]
DIFFERENCES = (
    "How much better the first is than the second: an int8 model, a stage or a baseline. A star: the 95 % interval of "
    "a paired bootstrap over the items of these tasks (in classification, over mteb's ten training samples) is on one "
    "side of zero. The difference of Avg stands, «yes», where its interval is on one side of zero also when the tasks "
    "are drawn, as other tasks of the kind would be; «these tasks» says that it need not hold on others. A dash over "
    f"tasks: a category of fewer than {LEAST_TASKS} tasks says too little of others of its kind."
)


def cell(value: float | None, digits: int = 2) -> str:
    """A number as the table shows it; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval_text(low: float | None, high: float | None) -> str:
    """An interval as the table shows it; a dash where there is none."""
    return "–" if low is None else f"{low:+.2f} to {high:+.2f}"


def difference_lines(rows: list[dict]) -> list[list[str]]:
    """For each pair: the differences of the means, a star where one is more than chance, and whether Avg's stands."""
    pairs: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        names = (f"{row['model']}, {row['stage']}", f"{row['against_model']}, {row['against_stage']}")
        pairs.setdefault(names, {})[row["of"]] = row
    lines = []
    for names, pair in pairs.items():
        shown = {key: f"{row['difference']:+.2f}{'' if row['stands'] == 'no' else '*'}" for key, row in pair.items()}
        avg = pair["Avg"]
        interval, over_tasks = (interval_text(avg[f"low{over}"], avg[f"high{over}"]) for over in ("", "_over_tasks"))
        means = [shown.get(category, "–") for category in CATEGORIES]
        lines.append([*names, shown["Avg"], interval, over_tasks, avg["stands"], *means])
    return lines


def rate_text(row: dict) -> str:
    """Texts a second, and with how many threads."""
    return f"{row['texts_per_second']:,.0f} ({row['threads']})"


def speed_lines(speed: dict, names: Iterable[str] | None = None) -> list[list[str]]:
    """The lines below ``SPEED_HEADER``: what ``speed.json`` says of the models ``model/stage``, or of all of them."""
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
    counts = " and with ".join(map(str, dict.fromkeys([1, speed["threads"]])))
    return (
        f"Measured in turns, in one process, on {speed['processor']}: {speed['sentences']:,} sentences of the corpus, "
        f"with {counts} thread(s). Each model is shown at its fastest number of threads (in parentheses), and with "
        "one; the ratio beside it is to the slowest model of the table. Long texts are twenty sentences; with one "
        "thread, the time that one sentence alone takes, half of the times and 99 % of them; the time to load; the "
        "memory that the model takes beside Python and its libraries."
    )
