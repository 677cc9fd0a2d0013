"""Creates another split of the same rows, for an evaluation set that many iterations have used.

Where the evaluation rows are split off the training file, another seed is enough. Where they are a
file of their own, they become training rows, and as many training rows become the evaluation set,
in new files of the loop. The original files do not change. The holdout is neither read nor changed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tui_loop.core.config.data_sources import DataSource
from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import load_data, raw_splits
from tui_loop.core.data.mapping import map_rows
from tui_loop.core.data.preference import is_good, mark_of
from tui_loop.core.data.rows import RawRow, Row
from tui_loop.core.data.source_rows import (
    RawSplit,
    ReadSource,
    mapping_of,
    read_text_source,
)
from tui_loop.core.data.unused_columns import column_names
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.data_checks import few_eval_rows
from tui_loop.core.record.codec import to_json_lines
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.draft import Draft, new_draft, write_draft

LABEL = "label"
FIRST = 2
"""The number of the first fresh split; 1 is the data that the loop started with."""


class FreshSplit(msgspec.Struct, frozen=True):
    """A fresh split: its draft, its files (None where a seed was enough), and messages on it.

    `warning`: what is wrong with its evaluation rows, "" for nothing.
    """

    draft: Draft
    train: Path | None
    eval: Path | None
    messages: tuple[str, ...]
    warning: str = ""


def create_fresh_split(
    loop: LoopFolder,
    parent: int | None,
    *,
    why: str = "",
    seed: int | None = None,
    overwrite: bool = False,
    read: ReadSource = read_text_source,
) -> FreshSplit:
    """Writes a draft from `parent` on another split; raises TuiLoopError before it writes anything.

    Replaces an existing draft only with `overwrite`.
    """
    refuse_closed(loop)
    if os.path.lexists(loop.draft) and not overwrite:
        raise BadInput(
            f"{loop.draft}: there is a draft already", "run the draft, or add --force to replace it"
        )
    draft = new_draft(loop, parent)
    config = draft.config
    raw = raw_splits(config, loop.root, read)
    reason = why or _reason(loop)
    if raw is None:
        number = seed if seed is not None else config.data.split_seed + 1
        if number == config.data.split_seed:
            raise BadInput(f"--seed {number}: this split is already in use", f"--seed {number + 1}")
        fresh = _without_weights(draft.with_value("data.split_seed", number).with_why(reason))
        old_seed = config.data.split_seed
        text = f"data.split_seed {old_seed} → {number}: holds out different rows for evaluation"
        held = load_data(fresh.config, loop.root, read, refused={}).eval
        warning = few_eval_rows(len(held))
        return FreshSplit(write_draft(loop, fresh), None, None, (text,), warning)
    number = _next_number(loop)
    seed = seed if seed is not None else number
    train, evaluation = (list(split.rows) for split in raw)
    good, used, old = _mapped(config, raw, train, evaluation)
    by_label = config.evaluation.metric == LABEL
    chosen = frozenset(good[index] for index in draw_rows(used, old, seed, by_label=by_label))
    if not chosen:
        raise BadInput(
            "no training row can become an evaluation row: all of them are also in the eval set",
            "add more rows",
        )
    remaining = [row for index, row in enumerate(train) if index not in chosen]
    drawn_rows = [train[index] for index in sorted(chosen)]
    files = _write(loop, number, [*remaining, *evaluation], drawn_rows)
    fresh = draft
    for field, path in zip(("data.train", "data.eval"), files, strict=True):
        fresh = fresh.with_value(field, _recorded(path, loop))
    fresh = _without_weights(fresh.with_why(reason))
    return FreshSplit(
        write_draft(loop, fresh),
        *files,
        (
            f"{_recorded(files[0], loop)}: {counted(len(remaining) + len(evaluation), 'row')}, "
            f"{len(evaluation)} of them from the old eval set",
            f"{_recorded(files[1], loop)}: {counted(len(drawn_rows), 'row')} drawn from training "
            f"(seed {seed})",
            f"{raw[1].path} does not change",
        ),
        few_eval_rows(len(drawn_rows)),
    )


def draw_rows(
    train: Sequence[Row], evaluation: Sequence[Row], seed: int, *, by_label: bool
) -> frozenset[int]:
    """Returns the indexes of training rows for the new evaluation set.

    There are as many as rows in `evaluation`, at most half of `train`. Repeats of an input stay
    together, and no input of `evaluation` is drawn, since those rows become training rows.
    `by_label`: keeps the counts of each label in `evaluation` where there are enough rows.
    """
    old = {row.input_text for row in evaluation}
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(train):
        if row.input_text not in old:
            groups.setdefault(row.input_text, []).append(index)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    total = min(len(evaluation), sum(map(len, order)) // 2)

    def label_of(row: Row) -> str:
        return row.reference.strip() if by_label else ""

    share = total / len(evaluation)
    counts = Counter(map(label_of, evaluation))
    needed = {name: round(count * share) for name, count in counts.items()}
    chosen: list[int] = []
    others = []
    for group in order:
        label = label_of(train[group[0]])
        if needed.get(label, 0) > 0 and len(chosen) < total:
            needed[label] -= len(group)
            chosen += group
        else:
            others.append(group)
    for group in others:  # other labels fill up where one has too few rows
        if len(chosen) >= total:
            break
        chosen += group
    return frozenset(chosen)


def _reason(loop: LoopFolder) -> str:
    """Returns the default reason: how many iterations used the last split."""
    count = sum(number > 0 for number in loop.numbers())
    used = f": {counted(count, 'iteration')} used the previous one" if count else ""
    return f"a fresh split{used}"


def _mapped(
    config: Config,
    raw: tuple[RawSplit, RawSplit],
    train: list[RawRow],
    evaluation: list[RawRow],
) -> tuple[list[int], list[Row], list[Row]]:
    """Returns the indexes of used training rows (no bad answers), and all used rows, mapped."""
    given = DataSource(path=raw[0].path)
    mapping = mapping_of(raw[0], given, config)
    own = mapping_of(raw[1], given, config, mapping)
    mark = mark_of(train, column_names(train), mapping)
    good = [index for index, each in enumerate(train) if is_good(each, mark)]
    used = map_rows([train[index] for index in good], mapping, raw[0].where)
    mark = mark_of(evaluation, column_names(evaluation), own)
    held = [each for each in evaluation if is_good(each, mark)]
    return good, used, map_rows(held, own, raw[1].where)


def _without_weights(draft: Draft) -> Draft:
    """Unsets `model.init_adapter`: earlier weights have seen the new evaluation rows."""
    return draft.with_value("model.init_adapter", None)


def _next_number(loop: LoopFolder) -> int:
    number = FIRST
    while any(os.path.lexists(path) for path in _paths(loop, number)):
        number += 1
    return number


def _paths(loop: LoopFolder, number: int) -> tuple[Path, Path]:
    return loop.data / f"train-{number}.jsonl", loop.data / f"eval-{number}.jsonl"


def _write(
    loop: LoopFolder, number: int, train: list[RawRow], evaluation: list[RawRow]
) -> tuple[Path, Path]:
    if os.path.islink(loop.data):
        raise BadInput(f"{loop.data}: is a link, which tui-loop does not follow", "move it away")
    loop.data.mkdir(exist_ok=True)
    paths = _paths(loop, number)
    for path, rows in zip(paths, (train, evaluation), strict=True):
        write_atomically(path, to_json_lines(row.values for row in rows))
    return paths


def _recorded(path: Path, loop: LoopFolder) -> str:
    """Returns a path as recorded: relative to the folder above `loops/`."""
    whole = Path(os.path.abspath(path))
    return whole.relative_to(loop.root).as_posix()
