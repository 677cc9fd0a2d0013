"""A real record, damaged anywhere: whatever judges it says something, or why not."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import CHECKOUT
from tests.hostile.test_any_values import in_toml
from tui_loop.core.compare.progress import ProgressReader
from tui_loop.core.diagnosis.apply_suggestions import with_suggestions
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.all_patterns import PatternsReader, hints_for
from tui_loop.core.record.codec import to_pretty_json
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.report.files import report_text
from tui_loop.core.report.gather import report_of
from tui_loop.core.workflow.draft import new_draft
from tui_loop.core.workflow.queue import draft_of, problem_of, read_queue
from tui_loop.core.workflow.readiness import checklist
from tui_loop.core.workflow.run_end import record_diagnosis
from tui_loop.core.workflow.suggestion_source import DiagnosisSource, History

NAME = "support-tiny"
ITERATIONS = ("000", "001", "002")
ROWS = 24
HASH = "c" * 64

FILES = (
    *("loop.toml", "queue.toml", "holdout.jsonl", "001/summary.json", "002/summary.json"),
    *("000/examples.jsonl", "001/examples.jsonl", "002/examples.jsonl", "002/training.jsonl"),
    *("002/journal.jsonl", "002/config.toml", "002/decision.toml", "002/diagnosis.json"),
    *("002/evals/102.jsonl", "002/evals/204.jsonl", "rows"),
)
ODD: list[Any] = [
    *(None, True, -1, 0, 2**70, 10**400, -0.0, 1e308, -1e308, 5e-324, 1e39, 1.5),
    *("", "x", "NaN", "Infinity", "-Infinity", "\x1b[2J\ud83d", "x" * 5000),
    *([], [None, [1]], ["x"] * 40, {}, {"a": 1}, {"a": {"b": []}}),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first iterations of a real loop, with all that a loop may have beside them."""
    loop = tmp_path_factory.mktemp("sound") / NAME
    skipped = shutil.ignore_patterns("adapter", "checkpoints", "tokens.jsonl", "00[3-9]")
    shutil.copytree(CHECKOUT / "loops" / NAME, loop, ignore=skipped)
    for path in loop.rglob("*.jsonl"):
        if path.name != "journal.jsonl":
            path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:ROWS]))
    rows = [json.loads(line) for line in (loop / "002/examples.jsonl").read_text().splitlines()]
    kept = ("id", "prompt", "reference", "loss", "supervised_tokens", "source_line")
    measured = [{name: row[name] for name in kept} | {"sampled_of": 300} for row in rows]
    (loop / "002/training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in measured))
    figures = {"score": 0.5, "passed": 12, "total": 24, "loss": 1.2, "loss_error": 0.1}
    look = {"t": 1e9, "iteration": 2, "sha256": HASH, "rows": 24, "metric": "label", **figures}
    look |= {"base": figures, "eval": figures}
    look["paired"] = {"both": 2, "fixed": 10, "broken": 2, "neither": 10}
    (loop / "holdout.jsonl").write_text(json.dumps(look) + "\n")
    predicted = {"metric": "score", "was": 0.1, "low": 0.3, "high": 0.6}
    taken = {"suggestion": "underfitting/raise_rate + slow/larger_batch", "predicted": predicted}
    change(loop / "002/decision.toml", lambda told: told.update(taken))
    queued = {"parent": 2, "why": "more", "set": {"learning_rate": 0.01, "lora": {"r": 4}}}
    (loop / "queue.toml").write_text(tomli_w.dumps({"drafts": [queued | taken]}))
    change(loop / "loop.toml", lambda told: told.update(ready={"target": 0.8}))
    record_diagnosis(LoopFolder(loop).iteration(2))
    return loop


def change(path: Path, act: Callable[[dict[str, Any]], None]) -> None:
    """Changes a file of TOML."""
    told = tomllib.loads(path.read_text())
    act(told)
    path.write_text(tomli_w.dumps(in_toml(told)))


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, str, list[int], Any]]:
    """Faults, each as (file, kind, where, value)."""
    kinds = st.sampled_from(["value", "value", "value", "every row", "cut", "bytes", "gone"])
    where = st.lists(st.integers(0, 10_000), min_size=6, max_size=6)
    return [
        (draw(st.sampled_from(FILES)), draw(kinds), draw(where), draw(st.sampled_from(ODD)))
        for _ in range(draw(st.integers(1, 3)))
    ]


def damage(path: Path, kind: str, where: list[int], value: Any) -> None:
    """Brings one fault about."""
    if path.is_dir():
        path = sorted(path.iterdir())[where[0] % len(list(path.iterdir()))]
    data = path.read_bytes() if path.exists() else b""
    match kind:
        case "gone":
            path.unlink(missing_ok=True)
        case "cut":
            path.write_bytes(data[: where[0] * len(data) // 10_000])
        case "bytes":
            spoiled = bytearray(data)
            for at in where if data else ():
                spoiled[at % len(data)] = at % 256
            path.write_bytes(bytes(spoiled))
        case _ if data:
            _damage_values(path, data, where, value, everywhere=kind == "every row")


def _damage_values(
    path: Path, data: bytes, where: list[int], value: Any, *, everywhere: bool
) -> None:
    try:
        if path.suffix == ".toml":
            change(path, lambda told: put(told, where, in_toml(value)))
            return
        if path.suffix == ".json":
            told = json.loads(data)
            put(told, where, value)
            path.write_text(json.dumps(told))
            return
        rows = [json.loads(line) for line in data.splitlines()]
    except (ValueError, UnicodeDecodeError):  # damaged so far that it has no values
        return
    first = where[0] % len(rows)
    for row in rows if everywhere else rows[first : first + 1]:
        put(row, where[1:], value)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def put(inner: Any, where: list[int], value: Any) -> None:
    """Replaces what stands at a place in nested tables and lists, as deep as the place goes."""
    if not isinstance(inner, (dict, list)) or not inner:
        return
    keys = list(inner) if isinstance(inner, dict) else range(len(inner))
    key = keys[where[0] % len(keys)]
    if len(where) > 1 and isinstance(inner[key], (dict, list)) and inner[key]:
        put(inner[key], where[1:], value)
    else:
        inner[key] = value


def judge(loop: LoopFolder) -> None:
    """All that judges a loop, each in turn; what cannot be told is an error of ours."""
    diagnoser = Diagnoser(LoopReader(loop))

    def diagnosed(number: int) -> None:
        found = diagnoser.diagnose(number)
        assert to_pretty_json(found)
        with_suggestions(new_draft(loop, number), found.suggestions)

    def patterns() -> None:
        found = PatternsReader(LoopsFolder(loop.path.parent)).poll()
        for each in found.patterns:
            hints_for(found.patterns, each.base).of(each.field, 1e-3, 1)

    def reported() -> None:
        report = report_of(loop)
        for kind in ("md", "html", "csv", "json"):
            assert report_text(report, kind)  # type: ignore[arg-type]

    def waiting() -> None:
        for each in read_queue(loop):
            problem_of(loop, each)
            draft_of(loop, each)

    acts: list[Callable[[], object]] = [
        lambda: diagnosed(2),
        lambda: checklist(loop, 2),
        lambda: to_pretty_json(ProgressReader(LoopReader(loop)).poll().record),
        patterns,
        reported,
        waiting,
        lambda: DiagnosisSource(cache(diagnoser.diagnose)).propose(History(loop)),
        lambda: write_ledger(loop),
    ]
    for act in acts:
        try:
            act()
        except (TuiLoopError, OSError):
            continue


@pytest.mark.slow
@settings(
    max_examples=16,
    phases=[Phase.explicit, Phase.generate],  # what fails is damaged little: shrinking takes long
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(faults=damages())
def test_whatever_is_damaged_is_judged_or_refused_and_faults_nothing(
    faults: list[tuple[str, str, list[int], Any]], sound: Path, tmp_path: Path
) -> None:
    home = tmp_path / "loops"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(sound, home / NAME)
    for name, kind, where, value in faults:
        damage(home / NAME / name, kind, where, value)
    judge(LoopFolder(home / NAME))


def test_the_record_that_is_damaged_is_one_of_which_much_is_to_be_said(sound: Path) -> None:
    loop = LoopFolder(sound)
    found = Diagnoser(LoopReader(loop)).diagnose(2)
    assert found.verdict is not None
    assert found.findings
    assert found.suggestions
    assert len(read_queue(loop)) == 1
    assert checklist(loop, 2).evaluation is not None
    assert all((sound / name).exists() for name in FILES)
