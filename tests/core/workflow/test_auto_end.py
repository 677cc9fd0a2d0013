"""Why the last `auto` stopped, in `auto.json` and in snapshots until the next iteration."""

from __future__ import annotations

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest
from tui_loop.core.workflow.stop_rules import AutoEnd, Stop, read_auto_end, write_auto_end

END = AutoEnd(
    1795952187.9, Stop("budget", "all 3 allowed iterations have been run"), last=1, best=1
)


def test_a_snapshot_has_the_end_until_another_iteration_is_created(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0, 0], base=True)
    finished([1, 0])
    poller = LoopPoller(loop)
    assert poller.poll(SnapshotRequest()).auto_end is None
    write_auto_end(loop, END)
    shown = poller.poll(SnapshotRequest()).auto_end
    assert shown == END
    assert shown.words == (
        "Auto stopped: all 3 allowed iterations have been run. The best iteration is 1."
    )
    finished([1, 1])
    assert poller.poll(SnapshotRequest()).auto_end is None


def test_a_broken_file_is_an_error_for_a_reader_and_no_end_in_a_snapshot(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0, 0], base=True)
    loop.auto.write_text('{"t": "never"}')
    with pytest.raises(BadInput, match=r"auto\.json"):
        read_auto_end(loop)
    assert LoopPoller(loop).poll(SnapshotRequest()).auto_end is None
