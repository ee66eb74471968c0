"""What all scripts share: a user's mistake ends them with one clear line."""

import os
import re
import signal
import sys
import time
from _thread import interrupt_main
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

PRIVATE = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HOME"]
SECONDS_BETWEEN_LOOKS = 2


class InputError(Exception):
    """A mistake of the user's; the text names the file, key or row, what was expected and what was found."""


def first_line(error: Exception) -> str:
    """The first line of an exception's text, without private values of the environment: token, endpoint, cache."""
    text = str(error).partition("\n")[0]
    for name in PRIVATE:
        value = os.environ.get(name, "")
        for part in filter(None, [value, urlsplit(value).netloc]):
            text = text.replace(part, f"${name}")
    return text


def is_running(pid: int) -> bool:
    """Whether a process runs on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_with(pid: int) -> None:
    """Once the process ``pid`` is gone, interrupt this process, and end it a minute later."""
    while is_running(pid):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    interrupt_main(signal.SIGTERM)
    time.sleep(60)
    os._exit(1)


def run(main: Callable[[list[str]], None]) -> None:
    """Run a script's ``main`` on the command line's arguments.

    An ``InputError``, an error of the file system (full, read-only), an interrupt or the end of the workflow's process
    (``WORKFLOW_PID``) ends this process with one line and exit code 1. Other exceptions are bugs and keep their
    traceback.
    """
    # schedulers send SIGTERM; a process in the background ignores interrupts
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a killed Snakemake leaves its jobs running; a late one would overwrite results of the next run
    workflow = int(os.environ.get("WORKFLOW_PID", 0))
    if workflow and is_running(workflow):  # in a container it may not be visible
        Thread(target=end_with, args=[workflow], daemon=True).start()
    try:
        main(sys.argv[1:])
    except (InputError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {first_line(error)}")
    except Exception as error:
        if not re.search(r"\(os error \d+\)", str(error)):  # how safetensors and polars report a full disk
            raise
        sys.exit(f"{Path(sys.argv[0]).name}: error: {first_line(error)}")
    except KeyboardInterrupt:
        sys.exit(f"{Path(sys.argv[0]).name}: interrupted")
