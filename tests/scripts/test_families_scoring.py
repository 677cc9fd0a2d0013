"""How the diagnosis is scored on families: which finding names the cause, which advice fits."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts.planted.families import scoring
from scripts.planted.families.family import DataEdit, Family, sound_train
from scripts.planted.families.open_families import OPEN
from scripts.planted.families.running import Scores
from scripts.planted.families.scoring import EDITS, Scored, edit_of, fits, log, named_by, report
from scripts.planted.families.tasks import BASES, TINY
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Severity, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind


def family(**remedies: Any) -> Family:
    return Family(
        name="f",
        fault="A fault.",
        cause="a cause",
        task="urgency",
        strength=1,
        remedies={name.replace("__", "."): values for name, values in remedies.items()},
        edits={DataEdit.FIX_LABELS: sound_train("urgency", 0)},
    )


def sets(field: str, old: Any, new: Any) -> Suggestion:
    return Suggestion("raise_rank", "plateau", "a", "w", {field: (old, new)})


def advice(kind: SuggestionKind) -> Suggestion:
    return Suggestion(kind, FindingKind.LABEL_NOISE, "a", "w")


def scored(**changes: Any) -> Scored:
    values: dict[str, Any] = {
        "family": "f",
        "task": "urgency",
        "cause": "a cause",
        "scores": Scores(base=0.0, sound=0.9, faulty=0.1),
        "named": ("label_noise",),
        "place": 1,
        "advice": "a",
        "recovered": 0.8,
    }
    return Scored(**values | changes)


@pytest.mark.parametrize(
    ("old", "new", "is_fitting"),
    [
        (1e-5, 1e-3, True),  # in the range
        (1e-5, 1e-4, True),  # on the way to it
        (1e-5, 1e-6, False),  # away from it
        (1e-5, 1.0, False),  # past it
        (0.5, 0.1, True),
        (0.5, 0.9, False),
        (1e-5, None, False),
    ],
)
def test_a_suggestion_of_a_number_fits_in_the_range_of_a_remedy_or_towards_it(
    old: float, new: float | None, is_fitting: bool
) -> None:
    repaired = family(training__learning_rate=(5e-4, 1e-2))
    assert fits(sets("training.learning_rate", old, new), repaired) is is_fitting
    assert not fits(sets("training.weight_decay", old, new), repaired)


def test_a_suggestion_of_a_value_fits_where_it_is_one_that_repairs() -> None:
    repaired = family(data__max_train_rows=(200, 2000, None), training__packing=(False,))
    assert fits(sets("data.max_train_rows", 24, None), repaired)
    assert fits(sets("training.packing", True, False), repaired)
    assert not fits(sets("training.packing", False, True), repaired)


def test_advice_on_rows_fits_where_the_family_is_repaired_by_such_an_edit() -> None:
    repaired = family(fix_labels=True)
    assert edit_of(advice(SuggestionKind.MEND_LABELS), repaired) == DataEdit.FIX_LABELS
    assert fits(advice(SuggestionKind.MEND_LABELS), repaired)
    assert not fits(advice(SuggestionKind.MORE_DATA), repaired)
    assert not fits(advice(SuggestionKind.MEND_LABELS), family(training__seed=(1,)))


def test_data_edits_belong_to_suggestions_that_exist() -> None:
    assert all(SuggestionKind(kind) and edits for kind, edits in EDITS.items())


def test_causes_are_findings_with_advice_and_notes_count_where_nothing_is_graver() -> None:
    def finding(kind: str, severity: Severity) -> Finding:
        return Finding(kind, severity, "m")

    def suggestion(kind: str) -> Suggestion:
        return Suggestion("more_data", kind, "a", "w")

    findings = (
        finding("plateau", "alarm"),
        finding("overfitting", "warning"),
        finding("slow", "note"),
    )
    advised = (suggestion("slow"), suggestion("overfitting"))
    assert named_by(Diagnosis(1, findings, advised)) == ("overfitting",)
    assert named_by(Diagnosis(1, findings, advised[:1])) == ("slow",)
    assert named_by(Diagnosis(1, findings)) == ()


def test_a_cause_counts_as_found_in_the_first_two_places() -> None:
    assert [scored(place=place).is_found for place in (1, 2, 3, None)] == [True, True, False, False]
    assert [scored(place=place).is_wrong for place in (1, 2, None)] == [False, True, True]
    unsure = scored(named=("unexplained",), place=None)
    assert (unsure.is_unexplained, unsure.is_wrong, unsure.is_silent) == (True, False, False)
    silent = scored(named=(), place=None, advice="", recovered=None)
    assert (silent.is_silent, silent.is_wrong, silent.is_useful) == (True, False, False)
    assert [scored(recovered=share).is_useful for share in (0.5, 0.49, None)] == [
        True,
        False,
        False,
    ]


def test_a_report_lists_families_totals_and_alarms() -> None:
    unseen = scored(family="weak", scores=Scores(base=0.0, sound=0.9, faulty=0.85))
    lines = list(report([scored(), unseen], {"sound-a": [], "sound-b": ["overfitting"]}))
    text = "\n".join(lines)
    assert "cause named first or second: 1 of 1 (100%)" in text
    assert "the score does not show the fault: weak" in text
    assert "alarms: in 1 of 2 healthy runs" in text
    assert "sound-b: overfitting" in text


def test_a_scoring_is_added_to_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "SCORINGS", tmp_path / "scorings.toml")
    log("first", [scored(), scored(family="g", place=None)])
    log("second", [scored()])
    first, second = tomllib.loads((tmp_path / "scorings.toml").read_text())["scoring"]
    assert (first["note"], first["families"], first["found"]) == ("first", 2, 1)
    assert first["names"] == ["f", "g"]
    assert len(first["commit"]) >= 7
    assert second["note"] == "second"


def test_on_another_base_every_rate_is_scaled_and_rows_are_fewer() -> None:
    base = next(each for each in BASES if each.id == "smollm2")
    high = next(each for each in OPEN if each.name == "open-rate-too-high")
    moved = high.on(base)
    rate = "training.learning_rate"
    assert moved.settings[rate] == pytest.approx(0.2 * high.settings[rate])
    assert moved.remedies[rate] == pytest.approx([0.2 * each for each in high.remedies[rate]])
    assert moved.base_task().settings[rate] == pytest.approx(0.2 * high.base_task().settings[rate])
    assert moved.base_task().settings["model.id"] == "smollm2"
    [train], held = moved.rows()
    assert (len(train), len(held)) == (120, 40)
    full, _ = high.base_task().rows(high.seed)
    assert [row for row in full if row in train] == train, "in the order of the file"
    assert high.on(TINY) == high
