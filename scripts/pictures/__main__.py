"""Makes the README's pictures from the recorded loop: `python -m scripts.pictures [FOLDER]`.

The app runs without a terminal on a copy of the record; nothing in it is touched up.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from textual.pilot import Pilot

from tui_loop.cli.backend import AppBackend
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.tui.app import LoopApp
from tui_loop.tui.settings import Memory, Settings

LOOP, TINY = "support-intents", "support-tiny"
PATIENCE = 200

ITERATION = 4

PICTURES: tuple[tuple[str, str, tuple[int, int], Sequence[str]], ...] = (
    ("workbench", LOOP, (160, 46), ("up", "up", "m", "down", "down")),
    ("failures", LOOP, (110, 30), ("4", "down", "enter")),
    ("what-fails", LOOP, (110, 34), ("4", "g", "d")),
    ("compare", LOOP, (140, 44), ("up", "up", "m", "down", "down", "c")),
    ("diagnosis", TINY, (120, 22), ("d", "down", "space")),
)
"""(name, loop, (columns, rows), keys)"""


_WEIGHTS = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")


async def picture(
    loops: LoopsFolder,
    memory: Memory,
    loop: str,
    size: tuple[int, int],
    keys: Sequence[str],
) -> str:
    """The screen on ITERATION of a loop, as SVG, after the keys were pressed."""
    app = LoopApp(
        loops,
        AppBackend(allow_code=False),
        settings=Settings(theme="dark"),
        memory=memory,
        loop=loop,
        number=ITERATION,
    )
    async with app.run_test(size=size) as pilot:
        await _settled(pilot)
        for key in keys:
            await pilot.press(key)
            await _settled(pilot)
        return app.export_screenshot(title="tui-loop", simplify=True)


async def _settled(pilot: Pilot[None]) -> None:
    """Waits until the screen has not changed for a few looks."""
    before, same = "", 0
    for _ in range(PATIENCE):
        await pilot.pause(0.05)
        now = pilot.app.export_screenshot(simplify=True)
        same = same + 1 if now == before else 0
        before = now
        if same >= 5:
            return


def _self_contained(svg: str) -> str:
    """The picture without fonts from elsewhere: the reader's own monospace serves."""
    without = re.sub(r"<!--.*?-->\s*|@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: (Fira Code|arial)[^;]*;", "font-family: monospace;", without)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        loops = LoopsFolder(Path(temporary) / "loops")
        for name in (LOOP, TINY):
            shutil.copytree(Path("loops") / name, loops.path / name, ignore=_WEIGHTS)
        for name, loop, size, keys in PICTURES:
            memory = Memory(Path(temporary) / f"{name}.json")  # nothing of another one returns
            svg = asyncio.run(picture(loops, memory, loop, size, keys))
            (folder / f"{name}.svg").write_text(_self_contained(svg), encoding="utf-8")
            print(folder / f"{name}.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/pictures"))
