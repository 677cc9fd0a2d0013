"""Findings on settings far outside their usual range, where the result is bad.

unusual_setting  a setting whose value hardly any run uses, and what it does.

The ranges are wide: a value outside of them need not be a mistake, and is reported only where
much of the loss is left or the score is low. Settings that can be measured against the run's own
gradients and rates are in `step_size`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from tui_loop.core.config.tables import flatten
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import has_much_left
from tui_loop.core.text.figures import brief


class Usual(msgspec.Struct, frozen=True):
    """The usual range of a field, what to set it to, and what a value outside does.

    `below`: the effect of a value that is too low, where it differs.
    """

    low: float
    high: float
    value: Any
    effect: str
    below: str = ""


USUAL = {
    "training.label_smoothing_factor": Usual(0.0, 0.2, 0.0, "the loss also rewards wrong tokens"),
    "training.neftune_noise_alpha": Usual(
        0.0, 15.0, None, "the noise on the embeddings hides the input"
    ),
    "training.adam_beta1": Usual(
        0.8,
        0.95,
        0.9,
        "each step mostly follows outdated gradients",
        below="each step mostly follows the gradient of a single batch",
    ),
    "training.adam_beta2": Usual(
        0.9,
        0.9999,
        0.999,
        "the step size adapts too slowly to the gradients",
        below="the step size changes too much from step to step",
    ),
}

GOOD = 0.8
"""A score that needs no other setting."""

HIGHEST_SCALE = 8.0
"""alpha / r; 1 to 2 is usual."""


def unusual_setting(facts: IterationFacts) -> Iterator[Finding]:
    """Reports the settings outside their usual range, where the result is bad."""
    score = facts.metric("score")
    is_bad = has_much_left(facts) or (score is not None and score < GOOD)
    if facts.config is None or not facts.number or not is_bad:
        return
    flat = flatten(facts.config)
    for name, usual in USUAL.items():
        value = flat.get(name, facts.config.other.get(name.partition(".")[2]))
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not usual.low <= value <= usual.high and value:
            effect = (usual.below if value < usual.low else "") or usual.effect
            yield _finding(name, value, usual.value, effect)
    lora = facts.config.lora
    if lora.enabled and lora.init_lora_weights is False:
        yield _finding(
            "lora.init_lora_weights",
            False,
            True,
            "the adapter starts as a random change of the base model",
        )
    if lora.enabled and not lora.use_rslora and lora.lora_alpha > HIGHEST_SCALE * lora.r:
        yield _finding(
            "lora.lora_alpha",
            lora.lora_alpha,
            2 * lora.r,
            f"at r {lora.r} the adapter is scaled by {lora.lora_alpha / lora.r:.3g}, which "
            "enlarges each update by the same factor",
        )


def _finding(name: str, value: Any, usual: Any, effect: str) -> Finding:
    return Finding(
        FindingKind.UNUSUAL_SETTING,
        "warning",
        f"{name.partition('.')[2]} is {brief(value)}, where {brief(usual)} is usual: {effect}",
        {"setting": name, "usual": "" if usual is None else usual},
        otherwise="if the value was chosen on purpose, it may suit this task",
    )
