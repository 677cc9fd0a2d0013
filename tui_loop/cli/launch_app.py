"""Opens the app from the command line with its terminal, settings and backend, and ends it."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui_loop.cli.backend import AppBackend
from tui_loop.cli.foreground import Foreground, can_stop, enter_child
from tui_loop.cli.output import Output, background_hints
from tui_loop.core.errors import RunStopped
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import split_target

if TYPE_CHECKING:
    from tui_loop.tui.app import LoopApp
    from tui_loop.tui.terminal import Terminal


def open_app(loops: Path, target: str | None, out: Output, *, allow_code: bool = False) -> int:
    """Opens the app on `LOOP[/N]`, or on the most recent loop; returns the exit code.

    Problems with the target or the settings are reported before the screen changes. A run that the
    app hosts outlives its screen. Then this returns when that run has ended, long after the shell
    got its prompt back.
    """
    out.loops = loops
    gc.disable()  # speeds up the start; the app enables it after its first frame
    from tui_loop.core.record.files import user_settings_file
    from tui_loop.tui.settings import Memory, read_settings
    from tui_loop.tui.terminal import is_ascii_locale, own_terminal, require_terminal

    settings, memory = read_settings(user_settings_file()), Memory()
    folder = LoopsFolder(loops)
    name, number = split_target(target) if target is not None else (most_recent(folder), None)
    if name is not None:
        loop = folder.loop(name)
        if number is not None:
            loop.existing(number)
    require_terminal()
    foreground = enter_child()  # after all errors that need a plain screen, before heavy imports
    backend = AppBackend(allow_code=allow_code)
    is_ascii = is_ascii_locale() if settings.ascii is None else settings.ascii
    with own_terminal(memory.folder / "app.log", ascii_only=is_ascii) as terminal:
        from tui_loop.tui.app import LoopApp
        from tui_loop.tui.terminal import driver_on

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
            has_terminal=foreground.is_alive,
            can_stop=can_stop,
        )
        # Handlers of the event loop would be removed when the app ends; these stay.
        for number in (signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, lambda received, _: app.leave_for(signal.Signals(received)))
        app.run()
        for line in _crash(app) if backend.hosted() else []:
            terminal.stream.write(f"{line}\r\n")  # before the terminal is released
        stopped = _outlive(app, backend, terminal, foreground, out) if backend.hosted() else ""
    if stopped:
        raise RunStopped(f"terminated: {stopped} has stopped", f"tui-loop resume {stopped}")
    if app.return_code:
        out.error(*_crash(app))
    backend.end_if_left_behind(app.return_code or 0)
    return app.return_code or 0


def _crash(app: LoopApp) -> list[str]:
    """Returns the message and the hint for an app that crashed, [] otherwise."""
    if not app.return_code:
        return []
    report = f"crash report: {app.crash_report}" if app.crash_report else "no crash report"
    return ["the app crashed", f"{report}; the loops on disk are not affected"]


def _outlive(
    app: LoopApp,
    backend: AppBackend,
    terminal: Terminal,
    foreground: Foreground,
    out: Output,
) -> str:
    """Finishes the hosted run in the background after the screen has closed, or stops it.

    Returns `loop/N` where a termination signal stopped the run, else "".
    """
    terminated = app.left_for == signal.SIGTERM
    hosted = backend.hosted()

    def on_terminate(*_: Any) -> None:
        nonlocal terminated
        terminated = True
        backend.terminate_hosted()

    signal.signal(signal.SIGTERM, on_terminate)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)  # none of them may interrupt the run or its save
    signal.signal(signal.SIGCONT, signal.SIG_DFL)  # no screen is left to draw again
    if terminated:
        terminal.stream.write(f"{hosted} is stopping: saving a checkpoint\r\n")
        terminal.stream.flush()
        backend.terminate_hosted()
    else:
        name = hosted.partition("/")[0]
        for text in (f"{hosted} continues in the background", *background_hints(name)):
            terminal.stream.write(f"{out.spelled_out(text)}\r\n")
        terminal.detach()
        foreground.release()
    backend.wait()
    return hosted if terminated else ""


def most_recent(loops: LoopsFolder) -> str | None:
    """Returns the name of the loop that changed last, None where there is no loop."""
    names = loops.names()
    return max(names, key=lambda name: _last_change(loops.path / name), default=None)


def _last_change(loop: Path) -> float:
    """Returns when an entry of a loop's folder was last modified."""
    try:
        with os.scandir(loop) as entries:
            return max((entry.stat().st_mtime for entry in entries), default=0.0)
    except OSError:
        return 0.0


def has_few_colours() -> bool:
    """Whether the terminal has 16 colours at most, as COLORTERM and TERM say."""
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return False
    return "256color" not in os.environ.get("TERM", "")
