"""Compiles and searches regular expressions of users and configs within limits.

Python's `re` has no time limit, and a short pattern such as `(a+)+$` can keep it busy for years.
The `regex` library takes the same patterns and some more, searches many of the slow ones quickly,
and gives up on the others after a given time.
"""

from __future__ import annotations

import time

import regex

from tui_loop.core.errors import BadInput

LONGEST = 100_000
"""The most characters of a pattern; one of this length compiles in about a second."""


def compiled(pattern: str, what: str, hint: str, flags: int = 0) -> regex.Pattern[str]:
    """Compiles a pattern, named `what` in messages; raises BadInput where it is invalid."""
    if len(pattern) > LONGEST:
        raise BadInput(f"{what} has {len(pattern):,} characters; the limit is {LONGEST:,}", hint)
    try:
        return regex.compile(pattern, flags)
    except RecursionError as error:
        raise BadInput(f"{what} is nested too deeply", hint) from error
    except (regex.error, ValueError) as error:  # ValueError for conflicting flags
        raise BadInput(f"{what} is not a valid regular expression: {error}", hint) from error


class SearchTime:
    """The time limit of all searches for one purpose: `seconds`, plus `per_text` for each text.

    It counts CPU time, so that the load of the machine does not matter.
    """

    def __init__(self, seconds: float, per_text: float = 0.0) -> None:
        self._left, self._per_text = seconds, per_text

    def found(
        self, pattern: regex.Pattern[str], text: str, what: str, *, whole: bool = False
    ) -> bool:
        """Returns whether the pattern matches anywhere in the text, or with `whole` all of it.

        Raises BadInput, naming the pattern as `what`, where that takes more time than is left.
        """
        match = pattern.fullmatch if whole else pattern.search
        self._left += self._per_text
        started = time.thread_time()
        try:
            if self._left <= 0:
                raise TimeoutError
            return match(text, timeout=self._left, concurrent=True) is not None
        except TimeoutError as error:
            self._left = 0.0  # a busy machine gave this thread less time than passed
            raise BadInput(
                f"{what} takes too long",
                "simplify the pattern: avoid repeats within repeats, as in (a+)+",
            ) from error
        finally:
            self._left -= time.thread_time() - started
