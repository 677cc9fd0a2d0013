"""Asking models a prompt: what goes to the process that has them, and what comes back.

A JSON object a line either way. Nothing of it is recorded.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.record.folders import LoopFolder

BASE = 0


class GenerateRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One prompt, or held-out examples by id, each with the prompt that it was evaluated on.

    `iterations`: which of the models answer, all where it is empty. `settings`: `evaluation.*`
    fields (K=V) that are changed for this question alone. `drop`: what was asked before and has
    not been answered is given up; then there need be no prompt.
    """

    id: int
    prompt: str = ""
    examples: tuple[str, ...] = ()
    iterations: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()
    drop: bool = False


class GenerateResponse(msgspec.Struct, frozen=True, tag_field="kind", tag="answer"):
    """What the model of `iteration` said to question `id`; 0 is the untouched base.

    `example`: of which held-out example, "" for a free prompt. `prompt_cut`: tokens of the
    prompt's start that the model could not be shown. `truncated`: the limit on new tokens ended it.
    """

    id: int
    iteration: int
    output: str
    tokens: int
    truncated: bool
    seconds: float
    prompt_tokens: int = 0
    prompt_cut: int = 0
    example: str = ""


class AskingState(msgspec.Struct, frozen=True, tag_field="kind", tag="state", omit_defaults=True):
    """How it stands with the models, or with question `id`.

    `loading`: the weights of `iteration`. `left_out`: `iteration` cannot answer, `message` and
    `hint` say why. `ready`: the `iterations` that answer are loaded. `answered`: question `id` has
    all of its answers. `error`: question `id` has none (from `iteration`, where one is named).
    `ended`: no more answers come; with a message where that was not asked for.
    """

    state: Literal["loading", "left_out", "ready", "answered", "error", "ended"]
    id: int | None = None
    iteration: int | None = None
    iterations: tuple[int, ...] = ()
    message: str = ""
    hint: str = ""


Told = GenerateResponse | AskingState


def side_by_side(loop: LoopFolder, number: int, against: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The iterations that are asked together: N, then `against`, which is N's parent unless told,
    and the base last. Raises NotFound, BadInput."""
    folder = loop.existing(number)
    if not against:
        parent = folder.read_decision().parent
        against = () if parent is None else (parent,)
    others = [loop.existing(each).number for each in against if each != BASE]
    return tuple(dict.fromkeys([number, *(each for each in others if each != BASE), BASE]))
