"""Texts of a config and names stay texts in every format."""

from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from markupsafe import Markup

from lib import page
from lib.page import Section, in_markdown, markdown_page, render, table

TEXTS = [
    "</script><script>alert(1)</script>",
    "<!-- a comment",
    "one | two",
    "one \\| two",
    "`one` & `two`",
    "[here](https://example.org) and ![there](https://example.org)",
    "# no heading",
    "~~~ no fence",
    "&lt;b&gt; &#124;",
    "two\n\nparagraphs\r\n| and | rows |",
]
BLOCKS = {"heading", "paragraph", "inline", "table", "thead", "tbody", "tr", "th", "td"}


def shown(markdown):
    """What a reader sees of Markdown, paragraph by paragraph and cell by cell; nothing but tables may have markup."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(markdown):
        assert token.type.partition("_")[0] in BLOCKS, token
        if token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special"}, token
            found.append("".join(child.content for child in token.children))
    return found


def sections(text):
    """Two sections that hold a text wherever one may stand."""
    return [Section(text, [text, ""], [text] * 3, [[text] * 3])] * 2


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_shown_as_it_is_in_markdown(text, monkeypatch, tmp_path):
    monkeypatch.setattr(page, "TEMPLATES", tmp_path)
    (tmp_path / "text.md.jinja").write_text("It is {{ text }}.\n\n{{ table }}")
    line = " ".join(text.split())
    assert shown(markdown_page(sections(text))) == [line] * 16
    markdown = render("text.md.jinja", text=text, table=table(["a", "b"], [[text, text]]))
    assert shown(markdown) == [f"It is {line}.", "a", "b", line, line]


def test_what_is_markdown_already_stays():
    assert in_markdown(Markup("`a | b`")) == "`a | b`"


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_shown_as_it_is_in_html(text):
    tags, data = [], []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append(tag)
    parser.handle_comment = parser.unknown_decl = tags.append
    parser.handle_data = data.append
    parser.feed(render("page.html.jinja", sections=sections(text), plots=[]))
    known = "html head meta title style body h1 h2 nav a p div table thead tr th button tbody td script"
    assert set(tags) == set(known.split())
    assert (
        " ".join("".join(data).split()).count(" ".join(text.split())) == 18
    )  # the page's title and the list of sections too
