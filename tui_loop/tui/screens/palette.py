"""The command palette: every command of every screen, iterations, loops and colours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui_loop.tui.actions import ACTIONS, SCOPES, WORKBENCH_SCOPES
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import keys_of
from tui_loop.tui.themes import THEMES

TITLE_LENGTH = 60


class Palette(CommandPalette):
    """Textual's palette, made safe for a terminal of a few cells.

    Textual's list crashes there: at a width of 0 it has no lines, and reads the one at the cursor.
    """

    DEFAULT_CSS = "CommandList { min-width: 8; }"

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)


class Entry(msgspec.Struct, frozen=True):
    """A line of the palette. `also`: another text that matches, such as the id of an action."""

    text: str
    help: str
    run: Callable[[], Any]
    also: str = ""


class Commands(Provider):
    """Finds commands by description or id, iterations by number or change, and loops by name."""

    async def startup(self) -> None:
        loops = getattr(self.app, "loops", None)
        self._loops = await asyncio.to_thread(loops.names) if loops is not None else []

    async def discover(self) -> Hits:
        for entry in self._entries():
            yield DiscoveryHit(Content(entry.text), entry.run, text=entry.text, help=entry.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self._entries():
            score = max(matcher.match(entry.text), matcher.match(entry.also) * 0.9)
            if score > 0:
                yield Hit(score, Content(entry.text), entry.run, text=entry.text, help=entry.help)

    def _entries(self) -> Iterator[Entry]:
        yield from self._actions()
        yield from self._iterations()
        for name in self._loops:
            yield Entry(f"open loop {flat(name, TITLE_LENGTH)}", "loop", partial(self._open, name))
        for theme in THEMES:
            show = partial(self.app.run_action, f"app.show_theme('{theme.name}')")
            yield Entry(f"colours: {theme.name}", "setting", show)

    def _actions(self) -> Iterator[Entry]:
        """All actions, those of the current screen first; keys that move in lists come last."""
        here: tuple[str, ...] = getattr(self.screen, "scopes", ("app",))
        has_workbench = any(hasattr(screen, "context") for screen in self.app.screen_stack)
        reachable = (*here, *(WORKBENCH_SCOPES if has_workbench else ()), "app")
        benches = [each for each in self.app.screen_stack if hasattr(each, "why_not")]
        why_not: Callable[[str], str] = benches[-1].why_not if benches else lambda _: ""
        order = {scope: place for place, scope in enumerate((*here, *WORKBENCH_SCOPES))}
        moving = ("list", "sheet")
        last = len(order) + 1
        for action in sorted(
            ACTIONS,
            key=lambda each: last if each.scope in moving else order.get(each.scope, last - 1),
        ):
            keys = " ".join(keys_of(action, getattr(self.app, "keys", {})))
            reason = why_not(action.id)
            if action.scope not in reachable:
                reason = f"only in: {SCOPES[action.scope]}"
            text = f"{action.description}  ({keys})" + (f"  – {reason}" if reason else "")
            run: Callable[[], Any] = partial(self.app.run_action, f"app.perform('{action.id}')")
            if reason:
                run = partial(self.app.notify, f"{action.description}: {reason}")
            yield Entry(text, action.id, run, action.id)

    def _iterations(self) -> Iterator[Entry]:
        snapshot = getattr(self.screen, "snapshot", None)
        for each in snapshot.iterations if snapshot is not None else ():
            text = f"iteration {each.number}: {flat(each.title, TITLE_LENGTH)}"
            yield Entry(text, each.state, partial(self._select, each.number))

    def _select(self, number: int) -> None:
        self.screen.select(number)  # type: ignore[attr-defined]  # only the workbench has iterations

    def _open(self, name: str) -> None:
        self.app.open_loop(self.app.loops.loop(name))  # type: ignore[attr-defined]
