"""Examples generated again under other settings: what may be changed, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tui_loop.core.config.settings import full_name, settings_tables
from tui_loop.core.errors import BadInput
from tui_loop.core.inference_messages import GenerateResponse
from tui_loop.core.record.structs import Example

GENERATION = tuple(
    f"evaluation.{name}"
    for name in ("max_new_tokens", "do_sample", "temperature", "top_p", "batch_size")
)
"""The fields that change what is generated, and nothing of how it is scored."""

NEW_TOKENS = 64
"""The limit of new tokens where no record has one."""


class Retried(msgspec.Struct, frozen=True):
    """An example as recorded, and what came of it now."""

    example: Example
    answer: GenerateResponse
    score: float
    passed: bool


def check_settings(settings: Sequence[str], allowed: tuple[str, ...]) -> None:
    """Raises BadInput for what is no setting, or none of `allowed`, which may be a group's `x.`."""
    settings_tables(list(settings))
    for setting in settings:
        name = full_name(setting.partition("=")[0].strip())
        if not name.startswith(allowed):
            names = ", ".join(each + "*" if each.endswith(".") else each for each in allowed)
            raise BadInput(f"{name}: changes nothing here", f"what counts: {names}")


def passing(retried: Sequence[Retried]) -> int:
    """How many of them pass now."""
    return sum(each.passed for each in retried)
