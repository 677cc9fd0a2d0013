"""Evaluations are read once while they stay as they are, and as far as there is time."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec
import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput
from tui_loop.core.examples import evaluations as evaluations_module
from tui_loop.core.examples.annotations import annotate
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.history import Outcome, Shift, Story
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example

Make = Callable[..., Example]
NOW = 0.0


@pytest.fixture
def evaluations(loop: LoopFolder) -> Evaluations:
    return Evaluations(LoopReader(loop))


@pytest.fixture
def three(finished: MakeFinished) -> list[IterationFolder]:
    """The base and two iterations: `id0` is never solved, `id1` was fixed, `id2` was broken."""
    return [
        finished([0.0, 0.0, 0.0], base=True),
        finished([0.0, 0.0, 1.0]),
        finished([0.0, 1.0, 0.0], parent=1),
    ]


def rewrite(folder: IterationFolder, *rows: Example) -> None:
    """Other examples, in a file that is seen to have changed."""
    folder.write_examples(rows, [])
    stamp = os.stat(folder.examples).st_mtime_ns + 1_000_000
    os.utime(folder.examples, ns=(stamp, stamp))


def test_an_iteration_is_seen_against_another_and_over_all(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    view, is_complete = evaluations.view(2, 1)
    assert is_complete
    assert view.against is not None
    assert view.against.number == 1
    assert view.shifts == [Shift.STILL_FAILED, Shift.FIXED, Shift.BROKEN]
    assert view.histories is not None
    assert view.histories.numbers == [0, 1, 2]
    assert view.story(0) is Story.NEVER_SOLVED
    assert [row.id for row in view.table] == ["id0", "id1", "id2"]


def test_while_nothing_changes_the_view_is_the_same(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    view, _ = evaluations.view(2, 1)
    assert evaluations.view(2, 1)[0] is view
    other = evaluations.view(1, None)[0]
    assert other is not view
    assert evaluations.view(2, 1)[0] is view, "a look at another one does not cost it"
    assert evaluations.view(1, None)[0] is other
    assert evaluations.view(2, 0)[0] is not view


def test_what_is_said_or_evaluated_anew_gives_another_view(
    evaluations: Evaluations, three: list[IterationFolder], example: Make
) -> None:
    seen = [evaluations.view(2, 1)[0]]

    def changed() -> None:
        view = evaluations.view(2, 1)[0]
        assert all(view is not each for each in seen)
        assert evaluations.view(2, 1)[0] is view
        seen.append(view)

    annotate(three[2], seen[0].table[0], "bad_reference")
    changed()
    assert seen[-1].marks == {"id0": "bad_reference"}
    assert seen[-1].outcome(0) is Outcome.UNSCORED
    annotate(three[2], seen[0].table[0], "cleared")
    changed()
    assert seen[-1].marks == {}
    rewrite(three[1], example("id0", 1.0), example("id1", 1.0))
    changed()
    assert seen[-1].shifts == [Shift.BROKEN, Shift.STILL_PASSED, Shift.UNKNOWN]
    rewrite(three[2], example("id0", 1.0))
    changed()
    assert len(seen[-1]) == 1
    three[0].examples.unlink()
    changed()
    assert seen[-1].histories is not None
    assert seen[-1].histories.numbers == [1, 2]


def test_an_accepted_output_holds_only_where_it_was_given(
    evaluations: Evaluations, three: list[IterationFolder], example: Make
) -> None:
    annotate(three[1], example("id0", 0.0), "accepted")
    assert evaluations.view(2, 1)[0].marks == {"id0": "accepted"}
    rewrite(three[2], example("id0", 0.0, output="perhaps"))
    assert evaluations.view(2, 1)[0].marks == {}


def test_neighbours_that_cannot_be_read_are_left_out(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    three[1].examples.write_text("{torn")
    view, is_complete = evaluations.view(2, 1)
    assert is_complete
    assert view.against is None
    assert view.shift(1) is Shift.UNKNOWN
    assert view.histories is not None
    assert view.histories.numbers == [0, 2]
    with pytest.raises(BadInput, match=r"001/examples\.jsonl:1: "):
        evaluations.view(1, 0)


def test_a_neighbour_that_is_no_file_is_left_out(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    three[1].examples.unlink()
    three[1].examples.symlink_to(three[0].examples)
    view, _ = evaluations.view(2, 1)
    assert view.against is None


def test_without_an_evaluation_there_are_no_rows(
    evaluations: Evaluations, loop: LoopFolder
) -> None:
    loop.iteration(1).path.mkdir()
    view, is_complete = evaluations.view(1, 0)
    assert is_complete
    assert len(view) == 0
    assert view.against is None


def test_with_no_time_the_rows_are_there_at_once_and_the_rest_comes(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    first, is_complete = evaluations.view(2, 1, NOW)
    assert not is_complete
    assert [row.id for row in first.table] == ["id0", "id1", "id2"]
    assert first.histories is None
    looks = 0
    while not is_complete:
        assert looks < 10
        view, is_complete = evaluations.view(2, 1, 60)
        looks += 1
    assert view is not first
    assert view.shifts[1] is Shift.FIXED
    assert view.histories is not None


def test_causes_are_found_for_records_that_have_none(
    evaluations: Evaluations, three: list[IterationFolder], example: Make
) -> None:
    rows = [
        example("id0", 0.0, output=""),
        example("id1", 1.0),
        example("id2", 0.0, causes=("refusal",), output=""),
    ]
    rewrite(three[2], *rows)
    view, _ = evaluations.view(2, 1)
    assert view.causes[0] == ("empty",)
    assert view.causes[1] == (), "what has passed has none"
    assert view.causes[2] == ("refusal",), "what is recorded is not decided again"
    assert view.table[0].causes == ()


def test_causes_are_found_a_while_at_a_time(
    evaluations: Evaluations,
    three: list[IterationFolder],
    example: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluations_module, "CAUSES_AT_ONCE", 1)
    rewrite(three[2], *(example(f"id{n}", 0.0, output="") for n in range(3)))
    evaluations.view(1, None)
    evaluations.view(0, None)
    looks = [evaluations.view(2, None, NOW) for _ in range(4)]
    assert [is_complete for _, is_complete in looks] == [False, False, True, True]
    assert looks[0][0].causes == [(), (), ()]
    assert looks[3][0].causes == [("empty",)] * 3


def test_iterations_scored_by_another_metric_have_no_outcomes_here(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    summary = three[1].read_summary()
    assert summary is not None
    assert summary.fingerprint is not None
    other = msgspec.structs.replace(summary.fingerprint, metric="another")
    three[1].write_summary(msgspec.structs.replace(summary, fingerprint=other))
    view, _ = evaluations.view(2, 1)
    assert view.against is not None
    assert not view.against.is_alike
    assert set(view.shifts) == {Shift.UNKNOWN}
    assert view.histories is not None
    assert [each.passed for each in view.histories.points(1)] == [False, None, True]


def test_only_the_newest_iterations_make_up_a_history(
    evaluations: Evaluations, three: list[IterationFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluations_module, "HISTORY", 1)
    view, _ = evaluations.view(2, None)
    assert view.histories is not None
    assert view.histories.numbers == [1, 2]


def test_how_it_was_measured_is_read_or_taken_from_the_rows(
    evaluations: Evaluations, three: list[IterationFolder]
) -> None:
    measured = evaluations.measured(2)
    assert evaluations.measured(2) is measured
    assert measured.metric == three[2].read_config().evaluation.metric
    three[1].config.write_text("torn [")
    assert evaluations.measured(1).metric == "exact_match"
