"""Changes one after another, in every order, beside a slow twin that keeps each part of each call by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from aoai_cost import (
    BuyPtu,
    CacheShare,
    CapOutput,
    Change,
    ContractDiscount,
    Deployment,
    Deployments,
    MissingPriceError,
    MoveSku,
    PriceBook,
    ScaleVolume,
    ServiceTier,
    SwapModel,
    UseBatch,
    get_model,
    read_usage,
    what_if,
)
from aoai_cost.prices import list_ptu_parameters

BOOK = PriceBook.bundled()
FIRST = datetime(2026, 10, 12, 12, tzinfo=UTC)
FILE = Deployments(
    [
        Deployment("contoso", "chat", "gpt-4.1", "2025-04-14", "GlobalStandard", "eastus2"),
        Deployment("contoso", "agent", "gpt-5.6-sol", "2026-07-09", "GlobalStandard", "eastus2"),
        Deployment("fabrikam", "chat", "gpt-4o", "2024-11-20", "DataZoneStandard", "swedencentral"),
    ]
)
SERVED = {(one.resource, one.name): one for one in FILE}
PTU_HOURS = 24 * 3_600_000


@dataclass(frozen=True)
class Part:
    """A part of a call: how much of it there is, where it is served, and its tokens, each in one place."""

    row: int
    at: datetime
    weight: Fraction
    served: Deployment
    plain: int
    cached: int
    written: int
    output: int

    @property
    def prompt(self) -> int:
        return self.plain + self.cached + self.written

    def rates(self, book: PriceBook) -> dict[str, Any] | None:
        """What each kind of its tokens costs; None where one has no price."""
        one, found = self.served, {}
        band = get_model(one.model, one.version).band(self.prompt)
        kinds = {"input": self.plain, "cached_input": self.cached, "cache_write": self.written, "output": self.output}
        for meter in (name for name, tokens in kinds.items() if tokens):
            asked = meter
            if meter in ("cached_input", "cache_write") and not book.has_meter(meter, one):
                asked = "input"
            try:
                rate = book.rate(
                    model=one.model, version=one.version, sku=one.sku, tier=one.tier, region=one.region, band=band,
                    meter=asked, on=self.at.date(),
                )  # fmt: skip
            except MissingPriceError:
                return None
            found[meter] = kinds[meter] * Fraction(rate.amount) / rate.per
        return found


class Twin:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.book = BOOK
        self.units: list[tuple[Deployment, int]] = []
        self.parts = [
            Part(
                i, row["timestamp"], Fraction(1), SERVED[row["resource"], row["deployment"]],
                row["prompt_tokens"] - row["cached_tokens"] - row["cache_write_tokens"], row["cached_tokens"],
                row["cache_write_tokens"], row["completion_tokens"],
            )
            for i, row in enumerate(rows)
        ]  # fmt: skip

    def elsewhere(self, share: Fraction, there: Callable[[Deployment], Deployment | None]) -> None:
        # A load moves as one: the parts of a day, a deployment and a band, split alike before.
        parts: list[Part] = []
        for part in self.parts:
            other = there(part.served)
            moved = None if other is None else replace(part, served=other)
            if moved is None or moved.rates(self.book) is None:
                parts.append(part)
            else:
                parts += [replace(part, weight=part.weight * (1 - share)), replace(moved, weight=part.weight * share)]
        self.parts = parts

    def apply(self, change: Change) -> None:
        if isinstance(change, UseBatch):
            batch = {"GlobalStandard": "GlobalBatch", "DataZoneStandard": "DataZoneBatch"}
            self.elsewhere(
                Fraction(change.share),
                lambda one: replace(one, sku=batch[one.sku], tier="default") if one.sku in batch else None,
            )
        elif isinstance(change, ServiceTier):
            tier = change.tier
            self.elsewhere(
                Fraction(change.share),
                lambda one: replace(one, tier=tier) if one.sku.endswith("Standard") and change.is_for(one) else None,
            )
        elif isinstance(change, ScaleVolume):
            self.parts = [replace(part, weight=part.weight * Fraction(change.factor)) for part in self.parts]
        elif isinstance(change, CapOutput):
            self.parts = [replace(part, output=min(part.output, change.max_output_tokens)) for part in self.parts]
        elif isinstance(change, CacheShare):
            share, parts = Fraction(change.share), []
            for part in self.parts:
                pool = part.plain + part.cached
                cached = replace(part, plain=0, cached=pool, weight=part.weight * share)
                bought = part.served.sku.endswith("ProvisionedManaged")
                metered = self.book.has_meter("cached_input", part.served) and cached.rates(self.book) is not None
                if bought or metered:
                    parts += [replace(part, plain=pool, cached=0, weight=part.weight * (1 - share)), cached]
                else:
                    parts.append(part)
            self.parts = parts
        elif isinstance(change, SwapModel):
            new = get_model(change.to)
            self.parts = [
                replace(part, served=replace(part.served, model=new.name, version=new.version))
                if part.served.model == change.model and change.is_for(part.served)
                else part
                for part in self.parts
            ]
        elif isinstance(change, MoveSku):
            self.parts = [replace(part, served=replace(part.served, sku=change.sku)) for part in self.parts]
            self.units = []
        elif isinstance(change, ContractDiscount):
            self.book = self.book.with_discount("0.125")
        else:
            assert isinstance(change, BuyPtu)
            assert isinstance(change.units, int)
            self.buy(change.units)

    def buy(self, units: int) -> None:
        mine = [part for part in self.parts if part.served.resource == "fabrikam"]
        mine = [part for part in mine if part.served.sku.endswith("Standard") and part.weight]
        if not mine:
            return
        parameters = max(list_ptu_parameters(mine[0].served.model), key=lambda one: one.known_from)
        weights = dict(parameters.weights)
        held: dict[datetime, Fraction] = {}
        kept = [part for part in self.parts if part not in mine]
        hosted = replace(mine[0].served, sku="GlobalProvisionedManaged", tier="default")
        for part in sorted(mine, key=lambda part: (part.at, part.row)):
            minute = part.at.replace(second=0)
            if held.get(minute, Fraction(0)) >= units * parameters.input_tpm_per_ptu:
                kept.append(part)
                continue
            tokens = part.plain + part.written + part.cached * weights["cached_input"]
            tokens += part.output * weights["output"]
            held[minute] = held.get(minute, Fraction(0)) + tokens * part.weight
            kept.append(replace(part, served=hosted))
        self.parts = kept
        self.units.append((hosted, units))

    def total(self, days: list[Any]) -> Fraction | None:
        total = Fraction(0)
        for part in self.parts:
            if part.served.sku.endswith("ProvisionedManaged") or not part.weight:
                continue
            rates = part.rates(self.book)
            if rates is None:
                return None
            total += sum(rates.values(), Fraction(0)) * part.weight
        for hosted, units in self.units:
            for day in days:
                rate = self.book.rate(
                    model=hosted.model,
                    version=hosted.version,
                    sku=hosted.sku,
                    region=hosted.region,
                    meter="ptu",
                    on=day,
                )
                total += Fraction(rate.amount) * units * PTU_HOURS / rate.per
        return total


def row(place: tuple[str, str], second: int, plain: int, cached: int, written: int, output: int) -> dict[str, Any]:
    written = written if place[1] == "agent" else 0
    return {
        "timestamp": FIRST + timedelta(seconds=second),
        "resource": place[0],
        "deployment": place[1],
        "model": SERVED[place].model,
        "version": SERVED[place].version,
        "prompt_tokens": plain + cached + written,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "completion_tokens": output,
    }


def once(found: list[Change]) -> list[Change]:
    """Leave each swap and each purchase once: what they are for is gone then."""
    kept: list[Change] = []
    for change in found:
        if not (isinstance(change, SwapModel | BuyPtu) and change in kept):
            kept.append(change)
    return kept


tokens = st.integers(0, 300_000)
logs = st.lists(
    st.tuples(st.sampled_from(sorted(SERVED)), tokens, tokens, st.integers(0, 5_000), st.integers(1, 3_000)),
    min_size=1,
    max_size=6,
).map(
    lambda found: (
        [row(place, i * 20, *counts) for i, (place, *counts) in enumerate(found)]
        + [row(place, 200 + i, 1_000, 100, 10, 500) for i, place in enumerate(sorted(SERVED))]
    )
)
changes = st.lists(
    st.sampled_from(
        [
            UseBatch("0.3"),
            CacheShare("0.4"),
            ScaleVolume("1.7"),
            CapOutput(700),
            SwapModel("gpt-4o", "gpt-4.1", only="fabrikam/chat"),
            SwapModel("gpt-4.1", "gpt-5.6-sol", only="contoso/chat"),
            MoveSku("GlobalStandard"),
            ServiceTier("priority", share="0.25", only="contoso/chat"),
            ContractDiscount("0.125"),
            BuyPtu(50, only="fabrikam/chat"),
        ]
    ),
    min_size=1,
    max_size=5,
).map(once)


@settings(max_examples=150)
@given(logs, changes)
def test_changes_in_any_order_are_those_of_each_part_of_each_call(
    rows: list[dict[str, Any]], found: list[Change]
) -> None:
    twin = Twin(rows)
    for change in found:
        twin.apply(change)
    expected = twin.total([FIRST.date()])
    log = read_usage(pd.DataFrame(rows), columns={name: name for name in rows[0]})
    after = what_if(log, *found, deployments=FILE, prices=BOOK).after
    if expected is None:
        assert after.certainty == "lower_bound"
    else:
        assert after.certainty != "lower_bound"
        assert abs(Fraction(after.total) - expected) < Fraction(1, 10**30)
