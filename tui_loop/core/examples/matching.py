"""Which rows of an evaluation a query takes, and in which order."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence, Set
from itertools import compress

from tui_loop.core.examples.history import Outcome, Shift, Story
from tui_loop.core.examples.query import FIGURES, MARKS, Query, Term, term_name, term_pattern
from tui_loop.core.examples.table import SAID_LENGTH
from tui_loop.core.examples.view import OUTCOMES, ExampleView, Order
from tui_loop.core.scoring import normalised
from tui_loop.core.text.limited_regex import SearchTime
from tui_loop.core.text.untrusted import one_line

NAMED, MANY_LABELS = 12, 200
"""Names that a message lists; with more labels than that, references are no labels."""

PATTERN_SECONDS = 2.0
"""A regular expression that has not been through all examples by then is given up."""

REMEMBERED = 16
"""Filters of a view whose rows are remembered, a byte for each example."""

FEW = 0.1
"""A smaller part of the examples is sorted by itself."""

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
    """Rows that the query takes, sorted. Raises BadInput where a pattern takes too long."""
    taken, in_order = _taken(view, query.terms), view.in_order(order)
    if taken.count(1) < len(view) * FEW:
        rows = sorted(compress(range(len(view)), taken), key=view.rank(order).__getitem__)
    else:
        rows = list(compress(in_order, map(taken.__getitem__, in_order)))
    return rows[::-1] if is_reversed else rows


def _taken(view: ExampleView, terms: tuple[Term, ...]) -> bytes:
    """For each row whether all terms hold; what was asked lately of the view is remembered."""
    taken = b"\1" * len(view)
    for at, term in enumerate(terms):
        known = view.taken.get(terms[: at + 1])
        if known is None:
            test, wanted, fresh = _test(term, view), not term.is_negated, bytearray(len(view))
            for row in compress(range(len(view)), _narrowed(view, terms[: at + 1], taken)):
                if test(row) is wanted:
                    fresh[row] = 1
            known = bytes(fresh)
            while len(view.taken) >= REMEMBERED:
                view.taken.pop(next(iter(view.taken)), None)
            view.taken[terms[: at + 1]] = known
        taken = known
    return taken


def _narrowed(view: ExampleView, terms: tuple[Term, ...], taken: bytes) -> bytes:
    """What is known to have the beginning of a word that is being typed, else `taken`."""
    *before, last = terms
    if last.key != "word" or last.is_negated:
        return taken
    for other in reversed(list(view.taken)):
        *theirs, word = other
        is_shorter = word.key == "word" and word.values[0] in last.values[0]
        if is_shorter and not word.is_negated and theirs == before:
            return view.taken[other]
    return taken


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
        # where nothing is scored, what is asked of outcomes holds for all
        known = [sign for sign, each in OUTCOMES.items() if each in outcomes or not view.is_scored]
        passed, wanted = view.passed, frozenset(known)
        tests.append(lambda row: passed[row] in wanted)
    if shifts:
        tests.append(lambda row: view.shift(row) in shifts)
    if stories:
        tests.append(lambda row: view.story(row) in stories)
    if marks:
        ids = view.table.ids
        tests.append(lambda row: view.marks.get(ids[row]) in marks)
    return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)


def _cause_test(values: tuple[str, ...], view: ExampleView) -> Test:
    causes, wanted = view.causes, frozenset(values)
    return lambda row: not wanted.isdisjoint(causes[row])


def _label_test(values: tuple[str, ...], view: ExampleView) -> Test:
    references = view.table.references
    folded = {each: _plain(each) for each in set(references)}
    wanted = frozenset(map(_plain, values))
    return lambda row: folded[references[row]] in wanted


def _id_test(values: tuple[str, ...], view: ExampleView) -> Test:
    ids = view.table.ids
    return lambda row: ids[row].casefold() in values


def _said_test(values: tuple[str, ...], view: ExampleView) -> Test:
    """Outputs as `exact_match` reads them: case, blanks and punctuation around do not count."""
    said = view.table.said()
    read = {each: normalised(each) or _plain(each) for each in set(said)}
    wanted = {normalised(each) or _plain(each) for each in (one[:SAID_LENGTH] for one in values)}
    return lambda row: read[said[row]] in wanted


def _column_test(values: tuple[str, ...], view: ExampleView) -> Test:
    wanted = frozenset(map(_plain, values))
    columns = view.table.columns()
    return lambda row: any(
        _plain(f"{name}={value}") in wanted for name, value in columns[row].items()
    )


def _plain(text: str) -> str:
    """A value as a term can say it: case and quotes in it do not count."""
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
    """What a query names that no example has, and what there is instead; "" where nothing is."""
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
    return f"no column is called {one_line(missing[0], 40)}; {known}"


def _some(names: Set[str]) -> str:
    shown = ", ".join(one_line(each, 40) for each in sorted(names)[:NAMED])
    return shown + (", ..." if len(names) > NAMED else "")


_UNKNOWN = {"label": _unknown_label, "column": _unknown_column}
