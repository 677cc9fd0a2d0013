"""Writes docs/reliability.md from the tests that are marked as faults: `python -m
scripts.reliability`. The tests are collected, not run.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from tests.faults.kit import Fault, Group, fault_of

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "reliability.md"
MARK = "mark.fault("

HEADINGS: dict[Group, str] = {
    "process": "Processes that die, hang or meet",
    "journal": "The journal torn, cut, garbled or replaced",
    "disk": "Full, failing and read-only disks",
    "training": "Training",
    "evaluation": "Evaluation",
    "memory": "Memory",
    "checkpoints": "Checkpoints and resuming",
    "text": "Hostile text",
    "app": "The app and its terminal",
}

INTRODUCTION = """\
# What goes wrong, and what is left

Each row below is a fault that a test brings about, and what the test holds the program to
afterwards. The page is made from the tests' marks: `python -m scripts.reliability` writes it, a
test holds it equal to them, and a marked test that does not check its row's state fails.

How the record survives:

- The journal has one writer. A line is whole or not there: one checked write a line, and a line
  that a crash tore is taken off before the next begins. Events are numbered without a gap, so
  that a loss shows as a number, never as a silence.
- What was written is in the system's hands at once, so a killed process loses nothing of it. It
  is on the disk within a second, and at once after a phase, an evaluation, a checkpoint, the end.
- While a disk takes nothing, training goes on: up to 10,000 lines wait in memory, `run.lock`
  (whose room was taken at the start) carries the word of it to whoever looks, and when there is
  room again a `recovery` event says how long it lasted and what was lost.
- If the file is replaced, cut or deleted under the writer, it writes it anew from what it read
  and wrote.
- Every other file is written beside its place and renamed into it: old or new, never half.
- A reader takes whole lines only, counts what it cannot read, and raises nothing. A run without
  an end whose process is gone is `interrupted`, and is never shown as running.

"State" is the iteration's afterwards, with the kind of error where there is one; "–" stands where
no run's state is concerned.
"""


class Row(msgspec.Struct, frozen=True):
    """A fault and the test that brings it about."""

    name: str
    test: str
    file: str
    fault: Fault

    def line(self) -> str:
        state = "–" if self.fault.state == "-" else self.fault.state
        if self.fault.error:
            state += f", {self.fault.error}"
        test = f"[{self.test}](../{self.file})"
        return f"| {self.name} | {state} | {self.fault.readable} | {test} |"


class _Collected:
    """A pytest plugin that keeps the marked tests."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            fault = fault_of(item)
            if fault is not None:
                name = getattr(item, "originalname", None) or item.name
                file = item.path.relative_to(CHECKOUT).as_posix()
                self.rows.append(Row(fault.name, name, file, fault))


def collected() -> list[Row]:
    """A row for each marked test in tests/, none twice; raises where they cannot be collected."""
    files = [path for path in CHECKOUT.glob("tests/**/test_*.py") if MARK in path.read_text()]
    kept = _Collected()
    options = ["--collect-only", "-qq", "-p", "no:cacheprovider", f"--rootdir={CHECKOUT}"]
    with redirect_stdout(io.StringIO()) as said:
        code = pytest.main([*options, *map(str, sorted(files))], [kept])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"the tests could not be collected:\n{said.getvalue()}")
    return list({(row.name, row.test, row.file): row for row in kept.rows}.values())


def page(rows: list[Row]) -> str:
    """The whole of docs/reliability.md."""
    parts = [INTRODUCTION]
    for group in get_args(Group):
        lines = [
            row.line()
            for row in sorted(rows, key=lambda row: (row.name, row.test))
            if row.fault.group == group
        ]
        if lines:
            head = "| fault | state | still readable | tested by |\n|---|---|---|---|"
            parts.append(f"## {HEADINGS[group]}\n\n{head}\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(collected()), encoding="utf-8")
