"""Competing explanations: which findings are causes, and which other findings follow from them.

A finding is a fact, and several may be seen in one run: a run that was trained on other labels also
has a high loss, a gap and labels that it says too often. What follows from a cause is listed after
it, and gets no suggestions of its own, since these would repair nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

import msgspec

from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind

OUTPUTS: Set[str] = frozenset(
    (
        FindingKind.CLASS_BIAS,
        FindingKind.FORMAT_ERRORS,
        FindingKind.NO_END_TOKEN,
        FindingKind.TRUNCATED_OUTPUTS,
        FindingKind.WEAK_SLICE,
    )
)
"""Findings on outputs that also follow from weights that learned little, or something else."""

FIT: Set[str] = frozenset(
    (
        FindingKind.UNDERFITTING,
        FindingKind.PLATEAU,
        FindingKind.OVERFITTING,
        FindingKind.MEMORISED,
        FindingKind.GENERALISATION_GAP,
        FindingKind.UNDERTRAINED_ADAPTER,
        FindingKind.FORGETTING,
        FindingKind.WORSE_THAN_BASE,
        FindingKind.WORSE_THAN_PARENT,
        FindingKind.UNDECIDED,
        FindingKind.EVAL_TOO_SMALL,
        FindingKind.UNEXPLAINED,
    )
)
"""Findings on how well a run learned, and how well that holds."""

RESULTS: Set[str] = frozenset(
    (
        FindingKind.PLATEAU,
        FindingKind.GENERALISATION_GAP,
        FindingKind.FORGETTING,
        FindingKind.WORSE_THAN_BASE,
        FindingKind.UNDECIDED,
        FindingKind.EVAL_TOO_SMALL,
        FindingKind.SLOW,
    )
)
"""Findings that state a result and name no cause."""

DATA: Set[str] = frozenset(
    (
        FindingKind.DATA_GAP,
        FindingKind.LABEL_NOISE,
        FindingKind.OTHER_VOCABULARY,
        FindingKind.CONFUSED_LABELS,
    )
)
"""Findings on rows that are drawn from what the model says of them."""

OTHER_TASK = OUTPUTS | FIT | DATA
"""What follows where training and evaluation are not about the same."""

EXPLAINS: Mapping[str, Set[str]] = {
    FindingKind.FAILED: OUTPUTS,
    FindingKind.DIVERGED: OUTPUTS | FIT,
    FindingKind.NOTHING_TRAINED: OUTPUTS | FIT,
    FindingKind.LEARNING_RATE_TOO_HIGH: OUTPUTS | FIT,
    FindingKind.LEARNING_RATE_TOO_LOW: OUTPUTS | FIT,
    FindingKind.HELD_BACK: OUTPUTS | FIT | {FindingKind.LEARNING_RATE_TOO_HIGH},
    FindingKind.UNDERFITTING: OUTPUTS,
    FindingKind.EXCHANGED_COLUMNS: OTHER_TASK
    | {FindingKind.REFERENCES_DIFFER, FindingKind.PROMPTS_DIFFER, FindingKind.BAD_REFERENCES},
    FindingKind.REFERENCES_DIFFER: OTHER_TASK | {FindingKind.METRIC_MISFIT},
    FindingKind.PROMPTS_DIFFER: OTHER_TASK,
    FindingKind.ANSWER_IN_PROMPT: OTHER_TASK | {FindingKind.PROMPTS_DIFFER},
    FindingKind.TWO_NAMES: OUTPUTS
    | DATA
    | {FindingKind.UNWANTED_REFERENCES, FindingKind.METRIC_MISFIT, FindingKind.UNEXPLAINED},
    FindingKind.OTHER_VOCABULARY: OUTPUTS | FIT | {FindingKind.CONFUSED_LABELS},
    FindingKind.BAD_REFERENCES: OTHER_TASK,
    FindingKind.SORTED_ROWS: OTHER_TASK | {FindingKind.UNSTABLE},
    FindingKind.UNBALANCED_LABELS: OUTPUTS | DATA | {FindingKind.UNEXPLAINED},
    FindingKind.UNWANTED_REFERENCES: OUTPUTS
    | FIT
    | DATA
    | {
        FindingKind.METRIC_MISFIT,
        FindingKind.REFERENCES_DIFFER,
        FindingKind.UNBALANCED_LABELS,
    },
    FindingKind.POOR_PROMPTS: OTHER_TASK
    | {
        FindingKind.LEAKAGE,
        FindingKind.DUPLICATES,
        FindingKind.FEW_ROWS,
        FindingKind.PROMPTS_DIFFER,
    },
    FindingKind.GARBLED_TEXT: OTHER_TASK
    | {FindingKind.PROMPTS_DIFFER, FindingKind.REFERENCES_DIFFER},
    FindingKind.CONFUSED_LABELS: OUTPUTS | {FindingKind.LABEL_NOISE, FindingKind.UNEXPLAINED},
    FindingKind.UNUSUAL_SETTING: OUTPUTS | FIT | {FindingKind.LEARNING_RATE_TOO_HIGH},
    FindingKind.LABEL_NOT_LISTED: OUTPUTS | FIT | DATA,
    FindingKind.FEW_ROWS: OUTPUTS | FIT | DATA,
    FindingKind.LABEL_NOISE: OUTPUTS | FIT | {FindingKind.CONFUSED_LABELS},
    FindingKind.UNEXPLAINED: OUTPUTS | {FindingKind.EVAL_TOO_SMALL, FindingKind.FORGETTING},
    FindingKind.NO_STOP: {
        FindingKind.NO_END_TOKEN,
        FindingKind.FORMAT_ERRORS,
        FindingKind.METRIC_MISFIT,
        FindingKind.UNEXPLAINED,
    },
    FindingKind.SAMPLED: OUTPUTS | FIT | DATA,
    FindingKind.STOP_IN_REFERENCES: OUTPUTS | FIT | DATA,
    FindingKind.METRIC_MISFIT: OUTPUTS | FIT | DATA,
    FindingKind.PARTLY_TRAINED: OTHER_TASK
    | {
        FindingKind.REFERENCES_DIFFER,
        FindingKind.PROMPTS_DIFFER,
        FindingKind.UNBALANCED_LABELS,
        FindingKind.UNWANTED_REFERENCES,
    },
    FindingKind.POOR_START: OUTPUTS
    | FIT
    | {
        FindingKind.UNSTABLE,
        FindingKind.LEARNING_RATE_TOO_HIGH,
        FindingKind.LEARNING_RATE_TOO_LOW,
    },
    FindingKind.UNDERTRAINED_ADAPTER: OUTPUTS
    | {FindingKind.UNDERFITTING, FindingKind.PLATEAU, FindingKind.UNEXPLAINED},
    FindingKind.WORSE_THAN_PARENT: OUTPUTS | (FIT - {FindingKind.WORSE_THAN_PARENT}),
    FindingKind.EXPERIMENT: frozenset(FindingKind) - {FindingKind.EXPERIMENT},
}
"""What follows from a cause that is an alarm or a warning."""


ALARMS_EXPLAIN: Mapping[str, Set[str]] = {
    FindingKind.TRUNCATED_INPUTS: OUTPUTS | {FindingKind.UNDERFITTING, FindingKind.PLATEAU},
    FindingKind.DATA_GAP: OUTPUTS | FIT,
    FindingKind.UNBALANCED_LABELS: OUTPUTS | FIT,
}
"""What follows only where most rows are concerned."""

EXACT: Mapping[str, str] = {FindingKind.TRUNCATED_OUTPUTS: "longest_reference"}
"""Figures that show that a finding is computed from settings and data, whatever was learned."""


def with_causes(findings: Sequence[Finding]) -> list[Finding]:
    """Returns the findings with what they follow from; alarms come before warnings and notes.

    What follows from a finding explains nothing more: two that may explain one another are not
    both a consequence.
    """
    causes: dict[str, str] = {}
    for each in findings:
        if each.severity == "note" or (each.kind in causes and not is_exact(each)):
            continue
        kinds = EXPLAINS.get(each.kind, frozenset())
        if each.severity == "alarm":
            kinds |= ALARMS_EXPLAIN.get(each.kind, frozenset())
        for kind in kinds:
            causes.setdefault(kind, each.kind)
    return [
        each
        if each.kind not in causes or is_exact(each)
        else msgspec.structs.replace(each, follows_from=str(causes[each.kind]))
        for each in findings
    ]


def is_exact(finding: Finding) -> bool:
    """Returns whether a finding is computed from settings and data, whatever was learned."""
    return EXACT.get(finding.kind) in finding.figures


OPPOSITES: Iterable[Set[str]] = (
    {SuggestionKind.TRAIN_LONGER, SuggestionKind.FEWER_EPOCHS},
    {SuggestionKind.TRAIN_LONGER, SuggestionKind.KEEP_BEST},
    {SuggestionKind.RAISE_LEARNING_RATE, SuggestionKind.LOWER_LEARNING_RATE},
    {SuggestionKind.RAISE_RANK, SuggestionKind.LOWER_RANK},
    {SuggestionKind.RAISE_RANK, SuggestionKind.MORE_DROPOUT},
    {SuggestionKind.MORE_DROPOUT, SuggestionKind.TRAIN_LONGER},
    {SuggestionKind.FEWER_EPOCHS, SuggestionKind.RAISE_LEARNING_RATE},
)
"""Pairs of suggestions of which one asks for more of what the other asks for less of."""


def contradict(one: Suggestion, other: Suggestion) -> bool:
    """Returns whether two suggestions ask for opposite changes."""
    if {one.kind, other.kind} in OPPOSITES:
        return True
    shared = one.changes.keys() & other.changes.keys()
    return any(_are_opposite(one.changes[name], other.changes[name]) for name in shared)


def without_contradictions(suggestions: Iterable[Suggestion]) -> tuple[Suggestion, ...]:
    """Keeps, of suggestions that contradict one another, the first."""
    kept: list[Suggestion] = []
    for each in suggestions:
        if not any(contradict(each, earlier) for earlier in kept):
            kept.append(each)
    return tuple(kept)


def _are_opposite(one: tuple[object, object], other: tuple[object, object]) -> bool:
    """Returns whether two changes (old, new) of a number go in opposite directions."""
    signs = []
    for old, new in (one, other):
        if not isinstance(old, int | float) or not isinstance(new, int | float):
            return False
        signs.append((new > old) - (new < old))
    return signs[0] * signs[1] < 0
