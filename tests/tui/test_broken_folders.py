"""Folders as they should not be: the app opens, shows what is whole, and says what is not."""

from __future__ import annotations

import json
import os
import re
import shutil

import msgspec
import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Decision
from tui_loop.tui.widgets.iterations import DRAFT

ARABIC = "صنف نوايا الدعم"
WIDE = (160, 48)


async def healthy_ones_are_shown(opened: Opened, *numbers: int) -> None:
    """Iterations that nobody touched are there with their figures."""
    rows = {
        0: r" 0 +base +2\.615 +0%",
        1: r" 1 +(?:★ )?baseline +1\.615 +42%",
        2: r" 2 +(?:★ )?num_train_epochs 2\.5 → 5 +0\.915 +71%",
        3: r" 3 +learning_rate 5e-3 → 20 +✗ diverged",
    }
    for number in numbers:
        await opened.until(lambda number=number: re.search(rows[number], opened.text), rows[number])


def test_a_config_that_cannot_be_read_hides_nobody_else(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    loop.iteration(3).config.write_text("[training\nlearning_rate = ")
    loop.iteration(3).summary.unlink()

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2)
        assert re.search(r"▸ +3 +cannot be read +✗ unreadable", opened.text)
        await opened.shows_in("#iterations", "003/config.toml: Expected ']'", "(at line 1,")
        await opened.shows("✗ The config cannot be read.", "draft, from 2")
        await opened.press("i")
        await opened.tells("The config of iteration 3 cannot be read.")
        assert not loop.draft.exists()
        await opened.press("enter")
        await opened.shows("cannot be read  unreadable", "hint: restore the file")

    on_app(open_app(), steps)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_config_without_permission_hides_nobody_else(open_app: OpenApp, loop: LoopFolder) -> None:
    loop.iteration(3).summary.unlink()
    loop.iteration(3).config.chmod(0)

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2)
        await opened.shows("Permission denied")

    on_app(open_app(), steps)


def test_half_a_summary_hides_nobody_else_and_its_run_is_still_shown(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    path = loop.iteration(2).summary
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b'"', 0, len(whole) // 2)])

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 3)
        assert re.search(r"▸ +2 +cannot be read +✗ unreadable", opened.text)
        await opened.shows_in("#iterations", "summary.json: Input data was truncated")
        await opened.shows("run ended: finished", "train 0.174", "7 of 24 failed")

    on_app(open_app(number=2), steps)


def test_a_journal_from_the_future_is_read_as_far_as_it_is_understood(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    path = loop.iteration(2).journal
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= {"schema": 99, "galaxy": "far away"}
    last = lines[-1]["seq"]
    future = {"event": "telepathy", "seq": last + 1, "t": lines[-1]["t"], "to": [1, {"a": None}]}
    later = {**lines[5], "seq": last + 2, "unit": "nat"}
    text = "".join(json.dumps(line) + "\n" for line in [*lines, future, later])
    path.write_text(text + "{no json\n")

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        await opened.shows("1 lines unreadable", "skipped 1 events of a newer version")
        await opened.shows("run ended: finished")

    on_app(open_app(number=2), steps)


def test_a_summary_from_the_future_is_read_as_far_as_it_is_understood(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    path = loop.iteration(2).summary
    summary = json.loads(path.read_text())
    summary |= {"mood": "good", "schema": 99}
    summary["metrics"]["wisdom"] = {"high": [1, 2]}
    path.write_text(json.dumps(summary))

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        await opened.press("enter")
        await opened.shows("wisdom", "{'high': [1, 2]}")

    on_app(open_app(number=2), steps)


def test_an_iteration_folder_without_any_file_is_shown_as_unreadable(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    (loop.path / "004").mkdir()

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        assert re.search(r"▸ +4 +cannot be read +✗ unreadable", opened.text)
        await opened.shows_in("#iterations", "004/config.toml: is missing")
        await opened.shows("draft, from 2")
        await opened.shows("5   draft")

    on_app(open_app(), steps)


def test_what_is_no_folder_or_no_number_is_passed_over(open_app: OpenApp, loop: LoopFolder) -> None:
    (loop.path / "005").write_text("a file")
    (loop.path / "notes").mkdir()
    (loop.path / "12").mkdir()

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        assert [each.number for each in opened.bench.snapshot.iterations] == [0, 1, 2, 3]

    on_app(open_app(), steps)


def test_a_loop_toml_that_goes_missing_while_it_is_open_is_told_and_comes_back(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        text = loop.settings_file.read_text()
        loop.settings_file.unlink()
        await opened.looks(2)
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        assert opened.bench.snapshot is not None
        assert "loop.toml: is missing" in opened.bench.snapshot.problem
        await opened.shows("draft, from 2")
        loop.settings_file.write_text(text)
        await opened.looks(2)
        assert opened.bench.snapshot.problem == ""
        await opened.shows("tiny  96 train · 24 eval")

    on_app(open_app(), steps)


def test_a_loop_that_is_removed_while_it_is_open_leaves_the_app_up(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        shutil.rmtree(loop.path)
        await opened.looks(2)
        await opened.shows("No iterations yet.")
        await opened.shows_in("#iterations", "loop.toml: is missing")
        for key in ("1", "enter", "2", "enter", "r", "i", "c", "m", "4", "enter", "5", "e", "y"):
            await opened.press(key)
        assert opened.app.return_code is None

    on_app(open_app(), steps)


def test_a_loop_toml_that_is_broken_hides_no_iteration(open_app: OpenApp, loop: LoopFolder) -> None:
    loop.settings_file.write_text("goal = [")

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        await opened.shows("draft, from 2")

    on_app(open_app(), steps)


def test_a_broken_loop_toml_without_iterations_says_what_is_wrong(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    for number in loop.numbers():
        shutil.rmtree(loop.iteration(number).path)
    loop.settings_file.write_text('goal = "x"\n[defaults.training]\nlearning_rate = "fast"\n')

    async def steps(opened: Opened) -> None:
        await opened.shows("No iterations yet.")
        for key, pane in (("1", "#iterations"), ("2", "#config")):
            await opened.press(key)
            await opened.shows_in(pane, "learning_rate: must be a number, not 'fast'")
        await opened.press("r")
        await opened.tells("learning_rate: must be a number, not 'fast'")
        assert opened.app.screen is opened.bench

    on_app(open_app(), steps)


def test_a_bad_line_among_the_examples_is_told_with_its_number(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    path = loop.iteration(2).examples
    lines = path.read_text().splitlines()
    lines[4] = '{"id": 5}'
    path.write_text("\n".join(lines) + "\n")

    async def steps(opened: Opened) -> None:
        await opened.press("4", "z")
        await opened.shows_in("#failures", "of 23 ", "examples.jsonl:5: 1 bad line left out")
        await opened.press("1", "up")
        await opened.press("4")
        await opened.shows("14 of 24 failed")

    on_app(open_app(number=2), steps)


def test_what_examples_are_held_against_is_told_where_it_cannot_be_read(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    loop.iteration(1).examples.write_text("nonsense\n")
    (loop.path / "labels.jsonl").write_text("nonsense\n{}\n")

    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await opened.shows("7 of 24 failed")
        await opened.shows(
            "! the examples of iteration 1 cannot be read, labels.jsonl: 2 bad lines"
        )
        (loop.path / "labels.jsonl").unlink()
        await opened.until(lambda: "bad lines" not in opened.text)
        await opened.shows("! the examples of iteration 1 cannot be read")

    on_app(open_app(number=2), steps)


def test_examples_that_are_gone_are_not_said_to_be_still_to_come(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    loop.iteration(2).examples.unlink()

    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await opened.shows(
            "This iteration was evaluated, but its examples.jsonl is not", "Restore the file"
        )
        await opened.press("g d")
        await opened.tells("its examples.jsonl is not on this machine. Restore the file")

    on_app(open_app(number=2), steps)


def test_unscored_examples_are_not_called_failed(open_app: OpenApp, loop: LoopFolder) -> None:
    for number in range(3):
        folder = loop.iteration(number)
        rows = [
            msgspec.structs.replace(row, score=None, passed=None, causes=())
            for row in folder.read_examples()
        ]
        folder.write_examples(rows, folder.read_tokens().values())

    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await opened.shows("24 of 24, unscored")
        await opened.press("g d")
        await opened.shows("What fails", "no example is scored")
        assert "what changed" not in opened.text

    on_app(open_app(number=2), steps)


def test_tokens_that_are_missing_are_told(open_app: OpenApp, loop: LoopFolder) -> None:
    loop.iteration(2).tokens.unlink()

    async def steps(opened: Opened) -> None:
        await opened.press("4", "enter")
        await opened.shows(
            "Example 1 of 7", "this iteration's token losses are not on this machine", "base 2.780"
        )
        await opened.press("escape")
        for number in (0, 1):
            loop.iteration(number).tokens.unlink()
        await opened.press("enter")
        await opened.shows("the token losses are not on this machine")

    on_app(open_app(number=2), steps)


def test_right_to_left_text_stands_where_it_belongs(open_app: OpenApp, loop: LoopFolder) -> None:
    folder = loop.iteration(2)
    folder.write_decision(Decision(parent=1, why=f"because {ARABIC}"))
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, decision=f"because {ARABIC}"))
    rows = [
        msgspec.structs.replace(row, prompt=f"{ARABIC} {row.source_line}", reference=ARABIC)
        for row in folder.read_examples()
    ]
    folder.write_examples(rows, folder.read_tokens().values())
    settings = loop.settings_file.read_text()
    loop.settings_file.write_text(settings.replace("tell support intents apart", ARABIC))

    async def steps(opened: Opened) -> None:
        await opened.shows(f"because: because {ARABIC}", f"wanted  {ARABIC}")
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        await opened.press("4", "enter")
        await opened.shows(f"prompt   {ARABIC} 24", f"wanted   {ARABIC}")
        await opened.press("escape")
        await opened.press("f")
        await opened.type("is:failed نوايا")
        await opened.shows("7 of 24 · is:failed نوايا")

    on_app(open_app(number=2), steps)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[training\n", "at line 1"),
        ("parent = 9\n", "no iteration 9"),
        ("training = 3\n", "training: is not a table of fields"),
        ("\x00", "draft.toml: "),
    ],
)
def test_a_broken_draft_is_told_and_not_overwritten(
    text: str, told: str, open_app: OpenApp, loop: LoopFolder
) -> None:
    loop.draft.write_text(text)

    async def steps(opened: Opened) -> None:
        await healthy_ones_are_shown(opened, 0, 1, 2, 3)
        await opened.shows("4   ✗ The draft cannot be read. e edits it.")
        await opened.press("r")
        await opened.tells(told)
        assert opened.app.screen is opened.bench
        await opened.goes_to(DRAFT)
        for key, pane in (("1", "#iterations"), ("2", "#config")):
            await opened.press(key)
            await opened.shows_in(pane, told)
        assert loop.draft.read_text() == text

    on_app(open_app(), steps)


def test_a_broken_draft_that_one_replaces_is_asked_for_first(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    loop.draft.write_text("[training\n")

    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await opened.shows("There is a draft already", "It cannot be read: ")
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert loop.draft.read_text() == "[training\n"
        await opened.press("i", "r")
        await opened.until(lambda: "parent = 2" in loop.draft.read_text())
        await opened.shows("draft, from 2")

    on_app(open_app(number=2), steps)


def test_a_draft_that_somebody_breaks_while_it_is_shown_is_told(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await opened.until(loop.draft.exists)
        loop.draft.write_text("[training\n")
        await opened.looks(2)
        await opened.shows("▸   4   ✗ The draft cannot be read. e edits it.")
        await opened.shows_in("#iterations", "(at line 1, ")
        assert loop.draft.read_text() == "[training\n"
        loop.draft.write_text("parent = 1\n")
        await opened.looks(2)
        await opened.shows("draft, from 1")

    on_app(open_app(number=2), steps)
