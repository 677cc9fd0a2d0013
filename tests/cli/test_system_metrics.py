"""`show` and `log` give what a run sampled of its machine."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.core.conftest import _example, _summary
from tui_loop.cli.main import main
from tui_loop.core.record.events import LineLogged, SystemSampled
from tui_loop.core.record.folders import IterationFolder, LoopSettings
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import SystemSummary
from tui_loop.core.workflow.plan import create_iteration, plan_next

NAME = "sampled"
SUMMARY = SystemSummary(mean_process_cpu_percent=190.0, peak_rss_bytes=1.5 * 2**30)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IterationFolder:
    """A finished iteration without samples."""
    monkeypatch.chdir(tmp_path)
    settings = LoopSettings(metric="label", defaults={"data": {"train": "train.jsonl"}})
    loop = LoopsFolder(tmp_path / "loops").create(NAME, settings)
    plan = plan_next(loop, parent=None, settings=[], why="a try")
    made = create_iteration(loop, plan, {})
    examples = [_example("id1", 1.0)]
    made.write_examples(examples, [])
    made.write_summary(_summary(made, examples, {}))
    return made


def with_samples(folder: IterationFolder) -> None:
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, system=SUMMARY))


def test_show_has_a_line_about_the_machine_where_it_was_sampled(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"{NAME}/{folder.number}"
    assert main(["show", target]) == 0
    before = capsys.readouterr().out
    with_samples(folder)
    assert main(["show", target]) == 0
    after = capsys.readouterr().out
    words = "CPU use of the run 190% on average while training, peak memory of the run 1.5 GiB"
    assert words in " ".join(after.split())
    assert "GiB" not in before


def test_show_as_json_has_the_numbers(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    target = f"{NAME}/{folder.number}"
    assert main(["show", target, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["system"] is None
    with_samples(folder)
    assert main(["show", target, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["system"]
    assert told == msgspec.to_builtins(SUMMARY)


def test_log_has_the_samples_as_json_and_not_among_its_lines(
    folder: IterationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(folder.journal)
    journal.append(LineLogged(level="info", source="tui-loop", text="hello"))
    journal.append(SystemSampled(values={"gpu0.util_percent": 93.0}))
    journal.close()
    target = f"{NAME}/{folder.number}"
    assert main(["log", target]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("hello")
    assert main(["log", target, "--json"]) == 0
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event["event"] == "system"
    assert event["values"] == {"gpu0.util_percent": 93.0}
