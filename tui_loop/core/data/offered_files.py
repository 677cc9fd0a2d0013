"""Data files to choose from while a path is typed, and names for a loop on one."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from tui_loop.core.config.data_sources import split_source
from tui_loop.core.data.files.opening import format_of
from tui_loop.core.data.files.reading import is_data_file
from tui_loop.core.errors import BadInput
from tui_loop.core.record.names import check_new_loop_name
from tui_loop.core.text.untrusted import visible

SEPARATOR = " + "
"""Separates several sources in a field."""

AT_MOST = 2_000
"""Most files of a folder that are offered; the name of any other must be typed."""


class Offer(msgspec.Struct, frozen=True):
    """A file or folder to choose: `path` as it would be typed, folders ending in `/`."""

    path: str
    is_folder: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the path can be typed: it has no control character, and no blank at an end."""
        return visible(self.path) == self.path.strip() and not set("\n\t") & set(self.path)


class Offers(msgspec.Struct, frozen=True):
    """Completions of the text typed so far; `problem`: why a folder could not be read."""

    rows: tuple[Offer, ...] = ()
    is_file: bool = False
    problem: str = ""


def offers(root: Path, typed: str, beside: str = "") -> Offers:
    """Data files and folders for the text typed; relative paths start from `root`.

    Without a `/` in the text, those in the folder of `beside` come first. Of several sources,
    `chats=chats.jsonl + orders.jsonl`, they are for the last one.
    """
    if typed.strip() and os.path.isfile(_place(root, typed)):
        return Offers(is_file=True)
    earlier, plus, typed = typed.rpartition(SEPARATOR)
    name, path = split_source(typed)
    if name and not os.path.exists(_place(root, typed)):
        plus, typed = f"{plus}{name}=", path
    found = _offers_of_one(root, typed, beside)
    if not plus:
        return found
    before = [os.path.isfile(_place(root, split_source(each)[1])) for each in sources_in(earlier)]
    rows = tuple(Offer(f"{earlier}{plus}{each.path}", each.is_folder) for each in found.rows)
    return Offers(rows, found.is_file and all(before), found.problem)


def sources_in(text: str) -> list[str]:
    """Returns the sources in a text as it is typed, `chats.jsonl + orders.jsonl`."""
    return [each.strip() for each in text.split(SEPARATOR) if each.strip()]


def _offers_of_one(root: Path, typed: str, beside: str) -> Offers:
    if typed.strip() and os.path.isfile(_place(root, typed)):
        return Offers(is_file=True)
    head, slash, begun = typed.rpartition("/")
    first = beside.rpartition("/")
    heads = [head + slash] if slash or not first[1] else [first[0] + first[1], ""]
    rows: list[Offer] = []
    for start in heads:
        try:
            rows += _in_folder(root, start, begun)
        except OSError as error:
            return Offers(problem=f"{start or root}: {error.strerror}")
    return Offers(tuple(rows))


def suggested_name(entry: str, taken: Collection[str]) -> str:
    """A free loop name for a data file; "" where none can be derived."""
    path = Path(split_source(next(iter(sources_in(entry)), ""))[1])
    suffix = format_of(path) or path.suffix
    for word in (re.sub(f"{re.escape(suffix)}(\\.\\w+)?$", "", path.name, flags=re.I), "loop"):
        name = re.sub(r"[^a-z0-9._-]+", "-", word.lower()).strip("-._")[:48]
        name = re.sub(r"\.{2,}", ".", name)
        try:
            check_new_loop_name(name)
        except BadInput:
            continue
        free = (each for each in (name, *(f"{name}-{n}" for n in range(2, 100))))
        return next((each for each in free if each not in taken), "")
    return ""


def _in_folder(root: Path, head: str, begun: str) -> list[Offer]:
    """Offers of one folder, files first: names that begin as typed, then names that contain it."""
    files, folders = [], []
    with os.scandir(_place(root, head)) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or begun.lower() not in name.lower():
                continue
            if os.path.isdir(entry.path):
                folders.append(Offer(f"{head}{name}/", is_folder=True))
            elif is_data_file(Path(name)) and os.path.isfile(entry.path):
                files.append(Offer(head + name))
    start = (head + begun).lower()
    found = [*sorted(files, key=_path), *sorted(folders, key=_path)]
    return sorted(found, key=lambda each: not each.path.lower().startswith(start))[:AT_MOST]


def _path(offer: Offer) -> str:
    return offer.path


def _place(root: Path, typed: str) -> Path:
    return root / os.path.expanduser(typed.strip())
