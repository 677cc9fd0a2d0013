"""What travels with the program: sample data, the tiny base, the recorded loop."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.errors import TuiLoopError

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(*parts: str) -> Path:
    """The path of shipped material, e.g. `shipped("sample_data", "tiny-base")`.

    In an installed package it lies within the package; in a checkout beside it.
    """
    for root in (_PACKAGE / "_shipped", _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise TuiLoopError(f"{'/'.join(parts)} is missing from this installation", "reinstall tui-loop")
