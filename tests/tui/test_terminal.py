"""The terminal: nobody but the app writes to it, in plain ASCII where it has no more."""

from __future__ import annotations

import ast
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tui_loop
from tests.conftest import Cli
from tests.waiting import wait_until
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.tui.cells import width_of
from tui_loop.tui.terminal import PLAIN, is_ascii_locale

STATUS = b"idle"
LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"
PACKAGE = Path(tui_loop.__file__).parent


class OnPty:
    """A program on a terminal of 80x24 of its own."""

    def __init__(self, command: list[str], folder: Path, **extra: str) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        environment = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **extra}
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=environment,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
        )
        self.output = b""

    def reads_until(self, text: bytes) -> None:
        """Takes what the program writes until that has `text`."""
        self.waits_until(lambda: text in self.output, repr(text))

    def waits_until(self, condition: Callable[[], object], what: str) -> None:
        """Takes what the program writes until a condition holds."""
        wait_until(condition, what, between=self._read, seen=lambda: repr(self.output[-2000:]))

    def types(self, text: str) -> None:
        os.write(self.master, text.encode())

    def ends(self) -> int:
        """Takes what is still written and gives the exit code."""
        self.waits_until(lambda: self.process.poll() is not None, "its end")
        while self._read():
            pass
        return self.process.returncode

    def closes(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], 0.05)
        if ready:
            self.output += os.read(self.master, 65536)
        return bool(ready)


@pytest.fixture
def on_pty(tmp_path: Path, loops: LoopsFolder) -> Iterator[type[OnPty]]:
    """Starts programs on a terminal, in the folder of the recorded loop."""
    started: list[OnPty] = []

    class Here(OnPty):
        def __init__(self, *command: str, **extra: str) -> None:
            super().__init__(list(command), tmp_path, **extra)
            started.append(self)

    yield Here
    for each in started:
        each.closes()


def signs_in(source: Path) -> set[str]:
    """The signs beyond ASCII in the texts of a module; not those of its docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    told = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told
    ]
    return {sign for text in texts for sign in text if ord(sign) > 0x7F}


def test_every_sign_that_the_app_uses_has_a_plain_one_of_the_same_width() -> None:
    sources = [path for path in (PACKAGE / "tui").rglob("*.py") if path.name != "terminal.py"]
    signs = {sign for path in sources for sign in signs_in(path)} | set("╭─╮│╰╯▁▂▃▄▅▆▇█")
    charts = {sign for sign in signs if "\u2800" <= sign <= "\u28ff"}
    assert len(signs - charts) > 20
    for sign in sorted(signs - charts):
        if width_of(sign) != 1 or sign == "\ufffd":
            continue
        plain = sign.encode("ascii", PLAIN).decode()
        assert plain.isascii()
        assert len(plain) == 1
        assert plain.isprintable()
        assert plain != "?", f"{sign!r} has no plain sign"


@pytest.mark.parametrize(
    ("text", "plain"), [("中文", "????"), ("e\u0301", "e"), ("é", "?"), ("a → b…", "a > b~")]
)
def test_text_that_ascii_lacks_keeps_its_width(text: str, plain: str) -> None:
    assert text.encode("ascii", PLAIN).decode() == plain
    assert width_of(plain) == width_of(text)


@pytest.mark.parametrize(
    ("names", "is_ascii"),
    [
        ({"LC_ALL": "C"}, True),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "en_US.ISO-8859-1"}, True),
        ({"LC_ALL": "C.UTF-8"}, False),
        ({"LC_ALL": "", "LC_CTYPE": "de_DE.utf8", "LANG": "C"}, False),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "C"}, True),
    ],
)
def test_the_locale_says_whether_there_is_more_than_ascii(
    names: dict[str, str], is_ascii: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert is_ascii_locale() is is_ascii


@pytest.mark.usefixtures("loops")
def test_without_a_terminal_the_app_is_refused_in_two_lines(cli: Cli) -> None:
    done = cli("support-intents")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["error:", "hint:"]
    assert "needs a terminal" in lines[0]


def test_the_app_leaves_the_terminal_as_it_was(on_pty: type[OnPty]) -> None:
    app = on_pty("-m", "tui_loop", "support-intents")
    app.reads_until(STATUS)
    assert termios.tcgetattr(app.slave) != app.modes
    app.types("q")
    assert app.ends() == 0
    assert LEAVES_ALTERNATE_SCREEN in app.output
    assert termios.tcgetattr(app.slave) == app.modes
    assert "▸".encode() in app.output


def test_a_termination_leaves_the_terminal_as_it_was(on_pty: type[OnPty]) -> None:
    app = on_pty("-m", "tui_loop", "support-intents")
    app.reads_until(STATUS)
    app.process.send_signal(signal.SIGTERM)
    app.ends()
    assert LEAVES_ALTERNATE_SCREEN in app.output
    assert termios.tcgetattr(app.slave) == app.modes


@pytest.mark.slow
def test_in_a_locale_without_utf_8_only_ascii_is_written(on_pty: type[OnPty]) -> None:
    app = on_pty("-m", "tui_loop", "support-intents/2", LC_ALL="C")
    app.reads_until(STATUS)
    app.types("3")
    app.reads_until(b"3 Loss of 2")
    app.types("4")
    app.reads_until(b"by loss")
    app.types("?")
    app.reads_until(b"Loop and run")
    app.types("q")
    assert app.ends() == 0
    assert [byte for byte in app.output if byte > 0x7F] == []
    assert b"num_train_epochs 2.5 -> 5" in app.output


@pytest.mark.slow
def test_nothing_else_in_the_process_writes_to_the_terminal(
    on_pty: type[OnPty], tmp_path: Path
) -> None:
    noisy = """
import os, sys, threading, time
def noise():
    while not os.path.exists("begin"):
        time.sleep(0.01)
    for _ in range(50):
        print("NOISE-print", flush=True)
        print("NOISE-err", file=sys.stderr, flush=True)
        print("NOISE-real", file=sys.__stdout__, flush=True)
        os.write(1, b"NOISE-fd1\\n")
        os.write(2, b"NOISE-fd2\\n")
    os.system("echo NOISE-child; echo NOISE-child-err >&2")
    open("done", "w").close()
def begin():
    threading.Thread(target=noise, daemon=True).start()
os.register_at_fork(after_in_child=begin)  # the app is the child of a thin process
"""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(noisy)
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    app = on_pty("-m", "tui_loop", "support-intents", PYTHONPATH=os.pathsep.join(paths).rstrip(":"))
    app.reads_until(STATUS)
    (tmp_path / "begin").touch()
    app.waits_until((tmp_path / "done").exists, "the end of the noise")
    app.types("?")
    app.reads_until(b"Loop and run")
    app.types("q")
    assert app.ends() == 0
    assert b"NOISE" not in app.output
    log = (tmp_path / "state" / "app.log").read_text()
    for name in ("NOISE-fd1", "NOISE-fd2", "NOISE-child", "NOISE-child-err"):
        assert name in log


@pytest.mark.slow
def test_a_fault_of_the_app_ends_it_calmly_and_its_report_has_no_values(
    on_pty: type[OnPty], tmp_path: Path
) -> None:
    program = """
import os, sys
from tui_loop.cli.main import main
from tui_loop.tui.widgets.iterations import IterationTable
def row(self, index, width):
    token = os.environ["A_TOKEN"]
    raise RuntimeError("it broke")
IterationTable.row = row
sys.exit(main(["support-intents"]))
"""
    app = on_pty("-c", program, A_TOKEN="hunter2-hunter2")
    assert app.ends() == 1
    assert termios.tcgetattr(app.slave) == app.modes
    shown = app.output.rpartition(LEAVES_ALTERNATE_SCREEN)[2].decode()
    lines = [line for line in re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown).split("\r\n") if line]
    report = tmp_path / "state" / "crash.log"
    assert lines[-2:] == [
        "error: the app crashed",
        f"hint: crash report: {report}; the loops on disk are not affected",
    ]
    assert "Traceback" not in shown
    text = report.read_text()
    assert "RuntimeError: it broke" in text
    assert "hunter2" not in text
    assert b"hunter2" not in app.output
    assert "hunter2" not in (tmp_path / "state" / "app.log").read_text()
