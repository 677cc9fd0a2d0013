"""Closing a loop: what people wrote into `loop.toml` stays as it is."""

from __future__ import annotations

import pytest

from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record.folders import Closed, LoopFolder
from tui_loop.core.workflow.closing import close_loop, refuse_closed, reopen_loop

WRITTEN = """# ours
metric = "label"   # by intent
goal = "tell [closed] from open"

[ready]
target = 0.9

[defaults.data]
train = "train.jsonl"
"""


def test_closing_and_reopening_leave_every_other_byte(loop: LoopFolder) -> None:
    loop.settings_file.write_text(WRITTEN)
    refuse_closed(loop)
    closed = close_loop(loop, "good = enough\n[really]", None)
    assert closed.why == "good = enough [really]"
    assert loop.settings_file.read_text().startswith(WRITTEN)
    assert loop.read_settings().closed == closed
    with pytest.raises(BadInput, match="intents is closed: good = enough"):
        refuse_closed(loop)
    assert reopen_loop(loop) == closed
    assert loop.settings_file.read_text() == WRITTEN


def test_a_table_that_stands_between_others_goes_alone(loop: LoopFolder) -> None:
    between = WRITTEN.replace("[ready]", '[closed] # done\nwhy = "w"\nt = 1.0\n\n[ready]')
    loop.settings_file.write_text(between)
    assert reopen_loop(loop) == Closed("w", 1.0)
    assert loop.read_settings().ready == {"target": 0.9}
    assert "# by intent" in loop.settings_file.read_text()


def test_an_end_that_is_written_otherwise_is_taken_back_too(loop: LoopFolder) -> None:
    loop.settings_file.write_text(f'closed = {{why = "w", t = 1.0, iteration = 2}}\n{WRITTEN}')
    assert reopen_loop(loop) == Closed("w", 1.0, 2)
    settings = loop.read_settings()
    assert (settings.closed, settings.goal) == (None, "tell [closed] from open")
    close_loop(loop, "now", None)
    assert loop.read_settings().closed is not None


def test_what_cannot_be_closed_is_refused_and_nothing_written(loop: LoopFolder) -> None:
    before = loop.settings_file.read_bytes()
    with pytest.raises(BadInput, match="closing a loop needs a reason"):
        close_loop(loop, "  ", None)
    with pytest.raises(NotFound):
        close_loop(loop, "why", 7)
    with pytest.raises(BadInput, match="is not closed"):
        reopen_loop(loop)
    assert loop.settings_file.read_bytes() == before


def test_a_token_in_the_reason_is_masked(loop: LoopFolder) -> None:
    token = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
    close_loop(loop, f"pushed with {token}", None)
    assert token not in loop.settings_file.read_text()
