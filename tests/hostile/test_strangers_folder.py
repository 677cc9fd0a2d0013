"""A loop folder from a stranger: nothing in it is executed, and nothing outside it is read."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.faults.kit import Outcome
from tests.hostile.conftest import Command
from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.cli.start import check_start
from tui_loop.core.config.validation import read_config
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.lock import LockWatcher, RunLock, holder_of
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import RequestReader, append_request
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.plan import plan_next
from tui_loop.core.workflow.queue import QueuedDraft, add

LOOP = "support-intents"
READING = [
    ("list",),
    ("status",),
    ("status", LOOP),
    ("show", LOOP),
    ("show", f"{LOOP}/2"),
    ("log", f"{LOOP}/2"),
    ("failures", f"{LOOP}/2"),
    ("audit", f"{LOOP}/2"),
    ("failures", f"{LOOP}/2", "--id", f"{0:012x}"),
    ("compare", f"{LOOP}/1", f"{LOOP}/2"),
    ("rescore", f"{LOOP}/2", "--metric", "contains"),
    ("note", f"{LOOP}/2"),
    ("queue", LOOP),
    ("label", LOOP),
    ("label", f"{LOOP}/2"),
]
JUDGING = [
    ("diagnose", f"{LOOP}/2"),
    ("patterns",),
    ("progress", LOOP),
    ("ready", f"{LOOP}/2", "--no-look"),
    ("report", LOOP, "-o", "-"),
]
FILES = [
    "loop.toml",
    "draft.toml",
    "queue.toml",
    "labels.jsonl",
    "002/config.toml",
    "002/decision.toml",
    "002/summary.json",
    "002/journal.jsonl",
    "002/examples.jsonl",
    "002/tokens.jsonl",
    "002/audit.json",
    "002/notes.md",
    "002/requests.jsonl",
    "002/run.lock",
]
SECRET = "what stands elsewhere"
HUGE = 10 * 1024**3
MEGABYTES = 1024 * 1024

_opened: list[str] | None = None
_FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pickle.find_class")


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    """The interpreter's audit hook: it cannot be taken off, so it listens only when asked."""
    if _opened is None:
        return
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        _opened.append(os.path.abspath(os.fsdecode(arguments[0])))
    elif event in _FORBIDDEN or (event == "socket.connect"):
        _opened.append(f"{event} {arguments}")


sys.addaudithook(_heard)


@pytest.fixture
def opened_files() -> Iterator[list[str]]:
    """What this process opens or starts while the test runs."""
    global _opened  # noqa: PLW0603
    _opened = []
    yield _opened
    _opened = None


def strange(paths: list[str], home: Path) -> list[str]:
    """Of what was opened, what is neither the project's, nor Python's, nor the system's own."""
    own = (str(home / "loops"), str(home / "state"), str(home / "config.toml"))
    packages = [each for each in sys.path if each.endswith("site-packages")]
    system = (sys.prefix, sys.base_prefix, *packages, "/proc/", "/dev/", "/sys/", "/usr/", "/etc/")
    package = str(Path(__file__).parents[2])
    return [each for each in paths if not each.startswith((*own, *system, package))]


class Exploit:
    """Runs code when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A folder that comes to be when any of the stranger's code runs."""
    return tmp_path / "canary"


@pytest.fixture
def trapped(loop: LoopFolder, canary: Path) -> LoopFolder:
    """The recorded loop with everything beside it that somebody's tool might execute."""
    payload = pickle.dumps(Exploit(canary))
    code = f"import os\nos.makedirs({str(canary)!r}, exist_ok=True)\n"
    for number in (0, 1, 2):
        folder = loop.iteration(number)
        for place in (folder.path, folder.adapter, folder.checkpoints / "checkpoint-3"):
            place.mkdir(parents=True, exist_ok=True)
            names = ("training_args.bin", "adapter_model.bin", "pytorch_model.bin", "optimizer.pt")
            for name in (*names, "scheduler.pt", "rng_state.pth", "examples.pkl", "rows.npy"):
                (place / name).write_bytes(payload)
            for name in ("evil.py", "conftest.py", "modeling_evil.py", "sitecustomize.py"):
                (place / name).write_text(code)
            (place / ".env").write_text(f"EVIL=$(mkdir {canary})\n")
        config = folder.config.read_text()
        config = config.replace('metric = "label"', 'metric = "evil:score"')
        config = config.replace("trust_remote_code = false", "trust_remote_code = true")
        config = config.replace('train = "train.jsonl"', 'train = "../../elsewhere/secret.txt"')
        assert "evil:score" in config
        assert "trust_remote_code = true" in config
        folder.config.write_text(config)
    (loop.root / "evil.py").write_text(code)
    (loop.path / "evil.py").write_text(code)
    settings = loop.settings_file.read_text().replace('metric = "label"', 'metric = "evil:score"')
    loop.settings_file.write_text(settings)
    return loop


def assert_unharmed(canary: Path, opened: list[str], home: Path) -> None:
    assert not canary.exists()
    assert not strange(opened, home)
    assert not [each for each in opened if each.endswith((".bin", ".pt", ".pth", ".pkl", ".env"))]
    assert "evil" not in sys.modules


def test_no_reading_command_executes_what_lies_in_a_loop(
    command: Command,
    trapped: LoopFolder,
    canary: Path,
    opened_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(trapped.root)
    for words in [*READING, *JUDGING]:
        printed = command(*words)
        assert printed.code == 0, (words, printed.err)
    assert_unharmed(canary, opened_files, trapped.root)
    assert opened_files


@pytest.mark.slow
def test_the_app_executes_nothing_that_lies_in_a_loop(
    open_app: OpenApp, trapped: LoopFolder, canary: Path, opened_files: list[str]
) -> None:
    async def steps(opened: Opened) -> None:
        keys = ("1", "enter", "escape", "2", "3", "4", "enter", "escape", "5", "c", "escape", "d")
        await opened.press(*keys, "1", "N")
        await opened.looks(2)

    on_app(open_app(number=2), steps)
    assert_unharmed(canary, opened_files, trapped.root)


@pytest.fixture
def data(loop: LoopFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data that the recorded loop names."""
    monkeypatch.chdir(loop.root)
    rows = [json.dumps({"prompt": f"say {number}", "completion": "yes"}) for number in range(9)]
    for name in ("train.jsonl", "eval.jsonl"):
        (loop.root / name).write_text("\n".join(rows) + "\n")


@pytest.mark.train
def test_a_metric_of_somebody_is_refused_and_not_imported(
    data: None, command: Command, trapped: LoopFolder, canary: Path
) -> None:
    for words in (
        ("run", LOOP, "--from", "1", "--set", "data.train=train.jsonl"),
        ("rescore", LOOP, "--metric", "evil:score"),
    ):
        printed = command(*words)
        assert printed.code == 2, printed
        assert "--allow-code" in printed.err
    assert not canary.exists()


@pytest.mark.train
def test_a_model_whose_weights_are_a_pickle_is_not_loaded(canary: Path, tmp_path: Path) -> None:
    from tui_loop.engine.model_source import find_model
    from tui_loop.engine.models import load_model

    folder = tmp_path / "model"
    shutil.copytree(shipped("sample_data", "tiny-base"), folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Exploit(canary)))
    config = read_config({"model": {"id": str(folder)}, "run": {"device": "cpu"}})
    with pytest.raises(OSError, match="safetensors"):
        load_model(config, find_model(str(folder), tmp_path))
    assert not canary.exists()


@pytest.mark.train
def test_remote_code_is_said_before_anything_is_created(
    data: None, command: Command, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_: Any) -> None:
        raise BadInput("nothing is created here")

    monkeypatch.setattr("tui_loop.cli.run_process.create", create)
    words = ("run", LOOP, "--from", "1", "--set", "metric=exact_match")
    assert "remote_code" not in command(*words).err
    printed = command(*words, "--set", "trust_remote_code=true")
    said, _, rest = printed.err.partition("nothing is created here")
    assert "trust_remote_code is on: Python code from tiny runs" in said
    assert rest
    plan = plan_next(loop, parent=1, settings=["trust_remote_code=true"], why="")
    assert check_start(loop, plan).notices[0].startswith("trust_remote_code is on")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside `loops/`, with a whole loop in it that is nobody's business."""
    folder = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "loops" / LOOP, folder / LOOP)
    for path in folder.rglob("*.*"):
        if path.is_file():
            path.write_text(path.read_text().replace("card arrival", SECRET))
    (folder / "notes.md").write_text(SECRET)
    return folder


def told_by_all(command: Command, *more: tuple[str, ...], records: bool = True) -> str:
    """Everything that the reading commands print, as text and as records."""
    texts = []
    for words in [*READING, *more]:
        for flags in ((), ("--json",)) if records else ((),):
            printed = command(*words, *flags)
            assert "bug in tui-loop" not in printed.err, (words, printed.err)
            texts.append(printed.out + printed.err)
    return "\n".join(texts)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_a_link_is_not_read_and_the_rest_is(
    name: str, command: Command, loop: LoopFolder, elsewhere: Path, opened_files: list[str]
) -> None:
    path = loop.path / name
    path.unlink(missing_ok=True)
    target = elsewhere / "notes.md" if name == "002/notes.md" else elsewhere / LOOP / name
    path.symlink_to(target)
    del opened_files[:]
    told = told_by_all(command)
    assert SECRET not in told
    assert not [each for each in opened_files if "elsewhere" in each]
    if name not in ("002/requests.jsonl", "002/run.lock", "002/tokens.jsonl"):
        assert "is a link, which tui-loop does not follow" in told or name in (
            "002/config.toml",
            "002/decision.toml",
        )
    shown = json.loads(command("show", LOOP, "--json").out or "{}")
    if name != "loop.toml":
        assert [each["state"] for each in shown["iterations"]][:2] == ["finished", "finished"]


@pytest.mark.train
def test_what_judges_a_loop_follows_no_link_and_waits_for_no_pipe(
    command: Command, loop: LoopFolder, elsewhere: Path, opened_files: list[str]
) -> None:
    names = ("holdout.jsonl", "002/training.jsonl", "002/diagnosis.json", "002/evals/4.jsonl")
    (loop.iteration(2).evals).mkdir(exist_ok=True)
    for act in (lambda path: path.symlink_to(elsewhere / "notes.md"), as_pipe):
        for name in names:
            (loop.path / name).unlink(missing_ok=True)
            act(loop.path / name)
        del opened_files[:]
        for words in JUDGING:
            printed = command(*words)
            assert printed.code == 0, (words, printed.err)
            assert SECRET not in printed.out + printed.err
        assert not [each for each in opened_files if "elsewhere" in each]
    (loop.path / "output.log").symlink_to(elsewhere / "notes.md")
    for words in (("auto", LOOP, "--iterations", "1"), ("queue", LOOP, "--run")):
        add(loop, QueuedDraft(2, "mine", {"lora.r": 4}))
        printed = command(*words, "--detach")
        assert printed.code == 2, printed
        assert "output.log: is a link" in printed.err
    assert (elsewhere / "notes.md").read_text() == SECRET


@pytest.mark.fault(
    "an iteration's folder is a link out of loops/",
    group="text",
    state="unreadable",
    error="data",
    readable="the other iterations; nothing outside is read",
)
def test_an_iteration_that_is_a_link_out_of_the_loops_is_unreadable(
    command: Command,
    loop: LoopFolder,
    elsewhere: Path,
    opened_files: list[str],
    outcome: Outcome,
) -> None:
    (loop.path / "004").symlink_to(elsewhere / LOOP / "002")
    del opened_files[:]
    more = (("show", f"{LOOP}/4"), ("failures", f"{LOOP}/4"), ("log", f"{LOOP}/4"))
    told = told_by_all(command, *more, ("compare", f"{LOOP}/4", f"{LOOP}/2"))
    assert SECRET not in told
    assert not [each for each in opened_files if "elsewhere" in each]
    assert "is a link that leads out of" in told
    outcome(loop.iteration(4))


def test_a_link_to_an_iteration_of_the_same_loops_is_followed(
    command: Command, loop: LoopFolder
) -> None:
    (loop.path / "004").symlink_to("002")
    assert command("failures", f"{LOOP}/4").code == 0


def test_a_loop_that_is_a_link_out_of_the_loops_is_told_and_not_opened(
    command: Command, loop: LoopFolder, loops: LoopsFolder, elsewhere: Path
) -> None:
    (loops.path / "evil").symlink_to(elsewhere / LOOP)
    (loops.path / "root").symlink_to("/")
    (loops.path / "circle").symlink_to("circle")
    assert loops.names() == [LOOP]
    assert "loops/evil: is a link that leads out of" in command("list").out
    printed = command("show", "evil")
    assert printed.code == 2
    assert "is a link that leads out of" in printed.err
    assert SECRET not in printed.out


def test_the_folder_of_loops_itself_may_be_a_link_since_the_user_names_it(
    command: Command, loop: LoopFolder, tmp_path: Path
) -> None:
    (tmp_path / "linked").symlink_to(tmp_path / "loops")
    assert command("--loops", str(tmp_path / "linked"), "show", LOOP).code == 0


@pytest.mark.parametrize(
    "name", ["000/run.lock", "000/journal.jsonl", "000/evals", "000/output.log"]
)
def test_a_run_writes_through_no_link(name: str, loop: LoopFolder, elsewhere: Path) -> None:
    victim = elsewhere / "notes.md"
    path = loop.path / name
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    with pytest.raises(BadInput, match="is a link"):
        loop.iteration(0).check_no_links()
    with pytest.raises(BadInput, match="is a link"):
        append_request(path, 1, "stop", save=True, evaluate=True)
    assert victim.read_text() == SECRET


def test_notes_replace_a_link_rather_than_what_it_leads_to(
    loop: LoopFolder, elsewhere: Path
) -> None:
    folder = loop.iteration(2)
    folder.notes.symlink_to(elsewhere / "notes.md")
    with pytest.raises(BadInput, match="is a link"):
        folder.add_note("mine")
    assert (elsewhere / "notes.md").read_text() == SECRET


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.mkdir()


def as_socket(path: Path) -> None:
    home = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(home)


def as_link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def as_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


ODD = [as_pipe, as_folder, as_socket, as_link_to_a_device, as_link_to_itself]


@pytest.mark.parametrize("odd", ODD, ids=lambda each: each.__name__)
def test_what_is_no_file_is_neither_waited_for_nor_read(
    odd: Callable[[Path], None], command: Command, loop: LoopFolder
) -> None:
    for name in FILES:
        path = loop.path / name
        kept = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        odd(path)
        told_by_all(command, records=False)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if kept is not None:
            path.write_bytes(kept)


def bytes_read() -> int:
    """Bytes that this process has read from files so far; 0 where the system does not count."""
    process = psutil.Process()
    return int(process.io_counters().read_chars) if psutil.LINUX else 0


def grow(path: Path) -> None:
    """Makes a file of ten gigabytes that takes no room."""
    with path.open("ab") as file:
        file.truncate(HUGE)


@pytest.mark.parametrize("name", [each for each in FILES if each != "002/run.lock"])
def test_a_file_of_ten_gigabytes_is_not_read_whole(
    name: str, command: Command, loop: LoopFolder
) -> None:
    (loop.path / name).touch()
    grow(loop.path / name)
    tracemalloc.start()
    before = bytes_read()
    try:
        told = told_by_all(command, records=False)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 128 * MEGABYTES
    assert bytes_read() - before < 128 * MEGABYTES
    read = name not in ("002/requests.jsonl", "002/journal.jsonl", "002/tokens.jsonl")
    if read and name not in ("002/config.toml", "002/decision.toml"):
        assert "too large for a record" in told
    assert iteration_of(loop.iteration(1)).state == "finished"


def test_a_lock_that_is_a_link_is_not_taken(loop: LoopFolder, elsewhere: Path) -> None:
    lock = loop.iteration(0).lock
    lock.unlink()
    lock.symlink_to(elsewhere / "notes.md")
    with pytest.raises(BadInput, match="is a link"), RunLock(lock):
        raise AssertionError("it was taken")
    assert LockWatcher(lock).poll() == "gone"
    assert (elsewhere / "notes.md").read_text() == SECRET


def test_a_lock_of_ten_gigabytes_is_read_no_further_than_a_holder_goes(loop: LoopFolder) -> None:
    lock = loop.iteration(2).lock
    grow(lock)
    tracemalloc.start()
    try:
        assert holder_of(lock) is None
        assert LockWatcher(lock).poll() == "gone"
        grow(loop.iteration(2).requests)
        assert RequestReader(loop.iteration(2).requests, 1).read() == []
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"x": ['])
def test_json_and_toml_of_any_depth_are_told_as_unreadable(
    opening: str, command: Command, loop: LoopFolder
) -> None:
    deep = opening * 100_000
    folder = loop.iteration(2)
    (loop.iteration(3).summary).write_text(f'{{"number": 3, "state": "failed", "changes": {deep}')
    folder.examples.write_text(f'{{"id": {deep}\n')
    folder.tokens.write_text(deep + "\n")
    journal = folder.journal.read_text()
    folder.journal.write_text(f'{{"event": "line", "x": {deep}\n{journal}')
    folder.requests.write_text(deep + "\n")
    folder.lock.write_text(f'{{"x": {deep}')
    loop.draft.write_text(f"x = {'[' * 100_000}")
    told = told_by_all(command)
    assert "002/examples.jsonl:1: " in told
    assert "3 cannot be read" in told
    assert "draft cannot be read" in told
    assert read_run(folder).ended is not None
    assert RequestReader(folder.requests, 1).read() == []


@pytest.mark.fault(
    "half a surrogate pair, a NUL or bytes that are no UTF-8 among the examples",
    group="text",
    state="finished",
    readable="every row; what is no text is shown as a sign",
)
def test_broken_text_among_the_examples_hides_no_row(
    command: Command, loop: LoopFolder, outcome: Outcome
) -> None:
    path = loop.iteration(2).examples
    lines = path.read_bytes().splitlines()
    lines[0] = lines[0].replace(b"my case number 0", b"my \\ud83d case \\udc00\\u0000 number 0")
    lines[1] = lines[1].replace(b"my case number 1", b"my \xff\xfe case \x00\x1b number 1")
    path.write_bytes(b"\n".join(lines) + b"\n")
    rows = loop.iteration(2).read_examples()
    assert len(rows) == 24
    assert "my \ufffd case \ufffd\x00 number 0" in rows[0].prompt
    assert "my \ufffd\ufffd case \x00\x1b number 1" in rows[1].prompt
    printed = command("failures", f"{LOOP}/2", "--id", f"{0:012x}")
    assert "my � case �␀ number 0" in printed.out
    assert json.loads(command("failures", f"{LOOP}/2", "--all", "--json").out)["total"] == 24
    outcome(loop.iteration(2))
