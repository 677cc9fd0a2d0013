"""Records of any content: every reading command answers, and so does the app."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.conftest import Command
from tests.hostile.terminal import Stream
from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest
from tui_loop.tui.widgets.iterations import DRAFT

LOOP = "support-intents"
READING = [
    ("list",),
    ("list", "--json"),
    ("status",),
    ("status", LOOP, "--json"),
    ("show", LOOP),
    ("show", LOOP, "--json"),
    ("show", f"{LOOP}/2"),
    ("show", f"{LOOP}/2", "--json"),
    ("log", f"{LOOP}/2"),
    ("log", f"{LOOP}/2", "--json"),
    ("failures", f"{LOOP}/2"),
    ("failures", f"{LOOP}/2", "--all", "--json"),
    ("failures", f"{LOOP}/2", "--id", f"{0:012x}"),
    ("compare", f"{LOOP}/1", f"{LOOP}/2"),
    ("compare", f"{LOOP}/2", f"{LOOP}/1", "--json"),
    ("rescore", f"{LOOP}/2", "--metric", "contains"),
    ("note", f"{LOOP}/2"),
]

text = st.text(st.characters(exclude_categories=()), max_size=12)
numbers = st.integers(-(2**70), 2**70) | st.floats() | st.sampled_from([10**400, -0.0, 1e308])
words = st.sampled_from(["NaN", "Infinity", "-Infinity", "none", "", "finished", "1e3"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
bounded = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

FIELDS = {
    "summary.json": "number parent state title changes decision config metrics error attempts "
    "fingerprint duration_s verdict",
    "examples.jsonl": "id prompt reference output score passed causes loss supervised_tokens "
    "output_tokens truncated source_line",
    "tokens.jsonl": "id tokens",
    "journal.jsonl": "event seq t step epoch values name phase done total level source text state "
    "error attempt host device from_step",
    "requests.jsonl": "id attempt name save by",
    "run.lock": "host pid started boot",
}
TABLES = {
    "config.toml": "schema model data lora training evaluation run splits effective",
    "decision.toml": "parent why changes suggestion predicted",
    "loop.toml": "schema goal metric ready defaults",
    "draft.toml": "schema parent why model data lora training evaluation",
}


@st.composite
def json_records(draw: st.DrawFn) -> tuple[str, str, Any]:
    """(file, field, value)."""
    name = draw(st.sampled_from(sorted(FIELDS)))
    return name, draw(st.sampled_from(FIELDS[name].split())), draw(values)


def with_value(path: Path, field: str, value: Any, at: int) -> None:
    """Puts `value` into a field of one row, or of the only one, of a JSON record."""
    lines = (path.read_text().splitlines() if path.exists() else []) or ["{}"]
    if path.suffix == ".json":
        lines = [" ".join(lines)]
    place = at % len(lines)
    row = json.loads(lines[place])
    row[field] = value
    lines[place] = json.dumps(row)
    path.write_text("\n".join(lines) + "\n")


def restore(recorded: Path, loop: LoopFolder) -> None:
    shutil.rmtree(loop.path)
    shutil.copytree(recorded / LOOP, loop.path)


def assert_answers(command: Command, context: object) -> None:
    for words in READING:
        printed = command(*words)
        assert "bug in tui-loop" not in printed.err, (context, words, printed.err)
        assert printed.code in (0, 2, 4), (context, words, printed)
        stream = Stream((printed.out + printed.err).encode())
        assert not stream.faults, (context, words, stream.faults)
        if "--json" in words and printed.code == 0 and words[0] != "log":
            json.loads(printed.out)


def assert_can_be_looked_at(loop: LoopFolder, context: object) -> None:
    """What the app's screens stand on gives a snapshot, whatever the record says."""
    for number in loop.numbers():
        snapshot = LoopPoller(loop).poll(SnapshotRequest(number, (1,), tuple(loop.numbers())))
        assert snapshot.name == LOOP, context


@pytest.mark.slow
@bounded
@given(change=json_records(), at=st.integers(0, 40), unended=st.booleans())
def test_any_value_in_any_field_of_a_json_record_is_answered(  # noqa: PLR0917
    change: tuple[str, str, Any],
    at: int,
    unended: bool,
    command: Command,
    recorded: Path,
    loop: LoopFolder,
) -> None:
    restore(recorded, loop)
    name, field, value = change
    with_value(loop.iteration(2).path / name, field, value, at)
    if unended and name != "summary.json":
        loop.iteration(2).summary.unlink()
    assert_answers(command, change)
    assert_can_be_looked_at(loop, change)


def in_toml(value: Any) -> Any:
    """The value as far as TOML has it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {in_toml(key): in_toml(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [in_toml(item) for item in value if item is not None]
    return 0 if value is None else value


@st.composite
def toml_records(draw: st.DrawFn) -> tuple[str, list[str], Any]:
    """(file, where in it, value)."""
    name = draw(st.sampled_from(sorted(TABLES)))
    place = [draw(st.sampled_from(TABLES[name].split()))]
    known = st.sampled_from(["id", "train", "learning_rate", "r", "metric", "columns", "labels"])
    if draw(st.booleans()):
        place.append(draw(known | text))
    return name, place, draw(values)


@pytest.mark.slow
@bounded
@given(change=toml_records(), unended=st.booleans())
def test_any_value_in_any_field_of_a_toml_record_is_answered(
    change: tuple[str, list[str], Any],
    unended: bool,
    command: Command,
    recorded: Path,
    loop: LoopFolder,
) -> None:
    restore(recorded, loop)
    name, place, value = change
    path = (
        loop.path / name if name in ("loop.toml", "draft.toml") else loop.iteration(2).path / name
    )
    table = tomllib.loads(path.read_text()) if path.exists() else {}
    inner = table
    for key in place[:-1]:
        inner[key] = inner[key] if isinstance(inner.get(key), dict) else {}
        inner = inner[key]
    inner[in_toml(place[-1])] = in_toml(value)
    path.write_text(tomli_w.dumps(table))
    if unended:
        loop.iteration(2).summary.unlink()
    assert_answers(command, change)
    assert_can_be_looked_at(loop, change)


semi_typed = st.sampled_from(
    [None, True, -1, 2**70, 1.5, "", "NaN", "x", [], [None, [1]], {}, {"a": 1}, [1, 2, 3]]
)
"""Values that come closer to what is expected than any value does."""


@st.composite
def faulty(draw: st.DrawFn, told: dict[str, Any]) -> dict[str, Any]:
    """A record with some values replaced, at any depth."""
    changed = dict(told)
    for name in draw(st.lists(st.sampled_from(sorted(told)), min_size=1, max_size=3, unique=True)):
        inner = changed[name]
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            changed[name] = draw(faulty(inner))
        else:
            changed[name] = draw(semi_typed | values)
    return changed


def make_faulty(loop: LoopFolder, data: st.DataObject) -> None:
    """Faults in every file of the second and third iteration, and in the draft."""
    for number in (2, 3):
        for name in ("summary.json", "examples.jsonl", "tokens.jsonl", "journal.jsonl"):
            path = loop.iteration(number).path / name
            if not path.exists() or (name == "summary.json" and data.draw(st.booleans())):
                continue
            lines = path.read_text().splitlines()
            rows = [json.loads(" ".join(lines))] if path.suffix == ".json" else []
            rows = rows or [json.loads(line) for line in lines]
            place = data.draw(st.integers(0, len(rows) - 1))
            rows[place] = data.draw(faulty(rows[place]))
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if data.draw(st.booleans()):
        loop.iteration(3).summary.unlink(missing_ok=True)
    draft = {"parent": 2, **tomllib.loads(loop.iteration(1).config.read_text())}
    for name in ("splits", "effective", "schema"):
        draft.pop(name, None)
    loop.draft.write_text(tomli_w.dumps(in_toml(data.draw(faulty(draft)))))


@pytest.mark.slow
@settings(bounded, max_examples=2)
@given(data=st.data())
def test_the_app_shows_any_record_without_a_fault(
    data: st.DataObject, recorded: Path, loop: LoopFolder, open_app: OpenApp
) -> None:
    restore(recorded, loop)
    make_faulty(loop, data)

    async def steps(opened: Opened) -> None:
        for number in (2, 3, DRAFT):
            await opened.goes_to(number)
            await opened.press(
                "2", "end", "v", "3", "v", "4", "f", "f", "f", "f", "enter", "escape"
            )
            await opened.press("5", "home", "1", "enter", "escape")
        await opened.press("c", "escape", "r", "escape", "N", "escape")
        assert opened.app.return_code is None

    on_app(open_app(size=(120, 36), number=2), steps)
