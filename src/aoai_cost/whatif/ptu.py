"""Provisioned throughput units for calls that were paid by the token, sized from the log's own minutes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..catalog import Deployment
from ..errors import MissingPriceError, RequestError, shorten
from ..logs import Group, GroupKey
from ..prices import HOURS_PER_MONTH, PTU_SKUS, PTU_TERMS, PriceBook, PtuParameters, Traffic, size_ptu
from ..report import Load, Workload
from ..usage import MeterKey, Usage
from .calls import CallLoad, Calls
from .change import Change

__all__ = ["BuyPtu"]

_DAY_HOURS = 24
# What a reservation is of, as a part of it for a day: Microsoft prices a month of 730 hours.
_DAY_OF_TERM = {"1_month": Fraction(_DAY_HOURS, HOURS_PER_MONTH), "1_year": Fraction(_DAY_HOURS, 12 * HOURS_PER_MONTH)}
# What ptu.toml calls long context: units of some models serve no longer prompt.
_LONG_CONTEXT_TOKENS = 128_000


@dataclass(frozen=True)
class BuyPtu(Change):
    """Serve deployments by provisioned throughput units: ``BuyPtu(only="chat")``.

    Of each minute's calls the units serve what has begun before they are full, in the order of the log; the rest spills
    over to the deployment as it was, and is paid by the token there.

    Parameters
    ----------
    units : int, "peak" or "cheapest"
        How many for each deployment: a number that can be deployed, as many as serve the fullest minute, or as many as
        cost least together with what spills over, which may be none.
    sku : str
        One of the provisioned types.
    term : str
        ``hourly``, ``1_month`` or ``1_year``; of a reservation the days of the log are paid.
    spillover : bool
        Whether what the units cannot serve is served at all; if not, it is refused and costs nothing.
    """

    units: int | Literal["peak", "cheapest"] = "cheapest"
    sku: str = PTU_SKUS[0]
    term: str = "hourly"
    spillover: bool = True
    needs_calls: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units not in ("peak", "cheapest") and (type(self.units) is not int or self.units < 1):
            raise RequestError(
                "units", f"must be a whole number from 1 on, peak or cheapest; found {shorten(self.units)}"
            )
        for field, names in (("sku", PTU_SKUS), ("term", PTU_TERMS)):
            if getattr(self, field) not in names:
                raise RequestError(field, f"{shorten(getattr(self, field))} is none of {', '.join(names)}")

    @property
    def note(self) -> str:
        """What is changed."""
        over = "spilled over and was paid by the token" if self.spillover else "was refused"
        paid = "by the hour" if self.term == "hourly" else f"under {self.term.replace('_', ' ')} of reservation"
        units = f"provisioned units ({self.sku}, paid {paid} for the days of the log)"
        return f"calls were served by {units}; what a minute had beyond them {over}"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with units bought."""
        if work.log.period is None:
            raise RequestError("BuyPtu", "no call of the log has a time")
        loads: dict[tuple[str, str], list[CallLoad]] = {}
        for load in work.loads:
            one = load.served
            if one is None or not self.is_for(one) or not one.sku.endswith("Standard") or one.fine_tuned:
                continue
            if not isinstance(load, CallLoad):
                raise RequestError("log", "BuyPtu looks at single calls: give what read_usage returns")
            if load.calls.tokens.any():
                loads.setdefault((one.resource, one.name), []).append(load)
        if not loads:
            raise self.finds_nothing("calls paid by the token")
        notes = [self.note]
        moved: dict[int, list[Load]] = {}
        bought: list[Load] = []
        timed = list(work.timed)
        for of_one in loads.values():
            plan = self._plan(of_one, work.prices, work.log.period)
            notes.append(plan.note)
            if not plan.units:
                continue
            hosted = replace(plan.deployment, ptu_units=plan.units)
            if self.term == "hourly":
                timed.append(replace(hosted, active_from=None, active_to=None, aliases=()))
            else:
                bought += _reserved(hosted, plan.units, self.term, work.log.period)
            for load, spilled in zip(of_one, plan.spilled, strict=True):
                moved[id(load)] = list(self._parts(load, hosted, spilled))
        kept = [part for load in work.loads for part in moved.get(id(load), [load])]
        return replace(work, loads=(*kept, *bought), timed=tuple(timed)).assuming(*notes)

    def _parts(self, load: CallLoad, hosted: Deployment, spilled: npt.NDArray[np.bool_]) -> Iterator[Load]:
        if not spilled.all():
            yield replace(load, served=hosted).with_calls(load.calls.some(~spilled))
        if spilled.any() and self.spillover:
            yield load.with_calls(load.calls.some(spilled))

    def _plan(self, loads: Sequence[CallLoad], book: PriceBook, period: tuple[date, date]) -> _Plan:
        last = max(loads, key=lambda load: load.key.day or date.min)
        assert last.served is not None  # only such loads are chosen
        served, day = last.served, period[1] - timedelta(days=1)
        probe = Traffic(requests_per_minute=1, prompt_tokens=1)
        parameters = size_ptu(probe, model=served.model, version=served.version, sku=self.sku, on=day).parameters
        minimum, increment = parameters.size_of(self.sku)
        weighed = _weighed([load.calls for load in loads], parameters)
        deployment = replace(served, sku=self.sku, tier="default")
        if isinstance(self.units, int):
            if self.units < minimum or (self.units != minimum and self.units % increment):
                reason = f"{served.model} is deployed in steps of {increment} PTUs, {minimum} at least"
                raise RequestError("units", f"{reason}; found {self.units}")
            units = self.units
        else:
            peak = _steps(weighed.peak / parameters.input_tpm_per_ptu, minimum, increment)
            units = peak
            if self.units == "cheapest":
                units = self._cheapest(loads, weighed, deployment, book, period, range(minimum, peak + 1, increment))
        spilled = weighed.spilled(units * parameters.input_tpm_per_ptu)
        cuts = np.cumsum([len(load.calls) for load in loads])[:-1]
        n_spilled = int(spilled.sum())
        peak_units = float(weighed.peak / parameters.input_tpm_per_ptu)
        document = f"{parameters.source}, {parameters.doc_date}"
        note = (
            f"{served.name}: {units:,} PTUs of {served.model} ({document}); its fullest minute needs "
            f"{peak_units:,.1f}, and {n_spilled:,} of {len(spilled):,} calls exceed them"
        )
        if not units:
            note = f"{served.name}: no units of {served.model} cost less than paying by the token"
        return _Plan(deployment, units, np.split(spilled, cuts), note)

    def _cheapest(
        self,
        loads: Sequence[CallLoad],
        weighed: _Weighed,
        deployment: Deployment,
        book: PriceBook,
        period: tuple[date, date],
        choices: range,
    ) -> int:
        # Floats, to choose; what is chosen is priced exactly.
        amounts = np.concatenate([_amounts(load, book) for load in loads])
        days = (period[1] - period[0]).days
        unit = _unit_price(deployment, self.term, book, period[0]) * days

        def cost(units: int) -> float:
            spilled = weighed.spilled(units * weighed.input_tpm_per_ptu)
            return units * unit + (float(amounts[spilled].sum()) if self.spillover else 0.0)

        return int(min((0, *choices), key=cost))


class _Plan(NamedTuple):
    deployment: Deployment
    units: int
    spilled: list[npt.NDArray[np.bool_]]
    note: str


class _Weighed(NamedTuple):
    """The calls of a deployment, weighed in input tokens as its units weigh them, in the order of their loads."""

    minutes: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    """The places of the calls in the order of the log."""
    before: npt.NDArray[np.float64]
    """What their minute held before each of them, in that order."""
    refused: npt.NDArray[np.bool_]
    """Those that units never serve."""
    peak: Fraction
    input_tpm_per_ptu: int

    def spilled(self, capacity: float) -> npt.NDArray[np.bool_]:
        """Tell which calls find their minute full, or are never served."""
        found = self.refused.copy()
        found[self.order] |= self.before >= capacity
        return found


def _weighed(calls: Sequence[Calls], parameters: PtuParameters) -> _Weighed:
    """Weigh calls by the published parameters of their model."""
    weights = dict(parameters.weights)
    rows, minutes = (np.concatenate([getattr(one, name) for one in calls]) for name in ("rows", "minutes"))
    prompts = np.concatenate([one.column("prompt_tokens") for one in calls])
    weight = np.zeros(len(rows))
    for key, counts in _together(calls).items():
        if counts.any():
            if key.modality != "text" or key.meter not in weights:
                name = f"{key.modality} {key.meter}"
                raise RequestError("BuyPtu", f"no weight of {name} is published for {parameters.model}")
            weight += counts * float(weights[key.meter])
    refused = prompts > (_LONG_CONTEXT_TOKENS if parameters.long_context else prompts.max(initial=0))
    order = np.lexsort((rows, minutes))
    served = np.where(refused, 0.0, weight)[order]
    in_order = minutes[order]
    total = np.cumsum(served)
    first = np.searchsorted(in_order, in_order, side="left")
    start = np.where(first > 0, total[first - 1], 0.0)
    last = np.searchsorted(in_order, in_order, side="right") - 1
    peak = float((total[last] - start).max()) if len(rows) else 0.0
    return _Weighed(minutes, order, total - served - start, refused, Fraction(peak), parameters.input_tpm_per_ptu)


def _together(calls: Sequence[Calls]) -> dict[MeterKey, npt.NDArray[np.int64]]:
    parts = [one.by_meter() for one in calls]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _steps(need: Fraction, minimum: int, increment: int) -> int:
    """Return the least number of units that can be deployed and is enough."""
    return minimum if need <= minimum else int(-(-need // increment) * increment)


def _amounts(load: CallLoad, book: PriceBook) -> npt.NDArray[np.float64]:
    """Return about what each call of a load costs by the token."""
    assert load.served is not None
    assert load.key.day is not None
    cost = book.price(load.group.usage, load.served, on=load.key.day, band=load.key.band)
    if cost.unpriced:
        raise cost.unpriced[0][2]
    rates = {line.key: float(line.rate.amount) / line.rate.per * float(load.weight) for line in cost.lines}
    amounts = np.zeros(len(load.calls))
    for key, counts in load.calls.by_meter().items():
        amounts += counts * rates.get(key, 0.0)
    return amounts


def _term_key(term: str) -> MeterKey:
    return MeterKey("ptu") if term == "hourly" else MeterKey("ptu_reservation", variant=term)


def _unit_price(deployment: Deployment, term: str, book: PriceBook, on: date) -> float:
    """Return about what one unit costs a day."""
    quantity = _DAY_HOURS * 3_600_000 if term == "hourly" else 1
    cost = book.price(Usage({_term_key(term): quantity}), deployment, on=on)
    if cost.unpriced:
        missing: MissingPriceError = cost.unpriced[0][2]
        raise missing
    return float(cost.amount) * float(_DAY_OF_TERM.get(term, 1))


def _reserved(deployment: Deployment, units: int, term: str, period: tuple[date, date]) -> Iterator[Load]:
    """Yield the units of a reservation, day by day."""
    group = Group(0, 0, 0, 0, 0, 0, 0, 0, Usage({_term_key(term): units}))
    for ordinal in range(period[0].toordinal(), period[1].toordinal()):
        key = GroupKey(
            date.fromordinal(ordinal), deployment.resource, deployment.name, deployment.model, deployment.version,
            deployment.region, deployment.tier, "short", None, None,
        )  # fmt: skip
        yield Load(key, group, deployment, weight=_DAY_OF_TERM[term])
