"""Findings on data: what was trained on, and what it is measured with."""

from __future__ import annotations

from tui_loop.core.diagnosis.rules import Rule, doubts, gaps, inputs, noise, repeats, sizes

RULES: tuple[Rule, ...] = (
    *repeats.RULES,
    *noise.RULES,
    *doubts.RULES,
    *inputs.RULES,
    *gaps.RULES,
    *sizes.RULES,
)
