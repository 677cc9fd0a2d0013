"""The app's colours: few, and with one meaning each.

`dark` and `light` define their own; `terminal` uses the sixteen colours of the terminal. Every
theme has the same names with the same meaning: train, eval, good, bad, changed, muted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

if TYPE_CHECKING:
    from textual.app import App

STYLES = ("muted", "good", "bad", "warn", "changed", "train", "eval", "overlay", "accent")

_DARK = {
    "style-muted": "#8a919e",
    "style-good": "#7fb685",
    "style-bad": "#e0736f",
    "style-warn": "#d9a657",
    "style-changed": "#d9a657",
    "style-train": "#6fa8dc",
    "style-eval": "#d9a657",
    "style-overlay": "#a88fc4",
    "style-overlay-2": "#5fb3a1",
    "style-overlay-3": "#c9889f",
    "style-overlay-4": "#b5b26a",
    "style-accent": "#6fa8dc",
    "row-cursor": "#2c3a4d",
    "row-idle": "#23272f",
    "frame": "#3a404b",
    "border-blurred": "#3a404b",
    "input-cursor-background": "#d8dce4",
    "input-cursor-foreground": "#16181d",
    "input-selection-background": "#3d5a80",
}
_LIGHT = {
    "style-muted": "#6a7079",
    "style-good": "#2e7d46",
    "style-bad": "#b3382e",
    "style-warn": "#96640a",
    "style-changed": "#96640a",
    "style-train": "#1f5fa8",
    "style-eval": "#96640a",
    "style-overlay": "#7a4fa3",
    "style-overlay-2": "#1d7a68",
    "style-overlay-3": "#a33f68",
    "style-overlay-4": "#6b6a12",
    "style-accent": "#1f5fa8",
    "row-cursor": "#cfe0f3",
    "row-idle": "#e6e8ec",
    "frame": "#b9bec7",
    "border-blurred": "#b9bec7",
    "input-cursor-background": "#22262d",
    "input-cursor-foreground": "#fafafa",
    "input-selection-background": "#b5d0ee",
}
_TERMINAL = {
    **BUILTIN_THEMES["ansi-dark"].variables,
    "ansi-background": "ansi_default",
    "ansi-foreground": "ansi_default",
    "style-muted": "ansi_bright_black",
    "style-good": "ansi_green",
    "style-bad": "ansi_red",
    "style-warn": "ansi_yellow",
    "style-changed": "ansi_yellow",
    "style-train": "ansi_cyan",
    "style-eval": "ansi_yellow",
    "style-overlay": "ansi_magenta",
    "style-overlay-2": "ansi_bright_cyan",
    "style-overlay-3": "ansi_bright_magenta",
    "style-overlay-4": "ansi_bright_yellow",
    "style-accent": "ansi_cyan",
    "row-cursor": "ansi_default",
    "row-idle": "ansi_default",
    "frame": "ansi_bright_black",
    "border-blurred": "ansi_bright_black",
    "input-cursor-background": "ansi_white",
    "input-cursor-foreground": "ansi_black",
    "input-selection-background": "ansi_blue",
}

VARIABLES = _DARK
"""The values for a theme that does not define them."""

THEMES = (
    Theme(
        "dark",
        primary="#6fa8dc",
        secondary="#a88fc4",
        accent="#6fa8dc",
        warning="#d9a657",
        error="#e0736f",
        success="#7fb685",
        foreground="#d8dce4",
        background="#16181d",
        surface="#1c1f26",
        panel="#23272f",
        variables=_DARK,
    ),
    Theme(
        "light",
        primary="#1f5fa8",
        secondary="#7a4fa3",
        accent="#1f5fa8",
        warning="#96640a",
        error="#b3382e",
        success="#2e7d46",
        foreground="#22262d",
        background="#fafafa",
        surface="#f2f3f5",
        panel="#e6e8ec",
        dark=False,
        variables=_LIGHT,
    ),
    Theme(
        "terminal",
        primary="ansi_cyan",
        secondary="ansi_magenta",
        accent="ansi_cyan",
        warning="ansi_yellow",
        error="ansi_red",
        success="ansi_green",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        ansi=True,
        variables=_TERMINAL,
    ),
)


def styles_of(app: App[Any]) -> dict[str, Style]:
    """Returns the styles of the app's theme by name; `""` is plain text.

    They are no component classes, because Textual would compute all of those again for each widget
    whenever it applies styles.
    """
    variables = {**VARIABLES, **app.theme_variables}

    def colour(name: str) -> Any:
        return Color.parse(variables[name]).rich_color

    styles = {name: Style(color=colour(f"style-{name}")) for name in STYLES}
    styles |= {"": Style.null(), "strong": Style(bold=True), "mark": Style(reverse=True)}
    styles["head"] = styles["muted"]
    styles["cursor"] = Style(bgcolor=colour("row-cursor"))
    styles["idle"] = Style(bgcolor=colour("row-idle"))
    if app.native_ansi_color:  # sixteen colours have no quiet background
        styles["cursor"] = styles["mark"]
    return styles
