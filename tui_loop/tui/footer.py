"""The keys that matter here, as pieces of the bottom line; a click on one does what it says."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.tui.actions import BY_ID, keys_of
from tui_loop.tui.widgets.bar import Piece

HOMES = {"app": "app", "list": "focused", "sheet": "focused"}
"""Whose the actions of a scope are, where they are not the screen's."""


def key_pieces(ids: Sequence[str], keymap: dict[str, str], *, typing: bool = False) -> list[Piece]:
    """The named actions: key, word. `typing`: while a sign that is typed is no key."""
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
