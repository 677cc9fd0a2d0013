"""Small tasks that the shipped base learns within a minute on one thread."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from scripts.reliability import CHECKOUT

SAMPLES = CHECKOUT / "sample_data"
CHAT_TEMPLATE = Path(__file__).with_name("chat.jinja")

Row = dict[str, Any]
Rows = list[Row]

EVAL_ROWS = 80
CHAT_EVAL_ROWS = 60
ITEMS = (
    *("lamp", "chair", "kettle", "mixer", "rug", "desk", "phone", "jacket"),
    *("clock", "shelf", "toaster", "pillow", "camera", "blanket", "mirror", "vase"),
)
OPENINGS = ("hello,", "hi there,", "good morning,", "dear team,", "excuse me,", "listen,", "", "")
CLOSINGS = ("thanks", "thank you", "best wishes", "bye", "please", "", "", "")

REQUESTS = {
    "refund": ("i want my money back for the {item}", "please pay me back for the {item}"),
    "cancel": ("stop my order of the {item}", "i no longer want the {item}, call it off"),
    "shipping": ("where is my {item}", "the {item} has still not arrived"),
    "defect": ("the {item} is broken", "my {item} stopped working after a day"),
    "praise": ("i love the {item}", "the {item} is wonderful"),
}
INTENTS = ("refund", "shipping", "login", "defect", "praise")
"""The labels of the sample data that are used: fewer rows, shorter runs."""

BAD_NEWS = ("shipping", "defect")

TEAMS = {
    "refund": "payments",
    "cancel": "orders",
    "shipping": "parcels",
    "defect": "repairs",
    "praise": "front desk",
}
OPINIONS = (
    ("the {item} is broken", "my {item} stopped working after a day"),
    ("i want to return the {item}", "please pay me back for the {item}"),
    ("where is my {item}", "the {item} has still not arrived"),
    ("how do i clean the {item}", "does the {item} fit on a small table"),
    ("i love the {item}", "the {item} is wonderful"),
)
"""What customers write who give one star, two stars and so on."""

URGENCY = {
    "urgent": ("i need it today", "answer me at once", "it cannot wait", "this is an emergency"),
    "soon": ("by the end of the week", "some day this week", "before sunday", "within a few days"),
    "later": (
        "there is no hurry",
        "whenever you have time",
        "take your time",
        "next month is fine",
    ),
}


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """A base model, and what the tasks need to suit it: all of them were made for `tiny`."""

    id: str
    rate: float = 1
    """What multiplies learning rates."""
    rows: int | None = None
    """The most rows for training, drawn at random; None for all."""
    eval_rows: int | None = None
    settings: dict[str, Any] = {}

    def scaled(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Returns settings with their learning rate scaled."""
        found = dict(settings)
        if RATE in found:
            found[RATE] *= self.rate
        return found

    def drawn(self, train: Rows, held_out: Rows) -> tuple[Rows, Rows]:
        """Returns no more rows than are wanted, in their order."""
        return _drawn(train, self.rows), _drawn(held_out, self.eval_rows)


def _drawn(rows: Rows, count: int | None) -> Rows:
    if count is None or len(rows) <= count:
        return rows
    kept = set(random.Random("rows").sample(range(len(rows)), count))
    return [row for index, row in enumerate(rows) if index in kept]


RATE = "training.learning_rate"
TINY = Base(id="tiny")
BASES = (
    TINY,
    Base(
        id="smollm2",
        rate=0.2,
        rows=120,
        eval_rows=40,
        settings={"run.cpu_threads": None, "evaluation.train_rows": 20},
    ),
)
"""SmolLM2 takes seconds for what takes milliseconds on `tiny`, hence fewer rows."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task: how its rows are made, how outputs are scored, and settings that suit it."""

    name: str
    metric: str
    settings: dict[str, Any]
    rows: Callable[[int], tuple[Rows, Rows]]
    """Returns the training and the evaluation rows of a seed."""

    def on(self, base: Base) -> Task:
        """Returns the task for another base."""

        def rows(seed: int) -> tuple[Rows, Rows]:
            return base.drawn(*self.rows(seed))

        settings = {**base.scaled(self.settings), "model.id": base.id, **base.settings}
        return msgspec.structs.replace(self, settings=settings, rows=rows)


def _sample_rows(name: str, train: int) -> tuple[Rows, Rows]:
    """Returns the first rows of a sample data set, `train` of them for training."""
    files = (SAMPLES / f"{name}{kind}.jsonl" for kind in ("train", "eval"))
    read = [
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for file in files
    ]
    return read[0][:train], read[1]


def _intent_rows(seed: int) -> tuple[Rows, Rows]:
    read = _sample_rows("support-intents/", 405)
    train, held_out = (
        [
            {**row, "completion": f" {row['completion']}"}
            for row in rows
            if row["completion"] in INTENTS
        ]
        for rows in read
    )
    return _shuffled(train, seed), held_out


def _chat_rows(seed: int) -> tuple[Rows, Rows]:
    train, held_out = _sample_rows("support-chats/chats-", 180)
    return _shuffled(train, seed), held_out[:CHAT_EVAL_ROWS]


def _shuffled(rows: Rows, seed: int) -> Rows:
    return random.Random(seed).sample(rows, len(rows))


def _generated(
    make: Callable[[random.Random], Row], train: int
) -> Callable[[int], tuple[Rows, Rows]]:
    """Returns a maker of different rows; the evaluation rows do not depend on the seed."""

    def rows(seed: int) -> tuple[Rows, Rows]:
        held_out = _different(make, random.Random("evaluation"), EVAL_ROWS, set())
        taken = {json.dumps(row) for row in held_out}
        return _different(make, random.Random(f"train {seed}"), train, taken), held_out

    return rows


def _different(
    make: Callable[[random.Random], Row], random_: random.Random, count: int, taken: set[str]
) -> Rows:
    rows: Rows = []
    while len(rows) < count:
        row = make(random_)
        key = json.dumps(row)
        if key not in taken:
            taken.add(key)
            rows.append(row)
    return rows


def _message(random_: random.Random, *parts: str) -> str:
    """Joins the parts of a message, with an opening and a closing."""
    words = [random_.choice(OPENINGS), ", ".join(parts), random_.choice(CLOSINGS)]
    return " ".join(filter(None, words))


def _request(random_: random.Random) -> tuple[str, str, str]:
    """Returns (text, intent, item) of a request."""
    intent = random_.choice(list(REQUESTS))
    item = random_.choice(ITEMS)
    return random_.choice(REQUESTS[intent]).format(item=item), intent, item


def _json_row(random_: random.Random) -> Row:
    text, intent, _ = _request(random_)
    message = _message(random_, text, random_.choice(random_.choice(list(URGENCY.values()))))
    return {"prompt": message, "completion": " " + json.dumps({"intent": intent})}


def _urgency_row(random_: random.Random) -> Row:
    text, _, _ = _request(random_)
    urgency = random_.choice(list(URGENCY))
    parts = [text, random_.choice(URGENCY[urgency])]
    random_.shuffle(parts)
    return {"prompt": _message(random_, *parts), "completion": f" {urgency}"}


def _question_row(random_: random.Random) -> Row:
    text, intent, _ = _request(random_)
    answer = "yes" if intent in BAD_NEWS else "no"
    message = _message(random_, text, random_.choice(random_.choice(list(URGENCY.values()))))
    return {"prompt": f"{message}\nIs something wrong?", "completion": f" {answer}"}


def _route_row(random_: random.Random) -> Row:
    text, intent, _ = _request(random_)
    urgency = random_.choice(list(URGENCY))
    message = _message(random_, text, random_.choice(URGENCY[urgency]))
    return {"prompt": message, "completion": f" {TEAMS[intent]}, {urgency}"}


def _stars_row(random_: random.Random) -> Row:
    stars = random_.randint(1, len(OPINIONS))
    text = random_.choice(OPINIONS[stars - 1]).format(item=random_.choice(ITEMS))
    message = _message(random_, text, random_.choice(random_.choice(list(URGENCY.values()))))
    return {"prompt": message, "completion": f" {stars}"}


COMMON: dict[str, Any] = {
    "data.prompt_template": "Message: {prompt}\nIntent:",
    "training.learning_rate": 5e-3,
    "training.num_train_epochs": 3,
    "training.per_device_train_batch_size": 16,
    "training.save_steps": 0,
    "evaluation.train_rows": 80,
    "run.cpu_threads": 1,
}

SMALL_BATCH = {**COMMON, "training.per_device_train_batch_size": 8}
"""Twice the updates, for tasks with longer answers or more classes."""

TASKS = (
    Task(name="intents", metric="label", settings=COMMON, rows=_intent_rows),
    Task(
        name="json",
        metric="json_match",
        settings={**SMALL_BATCH, "data.prompt_template": "Message: {prompt}\nJSON:"},
        rows=_generated(_json_row, 300),
    ),
    Task(
        name="question",
        metric="label",
        settings={**COMMON, "data.prompt_template": "Message: {prompt}\nAnswer:"},
        rows=_generated(_question_row, 240),
    ),
    Task(
        name="urgency",
        metric="label",
        settings={**COMMON, "data.prompt_template": "Message: {prompt}\nWhen:"},
        rows=_generated(_urgency_row, 240),
    ),
    Task(
        name="route",
        metric="exact_match",
        settings={**SMALL_BATCH, "data.prompt_template": "Message: {prompt}\nTeam:"},
        rows=_generated(_route_row, 300),
    ),
    Task(
        name="stars",
        metric="numeric",
        settings={**SMALL_BATCH, "data.prompt_template": "Message: {prompt}\nStars:"},
        rows=_generated(_stars_row, 240),
    ),
    Task(
        name="chat",
        metric="exact_match",
        settings={
            **{name: value for name, value in COMMON.items() if name != "data.prompt_template"},
            "data.chat_template": f"data/{CHAT_TEMPLATE.name}",
            "evaluation.turns": "all",
        },
        rows=_chat_rows,
    ),
)
BY_NAME = {task.name: task for task in TASKS}
