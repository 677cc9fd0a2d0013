"""A fresh split: who goes where, the files it writes, and the draft that names them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.data.loading import load_data
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.closing import close_loop
from tui_loop.core.workflow.draft import read_draft
from tui_loop.core.workflow.fresh_split import create_fresh_split, draw_rows
from tui_loop.core.workflow.plan import create_iteration, plan_next

WriteLines = Callable[[str, Sequence[object]], Path]
texts = st.text("abc", min_size=1, max_size=2)
rows_of = st.lists(st.tuples(texts, st.sampled_from("xyz")), max_size=40)


def rows(pairs: Sequence[tuple[str, str]]) -> list[Row]:
    return [Row(str(n), prompt, reference, n + 1) for n, (prompt, reference) in enumerate(pairs)]


@given(rows_of, rows_of.filter(bool), st.integers(0, 5), st.booleans())
def test_no_input_is_on_both_sides_and_old_eval_rows_are_not_held_out_again(
    train: list[tuple[str, str]], held: list[tuple[str, str]], seed: int, by_label: bool
) -> None:
    ours, theirs = rows(train), rows(held)
    chosen = draw_rows(ours, theirs, seed, by_label=by_label)
    assert chosen == draw_rows(ours, theirs, seed, by_label=by_label)
    new_eval = {ours[index].prompt for index in chosen}
    trained = {row.prompt for index, row in enumerate(ours) if index not in chosen}
    assert not new_eval & (trained | {row.prompt for row in theirs})
    eligible = Counter(row.prompt for row in ours if row.prompt not in {r.prompt for r in theirs})
    wanted = min(len(theirs), eligible.total() // 2)
    most = max(eligible.values(), default=0)
    assert min(wanted, eligible.total()) <= len(chosen) < wanted + max(1, most)


def test_labels_are_held_out_as_the_old_eval_set_had_them() -> None:
    train = rows([(f"t{n}", "refund" if n % 4 else "card") for n in range(400)])
    held = rows([(f"e{n}", "refund" if n % 2 else "card") for n in range(60)])
    chosen = draw_rows(train, held, 1, by_label=True)
    assert Counter(train[index].reference for index in chosen) == {"refund": 30, "card": 30}
    other = draw_rows(train, held, 2, by_label=True)
    assert len(other) == 60
    assert other != chosen
    unlike = Counter(train[index].reference for index in draw_rows(train, held, 1, by_label=False))
    assert unlike["refund"] > 36


def test_a_label_that_training_lacks_is_made_up_for_by_others() -> None:
    train = rows([(f"t{n}", "refund") for n in range(50)])
    held = rows([(f"e{n}", "refund" if n % 2 else "card") for n in range(10)])
    assert len(draw_rows(train, held, 0, by_label=True)) == 10


@pytest.fixture
def split_loop(loops: LoopsFolder, write_lines: WriteLines) -> LoopFolder:
    """A loop with 40 training rows, 10 eval rows and a holdout that cannot be read."""
    for name, count in (("train", 40), ("eval", 10)):
        write_lines(
            f"{name}.jsonl",
            [
                {
                    "prompt": f"{name} {n}",
                    "completion": "refund" if n % 2 else "card",
                    "id": n,
                    "team": "a",
                }
                for n in range(count)
            ],
        )
    data = {"train": "train.jsonl", "eval": "eval.jsonl", "holdout": "no-such-file.jsonl"}
    return loops.create("split", LoopSettings(metric="label", defaults={"data": data}))


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_old_eval_rows_are_trained_on_and_as_many_others_held_out(split_loop: LoopFolder) -> None:
    before = (split_loop.root / "eval.jsonl").read_bytes()
    made = create_fresh_split(split_loop, None, why="tuned on for long")
    assert made.train is not None
    assert made.eval is not None
    train, held = lines_of(made.train), lines_of(made.eval)
    assert (len(train), len(held)) == (40, 10)
    assert made.warning == "only 10 rows are held out: each one counts for 10 points of the score"
    assert train[30:] == lines_of(split_loop.root / "eval.jsonl")
    assert Counter(row["completion"] for row in held) == {"refund": 5, "card": 5}
    old = lines_of(split_loop.root / "train.jsonl")
    assert [row for row in old if row not in held] == train[:30]
    assert (split_loop.root / "eval.jsonl").read_bytes() == before
    draft = read_draft(split_loop)
    assert draft is not None
    assert draft.why == "tuned on for long"
    assert draft.value("data.train") == "loops/split/data/train-2.jsonl"
    assert draft.value("data.eval") == "loops/split/data/eval-2.jsonl"
    config = draft.with_value("data.holdout", None).config
    loaded = load_data(config, split_loop.root)
    assert (len(loaded.train), len(loaded.eval)) == (40, 10)


def test_a_draft_is_replaced_only_where_told_and_files_never(split_loop: LoopFolder) -> None:
    first = create_fresh_split(split_loop, None)
    assert first.eval is not None
    kept = first.eval.read_bytes()
    with pytest.raises(BadInput, match="there is a draft already"):
        create_fresh_split(split_loop, None)
    second = create_fresh_split(split_loop, None, overwrite=True)
    assert second.eval == split_loop.data / "eval-3.jsonl"
    assert first.eval.read_bytes() == kept
    assert second.eval.read_bytes() != kept
    seeded = create_fresh_split(split_loop, None, overwrite=True, seed=2)
    assert seeded.eval is not None
    assert seeded.eval.read_bytes() == kept


def test_where_a_part_is_held_out_another_seed_is_enough(
    loops: LoopsFolder, write_lines: WriteLines
) -> None:
    write_lines("all.jsonl", [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(30)])
    defaults: dict[str, dict[str, Any]] = {
        "data": {"train": "all.jsonl", "split_seed": 4},
        "model": {"init_adapter": 3},
    }
    loop = loops.create("part", LoopSettings(defaults=defaults))
    made = create_fresh_split(loop, None)
    assert (made.train, made.eval) == (None, None)
    assert made.draft.changed == {"data.split_seed": (4, 5), "model.init_adapter": (3, None)}
    assert made.warning == "only 3 rows are held out: each one counts for 33 points of the score"
    assert not loop.data.exists()
    with pytest.raises(BadInput, match="this split is already in use"):
        create_fresh_split(loop, None, seed=4, overwrite=True)


def test_enough_held_out_rows_are_no_warning(loops: LoopsFolder, write_lines: WriteLines) -> None:
    write_lines("all.jsonl", [{"prompt": f"p{n}", "completion": f"c{n}"} for n in range(300)])
    loop = loops.create("part", LoopSettings(defaults={"data": {"train": "all.jsonl"}}))
    assert create_fresh_split(loop, None).warning == ""
    capped = {"data": {"train": "all.jsonl", "max_eval_rows": 29}}
    small = loops.create("small", LoopSettings(defaults=capped))
    assert create_fresh_split(small, None).warning.startswith("only 29 rows are held out")


def test_what_cannot_be_split_leaves_nothing_behind(split_loop: LoopFolder) -> None:
    (split_loop.root / "train.jsonl").write_bytes((split_loop.root / "eval.jsonl").read_bytes())
    with pytest.raises(BadInput, match="no training row can become an evaluation row"):
        create_fresh_split(split_loop, None)
    close_loop(split_loop, "done", None)
    with pytest.raises(BadInput, match="is closed"):
        create_fresh_split(split_loop, None)
    assert not split_loop.data.exists()
    assert not split_loop.draft.exists()


def test_a_link_in_the_place_of_the_data_folder_is_not_followed(
    split_loop: LoopFolder, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    split_loop.data.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="is a link"):
        create_fresh_split(split_loop, None)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_without_a_reason_it_says_how_many_had_used_the_last_split(split_loop: LoopFolder) -> None:
    assert create_fresh_split(split_loop, None).draft.why == "a fresh split"
    for _ in range(2):
        plan = plan_next(split_loop, parent=None, settings=["evaluation.base=false"], why="")
        create_iteration(split_loop, plan, {})
    made = create_fresh_split(split_loop, 2, overwrite=True)
    assert made.draft.why == "a fresh split: 2 iterations used the previous one"


def test_answers_that_are_marked_as_bad_stay_in_the_file_and_are_never_held_out(
    loops: LoopsFolder, write_lines: WriteLines
) -> None:
    for name, count in (("train", 40), ("eval", 12)):
        rows = [{"prompt": f"{name} {n}", "completion": "x", "label": n % 4 > 0}
                for n in range(count)]  # fmt: skip
        write_lines(f"{name}.jsonl", rows)
    data = {"train": "train.jsonl", "eval": "eval.jsonl"}
    loop = loops.create("split", LoopSettings(defaults={"data": data}))
    made = create_fresh_split(loop, None)
    assert made.train is not None
    assert made.eval is not None
    train, held = lines_of(made.train), lines_of(made.eval)
    assert len(held) == 9
    assert all(row["label"] for row in held)
    assert len(train) == 40 - 9 + 12
    loaded = load_data(made.draft.config, loop.root)
    assert (len(loaded.train), len(loaded.eval)) == (30 - 9 + 9, 9)
