"""Fetching out of a package index: a real one of static pages, served from this machine."""

import hashlib
import io
import os
import re
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

import fetch
from lib.hub import wanted
from lib.job.command import InputError
from lib.job.files import HASHES, check_hashes, sha256
from lib.package_index import package_indexes
from lib.plan.sources import parse_source
from lib.sizes import download_size, task_size

FILES = {"tiny/data/a.txt": b"one", "tiny/data/sub/b.txt": b"two", "tiny/database/c.txt": b"three"}


def wheel(files: dict[str, bytes]) -> bytes:
    """The bytes of a zip with these files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def sdist(files: dict[str, bytes]) -> bytes:
    """The bytes of a tar.gz with these files under one top folder, and a link beside them."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(f"tiny-1.0/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        link = tarfile.TarInfo("tiny-1.0/tiny/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return content.getvalue()


WHEEL, SDIST = "tiny-1.0-py3-none-any.whl", "tiny-1.0.tar.gz"


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A function that puts distributions on the index; promised hashes may be given instead of the right ones."""
    root = tmp_path / "index"
    (root / "simple" / "tiny").mkdir(parents=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ["PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def put(distributions: dict[str, bytes], promised: str | None = None) -> str:
        links = ""
        for name, content in distributions.items():
            (root / name).write_bytes(content)
            digest = promised or hashlib.sha256(content).hexdigest()
            links += f'<a href="/{name}#sha256={digest}">{name}</a>\n'
        (root / "simple" / "tiny" / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
        return digest

    yield put
    server.shutdown()
    server.server_close()


def fetched(tmp_path, source: str) -> dict[str, bytes]:
    """Run the script, and give the files of its output folder."""
    output = tmp_path / "out" / "folder"
    fetch.main(["--source", source, "--output", str(output)])
    assert list(output.parent.iterdir()) == [output]
    check_hashes(output)
    files = (path for path in output.rglob("*") if path.is_file() and path.name != HASHES)
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in files}


def refused(tmp_path, source: str, words: str) -> None:
    """Run the script; it must refuse with these words and leave nothing."""
    with pytest.raises(InputError, match=words):
        fetched(tmp_path, source)
    assert list((tmp_path / "out").glob("*")) == []


@pytest.mark.parametrize(("name", "make"), [(WHEEL, wheel), (SDIST, sdist)])
def test_a_folder_out_of_a_distribution(tmp_path, index, name, make):
    digest = index({name: make(FILES)})
    assert fetched(tmp_path, f"package:tiny==1.0/tiny/data@{digest}") == {"a.txt": b"one", "sub/b.txt": b"two"}


@pytest.mark.parametrize(("name", "make"), [(WHEEL, wheel), (SDIST, sdist)])
def test_one_file_out_of_a_distribution(tmp_path, index, name, make):
    digest = index({name: make(FILES)})
    assert fetched(tmp_path, f"package:tiny==1.0/tiny/data/sub/b.txt@{digest}") == {"b.txt": b"two"}


def test_the_hash_chooses_among_the_distributions(tmp_path, index):
    content = wheel({"tiny/data/a.txt": b"of the wheel"})
    index({SDIST: sdist(FILES), WHEEL: content, "tiny-1.0-cp39-cp39-win_amd64.whl": wheel(FILES)})
    source = f"package:tiny==1.0/tiny/data@{hashlib.sha256(content).hexdigest()}"
    assert fetched(tmp_path, source) == {"a.txt": b"of the wheel"}


def test_a_hash_that_the_index_does_not_have_is_refused(tmp_path, index):
    index({WHEEL: wheel(FILES)})
    refused(tmp_path, f"package:tiny==1.0/tiny@{'0' * 64}", f"tiny==1.0: .*{'0' * 64}")


def test_a_package_that_the_index_does_not_have_is_refused(tmp_path, index):
    refused(tmp_path, f"package:unknown==1.0/tiny@{'0' * 64}", "package unknown==1.0")


def test_bytes_that_do_not_match_the_hash_are_refused(tmp_path, index):
    index({WHEEL: wheel(FILES)}, promised="1" * 64)
    refused(tmp_path, f"package:tiny==1.0/tiny@{'1' * 64}", f"{WHEEL}: .*{'1' * 64}")


@pytest.mark.parametrize(("name", "make"), [(WHEEL, wheel), (SDIST, sdist)])
def test_a_path_that_the_distribution_lacks_is_refused(tmp_path, index, name, make):
    digest = index({name: make(FILES)})
    refused(tmp_path, f"package:tiny==1.0/tiny/dat@{digest}", f"{name}: .*'tiny/dat'")


@pytest.mark.parametrize(("name", "make"), [(WHEEL, wheel), (SDIST, sdist)])
def test_a_member_that_leaves_its_folder_is_refused(tmp_path, index, name, make):
    digest = index({name: make(FILES | {"tiny/data/../../../evil": b"evil"})})
    refused(tmp_path, f"package:tiny==1.0/tiny/data@{digest}", "evil")
    assert not list(tmp_path.rglob("evil"))


def changed_headers(content: bytes, place: int, value: int) -> bytes:
    """A zip with another value at a place of all of its headers, counted in those of the members."""
    for mark, more in [(b"PK\x03\x04", 0), (b"PK\x01\x02", 2)]:
        for start in [found.start() + place + more for found in re.finditer(mark, content)]:
            content = content[:start] + bytes([value]) + content[start + 1 :]
    return content


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (WHEEL, lambda content: content[:-30]),
        (WHEEL, lambda content: content.replace(b"one", b"two")),  # another checksum
        (WHEEL, lambda content: changed_headers(content, 6, 1)),  # encrypted
        (WHEEL, lambda content: changed_headers(content, 8, 93)),  # compressed by a method that is not known
        (SDIST, lambda content: content[:-30]),
        (SDIST, lambda content: b""),
        (SDIST, lambda content: b"Rar!\x1a\x07\x00" + content),
    ],
)
def test_an_archive_that_is_damaged_encrypted_or_unknown_is_named(tmp_path, index, name, damage):
    digest = index({name: damage(wheel(FILES) if name == WHEEL else sdist(FILES))})
    refused(tmp_path, f"package:tiny==1.0/tiny/data@{digest}", name)


def test_an_archive_that_unpacks_to_many_times_its_size_is_refused(tmp_path, index, monkeypatch):
    monkeypatch.setattr(fetch, "LEAST_ROOM", 10_000)
    files = {f"tiny/data/{i}": bytes(90_000) for i in range(9)}
    refused(tmp_path, f"package:tiny==1.0/tiny/data@{index({SDIST: sdist(files)})}", f"{SDIST}: .*bytes")
    stored = index({WHEEL: wheel(files)})
    assert len(fetched(tmp_path, f"package:tiny==1.0/tiny/data@{stored}")) == 9


@pytest.mark.parametrize(
    ("repo_type", "path", "expected"),
    [
        ("model", "", ["1_Pooling/config.json", "config.json", "model.safetensors", "spiece.model", "vocab.txt"]),
        ("model", "1_Pooling", ["1_Pooling/config.json"]),
        ("dataset", "", ["1_Pooling/config.json", "c4.json.gz", "config.json", "test.parquet", "vocab.txt"]),
    ],
)
def test_of_a_repository_neither_code_nor_pickles_are_downloaded(repo_type, path, expected):
    names = ["model.safetensors", "config.json", "1_Pooling/config.json", "vocab.txt", "spiece.model", "c4.json.gz"]
    names += ["test.parquet", "onnx/config.json", "openvino/a.json", "2_Dense/pytorch_model.bin", "modeling.py"]
    names += [f"model.{ending}" for ending in ["bin", "ckpt", "h5", "joblib", "msgpack", "onnx", "pickle", "pkl", "pt"]]
    assert wanted(names, repo_type, path) == expected


def test_an_output_of_before_stays_when_a_fetch_fails(tmp_path, index):
    digest = index({WHEEL: wheel(FILES)})
    before = fetched(tmp_path, f"package:tiny==1.0/tiny@{digest}")
    with pytest.raises(InputError):
        fetched(tmp_path, f"package:tiny==1.0/nothing@{digest}")
    assert fetched(tmp_path, f"package:tiny==1.0/tiny@{digest}") == before


def test_a_path_is_not_fetched(tmp_path):
    refused(tmp_path, f"path:{tmp_path}", "path:")


def test_the_index_is_the_one_that_pip_is_set_up_to_use(monkeypatch, tmp_path):
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    settings = "[global]\nindex-url = https://two.example/simple\nextra-index-url = https://three.example https://four.example\n"
    (tmp_path / "pip.conf").write_text(settings)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = package_indexes()
    assert found["index-url"] == ["https://two.example/simple"]
    assert found["extra-index-url"] == ["https://three.example", "https://four.example"]
    monkeypatch.setenv("PIP_INDEX_URL", "https://one.example/simple")
    assert package_indexes()["index-url"] == ["https://one.example/simple"]


def test_the_size_of_a_distribution_is_known_before_its_download(index):
    digest = index({WHEEL: wheel(FILES)})
    assert download_size(f"package:tiny==1.0/tiny@{digest}", "dataset") == len(wheel(FILES)) / 1e6
    assert download_size(f"package:tiny==1.0/tiny@{'0' * 64}", "dataset") is None


def test_download_and_unpack_are_whole_files(tmp_path, index):
    digest = index({WHEEL: wheel(FILES)})
    archive = fetch.download_distribution(parse_source(f"package:tiny==1.0/tiny@{digest}"), tmp_path)
    assert sha256(archive) == digest
    assert fetch.unpack(archive, "tiny", tmp_path / "target") == 3
    assert (tmp_path / "target" / "database" / "c.txt").read_bytes() == b"three"


def test_the_size_of_a_task_is_that_of_its_english_texts_and_unknown_of_others():
    train_and_test, test = task_size("AmazonPolarityClassification"), task_size("STS12")
    assert 1000 < train_and_test < 2000 and 0.1 < test < 1
    assert task_size("MassiveIntentClassification") < 1  # of fifty languages one
    assert task_size("NoSuchTask") is None
