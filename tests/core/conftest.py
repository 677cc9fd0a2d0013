"""Loops on disk for the tests of core, laid out by the store's own writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scripts.planted.archive import ARCHIVE, unpack
from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.config.tables import to_tables
from tui_loop.core.data.rows import Row
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.iteration import title_of
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example, Iteration, Split
from tui_loop.core.workflow.plan import create_base, create_iteration, plan_next

MakeFinished = Callable[..., IterationFolder]


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of planted problems (`loops/`), unpacked once by each process that reads them."""
    folder = tmp_path_factory.mktemp("planted")
    unpack(ARCHIVE, folder)
    return folder


@pytest.fixture
def loops(tmp_path: Path) -> LoopsFolder:
    """An empty `loops/` folder."""
    return LoopsFolder(tmp_path / "loops")


@pytest.fixture
def loop(loops: LoopsFolder) -> LoopFolder:
    """A loop without iterations."""
    return loops.create(
        "intents",
        LoopSettings(
            goal="tell intents apart", metric="label", defaults={"data": {"train": "train.jsonl"}}
        ),
    )


@pytest.fixture
def example() -> Callable[..., Example]:
    """Makes an example from an id and a score; anything else may be named."""
    return _example


@pytest.fixture
def finished(loop: LoopFolder) -> MakeFinished:
    """Writes a finished iteration into `loop`: settings against its parent, a score an id."""

    def make(
        scores: Mapping[str, float] | Sequence[float],
        *set_: str,
        parent: int | None = None,
        base: bool = False,
        references: Mapping[str, str] | None = None,
        metrics: Mapping[str, Any] | None = None,
        why: str = "",
        trained_on: str | None = None,
        conversations: Mapping[str, str] | None = None,
        prompts: Mapping[str, str] | None = None,
    ) -> IterationFolder:
        splits = {"train": Split("train.jsonl", digest=trained_on)}
        if not isinstance(scores, Mapping):
            scores = {f"id{index}": score for index, score in enumerate(scores)}
        if base:
            folder = create_base(loop, loop.default_config(), splits)
        else:
            plan = plan_next(loop, parent=parent, settings=list(set_), why=why)
            folder = create_iteration(loop, plan, splits)
        examples = [
            _example(
                name,
                score,
                reference=(references or {}).get(name, "yes"),
                conversation=(conversations or {}).get(name, ""),
                prompt=(prompts or {}).get(name, f"prompt of {name}"),
            )
            for name, score in scores.items()
        ]
        folder.write_examples(examples, [])
        folder.write_summary(_summary(folder, examples, dict(metrics or {})))
        return folder

    return make


def compare(loop: LoopFolder, a: int, b: int) -> Comparison:
    """Iteration `b` against `a`, read anew."""
    return Comparer(LoopReader(loop)).compare(a, b)


def _example(name: str, score: float | None, **more: Any) -> Example:
    fields = {
        "prompt": f"prompt of {name}",
        "reference": "yes",
        "output": "yes" if score else "no",
        "passed": None if score is None else score >= 1.0,
        "causes": (),
        "loss": 0.5,
        "supervised_tokens": 1,
        "output_tokens": 1,
        "truncated": False,
        "source_line": 1,
    }
    return Example(id=name, score=score, **{**fields, **more})


def _summary(
    folder: IterationFolder, examples: list[Example], metrics: dict[str, Any]
) -> Iteration:
    config, decision = folder.read_config(), folder.read_decision()
    changes = {change.field: [change.old, change.new] for change in decision.changes}
    rows = [Row(each.id, each.prompt, each.reference, each.source_line) for each in examples]
    passed = sum(bool(each.passed) for each in examples)
    return Iteration(
        number=folder.number,
        parent=decision.parent,
        state="finished",
        title=title_of(folder.number, decision.parent, changes),
        changes=changes,
        decision=decision.why,
        config=dict(to_tables(config)),
        metrics={
            "train_loss": None if folder.number == 0 else 0.25,
            "eval_loss": 0.5,
            "score": passed / len(examples) if examples else None,
            "passed": passed,
            "total": len(examples),
            **metrics,
        },
        attempts=1,
        fingerprint=fingerprint_of(config, rows, []),
        duration_s=1.0,
    )
