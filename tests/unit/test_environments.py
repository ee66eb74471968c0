"""The environments agree: what is asked for, the lock, and conda's environment."""

import re

import yaml
from workflow import REPOSITORY

ENVS = REPOSITORY / "envs"
ASKED = (ENVS / "requirements.in").read_text(encoding="utf-8")
LOCK = (ENVS / "requirements.txt").read_text(encoding="utf-8")
PINS = re.findall(r"^([\w.-]+==[^\\]*[^\\ ]) *\\$", LOCK, re.MULTILINE)


def test_the_lock_keeps_what_is_asked_for():
    asked = re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", ASKED, re.MULTILINE)
    assert {name for name, _ in asked} >= {"snakemake", "mteb", "model2vec", "torch"}
    locked = {pin.partition(" ;")[0].strip() for pin in PINS}
    assert {f"{name}=={version}" for name, version in asked if name != "torch"} <= locked


def test_every_package_of_the_lock_has_hashes():
    parts = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(parts) == len(PINS)
    assert all("--hash=sha256:" in part for part in parts)


def test_condas_environment_has_the_same_pins_for_snakemake_copies_it_alone():
    pip = yaml.safe_load((ENVS / "pipeline.yaml").read_text())["dependencies"][-1]["pip"]
    assert pip == [*re.findall("^torch==.*$", ASKED, re.MULTILINE), *PINS]
