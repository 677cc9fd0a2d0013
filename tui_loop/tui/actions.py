"""The one table of actions: keys, footer, help, palette and the user's remapping come from it."""

from __future__ import annotations

import msgspec
from textual.binding import Binding, BindingType


class Action(msgspec.Struct, frozen=True):
    """What a person can do: `method` names the `action_` method of the widget of its `scope`.

    `short` is its word in the footer, empty for an action that the footer leaves out.
    """

    id: str
    keys: str
    method: str
    description: str
    scope: str
    short: str = ""


SCOPES = {
    "app": "Everywhere",
    "workbench": "Loop and run",
    "list": "In a list",
    "iterations": "Iterations",
    "config": "Config",
    "chart": "Chart",
    "failures": "Failures",
    "log": "Log",
    "sheet": "Reading",
    "example": "An example",
    "breakdown": "What fails",
    "compare": "Two iterations",
    "diagnosis": "A diagnosis",
    "patterns": "Patterns",
    "progress": "Progress",
    "queue": "The queue",
    "ready": "Ready?",
    "asking": "Asking models",
    "training": "Training rows",
    "again": "Generated again",
    "check": "A check",
    "picker": "Loops",
    "new": "A new loop",
}
"""Where an action is at hand, with the heading of its part in the help."""

ACTIONS: tuple[Action, ...] = (
    Action("app.help", "question_mark,f1", "help", "all keys, this pane's first", "app", "help"),
    Action("app.commands", "colon,ctrl+p", "command_palette", "find a command", "app", "commands"),
    Action("app.theme", "ctrl+t", "next_theme", "next colours: dark, light, terminal", "app"),
    Action("app.back", "escape", "back", "leave a field, or go back", "app", "back"),
    Action("app.quit", "q,ctrl+q", "leave", "quit", "app"),
    Action("app.suspend", "ctrl+z", "suspend_process", "to the shell, until its fg", "app"),
    Action("pane.iterations", "1", "pane('iterations')", "go to the iterations", "workbench"),
    Action("pane.config", "2", "pane('config')", "go to the config", "workbench"),
    Action("pane.chart", "3", "pane('chart')", "go to the chart", "workbench"),
    Action("pane.failures", "4", "pane('failures')", "go to the failures", "workbench"),
    Action("pane.log", "5", "pane('log')", "go to the log", "workbench"),
    Action("pane.left", "ctrl+left", "neighbour('left')", "pane to the left", "workbench"),
    Action("pane.right", "ctrl+right", "neighbour('right')", "pane to the right", "workbench"),
    Action("pane.up", "ctrl+up", "neighbour('up')", "pane above", "workbench"),
    Action("pane.down", "ctrl+down", "neighbour('down')", "pane below", "workbench"),
    Action("pane.next", "tab", "step_pane(1)", "next pane", "workbench"),
    Action("pane.previous", "shift+tab", "step_pane(-1)", "previous pane", "workbench"),
    Action("pane.zoom", "z", "zoom", "zoom the pane, and back", "workbench", "zoom"),
    Action("run.start", "r", "run", "run the draft (asks)", "workbench", "run"),
    Action("run.check", "C", "check", "check the draft before it runs", "workbench"),
    Action("run.stop", "s", "stop", "stop the live run (asks)", "workbench", "stop"),
    Action("run.pause", "p", "pause", "pause the live run, or go on", "workbench"),
    Action("run.evaluate", "e", "evaluate", "evaluate the live run now", "workbench"),
    Action("run.checkpoint", "K", "checkpoint", "write a checkpoint now", "workbench"),
    Action("run.resume", "a", "resume", "go on with the selected one (asks)", "workbench"),
    Action("run.detach", "D", "detach", "quit, a run here goes on without a screen", "app"),
    Action("loop.next", "N", "draft", "draft the next iteration from here", "workbench", "next"),
    Action("loop.diagnosis", "d", "diagnosis", "diagnosis, what next", "workbench", "diagnosis"),
    Action("loop.compare", "c", "compare", "compare with the marked one", "workbench", "compare"),
    Action("loop.patterns", "P", "patterns", "patterns: what all loops taught", "workbench"),
    Action("loop.progress", "I", "progress", "progress: score and loss with noise", "workbench"),
    Action("loop.ready", "Y", "ready", "ready? checklist and holdout", "workbench"),
    Action("loop.queue", "Q", "queue", "the queue: drafts that wait", "workbench"),
    Action("loop.enqueue", "A", "enqueue", "add the draft to the queue", "workbench"),
    Action("loop.auto", "B", "auto", "go by itself: suggest, run, judge (asks)", "workbench"),
    Action("loop.close", "X", "close", "close the loop, or open it again (asks)", "workbench"),
    Action("loop.report", "W", "report", "write a report (asks where)", "workbench"),
    Action("loop.fresh", "Z", "fresh", "draft on a fresh split (asks)", "workbench"),
    Action("loop.mark", "m", "mark", "mark it, to compare and overlay", "workbench", "mark"),
    Action("loop.previous", "left_square_bracket", "select(-1)", "previous one", "workbench"),
    Action("loop.following", "right_square_bracket", "select(1)", "next iteration", "workbench"),
    Action("loop.edit", "E", "edit_file", "the file behind it in $EDITOR", "workbench", "edit"),
    Action("loop.ask", "t", "ask", "ask the models a prompt", "workbench"),
    Action("loop.training", "T", "training", "hard training rows: suspect labels", "workbench"),
    Action("loop.copy", "y", "copy", "copy what is selected", "workbench"),
    Action("loop.open", "O", "open_loop", "open another loop, or begin one", "workbench"),
    Action("list.up", "up,k", "move(-1)", "up", "list"),
    Action("list.down", "down,j", "move(1)", "down", "list"),
    Action("list.page_up", "pageup,ctrl+b", "move_page(-1)", "a page up", "list"),
    Action("list.page_down", "pagedown,ctrl+f", "move_page(1)", "a page down", "list"),
    Action("list.top", "home,g", "top", "to the top", "list"),
    Action("list.bottom", "end,G", "bottom", "to the bottom", "list"),
    Action("list.open", "enter,l", "open", "open it", "list", "open"),
    Action("config.choice", "space", "next_choice", "next value", "config", "switch"),
    Action("config.reset", "u", "reset_field", "undo a field, as the parent has it", "config"),
    Action("config.reset_all", "U", "reset_all", "undo all fields (asks)", "config"),
    Action("config.changed", "v", "only_changed", "only what changed, or all", "config", "changed"),
    Action("config.find", "slash", "find", "find a field by name", "config", "find"),
    Action("config.problem", "n", "next_problem", "go to the next problem", "config", "problem"),
    Action("config.why", "w", "edit_why", "why this change", "config", "why"),
    Action("chart.left", "left,h", "cursor_left", "cursor to the left", "chart", "cursor"),
    Action("chart.right", "right,l", "cursor_right", "cursor to the right", "chart"),
    Action("chart.far_left", "H,shift+left", "cursor_far_left", "far to the left", "chart"),
    Action("chart.far_right", "shift+right", "cursor_far_right", "far to the right", "chart"),
    Action("chart.zoom_in", "plus", "zoom_in", "zoom in", "chart", "zoom in"),
    Action("chart.zoom_out", "minus", "zoom_out", "zoom out", "chart"),
    Action("chart.metric", "v", "next_metric", "next metric", "chart", "metric"),
    Action("chart.grid", "g v", "toggle_grid", "all metrics as small charts", "chart", "grid"),
    Action("chart.list", "g i", "toggle_list", "list of metrics beside the chart", "chart"),
    Action("chart.x_axis", "g x", "next_x_axis", "next x axis: step, epoch, ...", "chart", "x"),
    Action("chart.log", "g y", "toggle_log", "log scale", "chart", "log"),
    Action("chart.clip", "g o", "toggle_clip", "cut off outliers, or show all", "chart"),
    Action("chart.zoom_in_y", "g k", "zoom_in_y", "zoom in on the values", "chart"),
    Action("chart.zoom_out_y", "g j", "zoom_out_y", "zoom out of the values", "chart"),
    Action("chart.smoother", "g +", "smooth_more", "more smoothing", "chart", "smooth"),
    Action("chart.rougher", "g -", "smooth_less", "less smoothing", "chart"),
    Action("chart.reset", "g 0", "reset_view", "no cursor and no zoom", "chart"),
    Action("chart.overlay", "g m", "toggle_overlay", "overlay the marked runs", "chart", "overlay"),
    Action("failures.filter", "f", "filters", "what fails: filters", "failures", "what fails"),
    Action("failures.search", "slash", "search", "filter by terms or words", "failures", "search"),
    Action("failures.sort", "S", "next_order", "sort by loss, change, flips", "failures", "sort"),
    Action("failures.reverse", "R", "reverse", "the other way round", "failures"),
    Action("failures.again", "F", "screen.again", "generate them again", "failures", "again"),
    Action("log.level", "f", "next_level", "all, no steps, warnings", "log", "level"),
    Action("log.search", "slash", "search", "only lines with a text", "log", "search"),
    Action("log.follow", "F", "follow", "follow the newest line", "log", "follow"),
    Action("sheet.up", "up,k", "scroll_up", "up", "sheet"),
    Action("sheet.down", "down,j", "scroll_down", "down", "sheet"),
    Action("sheet.page_up", "pageup,ctrl+b", "page_up", "a page up", "sheet"),
    Action("sheet.page_down", "pagedown,ctrl+f,space", "page_down", "a page down", "sheet"),
    Action("sheet.top", "home,g", "scroll_home", "to the top", "sheet"),
    Action("sheet.bottom", "end,G", "scroll_end", "to the bottom", "sheet"),
    Action("example.previous", "left_square_bracket", "step(-1)", "previous example", "example"),
    Action("example.following", "right_square_bracket", "step(1)", "next", "example", "next"),
    Action("example.token_left", "left,h", "token(-1)", "token to the left", "example"),
    Action("example.token_right", "right,l", "token(1)", "token to the right", "example"),
    Action("example.worst", "w", "worst", "the worst token, then the next", "example", "worst"),
    Action("example.whose", "v", "whose", "losses of tuned, parent, base", "example", "whose"),
    Action("example.reasoning", "i", "reasoning", "unfold or fold the reasoning", "example"),
    Action("example.nearest", "n", "nearest", "nearest training rows", "example", "nearest"),
    Action("example.accept", "a", "say('accepted')", "accept the output", "example", "accept"),
    Action(
        "example.bad_reference", "b", "say('bad_reference')", "bad reference", "example", "bad ref"
    ),
    Action("example.ambiguous", "u", "say('ambiguous')", "ambiguous", "example"),
    Action("example.clear", "x", "say('cleared')", "take back what was said", "example"),
    Action("example.comment", "c", "comment", "a note on it", "example", "note"),
    Action("example.ask", "t", "ask", "ask the models its prompt", "example", "ask"),
    Action("example.edit", "E", "edit_file", "its line in the data file", "example"),
    Action("example.copy", "y", "copy", "copy it", "example", "copy"),
    Action("breakdown.also", "space", "also", "filter by it too", "breakdown", "and this"),
    Action("breakdown.name", "n", "name", "name this filter", "breakdown", "name it"),
    Action("breakdown.forget", "delete", "forget", "forget a named filter", "breakdown", "forget"),
    Action("compare.next", "tab", "step(1)", "next part", "compare", "next part"),
    Action("compare.previous", "shift+tab", "step(-1)", "previous part", "compare"),
    Action("compare.figures", "1", "part('figures')", "config, metrics, causes", "compare"),
    Action("compare.chart", "2", "part('chart')", "both loss curves", "compare"),
    Action("compare.fixed", "3", "part('fixed')", "what was fixed", "compare", "fixed"),
    Action("compare.broken", "4", "part('broken')", "what was broken", "compare", "broken"),
    Action("compare.failing", "5", "part('failing')", "what fails in both", "compare"),
    Action("compare.copy", "y", "copy", "copy what is selected", "compare", "copy"),
    Action("diagnosis.take", "space", "take", "take it, or not", "diagnosis", "take"),
    Action("diagnosis.draft", "N", "draft", "draft with what is taken", "diagnosis", "draft"),
    Action(
        "diagnosis.previous", "left_square_bracket", "step(-1)", "previous one", "diagnosis", "prev"
    ),
    Action("diagnosis.following", "right_square_bracket", "step(1)", "next", "diagnosis", "next"),
    Action("diagnosis.copy", "y", "copy", "copy it as text", "diagnosis", "copy"),
    Action(
        "patterns.part", "tab", "part", "to what shows it, and back", "patterns", "what shows it"
    ),
    Action("patterns.open", "O", "open", "open the loop of the row", "patterns", "its loop"),
    Action("patterns.copy", "y", "copy", "copy it", "patterns", "copy"),
    Action("progress.enqueue", "A", "enqueue", "queue the repeats", "progress", "queue repeats"),
    Action("progress.copy", "y", "copy", "copy it", "progress", "copy"),
    Action("progress.read", "tab", "read", "to what is told in full", "progress", "in full"),
    Action("asking.ask", "enter", "ask", "ask it", "asking", "ask"),
    Action("asking.drop", "ctrl+g", "drop", "give up what is not answered", "asking", "give up"),
    Action("asking.up", "pageup", "scroll(-1)", "a page up", "asking", "back"),
    Action("asking.down", "pagedown", "scroll(1)", "a page down", "asking", "on"),
    Action("queue.sooner", "K,shift+up", "shift(-1)", "run it sooner", "queue", "sooner"),
    Action("queue.later", "J,shift+down", "shift(1)", "run it later", "queue", "later"),
    Action("queue.remove", "x,delete", "remove", "take it out", "queue", "take out"),
    Action("queue.undo", "u", "undo", "put back what was taken out", "queue", "undo"),
    Action("queue.run", "R", "run", "run all of it in the background", "queue", "run all"),
    Action("queue.read", "tab", "read", "the draft in full, and back", "queue", "in full"),
    Action("training.edit", "E", "edit_file", "its line in the data file", "training", "edit"),
    Action("training.copy", "y", "copy", "copy it", "training", "copy"),
    Action("training.read", "tab", "read", "the row in full, and back", "training", "in full"),
    Action("again.copy", "y", "copy", "copy it", "again", "copy"),
    Action("again.read", "tab", "read", "the row in full, and back", "again", "in full"),
    Action("ready.look", "L", "look", "look at the holdout (asks)", "ready", "look"),
    Action("ready.read", "tab", "read", "the criterion in full, and back", "ready", "in full"),
    Action(
        "check.previous",
        "left_square_bracket,left",
        "step(-1)",
        "previous training row, token by token",
        "check",
        "previous row",
    ),
    Action(
        "check.following",
        "right_square_bracket,right",
        "step(1)",
        "next training row, token by token",
        "check",
        "next row",
    ),
    Action("picker.new", "n", "new", "a new loop from a data file", "picker", "new loop"),
    Action("picker.demo", "d", "demo", "look around in a recorded loop", "picker", "demo"),
    Action("new.create", "ctrl+s", "create", "create the loop", "new", "create"),
    Action("new.up", "up", "move(-1)", "choice above, or field above", "new"),
    Action("new.down", "down", "move(1)", "choice below, or field below", "new"),
    Action("new.next", "tab", "step(1)", "next field", "new", "next field"),
    Action("new.previous", "shift+tab", "step(-1)", "previous field", "new"),
    Action("new.skip_rows", "ctrl+r", "skip_rows", "leave unusable rows out or not", "new"),
    Action("new.page_up", "pageup", "page(-1)", "a page up, below the fields", "new"),
    Action("new.page_down", "pagedown", "page(1)", "a page down, below the fields", "new", "rows"),
)

BY_ID = {action.id: action for action in ACTIONS}

_SIGNS = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}


def bindings(*scopes: str) -> list[BindingType]:
    """The key bindings of a widget or screen that is at home in `scopes`."""
    return [
        Binding(action.keys, action.method, action.description, id=action.id, show=False)
        for action in ACTIONS
        if action.scope in scopes
    ]


def bindings_of(*ids: str) -> list[BindingType]:
    """The key bindings of single actions, for a dialog."""
    return [
        Binding(BY_ID[each].keys, BY_ID[each].method, BY_ID[each].description, id=each, show=False)
        for each in ids
    ]


def keys_of(action: Action, keymap: dict[str, str]) -> list[str]:
    """The keys that an action has, as people write them: `?`, `ctrl+p`, `N`."""
    names = keymap.get(action.id, action.keys).split(",")
    return [_shown(name.strip()) for name in names if name.strip()]


def _shown(name: str) -> str:
    head, plus, last = name.rpartition("+")
    return f"{head}{plus}{_SIGNS.get(last, last)}"
