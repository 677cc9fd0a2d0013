"""Text in cells of a terminal: gated, cut and padded to a width."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui_loop.core.text import visible

_FLAT = str.maketrans({"\n": "↵", "\t": " "})


def width_of(text: str) -> int:
    """Cells that `text` takes."""
    return cell_len(text)


def flat(text: str, limit: int = 2_000) -> str:
    """`text` on one line, gated: what a terminal would obey is visible instead."""
    return visible(text, limit).translate(_FLAT)


def sign_for_sign(text: str) -> str:
    """`text` gated as by `flat`, but exactly as long as it is."""
    shown = (flat(sign) for sign in text)
    return "".join(sign if len(sign) == 1 else "\ufffd" for sign in shown)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells; what is too long ends in `…`."""
    if width <= 0:
        return ""
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…"
    pad = " " * (width - size)
    return pad + text if right else text + pad
