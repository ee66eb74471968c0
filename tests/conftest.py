"""What several tests need: a small random teacher and synthetic sentences."""

import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in rules/common.smk; read when PyTorch is imported

import pytest
import torch

from synthetic import synthetic_sentences, write_teacher


@pytest.fixture(scope="session")
def teacher_folder(tmp_path_factory) -> Path:
    """A small random teacher of 32 dimensions."""
    return write_teacher(tmp_path_factory.mktemp("teacher") / "teacher")


@pytest.fixture(params=["float32", "bfloat16"])
def precision(request, monkeypatch) -> str:
    """The precision of a transformer's layers, whatever this machine's processor has."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param == "bfloat16")
    return request.param


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """400 different sentences."""
    return [text for text, _ in synthetic_sentences(400)]
