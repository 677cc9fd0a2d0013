"""Text in cells of a terminal: gated, cut and padded to a width."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui_loop.core.text import plain_ascii
from tui_loop.core.text.untrusted import visible

_FLAT = str.maketrans({"\n": "↵", "\t": " "})


class _Cells:
    """What the process draws on: `is_ascii` where its one terminal has no other signs."""

    is_ascii = False


def spell_out(is_ascii: bool) -> None:
    """Whether from now on text is laid out for a terminal of ASCII alone: `->` for an arrow."""
    _Cells.is_ascii = is_ascii


def width_of(text: str) -> int:
    """Cells that `text` takes."""
    return cell_len(_told(text))


def flat(text: str, limit: int = 2_000) -> str:
    """`text` on one line, gated: what a terminal would obey is visible instead."""
    return _told(visible(text, limit).translate(_FLAT))


def sign_for_sign(text: str) -> str:
    """`text` gated as by `flat`, but exactly as long as it is."""
    shown = (visible(sign).translate(_FLAT) for sign in text)
    return "".join(sign if len(sign) == 1 else "\ufffd" for sign in shown)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells; what is too long ends in `…`."""
    if width <= 0:
        return ""
    text = _told(text)
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "…"
    pad = " " * (width - size)
    return pad + text if right else text + pad


def _told(text: str) -> str:
    return plain_ascii.words(text, is_cut=True) if _Cells.is_ascii else text
