"""Checkpoints: what a training needs to go on after it was interrupted, in one safetensors file."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lib.job.files import replacing, sha256
from lib.job.progress import say


class Checkpoint(NamedTuple):
    """Where a training writes its checkpoints, and what they belong to.

    path: the file.
    key: of the settings, inputs and code; a checkpoint with another key is not used.
    """

    path: Path
    key: str

    def write(self, tensors: dict[str, Tensor], report: Any) -> None:
        """Write the state of a training, completely or not at all.

        Args:
            tensors: all that the next steps change.
            report: of the steps so far, as JSON can hold it.
        """
        with replacing(self.path) as temporary:
            save_file(tensors, temporary, {"key": self.key, "report": json.dumps(report)})

    def read(self) -> tuple[dict[str, Tensor], Any] | None:
        """The state that ``write`` wrote for this key; None without one."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                metadata = file.metadata()
                if metadata["key"] != self.key:
                    say(f"{self.path}: of other settings, inputs or code, not used")
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(metadata["report"])  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            say(f"{self.path}: not used, because it cannot be read: {error}")
            return None


def checkpoint_of(model: Path, files: Iterable[Path], *settings: Any) -> Checkpoint:
    """The checkpoint of a training, beside the folder that it writes.

    Args:
        model: that folder.
        files: its inputs and code.
        settings: all that decides its result besides, as JSON can hold it.
    """
    content = json.dumps([settings, torch.__version__, *map(sha256, files)])
    return Checkpoint(path_of(model), hashlib.sha256(content.encode()).hexdigest())


def path_of(model: Path) -> Path:
    """The file of the checkpoint of the training that writes a folder."""
    return model.with_name(f"{model.name}.checkpoint.safetensors")


def remove_checkpoint(model: Path) -> None:
    """Remove the checkpoint of the training that wrote a folder, if there is one."""
    path_of(model).unlink(missing_ok=True)
