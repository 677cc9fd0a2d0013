"""Random keys while a run is live: nothing crashes, nothing changes unconfirmed.

TUI_LOOP_RANDOM_KEYS=10000 in the environment presses that many; by default it is fewer, for time.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.screen import Screen

from tests.tui.conftest import OpenApp, Opened, _character_of, on_app, scripted_iteration
from tui_loop.tui.actions import ACTIONS
from tui_loop.tui.app import LoopApp
from tui_loop.tui.screens.dialogs import AskScreen, InputDialog
from tui_loop.tui.screens.run_dialogs import AutoDialog, QueueDialog, RunDialog

COUNT = int(os.environ.get("TUI_LOOP_RANDOM_KEYS", "2000"))
BATCH = 25
SEED = 19

LEAVING = {"q", "ctrl+q", "D", "ctrl+c", "ctrl+z"}
"""Keys that end or suspend the app."""

DIALOGS = (AskScreen, AutoDialog, InputDialog, QueueDialog, RunDialog)

OWN_FILES = ("draft.toml", "queue.toml", "labels.jsonl", "requests.jsonl", "notes.md")
"""Files that a key may write without a dialog: the draft, the queue, annotations, a pause."""


def typed_keys() -> list[str]:
    """Every key that an action has, some of what people type, and enter as often as all letters."""
    keys = {
        part
        for action in ACTIONS
        for each in action.keys.split(",")
        for part in each.strip().split(" ")
    }
    known = sorted(keys - LEAVING)
    return [*known, *"xyz0189.-", *(["enter"] * 12), *(["escape"] * 6)]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in OWN_FILES and not path.name.endswith(".lock")
    }


@pytest.mark.slow
def test_random_keys_crash_nothing_and_change_nothing_that_no_dialog_confirmed(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirmed: list[str] = []
    dismiss = Screen.dismiss

    def counted(self: Screen[Any], result: Any = None) -> Any:
        if isinstance(self, DIALOGS) and result:
            confirmed.append(type(self).__name__)
        return dismiss(self, result)

    monkeypatch.setattr(Screen, "dismiss", counted)
    monkeypatch.setenv("EDITOR", "true")
    for name in ("leave", "detach", "suspend_process"):  # the palette has them, too
        monkeypatch.setattr(LoopApp, f"action_{name}", lambda _: None)
    choice = random.Random(SEED)
    keys = typed_keys()

    async def steps(opened: Opened) -> None:
        loop = opened.bench.loop
        run = scripted_iteration(loop).starts()
        before = contents(loop.path)
        step = 0.0
        for _ in range(COUNT // BATCH):
            step += 1.0
            run.steps(2.0 / step)
            for key in choice.choices(keys, k=BATCH):
                opened.app.post_message(events.Key(key, _character_of(key)))
            await opened._dealt_with()
            assert opened.app.is_running
            assert opened.app.crash_report is None, opened.app.crash_report
        after = contents(loop.path)
        live = f"{run.folder.number:03}/"
        changed = {
            name
            for name in before.keys() | after.keys()
            if before.get(name) != after.get(name) and not name.startswith(live)
        }
        assert not changed or confirmed, f"{sorted(changed)} changed without a dialog"
        assert len(opened.backend.runs) <= confirmed.count("RunDialog")
        assert len(opened.backend.autos) <= confirmed.count("AutoDialog")
        assert len(opened.backend.queues_run) <= confirmed.count("QueueDialog")
        run.closes()

    on_app(open_app(), steps)
