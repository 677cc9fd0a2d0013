"""What the app says where the folder of the loop takes no writes: one clear error, no crash log."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.tui.conftest import FakeBackend, OpenApp, Opened, on_app, scripted_iteration
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.queue import add, queued_draft

HINT = "check the path, its permissions and the disk space"
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@contextmanager
def unwritable(folder: Path, number: int) -> Iterator[None]:
    """Refuses everything that would write below a folder, as a disk does, also for root."""

    def refusing(name: str, is_write: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(path: Any, *more: Any, **named: Any) -> Any:
            is_inside = isinstance(path, str | Path) and Path(path).is_relative_to(folder)
            if is_inside and is_write(*more):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *more, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refusing("open", lambda flags, *_: bool(flags & WRITING)))
        for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
            patch.setattr(os, name, refusing(name))
        yield


async def one_error_is_told(opened: Opened, name: str, reason: str) -> None:
    """Waits for a message in one line with file, reason and next step, and takes it away."""
    await opened.tells(name, f": {reason}", HINT)
    errors = [each for each in opened.app._notifications if each.severity == "error"]
    assert len(errors) == 1, [each.message for each in errors]
    assert errors[0].message.startswith("✗ ")
    assert "\n" not in errors[0].message
    assert "bug in tui-loop" not in opened.told
    assert opened.app.crash_report is None
    opened.app.clear_notifications()
    await opened.until(lambda: not opened.told)


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_each_key_that_writes_tells_one_clear_error(
    number: int, open_app: OpenApp, loop: LoopFolder
) -> None:
    reason = os.strerror(number)

    async def steps(opened: Opened) -> None:
        draft = opened.bench.state.draft
        assert draft is not None
        add(loop, queued_draft(draft.with_value("lora.r", 2)))
        before = sorted(loop.path.rglob("*"))
        with unwritable(loop.path, number):
            await opened.bench.drafts.save(draft.with_value("lora.r", 4).with_why("smaller"))
            await one_error_is_told(opened, "draft.toml", reason)
            await opened.looks(2)
            assert opened.bench.state.draft.value("lora.r") == 4, "it stays in memory"
            await opened.press("r")
            await opened.shows("enter")
            await opened.press("enter")
            await one_error_is_told(opened, "/004", reason)
            assert opened.bench.state.draft is not None
            assert opened.bench.state.draft.value("lora.r") == 4
            await opened.press("A")
            await one_error_is_told(opened, "queue.toml", reason)
            await opened.press("g f")
            await opened.shows("Close support-intents?")
            await opened.type("good enough")
            await opened.press("enter")
            await one_error_is_told(opened, "loop.toml", reason)
            await opened.goes_to(2)
            await opened.press("g s")
            await opened.shows("fresh split?")
            await opened.press("enter")
            await one_error_is_told(opened, "draft.toml", reason)
            opened.bench.examples.annotate("accepted")
            await one_error_is_told(opened, "labels.jsonl", reason)
            await opened.press("g q")
            await opened.shows("1 draft")
            await opened.press("delete")
            await one_error_is_told(opened, "queue.toml", reason)
        assert sorted(loop.path.rglob("*")) == before

    on_app(open_app(number=2), steps)


def test_a_request_that_cannot_be_written_is_told(
    open_app: OpenApp, loop: LoopFolder, backend: FakeBackend
) -> None:
    run = scripted_iteration(loop).starts().steps(3.0, 2.5)
    backend.runs.append(run)

    async def steps(opened: Opened) -> None:
        await opened.until(lambda: opened.bench.snapshot and opened.bench.snapshot.live)
        with unwritable(loop.path, errno.ENOSPC):
            await opened.press("p")
            await one_error_is_told(opened, "requests.jsonl", os.strerror(errno.ENOSPC))
        run.ends("stopped")

    on_app(open_app(number=2), steps)


def test_a_hosted_run_that_cannot_be_asked_to_stop_keeps_the_app_open(
    open_app: OpenApp, loop: LoopFolder, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scripted_iteration(loop).starts().steps(3.0, 2.5)
    backend.runs.append(run)

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "requests.jsonl")

    monkeypatch.setattr(backend, "stop_hosted", full)

    async def steps(opened: Opened) -> None:
        await opened.press("q")
        await opened.shows("is running here")
        await opened.press("s")
        await opened.tells("Cannot stop support-intents/4: requests.jsonl: No space")
        assert opened.app.is_running
        run.ends("stopped")

    on_app(open_app(number=2), steps)
