"""The app on a folder of loops, for the tests of the picker and of the new loop's form."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.tui.conftest import SIGNS, Driven
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.preflight.check_result import CheckKind, info
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.app import LoopApp
from tui_loop.tui.backend import Backend, DatasetPreview, NewLoop, Preview
from tui_loop.tui.screens.new_loop import NewLoopScreen
from tui_loop.tui.screens.picker import PickerScreen
from tui_loop.tui.settings import Memory, Settings
from tui_loop.tui.workbench.workbench import Workbench

Steps = Callable[["Opened"], Awaitable[None]]

HOSTILE = "a\x1b[31m[/foo]\u202eb\x07"
SHOWN = "a␛[31m[/foo]<U+202E>b␇"

UNDERSTOOD = DatasetPreview(
    read_as=["read as prompt/completion (prompt = message, completion = intent)"],
    train_rows=90,
    eval_rows=10,
    labels=["refund", "cancel"],
    metric="label",
    rows=[("where is my money", "refund")],
    notices=[
        info(
            CheckKind.HELD_OUT,
            "no eval data given: 10 of 100 rows are held out for evaluation (seed 0)",
        ),
    ],
)


class FakeBackend:
    """Understands everything as UNDERSTOOD, and creates loops without looking at their data."""

    def __init__(self) -> None:
        self.understands: Callable[[NewLoop], DatasetPreview] = lambda _: UNDERSTOOD
        self.asked: list[NewLoop] = []
        self.created: list[NewLoop] = []
        self.demo_fault: TuiLoopError | None = None

    def preview(self, loop: LoopFolder, draft: Draft) -> Preview:
        raise BadInput("idle in this test")

    def start(self, loop: LoopFolder, draft: Draft) -> int:
        raise BadInput("idle in this test")

    def hosted(self) -> str:
        return ""

    def stop_hosted(self) -> None:
        pass

    def take_fault(self) -> TuiLoopError | None:
        return None

    def models(self) -> list[str]:
        return ["tiny", "smollm2"]

    def metrics(self) -> list[str]:
        return ["exact_match", "contains", "label", "none"]

    def preview_data(
        self, loops: LoopsFolder, wanted: NewLoop, poll: Callable[[str, int], None]
    ) -> DatasetPreview:
        self.asked.append(wanted)
        return self.understands(wanted)

    def create(self, loops: LoopsFolder, wanted: NewLoop) -> LoopFolder:
        self.created.append(wanted)
        return loops.create(wanted.name, LoopSettings(goal=wanted.goal))

    def demo(self, loops: LoopsFolder) -> LoopFolder:
        if self.demo_fault is not None:
            raise self.demo_fault
        return loops.create("demo-loop", LoopSettings(goal="a demo"))


class Opened(Driven):
    """The app as a test drives it."""

    @property
    def picker(self) -> PickerScreen:
        assert isinstance(self.app.screen, PickerScreen)
        return self.app.screen

    @property
    def form(self) -> NewLoopScreen:
        assert isinstance(self.app.screen, NewLoopScreen)
        return self.app.screen

    @property
    def opened(self) -> LoopFolder | None:
        """The loop that the workbench is open on."""
        screen = self.app.screen
        return screen.loop if isinstance(screen, Workbench) else None

    async def type(self, text: str) -> None:
        """Types `text` into the field in focus, behind what it has."""
        named = {sign: name for name, sign in SIGNS.items()}
        await self.press(*(named.get(sign, sign) for sign in text))


def on_loops(
    folder: Path, steps: Steps, *, backend: Backend | None = None, size: tuple[int, int] = (80, 24)
) -> None:
    """Opens the picker on `folder`/loops and takes the steps."""

    async def main() -> None:
        app = LoopApp(
            LoopsFolder(folder / "loops"),
            backend or FakeBackend(),
            settings=Settings(),
            memory=Memory(folder / "app.json"),
        )
        async with app.run_test(size=size) as pilot:
            opened = Opened(app, pilot)
            await opened.until(lambda: opened.picker.table.loops is not None)
            await steps(opened)

    asyncio.run(main())


def write_rows(path: Path, count: int = 20) -> Path:
    """A data file of prompts and completions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
