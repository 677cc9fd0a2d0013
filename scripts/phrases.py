"""Refuses phrases in strings, docstrings and comments for which plainer words exist.

    python -m scripts.phrases

A package under EXCEPT still has the phrases that are listed for it. The list only gets shorter.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

PHRASES = {
    "told": "message, reported, given, or who says what",
    "tells": "shows, reports, distinguishes",
    "is said": "who says it",
    "are said": "who says it",
    "what was said": "the output, the annotation",
    "stands": "is, has",
    "stood": "was, had",
    "goes on": "continues",
    "went on": "continued",
    "going on": "continuing",
    "go on": "continue",
    "by itself": "automatically",
    "held against": "compared with",
    "mend": "fix",
    "mended": "fixed",
    "looked at": "read, checked",
    "look alike": "look the same",
    "what is left of": "the rest of, the remaining",
    "what there is of": "the available",
    "it has been": "who did it",
    "leaves the numbers": "is not counted",
    "laid out": "created",
    "lays out": "creates",
    "comes along": "is kept, is copied",
    "come along": "are kept, are copied",
    "at hand": "available",
    "the other way round": "reverse",
    "the very": "the same, exactly the",
    "lets go of": "releases",
    "is known of": "is known about",
    "hangs on": "depends on",
    "word of": "a message about",
    "wants of": "needs from",
    "by heart": "memorized",
    "for ever": "permanently",
}

EXCEPT: dict[str, set[str]] = {}


def texts(source: str) -> Iterator[tuple[int, str, str]]:
    """Line number, text and what follows it, of every string, docstring and comment."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            lines = node.value.split("\n")
            for offset, line in enumerate(lines):
                following = " ".join(" ".join(lines[offset + 1 : offset + 2]).split())
                yield node.lineno + offset, line.rstrip(), following
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string, ""


def refused(path: Path, phrases: set[str]) -> list[str]:
    """`FILE:LINE: phrase: plainer words` for every phrase of `phrases` in a file."""
    if not phrases:
        return []
    alternatives = "|".join(sorted(phrases, key=len, reverse=True))
    pattern = re.compile(rf"\b({alternatives})\b", re.IGNORECASE)
    found = {
        (number, hit[0].lower())
        for number, text, following in texts(path.read_text(encoding="utf-8"))
        for hit in pattern.finditer(f"{text} {following}")
        if hit.start() < len(text)  # the rest of a phrase may be on the next line
    }
    return [f"{path}:{number}: {phrase!r}: {PHRASES[phrase]}" for number, phrase in sorted(found)]


def main() -> int:
    """Prints every refused phrase; exits 1 where there are any."""
    lines = []
    for path in sorted(Path("tui_loop").rglob("*.py")):
        allowed = set().union(
            *(words for folder, words in EXCEPT.items() if path.is_relative_to(folder))
        )
        lines += refused(path, set(PHRASES) - allowed)
    print("\n".join(lines) if lines else f"None of {len(PHRASES)} phrases is used.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
