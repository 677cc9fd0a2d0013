"""What both ends of a journal say of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_loop.core.record.events import AnyEvent, LineLogged, MetricsLogged, RunStarted
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.run_glance import RunGlance, glance_at

STARTED = RunStarted(loop="a", iteration=1, attempt=1, pid=1, host="h", device="NVIDIA H200")


def written(path: Path, *events: AnyEvent) -> Path:
    journal = Journal(path / "journal.jsonl")
    for event in events:
        journal.append(event)
    journal.close()
    return path / "journal.jsonl"


def test_a_run_has_its_start_its_device_and_its_newest_tokens(tmp_path: Path) -> None:
    steps = [
        MetricsLogged(step=step, epoch=0.1, values={"loss": 1.0, "num_tokens": 400.0 * step})
        for step in range(1, 900)
    ]
    journal = written(tmp_path, STARTED, *steps, LineLogged(level="info", source="x", text="end"))
    assert journal.stat().st_size > 65_536
    glance = glance_at(journal)
    assert (glance.device, glance.tokens) == ("NVIDIA H200", 400.0 * 899)
    assert glance.began is not None
    assert glance.began > 1e9


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\n", b"[1]\n{", b'{"t": "soon"}\n{"values": {"num_tokens": "x"}}']
)
def test_a_journal_that_says_nothing_of_it_is_no_fault(tmp_path: Path, content: bytes) -> None:
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(content)
    assert glance_at(journal) == RunGlance()


def test_a_missing_journal_and_a_link_are_not_followed(tmp_path: Path) -> None:
    assert glance_at(tmp_path / "none.jsonl") == RunGlance()
    (tmp_path / "target").write_bytes(b'{"t": 1.0}\n')
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert glance_at(tmp_path / "link") == RunGlance()
