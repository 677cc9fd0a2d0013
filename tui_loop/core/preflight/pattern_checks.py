"""Preflight checks of settings against what earlier trials on the same base have shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import flatten
from tui_loop.core.patterns.all_patterns import PatternsReader, hints_for
from tui_loop.core.patterns.pattern import Pattern, shown
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, warning
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder


def check_patterns(loop: LoopFolder, config: Config) -> list[CheckResult]:
    """Returns a warning for each setting that did harm in earlier trials, as the form shows it."""
    reader = PatternsReader(LoopsFolder(loop.path.parent))
    return _results(config, _patterns(reader), flatten(config))


def has_known_harm(reader: PatternsReader, config: Config, fields: Iterable[str]) -> bool:
    """Returns whether a law says that the value of one of `fields` (`group.field`) does harm."""
    laws = [each for each in _patterns(reader) if each.weight == "law"]
    return bool(_results(config, laws, fields))


def _patterns(reader: PatternsReader) -> Sequence[Pattern]:
    # Without a comparison of iterations, which takes time: thresholds need none.
    return reader.poll(0.0).patterns


def _results(
    config: Config, patterns: Iterable[Pattern], fields: Iterable[str]
) -> list[CheckResult]:
    hints = hints_for(patterns, config.model.id, is_lora=config.lora.enabled)
    values, results = flatten(config), []
    for name in fields:
        hint = hints.of(name, values.get(name))
        if hint.is_warning:
            label = name.partition(".")[2]
            results.append(
                warning(
                    CheckKind.BAD_BEFORE,
                    f"{label} {shown(values[name])}: {hint.text}",
                    f"choose a different {label}",
                    field=name,
                )
            )
    return results
