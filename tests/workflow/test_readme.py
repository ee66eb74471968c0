"""The README and the pages of docs/ do what they say: their examples run, their commands plan, their links lead on."""

import json
import re

import polars
import pytest
import yaml
from helpers import distilled
from workflow import REPOSITORY, copy_checkout, planned, snakemake

from synthetic import TOPICS, synthetic_sentences, write_teacher

PAGES = {
    name: (REPOSITORY / name).read_text(encoding="utf-8")
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "results/README.md",
        *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")),
    ]
}
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
OVERLAY = re.compile(r"```yaml\n(# mine\.yaml\n.*?)```", re.DOTALL)


def code_of(page: str) -> list[str]:
    """What a page has in backticks, and its blocks of code."""
    return FENCE.findall(page) + re.findall(r"`([^`\n]+)`", FENCE.sub("", page))


def anchors_of(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    anchors = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return anchors


@pytest.mark.parametrize("name", PAGES)
def test_each_relative_link_and_anchor_leads_somewhere(name):
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[name])):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / name).parent / path if path else REPOSITORY / name
        if not target.exists() or (anchor and anchor not in anchors_of(target.read_text(encoding="utf-8"))):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("name", PAGES)
def test_each_file_and_make_target_that_a_page_names_exists(name):
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    code = code_of(PAGES[name])
    called = {target for text in code for target in re.findall(r"(?:^|\n)make ([a-z-]+)", text)}
    assert called <= targets
    parts = r"(?:^|(?<=[\s=])|(?<=\.\./))((?:docs|recipes|profiles|scripts|rules)/[\w./-]*)"
    files = {path for text in code for path in re.findall(parts, text)}
    assert [path for path in sorted(files) if not (REPOSITORY / path).exists()] == []


def test_the_readme_leads_to_each_page():
    linked = set(re.findall(r"\]\(([^)#\s]+)", PAGES["README.md"]))
    assert [name for name in PAGES if name not in linked | {"README.md"}] == []


def test_each_fault_has_a_test():
    names = re.findall(r"`(test_\w+)`", PAGES["docs/reliability.md"])
    tests = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert names
    assert [name for name in names if f"def {name}(" not in tests] == []


def test_the_commands_with_a_file_or_an_overlay_are_whole(tmp_path):
    checkout = copy_checkout(tmp_path / "checkout")
    whole = r"snakemake (.*(?:results/|--configfile recipes/).*)"
    commands = {match[1] for page in PAGES.values() for text in code_of(page) if (match := re.fullmatch(whole, text))}
    commands = {command for command in commands if "mine.yaml" not in command}
    assert commands
    for command in sorted(commands):
        done = snakemake(checkout, "-n", *command.replace("--cores 2", "").split())
        assert planned(done)["sample_sentences"] == 1, command


def test_the_readmes_search_finds_what_is_asked_for(tmp_path, teacher_folder, monkeypatch, capsys):
    (code,) = re.findall("```python\n(.*?)```", PAGES["README.md"], re.DOTALL)
    released, subfolder = re.search(r'from_pretrained\("(.*?)", subfolder="(.*?)"\)', code).groups()
    query = re.search(r'scores = .*encode\("(.*?)"\)', code)[1]
    distilled(teacher_folder, tmp_path / released / subfolder)
    (tmp_path / "docs").mkdir()
    parts = [text for text, _ in synthetic_sentences(8)]
    (tmp_path / "docs" / "a.md").write_text("\n\n".join(parts[:4]), encoding="utf-8")
    (tmp_path / "docs" / "b.md").write_text("\n\n".join([*parts[4:], query]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 5 and printed[0] == f"1.00 docs/b.md: {query}"


def test_own_texts_over_the_quickstart(tmp_path):
    page = PAGES["README.md"]
    overlay = OVERLAY.search(page)[1]
    (model,) = yaml.safe_load(overlay)["build"]
    command = re.search(r"^snakemake (.* mine\.yaml)$", page, re.MULTILINE)[1]
    checkout = copy_checkout(tmp_path / "checkout")
    own = checkout / "my"
    own.mkdir()
    (own / "texts.txt").write_text("\n".join(text for text, _ in synthetic_sentences(100)), encoding="utf-8")
    (checkout / "mine.yaml").write_text(overlay, encoding="utf-8")
    done = snakemake(checkout, *command.replace("--cores all", "").split(), "-n")
    jobs = planned(done)
    assert {name: jobs[name] for name in ("sample_sentences", "distill", "pretrain", "evaluate_model")} == {
        "sample_sentences": 1,
        "distill": 1,
        "pretrain": 1,
        "evaluate_model": 3,  # distilled, pretrained and int8
    }
    assert "train_born_again" not in jobs
    made = [f"results/mine/models/{model}/pretrained/model.safetensors", f"results/mine/release/{model}/README.md"]
    assert [path for path in [*made, "my/texts.txt"] if path not in done.stdout] == []


def test_own_teacher_corpus_and_tasks(tmp_path):
    example = OVERLAY.search(PAGES["docs/sources.md"])[1]
    checkout = copy_checkout(tmp_path / "checkout")
    own = checkout / "my"
    write_teacher(own / "bert", hidden_size=128, positions=256)
    polars.DataFrame({"body": [text for text, _ in synthetic_sentences(3000)]}).write_parquet(own / "texts.parquet")
    labelled = synthetic_sentences(200, seed=1)
    rows = [
        {"text": text, "label": list(TOPICS).index(topic), "split": ["train", "test"][i % 2]}
        for i, (text, topic) in enumerate(labelled)
    ]
    polars.DataFrame(rows).write_csv(own / "topics.csv")
    pairs = [
        {"sentence1": one, "sentence2": two, "score": float(topic == other)}
        for (one, topic), (two, other) in zip(labelled[:100], labelled[100:], strict=True)
    ]
    polars.DataFrame(pairs).write_ndjson(own / "pairs.jsonl")
    config, results = yaml.safe_load(example), "results/mine"
    done = snakemake(
        checkout, "corpus", *(f"{results}/tasks/{name}.arrow" for name in config["evaluation"]["tasks"]), config=config
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    manifest = json.loads((checkout / results / "corpus" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["kept"] + manifest["counts"]["spans"] == 2000
    rest = planned(snakemake(checkout, "-n", config=config))
    expected = {"embed": 1, "distill": 1, "pretrain": 1, "derive": 1, "evaluate_model": 5, "evaluate_baseline": 1}
    assert {rule: rest[rule] for rule in expected} == expected
    assert not {"sample_sentences", "prepare_task"} & set(rest)
