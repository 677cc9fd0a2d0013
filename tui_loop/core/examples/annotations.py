"""What people said of held-out examples, and the numbers as they stand with that.

`labels.jsonl` in a loop's folder, append-only, one line each time somebody says something. What
was said is about an example *and its reference*, so it holds for every iteration, past and to
come, for as long as the example has that reference:

- `accepted`: this output is right. An example counts as passed, with score 1, in every iteration
  where it has the same output, compared as `exact_match` compares. Several outputs of an example
  may be accepted, one after the other.
- `bad_reference`: the reference is wrong. The example leaves the numbers.
- `ambiguous`: nobody could tell. The example leaves the numbers too and is counted apart.
- `cleared`: takes back what was said before.
- `note`: words on the example; they gather, and stay when the reference changes.

The last word counts. Recorded figures are never changed: `judged` gives new ones beside them.
"""

from __future__ import annotations

import getpass
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from statistics import fmean
from typing import Any, Literal, get_args

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import append_line, read_small, short_hash
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import normalised
from tui_loop.core.text import figures
from tui_loop.core.text.secrets import redacted

Kind = Literal["accepted", "bad_reference", "ambiguous", "cleared", "note"]
Verdict = Literal["", "accepted", "bad_reference", "ambiguous"]
KINDS: tuple[Kind, ...] = get_args(Kind)

NOTE_BYTES = 4096
OUTPUT_BYTES = 1024 * 1024
"""A longer output is not one that anybody has read and found right."""


class Annotation(msgspec.Struct, frozen=True):
    """A line of `labels.jsonl`: what was said of an example, seen in `iteration`.

    `reference`: the short hash of the reference it is about. `output`: what was accepted.
    """

    id: str
    kind: str
    iteration: int
    output: str | None = None
    reference: str = ""
    note: str = ""
    by: str = ""
    t: float = 0.0


class Standing(msgspec.Struct, frozen=True):
    """What holds for an example now. `accepts`: its outputs that were accepted, normalised.

    `verdict` is `accepted` only where the example's own output is among them.
    """

    verdict: Verdict = ""
    accepts: frozenset[str] = frozenset()
    notes: tuple[Annotation, ...] = ()


class Annotations:
    """All that was said in a loop, folded. `trouble`: why the file could not be read, or ""."""

    def __init__(self, said: Iterable[Annotation] = (), bad_lines: int = 0, trouble: str = ""):
        self.said = list(said)
        self.bad_lines, self.trouble = bad_lines, trouble
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._accepted: dict[tuple[str, str], set[str]] = {}
        self._notes: dict[str, list[Annotation]] = defaultdict(list)
        for one in self.said:
            self._take(one)
        self._ids = {name for name, _ in self._verdicts}

    def __bool__(self) -> bool:
        """Whether any verdict stands, on whatever reference."""
        return bool(self._verdicts)

    def of(self, example: Example) -> Standing:
        """What holds for an example of an evaluation."""
        notes = tuple(self._notes[example.id]) if example.id in self._notes else ()
        if example.id not in self._ids:
            return Standing(notes=notes)
        key = example.id, short_hash(example.reference)
        verdict, accepts = self._verdicts.get(key, ""), frozenset(self._accepted.get(key, ()))
        if verdict == "accepted" and (
            example.output is None or _form(example.output) not in accepts
        ):
            verdict = ""
        return Standing(verdict, accepts, notes)

    def stands(self, one: Annotation) -> bool:
        """Whether nothing that was said later has taken this back or replaced it."""
        if one.kind == "note":
            return True
        key = one.id, one.reference
        if one.kind == "accepted":
            return _form(one.output or "") in self._accepted.get(key, ())
        return one.kind == self._verdicts.get(key)

    def matches(self, one: Annotation, example: Example) -> bool:
        """Whether the example has the output that was accepted."""
        return example.output is not None and _form(example.output) == _form(one.output or "")

    def _take(self, one: Annotation) -> None:
        key = one.id, one.reference
        if one.note:
            self._notes[one.id].append(one)
        match one.kind:
            case "accepted" if one.output is not None:
                self._verdicts[key] = "accepted"
                self._accepted.setdefault(key, set()).add(_form(one.output))
            case "bad_reference" | "ambiguous" as verdict:
                self._verdicts[key] = verdict
                self._accepted.pop(key, None)
            case "cleared":
                self._verdicts.pop(key, None)
                self._accepted.pop(key, None)


class AnnotatedCounts(msgspec.Struct, frozen=True):
    """An evaluation as judged, beside what was recorded.

    `examples` are in their order; those that left the numbers have no score. `total` are those
    that count. `accepted`, `rejected` and `ambiguous` count examples on which a word has effect.
    """

    examples: list[Example]
    score: float | None
    passed: int
    total: int
    accepted: int
    rejected: int
    ambiguous: int
    recorded_score: float | None

    @property
    def figures(self) -> dict[str, Any]:
        """The numbers alone, as `--json` has them."""
        names = ("score", "passed", "total", "accepted", "rejected", "ambiguous")
        return {name: getattr(self, name) for name in names}

    @property
    def differs(self) -> bool:
        """Whether anything that was said has effect here."""
        return bool(self.accepted or self.rejected or self.ambiguous)


def read_annotations(loop: LoopFolder) -> Annotations:
    """What was said in a loop; a bad line is counted, an odd file is told in `trouble`."""
    if not os.path.lexists(loop.labels):
        return Annotations()
    try:
        loop.check_place()
        lines = read_small(loop.labels).split(b"\n")
    except (BadInput, OSError) as error:
        return Annotations(trouble=str(error))
    decoder, said, bad = msgspec.json.Decoder(Annotation), [], 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            said.append(codec.decoded(decoder, line, f"{loop.labels}:{number}"))
        except BadInput:
            bad += 1
    return Annotations(said, bad)


def annotate(folder: IterationFolder, example: Example, kind: Kind, note: str = "") -> Annotation:
    """Writes down what a person says of an example of an iteration; secrets are masked.

    Raises BadInput where it cannot be said, OSError where it cannot be written.
    """
    note = redacted(note.strip())
    if kind == "note" and not note:
        raise BadInput("a note needs words", "--note TEXT")
    if len(note.encode("utf-8", "replace")) > NOTE_BYTES:
        raise BadInput(
            f"the note is longer than {NOTE_BYTES} bytes", "notes.md of the iteration has room"
        )
    output = redacted(example.output or "") if kind == "accepted" else None
    if kind == "accepted" and example.output is None:
        raise BadInput(
            f"{folder} has no output of {example.id} that could be accepted",
            "only an evaluation that generates has outputs",
        )
    if output is not None and len(output) > OUTPUT_BYTES:
        raise BadInput("the output is too long to be accepted", "label it ambiguous, with a note")
    one = Annotation(
        id=example.id,
        kind=kind,
        iteration=folder.number,
        output=output,
        reference=short_hash(example.reference),
        note=note,
        by=_who(),
        t=round(time.time(), 3),
    )
    folder.check_place()
    append_line(folder.loop.labels, codec.to_json(one))
    return one


def annotated(examples: Sequence[Example], judgements: Annotations) -> AnnotatedCounts:
    """The examples and their numbers as judged; unscored examples stay unscored."""
    counts: Counter[str] = Counter()
    rows = list(examples)
    if judgements:
        for index, example in enumerate(rows):
            verdict = judgements.of(example).verdict
            if verdict == "accepted" and example.score is not None and _lacks(example):
                rows[index] = msgspec.structs.replace(example, score=1.0, passed=True)
                counts[verdict] += 1
            elif verdict in ("bad_reference", "ambiguous"):
                rows[index] = msgspec.structs.replace(example, score=None, passed=None)
                counts[verdict] += 1
    return AnnotatedCounts(
        examples=rows,
        score=_mean(rows),
        passed=sum(bool(row.passed) for row in rows),
        total=len(rows) - counts["bad_reference"] - counts["ambiguous"],
        accepted=counts["accepted"],
        rejected=counts["bad_reference"],
        ambiguous=counts["ambiguous"],
        recorded_score=_mean(examples),
    )


def annotated_of(
    folder: IterationFolder, judgements: Annotations | None = None
) -> AnnotatedCounts | None:
    """An iteration's evaluation as judged; None where nothing that was said has effect on it.

    Raises BadInput where its examples cannot be read. Give `judgements` where they are read.
    """
    known = read_annotations(folder.loop) if judgements is None else judgements
    if not known:
        return None
    found = annotated(folder.read_examples(), known)
    return found if found.differs else None


def annotation_text(found: AnnotatedCounts) -> str:
    """`score 74% with 1 output accepted, 3 references rejected (71% as recorded)`, or ""."""
    if not found.differs:
        return ""
    parts = [
        f"{count} {noun if count == 1 else noun + 's'} {what}"
        for count, noun, what in (
            (found.accepted, "output", "accepted"),
            (found.rejected, "reference", "rejected"),
            (found.ambiguous, "example", "set aside as ambiguous"),
        )
        if count
    ]
    if found.recorded_score is None:
        return f"nothing is scored; {', '.join(parts)}"
    now = "no score" if found.score is None else f"score {figures.percent(found.score)}"
    return f"{now} with {', '.join(parts)} ({figures.percent(found.recorded_score)} as recorded)"


def _lacks(example: Example) -> bool:
    return not example.passed or (example.score or 0.0) < 1.0


def _form(output: str) -> str:
    """An output as it is compared; what is recorded in `labels.jsonl` had its secrets masked."""
    return normalised(redacted(output))


def _mean(examples: Sequence[Example]) -> float | None:
    scores = [row.score for row in examples if row.score is not None]
    return fmean(scores) if scores else None


def _who() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return ""
