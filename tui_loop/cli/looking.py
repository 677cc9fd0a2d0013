"""Looking at the holdout, for the command and for the app: what it costs, and the process."""

from __future__ import annotations

import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import IO

import msgspec

from tui_loop.cli.answers import CLOSE_SECONDS, LOG_TAIL
from tui_loop.core import codec
from tui_loop.core.data.loading import resolved
from tui_loop.core.errors import BadInput
from tui_loop.core.files import sha256_of
from tui_loop.core.iteration_folder import IterationFolder
from tui_loop.core.reader import iteration_of
from tui_loop.core.readiness.checklist import UNDER_WAY
from tui_loop.core.readiness.holdout import Looked, cost_of, looks_at, loops_of
from tui_loop.core.readiness.looking import LookDone, LookFault, LookTold
from tui_loop.core.secrets import masked
from tui_loop.core.text import one_line


class LookAhead(msgspec.Struct, frozen=True):
    """A look that could be taken: the how manieth at this file it would be, and the ones before."""

    number: int
    rows: int
    earlier: tuple[Looked, ...]

    @property
    def sentences(self) -> tuple[str, str]:
        """What it does, and what it costs."""
        rows = f"all {self.rows} rows of the holdout" if self.rows else "all rows of the holdout"
        does = f"a look measures this iteration and the base on {rows}; it keeps figures, no row"
        before = f" (the last was {self.earlier[-1].name})" if self.earlier else ""
        return does, f"{cost_of(self.number)}{before}"


def look_ahead(folder: IterationFolder) -> LookAhead:
    """What a look would cost; raises TuiLoopError where there can be none."""
    from tui_loop.engine.adapters import has_weights
    from tui_loop.engine.extras import require_train

    if folder.number == 0:
        raise BadInput(f"{folder} is the untouched base", "name a trained iteration")
    config = folder.read_config()
    entry = config.data.holdout
    if entry is None:
        raise BadInput(
            f"{folder} names no holdout",
            f"tui-loop run {folder.loop.name} --set data.holdout=PATH, rows that nothing has seen",
        )
    if (state := iteration_of(folder).state) in UNDER_WAY:
        told = "has not begun" if state == "queued" else f"is {state}"
        raise BadInput(f"{folder} {told}", "look when it has ended")
    require_train("a look at the holdout")
    if not has_weights(folder):
        raise BadInput(
            f"{folder} has no weights on this machine",
            f"copy {folder.adapter} here from where it was trained (git does not carry it)",
        )
    path = resolved(entry, folder.loop.root)
    split = folder.read_splits().get("holdout")
    known = split.sha256 if split is not None else None
    sha256 = sha256_of(path) if path.is_file() else known
    rows = split.rows if split is not None and sha256 == known else 0
    earlier = looks_at(loops_of(folder.loop), sha256) if sha256 is not None else ()
    return LookAhead(len(earlier) + 1, rows, earlier)


class HoldoutLook:
    """A look under way (`tui.backend.LookingAtHoldout`); it begins at once.

    The look is recorded by its process, before any figure is told.
    """

    def __init__(
        self, folder: IterationFolder, settings: Sequence[str] = (), *, allow_code: bool = False
    ) -> None:
        from tui_loop.engine.launch import start_look

        look_ahead(folder)
        self._log: IO[bytes] = tempfile.TemporaryFile()
        self._process = start_look(
            folder.loop, folder.number, settings, allow_code=allow_code, log=self._log
        )
        self._told: queue.SimpleQueue[LookTold | None] = queue.SimpleQueue()
        self._is_closed = False
        threading.Thread(target=self._listen, name="holdout", daemon=True).start()

    def take(self) -> list[LookTold]:
        """What was told since it was last taken; never waits."""
        told: list[LookTold] = []
        with suppress(queue.Empty):
            while (each := self._told.get_nowait()) is not None:
                told.append(each)
            self._told.put(None)
        return told

    def told(self) -> Iterator[LookTold]:
        """What is told, as it comes, to its end: a look or a fault."""
        while (each := self._told.get()) is not None:
            yield each

    def close(self) -> None:
        """Ends the process at once; a look that is not done then does not count."""
        if self._is_closed:
            return
        self._is_closed = True
        self._process.terminate()
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        """Hands on what the process tells; one that ends without a word is a fault."""
        assert self._process.stdout is not None
        decoder = msgspec.json.Decoder(LookTold)
        is_over = False
        with self._process.stdout as lines:
            for line in lines:
                with suppress(BadInput):  # cut off by its end
                    told = codec.decoded(decoder, line, "a look")
                    is_over = is_over or isinstance(told, (LookDone, LookFault))
                    self._told.put(told)
        code = self._process.wait()
        if not is_over and not self._is_closed:
            self._told.put(LookFault(f"the process has ended: {self._last_words(code)}"))
        self._told.put(None)
        self._log.close()

    def _last_words(self, code: int) -> str:
        size = self._log.seek(0, 2)
        self._log.seek(max(0, size - LOG_TAIL))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return one_line(masked(lines[-1]), 300) if lines else f"exit code {code}"
