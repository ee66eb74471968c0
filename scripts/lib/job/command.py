"""What every script's command line shares: one clear line for a user's mistake."""

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
    """A mistake in what the user gave; its text names the file, key or row, what was found and what was expected."""


def first_line(error: Exception) -> str:
    """The first line of an exception's text, without what the environment keeps to itself: token, endpoint, cache."""
    text = str(error).partition("\n")[0]
    for name in PRIVATE:
        value = os.environ.get(name, "")
        for part in filter(None, [value, urlsplit(value).netloc]):
            text = text.replace(part, f"${name}")
    return text


def is_running(pid: int) -> bool:
    """Whether a process of this host runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end_with(pid: int) -> None:
    """Interrupt this process, and end it a minute later, once the process ``pid`` is gone."""
    while is_running(pid):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    interrupt_main(signal.SIGTERM)
    time.sleep(60)
    os._exit(1)


def run(main: Callable[[list[str]], None]) -> None:
    """Run a script's ``main`` on the command line's arguments.

    An ``InputError``, a file system that refuses (full, read-only), an interrupt or the end of the workflow's process
    (``WORKFLOW_PID``) ends this one with one line and exit code 1; other exceptions are bugs and keep their traceback.
    """
    # a scheduler sends it; an interrupt is ignored in the background
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a killed Snakemake leaves its jobs, and a late one would replace what the next run has made with other settings
    workflow = int(os.environ.get("WORKFLOW_PID", 0))
    if workflow and is_running(workflow):  # in a container it may be out of sight
        Thread(target=end_with, args=[workflow], daemon=True).start()
    try:
        main(sys.argv[1:])
    except (InputError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {first_line(error)}")
    except Exception as error:
        if not re.search(r"\(os error \d+\)", str(error)):  # as safetensors and polars tell of a full disk
            raise
        sys.exit(f"{Path(sys.argv[0]).name}: error: {first_line(error)}")
    except KeyboardInterrupt:
        sys.exit(f"{Path(sys.argv[0]).name}: interrupted")
