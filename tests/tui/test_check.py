"""The pre-flight on the screen: findings, what shows them, and rows token by token."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tui.conftest import FakeBackend, OpenApp, Opened, finds, on_app
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import CheckResult, RowEvidence, error, info, warning
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.tui.screens.check import CheckScreen
from tui_loop.tui.screens.run_dialogs import RunDialog
from tui_loop.tui.widgets.config_form import ConfigPane

FOUND = [
    error("empty_rows", "2 training rows have nothing to say", "mend the rows", count=2),
    warning(
        "duplicate_rows",
        "30 of 96 training rows (31%) repeat another row",
        "remove them",
        count=30,
        rows=(
            RowEvidence("train", 4, "a", "change my \x1b[31maddress → [bold]address"),
            RowEvidence("train", 71, "b", "change my address → address"),
        ),
    ),
    info("steps", "30 optimizer steps of 8 rows"),
]


async def checked(opened: Opened, found: list[CheckResult] = FOUND) -> CheckScreen:
    """Opens the check; `found` is what it finds."""
    opened.backend.checks.found = found
    await opened.press("g c")
    await opened.until(lambda: isinstance(opened.app.screen, CheckScreen))
    screen = opened.app.screen
    assert isinstance(screen, CheckScreen)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_findings_have_their_severity_as_a_word_and_what_shows_them_below(
    size: tuple[int, int], open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        await checked(opened)
        await opened.shows("1 error, 1 warning", "tokens per row: median 21")
        await opened.shows("✗ error    2 training rows", "! warning  30 of 96", "· info     30 opt")
        await opened.shows("empty rows", "hint: mend the rows")
        await opened.press("j")
        await opened.shows("duplicate rows", "train:4 ", "Only the first rows are shown.")
        assert "␛[31maddress → [bold]address" in opened.text
        await opened.press("enter")
        assert opened.app.screen.focused is opened.app.screen.sheet
        await opened.press("escape")
        assert opened.app.screen.focused is opened.app.screen.list
        await opened.press("escape")
        assert opened.app.screen is opened.bench

    on_app(open_app(size, number=3), steps)


def test_brackets_step_through_rows_and_mark_what_is_not_trained_on(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await checked(opened)
        await opened.shows("1 error, 1 warning")
        await opened.press("right_square_bracket")
        await opened.shows("Training row 1 of 3", "1 of 3 tokens are trained on")
        await opened.shows("[Message: row 1] refund", "line 11")
        await opened.press("right_square_bracket")
        await opened.shows("Training row 2 of 3")
        await opened.press("right_square_bracket", "right_square_bracket")
        await opened.shows("Training row 3 of 3")
        await opened.press("left_square_bracket")
        await opened.shows("Training row 2 of 3")
        assert screen.row is not None
        await opened.press("j")
        await opened.shows("duplicate rows")
        assert screen.row is None

    on_app(open_app((80, 24), number=3), steps)


def test_tokens_reach_the_terminal_through_the_gate(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        tokens = [("\x1b]52;c;aGk=\x07 [red]", False), ("\u202eok\x9b2J", True)]
        opened.backend.checks.tokens = tokens
        await checked(opened)
        await opened.shows("1 error, 1 warning")
        await opened.press("right_square_bracket")
        await opened.shows("[␛]52;c;aGk=␇ [red]]<U+202E>ok<9B>2J")

    on_app(open_app((80, 24), number=3), steps)


def test_rows_are_there_while_tokens_are_counted_and_leaving_ends_it(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        checks = opened.backend.checks
        checks.may_count.clear()
        await checked(opened)
        await opened.shows("counting tokens ...", "! warning  30 of 96")
        assert "tokens per row: median 21" not in opened.text
        assert not checks.was_ended
        await opened.press("escape")
        await opened.until(lambda: checks.was_ended)
        assert opened.app.screen is opened.bench

    on_app(open_app((80, 24), number=3), steps)


def test_a_check_that_cannot_be_done_says_why(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.refusal = BadInput("train.jsonl: no such file", "check the path")
        await checked(opened)
        await opened.shows("Check failed", "✗ train.jsonl: no such file", "hint: check the path")

    on_app(open_app((80, 24), number=3), steps)


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        (
            [FOUND[1]],
            "1 warning: 30 of 96 training rows (31%) repeat another row. "
            "After esc, g c shows all checks.",
        ),
        ([FOUND[1], FOUND[1], FOUND[2]], "2 warnings. After esc, g c shows all checks."),
    ],
)
def test_the_run_dialog_counts_warnings_and_still_runs(
    findings: list[CheckResult], told: str, open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.findings = findings
        await opened.press("r")
        await opened.shows_in("Sheet", told)
        await opened.press("enter")
        await opened.shows("This run repeats its parent. Press enter again to run it.")
        assert not opened.backend.runs, "an unchanged draft takes enter twice"
        await opened.press("enter")
        await opened.until(lambda: opened.backend.runs)

    on_app(open_app((80, 24), number=3), steps)


def test_the_run_dialog_does_not_run_what_has_errors(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.findings = FOUND
        await opened.press("r")
        await opened.shows_in(
            "Sheet",
            "✗ 2 training rows have nothing to say",
            "1 error and 1 warning. After esc, g c shows all checks.",
        )
        await opened.press("enter", "enter")
        assert isinstance(opened.app.screen, RunDialog)
        assert not opened.backend.runs

    on_app(open_app((80, 24), number=3), steps)


def test_what_is_not_used_is_a_finding_like_any_other(open_app: OpenApp, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"p{n}", "completion": "c", "weight": n % 2, "\x1b[31murl": "u"}
        for n in range(40)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = with_settings(Config(), ["data.train=rows.jsonl"])
    found = column_findings(load_data(config, tmp_path))

    async def steps(opened: Opened) -> None:
        await checked(opened, found)
        await opened.shows(
            "! warning  column weight is not used", "· info     columns not used: ␛[31murl"
        )
        await opened.shows("unused columns", "0 or false, the first in line")
        await opened.shows("hint: remove the rows that should not be trained on")

    on_app(open_app((80, 24), number=3), steps)


def test_a_model_that_does_not_suit_the_data_is_reported_after_the_edit(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.checks.found = [warning("steps", "few steps")]
        await opened.press("i")
        await finds(opened, "training.learning_rate")
        await opened.press("enter")
        await opened.type("2e-3")
        opened.backend.checks.found = [error("template", "the base has no chat template", "choose")]
        await opened.press("enter")
        await opened.until(lambda: not opened.get(ConfigPane).is_editing)
        await opened.looks(2)
        assert "no chat template" not in opened.text, "another setting starts no check"
        await finds(opened, "model.id")
        await opened.press("enter")
        await opened.type("smol")
        await opened.shows("smollm2")
        await opened.press("tab", "enter")
        await opened.tells("the base has no chat template")
        draft = opened.bench.state.draft
        assert draft is not None
        assert draft.value("model.id") == "smollm2"

    on_app(open_app(number=2), steps)


def test_a_data_file_is_completed_while_its_path_is_typed(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        root = opened.bench.loop.root
        (root / "more").mkdir()
        (root / "more" / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
        await opened.press("i")
        await finds(opened, "data.eval")
        await opened.press("enter")
        await opened.type("mo")
        await opened.shows("more/")
        await opened.press("tab")
        await opened.press("c", "h")
        await opened.shows("more/chats.jsonl")
        await opened.press("tab", "enter")

        def is_taken() -> bool:
            draft = opened.bench.state.draft
            return draft is not None and draft.value("data.eval") == "more/chats.jsonl"

        await opened.until(is_taken)

    on_app(open_app(number=2), steps)
