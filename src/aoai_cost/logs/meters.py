"""Sums that stand in rows by meter: put together, and of several views of the same time one is kept.

A metric may be exported by deployment and as a whole, by hour and by minute, in the older family and in the newer one.
Each meter of an identity's time counts once: in the view that tells most of it, and elsewhere only what that one lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .parts import NOT_A_TIME, Parts, Shared, some
from .schema import NO_TOKENS, FileCounts, Part, PartKind, RowError, Tokens

if TYPE_CHECKING:
    from .join import Calls

__all__ = ["LoggedHours", "Resolved", "Sum", "resolve_sums"]

_MINUTE_US = 60_000_000
_HOUR_US = 60 * _MINUTE_US
_TOTAL = len(Tokens._fields)
_PROMPT, _COMPLETION = (Tokens._fields.index(name) for name in ("prompt_tokens", "completion_tokens"))


class Sum(NamedTuple):
    """One sum made of rows of an identity."""

    part: Part
    first: int
    """The row that stands for it; rows are numbered as they were given."""
    joined: tuple[int, ...]
    """Rows of its other meters."""
    duplicates: tuple[int, ...]
    """Rows that tell the same again."""
    conflict: bool
    """Whether one of these told another number; the larger was kept."""


class Resolved(NamedTuple):
    """The sums of one identity, and what became of the rows that are in none of them."""

    sums: list[Sum]
    covered: list[int]
    """Rows whose time another row counts."""
    inside: list[int]
    """Totals whose parts are told."""
    silent: list[int]
    """Numbers of calls of which nobody tells what they used, or which sum they are in."""


def resolve_sums(parts: Sequence[Part]) -> Resolved:
    """Return the sums that the rows of one identity make; they do not depend on the order of the rows."""
    order = sorted(range(len(parts)), key=lambda i: _order(parts[i]), reverse=True)
    views: dict[tuple[int, int], list[int]] = {}
    calls: list[int] = []
    for i in order:
        if parts[i].kind == PartKind.CALLS:
            calls.append(i)
        else:
            views.setdefault((parts[i].rank, parts[i].span_s), []).append(i)
    taken, finer = _Taken(), _Finer(parts)
    sums: list[Sum] = []
    covered: list[int] = []
    best_first = [rows for _, rows in sorted(views.items(), reverse=True)]
    for rows in best_first:
        counts = [i for i in rows if parts[i].tokens != NO_TOKENS]
        kept = [i for i in counts if not taken.holds(_meter(parts[i]), parts[i]) and not finer.add_up_to_more(parts[i])]
        covered += sorted(set(counts).difference(kept))
        for i in kept:
            taken.add(_meter(parts[i]), parts[i])
        sums += _put_together(parts, kept)
    inside: list[int] = []
    for rows in best_first:
        totals = [i for i in rows if parts[i].tokens == NO_TOKENS]
        told = [i for i in totals if any(taken.holds(meter, parts[i]) for meter in (_PROMPT, _COMPLETION))]
        # A total whose parts nobody tells is usage of unknown tokens.
        alone = sorted(set(totals).difference(told))
        kept = [i for i in alone if not taken.holds(_TOTAL, parts[i])]
        covered += sorted(set(alone).difference(kept))
        for i in kept:
            taken.add(_TOTAL, parts[i])
        sums += [Sum(parts[i], i, (), (), False) for i in kept]
        inside += told
    sums, more, silent = _with_calls(parts, sums, calls)
    return Resolved(sums, covered + more, inside, silent)


def _with_calls(
    parts: Sequence[Part], sums: Sequence[Sum], calls: Sequence[int]
) -> tuple[list[Sum], list[int], list[int]]:
    """Return the sums with how many calls they stand for, the rows that tell it again, and those of no one sum.

    A sum has the calls of the one view that tells most of them; nothing is divided, so that points which may be of
    several sums tell the calls of none of these.
    """
    of_time: dict[tuple[int | None, int], dict[str | None, list[int]]] = {}
    for number, sum_ in enumerate(sums):
        names = of_time.setdefault((sum_.part.timestamp_us, sum_.part.span_s), {})
        names.setdefault(_deployment(sum_.part), []).append(number)
    fitting: list[dict[_View, list[int]]] = [{} for _ in sums]
    unsure: list[set[_View]] = [set() for _ in sums]
    seen, covered, silent = set(), [], []
    for i in calls:
        one = parts[i]
        if (one.rank, one.call_id, one.timestamp_us, one.span_s) in seen:
            covered.append(i)  # exported again; the larger number came first
            continue
        seen.add((one.rank, one.call_id, one.timestamp_us, one.span_s))
        named = of_time.get((one.timestamp_us, one.span_s), {})
        # A sum that names no deployment may hold the calls of any, and one that does only its own.
        near = {*named.get(None, ()), *named.get(_deployment(one), ())}
        found = [number for number in near if _agree(one, sums[number].part)]
        view = (one.rank, one.request_id)
        for number in found:
            if len(found) > 1:
                unsure[number].add(view)
            else:
                fitting[number].setdefault(view, []).append(i)
        if len(found) != 1:
            silent.append(i)
    made = []
    for sum_, views, spoiled in zip(sums, fitting, unsure, strict=True):
        silent += [i for view in spoiled for i in views.pop(view, ())]
        if views:
            told = views.pop(max(views, key=lambda view: (view[0], view[1] or "")))
            n_calls = sum(parts[i].requests or 0 for i in told)
            sum_ = sum_._replace(part=sum_.part._replace(requests=n_calls), joined=(*sum_.joined, *told))
            covered += [i for rows in views.values() for i in rows]
        made.append(sum_)
    return made, covered, silent


_View = tuple[int, str | None]
"""A way to tell numbers of calls apart: its rank, and which dimensions it has."""


def _deployment(part: Part) -> str | None:
    return None if part.facets.deployment is None else part.facets.deployment.lower()


def _agree(calls: Part, sum_: Part) -> bool:
    one, other = calls.facets, sum_.facets
    names = ((one.model, other.model), (one.version, other.version), (one.region, other.region))
    return all(mine is None or theirs is None or mine == theirs for mine, theirs in names)


class _Taken:
    """The times of deployments whose meters count already."""

    def __init__(self) -> None:
        self._times: set[tuple[int, str | None, object]] = set()

    def add(self, meter: int, part: Part) -> None:
        # None stands for whatever deployment.
        for name in ((part.facets.deployment or "").lower(), None):
            self._times.update((meter, name, time) for time in _times(part))

    def holds(self, meter: int, part: Part) -> bool:
        # A sum that names no deployment may hold those of any.
        deployment = part.facets.deployment
        names = (None,) if deployment is None else (deployment.lower(), "")
        return any((meter, name, time) in self._times for name in names for time in _times(part))


class _Finer:
    """The points inside longer ones: a day that was exported before it was over holds less than its hours do later."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._spans: dict[tuple[int, str, int], dict[int, dict[int, int]]] = {}
        for part in parts:
            if part.span_s and part.tokens != NO_TOKENS:
                points = self._spans.setdefault(self._series(part), {}).setdefault(part.span_s, {})
                time = _times(part)[0]
                points[time] = max(points.get(time, 0), _count(part))

    def add_up_to_more(self, part: Part) -> bool:
        """Tell whether the points of a shorter interval, of the same series and meter, hold more than a longer one."""
        spans = self._spans.get(self._series(part), {})
        return any(
            sum(points.get(time, 0) for time in _times(part)) > _count(part)
            for span_s, points in spans.items()
            if span_s < part.span_s
        )

    @staticmethod
    def _series(part: Part) -> tuple[int, str, int]:
        return part.rank, part.call_id, _meter(part)


def _put_together(parts: Sequence[Part], rows: Sequence[int]) -> list[Sum]:
    made: dict[tuple[str, int], list[dict[int, int]]] = {}
    again: dict[tuple[str, int], list[tuple[int, bool]]] = {}
    for i in rows:
        one = parts[i]
        meter = _meter(one)
        key = (one.call_id, one.timestamp_us or 0)
        sums = made.setdefault(key, [])
        place = next((of for of in sums if meter not in of), None)
        same = [of for of in sums if meter in of]
        if same and (one.request_id is None or any(parts[of[meter]].request_id == one.request_id for of in same)):
            # A point that was exported before it was complete comes again, larger.
            again.setdefault(key, []).append((i, all(parts[of[meter]].tokens != one.tokens for of in same)))
        elif place is not None:
            place[meter] = i
        else:
            sums.append({meter: i})
    found = []
    for key, sums in made.items():
        for number, of in enumerate(sums):
            copies = again.get(key, []) if number == 0 else []
            part, fits = _added([parts[i] for i in of.values()])
            first, *others = of.values()
            conflict = not fits or any(differs for _, differs in copies)
            found.append(Sum(part, first, tuple(others), tuple(i for i, _ in copies), conflict))
    return found


def _added(parts: Sequence[Part]) -> tuple[Part, bool]:
    """Return one part with the counts of all, and whether they go together."""
    counts: dict[str, int] = {}
    facets = parts[0].facets
    for part in parts:
        facets = facets.filled(part.facets)
        counts |= {name: value for name, value in part.tokens._asdict().items() if value is not None}
    if counts.get("prompt_tokens") == 0:
        # Nothing was asked, so nothing was answered.
        counts.setdefault("completion_tokens", 0)
    fits = True
    try:
        tokens = Tokens(**counts).checked()
    except RowError:
        # Parts that exceed their total: the totals are kept, and price as if nothing had been cached.
        fits = False
        tokens = Tokens(counts.get("prompt_tokens"), completion_tokens=counts.get("completion_tokens"))
    calls = [part.requests for part in parts if part.requests is not None]
    return parts[0]._replace(facets=facets, tokens=tokens, requests=max(calls) if calls else None), fits


class LoggedHours:
    """The hours of each deployment whose calls were logged one by one: its metrics count these calls again."""

    def __init__(self, shared: Shared, counts: list[FileCounts]) -> None:
        self._shared, self._counts = shared, counts
        self._hours: set[tuple[str, str | None, int]] = set()

    def learn(self, calls: Calls) -> None:
        """Keep the hours of calls whose tokens are known."""
        rows = calls.rows[calls.rows["tokens"].any(axis=1) & (calls.rows["timestamp_us"] != NOT_A_TIME)]
        keys = np.unique(rows["facets"].astype(np.int64) << 32 | rows["timestamp_us"] // _HOUR_US)
        for key in keys.tolist():
            facets, hour = self._shared.facets.all[key >> 32], key & 0xFFFF_FFFF
            if facets.resource is not None:
                # None stands for whatever deployment.
                self._hours |= {
                    (facets.resource, (facets.deployment or "").lower(), hour),
                    (facets.resource, None, hour),
                }

    def spans(self) -> list[tuple[str, str, int, int]]:
        """Return what was learnt as (resource, deployment, first hour, last hour) of hours without a gap."""
        found: list[tuple[str, str, int, int]] = []
        for resource, deployment, hour in sorted((a, b, hour) for a, b, hour in self._hours if b is not None):
            if found and found[-1][:2] == (resource, deployment) and found[-1][3] == hour - 1:
                found[-1] = (*found[-1][:3], hour)
            else:
                found.append((resource, deployment, hour, hour))
        return found

    def learn_spans(self, spans: Iterable[tuple[str, str, int, int]]) -> None:
        """Take what others learnt."""
        for resource, deployment, first, last in spans:
            for hour in range(first, last + 1):
                self._hours |= {(resource, deployment, hour), (resource, None, hour)}

    def left_of(self, parts: Parts) -> Parts:
        """Return the rows of meters without those that sum a time whose calls were logged; these are duplicates."""
        keep = np.array([not self._is_logged(row) for row in parts], bool)
        for section in parts["section"][~keep].tolist():
            self._counts[section].duplicates += 1
        return some(parts, keep)

    def _is_logged(self, row: np.void) -> bool:
        facets = self._shared.facets.all[row["facets"]]
        if facets.resource is None or not self._hours:
            return False
        first = int(row["timestamp_us"])
        hours = range(first // _HOUR_US, (first + max(int(row["span_s"]) * 1_000_000, 1) - 1) // _HOUR_US + 1)
        # A log may know an account by its name alone, and a call without its deployment may be of any.
        names = (facets.resource, facets.resource.rpartition("/")[2])
        deployments = (None,) if facets.deployment is None else (facets.deployment.lower(), "")
        return any((name, one, hour) in self._hours for name in names for one in deployments for hour in hours)


def _meter(part: Part) -> int:
    """Return the number of the one count that a row tells."""
    return next(i for i, value in enumerate(part.tokens) if value is not None)


def _count(part: Part) -> int:
    return part.tokens[_meter(part)] or 0


def _times(part: Part) -> Sequence[Any]:
    """Return what a row covers: its minutes, or its sum where that is a moment."""
    first = (part.timestamp_us or 0) // _MINUTE_US
    return range(first, first + part.span_s // 60) if part.span_s else ((part.call_id, part.timestamp_us),)


def _order(part: Part) -> tuple[object, ...]:
    calls = -1 if part.requests is None else part.requests
    return (calls, tuple(-1 if value is None else value for value in part.tokens), repr(part))
