"""What others say: another reader of the same meter names, later captures of the list, its own proportions, and the
worked examples of public documents."""

from __future__ import annotations

import importlib.resources
import json
from collections import Counter, defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from azure_genai_prices import BillingMode, ContextTier, DeploymentType, PriceKind, parse_meter_name

from aoai_cost.catalog import Deployment
from aoai_cost.errors import MissingPriceError
from aoai_cost.prices import PriceBook, PriceRow
from aoai_cost.prices.meters import read_meter_name
from aoai_cost.usage import Usage

BOOK = PriceBook.bundled()
ANSWERING = [row for row in BOOK.rows() if not row.unmatched]
CAPTURED = date(2026, 8, 11)
HOUR_MS = 3_600_000


METERS = {
    PriceKind.INPUT: "input",
    PriceKind.OUTPUT: "output",
    PriceKind.CACHE_READ: "cached_input",
    PriceKind.CACHE_WRITE: "cache_write",
}
SCOPES = {DeploymentType.GLOBAL: "Global", DeploymentType.DATA_ZONE: "DataZone", DeploymentType.REGIONAL: "Standard"}
TIERS = {BillingMode.STANDARD: "default", BillingMode.BATCH: "batch", BillingMode.PRIORITY: "priority"}


def meter_names() -> set[tuple[str, str, str]]:
    """(product, meter name, unit) of Azure OpenAI's products in the capture that azure-genai-prices carries."""
    text = importlib.resources.files("azure_genai_prices").joinpath("data/snapshot.json").read_text("utf-8")
    known = {row.product for row in BOOK.rows() if row.source == "S1"}
    return {
        (item["productName"], item["meterName"], item["unitOfMeasure"])
        for item in json.loads(text)["items"]
        if item["productName"] in known
    }


def difference(mine: Any, theirs: Any) -> str:
    """Name the first thing in which two readings of one name differ; empty where they agree."""
    scope, tier = mine.sku, mine.tier
    for name, one, other in (
        ("meter", mine.meter, METERS[theirs.kind]),
        ("deployment", scope.startswith(SCOPES[theirs.deployment]), True),
        ("tier", tier, TIERS[theirs.mode]),
        ("band", mine.band == "long", theirs.context is ContextTier.LONG),
    ):
        if one != other:
            return f"{name}: {one} here, {other} there"
    return ""


def test_another_reader_of_the_meter_names_agrees() -> None:
    """azure-genai-prices reads the names of one capture by rules of its own; most of our rows come from that capture.

    This checks the reading, not the prices, on all token meters that both read. What differs has a documented cause.
    """
    agreed, differ, models = 0, Counter[str](), defaultdict(set)
    for product, name, unit in sorted(meter_names()):
        mine, theirs = read_meter_name(product, name, unit), parse_meter_name(name, product)
        if mine.unmatched or theirs is None or theirs.kind not in METERS or mine.meter not in METERS.values():
            continue
        told = difference(mine, theirs)
        agreed += not told
        if not told:
            models[theirs.model].add((mine.model, mine.version))
        elif mine.sku == "DeveloperTier":
            # A deployment type of its own (how-to/fine-tuning-cost-management.md); the other reader has no word for it.
            differ["developer tier"] += 1
        elif "dzn" in name.lower():
            # "DZn" too is a data zone: at 1.1 times the global price. The other reader takes it for a region.
            differ["data zone, written DZn"] += 1
        elif "ccchd" in name:
            # The list spells cached with three c: at a tenth of the input price it is no input.
            differ["cached input, misspelt"] += 1
        else:
            differ[f"{name}: {told}"] += 1
    assert differ == {"developer tier": 18, "data zone, written DZn": 14, "cached input, misspelt": 2}
    assert agreed == 1080
    # Where names agree, so do models: each of the other reader's is one model and version here.
    assert {model: found for model, found in models.items() if len(found) > 1} == {}


def test_later_captures_continue_what_the_earlier_one_says() -> None:
    """Each meter of the captures of August and September 2026 goes on where the first capture ends, or is new."""
    first = defaultdict(list)
    for row in BOOK.rows():
        if row.source == "S1":
            first[row.product, row.meter_name].append(row)
    found: Counter[str] = Counter()
    for row in BOOK.rows():
        if row.source != "S3":
            continue
        before = first.get((row.product, row.meter_name), [])
        if not before:
            found["new"] += 1
        elif row.scope.endswith("gov"):
            found["first seen for government regions"] += 1
        else:
            (ends,) = {old.effective_to for old in before if old.effective_to is not None}
            assert row.effective_from == ends, row
            assert {Decimal(old.amount) for old in before} != {Decimal(row.amount)}, "an end without a change"
            found["changed on the day the earlier price ended"] += 1
    assert found == {
        "new": 112,
        "changed on the day the earlier price ended": 52,
        "first seen for government regions": 6,
    }


def ask(row: PriceRow, region: str, **more: Any) -> Decimal | None:
    asked: dict[str, Any] = {
        "model": row.model,
        "version": row.version or None,
        "sku": row.sku,
        "tier": row.tier,
        "band": row.band or "short",
        "meter": row.meter,
        "modality": row.modality or "text",
        "variant": row.variant,
        "region": region,
        "on": CAPTURED,
    }
    try:
        return BOOK.rate(**(asked | more)).amount
    except MissingPriceError:
        return None


def rows_of(*skus: str) -> list[PriceRow]:
    return [
        row
        for row in ANSWERING
        if row.sku in skus and row.regions and row.in_force(CAPTURED) and not row.fine_tuned and "gov" not in row.scope
    ]


def rounded(amount: Decimal) -> Decimal:
    """As the list does: it prices most tokens by the thousand, with six decimals."""
    return amount.quantize(Decimal("0.001"), ROUND_HALF_UP)


def test_a_data_zone_costs_a_tenth_more_and_a_fifth_more_in_asia() -> None:
    """A meter read for the wrong model, tier or direction would break the proportion of the list."""
    compared: Counter[str] = Counter()
    for row in rows_of("DataZoneStandard"):
        everywhere = ask(row, row.regions[0], sku="GlobalStandard")
        if everywhere is not None:
            factors = ["1.1", "1.2"] if row.scope == "data_zone:apac" else ["1.1"]
            (factor,) = (one for one in factors if rounded(Decimal(row.amount)) == rounded(everywhere * Decimal(one)))
            compared[factor] += 1
    assert compared["1.1"] > 600
    assert compared["1.2"] > 30


def test_a_batch_costs_half() -> None:
    compared = 0
    for row in rows_of("GlobalBatch", "DataZoneBatch"):
        standard = ask(row, row.regions[0], sku=row.sku.replace("Batch", "Standard"), tier="default")
        if standard is not None:
            # gpt-5.4's cached input is rounded to the cent before the zone's tenth is added.
            cents = row.model == "gpt-5.4" and row.meter == "cached_input"
            allowed = Decimal("0.006") if cents else Decimal("0.0006")
            assert abs(Decimal(row.amount) - standard / 2) <= allowed, row
            compared += 1
    assert compared > 150


# Worked examples of MicrosoftDocs/azure-ai-docs @72f61a5,
# articles/foundry/openai/how-to/fine-tuning-cost-management.md, ms.date 2026-02-11.

MARCH = date(2026, 3, 1)


def tuned(**more: Any) -> Deployment:
    facts = {"model": "o4-mini", "version": "2025-04-16", "sku": "GlobalStandard", "fine_tuned": "ft"}
    return Deployment("contoso", "tuned", **(facts | more))


def test_four_hours_of_reinforcement_cost_400_dollars() -> None:
    cost = BOOK.price(Usage({"training_time": 4 * HOUR_MS}), tuned(fine_tuned="rft"), on=MARCH)
    assert cost.amount == Decimal(400)


def test_its_grading_by_another_model_costs_27_06_dollars() -> None:
    """The example takes o3-mini's global rates."""
    grader = Deployment("contoso", "grader", "o3-mini", version="2025-01-31", sku="GlobalStandard")
    cost = BOOK.price(Usage({"input": 5_000_000, "output": 4_900_000}), grader, on=MARCH)
    assert cost.amount == Decimal("27.06")


def test_a_month_of_a_tuned_chatbot_costs_1422_dollars() -> None:
    usage = Usage({"hosting": 30 * 24 * HOUR_MS, "input": 20_000_000, "output": 40_000_000})
    cost = BOOK.price(usage, tuned(), on=MARCH)
    assert {line.key.meter: line.amount for line in cost.lines} == {
        "hosting": Decimal(1224),
        "input": Decimal(22),
        "output": Decimal(176),
    }
    assert cost.amount == Decimal(1422)


def test_two_epochs_of_a_million_tokens_cost_what_the_rate_says_twice(tmp_path: Path) -> None:
    """The example reckons with 2 dollars a million, for example's sake: the list has 25."""
    sheet = tmp_path / "example.toml"
    sheet.write_text(
        '[[rate]]\nmodel = "gpt-4.1"\nsku = "GlobalStandard"\nfine_tuned = "ft"\nprice.training = "2"\n', "utf-8"
    )
    job = Usage({"training": 2 * 1_000_000})
    gpt = tuned(model="gpt-4.1", version="2025-04-14")
    assert PriceBook.read(sheet).price(job, gpt, on=MARCH).amount == Decimal(4)
    assert BOOK.price(job, gpt, on=MARCH).amount == Decimal(50)
