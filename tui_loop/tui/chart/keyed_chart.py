"""The large chart with its keys, in the app's colours."""

from __future__ import annotations

from tui_loop.tui.actions import bindings
from tui_loop.tui.chart.widget import LossChart


class KeyedChart(LossChart):
    """A chart that is one box of a screen, with its keys and in the app's colours."""

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
        & > .chart--overlay-1 { color: $tone-overlay; }
        & > .chart--overlay-1-raw { color: $tone-overlay; text-style: dim; }
        & > .chart--overlay-2 { color: $tone-overlay-2; }
        & > .chart--overlay-2-raw { color: $tone-overlay-2; text-style: dim; }
        & > .chart--overlay-3 { color: $tone-overlay-3; }
        & > .chart--overlay-3-raw { color: $tone-overlay-3; text-style: dim; }
        & > .chart--overlay-4 { color: $tone-overlay-4; }
        & > .chart--overlay-4-raw { color: $tone-overlay-4; text-style: dim; }
        & > .chart--axis { color: $tone-muted; }
        & > .chart--muted { color: $tone-muted; }
        & > .chart--bad { color: $tone-bad; }
    }
    """
