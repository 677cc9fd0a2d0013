"""Maps a row's columns to roles, inferred from the data or given in `data.columns`.

Where the data leaves the mapping open, an error gives the option to type.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tui_loop.core.data.columns import (
    SAMPLE,
    context_columns,
    described,
    first_role,
    flags,
    foreign_format,
    is_xlam,
    known_pair,
    label_columns,
    listed,
    looks_like_text,
    looks_like_turns,
    placeholder,
    sampled,
    suggested_column,
    suggested_columns,
    suggested_prompt,
    texts_as_turns,
)
from tui_loop.core.data.conversations import role_of, turns_in
from tui_loop.core.data.preference import REJECTED, pair_of
from tui_loop.core.data.row_reading import is_turn, read_row
from tui_loop.core.data.rows import Mapping, RawRow, Row, Shape, with_ids
from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

_ROLES_OF: dict[Shape, tuple[str, ...]] = {
    "prompt_completion": ("prompt", "completion"),
    "messages": ("messages",),
    "instruction": ("instruction", "output"),
    "text": ("text",),
}

ANSWERED = frozenset(role for roles in _ROLES_OF.values() for role in roles)
"""The roles of prompts and answers."""


def find_mapping(
    rows: Sequence[RawRow],
    where: str,
    *,
    metric: str,
    shape: Shape | None = None,
    columns: dict[str, str] | None = None,
) -> Mapping:
    """Returns the shape and the column of each role; `shape` and `columns` come from the config.

    Raises BadInput for a missing column, or where several readings are possible.
    """
    given = dict(columns or {})
    names = _column_names(rows)
    if not names:
        raise BadInput(f"{where}: the rows have no columns", "give each row a prompt and a reply")
    for role, column in given.items():
        if column not in names:
            close = get_close_matches(column, set(names) - REJECTED, 1)
            raise BadInput(
                f"{where}: no column {column!r} (data.columns.{role}); "
                f"the columns are {listed(names)}",
                flags({role: close[0] if close else placeholder(role)}),
            )
    shape = shape or _shape_given(given)
    if shape is None and (ranked := _ranked_turns(sampled(rows), names)):
        given |= ranked
        shape = _shape_given(given)
    shape = shape or _shape_seen(rows, names)
    if shape is None and (pair := pair_of(names)):
        given |= _chosen_columns(sampled(rows), names, pair, where)
        shape = _shape_given(given)
    if shape is None and (usual := _usual_columns(sampled(rows), names, metric)):
        given |= usual
        shape = _shape_given(given)
    if shape is None and (foreign := foreign_format(sampled(rows), names)):
        raise BadInput(f"{where}: {foreign[0]}", foreign[1])
    missing = [role for role in ("prompt", "completion") if given.get(role, role) not in names]
    if metric == "label" and shape in (None, "prompt_completion") and missing:
        if pair_of(names) is None:
            given = {**label_columns(rows, names, where, given), **given}
        shape = "prompt_completion"
    if shape is None:
        found = sampled(rows)
        hinted = suggested_columns(found, names)
        raise BadInput(
            f"{where}: the columns match no known shape: {described(found, names)}",
            flags(hinted or _open_columns(found, names)),
        )
    return Mapping(shape, _filled(shape, given, rows, names, where))


def map_rows(raws: Sequence[RawRow], mapping: Mapping, where: str) -> list[Row]:
    """Maps rows to roles and gives them ids; raises RowRefused for the first unusable row."""
    return with_ids((read_row(raw, mapping, where) for raw in raws), _given_ids(raws, mapping))


def _given_ids(raws: Sequence[RawRow], mapping: Mapping) -> list[str] | None:
    column = mapping.columns.get("id", "id")
    values = [raw.values.get(column) for raw in raws]
    if not all(isinstance(value, (str, int)) and str(value).strip() for value in values):
        return None
    names = [str(value) for value in values]
    return names if len(set(names)) == len(names) else None


def _column_names(rows: Sequence[RawRow]) -> list[str]:
    names: dict[str, None] = {}
    for row in rows[:SAMPLE]:
        names.update(dict.fromkeys(row.values))
    return list(names)


def _shape_given(given: dict[str, str]) -> Shape | None:
    for shape, roles in _ROLES_OF.items():
        if roles[0] in given or roles[-1] in given:
            return shape
    return None


def _shape_seen(rows: Sequence[RawRow], names: list[str]) -> Shape | None:
    if "prompt" in names and "completion" in names:
        return "prompt_completion"
    turns = "messages" if "messages" in names else "conversations"
    first = rows[0].values.get(turns)
    if turns in names and (isinstance(first, list) or turns_in(first)):
        return "messages"
    if "instruction" in names and ("output" in names or "response" in names):
        return "instruction"
    return None


def _usual_columns(rows: Sequence[RawRow], names: list[str], metric: str) -> dict[str, str]:
    """Returns the columns that are clear by their names and values, else {}."""
    if is_xlam(rows, names):
        return {"prompt": "query", "completion": "answers"}
    if "text" in names and metric != "label":
        return {"text": "text"}
    if known := known_pair(rows, names):
        return known
    turns = texts_as_turns(rows, names)
    return {"messages": turns} if turns else {}


def _ranked_turns(rows: Sequence[RawRow], names: Sequence[str]) -> dict[str, str]:
    """Returns the columns of a conversation and of the turn chosen as its answer, else {}."""
    asked = next((name for name in ("conversations", "messages") if name in names), None)
    pair = pair_of(names)
    if asked is None or pair is None:
        return {}
    turns = sum(is_turn(row.values.get(pair[0])) for row in rows)
    return {"prompt": asked, "completion": pair[0]} if 2 * turns > len(rows) else {}


def _open_columns(rows: Sequence[RawRow], names: Sequence[str]) -> dict[str, str]:
    """Returns placeholders for prompt and completion, and the prompt's column where it is clear."""
    prompt = suggested_prompt(rows, names) or placeholder("prompt")
    return {"prompt": prompt, "completion": placeholder("completion")}


def _chosen_columns(
    rows: Sequence[RawRow], names: list[str], pair: tuple[str, str], where: str
) -> dict[str, str]:
    """Returns the columns of preference data to use: those of the chosen answers.

    Raises BadInput where the user must name the prompt; rejected answers are never suggested.
    """
    chosen, rejected = pair
    names_of_pair = " and ".join(one_line(each, 40) for each in pair)
    what = (
        f"{where}: columns {names_of_pair} are preference data, but training uses one answer per "
        "row"
    )
    if looks_like_turns(rows, chosen):
        starts = {role_of(first) for row in rows if (first := first_role(row, chosen))}
        if starts != {"assistant"}:
            return {"messages": chosen}
        if "prompt" in names and looks_like_turns(rows, "prompt"):
            return {"prompt": "prompt", "completion": chosen}
        raise BadInput(
            f"{what}; column {one_line(chosen, 40)} has turns without a prompt",
            "write prompt and chosen answer both as lists of turns, or both as text",
        )
    if not looks_like_text(rows, chosen):
        raise BadInput(
            f"{what}; {described(rows, pair)} are neither text nor conversations",
            "write both columns as text, or both as lists of turns",
        )
    if "prompt" in names:
        return {"prompt": "prompt", "completion": chosen}
    others = [
        name
        for name in names
        if name not in pair and name.lower() != "id" and looks_like_text(rows, name)
    ]
    hinted = {"prompt": suggested_prompt(rows, names) or placeholder("prompt")}
    hinted["completion"] = chosen
    next_step = "Name the prompt column" if others else "No other column could be the prompt"
    raise BadInput(
        f"{what}: {one_line(chosen, 40)!r}, not {one_line(rejected, 40)!r}. "
        f"{next_step}; the columns are {described(rows, names)}",
        flags(hinted if others else {"text": chosen}),
    )


def _filled(
    shape: Shape, given: dict[str, str], rows: Sequence[RawRow], names: list[str], where: str
) -> dict[str, str]:
    """Returns the column of each role of the shape; raises BadInput where one is missing."""
    aliases = {"messages": "conversations", "output": "response"}
    columns: dict[str, str] = {}
    for role in _ROLES_OF[shape]:
        column = given.get(role, role)
        if column not in names and aliases.get(role) in names:
            column = aliases[role]
        if column in names:
            columns[role] = column
    missing = [role for role in _ROLES_OF[shape] if role not in columns]
    if missing:
        found = sampled(rows)
        raise BadInput(
            f"{where}: no column {missing[0]!r} for shape {shape}; "
            f"the columns are {described(found, names)}",
            flags({role: suggested_column(role, columns, found, names) for role in missing}),
        )
    if "id" in given:
        columns["id"] = given["id"]
    if shape == "instruction":  # Dolly calls it context
        extra = given.get("input", "input" if "input" in names else "context")
        columns |= {"input": extra} if extra in names else {}
    return columns | context_columns(shape, given, columns, sampled(rows), names)
