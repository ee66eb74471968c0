"""The environments agree: what is asked for, the lock, and conda's environment."""

import re

import yaml
from workflow import REPOSITORY

ENVS = REPOSITORY / "envs"
ASKED = (ENVS / "requirements.in").read_text(encoding="utf-8")
LOCK = (ENVS / "requirements.txt").read_text(encoding="utf-8")
PINS = re.findall(r"^([\w.-]+==[^\\]*[^\\ ]) *\\$", LOCK, re.MULTILINE)


def test_the_lock_keeps_what_is_asked_for():
    asked = re.findall(r"^([\w-]+)(?:\[[\w,]+\])?==(\S+)$", ASKED, re.MULTILINE)
    assert {name for name, _ in asked} >= {"snakemake", "mteb", "model2vec", "torch"}
    locked = {pin.partition(" ;")[0].strip() for pin in PINS}
    assert {f"{name}=={version}" for name, version in asked if name != "torch"} <= locked


def test_every_package_of_the_lock_has_hashes():
    parts = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(parts) == len(PINS)
    assert all("--hash=sha256:" in part for part in parts)


def test_condas_environment_has_the_same_pins_for_snakemake_copies_it_alone():
    pip = yaml.safe_load((ENVS / "pipeline.yaml").read_text(encoding="utf-8"))["dependencies"][-1]["pip"]
    assert pip == [*re.findall("^torch==.*$", ASKED, re.MULTILINE), *PINS]


def test_the_container_installs_the_lock_and_the_same_torch():
    recipe = (ENVS / "Containerfile").read_text(encoding="utf-8")
    assert "COPY envs/requirements.in envs/requirements.txt /envs/" in recipe
    assert "grep '^torch==' /envs/requirements.in" in recipe
    assert "--requirement /envs/requirements.txt" in recipe
    python = yaml.safe_load((ENVS / "pipeline.yaml").read_text(encoding="utf-8"))["dependencies"][0].removeprefix(
        "python="
    )
    assert f"FROM python:{python}-slim" in recipe


def test_executor_plugins_of_the_profiles_are_in_the_lock():
    profiles = (REPOSITORY / "profiles").glob("*/profile.yaml")
    executors = {yaml.safe_load(path.read_text(encoding="utf-8")).get("executor") for path in profiles} - {None}
    assert executors
    assert {f"snakemake-executor-plugin-{name}" for name in executors} <= {pin.partition("==")[0] for pin in PINS}
