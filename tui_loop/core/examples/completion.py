"""Completes the term that is being typed in a filter: its key, a cause or a label that occurs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
import regex

from tui_loop.core.examples.query import FIGURES, KEYS, STATES, format_term
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.text.untrusted import visible

MOST, LONGEST = 2_000, 60
"""The most names that are proposed, the most frequent ones, and the most signs of one."""

_LAST = regex.compile(
    r"""(?:^|(?<=\s))(?P<minus>-?)(?:
        (?P<key>[a-z]+):(?P<done>(?:(?:"[^"]*"|[^\s",])*,)*)(?P<value>"[^"]*|[^\s",]*)
      | (?P<word>[a-z]*)
    )$""",
    regex.VERBOSE,
)


class Completion(msgspec.Struct, frozen=True):
    """A continuation of what is typed: `rest` is shown behind it, `text` is what it becomes."""

    rest: str
    text: str


class Vocabulary(msgspec.Struct, frozen=True):
    """The values of terms, by key, the most frequent first; `figures` are compared with a number.

    `keys`: all keys in the order in which they are proposed.
    """

    keys: tuple[str, ...]
    figures: tuple[str, ...]
    values: dict[str, tuple[str, ...]]

    def completions(self, typed: str) -> list[Completion]:
        """Returns the ways to complete the last term, [] where it is complete or empty."""
        found = _LAST.search(typed)
        if found is None:
            return []
        before = typed[: found.start()]
        if found["key"] is None:
            return self._of_keys(typed, found["word"])
        value = found["value"]
        plain = value.removeprefix('"').casefold()
        head = f"{before}{found['minus']}"
        completions = []
        for each in self.values.get(found["key"], ()):
            if not each.casefold().startswith(plain) or len(each) == len(plain):
                continue
            whole = format_term(found["key"], each)
            term = f"{found['key']}:{found['done']}{whole.partition(':')[2]}"
            rest = each[len(plain) :]
            is_quoted = whole.endswith('"')
            completions.append(Completion(f'{rest}"' if is_quoted else rest, f"{head}{term}"))
        return completions

    def without_unfinished_value(self, typed: str) -> str:
        """Returns the typed text without a last term whose value is only the start of one."""
        found = _LAST.search(typed)
        if found is None or found["key"] is None:
            return typed
        value = found["value"].removeprefix('"').casefold()
        known = self.values.get(found["key"], ())
        if not value or any(each.casefold() == value for each in known):
            return typed
        return typed[: found.start()] if self.completions(typed) else typed

    def _of_keys(self, typed: str, word: str) -> list[Completion]:
        names = [*(f"{key}:" for key in self.keys), *(f"{name}>" for name in self.figures)]
        rests = [name[len(word) :] for name in names if word and name.startswith(word)]
        return [Completion(rest, typed + rest) for rest in rests]


def vocabulary_of(view: ExampleView | None) -> Vocabulary:
    """Returns what filters of these examples can say."""
    values = {"is": STATES}
    if view is not None:
        causes = Counter(cause for causes in view.causes for cause in causes)
        values["cause"] = names_of(causes)
        values["label"] = names_of(Counter(view.table.references))
    return Vocabulary(("is", "cause", "label", *KEYS[3:]), FIGURES, values)


def names_of(counts: Counter[str]) -> tuple[str, ...]:
    """Returns the names that can be typed, the most frequent first."""
    return tuple(_typable(name for name, _ in counts.most_common(MOST)))


def _typable(names: Iterable[str]) -> Sequence[str]:
    """Leaves out what a terminal would obey, what has no end, and what is no one word or line."""
    return [
        name
        for name in (each.strip() for each in names)
        if name
        and len(name) <= LONGEST
        and not set(name) & {'"', "\n", "\t"}
        and visible(name, LONGEST) == name
    ]
