"""The single calls of a log beside the loads that they make, for changes that look at each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..catalog import get_model
from ..logs import Group, UsageLog
from ..logs.schema import QUALITIES, Tokens
from ..logs.sums import short_context
from ..report import Load, Workload
from ..tokens.images import Detail
from ..usage import MeterKey, Usage, split_totals

__all__ = ["Beside", "CallLoad", "Calls", "Recount", "SeenImages", "with_calls"]

_KEY = ("resource", "deployment", "model", "version", "region", "service_tier", "user", "app")
_MISSING, _NOT_BILLED, _ESTIMATED, _AGGREGATED = (
    QUALITIES.index(name) for name in ("missing", "not_billed", "estimated", "aggregated")
)
_TOKENS = Tokens._fields
_ARGUMENTS = {
    "prompt_tokens": "prompt",
    "completion_tokens": "completion",
    "cached_tokens": "cached",
    "cache_write_tokens": "cache_write",
}
_MINUTE_US = 60_000_000


class Recount(NamedTuple):
    """What a call is in tokens of another model."""

    input_tokens: int
    output_tokens: int | None
    exact: bool


class SeenImages(NamedTuple):
    """So many images of one size and detail in a call."""

    width_px: int
    height_px: int
    detail: Detail
    n_images: int


@dataclass(frozen=True, slots=True, repr=False)
class Beside:
    """What a whole log tells beside the counts, by row of its frame.

    ``others`` are quantities that are not tokens, ``tokens`` the counts as they were read, ``recounted`` those for
    other models, by model, and ``images`` what images were seen.
    """

    others: Mapping[int, Usage]
    tokens: npt.NDArray[np.int64]
    recounted: Mapping[str, Mapping[int, Recount]]
    images: Mapping[int, Sequence[SeenImages]]


@dataclass(frozen=True, slots=True)
class Calls:
    """The rows of a load, in the order of their times: arrays of equal length.

    ``rows`` are their places in the frame of the log, ``minutes`` count from 1970, ``tokens`` has one column for each
    of `Tokens`, zero where the log does not tell and in calls that were not billed. ``beside`` is the same for all
    calls of a log.
    """

    rows: npt.NDArray[np.int64]
    minutes: npt.NDArray[np.int64]
    requests: npt.NDArray[np.int64]
    quality: npt.NDArray[np.int8]
    status: npt.NDArray[np.int64]
    spilled: npt.NDArray[np.bool_]
    tokens: npt.NDArray[np.int64]
    beside: Beside

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> npt.NDArray[np.int64]:
        """Return the counts of one kind."""
        found: npt.NDArray[np.int64] = self.tokens[:, _TOKENS.index(name)]
        return found

    def some(self, which: npt.NDArray[Any]) -> Calls:
        """Return those that a mask or places choose."""
        arrays = {name: getattr(self, name)[which] for name in self.__slots__ if name != "beside"}
        return replace(self, **arrays)

    def with_tokens(self, **columns: npt.NDArray[np.int64]) -> Calls:
        """Return the same calls with other counts."""
        tokens = self.tokens.copy()
        for name, counts in columns.items():
            tokens[:, _TOKENS.index(name)] = counts
        return replace(self, tokens=tokens)

    def by_meter(self) -> dict[MeterKey, npt.NDArray[np.int64]]:
        """Return the tokens of each call by meter."""
        columns = {name: self.column(name) for name in _TOKENS if name != "reasoning_tokens"}
        renamed = {_ARGUMENTS.get(name, name): counts for name, counts in columns.items()}
        return split_totals(**renamed)

    def group(self) -> Group:
        """Add the calls up."""
        tokens = {key: int(counts.sum()) for key, counts in self.by_meter().items()}
        known = self.beside.others
        billed = self.rows[self.quality != _NOT_BILLED].tolist() if known else ()
        others = Usage.sum(known[row] for row in billed if row in known)
        kinds = np.bincount(self.quality, minlength=len(QUALITIES)).tolist()
        return Group(
            requests=int(self.requests.sum()),
            unmetered=kinds[_MISSING],
            not_billed=kinds[_NOT_BILLED],
            estimated=kinds[_ESTIMATED],
            aggregated=kinds[_AGGREGATED],
            failed=int((self.status >= 400).sum()),
            throttled=int((self.status == 429).sum()),
            spilled=int(self.spilled.sum()),
            usage=Usage(tokens) + others,
        )


@dataclass(frozen=True, slots=True)
class CallLoad(Load):
    """A load whose calls are known one by one."""

    calls: Calls = field(kw_only=True)

    def with_calls(self, calls: Calls) -> CallLoad:
        """Return the load with other calls, added up anew."""
        return replace(self, calls=calls, group=calls.group())


def with_calls(work: Workload, log: UsageLog) -> Workload:
    """Give each load of a log its calls."""
    frame = log.frame
    groups = _groups_of(frame)
    every = _all_calls(log)
    found: dict[tuple[Any, ...], npt.NDArray[np.int64]] = {}
    order = np.argsort(groups, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1) if len(order) else ():
        first = frame.iloc[int(rows[0])]
        names = {name: None if pd.isna(first[name]) else str(first[name]) for name in _KEY}
        day = None if pd.isna(first["timestamp"]) else first["timestamp"].date()
        long = every.column("prompt_tokens")[rows] > short_context(names["model"])
        for band, which in (("short", ~long), ("long", long)):
            if which.any():
                found[(day, *names.values(), band)] = rows[which]
    loads = []
    for load in work.loads:
        key = load.key
        rows = found[(key.day, *key[1:7], key.user, key.app, key.band)]
        given = {name: getattr(load, name) for name in Load.__slots__}
        loads.append(CallLoad(**given, calls=every.some(rows)))
    return replace(work, loads=tuple(loads))


def _groups_of(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Number the rows by everything in a key but the band."""
    groups = pd.factorize(frame["timestamp"].dt.floor("D"))[0].astype(np.int64) + 1
    for name in _KEY:
        codes = frame[name].cat.codes.to_numpy().astype(np.int64) + 1
        # Numbered anew after each column, so that no product of many columns is too large.
        groups = pd.factorize(groups * (len(frame[name].cat.categories) + 1) + codes)[0].astype(np.int64)
    return np.asarray(groups, np.int64)


def _all_calls(log: UsageLog) -> Calls:
    frame = log.frame
    quality = np.asarray(frame["usage_quality"].cat.codes, np.int8)
    tokens = np.stack([frame[name].to_numpy("int64", na_value=0) for name in _TOKENS], axis=1)
    tokens[quality == _NOT_BILLED] = 0
    others: dict[int, dict[MeterKey, int]] = {}
    for row, meter, modality, variant, quantity in log.quantities.itertuples(index=False, name=None):
        of_row = others.setdefault(row, {})
        key = MeterKey(meter, modality, variant)
        of_row[key] = of_row.get(key, 0) + quantity
    stamps = frame["timestamp"].dt.tz_localize(None).astype("datetime64[us]")
    return Calls(
        rows=np.arange(len(frame)),
        minutes=stamps.to_numpy().astype(np.int64) // _MINUTE_US,
        requests=frame["requests"].to_numpy("int64", na_value=0),
        quality=quality,
        status=frame["status"].to_numpy("int64", na_value=0),
        spilled=frame["spillover"].to_numpy("bool", na_value=False),
        tokens=tokens,
        beside=Beside(
            others={row: Usage(quantities) for row, quantities in others.items()},
            tokens=tokens,
            recounted=_recounted(log),
            images=_images(log),
        ),
    )


def _recounted(log: UsageLog) -> dict[str, dict[int, Recount]]:
    found: dict[str, dict[int, Recount]] = {}
    columns = ["row", "model", "input_tokens", "input_certainty", "output_tokens"]
    for row, model, tokens, certainty, output in log.recounted[columns].itertuples(index=False, name=None):
        counted = Recount(tokens, None if pd.isna(output) else int(output), certainty == "exact")
        found.setdefault(get_model(model).name, {})[row] = counted
    return found


def _images(log: UsageLog) -> dict[int, list[SeenImages]]:
    found: dict[int, list[SeenImages]] = {}
    for row, *image in log.images.itertuples(index=False, name=None):
        found.setdefault(row, []).append(SeenImages(*image))
    return found
