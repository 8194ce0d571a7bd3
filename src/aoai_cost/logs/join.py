"""Joining and deduplicating: all rows of one call become one call, before anything is summed.

Rows of one identity are resolved by what they say, never by the order in which they came, so any split of a log gives
the same calls. Most calls stand in one row, or in one with tokens and one with a status; these are resolved all at once
and the others one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .meters import resolve_sums
from .operations import asks_a_model
from .parts import NOT_A_TIME, PART, Parts, Shared, part_of, some, together, words
from .schema import NO_TOKENS, QUALITIES, Facets, FileCounts, Part, PartKind, Tokens

__all__ = ["Calls", "Joiner", "copies_in"]

_REFUSED = (401, 403, 404, 429)
_PROMPT, _COMPLETION = (1 << Tokens._fields.index(name) for name in ("prompt_tokens", "completion_tokens"))
_ODD = np.random.default_rng(1).integers(0, 1 << 63, PART.itemsize // 8, np.uint64) * np.uint64(2) + np.uint64(1)
"""Factors that mix the numbers of a record into one."""
_MISSING, _NOT_BILLED = (QUALITIES.index(name) for name in ("missing", "not_billed"))


class Calls(NamedTuple):
    """Calls, each the record of its row with tokens, with what its other rows say filled in."""

    rows: Parts
    quality: npt.NDArray[np.uint8]
    """Numbers of `QUALITIES`."""
    conflicts: npt.NDArray[np.bool_]
    """Whether the rows of a call contradict each other."""

    def some(self, which: slice | npt.NDArray[np.bool_]) -> Calls:
        """Return some of the calls."""
        return Calls(
            self.rows[which] if isinstance(which, slice) else some(self.rows, which),
            self.quality[which],
            self.conflicts[which],
        )


class _Placed(NamedTuple):
    """One row of a call that is resolved by itself, and its place in the array."""

    part: Part
    row: int


def copies_in(parts: Parts, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return which of these rows say the same as another of them that stands before it, in whatever format.

    What is not found here, such as one of two ways to write a number, is found one by one.
    """
    if not len(rows):
        return rows
    place = np.lexsort([parts[name][rows] for name in ("record", "line", "section")])
    rows = rows[place]
    said = some(parts, rows)
    for name in ("section", "line", "record", "text", "source"):
        said[name] = 0
    numbers = words(said)
    mixed = (numbers * _ODD).sum(axis=1, dtype=np.uint64)
    order = np.argsort(mixed, kind="stable")
    before, after = order[:-1], order[1:]
    same = np.flatnonzero(mixed[before] == mixed[after])
    # Equal sums are equal rows but for a chance of one in 2**64, which is not left to chance.
    same = same[(numbers[before[same]] == numbers[after[same]]).all(axis=1)]
    copies: npt.NDArray[np.int64] = rows[after[same]]
    return copies


class Joiner:
    """Resolves records, array by array; counts in `counts` what became of the rows of each section.

    Rows that make a call are counted only by `count`, once it is known that the call is asked for.

    `given` has the deployment and the resource of each format's calls that no row of them names.
    """

    def __init__(
        self, shared: Shared, counts: list[FileCounts], given: Sequence[tuple[str | None, str | None]]
    ) -> None:
        self._shared, self._counts, self._given = shared, counts, given
        self._asked = np.empty(0, np.int8)
        self._embeds = np.empty(0, bool)
        self._filled: dict[tuple[int, int], int] = {}

    def resolve(self, parts: Parts) -> Calls:
        """Return the calls in an array that holds all rows of each of them."""
        order, starts = _by_digest(parts)
        sizes = np.diff(np.append(starts, len(parts)))
        first = order[starts]
        is_meter = np.isin(parts["kind"][first], PartKind.OF_SUMS)
        alone = first[(sizes == 1) & ~is_meter]
        two = starts[sizes == 2]
        usage, status = order[two], order[two + 1]
        kind = parts["kind"]
        swapped = kind[usage] == PartKind.STATUS
        usage, status = np.where(swapped, status, usage), np.where(swapped, usage, status)
        joined = (kind[usage] == PartKind.USAGE) & (kind[status] == PartKind.STATUS) & (parts["call"][usage] == 0)
        hard = np.ones(len(starts), bool)
        hard[(sizes == 1) & ~is_meter] = False
        hard[np.flatnonzero(sizes == 2)[joined]] = False
        copies = copies_in(parts, order[np.repeat(hard, sizes)])
        if len(copies):
            # A log that was exported twice has nothing else, and without its copies most calls are easy.
            self._count_again(some(parts, copies))
            return self.resolve(some(parts, np.delete(np.arange(len(parts)), copies)))
        pairs = self._join(parts, usage[joined], status[joined])
        singly = [some(parts, alone), pairs]
        conflicts = np.zeros(len(alone) + len(pairs), bool)
        if hard.any():
            rows, more = self._one_by_one(parts, order, starts[hard], sizes[hard])
            singly.append(rows)
            conflicts = np.concatenate([conflicts, more])
        rows = together(singly)
        self._give_names(rows)
        return self._judged(rows, conflicts)

    def _give_names(self, rows: Parts) -> None:
        facets = self._shared.facets
        for source, names in enumerate(self._given):
            of_source = rows["source"] == source
            if names == (None, None) or not of_source.any():
                continue
            found, which = np.unique(rows["facets"][of_source], return_inverse=True)
            named = [facets.number(facets.all[one].with_given(*names)) for one in found.tolist()]
            rows["facets"][of_source] = np.array(named, np.int32)[which]

    def _join(self, parts: Parts, usage: npt.NDArray[np.int64], status: npt.NDArray[np.int64]) -> Parts:
        rows, facets = some(parts, usage), parts["facets"]
        pairs, which = np.unique(
            facets[usage].astype(np.int64) << 32 | facets[status].astype(np.int64), return_inverse=True
        )
        filled = [self._filled_number(pair >> 32, pair & 0xFFFF_FFFF) for pair in pairs.tolist()]
        rows["facets"] = np.array(filled, np.int32)[which]
        times = parts["timestamp_us"][status]
        rows["timestamp_us"] = np.where(times != NOT_A_TIME, times, rows["timestamp_us"])
        rows["status"], rows["duration_ms"] = parts["status"][status], parts["duration_ms"][status]
        self._count("joined", parts["section"][status])
        return rows

    def _filled_number(self, one: int, other: int) -> int:
        found = self._filled.get((one, other))
        if found is None:
            facets = self._shared.facets
            found = self._filled[one, other] = facets.number(facets.all[one].filled(facets.all[other]))
        return found

    def _judged(self, rows: Parts, conflicts: npt.NDArray[np.bool_]) -> Calls:
        """Tell of each call whether it is billed and its tokens known.

        Processed and refused by a filter or a timeout (400, 408) is billed; refused before (401, 403, 404, 429) is not;
        a failure of the service is billed only where usage was counted.
        """
        new = self._shared.facets.all[len(self._asked) :]
        self._asked = np.append(self._asked, np.array([_asked(facets) for facets in new], np.int8))
        self._embeds = np.append(self._embeds, np.array([facets.api == "embeddings" for facets in new], bool))
        status, known = rows["status"], rows["known"]
        refused = np.isin(status, _REFUSED)
        prompt, completion = known & _PROMPT != 0, known & _COMPLETION != 0
        # Only embeddings have no output. Half a count is no count: the total must say that it is a lower bound.
        whole = prompt & (completion | self._embeds[rows["facets"]])
        quality = np.where(self._asked[rows["facets"]] != 0, _MISSING, _NOT_BILLED)
        quality[status >= 500] = _NOT_BILLED
        quality[prompt | completion] = _MISSING
        counted = whole | (rows["quantities"] != 0)
        quality[counted] = rows["quality"][counted]
        quality[refused | (rows["quality"] == _NOT_BILLED)] = _NOT_BILLED
        # Counted by the service and refused by it: one of the two is wrong, and only the refusal costs nothing.
        conflicts = conflicts | (refused & rows["tokens"].any(axis=1))
        rows["duration_ms"] = np.where(rows["duration_ms"] < 0, np.nan, rows["duration_ms"])
        return Calls(rows, quality.astype(np.uint8), conflicts)

    def count(self, calls: Calls) -> None:
        """Count the calls, each in the section of its row."""
        sections = calls.rows["section"]
        self._count("requests", sections)
        self._count("unmetered", sections[calls.quality == _MISSING])
        self._count("conflicts", sections[calls.conflicts])

    def _count(self, what: str, sections: npt.NDArray[np.uint32]) -> None:
        for number, found in enumerate(np.bincount(sections.astype(np.int64)).tolist()):
            if found:
                counts = self._counts[number]
                setattr(counts, what, getattr(counts, what) + found)

    def _count_again(self, copies: Parts) -> None:
        # Pieces of a stream without a number are equal and no copies of each other.
        kind = copies["kind"]
        pieces = (kind == PartKind.SO_FAR) | ((kind == PartKind.REST) & (copies["call"] == 0))
        self._count("joined", copies["section"][pieces])
        self._count("duplicates", copies["section"][~pieces])

    def _one_by_one(
        self, parts: Parts, order: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> tuple[Parts, npt.NDArray[np.bool_]]:
        made: list[Any] = []
        conflicts: list[bool] = []
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
            members = order[start : start + size].tolist()
            members.sort(key=lambda row: (parts["section"][row], parts["line"][row], parts["record"][row]))
            distinct: dict[Part, int] = {}
            for row in members:
                part = part_of(parts[row], self._shared)
                if distinct.setdefault(part, row) != row:
                    self._count_again(parts[row : row + 1])
            if parts["kind"][members[0]] in PartKind.OF_SUMS:
                for sum_row, conflict in self._sums_of(parts, distinct):
                    made.append(sum_row)
                    conflicts.append(conflict)
                continue
            call = _Resolution(parts, self._counts)
            for one, status, conflict in call.resolve([_Placed(part, row) for part, row in distinct.items()]):
                made.append(self._record(parts, one, status))
                conflicts.append(conflict)
        return np.array(made, parts.dtype), np.array(conflicts, bool)

    def _sums_of(self, parts: Parts, distinct: dict[Part, int]) -> Iterator[tuple[Any, bool]]:
        """Yield the record of each sum that rows of meters make, and whether they contradict each other."""
        rows = list(distinct.values())
        resolved = resolve_sums(list(distinct))
        for i in resolved.covered:
            self._counts[parts["section"][rows[i]]].duplicates += 1
        for i in resolved.inside:
            self._counts[parts["section"][rows[i]]].joined += 1
        for i in resolved.silent:
            self._counts[parts["section"][rows[i]]].ignored += 1
        for one in resolved.sums:
            for i in one.joined:
                self._counts[parts["section"][rows[i]]].joined += 1
            for i in one.duplicates:
                self._counts[parts["section"][rows[i]]].duplicates += 1
            row = parts[rows[one.first] : rows[one.first] + 1].copy()
            row["facets"] = self._shared.facets.number(one.part.facets)
            row["tokens"] = [value or 0 for value in one.part.tokens]
            row["known"] = sum((value is not None) << i for i, value in enumerate(one.part.tokens))
            row["requests"] = -1 if one.part.requests is None else one.part.requests
            yield row[0], one.conflict

    def _record(self, parts: Parts, one: _Placed, status: _Placed | None) -> Any:
        row = parts[one.row : one.row + 1].copy()
        facets = one.part.facets
        if status is not None:
            other = status.part
            facets = facets.filled(other.facets)
            if other.timestamp_us is not None:
                row["timestamp_us"] = other.timestamp_us
            row["status"] = other.status or 0
            row["duration_ms"] = np.nan if other.duration_ms is None else other.duration_ms
        row["facets"] = self._shared.facets.number(facets)
        return row[0]


class _Resolution:
    """Resolves the distinct rows of one identity."""

    def __init__(self, parts: Parts, counts: list[FileCounts]) -> None:
        self._parts, self._counts = parts, counts

    def _counts_of(self, one: _Placed) -> FileCounts:
        return self._counts[int(self._parts["section"][one.row])]

    def resolve(self, parts: Sequence[_Placed]) -> list[tuple[_Placed, _Placed | None, bool]]:
        """Return (row with the tokens, row with the status, whether rows contradict each other) of each call."""
        if len(parts) == 1:
            return [(parts[0], None, False)]
        usages: dict[str, list[_Placed]] = {}
        others: dict[int, list[_Placed]] = {PartKind.STATUS: [], PartKind.REST: []}
        for one in parts:
            if one.part.kind in (PartKind.USAGE, PartKind.SO_FAR):
                usages.setdefault(one.part.call_id, []).append(one)
            else:
                others[one.part.kind].append(one)
        joined = others[PartKind.REST]
        if "" in usages and len(usages) > 1:
            unnamed = usages.pop("")
            named = list(usages.values())
            if all(part.tokens == NO_TOKENS for part, _ in unnamed):
                # Rows that name no request and counted nothing belong to the request that another row names.
                joined += unnamed
            elif len(named) == 1 and (
                all(part.tokens == NO_TOKENS for part, _ in named[0]) or _totals(named[0]) == _totals(unnamed)
            ):
                # The one request that is named has its tokens in the rows that name none, or in both alike.
                named[0] += unnamed
            else:
                usages[""] = unnamed
        served = any(any(part.tokens) for group in usages.values() for part, _ in group)
        status, conflict = self._best_status(others[PartKind.STATUS], joined, served)
        calls: list[tuple[_Placed, _Placed | None, bool]] = []
        if usages:
            # Rows that name no request speak for all requests only if they agree.
            agreed = len(usages) == 1 or len({part.facets for part, _ in joined}) == 1
            joined += [status] if status is not None else []
            for group in usages.values():
                best, conflict_here = self._best_usage(group)
                if agreed:
                    best = _filled(best, sorted(joined, key=lambda one: _order(one.part), reverse=True))
                calls.append((best, status, conflict or conflict_here))
        elif status is not None:
            calls.append((status, None, conflict))
        else:
            joined.sort(key=lambda one: _order(one.part))
            calls.append((joined.pop(0), None, False))
        for one in joined:
            self._counts_of(one).joined += 1
        return calls

    def _best_usage(self, group: list[_Placed]) -> tuple[_Placed, bool]:
        """Keep the row with usage, then the one with the largest completion; tell if rows with usage differ.

        Names that this row lacks come from the others: which row of a call has them is not fixed.
        """
        if len(group) == 1:
            return group[0], False
        group.sort(key=lambda one: _order(one.part), reverse=True)
        for one in group[1:]:
            if one.part.kind == PartKind.SO_FAR:
                self._counts_of(one).joined += 1
            else:
                self._counts_of(one).duplicates += 1
        # A stream writes a row of zeros first; that is no contradiction, nor is a count that only one row tells.
        told = [part.tokens for part, _ in group if part.kind == PartKind.USAGE and any(part.tokens)]
        conflict = any(len({count for count in counts if count is not None}) > 1 for counts in zip(*told, strict=True))
        return _filled(group[0], group[1:]), conflict

    def _best_status(self, group: list[_Placed], joined: list[_Placed], served: bool) -> tuple[_Placed | None, bool]:
        """Keep the row with a duration; tell if rows differ in more than the placeholder of a throttled call.

        Where usage was counted, one try was served: a row of that try goes before the refusal of another.
        """
        if len(group) <= 1:
            return (group[0] if group else None), False
        group.sort(key=lambda one: (served and one.part.status not in _REFUSED, _order(one.part)), reverse=True)
        best = group[0].part
        conflict = False
        for one in group[1:]:
            real = best.duration_ms or best.status in _REFUSED
            if real and not one.part.duration_ms and one.part.status == 200 != best.status:
                # A throttled call is logged twice: an instant 200, and the real 429 with a duration.
                joined.append(one)
            else:
                self._counts_of(one).duplicates += 1
                conflict = conflict or one.part.status != best.status
        return group[0], conflict


def _by_digest(parts: Parts) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the order in which rows of one digest stand together, and where each digest begins in it."""
    high, low = parts["digest"][:, 0], parts["digest"][:, 1]
    order = np.argsort(high, kind="stable")
    sorted_high, sorted_low = high[order], low[order]
    same_high = sorted_high[1:] == sorted_high[:-1]
    if (same_high & (sorted_low[1:] != sorted_low[:-1])).any():
        order = np.lexsort((low, high))
        sorted_high, sorted_low = high[order], low[order]
        same_high = sorted_high[1:] == sorted_high[:-1]
    new = ~(same_high & (sorted_low[1:] == sorted_low[:-1]))
    return order, np.flatnonzero(np.concatenate([[True], new])) if len(parts) else np.empty(0, np.int64)


def _filled(one: _Placed, others: Sequence[_Placed]) -> _Placed:
    facets = one.part.facets
    for other in others:
        facets = facets.filled(other.part.facets)
    return one if facets is one.part.facets else _Placed(one.part._replace(facets=facets), one.row)


def _totals(group: Sequence[_Placed]) -> set[tuple[int, int]]:
    return {(part.tokens.prompt_tokens or 0, part.tokens.completion_tokens or 0) for part, _ in group}


def _order(part: Part) -> tuple[Any, ...]:
    """Sort parts of one call: the one to keep comes last, and no two that differ are equal."""
    tokens = part.tokens
    return (
        # Of two rows without a duration the refusal is the real one: the other is the placeholder of a throttled call.
        bool(part.duration_ms) or part.status in _REFUSED,
        tokens != NO_TOKENS,
        -1 if tokens.completion_tokens is None else tokens.completion_tokens,
        -1 if tokens.prompt_tokens is None else tokens.prompt_tokens,
        sum(count is not None for count in tokens),
        part.timestamp_us or 0,
        repr(part),
    )


def _asked(facets: Facets) -> bool:
    """Tell whether a model was asked, as far as the names in a row tell."""
    asked = asks_a_model(facets.operation)
    if asked is None:
        asked = facets.operation is None or facets.model is not None or facets.deployment is not None
    return asked
