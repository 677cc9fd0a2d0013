"""The recorded loop, read by every reading command without the training stack."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.waiting import PATIENCE_SECONDS

LOOP = "support-intents"
WITHOUT_STACK = """
import sys
from importlib.machinery import PathFinder
class Filtered:
    def find_spec(self, name, path=None, target=None):
        absent = name.partition(".")[0] in {blocked}
        return None if absent else PathFinder.find_spec(name, path, target)
sys.meta_path = [Filtered() if each is PathFinder else each for each in sys.meta_path]
from tui_loop.cli.main import main
code = main(sys.argv[1:])
heavy = sorted({blocked} & set(sys.modules))
assert not heavy, heavy
sys.exit(code)
"""
BLOCKED = {
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "numpy",
    "pandas",
    "pyarrow",
    "safetensors",
    "huggingface_hub",
    "rouge_score",
    "sacrebleu",
    "pynvml",
    "textual",
}


def reader(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`tui-loop` in an interpreter that cannot import the training stack."""
    return subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT_STACK.replace("{blocked}", repr(BLOCKED)), *arguments],
        cwd=folder,
        env={**os.environ, "TUI_LOOP_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture
def review(tmp_path: Path) -> Path:
    """A folder that is not the checkout, with the recorded loop in it."""
    shutil.copytree(
        CHECKOUT / "loops" / LOOP,
        tmp_path / "loops" / LOOP,
        ignore=shutil.ignore_patterns("adapter", "checkpoints"),
    )
    return tmp_path


def record(*arguments: str, folder: Path) -> Any:
    done = reader(*arguments, "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_loop_is_one_worth_reviewing(review: Path) -> None:
    shown = record("show", LOOP, folder=review)
    iterations = shown["iterations"]
    assert shown["model"] == "smollm2"
    assert [each["number"] for each in iterations] == list(range(len(iterations)))
    assert len(iterations) >= 5  # the base, three changes, a replicate
    base = iterations[0]
    assert base["metrics"]["train_loss"] is None
    assert all(each["decision"] for each in iterations)
    best = max(each["metrics"]["score"] or 0 for each in iterations)
    assert best > base["metrics"]["score"] + 0.3
    assert any(list(each["changes"]) == ["training.seed"] for each in iterations)


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["status"],
        ["status", LOOP],
        ["show", LOOP],
        ["show", f"{LOOP}/1"],
        ["failures", f"{LOOP}/1"],
        ["compare", f"{LOOP}/0", f"{LOOP}/1"],
        ["rescore", LOOP, "--metric", "contains"],
        ["label", LOOP],
        ["diagnose", f"{LOOP}/1"],
        ["patterns"],
        ["progress", LOOP],
        ["queue", LOOP],
        ["ready", f"{LOOP}/1", "--no-look"],
        ["doctor"],
    ],
)
def test_every_reading_command_gives_text_and_records_without_the_stack(
    review: Path, command: list[str]
) -> None:
    plain = reader(*command, folder=review)
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.strip()
    assert isinstance(record(*command, folder=review), dict)


@pytest.mark.slow
def test_a_report_is_written_and_a_loop_closed_without_the_stack(review: Path) -> None:
    page = reader("report", LOOP, "-o", "-", "--format", "html", folder=review)
    assert page.returncode == 0, page.stderr
    assert page.stdout.startswith("<!doctype html>")
    done = reader("close", LOOP, "--why", "good enough", "--yes", folder=review)
    assert done.returncode == 0, done.stderr
    refused = reader("auto", LOOP, "--iterations", "1", folder=review)
    assert refused.returncode == 5
    assert "[train]" in refused.stderr


def test_the_log_is_events_one_a_line(review: Path) -> None:
    plain = reader("log", f"{LOOP}/1", folder=review)
    assert "phase training" in plain.stdout
    assert "run ended: finished" in plain.stdout
    lines = reader("log", f"{LOOP}/1", "--json", folder=review).stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(len(events)))


def test_the_shapes_are_those_that_others_rely_on(review: Path) -> None:
    listed = record("list", folder=review)["loops"][0]
    names = {"name", "goal", "state", "last_run", "queued", "iterations", "best", "updated"}
    assert set(listed) == names
    assert (listed["state"], listed["last_run"], listed["queued"]) == ("idle", "finished", 0)
    shown = record("show", LOOP, folder=review)
    assert set(shown) == {"name", "goal", "metric", "model", "closed", "iterations"}
    one = record("show", f"{LOOP}/1", folder=review)
    assert one == shown["iterations"][1]
    assert set(one) == {
        "number",
        "parent",
        "state",
        "title",
        "changes",
        "decision",
        "config",
        "metrics",
        "error",
        "attempts",
        "fingerprint",
        "duration_s",
        "system",
        "verdict",
        "judged",
    }
    assert {"train_loss", "eval_loss", "score", "passed", "total", "weights_step"} <= set(
        one["metrics"]
    )


def test_an_example_can_be_read_token_by_token(review: Path) -> None:
    failed = record("failures", f"{LOOP}/1", folder=review)["examples"]
    assert failed
    assert [each["loss"] for each in failed] == sorted(
        (each["loss"] for each in failed), reverse=True
    )
    one = record("failures", f"{LOOP}/1", "--id", failed[0]["id"], folder=review)
    assert one["example"].items() <= failed[0].items()
    assert [each["cause"] for each in one["why"]] == failed[0]["causes"] != []
    mean = sum(loss for _, loss in one["tokens"]) / len(one["tokens"])
    assert mean == pytest.approx(failed[0]["loss"], abs=1e-4)


def test_what_trains_says_which_extra_it_needs_before_it_touches_anything(review: Path) -> None:
    for command in (["run", LOOP, "--why", "x"], ["demo", "--headless"], ["fetch", "smollm2"]):
        done = reader(*command, folder=review)
        assert done.returncode == 5, done.stderr
        assert 'pip install "tui-loop[train]"' in done.stderr
    assert not (review / "tui-loop-demo").exists()
    assert not list((review / "loops" / LOOP).glob(".new*"))


def test_a_loop_can_be_created_without_the_stack(review: Path) -> None:
    (review / "rows.jsonl").write_text(
        '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'
    )
    done = reader("new", "begun", "--data", "rows.jsonl", "--model", "org/name", folder=review)
    assert done.returncode == 0, done.stderr
    assert "will be checked when the first run starts" in done.stderr


def test_broken_iterations_are_shown_beside_the_healthy_ones(review: Path) -> None:
    loop = review / "loops" / LOOP
    (loop / "001" / "summary.json").write_text("{")
    (loop / "002" / "config.toml").write_text("not = [toml")
    (loop / "002" / "summary.json").unlink()
    states = [each["state"] for each in record("show", LOOP, folder=review)["iterations"]]
    assert states[0] == "finished"
    assert states[1] == states[2] == "unreadable"
    text = reader("show", LOOP, folder=review).stdout
    assert "summary.json" in text
    assert "config.toml" in text


def test_with_replicates_of_both_configs_a_change_can_be_called_better(review: Path) -> None:
    claimed = record("compare", f"{LOOP}/2", f"{LOOP}/4", folder=review)
    assert claimed["replicates"] == [2, 2]
    assert claimed["claim"] in ("better", "no difference shown")
    alone = record("compare", f"{LOOP}/1", f"{LOOP}/2", folder=review)
    assert alone["claim"] == "consistent with better"


def test_rescore_goes_on_beside_a_broken_iteration(review: Path) -> None:
    (review / "loops" / LOOP / "000" / "config.toml").write_text("not = [toml")
    done = reader("rescore", LOOP, "--metric", "contains", "--json", folder=review)
    assert done.returncode == 0, done.stderr
    assert "cannot be read" in done.stderr
    numbers = [each["number"] for each in json.loads(done.stdout)["iterations"]]
    assert numbers == list(range(1, 7))
    assert (
        reader(
            "rescore", LOOP, "--metric", "contains", "--pass-score", "7", folder=review
        ).returncode
        == 2
    )


def test_records_and_lines_are_safe_for_a_terminal(review: Path) -> None:
    loop = review / "loops" / LOOP
    hostile = "\x9b31m \u202e \x1b]52;c;aGk=\x07"
    examples = (loop / "001" / "examples.jsonl").read_text().splitlines()
    first = json.loads(examples[0]) | {"prompt": hostile, "passed": False, "loss": 99.0}
    (loop / "001" / "examples.jsonl").write_text(
        "\n".join([json.dumps(first, ensure_ascii=False), *examples[1:]]) + "\n"
    )
    with (loop / "001" / "journal.jsonl").open("a") as journal:
        odd = {
            "event": "line",
            "seq": 9999,
            "t": 1e300,
            "level": "info",
            "source": "x",
            "text": hostile,
        }
        journal.write(json.dumps(odd) + "\n")
    plain = reader("failures", f"{LOOP}/1", folder=review).stdout
    records = reader("failures", f"{LOOP}/1", "--json", folder=review).stdout
    log = reader("log", f"{LOOP}/1", folder=review)
    assert log.returncode == 0, log.stderr
    assert json.loads(records)["examples"][0]["prompt"] == hostile
    for text in (plain, records, log.stdout):
        assert not set("\x9b\u202e\x1b\x07") & set(text)


def test_the_demo_leaves_a_folder_of_somebody_elses_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = reader("demo", "--dir", ".", folder=tmp_path)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_counts_are_not_negative_and_options_not_abbreviated(review: Path) -> None:
    assert reader("failures", f"{LOOP}/1", "-n", "-1", folder=review).returncode == 2
    assert reader("status", "--js", folder=review).returncode == 2


@pytest.mark.slow
def test_counts_are_of_all_that_match_whatever_is_printed(review: Path) -> None:
    command = ["failures", f"{LOOP}/1", "--filter", "label:refund"]
    whole = record(*command, folder=review)
    assert whole["listed"] == len(whole["examples"]) > 2
    first_line = reader(*command, folder=review).stdout.splitlines()[0]
    assert first_line.endswith(f"; {whole['listed']} match label:refund")
    for limit in (0, 2, 1000):
        cut = record(*command, "-n", str(limit), folder=review)
        assert cut["listed"] == whole["listed"]
        assert cut["examples"] == whole["examples"][:limit]
        shown = reader(*command, "-n", str(limit), folder=review).stdout.splitlines()
        assert shown[0] == first_line
    csv = reader(*command, "-n", "2", "--csv", folder=review).stdout.splitlines()
    assert [line.split(",")[0] for line in csv[1:]] == [e["id"] for e in whole["examples"][:2]]
    counts = [
        reader("failures", f"{LOOP}/1", "--summary", *more, folder=review).stdout
        for more in ((), ("-n", "1"))
    ]
    assert counts[0] == counts[1]


def test_compare_can_fail_on_a_regression(review: Path) -> None:
    shown = record("show", LOOP, folder=review)["iterations"]
    best = max(shown, key=lambda each: each["metrics"]["score"] or 0)["number"]
    worse = reader("compare", f"{LOOP}/{best}", f"{LOOP}/0", "--fail-on-regression", folder=review)
    better = reader("compare", f"{LOOP}/0", f"{LOOP}/{best}", "--fail-on-regression", folder=review)
    assert (worse.returncode, better.returncode) == (6, 0)


@pytest.mark.slow
def test_two_seeds_of_one_config_are_no_regression_and_said_to_be_noise(review: Path) -> None:
    command = ["compare", f"{LOOP}/4", f"{LOOP}/5"]
    done = reader(*command, "--fail-on-regression", folder=review)
    assert done.returncode == 0, done.stderr
    assert (
        "no change: both runs have the same config, so the difference is training noise"
        in done.stdout
    )
    noise = record(*command, folder=review)
    assert noise["claim"] == "training noise"
    assert noise["interval"]["delta"] < 0
    assert f"loss {noise['loss']['delta']:+.2f} ±" in done.stdout
    assert f"nats per token over {noise['loss_examples']} examples" in done.stdout
    table = done.stdout.partition("broken  ")[2].splitlines()
    assert table[0].split() == [
        "reference",
        "output",
        "of",
        "4",
        "output",
        "of",
        "5",
        "cause",
        "prompt",
    ]
    examples = {
        row["id"]: row for row in record("failures", f"{LOOP}/5", folder=review)["examples"]
    }
    before = {
        row["id"]: row
        for row in map(
            json.loads,
            (review / "loops" / LOOP / "004" / "examples.jsonl").read_text().splitlines(),
        )
    }
    for line, name in zip(table[1:], noise["broken"], strict=False):
        said = [before[name]["reference"], before[name]["output"], examples[name]["output"]]
        assert line.split()[:4] == [name, *said]


def test_the_record_holds_no_path_of_the_machine_that_made_it() -> None:
    ignored = {"adapter", "checkpoints", "output.log", "run.lock"}  # of loops/.gitignore
    shipped = [
        path
        for name in ("support-intents", "support-tiny")
        for path in (CHECKOUT / "loops" / name).rglob("*")
        if path.is_file() and not ignored & set(path.parts)
    ]
    assert len(shipped) > 100
    for path in shipped:
        text = path.read_text()
        assert str(CHECKOUT) not in text
        assert "/home/" not in text
        assert "site-packages" not in text
