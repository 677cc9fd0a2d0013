"""The chart with its keys, in the app's colours."""

from __future__ import annotations

from tui_loop.tui.actions import bindings
from tui_loop.tui.widgets.chart import LossChart


class KeyedChart(LossChart):
    """A chart that is one box of a screen."""

    BINDINGS = bindings("chart")
    DEFAULT_CSS = """
    KeyedChart {
        border: round $frame;
        background: $background;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $tone-muted;
        &:focus { border: round $tone-accent; border-title-color: $tone-accent; }
        &:nocolor:focus { border-title-style: bold reverse; }
        & > .chart--train { color: $tone-train; }
        & > .chart--train-raw { color: $tone-train; text-style: dim; }
        & > .chart--eval { color: $tone-eval; }
        & > .chart--overlay { color: $tone-overlay; }
        & > .chart--axis { color: $tone-muted; }
        & > .chart--muted { color: $tone-muted; }
        & > .chart--bad { color: $tone-bad; }
    }
    """
