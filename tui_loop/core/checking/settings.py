"""Settings that can be computed with, and are still odd: people plant such on purpose."""

from __future__ import annotations

from tui_loop.core.checking.findings import Finding, warning
from tui_loop.core.checking.kinds import CheckKind
from tui_loop.core.config.schema import Config
from tui_loop.core.divergence import HIGHEST_OF_USE, lower_rate
from tui_loop.core.text.figures import brief


def odd_settings(config: Config) -> list[Finding]:
    """Warnings of values that no run is known to have done well with."""
    rate = config.training.learning_rate
    if rate <= HIGHEST_OF_USE:
        return []
    advised = brief(lower_rate(rate, with_adapter=config.lora.enabled))
    told = (
        f"training.learning_rate {brief(rate)}: above {brief(HIGHEST_OF_USE)} runs diverge, or "
        "forget what the base could"
    )
    return [warning(CheckKind.HIGH_RATE, told, f"--set learning_rate={advised}")]
