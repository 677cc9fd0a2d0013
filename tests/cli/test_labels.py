"""What people say of examples and what training had for them, from a shell."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Cli
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder

LOOP = "support-intents"


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    """A copy of the recorded loop, with the data it was trained on."""
    for name in (f"loops/{LOOP}", f"sample_data/{LOOP}"):
        kept_home = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")
        shutil.copytree(CHECKOUT / name, tmp_path / name, ignore=kept_home)
    return LoopsFolder(tmp_path / "loops").loop(LOOP)


@pytest.mark.slow
def test_what_is_said_counts_beside_the_recorded_figures(cli: Cli, loop: LoopFolder) -> None:
    failed = json.loads(cli("failures", f"{LOOP}/3", "--json").stdout)["examples"]
    before = json.loads(cli("show", LOOP, "--json").stdout)["iterations"][3]
    assert before["judged"] is None
    first, second, third = (each["id"] for each in failed[:3])
    said = cli("label", f"{LOOP}/3", first, "bad-reference", "--note", "no\x1b[31m refund")
    assert f"{first} is labelled bad reference" in said.stdout
    assert "1 reference rejected" in said.stdout
    told = json.loads(cli("label", f"{LOOP}/3", second, "accepted", "--json").stdout)
    assert told["said"]["kind"] == "accepted"
    metrics = before["metrics"]
    passed, total = metrics["passed"] + 1, metrics["total"] - 1
    figures = {"passed": passed, "total": total, "accepted": 1, "rejected": 1, "ambiguous": 0}
    assert told["judged"] == {"score": pytest.approx(passed / total), **figures}
    cli("label", f"{LOOP}/3", third, "note", "--note", "look again")
    after = json.loads(cli("show", f"{LOOP}/3", "--json").stdout)
    assert after["judged"] == told["judged"]
    assert after["metrics"] == metrics
    text = cli("show", LOOP).stdout
    assert "iteration 3 with annotations: score " in text
    assert "1 output accepted, 1 reference rejected" in text
    listed = cli("label", f"{LOOP}/3").stdout
    assert "no␛[31m refund" in listed
    assert "look again" in listed
    states = json.loads(cli("label", f"{LOOP}/3", "--json").stdout)["said"]
    assert [each["state"] for each in states] == ["counts", "counts", "kept"]


@pytest.mark.slow
def test_what_was_said_can_be_taken_back(cli: Cli, loop: LoopFolder) -> None:
    name = loop.iteration(6).read_examples()[0].id
    cli("label", f"{LOOP}/6", name, "ambiguous")
    assert "marked as ambiguous" in cli("show", f"{LOOP}/6").stdout
    assert f"{name} is no longer labelled" in cli("label", f"{LOOP}/6", name, "clear").stdout
    assert "with annotations" not in cli("show", f"{LOOP}/6").stdout
    said = json.loads(cli("label", LOOP, "--json").stdout)["said"]
    assert [each["state"] for each in said] == ["taken back", ""]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((f"{LOOP}/3", "nobody", "accepted"), "has no example 'nobody'"),
        ((f"{LOOP}/3", "516baf43b6c2", "praised"), "unknown KIND of label: 'praised'"),
        ((f"{LOOP}/3", "516baf43b6c2"), "the KIND of label is missing"),
        ((f"{LOOP}/3", "516baf43b6c2", "note"), "a note needs text"),
        ((f"{LOOP}/3", "516baf43b6c2", "ambiguous", "--note", "x" * 5000), "longer than 4096"),
        ((LOOP, "516baf43b6c2", "accepted"), "which iteration?"),
        ((f"{LOOP}/5", "516baf43b6c2", "accepted"), "has no evaluated examples"),
    ],
)
def test_what_cannot_be_said_is_one_error_with_a_hint(
    words: tuple[str, ...], message: str, cli: Cli, loop: LoopFolder
) -> None:
    loop.iteration(5).examples.unlink()
    done = cli("label", *words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert not loop.labels.exists()


def test_the_nearest_training_rows_are_told_with_their_lines(cli: Cli, loop: LoopFolder) -> None:
    example = loop.iteration(3).read_examples()[0]
    told = json.loads(cli("nearest", f"{LOOP}/3", example.id, "-n", "3", "--json").stdout)
    assert told["notice"] == ""
    assert len(told["neighbours"]) == 3
    assert told["same_label"]["reference"] == example.reference
    data = (loop.root / "sample_data" / LOOP / "train.jsonl").read_text().splitlines()
    for each in (*told["neighbours"], told["same_label"]):
        assert json.loads(data[each["line"] - 1])["prompt"] == each["prompt"]
    shown = cli("nearest", f"{LOOP}/3", example.id).stdout
    assert f"train.jsonl:{told['neighbours'][0]['line']}" in shown
    assert told["answer"] in shown


def test_without_its_intent_in_training_nothing_similar_was_trained_on(
    cli: Cli, loop: LoopFolder
) -> None:
    path = loop.root / "sample_data" / LOOP / "train.jsonl"
    rows = [row for row in path.read_text().splitlines() if '"refund"' not in row]
    path.write_text("\n".join(rows) + "\n")
    name = next(each.id for each in loop.iteration(3).read_examples() if each.reference == "refund")
    told = json.loads(cli("nearest", f"{LOOP}/3", name, "--json").stdout)
    assert told["nothing_similar"] is True
    assert 'no similar training row: no row is labelled "refund"' in told["answer"]
    assert "has changed since" in told["notice"]
    path.unlink()
    gone = cli("nearest", f"{LOOP}/3", name)
    assert gone.returncode == 2
    assert "is not on this machine" in gone.stderr
