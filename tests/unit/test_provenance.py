"""What a run was made of, written down as a crate, and its files compared with that."""

import json
import shutil

import pytest
import yaml
from rocrate.rocrate import ROCrate

import verify
import write_run_crate
from lib.job.command import InputError
from lib.job.files import sha256

COMMIT = "a" * 40
CONFIG = {
    "run": "made",
    "about": "",
    "teacher": {"source": "hub:some/teacher@1", "others": [{"source": "hub:another/teacher@2"}]},
    "corpus": {"source": ["hub:some/texts@2/en", "path:texts"]},
    "baselines": {"teacher": "hub:some/teacher@1"},
    "evaluation": {"baselines": ["teacher"], "custom_tasks": {"Mine": {"source": "path:mine"}}},
    "release": {"license": "mit"},
}
HEADER = f"# commit: {COMMIT}\n# command: snakemake --cores 2\n"
HEADER += "# embedded on: cpu (shards: 2)\n# trained on: cpu (stages: 1)\n"
FILES = ["summary.md", "models/m/pretrained/model.safetensors", "teacher/00000.npy", "release/m/README.md"]
FILES += ["models/m/pretrained/.sha256.json", "benchmarks/embed.tsv"]
LEFT_OUT = ["logs/all.log", "teacher/kept/00000/a.npy", "mteb/cache/m/int8/STS12/key.json", "report.html", ".claimed"]
LEFT_OUT += ["teacher/.snakemake_timestamp"]


@pytest.fixture
def folder(tmp_path):
    """A run's folder with its crate."""
    folder = tmp_path / "made"
    for name in FILES + LEFT_OUT:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / "config.yaml").write_text(HEADER + "# versions: mteb 2, torch 3\n" + yaml.safe_dump(CONFIG))
    (folder / "summary.json").write_text(json.dumps({"rows": [{"task": "STS12", "dataset_revision": "r12"}]}))
    write_run_crate.main(["--run", str(folder)])
    return folder


def test_the_crate_names_every_file_and_what_the_run_was_made_of(folder):
    crate = ROCrate(folder)
    files = {entity.id: entity["sha256"] for entity in crate.data_entities}
    assert files == {name: sha256(folder / name) for name in [*FILES, "config.yaml", "summary.json"]}
    assert crate.root_dataset["conformsTo"].id == write_run_crate.PROFILE
    (action,) = crate.get_by_type("CreateAction")
    assert action["instrument"]["version"] == COMMIT
    assert action["instrument"]["softwareRequirements"] == ["mteb 2", "torch 3"]
    assert "embedded on: cpu (shards: 2)" in action["description"]
    assert {entity["identifier"] for entity in action["object"]} == {
        "hub:some/teacher@1",
        "hub:another/teacher@2",
        "hub:some/texts@2/en",
        "path:texts",
        "path:mine",
        "STS12@r12",
    }
    assert {entity.id for entity in action["result"]} == set(files)


def test_a_run_that_is_as_it_was_made_is_found_so_wherever_it_is_and_signed(folder, tmp_path, capsys):
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    (moved / "models/m/model.sig").write_text("{}")
    verify.main(["--run", str(moved)])
    assert "8 files are as the run made them" in capsys.readouterr().err


def test_a_changed_byte_a_file_that_is_gone_and_one_too_many_are_named(folder, capsys):
    content = bytearray((folder / "teacher/00000.npy").read_bytes())
    content[5] ^= 1
    (folder / "teacher/00000.npy").write_bytes(content)
    (folder / "summary.md").unlink()
    (folder / "models/m/new.json").write_text("{}")
    with pytest.raises(InputError, match="3 file"):
        verify.main(["--run", str(folder)])
    assert capsys.readouterr().err.splitlines()[-3:] == [
        f"{folder}/models/m/new.json: added after the run",
        f"{folder}/summary.md: missing",
        f"{folder}/teacher/00000.npy: changed",
    ]


def test_a_run_that_was_never_finished_is_named(tmp_path):
    with pytest.raises(InputError, match=r"ro-crate-metadata\.json"):
        verify.main(["--run", str(tmp_path)])
