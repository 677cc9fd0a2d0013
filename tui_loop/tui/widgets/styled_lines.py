"""Lines of styled text; every string passes the gate for untrusted text."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.themes import styles_of

Span = tuple[str, str]
"""(text, style): a style is one of `STYLES`, `strong`, `head`, or empty for plain text."""


class StyledLines(ScrollView):
    """A scrolling widget that draws its own lines."""

    DEFAULT_CSS = """
    StyledLines {
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        scrollbar-color: $frame;
        scrollbar-color-hover: $style-muted;
        scrollbar-color-active: $style-accent;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
        background: $background;
    }
    """

    virtual_size: Reactive[Size] = Reactive(Size(0, 0), layout=False, repaint=False)
    """The scrolled size. It needs no layout, because more lines in a frame move no other widget."""

    _theme_styles: dict[str, Style] | None = None
    _styles_theme = ""

    def watch_virtual_size(self, size: Size) -> None:
        self._scroll_update(size)
        height = self.styles.height
        if height is not None and height.is_auto:
            self.refresh(layout=True)

    @property
    def inner_width(self) -> int:
        """Cells of a line beside the scrollbar."""
        return self.scrollable_content_region.width

    def style_of(self, name: str) -> Style:
        """Returns the style with that name, to be added to the line's own."""
        if self._theme_styles is None or self._styles_theme != self.app.theme:
            self._theme_styles, self._styles_theme = styles_of(self.app), self.app.theme
        return self._theme_styles[name]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self._theme_styles is not None and self._styles_theme != self.app.theme:
            self.refresh()

    def styled(self, parts: Iterable[Span], width: int, line: Style | None = None) -> Strip:
        """A line of exactly `width` cells; `line` is the style beneath all its parts."""
        base = self.rich_style if line is None else self.rich_style + line
        segments, left = [], width
        for text, name in parts:
            if left <= 0:
                break
            shown = flat(text, 4 * left + 8)
            size = width_of(shown)
            if size > left:
                shown, size = fit(shown, left), left
            segments.append(Segment(shown, base + self.style_of(name)))
            left -= size
        if left > 0:
            segments.append(Segment(" " * left, base))
        return Strip(segments, width)
