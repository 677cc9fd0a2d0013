"""Prints a sample of the sentences that users read: `python -m scripts.sentences --seed 19`."""

from __future__ import annotations

import argparse
import ast
import random
import re
from collections.abc import Iterator
from pathlib import Path

LEAST_WORDS = 5
MATCHED = {"_CONFUSABLE", "_HARMLESS", "_MONTHS", "_OPPOSITES", "_STOP_WORDS", "_SYNONYMS"}
"""Constants whose words are looked for in texts, never shown."""

CODE = re.compile(
    r"\\[bdswW]|\(\?|\[\^"  # a regular expression
    r"|\{\s*[a-z-]+:"  # CSS
    r"|</|<!|<\w+ [\w-]+="  # HTML
    r"|\b(?:SELECT|INSERT|CREATE TABLE)\b"  # SQL
    r"|%\(\w+\)"  # a log format
)


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """Line number and text of every string literal that reads as a sentence, on one line."""
    tree = ast.parse(source)
    unread = set(_unread(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant) and id(node) not in unread:
            literal, text = _literal(node), " ".join(_text(node).split())
            words = [word for word in literal.split() if re.search(r"\w", word)]
            if len(words) >= LEAST_WORDS and not CODE.search(literal):
                yield node.lineno, text


def _unread(tree: ast.AST) -> Iterator[int]:
    """The ids of docstrings, annotations, words of MATCHED and parts of f-strings."""
    for node in ast.walk(tree):
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if annotation is not None:
            yield from map(id, _outside_calls(annotation))
        match node:
            case ast.Expr(value=ast.Constant() as docstring):
                yield id(docstring)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in MATCHED:
                yield from map(id, ast.walk(value))
            case ast.JoinedStr(values=values):
                yield from (id(part) for part in values if isinstance(part, ast.Constant))
            case ast.FormattedValue(format_spec=ast.expr() as spec):
                yield id(spec)


def _outside_calls(annotation: ast.AST) -> Iterator[ast.AST]:
    """The nodes of an annotation, except those in a call: `about(...)` has the help of a field."""
    if not isinstance(annotation, ast.Call):
        yield annotation
        for child in ast.iter_child_nodes(annotation):
            yield from _outside_calls(child)


def _literal(node: ast.expr) -> str:
    """The text with a plain word for each placeholder."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(_text(part) if isinstance(part, ast.Constant) else "x" for part in parts)


def _text(node: ast.expr) -> str:
    """The text with `{name}` for a placeholder; an expression without a name is as written."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(map(_text, values))
        case ast.FormattedValue(value=ast.Attribute(attr=name)):
            return f"{{{name}}}"
        case ast.FormattedValue(value=value):
            return f"{{{ast.unparse(value)}}}"
    return ""


def collected(folder: Path) -> list[tuple[str, str]]:
    """Every sentence under `folder` with its first `path:line`, sorted by the text."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        for number, text in sorted(sentences(path.read_text(encoding="utf-8"))):
            found.setdefault(text, f"{path}:{number}")
    return sorted(found.items())


def main() -> None:
    """Prints the sample as `path:line: text`, in the order in which it was drawn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--count", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seed", type=int, default=19, help="the seed (default: 19)")
    args = parser.parse_args()
    found = collected(Path("tui_loop"))
    for text, place in random.Random(args.seed).sample(found, min(args.count, len(found))):
        print(f"{place}: {text}")


if __name__ == "__main__":
    main()
