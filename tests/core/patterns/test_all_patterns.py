"""Patterns from loops on disk: what is read, and that claims are those of a comparison."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.conftest import compare
from tui_loop.core.patterns.all_patterns import PatternsReader
from tui_loop.core.patterns.directions import Claims, sure_claim
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader

MakeFinished = Callable[..., IterationFolder]
FOREVER = float("inf")


def drawn(share: float, seed: int, count: int = 80) -> list[float]:
    draw = random.Random(seed)
    return [float(draw.random() < share) for _ in range(count)]


@pytest.fixture
def tried(finished: MakeFinished) -> None:
    """A base, three rates, of which one has two seeds, and one that is like the base."""
    finished(drawn(0.1, 1), base=True)
    finished(drawn(0.1, 2), "learning_rate=1e-6")
    finished(drawn(0.8, 3), "learning_rate=1e-3")
    finished(drawn(0.8, 4), "learning_rate=1e-3", "seed=1")
    finished(drawn(0.78, 5), "r=32", parent=3)


def test_what_loops_have_tried_is_told_once_claims_are_known(
    loops: LoopsFolder, tried: None
) -> None:
    reader = PatternsReader(loops)
    first = reader.poll(0)
    assert first.waiting > 0
    assert len(first.trials) == 4
    found = reader.poll()
    assert (found.loops, found.unread, found.waiting) == (1, 0, 0)
    assert [each.sentence for each in found.patterns] == [
        "at learning_rate 1e-6 or less, the one run ended no better than the base on tiny; none of "
        "the 3 runs with higher values ended no better than the base (nearest value: 1e-3)",
        "raising learning_rate 1e-6 → 1e-3 was tried once on tiny and helped",
        "raising r 16 → 32 was tried once on tiny and showed no difference",
    ]
    assert reader.poll() is found, "the same object where nothing has changed"
    trial = found.trial("intents/4")
    assert trial is not None
    assert trial.against_base == "consistent with better"


def test_a_claim_with_replicates_is_the_comparisons_own(
    loop: LoopFolder, loops: LoopsFolder, finished: MakeFinished
) -> None:
    finished(drawn(0.1, 1), base=True)
    finished(drawn(0.2, 2))
    finished(drawn(0.2, 3), "seed=1")
    finished(drawn(0.8, 4), "learning_rate=1e-3", parent=1)
    finished(drawn(0.8, 5), "learning_rate=1e-3", "seed=1", parent=1)
    found = PatternsReader(loops).poll()
    judged = [each for each in found.patterns if each.kind == "direction"]
    assert [each.with_replicates for each in judged] == [1]
    assert compare(loop, 1, 3).claim == "better"


def test_claims_are_what_a_comparison_says(loop: LoopFolder, finished: MakeFinished) -> None:
    """Also where they are made from scores alone, or from the mean of the paired examples."""
    base = drawn(0.5, 0)
    finished(base, base=True)
    draw = random.Random(7)
    for number in range(1, 25):
        flips = draw.random() * 0.5
        scores = [1 - score if draw.random() < flips else score for score in base]
        finished(scores if number % 3 else drawn(draw.random(), number), f"r={number}", parent=0)
    reader = LoopReader(loop)
    iterations = [reader.iteration(number) for number in reader.numbers()]
    claims = Claims(reader)
    claims.begin(iterations)
    seen = set()
    for each in iterations[1:]:
        told = claims.claim(iterations[0], each, has_replicates=False, until=FOREVER)
        assert told is not None
        assert told.words == compare(loop, 0, each.number).claim, each.metrics
        seen.add((told.words, sure_claim(iterations[0], each) is not None))
    assert len(seen) >= 4, seen


def test_only_the_folders_that_are_given_are_read(
    loops: LoopsFolder, tried: None, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(loops.path, elsewhere)
    (loops.path / "linked").symlink_to(elsewhere / "intents")
    shutil.copytree(elsewhere / "intents", loops.path / "broken")
    shutil.copytree(elsewhere / "intents", loops.path / "No Loop")
    (loops.path / "broken" / "002" / "summary.json").write_text("{")
    found = PatternsReader(loops).poll(0)
    assert (found.loops, found.unread) == (2, 1)
    assert {each.loop for each in found.trials} == {"intents", "broken"}
    both = PatternsReader(loops, [LoopsFolder(elsewhere), LoopsFolder(loops.path)]).poll(0)
    assert {each.loop for each in both.trials} == {"intents", "broken", f"{elsewhere}/intents"}
    assert PatternsReader(LoopsFolder(tmp_path / "none")).poll().patterns == ()


def test_an_iteration_whose_examples_are_gone_claims_nothing(
    loop: LoopFolder, loops: LoopsFolder, tried: None
) -> None:
    loop.iteration(1).examples.unlink()
    found = PatternsReader(loops).poll()
    assert found.waiting == 0
    trial = found.trial("intents/1")
    assert trial is not None
    assert trial.against_base == "nothing to compare"


def test_what_ended_since_is_seen_at_the_next_look(
    loops: LoopsFolder, tried: None, finished: MakeFinished
) -> None:
    reader = PatternsReader(loops)
    before = reader.poll()
    finished(drawn(0.1, 9), "learning_rate=1e-7", parent=1)
    after = reader.poll()
    assert after is not before
    assert "2 of 2 runs ended" in after.patterns[0].sentence
