"""The form of a new loop: choosing a file, seeing what it holds, creating the loop."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.tui.choosing import (
    HOSTILE,
    SHOWN,
    UNDERSTOOD,
    FakeBackend,
    Opened,
    Steps,
    on_loops,
    write_rows,
)
from tests.waiting import PATIENCE_SECONDS
from tui_loop.cli.backend import AppBackend
from tui_loop.core.config.data_sources import DataSource
from tui_loop.core.data import source_rows
from tui_loop.core.data.offered_files import Offers
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.preflight.check_result import CheckKind, warning
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.tui.backend import Backend, DatasetPreview, NewLoop
from tui_loop.tui.screens import new_loop

SIZES = [(60, 20), (80, 24), (160, 48)]


def on_form(
    folder: Path, steps: Steps, *, backend: Backend | None = None, size: tuple[int, int] = (80, 24)
) -> None:
    """Opens the form on `folder` and takes the steps."""

    async def main(opened: Opened) -> None:
        await opened.press("A")
        await opened.until(lambda: opened.form.fields["model"].value == "tiny")
        await steps(opened)

    on_loops(folder, main, backend=backend or FakeBackend(), size=size)


def value(opened: Opened, field: str) -> str:
    return opened.form.fields[field].value


def test_a_jsonl_file_becomes_a_loop_that_is_opened(tmp_path: Path) -> None:
    write_rows(tmp_path / "shop" / "train.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.type("shop/train.jsonl")
        await opened.shows("prompt/completion", "18 training rows", "2 evaluation rows")
        await opened.shows("question 0 → answer 0", "no eval data given")
        assert value(opened, "name") == "train"
        assert value(opened, "metric") == "exact_match"
        await opened.press("ctrl+s")
        await opened.until(lambda: opened.opened)
        assert opened.opened is not None
        assert opened.opened.name == "train"

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))
    told = tomllib.loads((tmp_path / "loops" / "train" / "loop.toml").read_text())
    assert told["metric"] == "exact_match"
    assert told["defaults"]["data"]["train"] == "shop/train.jsonl"
    assert told["defaults"]["model"]["id"] == "tiny"


@pytest.mark.parametrize("size", SIZES)
def test_every_field_the_files_and_the_rows_have_room_at_every_size(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write_rows(tmp_path / "mine.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.shows("▸ data", "eval", "name", "model", "metric", "goal", "create")
        await opened.shows("▸ mine.jsonl", "ctrl+s create", "esc back", "f1 help")
        await opened.press("enter")
        await opened.shows("90 training rows", "10 evaluation rows", "2 labels: refund, cancel")
        await opened.press("pagedown", "pagedown", "pagedown")
        await opened.shows("where is my money → refund")

    on_form(tmp_path, steps, size=size)


def test_typing_filters_and_the_arrows_choose(tmp_path: Path) -> None:
    for name in ("apple.csv", "banana.jsonl", "bark.parquet", ".hidden.jsonl", "notes.doc"):
        (tmp_path / name).write_text("x")
    write_rows(tmp_path / "barn" / "deep.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.shows("▸ apple.csv", "banana.jsonl", "bark.parquet", "barn/")
        assert ".hidden" not in opened.text
        assert "notes.doc" not in opened.text
        await opened.type("ba")
        await opened.until(lambda: "apple.csv" not in opened.text)
        await opened.press("down", "down")
        await opened.shows("▸ barn/")
        await opened.press("enter")
        await opened.shows("▸ barn/deep.jsonl")
        assert value(opened, "data") == "barn/"
        await opened.press("enter")
        await opened.shows("90 training rows")
        assert value(opened, "data") == "barn/deep.jsonl"

    on_form(tmp_path, steps)


def test_enter_never_takes_a_choice_for_what_was_typed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apple.csv", "banana.csv"):
        (tmp_path / name).write_text("x")
    gate = threading.Event()
    gate.set()
    look = new_loop.offers

    def slow(root: Path, typed: str, beside: str) -> Offers:
        gate.wait(PATIENCE_SECONDS)
        return look(root, typed, beside)

    monkeypatch.setattr(new_loop, "offers", slow)

    async def steps(opened: Opened) -> None:
        await opened.shows("▸ apple.csv")
        gate.clear()
        await opened.press("b", "enter")
        assert value(opened, "data") == "b"
        gate.set()
        await opened.until(lambda: value(opened, "data") == "banana.csv")
        await opened.shows("90 training rows")

    on_form(tmp_path, steps)


def test_enter_on_an_empty_optional_field_moves_on(tmp_path: Path) -> None:
    for name in ("train.jsonl", "held.jsonl"):
        write_rows(tmp_path / name)
    backend = FakeBackend()

    async def steps(opened: Opened) -> None:
        await opened.type("train.jsonl")
        await opened.shows("90 training rows")
        await opened.press("enter", "enter")
        assert (opened.form.state.current, value(opened, "eval")) == ("name", "")
        await opened.press("shift+tab")
        await opened.type("he")
        await opened.shows("▸ held.jsonl")
        await opened.press("backspace", "backspace", "enter")
        assert (opened.form.state.current, value(opened, "eval")) == ("name", "")
        await opened.press("shift+tab")
        await opened.type("h")
        await opened.press("backspace")
        await opened.shows("▸ held.jsonl")
        await opened.press("down", "up", "enter")
        assert value(opened, "eval") == "held.jsonl", "the arrows chose it"
        await opened.until(lambda: backend.asked[-1].eval == "held.jsonl")

    on_form(tmp_path, steps, backend=backend)


def test_eval_files_beside_the_data_come_first_and_the_data_itself_is_not_among_them(
    tmp_path: Path,
) -> None:
    write_rows(tmp_path / "shop" / "train.jsonl")
    write_rows(tmp_path / "shop" / "held.jsonl")
    backend = FakeBackend()

    async def steps(opened: Opened) -> None:
        await opened.type("shop/train.jsonl")
        await opened.shows("90 training rows")
        await opened.press("tab")
        await opened.type("l")
        await opened.shows("▸ shop/held.jsonl")
        assert opened.text.count("shop/train.jsonl") == 1
        await opened.press("enter")
        await opened.until(lambda: backend.asked[-1].eval == "shop/held.jsonl")

    on_form(tmp_path, steps, backend=backend)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"prompt": "a", "completion": \n', "is not JSON"),
        ("", "has no rows"),
        ('{"a": 1, "b": 2}\n', "match no known shape"),
    ],
)
def test_a_wrong_file_is_one_clear_line_and_creates_nothing(
    tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "rows.jsonl").write_text(content)

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("✗ rows.jsonl", said, "hint: ")
        await opened.press("tab", "tab")
        await opened.type("mine")
        await opened.press("ctrl+s")
        await opened.until(lambda: not opened.form.state.is_creating)
        await opened.shows(said)
        assert opened.text.count(said) == 1

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))
    assert not (tmp_path / "loops").exists()


def test_what_only_a_shell_can_do_is_spelled_out(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": 1, "b": 2}\n')

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("in a shell: tui-loop new NAME --data rows.jsonl --set")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False), size=(160, 48))


def test_a_path_that_is_no_file_is_said_when_it_is_left(tmp_path: Path) -> None:
    async def steps(opened: Opened) -> None:
        await opened.type("org/data-set")
        await opened.shows("org/: No such file")
        await opened.press("tab")
        await opened.shows("✗ org/data-set: no such file")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("taken", "a loop named taken exists already"),
        ("list", "is a command"),
        ("A b", "cannot be"),
    ],
)
def test_a_name_that_cannot_be_is_said_at_once_and_creates_nothing(
    tmp_path: Path, name: str, said: str
) -> None:
    write_rows(tmp_path / "rows.jsonl")
    LoopsFolder(tmp_path / "loops").create("taken", LoopSettings(goal="as it was"))
    before = (tmp_path / "loops" / "taken" / "loop.toml").read_text()

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("18 training rows")
        await opened.press("tab", "tab", "ctrl+u")
        await opened.type(name)
        await opened.shows("✗ name", said)
        await opened.press("ctrl+s")
        await opened.until(lambda: not opened.form.state.is_creating)
        assert opened.form

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))
    assert (tmp_path / "loops" / "taken" / "loop.toml").read_text() == before
    assert LoopsFolder(tmp_path / "loops").names() == ["taken"]


def test_a_name_is_suggested_that_is_free_until_one_is_typed(tmp_path: Path) -> None:
    write_rows(tmp_path / "shop" / "train.jsonl")
    write_rows(tmp_path / "Other Rows.jsonl")
    LoopsFolder(tmp_path / "loops").create("train", LoopSettings())

    async def steps(opened: Opened) -> None:
        await opened.type("shop/train.jsonl")
        await opened.until(lambda: value(opened, "name") == "train-2")
        await opened.press("ctrl+u")
        await opened.type("Other Rows.jsonl")
        await opened.until(lambda: value(opened, "name") == "other-rows")
        await opened.press("tab", "tab", "ctrl+u")
        await opened.type("mine")
        await opened.press("shift+tab", "shift+tab", "ctrl+u")
        await opened.type("shop/train.jsonl")
        await opened.until(lambda: "90 training rows" in opened.text)
        assert value(opened, "name") == "mine"

    on_form(tmp_path, steps)


def test_a_metric_that_was_chosen_stays_and_is_what_the_loop_gets(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    backend = FakeBackend()

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.until(lambda: value(opened, "metric") == "label")
        assert backend.asked[-1].metric == ""
        await opened.press("tab", "tab", "tab", "tab", "enter")
        await opened.shows("exact_match", "▸ label", "no score, only the loss")
        await opened.press("up", "enter")
        await opened.until(lambda: backend.asked[-1].metric == "contains")
        assert opened.form.state.current == "goal"
        await opened.type("to see")
        await opened.press("enter", "enter")
        await opened.until(lambda: opened.opened)

    on_form(tmp_path, steps, backend=backend)
    assert backend.created == [
        NewLoop(name="rows", data="rows.jsonl", model="tiny", metric="contains", goal="to see")
    ]


def test_a_suggestion_that_was_wiped_comes_back_when_the_field_is_left(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.until(lambda: value(opened, "metric") == "label")
        for name in ("name", "metric"):
            await opened.press(*(["tab"] * 2), "ctrl+u")
            assert value(opened, name) == ""
        await opened.press("tab")
        assert (value(opened, "name"), value(opened, "metric")) == ("rows", "label")

    on_form(tmp_path, steps)


def test_a_metric_that_is_none_is_said_when_it_is_left(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("18 training rows")
        await opened.press("shift+tab", "up", "up", "ctrl+u")
        await opened.type("zz")
        await opened.shows("no such metric")
        await opened.press("tab")
        await opened.shows("✗ metric", "✗ metric: unknown metric 'zz'", "hint: one of exact_match")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))


def test_tab_and_the_arrows_go_round_the_fields(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.press("enter")
        await opened.shows("90 training rows")
        order = ["eval", "name", "model", "metric", "goal", "create", "data"]
        for key, names in (("tab", order), ("down", order)):
            for name in names:
                await opened.press(key)
                assert opened.form.state.current == name
        for key in ("shift+tab", "up"):
            for name in [*reversed(order[:-1]), "data"]:
                await opened.press(key)
                assert opened.form.state.current == name

    on_form(tmp_path, steps)


def test_letters_are_text_in_every_field_and_never_commands(tmp_path: Path) -> None:
    async def steps(opened: Opened) -> None:
        for name in ("data", "eval", "name", "model", "metric", "goal"):
            await opened.press("ctrl+u")
            await opened.type("qnd?:/")
            assert value(opened, name) == "qnd?:/"
            await opened.press("tab")
        assert opened.form.state.current == "create"

    on_form(tmp_path, steps)


def test_only_the_latest_answer_is_shown(tmp_path: Path) -> None:
    for name in ("slow.jsonl", "quick.jsonl"):
        write_rows(tmp_path / name)
    gate, begun = threading.Event(), threading.Event()
    backend = FakeBackend()

    def understands(wanted: NewLoop) -> DatasetPreview:
        if wanted.data == "slow.jsonl":
            begun.set()
            gate.wait(PATIENCE_SECONDS)
            raise BadInput("the slow one")
        return msgspec.structs.replace(UNDERSTOOD, train_rows=77)

    backend.understands = understands

    async def steps(opened: Opened) -> None:
        await opened.type("slow.jsonl")
        await opened.until(begun.is_set)
        await opened.press("ctrl+u")
        await opened.type("quick.jsonl")
        await opened.until(lambda: opened.form._reading._requested.data == "quick.jsonl")
        seen: list[str] = []
        gate.set()
        await opened.until(lambda: seen.append(opened.text) or "77 training rows" in opened.text)
        assert not any("the slow one" in text for text in seen)

    on_form(tmp_path, steps, backend=backend)


def test_what_is_typed_after_a_refusal_takes_the_refusal_away(tmp_path: Path) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("ctrl+s")
        await opened.shows("✗ '' cannot be a loop's name")
        await opened.press("tab", "tab")
        await opened.type("x")
        await opened.until(lambda: "cannot be a loop's name" not in opened.text)

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))


def test_a_file_that_was_mended_is_read_again_with_enter(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("not json")

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("is not JSON")
        write_rows(tmp_path / "rows.jsonl")
        await opened.press("enter")
        await opened.shows("18 training rows")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))


def test_what_another_file_held_is_not_shown_for_this_one(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("90 training rows")
        await opened.press("backspace")
        await opened.until(lambda: "90 training rows" not in opened.text)
        await opened.type("l")
        await opened.shows("90 training rows")
        await opened.press("ctrl+u", "tab")
        await opened.until(lambda: "90 training rows" not in opened.text)
        await opened.shows("Choose a data file")

    on_form(tmp_path, steps, size=(160, 48))


def test_it_all_goes_with_the_mouse_too(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.shows("rows.jsonl")
        await opened.pilot.click("#choices", offset=(4, 0))
        await opened.shows("90 training rows")
        await opened.pilot.click("#field-goal")
        assert opened.form.state.current == "goal"
        await opened.pilot.click("FormRow")
        await opened.until(lambda: opened.opened)

    on_form(tmp_path, steps)


def test_escape_goes_back_and_leaves_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.press("enter")
        await opened.shows("90 training rows")
        await opened.press("escape")
        assert opened.picker

    on_form(tmp_path, steps)
    assert not (tmp_path / "loops").exists()


def test_a_form_that_was_left_has_what_was_typed_when_it_is_opened_again(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("18 training rows")
        opened.form.fields["goal"].focus()
        await opened.type("answer orders")
        await opened.press("escape")
        assert opened.picker
        await opened.press("A")
        await opened.until(lambda: value(opened, "goal") == "answer orders")
        assert value(opened, "data") == "rows.jsonl"
        assert value(opened, "name") == "rows", "a suggestion is made again"
        await opened.press("ctrl+s")
        await opened.until(lambda: opened.opened)

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))

    async def afterwards(opened: Opened) -> None:
        assert value(opened, "goal") == "", "the loop was created"

    on_form(tmp_path, afterwards)


def test_hostile_names_and_texts_are_shown_harmless(tmp_path: Path) -> None:
    (tmp_path / HOSTILE.replace("/", "!")).with_suffix(".jsonl").write_text("x")
    write_rows(tmp_path / "rows.jsonl")
    backend = FakeBackend()
    backend.understands = lambda _: msgspec.structs.replace(
        UNDERSTOOD,
        read_as=[f"read as text (prompt = {HOSTILE})"],
        labels=[HOSTILE],
        rows=[(HOSTILE, HOSTILE)],
        notices=[warning(CheckKind.UNUSED_COLUMNS, HOSTILE, HOSTILE)],
    )

    async def steps(opened: Opened) -> None:
        await opened.shows(f"{SHOWN.replace('/', '!')}.jsonl", "rename the file to use it")
        await opened.type("rows.jsonl")
        await opened.shows(f"prompt = {SHOWN}", f"! {SHOWN} ({SHOWN})", f"{SHOWN} → {SHOWN}")
        await opened.press("tab", "tab", "tab", "tab", "tab")
        opened.form.fields["goal"].value = HOSTILE
        await opened.until(lambda: value(opened, "goal") == SHOWN)
        assert not any(sign in opened.text for sign in ("\x1b", "\x07", "\u202e"))

    on_form(tmp_path, steps, backend=backend)


def test_an_arabic_goal_is_kept_as_it_was_typed(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl")
    goal = "إجابة رسائل العملاء"

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("18 training rows")
        opened.form.fields["goal"].value = goal
        await opened.press("ctrl+s")
        await opened.until(lambda: opened.opened)

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))
    told = tomllib.loads((tmp_path / "loops" / "rows" / "loop.toml").read_text())
    assert told["goal"] == goal


@pytest.mark.parametrize("size", SIZES[1:])
def test_what_is_not_used_is_shown_before_the_rows(tmp_path: Path, size: tuple[int, int]) -> None:
    rows = [
        {"prompt": f"question {n}", "completion": f"answer {n}", HOSTILE: "x", "tools": "[]"}
        for n in range(20)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("18 training rows", "! column tools is not used: the model never")
        await opened.shows(f"· columns not used: {SHOWN}")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False), size=size)


@pytest.mark.parametrize("size", SIZES[1:])
def test_the_metric_its_reason_and_a_template_are_shown_with_where_to_change_them(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    rows = [{"prompt": f"turn {n}", "completion": ("left", "right")[n % 2]} for n in range(400)]
    (tmp_path / "turns.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def steps(opened: Opened) -> None:
        await opened.type("turns.jsonl")
        await opened.shows("· metric label: 2 labels in 400 rows")
        await opened.shows(
            '· added the prompt template "{prompt}\\nLabel:"', "prompt_template=TEXT in the"
        )
        await opened.shows("· training.max_length lowered from 1024 to 256", "turn 0 → left")
        assert value(opened, "metric") == "label"
        assert "--set" not in opened.text

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False), size=size)


@pytest.mark.parametrize("size", SIZES[1:])
def test_chats_for_a_base_without_a_template_are_a_warning_until_another_base_is_chosen(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    rows = []
    for n in range(20):
        question = {"role": "user", "content": f"how are you, {n}"}
        rows.append({"messages": [question, {"role": "assistant", "content": f"well, {n}"}]})
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def steps(opened: Opened) -> None:
        await opened.type("chats.jsonl")
        await opened.shows("! model tiny has no chat template", "smollm2 or an")
        await opened.press("tab", "tab", "tab", "ctrl+u")
        await opened.type("smollm2")
        await opened.press("tab")
        await opened.until(lambda: "has no chat template" not in opened.text)

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False), size=size)


def test_preference_data_is_read_by_its_chosen_answers(tmp_path: Path) -> None:
    rows = [{"prompt": f"question {n}", "chosen": f"yes {n}", "rejected": "no"} for n in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("prompt = prompt, completion = chosen", "question 0 → yes 0")
        await opened.shows("! preference data: training uses column chosen, not rejected")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))


def test_rows_that_cannot_be_used_are_listed_with_the_key_that_leaves_them_out(
    tmp_path: Path,
) -> None:
    rows = [{"prompt": f"q {n}", "completion": "" if n % 4 == 0 else "a"} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("3 training rows have an empty prompt or reference")
        await opened.shows("'completion' is empty (lines 1, 5, 9)")
        await opened.shows("or press ctrl+r to leave such rows out")
        await opened.press("ctrl+r")
        await opened.shows("8 training rows", "1 evaluation row", "left out: 3 training rows")
        await opened.press("ctrl+r")
        await opened.shows("3 training rows have an empty prompt or reference")
        await opened.press("ctrl+r")
        await opened.shows("8 training rows")
        await opened.press("ctrl+s")
        await opened.until(lambda: opened.opened is not None)
        assert opened.opened is not None
        assert opened.opened.default_config().data.on_bad_row == "skip"

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False), size=(160, 48))


def test_several_sources_are_chosen_with_a_plus_between_them(tmp_path: Path) -> None:
    write_rows(tmp_path / "chats.jsonl")
    write_rows(tmp_path / "orders.jsonl", 10)

    async def steps(opened: Opened) -> None:
        await opened.type("chats.jsonl + or")
        await opened.shows("chats.jsonl + orders.jsonl")
        await opened.press("down", "up", "enter")
        await opened.shows("✓ chats: 1", "✓ orders: ", "28 training rows", "2 evaluation rows")
        await opened.press("ctrl+s")
        await opened.until(lambda: opened.opened is not None)
        assert opened.opened is not None
        assert opened.opened.default_config().data.train == {
            "chats": DataSource(path="chats.jsonl"),
            "orders": DataSource(path="orders.jsonl"),
        }

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))


def test_reading_shows_how_far_it_is_and_ends_when_something_else_is_asked(tmp_path: Path) -> None:
    write_rows(tmp_path / "slow.jsonl")
    write_rows(tmp_path / "quick.jsonl")
    finish, ended = threading.Event(), threading.Event()

    class Reading(FakeBackend):
        def preview_data(
            self, loops: LoopsFolder, wanted: NewLoop, poll: Callable[[str, int], None]
        ) -> DatasetPreview:
            if wanted.data == "slow.jsonl":
                try:
                    while not finish.wait(0.01):
                        poll("slow.jsonl", 4_096_000)
                except TuiLoopError:
                    ended.set()
                    raise
            return UNDERSTOOD

    async def steps(opened: Opened) -> None:
        await opened.type("slow.jsonl")
        await opened.shows("reading slow.jsonl: 4,096,000 rows so far")
        await opened.press("ctrl+u")
        await opened.type("quick.jsonl")
        await opened.until(ended.is_set)
        await opened.shows("90 training rows")
        await opened.press("ctrl+u")
        await opened.type("slow.jsonl")
        await opened.shows("reading slow.jsonl")
        ended.clear()
        await opened.press("escape")
        await opened.until(ended.is_set)

    on_form(tmp_path, steps, backend=Reading())
    assert not finish.is_set()


def test_a_loop_is_created_from_the_rows_that_were_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "rows.jsonl")
    read: list[Path] = []
    known = source_rows.read_file
    monkeypatch.setattr(
        source_rows, "read_file", lambda *given: read.append(given[0]) or known(*given)
    )

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("18 training rows")
        await opened.press("ctrl+s")
        await opened.until(lambda: opened.opened is not None)

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False))
    assert len(read) == 1


def test_a_hint_for_the_shell_never_guesses_a_column(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"a": "x", "rejected": "y"}\n' * 4)

    async def steps(opened: Opened) -> None:
        await opened.type("rows.jsonl")
        await opened.shows("in a shell: tui-loop new NAME --data rows.jsonl --set")
        await opened.shows("data.columns.prompt=PROMPT_COLUMN")

    on_form(tmp_path, steps, backend=AppBackend(allow_code=False), size=(160, 48))
