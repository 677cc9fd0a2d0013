"""The question whether foreign code may run: its files, and where to read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tui_loop.core.consent import ForeignCode
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.widgets.toned import Part

FILES_SHOWN = 5
HASH_DIGITS = 12


class ConsentScreen(AskScreen):
    """Gives "allow" where the code may run, "" where it may not."""

    def __init__(self, code: Sequence[ForeignCode]) -> None:
        super().__init__(
            "Run this code?",
            [
                [("This loop brings Python code, which runs with your rights.", "warn")],
                *_lines(code),
                [("Read it first. Changed code asks again.", "muted")],
            ],
            [
                ("n", "do not run it", ""),
                ("y", "allow this code and remember it", "allow"),
            ],
        )


def _lines(code: Sequence[ForeignCode]) -> Iterator[list[Part]]:
    """An owner with its folder, then its files; of many files the first ones."""
    shown = 0
    for each in code:
        if shown == FILES_SHOWN:
            break
        yield [(f"{each.field} ", "muted"), (each.owner, ""), (f" in {_folder_of(each)}", "muted")]
        for file in each.files[: FILES_SHOWN - shown]:
            shown += 1
            yield [(f"  {file.name}", ""), (f"  sha256 {file.sha256[:HASH_DIGITS]}", "muted")]
    rest = sum(len(each.files) for each in code) - shown
    if rest:
        yield [(f"  and {rest} more file{'s' if rest > 1 else ''}", "muted")]


def _folder_of(code: ForeignCode) -> str:
    """The folder that the first file's name starts from, short where it is near."""
    file = code.files[0]
    folder = Path(file.path.removesuffix(file.name) or ".")
    here = Path.cwd()
    if folder == here:
        return "this folder"
    return f"./{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)
