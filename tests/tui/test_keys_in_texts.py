"""Texts of the app name the keys that the user has given."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop import tui
from tui_loop.tui.actions import ACTIONS, BY_ID
from tui_loop.tui.keys import PALETTE, in_keys, keys_of, with_keys
from tui_loop.tui.screens.queue import QueueScreen
from tui_loop.tui.screens.reading import help_lines
from tui_loop.tui.screens.run_dialogs import RunDialog
from tui_loop.tui.settings import Settings
from tui_loop.tui.widgets.iterations import DRAFT

KEYS = {
    "run.start": "x",
    "app.back": "f2",
    "loop.mark": "ctrl+t",
    "loop.enqueue": "g Y,ctrl+a",
    "queue.run": "X",
    "iterations.next_match": "w",
    "iterations.why": "t",
}


def test_an_id_in_braces_becomes_the_first_key_of_its_action() -> None:
    text = "{run.start} runs the draft. {app.back} goes back, {loop.queue} or {app.help} opens."
    assert with_keys(text, {}) == "r runs the draft. esc goes back, g q or ? opens."
    changed = {"run.start": "x,f5", "loop.queue": "left_square_bracket"}
    assert with_keys(text, changed) == "x runs the draft. esc goes back, [ or ? opens."


@pytest.mark.parametrize(
    "text",
    ["", "{}", "{run}", "{run.}", "{run.starts}", "{ run.start }", "run.start", '{"run.start": 1}'],
)
def test_other_braces_stay_as_they_are(text: str) -> None:
    assert with_keys(text, {}) == text


def test_an_action_without_a_key_is_in_the_palette() -> None:
    assert with_keys("{run.start} runs it", {"run.start": ""}) == f"{PALETTE} runs it"


@pytest.mark.parametrize("name", BY_ID)
def test_every_action_can_be_named(name: str) -> None:
    assert with_keys(f"{{{name}}}", {}) == keys_of(BY_ID[name], {})[0]


def test_a_text_may_name_commands_and_actions() -> None:
    text = "`tui-loop resume chat`, or {run.start} runs the draft"
    assert with_keys(in_keys(text, KEYS), KEYS) == "press R, or x runs the draft"


def test_messages_name_the_users_keys(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await opened.press("c")
        await opened.tells("Select an iteration that has run. ctrl+t marks the one to compare with")
        assert opened.app.message_history[-1].text.endswith("ctrl+t marks the one to compare with.")

    on_app(open_app(settings=Settings(keys=KEYS)), steps)


def test_empty_lists_name_the_users_keys(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("g", "q")
        await opened.until(lambda: isinstance(opened.app.screen, QueueScreen))
        await opened.shows("In the workbench, g Y adds the draft. Here, X runs all drafts in order")

    on_app(open_app(settings=Settings(keys=KEYS)), steps)


def test_frames_of_dialogs_name_the_users_keys(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("x")
        await opened.until(lambda: isinstance(opened.app.screen, RunDialog))
        await opened.shows("enter runs the draft · tab next field · f2 goes back")

    on_app(open_app(settings=Settings(keys=KEYS)), steps)


def test_notes_and_placeholders_name_the_users_keys(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await opened.shows("t adds one", "x runs the draft. 2 edits it.")
        await opened.press("slash")
        await opened.shows("text to search for; enter keeps it, w and N go to its matches")

    on_app(open_app(settings=Settings(keys=KEYS)), steps)


EXCEPT = {
    "the next key runs a command · esc closes the menu": "esc always closes it",
    "/": "the sign of the line to search with, not a key",
    # enter submits a line of input, and tab goes to the next one: Textual's own keys
    "enter runs the draft · tab next field · {app.back} goes back": "a line of input",
    "enter runs them · {app.back} goes back": "a line of input",
    "enter starts · tab next field · {app.back} goes back": "a line of input",
    "This run repeats its parent. Press enter again to run it.": "a line of input",
    "type a prompt; enter sends it": "a line of input",
    "search: enter keeps the match, {app.next_match} and {app.previous_match} find the next and "
    "previous one": "a line of input",
    "text to search for; enter keeps it, {": "a line of input",
}
"""Texts that name a key which nobody can change, and why."""

DEFAULTS = sorted({key for each in ACTIONS for key in keys_of(each, {})} - {":"}, key=len)
"""The default keys as people write them, without the colon, which is mostly punctuation."""

_KEY = f"(?:{'|'.join(map(re.escape, reversed(DEFAULTS)))})"
NAMES_A_KEY = re.compile(
    rf"""
    (?: ^\W* | [.;,·(:]\s | \b(?:and|or|then)\s )  # where a clause begins
    {_KEY} (?:,?\ (?:and|or)\ {_KEY})? (?:\ again|\ in\ the\ \w+)?
    \ (?:[a-z]+s|show|go|find)\b                   # a verb
    | \b[Pp]ress\ {_KEY}(?:[\s,.]|$) | \bAfter\ {_KEY},
    """,
    re.VERBOSE,
)


@pytest.mark.parametrize(
    "text",
    [
        "Nothing has been trained yet. r runs the draft.",
        " is running. s stops it; A queues the draft.",
        "[ and ] show other iterations.",
        "g w asks for another file",
        "In the workbench, A adds the draft.",
        "Cancelling. esc again leaves.",
        "Auto is running. s in the workbench stops it.",
        "space shows or hides a column · enter or esc closes",
        "Read the failures next: press esc, then 4.",
        ". After esc, g c shows all checks.",
        "  e edits them",
        " r runs the draft. 2 edits it.",
        "text to search for; enter keeps it, n and N go to its matches",
    ],
)
def test_a_text_that_names_a_default_key_is_found(text: str) -> None:
    assert NAMES_A_KEY.search(text)


def test_no_text_of_the_app_names_a_default_key() -> None:
    found = {text: place for place, text in _texts() if NAMES_A_KEY.search(text)}
    found |= {text: place for place, text in _texts(accented=True) if text in DEFAULTS}
    named = [f"{place}: {text!r}" for text, place in found.items() if text not in EXCEPT]
    assert not named, "name the id of the action: {run.start} runs the draft"
    assert set(EXCEPT) <= set(found), "an exception without its text"


def test_every_id_in_a_text_of_the_app_is_in_the_table() -> None:
    scopes = {name.partition(".")[0] for name in BY_ID}
    for place, text in _texts():
        for name in re.findall(r"\{(\w+\.\w+)\}", text):
            assert name in BY_ID or name.partition(".")[0] not in scopes, f"{place}: {name}"


def _texts(*, accented: bool = False) -> Iterator[tuple[str, str]]:
    """The place and the text of every string, or of every span in the colour of keys."""
    folder = Path(tui.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        docstrings = {id(each.value) for each in nodes if isinstance(each, ast.Expr)}
        if accented:
            nodes = [
                each.elts[0]
                for each in nodes
                if isinstance(each, ast.Tuple) and ast.unparse(each.elts[-1:]) == "'accent'"
            ]
        for each in nodes:
            if (
                isinstance(each, ast.Constant)
                and isinstance(each.value, str)
                and id(each) not in docstrings
            ):
                yield f"{path.relative_to(folder)}:{each.lineno}", each.value


def test_a_sign_behind_a_leader_is_shown_as_the_sign() -> None:
    assert keys_of(BY_ID["chart.smoother"], {"chart.smoother": "g plus, ctrl+slash"}) == [
        "g +",
        "ctrl+/",
    ]


def test_no_description_is_cut_in_the_help() -> None:
    assert not any("…" in text for line in help_lines((), {}) for text, _ in line if text != "…")
