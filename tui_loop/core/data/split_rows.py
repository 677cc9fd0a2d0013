"""The rows of a split, put together from its sources; of large files, only those that are used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tui_loop.core.config.data_sources import DataSource
from tui_loop.core.config.schema import Config
from tui_loop.core.data.files.streamed_rows import StreamedRows, count_of, picked
from tui_loop.core.data.row_store import RowView, view_of
from tui_loop.core.data.rows import SOURCE, Mapping, RowRefused
from tui_loop.core.data.source_rows import (
    RawSplit,
    ReadProgress,
    SourceRows,
    has_mark,
    make_ids_unique,
    map_source,
)
from tui_loop.core.data.split import Columns, grouping_columns, sampled_places
from tui_loop.core.data.unused_columns import ColumnUse, joined_use
from tui_loop.core.errors import BadInput


class SplitRows(msgspec.Struct, frozen=True):
    """The rows of all sources of a split, with ids that differ, and the use of their columns."""

    rows: RowView
    use: ColumnUse
    sources: dict[str, SourceRows]

    def set_columns(self, rows: RowView) -> None:
        """Sets the columns that group some of the rows; their source comes before others."""
        places: dict[str, list[int]] = {name: [] for name in self.sources}
        for source, place in rows.places():
            places[source].append(place)
        columns = {name: self._columns(name, own) for name, own in places.items()}
        rows.set_columns(next(columns[source]) for source, _ in rows.places())

    def _columns(self, name: str, places: list[int]) -> Iterator[Columns]:
        source = self.sources[name]
        raws = dict(zip(sorted(places), picked(source.raw.rows, sorted(places)), strict=False))
        if len(raws) < len(places):
            raise BadInput(f"{source.raw.where}: the file changed during reading", "try again")
        for columns in grouping_columns([raws[place] for place in places], source.mapping):
            others = tuple(each for each in columns if not name or each[0] != SOURCE)
            yield ((SOURCE, name), *others) if name else others


class SplitReader(msgspec.Struct, frozen=True):
    """How the rows of a config are read.

    `is_partial`: of large files with caps, only the rows that are used are read.
    """

    config: Config
    poll: ReadProgress
    is_partial: bool

    def map_sources(
        self,
        parts: dict[str, RawSplit],
        mappings: dict[str, Mapping],
        refused: list[RowRefused] | None,
        given: dict[str, DataSource],
        limit: int | None,
    ) -> SplitRows:
        """Returns the usable rows of a split; raises RowRefused where `refused` is None.

        `given`: the sources with caps. `limit`: a cap on all rows that comes right after these.
        """
        caps = {name: given[name].max_rows if name in given else None for name in parts}
        places = self._places_to_read(parts, mappings, caps, limit)
        found = None
        if places is not None:
            found = self._read_places(parts, mappings, places)
        if found is None:
            places = None
            found = {
                name: map_source(
                    raw, mappings[name], self.config, refused, name=name, poll=self.poll
                )
                for name, raw in parts.items()
            }
        if list(found) != [""]:
            make_ids_unique(list(found.values()))
        rows = view_of([each.rows for each in found.values()])
        if places is None:
            rows = self.capped(rows, given)
        return SplitRows(rows, joined_use([each.use for each in found.values()]), found)

    def capped(self, rows: RowView, given: dict[str, DataSource]) -> RowView:
        """Returns the rows within the caps of their sources."""
        if all(source.max_rows is None for source in given.values()):
            return rows
        places: dict[str, list[int]] = {}
        for place, (_, _, _, source) in enumerate(rows.hashes()):
            places.setdefault(source, []).append(place)
        chosen: list[int] = []
        for name, own in places.items():
            cap = given[name].max_rows if name in given else None
            chosen += (own[at] for at in sampled_places(len(own), cap, self._seed))
        return rows.pick(sorted(chosen))

    @property
    def _seed(self) -> int:
        return self.config.data.split_seed

    def _read_places(
        self,
        parts: dict[str, RawSplit],
        mappings: dict[str, Mapping],
        places: dict[str, list[int]],
    ) -> dict[str, SourceRows] | None:
        """Returns the rows at some places, None where one of them is no usable row."""
        found = {}
        for name, raw in parts.items():
            try:
                found[name] = map_source(
                    raw,
                    mappings[name],
                    self.config,
                    None,
                    name=name,
                    places=places[name],
                    poll=self.poll,
                )
            except BadInput:  # reading all rows says what is wrong, if anything is
                return None
            if len(found[name].rows) < len(places[name]):
                return None
        return found

    def _places_to_read(
        self,
        parts: dict[str, RawSplit],
        mappings: dict[str, Mapping],
        caps: dict[str, int | None],
        limit: int | None,
    ) -> dict[str, list[int]] | None:
        """Returns the numbers of the rows to read of each source, None for all.

        They are those that would be used after all rows were read, since each row would be usable.
        """
        data = self.config.data
        is_capped = limit is not None or any(cap is not None for cap in caps.values())
        is_large = any(isinstance(raw.rows, StreamedRows) for raw in parts.values())
        if not (self.is_partial and is_capped and is_large) or data.drop_duplicates:
            return None
        if any(has_mark(raw, mappings[name]) for name, raw in parts.items()):
            return None
        counts = [count_of(raw.rows) for raw in parts.values()]
        known = [count for count in counts if count is not None]
        if len(known) < len(counts):
            return None
        chosen = self._capped(known, list(caps.values()))
        chosen = [chosen[at] for at in sampled_places(len(chosen), limit, self._seed)]
        places: dict[str, list[int]] = {}
        start = 0
        for name, count in zip(parts, known, strict=True):
            places[name] = [place - start for place in chosen if start <= place < start + count]
            start += count
        return places

    def _capped(self, counts: Sequence[int], caps: Sequence[int | None]) -> list[int]:
        """Returns the numbers of the rows that caps of sources leave, over all sources."""
        chosen: list[int] = []
        start = 0
        for count, cap in zip(counts, caps, strict=True):
            own = sampled_places(count, cap, self._seed)
            chosen += (start + place for place in own)
            start += count
        return chosen
