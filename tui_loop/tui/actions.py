"""The one table of actions: keys, footer, help, palette and the user's remapping come from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import msgspec
from textual.binding import Binding, BindingType


class Action(msgspec.Struct, frozen=True):
    """What a person can do: `method` names the `action_` method of the widget of its `scope`.

    In the scope of the workbench it may be `controller.method`. `keys` of two signs, such as
    `g p`, are a leader and a key of its menu. `short` is the word in the footer, empty for an
    action that the footer leaves out.
    """

    id: str
    keys: str
    method: str
    description: str
    scope: str
    short: str = ""

    @property
    def call(self) -> str:
        """Returns the Textual action; `controller.method` names a method of a controller."""
        controller, dot, method = self.method.partition(".")
        if not dot or "(" in self.method:
            return self.method
        return f"call('{controller}', '{method}')"


SCOPES = {
    "app": "Everywhere",
    "workbench": "Loop and run",
    "list": "In a list",
    "search": "Searching a list",
    "iterations": "Iterations",
    "columns": "Columns of a list",
    "config": "Config",
    "chart": "Chart",
    "failures": "Failures",
    "log": "Log",
    "field": "Typing a filter",
    "sheet": "Text",
    "example": "An example",
    "breakdown": "Failures, counted",
    "compare": "Two iterations",
    "diagnosis": "Diagnosis",
    "patterns": "Patterns",
    "progress": "Progress",
    "queue": "The queue",
    "ready": "Ready?",
    "asking": "Ask the models",
    "training": "Training rows",
    "again": "Generated again",
    "check": "Checks",
    "picker": "Loops",
    "new": "A new loop",
}
"""Where an action is available, with its heading in the help."""

WORKBENCH_SCOPES = ("workbench",)
"""Scopes of actions that are available on every screen; they close the screens above."""

ACTIONS: tuple[Action, ...] = (
    Action(
        "app.help",
        "question_mark,f1",
        "help",
        "all keys, those of this pane first; searchable",
        "app",
        "help",
    ),
    Action(
        "app.commands",
        "colon,ctrl+p",
        "command_palette",
        "find a command, an iteration or a loop",
        "app",
        "commands",
    ),
    Action("app.leader", "g", "leader('g')", "more commands, in a menu", "app", "more"),
    Action("app.messages", "g i", "messages", "messages of this session", "app"),
    Action("app.search", "slash", "search", "search in this list or text", "app", "search"),
    Action("app.next_match", "n", "match(1)", "next match", "app"),
    Action("app.previous_match", "N", "match(-1)", "previous match", "app"),
    Action("app.theme", "g b", "next_theme", "next colours", "app"),
    Action("app.back", "escape", "back", "leave a field, or go back", "app", "back"),
    Action("app.quit", "q,ctrl+q", "leave", "quit", "app"),
    Action(
        "app.suspend", "ctrl+z", "suspend_process", "suspend the app until the shell's fg", "app"
    ),
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
    Action("pane.zoom", "z", "zoom", "zoom the pane, or show all again", "workbench", "zoom"),
    Action("run.start", "r", "runs.start", "run the draft (asks)", "workbench", "run"),
    Action("run.check", "g c", "checks.open", "check the draft", "workbench"),
    Action("run.stop", "s", "runs.stop", "stop the live run (asks)", "workbench", "stop"),
    Action("run.pause", "p", "runs.pause", "pause or continue the live run", "workbench", "pause"),
    Action(
        "run.evaluate", "g e", "runs.evaluate", "evaluate the live run now", "workbench", "evaluate"
    ),
    Action(
        "run.checkpoint",
        "g k",
        "runs.checkpoint",
        "write a checkpoint now",
        "workbench",
        "checkpoint",
    ),
    Action("run.resume", "R", "runs.resume", "resume the selected run (asks)", "workbench"),
    Action("run.detach", "D", "detach", "quit the app and leave its run in the background", "app"),
    Action(
        "loop.next",
        "i",
        "drafts.draft_next",
        "draft the next iteration from this one",
        "workbench",
        "next",
    ),
    Action(
        "loop.diagnosis",
        "d",
        "diagnosis.open",
        "diagnosis: what is wrong, what to change",
        "workbench",
        "diagnosis",
    ),
    Action(
        "loop.compare",
        "c",
        "comparison.open",
        "compare with the marked iteration or the parent",
        "workbench",
        "compare",
    ),
    Action("loop.patterns", "g p", "patterns.open", "patterns over all loops", "workbench"),
    Action(
        "loop.progress",
        "g h",
        "progress.open",
        "progress over the iterations",
        "workbench",
    ),
    Action("loop.ready", "g r", "readiness.open", "ready? checklist and holdout", "workbench"),
    Action("loop.queue", "g q", "queue.open", "queue of drafts", "workbench"),
    Action("loop.enqueue", "A", "queue.enqueue", "add the draft to the queue", "workbench"),
    Action(
        "loop.auto",
        "g a",
        "autopilot.open",
        "auto: iterate unattended (asks)",
        "workbench",
    ),
    Action(
        "loop.close",
        "g f",
        "loop_settings.close",
        "close or reopen the loop (asks)",
        "workbench",
    ),
    Action(
        "loop.report",
        "g w",
        "loop_settings.write_report",
        "write a report (asks where)",
        "workbench",
    ),
    Action(
        "loop.settings",
        "g o",
        "loop_settings.edit_settings",
        "edit goal, target, criteria",
        "workbench",
    ),
    Action(
        "loop.fresh",
        "g s",
        "loop_settings.draft_fresh_split",
        "draft on a fresh split (asks)",
        "workbench",
    ),
    Action(
        "loop.mark",
        "m",
        "iterations.mark",
        "mark to compare with and to overlay",
        "workbench",
        "mark",
    ),
    Action("loop.previous", "left_square_bracket", "select(-1)", "previous iteration", "workbench"),
    Action("loop.following", "right_square_bracket", "select(1)", "next iteration", "workbench"),
    Action(
        "loop.edit",
        "e",
        "iterations.edit_file",
        "edit the file behind it in $EDITOR",
        "workbench",
        "edit",
    ),
    Action("loop.ask", "g m", "examples.ask_models", "ask the models a prompt", "workbench"),
    Action(
        "loop.training",
        "g t",
        "examples.show_suspects",
        "suspect training rows",
        "workbench",
    ),
    Action("loop.copy", "y", "iterations.copy", "copy what is selected", "workbench"),
    Action("loop.open", "g l", "open_loop", "open or create a loop", "workbench"),
    Action("list.up", "up,k", "move(-1)", "up", "list"),
    Action("list.down", "down,j", "move(1)", "down", "list"),
    Action("list.page_up", "pageup,ctrl+b", "move_page(-1)", "a page up", "list"),
    Action("list.page_down", "pagedown,ctrl+f", "move_page(1)", "a page down", "list"),
    Action("list.top", "home,g g", "top", "to the top", "list"),
    Action("list.bottom", "end,G", "bottom", "to the bottom", "list"),
    Action("list.open", "enter", "open", "open it", "list", "open"),
    Action("search.search", "slash", "search", "search the rows", "search"),
    Action("search.next_match", "n", "next_match", "next match", "search"),
    Action("search.previous_match", "N", "previous_match", "previous match", "search"),
    Action("iterations.filter", "f", "filter", "filter by terms or words", "iterations", "filter"),
    Action("iterations.search", "slash", "search", "search changes and reasons", "iterations"),
    Action("iterations.next_match", "n", "next_match", "next match", "iterations"),
    Action("iterations.previous_match", "N", "previous_match", "previous match", "iterations"),
    Action("iterations.sort", "o", "next_order", "sort by score, loss, time", "iterations", "sort"),
    Action("iterations.reverse", "g v", "reverse", "reverse the order", "iterations"),
    Action("iterations.columns", "g C", "columns", "choose the columns", "iterations"),
    Action("columns.toggle", "space", "tick", "show or hide a column", "columns"),
    Action(
        "iterations.why",
        "a",
        "screen.call('iterations', 'edit_reason')",
        "write the reason for this run",
        "iterations",
    ),
    Action("config.choice", "space", "next_choice", "next value", "config", "switch"),
    Action("config.reset", "u", "reset_field", "undo the change of a field", "config"),
    Action("config.reset_all", "g u", "reset_all", "undo all changes (asks)", "config"),
    Action(
        "config.changed", "v", "only_changed", "view: changed fields, or all", "config", "changed"
    ),
    Action("config.problem", "g n", "next_problem", "go to the next problem", "config", "problem"),
    Action(
        "config.why",
        "a",
        "screen.call('iterations', 'edit_reason')",
        "write the reason for this change",
        "config",
        "reason",
    ),
    Action("chart.left", "left,h", "cursor_left", "cursor to the left", "chart", "cursor"),
    Action("chart.right", "right,l", "cursor_right", "cursor to the right", "chart"),
    Action("chart.far_left", "shift+left", "cursor_far_left", "far to the left", "chart"),
    Action("chart.far_right", "shift+right", "cursor_far_right", "far to the right", "chart"),
    Action("chart.zoom_in", "plus", "zoom_in", "zoom in", "chart", "zoom in"),
    Action("chart.zoom_out", "minus", "zoom_out", "zoom out", "chart"),
    Action("chart.metric", "v", "next_metric", "next metric", "chart", "metric"),
    Action("chart.grid", "g G", "toggle_grid", "all metrics as small charts", "chart", "grid"),
    Action("chart.list", "g L", "toggle_list", "list of metrics beside the chart", "chart"),
    Action("chart.x_axis", "g x", "next_x_axis", "next x axis: step, epoch, ...", "chart", "x"),
    Action("chart.log", "g y", "toggle_log", "log scale", "chart", "log"),
    Action("chart.clip", "g K", "toggle_clip", "cut off outliers, or show all", "chart"),
    Action("chart.zoom_in_y", "g >", "zoom_in_y", "zoom in on the values", "chart"),
    Action("chart.zoom_out_y", "g <", "zoom_out_y", "zoom out of the values", "chart"),
    Action("chart.smoother", "g +", "smooth_more", "more smoothing", "chart", "smooth"),
    Action("chart.rougher", "g -", "smooth_less", "less smoothing", "chart"),
    Action("chart.reset", "g 0", "reset_view", "no cursor and no zoom", "chart"),
    Action("chart.overlay", "g V", "toggle_overlay", "overlay the marked runs", "chart", "overlay"),
    Action("failures.filter", "f", "filter", "filter by terms or words", "failures", "filter"),
    Action("failures.search", "slash", "search", "search these examples", "failures", "search"),
    Action("failures.next_match", "n", "next_match", "next match", "failures"),
    Action("failures.previous_match", "N", "previous_match", "previous match", "failures"),
    Action("failures.sort", "o", "next_order", "sort by loss, change, flips", "failures", "sort"),
    Action("failures.reverse", "g v", "reverse", "reverse the order", "failures"),
    Action("failures.breakdown", "g d", "breakdown", "what fails, by cause and label", "failures"),
    Action(
        "failures.again",
        "g n",
        "screen.call('examples', 'regenerate')",
        "generate them again with other settings",
        "failures",
    ),
    Action("log.level", "f", "next_level", "all, no steps, warnings", "log", "level"),
    Action("log.search", "slash", "search", "search the lines", "log", "search"),
    Action("log.next_match", "n", "next_match", "next match", "log"),
    Action("log.previous_match", "N", "previous_match", "previous match", "log"),
    Action("log.follow", "end", "follow", "follow the newest line", "log", "follow"),
    Action("field.complete", "tab", "complete", "take the suggestion", "field"),
    Action("field.next", "down", "suggest(1)", "next suggestion", "field"),
    Action("field.previous", "up", "suggest(-1)", "previous suggestion", "field"),
    Action("sheet.up", "up,k", "scroll_up", "up", "sheet"),
    Action("sheet.down", "down,j", "scroll_down", "down", "sheet"),
    Action("sheet.page_up", "pageup,ctrl+b", "page_up", "a page up", "sheet"),
    Action("sheet.page_down", "pagedown,ctrl+f", "page_down", "a page down", "sheet"),
    Action("sheet.top", "home,g g", "scroll_home", "to the top", "sheet"),
    Action("sheet.bottom", "end,G", "scroll_end", "to the bottom", "sheet"),
    Action("example.previous", "left_square_bracket", "step(-1)", "previous example", "example"),
    Action("example.following", "right_square_bracket", "step(1)", "next", "example", "next"),
    Action("example.token_left", "left,h", "token(-1)", "token to the left", "example"),
    Action("example.token_right", "right,l", "token(1)", "token to the right", "example"),
    Action("example.worst", "n", "worst", "next hardest token", "example", "hard token"),
    Action(
        "example.whose",
        "v",
        "whose",
        "view: token losses of tuned, parent, base",
        "example",
        "whose",
    ),
    Action("example.reasoning", "space", "reasoning", "unfold or fold the reasoning", "example"),
    Action("example.nearest", "g t", "nearest", "nearest training rows", "example", "nearest"),
    Action(
        "example.annotate", "a", "app.leader('a')", "annotate it, in a menu", "example", "annotate"
    ),
    Action(
        "example.accept",
        "a a",
        "annotate('accepted')",
        "annotate: output accepted",
        "example",
        "accept",
    ),
    Action(
        "example.bad_reference",
        "a b",
        "annotate('bad_reference')",
        "annotate: bad reference",
        "example",
        "bad ref",
    ),
    Action("example.ambiguous", "a m", "annotate('ambiguous')", "annotate: ambiguous", "example"),
    Action(
        "example.clear",
        "a x",
        "annotate('cleared')",
        "remove the annotation, keep its note",
        "example",
    ),
    Action("example.comment", "a n", "comment", "write a note", "example", "note"),
    Action("example.ask", "g m", "ask", "ask the models its prompt", "example", "ask"),
    Action("example.edit", "e", "edit_file", "edit its line in the data file", "example"),
    Action("example.copy", "y", "copy", "copy it", "example", "copy"),
    Action("breakdown.also", "space", "also", "filter by it too", "breakdown", "and this"),
    Action("breakdown.name", "A", "name", "add this filter under a name", "breakdown", "name it"),
    Action("breakdown.forget", "delete", "forget", "remove a named filter", "breakdown", "remove"),
    Action("compare.next", "tab", "step(1)", "next part", "compare", "next part"),
    Action("compare.previous", "shift+tab", "step(-1)", "previous part", "compare"),
    Action("compare.figures", "1", "part('figures')", "config, metrics and causes", "compare"),
    Action("compare.chart", "2", "part('chart')", "both loss curves", "compare"),
    Action("compare.fixed", "3", "part('fixed')", "what was fixed", "compare", "fixed"),
    Action("compare.broken", "4", "part('broken')", "what was broken", "compare", "broken"),
    Action("compare.failing", "5", "part('failing')", "what still fails", "compare"),
    Action("compare.copy", "y", "copy", "copy what is selected", "compare", "copy"),
    Action(
        "diagnosis.take", "space", "take", "select the suggestion, or not", "diagnosis", "select"
    ),
    Action(
        "diagnosis.draft", "i", "draft", "draft with the selected suggestions", "diagnosis", "draft"
    ),
    Action(
        "diagnosis.previous", "left_square_bracket", "step(-1)", "previous one", "diagnosis", "prev"
    ),
    Action("diagnosis.following", "right_square_bracket", "step(1)", "next", "diagnosis", "next"),
    Action("diagnosis.copy", "y", "copy", "copy it as text", "diagnosis", "copy"),
    Action(
        "patterns.part",
        "tab",
        "part",
        "to the iterations of the pattern, and back",
        "patterns",
        "its iterations",
    ),
    Action("patterns.open", "g O", "open", "open the loop of the row", "patterns", "its loop"),
    Action("patterns.copy", "y", "copy", "copy it", "patterns", "copy"),
    Action(
        "progress.enqueue",
        "A",
        "enqueue",
        "add the replicates to the queue",
        "progress",
        "queue replicates",
    ),
    Action("progress.copy", "y", "copy", "copy it", "progress", "copy"),
    Action("progress.read", "tab", "read", "to the full text, and back", "progress", "in full"),
    Action("asking.ask", "enter", "ask", "ask it", "asking", "ask"),
    Action("asking.drop", "ctrl+g", "drop", "cancel the open requests", "asking", "cancel"),
    Action("asking.up", "pageup", "scroll(-1)", "a page up", "asking", "back"),
    Action("asking.down", "pagedown", "scroll(1)", "a page down", "asking", "on"),
    Action("queue.sooner", "shift+up", "shift(-1)", "run it sooner", "queue", "sooner"),
    Action("queue.later", "shift+down", "shift(1)", "run it later", "queue", "later"),
    Action(
        "queue.remove", "delete,backspace", "remove", "remove it from the queue", "queue", "remove"
    ),
    Action("queue.undo", "u", "undo", "undo the removal", "queue", "undo"),
    Action("queue.run", "r", "run", "run all drafts in the background (asks)", "queue", "run all"),
    Action("queue.read", "tab", "read", "the draft in full, and back", "queue", "in full"),
    Action("training.edit", "e", "edit_file", "edit its line in the data file", "training", "edit"),
    Action("training.copy", "y", "copy", "copy it", "training", "copy"),
    Action("training.read", "tab", "read", "the row in full, and back", "training", "in full"),
    Action("again.copy", "y", "copy", "copy it", "again", "copy"),
    Action("again.read", "tab", "read", "the row in full, and back", "again", "in full"),
    Action(
        "ready.look", "r", "evaluate_holdout", "evaluate the holdout (asks)", "ready", "holdout"
    ),
    Action("ready.read", "tab", "read", "the criterion in full, and back", "ready", "in full"),
    Action(
        "check.previous",
        "left_square_bracket",
        "step(-1)",
        "previous training row, token by token",
        "check",
        "previous row",
    ),
    Action(
        "check.following",
        "right_square_bracket",
        "step(1)",
        "next training row, token by token",
        "check",
        "next row",
    ),
    Action("picker.new", "A", "new", "add a loop from a data file", "picker", "new loop"),
    Action("picker.demo", "g d", "demo", "open a recorded demo loop", "picker", "demo"),
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

NO_KEYMAP: Mapping[str, str] = MappingProxyType({})

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
        Binding(action.keys, action.call, action.description, id=action.id, show=False)
        for action in ACTIONS
        if action.scope in scopes
    ]


def bindings_of(*ids: str) -> list[BindingType]:
    """The key bindings of single actions, for a dialog."""
    return [
        Binding(BY_ID[each].keys, BY_ID[each].call, BY_ID[each].description, id=each, show=False)
        for each in ids
    ]


def leader_actions(
    prefix: str, scopes: Collection[str], keymap: Mapping[str, str] = NO_KEYMAP
) -> list[tuple[str, Action]]:
    """Returns the actions behind a leader in `scopes`, each with the sign that calls it.

    Where two scopes have a sign, it is the first scope's: an example's `g m` asks its prompt.
    `keymap`: the keys that the user has changed.
    """
    found: dict[str, Action] = {}
    for scope in scopes:
        for action in ACTIONS:
            for keys in keymap.get(action.id, action.keys).split(","):
                if action.scope == scope and keys.strip().startswith(f"{prefix} "):
                    found.setdefault(_shown(keys.split()[1]), action)
    return list(found.items())


def keys_of(action: Action, keymap: dict[str, str]) -> list[str]:
    """The keys that an action has, as people write them: `?`, `ctrl+p`, `N`."""
    names = keymap.get(action.id, action.keys).split(",")
    return [_shown(name.strip()) for name in names if name.strip()]


def _shown(name: str) -> str:
    head, plus, last = name.rpartition("+")
    return f"{head}{plus}{_SIGNS.get(last, last)}"
