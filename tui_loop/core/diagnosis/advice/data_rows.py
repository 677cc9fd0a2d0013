"""Suggestions on data: which rows to add, check or remove. They change no config field."""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.diagnosis.advice.building import make_suggestion, points_gain
from tui_loop.core.diagnosis.advice.capacity import hold_back, seeds_like
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Prediction, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind

LEAST_ROWS, MOST_ROWS = 5, 50
"""The least and most rows that a suggestion asks for."""

ROWS_WANTED = 400
"""Evaluation rows that show a difference of five points (McNemar, if a fifth of the rows
change)."""


def rows_of_weak_slices(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests about as many more training rows as fail, of the group that fails most."""
    failed = _count(finding, "failed") or len(finding.examples)
    name = str(finding.figures.get("slice", "")).partition(": ")[2]
    group = f'"{name}"' if name else "of the finding"
    more = min(max(LEAST_ROWS, failed), MOST_ROWS)
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_ROWS,
        f"add {more} to {2 * more} training rows like the failures in the group {group}",
        because=f"the group {group} fails more often than the rest",
        expects=_fixing(facts, finding, 0.2, 0.7),
        confidence="medium",
        ground="more training rows usually improve a weak group; the gain was not measured",
    )


def rows_for_gaps(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests training rows of the kind that training lacks."""
    value = finding.figures.get("labels") or finding.figures.get("label")
    which = f'labelled "{value}"' if value else "of the kind that fails"
    yield make_suggestion(
        finding,
        SuggestionKind.ROWS_FOR_GAP,
        f"add {LEAST_ROWS * 2} or more training rows {which}",
        because="the training data has few or no rows like the affected examples",
        expects=_fixing(facts, finding, 0.3, 0.9),
        confidence="high",
        ground="no setting makes up for missing training rows",
    )


def balance(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests rows with labels that the model never gives."""
    label = finding.figures.get("label")
    fewer = f', or remove rows labelled "{label}"' if label else ""
    said, due = _count(finding, "said"), _count(finding, "due")
    total = facts.metric("total")
    yield make_suggestion(
        finding,
        SuggestionKind.BALANCE_LABELS,
        f"add training rows with the labels that the model rarely predicts{fewer}",
        because="the model predicts only a few of the labels",
        expects=points_gain(facts, 0.1 * (said - due) / total, 0.6 * (said - due) / total)
        if total and said > due
        else None,
    )


def more_rows(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests more training rows in general."""
    rows = facts.metric("train_rows")
    if rows is None or not finding.figures.get("train_falls", 1):
        return
    by_heart = finding.kind == FindingKind.MEMORISED
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_DATA,
        f"add at least {round(rows / 2):,} new training rows for the same task",
        because="the model has memorized its training rows"
        if by_heart
        else "only the training loss is still falling",
        ground="more training rows usually bring the eval loss closer to the training loss",
        confidence="medium",
    )


def look_at_references(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests checking the evaluation references that the finding is about."""
    if not finding.examples:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.MEND_REFERENCES,
        f"check the suspicious evaluation references, and correct the wrong ones "
        f"(press f in the app, or run tui-loop suspects {facts.folder})",
        because="where a reference is wrong, a right answer counts as a failure",
        expects=_fixing(facts, finding, 0.1, 0.9),
        confidence="medium",
        ground="the finding lists the most suspicious references first",
    )


def look_at_labels(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests checking the training rows with the highest loss."""
    if finding.examples:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.MEND_LABELS,
        f"check the training rows with the highest loss, and correct wrong labels "
        f"(press T in the app, or run tui-loop suspects {facts.folder})",
        because="a row is often mislabelled if its loss stays high while other rows are learned",
        expects=_fixing(facts, finding, 0.1, 0.5),
        confidence="medium",
        ground="the rows with the highest loss are the most suspicious ones",
    )


def remove_repeats(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests removing repeated rows."""
    yield make_suggestion(
        finding,
        SuggestionKind.REMOVE_DUPLICATES,
        "keep only one copy of each repeated training row "
        f"(tui-loop check {facts.folder.loop.name} lists them)",
        because="repeated rows count several times in every epoch",
        confidence="medium",
    )


def part_the_sets(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests removing evaluation rows from training."""
    yield make_suggestion(
        finding,
        SuggestionKind.REMOVE_LEAKAGE,
        "remove the held-out rows from the training data "
        f"(tui-loop check {facts.folder.loop.name} lists them)",
        because="a held-out row that was trained on measures memory, not generalization",
        confidence="high" if "leaked" in finding.figures else "low",
        ground="the score on these rows is inflated; it will fall when training excludes them",
    )


def mark_the_end(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests completions with an end where the record does not show how rows were rendered."""
    if facts.rendering is not None:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.END_TOKEN,
        "train on completions that end with the tokenizer's end-of-sequence token "
        "(tui-loop check --row 1 shows which tokens are trained on)",
        because="the model gives the right answer but does not stop after it",
        expects=_fixing(facts, finding, 0.3, 0.9),
        confidence="medium",
    )


def end_of_text(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests an end-of-sequence token where rows without a chat template have none."""
    if facts.rendering is None or facts.rendering.template is not None:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.END_TOKEN,
        "set training.eos_token to the model's token for the end of a text",
        because="the model has no end-of-sequence token, so nothing ends a training row",
        confidence="high",
        ground="without a chat template, only the end-of-sequence token ends a row",
    )


_TEMPLATE_NEEDS = {
    FindingKind.NO_STOP: "ends each answer with a special token",
    FindingKind.DROPPED: "keeps all parts of a row",
    FindingKind.OTHER_PROMPT: "starts every answer with its generation prompt",
}


def own_template(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests another chat template, which no setting can be guessed for."""
    if facts.rendering is None or facts.rendering.template is None:
        return
    needs = _TEMPLATE_NEEDS[FindingKind(finding.kind)]
    has_file = facts.rendering.template == "file"
    yield make_suggestion(
        finding,
        SuggestionKind.OWN_TEMPLATE,
        f"change the file of data.chat_template so that the template {needs}"
        if has_file
        else f"set data.chat_template to a file with a template that {needs}",
        because="the chat template decides what a training row contains",
        confidence="medium",
        ground="the run counted the affected rows",
    )


def one_form(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests one answer format in all rows."""
    yield make_suggestion(
        finding,
        SuggestionKind.ONE_FORMAT,
        "write all references in one format, and describe that format in data.prompt_template",
        because="outputs have the right content in the wrong format",
        expects=_fixing(facts, finding, 0.3, 0.9),
    )


def more_held_out(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests more evaluation rows."""
    total = facts.metric("total") or len(facts.view or [])
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_EVAL_ROWS,
        f"hold out about {ROWS_WANTED} rows instead of {total:.0f}, or repeat runs with new seeds",
        because="the held-out rows are too few to show a change of a useful size",
        confidence="high",
        ground="the smallest detectable change shrinks with the square root of the number of rows",
    )


def narrow_the_gap(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests regularisation for a certain gap, more evaluation rows for an uncertain one."""
    if finding.figures.get("is_sure"):
        yield from hold_back(facts, finding)
    else:
        yield from more_held_out(facts, finding)


def look_at_holdout(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a fresh evaluation set, or a holdout evaluation where that is possible."""
    loop, best = facts.folder.loop, finding.figures.get("best", facts.number)
    fresh = f"draw a fresh evaluation split (tui-loop fresh {loop.name})"
    can_look = isinstance(best, int) and loop.iteration(best).adapter.exists()
    if can_look and "holdout" in facts.splits:
        ready = f"tui-loop ready {loop.name}/{best}"
        action = f"evaluate iteration {best} on the holdout ({ready}), or {fresh}"
    else:
        action = fresh
    yield make_suggestion(
        finding,
        SuggestionKind.FRESH_EVAL,
        action,
        because="the evaluation set was used for too many decisions to be trusted",
        confidence="high",
        ground="a score is unbiased only on rows that no decision has used",
    )


def repeat_the_best(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests replicates for a small uncertain gain, and reading the failures."""
    if "tries" not in finding.figures:  # a plateau within one run, after which nothing was tried
        return
    best = finding.figures.get("best_before", facts.number)
    name = facts.folder.loop.name
    if isinstance(best, int) and len(seeds_like(facts, best)) < 2:
        yield make_suggestion(
            finding,
            SuggestionKind.REPLICATE,
            f"run iteration {best} again with a different seed, to tell a small gain from training "
            "noise "
            f"(tui-loop run {name} --from {best} --set seed={max(seeds_like(facts, best)) + 1})",
            because=f"iteration {best} still has the best result, but its config was run only once",
            confidence="medium",
            ground="with two runs of each config, the comparison accounts for training noise",
        )
    yield make_suggestion(
        finding,
        SuggestionKind.LOOK_AT_FAILURES,
        "read the examples that still fail "
        f"(press 4, then f in the app, or run tui-loop failures {facts.folder} --summary)",
        because="none of the latest changes improved the result by more than noise",
        confidence="medium",
        ground="a failure that no setting fixes usually has its cause in the data",
    )


def _fixing(
    facts: IterationFacts, finding: Finding, least: float, most: float
) -> Prediction | None:
    """Predicts that a share of the affected examples pass, within these bounds."""
    total = facts.metric("total")
    count = _count(finding, "failed") or len(finding.examples)
    if not total or not count:
        return None
    return points_gain(facts, least * count / total, most * count / total)


def _count(finding: Finding, name: str) -> int:
    value = finding.figures.get(name)
    return value if isinstance(value, int) else 0
