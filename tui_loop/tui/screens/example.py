"""One example in full: what was wanted and said, why it failed, the loss of every token."""

from __future__ import annotations

from typing import Protocol

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.examples.annotations import AnnotationStatus, Kind
from tui_loop.core.examples.example_detail import ExampleDetail, annotated_detail
from tui_loop.tui.actions import BY_ID, bindings, keys_of
from tui_loop.tui.example_lines import example_lines
from tui_loop.tui.footer import key_pieces
from tui_loop.tui.heat import worst_first
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet

FOOTER = (
    "example.following",
    "example.worst",
    "example.whose",
    "example.nearest",
    "example.accept",
    "example.bad_reference",
    "example.ask",
    "app.back",
    "app.help",
)


class Desk(Protocol):
    """What is behind the screen: the list that is stepped through, and whoever looks things up."""

    def step_example(self, by: int) -> None:
        """Shows another one of the list."""

    def say_of_example(self, kind: Kind, note: str = "") -> None:
        """Writes down what is said of the example."""

    def find_nearest(self) -> None:
        """Shows the training examples that are nearest to it."""

    def ask_example(self) -> None:
        """Asks the models its prompt."""

    def edit_example(self) -> None:
        """Opens its data file at its line."""

    def copy_example(self) -> None:
        """Copies its texts."""


class ExampleScreen(Screen[None]):
    """Reads one example; the brackets step through the list behind it."""

    BINDINGS = bindings("example")
    scopes = ("example", "sheet", "app")
    DEFAULT_CSS = """
    ExampleScreen { background: $background; }
    ExampleScreen > Vertical { border: round $tone-accent; height: 1fr; }
    """

    def __init__(self, desk: Desk, dossier: ExampleDetail, place: int, total: int) -> None:
        super().__init__()
        self._desk = desk
        self.dossier = dossier
        self._place, self._total = place, total
        self._whose = dossier.tokens[0].name if dossier.tokens else ""
        self._unfolds = False
        self.token = self._worst(0)
        self.sheet = Sheet()
        self.field = Field(id="example-comment")

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.sheet
            yield self.field
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.sheet.focus()
        self.query_one("#keys", Bar).show(key_pieces(FOOTER, getattr(self.app, "keys", {})))
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw(keep_place=True)

    def show(self, dossier: ExampleDetail, place: int, total: int) -> None:
        """Shows another example, or the same with what is new of it."""
        same = dossier.example.id == self.dossier.example.id
        self.dossier, self._place, self._total = dossier, place, total
        if not same:
            self.token = self._worst(0)
        self._draw(keep_place=same)

    def show_standing(self, example: str, standing: AnnotationStatus) -> None:
        """Takes what people say of an example by now."""
        if example == self.dossier.example.id:
            self.dossier = annotated_detail(self.dossier, standing)
            self._draw(keep_place=True)

    def action_step(self, by: int) -> None:
        self._desk.step_example(by)

    def action_token(self, by: int) -> None:
        count = len(self._tokens)
        if count:
            self.token = min(max(self.token + by, 0), count - 1)
            self._draw(keep_place=True)

    def action_worst(self) -> None:
        """To the worst token, and from there to the next one in height."""
        order = worst_first(self._tokens)
        if order:
            at = order.index(self.token) + 1 if self.token in order else 0
            self.token = order[at % len(order)]
            self._draw(keep_place=True)

    def action_whose(self) -> None:
        names = [each.name for each in self.dossier.tokens]
        if len(names) > 1:
            self._whose = names[(self._view + 1) % len(names)]
            self.token = min(self.token, len(self._tokens) - 1)
            self._draw(keep_place=True)
        else:
            self.notify("no other iteration's token losses are here", markup=False)

    def action_reasoning(self) -> None:
        """Unfolds the reasoning of this and the next examples, or folds it again."""
        self._unfolds = not self._unfolds
        self._draw(keep_place=True)

    def action_say(self, kind: Kind) -> None:
        self._desk.say_of_example(kind)

    def action_comment(self) -> None:
        self.field.open("", "a note on this example", accept=self._comment)

    def action_nearest(self) -> None:
        self._desk.find_nearest()

    def action_ask(self) -> None:
        self._desk.ask_example()

    def action_edit_file(self) -> None:
        self._desk.edit_example()

    def action_copy(self) -> None:
        self._desk.copy_example()

    def action_back(self) -> None:
        if self.field.is_open:
            self.field.close()
        else:
            self.dismiss()

    @property
    def _view(self) -> int:
        names = [each.name for each in self.dossier.tokens]
        return names.index(self._whose) if self._whose in names else 0

    @property
    def _tokens(self) -> list[tuple[str, float | str]]:
        views = self.dossier.tokens
        return views[self._view].tokens.tokens if views else []

    def _worst(self, rank: int) -> int:
        order = worst_first(self._tokens)
        return order[rank] if order else 0

    def _comment(self, text: str) -> bool:
        if text.strip():
            self._desk.say_of_example("note", text)
        return True

    def _draw(self, *, keep_place: bool = False) -> None:
        if not self.is_mounted:
            return
        example = self.dossier.example
        title = (
            f"Example {self._place + 1:,} of {self._total:,}, iteration {self.dossier.iteration}"
        )
        entitle(self.query_one(Vertical), title, f"{example.id} · line {example.source_line}")
        keys = keys_of(BY_ID["example.reasoning"], getattr(self.app, "keys", {}))
        lines = example_lines(
            self.dossier,
            self._view,
            self.token,
            self.size.width - 5,
            unfolds=self._unfolds,
            key=keys[0] if keys else "",
        )
        self.sheet.show(lines, keep_place=keep_place)
