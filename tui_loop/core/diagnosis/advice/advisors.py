"""Assigns advisors to the kinds of findings, and orders their suggestions.

The best suggestion comes first: by the severity of its finding, its confidence, and the results of
its kind so far in these loops. A suggestion that was tried already comes last and is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tui_loop.core.config.schema import BOOKKEEPING, Config
from tui_loop.core.config.tables import flatten
from tui_loop.core.config.validation import read_config
from tui_loop.core.diagnosis.advice import (
    Advisor,
    capacity,
    data_rows,
    experiments,
    learning_rate,
    lengths,
    mismatch,
)
from tui_loop.core.diagnosis.advice.building import are_same_settings
from tui_loop.core.diagnosis.advice.learning_rate import RATE
from tui_loop.core.diagnosis.experience import Experience, Tally
from tui_loop.core.diagnosis.explaining import EXPLAINS, without_contradictions
from tui_loop.core.diagnosis.facts import IterationFacts, config_of, metric_of
from tui_loop.core.diagnosis.findings import Finding, Prediction, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.errors import BadInput
from tui_loop.core.patterns.directions import Tried
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

ADVISORS: Mapping[str, Sequence[Advisor]] = {
    FindingKind.FAILED: [lengths.less_memory],
    FindingKind.DIVERGED: [learning_rate.lower_learning_rate, learning_rate.steady],
    FindingKind.LEARNING_RATE_TOO_HIGH: [learning_rate.lower_learning_rate],
    FindingKind.UNSTABLE: [learning_rate.steady, learning_rate.slower],
    FindingKind.HELD_BACK: [learning_rate.usual_steps],
    FindingKind.LEARNING_RATE_TOO_LOW: [learning_rate.raise_learning_rate],
    FindingKind.UNDERFITTING: [
        capacity.all_steps,
        capacity.smaller_batches,
        learning_rate.raise_learning_rate,
        capacity.train_longer,
    ],
    FindingKind.OVERFITTING: [capacity.stop_earlier, capacity.hold_back],
    FindingKind.MEMORISED: [capacity.stop_earlier, capacity.hold_back, data_rows.more_rows],
    FindingKind.GENERALISATION_GAP: [data_rows.narrow_the_gap],
    FindingKind.UNDERTRAINED_ADAPTER: [capacity.larger_adapter],
    FindingKind.NOTHING_TRAINED: [lengths.longer_inputs, learning_rate.raise_learning_rate],
    FindingKind.DILUTED_LOSS: [lengths.loss_on_the_answer],
    FindingKind.NO_STOP: [
        lengths.without_template,
        data_rows.own_template,
        data_rows.end_of_text,
    ],
    FindingKind.DROPPED: [data_rows.own_template],
    FindingKind.OTHER_PROMPT: [data_rows.own_template],
    FindingKind.TRUNCATED_INPUTS: [lengths.longer_inputs],
    FindingKind.TRUNCATED_OUTPUTS: [lengths.longer_outputs],
    FindingKind.NO_END_TOKEN: [
        data_rows.mark_the_end,
        capacity.teach_the_end,
        lengths.longer_outputs,
    ],
    FindingKind.FORMAT_ERRORS: [data_rows.one_form],
    FindingKind.CLASS_BIAS: [data_rows.balance],
    FindingKind.WEAK_SLICE: [data_rows.rows_of_weak_slices],
    FindingKind.EXCHANGED_COLUMNS: [mismatch.rows_alike],
    FindingKind.POOR_PROMPTS: [mismatch.rows_alike],
    FindingKind.REFERENCES_DIFFER: [mismatch.rows_alike],
    FindingKind.PROMPTS_DIFFER: [mismatch.rows_alike],
    FindingKind.ANSWER_IN_PROMPT: [mismatch.without_hints],
    FindingKind.TWO_NAMES: [mismatch.rows_alike],
    FindingKind.BAD_REFERENCES: [mismatch.without_bad_rows],
    FindingKind.OTHER_VOCABULARY: [mismatch.rows_alike],
    FindingKind.UNBALANCED_LABELS: [mismatch.rows_alike, mismatch.look_at_default],
    FindingKind.SORTED_ROWS: [mismatch.shuffled],
    FindingKind.UNWANTED_REFERENCES: [mismatch.rows_alike],
    FindingKind.GARBLED_TEXT: [mismatch.rows_alike],
    FindingKind.FEW_ROWS: [mismatch.more_different_rows],
    FindingKind.CONFUSED_LABELS: [mismatch.rows_alike],
    FindingKind.UNUSUAL_SETTING: [mismatch.usual_value],
    FindingKind.LABEL_NOT_LISTED: [mismatch.all_labels],
    FindingKind.SAMPLED: [mismatch.greedy],
    FindingKind.STOP_IN_REFERENCES: [mismatch.other_stop],
    FindingKind.METRIC_MISFIT: [mismatch.fitting_metric],
    FindingKind.PARTLY_TRAINED: [mismatch.train_all_answers],
    FindingKind.WORSE_THAN_PARENT: [mismatch.undo],
    FindingKind.POOR_START: [mismatch.fresh_start],
    FindingKind.DATA_GAP: [data_rows.rows_for_gaps],
    FindingKind.LABEL_NOISE: [data_rows.look_at_references, data_rows.look_at_labels],
    FindingKind.DUPLICATES: [data_rows.remove_repeats],
    FindingKind.LEAKAGE: [data_rows.part_the_sets],
    FindingKind.WORSE_THAN_BASE: [learning_rate.gentler],
    FindingKind.FORGETTING: [learning_rate.gentler, capacity.smaller_adapter],
    FindingKind.EVAL_TOO_SMALL: [data_rows.more_held_out],
    FindingKind.EVAL_OVERFIT: [data_rows.look_at_holdout],
    FindingKind.PLATEAU: [data_rows.repeat_the_best, capacity.after_plateau, data_rows.more_rows],
    FindingKind.UNDECIDED: [capacity.replicate],
    FindingKind.UNEXPLAINED: [experiments.two_experiments],
    FindingKind.EXPERIMENT: [experiments.after_experiment],
    FindingKind.SLOW: [lengths.faster],
}

_GRAVITY = {"alarm": 3.0, "warning": 2.0, "note": 1.0}
CAUSE_WEIGHT = 2.0
"""A suggestion for a cause comes before one for what may follow from it."""

_SURE = {"high": 1.0, "medium": 0.7, "low": 0.4}

Key = tuple[str, ...]


def suggestions_for(
    facts: IterationFacts, findings: Sequence[Finding], experience: Experience
) -> tuple[Suggestion, ...]:
    """Returns suggestions, the best first; each change once, for its most serious finding."""
    found: dict[Key, Suggestion] = {}
    weights: dict[Key, float] = {}
    for finding in findings:
        if finding.follows_from:
            continue
        for advisor in ADVISORS.get(finding.kind, ()):
            for each in advisor(facts, finding):
                key = _key(each)
                if key in found or _is_nothing(each):
                    continue
                tally, went = experience.of(each.kind), _went(facts, each)
                found[key] = _completed(facts, _sober(each, finding), tally, went)
                gravity = _GRAVITY[finding.severity] * _SURE[each.confidence]
                gravity *= CAUSE_WEIGHT if finding.kind in EXPLAINS else 1.0
                weights[key] = gravity * tally.weight * _weight_of(went)
    return without_contradictions(
        sorted(
            found.values(),
            # To go back to what was better is no repetition.
            key=lambda each: (
                bool(each.tried) and each.kind != SuggestionKind.UNDO,
                -weights[_key(each)],
            ),
        )
    )


def _sober(suggestion: Suggestion, finding: Finding) -> Suggestion:
    """Returns the suggestion with at most medium confidence where its finding is only a note."""
    if finding.severity != "note" or suggestion.confidence != "high":
        return suggestion
    return msgspec.structs.replace(suggestion, confidence="medium")


def _completed(
    facts: IterationFacts, suggestion: Suggestion, tally: Tally, went: Tried
) -> Suggestion:
    """Adds earlier tries, the record of its kind, and the results of such changes on this base."""
    tried = _tried(facts, suggestion)
    text = "; ".join(filter(None, (tally.words, _words_of(went))))
    completed = msgspec.structs.replace(
        suggestion, tried=tuple(each.number for each in tried), record=text
    )
    return _as_measured(facts, completed, tried)


def _as_measured(
    facts: IterationFacts, suggestion: Suggestion, tried: Sequence[Iteration]
) -> Suggestion:
    """Replaces the prediction of a tried suggestion by its known result."""
    score = facts.metric("score")
    reached = {
        each.number: value
        for each in tried
        if (value := metric_of(each, "score")) is not None and each.state == "finished"
    }
    if score is None or not reached:
        return suggestion
    text = ", ".join(
        f"{figures.percent(each)} (iteration {number})" for number, each in reached.items()
    )
    return msgspec.structs.replace(
        suggestion,
        expects=Prediction("score", score, min(reached.values()), max(reached.values())),
        confidence="high",
        ground=f"the same settings reached a score of {text}",
    )


def _went(facts: IterationFacts, suggestion: Suggestion) -> Tried:
    """Returns the results of earlier changes of its field in its direction.

    Empty for a suggestion with several fields, and for a learning rate, whose right direction
    depends on its current value.
    """
    if len(suggestion.changes) != 1 or RATE in suggestion.changes:
        return Tried()
    ((field, (old, new)),) = suggestion.changes.items()
    return facts.lessons.went(field, old, new)


def _words_of(went: Tried) -> str:
    """Returns `raising r helped in 1 of 3 tries on this base model`."""
    if not went.changes:
        return ""
    first, total = went.changes[0], len(went.changes)
    word = "raising" if first.side == "up" else "lowering"
    label, helped = first.field.partition(".")[2], went.count("helped")
    tries = counted(total, "try", "tries")
    return f"{word} {label} helped in {helped} of {tries} on this base model"


def _weight_of(went: Tried) -> float:
    """Returns a weight between 0 and 2 from the results of such changes, as `Tally.weight` does."""
    good = went.count("helped") + 0.5 * went.count("same")
    return 2 * (good + 1) / (len(went.changes) + 2)


def _tried(facts: IterationFacts, suggestion: Suggestion) -> list[Iteration]:
    """Returns the iterations of this loop, on the same rows, with the suggested config."""
    if facts.config is None or BOOKKEEPING.issuperset(suggestion.changes):
        return []  # advice on data, another seed, or a field without effect on results
    wanted = with_changes(facts.config, suggestion)
    rows = facts.row_digests(facts.number)
    # The same settings on other rows are a different experiment.
    return [
        each
        for each in facts.iterations
        if each.number
        and wanted is not None
        and (theirs := config_of(each)) is not None
        and are_same_settings(theirs, wanted)
        and facts.row_digests(each.number) == rows
    ]


def with_changes(config: Config, suggestion: Suggestion) -> Config | None:
    """Returns the config with a suggestion's changes, None where they conflict."""
    flat = flatten(config) | {name: new for name, (_, new) in suggestion.changes.items()}
    tables: dict[str, dict[str, object]] = {}
    for name, value in flat.items():
        group, _, field = name.partition(".")
        tables.setdefault(group, {})[field] = value
    try:
        return read_config(tables)
    except BadInput:
        return None


def _key(suggestion: Suggestion) -> Key:
    """Returns a key that equivalent suggestions share."""
    if not suggestion.changes:
        return suggestion.kind, suggestion.action
    return tuple(f"{name}={new!r}" for name, (_, new) in sorted(suggestion.changes.items()))


def _is_nothing(suggestion: Suggestion) -> bool:
    """Returns whether a change sets fields to their current values."""
    pairs = suggestion.changes.values()
    return bool(pairs) and all(old == new for old, new in pairs)
