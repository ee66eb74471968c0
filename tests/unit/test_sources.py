"""Sources: three forms of one line of text."""

import re

import pytest

from lib.job.command import InputError
from lib.plan.sources import Source, parse_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA = COMMIT + "89abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"hub:owner/na-me.v1@{COMMIT}", Source("hub", "owner/na-me.v1", COMMIT, "")),
        (f"hub:owner/name@{COMMIT}/en/*.json.gz", Source("hub", "owner/name", COMMIT, "en/*.json.gz")),
        (f"package:nltk-data==1.0+x/a/b@{SHA}", Source("package", "nltk-data==1.0+x", SHA, "a/b")),
        (f"package:nltk==1.0/a/@{SHA}", Source("package", "nltk==1.0", SHA, "a")),
        ("path:/some/where/", Source("path", "", "", "/some/where")),
        ("path:../beside the checkout", Source("path", "", "", "../beside the checkout")),
    ],
)
def test_the_three_forms_parse(text, expected):
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path:",
        "/some/where",
        "huub:owner/name@" + COMMIT,
        "hub:owner/name@main",
        "hub:owner/name",
        "hub:name@" + COMMIT,
        "hub:owner/name@" + COMMIT[:-1],
        "hub:owner/name@" + COMMIT.upper(),
        "hub:owner/name@" + COMMIT + "0",
        "package:name==1.0/a@" + SHA[:-1],
        "package:name/a@" + SHA,
        "package:name==1.0@" + SHA,
        "package:name==1.0/a",
    ],
)
def test_anything_else_is_refused_with_the_text_and_what_was_expected(text):
    with pytest.raises(InputError, match="hub:owner/name@") as raised:
        parse_source(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        f"hub:owner/name@{COMMIT}/../etc",
        f"hub:owner/name@{COMMIT}/a/../../etc",
        f"hub:owner/name@{COMMIT}//etc",
        f"package:name==1.0/a/..@{SHA}",
        f"package:name==1.0//etc@{SHA}",
    ],
)
def test_a_path_that_leaves_its_folder_is_refused(text):
    with pytest.raises(InputError, match=re.escape(text)):
        parse_source(text)


def test_slugs_tell_paths_and_pins_apart_and_are_file_names():
    texts = [
        f"package:name==1.0/a@{SHA}",
        f"package:name==1.0/b@{SHA}",
        f"package:name==1.0/b@{SHA[::-1]}",
        f"hub:owner/name@{COMMIT}",
        f"hub:other/name@{COMMIT}",
    ]
    slugs = [parse_source(text).slug for text in texts]
    assert len(set(slugs)) == len(texts)
    assert all(slug.startswith("name-") and "/" not in slug and "=" not in slug for slug in slugs)
    assert parse_source(texts[0]).slug == slugs[0]
