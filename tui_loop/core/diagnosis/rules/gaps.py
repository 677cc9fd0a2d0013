"""What is held out and was hardly trained on.

data_gap  labels of held-out rows that no training row has, or hardly any and that fail for it;
          failures that have nothing similar among the measured training rows, more often than
          what passes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from statistics import median

from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.learned import hardest, has_learned
from tui_loop.core.diagnosis.rules.telling import chance, ids_of, named
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.examples.table import FAILED, UNSCORED
from tui_loop.core.examples.tfidf_index import SIMILAR, TrainingIndex
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.files import short_hash
from tui_loop.core.scoring import normalised
from tui_loop.core.stats import benjamini_hochberg, fisher_greater
from tui_loop.core.text.figures import of_all

RARE = 0.25
"""A label with less than this share of the median label's training rows is rare."""

LEVEL = 0.05
FAR_LEVEL = 0.01
"""Similarity hangs on much else (length, wording): surer than usual."""

FAR_SHARE = 0.2
"""Where fewer failures are far from training than that, something else ails most of them."""

FEWEST_TRAINED = 20
LOOKED_AT = 250
"""Held-out rows whose nearest training rows are looked for, at even distances: about a second."""


def missing_labels(case: Case) -> Iterator[Finding]:
    view = case.view
    counts = trained_on(case) if case.number else {}
    if view is None or not counts or not any(counts.values()):
        return
    rows = _rows_by_label(view)
    missing = sorted((label for label, count in counts.items() if not count))
    if missing:
        wanted = [row for label in missing for row in rows[label]]
        scored, failed = _failures(view, wanted)
        told = f"; {failed} of {scored} fail" if scored else ""
        yield Finding(
            FindingKind.DATA_GAP,
            "warning",
            f"no training row has the reference {named(missing)}, which "
            f"{of_all(len(wanted), len(view), 'held-out rows')} want{told}",
            {
                "labels": ", ".join(missing),
                "rows": len(wanted),
                "total": len(view),
                "failed": failed,
            },
            examples=ids_of(case, hardest(case, wanted)),
        )


def rare_labels(case: Case) -> Iterator[Finding]:
    view = case.view
    counts = trained_on(case) if has_learned(case) else {}
    if view is None or not any(counts.values()):
        return
    usual = median(counts.values())
    rare = [label for label, count in counts.items() if 0 < count < RARE * usual]
    rows = _rows_by_label(view)
    everything = _failures(view, range(len(view)))
    tested = []
    for label in rare:
        scored, failed = _failures(view, rows[label])
        rest = everything[1] - failed, everything[0] - scored
        tested.append((fisher_greater(failed, scored, *rest), label, failed, scored, rest))
    adjusted = benjamini_hochberg([each[0] for each in tested])
    for p, (_, label, failed, scored, rest) in sorted(zip(adjusted, tested, strict=True)):
        usually = rest[0] / max(1, rest[1])
        if p < LEVEL or failed > usually * scored:
            yield Finding(
                FindingKind.DATA_GAP,
                "warning" if p < LEVEL else "note",
                f"{named([label])} has {counts[label]} training rows where labels usually have "
                f"{usual:.0f}; it fails {failed} of {scored}, elsewhere {rest[0]} of {rest[1]} "
                f"({chance(p)})",
                {
                    "label": label,
                    "train_rows": counts[label],
                    "usual_train_rows": usual,
                    "failed": failed,
                    "scored": scored,
                    "elsewhere_failed": rest[0],
                    "elsewhere_scored": rest[1],
                    "p": p,
                },
                examples=ids_of(case, hardest(case, _failed(view, rows[label]))),
                otherwise="a rare label may also be a harder one"
                if p < LEVEL
                else "chance: with so few held-out rows nothing sure can be said of it",
            )


def far_failures(case: Case) -> Iterator[Finding]:
    """Failures with nothing similar in training; labels that lack are told by themselves."""
    view, rows = case.view, case.training_rows
    if view is None or len(rows) < FEWEST_TRAINED or not has_learned(case):
        return
    counts = trained_on(case)
    label_of = labels_in(view.table.references)
    scored = [
        row
        for row, outcome in enumerate(view.passed)
        if outcome != UNSCORED and counts.get(label_of.get(view.table.references[row], ""), 1)
    ]
    scored = scored[:: max(1, -(-len(scored) // LOOKED_AT))]
    index = TrainingIndex([Row(r.id, r.prompt, r.reference, r.source_line) for r in rows])
    far = {row for row in scored if _is_far(index, view.table[row].prompt)}
    failed = {row for row in scored if view.passed[row] == FAILED}
    far_failed, near_failed = len(far & failed), len(failed - far)
    near = len(scored) - len(far)
    if not far or not near or far_failed < FAR_SHARE * len(failed):
        return
    p = fisher_greater(far_failed, len(far), near_failed, near)
    if p >= FAR_LEVEL:
        return
    measured, total = len(rows), rows[0].sampled_of
    of_those = "" if measured >= total else f" of the {measured:,} that were measured"
    yield Finding(
        FindingKind.DATA_GAP,
        "warning",
        f"{far_failed} of {len(failed)} failures have no similar training row{of_those}; such rows "
        f"fail {far_failed} of {len(far)}, others {near_failed} of {near} ({chance(p)})",
        {
            "far_failed": far_failed,
            "far": len(far),
            "near_failed": near_failed,
            "near": near,
            "measured": measured,
            "train_rows": total,
            "similarity_below": SIMILAR,
            "p": p,
        },
        examples=ids_of(case, hardest(case, sorted(far & failed))),
        otherwise="rows in unusual words may be harder anyway"
        + ("" if measured >= total else "; a row that was not measured may be near"),
    )


def trained_on(case: Case) -> dict[str, int]:
    """Training rows by label of the held-out rows; {} where references are no labels, or where
    the training rows are not indexed."""
    view = case.view
    label_of = labels_in(view.table.references) if view is not None else {}
    index = case.row_index("train")
    if not label_of or not index:
        return {}
    by_hash = Counter(index.values())
    return {
        label: sum(by_hash[short_hash(each)] for each in spellings)
        for label, spellings in _spellings(case, label_of).items()
    }


def _spellings(case: Case, label_of: Mapping[str, str]) -> dict[str, set[str]]:
    """How each label may be written in training: the index has hashes alone."""
    known = {*label_of, *case.measured.labels, *(row.reference for row in case.training_rows)}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for each in known:
        bare = each.strip()
        cases = {bare, bare.lower(), bare.upper(), bare.capitalize(), bare.title()}
        found[normalised(each)] |= {each, *cases, *(f" {form}" for form in cases)}
    return {label: found[normalised(label)] for label in label_of.values()}


def _rows_by_label(view: ExampleView) -> dict[str, list[int]]:
    label_of, rows = labels_in(view.table.references), defaultdict[str, list[int]](list)
    for row, reference in enumerate(view.table.references):
        rows[label_of[reference]].append(row)
    return rows


def _is_far(index: TrainingIndex, text: str) -> bool:
    nearest = index.nearest(text, 1)
    return not nearest or nearest[0].similarity < SIMILAR


def _failed(view: ExampleView, rows: list[int]) -> list[int]:
    return [row for row in rows if view.passed[row] == FAILED]


def _failures(view: ExampleView, rows: list[int] | range) -> tuple[int, int]:
    """(scored, failed) of rows."""
    outcomes = Counter(view.passed[row] for row in rows)
    return outcomes.total() - outcomes[UNSCORED], outcomes[FAILED]


RULES = (missing_labels, rare_labels, far_failures)
