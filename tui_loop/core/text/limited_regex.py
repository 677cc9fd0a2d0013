"""Regular expressions that a user or a config gives, compiled and searched within limits.

Python's `re` has no time limit, and a short pattern such as `(a+)+$` can keep it busy for years.
The `regex` library takes the same patterns and some more, searches many of the slow ones quickly,
and gives up on the others after a given time.
"""

from __future__ import annotations

import time

import regex

from tui_loop.core.errors import BadInput

LONGEST = 100_000
"""Characters of a pattern: one as long takes about a second to compile."""


def compiled(pattern: str, what: str, hint: str, flags: int = 0) -> regex.Pattern[str]:
    """Compiles a pattern that messages call `what`; raises BadInput where it is none."""
    if len(pattern) > LONGEST:
        raise BadInput(f"{what} has {len(pattern):,} characters, more than {LONGEST:,}", hint)
    try:
        return regex.compile(pattern, flags)
    except RecursionError as error:
        raise BadInput(f"{what} is nested too deep", hint) from error
    except (regex.error, ValueError) as error:  # the latter where its flags exclude each other
        raise BadInput(f"{what} is no regular expression: {error}", hint) from error


class SearchTime:
    """The time that all searches for one purpose share: `seconds`, and `per_text` for each text.

    CPU time, so that a loaded machine makes no pattern slow.
    """

    def __init__(self, seconds: float, per_text: float = 0.0) -> None:
        self._left, self._per_text = seconds, per_text

    def found(
        self, pattern: regex.Pattern[str], text: str, what: str, *, whole: bool = False
    ) -> bool:
        """Whether the pattern matches anywhere in the text, or with `whole` all of it.

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
            raise BadInput(
                f"{what} takes too long", "make it simpler: no repeats within repeats"
            ) from error
        finally:
            self._left -= time.thread_time() - started
