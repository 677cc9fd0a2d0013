"""What the app has on the command line: keys, notes, the draft."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Cli
from tui_loop.cli.output import Output
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.draft import new_draft, read_draft, write_draft


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    """A copy of the recorded loop on the tiny base."""
    recorded = CHECKOUT / "loops" / "support-tiny"
    kept_home = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")
    shutil.copytree(recorded, tmp_path / "loops" / "support-tiny", ignore=kept_home)
    return LoopsFolder(tmp_path / "loops").loop("support-tiny")


def test_keys_lists_every_action_with_the_keys_that_the_user_gave_it(
    cli: Cli, tmp_path: Path
) -> None:
    settings = tmp_path / "own.toml"
    settings.write_text('[keys]\n"run.start" = "ctrl+r"\n')
    done = cli("keys", "--json", TUI_LOOP_CONFIG=str(settings))
    told = json.loads(done.stdout)
    by_id = {each["id"]: each for each in told["keys"]}
    assert told["file"] == str(settings)
    assert by_id["run.start"]["keys"] == "ctrl+r"
    assert by_id["pane.chart"]["keys"] == "3"
    assert "ctrl+r" in cli("keys", TUI_LOOP_CONFIG=str(settings)).stdout


def test_wrong_settings_are_one_error_before_the_app_opens(
    cli: Cli, tmp_path: Path, loop: LoopFolder
) -> None:
    settings = tmp_path / "own.toml"
    settings.write_text('[keys]\n"run.start" = "s"\n')
    for command in (["keys"], [loop.name]):
        done = cli(*command, TUI_LOOP_CONFIG=str(settings))
        assert done.returncode == 2
        assert "s is the key of both run.start and run.stop" in done.stderr
        assert "hint: give one of the two actions a different key" in done.stderr


def test_an_unknown_id_in_the_keys_is_a_warning_and_an_old_id_still_works(
    cli: Cli, tmp_path: Path
) -> None:
    settings = tmp_path / "own.toml"
    settings.write_text('[keys]\n"run.strat" = "x"\n"config.find" = "ctrl+n"\n')
    done = cli("keys", "--json", TUI_LOOP_CONFIG=str(settings))
    assert done.returncode == 0
    assert "'run.strat': no such action; did you mean run.start?" in done.stderr
    by_id = {each["id"]: each for each in json.loads(done.stdout)["keys"]}
    assert by_id["app.search"]["keys"] == "ctrl+n"


def test_a_reason_is_edited_and_the_first_one_kept(cli: Cli, loop: LoopFolder) -> None:
    first = json.loads(cli("reason", "support-tiny/2", "--json").stdout)
    assert first["why"] == first["first_why"] != ""
    assert cli("reason", "support-tiny/2", "the rate was too low").returncode == 0
    edited = json.loads(cli("reason", "support-tiny/2", "--json").stdout)
    assert edited == {
        "iteration": 2,
        "why": "the rate was too low",
        "first_why": first["why"],
    }
    assert "why: the rate was too low" in cli("show", "support-tiny/2").stdout
    assert f"first: {first['why']}" in cli("reason", "support-tiny/2").stdout
    refused = cli("reason", "support-tiny/0", "the base")
    assert refused.returncode == 2
    assert "support-tiny/0 is the base" in refused.stderr


def test_notes_are_added_and_read(cli: Cli, loop: LoopFolder) -> None:
    assert "no notes yet" in cli("note", "support-tiny/4").stdout
    cli("note", "support-tiny/4", "overfits from the fourth pass on")
    cli("note", "support-tiny/4", "\x1b[31mand more")
    told = json.loads(cli("note", "support-tiny/4", "--json").stdout)
    assert told["notes"] == "overfits from the fourth pass on\n\n\x1b[31mand more"
    shown = cli("show", "support-tiny/4").stdout
    assert "overfits from the fourth pass on" in shown
    assert "\x1b" not in shown


def test_a_draft_that_waits_is_told_by_show(cli: Cli, loop: LoopFolder) -> None:
    write_draft(loop, new_draft(loop, 2).with_value("training.learning_rate", 1e-3))
    assert "draft, from 2: training.learning_rate 2e-3 → 1e-3" in cli("show", loop.name).stdout
    loop.draft.write_text("parent = [")
    assert "draft cannot be read" in cli("show", loop.name).stdout


@pytest.mark.train
def test_run_draft_refuses_what_cannot_be_and_leaves_the_draft(cli: Cli, loop: LoopFolder) -> None:
    done = cli("run", loop.name, "--draft")
    assert done.returncode == 2
    assert "there is no draft" in done.stderr
    write_draft(loop, new_draft(loop, 2).with_value("training.learning_rate", "abc"))
    done = cli("run", loop.name, "--draft")
    assert done.returncode == 2
    assert "training.learning_rate: must be a number" in done.stderr
    write_draft(loop, new_draft(loop, 2))
    done = cli("run", loop.name, "--draft", "--from", "1")
    assert done.returncode == 2
    assert "--from" in done.stderr
    assert read_draft(loop) is not None
    assert loop.numbers() == list(range(7))


@pytest.mark.slow
@pytest.mark.train
def test_run_draft_runs_what_was_edited_and_takes_the_draft_away(
    cli: Cli, loop: LoopFolder, tmp_path: Path
) -> None:
    shutil.copytree(
        CHECKOUT / "sample_data" / "support-intents", tmp_path / "sample_data" / "support-intents"
    )
    draft = new_draft(loop, 2).with_value("training.max_steps", 2).with_why("edited in the app")
    draft = draft.with_value("data.max_eval_rows", 4).with_value("evaluation.base", False)
    write_draft(loop, draft)
    done = cli("run", loop.name, "--draft", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["iterations"][-1]
    assert (told["number"], told["parent"], told["decision"]) == (7, 2, "edited in the app")
    assert told["changes"]["training.max_steps"] == [None, 2]
    assert told["metrics"]["steps"] == 2
    assert not loop.draft.exists()


@pytest.mark.parametrize(
    ("loops", "text", "spelled"),
    [
        ("loops", "tui-loop stop a", "tui-loop stop a"),
        ("demo/loops", "tui-loop stop a", "tui-loop --loops demo/loops stop a"),
        ("a b", "see: tui-loop a/1", "see: tui-loop --loops 'a b' a/1"),
        ("x", "tui-loop doctor, tui-loop --help", "tui-loop doctor, tui-loop --help"),
        ("x", "tui-loop keys. tui-loop demo", "tui-loop keys. tui-loop demo"),
        ("x", "open it: tui-loop demo-2", "open it: tui-loop --loops x demo-2"),
        ("x", "tui-loop keys/3", "tui-loop --loops x keys/3"),
    ],
)
def test_a_command_that_is_advised_can_be_typed_as_it_stands(
    loops: str, text: str, spelled: str
) -> None:
    out = Output(as_json=False)
    out.loops = Path(loops)
    assert out.spelled_out(text) == spelled
