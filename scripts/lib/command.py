"""What every script's command line shares: one clear line for a user's mistake."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

PRIVATE = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HOME"]


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


def run(main: Callable[[list[str]], None]) -> None:
    """Run a script's ``main`` on the command line's arguments.

    An ``InputError``, or a file system that refuses (full, read-only), ends the process with one line and exit
    code 1; other exceptions are bugs and keep their traceback.
    """
    try:
        main(sys.argv[1:])
    except (InputError, OSError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: error: {first_line(error)}")
