"""Data files with a fault in them, derived from the sample data by seeded random choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from scripts.reliability import CHECKOUT

SAMPLE = CHECKOUT / "sample_data" / "support-intents"

Row = dict[str, str]
Rows = list[Row]
Derive = Callable[[Rows, Rows, Random], Rows]
"""(training rows, eval rows, what to choose with) -> the rows of a file"""


def write_data(name: str, folder: Path, seed: int) -> Path:
    """Writes `folder/NAME.jsonl`; the same seed always gives the same file."""
    rows = DATA[name](_sample("train"), _sample("eval"), Random(f"{name} {seed}"))
    path = folder / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _sample(name: str) -> Rows:
    text = (SAMPLE / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _labels(rows: Rows) -> list[str]:
    return sorted({row["completion"] for row in rows})


def _said(row: Row, completion: str) -> Row:
    return {**row, "completion": completion}


def _asked(row: Row, prompt: str) -> Row:
    return {**row, "prompt": prompt}


def noisy(rows: Rows, share: float, random: Random) -> Rows:
    """`share` of the rows get another row's kind of label, never their own."""
    labels = _labels(rows)
    chosen = set(random.sample(range(len(rows)), round(share * len(rows))))
    return [
        _said(row, random.choice([each for each in labels if each != row["completion"]]))
        if number in chosen
        else row
        for number, row in enumerate(rows)
    ]


def only_few_of(rows: Rows, label: str, count: int) -> Rows:
    """All rows but those of `label`, of which the first `count` stay."""
    kept = [row for row in rows if row["completion"] == label][:count]
    return [row for row in rows if row["completion"] != label or row in kept]


def _imbalanced(rows: Rows, random: Random) -> Rows:
    """All rows of two labels, three of each other."""
    common = {"shipping", "product"}
    rare = [
        row
        for label in _labels(rows)
        if label not in common
        for row in random.sample([row for row in rows if row["completion"] == label], 3)
    ]
    mixed = [row for row in rows if row["completion"] in common] + rare
    random.shuffle(mixed)
    return mixed


def _repeated(rows: Rows, share: float, times: int, random: Random) -> Rows:
    chosen = random.sample(rows, round(share * len(rows)))
    mixed = rows + chosen * (times - 1)
    random.shuffle(mixed)
    return mixed


def _contradicted(rows: Rows, random: Random) -> Rows:
    """A third of the rows once more, under another label."""
    again = noisy(random.sample(rows, len(rows) // 3), 1.0, random)
    mixed = rows + again
    random.shuffle(mixed)
    return mixed


def _mixed(rows: Rows, random: Random) -> Rows:
    random.shuffle(rows)
    return rows


def _shouted(row: Row) -> Row:
    """The same message in another hand: capitals, no spaces between words, no vowels."""
    words = row["prompt"].upper().split()
    return _asked(row, ".".join("".join(s for s in word if s not in "AEIOU") for word in words))


def _by_channel(held: Rows, random: Random) -> Rows:
    """A column `channel`; what comes by pager is written as nothing in training is."""
    return [
        {**_shouted(row), "channel": "pager"}
        if random.random() < 0.3
        else {**row, "channel": random.choice(["mail", "app"])}
        for row in held
    ]


def _by_annotator(held: Rows, random: Random) -> Rows:
    """A column `annotator`; what the third wrote down is wrong."""
    labels = _labels(held)
    made = []
    for row in held:
        name = random.choice(["ada", "ben", "cyd"])
        wrong = [each for each in labels if each != row["completion"]]
        said = random.choice(wrong) if name == "cyd" else row["completion"]
        made.append({**_said(row, said), "annotator": name})
    return made


NOTICE = (
    "This message reached us through the contact form of the shop. Please do not reply to the "
    "sender directly; use the tool instead. Messages are kept for two years. "
)


def _noticed(rows: Rows, times: int) -> Rows:
    return [_asked(row, row["prompt"] + " " + NOTICE * times) for row in rows]


def _sometimes_noticed(rows: Rows, random: Random) -> Rows:
    """Under each message none to six of the notices, which is often more than a context."""
    return [_asked(row, row["prompt"] + " " + NOTICE * random.randint(0, 6)) for row in rows]


def _long_tail(rows: Rows, random: Random) -> Rows:
    """Every tenth message has a long notice under it, the others are cut to eight words."""
    return [
        _asked(row, row["prompt"] + " " + NOTICE * 4)
        if random.random() < 0.1
        else _asked(row, " ".join(row["prompt"].split()[:8]))
        for row in rows
    ]


def _sentences(rows: Rows) -> Rows:
    return [_said(row, f"The customer writes about {row['completion']} today.") for row in rows]


def _as_json(rows: Rows) -> Rows:
    return [_said(row, json.dumps({"intent": row["completion"]})) for row in rows]


def _broken_json(rows: Rows, random: Random) -> Rows:
    """Half of the rows as JSON, half as something that only looks like it."""
    return [
        _said(row, f"intent: {row['completion']}")
        if random.random() < 0.7
        else _said(row, json.dumps({"intent": row["completion"]}))
        for row in rows
    ]


def _turns(rows: Rows) -> Rows:
    """Chats; the type says less than the file, whose cells are lists here."""
    made: list[dict[str, object]] = [
        {
            "messages": [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in rows
    ]
    return made  # type: ignore[return-value]


def _of(rows: Rows, *labels: str) -> Rows:
    return [row for row in rows if row["completion"] in labels]


DATA: dict[str, Derive] = {
    "train": lambda train, held, random: train,
    "eval": lambda train, held, random: held,
    "noise-20": lambda train, held, random: noisy(train, 0.2, random),
    "noise-35": lambda train, held, random: noisy(train, 0.35, random),
    "noise-100": lambda train, held, random: noisy(train, 1.0, random),
    "eval-noise-20": lambda train, held, random: noisy(held, 0.2, random),
    "no-login": lambda train, held, random: only_few_of(train, "login", 0),
    "two-logins": lambda train, held, random: only_few_of(train, "login", 2),
    "three-labels": lambda train, held, random: _of(train, "shipping", "product", "praise"),
    "two-labels": lambda train, held, random: _of(train, "address", "billing"),
    "imbalanced": lambda train, held, random: _imbalanced(train, random),
    "tripled": lambda train, held, random: _repeated(train, 1.0, 3, random),
    "some-often": lambda train, held, random: _repeated(train, 0.2, 5, random),
    "contradicted": lambda train, held, random: _contradicted(train, random),
    "leaked": lambda train, held, random: _mixed(train + held, random),
    "half-leaked": lambda train, held, random: _mixed(
        train + random.sample(held, len(held) // 2), random
    ),
    "eval-shouted": lambda train, held, random: [_shouted(row) for row in held],
    "eval-channels": lambda train, held, random: _by_channel(held, random),
    "eval-annotators": lambda train, held, random: _by_annotator(held, random),
    "eval-defects-shouted": lambda train, held, random: [
        _shouted(row) if row["completion"] == "defect" else row for row in held
    ],
    "noticed": lambda train, held, random: _noticed(train, 2),
    "eval-noticed": lambda train, held, random: _noticed(held, 2),
    "much-noticed": lambda train, held, random: _sometimes_noticed(train, random),
    "eval-much-noticed": lambda train, held, random: _sometimes_noticed(held, random),
    "long-tail": lambda train, held, random: _long_tail(train, random),
    "sentences": lambda train, held, random: _sentences(train),
    "eval-sentences": lambda train, held, random: _sentences(held),
    "json": lambda train, held, random: _as_json(train),
    "eval-json": lambda train, held, random: _as_json(held),
    "broken-json": lambda train, held, random: _broken_json(train, random),
    "chats": lambda train, held, random: _turns(train),
    "eval-chats": lambda train, held, random: _turns(held),
}
"""How each file is derived."""
