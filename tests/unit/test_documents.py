"""Documents out of files of every format."""

import gzip
import json
import re
import textwrap

import polars
import pyarrow
import pyarrow.parquet
import pytest

from lib.documents import in_turn, local_files, one_after_another, read_file, reader_of
from lib.job.command import InputError
from synthetic import synthetic_sentences

NOUN = (
    "  1 This software and database is being provided to you | by Princeton\n"
    '00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which exists; "it exists"; "caf\xe9 too"  \n'
    "00001930 03 n 01 thing 0 000 | a separate object  \n"
)


def documents(path, text_key="text"):
    return list(one_after_another(local_files(path), text_key))


def test_a_line_of_plain_text_is_a_document(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffone\n  two \n\n \nthree\n", encoding="utf-8")
    assert documents(tmp_path) == ["one", "two", "three"]


TEXTS = [text for text, _ in synthetic_sentences(300)]
LISTS = {
    "titles": [text.rstrip(".").title() for text in TEXTS],
    "queries": [text.rstrip(".").lower() for text in TEXTS],
    "short": [text[:40].rstrip(".").lower().strip() for text in TEXTS],
    "alike": [f"What is the capital of the state that is named {text.split()[1]}" for text in TEXTS],
    "mixed": [f"{'The' if i % 8 else 'their'} boats and the tide in the old harbour, number {i}" for i in range(99)],
    "messages": [f"the parcel that you sent on the first of may has come, {i}." for i in range(300)],
    "sentences": [" ".join(TEXTS[i : i + 4]) for i in range(0, 300, 4)],
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("form", ["{}\n", "{}\n\n", "{}\r\n"])
def test_a_line_of_plain_text_is_never_put_to_the_next_one_of_a_list(tmp_path, kind, form):
    (tmp_path / "a.txt").write_bytes("".join(map(form.format, LISTS[kind])).encode())
    assert documents(tmp_path) == LISTS[kind]


@pytest.mark.parametrize("width", [60, 72, 100])
@pytest.mark.parametrize(
    "form",
    [
        "{}\n\n",
        "    {}\n\n",
        "A heading\n\n{}\n\n* * *\n\n",
        "A heading\n=========\n\n{}\n\n- One point\n- Another\n- And one more\n\n",
        "{}\n\nNew York\nParis\nMoscow\nLondon\nhttps://example.org/" + "a" * 200 + "\n\n",
    ],
)
def test_wrapped_lines_are_put_together_again(tmp_path, width, form):
    whole = [" ".join(TEXTS[i : i + 10]) for i in range(0, 300, 10)]
    pages = "".join(form.format(textwrap.fill(text, width - i % 6)) for i, text in enumerate(whole))
    (tmp_path / "a.txt").write_text(pages, encoding="utf-8")
    assert [text for text in documents(tmp_path) if text in whole] == whole


def test_a_list_in_a_text_whose_paragraphs_empty_lines_part_is_one_of_them(tmp_path):
    whole = [" ".join(TEXTS[i : i + 10]) for i in range(0, 300, 10)]
    (tmp_path / "a.txt").write_text("\n\n".join([*whole, "Three are due:\nFirst one.\nThen another."]))
    assert documents(tmp_path) == [*whole, "Three are due: First one. Then another."]


@pytest.mark.parametrize(
    ("name", "content", "byte"),
    [
        ("a.txt", "one\ntwo\ncaf\xe9 one\n".encode("latin-1"), 11),
        ("a.txt", "one\n".encode("utf-16"), 0),
        ("a.txt", "one\n".encode("utf-16-le"), 1),
        ("a.txt.gz", gzip.compress("one\ncaf\xe9\n".encode("latin-1")), 7),
        ("a.TXT.GZ", gzip.compress("one\ncaf\xe9\n".encode("latin-1")), 7),
        ("a.jsonl", '{"text": "caf\xe9"}\n'.encode("latin-1"), 13),
        ("a.jsonl", '{"text": "one"}\n'.encode("utf-16"), 0),
        ("a.csv", "text\ncaf\xe9\n".encode("cp1252"), 8),
        ("a.tsv", "text\tb\nc\td\xff\n".encode("latin-1"), 10),
    ],
)
def test_a_file_of_another_encoding_is_named_with_the_place(tmp_path, name, content, byte):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: byte {byte}: .*UTF-8"):
        documents(tmp_path)


def test_text_of_parquet_that_is_no_utf_8_is_named(tmp_path):
    column = pyarrow.array([b"one", b"caf\xe9"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: .*UTF-8"):
        documents(tmp_path)


@pytest.mark.parametrize(
    ("name", "mark"), [("a.csv", ","), ("a.TSV", "\t"), ("a.csv.gz", ","), ("a.tsv.gz", "\t"), ("a.tsv.csv", ",")]
)
def test_a_column_of_a_table(tmp_path, name, mark):
    rows = [["id", "body"], ["1", "one"], ["2", '"two ""words"""'], ["3", ""]]
    content = "\n".join(mark.join(row) for row in rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert documents(tmp_path, "body") == ["one", 'two "words"']
    with pytest.raises(InputError, match=r"text.*body"):
        documents(tmp_path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_lines(tmp_path, name):
    (tmp_path / name).write_text('{"body": "one", "text": "other"}\n{"body": "two\\nlines"}\n', encoding="utf-8")
    assert documents(tmp_path, text_key="body") == ["one", "two\nlines"]


def test_parquet_without_nulls(tmp_path):
    polars.DataFrame({"text": ["one", None, "two"], "other": [1, 2, 3]}).write_parquet(tmp_path / "a.parquet")
    assert documents(tmp_path) == ["one", "two"]


def test_wordnet_definitions_and_examples(tmp_path):
    (tmp_path / "data.noun").write_bytes(NOUN.encode("latin-1"))
    assert documents(tmp_path) == ["that which exists", "it exists", "café too", "a separate object"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt.gz", "one\n\ntwo\n", ["one", "two"]),
        ("a.json.gz", '{"text": "one"}\n', ["one"]),
        ("data.adv.gz", NOUN, ["that which exists", "it exists", "café too", "a separate object"]),
    ],
)
def test_compressed_files(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(gzip.compress(content.encode("latin-1")))
    assert documents(tmp_path) == expected


def test_a_gzip_file_that_is_cut_short_is_named(tmp_path):
    whole = gzip.compress("\n\n".join(str(i**5) for i in range(5000)).encode())
    (tmp_path / "cut.txt.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.txt\.gz"):
        documents(tmp_path)


def test_a_file_of_a_hub_whose_ending_is_not_known_is_named():
    with pytest.raises(InputError, match=r"data/a\.zst: .*\.txt"):
        list(read_file("data/a.zst", lambda: pytest.fail("opened"), "text"))


@pytest.mark.parametrize("content", [b"plain text", gzip.compress(b"x" * 999)[:12] + b"\xff" * 30])
def test_a_file_that_is_no_gzip_is_named(tmp_path, content):
    (tmp_path / "bad.txt.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.txt\.gz"):
        documents(tmp_path)


@pytest.mark.parametrize("line", ["{", '{"body": "x"}', "[1]", '"text"', '{"text": 5}', '{"text": null}'])
def test_a_bad_json_line_is_named_with_its_number(tmp_path, line):
    (tmp_path / "bad.jsonl").write_text('{"text": "one"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"bad\.jsonl, line 2: .*'text'"):
        documents(tmp_path)


def test_a_parquet_file_without_the_column_is_named(tmp_path):
    polars.DataFrame({"body": ["one"]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: .*'text'.*\['body'\]"):
        documents(tmp_path)


def test_a_damaged_parquet_file_is_named(tmp_path):
    polars.DataFrame({"text": ["one", "two"]}).write_parquet(tmp_path / "cut.parquet")
    whole = (tmp_path / "cut.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"cut\.parquet"):
        documents(tmp_path)


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_a_damaged_page_of_a_parquet_file_is_named(tmp_path, compression):
    texts = [f"text {number}" for number in range(9000)]
    path = tmp_path / "page.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), path, compression=compression, use_dictionary=False)
    content = path.read_bytes()
    path.write_bytes(content[:20] + b"\xff" * 180 + content[200:])
    with pytest.raises(InputError, match=r"page\.parquet"):
        documents(tmp_path)


def test_a_parquet_file_with_the_column_twice_is_named(tmp_path):
    column = pyarrow.array(["one", "two"])
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays([column, column], ["text", "text"]), tmp_path / "2.parquet")
    with pytest.raises(InputError, match=r"2\.parquet: .*'text'"):
        documents(tmp_path)


def test_a_parquet_column_that_is_no_text_is_named(tmp_path):
    polars.DataFrame({"text": [1, 2]}).write_parquet(tmp_path / "numbers.parquet")
    with pytest.raises(InputError, match=r"numbers\.parquet"):
        documents(tmp_path)


def test_files_of_all_folders_are_read_in_order_and_those_that_are_not_are_named(tmp_path, capsys):
    hidden = [".b.txt", ".git/a.txt", "a/.ipynb_checkpoints/z-checkpoint.txt"]
    others = ["LICENSE", "a/LICENCE.txt", "COPYING.txt", "Notice.txt.gz", "a/page.html", "c.md", "d.jsonl.zst"]
    read = ["a/y.jsonl", "a/z.txt", "b.txt", "notices.txt"]
    for name in [*read, *others, *hidden]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(json.dumps({"text": name}))
    assert [name.removeprefix(f"{tmp_path}/") for name in local_files(tmp_path)] == read
    (line,) = capsys.readouterr().err.splitlines()
    assert all(name in line for name in others) and not any(name in line for name in hidden)
    for name in ["b.txt", "COPYING.txt", ".b.txt"]:
        assert list(local_files(tmp_path / name)) == [str(tmp_path / name)]
    assert reader_of("page.html") is None


@pytest.mark.parametrize("name", ["nowhere", "page.html", "."])
def test_nothing_to_read_is_a_mistake_that_names_the_path(tmp_path, name):
    (tmp_path / "page.html").touch()
    with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
        local_files(tmp_path / name)


@pytest.fixture
def three_files(tmp_path):
    """Three files of 30 documents each, named after their file and place."""
    for name in "abc":
        lines = (json.dumps({"text": f"{name}{i}"}) for i in range(30))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_files_are_read_in_turn_in_an_order_of_the_seed(three_files, monkeypatch):
    monkeypatch.setattr("lib.documents.VISIT", 20)
    orders = set()
    for seed in range(20):
        found = list(in_turn(local_files(three_files), "text", seed))
        first, second, third = (found[i][0] for i in (0, 20, 40))
        orders.add(first + second + third)
        assert found[:20] == [f"{first}{i}" for i in range(20)]
        assert found[60:70] == [f"{first}{i}" for i in range(20, 30)]
        assert sorted(found) == sorted(documents(three_files))
    assert len(orders) > 3
    assert found == list(in_turn(local_files(three_files), "text", 19))


def test_everything_is_read(three_files):
    assert len(documents(three_files)) == 90
