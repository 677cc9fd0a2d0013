"""Findings on outputs: what the model says, and what it said before."""

from __future__ import annotations

from tui_loop.core.diagnosis.rules import Rule, endings, formats, labels, regressions, weak

RULES: tuple[Rule, ...] = (
    *regressions.RULES,
    *endings.RULES,
    *formats.RULES,
    *labels.RULES,
    *weak.RULES,
)
