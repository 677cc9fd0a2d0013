"""Chooses the metric that fits the references, for a loop whose user names none."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from statistics import median

import msgspec

from tui_loop.core.config.schema import Evaluation
from tui_loop.core.data.columns import is_label_name
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.scoring import NO_METRIC, TOOL_CALL, is_number
from tui_loop.core.text.figures import counted

LABEL = "label"

MAX_LABELS, MIN_ROWS_PER_LABEL, MAX_LABEL_LENGTH = 100, 5, 60
"""References that are few, short and repeated within these limits count as labels."""

MOST_EXACT_WORDS = 12
"""The longest median reference, in words, that exact_match is chosen for.

Longer answers are sentences. A model words a right sentence differently, so hardly any is equal.
"""

SAMPLED = 10_000
"""References that are read for their form and length, spread over the file."""

_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
    r"|[^\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+"
)
"""A word, or one character of a script that has no blanks between words."""

_MARKED_NUMBER = re.compile(r".*####\s*(\S+)\s*", re.DOTALL)
"""A worked solution that ends in its result, as in GSM8K."""


class MetricChoice(msgspec.Struct, frozen=True):
    """A metric, and the property of the references that speaks for it."""

    metric: str
    reason: str

    @property
    def message(self) -> str:
        """Returns the choice as a line: `metric rouge_l: references have 54 words (median)`."""
        return f"metric {self.metric}: {self.reason}"


def choose_metric(
    data: LoadedData, settings: Evaluation, installed: Collection[str]
) -> MetricChoice:
    """Returns the metric for `data`; `installed` names the library metrics that can be used.

    A setting that only one metric reads decides: `evaluation.labels` and `evaluation.pattern`.
    """
    if data.mapping.shape == "text":
        return MetricChoice(NO_METRIC, "plain text has no references")
    if settings.labels is not None:
        return MetricChoice(LABEL, "evaluation.labels is set")
    if settings.pattern is not None:
        return MetricChoice("regex", "evaluation.pattern is set")
    total = len(data.train) + len(data.eval)
    step = max(1, -(-total // SAMPLED))
    sampled = [*data.train[::step], *data.eval[-len(data.train) % step :: step]]
    calls = sum(bool(row.messages and row.messages[-1].tool_calls) for row in sampled)
    if 2 * calls > len(sampled):
        share = "" if calls == len(sampled) else f"{calls} of {len(sampled)} "
        return MetricChoice(TOOL_CALL, f"{share}references are tool calls")
    if labels := label_set(data):
        return MetricChoice(LABEL, f"{len(labels)} labels in {counted(total, 'row')}")
    return _by_form([row.reference for row in sampled], installed)


def label_set(data: LoadedData) -> frozenset[str]:
    """Returns the distinct references if they are labels: few, short and repeated; else none.

    Numbers count as labels only in a column that is named like one.
    """
    mapping, total = data.mapping, len(data.train) + len(data.eval)
    most = min(MAX_LABELS, total // MIN_ROWS_PER_LABEL)
    found: set[str] = set()
    for row in chain(data.train, data.eval):  # ends early in free text
        found.add(row.reference.strip())
        if len(found) > most:
            return frozenset()
    answers = (mapping.columns.get(role, "") for role in ("completion", "output"))
    is_named = any(is_label_name(name) for name in answers)
    are_labels = len(found) >= 2 and all(
        len(label) <= MAX_LABEL_LENGTH and (is_named or any(map(str.isalpha, label)))
        for label in found
    )
    return frozenset(found) if are_labels else frozenset()


def _by_form(references: Sequence[str], installed: Collection[str]) -> MetricChoice:
    """Returns the metric for free references, by what they are and how long they are."""
    if all(is_number(each) for each in references):
        return MetricChoice("numeric", "references are numbers")
    if all(
        (found := _MARKED_NUMBER.fullmatch(each)) and is_number(found[1]) for each in references
    ):
        return MetricChoice("numeric", "references end with #### and a number")
    if all(map(_is_json_object, references)):
        return MetricChoice("json_match", "references are JSON objects")
    words = round(median(len(_WORD.findall(each)) for each in references))
    reason = f"references have {counted(words, 'word')} (median)"
    if words <= MOST_EXACT_WORDS:
        return MetricChoice("exact_match", reason)
    metric = "rouge_l"
    if not _is_latin(references):  # the rouge_score package keeps a-z and 0-9 alone
        metric, reason = "chrf", f"{reason}, and rouge_l supports only Latin letters"
    if metric in installed:
        return MetricChoice(metric, reason)
    return MetricChoice(NO_METRIC, f"{reason}, and {metric} is not installed here")


def _is_json_object(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_latin(texts: Iterable[str]) -> bool:
    """Whether most letters are those of the Latin alphabet without accents."""
    latin = letters = 0
    for text in texts:
        found = [sign for sign in text[:200] if sign.isalpha()]
        letters += len(found)
        latin += sum(map(str.isascii, found))
    return 2 * latin >= letters
