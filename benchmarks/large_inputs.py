"""What screens compute from the largest inputs that they get, each against its own limit."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from benchmarks.measure import Result, seconds
from benchmarks.scale import sized
from tui_loop.core.data.files.reading import read_file
from tui_loop.core.data.rows import Row
from tui_loop.core.examples.cause_kinds import Measured
from tui_loop.core.examples.causes import causes_of
from tui_loop.core.examples.slices import find_slices
from tui_loop.core.examples.tfidf_index import TrainingIndex
from tui_loop.core.plot.series import Series, per_column
from tui_loop.core.record.structs import Example
from tui_loop.core.shipped import shipped
from tui_loop.core.text.similarity import word_diff
from tui_loop.tui.chart.plot import ChartSpec, Curve, plot

POINTS, ROWS, WORDS, LETTERS = sized((100_000, 20_000, 900, 100_000), (1000, 200, 90, 1000))
EXAMPLES, COPIES = sized((2000, 50), (200, 1))
TURNS, QUERIES = sized((3, 20), (1, 2))
LABELS = ("refund", "cancel", "login", "shipping", "praise", "defect")
UNITS = ("a", "1", "1,", "sorry ", "as a big-", "{", "[{", "#### ", ", ")
"""What long outputs repeat: openings of every form that a cause is looked for in."""


def results() -> list[Result]:
    return [
        _result(f"a chart of {POINTS:,} points drawn", _redraw(), 500),
        _result(f"{POINTS:,} points cut into 240 columns", _columns(), 100),
        _result(f"weak slices among {EXAMPLES * COPIES:,} examples", _slices(), 3000),
        _result(f"nearest of {ROWS:,} rows, a query", _query(), 500, QUERIES),
        _result(f"word diff of {WORDS} words of two kinds", _diff(), 1000),
        _causes_of_long_outputs(),
    ]


def _result(what: str, action: Callable[[], object], limit_ms: float, times: int = 1) -> Result:
    """Of an action that does `times` of what there is a limit for."""
    best = min(seconds(action) for _ in range(TURNS)) / times
    return Result(what, 1000 * best, limit_ms, " ms", note=f"best of {TURNS}")


def _redraw() -> Callable[[], object]:
    line = Series(list(range(POINTS)), [2 + math.sin(step) for step in range(POINTS)])
    runs = [Curve(line, line), Curve(line, line, style=1)]
    spec = ChartSpec(low=0, high=POINTS - 1, curves=runs)
    plot(spec, 120, 40)  # imports plotext
    return lambda: plot(spec, 120, 40)


def _columns() -> Callable[[], object]:
    xs, ys = list(range(POINTS)), [math.sin(step) for step in range(POINTS)]
    return lambda: per_column(xs, ys, 0, POINTS - 1, 240)


def _slices() -> Callable[[], object]:
    draw = random.Random(8)
    words = [f"word{number}" for number in range(60)]
    rows = []
    for number in range(EXAMPLES):
        label = draw.choice(LABELS)
        output = draw.choice(LABELS) if draw.random() < 0.3 else label
        prompt = " ".join(draw.choices(words, k=draw.randint(3, 12)))
        source = draw.choice(("mail", "chat", "phone"))
        rows.append(_example(f"{number}", prompt, label, output, source))
    rows *= COPIES
    return lambda: find_slices(rows, LABELS)


def _query() -> Callable[[], object]:
    raw = read_file(shipped("sample_data", "support-intents", "train.jsonl")).splits[""]
    base = [str(row.values["prompt"]).split() for row in raw]
    texts = [
        " ".join(base[at % len(base)][::2] + base[(at * 7 + 3) % len(base)][1::2])
        for at in range(ROWS)
    ]
    index = TrainingIndex([Row(str(at), text, "x", at + 1) for at, text in enumerate(texts)])
    return lambda: [index.nearest(text, 1) for text in texts[:: ROWS // QUERIES]]


def _diff() -> Callable[[], object]:
    left = " ".join("ab"[(at * at // 7) % 2] for at in range(WORDS))
    right = " ".join("ab"[(at * 5 // 3) % 2] for at in range(WORDS))
    return lambda: word_diff(left, right)


def _causes_of_long_outputs() -> Result:
    what = f"causes of an output of {LETTERS:,} characters, worst of {len(UNITS)} kinds"
    costs = {unit: min(seconds(lambda u=unit: _causes(u)) for _ in range(TURNS)) for unit in UNITS}
    unit, cost = max(costs.items(), key=lambda item: item[1])
    note = f"best of {TURNS}, of {unit!r} over and over, by 3 metrics against 4 references"
    return Result(what, 1000 * cost, 5000, " ms", note=note)


def _causes(unit: str) -> None:
    output = unit * (LETTERS // len(unit))
    for reference in ("refund", "42", '{"name": "Ada", "age": 36}', output[:2000]):
        row = _example("a", "a prompt", reference, output, "mail", truncated=True)
        for metric in ("exact_match", "numeric", "json_match"):
            causes_of(row, Measured(metric))


def _example(
    name: str, prompt: str, reference: str, output: str, source: str, *, truncated: bool = False
) -> Example:
    passed = output == reference
    return Example(
        id=name,
        prompt=prompt,
        reference=reference,
        output=output,
        score=float(passed),
        passed=passed,
        causes=(),
        loss=0.5,
        supervised_tokens=1,
        output_tokens=1,
        truncated=truncated,
        source_line=1,
        columns={"source": source},
    )
