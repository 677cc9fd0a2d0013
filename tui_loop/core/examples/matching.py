"""Selects the rows of an evaluation that match a query, and sorts them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence, Set
from itertools import compress

from tui_loop.core.examples.history import Outcome, Shift, Story
from tui_loop.core.examples.query import FIGURES, MARKS, Query, Term, term_name, term_pattern
from tui_loop.core.examples.table import OUTPUT_KEY_LENGTH
from tui_loop.core.examples.view import OUTCOMES, SLICE, ExampleView, Order
from tui_loop.core.scoring import normalised
from tui_loop.core.text.limited_regex import SearchTime
from tui_loop.core.text.untrusted import one_line

NAMED, MANY_LABELS = 12, 200
"""The most names in a message; with more references than MANY_LABELS, none are listed."""

PATTERN_SECONDS = 2.0
"""The time limit of a regular expression over all examples."""

REMEMBERED = 16
"""Filters of a view in its cache, with one byte per example each."""

FEW = 0.1
"""Below this share of the examples, the matching rows alone are sorted."""

Test = Callable[[int], bool]

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def listed(
    view: ExampleView, query: Query, order: Order, *, is_reversed: bool = False
) -> list[int]:
    """Returns the matching rows, sorted; raises BadInput where a pattern takes too long."""
    matches, in_order = _matches(view, query.terms), view.in_order(order)
    if matches.count(1) < len(view) * FEW:
        rows = sorted(compress(range(len(view)), matches), key=view.rank(order).__getitem__)
    else:
        rows = []
        for at in range(0, len(in_order), SLICE):
            part = in_order[at : at + SLICE]
            rows += compress(part, map(matches.__getitem__, part))
    return rows[::-1] if is_reversed else rows


def _matches(view: ExampleView, terms: tuple[Term, ...]) -> bytes:
    """Returns for each row whether all terms match; caches recent results in the view."""
    matches = b"\1" * len(view)
    for at, term in enumerate(terms):
        known = view.match_cache.get(terms[: at + 1])
        if known is None:
            test, expected, fresh = _test(term, view), not term.is_negated, bytearray(len(view))
            for row in compress(range(len(view)), _candidates(view, terms[: at + 1], matches)):
                if test(row) is expected:
                    fresh[row] = 1
            known = bytes(fresh)
            while len(view.match_cache) >= REMEMBERED:
                view.match_cache.pop(next(iter(view.match_cache)), None)
            view.match_cache[terms[: at + 1]] = known
        matches = known
    return matches


def _candidates(view: ExampleView, terms: tuple[Term, ...], matches: bytes) -> bytes:
    """Narrows `matches` to the cached rows of a shorter word, while a word is being typed."""
    *before, last = terms
    if last.key != "word" or last.is_negated:
        return matches
    for other in reversed(list(view.match_cache)):
        *theirs, word = other
        is_shorter = word.key == "word" and word.values[0] in last.values[0]
        if is_shorter and not word.is_negated and theirs == before:
            return view.match_cache[other]
    return matches


def _test(term: Term, view: ExampleView) -> Test:
    if term.key in FIGURES:
        return _figure_test(term, view)
    return _TESTS[term.key](term.values, view)


def _word_test(values: tuple[str, ...], view: ExampleView) -> Test:
    texts, word = view.table.texts(), values[0]
    return lambda row: word in texts[row]


def _pattern_test(values: tuple[str, ...], view: ExampleView) -> Test:
    pattern, what, texts = term_pattern(values[0]), term_name(values[0]), view.table.texts()
    time = SearchTime(PATTERN_SECONDS)
    return lambda row: time.found(pattern, texts[row], what)


def _state_test(values: tuple[str, ...], view: ExampleView) -> Test:
    outcomes = {each for each in Outcome if each in values}
    shifts = {each for each in Shift if each in values}
    stories = {each for each in Story if each in values}
    marks = {each for each in MARKS if each in values}
    tests: list[Test] = []
    if outcomes:
        # without scores, every outcome term matches every row
        known = [sign for sign, each in OUTCOMES.items() if each in outcomes or not view.is_scored]
        passed, searched = view.passed, frozenset(known)
        tests.append(lambda row: passed[row] in searched)
    if shifts:
        tests.append(lambda row: view.shift(row) in shifts)
    if stories:
        tests.append(lambda row: view.story(row) in stories)
    if marks:
        ids = view.table.ids
        tests.append(lambda row: view.marks.get(ids[row]) in marks)
    return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)


def _cause_test(values: tuple[str, ...], view: ExampleView) -> Test:
    causes, searched = view.causes, frozenset(values)
    return lambda row: not searched.isdisjoint(causes[row])


def _label_test(values: tuple[str, ...], view: ExampleView) -> Test:
    references = view.table.references
    folded = {each: _plain(each) for each in set(references)}
    searched = frozenset(map(_plain, values))
    return lambda row: folded[references[row]] in searched


def _id_test(values: tuple[str, ...], view: ExampleView) -> Test:
    ids = view.table.ids
    return lambda row: ids[row].casefold() in values


def _said_test(values: tuple[str, ...], view: ExampleView) -> Test:
    """Compares outputs like `exact_match`: ignores case, and blanks and punctuation around.

    Quotes do not count, since a term cannot have them.
    """
    outputs = view.table.outputs()
    normal = {each: normalised(_plain(each)) or _plain(each) for each in set(outputs)}
    cut = [_plain(each)[:OUTPUT_KEY_LENGTH] for each in values]
    searched = {normalised(each) or each for each in cut}
    return lambda row: normal[outputs[row]] in searched


def _column_test(values: tuple[str, ...], view: ExampleView) -> Test:
    searched = frozenset(map(_plain, values))
    columns = view.table.columns()
    return lambda row: any(
        _plain(f"{name}={value}") in searched for name, value in columns[row].items()
    )


def _plain(text: str) -> str:
    """Returns a value in the form of a term's values: without case and quotes."""
    return text.casefold().replace('"', "").strip()


def _figure_test(term: Term, view: ExampleView) -> Test:
    compare, limit = _SIGNS[term.sign], float(term.values[0])
    figures: Sequence[float]
    match term.key:
        case "loss":
            figures = view.table.losses
        case "score":
            figures = view.table.scores
        case "change":
            figures = view.loss_changes if view.loss_changes is not None else []
        case "flips":
            figures = view.histories.flips if view.histories is not None else []
        case _:
            figures = view.table.prompt_lengths
    if not len(figures):
        return lambda row: False
    return lambda row: not math.isnan(figures[row]) and compare(figures[row], limit)


_TESTS: dict[str, Callable[[tuple[str, ...], ExampleView], Test]] = {
    "word": _word_test,
    "pattern": _pattern_test,
    "is": _state_test,
    "cause": _cause_test,
    "label": _label_test,
    "id": _id_test,
    "said": _said_test,
    "column": _column_test,
}


def unknown_names(view: ExampleView, query: Query) -> str:
    """Returns a message on a name that no example has, with the valid ones; "" if all exist."""
    for term in query.terms:
        text = "" if term.is_negated else _UNKNOWN.get(term.key, _known)(term.values, view)
        if text:
            return text
    return ""


def _known(values: tuple[str, ...], view: ExampleView) -> str:
    return ""


def _unknown_label(values: tuple[str, ...], view: ExampleView) -> str:
    labels = {each.strip().casefold() for each in set(view.table.references)}
    missing = [each for each in values if each not in labels]
    if not missing:
        return ""
    known = f"; labels are {_some(labels)}" if len(labels) <= MANY_LABELS else ""
    return f"no reference is {one_line(missing[0], 40)}{known}"


def _unknown_column(values: tuple[str, ...], view: ExampleView) -> str:
    columns = {name.casefold() for each in view.table.columns() for name in each}
    missing = [name for name, _, _ in (each.partition("=") for each in values)]
    missing = [name for name in missing if name not in columns]
    if not missing:
        return ""
    known = f"columns are {_some(columns)}" if columns else "the examples have none"
    return f"there is no column {one_line(missing[0], 40)}; {known}"


def _some(names: Set[str]) -> str:
    shown = ", ".join(one_line(each, 40) for each in sorted(names)[:NAMED])
    return shown + (", ..." if len(names) > NAMED else "")


_UNKNOWN = {"label": _unknown_label, "column": _unknown_column}
