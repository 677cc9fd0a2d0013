"""Messages between the inference server and its client: structs, one JSON object a line.

They are never recorded, so both sides always have the same version of them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.record.folders import LoopFolder

BASE = 0


class GenerateRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request for outputs: one prompt, or held-out examples by id with their own prompts.

    `iterations`: the models that respond, all of them if empty. `settings`: `evaluation.*` fields
    (K=V) to change for this request alone. `cancel`: cancels all earlier requests; such a request
    needs no prompt.
    """

    id: int
    prompt: str = ""
    examples: tuple[str, ...] = ()
    iterations: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()
    cancel: bool = False


class GenerateResponse(msgspec.Struct, frozen=True, tag_field="kind", tag="answer"):
    """The output of one model for request `id`; `iteration` 0 is the base.

    `example`: the held-out example's id, "" for a free prompt. `prompt_cut`: the number of tokens
    cut from the prompt's start. `truncated`: the limit on new tokens ended the output.
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


class ServerStatus(msgspec.Struct, frozen=True, tag_field="kind", tag="state", omit_defaults=True):
    """The state of the models, or of request `id`.

    - `loading`: the server loads the weights of `iteration`.
    - `left_out`: `iteration` cannot be used; `message` and `hint` say why.
    - `ready`: the models of `iterations` are loaded.
    - `answered`: all responses to request `id` have been sent.
    - `error`: request `id` failed (for `iteration`, where there is one).
    - `ended`: the server has ended; `message` says why, unless the client closed it.
    """

    state: Literal["loading", "left_out", "ready", "answered", "error", "ended"]
    id: int | None = None
    iteration: int | None = None
    iterations: tuple[int, ...] = ()
    message: str = ""
    hint: str = ""


ServerMessage = GenerateResponse | ServerStatus


def iterations_to_compare(
    loop: LoopFolder, number: int, against: tuple[int, ...] = ()
) -> tuple[int, ...]:
    """Returns the iterations whose outputs are shown together: N, `against`, and the base last.

    An empty `against` means N's parent. Raises NotFound, BadInput.
    """
    folder = loop.existing(number)
    if not against:
        parent = folder.read_decision().parent
        against = () if parent is None else (parent,)
    others = [loop.existing(each).number for each in against if each != BASE]
    return tuple(dict.fromkeys([number, *(each for each in others if each != BASE), BASE]))
