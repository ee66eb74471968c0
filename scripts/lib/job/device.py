"""The device of a job: a GPU that no other job on this machine uses, if the job asks for one, else the CPU."""

import argparse
import fcntl
import os
import tempfile
from pathlib import Path

import torch

HELD = []  # open as long as the process runs; the system releases the locks at its end


def take_free(names: list[str], folder: Path) -> int | None:
    """Lock the first device that no other process has locked in ``folder``; return its number, or None."""
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
    parser.add_argument("--gpu", type=int, default=0, help="number of GPUs of the job; without any, the CPU is used")
    parser.add_argument("--threads", type=int, default=1)


def job_device(args: argparse.Namespace) -> str:
    """The device of a job, ``cuda`` or ``cpu``; sets PyTorch's number of threads and its current GPU.

    A scheduler such as Slurm shows a job only its own devices. Without a scheduler, parallel jobs take different ones;
    if all are taken, a job shares the first.
    """
    torch.set_num_threads(args.threads)
    if not args.gpu or not torch.cuda.is_available():
        return "cpu"
    names = [str(torch.cuda.get_device_properties(number).uuid) for number in range(torch.cuda.device_count())]
    torch.cuda.set_device(take_free(names, Path(tempfile.gettempdir())) or 0)
    return "cuda"


def device_name(device: str) -> str:
    """The name of a device in reports: a GPU's own name, or ``cpu``."""
    return device if device == "cpu" else f"{device}: {torch.cuda.get_device_name()}"
