"""Custom tasks: every raw format to the splits that mteb reads."""

import gzip
import json

import polars
import pytest

import prepare_task
from lib.job.command import InputError
from lib.task_data import read_splits
from lib.task_formats import split_by_hash


def prepared(tmp_path, source, task_type, form="table") -> dict[str, list[dict]]:
    """Run the script; the rows of each split it wrote."""
    output = tmp_path / "prepared"
    argv = ["--name", "Mine", "--source", str(source), "--type", task_type, "--format", form, "--output", str(output)]
    prepare_task.main(argv)
    return {split: table.to_pylist() for (_, split), table in read_splits(output).items()}


STS = [{"sentence1": f"one {i}", "sentence2": f"two {i}", "score": i / 2} for i in range(4)]
LABELLED = [{"text": f"text {i}", "label": i % 2, "split": "train" if i < 6 else "test"} for i in range(10)]


def write_table(path, rows: list[dict]):
    """Write rows as what the path's ending says."""
    frame = polars.DataFrame(rows, infer_schema_length=None)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.tsv", "rows.jsonl"])
def test_a_table_without_splits_is_the_test_split(tmp_path, name):
    assert prepared(tmp_path, write_table(tmp_path / name, STS), "STS") == {"test": STS}


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_a_table_with_splits(tmp_path, name):
    splits = prepared(tmp_path, write_table(tmp_path / name, LABELLED), "Classification")
    expected = [{"text": row["text"], "label": row["label"]} for row in LABELLED]
    assert splits == {"train": expected[:6], "test": expected[6:]}


@pytest.mark.parametrize("split", ["../../../../escaped", "/tmp/escaped", "dev", "", None])
def test_a_split_that_is_none_becomes_no_file(tmp_path, split):
    source = write_table(tmp_path / "rows.jsonl", [*LABELLED[:8], LABELLED[8] | {"split": split}])
    with pytest.raises(InputError, match=r"rows\.jsonl: row 9: .*split"):
        prepared(tmp_path, source, "Classification")
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl"}


PAIRS = [{"sentence1": f"one {i}", "sentence2": f"two {i}", "labels": i % 2} for i in range(4)]


@pytest.mark.parametrize(
    ("task_type", "rows", "change", "words"),
    [
        ("STS", STS, {"score": "high"}, r"test row 2: .*score.*'high'"),
        ("STS", STS, {"score": True}, r"test row 2: .*score.*True"),
        ("STS", STS, {"sentence1": 5}, r"test row 2: .*sentence1.*5"),
        ("PairClassification", PAIRS, {"labels": 0.2}, r"test row 2: .*labels.*0\.2"),
        ("PairClassification", PAIRS, {"labels": "maybe"}, r"test row 2: .*labels.*'maybe'"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row(task_type, rows, change, words):
    splits = {"test": [rows[0], rows[1] | change, *rows[2:]]}
    with pytest.raises(InputError, match=words):
        prepare_task.check_splits(splits, task_type, "Mine")


@pytest.mark.parametrize(
    ("task_type", "rows", "target"), [("STS", STS, "score"), ("PairClassification", PAIRS, "labels")]
)
def test_values_that_are_all_the_same_are_refused(task_type, rows, target):
    splits = {"test": [row | {target: 1} for row in rows]}
    with pytest.raises(InputError, match=rf"test: .*{target}.*\{{1(\.0)?\}}"):
        prepare_task.check_splits(splits, task_type, "Mine")


def test_classes_named_by_text_are_numbered(tmp_path):
    rows = [row | {"label": ["no spam", "spam"][row["label"]]} for row in LABELLED]
    splits = prepared(tmp_path, write_table(tmp_path / "rows.csv", rows), "Classification")
    assert [row["label"] for row in splits["train"]] == [row["label"] for row in LABELLED[:6]]


@pytest.mark.parametrize("names", [("no", "yes"), ("False", "TRUE"), (" 0", "1 "), (False, True), (0.0, 1.0)])
def test_pairs_are_labelled_by_yes_and_no_too(tmp_path, names):
    rows = [row | {"labels": names[row["labels"]]} for row in PAIRS]
    assert prepared(tmp_path, write_table(tmp_path / "rows.jsonl", rows), "PairClassification") == {"test": PAIRS}


def test_a_table_in_a_folder_is_found(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "LICENSE").touch()
    write_table(folder / "rows.tsv", STS)
    assert prepared(tmp_path, folder, "STS") == {"test": STS}


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "test.csv", "dev.csv"),
        ("Train.tsv", "data-test.tsv", "my_validation.tsv"),
        ("train/0.jsonl", "eval/0.jsonl", "val/0.jsonl"),
        ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet", "valid-00000-of-00001.parquet"),
    ],
)
def test_tables_of_a_folder_are_the_splits_that_their_names_say(tmp_path, names):
    parts = dict(zip(["train", "test", "validation"], [LABELLED[:4], LABELLED[4:8], LABELLED[8:]], strict=True))
    rows = {split: [{"text": row["text"], "label": row["label"]} for row in part] for split, part in parts.items()}
    for name, part in zip(names, rows.values(), strict=True):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(path, part)
    (tmp_path / "folder" / ".hidden.csv").write_text("text,label\nhidden,0\n")
    assert prepared(tmp_path, tmp_path / "folder", "Classification") == rows


def test_shards_of_a_split_are_read_in_the_order_of_their_names(tmp_path):
    for i, rows in enumerate([LABELLED[:3], LABELLED[3:6]]):
        write_table(tmp_path / f"train-{i}-of-2.csv", [row | {"split": "train"} for row in rows])
    write_table(tmp_path / "test.csv", LABELLED[6:])
    splits = prepared(tmp_path, tmp_path, "Classification")
    assert [row["text"] for row in splits["train"]] == [row["text"] for row in LABELLED[:6]]


@pytest.mark.parametrize(
    "names",
    [("a.csv", "b.csv"), ("train.csv", "rest.csv"), ("train-test.csv", "test.csv"), ("contest.csv", "latest.csv")],
)
def test_several_tables_whose_names_say_no_split_are_refused(tmp_path, names):
    for name in names:
        write_table(tmp_path / name, LABELLED)
    with pytest.raises(InputError, match=r"(a|rest|train-test|contest)\.csv"):
        prepared(tmp_path, tmp_path, "Classification")


def test_a_split_that_is_in_no_table_is_not_taken_from_another(tmp_path):
    write_table(tmp_path / "train.csv", STS)
    (tmp_path / "test.csv.gz").write_bytes(gzip.compress((tmp_path / "train.csv").read_bytes()))
    with pytest.raises(InputError, match=r"test\.csv\.gz"):
        prepared(tmp_path, tmp_path, "STS")
    (tmp_path / "TEST.CSV").write_bytes((tmp_path / "train.csv").read_bytes())
    assert list(prepared(tmp_path, tmp_path, "STS")) == ["test", "train"]


def test_another_file_says_nothing_of_a_table_whose_name_says_no_split(tmp_path):
    write_table(tmp_path / "rows.csv", STS)
    (tmp_path / "train.py").touch()
    assert prepared(tmp_path, tmp_path, "STS") == {"test": STS}


def test_a_split_in_a_table_that_its_name_contradicts_is_refused(tmp_path):
    write_table(tmp_path / "train.csv", LABELLED)
    write_table(tmp_path / "test.csv", LABELLED[6:])
    with pytest.raises(InputError, match=r"train\.csv: row 7: .*'test'"):
        prepared(tmp_path, tmp_path, "Classification")


def classes(tmp_path, name, labels, train=None):
    """The numbers of classes: the labels are written as they are, to a training and a test split."""
    cells = [(split, label) for split, part in [("train", train or labels), ("test", labels)] for label in part]
    if name.endswith(".jsonl"):
        lines = [json.dumps({"text": f"t{i}", "label": cell, "split": split}) for i, (split, cell) in enumerate(cells)]
    else:
        mark = "\t" if name.endswith(".tsv") else ","
        lines = [mark.join(["text", "label", "split"])]
        lines += [mark.join([f"t{i}", str(cell), split]) for i, (split, cell) in enumerate(cells)]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    return [row["label"] for row in prepared(tmp_path, tmp_path / name, "Classification")["test"]]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl"])
def test_labels_are_not_changed_on_their_way(tmp_path, name):
    assert classes(tmp_path, name, ["1", "01", "2", "02"]) == [2, 0, 3, 1]
    assert classes(tmp_path, name, ["yes", "no", "null", "1e3", "1000"]) == [4, 2, 3, 1, 0]
    assert classes(tmp_path, name, ["7", "-3", "10"]) == [7, -3, 10]
    assert classes(tmp_path, name, ["a", " a", "b "]) == [0, 0, 1]
    assert classes(tmp_path, "rows.jsonl", [7, -3, 10.0]) == [7, -3, 10]
    assert classes(tmp_path, "rows.jsonl", [False, True]) == [0, 1]


@pytest.mark.parametrize(
    ("label", "found"),
    [
        (float("nan"), "nan"),
        ("NaN", "NaN"),
        (None, "None"),
        ("", "''"),
        (" ", "' '"),
        (2**63, str(2**63)),
        ([1], r"\[1\]"),
        ({"a": 1}, "a"),
        (1e400, "inf"),
    ],
)
def test_a_label_that_names_no_class_is_refused(tmp_path, label, found):
    others = ["a", "b"] if isinstance(label, str) else [0, 1]
    with pytest.raises(InputError, match=rf"Mine: rows\.jsonl row 2: .*{found}"):
        classes(tmp_path, "rows.jsonl", [others[0], label, others[1]])


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_text_is_named_with_its_row(tmp_path, name, text):
    write_table(tmp_path / name, [LABELLED[0], LABELLED[1] | {"text": text}, *LABELLED[2:]])
    with pytest.raises(InputError, match=rf"{name} row 2: .*text"):
        prepared(tmp_path, tmp_path / name, "Classification")


@pytest.mark.parametrize("labels", [[0, 4], ["9", "10"], [-1, 2**62], [1, 2]])
def test_of_two_classes_one_has_the_number_1_that_mteb_looks_for(tmp_path, labels):
    assert classes(tmp_path, "rows.jsonl", labels) == (labels if 1 in labels else [0, 1])


@pytest.mark.parametrize("labels", [[1, "a"], ["a", 1], [1, "1"], [True, 1], [0.5, 1.0]])
def test_numbers_and_names_are_not_mixed(tmp_path, labels):
    with pytest.raises(InputError, match=r"Mine: rows\.jsonl row 2: .*label"):
        classes(tmp_path, "rows.jsonl", labels)


def test_a_class_without_a_training_row_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"Mine: rows\.csv row 5: .*'c'"):
        classes(tmp_path, "rows.csv", ["a", "b", "c"], train=["a", "b"])


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("twice.csv", "text,label,label\na,1,2\n", "'label' twice"),
        ("quote.csv", 'text,label\n"a,0\nb,1\n', "quote.csv"),
        ("ragged.csv", "text,label\na,0\nb\n", "row 2"),
        ("ragged.tsv", "text\tlabel\na\t0\nb\t1\tc\n", "row 2"),
        ("empty.csv", "", "empty.csv"),
        ("latin.csv", "text,label\ncaf\xe9,0\n".encode("latin-1"), "byte 14"),
        ("wide.csv", "text,label\na,0\n".encode("utf-16"), "byte 0"),
        ("wide.csv", "text,label\na,0\n".encode("utf-16-le"), "byte 1"),
        ("list.jsonl", "[1]\n", "line 1"),
        ("cut.jsonl", '{"text": "a", "label": 0}\n{"text":\n', "line 2"),
        ("deep.jsonl", "[" * 200_000, "line 1"),
        ("split.jsonl", '{"text": "a", "label": 0, "split": ["train"]}\n', "row 1"),
        ("lone.jsonl", '{"text": "a\\ud800", "label": 0, "split": "train"}\n{"text": "b", "label": 1}\n', "row 1"),
    ],
)
def test_a_table_that_is_not_as_its_ending_says_is_named(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=name.replace(".", r"\.") if found == name else found) as raised:
        prepared(tmp_path, tmp_path / name, "Classification")
    assert name in str(raised.value)


def test_quotation_marks_blank_lines_and_a_byte_order_mark_are_read(tmp_path):
    rows = {
        "rows.csv": '\ufefftext,label,split\r\n"a, ""b""\nc",0,train\r\nd,1,train\r\n\r\ne,0,test\r\nf,1,test\r\n',
        "rows.tsv": 'text\tlabel\tsplit\n"a, ""b"""\t0\ttrain\n"d\t1\ttrain\ne "\t0\ttest\n"f" or "g"\t1\ttest\n\n',
        "rows.jsonl": '{"text": "a", "label": 0, "split": "train"}\n\n{"text": "b", "label": 1, "split": "train"}\n'
        '{"text": "c", "label": 0}\n{"text": "d", "label": 1}\n\n',
    }
    expected = {
        "rows.csv": ['a, "b"\nc', "d", "e", "f"],
        "rows.tsv": ['a, "b"', '"d', 'e "', '"f" or "g"'],
        "rows.jsonl": ["a", "b", "c", "d"],
    }
    for name, content in rows.items():
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
        splits = prepared(tmp_path, tmp_path / name, "Classification")
        assert [row["text"] for row in splits["train"] + splits["test"]] == expected[name]


@pytest.mark.parametrize("score", ["nan", "inf", "high", "1e999", "", "1_0", "true"])
def test_a_score_that_is_no_number_is_refused(tmp_path, score):
    (tmp_path / "rows.csv").write_text(f"sentence1,sentence2,score\na,b,1\na,b,{score}\nc,d,2\n")
    with pytest.raises(InputError, match=r"Mine: rows\.csv row 2: .*score"):
        prepared(tmp_path, tmp_path / "rows.csv", "STS")


def test_scores_that_are_whole_numbers_for_long_may_be_fractions_later(tmp_path):
    rows = [{"sentence1": "a", "sentence2": "b", "score": 1} for _ in range(150)]
    lines = ["sentence1,sentence2,score", *("a,b,1" for _ in rows), "c,d,0.5"]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    splits = prepared(tmp_path, tmp_path / "rows.csv", "STS")
    assert [row["score"] for row in splits["test"]] == [1] * 150 + [0.5]


def test_another_column_may_begin_with_many_empty_cells(tmp_path):
    rows = [{**row, "note": None} for row in STS * 50] + [{**STS[0], "note": "looked up twice"}]
    assert len(prepared(tmp_path, write_table(tmp_path / "rows.parquet", rows), "STS")["test"]) == 201


@pytest.mark.parametrize(
    ("task_type", "rows", "words"),
    [
        ("STS", [{"sentence1": "a", "sentence2": "b"}], r"task Mine: rows\.parquet row 1: .*score"),
        ("STS", [*STS, {**STS[0], "score": None}], r"task Mine: rows\.parquet row 5: .*score"),
        ("PairClassification", STS, r"task Mine: rows\.parquet row 1: .*labels"),
        ("Classification", LABELLED[6:], r"task Mine: .*'train'"),
        ("Classification", LABELLED[:6], r"task Mine: .*'test'"),
    ],
)
def test_what_mteb_would_miss_is_named_with_task_and_row(tmp_path, task_type, rows, words):
    with pytest.raises(InputError, match=words):
        prepared(tmp_path, write_table(tmp_path / "rows.parquet", rows), task_type)
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.jsonl"])
def test_a_damaged_table_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b'{"a": \x00')
    with pytest.raises(InputError, match=rf"({name}|task Mine)"):
        prepared(tmp_path, tmp_path / name, "STS")


@pytest.mark.parametrize("form", sorted(prepare_task.FORMATS))
def test_a_folder_without_the_raw_file_is_named(tmp_path, form):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=f"{tmp_path / 'empty'}"):
        prepared(tmp_path, tmp_path / "empty", "STS", form)


def test_splits_by_hash_are_disjoint_whole_and_independent_of_other_rows():
    rows = [{"text": f"text {i}"} for i in range(1000)]
    splits = split_by_hash(rows, "text")
    train, test = ({row["text"] for row in splits[name]} for name in ["train", "test"])
    assert not train & test
    assert len(train | test) == 1000
    assert 400 < len(test) < 600
    fewer = split_by_hash(rows[::-3], "text")
    assert {row["text"] for row in fewer["test"]} <= test


def test_trec_keeps_the_coarse_classes_and_drops_repeated_and_doubly_labelled_questions(tmp_path):
    classes = ["LOC", "ABBR", "NUM"]
    lines = [f"{classes[i % 3]}:fine{i % 2} What is number {i} caf\xe9 ?" for i in range(60)]
    lines += [lines[0], "NUM:count Who is twice here ?", "LOC:city Who is twice here ?"]
    (tmp_path / "question_labels.txt").write_text("\n".join(lines) + "\n", encoding="latin-1")
    splits = prepared(tmp_path, tmp_path, "Classification", "trec")
    found = {row["text"]: row["label"] for row in splits["train"] + splits["test"]}
    names = sorted(classes)
    assert found == {f"What is number {i} café ?": names.index(classes[i % 3]) for i in range(60)}
    assert len(splits["train"]) + len(splits["test"]) == 60


def test_amazon_snippets_are_positive_or_negative_and_neutral_ones_left_out(tmp_path):
    folder = tmp_path / "hutto_ICWSM_2014"
    folder.mkdir()
    lines = ["id\tmean\ttext"]
    lines += [f"{i}\t{(-1) ** i * (1 + i / 20)}\tsnippet {i}" for i in range(40)]
    lines += ["90\t0.99\tneutral", "91\t-0.5\tneutral too", "a line of another form"]
    (folder / "amazonReviewSnippets_GroundTruth.txt").write_text("\n".join(lines))
    splits = prepared(tmp_path, tmp_path, "Classification", "amazon_snippets")
    found = {row["text"]: row["label"] for row in splits["train"] + splits["test"]}
    assert found == {f"snippet {i}": 1 - i % 2 for i in range(40)}


def test_privacy_policy(tmp_path):
    rows = [{"question": f"q{i}", "context": f"c{i}", "answer": answer} for i, answer in enumerate(["True", "False"])]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert prepared(tmp_path, tmp_path, "PairClassification", "privacy_policy")["test"] == [
        {"sentence1": "q0", "sentence2": "c0", "labels": 1},
        {"sentence1": "q1", "sentence2": "c1", "labels": 0},
    ]


@pytest.mark.parametrize("triangle", ["1 .1 .2\n0 1 .3\n0 0 1\n", "1 0 0\n.1 1 0\n.2 .3 1\n"])
def test_lee_has_each_pair_once_with_its_rating(tmp_path, triangle):
    (tmp_path / "lee.cor").write_text("zero\none\ntwo\n")
    (tmp_path / "similarities0-1.txt").write_text(triangle)
    (rows,) = prepared(tmp_path, tmp_path, "STS", "lee").values()
    found = {frozenset([row["sentence1"], row["sentence2"]]): row["score"] for row in rows}
    assert found == {frozenset(["zero", "one"]): 0.1, frozenset(["zero", "two"]): 0.2, frozenset(["one", "two"]): 0.3}
    assert len(rows) == 3


def test_wordsim353(tmp_path):
    (tmp_path / "wordsim353.tsv").write_text("# a comment\n# Word 1\tWord 2\tmean\nlove\tsex\t6.77\ntiger\tcat\t7\n")
    assert prepared(tmp_path, tmp_path, "STS", "wordsim353")["test"] == [
        {"sentence1": "love", "sentence2": "sex", "score": 6.77},
        {"sentence1": "tiger", "sentence2": "cat", "score": 7.0},
    ]


def test_rare_words_are_rated_pairs_between_tabs(tmp_path):
    (tmp_path / "rw-dev.csv").write_text("squishing\tsquirt\t5.88\t7\t7\nebb\tbeat\t3\t1\n")
    assert prepared(tmp_path, tmp_path, "STS", "rare_words")["test"] == [
        {"sentence1": "squishing", "sentence2": "squirt", "score": 5.88},
        {"sentence1": "ebb", "sentence2": "beat", "score": 3.0},
    ]


def test_semeval2017_task2_has_names_and_phrases(tmp_path):
    (tmp_path / "en.test.txt").write_text("Promised Land\tBaku\t0.42\nca\u00f1on\tvalley\t2.83\n", encoding="utf-8")
    assert prepared(tmp_path, tmp_path, "STS", "semeval2017_task2")["test"] == [
        {"sentence1": "Promised Land", "sentence2": "Baku", "score": 0.42},
        {"sentence1": "ca\u00f1on", "sentence2": "valley", "score": 2.83},
    ]


@pytest.mark.parametrize(("line", "found"), [("gem jewel 3.94", "gem jewel"), ("gem\tjewel\thigh", "'high'")])
def test_a_pair_without_a_rating_is_named_with_file_and_row(tmp_path, line, found):
    (tmp_path / "en.test.txt").write_text(f"car\tbicycle\t2.83\n{line}\n")
    with pytest.raises(InputError, match=rf"en\.test\.txt:? row 2: .*{found}"):
        prepared(tmp_path, tmp_path, "STS", "semeval2017_task2")


@pytest.mark.parametrize(
    ("form", "file", "query", "text"),
    [("boolq", "dev.jsonl", "question", "passage"), ("xsum", "test.jsonl", "summary", "document")],
)
def test_each_query_comes_with_the_last_sentence_of_its_own_text_and_of_two_others(tmp_path, form, file, query, text):
    rows = [
        {
            query: f"q{i}",
            text: f"The first sentence comes before others. Is it so? The last sentence of text number {i}",
        }
        for i in range(9)
    ]
    rows += [{query: "one sentence", text: "A text of one sentence is no use."}, {query: "none", text: ""}]
    (tmp_path / file).write_text("\n".join(map(json.dumps, rows)))
    (found,) = prepared(tmp_path, tmp_path, "PairClassification", form).values()
    own = [row for row in found if row["sentence1"][1:] == row["sentence2"].split()[-1]]
    assert own == [row for row in found if row["labels"] == 1] and len(own) == 9
    assert len({(row["sentence1"], row["sentence2"]) for row in found}) == len(found) == 27
    assert {row["sentence2"] for row in found} == {f"The last sentence of text number {i}" for i in range(9)}


def test_the_same_last_sentence_is_never_a_wrong_one(tmp_path):
    rows = [
        {"question": f"q{i}", "passage": f"Text {i} begins in its own way. All of them end in the same way."}
        for i in range(3)
    ]
    rows += [{"question": "other", "passage": "Another text begins in its way. But this one does end in another way."}]
    (tmp_path / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = prepared(tmp_path, tmp_path, "PairClassification", "boolq")["test"]
    assert all((row["sentence1"] == "other") != ("same" in row["sentence2"]) for row in found if row["labels"])
    assert all((row["sentence1"] == "other") == ("same" in row["sentence2"]) for row in found if not row["labels"])


@pytest.mark.parametrize(
    "row", [{"question": "q"}, {"question": "q", "passage": None}, {"question": 1, "passage": "p"}]
)
def test_a_row_without_a_text_is_named_with_its_file(tmp_path, row):
    (tmp_path / "dev.jsonl").write_text(json.dumps({"question": "q", "passage": "p"}) + "\n" + json.dumps(row))
    with pytest.raises(InputError, match=r"dev\.jsonl: row 2: .*(passage|question)"):
        prepared(tmp_path, tmp_path, "PairClassification", "boolq")


@pytest.mark.parametrize(("form", "name"), [("tweets", "tweets"), ("editorial_snippets", "nytEditorialSnippets")])
def test_snippets_are_positive_or_negative(tmp_path, form, name):
    path = tmp_path / "hutto_ICWSM_2014" / f"{name}_GroundTruth.txt"
    path.parent.mkdir()
    lines = ["id\tsentiment\ttext", *(f"{i}_1\t{(-1) ** i * 2}\tsnippet {i}" for i in range(40)), "9\t0.5\tneutral"]
    path.write_text("\r\n".join(lines))
    splits = prepared(tmp_path, tmp_path, "Classification", form)
    found = {row["text"]: row["label"] for row in splits["train"] + splits["test"]}
    assert found == {f"snippet {i}": 1 - i % 2 for i in range(40)}
    path.write_text("id\tsentiment\ttext\n1\tgood\tsnippet")
    with pytest.raises(InputError, match=rf"{name}_GroundTruth\.txt: row 2: .*'good'"):
        prepared(tmp_path, tmp_path, "Classification", form)


def test_medical_subjects_are_those_with_enough_questions_and_a_question_has_one(tmp_path):
    sizes = {"Anatomy": 120, "Surgery": 150, "Rare": 99, "Large": 1001}
    for subject, size in sizes.items():
        questions = [f"{subject} {i}?" for i in range(size)] + ["Of two subjects?"] * (
            subject in ("Anatomy", "Surgery")
        )
        rows = [json.dumps({"question": question, "answer": "A. yes"}) for question in questions * 2]
        (tmp_path / f"{subject}.jsonl").write_text("\n".join(rows))
    splits = prepared(tmp_path, tmp_path, "Classification", "medical_subjects")
    found = {row["text"]: row["label"] for row in splits["train"] + splits["test"]}
    assert found == {f"{s} {i}?": n for n, s in enumerate(["Anatomy", "Surgery"]) for i in range(sizes[s])}
    assert len(splits["train"]) + len(splits["test"]) == 270
