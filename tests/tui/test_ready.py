"""The checklist on the screen, and the evaluation of the holdout with its question."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.tui.conftest import (
    FakeBackend,
    OpenApp,
    Opened,
    ScriptedLook,
    examples_of,
    on_app,
    scripted_iteration,
)
from tui_loop.core.errors import NeedsExtra
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Split
from tui_loop.core.workflow.closing import close_loop
from tui_loop.core.workflow.holdout import (
    Figures,
    HoldoutDone,
    HoldoutEvaluation,
    HoldoutFault,
    HoldoutProgress,
    PairedTable,
    record_holdout_evaluation,
)
from tui_loop.tui.screens.dialogs import AskScreen
from tui_loop.tui.screens.ready import ReadyScreen

SMALL, WIDE = (80, 24), (160, 48)
SHA = "c" * 64


def look(**more: Any) -> HoldoutEvaluation:
    fields: dict[str, Any] = {
        "t": 1_700_000_000.0,
        "iteration": 2,
        "sha256": SHA,
        "rows": 40,
        "metric": "label",
        "score": 0.7,
        "passed": 28,
        "total": 40,
        "loss": 0.8,
        "base": Figures(0.0, 0, 40, 2.7),
        "paired": PairedTable(0, 28, 0, 12),
        "eval": Figures(17 / 24, 17, 24, 0.7),
    }
    return HoldoutEvaluation(**{**fields, **more})


def locked(loop: LoopFolder, target: str = "") -> None:
    """Gives iteration 2 a holdout, and the loop a target."""
    folder = loop.iteration(2)
    splits = folder.read_splits() | {"holdout": Split("holdout.jsonl", SHA, 40)}
    folder.write_config(folder.read_config(), splits)
    if target:
        text = loop.settings_file.read_text()
        loop.settings_file.write_text(f"{text}\n[ready]\nmin_iterations = 2\ntarget = {target}\n")


async def ready(opened: Opened) -> ReadyScreen:
    await opened.press("g r")
    await opened.until(lambda: isinstance(opened.app.screen, ReadyScreen))
    screen = opened.app.screen
    assert isinstance(screen, ReadyScreen)
    await opened.until(lambda: screen.found is not None, "the checklist")
    return screen


async def begun(opened: Opened, backend: FakeBackend) -> ScriptedLook:
    """Starts an evaluation of the holdout and confirms it."""
    await opened.press("r")
    await opened.shows("Evaluate the holdout?", "the 2nd look at this holdout")
    await opened.press("e")
    await opened.until(lambda: backend.looks, "a look")
    await opened.shows("starting the evaluation ...")
    return backend.looks[-1]


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_each_criterion_has_its_sign_word_and_figure(
    size: tuple[int, int], open_app: OpenApp, loop: LoopFolder
) -> None:
    locked(loop)

    async def steps(opened: Opened) -> None:
        await ready(opened)
        await opened.shows("Is support-intents/2 ready?", "3 of 6 met")
        await opened.shows("✓ met      finished and evaluated", "✗ not met  at least 3 iterations")
        await opened.shows("? open     target", "no target set: 71%")
        await opened.shows("✓ met      no worse than its parent (1)", "8 fixed, 1 broken of 24")
        await opened.press("j")
        await opened.shows("2 trained and finished", "→ run 1 more iteration")
        await opened.press("j")
        await opened.shows("[ready] target = 0.85")
        await opened.press("G")
        await opened.shows(
            "not evaluated for this iteration", "r evaluates the holdout after a confirmation"
        )
        await opened.shows("This holdout has not been used yet.")
        await opened.press("escape")
        assert opened.app.screen is opened.bench

    on_app(open_app(size, number=2), steps)


def test_a_running_iteration_is_judged_when_it_has_ended(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    locked(loop, "0.6")

    async def steps(opened: Opened) -> None:
        run = scripted_iteration(loop, "learning_rate=1e-3").starts().steps(2.0)
        number = run.folder.number
        await opened.goes_to(number)
        screen = await ready(opened)
        await opened.shows(f"support-intents/{number} has not ended yet: check again when")
        await opened.shows("? open     finished and evaluated", "? open     score at least 60%")
        assert not [each for each in screen.rows.items if each.status == "not met"]
        await opened.press("r")
        await opened.tells(f"Run {number} is still live. Evaluate the holdout when it has ended.")
        assert not backend.looks
        examples, tokens = examples_of(set(range(20)))
        run.ends(examples=examples, tokens=tokens)
        await opened.shows("✓ met      finished and evaluated", "✓ met      score at least 60%")
        assert screen.found is not None
        assert not screen.found.is_in_progress

    on_app(open_app(SMALL, number=2), steps)


def test_the_status_line_counts_the_uses_of_the_holdout(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    locked(loop)

    async def steps(opened: Opened) -> None:
        await opened.shows("40 holdout (locked)")
        record_holdout_evaluation(loop, look())
        record_holdout_evaluation(loop, look(iteration=1))
        await opened.looks()
        await opened.shows("40 holdout (used 2 times)")

    on_app(open_app(WIDE, number=2), steps)


def test_a_holdout_evaluation_asks_first_and_is_shown_when_it_is_done(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    locked(loop, "0.6")
    record_holdout_evaluation(loop, look(iteration=1, score=0.4, passed=16))

    async def steps(opened: Opened) -> None:
        screen = await ready(opened)
        await opened.press("r")
        await opened.shows("Evaluate the holdout?")
        assert isinstance(opened.app.screen, AskScreen)
        await opened.press("c")
        assert opened.app.screen is screen
        assert not backend.looks
        work = await begun(opened, backend)
        work.to_tell = [HoldoutProgress("loading"), HoldoutProgress("base", 12, 80)]
        await opened.shows("evaluating the base 12/80")
        await opened.press("r")
        await opened.tells("The evaluation is running. esc ends it")
        done = record_holdout_evaluation(loop, look(t=1_700_086_400.0))
        work.to_tell = [HoldoutProgress("iteration", 80, 80), HoldoutDone(done)]
        await opened.shows("6 of 6 met", "support-intents/2 is ready: all 6 criteria are met")
        await opened.shows("→ In the workbench, g f closes the loop and g w writes a report.")
        assert work.is_closed
        opened.app.clear_notifications()  # they lie over the figures
        await opened.press("G")
        await opened.shows("2 uses of this holdout so far, the first by support-intents/1")
        await opened.shows(
            "71% on the eval set, 70% on the holdout", "holdout evaluation  of 40 rows"
        )
        await opened.press("tab", "G")
        await opened.shows("0 pass in both, 28 fixed, 0 broken, 12 fail in both")
        await opened.shows("1st   2023-11-14 22:13  support-intents/1  40%")
        await opened.shows("2nd   2023-11-15 22:13  support-intents/2  70%")

    on_app(open_app(SMALL, number=2), steps)


def test_enter_on_the_holdout_asks_for_its_evaluation_and_elsewhere_reads(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    locked(loop)

    async def steps(opened: Opened) -> None:
        screen = await ready(opened)
        await opened.press("enter")
        assert screen.sheet.has_focus
        await opened.press("escape", "G", "enter")
        await opened.until(lambda: isinstance(opened.app.screen, AskScreen))

    on_app(open_app(number=2), steps)


def test_an_evaluation_that_fails_or_is_left_does_not_count(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    locked(loop)

    async def steps(opened: Opened) -> None:
        screen = await ready(opened)
        work = await begun(opened, backend)
        work.to_tell = [HoldoutFault("out of \x1b[2Jmemory", "take a smaller batch")]
        await opened.shows(
            "✗ out of ␛[2Jmemory; no use of the holdout was counted", "take a smaller batch"
        )
        assert work.is_closed
        assert not screen.is_evaluating
        backend.looks.clear()
        again = await begun(opened, backend)
        await opened.press("escape")
        await opened.until(lambda: again.is_closed)
        await opened.tells("ended: no use of the holdout was counted")
        assert opened.app.screen is opened.bench
        assert not loop.holdout.exists()

    on_app(open_app(number=2), steps)


def test_an_evaluation_whose_screen_closes_before_it_has_started_is_ended(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    locked(loop)

    async def steps(opened: Opened) -> None:
        await ready(opened)
        backend.may_start_process.clear()
        await opened.press("r")
        await opened.shows("Evaluate the holdout?")
        await opened.press("e", "escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        backend.may_start_process.set()
        await opened.until(lambda: backend.looks and backend.looks[-1].is_closed, "it is ended")

    on_app(open_app(number=2), steps)


def test_of_an_evaluation_that_is_confirmed_twice_one_process_runs(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    locked(loop)

    async def steps(opened: Opened) -> None:
        screen = await ready(opened)
        backend.may_start_process.clear()
        for _ in range(2):
            await opened.press("r")
            await opened.shows("Evaluate the holdout?")
            await opened.press("e")
        backend.may_start_process.set()
        await opened.until(lambda: screen.is_evaluating and len(backend.looks) == 2)
        await opened.until(lambda: [each.is_closed for each in backend.looks].count(True) == 1)

    on_app(open_app(number=2), steps)


def test_an_evaluation_that_is_left_or_fails_after_it_was_recorded_counts(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    locked(loop)
    counts = "the evaluation was already recorded and counts as a use of the holdout"

    async def steps(opened: Opened) -> None:
        await ready(opened)
        work = await begun(opened, backend)
        record_holdout_evaluation(loop, look())
        work.is_recorded = True
        work.to_tell = [HoldoutFault("the process has ended: exit code -9")]
        await opened.shows(f"exit code -9; {counts}", "✓ met      the holdout agrees")
        backend.looks.clear()
        again = await begun(opened, backend)
        again.is_recorded = True
        await opened.press("escape")
        await opened.tells(f"ended: {counts}")

    on_app(open_app(WIDE, number=2), steps)


def test_a_refusal_to_evaluate_is_shown(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    backend.refusal = NeedsExtra("a look at the holdout", "train")

    async def steps(opened: Opened) -> None:
        await ready(opened)
        await opened.shows("there is no holdout")
        await opened.press("r")
        await opened.shows("✗ a look at the holdout needs the 'train' extra", "pip install")

    on_app(open_app(number=2), steps)


def test_wrong_criteria_are_shown_in_place_of_the_list(open_app: OpenApp, loop: LoopFolder) -> None:
    loop.settings_file.write_text(loop.settings_file.read_text() + "\n[ready]\ntagret = 1\n")

    async def steps(opened: Opened) -> None:
        await opened.press("g r")
        await opened.shows("ready.tagret: no such criterion")

    on_app(open_app(number=2), steps)


def test_a_closed_loop_says_so_in_the_status_line(open_app: OpenApp, loop: LoopFolder) -> None:
    close_loop(loop, "good \x07enough", 2)

    async def steps(opened: Opened) -> None:
        await opened.shows("closed with 2", "good ␇enough")

    on_app(open_app(SMALL, number=2), steps)


def test_an_evaluation_without_a_metric_is_shown_by_its_losses(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    locked(loop)
    bare = look(score=None, passed=None, paired=None, loss_error=0.05)
    side = Figures(loss=0.7, loss_error=0.05)
    record_holdout_evaluation(
        loop, msgspec.structs.replace(bare, eval=side, base=Figures(loss=2.7))
    )

    async def steps(opened: Opened) -> None:
        await ready(opened)
        await opened.press("G")
        await opened.shows(
            "loss 0.700 on the eval set, 0.800 on the holdout", "no score  loss 0.800"
        )

    on_app(open_app(number=2), steps)
