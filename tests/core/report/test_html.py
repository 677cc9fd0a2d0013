"""The page: well-formed, self-contained, and no text in it becomes markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.report.document import (
    Block,
    Document,
    Fields,
    Heading,
    Items,
    Link,
    Paragraph,
    Quote,
    Raw,
    RunChart,
    Table,
    TrailChart,
    TrailPoint,
)
from tui_loop.core.report.facts import Curves, Line
from tui_loop.core.report.html import html_page

VOID = {"meta", "!doctype"}
HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></main><h1>x",
    "\" onmouseover='x' a=\"",
    "&lt;b&gt; & <b>",
    "<!-- x",
    "]]>",
    "\x1b[2J\x00\u202e\ud800",
]


class Reading(HTMLParser):
    """The elements of a page and attributes; complains of what is unclosed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def all_blocks(word: str) -> tuple[Block, ...]:
    curves = Curves(Line((1, 2), (2.0, 1.0), 2), Line(), Line((2,), (1.5,), 1))
    return (
        Heading(2, f"x{word}", "x"),
        Paragraph(f"x{word}"),
        Fields(((f"x{word}", Raw(f"x{word}")), ("b", ""))),
        Table((f"x{word}", "b"), ((Link(f"x{word}", "x"), Raw(f"x{word}")),), right=(1,)),
        Items((f"x{word}",)),
        Quote((("said", f"x{word}\ny"), ("wanted", ""))),
        RunChart(f"x{word}", curves),
        TrailChart(f"x{word}", (TrailPoint(0, 0.5, 0.2, 0.7), TrailPoint(2, 1.0)), (1,), 2, True),
    )


def report_text(word: str) -> str:
    return html_page(Document(f"t{word}", f"m{word}", all_blocks(word)))


@pytest.mark.parametrize("word", HOSTILE)
def test_no_text_adds_an_element_or_an_attribute(word: str) -> None:
    hostile, plain = Reading(report_text(word)), Reading(report_text("word"))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [[name for name, _ in attrs] for _, attrs in hostile.tags] == [
        [name for name, _ in attrs] for _, attrs in plain.tags
    ]


@given(st.text(max_size=30))
def test_any_text_leaves_the_page_whole(word: str) -> None:
    told = html_page(Document("t", "m", (Paragraph(word), Quote((("said", f"a\n{word}"),)))))
    assert [tag for tag, _ in Reading(told).tags][-4:] in (
        ["main", "p", "p", "pre"],
        ["p", "p", "pre"],
    )
    told.encode("utf-8")


def test_no_control_sign_reaches_the_page() -> None:
    told = report_text("\x1b[2J\x00\u202e")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", told)


def test_the_page_has_no_script_and_asks_for_nothing_from_elsewhere() -> None:
    told = report_text("word")
    tags = Reading(told).tags
    assert not {"script", "link", "img", "iframe", "object", "form"} & {tag for tag, _ in tags}
    names = {name for _, attrs in tags for name, _ in attrs}
    assert not {"src", "style"} & names
    assert not [name for name in names if name.startswith("on")]
    assert all(
        (value or "").startswith("#")
        for _, attrs in tags
        for name, value in attrs
        if name == "href"
    )
    assert "default-src 'none'" in told
    assert set(re.findall(r"https?://[^\"' ]+", told)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in told
    assert "@import" not in told


def test_it_is_made_for_a_phone_for_the_dark_and_for_print() -> None:
    told = report_text("word")
    for wanted in ("width=device-width", "prefers-color-scheme:dark", "@media print", "lang="):
        assert wanted in told


def test_its_pictures_are_xml_with_a_name() -> None:
    pictures = re.findall(r"<svg.*?</svg>", report_text("<&\"'"), re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert root.get("aria-label") == "x<&\"'"
