"""What iterations were made of and ran on: data files and environments, each told once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.report.facts import DataFile, Environment

SPLITS = ("train", "eval", "holdout")


def data_of(reader: LoopReader, numbers: Iterable[int]) -> tuple[DataFile, ...]:
    """Every version of a data file that an iteration saw, the splits in their usual order."""
    seen: dict[tuple[str, str, str, int], list[int]] = {}
    for number in numbers:
        for name, split in reader.splits(number).items():
            seen.setdefault((name, split.path, split.sha256 or "", split.rows), []).append(number)
    files = [
        DataFile(split=name, path=path, rows=rows, sha256=digest, iterations=tuple(numbers))
        for (name, path, digest, rows), numbers in seen.items()
    ]
    return tuple(sorted(files, key=lambda each: (_place(each.split), each.iterations)))


def environments_of(reader: LoopReader, numbers: Iterable[int]) -> tuple[Environment, ...]:
    """Devices and versions, the iterations that had the same ones together."""
    seen: dict[tuple[Any, ...], list[int]] = {}
    for number in numbers:
        try:
            effective = reader.loop.iteration(number).read_effective()
        except (TuiLoopError, OSError):  # such an iteration is told as unreadable
            continue
        versions = effective.get("versions")
        pairs = sorted(versions.items()) if isinstance(versions, dict) else []
        told = tuple((str(name), str(value)) for name, value in pairs)
        device, dtype = (str(effective.get(name, "")) for name in ("device", "dtype"))
        if device or told:
            seen.setdefault((device, dtype, told), []).append(number)
    return tuple(
        Environment(tuple(numbers), device, dtype, dict(versions))
        for (device, dtype, versions), numbers in seen.items()
    )


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)
