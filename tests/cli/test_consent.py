"""Every command that loads a model or a metric asks for consent before any of it is imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.foreign import with_foreign_code
from tests.hostile.conftest import (  # noqa: F401
    Command,
    _own_folders,
    command,
    loop,
    loops,
    recorded,
)
from tui_loop.core.record.folders import LoopFolder

LOOP = "support-intents"
COMMANDS = [
    ("check", LOOP),
    ("check", LOOP, "--json"),
    ("check", LOOP, "--row", "1"),
    ("run", LOOP, "--from", "1", "--set", "lora.r=2"),
    ("run", LOOP, "--from", "1", "--set", "lora.r=2", "--detach"),
    ("resume", f"{LOOP}/3"),
    ("auto", LOOP, "--iterations", "1"),
    ("auto", LOOP, "--iterations", "1", "--detach"),
    ("queue", LOOP, "--run"),
    ("queue", LOOP, "--run", "--detach"),
    ("ask", f"{LOOP}/2", "hello"),
    ("retry", f"{LOOP}/2"),
    ("ready", f"{LOOP}/2", "--look", "--yes"),
]


@pytest.fixture
def foreign(loop: LoopFolder, canary: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:  # noqa: F811
    monkeypatch.chdir(loop.root)
    return with_foreign_code(loop, canary)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.train
def test_a_command_runs_no_foreign_code_without_consent(
    words: tuple[str, ...],
    command: Command,  # noqa: F811
    foreign: LoopFolder,
    canary: Path,
) -> None:
    before = {path: path.stat().st_mtime_ns for path in foreign.path.rglob("*")}
    printed = command(*words)
    assert printed.code == 2, printed
    assert "model.id: ./model brings its own Python code" in printed.out + printed.err
    assert "--allow-code" in printed.out + printed.err
    assert not canary.exists()
    assert foreign.numbers() == [0, 1, 2, 3]
    after = {path: path.stat().st_mtime_ns for path in foreign.path.rglob("*")}
    assert {path for path in after if after[path] != before.get(path)} <= {
        foreign.unattended,
        foreign.ledger,
        foreign.path,
    }


def test_rescore_names_the_code_of_its_metric(
    command: Command,  # noqa: F811
    foreign: LoopFolder,
    canary: Path,
) -> None:
    words = ("rescore", f"{LOOP}/2", "--metric", "mine_metric:score")
    printed = command(*words)
    assert printed.code == 2
    assert (
        "mine_metric:score brings its own Python code: mine_helper.py, mine_metric" in printed.err
    )
    assert not canary.exists()
    allowed = command(*words, "--allow-code", "--json")
    assert (allowed.code, canary.exists()) == (0, True)
    assert json.loads(allowed.out)["iterations"][0]["score"] == 0.5
    assert command(*words).code == 0, "consent is remembered"
    (foreign.root / "mine_helper.py").write_text("HALF = 0.25\n")
    assert command(*words).code == 2, "changed code asks again"


@pytest.mark.train
def test_a_check_that_is_allowed_looks_at_the_tokens(
    command: Command,  # noqa: F811
    foreign: LoopFolder,
    canary: Path,
) -> None:
    printed = command("check", LOOP, "--allow-code")
    assert "optimizer steps" in printed.out
    assert "parameters are trained" in printed.out
    assert canary.exists()
    assert command("check", LOOP, "--row", "1").code == 0
