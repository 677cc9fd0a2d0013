"""Text that a terminal would obey, in every place a loop has text: it is seen and never obeyed."""

from __future__ import annotations

import json
import tomllib
import unicodedata

import msgspec
import pytest
import tomli_w

from tests.tui import diagnoses
from tests.tui.conftest import (
    OpenApp,
    Opened,
    ScriptedRun,
    example_of,
    on_app,
    scripted_iteration,
)
from tui_loop.core.data.row_files import RowFiles
from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.findings import (
    Diagnosis,
    Finding,
    Prediction,
    Suggestion,
    Verdict,
)
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.annotations import Annotation
from tui_loop.core.examples.query import Query
from tui_loop.core.examples.tfidf_index import Answer, Neighbour
from tui_loop.core.inference_messages import ServerStatus
from tui_loop.core.record.codec import to_json_lines
from tui_loop.core.record.events import Evaluated, MetricsLogged, PhaseStarted, RunStarted
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Example, Split, TokenLosses
from tui_loop.core.workflow.holdout import HoldoutEvaluation
from tui_loop.tui.backend import NearestRows
from tui_loop.tui.screens.breakdown import BreakdownScreen
from tui_loop.tui.screens.reading import ReadingScreen
from tui_loop.tui.screens.run_dialogs import RunDialog
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import DRAFT

ESCAPES = (
    "\x1b[31mred\x1b[0m",
    "\x1b]52;c;aGVsbG8=\x07",
    "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]0;title\x07",
    "\x1bPq#0\x1b\\",
    "\x9b2J\x9d52;c;eA==\x9c\x90q\x9c",
    "\x1bc\x1b[?1049l",
)
MARKUP = "[/foo] [INST] [bold red]x[/] [@click=app.quit]q[/] $var \\[x]"
BIDI = "a\u202eb\u202dc\u2066d\u2069e\u200ff\u061cg"
OTHER = "nul\x00 del\x7f bel\x07 back\x08\x08 feed\x0c\x0b\r line\u2028para\u2029bom\ufeff"
COMBINED = "z" + "\u0301" * 40
HOSTILE = " ".join([*ESCAPES, MARKUP, BIDI, OTHER, COMBINED])
LONG = f"{HOSTILE} " + "x\x1b[2J" * 200_000
LONE = "lone \ud83d and \udc00"

BIDI_SIGNS = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def obeyed(text: str) -> list[str]:
    """The signs of `text` that a terminal might obey."""
    return [
        f"U+{ord(sign):04X}"
        for sign in text
        if unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or ord(sign) in BIDI_SIGNS
    ]


def assert_harmless(opened: Opened) -> None:
    for place, line in enumerate(opened.lines):
        assert not obeyed(line), (place, line)


@pytest.fixture
def hostile_loop(loop: LoopFolder) -> LoopFolder:
    """The recorded loop with hostile text wherever it has text."""
    settings = loop.settings_file.read_text()
    goal = json.dumps(HOSTILE, ensure_ascii=True).replace("\\u007f", "\\u007F")
    loop.settings_file.write_text(settings.replace('"tell support intents apart"', goal))
    folder = loop.iteration(2)
    summary = folder.read_summary()
    assert summary is not None
    config = {name: dict(table) for name, table in (summary.config or {}).items()}
    config["model"]["id"] = HOSTILE
    config["training"]["optim"] = HOSTILE
    config["data"]["columns"] = {"prompt": HOSTILE}
    folder.write_summary(
        msgspec.structs.replace(
            summary,
            decision=f"{HOSTILE}\n{LONG}",
            config=config,
            changes={
                "model.id": ["tiny", HOSTILE],
                f"training.{HOSTILE}": [HOSTILE, None],
                "data.train": {HOSTILE: HOSTILE},
                "training.optim": HOSTILE,
            },
            metrics={**summary.metrics, HOSTILE: HOSTILE},
        )
    )
    rows, tokens = [], []
    for index in range(6):
        text = LONG if index == 5 else f"{index} {HOSTILE} {LONE}"
        row, _ = example_of(index, passed=index % 2 == 0, said=text, prompt=text, reference=text)
        rows.append(msgspec.structs.replace(row, columns={HOSTILE: HOSTILE}, causes=(HOSTILE,)))
        tokens.append(TokenLosses(row.id, [(each, "NaN") for each in (*ESCAPES, OTHER, MARKUP)]))
    folder.write_examples(rows, tokens)
    parent = loop.iteration(1)
    parent.write_examples([flipped(row) for row in rows], tokens)
    for row in rows[1:4]:
        loop.labels.touch()
        with loop.labels.open("ab") as file:
            file.write(to_json_lines([said_of(row)]))
    folder.notes.write_text(HOSTILE)
    failed = loop.iteration(3)
    summary = failed.read_summary()
    assert summary is not None
    error = {"kind": HOSTILE, "message": f"{HOSTILE}\n{HOSTILE}", "hint": HOSTILE, "step": 1}
    failed.write_summary(msgspec.structs.replace(summary, error=error))
    return loop


def said_of(row: Example) -> Annotation:
    return Annotation(row.id, "note", iteration=2, note=HOSTILE, by=HOSTILE)


def flipped(row: Example) -> Example:
    passed = not row.passed
    return msgspec.structs.replace(row, passed=passed, score=float(passed))


def says_hostile_things(run: ScriptedRun) -> None:
    """A live run whose every event has hostile text."""
    run.does(
        RunStarted(loop=HOSTILE, iteration=4, attempt=1, pid=1, host=HOSTILE, device=HOSTILE),
        PhaseStarted(name=HOSTILE),
        MetricsLogged(step=1, epoch=None, values={HOSTILE: 1.0, "loss": 2.0}),
        Evaluated(step=1, epoch=None, values={HOSTILE: 1.0, "eval_loss": 2.0}),
    )
    for level in ("info", "warning", "error", HOSTILE):
        run.says(HOSTILE, level=level, source=HOSTILE)
    run.says(LONG).says(LONE)
    run.says("the last line")


async def looks_at_all(opened: Opened, *keys: str) -> None:
    for key in keys:
        await opened.press(key)
        assert_harmless(opened)


async def lists_all(opened: Opened) -> None:
    await opened.press("f")
    await opened.type("")
    await opened.press("enter")
    await opened.until(lambda: opened.get(FailuresPane).choice.query == Query())


SIZES = [(160, 48), pytest.param((80, 24), marks=pytest.mark.slow)]


@pytest.mark.parametrize("size", SIZES)
def test_no_pane_obeys_what_a_finished_iteration_says(
    size: tuple[int, int], open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        assert_harmless(opened)
        await looks_at_all(opened, "1", "2", "z", "down", "down", "end", "v", "3", "4")
        await lists_all(opened)
        await opened.shows("␛[31mred␛[0m")
        await looks_at_all(opened, "end", "home", "o", "slash")
        await opened.type("INST")
        assert_harmless(opened)
        await looks_at_all(opened, "enter", "n", "escape")
        await opened.press("f", "end", "space", *("x\x1b[2J\u202e"))
        assert_harmless(opened)
        await looks_at_all(opened, "enter", "escape", "5", "z", "1", "m")

    on_app(open_app(size=size, number=2), steps)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
def test_no_screen_to_read_obeys_what_it_shows(
    size: tuple[int, int], open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("enter")
        await opened.until(lambda: isinstance(opened.app.screen, ReadingScreen))
        await opened.shows("because: ␛[31mred␛[0m")
        await looks_at_all(opened, "pagedown", "end", "pageup", "home", "escape")
        await opened.press("c")
        await opened.shows("Compare support-intents/2 against 1", "model.id")
        await looks_at_all(opened, "pagedown", "end", "2", "3", "end", "4", "end", "5", "escape")
        await opened.press("4")
        await lists_all(opened)
        row = Row("t", HOSTILE, HOSTILE, 7)
        answer = Answer(HOSTILE, is_new=True, neighbours=[Neighbour(row, 0.5)] * 3)
        opened.backend.near = NearestRows(answer, RowFiles({"": HOSTILE}, {}), HOSTILE)
        await opened.press("enter")
        await opened.shows("Example 1 of 6")
        for place in range(2, 8):
            await looks_at_all(opened, "v", *["right"] * 6, "n", "pagedown", "end")
            if place < 7:
                await opened.press("right_square_bracket")
                await opened.shows(f"Example {place} of 6")
        await looks_at_all(opened, "a b", "a x", "a n", "escape", "y", "g t")
        await opened.until(lambda: opened.app.screen is not opened.bench)
        await looks_at_all(opened, "escape", "escape", "question_mark", "end", "escape")

    on_app(open_app(size=size, number=2), steps)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
def test_nothing_that_is_counted_or_named_is_obeyed(
    size: tuple[int, int], open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    folder = hostile_loop.iteration(2)
    labels = [f"{sign} {HOSTILE[:60]}" for sign in "ab"]
    rows = [
        example_of(
            index,
            passed=index >= 12,
            reference=labels[index % 2],
            said=labels[index >= 12 if index % 2 else index < 12],
            columns={"source\x1b[2J": f"[bold]{HOSTILE}" if index < 12 else "web"},
        )[0]
        for index in range(40)
    ]
    folder.write_examples(rows, [])
    opened_at: list[BreakdownScreen] = []

    async def steps(opened: Opened) -> None:
        await opened.press("4", "g d")
        await opened.until(lambda: isinstance(opened.app.screen, BreakdownScreen))
        screen = opened.app.screen
        assert isinstance(screen, BreakdownScreen)
        opened_at.append(screen)
        assert_harmless(opened)
        await opened.press("A")
        await opened.type(HOSTILE)
        await looks_at_all(opened, "enter", "space", "home")
        terms = [at for at, line in enumerate(screen.list.lines) if line.term.strip()]
        assert any("\x1b" in screen.list.lines[at].term for at in terms)
        for at in terms:
            screen.list.set_cursor(at)
            await looks_at_all(opened, "space", "space")
        await looks_at_all(opened, "end", "pageup", "enter")
        assert opened.app.screen is opened.bench
        await looks_at_all(opened, "g d", "escape", "escape")

    on_app(open_app(size=size, number=2), steps)
    text = "".join(line.name + line.figures for line in opened_at[0].list.lines)
    assert "slices failing beyond chance" in text
    assert labels[0] in text


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
def test_no_answer_of_a_model_is_obeyed(
    size: tuple[int, int], open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await lists_all(opened)
        await opened.press("g m")
        await opened.until(lambda: opened.backend.askers)
        asker = opened.backend.askers[-1]
        for state, words in (("loading", {}), ("left_out", {"message": HOSTILE, "hint": LONG})):
            asker.tells(ServerStatus(state=state, iteration=1, **words))  # type: ignore[arg-type]
        asker.answers_all(HOSTILE, LONG, LONE)
        await opened.shows("3 tokens")
        assert_harmless(opened)
        await opened.type(HOSTILE)
        await looks_at_all(opened, "enter", "ctrl+g", "pageup", "pagedown")
        asker.tells(ServerStatus(state="error", id=2, message=HOSTILE, hint=LONG))
        asker.tells(ServerStatus(state="ended", message=HOSTILE, hint=HOSTILE))
        await opened.shows("␛[31mred")
        await looks_at_all(opened, "pageup", "escape")
        opened.backend.refusal = BadInput(HOSTILE, HOSTILE)
        await looks_at_all(opened, "g m")
        await opened.tells("␛[31mred")
        assert_harmless(opened)

    on_app(open_app(size=size, number=2), steps)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
def test_no_question_or_toast_obeys_what_it_tells(
    size: tuple[int, int], open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        draft = opened.bench.state.draft
        assert draft is not None
        changed = draft.with_value("model.id", HOSTILE).with_value("data.subset", HOSTILE)
        await opened.bench.drafts.save(changed.with_why(HOSTILE))
        await looks_at_all(opened, "1", "2", "a", "home", "end", "backspace", "escape")
        await looks_at_all(opened, "down", "enter", "home", "end", "escape")
        opened.backend.notices = [HOSTILE, LONG]
        await opened.press("r")
        await opened.shows("training rows")
        assert isinstance(opened.app.screen, RunDialog)
        assert opened.app.screen.field.value == HOSTILE
        await looks_at_all(opened, "escape")
        opened.backend.refusal = BadInput(HOSTILE, HOSTILE)
        await opened.press("r")
        await opened.shows("hint: ")
        await looks_at_all(opened, "escape")
        opened.backend.fault = BadInput(LONG, HOSTILE)
        await opened.looks()
        await opened.tells("␛[31mred")
        await opened.shows("␛[31mred")
        assert_harmless(opened)
        await opened.press("g i")
        await opened.shows("Messages", "␛[31mred")
        await looks_at_all(opened, "end", "escape", "2", "slash")
        await opened.type(HOSTILE)
        await opened.tells("no match for ")
        await looks_at_all(opened, "enter", "n", "N")
        await opened.goes_to(2)
        await opened.press("1", "a")
        await opened.shows("Why was iteration 2 run?")
        await looks_at_all(opened, "home", "end", "escape")
        await opened.goes_to(1)
        await opened.press("i")
        await opened.shows("There is a draft already")
        await looks_at_all(opened, "escape", "1", "y", "4", "y", "2", "y")

    on_app(open_app(size=size), steps)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
def test_no_pane_obeys_what_a_live_run_says(
    size: tuple[int, int], open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    run = scripted_iteration(hostile_loop, "optim=x\x1b[2J", parent=1)

    async def steps(opened: Opened) -> None:
        await opened.press("5")
        says_hostile_things(run)
        await opened.looks(2)
        await opened.shows("the last line")
        await looks_at_all(opened, "up", "up", "home", "f", "f", "slash")
        await opened.type("INST")
        await looks_at_all(opened, "enter", "escape", "3", "v", "v", "left", "1", "s")
        await looks_at_all(opened, "escape", "2", "3", "4", "5")
        error = {"kind": HOSTILE, "message": LONG, "hint": HOSTILE, "step": 1}
        run.ends("failed", error=error)
        await opened.looks(2)
        await opened.tells("4 failed: ␛[31m")
        await looks_at_all(opened, "1", "enter", "end", "escape")

    on_app(open_app(size=size, number=4), steps)
    run.closes()


def test_a_broken_record_tells_what_it_has_without_obeying_it(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    loop.iteration(3).summary.unlink()
    loop.iteration(3).config.write_text('[training]\nlearning_rate = "\x1b[31m\u202e"\n')
    loop.iteration(2).examples.write_text('{"id": "\\u001b[31m\u202e", "score": "x"}\n')
    journal = loop.iteration(2).journal
    line = '{"event":"line","seq":99,"t":1,"level":"info","source":"x","text":"\\ud83d\\u001b[2J"}'
    journal.write_text(journal.read_text() + line + "\n")
    loop.draft.write_text('[training]\n"\\u001b[2J\u202e" = "\\u009b2J"\n"[/foo]" = 1\n')

    async def steps(opened: Opened) -> None:
        await looks_at_all(opened, "1", "2", "3", "4", "5", "1", "up", "4", "1", "end", "2", "g n")
        await looks_at_all(opened, "r", "e", "escape")

    on_app(open_app(), steps)


def test_what_is_copied_is_as_it_is_recorded(open_app: OpenApp, hostile_loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await lists_all(opened)
        await opened.press(*["o"] * 5, "home", "y")
        await opened.tells("copied: 0 ␛[31mred␛[0m")
        assert opened.app.clipboard.startswith("0 \x1b[31mred\x1b[0m \x1b]52;")

    on_app(open_app(number=2), steps)


def hostile_advice(loop: LoopFolder) -> Diagnosis:
    """Findings, suggestions, a verdict, drafts, looks and criteria in hostile words."""
    suggestion = Suggestion(
        *("fewer_epochs", "overfitting", f"{HOSTILE} {LONG[:5000]}", HOSTILE),
        changes={"training.optim": (HOSTILE, HOSTILE), f"lora.{HOSTILE}": (None, [HOSTILE])},
        expects=Prediction("score", 0.4, 0.5, 0.6),
        ground=HOSTILE,
        tried=(1, 2),
        record=HOSTILE,
    )
    finding = Finding(
        *("overfitting", "alarm", f"{HOSTILE} {LONG[:5000]}"),
        figures={"label": HOSTILE},
        examples=(HOSTILE, f"{0:012x}"),
        otherwise=HOSTILE,
    )
    known = Diagnosis(
        2,
        (finding, msgspec.structs.replace(finding, kind=HOSTILE, severity="note")),
        (suggestion, msgspec.structs.replace(suggestion, finding=HOSTILE, kind=HOSTILE)),
        Verdict("against", HOSTILE, HOSTILE, 0.1),
    )
    drafts = [
        {"parent": 1, "why": HOSTILE, "set": {"optim": HOSTILE}, "suggestion": HOSTILE},
        {"parent": 99, "problem": f"{HOSTILE} {LONG[:5000]}", "set": {"model": {HOSTILE: 1}}},
    ]
    loop.queue.write_text(tomli_w.dumps({"drafts": drafts}))
    folder = loop.iteration(2)
    splits = folder.read_splits() | {"holdout": Split("holdout.jsonl", "c" * 64, 40)}
    folder.write_config(folder.read_config(), splits)
    look = HoldoutEvaluation(1e9, 2, "c" * 64, 40, HOSTILE, 0.5, 20, 40, "NaN")
    loop.holdout.write_bytes(to_json_lines([look]))
    return known


@pytest.mark.slow
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
def test_no_diagnosis_pattern_checklist_or_queue_is_obeyed(
    size: tuple[int, int],
    open_app: OpenApp,
    hostile_loop: LoopFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    diagnoses.says(monkeypatch, hostile_advice(hostile_loop))
    for number in range(4):
        folder = hostile_loop.iteration(number)
        summary = folder.read_summary()
        assert summary is not None
        config = {name: dict(table) for name, table in (summary.config or {}).items()}
        config["model"]["id"] = HOSTILE
        error = {"kind": "diverged", "message": HOSTILE} if number == 3 else None
        folder.write_summary(
            msgspec.structs.replace(summary, config=config, verdict=HOSTILE, error=error)
        )

    async def steps(opened: Opened) -> None:
        await opened.press("d")
        await opened.shows("␛[31mred␛[0m")
        await looks_at_all(
            opened, *["down"] * 6, "end", "home", "down", "space", "y", "question_mark"
        )
        await looks_at_all(opened, "escape", "i", "escape", "escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.goes_to(2)
        await opened.press("g p")
        await opened.shows("the one run diverged on")
        await looks_at_all(opened, "down", "end", "tab", "down", "y", "escape", "escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.press("g r")
        await opened.shows("the holdout agrees")
        await looks_at_all(opened, "down", "end")
        await opened.shows("1 use of this holdout", "support-intents/2")
        await looks_at_all(opened, "r", "escape", "escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.press("g q")
        await opened.shows("2 drafts queued", "␛[31mred")
        await looks_at_all(
            opened, "down", "tab", "end", "tab", "shift+down", "shift+up", "r", "escape", "escape"
        )

    on_app(open_app(size=size, number=2), steps)


def test_a_queue_and_criteria_that_cannot_be_read_are_told_and_not_obeyed(
    open_app: OpenApp, hostile_loop: LoopFolder
) -> None:
    hostile_loop.queue.write_text(tomli_w.dumps({"drafts": [{"set": {HOSTILE: 1}}]}))
    settings = tomllib.loads(hostile_loop.settings_file.read_text())
    hostile_loop.settings_file.write_text(tomli_w.dumps(settings | {"ready": {HOSTILE: HOSTILE}}))

    async def steps(opened: Opened) -> None:
        await opened.press("g q")
        await opened.shows("queue.toml: draft 1", "␛[31mred")
        await looks_at_all(opened, "down", "r", "escape", "escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.press("g r")
        await opened.shows("ready.␛[31mred")
        await looks_at_all(opened, "down", "r", "escape", "escape")

    on_app(open_app(number=2), steps)
