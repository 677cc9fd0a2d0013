"""One example in full: reference and output, why it failed, the loss of every token."""

from __future__ import annotations

from typing import Protocol

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.examples.annotations import AnnotationStatus, Kind
from tui_loop.core.examples.example_detail import ExampleDetail, annotated_detail
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.example_lines import example_lines, worst_first
from tui_loop.tui.keys import bindings, keys_of
from tui_loop.tui.widgets.bar import Bar, key_pieces
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


class ExampleCommands(Protocol):
    """What the screen asks of its controller."""

    def step(self, by: int) -> None:
        """Shows another example of the list."""

    def annotate(self, kind: Kind, note: str = "") -> None:
        """Records an annotation of the example."""

    def show_nearest(self) -> None:
        """Shows the training rows most similar to it."""

    def ask_models(self) -> None:
        """Opens the screen that sends its prompt to the models."""

    def edit_file(self) -> None:
        """Opens its data file at its line."""

    def copy(self) -> None:
        """Copies its texts."""


class ExampleScreen(Screen[None]):
    """Shows one example; `[` and `]` step through the list of examples."""

    BINDINGS = bindings("example")
    scopes = ("example", "sheet", "app")
    DEFAULT_CSS = """
    ExampleScreen { background: $background; }
    ExampleScreen > Vertical { border: round $style-accent; height: 1fr; }
    """

    def __init__(
        self, controller: ExampleCommands, detail: ExampleDetail, place: int, total: int
    ) -> None:
        super().__init__()
        self._controller = controller
        self.detail = detail
        self.place, self.total = place, total
        self._whose = detail.tokens[0].name if detail.tokens else ""
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

    def show(self, detail: ExampleDetail, place: int, total: int) -> None:
        """Shows another example, or updates the current one."""
        same = detail.example.id == self.detail.example.id
        self.detail, self.place, self.total = detail, place, total
        if not same:
            self.token = self._worst(0)
        self._draw(keep_place=same)

    def show_annotations(self, example: str, status: AnnotationStatus) -> None:
        """Shows the annotations of an example."""
        if example == self.detail.example.id:
            self.detail = annotated_detail(self.detail, status)
            self._draw(keep_place=True)

    def action_step(self, by: int) -> None:
        self._controller.step(by)

    def action_token(self, by: int) -> None:
        count = len(self._tokens)
        if count:
            self.token = min(max(self.token + by, 0), count - 1)
            self._draw(keep_place=True)

    def action_worst(self) -> None:
        """Goes to the token with the highest loss, then to the next highest."""
        order = worst_first(self._tokens)
        if order:
            at = order.index(self.token) + 1 if self.token in order else 0
            self.token = order[at % len(order)]
            self._draw(keep_place=True)

    def action_whose(self) -> None:
        names = [each.name for each in self.detail.tokens]
        if len(names) > 1:
            self._whose = names[(self._view + 1) % len(names)]
            self.token = min(self.token, len(self._tokens) - 1)
            self._draw(keep_place=True)
        else:
            self.notify("No other iteration has token losses for this example.", markup=False)

    def action_reasoning(self) -> None:
        """Unfolds the reasoning of this example and later ones, or folds it."""
        self._unfolds = not self._unfolds
        self._draw(keep_place=True)

    def action_annotate(self, kind: Kind) -> None:
        self._controller.annotate(kind)

    def action_comment(self) -> None:
        self.field.open("", "a note on this example", accept=self._comment)

    def action_nearest(self) -> None:
        self._controller.show_nearest()

    def action_ask(self) -> None:
        self._controller.ask_models()

    def action_edit_file(self) -> None:
        self._controller.edit_file()

    def action_copy(self) -> None:
        self._controller.copy()

    def action_back(self) -> None:
        if self.field.is_open:
            self.field.close()
        else:
            self.dismiss()

    @property
    def _view(self) -> int:
        names = [each.name for each in self.detail.tokens]
        return names.index(self._whose) if self._whose in names else 0

    @property
    def _tokens(self) -> list[tuple[str, float | str]]:
        views = self.detail.tokens
        return views[self._view].tokens.tokens if views else []

    def _worst(self, rank: int) -> int:
        order = worst_first(self._tokens)
        return order[rank] if order else 0

    def _comment(self, text: str) -> bool:
        if text.strip():
            self._controller.annotate("note", text)
        return True

    def _draw(self, *, keep_place: bool = False) -> None:
        if not self.is_mounted:
            return
        example = self.detail.example
        title = f"Example {self.place + 1:,} of {self.total:,}, iteration {self.detail.iteration}"
        entitle(self.query_one(Vertical), title, f"{example.id} · line {example.source_line}")
        keys = keys_of(BY_ID["example.reasoning"], getattr(self.app, "keys", {}))
        lines = example_lines(
            self.detail,
            self._view,
            self.token,
            self.size.width - 5,
            unfolds=self._unfolds,
            key=keys[0] if keys else "",
        )
        self.sheet.show(lines, keep_place=keep_place)
