"""Every command that prints, on a hostile loop: to a terminal, into a pipe, and as records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hostile.conftest import Command
from tests.hostile.folders import OTHER_NAMES
from tests.hostile.terminal import Stream
from tests.hostile.texts import Hostile
from tui_loop.core.record.folders import LoopFolder

LOOP = "support-intents"
READING = [
    ("list",),
    ("status",),
    ("status", LOOP),
    ("show", LOOP),
    *(("show", f"{LOOP}/{number}") for number in range(8)),
    *(("log", f"{LOOP}/{number}") for number in (2, 4, 7)),
    ("failures", f"{LOOP}/2"),
    ("failures", f"{LOOP}/2", "--all"),
    ("failures", f"{LOOP}/2", "--summary"),
    ("failures", f"{LOOP}/2", "--summary", "--against", "0"),
    ("failures", f"{LOOP}/2", "--all", "--csv"),
    ("failures", f"{LOOP}/2", "--filter", "-is:flaky red", "--sort", "change", "--reverse"),
    ("failures", f"{LOOP}/2", "--filter", "\x1b[2J\u202e \x9b"),
    ("suspects", f"{LOOP}/2"),
    *(("failures", f"{LOOP}/2", "--id", f"{index:012x}") for index in (0, 1, 7)),
    ("compare", f"{LOOP}/1", f"{LOOP}/2"),
    ("compare", f"{LOOP}/0", f"{LOOP}/3"),
    ("compare", f"{LOOP}/4", f"{LOOP}/2"),
    ("rescore", f"{LOOP}/2", "--metric", "contains"),
    ("rescore", LOOP, "--metric", "exact_match"),
    *(("nearest", f"{LOOP}/2", f"{index:012x}") for index in (0, 7)),
    ("note", f"{LOOP}/2"),
    ("label", LOOP),
    ("label", f"{LOOP}/2"),
    ("check", LOOP),
    ("check", LOOP, "--from", "4"),
    ("check", LOOP, "--draft"),
    *(("diagnose", f"{LOOP}/{number}") for number in range(8)),
    ("patterns",),
    ("patterns", "--field", "learning_rate"),
    ("patterns", "--model", "\x1b[2J\u202e"),
    *(("ready", f"{LOOP}/{number}", "--no-look") for number in (1, 2, 7)),
    ("queue", LOOP),
    ("keys",),
    ("doctor",),
]
WRONG = [
    ("show", "\x1b[2J\u202e"),
    ("show", f"{LOOP}/\x1b]52;c;eA==\x07"),
    ("show", f"{LOOP}/99"),
    ("failures", f"{LOOP}/2", "--id", "\x1b[31m\x9b2J"),
    ("failures", f"{LOOP}/5"),
    ("failures", f"{LOOP}/2", "--filter", "is:\x1b[31m\x9b2J"),
    ("failures", f"{LOOP}/2", "--filter", "/\x1b[31m(/"),
    ("failures", f"{LOOP}/2", "--filter", "caus:\x1b[31m\u202e"),
    ("failures", f"{LOOP}/2", "--filter", "column:\x1b]0;x\x07"),
    ("failures", f"{LOOP}/2", "--against", "\x1b[2J"),
    ("rescore", f"{LOOP}/2", "--metric", "\x1b]0;x\x07"),
    ("label", f"{LOOP}/2", "\x1b[31m\x9b2J", "accepted"),
    ("label", f"{LOOP}/2", f"{0:012x}", "\x1b]52;c;eA==\x07"),
    ("nearest", f"{LOOP}/2", "\x1b[31m\u202e"),
    ("suspects", f"{LOOP}/1"),
    ("ask", f"{LOOP}/2"),
    ("ask", f"{LOOP}/2", "hello", "--set", "\x1b[31m=1"),
    ("ask", f"{LOOP}/2", "--id", "\x1b[31m\x9b2J"),
    ("ask", f"{LOOP}/2", "hello", "--against", "99"),
    ("retry", f"{LOOP}/2", "--set", "evaluation.metric=\x1b[2J"),
    ("run", LOOP, "--set", "\x1b[31m=1"),
    ("run", LOOP, "--set", "learning_rate=\x1b]52;c;eA==\x07\u202e"),
    ("run", LOOP, "--draft"),
    ("check", LOOP, "--row", "\x1b[2J"),
    ("resume", f"{LOOP}/3"),
    ("resume", f"{LOOP}/5"),
    ("run", LOOP, "--set", "model.id=\x1b[2J"),
    ("list", "--\x1b[2J"),
    ("\x1b[2J",),
    ("diagnose", f"{LOOP}/99"),
    ("diagnose", f"{LOOP}/\x1b[2J"),
    ("patterns", "--field", "\x1b[2J\u202e"),
    ("patterns", "--with", "\x1b[2J\u202e"),
    ("ready", f"{LOOP}/99", "--no-look"),
    ("ready", f"{LOOP}/2", "--set", "\x1b[31m=1"),
    ("close", LOOP, "--why", " \n "),
    ("close", LOOP, "--why", "done", "--iteration", "99"),
    ("close", LOOP, "--reopen"),
    ("fresh", LOOP, "--from", "4", "--why", "\x1b[2J"),
    ("fresh", LOOP, "--from", "99"),
    ("report", LOOP, "-o", "\x1b[2J\u202e.exe"),
    ("report", LOOP, "-o", "\x1b[2J\u202e/x.md"),
    ("queue", LOOP, "--remove", "99"),
    ("queue", LOOP, "--move", "1", "99"),
    ("queue", LOOP, "--add", "--set", "\x1b[31m=1"),
    ("queue", LOOP, "--add", "--from", "1", "--set", "learning_rate=\x1b[31m"),
    ("run", LOOP, "--from", "2", "--take", "99"),
    ("run", LOOP, "--take", "\x1b[2J"),
    ("auto", LOOP, "--iterations", "0"),
    ("auto", LOOP, "--iterations", "1", "--range", "\x1b[2J=1..2"),
    ("new", "fresh", "--data", "\x1b[31m.jsonl"),
    ("new", "fresh", "--data", "\x1b]52;c;eA==\x07.jsonl", "--goal", "\x1b[2J"),
]
BY_RECORD = {
    "goal": ("show", LOOP),
    "why": ("show", f"{LOOP}/2"),
    "changed model": ("show", f"{LOOP}/2"),
    "metric": ("show", f"{LOOP}/2"),
    "notes": ("show", f"{LOOP}/2"),
    "error message": ("show", f"{LOOP}/3"),
    "error hint": ("show", f"{LOOP}/3"),
    "decided": ("show", f"{LOOP}/4"),
    "odd key": ("show", f"{LOOP}/5"),
    "line info": ("log", f"{LOOP}/2"),
    "source": ("log", f"{LOOP}/2"),
    "host": ("log", f"{LOOP}/2"),
    "recovered": ("log", f"{LOOP}/2"),
    "checkpoint": ("log", f"{LOOP}/2"),
    "request": ("log", f"{LOOP}/2"),
    "logged": ("log", f"{LOOP}/2"),
    "phase": ("log", f"{LOOP}/4"),
    "prompt 0": ("failures", f"{LOOP}/2", "--id", f"{0:012x}"),
    "reference 0": ("failures", f"{LOOP}/2", "--id", f"{0:012x}"),
    "output 0": ("failures", f"{LOOP}/2", "--id", f"{0:012x}"),
    "token 0": ("failures", f"{LOOP}/2", "--id", f"{0:012x}"),
    "output 7": ("failures", f"{LOOP}/2"),
    "prompt 1": ("failures", f"{LOOP}/2", "--all", "--csv"),
    "trained 0": ("suspects", f"{LOOP}/2"),
    "draft model": ("show", LOOP),
    "said bad_reference": ("label", LOOP),
    "sayer accepted": ("label", LOOP),
    "queued why": ("queue", LOOP),
    "queued problem": ("queue", LOOP),
}
"""A command that shows each of these texts: what follows is about texts that are shown."""


@pytest.mark.slow
@pytest.mark.parametrize("on_terminal", [True, False])
def test_no_command_prints_what_a_terminal_would_obey(
    on_terminal: bool, command: Command, hostile_loop: LoopFolder
) -> None:
    for words in READING:
        printed = command(*words, on_terminal=on_terminal)
        assert "bug in tui-loop" not in printed.err, (words, printed.err)
        for text in (printed.out, printed.err):
            stream = Stream(text.encode())
            assert not stream.faults, (words, stream.faults)
            assert not stream.kinds, (words, stream.kinds)


def test_the_hostile_texts_are_shown_and_not_left_out(
    command: Command, hostile_loop: LoopFolder, hostile: Hostile
) -> None:
    printed: dict[tuple[str, ...], str] = {}
    for what, words in BY_RECORD.items():
        if words not in printed:
            printed[words] = command(*words).out
        assert hostile.marks[what] in printed[words], what


def test_records_are_valid_json_and_carry_the_very_texts_escaped(
    command: Command, hostile_loop: LoopFolder
) -> None:
    for words in READING:
        printed = command(*words, "--json", on_terminal=True)
        assert "bug in tui-loop" not in printed.err, (words, printed.err)
        stream = Stream(printed.out.encode())
        assert not stream.faults, (words, stream.faults)
        assert not stream.kinds, (words, stream.kinds)
        if printed.code and not printed.out:
            assert "error: " in printed.err, words
        elif words[0] == "log":
            lines = [json.loads(line) for line in printed.out.splitlines()]
            assert bool(lines) == (words != ("log", f"{LOOP}/7"))
        else:
            assert json.loads(printed.out), words
    told = json.loads(command("failures", f"{LOOP}/2", "--all", "--json").out)["examples"]
    outputs = {each["id"]: each["output"] for each in told}
    lines = hostile_loop.iteration(2).examples.read_text().splitlines()
    written = [json.loads(line) for line in lines]
    assert [outputs[each["id"]] for each in written] == [
        each["output"].replace("\ud83d", "\ufffd").replace("\udc00", "\ufffd") for each in written
    ]


@pytest.mark.train
def test_no_error_repeats_what_a_terminal_would_obey(
    command: Command, hostile_loop: LoopFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in WRONG:
        printed = command(*words, on_terminal=True)
        assert printed.code in (2, 4), (words, printed)
        assert "bug in tui-loop" not in printed.err, printed.err
        stream = Stream((printed.out + printed.err).encode())
        assert not stream.faults, (words, stream.faults)
        assert not stream.kinds, (words, stream.kinds)


def test_loops_with_names_that_no_loop_can_have_are_listed_and_told(
    command: Command, hostile_loop: LoopFolder
) -> None:
    told = json.loads(command("list", "--json").out)["loops"]
    assert len(told) == 1 + len(OTHER_NAMES)
    shown = command("list").out
    assert shown.count("cannot be read: ") == len(OTHER_NAMES)
    assert "␛[2Jevil" in shown
    assert "a<U+202E>b" in shown
