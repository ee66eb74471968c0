"""What all scripts share: a mistake or an error ends them with one clear line."""

import os
import platform
import re
import signal
import sys
import time
import traceback
from _thread import interrupt_main
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

from lib.job.provenance import commit, versions

PRIVATE = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HOME"]
SECONDS_BETWEEN_LOOKS = 2
NAMED = ["snakemake", "torch", "transformers", "model2vec", "mteb"]  # with an unexpected error


class InputError(Exception):
    """A mistake of the user's; the text names the file, key or row, what was expected and what was found."""

    def __init__(self, text: str) -> None:
        """Take the text; characters in it that cannot be shown, such as line breaks, are escaped."""
        super().__init__("".join(each if each.isprintable() else repr(each)[1:-1] for each in text))


def without_private(text: str) -> str:
    """A text without private values of the environment: token, endpoint, cache."""
    for name in PRIVATE:
        value = os.environ.get(name, "")
        for part in filter(None, [value, urlsplit(value).netloc]):
            text = text.replace(part, f"${name}")
    return text


def first_line(error: BaseException) -> str:
    """The first line of an exception's text without private values; with its class if the text alone says nothing."""
    text = str(error).strip().partition("\n")[0]
    says_nothing = not text or isinstance(error, KeyError)
    return without_private(f"{type(error).__name__} {text}".strip() if says_nothing else text)


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

    An ``InputError``, an error of the file system (full, read-only), too little memory, an interrupt or the end of the
    workflow's process (``WORKFLOW_PID``) ends this process with one line and exit code 1. So do other exceptions, which
    are bugs; their traceback comes before it.
    """
    # schedulers send SIGTERM; a process in the background ignores interrupts
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # a killed Snakemake leaves its jobs running; a late one would overwrite results of the next run
    workflow = int(os.environ.get("WORKFLOW_PID", 0))
    if workflow and is_running(workflow):  # in a container it may not be visible
        Thread(target=end_with, args=[workflow], daemon=True).start()
    script = Path(sys.argv[0]).name
    try:
        main(sys.argv[1:])
    except (InputError, OSError) as error:
        sys.exit(f"{script}: error: {first_line(error)}")
    except MemoryError as error:
        sys.exit(f"{script}: error: out of memory: {first_line(error)}")
    except BrokenProcessPool:
        sys.exit(f"{script}: error: a worker process was killed; if memory ran out, use fewer threads")
    except KeyboardInterrupt:
        sys.exit(f"{script}: interrupted")
    except Exception as error:
        if re.search(r"\(os error \d+\)", str(error)):  # how safetensors and polars report a full disk
            sys.exit(f"{script}: error: {first_line(error)}")
        print(without_private(traceback.format_exc()), file=sys.stderr)
        kind, found = type(error).__name__, {"python": platform.python_version()} | versions(*NAMED)
        sys.exit(
            f"{script}: error: unexpected {kind}: {first_line(error).removeprefix(kind).strip()} (traceback above; "
            f"commit {commit()}; {', '.join(map(' '.join, found.items()))})"
        )
