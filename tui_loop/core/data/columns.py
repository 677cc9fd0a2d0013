"""Guesses what columns hold, by name and by value, and suggests the settings that name them.

A hint proposes a column only where its name or its values speak for it; anything else gets a
placeholder, since a wrong guess trains on the wrong thing without an error.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import product
from typing import Any

from tui_loop.core.config.settings import parse_value
from tui_loop.core.data.column_names import (
    CONTEXT,
    CONTEXT_NAMES,
    DIALOGUES,
    LABELS,
    PAIRS,
    PROMPTS,
    TEXTS,
)
from tui_loop.core.data.conversations import are_texts, turns_in
from tui_loop.core.data.preference import REJECTED, pair_of
from tui_loop.core.data.row_reading import read_history, references_in
from tui_loop.core.data.rows import RawRow, Shape
from tui_loop.core.data.tools import NotReadable, is_absent, read_tools
from tui_loop.core.data.unused_columns import MEANINGFUL, WEIGHTS, say_the_same
from tui_loop.core.errors import BadInput
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

SAMPLE = 2000
"""Rows that are read to guess what a column holds."""

_LABEL_LENGTH = 60
_COLUMNS_SHOWN, _NAME_LENGTH, _VALUE_LENGTH = 12, 40, 30

_TRIED = 50
"""Values that are read to see whether a column holds tools or a history."""

_QUESTION_ROLES, _ANSWER_ROLES = ("prompt", "instruction"), ("completion", "output")


def is_label_name(name: str) -> bool:
    """Returns whether a column is named like one of labels."""
    return name.lower() in LABELS


def looks_like_label(rows: Sequence[RawRow], name: str) -> bool:
    """Returns whether a column has a few short repeated values."""
    values = usual_values(rows, name, (str, int))
    distinct = set(values)
    short = all(len(value) <= _LABEL_LENGTH for value in distinct)
    return short and len(distinct) >= 2 and len(distinct) <= max(2, len(values) // 2)


def looks_like_text(rows: Sequence[RawRow], name: str) -> bool:
    """Returns whether most rows have text in the column."""
    return bool(usual_values(rows, name, (str,)))


def looks_like_turns(rows: Sequence[RawRow], name: str) -> bool:
    """Returns whether most rows have a conversation in the column."""
    return 2 * sum(first_role(row, name) is not None for row in rows) > len(rows)


def first_role(row: RawRow, name: str) -> str | None:
    """Returns the role of the first turn in the column, None without a conversation."""
    turns = turns_in(row.values.get(name))
    first = turns[0] if turns else None
    role = first.get("role", first.get("from")) if isinstance(first, dict) else None
    return role if isinstance(role, str) else None


def context_columns(
    shape: Shape,
    given: Mapping[str, str],
    taken: Mapping[str, str],
    rows: Sequence[RawRow],
    names: Sequence[str],
) -> dict[str, str]:
    """Returns the columns of the system prompt, the history and the tools.

    Those in `given` come from the config. Others need the name and fitting values.
    """
    columns: dict[str, str] = {}
    for role, usual in CONTEXT.items():
        if shape == "text" or (shape == "messages" and role == "history"):
            continue
        free = (name for name in usual if name in names and name not in taken.values())
        fitting = (name for name in free if _fits(role, rows, name))
        column = given.get(role) or next(fitting, None)
        if column is not None:
            columns[role] = column
    return columns


def is_xlam(rows: Sequence[RawRow], names: Collection[str]) -> bool:
    """Returns whether the rows have xlam's columns: query, tools, and answers that are calls."""
    return {"query", "tools", "answers"} <= set(names) and _fits("tools", rows, "tools")


def foreign_format(rows: Sequence[RawRow], names: Collection[str]) -> tuple[str, str] | None:
    """Returns (what the rows are, hint) for rows in a format that is not read, None for others."""
    if any(looks_like_text(rows, name) for name in names if name.lower() != "id"):
        return None
    if "input_ids" in names:
        beside = " and labels" if "labels" in names else ""
        return (
            f"pretokenized rows (input_ids{beside}) are not supported",
            "give the original text of the rows: evaluation needs text",
        )
    if "segments" in names:
        return (
            "axolotl's template-free rows (segments, type input_output) are not supported",
            "write each row as prompt and completion, or as messages",
        )
    return None


def _fits(role: str, rows: Sequence[RawRow], name: str) -> bool:
    """Returns whether most values of a column can be read as those of a role."""
    there = (value for row in rows if not is_absent(value := row.values.get(name)))
    values = [value for value, _ in zip(there, range(_TRIED), strict=False)]
    if role == "system":
        return 2 * sum(isinstance(value, str) for value in values) > len(values)
    read: Callable[[Any], object] = read_tools if role == "tools" else read_history
    return 2 * sum(_is_readable(read, value) for value in values) > len(values)


def _is_readable(read: Callable[[Any], object], value: Any) -> bool:
    try:
        return bool(read(value))
    except NotReadable:
        return False


def usual_values(rows: Sequence[RawRow], name: str, kinds: tuple[type, ...]) -> list[str]:
    """Returns the values of the column if most rows have one of `kinds` in it, else [].

    A few rows with another type do not matter here; mapping reports them.
    """
    there = [row.values.get(name) for row in rows]
    values = [str(value) for value in there if isinstance(value, kinds) and str(value).strip()]
    return values if 2 * len(values) > len(rows) else []


def sampled(rows: Sequence[RawRow]) -> Sequence[RawRow]:
    """Returns rows from the whole file, at most about twice SAMPLE."""
    return rows if len(rows) <= SAMPLE else rows[:: len(rows) // SAMPLE]


def suggested_columns(rows: Sequence[RawRow], names: Sequence[str]) -> dict[str, str]:
    """Returns the columns of prompt and completion, or of messages.

    {} unless one reading is clear.
    """
    pairs = _pairs(rows, names)
    if len(pairs) == 1:
        return dict(zip(("prompt", "completion"), pairs[0], strict=True))
    if pairs:
        return {}
    free = _without_meaning(names)
    turns = [name for name in free if looks_like_turns(rows, name)]
    if len(turns) == 1:
        return {"messages": turns[0]}
    labels = [name for name in free if looks_like_label(rows, name)]
    texts = [name for name in free if name not in labels and looks_like_text(rows, name)]
    if len(labels) == len(texts) == 1 and not turns:
        return {"prompt": texts[0], "completion": labels[0]}
    return {}


def known_pair(rows: Sequence[RawRow], names: Sequence[str]) -> dict[str, str]:
    """Returns the columns of prompt and answer where one pair has names that go together.

    A context beside a question is read before it. {} where no pair or several are there.
    """
    pairs = _pairs(rows, names)
    if len(pairs) != 1:
        return {}
    [(prompt, answer)] = pairs
    if prompt.lower() == "question" and "context" in names and looks_like_text(rows, "context"):
        return {"instruction": "context", "input": prompt, "output": answer}
    return {"prompt": prompt, "completion": answer}


def texts_as_turns(rows: Sequence[RawRow], names: Sequence[str]) -> str | None:
    """Returns the column with lists of texts that are turns in alternation, as in UltraChat."""
    for name in names:
        values = [row.values.get(name) for row in rows]
        if name.lower() in DIALOGUES and 2 * sum(map(are_texts, values)) > len(values):
            return name
    return None


def suggested_column(
    role: str, given: Mapping[str, str], rows: Sequence[RawRow], names: Sequence[str]
) -> str:
    """Returns the column for a role beside the `given` ones; a placeholder unless one is clear."""
    if role not in _QUESTION_ROLES and (pair := pair_of(names)):
        return pair[0]
    if role in ("messages", "text"):
        holds = looks_like_turns if role == "messages" else looks_like_text
        found = {name for name in _without_meaning(names) if holds(rows, name)}
    else:
        question, answer = (
            next((given[each] for each in roles if each in given), None)
            for roles in (_QUESTION_ROLES, _ANSWER_ROLES)
        )
        fitting = [
            pair
            for pair in _pairs(rows, names)
            if question in (None, pair[0]) and answer in (None, pair[1])
        ]
        found = {pair[0] if role in _QUESTION_ROLES else pair[1] for pair in fitting}
        if not found and answer and (prompt := suggested_prompt(rows, names)):
            found = {prompt}
    return found.pop() if len(found) == 1 else placeholder(role)


def suggested_prompt(rows: Sequence[RawRow], names: Sequence[str]) -> str | None:
    """Returns the only column with the name of a prompt, None where there are none or several."""
    found = [name for name in names if name.lower() in PROMPTS and looks_like_text(rows, name)]
    return found[0] if len(found) == 1 else None


def label_columns(
    rows: Sequence[RawRow], names: Sequence[str], where: str, given: Mapping[str, str]
) -> dict[str, str]:
    """Prompt and completion for metric label: one column of a few values, one other of text.

    `given`: the columns that the config names. Raises BadInput where it could be others.
    """
    rows = sampled(rows)
    not_free = WEIGHTS | REJECTED | {"id"}
    free = [name for name in names if name not in given.values() and name.lower() not in not_free]
    like_labels = [name for name in free if looks_like_label(rows, name)]
    labels = [given["completion"]] if "completion" in given else _best_labels(rows, like_labels)
    texts = [name for name in free if looks_like_text(rows, name)]
    texts = [name for name in texts if name not in like_labels] or [
        name for name in texts if name not in labels
    ]
    texts = [given["prompt"]] if "prompt" in given else texts
    if len(texts) > 1:  # a system prompt is no message, unless nothing else is
        texts = [name for name in texts if name not in CONTEXT_NAMES] or texts
    if len(labels) == 1 and len(texts) == 1:
        return {"prompt": texts[0], "completion": labels[0]}
    hinted = {
        "prompt": _singled_out(texts or [name for name in free if name not in LABELS], TEXTS),
        "completion": _singled_out(labels, LABELS),
    }
    seen = f"{counted(len(labels), 'column')} could be the label, {len(texts)} could be the text"
    raise BadInput(
        f"{where}: which columns are label and text? {seen}. "
        f"The columns are {described(rows, names)}",
        flags({role: name or placeholder(role) for role, name in hinted.items()}),
    )


def _best_labels(rows: Sequence[RawRow], names: Sequence[str]) -> Sequence[str]:
    """Returns the columns that are the label by more than their values, all where none is.

    Of a number and its name, which say the same, it is the name; of several others, the only one
    that is named like a label.
    """
    texts = [name for name in names if usual_values(rows, name, (str,))]
    left = [
        name
        for name in names
        if name in texts
        or not any(
            _names_it(name, text)
            and say_the_same(*([row.values.get(each) for row in rows] for each in (name, text)))
            for text in texts
        )
    ]
    named = [name for name in left if is_label_name(name)]
    return named if len(named) == 1 else left


def _names_it(number: str, text: str) -> bool:
    """Returns whether a column is named as one with the names of the numbers in another one."""
    return is_label_name(text) or text.lower().startswith(f"{number.lower()}_")


def _singled_out(names: Sequence[str], known: Collection[str]) -> str | None:
    """Returns the only name, or the only known one, else None."""
    fitting = names if len(names) == 1 else [name for name in names if name.lower() in known]
    return fitting[0] if len(fitting) == 1 else None


def placeholder(role: str) -> str:
    """The placeholder in a hint for a column that the user has to choose."""
    return f"{role.upper()}_COLUMN"


def flags(columns: Mapping[str, str]) -> str:
    """Returns the settings that name columns, in shell syntax."""
    return " ".join(f"--set {_setting(role, column)}" for role, column in columns.items())


def described(rows: Sequence[RawRow], names: Sequence[str]) -> str:
    """Lists columns with the start of a value: `question ("How long is"), tags (["a"])`."""
    shown = [
        f"{one_line(name, _NAME_LENGTH)} ({_example(rows, name)})"
        for name in names[:_COLUMNS_SHOWN]
    ]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def listed(names: Sequence[str], most: int = _COLUMNS_SHOWN) -> str:
    """Lists at most `most` names of columns in one line."""
    shown = ", ".join(one_line(name, _NAME_LENGTH) or "''" for name in names[:most])
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown


def _without_meaning(names: Sequence[str]) -> list[str]:
    """Returns the names that may be those of a prompt or its answer."""
    return [name for name in names if name.lower() not in (MEANINGFUL | REJECTED | {"id"})]


def _pairs(rows: Sequence[RawRow], names: Sequence[str]) -> list[tuple[str, str]]:
    """Returns two columns with matching names that both hold text or both hold turns."""
    return [
        (prompt, answer)
        for prompt, answer in product(names, names)
        if (prompt.lower(), answer.lower()) in PAIRS and _go_together(rows, prompt, answer)
    ]


def _go_together(rows: Sequence[RawRow], prompt: str, answer: str) -> bool:
    if looks_like_turns(rows, prompt):
        return looks_like_turns(rows, answer)
    if not looks_like_text(rows, prompt):
        return False
    answers = [row.values.get(answer) for row in rows]
    return 2 * sum(_is_answer(each) for each in answers) > len(answers)


def _is_answer(value: Any) -> bool:
    return bool(references_in(value)) or (isinstance(value, str) and bool(value.strip()))


def _setting(role: str, column: str) -> str:
    """Formats a column as `data.columns.ROLE=NAME`; quotes a name that would parse as a number."""
    name = one_line(column)
    value = name if parse_value(name) == name else json.dumps(name, ensure_ascii=False)
    return shlex.quote(f"data.columns.{role}={value}")


def _example(rows: Sequence[RawRow], name: str) -> str:
    """Returns the start of the column's first value that is not empty."""
    values: list[Any] = [row.values.get(name) for row in rows[:SAMPLE]]
    value = next((each for each in values if each not in (None, "", [], {})), None)
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f'"{one_line(value, _VALUE_LENGTH)}"'
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    return one_line(text, _VALUE_LENGTH)
