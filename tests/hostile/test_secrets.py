"""Tokens, keys and passwords that somebody plants: none is found in a record, on the screen, in
a crash report or in what a library printed.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.conftest import TinyLoop, tiny_loop  # noqa: F401
from tests.faults.kit import Outcome
from tests.hostile.conftest import Command
from tests.tui.conftest import FakeBackend, OpenApp, Opened, on_app
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.ledger import ledger_text
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Decision, Iteration
from tui_loop.core.text.secrets import redact_file, redacted
from tui_loop.core.workflow.draft import new_draft, read_draft, write_draft
from tui_loop.engine import output_capture

LOOP = "support-intents"
ENVIRONMENT = {
    "HF_TOKEN": "hf_CanaryCanaryCanaryCanaryCanary",
    "AWS_SECRET_ACCESS_KEY": "canary/of/aws+wJalrXUtnFEMI/K7MDENG",
    "WANDB_API_KEY": "0123456789canary0123456789canary01234567",
    "OPENAI_API_KEY": "sk-canary-T3BlbkFJcanarycanary",
    "MY_DB_PASSWORD": "correct-canary-battery",
}
SHAPED = {
    "hub": "hf_QwErTyUiOpAsDfGhJkLzXcVbNm",
    "chat": "sk-proj-A1b2C3d4E5f6G7h8I9j0",
    "forge": "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6",
    "cloud": "AKIAIOSFODNN7EXAMPLE",
    "lab": "glpat-A1b2C3d4E5f6G7h8I9j0",
    "chat room": "xoxb-123456789012-canary",
    "web": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl",
}
IN_CONTEXT = {
    "https://user:hunter2canary@example.org/data.jsonl": "hunter2canary",
    "postgres://me:s3cr3tcanary@db/x": "s3cr3tcanary",
    "api_key=canary12345678": "canary12345678",
    '{"password": "canary12345678"}': "canary12345678",
    "--hub-token canary12345678": "canary12345678",
    "Authorization: Bearer canary12345678": "canary12345678",
}


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Secrets in the environment, and secrets that are known by their shape."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return [*ENVIRONMENT.values(), *SHAPED.values(), *IN_CONTEXT.values()]


def an_utterance() -> str:
    """What a careless library might say of all of them."""
    told = [*ENVIRONMENT.values(), *SHAPED.values(), *IN_CONTEXT]
    return "cannot log in: " + " ; ".join(told)


def assert_nowhere(canaries: list[str], home: Path) -> None:
    """No file below `home` has any of them."""
    for path in home.rglob("*"):
        if path.is_file() and path.suffix != ".safetensors":
            data = path.read_bytes()
            for canary in canaries:
                assert canary.encode() not in data, (path, canary)


def test_secrets_are_masked_by_where_they_come_from_and_by_their_shape(
    canaries: list[str],
) -> None:
    told = redacted(an_utterance())
    assert not [canary for canary in canaries if canary in told]
    assert told.startswith("cannot log in: *** ; ")
    assert "https://user:***@example.org/data.jsonl" in told


@pytest.mark.parametrize(
    "text",
    [
        "num_tokens: 400, max_new_tokens=64, eos_token: <|endoftext|>, pad_token=None",
        "the password nobody knows; a token for your thoughts; secret service",
        "learning_rate 5e-3, loss 2.615, sk-learn, hf_transfer, https://example.org/a:b@c",
        "tokenizer special_tokens_map.json password reset intent",
    ],
)
def test_what_only_speaks_of_tokens_stays(text: str) -> None:
    assert redacted(text) == text


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_masking_takes_any_text_and_does_it_once(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)


def test_masking_long_texts_that_almost_match_takes_no_time() -> None:
    for piece in ("api_key=", "://a:", "sk-", "eyJ", "-----BEGIN A", "password "):
        assert len(redacted(piece * (300_000 // len(piece)))) > 0


def test_what_a_library_printed_is_masked_in_its_file(canaries: list[str], tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    key = "-----BEGIN RSA PRIVATE KEY-----\ncanarykeycanarykey\n-----END RSA PRIVATE KEY-----"
    path.write_bytes(b"\xff\xfe before\n" + f"{an_utterance()}\n{key}\nafter\n".encode())
    path.chmod(0o640)
    redact_file(path)
    data = path.read_bytes()
    assert data.startswith(b"\xff\xfe before\n")
    assert data.endswith(b"after\n")
    assert b"canarykey" not in data
    assert path.stat().st_mode & 0o777 == 0o640
    assert_nowhere(canaries, tmp_path)


def test_output_that_a_run_sent_to_its_log_is_masked_when_it_ends(
    canaries: list[str], tmp_path: Path
) -> None:
    with output_capture.output_to(tmp_path / "output.log"):
        os.write(1, an_utterance().encode())
        os.write(2, b"\n" + SHAPED["hub"].encode())
    assert b"***" in (tmp_path / "output.log").read_bytes()
    assert_nowhere(canaries, tmp_path)


@pytest.mark.train
@pytest.mark.parametrize("value", [*SHAPED.values(), *IN_CONTEXT])
def test_no_command_takes_a_secret_into_the_record_or_repeats_it(
    value: str, canaries: list[str], command: Command, loop: LoopFolder
) -> None:
    secret = IN_CONTEXT.get(value, value)
    for setting in (
        f"hub_token={value}",
        f"training.hub_token={value}",
        f"hf_token={value}",
        f"hub_token {value}",
        f"model.id={value}",
        f"learning_rate={value}",
        f"data.train={value}",
        f"data.prompt_template={{prompt}} {value}",
        f"lora.target_modules=['{value}']",
    ):
        printed = command("run", LOOP, "--from", "1", "--set", setting)
        assert printed.code == 2, (setting, printed)
        assert secret not in printed.out + printed.err, setting
    for words in (("--hub-token", value), (f"--token={value}",), ("run", LOOP, "--tokn", value)):
        printed = command(*words)
        assert printed.code == 2
        assert secret not in printed.out + printed.err, words
    printed = command("new", "fresh", "--data", f"https://me:{SHAPED['hub']}@example.org/x.jsonl")
    assert printed.code == 2
    assert SHAPED["hub"] not in printed.err
    assert_nowhere(canaries, loop.path)


def test_what_is_written_of_a_loop_has_its_secrets_masked(
    canaries: list[str], loop: LoopFolder, loops: LoopsFolder
) -> None:
    told = an_utterance()
    loop.iteration(2).add_note(told)
    loop.iteration(2).write_decision(Decision(1, told))
    loops.create("other", LoopSettings(goal=told))
    draft = new_draft(loop, 1).with_value("data.train", told).with_why(told)
    assert any("looks like a token or a password" in each for each in draft.problems)
    write_draft(loop, draft)
    again = read_draft(loop)
    assert again is not None
    assert again.why.startswith("cannot log in: ***")
    assert_nowhere(canaries, loops.path)


def test_what_is_queued_drafted_closed_and_reported_has_its_secrets_masked(
    canaries: list[str], command: Command, loop: LoopFolder, loops: LoopsFolder
) -> None:
    told = an_utterance()
    for words in (
        ("queue", LOOP, "--add", "--from", "2", "--set", "r=4", "--why", told),
        ("queue", LOOP),
        ("close", LOOP, "--why", told, "--yes"),
        ("show", LOOP),
        ("list",),
    ):
        printed = command(*words)
        assert printed.code == 0, (words, printed.err)
        assert not [canary for canary in canaries if canary in printed.out + printed.err], words
    assert "cannot log in: ***" in loop.queue.read_text()
    assert "cannot log in: ***" in loop.settings_file.read_text()
    assert_nowhere(canaries, loops.path)
    failed = loop.iteration(3)
    summary = failed.read_summary()
    assert summary is not None
    error = {"kind": "crashed", "message": told, "hint": told}
    failed.write_summary(msgspec.structs.replace(summary, error=error, decision=told))
    for kind in ("md", "html", "csv", "json"):
        report = command("report", LOOP, "-o", "-", "--format", kind).out
        assert "cannot log in: " in report
        assert not [canary for canary in canaries if canary in report], kind
    assert "cannot log in: " in command("diagnose", f"{LOOP}/3").out
    assert command("diagnose", f"{LOOP}/3", "--write").code == 0
    diagnosis = failed.diagnosis.read_text()
    assert not [canary for canary in canaries if canary in diagnosis]


def test_no_secret_of_an_error_is_told_by_a_toast_or_a_crash_report(
    canaries: list[str], open_app: OpenApp, loop: LoopFolder, backend: FakeBackend, tmp_path: Path
) -> None:
    async def steps(opened: Opened) -> None:
        backend.fault = BadInput(an_utterance(), an_utterance())
        await opened.looks()
        await opened.tells("cannot log in: ***")
        for canary in canaries:
            assert canary not in opened.told
            assert canary not in opened.text
        opened.app.report(RuntimeError(an_utterance()))
        assert opened.app.crash_report is not None
        assert "cannot log in: ***" in opened.app.crash_report.read_text()

    on_app(open_app(), steps)
    assert_nowhere(canaries, tmp_path)


@pytest.mark.slow
@pytest.mark.train
@pytest.mark.fault(
    "a library's exception and its log lines carry tokens",
    group="text",
    state="failed",
    error="crashed",
    readable="what happened, with *** where the token was",
)
def test_a_run_that_fails_over_a_secret_does_not_tell_it(
    canaries: list[str],
    tiny_loop: Callable[..., TinyLoop],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    outcome: Outcome,
) -> None:
    import logging

    def fails(*_: object, **__: object) -> None:
        logging.getLogger("transformers").warning(an_utterance())
        os.write(1, an_utterance().encode())
        raise RuntimeError(an_utterance())

    tiny = tiny_loop()
    number = tiny.plan()
    monkeypatch.setattr("tui_loop.engine.training._train_or_resume", fails)
    folder = tiny.loop.iteration(number)
    with output_capture.output_to(folder.output):
        summary = tiny.run_number(number)
    assert summary.error is not None
    assert summary.error["message"].startswith("RuntimeError: cannot log in: ***")
    assert "cannot log in: ***" in folder.journal.read_text()
    assert "cannot log in: ***" in folder.output.read_text()
    assert_nowhere(canaries, tmp_path)
    outcome(folder)


@given(st.text(st.characters(exclude_categories=()), max_size=60), st.sampled_from("=+-@\t\r|"))
def test_no_cell_of_the_ledger_is_a_formula_or_breaks_its_row(text: str, start: str) -> None:
    told = start + text
    iteration = Iteration(
        number=1, state="failed", title=told, decision=told, error={"kind": told, "x": told}
    )
    table = ledger_text([iteration, iteration])
    rows = list(csv.reader(io.StringIO(table, newline=""), strict=True))
    assert len(rows) == 3
    assert len({len(row) for row in rows}) == 1
    for row in rows[1:]:
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
    table.encode("utf-8", "replace")
