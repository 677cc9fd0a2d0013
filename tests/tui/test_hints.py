"""Hints in the app's words."""

from __future__ import annotations

from tui_loop.core.commands import COMMANDS, command
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.keys import ACTIONS_OF, in_keys


def test_a_command_that_has_a_key_becomes_the_key() -> None:
    assert in_keys(f"free disk space, then {command('resume', 'chat/3')}", {}) == (
        "free disk space, then press R"
    )
    assert in_keys(f"see which ones: {command('check', 'LOOP', '--row', 1)}", {}) == (
        "see which ones: press g c, then ]"
    )


def test_the_users_own_keys_are_named() -> None:
    assert in_keys(command("resume", "chat/3"), {"run.resume": "ctrl+r"}) == "press ctrl+r"


def test_a_command_without_a_key_is_for_a_shell() -> None:
    expected = "tui-loop fetch smollm2 (in a shell)"
    assert in_keys(command("fetch", "smollm2"), {}) == expected
    expected = "tui-loop resume chat (in a shell)"
    assert in_keys(command("resume", "chat"), {"run.resume": ""}) == expected


def test_an_option_that_no_key_has_keeps_the_command() -> None:
    expected = "tui-loop run chat --repeat 2 (in a shell)"
    assert in_keys(command("run", "chat", "--repeat", 2), {}) == expected


def test_every_command_and_every_action_of_the_table_exists() -> None:
    for name, actions in ACTIONS_OF.items():
        assert name.split()[0] in COMMANDS, name
        assert set(actions) <= set(BY_ID), name
