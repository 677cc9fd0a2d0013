"""Real training in the app's own process, driven by keys, on the shipped tiny base."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cli
from tests.tui.conftest import OpenApp, Opened, finds, on_app
from tui_loop.cli.backend import AppBackend
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.points import Point
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import Iteration
from tui_loop.core.shipped import shipped
from tui_loop.tui.chart.widget import LossChart
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.log import LogPane

pytestmark = pytest.mark.train

SMALL = (80, 24)
STEPS = 12


@pytest.fixture
def backend() -> AppBackend:
    """The real thing: runs are hosted in a thread of this process."""
    return AppBackend(allow_code=False)


@pytest.fixture
def loops(tmp_path: Path) -> LoopsFolder:
    """A project of its own with a loop that trains in seconds and has not begun."""
    project = tmp_path / "project"
    project.mkdir()
    for name, rows in (("train.jsonl", 40), ("eval.jsonl", 12)):
        lines = shipped("sample_data", "support-intents", name).read_text().splitlines(True)
        (project / name).write_text("".join(lines[:rows]))
    made = LoopsFolder(project / "loops")
    defaults: dict[str, dict[str, Any]] = {
        "model": {"id": "tiny"},
        "data": {
            "train": "train.jsonl",
            "eval": "eval.jsonl",
            "prompt_template": "Message: {prompt}\nIntent:",
        },
        "lora": {"r": 4, "lora_alpha": 8},
        "training": {
            "max_steps": STEPS,
            "per_device_train_batch_size": 4,
            "max_length": 128,
            "eval_steps": 6,
        },
    }
    made.create("support-intents", LoopSettings(metric="label", defaults=defaults))
    return made


@pytest.fixture
def loop(loops: LoopsFolder) -> LoopFolder:
    return loops.loop("support-intents")


async def sets(opened: Opened, name: str, value: str) -> None:
    await finds(opened, name)
    await opened.press("enter")
    await opened.type(value)
    await opened.press("enter")
    await opened.until(lambda: not opened.get(ConfigPane).is_editing, f"{value} taken")


async def runs(opened: Opened, why: str) -> None:
    await opened.press("r")
    await opened.until(lambda: "training rows" in opened.text, "what would run")
    await opened.type(why)
    await opened.press("enter")


def losses(loop: LoopFolder, number: int) -> list[tuple[int, float]]:
    points: list[Point] = read_run(loop.iteration(number)).metrics
    return [(point.step, point.values["loss"]) for point in points]


@pytest.mark.slow
def test_a_run_in_the_app_is_what_its_record_says_and_equals_a_headless_one(
    open_app: OpenApp,
    loop: LoopFolder,
    tmp_path: Path,
    cli: Cli,
    capfd: pytest.CaptureFixture[str],
) -> None:
    untouched = tmp_path / "headless"
    shutil.copytree(loop.root, untouched)

    def ended() -> Iteration | None:
        return loop.iteration(1).read_summary()

    async def steps(opened: Opened) -> None:
        assert opened.bench.state.selected == DRAFT
        await sets(opened, "training.learning_rate", "5e-3")
        await runs(opened, "the default is too careful")
        await opened.until(lambda: ended() and not opened.backend.hosted(), "the end of the run")
        summary = ended()
        assert summary is not None
        assert summary.state == "finished", summary.error
        assert summary.decision == "the default is too careful"
        await opened.goes_to(1)
        await opened.press("1")
        metrics = summary.metrics
        score = f"{100 * metrics['score']:.0f}%"
        row = rf"▸ +1 +.*learning_rate 1e-4 → 5e-3 .*{metrics['eval_loss']:.3f} +{score} "
        await opened.until(lambda: re.search(row, opened.text), row)
        assert "idle" in opened.bench.query_one("#status", Bar).text
        assert "40 train · 12 eval" in opened.lines[0]
        assert f"1 finished, score {score}" in opened.told
        opened.app.clear_notifications()  # they lie over the figures
        trained = losses(loop, 1)
        assert [step for step, _ in trained] == list(range(1, STEPS + 1))
        evaluated = read_run(loop.iteration(1)).evaluations[-1].values["eval_loss"]
        figures = f"train {trained[-1][1]:.3f} · eval {evaluated:.3f}"
        assert figures in str(opened.get(LossChart).border_subtitle)
        await opened.press("3")
        await opened.shows(figures)
        await opened.press("5")
        await opened.shows("run ended: finished")
        lines = [line.text for line in opened.get(LogPane).list.lines]
        last = [line for line in lines if line.startswith("step ")][-1]
        assert last.startswith(f"step {STEPS}  loss {trained[-1][1]:.4g}  grad ")
        rows = loop.iteration(1).read_examples()
        failed = sum(not row.passed for row in rows)
        await opened.press("4")
        await opened.shows(f"{failed} of 12 failed" if failed else "No example has failed.")
        await opened.press("f")
        await opened.type("")
        await opened.press("enter")
        await opened.shows("12 of 12 · all")
        assert opened.get(FailuresPane).list.count == len(rows) == metrics["total"]

    on_app(open_app(size=SMALL), steps)
    assert iteration_of(loop.iteration(0)).state == "finished"
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    settings = ["--set", "learning_rate=5e-3", "--why", "the same"]
    done = cli("run", "support-intents", *settings, folder=untouched)
    assert done.returncode == 0, done.stderr
    headless = LoopFolder(untouched / "loops" / "support-intents")
    assert losses(headless, 1) == losses(loop, 1)
    assert headless.iteration(1).read_examples() == loop.iteration(1).read_examples()


@pytest.mark.slow
def test_a_run_that_fails_leaves_the_app_up_and_says_what_to_do(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise RuntimeError("it broke")

    async def steps(opened: Opened) -> None:
        await sets(opened, "evaluation.base", "false")
        await sets(opened, "lora.target_modules", "no_such_layer")
        await runs(opened, "a try")
        await opened.shows("The run was refused", "matches no layer", "hint: change the")
        await opened.press("escape")
        await opened.goes_to(DRAFT)
        await sets(opened, "lora.target_modules", "all-linear")
        monkeypatch.setattr("tui_loop.engine.training._train_or_resume", breaks)
        await runs(opened, "another")
        await opened.until(
            lambda: loop.iteration(1).summary.exists() and not opened.backend.hosted(),
            "a failed run",
        )
        await opened.tells("1 failed: ", "it broke")
        opened.app.clear_notifications()  # they lie over the table
        await opened.press("1")
        await opened.until(lambda: re.search(r"1 .*✗ crashed", opened.text), "1 ✗ crashed")
        assert opened.app.return_code is None

    on_app(open_app(size=SMALL), steps)
    summary = loop.iteration(1).read_summary()
    assert summary is not None
    assert summary.state == "failed"
    assert summary.error is not None
    assert summary.error["hint"]
