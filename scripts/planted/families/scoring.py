"""Scores the diagnosis on families: is the cause named, and does the first suggestion help?

A finding names the cause of a family if a suggestion that answers it changes what one of the
family's remedies changes: a field towards the values that repair, or the rows by that data edit.
So nobody has to judge a text.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from scripts.planted.families.family import DataEdit, Family, Range
from scripts.planted.families.running import NOT_HEALTHY, Scores, make, repaired
from scripts.planted.making import NOT_RECORD
from scripts.reliability import CHECKOUT
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import Diagnosis, Suggestion
from tui_loop.core.diagnosis.kinds import SuggestionKind
from tui_loop.core.record.folders import LoopFolder

SCORINGS = Path(__file__).with_name("scorings.toml")

LEAST_LOSS = 0.15
"""A family whose faulty score is nearer to the sound one shows no fault, and is not scored."""

ENOUGH = 0.5
"""The share of the lost score that a useful suggestion gives back."""

EDITS: Mapping[str, tuple[DataEdit, ...]] = {
    SuggestionKind.MORE_ROWS: (DataEdit.ADD_ROWS, DataEdit.ADD_VARIETY),
    SuggestionKind.MORE_DATA: (DataEdit.ADD_ROWS, DataEdit.ADD_VARIETY),
    SuggestionKind.ROWS_FOR_GAP: (
        DataEdit.ADD_MISSING_LABEL,
        DataEdit.ADD_VARIETY,
        DataEdit.ADD_ROWS,
    ),
    SuggestionKind.BALANCE_LABELS: (DataEdit.BALANCE_LABELS,),
    SuggestionKind.MEND_LABELS: (DataEdit.FIX_LABELS, DataEdit.REMOVE_CONFLICTS),
    SuggestionKind.MEND_REFERENCES: (DataEdit.FIX_EVAL_REFERENCES,),
    SuggestionKind.MEND_ENCODING: (DataEdit.FIX_ENCODING,),
    SuggestionKind.MAP_COLUMNS: (DataEdit.MAP_COLUMNS,),
    SuggestionKind.SAME_REFERENCES: (
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.ONE_FORMAT,
        DataEdit.FIX_LABELS,
        DataEdit.FIX_EVAL_REFERENCES,
        DataEdit.SHORTEN_ANSWERS,
    ),
    SuggestionKind.SAME_PROMPTS: (
        DataEdit.SAME_PROMPTS_AS_EVAL,
        DataEdit.ADD_VARIETY,
        DataEdit.SHORTEN_PROMPTS,
    ),
    SuggestionKind.TRAIN_ALL_ANSWERS: (DataEdit.TRAIN_ALL_ANSWERS,),
    SuggestionKind.REMOVE_HINTS: (DataEdit.REMOVE_HINTS,),
    SuggestionKind.ONE_NAME: (
        DataEdit.ONE_FORMAT,
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.FIX_LABELS,
    ),
    SuggestionKind.REMOVE_ROWS: (
        DataEdit.REMOVE_OTHER_TASKS,
        DataEdit.REMOVE_OUTLIERS,
        DataEdit.FIX_LABELS,
        DataEdit.FIX_EVAL_REFERENCES,
        DataEdit.ONE_FORMAT,
        DataEdit.SAME_FORMAT_AS_EVAL,
    ),
    SuggestionKind.ROWS_LIKE_EVAL: (
        DataEdit.ADD_VARIETY,
        DataEdit.ADD_ROWS,
        DataEdit.SAME_PROMPTS_AS_EVAL,
    ),
    SuggestionKind.REMOVE_DUPLICATES: (DataEdit.REMOVE_DUPLICATES,),
    SuggestionKind.REMOVE_LEAKAGE: (DataEdit.REMOVE_LEAKED_ROWS,),
    SuggestionKind.END_TOKEN: (DataEdit.MARK_THE_END,),
    SuggestionKind.ONE_FORMAT: (DataEdit.ONE_FORMAT, DataEdit.SAME_FORMAT_AS_EVAL),
}
"""The data edits that carry out a suggestion without config fields."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What the diagnosis of a family was worth.

    `named`: the kinds of the findings with advice, in order, notes only where nothing is graver.
    `place`: the place of the first one that names the cause, from 1 on. `advice`: the first
    suggestion. `recovered`: the share of the lost score that it gave back, None where it cannot be
    applied.
    """

    family: str
    task: str
    cause: str
    scores: Scores
    named: tuple[str, ...]
    place: int | None
    advice: str
    recovered: float | None

    @property
    def shows_fault(self) -> bool:
        """Whether the fault moved the score far enough to be scored."""
        return abs(self.scores.lost) >= LEAST_LOSS

    @property
    def is_found(self) -> bool:
        """Whether the cause is named first or second."""
        return self.place in (1, 2)

    @property
    def is_silent(self) -> bool:
        """Whether nothing with advice was found."""
        return not self.named

    @property
    def is_unexplained(self) -> bool:
        """Whether the diagnosis says that it does not know the cause."""
        return self.named[:1] == ("unexplained",)

    @property
    def is_wrong(self) -> bool:
        """Whether another cause is named first."""
        return bool(self.named) and self.place != 1 and not self.is_unexplained

    @property
    def is_useful(self) -> bool:
        """Whether the first suggestion gave back enough of the lost score."""
        return self.recovered is not None and self.recovered >= ENOUGH


def score_family(family: Family, folder: Path, *, runs: bool = True) -> Scored:
    """Diagnoses a family's record, which is made where it is missing.

    `runs`: applies the first suggestion and runs it.
    """
    scores = make(family, folder)
    diagnosis = diagnosed_alone(folder / "loops" / family.name, len(family.later) + 1)
    first = next(iter(diagnosis.suggestions), None)
    if first is not None and runs and abs(scores.lost) >= LEAST_LOSS:
        with suppress(subprocess.CalledProcessError):  # the program refuses what it suggests
            scores = applied(family, folder, first) or scores
    named = named_by(diagnosis)
    places = [place for place, kind in enumerate(named, 1) if _names(diagnosis, kind, family)]
    return Scored(
        family=family.name,
        task=family.task,
        cause=family.cause,
        scores=scores,
        named=named,
        place=min(places, default=None),
        advice=f"{first.name}: {first.action}" if first is not None else "",
        recovered=scores.recovered,
    )


def diagnosed_alone(loop: Path, number: int) -> Diagnosis:
    """Diagnoses an iteration in a folder without other loops.

    The sound runs beside it would tell the diagnosis which settings are right on this base.
    """
    with tempfile.TemporaryDirectory(prefix="family-") as folder:
        copy = Path(folder) / "loops" / loop.name
        shutil.copytree(loop, copy, ignore=shutil.ignore_patterns(*NOT_RECORD))
        return diagnose(LoopFolder(copy), number)


def named_by(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Returns the kinds of findings that a reader would take for causes, in their order."""
    advised = {each.finding for each in diagnosis.suggestions}
    grave = [each.kind for each in diagnosis.findings if each.severity != "note"]
    notes = [each.kind for each in diagnosis.findings if each.severity == "note"]
    for kinds in (grave, notes):
        if found := tuple(dict.fromkeys(kind for kind in kinds if kind in advised)):
            return found
    return ()


def fits(suggestion: Suggestion, family: Family) -> bool:
    """Whether a suggestion changes what a remedy changes."""
    fields = (
        _is_towards(values, *suggestion.changes[name])
        for name, values in family.remedies.items()
        if not isinstance(values, bool) and name in suggestion.changes
    )
    return any(fields) or edit_of(suggestion, family) is not None


def edit_of(suggestion: Suggestion, family: Family) -> DataEdit | None:
    """Returns the first data edit of a family that carries out a suggestion."""
    if suggestion.changes:
        return None
    edits = EDITS.get(suggestion.kind, ())
    return next((each for each in edits if family.remedies.get(each) is True), None)


def applied(family: Family, folder: Path, suggestion: Suggestion) -> Scores | None:
    """Applies a suggestion and runs it; None where it cannot be applied to the family."""
    if suggestion.changes:
        changes = {name: new for name, (_, new) in suggestion.changes.items()}
        return repaired(family, folder, changes=changes)
    edit = edit_of(suggestion, family)
    return None if edit is None else repaired(family, folder, edit=edit)


def alarms(folder: Path) -> Mapping[str, list[str]]:
    """Returns the alarms about each healthy run of a folder.

    An alarm is a finding that is more than a note, or a suggestion of high confidence.
    """
    found = {}
    for path in sorted((folder / "loops").glob("*")):
        kind, _, name = path.name.partition("-")
        if kind in ("sound", "healthy") and not name.startswith(NOT_HEALTHY):
            diagnosis = diagnosed_alone(path, 1)
            found[path.name] = [
                *(each.kind for each in diagnosis.findings if each.severity != "note"),
                *(each.name for each in diagnosis.suggestions if each.confidence == "high"),
            ]
    return found


def report(scored: Sequence[Scored], healthy: Mapping[str, list[str]]) -> Iterable[str]:
    """Returns the lines of a table by family, the totals, and the alarms of healthy runs."""
    counted = [each for each in scored if each.shows_fault]
    yield from table(counted)
    without = [each.family for each in scored if not each.shows_fault]
    if without:
        yield f"the score does not show the fault: {', '.join(without)}"
    wrong = {name: kinds for name, kinds in healthy.items() if kinds}
    yield f"alarms: in {len(wrong)} of {len(healthy)} healthy runs"
    for name, kinds in wrong.items():
        yield f"  {name}: {', '.join(kinds)}"


def log(note: str, scored: Sequence[Scored]) -> None:
    """Adds a scoring to the log, with its date and the commit of the code."""
    counted = [each for each in scored if each.shows_fault]
    git = ["git", "-C", str(CHECKOUT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    entry = {
        "date": date.today(),
        "commit": commit,
        "note": note,
        "families": len(counted),
        "found": sum(each.is_found for each in counted),
        "wrong_first": sum(each.is_wrong for each in counted),
        "unexplained": sum(each.is_unexplained for each in counted),
        "silent": sum(each.is_silent for each in counted),
        "useful": sum(each.is_useful for each in counted),
        "names": sorted(each.family for each in counted),
    }
    with SCORINGS.open("a", encoding="utf-8") as file:
        file.write("\n" + tomli_w.dumps({"scoring": [entry]}))


def table(scored: Sequence[Scored]) -> Iterable[str]:
    """Returns the lines of a table by family, then the totals."""
    yield f"{'family':34}{'sound':>7}{'faulty':>8}{'repaired':>10}{'cause':>7}  named, first advice"
    for each in scored:
        yield (
            f"{each.family:34}{_percent(each.scores.sound):>7}{_percent(each.scores.faulty):>8}"
            f"{_percent(each.scores.repaired):>10}{each.place or '-':>7}  "
            f"{', '.join(each.named) or 'silent'}; {each.advice or 'no advice'}"
        )
    yield ""
    yield from totals(scored)


def totals(scored: Sequence[Scored]) -> Iterable[str]:
    """Returns the lines of the totals."""
    counts = {
        "cause named first or second": sum(each.is_found for each in scored),
        "another cause named first": sum(each.is_wrong for each in scored),
        "unexplained": sum(each.is_unexplained for each in scored),
        "silent": sum(each.is_silent for each in scored),
        "first suggestion gives back half": sum(each.is_useful for each in scored),
    }
    for name, count in counts.items():
        share = f" ({count / len(scored):.0%})" if scored else ""
        yield f"{name}: {count} of {len(scored)}{share}"


def _names(diagnosis: Diagnosis, kind: str, family: Family) -> bool:
    return any(each.finding == kind and fits(each, family) for each in diagnosis.suggestions)


def _is_towards(values: Range, old: Any, new: Any) -> bool:
    """Whether a new value is one that repairs, or is nearer to these than the old one."""
    if new in values:
        return True
    numbers = [each for each in values if _is_number(each)]
    if len(numbers) < 2 or not _is_number(new):
        return False
    low, high = numbers[:2]
    if low <= new <= high:
        return True
    return _is_number(old) and (old < new < low or high < new < old)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
