"""A tiny run from end to end, what reruns afterwards, and what bad inputs do."""

import copy
import html
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import mteb
import polars
import pytest
import yaml
from huggingface_hub import ModelCard
from workflow import RUN, command, copy_checkout, planned, snakemake, tiny_config

import try_recipe
from lib.job.files import sha256
from synthetic import write_teacher

SCORED = {
    "evaluate_model": 4,
    "compare_stages": 1,
    "summarize": 1,
    "draw_plots": 1,
    "write_summary": 1,
    "list_costs": 1,
    "write_run_config": 1,
    "release_model": 1,
    "write_run_crate": 1,
    "all": 1,
}
SCRIPT = "</script><script>made()</script>"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, teacher_folder):
    """A checkout in which the tiny run has finished, and its config."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config(folder / "data", teacher_folder)
    config["about"] = config["evaluation"]["custom_tasks"]["Topics"]["description"] = SCRIPT
    config["reference"]["small"][SCRIPT] = {"Avg": 50.0}
    checkout = copy_checkout(folder / "checkout")
    speed = checkout / "scripts" / "measure_speed.py"
    code, found = re.subn("^SECONDS = .*", "SECONDS = 0.001", speed.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found == 1
    speed.write_text(code, encoding="utf-8")  # less work than precise numbers take
    done = snakemake(checkout, config=config)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    assert len(re.findall(r"^progress: .* \d+ %.* min ", done.stderr, re.MULTILINE)) > 10
    return checkout, config


def plan(finished, change=lambda config: None, *arguments):
    """The jobs that a changed config gives."""
    checkout, config = finished
    config = copy.deepcopy(config)
    change(config)
    return planned(snakemake(checkout, "-n", *arguments, config=config))


def edited(path, jobs_of):
    """What ``jobs_of()`` answers while a line is added to a file; the file is put back afterwards.

    The edited file is old: it was restored, unpacked or edited while the job ran, or the clock was wrong.
    """
    before = path.read_bytes()
    path.write_bytes(before + b"\n# edited\n")
    os.utime(path, (0, 0))
    try:
        return jobs_of()
    finally:
        path.write_bytes(before)


def test_the_tree_is_complete_and_the_numbers_agree(finished):
    results = finished[0] / "results" / RUN
    assert not list(finished[0].glob("<*"))  # no path variable is left as it stands
    assert not (results / "logs" / "progress.txt").exists()  # of a run that has ended
    assert (finished[0] / "results" / RUN / "mteb" / "cache" / "small" / "int8").is_dir()
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert len(summary["rows"]) == 5 * 2
    for row in summary["rows"]:
        path = results / "mteb" / "results" / row["model"] / row["stage"] / f"{row['task']}.json"
        (score,) = json.loads(path.read_text(encoding="utf-8"))["scores"]["test"]
        assert row["score"] == pytest.approx(100 * score["main_score"])
    markdown = (results / "summary.md").read_text(encoding="utf-8")
    assert "| absent | STS | a card | 60.00 | not run | not run |" in markdown
    for row in summary["rows"]:
        assert f"{row['score']:.2f}" in markdown
    for name in ["README.md", "model.safetensors", "int8/model.safetensors", "float16/modules.json"]:
        assert (results / "release" / "small" / name).stat().st_size > 0
    assert (results / "plots" / "stages.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
    costs = (results / "costs.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (\w+) \| .* \| (\d+) \| \d", costs, re.MULTILINE)) >= {
        *[("embed", "2"), ("evaluate_model", "4"), ("evaluate_baseline", "1"), ("pretrain", "1"), ("export_onnx", "1")]
    }
    texts = polars.concat([polars.read_parquet(p) for p in (results / "corpus" / "sentences").iterdir()])["text"]
    assert len(texts) == 256 == texts.n_unique()


def test_the_merged_config_and_what_made_it_are_written_down(finished):
    checkout, config = finished
    text = (checkout / "results" / RUN / "config.yaml").read_text(encoding="utf-8")
    assert "# commit: none: the checkout is no git repository\n" in text
    assert f"# command: snakemake --cores 2 --configfile {checkout}/overlay.yaml\n" in text
    assert f"model2vec {importlib.metadata.version('model2vec')}" in text
    assert "# embedded on: cpu (shards: 2)\n# trained on: cpu (stages: 2)\n" in text
    written = yaml.safe_load(text)
    assert written["training"]["temperature"] == 0.1
    defaults = {"vocabulary": "teacher", "tokenlearn": False, "released": "pretrained"}
    assert written["models"] == {"small": defaults | config["models"]["small"]}
    assert planned(snakemake(checkout, "-n", "--configfile", f"results/{RUN}/config.yaml")) == {}


def test_a_finished_run_is_verified_and_a_flipped_bit_found(finished):
    checkout, config = finished
    done = snakemake(checkout, "verify", config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(rf"results/{RUN}: \d+ files are as the run made them", done.stdout)
    path = checkout / "results" / RUN / "models" / "small" / "born-again-1" / "model.safetensors"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        done = snakemake(checkout, "verify", config=config)
    finally:
        path.write_bytes(before)
    assert done.returncode == 1
    assert f"{path.relative_to(checkout)}: changed\n" in done.stdout
    assert not (checkout / "results" / RUN / "unfinished.md").exists()


def test_trials_have_the_scores_of_the_run_and_a_row_each(finished, monkeypatch, capsys):
    checkout, config = finished
    monkeypatch.chdir(checkout)
    other = {
        "models": {"other": config["models"]["small"] | {"training": {"learning_rate": 0.01, "initial": "aligned"}}}
    }
    for name, overlay in [("run", config), ("other", other | {"build": ["small", "other"]})]:
        Path(f"{name}.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    try_recipe.main(["--configfile", "run.yaml", "other.yaml", "--gpu", "0", "--threads", "2"])
    shown = capsys.readouterr().out
    assert "learning_rate" in shown and "batch_size" not in shown  # of the settings only those that differ
    rows = polars.read_csv(f"results/{RUN}/trials.csv").rows_by_key("model", named=True, unique=True)
    assert rows["small"]["learning_rate"] == 0.002 and rows["other"]["learning_rate"] == 0.01
    for task in ["Topics", "Pairs"]:
        result = json.loads(
            Path(f"results/{RUN}/mteb/results/small/pretrained/{task}.json").read_text(encoding="utf-8")
        )
        assert rows["small"][task] == pytest.approx(100 * result["scores"]["test"][0]["main_score"], abs=1e-3)
    report = json.loads(Path(f"results/{RUN}/models/small/pretrained/training.json").read_text(encoding="utf-8"))
    losses = [point["validation_loss"] for point in report["curve"]]
    assert rows["small"]["held_out_loss"] == pytest.approx(min(losses), abs=1e-5)
    assert losses[rows["small"]["best_epoch"]] == min(losses) and rows["other"]["held_out_loss"] > min(losses)
    try_recipe.main(["--configfile", "run.yaml", "--gpu", "0", "--threads", "2"])
    assert polars.read_csv(f"results/{RUN}/trials.csv")["model"].to_list() == ["small", "other", "small"]


def test_the_report_opens_with_a_plot_and_has_the_table_and_the_settings(finished):
    checkout, config = finished
    done = snakemake(checkout, "--report", "report.html", config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (checkout / "report.html").read_text(encoding="utf-8")
    first = page.split("workflow_desc")[1]
    assert "<svg" in first and "small, int8" in first and "!important" not in first
    plots = ["stages", "gains", "tasks", "size", "speed", "similarities", "loss"]
    files = ["summary.html", "costs.html", "config.yaml", *(f"plots/{plot}.svg" for plot in plots)]
    assert [name for name in files if f'"results/{RUN}/{name}": {{' not in page] == []
    assert str(checkout) not in page.replace(f"{checkout}/overlay.yaml", "")
    assert html.escape(SCRIPT) in (checkout / f"results/{RUN}/summary.html").read_text(encoding="utf-8")
    assert "<script>made" not in page


def test_the_report_as_an_archive_has_its_page_and_its_files(finished, tmp_path):
    checkout, config = finished
    done = snakemake(checkout, "--report", str(tmp_path / "report.zip"), config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    names = {Path(name).name for name in zipfile.ZipFile(tmp_path / "report.zip").namelist()}
    assert {"report.html", "summary.html", "stages.svg", "config.yaml"} <= names


def test_a_report_of_a_part_says_that_there_is_no_table_yet(finished):
    checkout, config = finished
    done = snakemake(checkout, "corpus", "--report", "part.html", config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "This run has no table yet." in (checkout / "part.html").read_text(encoding="utf-8")


def test_a_card_has_emissions_if_a_carbon_intensity_is_set(finished, tmp_path):
    checkout, config = shutil.copytree(finished[0], tmp_path / "emissions"), copy.deepcopy(finished[1])
    card = f"results/{RUN}/release/small/README.md"
    assert "emissions" not in (checkout / card).read_text(encoding="utf-8").lower()
    config["release"]["carbon_intensity"] = 400
    done = snakemake(checkout, card, config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("rule release_model") == 1 and "rule quantize" not in done.stderr
    emitted = ModelCard.load(checkout / card).data.to_dict()["co2_eq_emissions"]
    assert emitted["emissions"] > 0  # so the time of each job was found


def test_a_run_is_compared_with_a_finished_one(finished):
    checkout, config = finished
    done = snakemake(checkout, f"results/{RUN}/against/{RUN}.md", config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    text = (checkout / "results" / RUN / "against" / f"{RUN}.md").read_text(encoding="utf-8")
    assert "The two have the same config." in text
    assert re.search(r"\| small, int8 \| Topics \| (\d+\.\d\d) \| \1 \| \+0\.00 \| \+0\.00 to \+0\.00 \|", text)
    missing = snakemake(checkout, "-n", f"results/{RUN}/against/absent.md", config=config)
    assert missing.returncode == 1 and "results/absent/summary.json" in missing.stdout + missing.stderr


def test_mteb_reads_the_results_as_its_own(finished):
    results = finished[0] / "results" / RUN
    loaded = mteb.ResultCache(results / "mteb").load_results()
    rows = json.loads((results / "summary.json").read_text(encoding="utf-8"))["rows"]
    found = {
        (model.model_name, model.model_revision, task.task_name): 100 * task.get_score()
        for model in loaded.model_results
        for task in model.task_results
    }
    assert found == pytest.approx({(row["model"], row["stage"], row["task"]): row["score"] for row in rows})
    small = mteb.ResultCache(results / "mteb").load_results(models=["small"], tasks=["Pairs"])
    assert {model.model_name for model in small.model_results} == {"small"}


@pytest.mark.parametrize(
    ("name", "rule", "target"),
    [
        ("models/small/distilled/tokenizer.json", "distill", "all"),
        ("models/small/pretrained/training.json", "pretrain", "models"),
        ("teacher/00001.json", "embed", "embeddings"),
        ("mteb/results/small/int8/Pairs.json", "evaluate_model", "evaluate"),
        ("release/small/README.md", "release_model", "all"),
    ],
)
def test_a_file_that_is_gone_is_made_again(finished, name, rule, target):
    path = finished[0] / "results" / RUN / name
    away = path.rename(path.with_name("away"))
    try:
        assert plan(finished, lambda config: None, target)[rule] == 1
    finally:
        away.rename(path)


def test_a_tasks_data_overwritten_is_named(finished, tmp_path):
    checkout = shutil.copytree(finished[0], tmp_path / "damaged")
    (checkout / "results" / RUN / "tasks" / "Topics.arrow").write_bytes(b"xy")
    output = failed(checkout, finished[1], f"results/{RUN}/mteb/results/small/int8/Topics.json")
    assert "error: " in output and "Topics.arrow" in output


def test_a_task_that_fails_hides_no_other_and_is_named(finished, tmp_path):
    checkout, config = shutil.copytree(finished[0], tmp_path / "failing"), copy.deepcopy(finished[1])
    config["corpus"]["decontaminate"] = config["evaluation"]["tasks"]
    config["evaluation"]["tasks"] = [*config["evaluation"]["tasks"], "Equal"]
    table = tmp_path / "equal.csv"
    table.write_text("sentence1,sentence2,score\n" + "one,two,1.0\none,two,2.0\n" * 10)  # cosines are equal
    equal = {"type": "STS", "source": f"path:{table}", "description": "made"}
    config["evaluation"]["custom_tasks"]["Equal"] = equal
    output = failed(checkout, config, f"results/{RUN}/mteb/results/small/int8/Equal.json")
    log = f"results/{RUN}/logs/evaluate/small/int8.log"
    assert re.search(rf"small int8 Equal: .*nan.*\({log}\)", output)
    text = (checkout / "results" / RUN / "unfinished.md").read_text(encoding="utf-8")
    assert re.search(rf"\| small \| int8 \| Equal \| .*nan.* \| {log} \|", text)
    assert "| small | distilled | Equal | not scored" in text
    assert re.search(r"\| small \| int8 \| – \| \d+\.\d\d \| – \| – \| 2 \|", text)  # of STS a task is missing
    table.write_text(table.read_text(encoding="utf-8").replace("two", "old boat", 7))
    assert snakemake(checkout, f"results/{RUN}/mteb/results/small/int8/Equal.json", config=config).returncode == 0
    assert not (checkout / "results" / RUN / "unfinished.md").exists()


def test_a_second_run_has_nothing_to_do(finished):
    assert plan(finished) == {}


def test_a_touch_reruns_nothing(finished):
    config = finished[1]
    folders = [
        Path(source.removeprefix("path:")) for source in (config["teacher"]["source"], config["corpus"]["source"])
    ]
    for path in [*(finished[0] / "scripts").rglob("*.py"), *folders]:
        os.utime(path)
    assert plan(finished) == {}


def test_a_copied_checkout_reruns_nothing(finished, tmp_path):
    moved = shutil.copytree(finished[0], tmp_path / "moved")
    assert plan((moved, finished[1])) == {}


def test_a_checkout_through_a_link_reruns_nothing(finished, tmp_path):
    checkout, config = finished
    link = tmp_path / "link"
    link.symlink_to(checkout)
    assert plan((link, config)) == {}
    arguments = ["-n", "--snakefile", str(link / "Snakefile"), "--directory", str(link)]
    assert planned(snakemake(checkout, *arguments, config=config)) == {}


def test_a_checkout_apart_from_its_results_reruns_nothing(finished, tmp_path):
    """Snakemake's --directory: results elsewhere, and the checkout may be read-only."""
    checkout, config = copy_checkout(tmp_path / "checkout"), finished[1]
    settings, work = f"results/{RUN}/corpus/settings.json", tmp_path / "work"
    first = snakemake(checkout, "--directory", str(work), settings, config=config)
    assert first.returncode == 0, first.stderr[-3000:]
    assert (work / settings).exists() and not (checkout / "results").exists()
    assert planned(snakemake(checkout, "-n", "--directory", str(work), settings, config=config)) == {}


def test_an_edited_script_reruns_its_rule_and_what_follows(finished):
    jobs = edited(finished[0] / "scripts" / "train.py", lambda: plan(finished))
    assert jobs["pretrain"] == jobs["train_born_again"] == jobs["quantize"] == 1
    assert not {"embed", "distill", "sample_sentences", "evaluate_baseline"} & set(jobs)


def test_a_text_changed_in_a_corpus_folder_reruns_what_reads_it(finished):
    text = Path(finished[1]["corpus"]["source"].removeprefix("path:")) / "sentences.txt"
    assert edited(text, lambda: plan(finished))["sample_sentences"] == 1
    assert plan(finished) == {}


def test_a_hidden_file_in_a_corpus_folder_embeds_nothing_again(finished):
    folder = Path(finished[1]["corpus"]["source"].removeprefix("path:"))
    before = folder.stat()
    (folder / ".hidden.txt").touch()
    try:
        jobs = plan(finished)
    finally:
        (folder / ".hidden.txt").unlink()
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not {"write_sample_settings", "embed"} & set(jobs)


def test_weights_changed_in_a_teachers_folder_rerun_what_reads_them(finished):
    weights = Path(finished[1]["teacher"]["source"].removeprefix("path:")) / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + bytes(4))
    try:
        jobs = plan(finished)
    finally:
        weights.write_bytes(before)
    assert jobs["embed"] == 2 and jobs["distill"] == 1 and jobs["evaluate_baseline"] == 1
    assert "sample_sentences" not in jobs


def test_an_edited_helper_reruns_only_the_rules_that_import_it(finished):
    jobs = edited(finished[0] / "scripts" / "lib" / "losses.py", lambda: plan(finished))
    assert jobs["pretrain"] == 1
    assert not {"embed", "distill", "sample_sentences", "prepare_task"} & set(jobs)


def test_a_table_or_text_that_replaces_another_is_read_though_it_is_older(finished):
    config = finished[1]
    table = Path(config["evaluation"]["custom_tasks"]["Pairs"]["source"].removeprefix("path:"))
    (text,) = Path(config["corpus"]["source"].removeprefix("path:")).iterdir()
    jobs = edited(table, lambda: edited(text, lambda: plan(finished)))
    assert jobs["prepare_task"] == jobs["write_sample_settings"] == 1
    assert "check_teacher" not in jobs


def test_an_edit_of_how_a_job_behaves_reruns_nothing(finished, tmp_path):
    checkout = shutil.copytree(finished[0], tmp_path / "edited")
    for module in (checkout / "scripts" / "lib" / "job").glob("*.py"):
        module.write_text(module.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    assert plan((checkout, finished[1])) == {}


def test_a_training_setting_reruns_the_training_only(finished):
    jobs = plan(finished, lambda config: config["training"].update(temperature=0.2))
    assert jobs["pretrain"] == jobs["train_born_again"] == 1
    assert not {"embed", "distill", "sample_sentences", "evaluate_baseline"} & set(jobs)


def test_a_new_task_runs_that_task_and_the_summary_where_the_sample_stays_as_it_is(finished):
    def add(config):
        config["corpus"]["decontaminate"] = ["Topics", "Pairs"]
        config["evaluation"]["tasks"].append("More")
        config["evaluation"]["custom_tasks"]["More"] = config["evaluation"]["custom_tasks"]["Pairs"]

    jobs = plan(finished, add)
    assert jobs == {**SCORED, "prepare_task": 1, "evaluate_model": 4, "evaluate_baseline": 1}


def test_a_new_task_draws_the_sample_anew_without_its_test_texts(finished):
    def add(config):
        config["evaluation"]["tasks"].append("More")
        config["evaluation"]["custom_tasks"]["More"] = config["evaluation"]["custom_tasks"]["Pairs"]
        config["evaluation"]["tasks"].append("PoemSentimentClassification")  # of mteb, but not of its benchmark

    jobs = plan(finished, add)
    assert jobs["sample_sentences"] == jobs["fetch_task"] == jobs["prepare_task"] == 1


def test_a_model_that_comes_from_another_trains_nothing_again(finished):
    def derive(config):
        config["models"]["half"] = {"from": "small", "dimensions": 8}
        config["models"]["micro"] = {"from": "half", "clusters": 50}
        config["build"] += ["half", "micro"]

    jobs = plan(finished, derive)
    assert jobs["derive"] == jobs["quantize"] == jobs["release_model"] - 1 == 2
    assert jobs["evaluate_model"] == 4
    assert not {"distill", "pretrain", "train_born_again", "embed"} & set(jobs)


def test_tokenlearn_is_a_stage_of_its_own(finished):
    jobs = plan(finished, lambda config: config["models"]["small"].update(tokenlearn=True))
    assert jobs["train_tokenlearn"] == jobs["evaluate_model"] == 1
    assert not {"distill", "pretrain", "train_born_again", "embed", "quantize"} & set(jobs)


def test_another_released_stage_trains_nothing_again(finished):
    jobs = plan(finished, lambda config: config["models"]["small"].update(released="born-again-1"))
    assert jobs["quantize"] == jobs["release_model"] == 1
    assert not {"distill", "pretrain", "train_born_again", "embed"} & set(jobs)


def test_a_new_width_embeds_nothing_again(finished):
    def widen(config):
        config["models"]["wide"] = {"dimensions": 24, "sentences": 256, "born_again": 0}
        config["build"].append("wide")

    jobs = plan(finished, widen)
    assert jobs["pretrain"] == jobs["distill"] == 1
    assert not {"embed", "sample_sentences", "train_born_again"} & set(jobs)


def test_what_is_missing_is_made_where_the_sample_is_drawn_anew_too(finished, tmp_path):
    checkout = shutil.copytree(finished[0], tmp_path / "missing")
    model = checkout / "results" / RUN / "models" / "small" / "int8" / "model.safetensors"
    model.unlink()
    done = snakemake(checkout, str(model.relative_to(checkout)), "--forcerun", "sample_sentences", config=finished[1])
    assert done.returncode == 0, done.stderr[-3000:]
    assert model.exists()


def grow(config):
    config["models"]["large"] = {"dimensions": 16, "sentences": 384, "born_again": 0}
    config["build"].append("large")


def test_a_larger_sample_embeds_only_what_is_new(finished):
    jobs = plan(finished, grow)
    assert jobs["sample_sentences"] == jobs["embed"] == jobs["pretrain"] == jobs["quantize"] == 1
    assert jobs["evaluate_model"] == 2  # the new model's, but for the distilled stage that it shares
    assert not {"write_sample_settings", "distill", "train_born_again"} & set(jobs)


def test_a_sample_grown_and_shrunk_again_is_as_it_was(finished, tmp_path):
    checkout = shutil.copytree(finished[0], tmp_path / "grown")
    shards = checkout / "results" / RUN / "corpus" / "sentences"
    before = {path: sha256(path) for path in shards.iterdir()}
    config = copy.deepcopy(finished[1])
    grow(config)
    done = snakemake(checkout, "corpus", config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(list(shards.glob("*.parquet"))) == 3
    assert {path: sha256(path) for path in before} == before
    assert set(plan((checkout, finished[1]))) <= {"sample_sentences", "all"}


@pytest.mark.parametrize("change", [{"min_words": 4}, {"seed": 1}, {"shard_size": 64}])
def test_another_sample_is_embedded_anew(finished, change):
    jobs = plan(finished, lambda config: config["corpus"].update(change))
    assert jobs["sample_sentences"] == jobs["pretrain"] == 1
    assert jobs["embed"] == (4 if "shard_size" in change else 2)


def test_threads_and_resources_rerun_nothing(finished):
    assert plan(finished, lambda config: None, "--set-threads", "pretrained=1", "--set-resources", "embed:gpu=0") == {}


def tree(results):
    """The hash of each file of a run, by its path, without the run's time, command and measurements."""
    apart = {"logs", "benchmarks", "costs.md", "costs.html", "config.yaml", "ro-crate-metadata.json"}
    apart |= {"against", "trials.csv"}  # made on request by other tests
    files = {path.relative_to(results): path for path in results.rglob("*") if path.is_file()}
    hidden = (".claimed", ".snakemake")
    return {p: sha256(f) for p, f in files.items() if p.parts[0] not in apart and not p.name.startswith(hidden)}


def test_the_same_inputs_give_the_same_bytes_on_one_core_or_two_interrupted_or_not(finished, tmp_path):
    checkout, config = finished
    again = copy_checkout(tmp_path / "again")
    first, second = (c / "results" / RUN for c in (checkout, again))
    interrupted = subprocess.Popen(**command(again, "models", config=config), stderr=subprocess.PIPE)
    assert any("rule pretrain" in line for line in interrupted.stderr)
    interrupted.kill()
    interrupted.communicate()
    assert snakemake(again, "--unlock", config=config).returncode == 0
    # each job is a Python of its own
    done = snakemake(again, "--cores", "1", "--rerun-incomplete", "models", config=config, jobs_fork=False)
    assert done.returncode == 0, done.stderr[-3000:]
    shutil.copyfile(first / "speed.json", second / "speed.json")  # measured, and shown in what follows
    done = snakemake(again, "--cores", "1", config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    made = tree(first)
    assert {"00001.npy", "Topics.json", "summary.md", "stages.svg", "README.md"} <= {path.name for path in made}
    for path, digest in tree(second).items():
        assert made.pop(path) == digest, path
    assert not made


def failed(checkout, config, *arguments):
    """The output of a run that must fail with exit code 1 and without a traceback."""
    done = snakemake(checkout, *arguments, config=config)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output[-3000:]
    assert "Traceback" not in output
    assert "MissingOutputException" not in output  # the script's exit code is the job's
    return output


def test_a_model_wider_than_the_teacher_fails_before_the_expensive_work(tmp_path, teacher_folder):
    config = tiny_config(tmp_path / "data", teacher_folder)
    config["models"]["small"]["dimensions"] = 64
    checkout = copy_checkout(tmp_path / "checkout")
    output = failed(checkout, config)
    assert re.search(rf"config: dimensions: 64 .*32 .*{teacher_folder}", output)
    assert not (checkout / "results").exists()


def test_a_teacher_without_weights_fails_before_the_expensive_work(tmp_path):
    teacher = write_teacher(tmp_path / "teacher")
    (teacher / "model.safetensors").unlink()
    checkout = copy_checkout(tmp_path / "checkout")
    output = failed(checkout, tiny_config(tmp_path / "data", teacher), "embeddings")
    assert re.search(rf"config: .*{teacher}: .*model\.safetensors", output)
    assert not (checkout / "results").exists()


def test_a_shard_cut_short_is_named(finished, tmp_path):
    checkout, config = shutil.copytree(finished[0], tmp_path / "cut"), finished[1]
    results = checkout / "results" / RUN
    shard = results / "corpus" / "sentences" / "00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    for folder in ["models", "mteb/results"]:
        shutil.rmtree(results / folder)
    (results / "teacher" / "00001.npy").unlink()
    target = f"results/{RUN}/mteb/results/small/int8/Topics.json"
    output = failed(checkout, config, "--rerun-triggers=mtime", "--keep-going", target)
    assert re.search(r"embed\.py: error: .*00001\.parquet", output)
    text = (results / "unfinished.md").read_text(encoding="utf-8")
    log = f"results/{RUN}/logs/embed/00001.log"
    job = rf"embed shard=00001: embed\.py: error: .*00001\.parquet: damaged: .* \| {log} \|"
    assert re.search(rf"\| small \| int8 \| Topics \| not scored: {job}", text)
    assert re.search(r"\| teacher \| baseline \| Topics \| not scored: .* \| – \|", text)
    assert not (results / "teacher" / "00001.npy").exists()


def test_a_second_snakemake_is_refused_after_unlock_too(tmp_path, teacher_folder):
    config = tiny_config(tmp_path / "data", teacher_folder)
    checkout = copy_checkout(tmp_path / "checkout")
    target = f"results/{RUN}/corpus/settings.json"
    first = subprocess.Popen(**command(checkout, target, config=config), stderr=subprocess.PIPE)
    try:
        assert any("rule write_sample_settings" in line for line in first.stderr)
        first.send_signal(signal.SIGSTOP)
        assert snakemake(checkout, "-n", config=config).returncode == 0
        assert snakemake(checkout, "--unlock", config=config).returncode == 0
        output = failed(checkout, config)
        assert re.search(rf"^results: results/{RUN}: .*\b{first.pid}\b", output, re.MULTILINE)
    finally:
        first.kill()
    assert snakemake(checkout, "--unlock", config=config).returncode == 0
    assert snakemake(checkout, target, config=config).returncode == 0
