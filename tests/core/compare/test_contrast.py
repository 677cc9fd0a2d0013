"""Two iterations example by example, with the causes of both."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tui_loop.core.compare.claims import claim_words
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.compare.contrast import CauseCount, Contrast
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.snapshot import LoopPoller

MakeFinished = Callable[..., IterationFolder]
MakeExample = Callable[..., Example]


def caused(folder: IterationFolder, example: MakeExample, **causes: tuple[str, ...]) -> None:
    """Gives the run these examples: failed for their causes, passed where they have none."""
    rows = [example(name, float(not each), causes=each) for name, each in causes.items()]
    folder.write_examples(rows, [])


def contrast(loop: LoopFolder, a: int, b: int) -> Contrast:
    return LoopPoller(loop).contrast(a, b)[0]


def test_the_mix_of_causes_is_counted_before_and_after(
    loop: LoopFolder, finished: MakeFinished, example: MakeExample
) -> None:
    label, empty = ("wrong_label",), ("empty", "prompt_truncated")
    scores = dict.fromkeys("abcd", 0.0)
    caused(finished(scores), example, a=label, b=label, c=(), d=empty)
    caused(finished(scores, "r=4"), example, a=label, b=(), c=label, d=label)
    found = contrast(loop, 1, 2)
    assert found.causes == [
        CauseCount("wrong_label", 2, 3),
        CauseCount("empty", 1, 0),
        CauseCount("prompt_truncated", 1, 0),
    ]
    assert [each.change for each in found.causes] == ["+1", "-1", "-1"]
    assert tuple(list(rows.new) for rows in (found.fixed, found.broken, found.failing)) == (
        [1],
        [2],
        [0, 3],
    )
    assert (found.comparison.fixed, found.comparison.broken) == (["b"], ["c"])


def test_causes_of_examples_that_only_one_has_are_not_counted(
    loop: LoopFolder, finished: MakeFinished, example: MakeExample
) -> None:
    label = ("wrong_label",)
    caused(finished({"a": 0.0, "b": 0.0}), example, a=label, b=label)
    caused(finished({"b": 0.0, "c": 0.0}, "r=4"), example, b=label, c=label)
    found = contrast(loop, 1, 2)
    assert found.causes == [CauseCount("wrong_label", 1, 1)]
    assert found.causes[0].change == ""
    assert (list(found.failing.old), list(found.failing.new)) == ([1], [0])


def test_without_an_evaluation_configs_and_metrics_are_still_compared(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0.0, 1.0])
    finished([0.0, 1.0], "r=4").examples.unlink()
    found = contrast(loop, 1, 2)
    assert found.comparison.notices == ["iteration 2 has no evaluated examples"]
    assert found.comparison.config == {"lora.r": (16, 4)}
    assert found.comparison.metrics["score"] == (0.5, 0.5)
    assert (found.causes, len(found.fixed), len(found.failing)) == ([], 0, 0)
    assert claim_words(found.comparison) == [("", "no scores to compare")]


def test_examples_that_cannot_be_read_are_said_and_not_taken_for_none(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0.0])
    finished([0.0], "r=4").examples.write_text("{half\n")
    with pytest.raises(BadInput, match=r"examples\.jsonl:1"):
        contrast(loop, 1, 2)


def test_files_are_read_once_while_they_stay_as_they_are(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    for settings in ([], ["r=4"], ["r=2"]):
        finished([0.0, 1.0], *settings)
    observer = LoopPoller(loop)
    comparer = Comparer(observer.reader)
    first = comparer.compare(1, 2)
    monkeypatch.setattr("tui_loop.core.record.reader.ExampleTable.read", None)
    assert comparer.compare(1, 2) == first
    monkeypatch.undo()
    loop.iteration(1).examples.write_text("")
    with pytest.raises(BadInput, match="has no evaluated examples"):
        comparer.compare(1, 2)
