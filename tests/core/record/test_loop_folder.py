"""Where a loop's files lie, which names may be, and what a broken file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.commands import COMMANDS, open_command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import settings_tables, with_settings
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record import folders
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import (
    check_loop_name,
    check_new_loop_name,
    split_target,
)
from tui_loop.core.record.structs import Change, Decision, Example, Iteration, Split, TokenLosses
from tui_loop.core.workflow.closing import close_loop, reopen_loop
from tui_loop.core.workflow.draft import new_draft, read_draft, write_draft
from tui_loop.core.workflow.plan import create_iteration, plan_next


@pytest.fixture
def folder(loop: LoopFolder) -> IterationFolder:
    """An iteration's folder with nothing in it."""
    made = loop.iteration(1)
    made.path.mkdir()
    return made


@pytest.mark.parametrize("name", ["a", "support-intents", "0", "a.b_c-d", "x" * 64, "runs"])
def test_a_loop_may_have_this_name(name: str) -> None:
    check_loop_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../a", "a/b", "/a", ".hidden", "-a", "_a", "A", "ä", "a b", "a\n"),
        *("a\0b", "a..b", "x" * 65, "\x1b[2J", "١"),
    ],
)
def test_a_name_that_leaves_its_folder_or_is_odd_is_refused(name: str, loops: LoopsFolder) -> None:
    with pytest.raises(BadInput, match="cannot be a loop's name") as caught:
        check_loop_name(name)
    assert "\x1b" not in caught.value.message
    with pytest.raises(BadInput):
        loops.create(name, LoopSettings())
    assert not loops.path.exists()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_new_loop_is_named_like_a_command(name: str, loops: LoopsFolder) -> None:
    with pytest.raises(BadInput, match="is a command"):
        check_new_loop_name(name)
    with pytest.raises(BadInput, match="is a command"):
        loops.create(name, LoopSettings())
    assert not loops.path.exists()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_loop_that_is_older_than_the_command_of_its_name_opens(
    name: str, loops: LoopsFolder
) -> None:
    loops.create("old", LoopSettings(goal="mine"))
    (loops.path / "old").rename(loops.path / name)
    assert split_target(f"{name}/3") == (name, 3)
    assert loops.loop(name).read_settings().goal == "mine"
    assert loops.names() == [name]
    assert open_command(name) == f"`tui-loop open {name}`"
    assert open_command("old") == "`tui-loop old`"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("intents", ("intents", None)),
        ("intents/3", ("intents", 3)),
        ("intents/003", ("intents", 3)),
        ("intents/0", ("intents", 0)),
    ],
)
def test_a_target_is_a_loop_or_one_of_its_iterations(
    target: str, parts: tuple[str, int | None]
) -> None:
    assert split_target(target) == parts


@pytest.mark.parametrize(
    "target",
    [
        "intents/",
        "intents/x",
        "intents/-1",
        "intents/1/2",
        "/1",
        "Run/1",
        "a/1234567",
        "a/１",
        "a/٣",
        "a/1²",
    ],
)
def test_other_targets_are_refused(target: str) -> None:
    with pytest.raises(BadInput):
        split_target(target)


def test_a_new_loop_has_its_settings_and_a_gitignore(loops: LoopsFolder) -> None:
    settings = LoopSettings(goal="a goal", metric="label", ready={"score": 0.9})
    loop = loops.create("intents", settings)
    assert loop.read_settings() == settings
    assert (loops.path / ".gitignore").read_text().split() == [
        *("adapter/", "checkpoints/", "output.log", "*.lock")
    ]
    assert loops.names() == ["intents"]
    assert loops.loop("intents").path == loop.path
    assert loop.numbers() == []


def test_a_gitignore_that_is_there_is_left_alone(loops: LoopsFolder) -> None:
    loops.path.mkdir()
    (loops.path / ".gitignore").write_text("mine\n")
    loops.create("a", LoopSettings())
    assert (loops.path / ".gitignore").read_text() == "mine\n"


def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(loops: LoopsFolder) -> None:
    loops.create("a", LoopSettings(goal="first"))
    with pytest.raises(BadInput, match="already exists"):
        loops.create("a", LoopSettings(goal="second"))
    assert loops.loop("a").read_settings().goal == "first"


def test_folders_that_are_no_loops_are_not_listed(loops: LoopsFolder) -> None:
    assert loops.names() == []
    loops.create("b", LoopSettings())
    loops.create("a", LoopSettings())
    (loops.path / "stray").mkdir()
    (loops.path / "file").touch()
    assert loops.names() == ["a", "b"]
    with pytest.raises(NotFound, match=r"no loop 'stray' .*there are: a, b"):
        loops.loop("stray")


def test_a_folder_that_cannot_be_opened_hides_no_other(loops: LoopsFolder, tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        loops.create(name, LoopSettings())
    (loops.path / "c").rename(loops.path / "My Loop")
    (tmp_path / "elsewhere").mkdir()
    (loops.path / "out").symlink_to(tmp_path / "elsewhere")
    (loops.path / "stray").mkdir()
    found = loops.scan()
    assert [each.name for each in found.loops] == ["a", "b"]
    assert [each.name for each in found.refused] == ["My Loop", "out"]
    assert found.refused[0].problem == "'My Loop' cannot be a loop's name"
    assert "leads out of" in found.refused[1].problem
    assert loops.names() == ["a", "b"]
    with pytest.raises(NotFound, match=r"there are: a, b\)"):
        loops.loop("c")


def test_a_folder_of_loops_that_cannot_be_read_is_an_error_only_where_loops_are_listed(
    tmp_path: Path,
) -> None:
    (tmp_path / "loops").write_text("a file")
    loops = LoopsFolder(tmp_path / "loops")
    assert loops.loops() == ()
    with pytest.raises(BadInput, match="Not a directory"):
        loops.scan()


def test_numbers_are_those_of_iteration_folders_in_order(loop: LoopFolder) -> None:
    for name in ("002", "000", "010", "1000", "1", "x", "0001", ".new-003", "003.old", "٠٠٥"):
        (loop.path / name).mkdir()
    (loop.path / "004").touch()
    assert loop.numbers() == [0, 2, 10, 1000]


def test_an_iteration_that_is_not_there_is_an_error_that_lists_those_there(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    assert loop.existing(1).path == folder.path
    with pytest.raises(NotFound, match=r"intents has no iteration 2 \(there are: 1\)"):
        loop.existing(2)


def test_unset_defaults_stay_unset(loops: LoopsFolder) -> None:
    defaults = settings_tables(["training.max_length=none", "data.eval=e.jsonl", "r=4"])
    defaults["training"]["save_steps"] = None
    loop = loops.create("a", LoopSettings(metric="contains", defaults=defaults))
    config = loop.default_config()
    assert config == with_settings(
        Config(),
        [
            *("training.max_length=none", "training.save_steps=none", "data.eval=e.jsonl"),
            *("r=4", "metric=contains"),
        ],
    )


def test_a_default_that_is_wrong_is_named_with_its_file(loops: LoopsFolder) -> None:
    loop = loops.create("a", LoopSettings(defaults={"lora": {"r": 0}}))
    with pytest.raises(BadInput, match=r"loop\.toml: lora\.r: must be"):
        loop.default_config()


def test_data_paths_start_from_the_folder_above_loops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "loops"
    inside.mkdir()
    for here, loops in ((tmp_path, "loops"), (inside, "."), (inside, "../loops")):
        monkeypatch.chdir(here)
        assert LoopFolder(Path(loops) / "a").root.resolve() == tmp_path.resolve()


def test_a_config_survives_with_its_splits_and_what_the_run_derived(
    folder: IterationFolder,
) -> None:
    config = with_settings(
        Config(), ["save_steps=none", "adam_beta1=0.8", "data.columns.prompt=q", "labels=['a']"]
    )
    splits = {
        "train": Split(path="train.jsonl", sha256="0" * 64, rows=27),
        "eval": Split(path="train.jsonl", sha256="0" * 64, rows=3, held_out=True, ids=("a", "b")),
    }
    folder.write_config(config, splits, {"versions": {"trl": "1.16"}, "loss": float("nan")})
    assert folder.read_config() == config
    assert folder.read_splits() == splits
    assert folder.read_effective() == {"versions": {"trl": "1.16"}, "loss": "NaN"}
    assert folder.config.read_text().startswith("schema = 1\n")


def test_a_decision_survives_with_what_was_unset(folder: IterationFolder) -> None:
    decision = Decision(
        parent=0,
        why='because "x"\n\x1b[2J ü',
        changes=(
            Change("training.max_length", None, 64),
            Change("data.eval", "e.jsonl", None),
            Change("lora.target_modules", "all-linear", ["a", "b"]),
            Change("lora.use_dora", True, False),
        ),
        predicted={"score": 0.1},
    )
    folder.write_decision(decision)
    assert folder.read_decision() == decision


def test_an_iteration_without_a_decision_file_has_an_empty_one(folder: IterationFolder) -> None:
    assert folder.read_decision() == Decision()
    assert folder.read_summary() is None
    assert folder.read_examples() == []
    assert folder.read_tokens() == {}


def test_examples_and_their_tokens_survive(
    folder: IterationFolder, example: Callable[..., Example]
) -> None:
    examples = [example("b", 1.0), example("a", None, output=None, loss=None)]
    tokens = [TokenLosses("b", [("x", 0.5)]), TokenLosses("a", [("y", "NaN")])]
    folder.write_examples(examples, tokens)
    assert folder.read_examples() == examples
    assert folder.read_tokens() == {"b": tokens[0], "a": tokens[1]}
    assert folder.examples.read_bytes().count(b"\n") == 2


def test_a_large_token_file_is_kept_out_of_git(
    folder: IterationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignore = folder.loop.path / ".gitignore"
    tokens = [TokenLosses("a", [("x", 0.5)] * 20)]
    folder.write_examples([], tokens)
    assert not ignore.exists()
    monkeypatch.setattr(folders, "TOKENS_FILE_LIMIT", 100)
    ignore.write_text("mine")
    for _ in range(2):
        folder.write_examples([], tokens)
    assert ignore.read_text() == "mine\n001/tokens.jsonl\n"


def test_a_summary_survives(folder: IterationFolder) -> None:
    summary = Iteration(number=1, state="finished", metrics={"eval_loss": 0.5, "score": None})
    folder.write_summary(summary)
    assert folder.read_summary() == summary
    assert folder.summary.read_bytes().endswith(b"}\n")


READERS: dict[str, Callable[[IterationFolder], Any]] = {
    "config.toml": IterationFolder.read_config,
    "decision.toml": IterationFolder.read_decision,
    "summary.json": IterationFolder.read_summary,
    "examples.jsonl": IterationFolder.read_examples,
    "tokens.jsonl": IterationFolder.read_tokens,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[[[", b'"half'], ids=repr)
def test_a_garbled_file_is_bad_input_that_names_it(
    folder: IterationFolder, name: str, content: bytes
) -> None:
    (folder.path / name).write_bytes(content)
    with pytest.raises(BadInput) as caught:
        READERS[name](folder)
    assert caught.value.message.startswith(str(folder.path / name))
    assert caught.value.hint


@pytest.mark.parametrize("name", READERS)
def test_a_folder_in_the_place_of_a_file_is_bad_input_that_names_it(
    folder: IterationFolder, name: str
) -> None:
    (folder.path / name).mkdir()
    with pytest.raises(BadInput) as caught:
        READERS[name](folder)
    assert caught.value.message.startswith(str(folder.path / name))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("config.toml", "schema = 1\n[lora]\nr = 'x'\n", r"config\.toml: lora\.r: must be"),
        ("config.toml", "[lora]\nr = \n", "line 2"),
        ("config.toml", "[nonsense]\n", "nonsense: no such group"),
        ("decision.toml", "parent = 'x'\n", r"decision\.toml: .*parent"),
        ("summary.json", '{"number": 1}', r"summary\.json: .*state"),
        ("summary.json", '{"number": 1, "state": "dancing"}', "dancing"),
        ("examples.jsonl", '{"id": "a"}\n', r"examples\.jsonl:1: "),
        ("tokens.jsonl", '{"id": "a", "tokens": []}\n\n{"id": 3}\n', r"tokens\.jsonl:3: "),
    ],
)
def test_a_wrong_record_says_what_and_where(
    folder: IterationFolder, name: str, content: str, what: str
) -> None:
    (folder.path / name).write_text(content)
    with pytest.raises(BadInput, match=what):
        READERS[name](folder)


def test_a_missing_config_is_named(folder: IterationFolder) -> None:
    with pytest.raises(BadInput, match=r"001/config\.toml: is missing"):
        folder.read_config()


def test_settings_that_cannot_be_read_are_named_with_their_line(loop: LoopFolder) -> None:
    loop.settings_file.write_text("schema = 1\ngoal = \n")
    with pytest.raises(BadInput, match=r"loop\.toml: .*line 2"):
        loop.read_settings()
    loop.settings_file.write_text("metric = 3\n")
    with pytest.raises(BadInput, match=r"loop\.toml: .*metric"):
        loop.read_settings()
    loop.settings_file.unlink()
    with pytest.raises(BadInput, match="is missing"):
        loop.read_settings()


def test_keys_of_later_versions_are_skipped(loop: LoopFolder, folder: IterationFolder) -> None:
    loop.settings_file.write_text('schema = 1\nmetric = "label"\nmood = "good"\n')
    assert loop.read_settings().metric == "label"
    folder.summary.write_text('{"number": 1, "state": "finished", "mood": "good"}')
    assert folder.read_summary() == Iteration(number=1, state="finished")


def test_folders_with_digits_of_other_scripts_are_no_iterations(loop: LoopFolder) -> None:
    for name in ("001", "００２", "٠٠٣"):
        (loop.path / name).mkdir()
    assert loop.numbers() == [1]
    steps = loop.iteration(1).evals
    steps.mkdir()
    for name in ("5.jsonl", "６.jsonl"):
        (steps / name).touch()
    assert loop.iteration(1).eval_steps() == [5]


@pytest.mark.parametrize("name", ["loop.toml", "draft.toml", "001/config.toml"])
def test_a_byte_order_mark_is_passed_over(name: str, loop: LoopFolder) -> None:
    create_iteration(loop, plan_next(loop, parent=None, settings=["lora.r=2"], why="try"), {})
    write_draft(loop, new_draft(loop, 1).with_value("lora.r", 3))
    path = loop.path / name
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert loop.read_settings().metric == "label"
    assert loop.iteration(1).read_config().lora.r == 2
    draft = read_draft(loop)
    assert draft is not None
    assert draft.config.lora.r == 3
    close_loop(loop, "done", None)
    assert loop.read_settings().closed is not None
    reopen_loop(loop)
    assert loop.read_settings().goal == "tell intents apart"
