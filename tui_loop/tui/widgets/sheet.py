"""Text to read: paragraphs of styled spans, wrapped to the width, scrolled by line and page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from textual.geometry import Size
from textual.strip import Strip

from tui_loop.tui.cells import flat, width_of
from tui_loop.tui.keys import bindings
from tui_loop.tui.widgets.styled_lines import Span, StyledLines

MAX_PARAGRAPH = 100_000
"""Most characters of a paragraph that are shown; a text of megabytes is cut here."""


class Sheet(StyledLines, can_focus=True):
    """Shows lines of spans; a long line wraps, indented by the width of its first span."""

    BINDINGS = bindings("sheet")
    DEFAULT_CSS = """
    Sheet { height: 1fr; overflow-x: hidden; padding: 0 1; &.-note { overflow-y: hidden; } }
    """

    def __init__(
        self,
        lines: Sequence[Sequence[Span]] = (),
        *,
        id: str | None = None,
        is_note: bool = False,
    ) -> None:
        """`is_note`: a short text without focus or scrolling; lines that do not fit are hidden."""
        super().__init__(id=id)
        if is_note:
            self.can_focus = False
            self.add_class("-note")
        self._lines: list[list[Span]] = [list(line) for line in lines]
        self._wrapped: list[list[Span]] = []
        self._wrapped_for = -1
        self._found: int | None = None
        """The wrapped line that a search found."""

    def show(self, lines: Sequence[Sequence[Span]], *, keep_place: bool = False) -> None:
        """Replaces the text; draws nothing if it is the same."""
        fresh = [list(line) for line in lines]
        if fresh == self._lines:
            return
        self._lines, self._wrapped_for, self._found = fresh, -1, None
        self._lay_out()
        if not keep_place:
            self.scroll_to(y=0, animate=False, force=True, immediate=True)
        self.refresh()

    @property
    def text(self) -> str:
        """The text, without styles."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def on_resize(self) -> None:
        self._lay_out()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if self._width != self._wrapped_for:  # the last layout is of when it was hidden
            self._lay_out()
        index = y + round(self.scroll_y)
        width = self.inner_width
        parts = self._wrapped[index] if 0 <= index < len(self._wrapped) else []
        style = self.style_of("cursor") if index == self._found else None
        return self.styled(parts, width, style)

    def action_page_down(self) -> None:
        self.scroll_relative(y=max(1, self.size.height - 1), animate=False)

    def action_page_up(self) -> None:
        self.scroll_relative(y=-max(1, self.size.height - 1), animate=False)

    def action_scroll_up(self) -> None:
        self.scroll_relative(y=-1, animate=False)

    def action_scroll_down(self) -> None:
        self.scroll_relative(y=1, animate=False)

    def action_scroll_home(self) -> None:
        self.scroll_home(animate=False)

    def action_scroll_end(self) -> None:
        self.scroll_end(animate=False)

    def texts(self) -> Iterator[str]:
        """Yields the text of every line to search in."""
        for line in self._wrapped:
            yield "".join(part for part, _ in line)

    @property
    def search_place(self) -> int:
        """The line from which a search continues: the last match, else the first line in view."""
        return self._found if self._found is not None else round(self.scroll_y)

    def show_match(self, index: int | None) -> None:
        """Scrolls to a line that was found and highlights it; None: highlights none."""
        self._found = index
        if index is not None:
            self.scroll_to(y=max(0, index - self.size.height // 3), animate=False, force=True)
        self.refresh()

    @property
    def _width(self) -> int:
        """Cells of a line, with room for a bar, so that none covers it."""
        bar = 0 if self.has_class("-note") else self.scrollbar_size_vertical
        return max(1, self.size.width - bar)

    def _lay_out(self) -> None:
        width = self._width
        if width != self._wrapped_for:
            self._wrapped_for = width
            self._wrapped = [piece for line in self._lines for piece in wrapped(line, width)]
        self.virtual_size = Size(self.size.width, len(self._wrapped))


def wrapped(parts: Sequence[Span], width: int) -> list[list[Span]]:
    """A line broken into lines of at most `width` cells, between words where possible.

    Line ends within a text begin a new line; further lines are indented under the second part.
    """
    indent = width_of(parts[0][0]) if len(parts) > 1 else 0
    indent = indent if indent < width // 2 else 0
    lines: list[list[Span]] = [[]]
    used = 0

    def begin() -> None:
        nonlocal used
        lines.append([(" " * indent, "")] if indent else [])
        used = indent

    for text, style in parts:
        for number, piece in enumerate(text[:MAX_PARAGRAPH].split("\n")):
            if number:
                begin()
            for word in _words(flat(piece, MAX_PARAGRAPH)):
                size, text_of_word = width_of(word), word
                if used + size > width and used > indent:
                    begin()
                    text_of_word = word.lstrip(" ")
                    size -= len(word) - len(text_of_word)
                if used + size <= width:
                    lines[-1].append((text_of_word, style))
                    used += size
                    continue
                for place, chunk in enumerate(_chunks(text_of_word, width - used, width - indent)):
                    if place:
                        begin()
                    lines[-1].append((chunk, style))
                    used += width_of(chunk)
    return [_joined(line) for line in lines]


def _words(text: str) -> list[str]:
    """Words, each with the blanks before it."""
    words: list[str] = []
    start = at = 0
    while at < len(text):
        while at < len(text) and text[at] == " ":
            at += 1
        while at < len(text) and text[at] != " ":
            at += 1
        words.append(text[start:at])
        start = at
    return words


def _chunks(word: str, first: int, width: int) -> Iterator[str]:
    """A word in pieces: `first` cells, then `width` cells each, at least one character each."""
    start = used = 0
    room = first
    for at, sign in enumerate(word):
        size = 1 if sign.isascii() else width_of(sign)
        if used + size > room and at > start:
            yield word[start:at]
            start, used, room = at, 0, width
        used += size
    yield word[start:]


def _joined(line: list[Span]) -> list[Span]:
    """Merges neighbouring spans of one style."""
    joined: list[Span] = []
    for text, style in line:
        if joined and joined[-1][1] == style:
            joined[-1] = joined[-1][0] + text, style
        else:
            joined.append((text, style))
    return joined
