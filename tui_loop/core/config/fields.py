"""Describes config fields for a form: kind, choices, limits, and values as text."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import Meta

from tui_loop.core.config.further_fields import CONSUMERS, other_fields
from tui_loop.core.config.lora_fields import INITIALIZATIONS
from tui_loop.core.config.schema import GROUPS, choices_of, field_help, hints_of, is_optional
from tui_loop.core.config.settings import parse_value, type_of
from tui_loop.core.config.validation import INIT, NO_VALUE
from tui_loop.core.record.codec import to_toml

Kind = Literal["choice", "switch", "number", "text", "list", "table"]

_SIGNS = (("ge", "at least {}"), ("gt", "above {}"), ("le", "at most {}"), ("lt", "below {}"))


class Field(msgspec.Struct, frozen=True):
    """A field of the form; `limits` is a text such as `a whole number, at least 1`."""

    name: str
    group: str
    label: str
    kind: Kind
    help: str
    default: Any
    limits: str
    choices: tuple[str, ...] = ()
    optional: bool = False


@cache
def field(name: str) -> Field:
    """Returns the declaration of `group.field`; further fields have only a type."""
    group, _, label = name.partition(".")
    hint = _hint(group, label)
    if hint is None:
        kind = other_fields(group).get(label, str)
        consumer = CONSUMERS.get(group, "SFTConfig")
        library = "PEFT" if group == "lora" else "TRL"
        words = f"a field of {library}'s {consumer}; unset: {library}'s default"
        if group not in GROUPS:
            words = "a field of a group that this version does not know"
        plain: Kind = "switch" if kind is bool else "table" if kind is dict else "text"
        return Field(name, group, label, plain, words, None, "", optional=True)
    text, default = field_help(name)
    choices = tuple(INITIALIZATIONS if name == INIT else choices_of(hint))
    kinds = _plain_kinds(hint)
    optional = is_optional(hint)
    return Field(
        name,
        group,
        label,
        _kind(kinds, choices),
        text,
        default,
        _limits(hint, kinds, choices, optional),
        choices,
        optional,
    )


def next_choice(known: Field, value: Any, step: int = 1) -> Any:
    """Returns the next choice after `value`, or `value` for a field without choices."""
    options: list[Any] = list(known.choices)
    if known.kind == "switch" or isinstance(known.default, bool):
        options = [True, False, *options]
    if known.optional:
        options.append(None)
    if known.kind not in ("switch", "choice"):
        return value
    return options[(options.index(value) + step) % len(options)] if value in options else options[0]


def as_setting(value: Any) -> str:
    """Returns a value as typed after `K=`; `from_setting` is the inverse."""
    match value:
        case None:
            text = "unset"
        case bool():
            text = "true" if value else "false"
        case float():
            text = _short_float(value)
        case str():
            bare = value == value.strip() and value.isprintable() and parse_value(value) == value
            text = value if bare else _quoted(value)
        case list():
            text = "[" + ", ".join(_toml(item) for item in value) + "]"
        case dict():
            pairs = ", ".join(f"{_quoted(key)} = {_toml(each)}" for key, each in value.items())
            text = "{" + pairs + "}"
        case _:
            text = str(value)
    return text


def from_setting(name: str, text: str) -> Any:
    """Parses `text` as the value of field `name`; None for `unset` in an optional field."""
    group, _, label = name.partition(".")
    known = field(name)
    if known.optional and text.strip().lower() in (*NO_VALUE, ""):
        return None
    return parse_value(text.strip(), type_of(group, label))


def _hint(group: str, label: str) -> Any:
    """Returns the declared type of a field, None for an undeclared one."""
    return hints_of(GROUPS[group]).get(label) if group in GROUPS else None


def _quoted(text: str) -> str:
    """Returns a TOML string on one line."""
    return to_toml({"v": text}).removeprefix("v = ").rstrip("\n")


def _toml(item: Any) -> str:
    return _quoted(item) if isinstance(item, str) else as_setting(item)


def _short_float(value: float) -> str:
    """Returns a number in short form if that is exact: 1e-4 rather than 0.0001."""
    if not math.isfinite(value):
        return repr(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{value:.1f}"
    mantissa, exponent = f"{value:e}".split("e")
    short = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return short if abs(value) < 0.01 and float(short) == value else repr(value)


def _plain_kinds(hint: Any) -> set[Any]:
    """Returns the plain types within a type hint, without metadata and None."""
    inner = getattr(hint, "__origin__", None)
    if hasattr(hint, "__metadata__"):
        return _plain_kinds(inner)
    arguments = getattr(hint, "__args__", ())
    if inner in (list, dict):
        return {inner}
    if not arguments:
        return set() if hint is type(None) else {hint}
    return {kind for part in arguments for kind in _plain_kinds(part)}


def _kind(kinds: set[Any], choices: tuple[str, ...]) -> Kind:
    if choices:
        return "choice"
    if bool in kinds:
        return "switch"
    if dict in kinds:
        return "text" if str in kinds else "table"
    if list in kinds:
        return "list"
    return "number" if kinds & {int, float} and str not in kinds else "text"


def _limits(hint: Any, kinds: set[Any], choices: tuple[str, ...], optional: bool) -> str:
    if choices and bool in kinds:
        words = " | ".join(("true", "false", *choices))
    elif choices:
        words = " | ".join(choices)
    elif {list, dict} <= kinds:
        words = "a list: [5, 6], or a table: {embed_tokens = [5, 6]}"
    elif {list, int} <= kinds:
        words = "a whole number or a list: [0, 1]"
    elif bool in kinds:
        words = "true | false"
    elif int in kinds:
        words = "a whole number"
    elif float in kinds:
        words = "a number"
    elif list in kinds:
        words = 'text or a list: ["a", "b"]' if str in kinds else 'a list: ["a", "b"]'
    elif {dict, str} <= kinds:
        words = "a path, or a table of sources: {chats = 'chats.jsonl', orders = 'orders.jsonl'}"
    elif dict in kinds:
        words = "a table: {prompt = 'question'}" if _holds_text(hint) else "a table: {q_proj = 8}"
    else:
        words = "text"
    parts = [words, *dict.fromkeys(_bounds(hint))]
    parts += ["or a path"] if kinds >= {int, str} else []
    return ", ".join(parts) + (" | unset" if optional else "")


def _holds_text(hint: Any) -> bool:
    """Whether a table's values are text."""
    return dict[str, str] in (hint, getattr(hint, "__origin__", None))


def _bounds(hint: Any) -> list[str]:
    found: list[str] = []
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta):
            for name, words in _SIGNS:
                bound = getattr(meta, name)
                if bound is not None:
                    found.append(words.format(f"{bound:g}" if bound < 1e6 else bound))
    inner = getattr(hint, "__origin__", None) if hasattr(hint, "__metadata__") else None
    parts = [inner] if inner is not None else list(getattr(hint, "__args__", ()))
    for part in parts:
        if not isinstance(part, str):
            found.extend(_bounds(part))
    return found
