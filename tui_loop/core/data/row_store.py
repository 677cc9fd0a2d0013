"""Mapped rows of any number: in memory, or in a file where they have too many characters.

The file is in the cache folder and has no name, so that the system removes it when the process
ends. Reading it maps it into memory, which the system takes back where it needs some.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
import weakref
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import msgspec

from tui_loop.core.cache_folder import cache_folder
from tui_loop.core.data.conversations import shown_turns, text_of
from tui_loop.core.data.rows import Row, all_answers
from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import short_hash

IN_MEMORY = 64_000_000
"""Characters of prompts and references up to which the rows of a source are kept in memory."""

_ID_LENGTH = 12
_KEY_LENGTH = 32
"""Hex digits that tell inputs apart: 128 bits."""
_BUFFER = 1 << 20

_STORE_STRIDE = 1 << 40
"""Entries of a view are numbers of stores times this, plus the place in the store."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Row)


class RowStore:
    """The rows of one source in file order, each with its id.

    `places`: the number of each row among the raw rows, from 0. `inputs`: a hash of each input, and
    `answers` one of all right answers. `lengths`: characters of prompt and reference.
    `columns`: those that group a row, by its number.
    """

    def __init__(self, source: str = "") -> None:
        self.source = source
        self.ids: list[str] = []
        self.inputs: list[str] = []
        self.answers: list[str] = []
        self.places = array("Q")
        self.lengths = array("Q")
        self.has_tools = False
        self._rows: list[Row] = []
        self._seen: Counter[str] = Counter()
        self._characters = 0
        self._file: int | None = None
        self._buffer = bytearray()
        self._ends = array("Q", [0])
        self._map: mmap.mmap | None = None
        self._odd: dict[int, Row] = {}
        self.columns: dict[int, tuple[tuple[str, str], ...]] = {}
        self._known: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_in_memory(self) -> bool:
        """Whether all rows are in memory."""
        return self._file is None

    def skip(self, row: Row) -> None:
        """Counts a row that is not kept, so that later repeats of its input have their numbers."""
        self._numbered(_hash(row.input_text)[:_ID_LENGTH])

    def append(self, row: Row, place: int) -> None:
        """Adds a row; raises BadInput where the cache folder cannot hold it."""
        key = _hash(row.input_text)
        self.ids.append(self._numbered(key[:_ID_LENGTH]))
        self.inputs.append(key)
        self.answers.append(self._answers_of(row))
        self.places.append(place)
        self.lengths.append(len(row.prompt) + len(row.reference))
        self.has_tools = self.has_tools or bool(row.tools)
        if self._file is not None:
            self._write(row)
            return
        self._rows.append(row)
        self._characters += len(row.prompt) + len(row.reference)
        if self._characters > IN_MEMORY:
            self._spill()

    def row(self, index: int) -> Row:
        """Returns a row with its id and its source."""
        if self._file is None:
            row = self._rows[index]
        elif index in self._odd:
            row = self._odd[index]
        else:
            row = _whole(_decoder.decode(self._mapped[self._ends[index] : self._ends[index + 1]]))
        columns = self.columns.get(index, ())
        return msgspec.structs.replace(row, id=self.ids[index], source=self.source, columns=columns)

    def finish(self) -> None:
        """Forgets what only adding rows needs."""
        self._seen.clear()
        self._known.clear()

    def _numbered(self, name: str) -> str:
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name}-{self._seen[name]}"

    def _answers_of(self, row: Row) -> str:
        text = all_answers(row.reference, row.other_references)
        if len(text) > _ID_LENGTH * 4:  # only short answers recur, so only their hashes are kept
            return short_hash(text)
        return self._known.setdefault(text, short_hash(text))

    def _spill(self) -> None:
        """Moves the rows to a file."""
        folder = cache_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                self._file = os.dup(file.fileno())
        except OSError as error:
            raise _no_room(folder, error) from error
        weakref.finalize(self, os.close, self._file)
        for row in self._rows:
            self._write(row)
        self._rows = []

    def _write(self, row: Row) -> None:
        try:
            encoded = _encoder.encode(_short(row))
        except UnicodeEncodeError:  # half of a surrogate pair
            self._odd[len(self._ends) - 1] = row
            encoded = b""
        self._buffer += encoded
        self._ends.append(self._ends[-1] + len(encoded))
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        assert self._file is not None
        rest = memoryview(bytes(self._buffer))
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError as error:
            raise _no_room(cache_folder(), error) from error
        self._buffer.clear()
        self._map = None

    @property
    def _mapped(self) -> mmap.mmap:
        if self._buffer:
            self._flush()
        if self._map is None:
            assert self._file is not None
            self._map = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        return self._map


class RowView(Sequence[Row]):
    """Some rows of one or several stores, in their order; a row is read when it is asked for."""

    def __init__(self, stores: Sequence[RowStore], entries: array[int]) -> None:
        self._stores, self._entries = stores, entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return RowView(self._stores, self._entries[index])
        store, at = divmod(self._entries[index], _STORE_STRIDE)
        return self._stores[store].row(at)

    def __iter__(self) -> Iterator[Row]:
        for entry in self._entries:
            store, at = divmod(entry, _STORE_STRIDE)
            yield self._stores[store].row(at)

    def pick(self, positions: Sequence[int]) -> RowView:
        """Returns the rows at some positions."""
        return RowView(self._stores, array("Q", [self._entries[at] for at in positions]))

    def rows(self) -> Sequence[Row]:
        """Returns the rows as a list where they are in memory, else the view itself."""
        return list(self) if all(store.is_in_memory for store in self._stores) else self

    def set_columns(self, columns: Iterable[tuple[tuple[str, str], ...]]) -> None:
        """Sets the columns that group each row; equal ones are kept once."""
        known: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}
        for entry, each in zip(self._entries, columns, strict=True):
            store, at = divmod(entry, _STORE_STRIDE)
            if each:
                self._stores[store].columns[at] = known.setdefault(each, each)

    def hashes(self) -> Iterator[tuple[str, str, str, str]]:
        """Yields (id, hash of the input, hash of the answers, source) without reading a row."""
        for entry in self._entries:
            number, at = divmod(entry, _STORE_STRIDE)
            store = self._stores[number]
            yield store.ids[at], store.inputs[at], store.answers[at], store.source

    def lengths(self) -> Iterator[int]:
        """Yields the characters of prompt and reference of each row, without reading it."""
        for entry in self._entries:
            number, at = divmod(entry, _STORE_STRIDE)
            yield self._stores[number].lengths[at]

    @property
    def has_tools(self) -> bool:
        """Whether a row of the stores has tools."""
        return any(store.has_tools for store in self._stores)

    def places(self) -> Iterator[tuple[str, int]]:
        """Yields (source, number among the raw rows) of each row."""
        for entry in self._entries:
            number, at = divmod(entry, _STORE_STRIDE)
            yield self._stores[number].source, self._stores[number].places[at]


def row_keys(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Yields (key of the input, key of the answers) of each row; tools belong to its input.

    Rows in a file are not read for it, unless some have tools. Keys of rows in memory and of rows
    in a file can be compared.
    """
    if isinstance(rows, RowView) and not rows.has_tools:
        yield from ((key, answers) for _, key, answers, _ in rows.hashes())
        return
    for row in rows:
        key = _hash(f"{row.input_text}\0{row.tools}" if row.tools else row.input_text)
        yield key, short_hash(all_answers(row.reference, row.other_references))


def pick(rows: Sequence[Row], places: Sequence[int]) -> Sequence[Row]:
    """Returns the rows at some places; those in a file are not read for it."""
    return rows.pick(places) if isinstance(rows, RowView) else [rows[place] for place in places]


def row_lengths(rows: Sequence[Row]) -> Iterator[int]:
    """Yields the characters of prompt and reference of each row."""
    if isinstance(rows, RowView):
        return rows.lengths()
    return (len(row.prompt) + len(row.reference) for row in rows)


def view_of(stores: Sequence[RowStore]) -> RowView:
    """Returns all rows of some stores."""
    entries = array("Q")
    for number, store in enumerate(stores):
        entries.extend(range(number * _STORE_STRIDE, number * _STORE_STRIDE + len(store)))
    return RowView(stores, entries)


def _hash(text: str) -> str:
    """Returns the hash of an input, which begins with the id of its row."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_LENGTH]


def _short(row: Row) -> Row:
    """Returns a row without the texts that its turns have."""
    return msgspec.structs.replace(row, prompt="", reference="") if row.messages else row


def _whole(row: Row) -> Row:
    if not row.messages:
        return row
    prompt, reference = shown_turns(row.messages), text_of(row.messages[-1])
    return msgspec.structs.replace(row, prompt=prompt, reference=reference)


def _no_room(folder: os.PathLike[str], error: OSError) -> BadInput:
    return BadInput(
        f"{folder}: cannot store the rows: {error.strerror}",
        "free some space there, or name a different folder in TUI_LOOP_CACHE",
    )
