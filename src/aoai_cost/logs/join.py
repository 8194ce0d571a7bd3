"""Joining and deduplicating: all rows of one call become one call, before anything is summed.

One call can stand in several rows, files and copies. Parts are gathered under a 128-bit digest of their identity and
resolved by what they say, never by the order in which they came, so any split of a log gives the same calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from .operations import asks_a_model
from .schema import NO_TOKENS, Facets, FileCounts, Part, PartKind, Tokens

__all__ = ["Call", "PartStore", "Place"]

_REFUSED = frozenset((401, 403, 404, 429))


class Place(NamedTuple):
    """Where a row stands: number of its file, line (or record of a document), record within the line."""

    file: int
    line: int
    record: int


class Call(NamedTuple):
    """One call with all that its rows say."""

    place: Place
    source_format: str
    facets: Facets
    timestamp_us: int | None
    tokens: Tokens
    status: int | None
    latency_ms: float | None
    request_id: str | None
    quality: str
    quantities: tuple[tuple[str, str, str, int], ...]


_Placed = tuple[Part, Place]


class PartStore:
    """The parts of calls that were read, by identity.

    Parts are added file by file in the order of the files; exact copies are counted and dropped at once.
    """

    def __init__(self, counts: list[FileCounts]) -> None:
        self._counts = counts
        # One part stands as it is; from the second on a dict keeps the distinct ones, with the place of the first.
        self._found: dict[bytes, tuple[str, _Placed | dict[Part, Place]]] = {}

    def add(self, source_format: str, identity: tuple[str, ...] | None, part: Part, place: Place) -> None:
        """Add what one row says; without an identity the row is a call of its own."""
        known = ("", *place) if identity is None else (source_format, *identity)
        digest = blake2b(repr(known).encode(), digest_size=16).digest()
        before = self._found.get(digest)
        if before is None:
            self._found[digest] = (source_format, (part, place))
            return
        parts = before[1]
        if isinstance(parts, tuple):
            parts = {parts[0]: parts[1]}
            self._found[digest] = (source_format, parts)
        if part in parts:
            self._counts[place.file].duplicates += 1
        else:
            parts[part] = place

    def calls(self) -> Iterator[Call]:
        """Resolve every identity; count what became of each part. The order of the calls means nothing."""
        while self._found:
            _, (source_format, parts) = self._found.popitem()
            if isinstance(parts, tuple):
                yield self._call(source_format, parts, None)
            else:
                yield from self._resolve(source_format, list(parts.items()))

    def _resolve(self, source_format: str, parts: list[_Placed]) -> Iterator[Call]:
        usages: dict[str, list[_Placed]] = {}
        others: dict[int, list[_Placed]] = {PartKind.STATUS: [], PartKind.REST: []}
        for one in parts:
            if one[0].kind == PartKind.USAGE:
                usages.setdefault(one[0].call_id, []).append(one)
            else:
                others[one[0].kind].append(one)
        joined = others[PartKind.REST]
        if "" in usages and len(usages) > 1:
            unnamed = usages.pop("")
            named = list(usages.values())
            if all(part.tokens == NO_TOKENS for part, _ in unnamed):
                # Rows that name no request and counted nothing belong to the request that another row names.
                joined += unnamed
            elif len(named) == 1 and all(part.tokens == NO_TOKENS for part, _ in named[0]):
                # The one request that is named has its tokens in the rows that name none.
                named[0] += unnamed
            else:
                usages[""] = unnamed
        served = any(any(part.tokens) for group in usages.values() for part, _ in group)
        status, conflict = self._best_status(others[PartKind.STATUS], joined, served)
        if usages:
            joined += [status] if status is not None else []
            for group in usages.values():
                best, conflict_here = self._best_usage(group)
                if len(usages) == 1:
                    best = _filled(best, sorted(joined, key=lambda one: _order(one[0]), reverse=True))
                yield self._call(source_format, best, status, conflict or conflict_here)
        elif status is not None:
            yield self._call(source_format, status, None, conflict)
        else:
            joined.sort(key=lambda one: _order(one[0]))
            yield self._call(source_format, joined.pop(0), None)
        for _, place in joined:
            self._counts[place.file].joined += 1

    def _best_usage(self, group: list[_Placed]) -> tuple[_Placed, bool]:
        """Keep the row with usage, then the one with the largest completion; tell if rows with usage differ.

        Names that this row lacks come from the others: which row of a call has them is not fixed.
        """
        if len(group) == 1:
            return group[0], False
        group.sort(key=lambda one: _order(one[0]), reverse=True)
        for _, place in group[1:]:
            self._counts[place.file].duplicates += 1
        # A stream writes a row of zeros first; that is no contradiction.
        told = {part.tokens for part, _ in group if any(part.tokens)}
        return _filled(group[0], group[1:]), len(told) > 1

    def _best_status(self, group: list[_Placed], joined: list[_Placed], served: bool) -> tuple[_Placed | None, bool]:
        """Keep the row with a duration; tell if rows differ in more than the placeholder of a throttled call.

        Where usage was counted, one try was served: a row of that try goes before the refusal of another.
        """
        if len(group) <= 1:
            return (group[0] if group else None), False
        group.sort(key=lambda one: (served and one[0].status not in _REFUSED, _order(one[0])), reverse=True)
        best = group[0]
        conflict = False
        for part, place in group[1:]:
            real = best[0].duration_ms or best[0].status in _REFUSED
            if real and not part.duration_ms and part.status == 200 != best[0].status:
                # A throttled call is logged twice: an instant 200, and the real 429 with a duration.
                joined.append((part, place))
            else:
                self._counts[place.file].duplicates += 1
                conflict = conflict or part.status != best[0].status
        return best, conflict

    def _call(self, source_format: str, one: _Placed, status: _Placed | None, conflict: bool = False) -> Call:
        part, place = one
        facets, timestamp_us, code, duration_ms = part.facets, part.timestamp_us, part.status, part.duration_ms
        if status is not None:
            other = status[0]
            facets = facets.filled(other.facets)
            timestamp_us = other.timestamp_us if other.timestamp_us is not None else timestamp_us
            code, duration_ms = other.status, other.duration_ms
        # Counted by the service and refused by it: one of the two is wrong, and only the refusal costs nothing.
        conflict = conflict or (code in _REFUSED and any(part.tokens))
        quality = _quality(part, facets, code)
        counts = self._counts[place.file]
        counts.requests += 1
        counts.unmetered += quality == "missing"
        counts.conflicts += conflict
        latency_ms = duration_ms if duration_ms is not None and duration_ms >= 0 else None
        return Call(
            place,
            source_format,
            facets,
            timestamp_us,
            part.tokens,
            code,
            latency_ms,
            part.request_id,
            quality,
            part.quantities,
        )


def _filled(one: _Placed, others: list[_Placed]) -> _Placed:
    part, place = one
    facets = part.facets
    for other, _ in others:
        facets = facets.filled(other.facets)
    return (part if facets is part.facets else part._replace(facets=facets)), place


def _order(part: Part) -> tuple[Any, ...]:
    """Sort parts of one call: the one to keep comes last, and no two that differ are equal."""
    tokens = part.tokens
    return (
        # Of two rows without a duration the refusal is the real one: the other is the placeholder of a throttled call.
        bool(part.duration_ms) or part.status in _REFUSED,
        tokens != NO_TOKENS,
        -1 if tokens.completion_tokens is None else tokens.completion_tokens,
        -1 if tokens.prompt_tokens is None else tokens.prompt_tokens,
        part.timestamp_us or 0,
        repr(part),
    )


def _quality(part: Part, facets: Facets, status: int | None) -> str:
    """Tell whether a call is billed and its tokens known.

    Processed and refused by a filter or a timeout (400, 408) is billed; refused before (401, 403, 404, 429) is not; a
    failure of the service is billed only where usage was counted.
    """
    if status in _REFUSED:
        return "not_billed"
    if part.quantities:
        return "measured"
    tokens = part.tokens
    if tokens.prompt_tokens is not None or tokens.completion_tokens is not None:
        # Only embeddings have no output. Half a count is no count: the total must say that it is a lower bound.
        whole = tokens.prompt_tokens is not None and (
            tokens.completion_tokens is not None or facets.api == "embeddings"
        )
        if not whole:
            return "missing"
        return "estimated" if part.estimated else "measured"
    if status is not None and status >= 500:
        return "not_billed"
    asked = asks_a_model(facets.operation)
    if asked is None:
        asked = facets.operation is None or facets.model is not None or facets.deployment is not None
    return "missing" if asked else "not_billed"
