"""Text for terminal cells: gated, cut and padded to a width."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui_loop.core.text import plain_ascii
from tui_loop.core.text.untrusted import visible

_FLAT = str.maketrans({"\n": "↵", "\t": " "})


class _Cells:
    """State of the process's only terminal: `is_ascii` if it shows ASCII alone."""

    is_ascii = False


def spell_out(is_ascii: bool) -> None:
    """Sets whether text is spelled for a terminal that shows ASCII alone: `->` for an arrow."""
    _Cells.is_ascii = is_ascii


def width_of(text: str) -> int:
    """Cells that `text` takes."""
    return cell_len(_spelled(text))


def flat(text: str, limit: int = 2_000) -> str:
    """`text` on one line, gated: control characters are shown and have no effect."""
    return _spelled(visible(text, limit).translate(_FLAT))


def sign_for_sign(text: str) -> str:
    """`text` gated as by `flat`, but exactly as long as it is."""
    shown = (visible(sign).translate(_FLAT) for sign in text)
    return "".join(sign if len(sign) == 1 else "\ufffd" for sign in shown)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells; what is too long ends in `…`, after a whole word if it can.

    A word is cut where more than half of the width would be lost otherwise.
    """
    if width <= 0:
        return ""
    text = _spelled(text)
    size = cell_len(text)
    if size > width:
        cut = set_cell_size(text, width - 1)
        words = cut.rpartition(" ")[0].rstrip()
        if 2 * cell_len(words) < width:
            return cut + "…"
        return set_cell_size(f"{words} …", width)
    pad = " " * (width - size)
    return pad + text if right else text + pad


def _spelled(text: str) -> str:
    return plain_ascii.words(text, is_cut=True) if _Cells.is_ascii else text
