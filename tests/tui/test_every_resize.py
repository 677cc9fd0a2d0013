"""A widget that is shown hears its size, whoever asked for a size before."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from tui_loop.tui.event_order import EveryResize


class Listening(Static):
    """Counts the resize events that reach it."""

    DEFAULT_CSS = "Listening { height: 5; display: none; } Listening.-open { display: block; }"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[events.Resize] = []

    def on_resize(self, event: events.Resize) -> None:
        self.heard.append(event)


class OneScreen(Screen[None]):
    def __init__(self) -> None:
        super().__init__()
        self.listening = Listening()

    def compose(self) -> ComposeResult:
        yield self.listening


def heard_in(app: App[None]) -> int:
    """How many events reach a widget that is shown and asked for its size before the layout."""
    screen = OneScreen()

    async def main() -> None:
        async with app.run_test(size=(40, 10)) as pilot:
            await app.push_screen(screen)
            await pilot.pause()
            listening = screen.listening
            assert not listening.heard
            screen._compositor.update_widgets({listening})  # what a repaint of it does
            listening.add_class("-open")
            app.update_styles(listening)
            listening.parent.update_node_styles(animate=False)  # type: ignore[union-attr]
            assert listening.size.height == 5
            await pilot.pause()
            await pilot.pause()
            assert listening.region.height == 5

    asyncio.run(main())
    return len(screen.listening.heard)


def test_a_shown_widget_hears_its_size() -> None:
    assert heard_in(EveryResize()) == 1


@pytest.mark.parametrize("shown", [True, False])
def test_a_widget_hears_nothing_while_its_size_stays(shown: bool) -> None:
    app, screen = EveryResize(), OneScreen()
    screen.listening.set_class(shown, "-open")

    async def main() -> None:
        async with app.run_test(size=(40, 10)) as pilot:
            await app.push_screen(screen)
            await pilot.pause()
            for _ in range(3):
                screen.refresh(layout=True)
                await pilot.pause()

    asyncio.run(main())
    assert len(screen.listening.heard) == shown


def test_plain_textual_still_forgets_it() -> None:
    """Once this fails, `tui/every_resize.py` has nothing left to do."""
    assert heard_in(App()) == 0
