"""The command palette: the actions of the table, those at hand first."""

from __future__ import annotations

from functools import partial
from typing import Any

from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider

from tui_loop.tui.actions import ACTIONS, Action, keys_of


class Palette(CommandPalette):
    """Textual's palette, which crashes in a terminal of a few cells: its list cannot wrap lines to
    no width, and looks for the line under the cursor where it has laid out none."""

    DEFAULT_CSS = "CommandList { min-width: 8; }"

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)


class ActionCommands(Provider):
    """Finds actions by their description or id."""

    async def discover(self) -> Hits:
        for action in self._actions():
            yield DiscoveryHit(self._words(action), self._call(action), help=action.id)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action in self._actions():
            words = self._words(action)
            score = max(matcher.match(words), matcher.match(action.id) * 0.9)
            if score > 0:
                yield Hit(score, matcher.highlight(words), self._call(action), help=action.id)

    def _actions(self) -> list[Action]:
        """The actions that do something from here; without moving about in lists."""
        scopes: tuple[str, ...] = getattr(self.screen, "scopes", ("app",))
        order = {scope: place for place, scope in enumerate(scopes) if scope != "list"}
        found = [action for action in ACTIONS if action.scope in order]
        return sorted(found, key=lambda action: order[action.scope])

    def _words(self, action: Action) -> str:
        keys = " ".join(keys_of(action, getattr(self.app, "keys", {})))
        return f"{action.description}  ({keys})"

    def _call(self, action: Action) -> partial[Any]:
        return partial(self.app.run_action, f"app.perform('{action.id}')")
