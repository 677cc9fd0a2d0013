"""Texts of a million characters: shown by their beginning, and never laid out whole."""

from __future__ import annotations

import base64
import json

import pytest
from rich.cells import cell_len

from tests.hostile.folders import LONG_LINE, write_lines
from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui import cells

LONG = "word \x1b[2J [/b] " * (LONG_LINE // 15)


def make_long(loop: LoopFolder) -> None:
    folder = loop.iteration(2)
    rows = [json.loads(line) for line in folder.examples.read_text().splitlines()]
    for row in rows[:6]:
        row |= {
            "prompt": LONG,
            "reference": LONG,
            "output": "x" * LONG_LINE,
            "passed": False,
            "loss": 9.0,
        }
    write_lines(folder.examples, rows)
    tokens = [{"id": row["id"], "tokens": [[LONG, 1.0], ["\x1b", 2.0]]} for row in rows]
    write_lines(folder.tokens, tokens)
    events = [json.loads(line) for line in folder.journal.read_text().splitlines()]
    for event in events:
        if event["event"] == "line":
            event["text"] = LONG
    write_lines(folder.journal, events)
    folder.notes.write_text(LONG)


@pytest.mark.slow
def test_a_text_of_a_megabyte_is_not_laid_out_whole_and_moving_over_it_lays_out_a_screenful(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the screens lay out is measured by `cells.cell_len`."""
    make_long(loop)
    laid_out = 0

    def counting(text: str) -> int:
        nonlocal laid_out
        laid_out += len(text)
        return cell_len(text)

    monkeypatch.setattr(cells, "cell_len", counting)

    async def presses(opened: Opened, *keys: str) -> None:
        nonlocal laid_out
        for key in keys:
            laid_out = 0
            await opened.press(key)
            assert laid_out < LONG_LINE / 20, key

    async def steps(opened: Opened) -> None:
        nonlocal laid_out
        await presses(opened, "4")
        await opened.shows("word ␛[2J [/b]")
        await presses(opened, "down", "down", "up", "end", "home")
        laid_out = 0
        await opened.press("enter")
        await opened.shows("Example 1", "prompt   word ␛[2J [/b]")
        assert laid_out < LONG_LINE, "of a prompt, a reference and an output of that length each"
        await presses(opened, "down", "pagedown", "end", "home", "right", "down", "escape")
        await presses(opened, "5", "end", "up", "up", "home", "1", "up", "down")

    on_app(open_app(size=(80, 24), number=2), steps)


def test_what_is_copied_reaches_the_terminal_as_base64_and_nothing_else(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    folder = loop.iteration(2)
    rows = [json.loads(line) for line in folder.examples.read_text().splitlines()]
    text = "\x1b]52;c;eA==\x07\x9b2J \ud83d"
    write_lines(folder.examples, [row | {"prompt": text} for row in rows])
    written: list[str] = []

    async def steps(opened: Opened) -> None:
        driver = opened.app._driver
        assert driver is not None
        driver.write = written.append  # type: ignore[method-assign]
        await opened.press("4", "y")
        await opened.tells("copied: ␛]52;c;eA==␇<9B>2J �")

    on_app(open_app(number=2), steps)
    [copied] = [each for each in written if "]52;" in each]
    head, _, payload = copied.removesuffix("\x07").rpartition(";")
    assert head == "\x1b]52;c"
    assert base64.b64decode(payload).decode().startswith("\x1b]52;c;eA==\x07\x9b2J \ufffd\n")
