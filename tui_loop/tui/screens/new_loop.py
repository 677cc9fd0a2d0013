"""A new loop from a data file: a form on one screen, and what the data was read as."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.store import LoopFolder, LoopsFolder, check_loop_name
from tui_loop.tui.actions import bindings
from tui_loop.tui.backend import Backend, NewLoop, Understood
from tui_loop.tui.cells import flat
from tui_loop.tui.data_files import Offers, offers, suggested_name
from tui_loop.tui.footer import key_pieces
from tui_loop.tui.latest import Latest
from tui_loop.tui.screens.understood import (
    METRICS,
    MODELS,
    NOTHING_YET,
    error_lines,
    understood_lines,
)
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.choices import Choice, ChoiceList
from tui_loop.tui.widgets.form import FormInput, FormLabels, FormRow
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

if TYPE_CHECKING:
    from tui_loop.tui.app import LoopApp

FIELDS = {
    "data": "type a path, or choose below with ↑↓ and enter",
    "eval": "optional: else a part of the data is held out",
    "name": "suggested from the file's name",
    "model": "tiny, smollm2, a folder, a .gguf file or a hub id",
    "metric": "as the data suggests",
    "goal": "optional: what the loop is for, in your words",
}
"""The fields in order, with what stands in an empty one."""

PATHS = ("data", "eval")
CREATE = "create"
WIDE = 116
"""From this width on, choices and what was understood stand side by side."""


class Seen(msgspec.Struct, frozen=True):
    """What the thread found out: names that are taken, and the data or what is wrong with it."""

    taken: frozenset[str] = frozenset()
    result: Understood | TuiLoopError | None = None
    of: tuple[str, str] = ("", "")
    """The data and eval files that were read."""


class NewLoopScreen(Screen[None]):
    """The form; nothing is written before it is told to create the loop."""

    BINDINGS = bindings("new")
    AUTO_FOCUS = "#field-data"
    DEFAULT_CSS = """
    NewLoopScreen {
        background: $background;
        & > Vertical { border: round $tone-accent; height: 1fr; }
        & #form { height: 7; }
        & #fields { height: 7; }
        & #below { height: 1fr; border-top: solid $frame; }
        & #choices { display: none; }
        & #seen { padding: 0 1; scrollbar-size-vertical: 0; }
        &.-choosing #choices { display: block; }
        &.-choosing #seen { display: none; }
        &.-wide #choices { display: block; width: 2fr; border-right: solid $frame; }
        &.-wide #seen { display: block; width: 3fr; }
    }
    """
    scopes = ("new", "app")

    def __init__(self, loops: LoopsFolder, backend: Backend) -> None:
        super().__init__()
        self.loops, self.backend = loops, backend
        self.root = Path(os.path.abspath(loops.path)).parent.resolve()
        self.fields = {name: FormInput(name, hint) for name, hint in FIELDS.items()}
        self.labels = FormLabels([*FIELDS, CREATE])
        self.create = FormRow("the loop, and open it")
        self.choices = ChoiceList()
        self.seen = Sheet(NOTHING_YET, id="seen")
        self.seen.can_focus = False
        self._touched: set[str] = set()
        self._options: dict[str, list[str]] = {"model": [], "metric": []}
        self._offers = Offers()
        self._is_choosing = True
        self._answer = Seen()
        self._fault: TuiLoopError | None = None
        self._is_creating = False
        self._listing: Latest[tuple[str, str], Offers] = Latest(self._list, self._listed)
        self._reading: Latest[NewLoop, Seen] = Latest(self._read, self._was_read)

    @property
    def loop_app(self) -> LoopApp:
        return cast("LoopApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            with Horizontal(id="form"):
                yield self.labels
                with Vertical(id="fields"):
                    yield from self.fields.values()
                    yield self.create
            with Horizontal(id="below"):
                yield self.choices
                yield self.seen
        entitle(box, "New loop", f"in {os.path.abspath(self.loops.path)}")
        yield Bar(id="keys")

    def on_mount(self) -> None:
        for name, work in (
            ("options", self._take_options()),
            ("listing", self._listing.run()),
            ("reading", self._reading.run()),
        ):
            self.run_worker(work, name=name, group=name)
        self._ask_for_files()
        self._show()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")

    # what is typed and chosen

    @property
    def current(self) -> str:
        """The name of the field that has the focus."""
        focused = self.focused
        return focused.field if isinstance(focused, FormInput) else CREATE

    def wanted(self) -> NewLoop:
        """The loop as the form has it; a metric that nobody chose is left to the data."""
        values = {name: field.value.strip() for name, field in self.fields.items()}
        if "metric" not in self._touched:
            values["metric"] = ""
        return NewLoop(**values)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        name = cast(FormInput, event.input).field
        shown = flat(event.value)
        if shown != event.value:
            self._set(name, shown)
        self._fault = None
        if shown.strip():
            self._touched.add(name)
        else:
            self._touched.discard(name)
        if name == "data":
            self._forget_suggestions()
        if name in (*PATHS, *self._options):
            self._is_choosing = True
            self._ask_for_files()
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        name = cast(FormInput, event.input).field
        if self.choices.current is not None:
            self._take(name, self.choices.current.value)
        elif self._is_choosing or not self._has_choices(name):
            self._ask_for_data(again=name in PATHS)
            self.action_step(1)
        else:
            self._is_choosing = True
            self._ask_for_files()
            self._show()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        if self.current != CREATE:
            self._take(self.current, self.choices.choices[event.index].value)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._is_choosing = self.current == "data" and not self._offers.is_file
        self._ask_for_files()
        self._ask_for_data()
        self._show()

    def on_form_row_chosen(self) -> None:
        self.action_create()

    def action_move(self, step: int) -> None:
        if self.choices.is_active and self.choices.count:
            self.choices.action_move(step)
        else:
            self.action_step(step)

    def action_step(self, step: int) -> None:
        stops: list[Widget] = [*self.fields.values(), self.create]
        at = stops.index(self.focused) if self.focused in stops else 0
        stops[(at + step) % len(stops)].focus()

    def action_page(self, step: int) -> None:
        if self.choices.is_active and self.choices.count:
            self.choices.action_move_page(step)
        elif step > 0:
            self.seen.action_page_down()
        else:
            self.seen.action_page_up()

    def action_back(self) -> None:
        self.dismiss()

    def action_create(self) -> None:
        if not self._is_creating:
            self._is_choosing = False
            self._is_creating = True
            self.run_worker(self._create(), name="create", group="create")
        self._show()

    def _take(self, name: str, value: str) -> None:
        """Puts a choice into its field; after a file it stays there, so that the rows are seen."""
        if name == "data":
            self._forget_suggestions()
        self._set(name, value)
        self._touched.add(name)
        self._fault = None
        self._is_choosing = value.endswith("/") and name in PATHS
        self._ask_for_files()
        self._ask_for_data()
        if name in PATHS:
            self._show()
        else:
            self.action_step(1)

    def _forget_suggestions(self) -> None:
        """Takes back what another file suggested."""
        for name in ("name", "metric"):
            if name not in self._touched:
                self._set(name, "")

    def _set(self, name: str, value: str) -> None:
        field = self.fields[name]
        with self.prevent(Input.Changed):
            field.value = value
        field.cursor_position = len(value)

    def _has_choices(self, name: str) -> bool:
        """Whether enter lists choices; a file that is there needs no other."""
        return name in self._options or (name in PATHS and not self._offers.is_file)

    # what the threads find out

    async def _take_options(self) -> None:
        models, metrics = await asyncio.to_thread(
            lambda: (self.backend.models(), self.backend.metrics())
        )
        self._options = {"model": models, "metric": metrics}
        if models and "model" not in self._touched:
            self._set("model", models[0])
        self._show()

    def _ask_for_files(self) -> None:
        if self.current in PATHS:
            beside = self.fields["data"].value if self.current == "eval" else ""
            self._listing.ask((self.fields[self.current].value, beside))

    def _list(self, question: tuple[str, str]) -> Offers:
        return offers(self.root, *question)

    def _listed(self, question: tuple[str, str], found: Offers) -> None:
        if self.current in PATHS and question[0] == self.fields[self.current].value:
            self._offers = found
            if found.is_file:
                self._is_choosing = False
                self._ask_for_data()
            self._show()

    def _ask_for_data(self, *, again: bool = False) -> None:
        """Has the data read as the form is now, but for a path that is still being typed."""
        if not (self._is_choosing and self.current in PATHS) and self.wanted().data:
            question = msgspec.structs.replace(self.wanted(), name="", goal="")
            self._reading.ask(question, again=again)

    def _read(self, question: NewLoop) -> Seen:
        try:
            result: Understood | TuiLoopError = self.backend.understand(self.loops, question)
        except TuiLoopError as error:
            result = error
        try:
            taken = frozenset(self.loops.names())
        except OSError:
            taken = frozenset()
        return Seen(taken, result, (question.data, question.eval))

    def _was_read(self, question: NewLoop, seen: Seen) -> None:
        self._answer = seen
        if isinstance(seen.result, Understood):
            if "metric" not in self._touched:
                self._set("metric", seen.result.metric)
            if "name" not in self._touched:
                self._set("name", suggested_name(question.data, seen.taken))
        self._show()

    async def _create(self) -> None:
        wanted = self.wanted()
        done = await asyncio.to_thread(self._try_create, wanted)
        self._is_creating = False
        if isinstance(done, TuiLoopError):
            self._fault = done
            self._show()
        else:
            self.loop_app.open_loop(done)

    def _try_create(self, wanted: NewLoop) -> LoopFolder | TuiLoopError:
        try:
            return self.backend.create(self.loops, wanted)
        except TuiLoopError as error:
            return error

    # what is shown

    def _show(self) -> None:
        """Draws the form's state; each widget draws nothing where nothing changed."""
        name = self.current
        self.set_class(self._is_choosing and name != CREATE, "-choosing")
        self.labels.show(name, {each for each in ("name",) if self._name_problem()})
        self.create.show(self._is_creating)
        self._show_choices(name)
        self.seen.show(self._lines())
        self._show_keys()

    def _show_choices(self, name: str) -> None:
        active = self._is_choosing
        if name in PATHS:
            files = [
                Choice(each.path, refusal="" if each.is_plain else "rename it to use it")
                for each in self._offers.rows
                if name == "data" or each.path != self.fields["data"].value
            ]
            nothing = self._offers.problem or "no such data file: .jsonl .json .csv .parquet"
            nothing = "" if self._offers.is_file else nothing
            self.choices.show(files, active=active, nothing=nothing)
        elif name in self._options:
            words = MODELS if name == "model" else METRICS
            typed = self.fields[name].value.strip()
            options = self._options[name]
            if active and typed not in options:
                options = [each for each in options if typed.lower() in each]
            rows = [Choice(each, words.get(each, "")) for each in options]
            self.choices.show(rows, active=active, nothing="as typed", at=typed)
        else:
            self.choices.show([], active=False)

    def _lines(self) -> list[list[Part]]:
        wanted = self.wanted()
        is_current = self._answer.of == (wanted.data, wanted.eval)
        result = self._answer.result if is_current else None
        found = result if isinstance(result, TuiLoopError) else None
        problems = {
            each.message: each for each in (self._fault, self._name_problem(), found) if each
        }
        lines = [
            line for each in problems.values() for line in error_lines(each, wanted, self.root)
        ]
        if isinstance(result, Understood):
            return lines + understood_lines(result)
        if result is None and wanted.data and not self._is_choosing:
            return [*lines, [("reading the data ...", "muted")]]
        return lines if found is not None else lines + NOTHING_YET

    def _name_problem(self) -> TuiLoopError | None:
        """What is wrong with the name, None while there is none to judge."""
        name = self.fields["name"].value.strip()
        try:
            if name:
                check_loop_name(name)
        except BadInput as error:
            return error
        if name in self._answer.taken and not self._is_creating:
            return BadInput(f"name: there is a loop {name} already", "choose another name")
        return None

    def _show_keys(self) -> None:
        keymap = self.loop_app.keys
        names = ("new.create", "new.next", "app.back", "new.page_down")
        help_pieces = key_pieces(["app.help"], keymap, typing=True)
        self.query_one("#keys", Bar).show(key_pieces(names, keymap), help_pieces)
