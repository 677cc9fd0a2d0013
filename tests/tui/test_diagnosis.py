"""The diagnosis on the screen: what it says, where that is seen, and what gets into the draft."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui import diagnoses
from tests.tui.conftest import OpenApp, Opened, examples_of, on_app, scripted_iteration
from tests.tui.diagnoses import (
    EPOCHS,
    FEWER,
    FULL,
    LOOSE,
    LOWER,
    OVERFITTING,
    PLATEAU,
    RATE,
    ROWS,
    SMALLER,
    WEAK,
)
from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion, Verdict
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.draft import read_draft
from tui_loop.tui.actions import ACTIONS
from tui_loop.tui.chart.widget import LossChart
from tui_loop.tui.screens.compare import CompareScreen
from tui_loop.tui.screens.diagnosis import DiagnosisScreen
from tui_loop.tui.screens.dialogs import AskScreen
from tui_loop.tui.screens.reading import HelpScreen
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.diagnosis_list import entries_of, rows_of, text_of
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.field_list import WHY
from tui_loop.tui.widgets.iterations import DRAFT

SMALL, WIDE = (80, 24), (160, 48)
PREDICTED = {"metric": "score", "was": 0.71, "low": 0.72, "high": 0.8}
Say = Callable[..., None]


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Has the diagnoser give these diagnoses."""
    return partial(diagnoses.says, monkeypatch)


async def diagnosed(opened: Opened, *shown: str) -> DiagnosisScreen:
    """Opens the diagnosis of what is selected."""
    await opened.press("d")
    screen = opened.app.screen
    assert isinstance(screen, DiagnosisScreen)
    await opened.shows(*shown)
    return screen


async def goes_to(opened: Opened, screen: DiagnosisScreen, about: Finding | Suggestion) -> None:
    """Moves the cursor to an entry, key by key."""
    await opened.press("home")
    for _ in range(len(screen.list.entries)):
        entry = screen.list.entry
        if entry is not None and entry.about == about:
            return
        await opened.press("down")
    raise AssertionError(f"the cursor never came to {about}")


def test_the_diagnosis_is_copied_as_text(open_app: OpenApp, says: Say) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "overfitting")
        await goes_to(opened, screen, FEWER)
        await opened.press("space", "y")
        lines = opened.app.clipboard.splitlines()
        assert lines[0] == "Diagnosis of support-intents/2 · num_train_epochs 2.5 → 5"
        assert lines[2].startswith("✓ consistent  score 0.71")
        assert f"● overfitting  {OVERFITTING.message}  → step 15" in lines
        assert "  [x] num_train_epochs 5 → 2.5" in lines
        assert "  [ ] run it again with another seed" in lines
        assert lines[-1].startswith("ready?  3 of 5 met · ✓ finished and evaluated · ✗ at least 3")

    on_app(open_app(size=SMALL, number=2), steps)


def with_verdict(loop: LoopFolder, number: int, verdict: str) -> None:
    """Gives the summary of an iteration a verdict."""
    folder = loop.iteration(number)
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, verdict=verdict))


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_verdict_comes_first_then_findings_each_with_what_answers_it(
    size: tuple[int, int], open_app: OpenApp, says: Say
) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "Diagnosis of support-intents/2 · num_train_epochs")
        name = "#diagnosis-list"
        await opened.shows_in(name, "✓ consistent score 0.71, 0.65 to 0.75 was expected")
        await opened.shows_in(
            name, "taken from the diagnosis (more epochs, after underfitting)", "● overfitting eval"
        )
        await opened.shows_in(name, "but: 24 examples are few", "→ step 15")
        await opened.shows_in(name, "[ ] num_train_epochs 5 → 2.5 expects score 72% to 80% (now")
        await opened.shows_in(
            name, "3 of 4 confirmed here · tried already in iteration 1 · medium confidence"
        )
        await opened.press("end")
        await opened.shows_in(name, "◐ weak slice", "○ plateau", "other suggestions")
        text = screen.list.entries
        order = [each.about for each in text if each.about is not None]
        assert order == [OVERFITTING, FEWER, LOWER, SMALLER, WEAK, ROWS, PLATEAU, LOOSE]
        await opened.press("home")
        await opened.shows_in(name, "▸ ● overfitting", "✓ consistent")
        assert not any("…" in line for line in opened.lines)

    on_app(open_app(size=size, number=2), steps)


def test_the_cursor_goes_from_entry_to_entry_and_all_of_one_is_in_view(
    open_app: OpenApp, says: Say
) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "overfitting")
        seen = []
        for _ in range(8):
            assert screen.list.entry is not None
            seen.append(screen.list.entry.about)
            first, last = screen.list._extent(screen.list.cursor)
            assert set(range(first, last + 1)) <= set(screen.list.visible_rows())
            await opened.press("j")
        assert seen == [OVERFITTING, FEWER, LOWER, SMALLER, WEAK, ROWS, PLATEAU, LOOSE]
        await opened.pilot.resize_terminal(*WIDE)
        await opened.until(lambda: screen.list.size.width > 150)
        assert screen.list.entry is not None
        assert screen.list.entry.about == LOOSE
        await opened.press("home")
        at = next(row for row, line in enumerate(opened.lines) if "3 of 4 confirmed" in line)
        assert await opened.pilot.click("#diagnosis-list", offset=(20, at - 1))
        await opened.until(lambda: screen.list.entry is not None)
        assert screen.list.entry.about == FEWER

    on_app(open_app(size=SMALL, number=2), steps)


def test_selected_suggestions_get_into_the_draft_with_reason_and_prediction(
    open_app: OpenApp, says: Say, loop: LoopFolder
) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "overfitting")
        for about in (FEWER, SMALLER, ROWS):
            await goes_to(opened, screen, about)
            await opened.press("space")
        await opened.shows("3 selected: num_train_epochs 2.5, r 8", "[x] 10 to 15 more rows")
        await opened.press("i")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.until(lambda: opened.bench.state.selected == DRAFT)
        await opened.shows("Config of iteration 4, from 2", "2 changed")
        draft = read_draft(loop)
        assert draft is not None
        assert draft.parent == 2
        assert draft.changed == {EPOCHS: (5.0, 2.5), "lora.r": (16, 8)}
        assert draft.why == (
            "eval loss turned up at step 15, half of the run; fewer weights overfit later; "
            "pin blocked has too few training rows"
        )
        assert draft.suggestion == (
            "overfitting/fewer_epochs + overfitting/lower_rank + weak_slice/more_rows"
        )
        assert draft.predicted is not None
        assert PREDICTED.items() <= draft.predicted.items()
        fields = opened.get(ConfigPane).list
        assert fields.key_of(fields.cursor) == "lora.r", "what is changed first is in view"
        await opened.shows("was 16")
        await opened.press("home")
        await opened.shows("expects score 72% to 80% (was")
        await opened.shows_in("#field-help", f"why: {draft.why}")
        assert fields.key_of(fields.cursor) == WHY
        await opened.press("down")
        assert fields.key_of(fields.cursor) == "model.id", "what is predicted is not edited"
        await opened.goes_to(2)
        await opened.press("1")
        await diagnosed(opened, "overfitting")
        assert "[x]" not in opened.text

    on_app(open_app(size=SMALL, number=2), steps)


def test_of_two_that_set_one_field_differently_the_later_one_is_refused(
    open_app: OpenApp, says: Say
) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "overfitting")
        await opened.press("space")
        await opened.tells("This is a finding. Select a suggestion below it.")
        await opened.press("i")
        await opened.tells("No suggestion is selected. space selects the one under the cursor.")
        await goes_to(opened, screen, FEWER)
        await opened.press("space", "down", "space")
        await opened.tells(
            "not selected: num_train_epochs 3 conflicts with the value 2.5 of a selected suggestion"
        )
        assert screen.progress.suggestions == [FEWER]
        await opened.press("up", "space", "down", "space")
        assert screen.progress.suggestions == [LOWER]
        opened.app.clear_notifications()
        await opened.shows("1 selected: learning_rate 1e-3, num_train_epochs 3")

    on_app(open_app(size=WIDE, number=2), steps)


def test_a_draft_with_changes_is_replaced_only_after_a_confirmation(
    open_app: OpenApp, says: Say, loop: LoopFolder
) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        draft = opened.bench.state.draft
        assert draft is not None
        await opened.bench.drafts.save(draft.with_value(RATE, 1.0))
        screen = await diagnosed(opened, "overfitting")
        await goes_to(opened, screen, FEWER)
        await opened.press("space", "i")
        await opened.shows("There is a draft already", "It changes learning_rate 5e-3 → 1")
        assert isinstance(opened.app.screen, AskScreen)
        await opened.press("escape")
        assert opened.app.screen is screen
        kept = read_draft(loop)
        assert kept is not None
        assert kept.value(RATE) == 1.0
        assert screen.progress.suggestions == [FEWER]
        await opened.press("i", "r")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.until(lambda: opened.bench.state.draft and opened.bench.state.draft.suggestion)
        made = read_draft(loop)
        assert made is not None
        assert made.changed == {EPOCHS: (5.0, 2.5)}

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_evidence_is_listed_drawn_or_compared(open_app: OpenApp, says: Say) -> None:
    alone = Finding("slow", "note", "a step took 2 s")
    says(msgspec.structs.replace(FULL, findings=(*FULL.findings, alone)))

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "overfitting")
        await goes_to(opened, screen, WEAK)
        await opened.press("enter")
        assert opened.app.screen is opened.bench
        assert opened.bench.state.pane == "failures"
        pane = opened.get(FailuresPane)
        await opened.until(lambda: pane.list.count == 2)
        assert [pane.list.at(row).id for row in range(2)] == list(WEAK.examples)
        await opened.press("escape")
        await opened.until(lambda: pane.list.count == 7)
        screen = await diagnosed(opened, "weak slice")
        assert screen.list.entry is not None
        assert screen.list.entry.about == WEAK, "one comes back to where one was"
        await goes_to(opened, screen, FEWER)
        await opened.press("enter")
        assert opened.bench.state.pane == "chart"
        assert opened.get(LossChart).view.cursor == 15
        await opened.shows("step 15")
        await opened.press("escape")
        await opened.until(lambda: isinstance(opened.app.screen, DiagnosisScreen))
        await opened.shows("overfitting")
        screen = opened.app.screen
        assert isinstance(screen, DiagnosisScreen)
        await goes_to(opened, screen, PLATEAU)
        await opened.press("enter")
        await opened.until(lambda: isinstance(opened.app.screen, CompareScreen))
        await opened.shows("Compare support-intents/2 against 1")
        await opened.press("escape")
        assert opened.app.screen is screen
        for about in (alone, LOOSE):
            opened.app.clear_notifications()
            await goes_to(opened, screen, about)
            await opened.press("enter")
            await opened.tells("This finding has no examples or steps to show.")

    on_app(open_app(size=SMALL, number=2), steps)


def test_evidence_of_an_iteration_that_was_stepped_to_is_its_own(
    open_app: OpenApp, says: Say
) -> None:
    spike = Finding("unstable", "warning", "the gradient grew at step 7", steps=(7,))
    says(FULL, Diagnosis(1, (spike,)))

    async def steps(opened: Opened) -> None:
        await diagnosed(opened, "overfitting")
        await opened.press("left_square_bracket")
        await opened.shows("Diagnosis of support-intents/1 · baseline", "◐ unstable")
        await opened.press("enter")
        await opened.shows("3 Loss of 1")
        await opened.shows("step 7")

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_brackets_go_through_the_iterations_and_where_there_is_nothing_it_says_so(
    open_app: OpenApp, says: Say, loop: LoopFolder
) -> None:
    says(FULL, Diagnosis(3, (msgspec.structs.replace(OVERFITTING, kind="diverged"),)))
    run = scripted_iteration(loop, "learning_rate=1e-4").starts()

    async def steps(opened: Opened) -> None:
        screen = await diagnosed(opened, "overfitting")
        await goes_to(opened, screen, FEWER)
        await opened.press("space", "right_square_bracket")
        await opened.shows("● diverged")
        await opened.press("right_square_bracket")
        await opened.shows(
            "No diagnosis yet: iteration 4 is running.", "appears when the run has ended"
        )
        await opened.press("right_square_bracket")
        await opened.shows("Diagnosis of the draft", "No diagnosis yet: the draft has not run.")
        await opened.press("right_square_bracket", *["left_square_bracket"] * 3)
        await opened.shows("[x] num_train_epochs 5 → 2.5")
        assert screen.list.entry is not None
        assert screen.list.entry.about == FEWER
        await opened.press("left_square_bracket")
        await opened.shows("No findings in iteration 1.")
        await opened.press("left_square_bracket")
        await opened.shows(
            "No diagnosis: iteration 0 is the untrained", "are compared with this model"
        )
        assert opened.lines[-1].strip() == "[ prev  ] next  y copy  esc back  ? help"
        await opened.press("left_square_bracket", "space", "enter", "i")
        await opened.tells("No suggestion is selected.")
        await opened.press("escape")
        assert opened.bench.state.selected == 0
        run.closes()

    on_app(open_app(size=SMALL, number=2), steps)


def test_what_ends_while_its_diagnosis_is_open_gets_one(
    open_app: OpenApp, says: Say, loop: LoopFolder
) -> None:
    says(msgspec.structs.replace(FULL, number=4))
    run = scripted_iteration(loop, "learning_rate=1e-4").starts()

    async def steps(opened: Opened) -> None:
        await diagnosed(opened, "No diagnosis yet: iteration 4 is running.")
        examples, tokens = examples_of({1, 2})
        run.ends(examples=examples, tokens=tokens)
        await opened.until(lambda: not opened.bench.poll_now() and "overfitting" in opened.text)

    on_app(open_app(size=SMALL, number=4), steps)


def test_a_slow_diagnosis_says_so_and_holds_up_neither_keys_nor_polls(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, asked = threading.Event(), list[int]()

    def diagnose(self: Diagnoser, number: int) -> Diagnosis:
        asked.append(number)
        assert may.wait(PATIENCE_SECONDS)
        return Diagnosis(number, (msgspec.structs.replace(WEAK, message=f"of {number}"),))

    monkeypatch.setattr(Diagnoser, "diagnose", diagnose)

    async def steps(opened: Opened) -> None:
        try:
            await diagnosed(opened, "reading the record of iteration 2 ...")
            await opened.until(lambda: asked == [2])
            await opened.looks(2)
            await opened.press("left_square_bracket", "left_square_bracket")
            await opened.press("right_square_bracket")
            await opened.shows("reading the record of iteration 1 ...")
        finally:
            may.set()
        await opened.shows("weak slice  of 1")
        assert asked == [2, 1], "what was passed over is not diagnosed"
        await opened.press("right_square_bracket")
        await opened.shows("weak slice  of 2")
        may.clear()
        await opened.press("left_square_bracket")
        await opened.shows("weak slice  of 1", "refreshing ...")
        may.set()
        await opened.hides("refreshing ...")

    on_app(open_app(size=SMALL, number=2), steps)


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (BadInput("journal.jsonl: cannot be read", "mend it"), ("✗ journal.jsonl", "mend it")),
        (ZeroDivisionError("by zero"), ("✗ ZeroDivisionError: by zero", "a bug in tui-loop")),
    ],
)
def test_an_error_of_a_diagnosis_is_shown_in_its_place(
    fault: Exception, shown: tuple[str, ...], open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diagnose(self: Diagnoser, number: int) -> Any:
        raise fault

    monkeypatch.setattr(Diagnoser, "diagnose", diagnose)

    async def steps(opened: Opened) -> None:
        await diagnosed(opened, *shown)
        await opened.press("escape")
        assert opened.app.screen is opened.bench

    on_app(open_app(size=SMALL, number=2), steps)


def test_text_of_a_record_cannot_command_the_terminal(open_app: OpenApp, says: Say) -> None:
    evil = "\x1b[31m[bold]x[/bold]\u202e"
    said = Suggestion("k" + evil, "overfitting", f"do {evil}", "why", ground=evil, record=evil)
    finding = Finding("overfitting", "alarm", f"it says {evil}", otherwise=evil)
    verdict = Verdict("against", evil, evil)
    says(Diagnosis(2, (finding,), (said,), verdict))

    async def steps(opened: Opened) -> None:
        await diagnosed(opened, "it says ␛[31m[bold]x[/bold]<U+202E>")
        assert "\x1b" not in opened.text
        assert "\u202e" not in opened.text

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_keys_of_a_diagnosis_are_in_its_help_and_its_footer(
    open_app: OpenApp, says: Say
) -> None:
    says(FULL)

    async def steps(opened: Opened) -> None:
        await diagnosed(opened, "overfitting")
        footer = "space select  enter evidence  i draft  [ prev  ] next  y copy  esc back  ? help"
        assert footer in opened.lines[-1]
        await opened.press("question_mark")
        assert isinstance(opened.app.screen, HelpScreen)
        for each in ACTIONS:
            if each.scope == "diagnosis":
                await opened.shows(each.id)

    on_app(open_app(size=SMALL, number=2), steps)


VERDICTS = {
    "confirmed": ("✓ confirmed", "✓ confirmed by replicates"),
    "refuted": ("✗ refuted", "✗ refuted by replicates"),
    "consistent": ("✓ expected", "✓ consistent with the prediction"),
    "against": ("✗ against", "✗ against the prediction"),
    "too close to call": ("≈ too close", "≈ too close to call"),
    "of a later version": ("· of a …", "· verdict on the prediction: of a later version"),
}


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_verdict_is_beside_what_can_be_claimed_and_nothing_is_cut(
    size: tuple[int, int], open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        for verdict, (word, sentence) in VERDICTS.items():
            with_verdict(loop, 2, verdict)
            await opened.looks()
            await opened.shows(sentence)
            line = next(each for each in opened.lines if "▸   2" in each)
            assert "num_train_epochs 2.5 → 5 " in line
            figures, _, shown = line.partition("better?")
            assert figures.endswith("0.915  71% +29 ±23 ")
            assert shown.split("│")[0].strip() == word
        await opened.press("enter")
        await opened.shows("against iteration 1: consistent with better, +29 ±23 points", sentence)

    on_app(open_app(size=size, number=2), steps)


def test_a_long_reason_pushes_out_neither_the_verdict_nor_what_a_draft_offers(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    folder, why = loop.iteration(2), "words of a reason that goes on and on " * 12
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, verdict="against", decision=why))

    async def steps(opened: Opened) -> None:
        await opened.shows_in("#iteration-note", "✗ against the prediction", "because: words")
        draft = opened.bench.state.draft
        assert draft is not None
        await opened.bench.drafts.save(
            msgspec.structs.replace(draft.with_value(RATE, 1e-3).with_why(why), predicted=PREDICTED)
        )
        await opened.goes_to(DRAFT)
        await opened.shows_in("#iteration-note", "because: words", "r runs the draft. 2 edits it.")
        await opened.press("r")
        await opened.shows("expects score 72% to 80%", "why      words of a reason that")

    on_app(open_app(size=SMALL, number=2), steps)


@given(st.integers(20, 170), st.text("ab →\n", max_size=120), st.text("ab ", max_size=90))
def test_no_line_is_wider_than_the_list_and_no_word_is_lost(
    width: int, message: str, action: str
) -> None:
    finding = Finding("label_noise", "warning", message, steps=(1,), otherwise=message)
    answer = Suggestion("mend_labels", "label_noise", action, "", ground=message)
    for is_wide in (False, True):
        entries = entries_of(Diagnosis(1, (finding,), (answer,)), (), is_wide=is_wide)
        rows = rows_of(entries, width)
        assert all(sum(len(text) for text, _ in row.parts) <= max(width, 40) for row in rows)
        shown = "".join(text for row in rows for text, _ in row.parts)
        told = text_of(entries)
        assert "".join(shown.split()) == "".join(told.split())
