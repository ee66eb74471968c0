"""Distributions of a Python package index, which pip's settings name."""

import subprocess
import sys
from typing import TYPE_CHECKING

from lib.job.command import InputError
from lib.plan.sources import Source

if TYPE_CHECKING:
    from unearth import Link, PackageFinder


def package_indexes() -> dict[str, list[str]]:
    """The addresses under ``index-url``, ``extra-index-url`` and ``find-links`` in pip's settings and environment."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    addresses: dict[str, list[str]] = {"index-url": [], "extra-index-url": [], "find-links": []}
    for section in ["global", ":env:"]:  # the environment overrides the settings
        for line in listed.stdout.splitlines():
            key, _, value = line.partition("=")
            name = key.removeprefix(f"{section}.")
            if name != key and name in addresses:
                addresses[name] = value.strip("'\"").split()
    return addresses


def find_distribution(source: Source) -> "tuple[PackageFinder, Link]":
    """The distribution that a ``package:`` source names, and the client that found it.

    Raises:
        InputError: the index has no file with that sha256.
    """
    from unearth import PackageFinder

    indexes = package_indexes()
    finder = PackageFinder(
        index_urls=indexes["index-url"], ignore_compatibility=True
    )  # the public index if none is set
    for url in indexes["extra-index-url"]:
        finder.add_index_url(url)
    for url in indexes["find-links"]:
        finder.add_find_links(url)
    name = source.name.partition("==")[0]
    links = [package.link for package in finder.find_all_packages(name, allow_yanked=True)]
    if not links:
        raise InputError(f"package {source.name}: expected its files on the index, found none, or no answer")
    for link in links:
        if source.pin in (link.hash_option or {}).get("sha256", []):
            return finder, link
    raise InputError(f"package {source.name}: the index has no file with sha256 {source.pin}")
