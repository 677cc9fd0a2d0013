"""Checks for unused parts of rows: columns, keys of turns, rejected answers, tool calls."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tui_loop.core.data.columns import listed
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.preference import pair_of
from tui_loop.core.data.unused_columns import TEXT_LABEL, TRAINING_KEYS, Unused, meaning_of
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    by_severity,
    evidence,
    info,
    shown,
    warning,
)
from tui_loop.core.preflight.row_checks import NAMES
from tui_loop.core.text.figures import counted, of_all
from tui_loop.core.text.untrusted import one_line

MOST_NAMES = 40
"""Names that one finding lists; a wide file has thousands."""

NAME_LENGTH = 60
MARKER_WITHIN = 200
"""Characters of a text that are searched for a marker of turns: templates begin with one."""

_MARKER = re.compile(
    r"<\|(?:im_start|start_header_id|start|user|system|assistant|START_OF_TURN_TOKEN|turn)\|?>"
    r"|<start_of_turn>|\[INST\]|<｜User｜>|<\|turn>"
)
"""The markers that begin a turn in common chat templates."""

_WRITE = "add this content to the prompts or turns, or remove it if it is not needed"


def column_findings(data: LoadedData) -> list[CheckResult]:
    """Returns warnings where an unused column changes what a row means, and one info on others."""
    found: dict[str, list[tuple[str, Unused]]] = {}
    for split, use in data.use.items():
        for each in use.unused:
            found.setdefault(each.name, []).append((split, each))
    findings = [*_left_out(data), *_rendered(data), *_calls(data), *_own_system(data), *_nans(data)]
    chosen, rejected = _preference(data)
    quiet = []
    for name, places in found.items():
        has_value = any(each.rows for _, each in places)
        if has_value and name == rejected:
            findings.append(
                warning(
                    CheckKind.PREFERENCE_DATA,
                    f"preference data: training uses column {one_line(chosen, NAME_LENGTH)}, not "
                    f"{one_line(rejected, NAME_LENGTH)}",
                    "to learn from rejected answers too, use a tool with preference training (DPO)",
                    count=_count(places),
                )
            )
        elif same := places[0][1].same_as:
            findings.append(
                info(
                    CheckKind.UNUSED_COLUMNS,
                    f"column {one_line(name, NAME_LENGTH)} is not used: it has the same "
                    f"information as the answer column, {one_line(same, NAME_LENGTH)}",
                    f"to train on {name} instead: --set data.columns.completion={name}",
                )
            )
        elif has_value and (meaning := meaning_of(name, data.mapping.shape)):
            findings.append(_warning(name, meaning, places, data))
        else:
            quiet.append(name)
    return by_severity([*findings, *_quiet(quiet, found, data)])


def _warning(
    name: str, meaning: str, places: list[tuple[str, Unused]], data: LoadedData
) -> CheckResult:
    is_key = places[0][1].is_key
    what = "key" if is_key else "column"
    message = (
        f"{what} {one_line(name, NAME_LENGTH)} is not used: {meaning} ({_share(places, data)})"
    )
    zeros = [(split, each) for split, each in places if each.zeros]
    if zeros:
        what = "turn" if is_key else "row"
        counts = [counted(each.zeros, _of(split, what, data)) for split, each in zeros]
        count = sum(each.zeros for _, each in zeros)
        first = ""
        if zeros[0][0] != "holdout":  # only counts are shown for the holdout
            first = f", the first in line {zeros[0][1].line},"
        message += (
            f"; {' and '.join(counts)} with the value 0 or false{first} "
            f"{'is' if count == 1 else 'are'} used like the others"
        )
    hint = _WRITE
    if is_key and name.rpartition("[].")[2].lower() in TRAINING_KEYS:
        hint = "write 0 or 1, or remove the key"
    elif meaning == TEXT_LABEL:
        hint = "--set evaluation.metric=label, or remove the column"
    elif zeros:
        hint = f"remove the {'turns' if is_key else 'rows'} that should not be trained on"
    kind = CheckKind.UNUSED_KEYS if is_key else CheckKind.UNUSED_COLUMNS
    return warning(kind, message, hint, count=_count(places))


def _quiet(
    names: list[str], found: dict[str, list[tuple[str, Unused]]], data: LoadedData
) -> Iterator[CheckResult]:
    """Returns one line on the columns and keys without a special meaning."""
    empty = [name for name in names if not any(each.rows for _, each in found[name])]
    grouping = [name for name in data.grouping if name in names and name not in empty]
    others = [name for name in names if name not in empty and name not in grouping]
    id_column = data.mapping.columns.get("id", "id")
    others = [f"{each} (not unique)" if each == id_column else each for each in others]
    parts = (
        ("columns not used: ", others),
        ("columns used only to group held-out rows: ", grouping),
        ("empty columns: ", empty),
    )
    texts = [what + listed(each, MOST_NAMES) for what, each in parts if each]
    if texts:
        yield info(CheckKind.UNUSED_COLUMNS, "; ".join(texts), count=len(names))


def _preference(data: LoadedData) -> tuple[str, str]:
    """Returns the columns of the chosen and of the rejected answers, "" for none."""
    unused = (each.name for use in data.use.values() for each in use.unused)
    pair = pair_of([*data.mapping.columns.values(), *unused])
    if pair is None or pair[0] not in data.mapping.columns.values():
        return "", ""
    return pair


def _left_out(data: LoadedData) -> Iterator[CheckResult]:
    """Returns a finding on rows whose answers are marked as bad."""
    for split, use in data.use.items():
        if use.left_out:
            total = use.rows + use.left_out
            yield warning(
                CheckKind.PREFERENCE_DATA,
                f"preference data: {use.left_out:,} of {counted(total, _of(split, 'row', data))} "
                f"{'is' if use.left_out == 1 else 'are'} left out because "
                f"column {one_line(use.mark or '', NAME_LENGTH)} is false",
                "remove the column if it does not mark good answers",
                count=use.left_out,
            )


def _calls(data: LoadedData) -> Iterator[CheckResult]:
    """Returns a finding on turns whose role is that of a tool call and whose text is none."""
    rows: dict[str, int] = {}
    for use in data.use.values():
        for role, count in use.calls.items():
            rows[role] = rows.get(role, 0) + count
    if rows:
        roles = [f"{role} ({counted(count, 'row')})" for role, count in rows.items()]
        yield warning(
            CheckKind.TOOL_CALLS,
            f"turns with the role {' and '.join(roles)} are read as plain assistant text: they are "
            "not tool calls in JSON",
            'write {"name": "...", "arguments": {...}}, or a list of such calls',
            count=max(rows.values()),
        )


def _nans(data: LoadedData) -> Iterator[CheckResult]:
    """Returns a finding on each column with the text "nan", which pandas writes for no value."""
    for name in dict.fromkeys(name for use in data.use.values() for name in use.nans):
        counts = [
            f"{use.nans[name]:,} of {counted(use.rows, _of(split, 'row', data))}"
            for split, use in data.use.items()
            if name in use.nans
        ]
        yield info(
            CheckKind.UNUSED_COLUMNS,
            f'"nan" in column {one_line(name, NAME_LENGTH)} is read as a missing value in '
            f"{' and '.join(counts)}",
            count=sum(use.nans.get(name, 0) for use in data.use.values()),
        )


def _own_system(data: LoadedData) -> Iterator[CheckResult]:
    """Returns a finding on system prompts that rows with a system turn of their own replace."""
    column = data.mapping.columns.get("system", "")
    counts = [
        f"{use.own_system:,} of {counted(use.rows, _of(split, 'row', data))}"
        for split, use in data.use.items()
        if use.own_system
    ]
    if counts:
        yield warning(
            CheckKind.UNUSED_COLUMNS,
            f"column {one_line(column, NAME_LENGTH)} is not used in {' and '.join(counts)}, whose "
            "turns have a different system prompt",
            "keep one of the two system prompts",
            count=sum(use.own_system for use in data.use.values()),
        )


def _rendered(data: LoadedData) -> Iterator[CheckResult]:
    """Returns a finding on texts that a chat template was applied to."""
    if data.mapping.shape != "text":
        return
    parts = {"train": data.train, "eval": data.eval}
    found = {
        split: [row for row in rows if _MARKER.search(row.reference, 0, MARKER_WITHIN)]
        for split, rows in parts.items()
    }
    count = sum(map(len, found.values()))
    if count:
        first = next(row for rows in found.values() for row in rows)
        marker = _MARKER.search(first.reference)
        assert marker is not None
        yield warning(
            CheckKind.RENDERED_TEXT,
            f"{of_all(count, sum(map(len, parts.values())), 'rows')} "
            f"{'contains' if count == 1 else 'contain'} a rendered chat template ({marker[0]}): "
            "their user turns are also trained on",
            "give the rows as messages: the model's template is then applied, and only assistant "
            "turns are trained on",
            count=count,
            rows=evidence(shown(split, row) for split, rows in found.items() for row in rows),
        )


def _share(places: list[tuple[str, Unused]], data: LoadedData) -> str:
    """Returns `in 24 of 24 rows`, for each split with a file of its own."""
    counts = [
        f"{each.rows:,} of {counted(data.use[split].rows, _of(split, 'row', data))}"
        for split, each in places
        if each.rows
    ]
    return f"in {' and '.join(counts)}"


def _of(split: str, what: str, data: LoadedData) -> str:
    """Returns `row`, or `training row` where training has a file of its own."""
    return what if len(data.use) == 1 else f"{NAMES[split]} {what}"


def _count(places: list[tuple[str, Unused]]) -> int:
    return sum(each.rows for _, each in places)
