"""Suggestions of experiments, for what nothing explains, and of what to do after one."""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import flatten
from tui_loop.core.diagnosis.advice.building import make_suggestion, propose
from tui_loop.core.diagnosis.advice.learning_rate import RATE, brief_rate
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.diagnosis.kinds import SuggestionKind
from tui_loop.core.diagnosis.rules.learning_rate import ADVISED
from tui_loop.core.diagnosis.rules.unexplained import LEARNED

FEW_ROWS, MANY_PASSES = 20, 30
"""Rows to memorize, and passes over them: enough for any sound setting."""

EVALUATED = 100
"""Training rows to evaluate."""

GROUND = "an experiment whose outcome rules out one of two explanations"


def two_experiments(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the two cheapest experiments that separate the remaining explanations."""
    if facts.config is None:
        return
    if finding.figures.get("symptom") == LEARNED:
        yield propose(
            facts,
            finding,
            SuggestionKind.ON_TRAINING_ROWS,
            {
                "data.eval": _as_evaluation_data(facts.config),
                "data.max_eval_rows": EVALUATED,
            },
            because="does the model fail even on rows that it was trained on?",
            confidence="medium",
            ground=GROUND,
        )
    yield _other_rate(facts, finding)
    if finding.figures.get("symptom") != LEARNED:
        yield propose(
            facts,
            finding,
            SuggestionKind.OVERFIT_FEW,
            {
                "data.max_train_rows": FEW_ROWS,
                "training.num_train_epochs": MANY_PASSES,
                **({"training.max_steps": None} if facts.config.training.max_steps else {}),
            },
            because=f"if the model cannot memorize {FEW_ROWS} rows, the settings are wrong, "
            "not the data",
            confidence="medium",
            ground=GROUND,
        )


def _as_evaluation_data(config: Config) -> object:
    """Returns the training data of a config as a value of `data.eval`, which has no weights."""
    entry = flatten(config)["data.train"]
    if isinstance(entry, str):
        return entry
    return {
        name: {field: value for field, value in source.items() if field != "weight"}
        for name, source in entry.items()
    }


def after_experiment(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests to read the rows where an experiment leaves these as the explanation."""
    if finding.figures.get("outcome") not in ("rows", "measuring"):
        return
    parent = finding.figures.get("parent")
    yield make_suggestion(
        finding,
        SuggestionKind.LOOK_AT_FAILURES,
        f"go back to iteration {parent}; read its failures and its training rows with the highest "
        "loss (keys f and T in the app)",
        because="the experiment showed that the settings are not the cause",
        confidence="medium",
        ground="shown by the outcome of the experiment",
    )


def _other_rate(facts: IterationFacts, finding: Finding) -> Suggestion:
    assert facts.config is not None
    rate, advised = facts.config.training.learning_rate, ADVISED[facts.config.lora.enabled]
    is_lower = rate > advised
    return propose(
        facts,
        finding,
        SuggestionKind.SMALLER_RATE if is_lower else SuggestionKind.LARGER_RATE,
        {RATE: brief_rate(rate / 5 if is_lower else rate * 5)},
        because=f"is the learning rate too {'high' if is_lower else 'low'}?",
        confidence="medium",
        ground=GROUND,
    )
