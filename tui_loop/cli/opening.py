"""Opening the app from the command line: its terminal, its settings, its backend."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from tui_loop.cli.backend import AppBackend
from tui_loop.cli.output import Output
from tui_loop.core.store import LoopsFolder, split_target


def open_app(loops: Path, target: str | None, out: Output, *, allow_code: bool = False) -> int:
    """Opens the app on `LOOP[/N]`, or on the most recent loop; gives the exit code.

    Whatever is wrong with the target or the settings is told before the screen is touched.
    """
    gc.disable()  # while the app is set up; the app enables it when its screen stands
    from tui_loop.tui.settings import Memory, read_settings, settings_file
    from tui_loop.tui.terminal import driver_on, is_ascii_locale, own_terminal

    settings, memory = read_settings(settings_file()), Memory()
    folder = LoopsFolder(loops)
    name, number = split_target(target) if target is not None else (most_recent(folder), None)
    if name is not None:
        loop = folder.loop(name)
        if number is not None:
            loop.existing(number)
    backend = AppBackend(allow_code=allow_code)
    is_ascii = is_ascii_locale() if settings.ascii is None else settings.ascii
    with own_terminal(memory.folder / "app.log", ascii_only=is_ascii) as stream:
        from tui_loop.tui.app import LoopApp

        app = LoopApp(
            folder,
            backend,
            settings=settings,
            memory=memory,
            loop=name,
            number=number,
            driver_class=driver_on(stream),
            is_ascii=is_ascii,
            few_colours=has_few_colours(),
            terminal=stream,
        )
        app.run()
        if hosted := backend.hosted():  # its output is no more for the screen than before
            stream.write(f"{hosted} is stopping: saving the weights\r\n")
            stream.flush()
            backend.stop_hosted()
            backend.wait()
    if app.return_code:
        place = f"the report is in {app.crash_report}" if app.crash_report else "no report"
        out.error("the app ended by a fault of its own", f"{place}; the record is not affected")
    return app.return_code or 0


def most_recent(loops: LoopsFolder) -> str | None:
    """The loop that was worked on last, None where there is none."""
    names = loops.names()
    return max(names, key=lambda name: _touched(loops.path / name), default=None)


def _touched(loop: Path) -> float:
    """When anything in a loop's folder or its iterations' folders changed last."""
    try:
        with os.scandir(loop) as entries:
            return max((entry.stat().st_mtime for entry in entries), default=0.0)
    except OSError:
        return 0.0


def has_few_colours() -> bool:
    """Whether the terminal says that it has sixteen colours at most."""
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return False
    return "256color" not in os.environ.get("TERM", "")
