"""What may end a run in the background, by facts that are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tui_loop.core import process
from tui_loop.core.process import dangers, dangers_to_background

CALM: dict[str, Any] = {
    "kills_user_processes": False,
    "in_session": True,
    "in_container": False,
    "ancestors": [900, 800, 1],
    "pid": 1000,
}


def test_nothing_is_said_where_nothing_is_seen() -> None:
    assert dangers({}, **CALM) == []


def test_logind_counts_only_within_a_session() -> None:
    [told] = dangers({}, **{**CALM, "kills_user_processes": True})
    assert "enable-linger" in told
    assert dangers({}, **{**CALM, "kills_user_processes": True, "in_session": False}) == []


def test_a_slurm_job_is_named() -> None:
    [told] = dangers({"SLURM_JOB_ID": "4711"}, **CALM)
    assert "SLURM job 4711" in told


@pytest.mark.parametrize(("pid", "ancestors"), [(1, []), (7, [1]), (9, [7, 1])])
def test_the_first_process_of_a_container_takes_all_with_it(pid: int, ancestors: list[int]) -> None:
    facts = {**CALM, "in_container": True, "pid": pid, "ancestors": ancestors}
    [told] = dangers({}, **facts)
    assert "container" in told
    assert dangers({"TMUX": "/tmp/x"}, **facts) == []


@pytest.mark.parametrize(
    ("texts", "kills"),
    [
        ({"a.conf": "[Login]\nKillUserProcesses=yes\n"}, True),
        ({"a.conf": "#KillUserProcesses=yes\n"}, False),
        ({"a.conf": "KillUserProcesses=yes\n", "b.conf": "killuserprocesses = no\n"}, False),
        ({}, False),
    ],
)
def test_logind_s_files_are_read_in_their_order(
    texts: dict[str, str], kills: bool, tmp_path: Path
) -> None:
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert process._kills_user_processes([str(tmp_path), "/nowhere"]) is kills


def test_this_machine_can_be_asked() -> None:
    assert all(isinstance(told, str) and told for told in dangers_to_background())
