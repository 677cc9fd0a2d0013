"""Drives a whole round in tmux, key by key, and checks the screen after each step.

    python -m scripts.round [--size 160x48] [--delay 0.15] [--pictures FOLDER]

Diagnosis, draft, check, a real run on the tiny base, its examples, a comparison, and what follows.
`--delay`: the app runs behind a shim that delays input and output by that many seconds in all, as
a slow SSH link does. Exits 1 at the first step whose screen does not come, and prints that screen.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOOP = "support-tiny"
SIZES = ("80x24", "100x30", "160x48")

STEP_SECONDS, RUN_SECONDS = 20.0, 240.0
"""Limits for a screen and for the phases of the run; twice that behind the shim."""

KEYS = {
    "enter": "Enter",
    "esc": "Escape",
    "space": "Space",
    "tab": "Tab",
    "down": "Down",
    "up": "Up",
}


class Step:
    """Keys to press and the texts that the screen then has.

    A word in `keys` is one key; `'text'` is typed sign by sign.
    """

    def __init__(self, keys: str, *texts: str, seconds: float = STEP_SECONDS, absent: str = ""):
        self.keys, self.texts, self.seconds, self.absent = keys, texts, seconds, absent


ROUND = (
    Step("", "1 Iterations", "learning_rate"),
    # What is wrong with the best one, and what to try.
    Step("1 G up up", "▸   5"),
    Step("d", "Diagnosis of support-tiny/5"),
    Step("down", "Diagnosis of support-tiny/5"),
    Step("esc", "1 Iterations"),
    # The next iteration: one field, one reason.
    Step("i", "2 Config of iteration 7, from 5"),
    Step("/ 'max_steps' enter", "▸", "max_steps"),
    Step("enter ctrl+u '24' enter", "was unset", "24"),
    Step("a 'a short try' enter", "a short try"),
    Step("g c", "Check of 7", "0 errors"),
    Step("esc", "2 Config of iteration 7"),
    Step("r", "Run 7, from 5", "max_steps", "405 training rows"),
    Step("enter", "▶ 7", seconds=RUN_SECONDS),
    # The live run.
    Step("", "▶ 7 training", seconds=RUN_SECONDS),
    Step("p", "▶ 7 paused"),
    Step("4", "until 7 is evaluated"),
    Step("p", "▶ 7 training"),
    Step("5", "loss"),
    Step("3", "3 Loss of 7"),
    Step("", "idle", seconds=RUN_SECONDS),
    # What it does wrong.
    Step("4", "4 Failures of iteration 7"),
    Step("down enter", "Example 2 of", "iteration 7"),
    Step("n", "Example 2 of"),
    Step("a m", "labels.jsonl"),
    Step("a x", "annotation removed"),
    # An example with an annotation leaves the list, and its place is the next one's.
    Step("]", "Example"),
    Step("esc g d", "What fails in support-tiny/7"),
    Step("esc", "4 Failures of iteration 7"),
    # Against the others.
    Step("1 [ m ]", "▸   7"),
    Step("c", "Compare support-tiny/7 against 6"),
    Step("3", "3 Fixed"),
    Step("esc", "1 Iterations"),
    Step("g h", "Progress of support-tiny"),
    Step("esc g p", "Patterns"),
    Step("esc g r", "Is support-tiny/7 ready?"),
    Step("esc g q", "Queue of support-tiny", "No draft is queued."),
    Step("esc : 'messages'", "messages of this session"),
    Step("enter", "Messages", "7 finished"),
    Step("esc ? / 'suspect' enter", "suspect training rows"),
    Step("esc", "1 Iterations"),
)


def main() -> int:
    """Runs the round at the sizes that were asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", action="append", help=f"default: {', '.join(SIZES)}")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--pictures", type=Path, help="a folder for the screen after each step")
    parser.add_argument("--shim", type=float, help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.shim is not None:
        return shim(args.shim, args.command)
    if shutil.which("tmux") is None:
        print("tmux is not installed", file=sys.stderr)
        return 2
    for size in args.size or SIZES:
        problem = play(size, args.delay, args.pictures)
        print(f"{size}: {problem or 'every screen came'}", flush=True)
        if problem:
            return 1
    return 0


def play(size: str, delay: float = 0.0, pictures: Path | None = None) -> str:
    """Plays the round in a terminal of `size`; returns the step that failed with its screen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(
            CHECKOUT / "loops" / LOOP,
            folder / "loops" / LOOP,
            ignore=shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock"),
        )
        shutil.copytree(CHECKOUT / "sample_data", folder / "sample_data")
        with session(folder, size, delay) as terminal:
            for number, step in enumerate(ROUND):
                problem = terminal.does(step)
                if pictures is not None:
                    pictures.mkdir(parents=True, exist_ok=True)
                    picture = pictures / f"{size}-{number:02}.txt"
                    picture.write_text(terminal.screen(), encoding="utf-8")
                if problem:
                    return f"step {number} ({step.keys or 'wait'}): {problem}\n{terminal.screen()}"
    return ""


class Terminal:
    """The app in a tmux session."""

    def __init__(self, socket: Path, delay: float) -> None:
        self._tmux = ["tmux", "-S", str(socket)]
        self._delay = delay

    def does(self, step: Step) -> str:
        """Presses the keys and waits for the texts; returns the one that did not come."""
        for word in shlex.split(step.keys, posix=False):
            self._press(word)
        ends = time.monotonic() + step.seconds * (2 if self._delay else 1)
        missing = list(step.texts)
        while missing and time.monotonic() < ends:
            time.sleep(0.05)
            shown = self.screen()
            missing = [text for text in missing if text not in shown]
        return f"{missing[0]!r} did not come" if missing else ""

    def screen(self) -> str:
        """Returns the text of the screen."""
        shown = subprocess.run(
            [*self._tmux, "capture-pane", "-p"], capture_output=True, text=True, check=False
        )
        return shown.stdout

    def _press(self, word: str) -> None:
        if word.startswith("'"):
            keys = ["-l", word.strip("'")]
        elif word.startswith("ctrl+"):
            keys = [f"C-{word.removeprefix('ctrl+')}"]
        else:
            keys = [KEYS[word]] if word in KEYS else ["-l", word]
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)
        # An escape that is followed at once by another key would be read as alt and that key.
        time.sleep(0.15 if word == "esc" else 0.02)


@contextmanager
def session(folder: Path, size: str, delay: float) -> Iterator[Terminal]:
    """Opens the app on the loop in a tmux session of its own."""
    width, height = size.split("x")
    socket = folder / "tmux"
    command = [sys.executable, "-m", "tui_loop", "open", LOOP]
    if delay:
        command = [sys.executable, __file__, "--shim", str(delay), *command]
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(CHECKOUT),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    environment.pop("TMUX", None)
    tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", width, "-y", height, shlex.join(command)],
        cwd=folder,
        env=environment,
        check=True,
    )
    try:
        yield Terminal(socket, delay)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def shim(delay: float, command: list[str]) -> int:
    """Runs a command on a terminal of its own; half of the delay is before, half after it."""
    child, master = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    _copy_size(master)
    signal.signal(signal.SIGWINCH, lambda *_: _copy_size(master))
    before = termios.tcgetattr(0)
    tty.setraw(0)
    waiting: dict[int, deque[tuple[float, bytes]]] = {0: deque(), master: deque()}
    target = {0: master, master: 1}
    try:
        while True:
            now = time.monotonic()
            for source, chunks in waiting.items():
                while chunks and chunks[0][0] <= now:
                    os.write(target[source], chunks.popleft()[1])
            due = [chunks[0][0] for chunks in waiting.values() if chunks]
            pause = max(0.0, min(due) - now) if due else None
            for source in select.select([0, master], [], [], pause)[0]:
                data = os.read(source, 65536)
                if not data:
                    return 0
                waiting[source].append((time.monotonic() + delay / 2, data))
    except OSError:  # the command has ended and its terminal is gone
        return 0
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _copy_size(master: int) -> None:
    ioctl(master, termios.TIOCSWINSZ, ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))


if __name__ == "__main__":
    sys.exit(main())
