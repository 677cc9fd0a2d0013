"""The blocks of a document, before it is written as Markdown or HTML.

A `str` is prose; `Raw` is data, shown character by character. Neither is read as markup.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.report.facts import Curves

SHORT = 240
"""Characters of data that fit one line."""


class Raw(msgspec.Struct, frozen=True):
    """Data within a line or a cell."""

    text: str


Text = str | Raw

Tone = Literal["", "muted", "good", "bad"]


class Heading(msgspec.Struct, frozen=True):
    """A heading; `level` from 1, `anchor` for links, of letters, digits and `-`."""

    level: int
    text: str
    anchor: str = ""


class Paragraph(msgspec.Struct, frozen=True):
    text: str
    tone: Tone = ""


class Fields(msgspec.Struct, frozen=True):
    """Labelled texts, one per line."""

    rows: tuple[tuple[str, Text], ...]


class Link(msgspec.Struct, frozen=True):
    """A link to a heading of the same document."""

    text: str
    anchor: str


class Table(msgspec.Struct, frozen=True):
    """A table; `right`: the right-aligned columns."""

    head: tuple[str, ...]
    rows: tuple[tuple[Text | Link, ...], ...]
    right: tuple[int, ...] = ()


class Items(msgspec.Struct, frozen=True):
    """A list of texts."""

    texts: tuple[str, ...]


class Quote(msgspec.Struct, frozen=True):
    """Data in full with its line breaks, each text below its label."""

    texts: tuple[tuple[str, str], ...]

    @property
    def is_short(self) -> bool:
        """Returns whether each text fits one line unchanged."""
        return all(len(text) <= SHORT and text == " ".join(text.split()) for _, text in self.texts)


class RunChart(msgspec.Struct, frozen=True):
    """The loss of one run over its steps; `is_log`: log scale, for all runs alike."""

    title: str
    curves: Curves
    is_log: bool = False


class TrailPoint(msgspec.Struct, frozen=True):
    """A value of one iteration, with its interval where there is one."""

    number: int
    value: float
    low: float | None = None
    high: float | None = None


class TrailChart(msgspec.Struct, frozen=True):
    """A value over the iterations; `best` is marked, `without` have no value."""

    title: str
    points: tuple[TrailPoint, ...]
    without: tuple[int, ...] = ()
    best: int | None = None
    is_share: bool = False


Block = Heading | Paragraph | Fields | Table | Items | Quote | RunChart | TrailChart


class Document(msgspec.Struct, frozen=True):
    """A title, the program that wrote it (`maker`), and the blocks."""

    title: str
    maker: str
    blocks: tuple[Block, ...]
