"""What the app remembers between two sessions, in a file that anything may have written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.tui.settings import Memory


@pytest.mark.parametrize("theme", ["no such theme", 5, ["dark"], {"dark": 1}, True])
def test_a_remembered_theme_that_does_not_exist_is_ignored(open_app: OpenApp, theme: Any) -> None:
    memory = Memory()
    memory.put("theme", theme)

    async def steps(opened: Opened) -> None:
        assert opened.app.theme == "dark"

    on_app(open_app(memory=Memory()), steps)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[]", "\udcff", "", "{"])
def test_a_file_that_cannot_be_used_is_left_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    memory = Memory(path)
    assert memory.get("theme") is None
    memory.put("theme", "light")
    assert json.loads(path.read_text(encoding="utf-8")) == {"theme": "light"}


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    os.mkfifo(path)
    assert Memory(path).get("theme") is None


def test_two_apps_keep_what_the_other_one_has_remembered(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    first, second = Memory(path), Memory(path)
    first.put("chart one", {"is_log": True})
    second.put("chart two", {"is_log": False})
    first.put("theme", "light")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "chart one": {"is_log": True},
        "chart two": {"is_log": False},
        "theme": "light",
    }
