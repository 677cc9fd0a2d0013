"""x"""

from __future__ import annotations

from functools import cache
from typing import Any, get_type_hints

from tui_loop.core.schema import GROUPS, Group


def field_help(name: str) -> tuple[str, Any]:
    """(help, default) of `group.field`."""
    group, _, field = name.partition(".")
    hint = hints_of(GROUPS[group])[field]
    default = getattr(GROUPS[group](), field)
    texts = [meta.description for meta in hint.__metadata__ if meta.description]
    return (texts[-1] if texts else ""), default


def all_fields() -> list[str]:
    """Every declared `group.field`, in schema order."""
    return [f"{group}.{field}" for group, kind in GROUPS.items() for field in hints_of(kind)]


def choices_of(hint: Any) -> list[str]:
    """The values of a Literal within `hint`, if it holds one."""
    found: list[str] = []
    for part in getattr(hint, "__args__", ()):
        found.extend([part] if isinstance(part, str) else choices_of(part))
    return found


def is_optional(hint: Any) -> bool:
    """Whether a field may be unset."""
    inner = hint.__args__[0] if hasattr(hint, "__origin__") else hint
    return type(None) in getattr(inner, "__args__", ())


@cache
def hints_of(kind: type[Group]) -> dict[str, Any]:
    """The annotated type of each field of a group."""
    return get_type_hints(kind, include_extras=True)
