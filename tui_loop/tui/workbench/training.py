"""Training rows: those near to an example, and those that may be wrong."""

from __future__ import annotations

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.structs import Example
from tui_loop.tui.screens.training import TrainingScreen, nearest_rows, suspected_rows
from tui_loop.tui.workbench.examples import ExampleReading

MEASURE = {
    True: "the base was trained on nothing, take an iteration of it",
    False: "r runs the draft, which measures them (evaluation.train_rows)",
}
"""What to do where no loss was measured: of the base, of an older iteration."""


class TrainingReading(ExampleReading):
    """What is read of the training data."""

    def find_nearest(self) -> None:
        """Shows the training rows that are nearest to the example that is read."""
        example, number = self._example(), self.shown_number
        if example is None or number is None:
            return
        title = f"Training rows near to {example.id}, {self.loop.name}/{number}"
        screen = TrainingScreen(title, "looking through the training rows ...")
        self.app.push_screen(screen)
        work = self._find_nearest(screen, number, example)
        self.run_worker(work, group="training", exclusive=True)

    def action_training(self) -> None:
        """Shows the training rows of the selected iteration that may be wrong."""
        number = self.shown_number
        if number is None:
            self.say("nothing has been trained yet: r runs the draft")
            return
        title = f"Training rows of {self.loop.name}/{number}"
        screen = TrainingScreen(title, "reading the training rows ...")
        self.app.push_screen(screen)
        self.run_worker(self._find_suspects(screen, number), group="training", exclusive=True)

    async def _find_nearest(self, screen: TrainingScreen, number: int, example: Example) -> None:
        try:
            found = await self.elsewhere(self.backend.nearest, self.loop, number, example)
        except TuiLoopError as error:
            if screen.is_attached:
                screen.show_fault(error)
            return
        if screen.is_attached:
            screen.show(nearest_rows(found, example))

    async def _find_suspects(self, screen: TrainingScreen, number: int) -> None:
        try:
            found = await self.elsewhere(self.backend.suspects, self.loop, number)
        except TuiLoopError as error:
            if screen.is_attached:
                screen.show_fault(error)
            return
        if screen.is_attached:
            screen.show(suspected_rows(found, MEASURE[number == 0]))
