"""What was tried in a loop, as far as it may be built on, and which of it is the best."""

from __future__ import annotations

from tui_loop.core.compare.best import best_runs
from tui_loop.core.compare.comparison import Comparer, config_key
from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import read_config
from tui_loop.core.errors import BadInput
from tui_loop.core.record.loop_folder import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration


class History:
    """The iterations of a loop that count: those from `start` on that were made here, or all.

    `start`: an iteration to go on from, whatever else the loop has. `made`: numbers of what was
    made here, in order. `refuse` adds settings that cannot be run.
    """

    def __init__(self, loop: LoopFolder, start: int | None = None) -> None:
        self.loop, self.start = loop, start
        self.made: list[int] = []
        self.reader = LoopReader(loop)
        self._comparer = Comparer(self.reader)
        self._refused: set[bytes] = set()

    def refuse(self, config: Config) -> None:
        """Notes a config that cannot be run, so that it counts as tried."""
        self._refused.add(config_key(config))

    @property
    def trained(self) -> list[Iteration]:
        """The iterations that count and came to an end of their own: finished or failed."""
        return [each for each in self._all() if self._counts(each.number)]

    @property
    def newest(self) -> Iteration | None:
        """The last of these."""
        return next(reversed(self.trained), None)

    @property
    def best(self) -> Iteration | None:
        """The first run of the best config (`progress.best`); None where none has figures."""
        return next(iter(self.best_runs), None)

    @property
    def best_runs(self) -> tuple[Iteration, ...]:
        """All runs of the best config that count, the first one first."""
        return best_runs(self._comparer, self.trained)

    def tried(self, config: Config) -> tuple[int, ...]:
        """Iterations of the loop that had this config, whatever their seed; (0,) where it was
        refused."""
        key = config_key(config)
        found = tuple(each.number for each in self._all() if key_of(each) == key)
        return found or ((0,) if key in self._refused else ())

    def _counts(self, each: int) -> bool:
        return self.start is None or each == self.start or each in self.made

    def _all(self) -> list[Iteration]:
        numbers = [each for each in self.reader.numbers() if each > 0]
        iterations = [self.reader.iteration(each) for each in numbers]
        return [each for each in iterations if each.state in ("finished", "failed")]


def key_of(iteration: Iteration) -> bytes | None:
    """What iterations of one config share; None where the config cannot be read."""
    try:
        return config_key(read_config(iteration.config)) if iteration.config is not None else None
    except BadInput:
        return None
