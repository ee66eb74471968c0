"""The summary, the plots and the release, written from results."""

import csv
import html
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import polars
import pytest
import yaml
from helpers import distilled, write_shard, write_task
from huggingface_hub import ModelCard, parse_eval_result_entries
from matplotlib.text import Text
from model2vec import StaticModel
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer

import compare_runs
import compare_stages
import draw_plots
import export_onnx
import quantize
import release_model
import summarize
import write_summary
from derive import cluster
from lib.job.command import InputError
from lib.results import fastest
from lib.static_model import load_static_model, save_static_model
from lib.summary_tables import cell, interval_text, points, speed_lines, speed_text

RATES = {"m/int8": {"short": 31234.5, "long": 1500.0}, "other/baseline": {"short": 210.4, "long": 20.0}}
SPEED = {
    "processor": "Some CPU",
    "sentences": 8192,
    "threads": 2,
    "failed": {},
    "loading": {name: {"seconds": 0.25, "megabytes": 31.4} for name in RATES},
    "rows": [
        # the baseline is slower with two threads, as on a machine with other work
        {"model": name, "threads": threads, "texts": texts, "texts_per_second": rate * speedup[threads - 1]}
        | ({"milliseconds": {"p50": 0.5, "p99": 0.75}} if texts == "short" else {})
        for threads in (1, 2)
        for (name, rates), speedup in zip(RATES.items(), [(0.5, 1.0), (1.0, 0.25)], strict=True)
        for texts, rate in rates.items()
    ],
}
TOKENIZER_FILES = ["special_tokens_map.json", "tokenizer_config.json", "vocab.txt"]
SVG = "{http://www.w3.org/2000/svg}"
PLOTS = ["stages", "gains", "tasks", "size", "speed", "clusters", "loss"]
SCORES = {
    ("m", "distilled"): {"SickA": 0.5, "SickB": 0.7, "Topics": 0.4, "Pairs": 0.9},
    ("m", "int8"): {"SickA": 0.6, "SickB": 0.8, "Topics": 0.5, "Pairs": 0.8},
    ("other", "baseline"): {"SickA": 0.1, "SickB": 0.3, "Topics": 0.5, "Pairs": 0.2},
}
TYPES = {"SickA": "STS", "SickB": "STS", "Topics": "Classification", "Pairs": "PairClassification"}
SETTINGS = {
    "run": "synthetic",
    "about": "About <this> run.",
    "baselines": ["other"],
    "custom_tasks": {name: {"type": kind, "description": f"what {name} is"} for name, kind in TYPES.items()},
    "released": {"m": "distilled"},
    "training_seeds": {"m": 42},
    "seeds": {},
    "evaluation_seed": 42,
    "reference": {"m": {"its card": {"Avg": 60.0}, "another": {"Avg": 61.5}}, "absent": {"a card": {"STS": 70.0}}}
    | {"other": {"MTEB's results": {"Avg": 31.0}}},
    "reference_about": "Numbers of a card.",
}


def write_results(root):
    paths = []
    for (model, stage), scores in SCORES.items():
        for task, value in scores.items():
            path = root / model / stage / f"{task}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            result = {"main_score": value, "hf_subset": "default"}
            content = {"task_name": task, "scores": {"test": [result]}, "evaluation_time": 1.5}
            path.write_text(json.dumps(content | {"mteb_version": "2", "dataset_revision": "r"}))
            paths.append(path)
    return paths


def write_differences(root):
    """Differences of int8 to the stage before, whose scores scatter alike, and to a baseline, which scatters freely."""
    paths = list((root / "mteb").rglob("*.json"))
    random = np.random.default_rng(1)
    noise = {task: random.normal(size=1000) / 50 for task in TYPES}
    resampled = []
    for (model, stage), scores in SCORES.items():
        own = {task: random.normal(size=1000) / (1000 if model == "m" else 1) for task in TYPES}
        resampled.append(root / "mteb" / "resampled" / model / f"{stage}.parquet")
        resampled[-1].parent.mkdir(parents=True, exist_ok=True)
        polars.DataFrame({t: v + noise[t] + own[t] for t, v in scores.items()}).write_parquet(resampled[-1])
    pairs = [[["m", "int8"], ["m", "distilled"]], [["m", "int8"], ["other", "baseline"]]]
    command = ["--results", *paths, "--resampled", *resampled, "--custom", json.dumps(TYPES)]
    command += ["--pairs", json.dumps(pairs), "--seed", 3, "--output", root / "differences.csv"]
    compare_stages.main([str(part) for part in command])
    return root / "differences.csv"


def write_zeros(path, count):
    """Write a file of zeros, which takes no space."""
    with path.open("wb") as file:
        file.truncate(count)


@pytest.fixture
def run_folder(tmp_path):
    """A folder with results and their summary."""
    weights = tmp_path / "models" / "m" / "int8" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    write_zeros(weights, 7_500_000)
    other = tmp_path / "sources" / "other" / "model.safetensors"
    other.parent.mkdir(parents=True)
    write_zeros(other, 90_000_000)
    command = ["--results", *write_results(tmp_path / "mteb"), "--weights", weights, "--baselines", other.parent]
    tasks = []
    for task in TYPES:
        tasks.append(tmp_path / "tasks" / f"{task}.arrow")
        write_task(tasks[-1], train={"text": ["a"]}, test={"text": ["a", "b", "c"]})
    command += ["--tasks", *tasks]
    differences = write_differences(tmp_path)
    command += ["--resampled", *sorted((tmp_path / "mteb" / "resampled").rglob("*.parquet"))]
    (tmp_path / "speed.json").write_text(json.dumps(SPEED))
    command += ["--settings", json.dumps(SETTINGS), "--speed", tmp_path / "speed.json"]
    (tmp_path / "config.yaml").write_text("run: synthetic\ntraining: {epochs: 3}\n")
    command += ["--csv", tmp_path / "summary.csv", "--json", tmp_path / "summary.json"]
    summarize.main([str(part) for part in command])
    (tmp_path / "plot.svg").write_text('<?xml version="1.0"?>\n<svg><text>A plot</text></svg>')
    command = ["--summary", tmp_path / "summary.json", "--differences", differences, "--speed", tmp_path / "speed.json"]
    (tmp_path / "checked.json").write_text(json.dumps({"notes": ["its own pipeline pools by cls"]}))
    command += ["--teacher", tmp_path / "checked.json", "--plots", tmp_path / "plot.svg"]
    command += ["--markdown", tmp_path / "summary.markdown", "--html", tmp_path / "summary.html"]
    write_summary.main([str(part) for part in command])
    return tmp_path


def test_averages_are_means_of_category_means(run_folder):
    first, second, third = json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))["averages"]
    assert (first["STS"], first["Classification"], first["PairClassification"]) == pytest.approx((60, 40, 90))
    assert first["Avg"] == pytest.approx((60 + 40 + 90) / 3)
    assert second["Avg"] == pytest.approx((70 + 50 + 80) / 3)
    assert third["Avg"] == pytest.approx((20 + 50 + 20) / 3)


def test_every_number_is_a_result(run_folder):
    with (run_folder / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(re.fullmatch(r"\d+\.\d{4}", row["score"]) for row in rows)
    found = {(row["model"], row["stage"], row["task"]): float(row["score"]) for row in rows}
    assert {row["test_items"] for row in rows} == {"3"}
    assert {(row["model"], row["seed"]) for row in rows} == {("m", "42"), ("other", "")}
    assert found == pytest.approx({(*key, task): 100 * v for key, s in SCORES.items() for task, v in s.items()})


def test_markdown_shows_scores_sizes_and_the_reference(run_folder):
    text = (run_folder / "summary.markdown").read_text(encoding="utf-8")
    final, stages = text.partition("\n## ")[::2]
    assert "| m | int8 | 70.00 | 50.00 | 80.00 | 66.67 | 7.5 | 31,234 (2) |" in final and "| distilled |" not in final
    assert "| m | int8 | 70.00 | 50.00 | 80.00 | 66.67 | 7.5 |\n" in stages
    assert "| other | baseline | 20.00 | 50.00 | 20.00 | 30.00 | 90.0 |\n" in stages
    assert "its own pipeline pools by cls" in final
    ours = "| other | baseline | 20.00 | 50.00 | 20.00 | 30.00 | 90.0 | 210 (1) |\n"
    assert re.search(re.escape(ours) + r"\| other \| .*MTEB's results \| – \| – \| – \| 31.00 \| – \| – \|", final)
    (header,) = (line for line in final.splitlines() if line.startswith("| Model"))
    assert re.findall(r"\((\d+) tasks?\)", header) == ["2", "1", "1"]
    assert "| SickA | STS | 3 | 50.00 | 60.00 | 10.00 |" in text
    assert "| other | Avg | MTEB's results | 31.00 | 30.00 | -1.00 |" in text
    assert "| m | Avg | its card | 60.00 | 66.67 | +6.67 |" in text
    assert "| m | Avg | another | 61.50 | 66.67 | +5.17 |" in text
    assert "quantized released stage: distilled of m." in text
    assert "«distilled» is" in text and "«baseline» is" in text and "«born-again»" not in text
    assert "| m | int8 | 31,234 (2) | 148.5 | 15,617 | 74.2 | 1,500 (2) | 0.50 | 0.75 | 0.25 | 31 |" in text
    assert "| absent | STS | a card | 70.00 | not run | not run |" in text
    assert "Topics (Classification, not part of MTEB): what Topics is." in text


def test_each_model_is_shown_at_its_own_best_number_of_threads(run_folder):
    assert json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))["speeds"] == {
        "m/int8": 31234.5,
        "other/baseline": 210.4,
    }
    rows = [
        {"model": model, "threads": threads, "texts": "short", "texts_per_second": rate}
        for model, rates in {"fast": (100.0, 90.0), "slow": (10.0, 20.0)}.items()
        for threads, rate in enumerate(rates, 1)
    ]
    best = {model: (row["threads"], row["texts_per_second"]) for model, row in fastest(rows).items()}
    assert best == {"fast": (1, 100.0), "slow": (2, 20.0)}


def test_a_model_that_was_not_measured_is_shown_with_the_reason_and_the_others_as_ever():
    failed = SPEED | {"rows": [row for row in SPEED["rows"] if row["model"] == "m/int8"]}
    failed |= {"loading": {"m/int8": SPEED["loading"]["m/int8"]}, "failed": {"other/baseline": "it broke"}}
    ours, other = speed_lines(failed)
    assert ours[:4] == ["m", "int8", "31,234 (2)", "1.0"]
    assert other == ["other", "baseline", "not measured: it broke", *["–"] * 8]
    assert speed_lines(failed, ["other/baseline"]) == [other]
    means = [{"model": "other", "stage": "baseline", "Avg": 30.0}]
    (line,) = write_summary.final_lines(means, {}, {}, fastest(failed["rows"]), {"seeds": {}, "reference": {}})
    assert line[-1] == "not measured"
    nothing = SPEED | {"rows": [], "loading": {}, "failed": dict.fromkeys(RATES, "it broke")}
    assert [line[2] for line in speed_lines(nothing)] == ["not measured: it broke"] * 2
    assert speed_text(nothing)


def test_speeds_are_drawn_of_those_that_were_measured(family, tmp_path):
    content = json.loads(family[0].read_text(encoding="utf-8"))
    for speeds in [{"a/int8": 1e4}, {}]:
        family[0].write_text(json.dumps(content | {"speeds": speeds}))
        draw(*family, tmp_path, ["speed"])
        assert ("a, int8" in drawn(tmp_path / "speed.svg")) == bool(speeds)
        assert "peer" not in drawn(tmp_path / "speed.svg")


def test_a_difference_that_scatters_alike_is_significant_and_one_that_does_not_is_not(run_folder):
    text = (run_folder / "summary.markdown").read_text(encoding="utf-8")
    # +10, +10 and -10
    means = r"\+10\.00\* \| \+10\.00\* \| -10\.00\*"
    assert re.search(
        rf"\| m, int8 \| m, distilled \| \+3\.33\* \| \+\S+ to \+\S+ \| – \| over items \| {means} \|", text
    )
    means = r"\+50\.00 \| \+0\.00 \| \+60\.00"
    assert re.search(rf"\| m, int8 \| other, baseline \| \+36\.67 \| .* \| no \| {means} \|", text)
    with (run_folder / "differences.csv").open() as file:
        rows = {(row["against_stage"], row["of"]): row for row in csv.DictReader(file)}
    for of in [*TYPES, "STS", "Avg"]:
        row = rows["distilled", of]
        assert float(row["low"]) < float(row["difference"]) < float(row["high"])
    # the mean of two tasks scatters less than each
    width = {of: float(rows["distilled", of]["high"]) - float(rows["distilled", of]["low"]) for of in ["SickA", "STS"]}
    assert width["STS"] < 0.85 * width["SickA"]


def compared(before, after):
    compare_runs.main(["--before", str(before), "--after", str(after), "--output", str(after / "against.md")])
    return (after / "against.md").read_text(encoding="utf-8")


def test_two_runs_are_compared_and_their_settings_too(run_folder, tmp_path_factory):
    after = shutil.copytree(run_folder, tmp_path_factory.mktemp("runs") / "after")
    (after / "config.yaml").write_text("run: after\ntraining: {epochs: 4}\n")
    summary_path = after / "summary.json"
    content = json.loads(summary_path.read_text(encoding="utf-8"))
    for row in content["rows"]:
        row["score"] += 1.0 if row["model"] == "m" and row["task"] == "SickA" else 0.0
        row["dataset_revision"] += "x" if row["task"] == "Topics" else ""
        row["model"] = {"other": "new"}.get(row["model"], row["model"])
    summary_path.write_text(json.dumps(content))
    (after / "mteb" / "resampled" / "other").rename(after / "mteb" / "resampled" / "new")
    text = compared(run_folder, after)
    assert "| training.epochs | 3 | 4 |" in text
    assert "| m, int8 | SickA | 60.00 | 61.00 | +1.00* | +1.00 to +1.00 |" in text
    assert "| m, int8 | SickB | 80.00 | 80.00 | +0.00 | +0.00 to +0.00 |" in text
    assert "| STS (2 tasks) | Classification | PairClassification (1 task) |" in text
    assert "Topics |" not in text
    assert "of another revision: Topics." in text
    assert "Only in after: new baseline." in text
    content["settings"]["evaluation_seed"] = 7
    summary_path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"evaluation\.seed: 42.* 7"):
        compared(run_folder, after)


def test_a_stage_of_several_seeds_is_one_line_with_its_deviation_and_a_shared_one_has_none():
    trained = [{"model": f"m-seed{i}", "stage": "pretrained", "STS": 70 + i, "Avg": 70 + i} for i in range(3)]
    means = [{"model": "m-seed0", "stage": "distilled", "STS": 60.0, "Avg": 60.0}, *trained]
    seeds = {"m": [f"m-seed{i}" for i in range(3)]}
    assert list(write_summary.over_seeds(means, seeds, {})) == [
        ("m", ["60.00", "–", "–", "60.00"], "distilled", "m-seed0/distilled"),
        ("m, 3 seeds", ["71.00 ± 1.00", "–", "–", "71.00 ± 1.00"], "pretrained", "m-seed0/pretrained"),
    ]


def test_a_model_of_several_seeds_is_one_line_with_its_deviation():
    means = [{"model": f"m-seed{i}", "stage": "int8", "STS": 70.0 + i, "Avg": 60.0 + 2 * i} for i in (1, 2, 3)]
    settings = {"seeds": {"m": [row["model"] for row in means]}, "reference": {"m": {"its card": {"Avg": 65.0}}}}
    speeds = {"m-seed1/int8": {"texts_per_second": 1234.5, "threads": 8}}
    own, published = write_summary.final_lines(means, {}, {"m-seed1/int8": 2.0}, speeds, settings)
    assert own == ["m, 3 seeds", "int8", "72.00 ± 1.00", "–", "–", "64.00 ± 2.00", "2.0", "1,234 (8)"]
    assert "its card" in published[1] and published[2:] == ["–", "–", "–", "65.00", "–", "–"]


def test_no_number_is_a_negative_zero():
    assert (cell(-0.001), points(-0.001), interval_text(-0.004, 0.001).split()) == (
        "0.00",
        "+0.00",
        ["+0.00", "to", "+0.00"],
    )
    assert (cell(-1.0), points(-1.0)) == ("-1.00", "-1.00")


def test_texts_of_the_config_stay_texts_in_the_summary(run_folder):
    assert "About &lt;this&gt; run." in (run_folder / "summary.markdown").read_text(encoding="utf-8")


def test_html_is_escaped_and_has_the_cells_of_markdown_and_intervals_as_notes(run_folder):
    text = (run_folder / "summary.html").read_text(encoding="utf-8")
    assert "About &lt;this&gt; run." in text and "<svg><text>A plot</text></svg>" in text and "<?xml" not in text
    rows = [re.findall("<td[^>]*>([^<]*)(?:<span[^>]*>(.*?)</span>)?</td>", row) for row in text.split("<tr>")]
    shown = ["| " + " | ".join(cell for cell, _ in row) + " |" for row in rows if row]
    lines = (run_folder / "summary.markdown").read_text(encoding="utf-8").splitlines()
    headers = [before for before, line in pairwise(lines) if line.startswith("|---")]
    cells = [line for line in lines if line.startswith("| ") and line not in headers]
    assert [" ".join(html.unescape(line).split()) for line in shown] == cells
    (interval,) = {note for row in rows for cell, note in row if cell == "66.67" and note}
    low, high = map(float, re.findall(r"\d+\.\d\d", interval))
    assert 60 < low < 66.67 < high < 70


PROBE = """
<iframe id=frame style="width: {width}px; height: 900px" srcdoc="{page}"></iframe>
<script>
frame.onload = () => {{
  const page = frame.contentDocument, seen = [page.documentElement.scrollWidth <= {width}];
  for (let click = 0; click < 2; click++) {{
    page.querySelectorAll("th")[{column}].firstChild.click();
    seen.push([...page.querySelector("tbody").rows].map(row => row.cells[{column}].firstChild.data));
  }}
  document.title = JSON.stringify(seen);
}};
</script>
"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_within_its_width_and_sorts_the_table(run_folder, tmp_path, width):
    page = html.escape((run_folder / "summary.html").read_text(encoding="utf-8"))
    (tmp_path / "probe.html").write_text(PROBE.format(width=width, page=page, column=6))
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000"]
    browser += ["--virtual-time-budget=3000", "--dump-dom", (tmp_path / "probe.html").as_uri()]
    dom = subprocess.run(browser, capture_output=True, encoding="utf-8", check=True).stdout
    largest_first = ["90.0", "7.5", "–", "–", "–"]
    smallest_first = ["7.5", "90.0", "–", "–", "–"]
    assert json.loads(html.unescape(re.search("<title>(.*?)</title>", dom)[1])) == [True, largest_first, smallest_first]


def test_a_result_under_another_name_is_refused(tmp_path):
    path = write_results(tmp_path)[0]
    moved = path.rename(path.with_name("Topics.json"))
    with pytest.raises(InputError, match=r"Topics.*SickA"):
        summarize.read_results([moved], TYPES)


def test_a_file_that_is_no_result_is_refused(tmp_path):
    path = tmp_path / "m" / "int8" / "Topics.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"task_name": "Topics"}')
    with pytest.raises(InputError, match=r"Topics\.json"):
        summarize.read_results([path], TYPES)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"task_name": "SickA", "scores": {}}',
        '{"task_name": "SickA", "scores": [1]}',
        '{"scores": {"test": 3}}',
    ],
)
def test_a_damaged_result_is_refused_and_the_remedy_named(tmp_path, text):
    path = write_results(tmp_path)[0]
    path.write_text(text)
    with pytest.raises(InputError, match=r"SickA\.json"):
        summarize.read_results([path], TYPES)


def test_a_score_that_is_no_number_is_refused(tmp_path):
    path = write_results(tmp_path)[0]
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "NaN", 1))
    with pytest.raises(InputError, match=r"SickA\.json.*nan"):
        summarize.read_results([path], TYPES)


def drawn(path):
    """The texts of an SVG, in the order in which they are drawn, its title first."""
    svg = ElementTree.fromstring(path.read_bytes())
    assert svg.tag == f"{SVG}svg" and svg[0].tag == f"{SVG}title"
    return [element.text for element in [svg[0], *svg.iter(f"{SVG}text")]]


def draw(summary, trainings, folder, plots=PLOTS):
    command = ["--summary", summary, "--trainings", *trainings]
    command += ["--differences", summary.with_name("differences.csv")]
    command += ["--outputs", *(folder / f"{name}.svg" for name in plots)]
    draw_plots.main([str(part) for part in command])


def write_family(folder):
    """Write the summary of a family of four, as of the untouched config, with synthetic numbers; and a training."""
    stages = {"a": ["distilled", "pretrained", "int8"], "micro": ["derived", "int8"], "nano": ["derived", "int8"]}
    stages |= {model: ["distilled", "pretrained", "born-again-1", "int8"] for model in "bc"}
    pairs = [(model, stage) for model in "abc" for stage in stages[model]] + [("micro", "int8"), ("nano", "int8")]
    pairs += [("peer", "baseline")]
    averages = [
        {"model": m, "stage": s, "STS": 70.0 + i, "Classification": 60.0 + i, "Avg": 65.0 + i}
        for i, (m, s) in enumerate(pairs)
    ]
    sizes = {f"{m}/{s}": 10 ** (5 + i % 4) for i, (m, s) in enumerate(pairs)}
    settings = {"baselines": ["peer"], "released": dict.fromkeys(stages, "pretrained")}
    settings["clusters"] = {
        name: {"from": "a", "clusters": clusters, "dimensions": dimensions}
        for name, clusters, dimensions in [("micro", 2000, 128), ("nano", 500, 128), ("b", 500, 64)]
    }
    settings["reference"] = {"a": {"its card": {"Avg": 66.0, "Size (MB)": 7.5}, "another": {"Avg": 60.0}}}
    settings["reference"]["a $x_$"] = {"<b> & $\\frac$": {"Avg": 60.0, "Size (MB)": 1.0}}
    path = folder / "summary.json"
    path.write_text(json.dumps({"averages": averages, "sizes": sizes, "speeds": sizes, "settings": settings}))
    rows = ["model,stage,against_model,against_stage,of,difference,low,high,low_over_tasks,high_over_tasks,significant"]
    rows += [f"a,pretrained,a,distilled,{of},9,8,10,,,over items" for of in ["STS", "Avg"]]
    for against in ["a,pretrained", "peer,baseline"]:
        rows += [f"a,int8,{against},STS12,1,-1,3,,,no", f"a,int8,{against},STS,2,1,3,-1,5,over items"]
        rows += [f"a,int8,{against},Avg,-0.001,-1,1,,,no"]
    (folder / "differences.csv").write_text("\n".join(rows))
    training = folder / "a" / "pretrained"
    training.mkdir(parents=True)
    curve = [{"epoch": i, "train_loss": 2 / i if i else None, "validation_loss": 3 / (i + 1)} for i in range(3)]
    (training / "training.json").write_text(json.dumps({"curve": curve}))
    return path, [training / "training.json"]


@pytest.fixture
def family(tmp_path):
    return write_family(tmp_path)


@pytest.fixture(scope="module")
def plots(tmp_path_factory):
    """The folder of all plots of the family."""
    folder = tmp_path_factory.mktemp("plots")
    draw(*write_family(folder), folder)
    return folder


def test_plots_are_the_same_bytes_each_time(family, plots, tmp_path):
    draw(*family, tmp_path)
    for name in PLOTS:
        assert (plots / f"{name}.svg").read_bytes() == (tmp_path / f"{name}.svg").read_bytes()


def test_a_training_without_a_curve_is_named(family, tmp_path):
    family[1][0].write_text("{}")
    with pytest.raises(InputError, match=r"training\.json.*curve"):
        draw(*family, tmp_path)


def test_stages_stand_in_their_order_where_the_first_model_lacks_one(plots):
    known = ["distilled", "pretrained", "born-again-1", "int8"]
    assert [text for text in drawn(plots / "stages.svg") if text in known] == known * 3


def test_sizes_are_plain_megabytes_of_final_stages_and_baselines(plots):
    texts = drawn(plots / "size.svg")
    assert "a, its card" in texts and "a, another" not in texts
    assert "a $x_$, <b> & $\\frac$" in texts
    assert {"a, int8", "b, int8", "c, int8", "micro, int8", "nano, int8", "peer", "0.1", "1", "100"} <= set(texts)
    assert not [text for text in texts if "10^" in text or "times" in text or "pretrained" in text]


def test_labels_of_points_that_are_close_lie_within_the_figure_and_cover_no_other():
    figure, axis = draw_plots.plt.subplots(figsize=(7, 4.6), layout="constrained")
    places = [(1, 1), (9, 4), (9, 4.1), (9, 4.2), (9.1, 4.3), (9.2, 4.25), (1.1, 1.02), (5, 9)]
    axis.plot(*zip(*places, strict=True), "o")
    draw_plots.label_points(figure, axis, [(x, y, f"a model with number {x} {y}") for x, y in places])
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in axis.texts]
    assert len(boxes) == len(places)
    for number, box in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert not box.count_overlaps(boxes[:number])
    draw_plots.plt.close(figure)


def test_gains_are_of_means_and_differences_to_baselines_of_tasks(plots):
    gains, tasks = (drawn(plots / f"{name}.svg") for name in ["gains", "tasks"])
    assert {"STS", "Avg", "+9.00", "+0.00"} <= set(gains) and not {"STS12", "peer"} & set(gains)
    rows = [text for text in gains if text.startswith("a: ")]
    assert rows == ["a: pretrained − distilled", "a: int8 − pretrained"]
    assert {"STS12", "minus peer"} <= set(tasks) and "Avg" not in tasks


def test_shared_vectors_are_a_curve_beside_the_model_that_they_come_from(plots):
    texts = drawn(plots / "clusters.svg")
    assert {"500", "2,000", "from a, 128 dimensions", "a, one vector per token"} <= set(texts)
    assert "from a, 64 dimensions" not in texts  # of one point


def test_similarities_are_those_of_the_score(family, tmp_path, teacher_folder):
    stage = distilled(teacher_folder, tmp_path / "m" / "distilled")
    pairs = {"sentence1": ["A boat.", "The old barn.", "A song."], "sentence2": ["A wave.", "A violin.", "A choir."]}
    task = write_task(tmp_path / "Sick.arrow", test=pairs | {"score": [2.0, 0.0, 5.0]})
    outputs = [tmp_path / folder / "similarities.svg" for folder in ("one", "two")]
    for output in outputs:
        command = ["--summary", family[0], "--differences", family[0].with_name("differences.csv"), "--outputs", output]
        draw_plots.main(list(map(str, [*command, "--similarities", stage, "--task", task])))
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    first, second = (load_static_model(stage).encode(pairs[side]) for side in ("sentence1", "sentence2"))
    expected = 100 * spearmanr((first * second).sum(axis=1), [2, 0, 5]).statistic
    assert {"m, distilled", f"score {expected:.2f}", "rating of the pair, Sick"} <= set(drawn(outputs[0]))


def test_losses_are_shown_over_whole_epochs(plots):
    texts = drawn(plots / "loss.svg")
    assert "0.5" not in texts and not [text for text in texts if "$" in text]
    assert {"0", "1", "2"} <= set(drawn(plots / "loss.svg"))


def export(model, sentences):
    """Write what a release has beside the model itself, into the folders beside it."""
    options = [
        "--model",
        str(model),
        "--sentences",
        str(write_shard(model.parent / "sentences" / "0.parquet", sentences)),
    ]
    quantize.main([*options, "--int8", str(model.parent / "int8"), "--float16", str(model.parent / "float16")])
    export_onnx.main([*options, "--int8", str(model.parent / "int8"), "--output", str(model.parent / "onnx")])


@pytest.fixture(scope="module")
def exported(teacher_folder, sentences, tmp_path_factory):
    """The folder of a distilled model and what is exported of it."""
    model = distilled(teacher_folder, tmp_path_factory.mktemp("exported") / "distilled")
    export(model, sentences)
    return model.parent


@pytest.fixture
def model(run_folder, exported):
    """A copy of the distilled model, with what is exported of it, in the run's folder."""
    shutil.copytree(exported, run_folder, dirs_exist_ok=True)
    return run_folder / "distilled"


TEACHER = {"source": f"hub:some/teacher@{'b' * 40}", "pooling": "mean", "max_length": 512, "prompt": ""}


def released(run_folder, model, most_lost=0.1, arguments=(), **changed):
    """The release folder ``path/to/m`` of a float32 model."""
    settings = {
        "about": "",
        "baselines": ["other"],
        "stage": "pretrained",
        "quantized": "distilled",
        "scored_as": "m",
        "most_lost": most_lost,
        "from": ["whole"] if model.name == "clustered" else [],
        "corpus": [f"hub:some/texts@{'a' * 40}/en", "path:texts"],
        "dimensions": 16,
        "language": "en",
        "license": "mit",
        "owner": None,
        "siblings": [],
        "custom_tasks": list(TYPES),
        "training": {"loss": "cosine", "learning_rate": 0.01, "seed": 42},
        "sample": {"min_words": 5, "max_words": 60, "spans": 0.4, "span_words": 12, "seed": 0},
        "sentences": 400,
        "teachers": [TEACHER],
    } | changed
    output = run_folder / "path" / "to" / "m"
    command = ["--name", "m", "--float32", model, "--output", output]
    for name in ["int8", "float16", "onnx"]:
        command += [f"--{name}", run_folder / name]
    command += [
        "--summary",
        run_folder / "summary.json",
        "--speed",
        run_folder / "speed.json",
        "--settings",
        json.dumps(settings),
        *arguments,
    ]
    release_model.main([str(part) for part in command])
    return output


def run_snippets(card, folder):
    """What the card's Python snippets leave behind, of each but fastembed's, which is not installed, and mteb's, which
    downloads a task; they find the texts of ``folder``.
    """
    found = []
    (folder / "texts").mkdir()
    (folder / "texts" / "some.txt").write_text("The old barn.\n\nA boat near a harbour.", encoding="utf-8")
    for snippet in re.findall("```python\n(.*?)```", card, re.DOTALL):
        if not re.search("import mteb|import TextEmbedding", snippet):
            names = {}
            exec(snippet, names)
            found.append(names)
    return found


def test_a_release_loads_as_its_card_says_and_the_card_has_the_numbers(run_folder, model, sentences, monkeypatch):
    folder = released(run_folder, model, most_lost=10)
    card = ModelCard.load(folder / "README.md")
    assert "| m | int8 | 70.00 | 50.00 | 80.00 | 66.67 |" in card.text
    assert "| m | float32 | 60.00 | 40.00 | 90.00 | 63.33 |" in card.text
    assert "| Pairs | PairClassification | 90.00 | 80.00 | -10.00 |" in card.text
    assert "| m | int8 | 31,234 (2) | 148.5 | 15,617 | 74.2 | 1,500 (2) | 0.50 | 0.75 | 0.25 | 31 |" in card.text
    assert "| other | baseline | 210 (1) | 1.0 | 210 | 1.0 | 20 (1) | 0.50 | 0.75 | 0.25 | 31 |" in card.text
    assert release_model.commit() in card.text and "what SickA is" in card.text
    assert 'TextEmbedding("path/to/m", specific_model_path="path/to/m")' in card.text  # it downloads all others
    monkeypatch.chdir(run_folder)
    by_model2vec, by_sentence_transformers, by_onnx = run_snippets(card.text, run_folder)
    assert by_model2vec["vectors"].shape == (2, 16) and by_model2vec["scores"].shape == (2,)
    assert by_model2vec["model"].embedding.dtype == np.int8
    np.testing.assert_allclose(by_onnx["embeddings"], by_sentence_transformers["embeddings"], atol=1e-6)
    texts = [*sentences, "", "\N{SNOWMAN}"]
    expected = StaticModel.from_pretrained(folder, force_download=False).encode(texts)
    assert not expected[-2:].any()
    for part, dtype, close in [(".", np.float32, 1e-6), ("float16", np.float16, 1e-3), ("int8", np.int8, 2e-2)]:
        loaded = StaticModel.from_pretrained(folder / part, force_download=False)
        assert loaded.embedding.dtype == dtype
        np.testing.assert_allclose(loaded.encode(texts), expected, atol=close)
        if part != "int8":
            loaded = SentenceTransformer(str(folder / part), device="cpu")
            found = loaded.encode(texts)
            if part == "float16":  # where it makes NaN of zero vectors, as the card says
                found = np.nan_to_num(found)
            np.testing.assert_allclose(found, expected, atol=close)
    # sentence-transformers would be led to load it, and cannot
    assert not (folder / "int8" / "modules.json").exists()


def test_the_cards_metadata_has_every_score_and_what_the_model_was_made_of(run_folder, model):
    folder = released(run_folder, model, most_lost=10)
    data = ModelCard.load(folder / "README.md").data
    assert (data.base_model, data.datasets, data.language, data.license) == (
        ["some/teacher"],
        ["some/texts"],
        "en",
        "mit",
    )
    assert data.pipeline_tag == "feature-extraction"
    assert {"static-embeddings", "sentence-transformers", "tokenlearn"} <= set(data.tags) and "mteb" not in data.tags
    found = {result.dataset_type: result.metric_value for result in data.eval_results}
    assert found == {task: 100 * value for task, value in SCORES["m", "int8"].items()}
    assert {result.dataset_revision for result in data.eval_results} == {"r"}
    assert "mit" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert not (folder / release_model.RESULTS).exists()


def test_emissions_are_given_to_the_hub_in_grams_if_all_of_them_are_known(run_folder, model):
    def found(*jobs):
        arguments = ["--carbon-intensity", 400, "--benchmarks", run_folder / "b", "--embeddings", run_folder / "b"]
        card = ModelCard.load(
            released(run_folder, model, 10, [*arguments, "--trainings", "--jobs", *jobs]) / "README.md"
        )
        return card.data.to_dict().get("co2_eq_emissions"), card.text

    (run_folder / "b").mkdir()
    for job, busy in [("distill", "600"), ("pretrain", "3000"), ("quantize", "NA")]:
        (run_folder / "b" / f"{job}.tsv").write_text(f"s\tmax_rss\tcpu_time\n9\t1\t{busy}\n", encoding="utf-8")
    emitted, text = found("distill", "pretrain", "quantize")
    assert emitted["emissions"] == 4.0 and "4 g CO2eq" in text  # an hour of a core, 10 W
    assert "400 g" in emitted["source"] and emitted["training_type"] == "pre-training"
    emitted, text = found("distill", "absent")
    assert emitted is None and "| Emissions | not estimated" in text and "absent" in text
    (run_folder / "b" / "00000.json").write_text('{"device": "cuda: some GPU"}', encoding="utf-8")
    emitted, text = found("distill")
    assert emitted is None and "cuda: some GPU" in text
    without = ModelCard.load(released(run_folder, model, 10) / "README.md")
    assert "co2_eq_emissions" not in without.data.to_dict() and "Emissions" not in without.text


def test_scores_on_mtebs_tasks_are_given_to_the_hub_with_their_data_sets(run_folder, model):
    summary = (run_folder / "summary.json").read_text(encoding="utf-8")
    (run_folder / "summary.json").write_text(summary.replace("SickB", "STS12"), encoding="utf-8")
    folder = released(run_folder, model, most_lost=10, custom_tasks=["SickA", "Topics", "Pairs"])
    (entry,) = parse_eval_result_entries(yaml.safe_load((folder / release_model.RESULTS).read_text(encoding="utf-8")))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("mteb/sts12-sts", "STS12", pytest.approx(80))
    assert entry.dataset_revision == "r"
    data = ModelCard.load(folder / "README.md").data
    assert "mteb" in data.tags
    assert {result.dataset_type for result in data.eval_results} == {"SickA", "mteb/sts12-sts", "Topics", "Pairs"}


def test_no_path_of_this_machine_is_published(run_folder, model, teacher_folder):
    speed = json.loads((run_folder / "speed.json").read_text(encoding="utf-8"))
    speed["failed"] = {"other/baseline": "model /home/alice/other: cannot be loaded"}
    (run_folder / "speed.json").write_text(json.dumps(speed), encoding="utf-8")
    own = {"teachers": [TEACHER | {"source": "path:/home/alice/teacher"}], "corpus": ["path:/home/alice/texts.txt"]}
    folder = released(run_folder, model, most_lost=10, **own)
    files = [path for path in folder.rglob("*") if path.is_file()]
    private = [b"alice", *(str(path).encode() for path in (run_folder, teacher_folder, Path.cwd()))]
    assert [path for path in files if any(text in path.read_bytes() for text in private)] == []
    data = ModelCard.load(folder / "README.md").data
    assert data.base_model is None and data.datasets is None


def test_a_licence_that_nobody_chose_is_not_invented(run_folder, model):
    folder = released(run_folder, model, most_lost=10, license=None)
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.license_link) == ("other", "LICENSE")
    assert "https://huggingface.co/some/teacher" in card.text.split("## Licence")[1]
    assert (folder / "LICENSE").stat().st_size > 0


def test_the_card_names_the_repository_and_the_other_models(run_folder, model):
    summary = json.loads((run_folder / "summary.json").read_text(encoding="utf-8"))
    (row,) = [row for row in summary["averages"] if (row["model"], row["stage"]) == ("m", "int8")]
    summary["averages"] += [row | {"model": "smaller"}]
    (run_folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    card = ModelCard.load(released(run_folder, model, most_lost=10, owner="me", siblings=["smaller"]) / "README.md")
    assert "| smaller | int8 | 70.00 |" in card.text
    assert 'from_pretrained("me/m"' in card.text and 'TextEmbedding("me/m")' in card.text
    assert "path/to" not in card.text


def test_texts_of_the_config_stay_texts_in_the_card(run_folder, model):
    licence = "mit: mine\nbase_model: other/model\n---\n# Mine"
    changed = {"license": licence, "about": "</p><script>x()</script>", "corpus": ["path:a`<script>`"]}
    folder = released(run_folder, model, most_lost=10, **changed)
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.base_model) == (licence, ["some/teacher"])
    assert "<script>" not in card.text and card.text.count("\n# ") == 1


def test_a_model_that_int8_costs_too_much_is_not_released(run_folder, model):
    message = "release of m: int8 has 80.00 in PairClassification, distilled has 90.00: expected a loss of at most 9.9"
    with pytest.raises(InputError, match=message):
        released(run_folder, model, most_lost=9.9)
    assert not (run_folder / "path").exists()


@pytest.mark.parametrize("folder", ["int8", "float16", "distilled"])
def test_a_model_that_is_not_as_it_was_made_is_not_released(run_folder, model, folder):
    config = run_folder / folder / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + " ")
    with pytest.raises(InputError, match=re.escape(str(config))):
        released(run_folder, model)
    assert not (run_folder / "path" / "to" / "m").exists()


def test_a_clustered_models_own_folder_is_int8(run_folder, exported, sentences, monkeypatch):
    model = load_static_model(exported / "distilled")
    save_static_model(cluster(model, 20, np.ones(len(model.tokens)), seed=1), run_folder / "clustered")
    export(run_folder / "clustered", sentences)
    folder = released(run_folder, run_folder / "clustered", most_lost=10)
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "float16",
        "float32",
        "onnx",
        ".sha256.json",
        "LICENSE",
        "modules.json",
        *TOKENIZER_FILES,
        *release_model.MODEL_FILES,
    }
    monkeypatch.chdir(run_folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| Derived from | whole |" in card
    by_model2vec, by_sentence_transformers, by_onnx = run_snippets(card, run_folder)
    assert by_model2vec["model"].embedding.shape == (20, 16)
    np.testing.assert_allclose(by_onnx["embeddings"], by_sentence_transformers["embeddings"], atol=1e-6)
    texts = [*sentences, "", "\N{SNOWMAN}"]
    expected = load_static_model(run_folder / "clustered").encode(texts)
    # with a vector for each token, so that libraries that know no shared vectors load it
    assert len(StaticModel.from_pretrained(folder / "float32").embedding) == len(model.tokens)
    for vectors in [
        SentenceTransformer(str(folder), device="cpu").encode(texts),
        StaticModel.from_pretrained(folder / "float32").encode(texts),
    ]:
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
