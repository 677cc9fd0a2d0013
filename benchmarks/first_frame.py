"""From a process's start to its first frame: the app on 1,000 iterations against a bare app."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.bench_app import command, environment, recorded_loop
from benchmarks.measure import Result, paired_ratio
from benchmarks.scale import sized
from benchmarks.screen import Screen
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Change, Decision
from tui_loop.core.text.figures import brief_number

ITERATIONS, PAIRS = sized((1000, 11), (20, 1))
EXAMPLES, EVENTS = 20, 30
NAME = "thousand"
RATE = 1e-5
"""Times the iteration's number: its learning rate, by which its row is known on the screen."""

HEAVY = ("torch", "numpy", "transformers", "datasets")
_SPY = """
import atexit, json, sys
def tell():
    with open({path!r}, "w") as file:
        json.dump(sorted(sys.modules), file)
atexit.register(tell)
from tui_loop.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def results() -> list[Result]:
    with recorded_loop() as recorded:
        loop = _thousand(recorded)
        tables: list[float] = []

        def ours() -> float:
            with _screen(command(loop, NAME), loop) as screen:
                first = screen.first_frame() - screen.started
                tables.append(_table(screen) - screen.started)
            return first

        def theirs() -> float:
            script = str(Path(__file__).with_name("bare_app.py"))
            with _screen([sys.executable, "-P", script], loop) as screen:
                return screen.first_frame() - screen.started

        ours(), theirs()  # compiles what has no compiled file yet
        tables.clear()
        ratio, left, right = paired_ratio(ours, theirs, PAIRS)
        heavy = _heavy_modules(loop)
    note = (
        f"medians of {PAIRS}: {_ms(left)} against {_ms(right)}; rows of {ITERATIONS} iterations "
        f"after {_ms(tables)}"
    )
    told = f"at the exit, the table drawn: {', '.join(heavy) or 'none'} of {', '.join(HEAVY)}"
    return [
        Result("first frame / a bare Textual app's", ratio, 1.15, note=note),
        Result("heavy modules in the app that only looks", len(heavy), 0, note=told),
    ]


def _ms(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{1000 * median(ordered):.0f} ms ({1000 * ordered[0]:.0f}-{1000 * ordered[-1]:.0f})"


def _screen(words: list[str], loop: LoopFolder) -> Screen:
    return Screen(
        words, columns=160, lines=48, folder=loop.root, environment=environment(loop.root)
    )


def _table(screen: Screen) -> float:
    """The clock at which the newest iteration's row was drawn."""
    before = re.escape(brief_number(RATE * (ITERATIONS - 1)))
    return screen.wait_for(rf"learning_rate {before} ")


def _heavy_modules(loop: LoopFolder) -> list[str]:
    path = loop.root / "modules.json"
    words = command(loop, NAME)
    spied = [*words[: words.index("-m")], "-c", _SPY.format(path=str(path)), *words[4:]]
    with _screen(spied, loop) as screen:
        _table(screen)
        screen.send("q")
        screen.wait_for_end()
    loaded = set(json.loads(path.read_text()))
    assert "tui_loop.tui.app" in loaded
    return [name for name in HEAVY if name in loaded]


def _thousand(recorded: LoopFolder) -> LoopFolder:
    """A loop of many iterations, each made of what the last recorded one has."""
    source = recorded.iteration(recorded.numbers()[-1])
    summary = source.read_summary()
    assert summary is not None
    config, splits, effective = source.read_config(), source.read_splits(), source.read_effective()
    examples = source.read_examples()[:EXAMPLES]
    tokens = source.read_tokens()
    events = Follower(source.journal).read_all()[:EVENTS]
    loop = LoopsFolder(recorded.path.parent).create(NAME, recorded.read_settings())
    rate = config.training.learning_rate
    for number in range(1, ITERATIONS + 1):
        fresh = RATE * number
        folder = loop.iteration(number)
        folder.path.mkdir()
        training = msgspec.structs.replace(config.training, learning_rate=fresh)
        folder.write_config(msgspec.structs.replace(config, training=training), splits, effective)
        change = Change("training.learning_rate", rate, fresh)
        parent = number - 1 or None
        folder.write_decision(Decision(parent, "one of many", (change,)))
        folder.write_examples(examples, [tokens[each.id] for each in examples])
        journal = Journal(folder.journal)
        for event in events:
            journal.append(event)
        journal.close()
        folder.write_summary(
            msgspec.structs.replace(
                summary, number=number, parent=parent, changes={change.field: [rate, fresh]}
            )
        )
        rate = fresh
    write_ledger(loop)
    return loop
