"""Texts of a million characters: shown as far as there is room, and the keys go on answering."""

from __future__ import annotations

import base64
import json
import time

from tests.hostile.folders import LONG_LINE, write_lines
from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.store import LoopFolder

ANSWER_SECONDS = 1.0
LONG = "word \x1b[2J [/b] " * (LONG_LINE // 15)


def make_long(loop: LoopFolder) -> None:
    folder = loop.iteration(2)
    rows = [json.loads(line) for line in folder.examples.read_text().splitlines()]
    for row in rows[:6]:
        row |= {"prompt": LONG, "reference": LONG, "output": "x" * LONG_LINE, "passed": False}
    write_lines(folder.examples, rows)
    tokens = [{"id": row["id"], "tokens": [[LONG, 1.0], ["\x1b", 2.0]]} for row in rows]
    write_lines(folder.tokens, tokens)
    events = [json.loads(line) for line in folder.journal.read_text().splitlines()]
    for event in events:
        if event["event"] == "line":
            event["text"] = LONG
    write_lines(folder.journal, events)
    folder.notes.write_text(LONG)


async def answers(opened: Opened, *keys: str) -> None:
    """Presses keys, each of which has to be dealt with within a second."""
    for key in keys:
        begun = time.monotonic()
        await opened.press(key)
        assert time.monotonic() - begun < ANSWER_SECONDS, key


def test_an_arrow_key_answers_within_a_second_over_lines_of_a_megabyte(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    make_long(loop)

    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await opened.shows("word ␛[2J [/b]")
        await answers(opened, "down", "down", "up", "end", "home")
        await opened.press("enter")
        await opened.shows("Example 1")
        await answers(opened, "down", "pagedown", "end", "home", "right", "down", "escape")
        await answers(opened, "5", "end", "up", "up", "home", "1", "up", "down")

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
