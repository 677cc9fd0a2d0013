"""Figures as people read them."""

from __future__ import annotations


def of_all(count: int, total: int, what: str) -> str:
    """`12 of 100,000 training rows (0.012%)`."""
    return f"{count:,} of {total:,} {what} ({share(count, total)})"


def share(count: float, total: float) -> str:
    """A share in percent with the digits that it needs; a small one never reads as none."""
    percent = 100 * count / total if total else 0.0
    if percent in (0.0, 100.0) or 10 <= percent < 99.5:
        return f"{percent:.0f}%"
    if percent >= 99.5:
        return f"{min(percent, 99.9):.1f}%"
    return f"{percent:.2g}%" if percent >= 0.01 else "below 0.01%"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 row`, `2 rows`, `1,234 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
