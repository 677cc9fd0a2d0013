"""A metric that fails at the end of a run costs neither the weights nor what was generated."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.cli.main import main
from tui_loop.core import scoring
from tui_loop.engine.weights import has_weights

pytestmark = pytest.mark.train


@pytest.mark.slow
def test_a_pattern_without_end_fails_the_run_and_keeps_its_weights_and_outputs(
    tiny_loop: Callable[..., TinyLoop],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = tiny_loop(metric="regex", evaluation={"pattern": "refund", "batch_size": 2})
    assert tiny.run().state == "finished"
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "SEARCH_SECONDS", 0.0)
        patch.setattr(scoring, "SECONDS_PER_OUTPUT", 0.0)
        summary = tiny.run("training.seed=1", parent=1)
    folder = tiny.loop.iteration(2)

    assert summary.state == "failed"
    assert summary.error is not None
    assert summary.error["message"] == "evaluation.pattern: 'refund' takes too long"
    assert f"tui-loop rescore {folder} --metric" in summary.error["hint"]
    assert (summary.metrics["weights_step"], summary.metrics["score"]) == (4, None)
    assert summary.metrics["eval_loss"] > 0
    assert has_weights(folder)
    examples = folder.read_examples()
    assert len(examples) == summary.metrics["total"] == 12
    assert {(each.score, each.passed, each.causes) for each in examples} == {(None, None, ())}
    assert all(each.output is not None for each in examples)
    warned = [line for line in folder.journal.read_text().splitlines() if '"warning"' in line]
    assert any("takes too long" in line for line in warned)  # as soon as the first outputs came

    loops = str(tiny.loop.path.parent)
    assert main(["--loops", loops, "rescore", str(folder), "--metric", "exact_match"]) == 0
    assert "/12" in capsys.readouterr().out
