"""docs/record.md names every file, event, field and config group, and its examples are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import CHECKOUT
from tui_loop.core.config.schema import GROUPS
from tui_loop.core.record import structs
from tui_loop.core.record.events import AnyEvent, Event, Skipped
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.ledger import COLUMNS
from tui_loop.core.record.lock import Holder
from tui_loop.core.record.requests import Request
from tui_loop.core.workflow.queue import QueuedDraft

PAGE = (CHECKOUT / "docs" / "record.md").read_text(encoding="utf-8")
CODE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
NAMED = {name for span in re.findall(r"`([^`\n]+)`", CODE) for name in re.findall(r"[\w.]+", span)}
"""What the page's text has in backticks, its examples left out."""

EVENTS: dict[str, type[Event]] = {
    str(kind.__struct_config__.tag): kind for kind in AnyEvent.__args__ if kind is not Skipped
}
SHAPES = (
    LoopSettings,
    QueuedDraft,
    structs.Change,
    structs.Decision,
    structs.Split,
    structs.Fingerprint,
    structs.Example,
    structs.TokenLosses,
    structs.TrainingRow,
    structs.StepLoss,
    structs.SystemSummary,
    structs.Iteration,
    structs.RunError,
    Request,
    Holder,
)


def examples_under(heading: str) -> list[dict[str, Any]]:
    """The JSON lines of a section's examples."""
    section = re.split(r"^#+ ", PAGE.partition(f"\n{heading}\n")[2], flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```json\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [json.loads(line) for block in blocks for line in block.splitlines()]


def test_every_file_of_a_record_is_named() -> None:
    loop = LoopFolder(Path("loops/support"))
    folders = (loop, loop.iteration(1))
    paths = [value for folder in folders for value in vars(folder).values()]
    names = {path.name for path in paths if isinstance(path, Path)} - {"support", "001"}
    missing = {name for name in names if name not in PAGE}
    assert not missing


def test_every_event_is_in_the_table_with_its_keys() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    shared = set(Event.__struct_fields__)
    for name, kind in EVENTS.items():
        keys = set(re.findall(r"`(\w+)`", rows[name]))
        assert set(kind.__struct_fields__) - shared == keys, name


def test_every_config_group_is_named() -> None:
    section = PAGE.partition("### config.toml")[2].partition("###")[0]
    assert {f"[{name}]" for name in GROUPS} <= set(re.findall(r"`(\[\w+\])`", section))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_field_of_a_shape_is_explained(shape: type[msgspec.Struct]) -> None:
    missing = set(shape.__struct_fields__) - NAMED
    assert not missing


def test_the_examples_of_events_are_events() -> None:
    found = [msgspec.convert(each, AnyEvent) for each in examples_under("## Journal events")]
    assert len(found) >= 7
    assert not any(isinstance(each, Skipped) for each in found)


@pytest.mark.parametrize(
    ("heading", "shape"),
    [
        ("### examples.jsonl", structs.Example),
        ("### tokens.jsonl", structs.TokenLosses),
        ("### training.jsonl", structs.TrainingRow),
        ("### evals/STEP.jsonl", structs.StepLoss),
        ("## Requests", Request),
        ("## The lock", Holder),
    ],
)
def test_an_example_has_the_shape_that_it_illustrates(
    heading: str, shape: type[msgspec.Struct]
) -> None:
    (example,) = examples_under(heading)
    msgspec.convert(example, shape)


@pytest.mark.parametrize("heading", ["### labels.jsonl", "### holdout.jsonl"])
def test_every_key_of_an_example_is_explained(heading: str) -> None:
    (example,) = examples_under(heading)
    assert set(example) <= NAMED


def test_the_ledger_has_the_columns_that_are_shown() -> None:
    section = PAGE.partition("### ledger.csv")[2].partition("###")[0]
    assert ",".join(COLUMNS) in section
