"""Headings, paragraphs and tables as Markdown and as HTML, and what stands for something else there, escaped.

A section is a ``heading``, ``text`` (paragraphs, of which empty ones are left out), and a table: its ``header`` and
``lines`` of cells, of which all but the first two are numbers.
"""

import html
from collections.abc import Iterable

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

# what is no HTML, but code, a table's border, a link, a fence or a heading
MARKDOWN = str.maketrans({character: f"&#{ord(character)};" for character in "\\`|[~#"})
HTML = """\
<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Summary</title>
<style>
.summary { font: 15px/1.5 sans-serif; margin: 1.5em; max-width: 80em }
.summary div { overflow-x: auto }
.summary table { border-collapse: collapse }
.summary th, .summary td { padding: .25em .8em; border-bottom: 1px solid #ccc; text-align: right; white-space: nowrap }
.summary :is(th, td):nth-child(-n+2) { text-align: left }
</style>
<div class="summary">
{% for section in sections %}
<h2>{{ section.heading }}</h2>
{% for paragraph in section.text if paragraph %}
<p>{{ paragraph }}</p>
{% endfor %}
<div><table>
<tr>{% for name in section.header %}<th>{{ name }}</th>{% endfor %}</tr>
{% for cells in section.lines %}
<tr>{% for value in cells %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
</div>
</html>
"""


def in_markdown(value: object) -> str:
    """A value as a line of Markdown shows it; ``Markup`` is Markdown already."""
    if isinstance(value, Markup):
        return value
    return html.escape(" ".join(str(value).split()), quote=False).translate(MARKDOWN)


def table(header: list[str], lines: Iterable[list[str]]) -> Markup:
    """A table in Markdown."""
    rows = ["| " + " | ".join(map(in_markdown, cells)) + " |" for cells in [header, *lines]]
    return Markup("\n".join([rows[0], "|---|---" + "|---:" * (len(header) - 2) + "|", *rows[1:]]))


def markdown_page(sections: list[dict]) -> str:
    """Sections as a page in Markdown."""
    parts = []
    for section in sections:
        parts += [f"{'##' if parts else '#'} {in_markdown(section['heading'])}", *map(in_markdown, section["text"])]
        parts.append(table(section["header"], section["lines"]))
    return "\n\n".join(filter(None, parts)) + "\n"


def filled(template: str, **values: object) -> str:
    """A Jinja template of Markdown with values in their places."""
    environment = Environment(finalize=in_markdown, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(template).render(values)


def html_page(sections: list[dict]) -> str:
    """Sections as a page in HTML."""
    environment = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(HTML).render(sections=sections)
