"""Which home a run of the app gets, and what of its process is said."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.waiting import PATIENCE_SECONDS
from tui_loop.cli import app_runs
from tui_loop.cli.app_runs import DEVICE_FAULT, AppRuns
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.draft import new_draft
from tui_loop.engine import launch

pytestmark = pytest.mark.train


@pytest.fixture
def loop(tmp_path: Any) -> LoopFolder:
    data = shipped("sample_data", "support-intents")
    tables = {
        "model": {"id": "tiny"},
        "data": {"train": str(data / "train.jsonl"), "eval": str(data / "eval.jsonl")},
        "evaluation": {"base": False},
    }
    return LoopsFolder(tmp_path / "loops").create("a", LoopSettings(metric="none", defaults=tables))


def test_after_a_cuda_fault_the_next_run_gets_a_process_of_its_own_and_that_is_said(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, ended = [], threading.Event()

    class Process:
        def wait(self) -> int:
            assert ended.wait(PATIENCE_SECONDS)
            return 0

        def refusal(self) -> list[CheckResult]:
            return []

    def start_host(loop: LoopFolder, numbers: list[int], *, from_draft: bool) -> Process:
        assert from_draft
        started.append(numbers)
        return Process()

    monkeypatch.setattr(launch, "start_host", start_host)
    runs, draft = AppRuns(allow_code=False), new_draft(loop, None)
    assert DEVICE_FAULT not in runs.preview(loop, draft).notices
    runs._has_device_fault = True
    assert runs.preview(loop, draft).notices[0] == DEVICE_FAULT
    number = runs.start(loop, draft, "thread")
    assert runs.hosted() == ""  # it does not live here
    ended.set()
    assert runs._host is not None
    runs._host.join(PATIENCE_SECONDS)
    assert started == [[number]]
    assert app_runs.AppRuns.hosted(runs) == ""
