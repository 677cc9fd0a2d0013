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
# Faults and their outcome

Each row below is a fault that a test injects, and the state that the test requires afterwards.
`python -m scripts.reliability` generates this page from the marks of the tests. A test checks that
the page is current, and a marked test that does not check the state of its row fails.

How the record survives:

- The journal has one writer. Each line is one checked write, so a line is complete or absent. If a
  crash cut a line, the writer removes the fragment before it writes the next line. Events are
  numbered without gaps, so a loss is visible.
- The operating system has a written line at once, so a killed process loses none. The line is on
  the disk within a second, and at once after a phase, an evaluation, a checkpoint or the end.
- While a disk accepts no writes, training continues. Up to 10,000 lines wait in memory, and
  `run.lock`, whose space is reserved from the start, carries the reason to readers. When there is
  space again, a `recovery` event reports the duration and the loss.
- If the file is replaced, cut or deleted while the run writes it, the writer creates it again from
  what it read and wrote.
- Every other file is written under a temporary name and renamed, so it is old or new, never half.
- A reader uses complete lines only, counts what it cannot read, and raises nothing. A run without
  an end whose process is gone is `interrupted`, and is never shown as running.

"State" is the state of the iteration afterwards, with the kind of error if there is one. "–" means
that the fault concerns no run's state.
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
