"""Which labels are said, held against those that are wanted.

class_bias  few of the labels make up what is said, or some take up much of it, and one of them is
            said far more often than it is due: the exact test of marginal homogeneity (McNemar:
            outputs that say it wrongly against rows that want it and get another), adjusted over
            all labels (Holm).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.learned import hardest, has_learned
from tui_loop.core.diagnosis.rules.telling import chance, ids_of, named
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.examples.table import UNSCORED
from tui_loop.core.scoring import label_reader, normalised
from tui_loop.core.stats import holm, mcnemar

FEW = 2 / 3
"""Labels said against labels wanted, each counted by the entropy of its shares (2 to the power of
the bits): a model that errs evenly keeps more than nine tenths, also at a score of a half."""

TOO_MANY = 0.15
"""Share of all outputs that name an over-used label beyond its due, to be worth acting on even
where all labels are still said."""

LEVEL = 0.01
NEARLY_ALL = 0.9
NAMING = 0.5
"""Where fewer outputs name a label at all, that is what is wrong."""


def class_bias(case: Case) -> Iterator[Finding]:
    view = case.view
    if view is None or not case.measured.labels or not has_learned(case):
        return
    label_of = {normalised(each): each for each in case.measured.labels}
    read = label_reader(case.measured.labels)
    known: dict[str, str | None] = {}
    pairs: list[tuple[int, str, str]] = []
    scored = 0
    for row, example in enumerate(view.table):
        wanted = label_of.get(normalised(example.reference))
        if view.passed[row] == UNSCORED or wanted is None:
            continue
        scored += 1
        output = example.output or ""
        if output not in known:
            known[output] = read(output)
        said = known[output]
        if said is not None:
            pairs.append((row, wanted, said))
    if len(pairs) < NAMING * scored or not labels_in([wanted for _, wanted, _ in pairs]):
        return
    wanted_counts = Counter(wanted for _, wanted, _ in pairs)
    said_counts = Counter(said for _, _, said in pairs)
    few, due = _spread(said_counts), _spread(wanted_counts)
    names = sorted(said_counts)
    wrongly = Counter(said for _, wanted, said in pairs if said != wanted)
    missed = Counter(wanted for _, wanted, said in pairs if said != wanted)
    p_values = holm([mcnemar(missed[name], wrongly[name]) for name in names])
    over = sorted(
        (p, -wrongly[name], name)
        for p, name in zip(p_values, names, strict=True)
        if p < LEVEL and wrongly[name] > missed[name]
    )
    if not over:
        return
    p, _, top = over[0]
    too_many = sum(said_counts[name] - wanted_counts[name] for _, _, name in over)
    if few > FEW * due and too_many < TOO_MANY * len(pairs):
        return
    never = sorted(wanted_counts.keys() - said_counts.keys())
    is_all = said_counts[top] >= NEARLY_ALL * len(pairs)
    message = "nearly everything is called" if is_all else "some labels are said too often:"
    message = message if is_all or few > FEW * due else "few labels are said:"
    message += f" {named([top])}, {said_counts[top]} of {len(pairs)}, where "
    message += f"{wanted_counts[top]} {'is' if wanted_counts[top] == 1 else 'are'} due"
    message += f" ({chance(p)})"
    if len(over) > 1:
        message += f", {named([name for _, _, name in over[1:]], 2)} too often as well"
    if never:
        verb = "is" if len(never) == 1 else "are"
        message += f"; {len(never)} of {len(wanted_counts)} labels {verb} never said: "
        message += named(never)
    wrong = [row for row, wanted, said in pairs if said == top != wanted]
    yield Finding(
        FindingKind.CLASS_BIAS,
        "warning",
        message,
        {
            "label": top,
            "said": said_counts[top],
            "due": wanted_counts[top],
            "labels_said": round(few, 3),
            "labels_due": round(due, 3),
            "never_said": len(never),
            "p": p,
        },
        examples=ids_of(case, hardest(case, wrong)),
        otherwise="too few steps, or too high a rate, leave a model with the commonest answer",
    )


def says_few(case: Case) -> bool:
    """Whether few labels make up what is said: which labels fail is then no news."""
    return any(
        float(each.figures["labels_said"]) <= FEW * float(each.figures["labels_due"])
        for each in class_bias(case)
    )


def _spread(counts: Counter[str]) -> float:
    """How many equally common labels would be as varied."""
    total = counts.total()
    shares = [count / total for count in counts.values() if count]
    return math.exp(-math.fsum(share * math.log(share) for share in shares))


RULES = (class_bias,)
