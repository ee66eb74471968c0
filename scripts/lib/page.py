"""Headings, paragraphs and tables as Markdown and as HTML, with special characters escaped."""

import html
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parents[1] / "templates"
# special in Markdown, not in HTML: code, table borders, links, fences and headings
MARKDOWN = str.maketrans({character: f"&#{ord(character)};" for character in "\\`|[~#"})


class Noted(str):
    """A cell with a note, which HTML shows when the cell is pointed at or tapped; Markdown leaves it out."""

    note: str

    def __new__(cls, text: str, note: str) -> "Noted":
        """The text of a cell and its note."""
        cell = super().__new__(cls, text)
        cell.note = note
        return cell


class Section(NamedTuple):
    """A part of a page: paragraphs (empty ones are left out) and a table, with numbers from the third column on."""

    heading: str
    text: list[str]
    header: list[str]
    lines: list[list[str]]


def in_markdown(value: object) -> str:
    """A value as one line of Markdown; ``Markup`` is already Markdown."""
    if isinstance(value, Markup):
        return value
    return html.escape(" ".join(str(value).split()), quote=False).translate(MARKDOWN)


def table(header: list[str], lines: Iterable[list[str]]) -> Markup:
    """A table in Markdown."""
    rows = ["| " + " | ".join(map(in_markdown, cells)) + " |" for cells in [header, *lines]]
    return Markup("\n".join([rows[0], "|---|---" + "|---:" * (len(header) - 2) + "|", *rows[1:]]))


def markdown_page(sections: list[Section]) -> str:
    """Sections as a page in Markdown."""
    parts = []
    for section in sections:
        parts += [f"{'##' if parts else '#'} {in_markdown(section.heading)}", *map(in_markdown, section.text)]
        parts.append(table(section.header, section.lines))
    return "\n\n".join(filter(None, parts)) + "\n"


def render(template: str, **values: object) -> str:
    """A template of ``scripts/templates``, HTML or Markdown by its name, filled with values."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    if template.endswith(".html.jinja"):
        environment.autoescape = True
        environment.globals |= {"zip": lambda *columns: zip(*columns, strict=True)}
    else:
        environment.finalize = in_markdown
    return environment.get_template(template).render(values)
