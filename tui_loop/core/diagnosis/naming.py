"""What a decision was taken from, in words: `decision.toml` keeps names for programs."""

from __future__ import annotations

from tui_loop.core.diagnosis.experience import JOINED
from tui_loop.core.diagnosis.words import kind_words

SAMPLED = "search/sampled"
"""What `decision.toml` calls what a sampler drew."""


def suggested_by(name: str | None) -> str:
    """`the diagnosis (raise rank, after plateau)` or `the sampler`; "" of nothing."""
    if not name:
        return ""
    if name == SAMPLED:
        return "the sampler"
    told = []
    for each in name.split(JOINED):
        finding, _, action = each.strip().rpartition("/")
        after = f", after {kind_words(finding)}" if finding else ""
        told.append(f"{kind_words(action)}{after}")
    return f"the diagnosis ({'; '.join(told)})"
