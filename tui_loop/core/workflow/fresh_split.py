"""Another split of the same rows, for an eval set that has been tuned on for long.

Where a part of the training file is held out, another seed is all it takes. Where eval is a file of
its own, its rows go to training and as many training rows become the eval set, in files of the
loop's own; the old ones stay as they are. The holdout is neither read nor touched.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import ReadSource, raw_splits, read_text_source, resolved
from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.preference import is_good, mark_of
from tui_loop.core.data.rows import RawRow, Row
from tui_loop.core.data.unused_columns import column_names
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_json_lines
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.draft import Draft, new_draft, write_draft

LABEL = "label"
FIRST = 2
"""The number of the first fresh split: the data that the loop began with is the first."""


class FreshSplit(msgspec.Struct, frozen=True):
    """What was made: the draft, and the files, None where a seed was enough. `told`: in words."""

    draft: Draft
    train: Path | None
    eval: Path | None
    told: tuple[str, ...]


def make_fresh(
    loop: LoopFolder,
    parent: int | None,
    *,
    why: str = "",
    seed: int | None = None,
    overwrite: bool = False,
    read: ReadSource = read_text_source,
) -> FreshSplit:
    """Writes a draft from `parent` on another split; raises TuiLoopError, and then wrote nothing.

    An existing draft is replaced only where `overwrite` says so.
    """
    refuse_closed(loop)
    if os.path.lexists(loop.draft) and not overwrite:
        raise BadInput(f"{loop.draft}: there is a draft already", "run it, or add --force")
    draft = new_draft(loop, parent)
    config = draft.config
    train, held = raw_splits(config, loop.root, read)
    reason = why or _reason(loop)
    if held is None:
        number = seed if seed is not None else config.data.split_seed + 1
        if number == config.data.split_seed:
            raise BadInput(f"--seed {number}: that is the split in use", f"--seed {number + 1}")
        fresh = _without_weights(draft.with_value("data.split_seed", number).with_why(reason))
        text = f"data.split_seed {config.data.split_seed} → {number}: other rows are held out"
        return FreshSplit(write_draft(loop, fresh), None, None, (text,))
    number = _next_number(loop)
    seed = seed if seed is not None else number
    good, used, old = _mapped(config, loop, train, held)
    by_label = config.evaluation.metric == LABEL
    chosen = frozenset(good[index] for index in drawn(used, old, seed, by_label=by_label))
    if not chosen:
        raise BadInput(
            "no training row could be held out: every one of them is in the eval set too",
            "get more rows",
        )
    kept = [row for index, row in enumerate(train) if index not in chosen]
    held_out = [train[index] for index in sorted(chosen)]
    files = _write(loop, number, [*kept, *held], held_out)
    fresh = draft
    for field, path in zip(("data.train", "data.eval"), files, strict=True):
        fresh = fresh.with_value(field, _recorded(path, loop))
    fresh = _without_weights(fresh.with_why(reason))
    return FreshSplit(
        write_draft(loop, fresh),
        *files,
        (
            f"{_recorded(files[0], loop)}: {counted(len(kept) + len(held), 'row')}, "
            f"{len(held)} of them the old eval set",
            f"{_recorded(files[1], loop)}: {counted(len(held_out), 'row')} drawn from training "
            f"(seed {seed})",
            f"{config.data.eval or config.data.train} stays as it was",
        ),
    )


def drawn(
    train: Sequence[Row], held: Sequence[Row], seed: int, *, by_label: bool
) -> frozenset[int]:
    """Which training rows are held out from now on: as many as `held`, at most half of them.

    Repeats of an input stay on one side, and none is taken that `held` has too: those rows are
    trained on from now on. `by_label`: as many of each label as `held` has, as far as there are.
    """
    old = {row.input_text for row in held}
    groups: dict[str, list[int]] = {}
    for index, row in enumerate(train):
        if row.input_text not in old:
            groups.setdefault(row.input_text, []).append(index)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    total = min(len(held), sum(map(len, order)) // 2)

    def label_of(row: Row) -> str:
        return row.reference.strip() if by_label else ""

    share = total / len(held)
    wanted = {name: round(count * share) for name, count in Counter(map(label_of, held)).items()}
    chosen: list[int] = []
    left = []
    for group in order:
        label = label_of(train[group[0]])
        if wanted.get(label, 0) > 0 and len(chosen) < total:
            wanted[label] -= len(group)
            chosen += group
        else:
            left.append(group)
    for group in left:  # what a label lacks comes from the others
        if len(chosen) >= total:
            break
        chosen += group
    return frozenset(chosen)


def _reason(loop: LoopFolder) -> str:
    """Why another split is taken, where nobody says: by how many the last one was used."""
    count = sum(number > 0 for number in loop.numbers())
    used = f": {counted(count, 'iteration')} had used the last one" if count else ""
    return f"a fresh split{used}"


def _mapped(
    config: Config, loop: LoopFolder, train: list[RawRow], held: list[RawRow]
) -> tuple[list[int], list[Row], list[Row]]:
    """Which training rows are used (not those marked as bad answers), and the rows mapped."""
    where = str(resolved(config.data.train, loop.root))
    metric, data = config.evaluation.metric, config.data
    mapping = find_mapping(train, where, metric=metric, shape=data.shape, columns=data.columns)
    held_where = str(resolved(data.eval, loop.root)) if data.eval is not None else where
    mark, held_mark = (mark_of(raws, column_names(raws), mapping) for raws in (train, held))
    good = [index for index, raw in enumerate(train) if is_good(raw, mark)]
    held = [raw for raw in held if is_good(raw, held_mark)]
    used = [train[index] for index in good]
    return good, map_rows(used, mapping, where), map_rows(held, mapping, held_where)


def _without_weights(draft: Draft) -> Draft:
    """The draft from the base: earlier weights have seen rows that are held out from now on."""
    return draft.with_value("model.init_adapter", None)


def _next_number(loop: LoopFolder) -> int:
    number = FIRST
    while any(os.path.lexists(path) for path in _paths(loop, number)):
        number += 1
    return number


def _paths(loop: LoopFolder, number: int) -> tuple[Path, Path]:
    return loop.data / f"train-{number}.jsonl", loop.data / f"eval-{number}.jsonl"


def _write(
    loop: LoopFolder, number: int, train: list[RawRow], held: list[RawRow]
) -> tuple[Path, Path]:
    if os.path.islink(loop.data):
        raise BadInput(f"{loop.data}: is a link, and links are not followed", "move it away")
    loop.data.mkdir(exist_ok=True)
    paths = _paths(loop, number)
    for path, rows in zip(paths, (train, held), strict=True):
        write_atomically(path, to_json_lines(row.values for row in rows))
    return paths


def _recorded(path: Path, loop: LoopFolder) -> str:
    """A path as the record keeps it: from the folder above `loops/` on."""
    whole = Path(os.path.abspath(path))
    return whole.relative_to(loop.root).as_posix()
