"""Markdown: every text reads as itself, and none of it becomes markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tui_loop.core.report.document import (
    Document,
    Fields,
    Heading,
    Items,
    Paragraph,
    Quote,
    Raw,
    Table,
)
from tui_loop.core.report.facts import Line
from tui_loop.core.report.markdown import MARK, code, fenced, markdown, prose, spark
from tui_loop.core.text.untrusted import one_line, visible

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])

HOSTILE = [
    *("# no heading", "## x ##", "- no item", "+ x", "1. x", "1) x", "> x", "***", "---", "___"),
    *(
        "*a*",
        "_a_",
        "__a__",
        "a_b_c",
        "**a**",
        "~~a~~",
        "`a`",
        "``a",
        "a`",
        "[a](http://b)",
        "![a](b)",
    ),
    *("<script>alert(1)</script>", "<b>", "<!--", "&lt;b&gt;", "&#60;", "a | b", "|", "\\|", "\\"),
    *("\\*a\\*", "http://x.example/a_b", "www.x.example", "me@x.example", "[a]: http://b", "[^1]"),
    *(
        "$a$",
        "a  \nb",
        "```\nx\n```",
        "\x1b[31mred",
        "\u202eabc",
        "    code",
        "\tcode",
        "=",
        "===",
        "",
    ),
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=40),
    st.text(alphabet="`*_[]()<>#+-.!|~$&\\:@=1 ax\n", max_size=16),
)


def read(text: str) -> list[Token]:
    return READER.parse(text)


def said_in(token: Token) -> str:
    """The words of a line; anything but words and code is markup."""
    kinds = {child.type for child in token.children or []}
    assert kinds <= {"text", "code_inline", "text_special"}, (kinds, token.content)
    return "".join(child.content for child in token.children or [])


@given(TEXTS)
def test_a_line_of_prose_reads_as_the_text(text: str) -> None:
    tokens = read(prose(text, at_start=True))
    if not one_line(text):
        assert tokens == []
        return
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert said_in(tokens[1]) == one_line(text)


@given(TEXTS)
def test_a_heading_stays_one(text: str) -> None:
    tokens = read(markdown(Document("t", "m", (Heading(2, f"x {text}"),))).removeprefix(MARK))
    assert [token.type for token in tokens] == ["heading_open", "inline", "heading_close"]
    assert said_in(tokens[1]) == one_line(f"x {text}")


@given(TEXTS)
def test_data_within_a_line_is_code(text: str) -> None:
    tokens = read(f"x {code(text)}")
    assert said_in(tokens[1]).removeprefix("x").strip() == one_line(text).strip()


@given(TEXTS, TEXTS)
def test_a_cell_stays_in_its_cell(one: str, other: str) -> None:
    table = Table(("a", "b", "c"), ((one, Raw(other), "end"),))
    tokens = read(markdown(Document("t", "m", (table,))).removeprefix(MARK))
    assert tokens[0].type == "table_open"
    cells = [said_in(token) for token in tokens if token.type == "inline"]
    assert len(cells) == 6
    assert cells[3].strip() == one_line(one).strip()
    assert cells[4].strip() == one_line(other).strip()
    assert cells[5] == "end"


@given(TEXTS)
def test_data_in_full_cannot_end_its_block(text: str) -> None:
    [block] = read(fenced(text))
    assert block.type == "fence"
    assert block.content.rstrip("\n") == visible(text).rstrip("\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_document_adds_a_block_to_it(text: str) -> None:
    def kinds(word: str) -> list[str]:
        blocks = (
            Heading(1, word),
            Paragraph(f"{word} x"),
            Fields(((f"a {word}", f"b {word}"),)),
            Items((f"x {word}", "y")),
            Quote((("said", f"{word}\n\nx"),)),
        )
        return [token.type for token in read(markdown(Document("t", "m", blocks)))]

    assert kinds(text) == kinds("word")


def test_no_control_sign_reaches_the_file() -> None:
    blocks = (Paragraph("a\x1b[2Jb"), Quote((("said", "a\x07\nb\u202e"),)))
    told = markdown(Document("t", "m", blocks))
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "\u202e" not in told
    assert "␛" in told


def test_a_curve_is_a_line_of_bars() -> None:
    assert spark(Line((1, 2, 3), (3.0, 2.0, 1.0), 3)) == "█▅▁"
    assert spark(Line((1, 2), (1.0, 1.0), 2)) == "▁▁"
    assert len(spark(Line(tuple(range(500)), tuple(map(float, range(500))), 500))) == 60


def test_what_failed_and_its_texts_are_one_list() -> None:
    failed = Fields((("Failed", "example 1"),))
    texts = Quote((("prompt", "a"), ("said", "b")))
    told = markdown(Document("t", "m", (failed, texts, failed, texts)))
    assert told == MARK + (
        "- **Failed:** example 1\n- **prompt:** `a`\n- **said:** `b`\n\n"
        "- **Failed:** example 1\n- **prompt:** `a`\n- **said:** `b`\n"
    )
