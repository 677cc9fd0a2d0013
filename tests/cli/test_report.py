"""`tui-loop report`: which file it writes, which it leaves alone, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_recorded_loop import reader
from tests.conftest import CHECKOUT
from tui_loop.cli.commands import report as command
from tui_loop.cli.main import main
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.report.facts import Report
from tui_loop.core.report.gather import report_of

LOOP = "support-tiny"


@pytest.fixture(scope="module")
def gathered() -> Report:
    return report_of(LoopsFolder(CHECKOUT / "loops").loop(LOOP))


@pytest.fixture(autouse=True)
def _gathered_once(gathered: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "report_of", lambda _: gathered)


@pytest.fixture(autouse=True)
def _no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


def report(*words: str | Path) -> int:
    return main(["report", "--loops", str(CHECKOUT / "loops"), *map(str, words)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.md", "<!-- tui-loop report -->\n# support-tiny"),
        ("r.HTML", "<!doctype html>\n<!-- tui-loop report -->\n<html"),
        ("r.csv", "number,parent,state,"),
        ("r.json", '{\n  "made_by": "tui-loop '),
    ],
)
def test_the_suffix_says_what_is_written_and_a_report_is_replaced(
    name: str, begins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    assert report(LOOP, "-o", path) == 0
    first = path.read_bytes()
    assert first.decode().startswith(begins)
    assert "6 trained iterations" in capsys.readouterr().out
    assert report(LOOP, "-o", path) == 0
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_a_file_that_is_no_report_is_replaced_only_when_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# mine\n")
    assert report(LOOP, "-o", path) == BadInput.exit_code
    assert "--force" in capsys.readouterr().err
    assert path.read_text() == "# mine\n"
    assert report(LOOP, "-o", path, "--force") == 0
    assert path.read_text().startswith("<!-- tui-loop report -->")


def test_the_ledger_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    path.write_bytes((CHECKOUT / "loops" / LOOP / "ledger.csv").read_bytes())
    assert report(LOOP, "-o", path) == BadInput.exit_code


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-o", "x.pdf"), ".pdf is not a report format"),
        (("-o", "x"), "--format"),
        ((), "-o support-tiny.html"),
        (("--json", "-o", "x.json"), "cannot be combined"),
        (("-o", "missing/x.md"), "no folder"),
    ],
)
def test_what_cannot_be_written_is_told_with_what_to_do(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(LOOP, *words) == BadInput.exit_code
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_link_and_a_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("mine")
    (tmp_path / "link.md").symlink_to(tmp_path / "mine.md")
    (tmp_path / "folder.md").mkdir()
    for name in ("link.md", "folder.md"):
        assert report(LOOP, "-o", tmp_path / name, "--force") == BadInput.exit_code
    assert (tmp_path / "mine.md").read_text() == "mine"


@pytest.mark.slow
def test_a_format_stands_in_for_a_suffix(tmp_path: Path) -> None:
    assert report(LOOP, "-o", tmp_path / "report.txt", "--format", "csv") == 0
    assert (tmp_path / "report.txt").read_text().startswith("number,")


def test_it_prints_markdown_and_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(LOOP, "-o", "-") == 0
    assert "## Iterations" in capsys.readouterr().out
    assert report(LOOP, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["best"], told["best_runs"]) == (2, [2, 6])
    assert len(told["iterations"]) == 7
    assert told["iterations"][4]["against"]["claim"] == "no difference shown"
    assert told["iterations"][4]["iteration"]["metrics"]["passed"] == 73


def test_no_such_loop_is_told(tmp_path: Path) -> None:
    assert report("nowhere", "-o", tmp_path / "r.md") == NotFound.exit_code


@pytest.mark.slow
def test_the_base_install_suffices(tmp_path: Path) -> None:
    loops = str(CHECKOUT / "loops")
    done = reader("--loops", loops, "report", LOOP, "-o", "r.html", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.html").stat().st_size < 200_000
