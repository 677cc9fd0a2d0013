"""What the app gets when it has examples generated again, without a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from tests.cli.test_recorded_loop import LOOP
from tests.conftest import CHECKOUT
from tests.waiting import PATIENCE_SECONDS
from tui_loop.cli.retried_examples import start_retry
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.retry_settings import Retried
from tui_loop.core.inference_messages import GenerateResponse, ServerMessage, ServerStatus
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.scoring import Scorer


class FakeAsker:
    """Answers at once: the first example rightly, the others with nothing."""

    ends_with: BadInput | None = None

    def __init__(self, loop: LoopFolder, iterations: Sequence[int], settings: Sequence[str]):
        self.asked: list[str] = []
        self.is_closed = threading.Event()

    def ask_examples(self, examples: Sequence[str]) -> int:
        self.asked = list(examples)
        return 1

    def answers_to(self, question: int) -> Iterator[ServerMessage]:
        yield ServerStatus("ready", iterations=(3,))
        for place, name in enumerate(self.asked):
            said = REFERENCES[name] if not place else ""
            yield GenerateResponse(question, 3, said, 1, truncated=False, seconds=0.1, example=name)
        if self.ends_with is not None:
            raise self.ends_with

    def close(self) -> None:
        self.is_closed.set()


FOLDER = LoopFolder(CHECKOUT / "loops" / LOOP).existing(3)
EXAMPLES = [each for each in FOLDER.read_examples() if each.passed is False][:3]
REFERENCES = {each.id: each.reference for each in EXAMPLES}


@pytest.fixture
def asker(monkeypatch: pytest.MonkeyPatch) -> type[FakeAsker]:
    class Mine(FakeAsker):
        pass

    monkeypatch.setattr("tui_loop.cli.retried_examples.InferenceClient", Mine)
    return Mine


def all_told() -> list[Retried | ServerStatus]:
    """All that is told until the end of it."""
    work = start_retry(FOLDER, EXAMPLES, ["evaluation.max_new_tokens=64"], allow_code=False)
    asker = work._client
    assert isinstance(asker, FakeAsker)
    assert asker.is_closed.wait(PATIENCE_SECONDS)  # which comes after the last word
    return work.take()


def test_results_are_scored_as_the_evaluation_scored_them(asker: type[FakeAsker]) -> None:
    ready, *results, end = all_told()
    assert isinstance(ready, ServerStatus)
    assert end == ServerStatus("answered")
    assert [(each.example.id, each.passed) for each in results if isinstance(each, Retried)] == [
        (each.id, not place) for place, each in enumerate(EXAMPLES)
    ]


def test_the_end_of_the_models_is_told_with_its_hint(asker: type[FakeAsker]) -> None:
    asker.ends_with = BadInput("no weights here", "copy them")
    assert all_told()[-1] == ServerStatus("error", message="no weights here", hint="copy them")


def test_a_metric_that_fails_is_told_and_ends_it(
    asker: type[FakeAsker], monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(output: str, reference: str) -> float:
        raise ZeroDivisionError("none")

    monkeypatch.setattr(
        "tui_loop.cli.retried_examples.scorer_of",
        lambda *_, **__: Scorer("mine:score", 0.5, breaks),
    )
    end = all_told()[-1]
    assert isinstance(end, ServerStatus)
    assert (end.state, end.message) == ("error", "ZeroDivisionError: none")


def test_what_changes_nothing_here_is_refused_before_a_process_starts(
    asker: type[FakeAsker],
) -> None:
    with pytest.raises(BadInput, match="has no effect here"):
        start_retry(FOLDER, EXAMPLES, ["evaluation.metric=contains"], allow_code=False)
