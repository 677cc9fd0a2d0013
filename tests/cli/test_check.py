"""`tui-loop check`: everything that is wrong at once, and nothing is created."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.test_recorded_loop import reader
from tests.conftest import Cli
from tests.model_folders import write_model
from tui_loop.cli.commands.check import show_row
from tui_loop.cli.output import Output
from tui_loop.cli.preflight_report import (
    Preflight,
    check_record,
    preflight_of_draft,
    start_findings,
    warn_before,
)
from tui_loop.cli.start import Start, check_start
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.row_checks import TrainedRow, TurnTokens
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.draft import new_draft, write_draft
from tui_loop.core.workflow.plan import plan_next

WORDS = "harbour kettle violin meadow copper lantern orchard pebble saddle thimble walnut zephyr"


def rows(first: int, count: int) -> list[dict[str, str]]:
    """Rows that are not like each other."""
    words = WORDS.split()
    return [
        {
            "prompt": " ".join(
                f"{words[(n * k) % 12]}{'abcdefghij'[n * k % 10]}{n}" for k in (1, 5, 7)
            ),
            "completion": "refund" if n % 2 else "praise",
        }
        for n in range(first, first + count)
    ]


def write(path: Path, values: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    """A loop with good data and no iteration."""
    write(tmp_path / "train.jsonl", rows(0, 60))
    write(tmp_path / "eval.jsonl", rows(100, 40))
    defaults = {
        "model": {"id": "tiny"},
        "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
        "training": {"max_length": 128},
    }
    settings = LoopSettings(metric="label", defaults=defaults)
    return LoopsFolder(tmp_path / "loops").create("mine", settings)


@pytest.mark.slow
@pytest.mark.train
def test_good_data_passes_and_nothing_is_created(
    cli: Cli, loop: LoopFolder, tmp_path: Path
) -> None:
    before = contents(tmp_path)
    done = cli("check", "mine", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["loop"], record["iteration"]) == ("mine", 1)
    assert (record["errors"], record["warnings"]) == (0, 0)
    kinds = {each["kind"] for each in record["findings"]}
    assert {"steps", "tokens", "trained_share", "memory", "disk", "sizes"} <= kinds
    assert contents(tmp_path) == before


@pytest.mark.train
def test_every_problem_of_config_and_data_at_once_is_exit_code_2(
    cli: Cli, loop: LoopFolder, tmp_path: Path
) -> None:
    bad = [*rows(0, 60), {"prompt": "", "completion": "x"}, rows(100, 1)[0]]
    write(tmp_path / "train.jsonl", bad)
    before = contents(tmp_path)
    done = cli("check", "mine", "--set", "lora.r=0", "--set", "lora_dropout=2")
    assert done.returncode == 2
    for told in (
        "error: lora.r: must be",
        "error: lora.lora_dropout: must be",
        "error: 1 training row has an empty prompt or reference: 'prompt' is empty (line 61)",
        "warning: 1 of 40 held-out rows (2.5%) has the same input as a training row",
        "train:62",
        "3 errors, 1 warning",
    ):
        assert told in done.stdout
    run = cli("run", "mine")
    assert run.returncode == 2
    assert "train.jsonl:61: 'prompt' is empty" in run.stderr
    assert contents(tmp_path) == before


def test_without_the_train_extra_the_rest_is_checked(loop: LoopFolder, tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", [*rows(0, 60), rows(3, 1)[0]])
    done = reader("check", "mine", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    findings = {each["kind"]: each for each in json.loads(done.stdout)["findings"]}
    assert findings["duplicate_rows"]["rows"][0]["line"] == 4
    assert findings["steps"]["count"] == 24
    assert "needs the 'train' extra" in findings["left_out"]["message"]
    assert findings["left_out"]["hint"] == 'pip install "tui-loop[train]"'
    row = reader("check", "mine", "--row", "1", folder=tmp_path)
    assert row.returncode == 5
    assert 'pip install "tui-loop[train]"' in row.stderr


def test_what_else_keeps_a_run_from_starting_is_found_beside_the_data(
    loop: LoopFolder, tmp_path: Path
) -> None:
    write(tmp_path / "train.jsonl", [*rows(0, 60), {"prompt": " ", "completion": "x"}])
    told = ["model.id=./nowhere", "evaluation.metric=regexp"]
    plan = plan_next(loop, parent=None, settings=told, why="")
    found = Preflight(loop, plan.config).of_rows()
    errors = [each.kind for each in found if each.severity == "error"]
    assert sorted(errors) == ["config", "config", "empty_rows"]
    preflight = Preflight(loop, plan_next(loop, parent=None, settings=told, why="").config)
    preflight.of_rows()
    assert preflight.of_tokens() == []  # there is no model to ask


@pytest.mark.slow
def test_the_draft_is_checked_as_it_was_edited(loop: LoopFolder, tmp_path: Path) -> None:
    none = reader("check", "mine", "--draft", folder=tmp_path)
    assert none.returncode == 2
    assert "there is no draft" in none.stderr
    write_draft(loop, new_draft(loop, None).with_value("training.max_steps", 7))
    done = reader("check", "mine", "--draft", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7 optimizer steps" in done.stdout
    write_draft(loop, new_draft(loop, None).with_value("lora.r", 0))
    broken = reader("check", "mine", "--draft", "--json", folder=tmp_path)
    assert broken.returncode == 2
    (problem,) = [
        each for each in json.loads(broken.stdout)["findings"] if each["severity"] == "error"
    ]
    assert problem["message"].startswith("lora.r: ")


def test_texts_cannot_be_scored_by_what_they_would_say(loop: LoopFolder, tmp_path: Path) -> None:
    for name, first in (("train", 0), ("eval", 100)):
        texts = [{"text": row["prompt"]} for row in rows(first, 40)]
        write(tmp_path / f"{name}.jsonl", texts)
    told = ["evaluation.metric=exact_match"]
    found = Preflight(loop, plan_next(loop, parent=None, settings=told, why="").config).of_rows()
    assert [each.message for each in found if each.severity == "error"] == [
        "evaluation.metric: exact_match needs prompts, but plain text has none"
    ]
    with pytest.raises(BadInput, match="plain text has none"):
        warn_before(loop, started(loop, *told), Output(as_json=False))
    warn_before(loop, started(loop, "evaluation.metric=none"), Output(as_json=False))


def test_data_that_only_an_extra_can_read_is_not_looked_at(
    loop: LoopFolder, tmp_path: Path
) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    done = reader("check", "mine", "--set", "data.train=rows.parquet", folder=tmp_path)
    assert done.returncode == 5
    assert 'pip install "tui-loop[train]"' in done.stderr


def test_data_that_cannot_be_read_is_a_finding(loop: LoopFolder) -> None:
    told = ["data.train=nowhere.jsonl"]
    config = plan_next(loop, parent=None, settings=told, why="").config
    (problem,) = [each for each in Preflight(loop, config).of_rows() if each.severity == "error"]
    assert problem.kind == "data"
    assert "nowhere.jsonl" in problem.message


@pytest.mark.train
def test_a_model_that_cannot_be_loaded_is_a_finding(loop: LoopFolder, tmp_path: Path) -> None:
    write_model(tmp_path / "odd", {"model_type": "no-such-model"})
    config = plan_next(loop, parent=None, settings=["model.id=./odd"], why="").config
    preflight = Preflight(loop, config)
    assert [each for each in preflight.of_rows() if each.severity == "error"] == []
    (problem,) = preflight.of_tokens()
    assert (problem.severity, problem.kind) == ("error", "model")


def test_a_draft_with_problems_is_checked_with_the_config_before_it(loop: LoopFolder) -> None:
    draft = new_draft(loop, None).with_value("lora.r", 0).with_value("training.seed", -1)
    found = preflight_of_draft(loop, draft, allow_code=False).of_rows()
    problems = [each.message for each in found if each.kind == "config"]
    assert [each.partition(":")[0] for each in problems] == ["lora.r", "training.seed"]
    assert any(each.kind == "steps" for each in found)


def started(loop: LoopFolder, *settings: str) -> Start:
    return check_start(loop, plan_next(loop, parent=None, settings=list(settings), why=""))


def test_a_run_prints_five_warnings_and_counts_the_others(
    loop: LoopFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = rows(100, 40)
    other = {**held[1], "completion": "never trained"}
    write(tmp_path / "eval.jsonl", [*held, held[2], other])
    odd = [*rows(0, 60), rows(0, 1)[0], {**rows(1, 1)[0], "completion": "praise"}, held[3]]
    write(tmp_path / "train.jsonl", [*odd, held[1]])
    start = started(loop, "warmup_steps=999")
    warn_before(loop, start, Output(as_json=True))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("warning: ") for line in lines[:5])
    assert lines[5].endswith("more warnings: tui-loop check mine")
    warn_before(loop, started(loop, "data.train=eval.jsonl"), Output(as_json=True))


def test_a_run_with_nothing_to_warn_of_says_nothing(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_before(loop, started(loop), Output(as_json=False))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("rate", "is_odd"), [("1e-2", False), ("2e-2", True), ("1e9", True)])
def test_a_rate_beyond_all_use_is_a_warning(loop: LoopFolder, rate: str, is_odd: bool) -> None:
    plan = plan_next(loop, parent=None, settings=[f"learning_rate={rate}"], why="")
    of_check = [e for e in Preflight(loop, plan.config).of_rows() if e.kind == "high_rate"]
    of_run = [e for e in start_findings(loop, check_start(loop, plan)) if e.kind == "high_rate"]
    assert of_check == of_run
    assert [each.severity for each in of_check] == ["warning"] * is_odd
    assert all("--set learning_rate=" in each.hint for each in of_check)


def test_a_run_that_makes_no_sense_is_refused(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonsense = [CheckResult("error", "no_rows", "there are no training rows", "name a file")]
    monkeypatch.setattr("tui_loop.cli.preflight_report.start_findings", lambda *_: nonsense)
    with pytest.raises(BadInput, match="there are no training rows") as caught:
        warn_before(loop, started(loop), Output(as_json=False))
    assert caught.value.hint == "name a file"


ROW = TrainedRow(
    2,
    9,
    4,
    "id",
    [("Message:", False), (" \x1b[31mhi", False), (" refund", True), ("</s>", True)],
    [TurnTokens("prompt", 0, 2, 0), TurnTokens("completion", 2, 4, 2)],
    cut=1,
    special=[3],
)


def test_a_row_on_paper_has_untrained_tokens_in_brackets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_row(ROW, Output(as_json=False))
    assert capsys.readouterr().out.splitlines() == [
        "training row 2 of 9, line 4, id: 2 of 4 tokens are trained on, 1 are beyond "
        "training.max_length",
        "prompt: trained on 0 of 2 tokens (0%)",
        "[Message: ␛[31mhi]",
        "completion: trained on 2 of 2 tokens (100%), 1 special token",
        " refund</s>",
    ]


def test_a_row_on_a_terminal_has_untrained_tokens_dim(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_loop.cli.commands.check.uses_colour", lambda _: True)
    show_row(ROW, Output(as_json=False))
    lines = capsys.readouterr().out.splitlines()
    assert (lines[2], lines[4]) == ("\x1b[2mMessage: ␛[31mhi\x1b[0m", " refund</s>")


@pytest.mark.train
def test_a_training_row_by_number(loop: LoopFolder) -> None:
    preflight = Preflight(loop, plan_next(loop, parent=None, settings=[], why="").config)
    row = preflight.row(2)
    assert (row.number, row.total, row.line) == (2, 60, 2)
    assert "".join(text for text, _ in row.tokens).startswith(rows(1, 1)[0]["prompt"])
    assert 0 < row.trained < len(row.tokens)
    for number in (0, 61):
        with pytest.raises(BadInput, match="there are 60 training rows"):
            preflight.row(number)


def test_what_is_not_used_is_among_the_findings_with_a_kind_of_its_own(
    loop: LoopFolder, tmp_path: Path
) -> None:
    more = {"tools": "[]", "url": "u", "label": True}
    values = [{**row, **more, "label": n > 0} for n, row in enumerate(rows(0, 60))]
    write(tmp_path / "train.jsonl", values)
    plan = plan_next(loop, parent=None, settings=[], why="")
    findings = Preflight(loop, plan.config).of_rows()
    record = msgspec.to_builtins(check_record(loop, findings))
    kinds = {each["kind"]: each for each in record["findings"]}
    assert record["warnings"] == 2
    assert kinds["preference_data"]["count"] == 1
    assert kinds["preference_data"]["message"] == (
        "preference data: 1 of 60 training rows is left out because column label is false"
    )
    unused = [each for each in record["findings"] if each["kind"] == "unused_columns"]
    assert [(each["severity"], each["count"]) for each in unused] == [("warning", 59), ("info", 1)]
    assert unused[1]["message"] == "columns not used: url"


def test_a_run_is_warned_of_what_is_not_used(
    loop: LoopFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "train.jsonl", [{**row, "context": "By mail."} for row in rows(0, 60)])
    plan = plan_next(loop, parent=None, settings=[], why="")
    warn_before(loop, check_start(loop, plan), Output(as_json=False))
    assert capsys.readouterr().err == (
        "warning: column context is not used: the prompts do not contain this text (in 60 of 60 "
        "training rows)\n"
    )
