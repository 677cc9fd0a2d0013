"""Settings for generating examples again, and the results."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_loop.core.config.settings import full_name, settings_tables
from tui_loop.core.errors import BadInput
from tui_loop.core.inference_messages import GenerateResponse
from tui_loop.core.record.structs import Example

GENERATION = tuple(
    f"evaluation.{name}"
    for name in ("max_new_tokens", "stop", "do_sample", "temperature", "top_p", "batch_size")
)
"""The fields that affect generation but not scoring."""

NEW_TOKENS = 64
"""The default limit of new tokens where none is recorded."""


class Retried(msgspec.Struct, frozen=True):
    """A recorded example, and its new output with score."""

    example: Example
    response: GenerateResponse
    score: float
    passed: bool


def check_settings(settings: Sequence[str], allowed: tuple[str, ...]) -> None:
    """Raises BadInput for a setting that is invalid or not in `allowed`; `x.` allows a group."""
    settings_tables(list(settings))
    for setting in settings:
        name = full_name(setting.partition("=")[0].strip())
        if not name.startswith(allowed):
            names = ", ".join(each + "*" if each.endswith(".") else each for each in allowed)
            raise BadInput(f"{name}: this setting has no effect here", f"allowed: {names}")


def passing(retried: Sequence[Retried]) -> int:
    """Returns how many of the examples pass now."""
    return sum(each.passed for each in retried)
