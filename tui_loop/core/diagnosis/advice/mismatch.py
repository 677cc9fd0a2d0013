"""Suggestions on what the audit, the evaluation's settings and the lineage show."""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.config.data_sources import sources_of
from tui_loop.core.config.tables import flatten
from tui_loop.core.diagnosis.advice.building import gain, make_suggestion, propose
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Confidence, Finding, Severity, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.rules.lineage import changes_from_parent

COUNTED = "the run counted the rows"

DEFAULT = 0.6
"""A label of more than this share of the training rows may be a default."""

_SURE: dict[Severity, Confidence] = {"alarm": "high", "warning": "medium", "note": "low"}

USUAL_FRACTION = 0.1
"""The default of data.eval_fraction."""

_ADVICE: dict[str, tuple[SuggestionKind, str, str]] = {
    FindingKind.EXCHANGED_COLUMNS: (
        SuggestionKind.MAP_COLUMNS,
        "name the columns in data.columns (prompt and completion), or exchange them in the file",
        "the model was trained to write prompts",
    ),
    FindingKind.POOR_PROMPTS: (
        SuggestionKind.MAP_COLUMNS,
        "name the column with the whole input in data.columns (prompt), or add to the prompt what "
        "the answer depends on",
        "no model can tell apart rows with one prompt",
    ),
    FindingKind.REFERENCES_DIFFER: (
        SuggestionKind.SAME_REFERENCES,
        "write the training references like those of the evaluation, or the reverse",
        "the model answers in the form that it was trained on, and that form fails",
    ),
    FindingKind.PROMPTS_DIFFER: (
        SuggestionKind.SAME_PROMPTS,
        "write the prompts of both sides alike: one template, one system text, one length",
        "the model was trained on other prompts than it is asked",
    ),
    FindingKind.TWO_NAMES: (
        SuggestionKind.ONE_NAME,
        "use one name for each class in the training rows, the one that the evaluation uses",
        "half of what is taught about the class is marked wrong",
    ),
    FindingKind.OTHER_VOCABULARY: (
        SuggestionKind.ROWS_LIKE_EVAL,
        "add training rows like the evaluation's, from the same source",
        "nothing in training resembles what is asked",
    ),
    FindingKind.UNBALANCED_LABELS: (
        SuggestionKind.BALANCE_LABELS,
        "train on about as many rows of each label as the evaluation has of it",
        "the commonest label wins wherever the model is unsure",
    ),
    FindingKind.UNWANTED_REFERENCES: (
        SuggestionKind.REMOVE_ROWS,
        "remove these rows from training, or give them the names that the evaluation uses",
        "they teach answers that are never wanted",
    ),
    FindingKind.GARBLED_TEXT: (
        SuggestionKind.MEND_ENCODING,
        "read the file in its own encoding, and write it as UTF-8",
        "garbled words are other words to the model",
    ),
    FindingKind.CONFUSED_LABELS: (
        SuggestionKind.MEND_LABELS,
        "compare some training rows of both labels with the evaluation's, and correct the wrong "
        "side",
        "the model does what its rows say",
    ),
}
"""What to do with the rows, and why, by kind of finding."""


def rows_alike(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the change of the rows that removes what the finding reports."""
    kind, action, because = _ADVICE[finding.kind]
    yield make_suggestion(
        finding,
        kind,
        action,
        because=because,
        expects=gain(facts, 0.2, 0.9) if finding.severity == "alarm" else gain(facts, 0.05, 0.6),
        confidence=_confidence(finding),
        ground=COUNTED,
    )


def more_different_rows(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests all rows of the data where the config leaves some out, else more rows."""
    if facts.config is None:
        return
    data = facts.config.data
    fields: dict[str, object] = {}
    capped = [name for name, each in sources_of(data.train).items() if each.max_rows is not None]
    if data.max_train_rows is not None:
        fields["data.max_train_rows"] = None
    elif capped:
        sources = flatten(facts.config)["data.train"]
        fields["data.train"] = {
            name: {field: value for field, value in source.items() if field != "max_rows"}
            for name, source in sources.items()
        }
    elif data.eval is None and data.eval_fraction > USUAL_FRACTION:
        fields["data.eval_fraction"] = USUAL_FRACTION
    if fields:
        yield propose(
            facts,
            finding,
            SuggestionKind.ALL_ROWS,
            fields,
            because="the config leaves out rows that the data has",
            expects=gain(facts, 0.1, 0.9),
            confidence="high",
            ground="the config",
        )
        return
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_DATA,
        "train on some hundred different rows of the same kind",
        because="so few rows do not cover a task",
        expects=gain(facts, 0.05, 0.7),
        confidence="medium",
        ground=COUNTED,
    )


def usual_value(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the usual value of a setting."""
    name = str(finding.figures["setting"])
    yield propose(
        facts,
        finding,
        SuggestionKind.USUAL_VALUE,
        {name: finding.figures["usual"] if finding.figures["usual"] != "" else None},
        because="it is far outside the usual range",
        expects=gain(facts, 0.1, 0.9),
        confidence="medium",
        ground="what nearly all runs use",
    )


def all_labels(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the labels of the data instead of those of the config."""
    yield propose(
        facts,
        finding,
        SuggestionKind.ALL_LABELS,
        {"evaluation.labels": None},
        because="the label set of the config is not that of the data",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="the references of the evaluation",
    )


def look_at_default(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests to read rows of a label that most training rows have."""
    share = finding.figures.get("train")
    if not isinstance(share, float) or share < DEFAULT:
        return
    label = finding.figures.get("label")
    yield make_suggestion(
        finding,
        SuggestionKind.MEND_LABELS,
        f'read some training rows with the reference "{label}", and correct the wrong ones',
        because="a default label on rows that nobody labelled looks the same",
        confidence="low",
        ground=COUNTED,
    )


def without_hints(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests prompts without their reference."""
    side = str(finding.figures.get("side"))
    if side == "both" and finding.severity == "note":
        return
    where = {"train": "training", "eval": "evaluation"}.get(side, "training and evaluation")
    yield make_suggestion(
        finding,
        SuggestionKind.REMOVE_HINTS,
        f"take the reference out of the {where} prompts",
        because="the model copies what it is given and cannot do without",
        expects=gain(facts, 0.2, 0.9) if side == "train" else None,
        confidence=_confidence(finding),
        ground=COUNTED,
    )


def without_bad_rows(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests usable references, or fewer rows."""
    where = "training" if finding.figures.get("side") == "train" else "evaluation"
    yield make_suggestion(
        finding,
        SuggestionKind.REMOVE_ROWS,
        f"correct these {where} references, or remove their rows",
        because="a reference that is no answer teaches none",
        expects=gain(facts, 0.05, 0.7),
        confidence=_confidence(finding),
        ground=COUNTED,
    )


def shuffled(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests shuffled training rows."""
    yield propose(
        facts,
        finding,
        SuggestionKind.SHUFFLE,
        {"training.train_sampling_strategy": "random"},
        because="each batch showed one kind of row",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="the run's own order of the rows",
    )


def greedy(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests greedy outputs."""
    if finding.severity == "note":
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.GREEDY,
        {"evaluation.do_sample": False},
        because="the score measures the draws as much as the model",
        expects=gain(facts, 0.05, 0.9),
        confidence="high" if finding.severity == "alarm" else "medium",
        ground="greedy outputs are the most probable ones and are the same each time",
    )


def other_stop(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the stop texts without the one that references contain."""
    if facts.config is None:
        return
    stop = finding.figures.get("stop")
    yield propose(
        facts,
        finding,
        SuggestionKind.OTHER_STOP,
        {"evaluation.stop": [each for each in facts.config.evaluation.stop if each != stop]},
        because="outputs end before they can match the references",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="the references contain it",
    )


def fitting_metric(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the metric that fits the form of the references."""
    fitting, total = finding.figures["fitting"], finding.figures["total"]
    passed = finding.figures["would_pass"]
    yield propose(
        facts,
        finding,
        SuggestionKind.SET_METRIC,
        {"evaluation.metric": fitting},
        because=f"{fitting} passes {passed} of {total} of the same outputs",
        confidence="high",
        ground="computed from the recorded outputs",
    )


def train_all_answers(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a loss on all answers."""
    if facts.config is None or facts.config.data.train_on == "assistant":
        yield make_suggestion(
            finding,
            SuggestionKind.TRAIN_ALL_ANSWERS,
            "train on all answers of whole conversations, without a weight of 0 on any turn",
            because="answers are scored that were never trained on",
            expects=gain(facts, 0.1, 0.8),
            confidence=_confidence(finding),
            ground=COUNTED,
        )
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.TRAIN_ALL_ANSWERS,
        {"data.train_on": "assistant"},
        because="answers are scored that were never trained on",
        expects=gain(facts, 0.1, 0.8),
        confidence="high",
        ground="the config",
    )


def undo(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the parent's values of all fields that changed."""
    changed = changes_from_parent(facts)
    parent = facts.parent
    if not changed or parent is None:
        return
    one = len(changed) == 1
    yield propose(
        facts,
        finding,
        SuggestionKind.UNDO,
        {name: old for name, (old, _) in changed.items()},
        because=f"{parent.number} was better before "
        + ("this change" if one else "these changes; try them again one at a time"),
        expects=gain(facts, 0.1, 0.9),
        confidence="high" if one else "medium",
        ground=f"measured: {parent.number} on the same examples",
    )


def fresh_start(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a fresh adapter."""
    yield propose(
        facts,
        finding,
        SuggestionKind.FRESH_START,
        {"model.init_adapter": None},
        because="the weights that it starts from are no better than the base's",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="the record of that iteration",
    )


def _confidence(finding: Finding) -> Confidence:
    return _SURE[finding.severity]
