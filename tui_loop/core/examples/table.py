"""The examples of one evaluation: columns of all rows in memory, whole rows on demand.

Reading the file once gives the columns for sorting, filtering and counting. The rows stay in memory
as raw bytes (on disk for files above KEPT_BYTES) and are decoded when they are shown. 100,000 rows
load in well under half a second and take about the size of their file.
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

from tui_loop.core.clusters import (
    CONVERSATION,
    INPUT,
    Clusters,
    clusters_of,
    group_of,
    unit_of,
)
from tui_loop.core.errors import BadInput
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record import codec
from tui_loop.core.record.safe_open import LINE_BYTES, ROWS_BYTES, open_regular
from tui_loop.core.record.structs import Example

KEPT_BYTES = 96 * 1024 * 1024
"""A file up to this size stays in memory, so that showing a row needs no disk access."""

CHUNK_BYTES = 1024 * 1024
"""Decoding a chunk is one C call, during which no other thread runs."""

DECODED_ROWS = 1024
"""Decoded rows in the cache: several screens full."""

OUTPUT_KEY_LENGTH = 200
"""Characters of an output that a search for whole outputs compares."""

FAILED, PASSED, UNSCORED = 0, 1, 2
"""The values of a row's byte in `passed`."""

MOST_TOKENS = 2**63
"""No row has this many; a damaged record may have any number."""

_PASSED = {None: UNSCORED, False: FAILED, True: PASSED}

NONE, NOT_FINITE = math.nan, math.inf


class _Columns(msgspec.Struct, frozen=True, gc=False):
    """The fields that are read from every row."""

    id: str
    prompt: str
    reference: str
    score: float | None
    passed: bool | None
    causes: tuple[str, ...]
    loss: float | str | None
    supervised_tokens: int
    conversation: str = ""


class _Texts(msgspec.Struct, frozen=True, gc=False):
    prompt: str
    output: str | None


class _Grouping(msgspec.Struct, frozen=True, gc=False):
    columns: dict[str, str] = {}


T = TypeVar("T", _Texts, _Grouping)


class ExampleTable(Sequence[Example]):
    """Columns by row number, in file order; indexing returns the whole row.

    `losses` and `scores` are NaN where missing and infinite where not finite. `bad_lines`: the
    number of unreadable lines, which are skipped; `problem` names the first. `unit`: what the rows
    of a group of `clusters` have in common.
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
        self.unit = INPUT
        self._groups = array("q")
        self._clusters: Clusters | None = None
        self.bad_lines = self.first_bad_line = 0
        self.problem: BadInput | None = None
        self._rows: Sequence[Example] | None = None
        self._path = Path()
        self._chunks: list[bytes] = []
        self._chunk_starts: list[int] = []
        self._starts = array("Q")
        self._sizes = array("L")
        self._texts: list[str] | None = None
        self._outputs: list[str] | None = None
        self._columns: list[dict[str, str]] | None = None
        self._texts_lock = threading.Lock()
        self._decoder = msgspec.json.Decoder(Example)
        self._decoded: OrderedDict[int, Example] = OrderedDict()

    @classmethod
    def of(cls, rows: Sequence[Example]) -> ExampleTable:
        """Returns a table of rows in memory."""
        table = cls()
        table._rows = rows
        table._add(rows)
        return table

    @classmethod
    def read(cls, path: Path, *, keeps_rows: bool = True) -> ExampleTable:
        """Reads a file of examples; skips and counts unreadable lines.

        Without `keeps_rows` the table has columns only. Raises BadInput for the first bad line if
        there is no good one.
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
            table._add(rows)
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
        """Replaces equal lists by these to save memory.

        Most evaluations of a loop have the same rows.
        """
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
        """Returns whole rows; raises BadInput where the file has changed."""
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
        """Yields all rows, without caching them."""
        if self._rows is not None:
            yield from self._rows
            return
        for at in range(len(self)):
            yield self._read(at)

    @property
    def is_scored(self) -> bool:
        """Returns whether any row has passed or failed."""
        return FAILED in self.passed or PASSED in self.passed

    @property
    def is_graded(self) -> bool:
        """Returns whether any score is neither 0 nor 1."""
        return any(score not in (0.0, 1.0) for score in self.scores if not math.isnan(score))

    @property
    def clusters(self) -> Clusters | None:
        """Returns the number of each row's group; None where no group has several rows."""
        groups = self._groups
        if groups:  # another thread may compute the same at the same time
            self._clusters = clusters_of(groups)
            self._groups = array("q")
        return self._clusters

    def texts(self) -> list[str]:
        """Returns the case-folded prompt, reference, output and id of each row, for searching.

        Computed on first use, which takes a moment with many rows.
        """
        with self._texts_lock:  # a second caller waits instead of computing it again
            if self._texts is None:
                rows = zip(self._all(_Texts), self.references, self.ids, strict=True)
                self._texts = [
                    "\n".join((row.prompt, reference, row.output or "", name)).casefold()
                    for row, reference, name in rows
                ]
            return self._texts

    def outputs(self) -> list[str]:
        """Returns the start of each row's answer, case-folded."""
        if self._outputs is None:
            known: dict[str, str] = {}
            outputs = (answer_of(row.output) for row in self._all(_Texts))
            folded = (output.strip().casefold()[:OUTPUT_KEY_LENGTH] for output in outputs)
            self._outputs = [known.setdefault(each, each) for each in folded]
        return self._outputs

    def columns(self) -> list[dict[str, str]]:
        """Returns each row's other columns; rows with equal values share one dict."""
        if self._columns is None:
            known: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
            self._columns = [
                known.setdefault(tuple(row.columns.items()), row.columns)
                for row in self._all(_Grouping)
            ]
        return self._columns

    def _all(self, kind: type[T]) -> Sequence[T | Example]:
        """Returns all rows with some of their fields, decoded in bulk."""
        if self._chunks:
            decoder = msgspec.json.Decoder(kind)
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                rows = [row for chunk in self._chunks for row in decoder.decode_lines(chunk)]
                if len(rows) == len(self):
                    return rows
        return self

    def _add(self, rows: Sequence[Example] | Sequence[_Columns]) -> None:
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
        self._groups.extend(hash(group_of(row)) for row in rows)
        if unit_of(rows) == CONVERSATION:
            self.unit = CONVERSATION

    def _note_places(self, lines: list[bytes], start: int, kept: list[bool] | None) -> None:
        """Records the places of lines from byte `start`.

        `kept`: which lines have a row, if not all.
        """
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
            raise BadInput(f"{self._path} changed while it was being read", "try again")
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
            raise BadInput(f"{self._path}: {error.strerror}", "try again") from error


def _numbers(values: list[Any]) -> array[float]:
    """Returns losses or scores: NaN where missing, infinite where not finite."""
    try:
        numbers = array("d", values)
        if max(map(abs, numbers), default=0.0) <= codec.LARGEST:
            return numbers
    except (TypeError, OverflowError):  # strings or None among them
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
    """Yields chunks of whole lines, nothing without a file."""
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
            f"{path}:{number}: the row is too long for a record file",
            "restore the file, for example with git",
        )


def _decoded_lines(
    decoder: msgspec.json.Decoder[_Columns],
    chunk: bytes,
    lines: list[bytes],
    where: str,
    first: int,
) -> tuple[list[_Columns], list[bool] | None, tuple[int, BadInput] | None]:
    """Returns the rows, which lines have one (None: all), and the first broken line."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # one of them is broken
        rows = decoder.decode_lines(chunk)
        if len(rows) == len(lines):
            return rows, None, None
    # some lines are blank or broken, or a line has several objects
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
