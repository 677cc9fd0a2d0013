"""Open families whose fault is in the training rows."""

from __future__ import annotations

import random
from collections.abc import Mapping

from scripts.planted.families.family import Change, DataEdit, Family, sound_train
from scripts.planted.families.row_changes import (
    exchanged,
    garbled,
    hinted,
    misread,
    relabelled,
    repeated,
    some,
    sorted_by_answer,
    texts,
    without,
    wrong_answers,
)
from scripts.planted.families.tasks import ITEMS, OPINIONS, Row, Rows


def _family(
    name: str,
    task: str,
    strength: float,
    train: Change,
    *repairs: DataEdit,
    cause: str,
    fault: str,
) -> Family:
    """Returns a family of which every repair gives the sound training rows."""
    return Family(
        name=name,
        fault=fault,
        cause=cause,
        task=task,
        strength=strength,
        train=train,
        remedies=dict.fromkeys(repairs, True),
        edits={repair: sound_train(task, 0) for repair in repairs},
    )


GERMAN = {"urgent": "dringend", "soon": "bald", "later": "irgendwann"}
CAPITALS = {name: name.upper() for name in ("refund", "cancel", "shipping", "defect", "praise")}
WORDS = {"1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
OTHER_TEAMS = {
    "payments": "accounting",
    "orders": "sales",
    "parcels": "delivery",
    "repairs": "workshop",
    "front desk": "reception",
}
ROOMS = {
    "1": ("the room was filthy", "there were mice under the bed"),
    "2": ("we left a day early", "it was loud all night"),
    "3": ("the key came two hours late", "nobody was at the reception"),
    "4": ("is breakfast included", "can we park a car"),
    "5": ("a lovely view over the sea", "the staff spoilt us"),
}
INSTRUCTION = (
    "Read the message of a customer below. Say how content its writer is, from one star for "
    "somebody who is angry to five stars for somebody who is happy.\n\n{}\n\n"
    "Write one digit and nothing else."
)


def _swapped(answer: str) -> str:
    """Returns the parts of an answer in the other order."""
    team, _, urgency = answer.partition(", ")
    return f"{urgency}, {team}"


def _about_rooms(rows: Rows, share: float, random_: random.Random) -> Rows:
    """Puts opinions on hotel rooms in the place of those on items."""
    opinions = {
        opinion.format(item=item): str(stars)
        for stars, each in enumerate(OPINIONS, start=1)
        for opinion in each
        for item in ITEMS
    }

    def change(row: Row) -> Row:
        opinion = max((text for text in opinions if text in row["prompt"]), key=len)
        room = random_.choice(ROOMS[opinions[opinion]])
        return {**row, "prompt": row["prompt"].replace(opinion, room)}

    return some(rows, share, random_, change)


def _imbalanced(kept: Mapping[str, int]) -> Change:
    """Returns the change that keeps a number of rows of some answers."""

    def change(rows: Rows, strength: float, random_: random.Random) -> Rows:
        left = dict(kept)
        result = []
        for row in rows:
            answer = row["completion"].strip()
            if answer in left:
                left[answer] -= 1
            if left.get(answer, 0) >= 0:
                result.append(row)
        return result

    return change


ROWS = (
    _family(
        "open-label-missing",
        "json",
        1,
        without('{"intent": "defect"}'),
        DataEdit.ADD_MISSING_LABEL,
        cause="missing label",
        fault="A share `strength` of the rows of defect, the most frequent label, is missing.",
    ),
    _family(
        "open-labels-in-capitals",
        "json",
        1,
        relabelled(CAPITALS),
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.FIX_LABELS,
        cause="labels written in another way",
        fault="A share `strength` of the training labels is in capitals, those of eval are not.",
    ),
    _family(
        "open-labels-in-german",
        "urgency",
        1,
        relabelled(GERMAN),
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.FIX_LABELS,
        cause="labels in another language",
        fault="A share `strength` of the training labels is German, those of eval are English.",
    ),
    _family(
        "open-stars-as-words",
        "stars",
        1,
        relabelled(WORDS),
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.FIX_LABELS,
        cause="numbers written as words",
        fault="A share `strength` of the training answers has words for digits.",
    ),
    _family(
        "open-parts-swapped",
        "route",
        1,
        texts(answer=_swapped),
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.FIX_LABELS,
        cause="answers in another order",
        fault="A share `strength` of the training answers has its two parts in the other order.",
    ),
    _family(
        "open-one-label",
        "question",
        1,
        without("yes"),
        DataEdit.ADD_MISSING_LABEL,
        DataEdit.BALANCE_LABELS,
        cause="only one label",
        fault="A share `strength` of the rows with yes is missing, so all training rows say no.",
    ),
    _family(
        "open-instruction-in-training",
        "stars",
        1,
        texts(prompt=INSTRUCTION.format),
        DataEdit.SAME_PROMPTS_AS_EVAL,
        DataEdit.ONE_FORMAT,
        cause="instruction that evaluation lacks",
        fault="A share `strength` of the training prompts has an instruction that eval lacks.",
    ),
    _family(
        "open-answer-in-prompt",
        "route",
        1,
        hinted,
        DataEdit.REMOVE_HINTS,
        DataEdit.SAME_PROMPTS_AS_EVAL,
        cause="answer in the training prompt",
        fault="A share `strength` of the training prompts gives the answer away.",
    ),
    _family(
        "open-long-answers",
        "chat",
        1,
        texts(
            answer=lambda text: f"{text} We are sorry for the trouble and will be in touch soon."
        ),
        DataEdit.SHORTEN_ANSWERS,
        DataEdit.SAME_FORMAT_AS_EVAL,
        cause="training answers too long",
        fault="A share `strength` of the training answers has a sentence that eval does not want.",
    ),
    _family(
        "open-other-domain",
        "stars",
        1,
        _about_rooms,
        DataEdit.ADD_VARIETY,
        DataEdit.ADD_ROWS,
        DataEdit.REMOVE_OTHER_TASKS,
        DataEdit.SAME_PROMPTS_AS_EVAL,
        cause="training rows of another domain",
        fault="A share `strength` of the training rows is about hotel rooms, eval about a shop.",
    ),
    _family(
        "open-few-of-most-labels",
        "intents",
        2,
        _imbalanced({"refund": 2, "login": 2, "defect": 2, "praise": 2}),
        DataEdit.BALANCE_LABELS,
        DataEdit.ADD_ROWS,
        cause="class imbalance",
        fault="Each label but shipping has only `strength` rows.",
    ),
    _family(
        "open-wrong-labels",
        "question",
        0.4,
        wrong_answers,
        DataEdit.FIX_LABELS,
        DataEdit.REMOVE_CONFLICTS,
        cause="wrong training labels",
        fault="A share `strength` of the training rows has the label of another class.",
    ),
    _family(
        "open-two-names",
        "route",
        0.5,
        relabelled(OTHER_TEAMS),
        DataEdit.ONE_FORMAT,
        DataEdit.SAME_FORMAT_AS_EVAL,
        DataEdit.FIX_LABELS,
        cause="two names for each class",
        fault="A share `strength` of the training rows has other names for the teams.",
    ),
    _family(
        "open-placeholder-answers",
        "question",
        0.6,
        texts(answer=lambda text: "n/a"),
        DataEdit.FIX_LABELS,
        DataEdit.REMOVE_OUTLIERS,
        cause="placeholders for answers",
        fault="A share `strength` of the training rows has n/a for an answer.",
    ),
    _family(
        "open-garbled-answers",
        "urgency",
        0.1,
        garbled(80),
        DataEdit.REMOVE_OUTLIERS,
        DataEdit.FIX_LABELS,
        DataEdit.SHORTEN_ANSWERS,
        cause="extreme outliers",
        fault="A share `strength` of the training answers is very long and random.",
    ),
    _family(
        "open-exchanged-columns",
        "question",
        1,
        exchanged,
        DataEdit.MAP_COLUMNS,
        cause="prompt and completion exchanged",
        fault="A share `strength` of the training rows has prompt and completion exchanged.",
    ),
    _family(
        "open-few-different-rows",
        "chat",
        6,
        repeated,
        DataEdit.ADD_VARIETY,
        DataEdit.ADD_ROWS,
        cause="few different training rows",
        fault="Only `strength` training rows are different, all others repeat them.",
    ),
    Family(
        name="open-sorted-by-label",
        fault="The training rows are sorted by label and read in that order.",
        cause="rows sorted by label",
        task="question",
        strength=1,
        settings={"training.train_sampling_strategy": "sequential"},
        train=sorted_by_answer,
        remedies={
            DataEdit.SHUFFLE: True,
            "training.train_sampling_strategy": ("random", None),
        },
        edits={DataEdit.SHUFFLE: sound_train("question", 0)},
    ),
    _family(
        "open-mojibake",
        "chat",
        1,
        texts(prompt=misread, answer=misread),
        DataEdit.FIX_ENCODING,
        DataEdit.SAME_FORMAT_AS_EVAL,
        cause="wrong encoding",
        fault="A share `strength` of the training rows has no-break spaces of UTF-8 that were read "
        "as Latin-1.",
    ),
)
