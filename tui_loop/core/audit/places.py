"""Computes where the loss of answers is, from the losses of their tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean

from tui_loop.core.audit.structs import Places
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import TokenLosses


def places_of(answers: Iterable[TokenLosses]) -> Places | None:
    """Returns the mean losses by place; None without an answer of finite losses."""
    first, between, last = list[float](), list[float](), list[float]()
    for answer in answers:
        losses = [number(loss) for _, loss in answer.tokens]
        values = [loss for loss in losses if loss is not None and math.isfinite(loss)]
        if not values or len(values) < len(losses):
            continue
        first.append(values[0])
        between += values[1:-1]
        last.append(values[-1])
    if not first:
        return None
    return Places(
        len(first),
        round(fmean(first), 6),
        round(fmean(between), 6) if between else None,
        round(fmean(last), 6),
    )
