"""What a diagnosis, patterns, the checklist, the queue and a report say of a hostile loop."""

from __future__ import annotations

import json
import re

import pytest

from tests.hostile.conftest import Command, Printed
from tests.hostile.folders import (
    make_told,
    write_bad_queue,
    write_closed,
    write_criteria,
)
from tests.hostile.terminal import Stream
from tests.hostile.texts import Hostile
from tui_loop.core.record.folders import LoopFolder

LOOP = "support-intents"
TELLING = [
    ("diagnose", f"{LOOP}/2"),
    ("diagnose", f"{LOOP}/2", "--write"),
    ("ready", f"{LOOP}/2", "--no-look"),
    ("patterns",),
    ("show", LOOP),
    ("show", f"{LOOP}/2"),
]
_INNER = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Signs that a report, which has line ends and no other sign of control, must not have."""


def assert_harmless(printed: Printed, words: object) -> None:
    assert "bug in tui-loop" not in printed.err, (words, printed.err)
    for text in (printed.out, printed.err):
        stream = Stream(text.encode())
        assert not stream.faults, (words, stream.faults)
        assert not stream.kinds, (words, stream.kinds)


@pytest.fixture
def loop_of_args(loop: LoopFolder, hostile: Hostile) -> LoopFolder:
    """The recorded loop, with labels, groups, inputs and a base that are hostile."""
    make_told(loop, hostile)
    return loop


@pytest.mark.slow
def test_findings_patterns_and_checklists_name_hostile_things_and_obey_none(
    command: Command, loop_of_args: LoopFolder, hostile: Hostile
) -> None:
    printed = {words: command(*words, on_terminal=True) for words in TELLING}
    for words, each in printed.items():
        assert each.code == 0, (words, each.err)
        assert_harmless(each, words)
    findings = printed["diagnose", f"{LOOP}/2"].out
    assert hostile.marks["label a"] in findings
    assert "the one run diverged on [x] " in printed[("patterns",)].out
    assert json.loads(loop_of_args.iteration(2).diagnosis.read_text())["findings"]
    for words in TELLING:
        each = command(*words, "--json", on_terminal=True)
        assert_harmless(each, words)
        assert json.loads(each.out), words


@pytest.mark.train
def test_a_checklist_and_an_end_are_told_without_being_obeyed(
    command: Command, hostile_loop: LoopFolder, hostile: Hostile
) -> None:
    refused = command("ready", f"{LOOP}/2", "--no-look", on_terminal=True)
    assert refused.code == 2
    assert hostile.marks["ready"] in refused.err
    assert_harmless(refused, "the criteria")
    write_criteria(hostile_loop)
    for number in (1, 2, 3, 4):
        for flags in ((), ("--json",)):
            words = ("ready", f"{LOOP}/{number}", "--no-look", *flags)
            printed = command(*words, on_terminal=True)
            assert printed.code == 0, printed.err
            assert_harmless(printed, words)
    assert "1 use" in command("ready", f"{LOOP}/1", "--no-look").out
    write_closed(hostile_loop, hostile)
    told = [command(*words, on_terminal=True) for words in (("show", LOOP), ("list",))]
    told += [
        command("run", LOOP, "--from", "1", "--set", "r=2", on_terminal=True),
        command("auto", LOOP, "--iterations", "1", on_terminal=True),
        command("auto", LOOP, "--iterations", "1", "--detach", on_terminal=True),
        command("queue", LOOP, "--run", on_terminal=True),
        command("close", LOOP, "--why", "again", "--yes", on_terminal=True),
        command("close", LOOP, "--reopen", on_terminal=True),
    ]
    for each in told:
        assert_harmless(each, each.err)
    assert [each.code for each in told] == [0, 0, 2, 2, 2, 2, 2, 0]
    assert hostile.marks["closed"] in told[0].out
    assert all(hostile.marks["closed"] in each.err for each in told[2:6])


@pytest.mark.train
def test_a_queue_that_is_none_is_told_without_being_obeyed(
    command: Command, hostile_loop: LoopFolder, hostile: Hostile
) -> None:
    write_bad_queue(hostile_loop, hostile)
    for words in (("queue", LOOP), ("queue", LOOP, "--run"), ("queue", LOOP, "--remove", "1")):
        printed = command(*words, on_terminal=True)
        assert printed.code == 2, printed
        assert hostile.marks["no field"] in printed.err
        assert_harmless(printed, words)
    assert command("queue", LOOP, "--clear").code == 0
    assert not hostile_loop.queue.exists()


@pytest.mark.parametrize("kind", ["md", "html", "csv", "json"])
def test_a_report_has_no_sign_of_control_and_no_markup_of_the_record(
    kind: str, command: Command, hostile_loop: LoopFolder, hostile: Hostile
) -> None:
    printed = command("report", LOOP, "-o", "-", "--format", kind)
    assert printed.code == 0, printed.err
    assert_harmless(printed, kind)
    assert not _INNER.search(printed.out)
    assert hostile.marks["why"] in printed.out
    if kind == "json":
        assert json.loads(printed.out)["iterations"]
    if kind == "html":
        assert "<script" not in printed.out.lower()
        assert re.findall(r"<[^>]*(?:href|src)\s*=([^>]{3})", printed.out)
        assert set(re.findall(r"<[^>]*(?:href|src)\s*=([^>]{2})", printed.out)) == {'"#'}
