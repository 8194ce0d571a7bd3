"""The rows of logs as records of one size: what a row says of its call, in little memory, and on disk beyond a limit.

A call stands in several rows, files and copies, and what belongs together is known by a 128-bit digest of its identity
alone. Records are kept by digest: when they are more than memory is given for, they are written to as many files as
digests have beginnings, and each file holds all rows of its calls.
"""

from __future__ import annotations

import tempfile
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .._fast.columns import NOT_A_TIME, digest
from .schema import QUALITIES, Facets, LogFormat, Part, PartKind, Tokens

__all__ = ["NOT_A_TIME", "PART", "PartTable", "Parts", "Place", "Shared", "digest_of", "part_of", "record_of"]

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
        ("file", "u4"),
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
"""One row: what `Part` says, where it stands, and of which format it is.

``call`` and ``request`` are digests of ids, 0 where there is none; that of a request tells rows of one sum apart, and
of calls it is not kept. ``facets``, ``quantities`` and ``text`` numbers
of things in `Shared`, ``known`` a bit for each count that the row tells, ``requests`` -1 where it does not say.
"""

Parts = npt.NDArray[np.void]
"""ndarray of `PART`, shape (n,)."""

LIMIT_BYTES = 48 << 20
"""So much memory is given to the rows; more are written to disk."""
_ROWS_AT_ONCE = 4_096
_BITS = 6
"""Files at one level: two to this power."""

_Thing = TypeVar("_Thing", bound=Hashable)


class Place(NamedTuple):
    """Where a row stands: number of its file, line (or record of a document), record within the line."""

    file: int
    line: int
    record: int


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
        self.facets: _Numbered[Facets] = _Numbered()
        self.quantities: _Numbered[tuple[tuple[str, str, str, int], ...]] = _Numbered()
        self.quantities.number(())
        self.texts: list[str | None] = [None]
        """The ids of requests, where somebody wants to see them."""
        self.keep_texts = keep_texts

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
        np.frombuffer(_digest(tuple(map(str, place))), "u8")
        if identity is None
        else digest_of(shared, source, identity),
        _short_digest(part.call_id or None),
        _short_digest(part.request_id) if part.kind in PartKind.OF_SUMS else 0,
        tokens,
        NOT_A_TIME if part.timestamp_us is None else part.timestamp_us,
        np.nan if part.duration_ms is None else part.duration_ms,
        place.line,
        -1 if part.requests is None else part.requests,
        part.span_s,
        place.record,
        place.file,
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


def _short_digest(text: str | None) -> int:
    # Never 0, which stands for no id.
    return 0 if text is None else int.from_bytes(_digest((text,))[:8], "little") | 1


class PartTable:
    """Keeps records in memory, and beyond `limit_bytes` in files of a folder of its own."""

    def __init__(self, *, limit_bytes: int | None = None) -> None:
        self._limit = max(1, (LIMIT_BYTES if limit_bytes is None else limit_bytes) // PART.itemsize)
        self._kept = np.empty(0, PART)
        self._n_kept = 0
        self._single: list[tuple[Any, ...]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def add(self, record: tuple[Any, ...]) -> None:
        """Add one record."""
        self._single.append(record)
        if len(self._single) == _ROWS_AT_ONCE:
            self._gather()

    def add_many(self, records: Parts) -> None:
        """Add records."""
        while len(records):
            if self._n_kept == self._limit:
                self._spill()
            taken = min(len(records), self._limit - self._n_kept)
            if self._n_kept + taken > len(self._kept):
                grown = np.empty(min(self._limit, max(_ROWS_AT_ONCE, 2 * (self._n_kept + taken))), PART)
                grown[: self._n_kept] = self._kept[: self._n_kept]
                self._kept = grown
            self._kept[self._n_kept : self._n_kept + taken] = records[:taken]
            self._n_kept += taken
            records = records[taken:]

    def partitions(self) -> Iterator[Parts]:
        """Yield all records, those of one digest together in one array; the table is empty afterwards."""
        self._gather()
        if self._folder is None:
            kept = self._kept[: self._n_kept]
            self.close()
            if len(kept):
                yield kept
            return
        self._spill()
        self._kept = np.empty(0, PART)
        try:
            yield from _read(Path(self._folder.name), self._limit, 64 - _BITS)
        finally:
            self.close()

    def close(self) -> None:
        """Forget everything, also what is on disk."""
        self._kept, self._n_kept, self._single = np.empty(0, PART), 0, []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _gather(self) -> None:
        if self._single:
            single, self._single = self._single, []
            self.add_many(np.array(single, dtype=PART))

    def _spill(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="aoai_cost-")
        _write(Path(self._folder.name), self._kept[: self._n_kept], 64 - _BITS)
        self._n_kept = 0


def _write(folder: Path, records: Parts, shift: int) -> None:
    """Append records to the files of their digests' next bits."""
    bits = (records["digest"][:, 0] >> np.uint64(shift) & np.uint64((1 << _BITS) - 1)).astype(np.uint8)
    order = np.argsort(bits, kind="stable")
    start = 0
    for number, size in enumerate(np.bincount(bits, minlength=1 << _BITS).tolist()):
        if size:
            with (folder / f"{number:02x}").open("ab") as file:
                file.write(records[order[start : start + size]].data)
        start += size


def _read(folder: Path, limit: int, shift: int) -> Iterator[Parts]:
    for path in sorted(folder.iterdir()):
        if path.stat().st_size <= limit * PART.itemsize or shift < _BITS:
            yield np.fromfile(path, PART)
            path.unlink()
            continue
        # Too many for memory: once more by the next bits.
        with tempfile.TemporaryDirectory(prefix=f"{path.name}-", dir=folder.parent) as deeper, path.open("rb") as file:
            while piece := file.read(limit * PART.itemsize):
                _write(Path(deeper), np.frombuffer(piece, PART), shift - _BITS)
            path.unlink()
            yield from _read(Path(deeper), limit, shift - _BITS)
