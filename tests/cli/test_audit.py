"""`audit` prints the recorded facts, and that an older record has none."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.core.audit.rows import messages, rows_of, sound
from tui_loop.cli.main import main
from tui_loop.core.audit.data_audit import audit_data
from tui_loop.core.data.rows import Row
from tui_loop.core.record.folders import IterationFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder

ESCAPE = "\x1b[31mred\x07"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IterationFolder:
    monkeypatch.chdir(tmp_path)
    folder = LoopsFolder(tmp_path / "loops").create("chat", LoopSettings()).iteration(1)
    folder.path.mkdir()
    folder.journal.write_text("")
    return folder


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["audit", "chat/1", *words]) == 0
    return capsys.readouterr().out


def faulty_rows() -> tuple[list[Row], list[Row]]:
    """Rows with a missing label, another case, a prefix, duplicates and shared prompts."""
    train = [
        msgspec.structs.replace(
            row, prompt=f"Task: sort. {row.prompt}", reference=row.reference.upper()
        )
        for row in sound(40, labels=("refund", "login"))
    ]
    held = sound(12, "e")
    return [*train, train[0], *rows_of([(held[0].prompt, "OTHER")] * 2, "c")], held


def test_an_older_record_has_no_audit(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys)
    assert text == "chat/1 has no recorded audit. Each new run records one.\n"
    assert json.loads(printed(capsys, "--json")) == {
        "version": 1,
        "data": None,
        "losses": None,
        "weights": None,
    }


def test_every_fact_is_a_sentence(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_audit_part("data", audit_data(*faulty_rows()))
    text = printed(capsys)
    for sentence in (
        "chat/1: 83 training rows and 36 evaluation rows",
        "3 evaluation labels, in 36 of 36 evaluation rows (100%), are missing from training: ",
        '"refund" (0 training, 12 evaluation rows) differ only in case',
        'case is "upper" in 100% of training references and in 0% of evaluation references',
        'shared start: "Task: sort.", in 81 of 83 training rows (98%) and 0 of 36 evaluation rows',
        "repeats of an earlier row: 2 of 83 training rows (2.4%), 2 of them exact copies: ",
        "also in training: 1 of 36 evaluation rows (2.8%), 0 with the same reference and 1 with",
    ):
        assert sentence in text, (sentence, text)


def test_json_has_the_whole_audit(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    data = audit_data(*faulty_rows())
    folder.write_audit_part("data", data)
    assert json.loads(printed(capsys, "--json"))["data"] == json.loads(msgspec.json.encode(data))


def test_plain_text_and_no_evaluation_print_what_applies(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Row(f"t{number}", "", f"a tale of {number} cities", number) for number in range(30)]
    folder.write_audit_part("data", audit_data(rows, []))
    text = printed(capsys)
    assert "30 training rows and no evaluation rows" in text
    assert "prompt" not in text


def test_text_of_the_data_does_not_reach_the_terminal_raw(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    train = rows_of([(f"{ESCAPE} {prompt}", ESCAPE) for prompt, _ in messages("refund", 30)])
    train = [msgspec.structs.replace(row, id=ESCAPE + row.id) for row in train]
    folder.write_audit_part("data", audit_data([*train, *train], train[:9]))
    assert "\x1b" not in printed(capsys) + printed(capsys, "--json")


def test_a_damaged_audit_is_named(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.audit.write_text("{")
    assert main(["audit", "chat/1"]) == 2
    assert "audit.json" in capsys.readouterr().err
