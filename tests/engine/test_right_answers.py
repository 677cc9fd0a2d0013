"""An example with several right answers passes with any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.core.scoring import pure_scorer
from tui_loop.core.shipped import shipped

pytestmark = pytest.mark.train


def test_an_output_that_is_any_of_the_answers_passes(
    tiny_loop: Callable[..., TinyLoop], tmp_path: Path
) -> None:
    """The same run twice: once with one answer a row, once with every label as an answer."""
    source = shipped("sample_data", "support-intents")
    sets = {}
    for name in ("train", "eval"):
        lines = (source / f"{name}.jsonl").read_text().splitlines()[:40]
        sets[name] = [json.loads(line) for line in lines]
    labels = sorted({row["completion"] for rows in sets.values() for row in rows})
    scores, references = [], []
    for others in ([], labels):
        files = {}
        for name, rows in sets.items():
            path = tmp_path / f"{name}-{len(others)}.jsonl"
            found = [
                {"question": row["prompt"], "answers": [row["completion"], *others]} for row in rows
            ]
            path.write_text("".join(json.dumps(row) + "\n" for row in found))
            files[name] = str(path)
        loop = tiny_loop(metric="exact_match", data=files)
        summary = loop.run("max_steps=12", "max_new_tokens=4", "learning_rate=5e-3")
        examples = loop.loop.iteration(1).read_examples()
        scores.append(summary.metrics["score"])
        references.append([each.reference for each in examples])
        scorer = pure_scorer("exact_match", (), None)
        assert scorer is not None
        for each in examples:
            right = {each.reference, *each.other_references}
            best = max(scorer.score(each.output or "", answer) for answer in right)
            assert each.score == best
            assert right == {each.reference, *others}
    assert references[0] == references[1]
    assert scores[1] >= scores[0]
    assert scores[1] > 0.5
