"""The shares of several sources in the training rows, and how many rows their mix has."""

from __future__ import annotations

from collections.abc import Mapping

from tui_loop.core.config.data_sources import DataSource, sources_of


def shares_of(train: str | dict[str, DataSource]) -> dict[str, float]:
    """Returns the share of each source, summing to 1; {} where sources have no weights.

    Without weights each row is used once in an epoch.
    """
    weights = {name: source.weight for name, source in sources_of(train).items()}
    given = {name: weight for name, weight in weights.items() if weight is not None}
    total = sum(given.values())
    return {name: weight / total for name, weight in given.items()}


def expected_rows(counts: Mapping[str, int], shares: Mapping[str, float], strategy: str) -> int:
    """Returns about how many rows a mix has; the draw decides by a few.

    `counts`: the rows of each source. `strategy`: `data.stopping_strategy`.
    """
    until = min if strategy == "first_exhausted" else max
    return round(until(counts.get(name, 0) / share for name, share in shares.items()))
