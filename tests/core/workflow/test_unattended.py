"""Who goes through a loop by itself, and how that is ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.lock import holder_of
from tui_loop.core.workflow.unattended import doing, end, is_unattended, unattended

SCRIPT = """
import sys, time
from pathlib import Path
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.unattended import unattended
try:
    with unattended(LoopFolder(Path(sys.argv[1])), "auto"):
        print("here", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("ended", flush=True)
"""


def test_a_process_that_goes_through_the_loop_is_named_and_can_be_ended(loop: LoopFolder) -> None:
    assert doing(loop) is None
    with pytest.raises(BadInput, match="neither the queue nor auto is running"):
        end(loop)
    command = ["sh", "-c", 'trap "" INT; exec "$0" "$@"', sys.executable, "-c", SCRIPT]
    command.append(str(loop.path))  # begun as a shell begins what is left in the background
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        assert doing(loop) == "auto"
        assert end(loop) == process.pid
        assert process.stdout.readline() == "ended\n"
    assert doing(loop) is None
    assert not is_unattended(loop)


def test_a_queue_is_told_from_auto(loop: LoopFolder) -> None:
    with unattended(loop):
        assert doing(loop) == "queue"
    with unattended(loop, "auto"):
        assert doing(loop) == "auto"


def test_a_process_of_another_machine_is_named_and_left_alone(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tui_loop.core.workflow.unattended.os.kill", lambda *_: pytest.fail("it was killed")
    )
    with unattended(loop, "auto"):
        holder = holder_of(loop.unattended)
        assert holder is not None
        rewrite(loop.unattended, host="elsewhere", pid=holder.pid)
        with pytest.raises(
            BadInput, match=f"process {holder.pid} on elsewhere runs the queue or auto"
        ):
            end(loop)


def test_a_lock_that_names_a_stranger_ends_nobody(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tui_loop.core.workflow.unattended.os.kill", lambda *_: pytest.fail("it was killed")
    )
    with unattended(loop, "auto"):
        rewrite(loop.unattended, pid=1)  # the first process began at another time
        with pytest.raises(BadInput):
            end(loop)
    rewrite(loop.unattended, pid=1)  # nobody holds it
    with pytest.raises(BadInput):
        end(loop)


def rewrite(path: Path, **fields: object) -> None:
    """What the lock file says, in place: it may be held."""
    known = {"host": "box", "pid": 1, "started": 0.0, "boot": "none", "trouble": ""}
    holder = holder_of(path)
    if holder is not None:
        known |= {name: getattr(holder, name) for name in ("host", "pid", "started", "boot")}
    with path.open("r+b") as file:
        file.write(to_json({**known, **fields}).ljust(511) + b"\n")
