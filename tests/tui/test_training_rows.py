"""Training rows on the screen: what may be wrong with them, and their place in the file."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.tui.conftest import FakeBackend, OpenApp, Opened, an_editor, on_app
from tui_loop.core.data.row_files import RowFiles
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.suspects import Suspect
from tui_loop.core.examples.tfidf_index import Answer, Neighbour
from tui_loop.core.preflight.check_result import RowEvidence, warning
from tui_loop.core.record.structs import TrainingRow
from tui_loop.tui.backend import NearestRows, SuspectRows
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.screens.training import TrainingScreen, placed, suspected_rows

HOSTILE = "\x1b[31mmy card\x07 [bold]is late"


def hard(line: int, loss: float | str, prompt: str = "where is my card") -> TrainingRow:
    return TrainingRow(f"t{line}", prompt, "card arrival", loss, 2, line, 96)


def one_file(path: Path | None) -> RowFiles:
    return RowFiles({"": "train.jsonl"}, {} if path is None else {"": path})


def suspected(path: Path | None = None, **more: object) -> SuspectRows:
    """Two hard rows, the harder one contradicted, and a finding of two rows and a held-out one."""
    rows = {
        ("", 5): Row("t5", "my pin", "refund", 5),
        ("", 9): Row("t9", "my pin", "pin blocked", 9),
    }
    finding = warning(
        "conflicting_labels",
        "2 of 96 training rows (2.1%) share their input",
        "decide which is right",
        count=2,
        rows=(
            RowEvidence("train", 5, "t5", "my pin → refund"),
            RowEvidence("eval", 3, "e3", "my pin? → pin blocked"),
            RowEvidence("train", 9, "t9", "my pin → pin blocked"),
        ),
    )
    fields: dict[str, object] = {
        "measured": 64,
        "sampled_of": 96,
        "median_loss": 0.021,
        "suspects": [
            Suspect(
                hard(12, 3.5, HOSTILE),
                (Row("t40", HOSTILE, "refund", 40),),
                (Row("t41", HOSTILE, "card arrival", 41),),
            ),
            Suspect(hard(14, 1.25)),
        ],
        "findings": [finding],
        "rows": rows,
        "files": one_file(path),
        "notices": ["train.jsonl has changed since"],
        **more,
    }
    return SuspectRows(**fields)  # type: ignore[arg-type]


async def reading(opened: Opened, found: SuspectRows) -> TrainingScreen:
    opened.backend.suspected = found
    await opened.press("g t")
    await opened.until(lambda: isinstance(opened.app.screen, TrainingScreen))
    screen = opened.app.screen
    assert isinstance(screen, TrainingScreen)
    await opened.until(lambda: screen.row is not None or screen.head.text, "what was found")
    return screen


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_suspect_rows_say_what_is_odd_with_them(size: tuple[int, int], open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await reading(opened, suspected())
        await opened.shows("Training rows of support-intents/2", "Loss of 64 of 96 training rows")
        await opened.shows("the 2 highest", "below: conflicting labels 2")
        assert "! train.jsonl has changed since" in screen.head.text
        assert screen.row is not None
        assert (screen.row.figure, screen.row.sign, screen.row.line) == ("3.500", "!", 12)
        await opened.shows(
            "line 40 has the same prompt and the reference refund", "line 41 is a duplicate"
        )
        assert "␛[31mmy card␇ [bold]is late" in opened.text
        await opened.press("j", "j")
        assert screen.row.line == 5, "a heading takes no cursor"
        await opened.shows(
            "line 9 has the same prompt and the reference pin blocked", "eval line 3: my pin?"
        )
        await opened.press("G")
        assert screen.row.line == 9

    on_app(open_app(size, number=2), steps)


def test_a_row_is_opened_at_its_line(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, told = tmp_path / "train.jsonl", tmp_path / "told"
    data.write_text("{}\n")
    editor = an_editor(tmp_path, f"pathlib.Path({str(told)!r}).write_text(' '.join(sys.argv[1:]))")
    vim = tmp_path / "vim"
    vim.write_text(f'#!/bin/sh\nexec {editor} "$@"\n')
    vim.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(vim))

    async def steps(opened: Opened) -> None:
        await reading(opened, suspected(data))
        for key, line in (("e", 12), ("enter", 14)):
            await opened.press(key)
            assert told.read_text() == f"+{line} {data}"
            await opened.press("j")
        await opened.press("y")
        assert opened.app.clipboard == "my pin\nrefund"

    on_app(open_app(number=2), steps)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "is not on this machine"),
        ("gone.jsonl", "not on this"),
        ("a.parquet", "not a text file"),
    ],
)
def test_a_row_without_a_text_file_says_so(
    name: str | None, said: str, open_app: OpenApp, tmp_path: Path
) -> None:
    if name == "a.parquet":
        (tmp_path / name).write_bytes(b"PAR1")

    async def steps(opened: Opened) -> None:
        await reading(opened, suspected(tmp_path / name if name else None))
        await opened.press("e")
        await opened.tells(said)

    on_app(open_app(number=2), steps)


def test_an_error_is_shown_on_the_screen_with_what_to_do(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("g t")
        await opened.shows(
            "✗ support-intents/2: no losses of training rows were recorded", "run it again"
        )
        await opened.press("e", "y", "enter")
        await opened.press("escape")
        assert opened.app.screen is opened.bench
        await opened.press("4", "enter")
        await opened.until(lambda: isinstance(opened.app.screen, ExampleScreen))
        backend.refusal = BadInput("train.jsonl is not on this machine", "put the file there")
        await opened.press("g t")
        await opened.shows("✗ train.jsonl is not on this machine", "put the file there")
        await opened.press("escape")
        assert isinstance(opened.app.screen, ExampleScreen)

    on_app(open_app(number=2), steps)


def test_the_nearest_rows_lead_to_the_nearest_of_the_same_label(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    near, same = (
        Neighbour(Row("t7", "my pin is blocked", "pin blocked", 7), 0.91),
        Neighbour(Row("t8", "money back, now", "refund", 8), 0.31),
    )
    answer = Answer("no similar training row", is_new=True, neighbours=[near], same=same)
    backend.near = NearestRows(answer, one_file(None))

    async def steps(opened: Opened) -> None:
        await opened.press("4", "enter")
        await opened.until(lambda: isinstance(opened.app.screen, ExampleScreen))
        await opened.press("g t")
        await opened.shows("no similar training row", "the nearest row with the reference refund")
        screen = opened.app.screen
        assert isinstance(screen, TrainingScreen)
        assert screen.row is not None
        assert screen.row.figure == "0.91"
        await opened.press("j")
        assert screen.row.line == 8
        await opened.shows("money back, now", "train.jsonl:8")
        await opened.press("tab")
        assert screen.focused is screen.sheet
        await opened.press("escape")
        assert screen.focused is screen.list

    on_app(open_app(number=2), steps)


def test_rows_of_a_loss_that_is_not_finite_come_with_it() -> None:
    found = suspected_rows(
        suspected(suspects=[Suspect(hard(3, math.nan))], median_loss=None, findings=[])
    )
    assert [each.figure for each in found.rows] == ["nan"]
    assert "no loss is finite" in found.head[0][0][0]


def test_of_a_long_name_the_line_stays() -> None:
    assert placed("a" * 50, 12345, 20) == "a" * 13 + "…:12345"
    assert placed("a.jsonl", 7, 20) == "a.jsonl:7"
