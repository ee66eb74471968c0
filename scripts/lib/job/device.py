"""The device of a job: a GPU that no other job of this machine has, where it may have one; else the CPU."""

import argparse
import fcntl
import os
import tempfile
from pathlib import Path

import torch

HELD = []  # open as long as the process runs: the system gives a device back at its end


def take_free(names: list[str], folder: Path) -> int | None:
    """The number of the first device that no other process took through ``folder``, taken for this process; or none."""
    for number, name in enumerate(names):
        file = (folder / f"born-again-{os.getuid()}-{name}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        HELD.append(file)
        return number
    return None


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that ``job_device`` reads."""
    parser.add_argument("--gpu", type=int, default=0, help="GPUs of the job; a CPU serves where there is none")
    parser.add_argument("--threads", type=int, default=1)


def job_device(args: argparse.Namespace) -> str:
    """The device that a job computes on, ``cuda`` or ``cpu``, after PyTorch was given the job's threads.

    A scheduler such as Slurm shows a job its own devices only. Without one, jobs side by side each take another; where
    all are taken, a job shares the first. torch is told which.
    """
    torch.set_num_threads(args.threads)
    if not args.gpu or not torch.cuda.is_available():
        return "cpu"
    names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]
    torch.cuda.set_device(take_free(names, Path(tempfile.gettempdir())) or 0)
    return "cuda"


def device_name(device: str) -> str:
    """What to call a device in a report on what it made: a GPU's own name, or ``cpu``."""
    return device if device == "cpu" else f"{device}: {torch.cuda.get_device_name()}"
