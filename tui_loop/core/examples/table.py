"""The examples of one evaluation, however many: columns of all, each row in full when asked for.

Reading the file once gives what lists are sorted, filtered and counted by; the rows stay as the
bytes that they are on disk (beyond KEPT_BYTES on the disk itself) and are decoded when they are
shown. 100,000 rows open in well under half a second and take about the size of their file.
"""

from __future__ import annotations

import math
import os
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, compress
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.safe_open import LINE_BYTES, ROWS_BYTES, open_regular
from tui_loop.core.record.structs import Example

KEPT_BYTES = 96 * 1024 * 1024
"""A file up to this size is kept in memory, so that no row is ever waited for."""

CHUNK_BYTES = 8 * 1024 * 1024
DECODED_ROWS = 1024
"""Rows kept decoded: some screens full."""

SAID_LENGTH = 200
"""Characters of an output by which it is looked for as a whole."""

FAILED, PASSED, UNSCORED = 0, 1, 2
"""What a row's byte in `passed` says."""

MOST_TOKENS = 2**63
"""No row has as many; a damaged one may say so."""

_PASSED = {None: UNSCORED, False: FAILED, True: PASSED}

NONE, NOT_FINITE = math.nan, math.inf


class _Columns(msgspec.Struct, frozen=True, gc=False):
    """What is read of every row."""

    id: str
    prompt: str
    reference: str
    score: float | None
    passed: bool | None
    causes: tuple[str, ...]
    loss: float | str | None
    supervised_tokens: int


class _Texts(msgspec.Struct, frozen=True, gc=False):
    prompt: str
    output: str | None


class _Grouping(msgspec.Struct, frozen=True, gc=False):
    columns: dict[str, str] = {}


T = TypeVar("T", _Texts, _Grouping)


class ExampleTable(Sequence[Example]):
    """Columns by row number, in file order; an item is the row in full.

    `losses` and `scores` have NaN where there is none, an infinite loss where it is not finite.
    `bad_lines` were left out; `problem` says which was the first of them.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.references: list[str] = []
        self.passed = bytearray()
        self.losses = array("d")
        self.scores = array("d")
        self.supervised_tokens = array("Q")
        self.prompt_lengths = array("L")
        self.causes: list[tuple[str, ...]] = []
        self.bad_lines = self.first_bad_line = 0
        self.problem: BadInput | None = None
        self._rows: Sequence[Example] | None = None
        self._path = Path()
        self._chunks: list[bytes] = []
        self._chunk_starts: list[int] = []
        self._starts = array("Q")
        self._sizes = array("L")
        self._texts: list[str] | None = None
        self._said: list[str] | None = None
        self._columns: list[dict[str, str]] | None = None
        self._making = threading.Lock()
        self._decoder = msgspec.json.Decoder(Example)
        self._decoded: OrderedDict[int, Example] = OrderedDict()

    @classmethod
    def of(cls, rows: Sequence[Example]) -> ExampleTable:
        """A table of rows that are in memory."""
        table = cls()
        table._rows = rows
        table._take(rows)
        return table

    @classmethod
    def read(cls, path: Path, *, keeps_rows: bool = True) -> ExampleTable:
        """The table of a file of examples; lines that cannot be read are left out and counted.

        Without `keeps_rows` there are only the columns, and no row can be had. Raises BadInput
        with the first bad line where no line is a row.
        """
        table = cls()
        table._path = path
        decoder = msgspec.json.Decoder(_Columns)
        size, first = 0, 1
        for chunk in _chunks(path):
            lines = chunk.split(b"\n")
            _check_length(lines[-1], path, first + len(lines) - 1)
            if not lines[-1]:
                lines.pop()
            rows, kept, problem = _decoded_lines(decoder, chunk, lines, f"{path}", first)
            table._take(rows)
            if problem is not None:
                table.bad_lines += sum(map(bool, map(bytes.strip, lines))) - len(rows)
                table.first_bad_line = table.first_bad_line or problem[0]
                table.problem = table.problem or problem[1]
            if keeps_rows:
                table._note_places(lines, size, kept)
                table._keep(chunk, size)
            size += len(chunk)
            first += len(lines)
        if table.problem is not None and not len(table):
            raise table.problem
        return table

    def share(self, ids: list[str], references: list[str]) -> bool:
        """Takes these lists for its own where they are the same, as they are in most loops."""
        if ids != self.ids:
            return False
        self.ids = ids
        if references == self.references:
            self.references = references
        return True

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        """The row in full; raises BadInput where the file has changed and it is not there."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        at = index % len(self)
        if self._rows is not None:
            return self._rows[at]
        known = self._decoded.get(at)
        if known is None:
            known = self._decoded[at] = self._read(at)
            if len(self._decoded) > DECODED_ROWS:
                self._decoded.popitem(last=False)
        return known

    def __iter__(self) -> Iterator[Example]:
        """All rows in full, one after the other; they are not kept."""
        if self._rows is not None:
            yield from self._rows
            return
        for at in range(len(self)):
            yield self._read(at)

    @property
    def is_scored(self) -> bool:
        """Whether any row has passed or failed."""
        return FAILED in self.passed or PASSED in self.passed

    @property
    def is_graded(self) -> bool:
        """Whether scores say more than passed or failed."""
        return any(score not in (0.0, 1.0) for score in self.scores if not math.isnan(score))

    def texts(self) -> list[str]:
        """For each row its prompt, reference, output and id, folded, to be searched.

        Made when it is first asked for, which takes a moment with many rows.
        """
        with self._making:  # who comes while it is made has it as soon
            if self._texts is None:
                rows = zip(self._all(_Texts), self.references, self.ids, strict=True)
                self._texts = [
                    "\n".join((row.prompt, reference, row.output or "", name)).casefold()
                    for row, reference, name in rows
                ]
            return self._texts

    def said(self) -> list[str]:
        """Each row's output, folded; of a long one the beginning."""
        if self._said is None:
            known: dict[str, str] = {}
            outputs = (row.output or "" for row in self._all(_Texts))
            folded = (output.strip().casefold()[:SAID_LENGTH] for output in outputs)
            self._said = [known.setdefault(each, each) for each in folded]
        return self._said

    def columns(self) -> list[dict[str, str]]:
        """Each row's further columns; rows that are alike in them share them."""
        if self._columns is None:
            known: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
            self._columns = [
                known.setdefault(tuple(row.columns.items()), row.columns)
                for row in self._all(_Grouping)
            ]
        return self._columns

    def _all(self, kind: type[T]) -> Sequence[T | Example]:
        """All rows with a few of their keys, read many at a time."""
        if self._chunks:
            decoder = msgspec.json.Decoder(kind)
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                rows = [row for chunk in self._chunks for row in decoder.decode_lines(chunk)]
                if len(rows) == len(self):
                    return rows
        return self

    def _take(self, rows: Sequence[Example] | Sequence[_Columns]) -> None:
        known: dict[str, str] = {}
        self.ids += [row.id for row in rows]
        self.references += [known.setdefault(row.reference, row.reference) for row in rows]
        self.passed += bytes(map(_PASSED.__getitem__, [row.passed for row in rows]))
        self.losses.extend(_numbers([row.loss for row in rows]))
        self.scores.extend(_numbers([row.score for row in rows]))
        self.supervised_tokens.extend(_tokens([row.supervised_tokens for row in rows]))
        self.prompt_lengths.extend(array("L", [len(row.prompt) for row in rows]))
        causes: dict[tuple[str, ...], tuple[str, ...]] = {}  # many rows share a few
        self.causes += [causes.setdefault(row.causes, row.causes) for row in rows]

    def _note_places(self, lines: list[bytes], start: int, kept: list[bool] | None) -> None:
        """Where lines stand that begin at byte `start`; `kept`: which have a row, if not all."""
        sizes = array("L", map(len, lines))
        starts = array("Q", accumulate(map((1).__add__, sizes[:-1]), initial=start))
        if kept is not None:
            starts, sizes = array("Q", compress(starts, kept)), array("L", compress(sizes, kept))
        self._starts.extend(starts)
        self._sizes.extend(sizes)

    def _keep(self, chunk: bytes, start: int) -> None:
        if start + len(chunk) > KEPT_BYTES:
            self._chunks.clear()
            self._chunk_starts.clear()
        elif not start or self._chunks:
            self._chunks.append(chunk)
            self._chunk_starts.append(start)

    def _read(self, at: int) -> Example:
        row = codec.decoded(self._decoder, self._line(at), f"{self._path}, row {at + 1}")
        if row.id != self.ids[at]:
            raise BadInput(f"{self._path} has changed while it was read", "look again")
        return row

    def _line(self, at: int) -> bytes:
        start, size = self._starts[at], self._sizes[at]
        if self._chunks:
            number = bisect_right(self._chunk_starts, start) - 1
            begin = start - self._chunk_starts[number]
            return self._chunks[number][begin : begin + size]
        try:
            with open_regular(self._path, ROWS_BYTES) as file:
                return os.pread(file.fileno(), size, start)
        except OSError as error:
            raise BadInput(f"{self._path}: {error.strerror}", "look again") from error


def _numbers(values: list[Any]) -> array[float]:
    """Losses or scores: NaN where there is none, infinite where they are not finite."""
    try:
        numbers = array("d", values)
        if max(map(abs, numbers), default=0.0) <= codec.LARGEST:
            return numbers
    except (TypeError, OverflowError):  # words, or None, among them
        pass
    return array("d", map(_number, values))


def _tokens(values: list[int]) -> array[int]:
    try:
        return array("Q", values)
    except OverflowError:
        return array("Q", [min(max(0, value), MOST_TOKENS) for value in values])


def _number(value: float | str | None) -> float:
    plain = codec.number(value)
    if plain is not None:
        return plain if math.isfinite(plain) else NOT_FINITE
    return NONE if value is None else NOT_FINITE


def _chunks(path: Path) -> Iterator[bytes]:
    """Whole lines, many at a time; nothing where there is no file."""
    try:
        with open_regular(path, ROWS_BYTES) as file:
            while part := file.read(CHUNK_BYTES):
                yield part + file.readline(LINE_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error


def _check_length(line: bytes, path: Path, number: int) -> None:
    if len(line) >= LINE_BYTES:
        raise BadInput(
            f"{path}:{number}: the row is too long for a record",
            "restore the file, for example with git",
        )


def _decoded_lines(
    decoder: msgspec.json.Decoder[_Columns],
    chunk: bytes,
    lines: list[bytes],
    where: str,
    first: int,
) -> tuple[list[_Columns], list[bool] | None, tuple[int, BadInput] | None]:
    """The rows; which lines have one, None where all do; and the first line that is broken."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # one of them is broken
        rows = decoder.decode_lines(chunk)
        if len(rows) == len(lines):
            return rows, None, None
    # or some are blank, or a line has more than one
    rows, kept = [], []
    problem: tuple[int, BadInput] | None = None
    for number, line in enumerate(lines, first):
        kept.append(bool(line.strip()))
        if kept[-1]:
            try:
                rows.append(codec.decoded(decoder, line, f"{where}:{number}"))
            except BadInput as error:
                kept[-1], problem = False, problem or (number, error)
    return rows, kept, problem
