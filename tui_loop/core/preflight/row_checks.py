"""Checks of the rows: refused, repeated and contradictory rows, and odd turns."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain, pairwise, product
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.conversations import RESULT_ROLES
from tui_loop.core.data.loading import LoadedData, Refused, load_data
from tui_loop.core.data.row_store import row_keys
from tui_loop.core.data.rows import Message, Row, RowRefused
from tui_loop.core.data.source_rows import ReadProgress, ReadSource, no_progress
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import (
    TEXT_LENGTH,
    CheckKind,
    CheckResult,
    ChecksFailed,
    RowEvidence,
    error,
    evidence,
    info,
    shown,
    warning,
)
from tui_loop.core.text.figures import counted, of_all, share
from tui_loop.core.text.untrusted import one_line

NAMES = {"train": "training", "eval": "held-out", "holdout": "locked holdout"}
"""The names of the rows of each split in messages."""

_LINES = 5
"""Lines of refused rows that a message lists."""

_FAULTS = {
    CheckKind.EMPTY_ROWS: "have an empty prompt or reference",
    CheckKind.WRONG_ROLES: "have turns that cannot be trained on",
    CheckKind.UNREADABLE_ROWS: "cannot be read",
    CheckKind.UNKNOWN_LABEL: "have a label that is not in evaluation.labels",
}


LEAVE_OUT = "or leave such rows out: --set data.on_bad_row=skip"
"""The end of a hint on unusable rows."""


def skipped_rows(data: LoadedData) -> list[CheckResult]:
    """Returns warnings on the rows that `data.on_bad_row = skip` leaves out or cuts."""
    findings = _by_fault(data.skipped, is_skipped=True)
    for split, use in data.use.items():
        if use.cut:
            what = counted(use.cut, f"{NAMES[split]} conversation")
            text = f"in {what}, user turns after the last answer are cut off"
            findings.append(warning(CheckKind.WRONG_ROLES, text, "", count=use.cut))
        if use.repeats:
            what = counted(use.repeats, f"{NAMES[split]} row")
            is_one = use.repeats == 1
            verbs = ("repeats", "is") if is_one else ("repeat", "are")
            text = f"{what} {verbs[0]} another row and {verbs[1]} left out"
            findings.append(info(CheckKind.DUPLICATE_ROWS, text, count=use.repeats))
    return findings


def refused_rows(refused: Refused) -> list[CheckResult]:
    """Returns an error for each kind of row that a run would refuse."""
    return _by_fault(refused, is_skipped=False)


def _by_fault(refused: Refused, *, is_skipped: bool) -> list[CheckResult]:
    findings = []
    for split, errors in refused.items():
        sources = list(dict.fromkeys(each.source for each in errors))
        for fault, source in product(_FAULTS, sources):
            matching = [each for each in errors if (each.fault, each.source) == (fault, source)]
            if not matching:
                continue
            first, what = matching[0], _FAULTS[CheckKind(fault)]
            of_source = f" of {source}" if source else ""
            more = (
                ", among other reasons"
                if any(each.reason != first.reason for each in matching)
                else ""
            )
            message = (
                f"{counted(len(matching), f'{NAMES[split]} row')}{of_source} {what}: "
                f"{one_line(first.reason, TEXT_LENGTH)}{more} ({_lines(matching)})"
            )
            rows = evidence(_refusal(split, each) for each in matching)
            message, count = _in_number(message, len(matching)), len(matching)
            if is_skipped:
                findings.append(warning(fault, f"left out: {message}", "", count=count, rows=rows))
            else:
                hint = f"{first.hint}, {LEAVE_OUT}"
                findings.append(error(fault, message, hint, count=count, rows=rows))
    return findings


def _lines(refused: Sequence[RowRefused]) -> str:
    """Returns the lines of refused rows: `lines 1, 4, 9 and 20 more`."""
    shown_lines = ", ".join(str(each.line) for each in refused[:_LINES])
    more = f" and {len(refused) - _LINES} more" if len(refused) > _LINES else ""
    return f"line{'' if len(refused) == 1 else 's'} {shown_lines}{more}"


def load_usable(
    config: Config,
    root: Path,
    read: ReadSource,
    *,
    is_whole: bool = False,
    poll: ReadProgress = no_progress,
) -> LoadedData:
    """Returns the data as `load_data` does; raises ChecksFailed where several rows are unusable."""
    try:
        return load_data(config, root, read, is_whole=is_whole, poll=poll)
    except RowRefused as first:
        refused: Refused = {}
        with contextlib.suppress(TuiLoopError):  # e.g. where no row is left
            load_data(config, root, read, refused, poll=poll)
        if sum(map(len, refused.values())) > 1:
            raise ChecksFailed(refused_rows(refused)) from None
        first.hint = f"{first.hint}, {LEAVE_OUT}"
        raise first from None


def repeated_rows(data: LoadedData) -> list[CheckResult]:
    """Returns warnings on rows that are in a split more than once, with the same reference."""
    findings = []
    for split, rows in (("train", data.train), ("eval", data.eval)):
        places = list(_groups(row_keys(rows)))
        surplus = sum(len(each) - 1 for each in places)
        if not surplus:
            continue
        trained = split == "train"
        findings.append(
            warning(
                CheckKind.DUPLICATE_ROWS,
                f"{of_all(surplus, len(rows), f'{NAMES[split]} rows')} "
                f"{'repeats' if surplus == 1 else 'repeat'} another row",
                "remove the repeats, unless they are intended"
                if trained
                else "remove the repeats: a repeated row counts several times in the score",
                count=surplus,
                rows=evidence(shown(split, rows[at]) for each in places for at in each),
            )
        )
    return findings


def conflicting_rows(data: LoadedData) -> list[CheckResult]:
    """Returns warnings on equal inputs with different references, within and between splits."""
    if data.mapping.shape == "text":
        return []
    findings = []
    for split, rows in (("train", data.train), ("eval", data.eval)):
        groups = [
            each
            for each in _groups(key for key, _ in row_keys(rows))
            if len({rows[at].reference.strip() for at in each}) > 1
        ]
        count = sum(map(len, groups))
        if count:
            findings.append(
                warning(
                    CheckKind.CONFLICTING_LABELS,
                    f"{of_all(count, len(rows), f'{NAMES[split]} rows')} have the same input as "
                    "another row, but a different reference",
                    "decide which reference is right, and fix the other rows",
                    count=count,
                    rows=evidence(shown(split, rows[at]) for each in groups for at in each),
                )
            )
    return findings + _conflicts_between(data)


def odd_turns(data: LoadedData) -> list[CheckResult]:
    """Returns warnings on conversations that chat templates do not expect, or train on nothing."""
    findings, untrained = [], list[Row]()
    for split, rows in (("train", data.train), ("eval", data.eval)):
        odd = []
        for row in rows:
            if not row.messages:
                continue
            if why := _oddity(row):
                odd.append((row, why))
            if split == "train" and not _trains(row):
                untrained.append(row)
        if odd:
            row, why = odd[0]
            findings.append(
                warning(
                    CheckKind.WRONG_ROLES,
                    f"{of_all(len(odd), len(rows), f'{NAMES[split]} rows')} "
                    f"{'has' if len(odd) == 1 else 'have'} unusual turns: {why} in {row.place}",
                    "fix these rows: a chat template may drop or refuse such turns",
                    count=len(odd),
                    rows=evidence(
                        RowEvidence(split, row.line, one_line(row.id, 80), why, row.source)
                        for row, why in odd
                    ),
                )
            )
    return findings + _untrained(untrained, len(data.train))


def _untrained(untrained: Sequence[Row], total: int) -> list[CheckResult]:
    """Returns a warning on training rows whose weights leave no turn to train on."""
    if not untrained:
        return []
    return [
        warning(
            CheckKind.WRONG_ROLES,
            f"{of_all(len(untrained), total, 'training rows')} "
            f"{'has' if len(untrained) == 1 else 'have'} no turn to train on: every assistant turn "
            f"has weight 0 (first in {untrained[0].place})",
            "remove these rows, or give an assistant turn weight 1",
            count=len(untrained),
            rows=evidence(shown("train", row) for row in untrained),
        )
    ]


def _trains(row: Row) -> bool:
    return any(turn.role == "assistant" and turn.trains is not False for turn in row.messages)


def _conflicts_between(data: LoadedData) -> list[CheckResult]:
    held = {key: place for place, (key, _) in enumerate(row_keys(data.eval))}
    against: dict[str, int] = {}
    agreeing = set()
    for place, (key, _) in enumerate(row_keys(data.train)):
        if key not in held:
            continue
        ours, theirs = data.train[place].reference, data.eval[held[key]].reference
        if ours.strip() == theirs.strip():
            agreeing.add(key)
        else:
            against.setdefault(key, place)
    pairs = [
        (data.train[place], data.eval[held[key]])
        for key, place in against.items()
        if key not in agreeing
    ]
    if not pairs:
        return []
    return [
        warning(
            CheckKind.CONFLICTING_LABELS,
            f"{of_all(len(pairs), len(data.eval), 'held-out rows')} "
            f"{'has' if len(pairs) == 1 else 'have'} an input that recurs in training with a "
            "different reference",
            "decide which reference is right, and fix the other rows",
            count=len(pairs),
            rows=evidence(
                chain.from_iterable(
                    (shown("train", ours), shown("eval", theirs)) for ours, theirs in pairs
                )
            ),
        )
    ]


def _groups(keys: Iterable[Hashable]) -> Iterator[list[int]]:
    """Yields the places of keys that occur more than once, in file order."""
    first: dict[Hashable, int] = {}
    more: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        if first.setdefault(key, place) != place:
            more.setdefault(key, []).append(place)
    return ([first[key], *others] for key, others in more.items())


def _oddity(row: Row) -> str:
    """Returns what is odd about a row's turns, "" for nothing."""
    roles = [turn.role for turn in row.messages]
    spoken = [role for role in roles if role in ("user", "assistant")]
    oddities = {
        "an empty turn": any(map(_is_empty, row.messages)),
        "two system turns": roles.count("system") > 1,
        "a system turn that is not the first": "system" in roles[1:],
        "an assistant turn before any user turn": spoken[0] == "assistant",
        "two consecutive user turns": ("user", "user") in pairwise(roles),
    }
    return next((what for what, is_so in oddities.items() if is_so), "")


def _is_empty(turn: Message) -> bool:
    """Returns whether a turn says nothing; a tool may have nothing to say."""
    return not (turn.content.strip() or turn.tool_calls or turn.role in RESULT_ROLES)


def _refusal(split: str, refused: RowRefused) -> RowEvidence:
    reason = one_line(refused.reason, TEXT_LENGTH)
    return RowEvidence(split, refused.line, "", reason, refused.source)


def _in_number(message: str, count: int) -> str:
    """Returns `1 row has` for `1 row have`."""
    return message.replace(" have ", " has ", 1) if count == 1 else message


class TurnTokens(msgspec.Struct, frozen=True):
    """The tokens from `start` to `end` of a row, of which `trained` are trained on.

    `role`: the role of a turn, or prompt, completion, text.
    """

    role: str
    start: int
    end: int
    trained: int

    @property
    def words(self) -> str:
        """`assistant: trained on 12 of 18 tokens (67%)`."""
        count = self.end - self.start
        tokens = counted(count, "token")
        return f"{self.role}: trained on {self.trained} of {tokens} ({share(self.trained, count)})"


class TrainedRow(msgspec.Struct, frozen=True):
    """A tokenized training row: `tokens` as (text, trained on).

    The last `cut` tokens are beyond training.max_length. `number`: its number from 1, of `total`
    training rows. `line`: its line in the file. `special`: places of special tokens.
    """

    number: int
    total: int
    line: int
    id: str
    tokens: list[tuple[str, bool]]
    turns: list[TurnTokens]
    cut: int = 0
    special: list[int] = []

    @property
    def trained(self) -> int:
        """Returns how many tokens are trained on."""
        return sum(trained for _, trained in self.tokens)
