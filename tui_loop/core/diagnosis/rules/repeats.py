"""Rows that are there more than once: within the training data, and in training and held-out data.

duplicates  training rows with the input of another one.
leakage     held-out rows whose input was trained on: the very same, by the index of all rows, or
            nearly the same, as far as the training rows that were measured show it.

Ids say what is the same only where they are hashes of the input, and not the data's own.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT, Figure, Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.telling import chance
from tui_loop.core.examples.table import FAILED, PASSED
from tui_loop.core.preflight.near_duplicates import overlap_of
from tui_loop.core.stats import fisher_greater, wilson
from tui_loop.core.text.figures import counted, of_all

HEAVY = 0.1
"""Of so many rows that are repeats a tenth of an epoch is spent; a few are in most data."""

FEW = 0.01
"""Below this share repeated rows are not worth a word, and leaked ones no action."""

MISLEADS = 0.05
"""A score may be too high by the share of leaked rows; 5 points is what changes are about."""

FEW_ROWS = 5
"""Of fewer rows no chance is worth telling."""

_HASHED = re.compile(r"([0-9a-f]{12})(?:-\d{1,9})?")


def inputs_of(index: Mapping[str, str]) -> dict[str, list[tuple[str, str]]]:
    """(id, reference's hash) by the hash of the input; {} where ids are the data's own."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, reference in index.items():
        match = _HASHED.fullmatch(name)
        if match is None:
            return {}
        found[match[1]].append((name, reference))
    return found


def duplicates(case: Case) -> Iterator[Finding]:
    trained = inputs_of(case.row_index("train")) if case.number else {}
    counts = Counter({name: len(rows) for name, rows in trained.items()})
    total, repeats = counts.total(), counts.total() - len(counts)
    if not total or repeats < FEW * total:
        return
    most = counts.most_common(1)[0][1]
    repeated = sum(count > 1 for count in counts.values())
    alike = total - sum(len({reference for _, reference in rows}) for rows in trained.values())
    yield Finding(
        FindingKind.DUPLICATES,
        "warning" if repeats >= HEAVY * total else "note",
        f"{of_all(repeats, total, 'training rows')} repeat the input of another one, "
        f"{f'{alike:,} of them' if alike else 'none'} with the same reference: "
        f"{counted(repeated, 'input')} {'is' if repeated == 1 else 'are'} there more than once, "
        f"up to {most} times, and {'weighs' if repeated == 1 else 'weigh'} as much more",
        {
            "repeats": repeats,
            "train_rows": total,
            "same_reference": alike,
            "inputs": len(counts),
            "most": most,
        },
        otherwise="what people really send again and again may be repeated on purpose",
    )


def leakage(case: Case) -> Iterator[Finding]:
    if case.number == 0:
        return
    index = case.row_index("eval")
    trained, held = inputs_of(case.row_index("train")), inputs_of(index)
    leaked = [
        (name, reference in {each for _, each in trained[root]})
        for root, rows in held.items()
        if root in trained
        for name, reference in rows
    ]
    if leaked:
        yield _same(case, leaked, len(index))
    if len(leaked) < MISLEADS * len(index) or not index:
        yield from _nearly_the_same(case, {name for name, _ in leaked})


def _same(case: Case, leaked: list[tuple[str, bool]], total: int) -> Finding:
    alike = sum(is_alike for _, is_alike in leaked)
    names = {name for name, _ in leaked}
    message = f"{of_all(len(leaked), total, 'held-out rows')} "
    message += f"{'has' if len(leaked) == 1 else 'have'} an input that was trained on, "
    message += f"{alike} with the same answer" if alike else "none with the same answer"
    told, figures = _how_they_do(case, names)
    return Finding(
        FindingKind.LEAKAGE,
        _gravity(len(leaked), total),
        message + told,
        {"leaked": len(leaked), "same_answer": alike, "total": total, **figures},
        examples=tuple(name for name, _ in leaked[:EXAMPLES_KEPT]),
    )


def _nearly_the_same(case: Case, known: set[str]) -> Iterator[Finding]:
    """Held-out inputs that are nearly a measured training row; other rows are not known."""
    rows, view = case.training_rows, case.view
    if not rows or view is None:
        return
    prompts = [each.prompt or each.reference for each in view.table]
    overlap = overlap_of([each.prompt or each.reference for each in rows], prompts)
    found = {
        at: place
        for at, place in (overlap.same | overlap.near).items()
        if view.table.ids[at] not in known
    }
    if not found:
        return
    total, measured = rows[0].sampled_of, len(rows)
    twins = len(set(found.values()))
    names = {view.table.ids[at] for at in found}
    message = f"{of_all(len(found), len(prompts), 'held-out rows')} "
    message += f"{'is' if len(found) == 1 else 'are'} nearly the same input as a training row"
    figures: dict[str, Figure] = {"near": len(found), "total": len(prompts), "twins": twins}
    sure = len(found)
    if measured < total:
        low, high = (round(total * share) for share in wilson(twins, measured))
        sure = max(sure, low)
        message += f"; only {measured:,} of {total:,} training rows were measured, some {low:,} to "
        message += f"{high:,} of all may have such a twin"
        figures |= {"measured": measured, "train_rows": total, "low": low, "high": high}
    told, more = _how_they_do(case, names)
    yield Finding(
        FindingKind.LEAKAGE,
        "warning" if sure >= MISLEADS * len(prompts) else "note",
        message + told,
        {**figures, **more},
        examples=tuple(view.table.ids[at] for at in sorted(found)[:EXAMPLES_KEPT]),
        otherwise="messages of one kind are alike; they leak only if one was made from the other",
    )


def _how_they_do(case: Case, names: set[str]) -> tuple[str, dict[str, Figure]]:
    """How often such rows pass, and the others: what the score may be too high by."""
    view = case.view
    if view is None:
        return "", {}
    own: Counter[int] = Counter()
    others: Counter[int] = Counter()
    for name, outcome in zip(view.table.ids, view.passed, strict=True):
        (own if name in names else others)[outcome] += 1
    total, rest = own[PASSED] + own[FAILED], others[PASSED] + others[FAILED]
    if not total:
        return "", {}
    figures: dict[str, Figure] = {"passed": own[PASSED], "scored": total}
    if not rest:
        return (
            f"; {own[PASSED]} of {total} pass, and no other row says how good the model is",
            figures,
        )
    p = fisher_greater(own[PASSED], total, others[PASSED], rest)
    figures |= {"others_passed": others[PASSED], "others_scored": rest, "p": p}
    told = f"; {own[PASSED]} of {total} {'passes' if total == 1 else 'pass'}, of the others "
    told += f"{others[PASSED]} of {rest}"
    return told if total < FEW_ROWS else f"{told} ({chance(p)})", figures


def _gravity(count: int, total: int) -> Severity:
    if count >= MISLEADS * total:
        return "alarm"
    return "warning" if count >= FEW * total else "note"


RULES = (duplicates, leakage)
