"""The gate between texts and a page."""

from __future__ import annotations

from html import escape

from tui_loop.core.text.untrusted import visible


def text_of(text: str) -> str:
    """A text for anywhere in a page or a picture: visible, and nothing of it is markup."""
    return escape(visible(text), quote=True)
