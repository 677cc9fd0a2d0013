"""One example whose output has reasoning, on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.conftest import CHECKOUT, Cli
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Example

LOOP = "support-intents"
THOUGHT = "They were charged,\nso maybe twice."


@pytest.fixture
def failed(tmp_path: Path) -> Example:
    """A failed example of iteration 1 in a copy of the recorded loop, now with reasoning."""
    leftovers = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")
    shutil.copytree(CHECKOUT / "loops" / LOOP, tmp_path / "loops" / LOOP, ignore=leftovers)
    folder = LoopsFolder(tmp_path / "loops").loop(LOOP).iteration(1)
    rows = folder.read_examples()
    place = next(place for place, row in enumerate(rows) if row.passed is False)
    output = f"<think>{THOUGHT}</think>\nno idea"
    rows[place] = msgspec.structs.replace(rows[place], output=output, causes=())
    folder.write_examples(rows, [])
    return rows[place]


def test_the_reasoning_of_an_example_is_folded_unless_asked_for(cli: Cli, failed: Example) -> None:
    one = ("failures", f"{LOOP}/1", "--id", failed.id)
    folded = cli(*one).stdout
    assert "reasoning  6 words (--reasoning prints them)\n   output  no idea\n" in folded
    assert "charged" not in folded.replace(failed.prompt, "")
    unfolded = cli(*one, "--reasoning").stdout
    assert (
        "reasoning  They were charged,\n           so maybe twice.\n   output  no idea" in unfolded
    )
    record = json.loads(cli(*one, "--json").stdout)
    assert record["example"]["output"] == failed.output
    assert record["why"][0]["evidence"].endswith("'no idea'")


def test_other_right_answers_are_beside_the_reference(
    cli: Cli, failed: Example, tmp_path: Path
) -> None:
    folder = LoopsFolder(tmp_path / "loops").loop(LOOP).iteration(1)
    row = msgspec.structs.replace(failed, other_references=("money back", "repay"))
    folder.write_examples([row], [])
    shown = cli("failures", f"{LOOP}/1", "--id", failed.id).stdout
    assert f"reference  {failed.reference}\n       or  money back\n       or  repay\n" in shown
