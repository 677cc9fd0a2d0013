"""The least app that a person would write with Textual: an input, a chart and a table."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Input, Static

CHART = "\n".join("⣿" * (3 * row) for row in range(1, 13))


class BareApp(App[None]):
    """Nothing but three widgets of Textual's own."""

    def compose(self) -> ComposeResult:
        yield Input(placeholder="bare")
        yield Static(CHART, markup=False)
        yield DataTable()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("number", "change", "score")
        table.add_rows([(str(number), "learning_rate", "0.5") for number in range(5)])


if __name__ == "__main__":
    BareApp().run()
