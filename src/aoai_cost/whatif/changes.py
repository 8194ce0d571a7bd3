"""Changes that are linear: they give calls another price, another weight, or another split of their input."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from ..catalog import SKUS, TIERS, Deployment, arm_region, listed_name
from ..errors import RequestError, shorten
from ..prices import PTU_SKUS, times
from ..prices.ptu import Number
from ..prices.search import as_day
from ..report import Load, Workload
from ..report.batch import as_batch
from ..usage import MeterKey, Usage
from .calls import CallLoad
from .change import Change, has_prices, label_of, percent_of, share_of, split

__all__ = [
    "CacheShare",
    "ContractDiscount",
    "Growth",
    "MoveRegion",
    "MoveSku",
    "PriceAsOf",
    "ScaleVolume",
    "ServiceTier",
    "UseBatch",
]

_INPUT, _CACHED = MeterKey("input"), MeterKey("cached_input")


@dataclass(frozen=True)
class MoveSku(Change):
    """Deploy as another type: ``MoveSku("DataZoneStandard")``.

    Units bought for a provisioned deployment that moves are given back. To move to a provisioned type is `BuyPtu`.
    """

    sku: str

    def __post_init__(self) -> None:
        super().__post_init__()
        sku = listed_name(self.sku, SKUS) if isinstance(self.sku, str) else None
        if sku is None or sku.endswith("ProvisionedManaged"):
            names = ", ".join(name for name in SKUS if not name.endswith("ProvisionedManaged"))
            reason = f"must be one of {names} (units are bought with BuyPtu); found {shorten(self.sku)}"
            raise RequestError("sku", reason)
        object.__setattr__(self, "sku", sku)

    @property
    def note(self) -> str:
        """What is changed."""
        return f"deployed as {self.sku}: the same calls and tokens; quota, latency and where data is processed differ"

    def apply(self, work: Workload) -> Workload:
        """Return the workload under the other type."""
        return self.each(
            work,
            lambda load, served: [replace(load, served=replace(served, sku=self.sku))],
            timed=lambda one: replace(one, sku=self.sku, ptu_units=None),
        )


@dataclass(frozen=True)
class MoveRegion(Change):
    """Deploy in another region: ``MoveRegion("eastus2")``."""

    region: str

    def __post_init__(self) -> None:
        super().__post_init__()
        region = arm_region(self.region) if isinstance(self.region, str) else ""
        if not region:
            raise RequestError("region", f"must be a region such as swedencentral; found {shorten(self.region)}")
        object.__setattr__(self, "region", region)

    @property
    def note(self) -> str:
        """What is changed."""
        return f"deployed in {self.region}: the same calls and tokens, and the model is offered there"

    def apply(self, work: Workload) -> Workload:
        """Return the workload in the other region."""
        return self.each(
            work,
            lambda load, served: [replace(load, served=replace(served, region=self.region))],
            timed=lambda one: replace(one, region=self.region),
        )


@dataclass(frozen=True)
class ServiceTier(Change):
    """Ask for another service tier, in a share of the calls: ``ServiceTier("priority", share="0.2")``.

    Calls that have no price in the tier stay as they are, as do those of batch and provisioned deployments.
    """

    tier: str
    share: Number = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        tier = listed_name(self.tier, TIERS) if isinstance(self.tier, str) else None
        if tier is None:
            raise RequestError("tier", f"must be one of {', '.join(TIERS)}; found {shorten(self.tier)}")
        object.__setattr__(self, "tier", tier)
        object.__setattr__(self, "share", share_of("share", self.share))

    @property
    def note(self) -> str:
        """What is changed."""
        return (
            f"{percent_of(Fraction(self.share))} of the calls asked for service tier {self.tier}, and were served in it"
        )

    def apply(self, work: Workload) -> Workload:
        """Return the workload with calls in the other tier."""
        return _part_elsewhere(
            self,
            work,
            Fraction(self.share),
            lambda served: replace(served, tier=self.tier) if served.sku.endswith("Standard") else None,
            f"in service tier {self.tier}",
        )


@dataclass(frozen=True)
class UseBatch(Change):
    """Send a share of the calls as batches: ``UseBatch("0.3")``.

    GlobalStandard goes to GlobalBatch and DataZoneStandard to DataZoneBatch. Other types stay as they are, since Azure
    sells no batch that keeps their data where it is, and so do models without a price for it.
    """

    share: Number = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "share", share_of("share", self.share))

    @property
    def note(self) -> str:
        """What is changed."""
        return f"{percent_of(Fraction(self.share))} of the calls could wait up to 24 hours and were sent as batches"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with calls in batches."""

        def batch(served: Deployment) -> Deployment | None:
            return served if served.sku.endswith("Batch") else as_batch(served)

        return _part_elsewhere(self, work, Fraction(self.share), batch, "as a batch")


@dataclass(frozen=True)
class CacheShare(Change):
    """Read this share of the text input from the prompt cache: ``CacheShare("0.5")``.

    It is the share of the input that is not written to the cache, read from it or not, whatever it was in the log.
    Calls of models without a price for cached input stay as they are.
    """

    share: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "share", share_of("share", self.share))

    @property
    def note(self) -> str:
        """What is changed."""
        share = percent_of(Fraction(self.share))
        return f"{share} of the text input was read from the prompt cache; writing to it stays as it was"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with this share of its input cached."""
        share = Fraction(self.share)
        stay: dict[str, None] = {}

        def change(load: Load, served: Deployment) -> Iterable[Load]:
            usage = dict(load.group.usage)
            pool = usage.pop(_INPUT, 0) + usage.pop(_CACHED, 0)
            if not pool:
                return [load]
            plain, cached = (
                replace(load, group=load.group._replace(usage=Usage({**usage, key: pool}))) for key in (_INPUT, _CACHED)
            )
            # The tokens of provisioned units have no price of their own, read from the cache or not.
            metered = served.sku in PTU_SKUS or work.prices.has_meter("cached_input", served)
            if not metered or not has_prices(work.prices, load, cached):
                stay[f"{label_of(served)} ({served.model}, {served.sku})"] = None
                return [load]
            if isinstance(load, CallLoad):
                plain, cached = (
                    replace(load, group=one.group, calls=load.calls.with_text_cached(all_of_it))
                    for one, all_of_it in ((plain, False), (cached, True))
                )
            return split(plain, share, cached)

        changed = self.each(work, change)
        if stay:
            changed = changed.assuming(f"no price of cached input, so left as they are: {', '.join(stay)}")
        return changed


@dataclass(frozen=True)
class ScaleVolume(Change):
    """Make so many times the calls: ``ScaleVolume("1.2")``."""

    factor: Number

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "factor", share_of("factor", self.factor, most=10**9))

    @property
    def note(self) -> str:
        """What is changed."""
        factor = f"{float(Fraction(self.factor)):.6g}"
        return f"{factor} times the calls, alike in everything; units and hours that were bought stay as they are"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with more calls, or fewer."""
        return self.each(work, lambda load, _: [replace(load, weight=load.weight * Fraction(self.factor))])


@dataclass(frozen=True)
class Growth(Change):
    """Let the calls grow by a share a month for some months: ``Growth("0.05", months=6)``; below 0 they shrink."""

    share: Number
    months: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        negative = str(self.share).strip().startswith("-")
        share = share_of("share", str(self.share).strip()[1:] if negative else self.share, 1 if negative else 1_000)
        if type(self.months) is not int or not 0 <= self.months <= 120:
            raise RequestError("months", f"must be a whole number from 0 to 120; found {shorten(self.months)}")
        object.__setattr__(self, "share", -share if negative else share)

    @property
    def factor(self) -> Fraction:
        """How many times the calls that is in the end."""
        return (1 + Fraction(self.share)) ** self.months

    @property
    def note(self) -> str:
        """What is changed."""
        share = Fraction(self.share)
        how = f"{percent_of(abs(share))} {'fewer' if share < 0 else 'more'} calls a month"
        months = "1 month" if self.months == 1 else f"{self.months} months"
        return f"{how} for {months}, alike in everything; units and hours that were bought stay as they are"

    def apply(self, work: Workload) -> Workload:
        """Return the workload as it would be in the last of the months."""
        return self.each(work, lambda load, _: [replace(load, weight=load.weight * self.factor)])


@dataclass(frozen=True)
class ContractDiscount(Change):
    """Take a share off the prices: ``ContractDiscount("0.12", model="gpt-4o")``.

    ``model``, ``sku``, ``tier`` and ``meter`` say for what; left out, it is for everything (`PriceBook.with_discount`).
    It knows prices and not deployments, so ``only`` may not be given.
    """

    share: Number
    model: str = ""
    sku: str = ""
    tier: str = ""
    meter: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.only:
            raise RequestError("only", "a discount is for models, types, tiers and meters, not for deployments")
        object.__setattr__(self, "share", share_of("share", self.share))

    @property
    def note(self) -> str:
        """What is changed."""
        scope = " ".join(filter(None, (self.model, self.sku, self.tier, self.meter)))
        return f"{percent_of(Fraction(self.share))} off the prices" + (f" of {scope}" if scope else "")

    def apply(self, work: Workload) -> Workload:
        """Return the workload at the lower prices."""
        share = Fraction(self.share)
        if not share:
            return work
        scope = {name: getattr(self, name) for name in ("model", "sku", "tier", "meter")}
        # Exact: a share is read from a number with a point.
        discounted = work.prices.with_discount(times(Decimal(1), share), **scope)
        return replace(work, prices=discounted).assuming(self.note)


@dataclass(frozen=True)
class PriceAsOf(Change):
    """Price all days at the prices of one day: ``PriceAsOf(date(2026, 11, 1))``."""

    day: date

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.only:
            raise RequestError("only", "the prices of a day are for everything")
        object.__setattr__(self, "day", as_day(self.day))

    @property
    def note(self) -> str:
        """What is changed."""
        return f"priced at the prices of {self.day.isoformat()}"

    def apply(self, work: Workload) -> Workload:
        """Return the workload at these prices."""
        return replace(work, prices=work.prices.held_at(self.day)).assuming(self.note)


def _part_elsewhere(
    change: Change, work: Workload, share: Fraction, elsewhere: Callable[[Deployment], Deployment | None], where: str
) -> Workload:
    """Serve a share of the calls elsewhere, if all of it has a price there."""
    stay: dict[str, None] = {}

    def part(load: Load, here: Deployment) -> list[Load]:
        there = elsewhere(here)
        if there is None:
            stay[f"{label_of(here)} ({here.sku})"] = None
        elif not has_prices(work.prices, load, moved := replace(load, served=there)):
            stay[f"{label_of(here)} ({here.model})"] = None
        else:
            return split(load, share, moved)
        return [load]

    changed = change.each(work, part)
    if stay:
        changed = changed.assuming(f"not sold {where}, so left as they are: {', '.join(stay)}")
    return changed
