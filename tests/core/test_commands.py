"""Commands as data in texts."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tui_loop
from tui_loop.cli.main import SHARED_MODULES
from tui_loop.core.commands import COMMANDS, command, open_command, rendered, shell_text

PACKAGE = Path(tui_loop.__file__).parent


def test_a_command_in_a_text_is_between_backticks() -> None:
    assert command("run", "chat", "--from", 3) == "`tui-loop run chat --from 3`"
    assert open_command("chat") == "`tui-loop chat`"


def test_a_loop_that_has_a_commands_name_is_opened_by_the_command_open() -> None:
    assert open_command("show") == "`tui-loop open show`"


def test_a_command_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no command 'runs'"):
        command("runs")


def test_each_command_of_a_text_is_spelled_out_and_the_rest_stays() -> None:
    text = f"stop it ({command('stop', 'chat')}) or `wait`; then {command('status')}"
    assert rendered(text, lambda name, arguments: f"<{name}|{arguments}>") == (
        "stop it (<stop|chat>) or `wait`; then <status|>"
    )
    assert shell_text(text) == "stop it (tui-loop stop chat) or `wait`; then tui-loop status"


def test_every_command_has_a_module() -> None:
    folder = PACKAGE / "cli" / "commands"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    used = {SHARED_MODULES.get(name, name) for name in COMMANDS}
    assert used == modules
    assert set(COMMANDS) >= set(SHARED_MODULES)


def test_core_and_engine_name_commands_as_data() -> None:
    spelled = re.compile(rf"(?<!<!-- )tui-loop ({'|'.join(COMMANDS)})\b")
    places = []
    for path in [*PACKAGE.glob("core/**/*.py"), *PACKAGE.glob("engine/**/*.py")]:
        if path.is_relative_to(PACKAGE / "core" / "diagnosis"):
            continue  # its texts still spell commands
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                places += [f"{path.name}:{node.lineno}" for _ in spelled.findall(node.value)]
    assert places == []
