"""Writes the sample conversations: `python -m scripts.chat_data`, into `sample_data/support-chats`.

Two tasks made of the messages in `sample_data/support-intents`:

- `chats-*.jsonl`: a customer writes, the shop names the matter, the customer asks who takes care
  of it, the shop names the team. Both answers can be right or wrong.
- `calls-*.jsonl`: a customer wants something done with an order, and the shop calls a tool.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from scripts.reliability import CHECKOUT

SOURCE = CHECKOUT / "sample_data" / "support-intents"
TARGET = CHECKOUT / "sample_data" / "support-chats"
SYSTEM = "You work for a household shop. Name the matter, then the team."
TEAMS = {
    "address": "the address desk",
    "billing": "the accounts team",
    "cancel": "the order desk",
    "defect": "the repair workshop",
    "login": "the account helpers",
    "praise": "the shop floor",
    "product": "the product advisers",
    "refund": "the accounts team",
    "shipping": "the parcel desk",
}
FOLLOW_UPS = [
    "And who takes care of it?",
    "Who do I talk to?",
    "Which team is that with?",
    "Who will answer me?",
]
ASKS: dict[str, list[str]] = {
    "cancel_order": [
        "Please stop order {order}.",
        "I do not want {order} any more, take it off.",
        "{order} was a mistake, can you call it off?",
    ],
    "track_parcel": [
        "Where has {order} got to?",
        "Any news of the parcel for {order}?",
        "{order} should have been here by now, where is it?",
    ],
    "refund_order": [
        "I sent {order} back and want my money.",
        "Please pay me back for {order}.",
        "The money for {order} has not come back yet.",
    ],
    "change_address": [
        "Send {order} to {city} instead.",
        "I moved, {order} has to go to {city}.",
        "Could {order} be brought to {city}?",
    ],
}
CITIES = ["Leeds", "Bristol", "Cardiff", "Dundee", "Belfast", "Exeter", "York", "Derby"]
CALLS = {"train": 160, "eval": 48}


def chats(rows: list[dict[str, str]], chance: random.Random) -> list[dict[str, Any]]:
    """Returns a conversation for each message with its intent."""
    return [
        {
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": f"This is about {row['completion']}."},
                {"role": "user", "content": chance.choice(FOLLOW_UPS)},
                {"role": "assistant", "content": f"Please ask {TEAMS[row['completion']]}."},
            ]
        }
        for row in rows
    ]


def calls(count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Returns `count` requests, each with the call that answers it."""
    rows = []
    for _ in range(count):
        name = chance.choice(list(ASKS))
        order, city = chance.randint(1000, 9999), chance.choice(CITIES)
        arguments: dict[str, Any] = {"order": order}
        if name == "change_address":
            arguments["city"] = city
        text = chance.choice(ASKS[name]).format(order=order, city=city)
        call = {"type": "function", "function": {"name": name, "arguments": arguments}}
        rows.append(
            {
                "messages": [
                    {"role": "user", "content": text},
                    {"role": "assistant", "content": "", "tool_calls": [call]},
                ],
                "tools": [_tool(each) for each in ASKS],
            }
        )
    return rows


def _tool(name: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"order": {"type": "integer"}}
    if name == "change_address":
        properties["city"] = {"type": "string"}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    chance = random.Random(15)
    TARGET.mkdir(exist_ok=True)
    for split in ("train", "eval"):
        lines = (SOURCE / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        known = [row for row in rows if row["completion"] in TEAMS]
        _write(TARGET / f"chats-{split}.jsonl", chats(known, chance))
        _write(TARGET / f"calls-{split}.jsonl", calls(CALLS[split], chance))


if __name__ == "__main__":
    main()
