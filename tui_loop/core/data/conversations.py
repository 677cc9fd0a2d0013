"""Reads the turns of conversations, OpenAI's (role, content) and ShareGPT's (from, value)."""

from __future__ import annotations

from typing import Any

from tui_loop.core.data.rows import CALL_ROLES, ROLES, Message, RawRow, Row, RowRefused
from tui_loop.core.data.unused_columns import TurnUse

_KNOWN = {
    **{role: role for role in ROLES},
    "human": "user",
    **dict.fromkeys(("gpt", "chatgpt", "bot", "model"), "assistant"),
    **CALL_ROLES,
}


def role_of(role: str) -> str | None:
    """Returns a role in the spelling of chat templates, None for an unknown one."""
    return _KNOWN.get(role) or _KNOWN.get(role.lower())


def read_turns(
    value: Any, raw: RawRow, where: str, column: str, use: TurnUse | None = None
) -> tuple[Message, ...]:
    """Reads the turns in a column of a row; `use` counts their keys other than role and content.

    Raises RowRefused.
    """
    if not isinstance(value, list) or not value:
        reason = f"{column!r} must be a list of turns"
        hint = "write [{role, content}, ...]"
        raise RowRefused(where, raw.line, "wrong_roles", reason, hint)
    turns: list[Message] = []
    for turn in value:  # a hot loop: files have millions of turns
        role: Any = None
        content: Any = None
        known: str | None = None
        if isinstance(turn, dict):
            role, content = turn.get("role"), turn.get("content")
            role = turn.get("from") if role is None else role
            content = turn.get("value") if content is None else content
            known = role_of(role) if isinstance(role, str) else None
        if (
            known is None
            or not isinstance(content, str)
            or (len(turn) != 2 and _is_call(turn) and not content.strip())
        ):
            reason, hint = _fault(turn, role)
            place = f"turn {len(turns) + 1} of {column!r}"
            hint = f"{hint}, or remove the row"
            raise RowRefused(where, raw.line, "wrong_roles", f"{place} {reason}", hint)
        if use is not None and (len(turn) != 2 or (known != role and role.lower() in CALL_ROLES)):
            use.add(raw, column, turn)
        turns.append(Message(known, content))
    return tuple(turns)


def row_of_turns(turns: tuple[Message, ...], raw: RawRow, where: str) -> Row:
    """Returns the row whose reference is the last turn; raises RowRefused."""
    last = turns[-1].role
    if len(turns) < 2 or last != "assistant":
        so = "after another turn" if last == "assistant" else f"not with the role {last!r}"
        raise RowRefused(
            where,
            raw.line,
            "wrong_roles",
            f"a conversation must end with an assistant's turn, {so}",
            "add the reply that the model should give, or remove the row",
        )
    shown = (
        turns[0].content
        if len(turns) == 2
        else "\n".join(f"{turn.role}: {turn.content}" for turn in turns[:-1])
    )
    return Row("", shown, turns[-1].content, raw.line, turns)


def _fault(turn: Any, role: Any) -> tuple[str, str]:
    """Returns (reason, hint) for an unusable turn."""
    if isinstance(role, str) and role_of(role) is None:
        roles = ", ".join(sorted(ROLES))
        return f"has an unknown role, {role[:40]!r}", f"rename it to one of {roles}"
    if _is_call(turn):
        return "has a tool call and no text", "write the call as the turn's content"
    return (
        "needs a role and a content, both text",
        'write {"role": "user", "content": "..."}',
    )


def _is_call(turn: Any) -> bool:
    return isinstance(turn, dict) and bool(turn.get("tool_calls") or turn.get("function_call"))
