"""Checks for unused parts of rows: columns, keys of turns, rejected answers, tool calls."""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.commands import command
from tui_loop.core.data.columns import listed
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.preference import pair_of
from tui_loop.core.data.rows import CALL_ROLES
from tui_loop.core.data.unused_columns import Unused, meaning_of
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, by_severity, info, warning
from tui_loop.core.preflight.row_checks import NAMES
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

MOST_NAMES = 40
"""Names that one finding lists; a wide file has thousands."""

NAME_LENGTH = 60
_WRITE = "write it into the prompts or turns, or remove it if it does not matter"


def column_findings(data: LoadedData) -> list[CheckResult]:
    """Returns warnings where an unused column changes what a row means, and one info on others."""
    found: dict[str, list[tuple[str, Unused]]] = {}
    for split, use in data.use.items():
        for each in use.unused:
            found.setdefault(each.name, []).append((split, each))
    findings = [*_left_out(data), *_calls(data)]
    chosen, rejected = _preference(data)
    quiet = []
    for name, places in found.items():
        has_value = any(each.rows for _, each in places)
        if has_value and name == rejected:
            findings.append(
                warning(
                    CheckKind.PREFERENCE_DATA,
                    f"preference data: trained on {one_line(chosen, NAME_LENGTH)}; "
                    f"{one_line(rejected, NAME_LENGTH)} is not used",
                    "if the rejected answers should count, train with a method such as DPO",
                    count=_count(places),
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
    message = f"{one_line(name, NAME_LENGTH)} is not used: {meaning} ({_share(places, data)})"
    zeros = [(split, each) for split, each in places if each.zeros]
    if zeros:
        what = "turn" if is_key else "row"
        counts = [counted(each.zeros, _of(split, what, data)) for split, each in zeros]
        count = sum(each.zeros for _, each in zeros)
        message += (
            f"; {' and '.join(counts)} with 0 or false there {'is' if count == 1 else 'are'} used "
            "like the others"
        )
        if zeros[0][0] != "holdout":  # only counts are shown for the holdout
            message += f", the first in line {zeros[0][1].line}"
    hint = _WRITE
    if zeros:
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
        ("not used: ", others),
        ("not trained on, but used to group held-out rows: ", grouping),
        ("empty: ", empty),
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
                f"{'is' if use.left_out == 1 else 'are'} left out, since "
                f"{one_line(use.mark or '', NAME_LENGTH)} is false there",
                "remove the column if it does not mark good answers",
                count=use.left_out,
            )


def _calls(data: LoadedData) -> Iterator[CheckResult]:
    """Returns a finding on roles of tool calls, which are read as the nearest known roles."""
    rows: dict[str, int] = {}
    for use in data.use.values():
        for role, count in use.calls.items():
            rows[role] = rows.get(role, 0) + count
    if rows:
        roles = [f"{role} as {CALL_ROLES[role]} ({counted(n, 'row')})" for role, n in rows.items()]
        yield warning(
            CheckKind.TOOL_CALLS,
            f"roles are read as others: {', '.join(roles)}; calls and results are plain text, "
            "without the form that the model's template has for them",
            f"see what a row becomes: {command('check', 'LOOP', '--row', 1)}",
            count=max(rows.values()),
        )


def _share(places: list[tuple[str, Unused]], data: LoadedData) -> str:
    """Returns `24 of 24 rows have it`, for each split with a file of its own."""
    counts = [
        f"{each.rows:,} of {counted(data.use[split].rows, _of(split, 'row', data))}"
        for split, each in places
        if each.rows
    ]
    have = "has" if _count(places) == 1 else "have"
    return f"{' and '.join(counts)} {have} it"


def _of(split: str, what: str, data: LoadedData) -> str:
    """Returns `row`, or `training row` where training has a file of its own."""
    return what if len(data.use) == 1 else f"{NAMES[split]} {what}"


def _count(places: list[tuple[str, Unused]]) -> int:
    return sum(each.rows for _, each in places)
