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
    kind, _, name = str(finding.figures.get("slice", "")).partition(": ")
    group = f'"{name}"' if kind in ("label", "words") else name or "these"
    more = min(max(LEAST_ROWS, failed), MOST_ROWS)
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_ROWS,
        f"{more} to {2 * more} more training rows of {group}, like those that fail",
        because=f"{group} fails more than the rest",
        expects=_fixing(facts, finding, 0.2, 0.7),
        confidence="medium",
        ground="groups that fail get better with rows of their own kind; how much was not "
        "measured here",
    )


def rows_for_gaps(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests training rows of the kind that training lacks."""
    value = finding.figures.get("labels") or finding.figures.get("label")
    names = f'"{value}"' if value else "the kind that fails"
    yield make_suggestion(
        finding,
        SuggestionKind.ROWS_FOR_GAP,
        f"{LEAST_ROWS * 2} or more training rows of {names}",
        because="training has nothing, or nearly nothing, like them",
        expects=_fixing(facts, finding, 0.3, 0.9),
        confidence="high",
        ground="no setting teaches what no row shows",
    )


def balance(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests rows with labels that the model never gives."""
    label = finding.figures.get("label")
    fewer = f', or fewer of "{label}"' if label else ""
    said, due = _count(finding, "said"), _count(finding, "due")
    total = facts.metric("total")
    yield make_suggestion(
        finding,
        SuggestionKind.BALANCE_LABELS,
        f"more training rows of the labels that are hardly said{fewer}",
        because="the model answers with few labels",
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
        f"at least {round(rows / 2):,} more training rows of the same kind",
        because="the model has memorized the rows that it has"
        if by_heart
        else "only the training loss still falls",
        ground="more training rows narrow a gap between training and held-out rows",
        confidence="medium",
    )


def look_at_references(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests checking the evaluation references that the finding is about."""
    if not finding.examples:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.MEND_REFERENCES,
        f"check these evaluation references, and correct the wrong ones "
        f"(f, or tui-loop suspects {facts.folder})",
        because="a right answer counts as wrong where its reference is wrong",
        expects=_fixing(facts, finding, 0.1, 0.9),
        confidence="medium",
        ground="the examples are listed, the hardest first",
    )


def look_at_labels(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests checking the training rows with the highest loss."""
    if finding.examples:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.MEND_LABELS,
        f"check the hardest training rows and fix their labels (T, or tui-loop suspects "
        f"{facts.folder})",
        because="rows that stay hard while the rest is learned are often mislabelled",
        expects=_fixing(facts, finding, 0.1, 0.5),
        confidence="medium",
        ground="the rows are listed, the hardest first",
    )


def remove_repeats(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests removing repeated rows."""
    yield make_suggestion(
        finding,
        SuggestionKind.REMOVE_DUPLICATES,
        f"keep one of each repeated training row (tui-loop check {facts.folder.loop.name} lists "
        "them)",
        because="repeated rows count several times in every pass",
        confidence="medium",
    )


def part_the_sets(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests removing evaluation rows from training."""
    yield make_suggestion(
        finding,
        SuggestionKind.REMOVE_LEAKAGE,
        "take the rows that are also held out from the training data (tui-loop check "
        f"{facts.folder.loop.name} lists them)",
        because="what was trained on measures nothing",
        confidence="high" if "leaked" in finding.figures else "low",
        ground="the score of these rows is memory; expect it to fall to the true one",
    )


def mark_the_end(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests completions with an end where the record does not show how rows were rendered."""
    if facts.rendering is not None:
        return
    yield make_suggestion(
        finding,
        SuggestionKind.END_TOKEN,
        "train on rows that end: completions as they are, with the tokenizer's end token after "
        "them (tui-loop check --row 1 shows what is trained on)",
        because="the model answers right and does not stop",
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
        "training.eos_token = TOKEN, a token of the model that ends a text",
        because="the model has no end-of-sequence token, so nothing ends a training row",
        confidence="high",
        ground="a row without a chat template ends with the end-of-sequence token",
    )


_TEMPLATE_NEEDS = {
    FindingKind.NO_STOP: "ends each answer with a special token",
    FindingKind.DROPPED: "keeps all parts of the rows",
    FindingKind.OTHER_PROMPT: "starts answers with its generation prompt",
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
        f"correct the file of data.chat_template so that the template {needs}"
        if has_file
        else f"data.chat_template = FILE, a template that {needs}",
        because="the chat template decides what a training row contains",
        confidence="medium",
        ground="the run counted the rows",
    )


def one_form(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests one answer format in all rows."""
    yield make_suggestion(
        finding,
        SuggestionKind.ONE_FORMAT,
        "write all references in one form, and say it in data.prompt_template",
        because="the content is right and the form is not",
        expects=_fixing(facts, finding, 0.3, 0.9),
    )


def more_held_out(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests more evaluation rows."""
    total = facts.metric("total") or len(facts.view or [])
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_EVAL_ROWS,
        f"hold out about {ROWS_WANTED} rows instead of {total:.0f}, or repeat runs",
        because="no change of a useful size can be seen with so few",
        confidence="high",
        ground="what the paired test can show grows with the square root of the examples",
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
    fresh = f"draw a fresh split (tui-loop fresh {loop.name})"
    can_look = isinstance(best, int) and loop.iteration(best).adapter.exists()
    if can_look and "holdout" in facts.splits:
        action = f"hold {best} against the holdout (tui-loop ready {loop.name}/{best}), or {fresh}"
    else:
        action = fresh
    yield make_suggestion(
        finding,
        SuggestionKind.FRESH_EVAL,
        action,
        because="the eval set has chosen too often to be trusted",
        confidence="high",
        ground="rows that no choice was made by are the only ones without this luck",
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
            f"run {best} again under another seed, to tell a small gain from training noise "
            f"(tui-loop run {name} --from {best} --set seed={max(seeds_like(facts, best)) + 1})",
            because=f"of {best}, which nothing tried since is better than, there is one run alone",
            confidence="medium",
            ground="two runs of each config put the training noise into the interval",
        )
    yield make_suggestion(
        finding,
        SuggestionKind.LOOK_AT_FAILURES,
        f"read what still fails (4, f; or tui-loop failures {facts.folder} --summary)",
        because="nothing tried lately was better by more than noise",
        confidence="medium",
        ground="what no setting fixes is usually in the rows",
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
