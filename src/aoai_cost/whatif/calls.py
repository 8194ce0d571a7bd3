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

__all__ = ["Beside", "CallLoad", "Calls", "Recount", "SeenImages", "Smaller", "with_calls"]

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
    served_tokens: int | None
    """What the same content is to the model that served the call; logs may hold less than was sent."""
    output_tokens: int | None
    exact: bool


class SeenImages(NamedTuple):
    """So many images of one size and detail in a call."""

    width_px: int
    height_px: int
    detail: Detail
    n_images: int


class Smaller(NamedTuple):
    """How images are sent: with another detail, or at most so long; what is None stays."""

    detail: Detail | None
    max_side_px: int | None

    def of(self, image: SeenImages) -> SeenImages:
        """Return images as they are sent then."""
        width, height, detail, n_images = image
        side = max(width, height)
        most = side if self.max_side_px is None else min(side, self.max_side_px)
        size = max(1, width * most // side), max(1, height * most // side)
        return SeenImages(*size, self.detail or detail, n_images)


@dataclass(frozen=True, slots=True, repr=False)
class Beside:
    """What a whole log tells beside the counts, by row of its frame.

    ``others`` are quantities that are not tokens, ``prompts`` the prompt tokens as they were read, ``recounted`` the
    counts for other models, by model, and ``images`` what images were seen.
    """

    others: Mapping[int, Usage]
    prompts: npt.NDArray[np.int64]
    recounted: Mapping[str, Mapping[int, Recount]]
    images: Mapping[int, Sequence[SeenImages]]


@dataclass(frozen=True, slots=True)
class Calls:
    """The rows of a load, in the order of their times: arrays of equal length.

    ``rows`` are their places in the frame of the log, ``minutes`` count from 1970, ``tokens`` has one column for each
    of `Tokens`, zero where the log does not tell and in calls that were not billed. ``sent`` has two, the prompt and
    completion tokens as the model that serves counts what was sent and answered, and ``shrunk`` says how images were
    made smaller before. ``beside`` is the same for all calls of a log.
    """

    rows: npt.NDArray[np.int64]
    minutes: npt.NDArray[np.int64]
    requests: npt.NDArray[np.int64]
    quality: npt.NDArray[np.int8]
    status: npt.NDArray[np.int64]
    spilled: npt.NDArray[np.bool_]
    tokens: npt.NDArray[np.int64]
    sent: npt.NDArray[np.int64]
    beside: Beside
    shrunk: tuple[Smaller, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> npt.NDArray[np.int64]:
        """Return the counts of one kind."""
        found: npt.NDArray[np.int64] = self.tokens[:, _TOKENS.index(name)]
        return found

    def are_longer(self, limits: int | npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which calls have longer prompts; of rows that stand for many calls none is known to."""
        return np.asarray((self.column("prompt_tokens") > limits) & (self.requests == 1))

    def some(self, which: npt.NDArray[Any] | slice) -> Calls:
        """Return those that a mask, places or a slice choose."""
        return Calls(
            rows=self.rows[which],
            minutes=self.minutes[which],
            requests=self.requests[which],
            quality=self.quality[which],
            status=self.status[which],
            spilled=self.spilled[which],
            tokens=self.tokens[which],
            sent=self.sent[which],
            beside=self.beside,
            shrunk=self.shrunk,
        )

    def with_tokens(self, **columns: npt.NDArray[np.int64]) -> Calls:
        """Return the same calls with other counts."""
        tokens = self.tokens.copy()
        for name, counts in columns.items():
            tokens[:, _TOKENS.index(name)] = counts
        return replace(self, tokens=tokens)

    def with_text_cached(self, cached: bool) -> Calls:
        """Return the same calls with all of their text input read from the cache, but for what is written to it.

        With `cached` false, with none of it.
        """
        of_others = self.column("cached_audio") + self.column("cached_image")
        if not cached:
            return self.with_tokens(cached_tokens=of_others)
        text = self.column("prompt_tokens") - self.column("audio_in") - self.column("image_in")
        return self.with_tokens(cached_tokens=text - self.column("cache_write_tokens") + of_others)

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
    if not len(log.frame):
        return work
    frame = log.frame
    every, groups = _all_calls(log), _groups_of(frame)
    # One row of each group tells the names of all.
    _, firsts, groups = np.unique(groups, return_index=True, return_inverse=True)
    names = [_values(frame[name].iloc[firsts]) for name in _KEY]
    days = [None if pd.isna(time) else time.date() for time in frame["timestamp"].iloc[firsts]]
    limits = np.array([short_context(model) for model in names[_KEY.index("model")]], np.int64)
    # In the order of groups and bands, the calls of each load stand together.
    places = groups * 2 + every.are_longer(limits[groups])
    order = np.argsort(places, kind="stable")
    every, places = every.some(order), places[order]
    starts = np.flatnonzero(np.diff(places, prepend=-1)).tolist()
    found: dict[tuple[Any, ...], slice] = {}
    for start, end in zip(starts, [*starts[1:], len(places)], strict=True):
        group, long = divmod(int(places[start]), 2)
        key = (days[group], *(of_group[group] for of_group in names), "long" if long else "short")
        found[key] = slice(start, end)
    loads = []
    for load in work.loads:
        key = load.key
        calls = every.some(found[(key.day, *key[1:7], key.user, key.app, key.band)])
        loads.append(
            CallLoad(key, load.group, load.served, load.reason, load.notes, load.weight, load.assumed, calls=calls)
        )
    return replace(work, loads=tuple(loads))


def _values(column: pd.Series[Any]) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in column]


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
        sent=tokens[:, [_TOKENS.index("prompt_tokens"), _TOKENS.index("completion_tokens")]],
        beside=Beside(
            others={row: Usage(quantities) for row, quantities in others.items()},
            prompts=tokens[:, _TOKENS.index("prompt_tokens")].copy(),
            recounted=_recounted(log),
            images=_images(log),
        ),
    )


def _recounted(log: UsageLog) -> dict[str, dict[int, Recount]]:
    found: dict[str, dict[int, Recount]] = {}
    columns = ["row", "model", "input_tokens", "served_tokens", "output_tokens", "input_certainty"]
    for row, model, tokens, *others, certainty in log.recounted[columns].itertuples(index=False, name=None):
        served, output = (None if pd.isna(count) else int(count) for count in others)
        counted = Recount(tokens, served, output, certainty == "exact")
        found.setdefault(get_model(model).name, {})[row] = counted
    return found


def _images(log: UsageLog) -> dict[int, list[SeenImages]]:
    found: dict[int, list[SeenImages]] = {}
    for row, *image in log.images.itertuples(index=False, name=None):
        found.setdefault(row, []).append(SeenImages(*image))
    return found
