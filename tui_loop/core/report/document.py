"""A document as blocks, before it is written as Markdown or HTML.

A text is prose of our own or of the record, set in words; `Raw` is data, set as it is. Neither is
ever read as markup.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.report.facts import Curves

SHORT = 240
"""Characters of a line of data."""


class Raw(msgspec.Struct, frozen=True):
    """Text of data, for a place within a line or a cell."""

    text: str


Text = str | Raw

Tone = Literal["", "muted", "good", "bad"]


class Heading(msgspec.Struct, frozen=True):
    """`level` from 1 on; `anchor` is what others link to, of letters, digits and `-`."""

    level: int
    text: str
    anchor: str = ""


class Paragraph(msgspec.Struct, frozen=True):
    text: str
    tone: Tone = ""


class Fields(msgspec.Struct, frozen=True):
    """Labelled texts, one below the other."""

    rows: tuple[tuple[str, Text], ...]


class Link(msgspec.Struct, frozen=True):
    """Words that lead to a heading of the same document."""

    text: str
    anchor: str


class Table(msgspec.Struct, frozen=True):
    """`right`: the columns that are set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[Text | Link, ...], ...]
    right: tuple[int, ...] = ()


class Items(msgspec.Struct, frozen=True):
    """A list of texts."""

    texts: tuple[str, ...]


class Quote(msgspec.Struct, frozen=True):
    """Data in full, line breaks and all, each text below its label."""

    texts: tuple[tuple[str, str], ...]

    @property
    def is_short(self) -> bool:
        """Whether each text fits a line, and is the same on it."""
        return all(len(text) <= SHORT and text == " ".join(text.split()) for _, text in self.texts)


class RunChart(msgspec.Struct, frozen=True):
    """The loss of one run over its steps; `is_log`: on a log scale, as all runs of a report."""

    title: str
    curves: Curves
    is_log: bool = False


class TrailPoint(msgspec.Struct, frozen=True):
    """A figure of one iteration, with its interval where there is one."""

    number: int
    value: float
    low: float | None = None
    high: float | None = None


class TrailChart(msgspec.Struct, frozen=True):
    """A figure over the iterations; `best` is marked, `without` have none. `unit` `%` or ``."""

    title: str
    points: tuple[TrailPoint, ...]
    without: tuple[int, ...] = ()
    best: int | None = None
    is_share: bool = False


Block = Heading | Paragraph | Fields | Table | Items | Quote | RunChart | TrailChart


class Document(msgspec.Struct, frozen=True):
    """`maker` wrote it."""

    title: str
    maker: str
    blocks: tuple[Block, ...]
