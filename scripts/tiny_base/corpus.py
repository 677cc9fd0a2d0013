"""Text for pre-training the tiny base model, made from patterns which this project wrote.

Five text files lie beside this module: ``topics.txt`` (short messages under about 120 labels,
some with answers), ``voices.txt`` (freer messages for some of these labels), ``themes.txt``
(words and turns of phrase by label), ``prose.txt`` (sentences) and ``passages.txt`` (longer
passages). A pattern is expanded at random, then given
the roughness of real messages: greetings, side remarks, lower case, missing marks or words,
typing mistakes. ``documents`` yields an endless stream of documents, about
two thirds of them in the form ``Message: ...`` and ``Intent: ...`` on two lines.

The labels of the sample task are barred as labels here: a model tuned on that task must learn
them. They do occur as ordinary words. See ``RESERVED_LABELS``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

RESERVED_LABELS = frozenset(
    {
        "refund",
        "cancel",
        "shipping",
        "address",
        "billing",
        "login",
        "defect",
        "product",
        "praise",
    }
)
"""Labels of sample_data/support-intents, which must never follow ``Intent:`` in this text."""

GREETINGS = (
    "Hi,",
    "Hello,",
    "Hey,",
    "Hi there,",
    "Good morning,",
    "Good evening,",
    "Dear team,",
    "Hello team,",
    "Dear sir or madam,",
    "Hi all,",
    "Sorry,",
    "Excuse me,",
    "Quick question:",
    "Please help,",
    "Question:",
    "Well,",
    "So,",
    "Ok,",
)

CLOSINGS = (
    "Please help.",
    "Thanks.",
    "Thank you.",
    "Thanks in advance.",
    "Please answer soon.",
    "What can I do?",
    "What now?",
    "Can you help?",
    "Please check.",
    "Let me know.",
    "Regards, {name}",
    "Best wishes, {name}",
    "It is urgent.",
    "No hurry.",
    "I look forward to your answer.",
    "Any idea?",
    "Cheers",
    "Please advise.",
    "That would be great.",
    "Hope you can help.",
)

EMOJI = (":)", ":(", ";)", ":-)", "!!", "xx", "lol", "haha", "\U0001f600", "\U0001f621", "\u2764")

REMARKS = (
    "I have been a customer for ^ years.",
    "I bought it for @who.",
    "I ordered @ago.",
    "My name is @name.",
    "My number is ^^^^^.",
    "It was @money.",
    "I have tried it twice.",
    "I am at work until five.",
    "@who told me to write to you.",
    "I live in @city.",
    "We have a new @product.",
    "I already wrote @ago.",
    "I use the app on my phone.",
    "I am on the train right now.",
    "It is about the @thing.",
    "It is about @ordno.",
    "We are going to @city on @wday.",
    "I saw it on your site.",
    "This is my first order.",
    "I asked @name but got no answer.",
    "It is a @colour @product.",
    "I paid by card.",
    "I hope this is the right place to ask.",
    "we have guests (on @wday|tonight|this weekend)",
    "I was (away|ill|abroad|on holiday|at my mother's) for @span",
    "@who is (very|quite|a bit) (cross|sad|worried|upset)",
    "my (dog|cat|baby|neighbour) (is asleep|is loud|looks at me)",
    "it's the (second|third|fourth) time (now|this year|this month)",
    "maybe I did something wrong",
    "I am not good with (computers|phones|forms|machines)",
    "(no offence|to be honest|as I said|by the way), I (like|know|trust) your shop",
    "the birthday is on @wday",
    "I am a (teacher|nurse|student|driver|cook|pensioner) from @city",
    "sorry for (the long mail|my english|the typos|bothering you|asking again)",
    "I hope you had a (good|nice) (weekend|day|holiday)",
    "we are (five|four|three) in the house",
    "I (rang|called|phoned|mailed) @ago and (nobody answered|was told to write)",
    "@name said to ask here",
    "I bought the @product for (the kitchen|the garden|the office|our holiday|my new flat)",
    "it cost @money (in the sale|after all|and not less|)",
    "normally (all goes well|I never write|it takes a day)",
    "(seriously|come on|honestly|really|hmm|sigh|well well)",
    "I read the (page|answers|help) on your site (twice|first|already)",
    "(see|look at) (the picture|the photo|my last mail)",
    "I don't (get|understand) it",
    "@ordno, customer ^^^^^",
    "this is about the @product from @ago",
)

FRAMES = (
    "{0}",
    "{0}, {1}",
    "{0}, {1}, {2}",
    "{0}... {1}",
    "{0}. {1}.",
    "{0} and {1}",
    "{0} but {1}",
    "{0} or {1}?",
    "{0}! {1}! {2}",
    "{0} - {1}",
    "about {0} and {1}",
    "it is about {0}",
    "it's {0} again",
    "i have a question, {0}, {1}",
    "is it {0} or {1}",
    "why {0}, {1}",
    "so, {0} and then {1}",
    "my @product, {0}, {1}",
    "the @product: {0}",
    "the @product and {0}, @ago",
    "@who says {0}",
    "@who asks about {0}, {1}",
    "not {0}, {1}",
    "i bought a @product, {0}, {1}",
    "please, {0}",
    "{0} with my @product",
    "{0} for the @product",
    "{0}, @ordno",
    "i wanted to write about {0}",
    "first {0}, now {1}",
)

_NAMED = re.compile(r"@(\w+)")
_INNERMOST = re.compile(r"\(([^()]*)\)")
_WORD_LIST = re.compile(r"@(\w+) = (.+)")
_HEADING = re.compile(r"\[(\w+)(?: < (\w+))?(?: \*(\d+))?\]")


@dataclass(slots=True)
class Topic:
    """One label with its patterns of messages and of answers."""

    label: str
    wider: str
    weight: int
    messages: list[str] = field(default_factory=list)
    voices: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)


def _lines(name: str) -> list[str]:
    text = (HERE / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if not line.startswith("#")]


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split("|")]


class Corpus:
    """A seeded source of documents."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.words: dict[str, list[str]] = {}
        self.topics: list[Topic] = []
        self.themes: dict[str, list[str]] = {}
        self._read_topics()
        self._read_voices()
        self._read_themes()
        self.prose = [line for line in _lines("prose.txt") if line and not self._takes_list(line)]
        paragraphs = "\n".join(_lines("passages.txt")).split("\n\n")
        self.passages = [part.strip() for part in paragraphs if part.strip()]
        self.labels = sorted({name for topic in self.topics for name in (topic.label, topic.wider)})
        barred = RESERVED_LABELS.intersection(self.labels)
        if barred:
            raise ValueError(f"reserved labels used as topics: {sorted(barred)}")
        self._weights = [topic.weight for topic in self.topics]

    def _takes_list(self, line: str) -> bool:
        """Take in a line if it is a word list."""
        found = _WORD_LIST.fullmatch(line)
        if found:
            self.words[found[1]] = _entries(found[2])
        return found is not None

    def _read_topics(self) -> None:
        for line in _lines("topics.txt"):
            if heading := _HEADING.fullmatch(line):
                label, wider, weight = heading.groups()
                self.topics.append(Topic(label, wider or label, int(weight or 1)))
            elif line.startswith(">"):
                self.topics[-1].replies.append(line[1:].strip())
            elif line and not self._takes_list(line):
                self.topics[-1].messages.append(line)

    def _read_voices(self) -> None:
        by_label = {topic.label: topic for topic in self.topics}
        speaking = self.topics[0]
        for line in _lines("voices.txt"):
            if heading := _HEADING.fullmatch(line):
                speaking = by_label[heading[1]]
            elif line:
                speaking.voices.append(line)

    def _read_themes(self) -> None:
        label = ""
        for line in _lines("themes.txt"):
            if heading := _HEADING.fullmatch(line):
                label = heading[1]
            elif line:
                self.themes[label] = _entries(line)

    def expand(self, pattern: str) -> str:
        """One random text of a pattern."""
        choose = self.random.choice
        text = pattern
        while "(" in text:
            text = _INNERMOST.sub(lambda found: choose(found[1].split("|")), text)
        text = self._fill(text)
        text = re.sub(r"\^", lambda _: str(self.random.randrange(10)), text)
        return re.sub(r" +([,.?!]|$)", r"\1", re.sub(r"  +", " ", text)).strip()

    def _fill(self, text: str) -> str:
        while _NAMED.search(text):
            text = _NAMED.sub(lambda found: self.random.choice(self.words[found[1]]), text)
        return text

    def topic(self) -> Topic:
        return self.random.choices(self.topics, self._weights)[0]

    def _sentence(self, pattern: str) -> str:
        text = self.expand(pattern)
        if self.random.random() < 0.6:
            text = re.sub(r"\bi\b", "I", text)
        mark = "" if text.endswith(("?", "!", ".")) else self._mark(text)
        return text[:1].upper() + text[1:] + mark

    def _fragments(self, entries: list[str]) -> str:
        frame = self.random.choice(FRAMES)
        return self._sentence(frame.format(*self.random.sample(entries, 3)))

    def message(self, topic: Topic) -> str:
        """A rough short message of a topic."""
        chance = self.random.random
        count = 1
        if topic.voices:
            count = self.random.choices((1, 2, 3), (55, 35, 10))[0]
        parts = []
        for _ in range(count):
            kind = chance()
            if topic.wider in self.themes and kind < 0.35:
                parts.append(self._fragments(self.themes[topic.wider]))
            elif topic.voices and kind < 0.75:
                parts.append(self._sentence(self.random.choice(topic.voices)))
            else:
                parts.append(self._sentence(self.random.choice(topic.messages)))
        while chance() < 0.3:
            remark = self._sentence(self.random.choice(REMARKS))
            parts.insert(self.random.randrange(len(parts) + 1), remark)
        if chance() < 0.15:
            parts.insert(0, self.random.choice(GREETINGS))
        if chance() < 0.15:
            closing = self.random.choice(CLOSINGS)
            parts.append(closing.format(name=self.random.choice(self.words["name"])))
        if chance() < 0.05:
            parts.append(self.random.choice(EMOJI))
        return self._roughen(" ".join(parts))

    def _mark(self, core: str) -> str:
        asks = re.match(
            r"(how|what|when|where|which|who|why|is|are|can|could|do|does|did|has|will|would|am)\b",
            core,
            re.IGNORECASE,
        )
        usual = "?" if asks else "."
        return self.random.choices((usual, "", "!", "??", "..."), (70, 18, 8, 2, 2))[0]

    def _roughen(self, text: str) -> str:
        chance = self.random.random
        if chance() < 0.35:
            text = text.lower()
        elif chance() < 0.02:
            text = text.upper()
        if chance() < 0.2:
            text = text.replace("'", "")
        if chance() < 0.15:
            text = text.rstrip(".?!")
        if chance() < 0.3:
            words = text.split(" ")
            lost = self.random.choice((0.05, 0.1, 0.2))
            kept = [word for word in words if chance() > lost]
            text = " ".join(kept) if len(kept) > 3 else text
        if chance() < 0.08:
            # only the words count here, not their order
            words = text.split(" ")
            self.random.shuffle(words)
            text = " ".join(words)
        while chance() < 0.22:
            text = self._typo(text)
        return text

    def _typo(self, text: str) -> str:
        at = self.random.randrange(len(text))
        if at + 1 >= len(text) or not text[at : at + 2].isalpha():
            return text
        kind = self.random.randrange(3)
        if kind == 0:
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        if kind == 1:
            return text[:at] + text[at + 1 :]
        return text[:at] + text[at] + text[at:]

    def labelled(self) -> str:
        topic = self.topic()
        label = topic.wider if self.random.random() < 0.6 else topic.label
        return f"Message: {self.message(topic)}\nIntent: {label}"

    def dialogue(self) -> str:
        """A message and the answer of the company."""
        topic = self.topic()
        while not topic.replies:
            topic = self.topic()
        reply = self.expand(self.random.choice(topic.replies))
        asker = self.random.choice(("Customer", "Message", "Question"))
        return f"{asker}: {self.message(topic)}\nAnswer: {reply[:1].upper()}{reply[1:]}"

    def paragraph(self) -> str:
        """A few sentences, or a passage."""
        if self.random.random() < 0.1:
            return self.random.choice(self.passages)
        sentences = []
        for _ in range(self.random.randint(1, 4)):
            sentence = self.expand(self.random.choice(self.prose))
            sentences.append(sentence[:1].upper() + sentence[1:])
        return " ".join(sentences)

    def documents(self) -> Iterator[str]:
        """Documents without end: two thirds labelled messages, then dialogues and prose."""
        while True:
            share = self.random.random()
            if share < 0.67:
                yield self.labelled()
            elif share < 0.80:
                yield self.dialogue()
            else:
                yield self.paragraph()
