"""The form for a new loop from a data file, with a preview of the dataset."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tui_loop.core.data.offered_files import Offers, offers, suggested_name
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.tui.backend import Backend, DatasetPreview, NewLoop
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings
from tui_loop.tui.latest_only_worker import LatestOnlyWorker
from tui_loop.tui.screens.new_loop_state import (
    CREATE,
    FIELDS,
    PATHS,
    SUGGESTED,
    FormState,
    PreviewResult,
)
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.form import ChoiceList, FormInput, FormLabels, FormRow
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet

PROGRESS_INTERVAL = 0.5
"""Seconds between two updates of the count of rows read."""

WIDE = 116
"""The width from which choices and dataset preview are side by side."""

Typed = tuple[str, str, str]
"""(field, its text, the data file whose folder is listed first)"""


class NewLoopScreen(Screen[None]):
    """The form; it writes nothing until the user creates the loop."""

    BINDINGS = bindings("new")
    AUTO_FOCUS = "#field-data"
    DEFAULT_CSS = """
    NewLoopScreen {
        background: $background;
        & > Vertical { border: round $style-accent; height: 1fr; }
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
    FOOTER = ("new.create", "new.next", "app.back", "new.page_down")
    scopes = ("new", "app")

    def __init__(self, loops: LoopsFolder, backend: Backend) -> None:
        super().__init__()
        self.loops, self.backend = loops, backend
        self.state = FormState(Path(os.path.abspath(loops.path)).parent.resolve())
        self.fields = {name: FormInput(name, hint) for name, hint in FIELDS.items()}
        self.labels = FormLabels([*FIELDS, CREATE])
        self.create_row = FormRow("the loop, and open it")
        self.choices = ChoiceList()
        self.preview = Sheet(id="seen")
        self.preview.can_focus = False
        self._listing: LatestOnlyWorker[Typed, Offers] = LatestOnlyWorker(self._list, self._listed)
        self._reading: LatestOnlyWorker[NewLoop, PreviewResult] = LatestOnlyWorker(
            self._read, self._show_preview
        )
        self._unlisted: Typed | None = None
        """The typed text while its files are still being listed."""
        self._has_entered = False
        """Whether enter waits for the listing, so that it never takes a choice for another text."""
        self._has_pointed = False
        """Whether the arrows moved the cursor, so that enter takes a choice for an empty field."""

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            with Horizontal(id="form"):
                yield self.labels
                with Vertical(id="fields"):
                    yield from self.fields.values()
                    yield self.create_row
            with Horizontal(id="below"):
                yield self.choices
                yield self.preview
        entitle(box, "New loop", f"in {os.path.abspath(self.loops.path)}")
        yield Bar(id="keys")

    def on_mount(self) -> None:
        keymap = services_of(self).keys
        self.state.keys = keymap
        self.query_one("#keys", Bar).show(
            key_pieces(self.FOOTER, keymap), key_pieces(["app.help"], keymap, typing=True)
        )
        for name, work in (
            ("options", self._take_options()),
            ("listing", self._listing.run()),
            ("reading", self._reading.run()),
        ):
            self.run_worker(work, name=name, group=name)
        self._restore()
        self._update_form()
        self.set_interval(PROGRESS_INTERVAL, self._show_progress)

    def on_unmount(self) -> None:
        self._reading.cancel()
        typed = {name: self.fields[name].value for name in self.state.touched}
        services_of(self).memory.put(self._memory_key, {} if self.state.is_created else typed)

    def _restore(self) -> None:
        """Fills in what was typed before the form was left without creating a loop."""
        typed = services_of(self).memory.get(self._memory_key)
        for name, value in typed.items() if isinstance(typed, dict) else ():
            if name in self.fields and isinstance(value, str):
                self._set(name, flat(value))
                self.state.touched.add(name)

    @property
    def _memory_key(self) -> str:
        return f"new loop {self.state.root}"

    def _show_progress(self) -> None:
        if self.state.progress[1]:
            self.preview.show(self.state.lines())

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= WIDE, "-wide")

    # input

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        name = cast(FormInput, event.input).field
        shown = flat(event.value)
        if shown != event.value:
            self._set(name, shown)
        self._was_changed(name, shown)
        self.state.is_choosing = name in (*PATHS, *self.state.options)
        self._update_form()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._unlisted is not None:
            self._has_entered = True
        else:
            self._enter()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        if self.state.current != CREATE:
            self._take(self.choices.choices[event.index].value)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        field = event.widget
        self.state.current = field.field if isinstance(field, FormInput) else CREATE
        self.state.is_choosing = (
            self.state.current == "data" and not self.state.offers["data"].is_file
        )
        self._has_entered = self._has_pointed = False
        self._suggest()
        self._update_form()

    def on_form_row_chosen(self) -> None:
        self.action_create()

    def action_move(self, step: int) -> None:
        if self.choices.is_active and self.choices.count:
            self._has_pointed = True
            self.choices.action_move(step)
        else:
            self.action_step(step)

    def action_step(self, step: int) -> None:
        stops: list[Widget] = [*self.fields.values(), self.create_row]
        at = stops.index(self.focused) if self.focused in stops else 0
        stops[(at + step) % len(stops)].focus()

    def action_page(self, step: int) -> None:
        if self.choices.is_active and self.choices.count:
            self._has_pointed = True
            self.choices.action_move_page(step)
        elif step > 0:
            self.preview.action_page_down()
        else:
            self.preview.action_page_up()

    def action_skip_rows(self) -> None:
        self.state.skips_rows = not self.state.skips_rows
        self._update_form()

    def action_back(self) -> None:
        self.dismiss()

    def action_create(self) -> None:
        if not self.state.is_creating:
            self.state.is_choosing, self.state.is_creating = False, True
            self._update_form()
            self.run_worker(self._create(), name="create", group="create")

    def _enter(self) -> None:
        """Takes the choice under the cursor, lists choices, or moves to the next field."""
        state = self.state
        if state.may_stay_empty and not self._has_pointed:
            self.action_step(1)
        elif self.choices.current is not None:
            self._take(self.choices.current.value)
        elif state.is_choosing or not state.has_choices:
            if state.current in PATHS and state.question is not None:
                self._reading.request(state.question, again=True)
            self.action_step(1)
        else:
            state.is_choosing = True
            self._update_form()

    def _take(self, value: str) -> None:
        """Puts a choice into its field; after a file the focus stays, and the preview shows."""
        name = self.state.current
        self._set(name, value)
        self._was_changed(name, value)
        self.state.is_choosing = value.endswith("/") and name in PATHS
        if name in PATHS:
            self._update_form()
        else:
            self.action_step(1)

    def _was_changed(self, name: str, value: str) -> None:
        """Marks a field as set by the user, so that no suggestion replaces its value."""
        self.state.fault = None
        self._has_entered = self._has_pointed = False
        if value.strip():
            self.state.touched.add(name)
        else:
            self.state.touched.discard(name)
        if name == "data":
            for each in SUGGESTED:
                if each not in self.state.touched:
                    self._set(each, "")

    def _set(self, name: str, value: str) -> None:
        field = self.fields[name]
        with self.prevent(Input.Changed):
            field.value = value
        field.cursor_position = len(value)

    # work in other threads

    async def _take_options(self) -> None:
        models, metrics = await asyncio.to_thread(
            lambda: (self.backend.models(), self.backend.metrics())
        )
        self.state.options = {"model": models, "metric": metrics}
        if models and "model" not in self.state.touched:
            self._set("model", models[0])
        self._update_form()

    def _list(self, typed: Typed) -> Offers:
        return offers(self.state.root, typed[1], typed[2])

    def _listed(self, typed: Typed, found: Offers) -> None:
        self.state.offers[typed[0]] = found
        if found.is_file and typed[0] == self.state.current:
            self.state.is_choosing = False
        has_entered = self._has_entered and typed == self._unlisted
        if typed == self._unlisted:
            self._unlisted = None
        self._update_form()
        if has_entered:
            self._has_entered = False
            self._enter()

    def _read(self, question: NewLoop) -> PreviewResult:
        def poll(entry: str, rows: int) -> None:
            self.state.progress = entry, rows
            if not self._reading.is_newest(question):
                raise TuiLoopError("the request was replaced by a newer one")

        try:
            result: DatasetPreview | TuiLoopError = self.backend.preview_data(
                self.loops, question, poll
            )
        except TuiLoopError as error:
            result = error
        self.state.progress = "", 0
        try:
            taken = frozenset(self.loops.names())
        except OSError:
            taken = frozenset()
        return PreviewResult(taken, result, (question.data, question.eval, question.skips_rows))

    def _show_preview(self, question: NewLoop, result: PreviewResult) -> None:
        self.state.preview = result
        self._suggest()
        self._update_form()

    def _suggest(self) -> None:
        """Fills the fields that the user has not set with suggestions from the data."""
        preview = self.state.preview
        if isinstance(preview.result, DatasetPreview) and self.state.is_current:
            suggested = {
                "metric": preview.result.metric,
                "name": suggested_name(preview.of[0], preview.taken),
            }
            for name in SUGGESTED:
                if name not in self.state.touched:
                    self._set(name, suggested[name])

    async def _create(self) -> None:
        done = await asyncio.to_thread(self._try_create, self.state.wanted)
        self.state.is_creating = False
        if isinstance(done, TuiLoopError):
            self.state.fault = done
            self._update_form()
        else:
            self.state.is_created = True
            services_of(self).open_loop(done)

    def _try_create(self, wanted: NewLoop) -> LoopFolder | TuiLoopError:
        try:
            return self.backend.create(self.loops, wanted)
        except TuiLoopError as error:
            return error

    # drawing

    def _update_form(self) -> None:
        """Reads the fields, requests choices and preview, and draws the form."""
        state = self.state
        state.values = {name: field.value for name, field in self.fields.items()}
        if state.current in PATHS:
            beside = state.values["data"] if state.current == "eval" else ""
            typed = (state.current, state.values[state.current], beside)
            if self._listing.request(typed):
                self._unlisted = typed
        else:
            self._unlisted = None
        if state.question is not None:
            self._reading.request(state.question)
        self.set_class(state.is_choosing and state.current != CREATE, "-choosing")
        self.labels.show(state.current, state.wrong)
        self.create_row.show(state.is_creating)
        choices, nothing = state.choices()
        at = state.values.get(state.current, "").strip()
        self.choices.show(choices, active=state.is_choosing, nothing=nothing, at=at)
        self.preview.show(state.lines())
