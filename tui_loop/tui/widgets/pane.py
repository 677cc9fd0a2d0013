"""A framed pane of the workbench with a number and a title."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from tui_loop.tui.cells import flat


class Pane(Vertical):
    """The frame of one of the five panes; `scope` names its actions."""

    DEFAULT_CSS = """
    Pane {
        border: round $frame;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $style-muted;
        background: $background;
        padding: 0;
        &:focus-within { border: round $style-accent; border-title-color: $style-accent; }
        &:nocolor:focus-within { border-title-style: bold reverse; }
    }
    """

    scope = ""

    @property
    def main(self) -> Widget:
        """The widget within that takes the keys."""
        raise NotImplementedError

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Sets the frame's texts; draws nothing if they are the same."""
        entitle(self, title, subtitle)


def entitle(widget: Widget, title: str, subtitle: str = "") -> None:
    """Sets a frame's texts as plain text, never as markup."""
    for name, text in (("border_title", title), ("border_subtitle", subtitle)):
        fresh = Content(flat(text)) if text else None
        if str(getattr(widget, name) or "") != str(fresh or ""):
            setattr(widget, name, fresh)
