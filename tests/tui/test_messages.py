"""The message line: the newest message above the footer, all of the session behind a key."""

from __future__ import annotations

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.tui.messages import MAX_MESSAGES, Severity
from tui_loop.tui.screens.reading import HelpScreen, ReadingScreen

SMALL, WIDE = (80, 24), (160, 48)


def line_of(opened: Opened) -> str:
    """The row above the footer, where the newest message is."""
    return opened.lines[-2].strip()


def history_of(opened: Opened) -> list[tuple[str, Severity, int]]:
    return [(each.text, each.severity, each.count) for each in opened.app.message_history]


def test_equal_messages_in_a_row_are_one_with_a_count(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        for text in ("first", "first", "second", "first", "first", "first"):
            opened.app.notify(text)
        assert history_of(opened) == [
            ("first", "information", 2),
            ("second", "information", 1),
            ("first", "information", 3),
        ]
        assert opened.told.splitlines() == ["second", "first"], "each once, the newest last"
        opened.app.notify("first", severity="error")
        assert history_of(opened)[-1] == ("first", "error", 1), "an error is another message"

    on_app(open_app(SMALL, number=2), steps)


def test_the_newest_message_has_the_line_above_the_footer(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        footer = opened.lines[-1]
        for text in ("the first message", "a second one", "the first message"):
            opened.app.notify(text)
            await opened.until(lambda text=text: line_of(opened) == text, f"{text!r} alone")
        assert opened.lines[-1] == footer
        assert "a second one" not in opened.text

    on_app(open_app(SMALL, number=2), steps)


def test_a_message_is_one_line_whatever_its_text(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        above = opened.lines[:-2]
        opened.app.notify("no such [bold]file[/bold]\ncheck the path", severity="error")
        await opened.until(lambda: line_of(opened) == "✗ no such [bold]file[/bold]  check the path")
        opened.app.notify("careful", severity="warning")
        await opened.until(lambda: line_of(opened) == "! careful")
        opened.app.notify("word " * 60)
        await opened.until(lambda: line_of(opened).startswith("word word"))
        assert line_of(opened).endswith("…"), "of a long one the beginning is shown"
        assert opened.lines[:-2] == above, "no other line is covered"
        opened.app.notify("word " * 60, severity="error")
        assert opened.told.splitlines()[-1] == "✗ " + "word " * 60

    on_app(open_app(SMALL, number=2), steps)


def test_places_of_a_search_are_shown_and_do_not_crowd_out_the_messages(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        opened.app.notify("an error of an hour ago", severity="error")
        await opened.press("2", "slash")
        await opened.type("rate")
        await opened.until(lambda: "match 1 of " in line_of(opened))
        await opened.press("enter")
        for _ in range(3):
            await opened.press("n")
            await opened.until(lambda: "match " in line_of(opened))
        assert history_of(opened) == [("an error of an hour ago", "error", 1)]
        assert opened.told.count("match") == 1, "the newest place alone"

    on_app(open_app(SMALL, number=2), steps)


def test_a_message_goes_with_the_screen_that_it_was_shown_on(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.app.notify("of the workbench")
        await opened.press("question_mark")
        await opened.until(lambda: isinstance(opened.app.screen, HelpScreen))
        opened.app.notify("of the help")
        await opened.until(lambda: line_of(opened) == "of the help")
        opened.app.pop_screen()
        await opened.until(lambda: opened.told == "of the workbench", "the other one gone")
        await opened.until(lambda: line_of(opened) == "of the workbench")
        assert [each.text for each in opened.app.message_history][-1] == "of the help"

    on_app(open_app(SMALL, number=2), steps)


def test_esc_clears_every_message_and_the_history_keeps_them(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        below = opened.lines[-2]
        for text in ("one", "two"):
            opened.app.notify(text)
        await opened.until(lambda: line_of(opened) == "two")
        await opened.press("escape")
        await opened.until(lambda: opened.lines[-2] == below, "the frame again")
        assert opened.told == ""
        assert [each.text for each in opened.app.message_history] == ["one", "two"]

    on_app(open_app(SMALL, number=2), steps)


def test_the_messages_of_the_session_are_listed_newest_first(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("g i")
        await opened.shows("No message so far.")
        await opened.press("escape")
        for text in ("an old one", "an old one", "a new [b]one[/b]"):
            opened.app.notify(text)
        await opened.press("g i")
        await opened.until(lambda: isinstance(opened.app.screen, ReadingScreen))
        await opened.shows("a new [b]one[/b]", "an old one  ×2")
        rows = [row for row in opened.lines if " one" in row or "[b]" in row]
        assert ["new" in row for row in rows][:2] == [True, False]
        await opened.press("escape")
        assert opened.app.screen is opened.bench

    on_app(open_app(WIDE, number=2), steps)


def test_the_history_is_bounded_and_the_oldest_messages_go(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        for number in range(MAX_MESSAGES + 5):
            opened.app.notify(f"message {number}")
        texts = [each.text for each in opened.app.message_history]
        assert texts == [f"message {number}" for number in range(5, MAX_MESSAGES + 5)]

    on_app(open_app(SMALL, number=2), steps)
