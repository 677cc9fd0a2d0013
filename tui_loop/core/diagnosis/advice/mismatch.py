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

COUNTED = "the run counted the affected rows"

DEFAULT = 0.6
"""A label of more than this share of the training rows may be a default."""

_SURE: dict[Severity, Confidence] = {"alarm": "high", "warning": "medium", "note": "low"}

USUAL_FRACTION = 0.1
"""The default of data.eval_fraction."""

_ADVICE: dict[str, tuple[SuggestionKind, str, str]] = {
    FindingKind.EXCHANGED_COLUMNS: (
        SuggestionKind.MAP_COLUMNS,
        "set the prompt and completion columns in data.columns, or swap them in the file",
        "the model was trained to generate prompts",
    ),
    FindingKind.POOR_PROMPTS: (
        SuggestionKind.MAP_COLUMNS,
        "set the prompt in data.columns to the column with the whole input, or add to the prompts "
        "what the answer depends on",
        "no model can give different answers to identical prompts",
    ),
    FindingKind.REFERENCES_DIFFER: (
        SuggestionKind.SAME_REFERENCES,
        "use the same labels, format and length in training and evaluation references",
        "the model answers like its training references, which the evaluation counts as wrong",
    ),
    FindingKind.PROMPTS_DIFFER: (
        SuggestionKind.SAME_PROMPTS,
        "use the same template, system text and length in training and evaluation prompts",
        "the evaluation prompts differ from those that the model was trained on",
    ),
    FindingKind.TWO_NAMES: (
        SuggestionKind.ONE_NAME,
        "use one name per class in the training rows: the name that the evaluation uses",
        "the model learns two names for one class, and the evaluation accepts only one",
    ),
    FindingKind.OTHER_VOCABULARY: (
        SuggestionKind.ROWS_LIKE_EVAL,
        "add training rows from the same source as the evaluation rows",
        "many words of the evaluation rows never occur in the training rows",
    ),
    FindingKind.UNBALANCED_LABELS: (
        SuggestionKind.BALANCE_LABELS,
        "give each label about the same share in the training rows as in the evaluation rows",
        "where the model is unsure, it predicts the most common label",
    ),
    FindingKind.UNWANTED_REFERENCES: (
        SuggestionKind.REMOVE_ROWS,
        "remove training rows with references that the evaluation never uses, or change these "
        "references",
        "some training rows teach answers that no evaluation row expects",
    ),
    FindingKind.GARBLED_TEXT: (
        SuggestionKind.MEND_ENCODING,
        "open the file with its original encoding, and save it as UTF-8",
        "to the model, a garbled word is a different word",
    ),
    FindingKind.CONFUSED_LABELS: (
        SuggestionKind.MEND_LABELS,
        "compare training and evaluation rows of the confused labels, and correct wrong labels",
        "the model reproduces its training labels, so some labels are probably wrong",
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
            because="the config uses only part of the training rows",
            expects=gain(facts, 0.1, 0.9),
            confidence="high",
            ground="known from the config",
        )
        return
    yield make_suggestion(
        finding,
        SuggestionKind.MORE_DATA,
        "train on at least a few hundred distinct rows",
        because="the training rows are too few to cover the task",
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
        because=f"{name.partition('.')[2]} is far outside its usual range",
        expects=gain(facts, 0.1, 0.9),
        confidence="medium",
        ground="nearly all fine-tuning runs use a value near the suggested one",
    )


def all_labels(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the labels of the data instead of those of the config."""
    yield propose(
        facts,
        finding,
        SuggestionKind.ALL_LABELS,
        {"evaluation.labels": None},
        because="evaluation.labels does not contain all labels of the data",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="known from the references of the evaluation",
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
        f'read some training rows with the reference "{label}", and correct it where it is wrong',
        because="most training rows have this reference, which may be a default for unlabelled "
        "rows",
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
        f"remove the reference from the {where} prompts",
        because="the model learns to copy answers from prompts, and fails on prompts without them",
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
        f"correct the affected {where} references, or remove their rows",
        because="some references are not usable answers",
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
        because="the rows were sorted, so each batch had only one kind of row",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="known from the order of the rows in this run",
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
        because="sampling makes the score partly random",
        expects=gain(facts, 0.05, 0.9),
        confidence="high" if finding.severity == "alarm" else "medium",
        ground="greedy decoding takes the most probable token, so outputs are always the same",
    )


def other_stop(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the stop strings without the one that references contain."""
    if facts.config is None:
        return
    stop = finding.figures.get("stop")
    yield propose(
        facts,
        finding,
        SuggestionKind.OTHER_STOP,
        {"evaluation.stop": [each for each in facts.config.evaluation.stop if each != stop]},
        because="a stop string ends outputs before they can match the references",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="some references contain this stop string",
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
        because=f"the metric {fitting} passes {passed} of the same {total} outputs",
        confidence="high",
        ground="computed from the recorded outputs",
    )


def train_all_answers(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a loss on all answers."""
    if facts.config is None or facts.config.data.train_on == "assistant":
        yield make_suggestion(
            finding,
            SuggestionKind.TRAIN_ALL_ANSWERS,
            "train on all answers of whole conversations, and give no turn a weight of 0",
            because="the evaluation scores turns that were hardly trained on",
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
        because="the evaluation scores turns that were hardly trained on",
        expects=gain(facts, 0.1, 0.8),
        confidence="high",
        ground="known from the config",
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
        because=f"iteration {parent.number} was better without "
        + ("this change" if one else "these changes; try them one at a time"),
        expects=gain(facts, 0.1, 0.9),
        confidence="high" if one else "medium",
        ground=f"measured against iteration {parent.number} on the same examples",
    )


def fresh_start(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a fresh adapter."""
    yield propose(
        facts,
        finding,
        SuggestionKind.FRESH_START,
        {"model.init_adapter": None},
        because="the run started from an adapter that is no better than the base model",
        expects=gain(facts, 0.1, 0.9),
        confidence="high",
        ground="known from the record of the iteration that trained the adapter",
    )


def _confidence(finding: Finding) -> Confidence:
    return _SURE[finding.severity]
