"""A `python` that forks from a process in which large libraries are imported already, which takes most of a small job.

Snakemake and the scripts of ``HEAVY`` run in such a fork, with the arguments, working directory, environment and files
of the `python` that was called; anything else runs in the Python that runs this. Called with a folder, in which it
writes that `python`; it says so with a line, and ends when its standard input does.
"""

import gc
import importlib
import json
import os
import runpy
import select
import socket
import sys
from contextlib import suppress
from pathlib import Path

import polars  # noqa: F401  the rules' code imports it
import pydantic  # noqa: F401
import smart_open  # noqa: F401
import snakemake.cli

HEAVY = ["check_tasks", "check_teacher", "distill", "embed", "evaluate", "export_onnx", "measure_speed", "train"]
# not onnxruntime, which starts a thread that a fork would lack
BERT = "transformers.models.bert.modeling_bert"
IMPORTED = ["mteb.abstasks", "model2vec.distill", "sentence_transformers", BERT]
CLIENT = f"""#!{sys.executable} -IS
import json, os, socket, sys
job = os.path.basename(sys.argv[1]) in {[f"{name}.py" for name in HEAVY]}
if job or sys.argv[1:3] == ["-m", "snakemake"]:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.connect(os.path.join(os.path.dirname(__file__), "jobs" if job else "snakemake"))
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [request.encode()], [0, 1, 2])
    sys.exit(server.recv(1)[0])
os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
"""


def listening(path: Path) -> socket.socket:
    """A socket that takes requests."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(str(path))
    server.listen()
    return server


def requested(server: socket.socket, modules: list[str]) -> list[str]:
    """Fork for each request; return its arguments in the fork, which has its working directory, environment and files.

    The modules are imported in the environment of the first request.
    """
    running: dict[int, tuple[int, socket.socket]] = {}
    while True:
        ready, *_ = select.select([server, sys.stdin, *running], [], [])
        for ended in running.keys() & ready:
            process, client = running.pop(ended)
            os.close(ended)
            with suppress(BrokenPipeError):  # the caller was killed
                client.send(bytes([os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) % 256]))
            client.close()
        if server in ready:
            client = server.accept()[0]
            message, files, *_ = socket.recv_fds(client, 1 << 20, 3)
            arguments, folder, environment = json.loads(message)
            if modules:
                os.environ.update(environment)
            while modules:
                importlib.import_module(modules.pop())
            gc.freeze()  # a collection in a fork would copy all memory
            process = os.fork()
            if not process:
                for number, file in enumerate(files):
                    os.dup2(file, number)
                os.chdir(folder)
                os.environ.clear()
                os.environ.update(environment)
                return arguments
            running[os.pidfd_open(process)] = process, client
            for file in files:
                os.close(file)
        if sys.stdin in ready:
            sys.exit()


def main(folder: Path) -> None:
    """Serve Snakemake in this process and jobs in a fork of it."""
    snakemakes, jobs = (listening(folder / name) for name in ["snakemake", "jobs"])
    python = folder / "python"
    python.write_text(CLIENT, encoding="utf-8")
    python.chmod(0o755)
    print("ready", flush=True)
    if not os.fork():
        sys.argv = requested(jobs, IMPORTED)
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
        runpy.run_path(sys.argv[0], run_name="__main__")
        return
    snakemake.cli.get_argument_parser()  # imports the plugins
    try:
        _, sys.argv[0], *sys.argv[1:] = requested(snakemakes, [])
    except SystemExit:
        os.wait()
        raise
    if os.environ.pop("JOBS_FORK", None):
        sys.executable = str(python)
    sys.exit(snakemake.cli.main())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
