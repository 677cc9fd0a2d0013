"""Annotations of examples by people, and the numbers with annotations applied.

They are in `labels.jsonl` of a loop, append-only, one per line. An annotation belongs to an example
*and its reference*, so it applies to all past and future iterations while the example has that
reference:

- `accepted`: this output is right. The example counts as passed, with score 1, in every iteration
  with the same output, compared like `exact_match`. Several outputs of an example may be accepted.
- `bad_reference`: the reference is wrong. The example is not counted.
- `ambiguous`: the right answer is unclear. The example is not counted, and is listed separately.
- `cleared`: removes earlier annotations.
- `note`: a text on the example; notes accumulate, and stay when the reference changes.

The last annotation counts. Recorded figures never change: `annotated` computes new ones.
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
from tui_loop.core.reasoning import answer_of
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
"""Longer outputs cannot be accepted: nobody will have read annotation in full."""


class Annotation(msgspec.Struct, frozen=True):
    """A line of `labels.jsonl`: an annotation of an example, made while viewing `iteration`.

    `reference`: the short hash of the example's reference. `output`: the accepted output.
    """

    id: str
    kind: str
    iteration: int
    output: str | None = None
    reference: str = ""
    note: str = ""
    by: str = ""
    t: float = 0.0


class AnnotationStatus(msgspec.Struct, frozen=True):
    """The current annotations of an example. `accepts`: its accepted outputs, normalised.

    `verdict` is `accepted` only where the example's current output is among them.
    """

    verdict: Verdict = ""
    accepts: frozenset[str] = frozenset()
    notes: tuple[Annotation, ...] = ()


class Annotations:
    """All annotations of a loop, folded. `trouble`: why the file could not be read, or ""."""

    def __init__(self, entries: Iterable[Annotation] = (), bad_lines: int = 0, trouble: str = ""):
        self.entries = list(entries)
        self.bad_lines, self.trouble = bad_lines, trouble
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._accepted: dict[tuple[str, str], set[str]] = {}
        self._notes: dict[str, list[Annotation]] = defaultdict(list)
        for annotation in self.entries:
            self._add(annotation)
        self._ids = {name for name, _ in self._verdicts}

    def __bool__(self) -> bool:
        """Returns whether any example has a verdict."""
        return bool(self._verdicts)

    def of(self, example: Example) -> AnnotationStatus:
        """Returns the annotation status of an example of an evaluation."""
        notes = tuple(self._notes[example.id]) if example.id in self._notes else ()
        if example.id not in self._ids:
            return AnnotationStatus(notes=notes)
        key = example.id, short_hash(example.reference)
        verdict, accepts = self._verdicts.get(key, ""), frozenset(self._accepted.get(key, ()))
        if verdict == "accepted" and (
            example.output is None or _form(example.output) not in accepts
        ):
            verdict = ""
        return AnnotationStatus(verdict, accepts, notes)

    def is_current(self, annotation: Annotation) -> bool:
        """Returns whether no later annotation has cleared or replaced this annotation."""
        if annotation.kind == "note":
            return True
        key = annotation.id, annotation.reference
        if annotation.kind == "accepted":
            return _form(annotation.output or "") in self._accepted.get(key, ())
        return annotation.kind == self._verdicts.get(key)

    def matches(self, annotation: Annotation, example: Example) -> bool:
        """Returns whether the example has the accepted output."""
        return example.output is not None and _form(example.output) == _form(
            annotation.output or ""
        )

    def _add(self, annotation: Annotation) -> None:
        key = annotation.id, annotation.reference
        if annotation.note:
            self._notes[annotation.id].append(annotation)
        match annotation.kind:
            case "accepted" if annotation.output is not None:
                self._verdicts[key] = "accepted"
                self._accepted.setdefault(key, set()).add(_form(annotation.output))
            case "bad_reference" | "ambiguous" as verdict:
                self._verdicts[key] = verdict
                self._accepted.pop(key, None)
            case "cleared":
                self._verdicts.pop(key, None)
                self._accepted.pop(key, None)


class AnnotatedCounts(msgspec.Struct, frozen=True):
    """The numbers of an evaluation with annotations applied, and the recorded score.

    `examples`: in their order; uncounted ones have no score. `total`: the number of counted
    examples. `accepted`, `rejected`, `ambiguous`: how many examples each kind affects.
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
        """Returns the numbers alone, for `--json`."""
        names = ("score", "passed", "total", "accepted", "rejected", "ambiguous")
        return {name: getattr(self, name) for name in names}

    @property
    def differs(self) -> bool:
        """Returns whether any annotation affects this evaluation."""
        return bool(self.accepted or self.rejected or self.ambiguous)


def read_annotations(loop: LoopFolder) -> Annotations:
    """Reads the annotations of a loop.

    Counts bad lines, and reports an unreadable file in `trouble`.
    """
    if not os.path.lexists(loop.labels):
        return Annotations()
    try:
        loop.check_place()
        lines = read_small(loop.labels).split(b"\n")
    except (BadInput, OSError) as error:
        return Annotations(trouble=str(error))
    decoder, entries, bad = msgspec.json.Decoder(Annotation), [], 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entries.append(codec.decoded(decoder, line, f"{loop.labels}:{number}"))
        except BadInput:
            bad += 1
    return Annotations(entries, bad)


def annotate(folder: IterationFolder, example: Example, kind: Kind, note: str = "") -> Annotation:
    """Appends an annotation of an example, with secrets redacted.

    Raises BadInput for an annotation that is not allowed, OSError where it cannot be written.
    """
    note = redacted(note.strip())
    if kind == "note" and not note:
        raise BadInput("a note needs text", "--note TEXT")
    if len(note.encode("utf-8", "replace")) > NOTE_BYTES:
        raise BadInput(
            f"the note is longer than {NOTE_BYTES} bytes",
            "write long notes into notes.md of the iteration",
        )
    output = redacted(example.output or "") if kind == "accepted" else None
    if kind == "accepted" and example.output is None:
        raise BadInput(
            f"{folder}: example {example.id} has no output to accept",
            "choose an iteration whose evaluation generated outputs",
        )
    if output is not None and len(output) > OUTPUT_BYTES:
        raise BadInput(
            "the output is too long to be accepted", "mark the example as ambiguous, with a note"
        )
    annotation = Annotation(
        id=example.id,
        kind=kind,
        iteration=folder.number,
        output=output,
        reference=short_hash(example.reference),
        note=note,
        by=_user_name(),
        t=round(time.time(), 3),
    )
    folder.check_place()
    append_line(folder.loop.labels, codec.to_json(annotation))
    return annotation


def annotated(examples: Sequence[Example], annotations: Annotations) -> AnnotatedCounts:
    """Applies annotations to examples and counts; unscored examples stay unscored."""
    counts: Counter[str] = Counter()
    rows = list(examples)
    if annotations:
        for index, example in enumerate(rows):
            verdict = annotations.of(example).verdict
            if verdict == "accepted" and example.score is not None and _is_not_perfect(example):
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


def annotated_evaluation(
    folder: IterationFolder, annotations: Annotations | None = None
) -> AnnotatedCounts | None:
    """Applies annotations to an iteration's evaluation; None where none affects it.

    Raises BadInput where its examples cannot be read. `annotations` saves reading them again.
    """
    known = read_annotations(folder.loop) if annotations is None else annotations
    if not known:
        return None
    found = annotated(folder.read_examples(), known)
    return found if found.differs else None


def annotation_text(found: AnnotatedCounts) -> str:
    """Returns `score 74% with 1 output accepted, 3 references rejected (71% as recorded)`."""
    if not found.differs:
        return ""
    parts = [
        f"{count} {noun if count == 1 else noun + 's'} {what}"
        for count, noun, what in (
            (found.accepted, "output", "accepted"),
            (found.rejected, "reference", "rejected"),
            (found.ambiguous, "example", "marked as ambiguous"),
        )
        if count
    ]
    if found.recorded_score is None:
        return f"no scores; {', '.join(parts)}"
    now = "no score" if found.score is None else f"score {figures.percent(found.score)}"
    return f"{now} with {', '.join(parts)} ({figures.percent(found.recorded_score)} as recorded)"


def _is_not_perfect(example: Example) -> bool:
    return not example.passed or (example.score or 0.0) < 1.0


def _form(output: str) -> str:
    """Normalises the answer in an output for comparison.

    Outputs in `labels.jsonl` have their secrets redacted.
    """
    return normalised(redacted(answer_of(output)))


def _mean(examples: Sequence[Example]) -> float | None:
    scores = [row.score for row in examples if row.score is not None]
    return fmean(scores) if scores else None


def _user_name() -> str:
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return ""
