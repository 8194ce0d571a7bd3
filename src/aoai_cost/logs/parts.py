"""The rows of logs as records of one size: what a row says of its call, in little memory, and on disk beyond a limit.

A call stands in several rows, files and copies, and what belongs together is known by a 128-bit digest of its identity
alone. When records are more than memory is given for, they are written to disk in runs, each sorted by the beginnings
of its digests; the parts of all runs with one beginning, a partition, hold all rows of their calls.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .._fast.columns import NOT_A_TIME, digest
from .schema import QUALITIES, Facets, LogFormat, Part, PartKind, Tokens

__all__ = [
    "NOT_A_TIME",
    "PART",
    "PARTITIONS",
    "PartTable",
    "Parts",
    "Place",
    "Quantities",
    "Runs",
    "Shared",
    "Source",
    "digest_at",
    "digest_of",
    "part_of",
    "partition",
    "record_of",
    "short_digest",
    "some",
    "together",
    "words",
]

PART = np.dtype(
    [
        ("digest", "u8", (2,)),
        ("call", "u8"),
        ("request", "u8"),
        ("tokens", "i8", (len(Tokens._fields),)),
        ("timestamp_us", "i8"),
        ("duration_ms", "f8"),
        ("line", "i8"),
        ("requests", "i8"),
        ("span_s", "i4"),
        ("record", "u4"),
        ("section", "u4"),
        ("facets", "i4"),
        ("quantities", "i4"),
        ("text", "i4"),
        ("known", "u2"),
        ("status", "i2"),
        ("kind", "u1"),
        ("source", "u1"),
        ("quality", "u1"),
        ("rank", "u1"),
    ],
    align=True,
)
"""One row: what `Part` says, where it stands (section, line in it, record in the line), and of which format it is.

``call`` and ``request`` are digests of ids, 0 where there is none; that of a request tells rows of one sum apart, and
of calls it is not kept. ``facets``, ``quantities`` and ``text`` are numbers of things in `Shared`, ``known`` has a bit
for each count that the row tells, and ``requests`` is -1 where it does not say.
"""

_N_WORDS = PART.itemsize // 8

Parts = npt.NDArray[np.void]
"""ndarray of `PART`, shape (n,)."""

Quantities = tuple[tuple[str, str, str, int], ...]
"""(meter, modality, variant, quantity) of each meter that is not in tokens."""

LIMIT_BYTES = 48 << 20
"""So much memory is given to the rows; more are written to disk."""
_ROWS_AT_ONCE = 4_096
_BITS = 6
PARTITIONS = 1 << _BITS
"""So many beginnings of digests are told apart at once."""

_Thing = TypeVar("_Thing", bound=Hashable)


class Place(NamedTuple):
    """Where a row stands."""

    section: int
    line: int
    """In the section; of a file that is one document, the record."""
    record: int
    """Within the line."""
    key: str
    """Of the section, which no other has, wherever and whenever it is read."""


class _Numbered(Generic[_Thing]):
    """Things that many rows share, each kept once and known by its number."""

    def __init__(self) -> None:
        self.all: list[_Thing] = []
        self._number: dict[_Thing, int] = {}

    def number(self, thing: _Thing) -> int:
        found = self._number.get(thing)
        if found is None:
            found = self._number[thing] = len(self.all)
            self.all.append(thing)
        return found


class Shared:
    """What records refer to by number."""

    def __init__(self, formats: tuple[LogFormat, ...], *, keep_texts: bool) -> None:
        self.formats = tuple(one.name for one in formats)
        self.families = tuple(one.calls_of or one.name for one in formats)
        """Whose identities those of each format are."""
        self.names = tuple((one.names_deployment, one.names_resource) for one in formats)
        """Whether each format names the deployment and the resource of its calls."""
        self.facets: _Numbered[Facets] = _Numbered()
        self.quantities: _Numbered[Quantities] = _Numbered()
        self.quantities.number(())
        self.texts: list[str | None] = [None]
        """The ids of requests, where somebody wants to see them."""
        self.keep_texts = keep_texts

    def learn(
        self, facets: Sequence[Facets], quantities: Sequence[Quantities]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Take what another has, and return the numbers that its things have here."""
        return (
            np.array([self.facets.number(one) for one in facets], np.int32),
            np.array([self.quantities.number(one) for one in quantities], np.int32),
        )

    def text(self, request_id: str | None) -> int:
        """Keep the id of a request, if anybody wants to see it, and return its number."""
        if request_id is None or not self.keep_texts:
            return 0
        self.texts.append(request_id)
        return len(self.texts) - 1


def record_of(
    shared: Shared, source: int, identity: tuple[str, ...] | None, part: Part, place: Place
) -> tuple[Any, ...]:
    """Return what one row says as a tuple for `PART`; without an identity the row is a call of its own."""
    tokens, bits = [], 0
    for i, value in enumerate(part.tokens):
        tokens.append(value or 0)
        bits |= (value is not None) << i
    return (
        digest_at(shared, source, identity, place),
        short_digest(part.call_id or None),
        short_digest(part.request_id) if part.kind in PartKind.OF_SUMS else 0,
        tokens,
        NOT_A_TIME if part.timestamp_us is None else part.timestamp_us,
        np.nan if part.duration_ms is None else part.duration_ms,
        place.line,
        -1 if part.requests is None else part.requests,
        part.span_s,
        place.record,
        place.section,
        shared.facets.number(part.facets),
        shared.quantities.number(part.quantities),
        shared.text(part.request_id),
        bits,
        part.status or 0,
        part.kind,
        source,
        QUALITIES.index(part.quality),
        part.rank,
    )


def digest_at(shared: Shared, source: int, identity: tuple[str, ...] | None, place: Place) -> npt.NDArray[np.uint64]:
    """Return the digest by which a row is known, shape (2,); without an identity no other row has it."""
    if identity is None:
        return np.frombuffer(_digest((place.key, str(place.line), str(place.record))), "u8")
    return digest_of(shared, source, identity)


def digest_of(shared: Shared, source: int, identity: tuple[str, ...]) -> npt.NDArray[np.uint64]:
    """Return the digest by which rows of a format with this identity are known, shape (2,)."""
    return np.frombuffer(_digest((shared.families[source], *identity)), "u8")


def part_of(row: Any, shared: Shared) -> Part:
    """Return the part that a record was made from, its ids as their digests."""
    return Part(
        kind=int(row["kind"]),
        call_id=str(row["call"]) if row["call"] else "",
        facets=shared.facets.all[row["facets"]],
        timestamp_us=None if row["timestamp_us"] == NOT_A_TIME else int(row["timestamp_us"]),
        tokens=tokens_of(row),
        status=int(row["status"]) or None,
        request_id=str(row["request"]) if row["request"] else None,
        duration_ms=None if np.isnan(row["duration_ms"]) else float(row["duration_ms"]),
        quantities=shared.quantities.all[row["quantities"]],
        quality=QUALITIES[row["quality"]],
        requests=None if row["requests"] < 0 else int(row["requests"]),
        span_s=int(row["span_s"]),
        rank=int(row["rank"]),
    )


def tokens_of(row: Any) -> Tokens:
    """Return the counts of a record, None where it tells none."""
    known = int(row["known"])
    return Tokens._make(value if known >> i & 1 else None for i, value in enumerate(row["tokens"].tolist()))


def _digest(texts: tuple[str, ...]) -> bytes:
    return digest(tuple(text.encode("utf-8", "surrogatepass") for text in texts))


def short_digest(text: str | None) -> int:
    """Return the digest of an id, 0 where there is none."""
    # Never 0 otherwise, which stands for no id.
    return 0 if text is None else int.from_bytes(_digest((text,))[:8], "little") | 1


def some(records: Parts, which: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Parts:
    """Return some records, by their places or by a mask: an index in brackets takes eight times as long."""
    return np.take(records, np.flatnonzero(which) if which.dtype == bool else which)


def together(pieces: Sequence[Parts]) -> Parts:
    """Return all records in one array."""
    return np.concatenate([np.empty((0, _N_WORDS), np.uint64), *map(words, pieces)]).view(PART)[:, 0]


def words(records: Parts) -> npt.NDArray[np.uint64]:
    """Return records as rows of plain numbers, which are copied without looking at each field."""
    return records.view(np.uint64).reshape(-1, _N_WORDS)


class Runs:
    """Records in a file, in runs that are each sorted by the bits of their digests at `shift`."""

    def __init__(
        self, file: IO[bytes] | Path, bounds: Sequence[Sequence[int]] = (), *, shift: int = 64 - _BITS
    ) -> None:
        self.shift = shift
        self.bounds = [list(one) for one in bounds]
        """Of each run the records of the file at which its partitions begin, and at which the last one ends."""
        self._file = file

    @classmethod
    def temporary(cls, *, shift: int = 64 - _BITS) -> Runs:
        """Return runs in a file without a name, so that nothing is left of it however the process ends."""
        return cls(tempfile.TemporaryFile(prefix="aoai_cost-"), shift=shift)

    def append(self, records: Parts) -> None:
        """Write one more run."""
        bits = (records["digest"][:, 0] >> np.uint64(self.shift) & np.uint64(PARTITIONS - 1)).astype(np.uint8)
        order = np.argsort(bits, kind="stable")
        at = self.bounds[-1][-1] if self.bounds else 0
        assert not isinstance(self._file, Path)
        sizes = np.bincount(bits, minlength=PARTITIONS)
        bounds = [at, *(at + np.cumsum(sizes)).tolist()]
        self._file.seek(at * PART.itemsize)
        # One partition after the other, so that no second copy of all of them is made.
        for start, end in pairwise(bounds):
            self._file.write(some(records, order[start - at : end - at]).data)
        self.bounds.append(bounds)

    def is_whole(self) -> bool:
        """Tell whether a named file has as many bytes as were written to it."""
        size = (self.bounds[-1][-1] if self.bounds else 0) * PART.itemsize
        return isinstance(self._file, Path) and self._file.stat().st_size == size

    def size(self, number: int) -> int:
        """Return how many records a partition has."""
        return sum(bounds[number + 1] - bounds[number] for bounds in self.bounds)

    def read(self, number: int) -> Iterator[Parts]:
        """Yield the records of a partition, run by run."""
        if not self.size(number):
            return
        with self._opened() as file:
            for bounds in self.bounds:
                size = bounds[number + 1] - bounds[number]
                file.seek(bounds[number] * PART.itemsize)
                records = np.fromfile(file, PART, size)
                if len(records) < size:
                    raise OSError(errno.EIO, "a file of records is shorter than what was written to it")
                yield records

    def keep_open(self) -> None:
        """Open a named file only once from now on, until `close`."""
        if isinstance(self._file, Path):
            self._file = self._file.open("rb")

    def _opened(self) -> AbstractContextManager[IO[bytes]]:
        return self._file.open("rb") if isinstance(self._file, Path) else nullcontext(self._file)

    def close(self) -> None:
        """Close the file."""
        if not isinstance(self._file, Path):
            self._file.close()


class Source(NamedTuple):
    """Runs that one reading wrote, and what its numbers are for whoever reads many of them."""

    runs: Runs
    section: int
    """The number of its first section among all."""
    facets: npt.NDArray[np.int32]
    quantities: npt.NDArray[np.int32]

    def read(self, number: int) -> Iterator[Parts]:
        """Yield the records of a partition, numbered as all are."""
        for records in self.runs.read(number):
            records["section"] += self.section
            records["facets"] = self.facets[records["facets"]]
            records["quantities"] = self.quantities[records["quantities"]]
            yield records


def partition(sources: Sequence[Source | Runs], number: int, *, shift: int = 64 - _BITS) -> Iterator[Parts]:
    """Yield the records of a partition of all sources, those of one digest together in one array."""
    runs = [one.runs if isinstance(one, Source) else one for one in sources]
    total = sum(one.size(number) for one in runs)
    if not total:
        return
    pieces = (piece for one in sources for piece in one.read(number))
    if total <= max(1, LIMIT_BYTES // PART.itemsize) or shift < _BITS:
        yield together(list(pieces))
        return
    # Too many for memory: once more by the next bits.
    deeper = PartTable(shift=shift - _BITS)
    try:
        for piece in pieces:
            deeper.add_many(piece)
        yield from deeper.partitions()
    finally:
        deeper.close()


class PartTable:
    """Keeps records in memory, and beyond a limit in runs: in a file that is given, or a temporary one."""

    def __init__(self, runs: Runs | None = None, *, shift: int = 64 - _BITS) -> None:
        self._limit = max(1, LIMIT_BYTES // PART.itemsize)
        self._kept = np.empty(0, PART)
        self._n_kept = 0
        self._single: list[tuple[Any, ...]] = []
        self._runs, self._shift = runs, shift

    def add(self, record: tuple[Any, ...]) -> None:
        """Add one record."""
        self._single.append(record)
        if len(self._single) == _ROWS_AT_ONCE:
            self._gather()

    def add_many(self, records: Parts) -> None:
        """Add records."""
        while len(records):
            if self._n_kept == self._limit:
                self.spill()
            taken = min(len(records), self._limit - self._n_kept)
            if self._n_kept + taken > len(self._kept):
                grown = np.empty(min(self._limit, max(_ROWS_AT_ONCE, 2 * (self._n_kept + taken))), PART)
                words(grown)[: self._n_kept] = words(self._kept[: self._n_kept])
                self._kept = grown
            words(self._kept)[self._n_kept : self._n_kept + taken] = words(records[:taken])
            self._n_kept += taken
            records = records[taken:]

    def spill(self) -> None:
        """Write what is in memory to the file."""
        self._gather()
        if self._runs is None:
            self._runs = Runs.temporary(shift=self._shift)
        if self._n_kept:
            self._runs.append(self._kept[: self._n_kept])
        self._n_kept = 0

    def partitions(self) -> Iterator[Parts]:
        """Yield all records, those of one digest together in one array; the table is empty afterwards."""
        self._gather()
        if self._runs is None:
            kept = self._kept[: self._n_kept]
            self.close()
            if len(kept):
                yield kept
            return
        self.spill()
        self._kept = np.empty(0, PART)
        try:
            for number in range(PARTITIONS):
                yield from partition([self._runs], number, shift=self._shift)
        finally:
            self.close()

    def close(self) -> None:
        """Forget everything, also what is on disk."""
        self._kept, self._n_kept, self._single = np.empty(0, PART), 0, []
        if self._runs is not None:
            self._runs.close()
            self._runs = None

    def _gather(self) -> None:
        if self._single:
            single, self._single = self._single, []
            self.add_many(np.array(single, dtype=PART))
