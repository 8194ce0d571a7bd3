"""One source for each resource and hour: calls that several kinds of log saw are counted in one of them.

No id joins a gateway's record of a call, or a client's, to the account's: the CorrelationId of API Management is not
the account's correlationId. So calls cannot be matched one by one, but the resource and the hour can: where several
sources saw calls of one resource in one hour, the primary source counts, and the others show how far they agree with
it. Who is primary follows from sums, never from the order of rows or files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .parts import NOT_A_TIME, Parts, Shared

__all__ = ["HOUR_US", "Choice", "Comparison", "Seen", "compete"]

HOUR_US = 3_600_000_000

_NEAREST = (
    "azure-monitor",  # the account itself, with the cached tokens
    "apim-llm-log",  # the gateway before it, a row per call
    "ai-hub-gateway",
    "litellm",  # proxies of others
    "helicone",
    "openai-response",  # bodies of answers, whoever kept them
    "client-log",  # who asked
    "otel-genai",
    "langfuse",
    "promptflow",
)
"""Sources of calls by their distance from the meter, for those that tell equally many; any other is farther away.

First what the service counts, then what a gateway reads in its answer, then what a client reports of it.
"""

_HALVES = {"app-insights": "ai-hub-gateway"}
"""Sources that are two halves of one: the AI hub gateway records calls without streams itself and emits those with
streams as metrics, so that both are needed and do not overlap. Metrics that a gateway emits for all its calls stand
alone or beside its other logs, and give way to these."""

_APART = frozenset(("azure-batch",))
"""Formats whose calls no other source sees: the service reads the lines of a batch from a file, so that no client sends
them one by one and no gateway passes them on."""

_GIVE_WAY = "azure-metrics"
"""Sums of what the account counted, which give way to logged calls by deployment: see `LoggedHours`."""

_OF_DAYS = "openai-usage-page"
"""Sums over hours or days of an organization, of no resource: not to be matched with anything."""

# A call that begins in one hour and ends in the next is dated into the one by some logs and into the other by others,
# so that sources of the same calls differ a little by the hour: these are equal.
_EQUAL_PERCENT = 99


class Seen(NamedTuple):
    """What formats saw, in arrays of one length: sums by time, format and facets."""

    times: npt.NDArray[np.int64]
    """Hours since 1970 and one, 0 for none; days where no two sources compete."""
    sources: npt.NDArray[np.int64]
    facets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    """Shape (n, 4): calls whose tokens are known, calls, prompt tokens, completion tokens."""


class Comparison(NamedTuple):
    """What a source that gave way saw of a resource, and what the primary source saw in the same hours."""

    resource: str
    source: str
    primary: str
    hours: int
    calls: int
    primary_calls: int
    prompt_tokens: int
    primary_prompt_tokens: int
    completion_tokens: int
    primary_completion_tokens: int
    only_deployments: tuple[str, ...] = ()
    """Deployments that the primary source does not name there: calls of these may not be the same."""


class Choice:
    """Which sources count where, and how the others compare.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One for each resource, source that gave way, and source that it gave way to.
    unmatched : tuple of str
        The sources that may have seen the same calls, where rows lack the resource or the time that would tell; all of
        these are counted.
    """

    def __init__(self, shared: Shared, seen: Seen) -> None:
        self._names, self._of_source = _witnesses(shared)
        self._accounts = _Accounts(shared)
        self._gave_way = np.empty(0, np.int64)
        self.comparisons: tuple[Comparison, ...] = ()
        shown = self._shown(shared, seen)
        slots = self._slots(seen.times, seen.sources, seen.facets)
        self.unmatched = self._unmatched(shared, seen, slots >= 0, shown)
        matched = slots >= 0
        found, which = np.unique(slots[matched], return_inverse=True)
        counts = np.zeros((len(found), seen.counts.shape[1]), np.int64)
        np.add.at(counts, which, seen.counts[matched])
        self._choose(found, counts, shown, _Deployments(shared, which, seen.facets[matched]))

    def gave_way(
        self, times: npt.NDArray[np.int64], sources: npt.NDArray[np.int64], facets: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Tell what another source counts, by time, format and facets."""
        return np.isin(self._slots(times, sources, facets), self._gave_way)

    def calls_that_gave_way(self, rows: Parts) -> npt.NDArray[np.bool_]:
        """Tell the calls that another source counts."""
        if not len(self._gave_way):
            return np.zeros(len(rows), bool)
        hours = np.where(rows["timestamp_us"] != NOT_A_TIME, rows["timestamp_us"] // HOUR_US + 1, 0)
        return self.gave_way(hours, rows["source"].astype(np.int64), rows["facets"].astype(np.int64))

    def _slots(
        self, times: npt.NDArray[np.int64], sources: npt.NDArray[np.int64], facets: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        """Return hour, account and witness in one number; negative where one of the three is unknown."""
        accounts, witnesses = self._accounts.of(facets), self._of_source[sources]
        slots = (times * len(self._accounts.names) + accounts) * len(self._names) + witnesses
        return np.where((times > 0) & (accounts >= 0) & (witnesses >= 0), slots, -1)

    def _choose(
        self,
        slots: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        shown: list[str],
        deployments: _Deployments,
    ) -> None:
        places, starts, sizes = np.unique(slots // len(self._names), return_index=True, return_counts=True)
        gave_way: list[int] = []
        sums: dict[tuple[str, str, str], list[int]] = {}
        named: dict[tuple[str, str, str], tuple[set[str | None], set[str | None]]] = {}
        several = sizes > 1
        for place, start, size in zip(
            places[several].tolist(), starts[several].tolist(), sizes[several].tolist(), strict=True
        ):
            account = self._accounts.names[place % len(self._accounts.names)]
            # The slots of a place stand in the order of the witnesses, the nearest to the meter first.
            rows = range(start, start + size)
            most = int(counts[start : start + size, 0].max())
            primary = next(row for row in rows if counts[row, 0] * 100 >= most * _EQUAL_PERCENT)
            name = shown[slots[primary] % len(self._names)]
            for row in rows:
                if row != primary:
                    gave_way.append(int(slots[row]))
                    told = (1, *np.column_stack([counts[row, 1:], counts[primary, 1:]]).ravel().tolist())
                    key = (account, shown[slots[row] % len(self._names)], name)
                    sums[key] = [a + b for a, b in zip(sums.get(key, [0] * len(told)), told, strict=True)]
                    for names, of in zip(named.setdefault(key, (set(), set())), (row, primary), strict=True):
                        names |= deployments.of(of)
        self._gave_way = np.array(sorted(gave_way), np.int64)
        self.comparisons = tuple(Comparison._make((*key, *sums[key], _only(*named[key]))) for key in sorted(sums))

    def _shown(self, shared: Shared, seen: Seen) -> list[str]:
        """Return the names of the witnesses by what was read of them."""
        families: list[set[str]] = [set() for _ in self._names]
        for source in np.unique(seen.sources).tolist():
            if self._of_source[source] >= 0:
                families[self._of_source[source]].add(shared.families[source])
        return [" + ".join(sorted(one)) for one in families]

    def _unmatched(
        self, shared: Shared, seen: Seen, matched: npt.NDArray[np.bool_], shown: list[str]
    ) -> tuple[str, ...]:
        present = {shared.formats[source] for source in np.unique(seen.sources).tolist()}
        sums = {name for name in (_GIVE_WAY, _OF_DAYS) if name in present}
        witnesses = self._of_source[seen.sources]
        everyone = {shown[one] for one in np.unique(witnesses[witnesses >= 0]).tolist()}
        if not everyone or len(everyone | sums) == 1:
            return ()
        unknown = ~matched & (witnesses >= 0)
        # Without a time it may be any hour.
        if (unknown & (seen.times <= 0)).any() or _OF_DAYS in sums:
            return tuple(sorted(everyone | sums))
        at: dict[int, set[str]] = {}
        for slot in np.unique((seen.times * len(shown) + witnesses)[witnesses >= 0]).tolist():
            at.setdefault(slot // len(shown), set(sums)).add(shown[slot % len(shown)])
        found = [at[time] for time in np.unique(seen.times[unknown]).tolist()]
        return tuple(sorted(set().union(*(here for here in found if len(here) > 1))))


def compete(shared: Shared, sources: Iterable[int]) -> bool:
    """Tell whether two of these formats, by their numbers, may have seen the same calls."""
    _, of_source = _witnesses(shared)
    return len({int(of_source[source]) for source in sources} - {-1}) > 1


class _Deployments:
    """The deployments that stand in each slot, in lower case; None where a row names none."""

    def __init__(self, shared: Shared, slots: npt.NDArray[np.int64], facets: npt.NDArray[np.int64]) -> None:
        of_facets = [one.deployment.lower() if one.deployment is not None else None for one in shared.facets.all]
        self._names = list(dict.fromkeys(of_facets))
        numbers = {name: i for i, name in enumerate(self._names)}
        self._pairs = np.unique(slots * len(numbers) + np.array([numbers[one] for one in of_facets], np.int64)[facets])

    def of(self, slot: int) -> set[str | None]:
        n = len(self._names)
        start, end = np.searchsorted(self._pairs, [slot * n, (slot + 1) * n])
        return {self._names[pair % n] for pair in self._pairs[start:end].tolist()}


def _only(names: set[str | None], primary: set[str | None]) -> tuple[str, ...]:
    """Return the deployments that the primary source lacks, if it names those of all its calls."""
    return () if None in primary else tuple(sorted(name for name in names - primary if name is not None))


class _Accounts:
    """The accounts that facets name, by numbers: an ARM id and its last segment are one account."""

    def __init__(self, shared: Shared) -> None:
        self.names: list[str] = []
        """Of each account the longest name that a log has for it."""
        numbers: dict[str, int] = {}
        of = []
        for one in shared.facets.all:
            if one.resource is None:
                of.append(-1)
                continue
            number = numbers.setdefault(one.resource.lower().rpartition("/")[2], len(numbers))
            if number == len(self.names):
                self.names.append(one.resource)
            self.names[number] = max(self.names[number], one.resource, key=lambda name: (len(name), name))
            of.append(number)
        self._of = np.array(of, np.int64)

    def of(self, facets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._of[facets]


def _witnesses(shared: Shared) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return who may have seen the same calls, the nearest to the meter first, and the place of each format there."""
    of = [
        None if name in (*_APART, _GIVE_WAY, _OF_DAYS) else _HALVES.get(family, family)
        for name, family in zip(shared.formats, shared.families, strict=True)
    ]
    near = {name: i for i, name in enumerate(_NEAREST)}
    names = sorted({one for one in of if one is not None}, key=lambda name: (near.get(name, len(near)), name))
    return names, np.array([-1 if one is None else names.index(one) for one in of], np.int64)
