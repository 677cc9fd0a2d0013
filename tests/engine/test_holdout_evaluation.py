"""A holdout evaluation with real weights: measured as eval was, recorded as figures alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli
from tests.engine.conftest import TinyLoop
from tui_loop.core.errors import BadInput
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.holdout import (
    HoldoutEvaluation,
    HoldoutMessage,
    HoldoutProgress,
    read_holdout_evaluations,
)
from tui_loop.engine.holdout_evaluation import evaluate_holdout

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve rows that are eval set and holdout at once: both must come to the same figures."""
    eval_rows = shipped("sample_data", "support-intents") / "eval.jsonl"
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(eval_rows.read_text().splitlines(keepends=True)[:12]))
    return path


@pytest.fixture
def tuned(tiny_loop: Callable[..., TinyLoop], rows: Path) -> TinyLoop:
    """The base and one iteration that has learned something."""
    tiny = tiny_loop(data={"eval": str(rows), "holdout": str(rows)}, training={"max_steps": 12})
    tiny.run_base()
    assert tiny.run().state == "finished"
    return tiny


@pytest.mark.slow
def test_the_holdout_is_measured_as_eval_was_and_the_base_beside_it(
    tuned: TinyLoop, rows: Path, cli: Cli
) -> None:
    messages: list[HoldoutMessage] = []
    folder = tuned.loop.existing(1)
    result = evaluate_holdout(folder, [], emit=messages.append)
    for number, figures in ((1, result.figures), (0, result.base)):
        summary = tuned.loop.iteration(number).read_summary()
        assert summary is not None
        assert (figures.score, figures.passed) == (
            summary.metrics["score"],
            summary.metrics["passed"],
        )
        assert figures.loss == pytest.approx(summary.metrics["eval_loss"], rel=1e-5)
    assert result.eval == result.figures
    assert (result.use, result.rows, result.metric) == (1, 12, "label")
    table = result.paired
    assert table is not None
    assert table.both + table.fixed == result.passed
    assert table.both + table.broken == result.base.passed
    steps = {each.doing for each in messages if isinstance(each, HoldoutProgress)}
    assert steps == {"base", "iteration"}
    assert read_holdout_evaluations(tuned.loop).evaluations == (result,)
    _has_no_row(tuned.loop.holdout.read_text(), rows)

    place = f"{tuned.loop.name}/1"
    done = cli("ready", place, "--look", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    again = read_holdout_evaluations(tuned.loop).evaluations[1]
    assert again.use == 2
    assert (again.score, again.passed, again.paired) == (
        result.score,
        result.passed,
        result.paired,
    )
    record = json.loads(done.stdout)
    assert record["look"]["look"] == 2
    assert [each["loop"] for each in record["looks"]] == [tuned.loop.name] * 2
    assert "2nd use of this holdout" in done.stderr
    _has_no_row(done.stdout + done.stderr, rows)


@pytest.mark.slow
def test_a_failed_evaluation_does_not_count(tiny_loop: Callable[..., TinyLoop], rows: Path) -> None:
    tiny = tiny_loop(data={"eval": str(rows), "holdout": str(rows)}, training={"max_steps": 1})
    assert tiny.run("evaluation.base=false").state == "finished"
    folder = tiny.loop.existing(1)

    def fails(each: HoldoutMessage) -> None:
        if isinstance(each, HoldoutProgress) and each.doing == "iteration":
            raise BadInput("the power went")

    with pytest.raises(BadInput, match="the power went"):
        evaluate_holdout(folder, [], emit=fails)
    (folder.adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(BadInput, match="no weights on this machine"):
        evaluate_holdout(folder, [], emit=fails)
    with pytest.raises(BadInput, match="untouched base"):
        evaluate_holdout(tiny.loop.iteration(0), [], emit=fails)
    assert read_holdout_evaluations(tiny.loop).evaluations == ()


@pytest.mark.slow
def test_whole_models_are_evaluated_one_after_the_other(
    tiny_loop: Callable[..., TinyLoop], rows: Path
) -> None:
    tiny = tiny_loop(
        metric="none", data={"eval": str(rows), "holdout": str(rows)}, lora={"enabled": False}
    )
    assert tiny.run("evaluation.base=false").state == "finished"
    result: HoldoutEvaluation = evaluate_holdout(tiny.loop.existing(1), [], emit=lambda each: None)
    assert (result.metric, result.score, result.passed, result.paired) == (
        "none",
        None,
        None,
        None,
    )
    assert result.loss == pytest.approx(result.eval.loss, rel=1e-5)
    assert isinstance(result.base.loss, float)
    assert isinstance(result.loss, float)
    assert result.loss < result.base.loss


def _has_no_row(text: str, rows: Path) -> None:
    """Nothing of the rows is in `text` but what labels and figures share with it."""
    for line in rows.read_text().splitlines():
        row = json.loads(line)
        for value in row.values():
            if isinstance(value, str) and len(value) > 20:
                assert value not in text
