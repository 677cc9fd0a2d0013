"""A single line of parts, left and right, some of which can be clicked, such as keys."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from textual import events
from textual.strip import Strip

from tui_loop.tui.actions import BY_ID
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.keys import keys_of
from tui_loop.tui.widgets.styled_lines import StyledLines


class Piece(msgspec.Struct, frozen=True):
    """A part of a bar; a click on it runs `action` on the screen."""

    text: str
    style: str = ""
    action: str = ""


class Bar(StyledLines, can_focus=False):
    """One line; what has no room on the left is cut, the right side stays."""

    DEFAULT_CSS = "Bar { height: 1; overflow: hidden hidden; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._left: tuple[Piece, ...] = ()
        self._right: tuple[Piece, ...] = ()

    def show(self, left: Sequence[Piece], right: Sequence[Piece] = ()) -> None:
        """Replaces the line; draws nothing if it is the same."""
        if (tuple(left), tuple(right)) != (self._left, self._right):
            self._left, self._right = tuple(left), tuple(right)
            self.refresh()

    @property
    def text(self) -> str:
        """The line's text, the two sides apart by blanks."""
        sides = ("".join(piece.text for piece in side) for side in (self._left, self._right))
        return "  ".join(sides)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        return self.styled([(piece.text, piece.style) for piece in self._arranged(width)], width)

    async def on_click(self, event: events.Click) -> None:
        at = 0
        for piece in self._arranged(self.size.width):
            at += width_of(flat(piece.text))
            if event.x < at:
                if piece.action:
                    await self.app.run_action(piece.action, default_namespace=self.screen)
                return

    def _arranged(self, width: int) -> list[Piece]:
        """The pieces that have room, with the blanks between the two sides."""
        right = list(self._right)
        room = width - sum(width_of(flat(piece.text)) for piece in right)
        if room < 0:
            right, room = [], width
        kept: list[Piece] = []
        left = list(self._left)
        if left and not right:  # blanks at the end of the line need no room
            left[-1] = msgspec.structs.replace(left[-1], text=left[-1].text.rstrip())
        for piece in left:
            size = width_of(flat(piece.text))
            if size > room:
                if not kept:
                    kept.append(msgspec.structs.replace(piece, text=fit(flat(piece.text), room)))
                    room = 0
                elif kept[-1].style == "accent":  # a key is not shown without its word
                    room += width_of(flat(kept.pop().text))
                break
            kept.append(piece)
            room -= size
        return [*kept, Piece(" " * room), *right]


HOMES = {"app": "app", "list": "focused", "sheet": "focused"}
"""Textual's namespaces of the scopes whose actions do not belong to the screen."""


def key_pieces(ids: Sequence[str], keymap: dict[str, str], *, typing: bool = False) -> list[Piece]:
    """The named actions: key, word. `typing`: prefers keys that type no character."""
    pieces = [Piece(" ")]
    for name in ids:
        action = BY_ID[name]
        words = f" {action.short or action.description}  "
        keys = keys_of(action, keymap)
        longer = [key for key in keys if len(key) > 1]
        key = longer[0] if typing and longer else keys[0]
        pieces.append(Piece(key, "accent"))
        home = HOMES.get(action.scope, "screen")
        pieces.append(Piece(words, "muted", f"{home}.{action.call}"))
    return pieces
