"""What a row's columns mean: seen from the data, or told by `data.columns`.

What the data shows is not asked; what it leaves open is an error with the line to type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui_loop.core.data.rows import (
    Mapping,
    Message,
    RawRow,
    Row,
    RowFault,
    RowRefused,
    Shape,
    with_ids,
)
from tui_loop.core.errors import BadInput
from tui_loop.core.text import one_line

_ROLES_OF: dict[Shape, tuple[str, ...]] = {
    "prompt_completion": ("prompt", "completion"),
    "messages": ("messages",),
    "instruction": ("instruction", "output"),
    "text": ("text",),
}
_CHAT_ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_LABEL_LENGTH = 60
_SAMPLE = 2000


def find_mapping(
    rows: Sequence[RawRow],
    where: str,
    *,
    metric: str,
    shape: Shape | None = None,
    columns: dict[str, str] | None = None,
) -> Mapping:
    """The shape and the column of each role; `shape` and `columns` as the config has them.

    Raises BadInput for a column that is not there, or where several readings are possible.
    """
    told = dict(columns or {})
    names = _column_names(rows)
    if not names:
        raise BadInput(f"{where}: its rows have no columns", "give each row a prompt and a reply")
    for role, column in told.items():
        if column not in names:
            raise BadInput(
                f"{where}: no column {column!r} (data.columns.{role}); "
                f"there are {', '.join(names)}",
                f"--set data.columns.{role}={one_line(names[0])}",
            )
    if shape is None:
        shape = _shape_told(told) or _shape_seen(rows, names, metric)
    missing = [role for role in ("prompt", "completion") if told.get(role, role) not in names]
    if metric == "label" and shape in (None, "prompt_completion") and missing:
        told = {**_label_columns(rows, names, where, told), **told}
        shape = "prompt_completion"
    if shape is None:
        raise BadInput(
            f"{where}: columns {', '.join(names)} are no shape that is known",
            f"--set data.columns.prompt={one_line(names[0])} "
            f"--set data.columns.completion={one_line(names[-1])}",
        )
    return Mapping(shape, _filled(shape, told, names, where))


def map_rows(
    raws: Sequence[RawRow],
    mapping: Mapping,
    where: str,
    refused: list[RowRefused] | None = None,
) -> list[Row]:
    """The rows by their roles, with ids.

    Raises RowRefused, which names file, line and column, for the first row that cannot be used;
    where a list is given, all such rows go there instead, and are left out.
    """
    if refused is None:
        return with_ids((_mapped(raw, mapping, where) for raw in raws), _given_ids(raws, mapping))
    rows, kept = [], []
    for raw in raws:
        try:
            rows.append(_mapped(raw, mapping, where))
            kept.append(raw)
        except RowRefused as error:
            refused.append(error)
    return with_ids(rows, _given_ids(kept, mapping))


def _mapped(raw: RawRow, mapping: Mapping, where: str) -> Row:
    column = mapping.columns
    if mapping.shape == "text":
        return Row("", "", _text(raw, column["text"], where), raw.line)
    if mapping.shape == "messages":
        return _conversation(raw, column["messages"], where)
    if mapping.shape == "instruction":
        instruction = _text(raw, column["instruction"], where)
        extra = raw.values.get(column.get("input", "")) or ""
        whole = f"{instruction}\n\n{extra}" if str(extra).strip() else instruction
        return Row("", whole, _text(raw, column["output"], where), raw.line)
    prompt: Any = raw.values.get(column["prompt"])
    completion: Any = raw.values.get(column["completion"])
    if isinstance(prompt, list) and isinstance(completion, list):
        turns = (
            *_turns(prompt, raw, where, "prompt"),
            *_turns(completion, raw, where, "completion"),
        )
        return _row_of_turns(turns, raw, where)
    return Row(
        "",
        _text(raw, column["prompt"], where),
        _text(raw, column["completion"], where),
        raw.line,
    )


def _conversation(raw: RawRow, column: str, where: str) -> Row:
    if column not in raw.values:
        raise _missing(raw, column, where)
    return _row_of_turns(_turns(raw.values[column], raw, where, column), raw, where)


def _row_of_turns(turns: tuple[Message, ...], raw: RawRow, where: str) -> Row:
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise RowRefused(
            where,
            raw.line,
            "wrong_roles",
            "a conversation must end with an assistant's turn after another turn",
            "add the reply that the model should give, or remove the row",
        )
    shown = (
        turns[0].content
        if len(turns) == 2
        else "\n".join(f"{turn.role}: {turn.content}" for turn in turns[:-1])
    )
    return Row("", shown, turns[-1].content, raw.line, turns)


def _turns(value: Any, raw: RawRow, where: str, column: str) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise RowRefused(
            where,
            raw.line,
            "wrong_roles",
            f"{column!r} must be a list of turns",
            "write [{role, content}, ...]",
        )
    turns = []
    for turn in value:
        role = turn.get("role", turn.get("from")) if isinstance(turn, dict) else None
        content = turn.get("content", turn.get("value")) if isinstance(turn, dict) else None
        if not isinstance(role, str) or not isinstance(content, str):
            raise RowRefused(
                where,
                raw.line,
                "wrong_roles",
                f"each turn of {column!r} needs a role and a content, both text",
                'write {"role": "user", "content": "..."}',
            )
        turns.append(Message(_CHAT_ROLES.get(role, role), content))
    return tuple(turns)


def _text(raw: RawRow, column: str, where: str) -> str:
    if column not in raw.values:
        raise _missing(raw, column, where)
    value = raw.values[column]
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        fault: RowFault = "empty_rows" if value is None else "unreadable_rows"
        reason = f"{column!r} must be text, not {kind}"
        raise RowRefused(where, raw.line, fault, reason, "mend or remove the row")
    if not value.strip():
        reason = f"{column!r} is empty"
        raise RowRefused(where, raw.line, "empty_rows", reason, "mend or remove the row")
    return value


def _missing(raw: RawRow, column: str, where: str) -> RowRefused:
    there = ", ".join(one_line(name) for name in raw.values) or "none"
    reason = f"no column {column!r}; there are {there}"
    hint = "mend the row or map the columns"
    return RowRefused(where, raw.line, "unreadable_rows", reason, hint)


def _given_ids(raws: Sequence[RawRow], mapping: Mapping) -> list[str] | None:
    column = mapping.columns.get("id", "id")
    values = [raw.values.get(column) for raw in raws]
    if not all(isinstance(value, (str, int)) and str(value).strip() for value in values):
        return None
    names = [str(value) for value in values]
    return names if len(set(names)) == len(names) else None


def _column_names(rows: Sequence[RawRow]) -> list[str]:
    names: dict[str, None] = {}
    for row in rows[:_SAMPLE]:
        names.update(dict.fromkeys(row.values))
    return list(names)


def _shape_told(told: dict[str, str]) -> Shape | None:
    for shape, roles in _ROLES_OF.items():
        if roles[0] in told or roles[-1] in told:
            return shape
    return None


def _shape_seen(rows: Sequence[RawRow], names: list[str], metric: str) -> Shape | None:
    if "prompt" in names and "completion" in names:
        return "prompt_completion"
    turns = "messages" if "messages" in names else "conversations"
    if turns in names and isinstance(rows[0].values.get(turns), list):
        return "messages"
    if "instruction" in names and ("output" in names or "response" in names):
        return "instruction"
    return "text" if "text" in names and metric != "label" else None


def _label_columns(
    rows: Sequence[RawRow], names: list[str], where: str, told: dict[str, str]
) -> dict[str, str]:
    """Prompt and completion for a label metric: one low-cardinality column, one other of text."""
    sample = rows[:_SAMPLE] if len(rows) <= _SAMPLE else rows[:: max(1, len(rows) // _SAMPLE)]
    free = [name for name in names if name not in told.values() and name.lower() != "id"]
    labels = [name for name in free if _looks_like_label(sample, name)]
    if "completion" in told:
        labels = [told["completion"]]
    texts = [name for name in free if _looks_like_text(sample, name)]
    texts = [name for name in texts if not _looks_like_label(sample, name)] or [
        name for name in texts if name not in labels
    ]
    if "prompt" in told:
        texts = [told["prompt"]]
    if len(labels) == 1 and len(texts) == 1:
        return {"prompt": texts[0], "completion": labels[0]}
    label = labels[0] if labels else names[-1]
    prompt = next((name for name in [*texts, *names] if name != label), label)
    seen = f"{len(labels)} columns look like labels and {len(texts)} like messages"
    raise BadInput(
        f"{where}: which column is the label? Of {', '.join(names)} {seen}",
        f"--set data.columns.prompt={one_line(prompt)} "
        f"--set data.columns.completion={one_line(label)}",
    )


def _looks_like_label(rows: Sequence[RawRow], name: str) -> bool:
    values = _usual_values(rows, name, (str, int))
    distinct = set(values)
    short = all(len(value) <= _LABEL_LENGTH for value in distinct)
    return short and len(distinct) >= 2 and len(distinct) <= max(2, len(values) // 2)


def _looks_like_text(rows: Sequence[RawRow], name: str) -> bool:
    return bool(_usual_values(rows, name, (str,)))


def _usual_values(rows: Sequence[RawRow], name: str, kinds: tuple[type, ...]) -> list[str]:
    """The column as text if most rows have one of `kinds` in it, else [].

    A few rows without are not what the column is; they are named when they are mapped.
    """
    there = [row.values.get(name) for row in rows]
    values = [str(value) for value in there if isinstance(value, kinds) and str(value).strip()]
    return values if 2 * len(values) > len(rows) else []


def _filled(shape: Shape, told: dict[str, str], names: list[str], where: str) -> dict[str, str]:
    aliases = {"messages": "conversations", "output": "response"}
    columns: dict[str, str] = {}
    for role in _ROLES_OF[shape]:
        column = told.get(role, role)
        if column not in names and aliases.get(role) in names:
            column = aliases[role]
        if column not in names:
            raise BadInput(
                f"{where}: no column {column!r} for shape {shape}; there are {', '.join(names)}",
                f"--set data.columns.{role}={one_line(names[0])}",
            )
        columns[role] = column
    for role in ("input", "id"):
        if role in told or (role == "input" and shape == "instruction" and role in names):
            columns[role] = told.get(role, role)
    return columns
