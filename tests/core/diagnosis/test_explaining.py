"""What follows from a cause, in which order it is told, and suggestions that contradict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.core.diagnosis.written import Written, example, messages, renamed
from tui_loop.core.diagnosis.diagnose import Diagnoser, by_gravity
from tui_loop.core.diagnosis.explaining import (
    ALARMS_EXPLAIN,
    EXPLAINS,
    FIT,
    OPPOSITES,
    OUTPUTS,
    contradict,
    is_exact,
    with_causes,
    without_contradictions,
)
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.record.reader import LoopReader

HELD, TRAIN = messages(80, seed=1), messages(200, seed=2)


def finding(kind: FindingKind, severity: Any = "warning", **figures: float) -> Finding:
    return Finding(kind, severity, f"{kind} {figures}", dict(figures))


def suggestion(
    kind: SuggestionKind, changes: dict[str, tuple[Any, Any]] | None = None
) -> Suggestion:
    return Suggestion(kind, FindingKind.PLATEAU, "a", "w", changes or {})


def explained(findings: Sequence[Finding]) -> set[str]:
    """The kinds that would follow from these findings, were they all found."""
    asked = [*findings, *(finding(kind, "note") for kind in FindingKind)]
    return {each.kind for each in with_causes(asked) if each.follows_from}


def follows(one: Finding, findings: Sequence[Finding]) -> bool:
    [told] = [each for each in with_causes(findings) if each.message == one.message]
    return bool(told.follows_from)


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [each.kind for each in findings]


def test_causes_come_before_what_follows_however_grave_that_is() -> None:
    found = [
        finding(FindingKind.CLASS_BIAS, "alarm"),
        finding(FindingKind.DUPLICATES, "note"),
        finding(FindingKind.GENERALISATION_GAP),
        finding(FindingKind.REFERENCES_DIFFER),
        finding(FindingKind.LEAKAGE, "alarm"),
    ]
    assert kinds(by_gravity(found)) == [
        "leakage",
        "references_differ",
        "class_bias",
        "generalisation_gap",
        "duplicates",
    ]


def test_without_a_cause_gravity_decides_and_then_the_order_of_the_rules() -> None:
    found = [
        finding(FindingKind.WEAK_SLICE, "note"),
        finding(FindingKind.PLATEAU),
        finding(FindingKind.CLASS_BIAS, "alarm"),
        finding(FindingKind.DUPLICATES),
    ]
    assert kinds(by_gravity(found)) == ["class_bias", "plateau", "duplicates", "weak_slice"]


@pytest.mark.parametrize("severity", ["alarm", "warning"])
def test_a_serious_cause_explains_and_a_note_does_not(severity: str) -> None:
    kind = FindingKind.LEARNING_RATE_TOO_HIGH
    assert explained([finding(kind, severity)]) == EXPLAINS[kind]
    assert explained([finding(kind, "note")]) == set()


def test_some_causes_explain_only_where_most_rows_are_concerned() -> None:
    kind = FindingKind.DATA_GAP
    assert explained([finding(kind)]) == set()
    assert explained([finding(kind, "alarm")]) == ALARMS_EXPLAIN[kind]
    both = FindingKind.UNBALANCED_LABELS
    assert explained([finding(both)]) == EXPLAINS[both]
    assert explained([finding(both, "alarm")]) == EXPLAINS[both] | ALARMS_EXPLAIN[both]


def test_what_follows_explains_nothing_more() -> None:
    found = [finding(FindingKind.BAD_REFERENCES, "alarm"), finding(FindingKind.LABEL_NOISE)]
    assert FindingKind.CONFUSED_LABELS in EXPLAINS[FindingKind.LABEL_NOISE]
    assert explained(found) == EXPLAINS[FindingKind.BAD_REFERENCES]


def test_of_two_findings_that_explain_one_another_the_first_is_the_cause() -> None:
    noise, confused = finding(FindingKind.LABEL_NOISE), finding(FindingKind.CONFUSED_LABELS)
    for first, second in ((noise, confused), (confused, noise)):
        assert kinds(by_gravity([first, second])) == [first.kind, second.kind]
        assert not follows(first, [first, second])
        assert follows(second, [first, second])


def test_an_exact_finding_never_follows() -> None:
    exact = finding(FindingKind.TRUNCATED_OUTPUTS, "alarm", longest_reference=12.0)
    seen = finding(FindingKind.TRUNCATED_OUTPUTS, "alarm", outputs=12.0)
    cause = finding(FindingKind.HELD_BACK, "alarm")
    assert (is_exact(exact), is_exact(seen)) == (True, False)
    assert not follows(exact, [cause, exact])
    assert follows(seen, [cause, seen])
    other = finding(FindingKind.CLASS_BIAS, "alarm", longest_reference=12.0)
    assert not is_exact(other)


def test_no_cause_explains_itself() -> None:
    for table in (EXPLAINS, ALARMS_EXPLAIN):
        for kind, following in table.items():
            assert kind not in following


def test_an_experiment_explains_all_else() -> None:
    assert EXPLAINS[FindingKind.EXPERIMENT] == set(FindingKind) - {FindingKind.EXPERIMENT}


@pytest.mark.parametrize("pair", OPPOSITES, ids=lambda pair: " and ".join(sorted(pair)))
def test_opposite_kinds_contradict_in_either_order(pair: set[SuggestionKind]) -> None:
    one, other = (suggestion(kind) for kind in sorted(pair))
    assert contradict(one, other)
    assert contradict(other, one)
    assert not contradict(one, one)


RATE, EPOCHS, TARGETS = "training.learning_rate", "training.num_train_epochs", "lora.target_modules"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({RATE: (1e-4, 1e-3)}, {RATE: (1e-4, 1e-5)}, True),
        ({RATE: (1e-4, 1e-3)}, {RATE: (1e-4, 3e-4)}, False),
        ({RATE: (1e-4, 1e-3)}, {EPOCHS: (3.0, 1.0)}, False),
        ({RATE: (1e-4, 1e-3), EPOCHS: (3.0, 6.0)}, {EPOCHS: (3.0, 1.0)}, True),
        ({RATE: (1e-4, 1e-4)}, {RATE: (1e-4, 1e-5)}, False),
        ({"training.max_steps": (20, None)}, {"training.max_steps": (20, 40)}, False),
        ({TARGETS: (["c_attn"], "all-linear")}, {TARGETS: (["c_attn"], ["c_proj"])}, False),
        ({}, {RATE: (1e-4, 1e-5)}, False),
    ],
)
def test_changes_of_one_field_in_opposite_directions_contradict(
    one: dict[str, tuple[Any, Any]], other: dict[str, tuple[Any, Any]], expected: bool
) -> None:
    kind = SuggestionKind.UNDO, SuggestionKind.USUAL_VALUE
    first, second = suggestion(kind[0], one), suggestion(kind[1], other)
    assert contradict(first, second) is expected
    assert contradict(second, first) is expected


def test_of_suggestions_that_contradict_the_first_is_kept() -> None:
    longer = suggestion(SuggestionKind.TRAIN_LONGER, {EPOCHS: (3.0, 6.0)})
    fewer = suggestion(SuggestionKind.FEWER_EPOCHS, {EPOCHS: (3.0, 1.0)})
    best = suggestion(SuggestionKind.KEEP_BEST)
    rows = suggestion(SuggestionKind.MORE_DATA)
    assert without_contradictions([longer, fewer, rows, best]) == (longer, rows)
    # What was left out contradicts nothing any more.
    assert without_contradictions([fewer, longer, rows, best]) == (fewer, rows, best)
    assert without_contradictions([]) == ()


def diagnosed(made: Written) -> Diagnosis:
    return Diagnoser(LoopReader(made.loop)).diagnose(made.loop.numbers()[-1])


def test_what_follows_from_other_label_names_gets_no_suggestions(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD)
    codes = {"billing": "B17", "cancel": "C02", "login": "L44", "refund": "R90"}
    train = renamed(TRAIN, codes)
    said = [example(row, codes[row.reference], loss=3.0) for row in HELD]
    made.add(said, train=train, measured=[(row, 0.1) for row in train], audit=True)
    found = diagnosed(made)
    assert found.findings[0].kind == "references_differ"
    following = EXPLAINS[FindingKind.REFERENCES_DIFFER] & set(kinds(found.findings))
    assert following & (OUTPUTS | FIT | {FindingKind.DATA_GAP})
    assert following.isdisjoint(each.finding for each in found.suggestions)
    assert found.suggestions[0].name == "references_differ/same_references"


FALLING = [3.0 * 0.95**n for n in range(60)]


@pytest.mark.parametrize(
    "make",
    [
        lambda made: made.trained(HELD, FALLING, wrong=40, evals={20: 0.2, 40: 0.5, 60: 1.5}),
        lambda made: made.trained(HELD, [5.0] * 60, wrong=70, metrics={"eval_loss": 4.8}),
        lambda made: made.trained(HELD, [5.0] * 12, wrong=70, metrics={"eval_loss": 4.8}),
        lambda made: made.trained(HELD, FALLING, wrong=40, evals={20: 2.0, 40: 1.2, 60: 0.8}),
        lambda made: made.trained(
            HELD,
            FALLING,
            wrong=40,
            measured=[(row, 0.001) for row in TRAIN[:40]],
            metrics={"train_rows_loss": 0.001, "eval_loss": 0.9, "epochs": 20.0},
        ),
    ],
    ids=["overfitting", "high", "few steps", "still falling", "by heart"],
)
def test_no_two_suggestions_of_a_diagnosis_contradict(
    make: Callable[[Written], IterationFacts], tmp_path: Path
) -> None:
    made = Written(tmp_path)
    made.base(HELD)
    make(made)
    found = diagnosed(made)
    assert found.suggestions
    assert not [pair for pair in combinations(found.suggestions, 2) if contradict(*pair)]
    causes = {each.kind for each in found.findings if not each.follows_from}
    assert {each.finding for each in found.suggestions} <= causes
