"""Folders in `loops/` whose names are odd, or have become commands, and files that are bombs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Cli
from tui_loop.cli.launch_app import most_recent
from tui_loop.cli.main import main
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped

LOOP = "support-tiny"
ODD = (b"My Loop", b"UPPER", b"new\nline", b"\xff\xfe", b"-dash", b".hidden", b"x" * 100)
READING = (
    *(("show", LOOP), ("show", f"{LOOP}/2"), ("status", LOOP), ("progress", LOOP)),
    *(("diagnose", f"{LOOP}/2"), ("ready", f"{LOOP}/2", "--no-look"), ("queue", LOOP)),
    *(("report", LOOP, "-o", "-"), ("stop", LOOP), ("label", LOOP), ("log", f"{LOOP}/2")),
)


@pytest.fixture
def loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopsFolder:
    """A recorded loop and one without iterations."""
    monkeypatch.chdir(tmp_path)
    loops = LoopsFolder(Path("loops"))
    shutil.copytree(
        shipped("loops", LOOP),
        loops.path / LOOP,
        ignore=shutil.ignore_patterns("adapter", "checkpoints"),
    )
    loops.create("begun", LoopSettings(goal="a beginning"))
    return loops


@pytest.fixture
def odd(loops: LoopsFolder) -> LoopsFolder:
    """The same, with loops in folders whose names no loop can have."""
    for name in ODD:
        shutil.copytree(loops.path / LOOP, loops.path / os.fsdecode(name))
    (loops.path / "out").symlink_to("/usr")
    return loops


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it printed on stdout and stderr."""
    code = main(words)
    done = capsys.readouterr()
    return code, done.out, done.err


def test_status_shows_every_loop_and_names_what_it_left_out(
    odd: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "status")
    assert code == 0
    assert f"{LOOP}/6 finished" in out
    assert "begun has no iterations yet; begin with tui-loop run begun" in out
    assert err.count("left out: ") == len(ODD) + 1
    assert "left out: 'My Loop' cannot be a loop's name (use lower-case letters" in err
    assert "leads out of loops" in err
    code, out, again = said(capsys, "status", "--json")
    assert code == 0
    assert [each["loop"] for each in json.loads(out)["runs"]] == [LOOP]
    assert again == err


def test_list_has_a_row_for_each_folder_and_its_records_too(
    odd: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = said(capsys, "list")
    assert code == 0
    assert out.count("cannot be a loop's name") == len(ODD)
    code, out, _ = said(capsys, "list", "--json")
    assert code == 0
    states = {each["name"]: each["state"] for each in json.loads(out)["loops"]}
    assert len(states) == len(ODD) + 3
    assert (states[LOOP], states["begun"]) == ("idle", "new")
    assert states["My Loop"] == states["out"] == "unreadable"


def test_patterns_are_those_of_the_loops_that_open(
    odd: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, "patterns", "--json")
    assert code == 0
    assert json.loads(out)["loops"] == 2
    assert err.count("left out: ") == len(ODD) + 1


@pytest.mark.slow
def test_what_a_command_says_of_one_loop_does_not_depend_on_its_neighbours(
    loops: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [said(capsys, *words) for words in READING]
    for name in ODD:
        shutil.copytree(loops.path / "begun", loops.path / os.fsdecode(name))
    (loops.path / "out").symlink_to("/usr")
    for words, expected in zip(READING, before, strict=True):
        assert said(capsys, *words) == expected, words


def test_the_app_opens_on_a_loop_that_it_can_open(odd: LoopsFolder) -> None:
    os.utime(odd.path / LOOP / "loop.toml", (2e9, 2e9))
    for name in ODD:
        os.utime(odd.path / os.fsdecode(name) / "loop.toml", (3e9, 3e9))
    assert most_recent(odd) == LOOP
    shutil.rmtree(odd.path / LOOP)
    shutil.rmtree(odd.path / "begun")
    assert most_recent(odd) is None


COMMAND_WORDS = ("check", "queue", "open", "keys", "status", "show", "continue")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMAND_WORDS)
def test_a_loop_whose_name_has_become_a_command_opens(
    name: str, loops: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (loops.path / LOOP).rename(loops.path / name)
    for words in READING:
        target = [word.replace(LOOP, name) for word in words]
        code, out, err = said(capsys, *target)
        assert "is a command" not in err, target
        assert (code == 0 and name in out) or words[0] in ("stop", "label", "queue", "log"), err
    assert f"{name}/6 finished" in said(capsys, "status")[1]
    for words in (("open", name), ("open", f"{name}/2"), (f"{name}/2",)):
        code, _, err = said(capsys, *words)
        assert code == 2
        assert "terminal" in err, words  # it is found, and all that is lacking is a terminal


def test_the_name_of_a_command_alone_means_the_command(
    loops: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    (loops.path / LOOP).rename(loops.path / "list")
    code, out, _ = said(capsys, "list")
    assert code == 0
    assert out.splitlines()[0].split()[:2] == ["loop", "state"]


@pytest.mark.parametrize("folder", ["check", "queue", "open"])
def test_a_folder_of_loops_may_be_named_like_a_command(
    folder: str, loops: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    loops.path.rename(folder)
    for words in (("--loops", folder, "list"), ("list", "--loops", folder)):
        code, out, err = said(capsys, *words)
        assert code == 0, err
        assert LOOP in out
    code, _, err = said(capsys, "--loops", folder, LOOP)
    assert "terminal" in err
    assert code == 2


def test_no_new_loop_gets_the_name_of_a_command(
    loops: LoopsFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(shipped("sample_data", "support-intents", "train.jsonl"))
    code, _, err = said(capsys, "new", "queue", "--data", data)
    assert code == 2
    assert err.splitlines() == [
        "error: 'queue' is a command, not a loop's name",
        "hint: try queue-loop",
    ]
    assert not (loops.path / "queue").exists()


BOMB = ".".join("a" * 10_000) + " = 1\n"


def test_a_bomb_in_a_config_is_not_parsed_and_hides_no_other_loop(
    loops: LoopsFolder, cli: Cli
) -> None:
    shutil.copytree(loops.path / "begun", loops.path / "bomb")
    path = loops.path / "bomb" / "loop.toml"
    path.write_text(f"schema = 1\n{BOMB}{path.read_text()}")
    second = loops.loop(LOOP).iteration(2)
    second.decision.write_text(BOMB)
    second.summary.unlink()
    shutil.copy(path, loops.path / "bomb" / "queue.toml")
    message = "bomb/loop.toml: a key has more than 16 dotted parts (at line 2)"
    listed, status, shown = cli("list"), cli("status"), cli("show", "bomb")
    assert (listed.returncode, status.returncode, shown.returncode) == (0, 0, 2)
    rows = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert rows["bomb"].split()[1] == "unreadable"
    assert message in rows["bomb"]
    assert "finished" in rows[LOOP]
    assert message in status.stderr
    assert f"{LOOP}/6 finished" in status.stdout
    assert "error: loops/" + message in shown.stderr
    two = cli("show", f"{LOOP}/2", "--json")
    assert "decision.toml: a key has more than 16 dotted parts (at line 1)" in two.stdout
