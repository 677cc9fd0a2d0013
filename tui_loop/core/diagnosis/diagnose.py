"""Diagnoses an iteration: findings, suggestions, and the verdict on its prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.diagnosis.advice.advisors import suggestions_for
from tui_loop.core.diagnosis.experience import experience_beside
from tui_loop.core.diagnosis.explaining import with_causes
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Verdict
from tui_loop.core.diagnosis.rules import (
    data_mismatch,
    evaluation_set,
    generalization,
    label_noise,
    learning_rate,
    lineage,
    measuring,
    neighbours,
    outputs,
    rendered_rows,
    row_quality,
    run_health,
    settings,
    step_size,
    training_data,
    truncation,
    unexplained,
    unusual_settings,
)
from tui_loop.core.diagnosis.verdicts import verdict_of
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.patterns.all_patterns import PatternsReader
from tui_loop.core.patterns.trials import Trial
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.text.secrets import redacted

Rule = Callable[[IterationFacts], Iterable[Finding]]

TRAINING_RULES: tuple[Rule, ...] = (
    unexplained.experiment,
    run_health.failed,
    run_health.diverged,
    run_health.nothing_trained,
    run_health.unstable,
    learning_rate.learning_rate_too_high,
    step_size.held_back,
    unusual_settings.unusual_setting,
    learning_rate.learning_rate_too_low,
)
FACT_RULES: tuple[Rule, ...] = (
    data_mismatch.exchanged_columns,
    data_mismatch.poor_prompts,
    measuring.sampled,
    measuring.stop_in_references,
    measuring.label_not_listed,
    measuring.partly_trained,
    data_mismatch.references_differ,
    measuring.metric_misfit,
    data_mismatch.answer_in_prompt,
    data_mismatch.prompts_differ,
    row_quality.bad_references,
    row_quality.two_names,
    row_quality.sorted_rows,
    data_mismatch.other_vocabulary,
    data_mismatch.unbalanced_labels,
    row_quality.unwanted_references,
    row_quality.garbled_text,
    row_quality.few_rows,
    outputs.confused_labels,
)
LINEAGE_RULES: tuple[Rule, ...] = (lineage.poor_start, lineage.worse_than_parent)
FIT_RULES: tuple[Rule, ...] = (
    learning_rate.underfitting,
    learning_rate.loss_plateau,
    generalization.overfitting,
    generalization.memorised,
    generalization.generalisation_gap,
)
DATA_RULES: tuple[Rule, ...] = (
    training_data.duplicates,
    training_data.leakage,
    label_noise.hard_training_rows,
    label_noise.contradictions,
    neighbours.neighbours_disagree,
    label_noise.suspect_references,
    label_noise.still_hard,
    label_noise.next_to_impossible,
    rendered_rows.no_stop,
    rendered_rows.dropped,
    rendered_rows.other_prompt,
    truncation.truncated_inputs,
    training_data.missing_labels,
    training_data.rare_labels,
    training_data.far_failures,
    evaluation_set.eval_too_small,
)
OUTPUT_RULES: tuple[Rule, ...] = (
    generalization.worse_than_base,
    generalization.forgetting,
    truncation.ending,
    outputs.format_errors,
    outputs.class_bias,
    outputs.weak_slice,
)
ITERATION_RULES: tuple[Rule, ...] = (
    evaluation_set.no_gain,
    evaluation_set.eval_overfit,
    evaluation_set.undecided,
)
SETTING_RULES: tuple[Rule, ...] = (
    settings.diluted_loss,
    settings.undertrained_adapter,
    settings.slow,
)

RULES = (
    *TRAINING_RULES,
    *FACT_RULES,
    *LINEAGE_RULES,
    *FIT_RULES,
    *DATA_RULES,
    *OUTPUT_RULES,
    *ITERATION_RULES,
    *SETTING_RULES,
)
"""All rules. Findings of equal severity keep this order."""

PATTERNS_SECONDS = 1.0
"""The time limit for reading the patterns of all loops. A later diagnosis continues."""

MESSAGE_LENGTH, NAME_LENGTH = 2000, 200
"""The most characters of a message, and of a text in the figures. They come from the record, advice
repeats them, and decisions keep advice."""

_ORDER = {"alarm": 0, "warning": 1, "note": 2}


class Diagnoser:
    """Diagnoses iterations of one loop, reading each file once while it does not change."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._evaluations = Evaluations(reader)
        self._comparer = Comparer(reader)
        self._patterns = PatternsReader(LoopsFolder(reader.loop.path.parent))

    def facts(self, number: int) -> IterationFacts:
        """Returns the facts on an iteration, which need not exist."""
        return IterationFacts(self._reader, self._evaluations, self._comparer, number, self._trials)

    def _trials(self) -> Sequence[Trial]:
        return self._patterns.poll(PATTERNS_SECONDS).trials

    def diagnose(self, number: int) -> Diagnosis:
        """Returns the diagnosis of an iteration that has ended; raises NotFound."""
        self._reader.loop.existing(number)
        with self._reader.steady():
            return self._diagnose(number)

    def _diagnose(self, number: int) -> Diagnosis:
        facts = self.facts(number)
        found = [bounded(finding) for rule in RULES for finding in rule(facts)]
        findings = by_gravity([*found, *unexplained.unexplained(facts, found)])
        suggestions = suggestions_for(facts, findings, experience_beside(self._reader.loop))
        return Diagnosis(number, findings, suggestions, self.verdict(facts))

    def verdict(self, facts: IterationFacts) -> Verdict | None:
        """Returns the verdict on an iteration's prediction."""
        try:
            decision = facts.folder.read_decision()
        except (BadInput, OSError):
            return None
        return verdict_of(self._comparer, facts.iteration, decision)


def diagnose(loop: LoopFolder, number: int) -> Diagnosis:
    """Reads a loop and returns the diagnosis of one iteration; raises NotFound."""
    return Diagnoser(LoopReader(loop)).diagnose(number)


def bounded(finding: Finding) -> Finding:
    """Returns the finding with a shortened message and shortened figures, and without secrets.

    Both repeat texts of the record (labels, groups, a run's error), which may be of any length.
    """
    figures = {
        name: value[:NAME_LENGTH] if isinstance(value, str) else value
        for name, value in finding.figures.items()
    }
    message = redacted(finding.message)[:MESSAGE_LENGTH]
    return msgspec.structs.replace(finding, message=message, figures=figures)


def by_gravity(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sorts alarms first, then warnings, then notes; each keeps the order of the rules.

    What follows from other findings comes after all causes that are no notes.
    """
    ordered = with_causes(sorted(findings, key=lambda each: _ORDER[each.severity]))
    return tuple(
        sorted(ordered, key=lambda each: bool(each.follows_from) or each.severity == "note")
    )
