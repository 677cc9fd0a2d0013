"""Opening the app from the command line: its terminal, its settings, its backend, its end."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_loop.cli.backend import AppBackend
from tui_loop.cli.foreground import Foreground, can_stop, enter_child
from tui_loop.cli.output import Output
from tui_loop.core.commands import open_command
from tui_loop.core.errors import RunStopped
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import split_target

if TYPE_CHECKING:
    from tui_loop.tui.app import LoopApp
    from tui_loop.tui.terminal import Terminal


def open_app(loops: Path, target: str | None, out: Output, *, allow_code: bool = False) -> int:
    """Opens the app on `LOOP[/N]`, or on the most recent loop; gives the exit code.

    Whatever is wrong with the target or the settings is told before the screen is touched. A run
    that the app hosts outlives its screen; this returns when it has ended, to a shell that has
    long had its prompt back.
    """
    out.loops = loops
    gc.disable()  # while the app is set up; the app enables it when its screen stands
    from tui_loop.tui.settings import Memory, read_settings, settings_file
    from tui_loop.tui.terminal import is_ascii_locale, own_terminal, require_terminal

    settings, memory = read_settings(settings_file()), Memory()
    folder = LoopsFolder(loops)
    name, number = split_target(target) if target is not None else (most_recent(folder), None)
    if name is not None:
        loop = folder.loop(name)
        if number is not None:
            loop.existing(number)
    require_terminal()
    foreground = enter_child()
    backend = AppBackend(allow_code=allow_code)
    is_ascii = is_ascii_locale() if settings.ascii is None else settings.ascii
    with own_terminal(memory.folder / "app.log", ascii_only=is_ascii) as terminal:
        from tui_loop.tui.app import LoopApp
        from tui_loop.tui.driver import driver_on

        app = LoopApp(
            folder,
            backend,
            settings=settings,
            memory=memory,
            loop=name,
            number=number,
            driver_class=driver_on(
                terminal.stream,
                can_stop=can_stop,
                is_ending=lambda: app.left_for is not None,
            ),
            is_ascii=is_ascii,
            few_colours=has_few_colours(),
            terminal=terminal.stream,
            has_terminal=foreground.is_there,
            can_stop=can_stop,
        )
        for each in (signal.SIGHUP, signal.SIGTERM):  # Python's, which stay when the app has ended
            signal.signal(each, lambda got, _: app.leave_for(signal.Signals(got)))
        app.run()
        for line in _crash(app) if backend.hosted() else []:
            terminal.stream.write(f"{line}\r\n")  # while the terminal is still ours
        stopped = _outlive(app, backend, terminal, foreground, out) if backend.hosted() else ""
    if stopped:
        raise RunStopped(f"terminated: {stopped} has stopped", f"tui-loop resume {stopped}")
    if app.return_code:
        out.error(*_crash(app))
    backend.end_if_left_behind(app.return_code or 0)
    return app.return_code or 0


def _crash(app: LoopApp) -> list[str]:
    """What happened and what to do, where the app ended by a fault of its own."""
    if not app.return_code:
        return []
    place = f"the report is in {app.crash_report}" if app.crash_report else "no report"
    return ["the app ended by a fault of its own", f"{place}; the record is not affected"]


def _outlive(
    app: LoopApp,
    backend: AppBackend,
    terminal: Terminal,
    foreground: Foreground,
    out: Output,
) -> str:
    """The screen has gone and a run lives here: finishes it in the background, or ends it.

    Gives `loop/N` where a termination stopped it.
    """
    terminated = app.left_for == signal.SIGTERM
    hosted = backend.hosted()

    def on_terminate(*_: Any) -> None:
        nonlocal terminated
        terminated = True
        backend.terminate_hosted()

    signal.signal(signal.SIGTERM, on_terminate)
    for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(each, signal.SIG_IGN)  # neither the background nor a save is to be cut off
    signal.signal(signal.SIGCONT, signal.SIG_DFL)  # there is no screen to return to any more
    if terminated:
        terminal.stream.write(f"{hosted} is stopping: saving a checkpoint\r\n")
        terminal.stream.flush()
        backend.terminate_hosted()
    else:
        name = hosted.partition("/")[0]
        for text in (
            f"{hosted} goes on in the background",
            f"look at it: {open_command(name)}",
            f"stop it:    tui-loop stop {name}",
        ):
            terminal.stream.write(f"{out.spelled_out(text)}\r\n")
        terminal.let_go()
        foreground.let_go()
    backend.wait()
    return hosted if terminated else ""


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
