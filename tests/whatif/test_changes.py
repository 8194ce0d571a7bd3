"""Changes as values, what they refuse, what they leave alone, and what they say."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest

from aoai_cost import (
    AoaiCostError,
    BuyPtu,
    CacheShare,
    CapOutput,
    Change,
    ContractDiscount,
    Deployment,
    Deployments,
    DownscaleImages,
    Growth,
    MoveRegion,
    MoveSku,
    PriceAsOf,
    PriceBook,
    RequestError,
    ScaleVolume,
    ServiceTier,
    SwapModel,
    UnknownNameError,
    UsageLog,
    UseBatch,
    compare,
    read_usage,
    what_if,
)
from aoai_cost.logs import sum_usage

FILE = Deployments(
    [
        Deployment("contoso", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral"),
        Deployment("fabrikam", "chat", "gpt-4.1", "2025-04-14", "Standard", "eastus2"),
        Deployment("contoso", "pilot", "contoso-chat", "1", "GlobalStandard", "swedencentral"),
        Deployment("contoso", "embed", "text-embedding-3-large", "1", "GlobalStandard", "swedencentral"),
        Deployment("contoso", "tuned", "gpt-4o-mini", "2024-07-18", "Standard", "swedencentral", fine_tuned="ft"),
    ]
)
BOOK = PriceBook.bundled()
NAMES = ("timestamp", "resource", "deployment", "model", "version", "prompt_tokens", "completion_tokens", "requests")


def table(*calls: tuple[str, str, int, int], requests: int = 1, model: bool = True) -> pd.DataFrame:
    known = {(one.resource, one.name): one for one in FILE}
    rows = [
        {
            "timestamp": datetime(2026, 10, 14, 12, i, tzinfo=UTC),
            "resource": resource,
            "deployment": name,
            "model": known[resource, name].model if model else None,
            "version": known[resource, name].version if model else None,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "requests": requests,
        }
        for i, (resource, name, prompt, completion) in enumerate(calls)
    ]
    return pd.DataFrame(rows)


def read(*calls: tuple[str, str, int, int], **options: Any) -> UsageLog:
    return read_usage(table(*calls, **options), columns={name: name for name in NAMES})


CHAT = ("contoso", "chat", 1_000_000, 100_000)
REGIONAL = ("fabrikam", "chat", 1_000_000, 100_000)


def changed(log: Any, *changes: Change) -> Any:
    return what_if(log, *changes, deployments=FILE, prices=BOOK, by=("deployment", "sku"))


EVERY_CHANGE = [
    pytest.param(SwapModel("gpt-4o", "gpt-4.1", only="chat"), id="another model"),
    pytest.param(MoveSku("DataZoneStandard"), id="another type"),
    pytest.param(MoveRegion("eastus2"), id="another region"),
    pytest.param(UseBatch("0.3"), id="batches"),
    pytest.param(CacheShare("0.3"), id="a cached share"),
    pytest.param(ServiceTier("priority"), id="another tier"),
    pytest.param(ScaleVolume(2), id="more calls"),
    pytest.param(Growth("0.05", months=3), id="growth"),
    pytest.param(CapOutput(100), id="shorter answers"),
    pytest.param(DownscaleImages(max_side_px=512), id="smaller images"),
    pytest.param(BuyPtu(50, only=["contoso/chat"]), id="provisioned units"),
    pytest.param(ContractDiscount("0.1"), id="a discount"),
    pytest.param(PriceAsOf(date(2026, 11, 1)), id="the prices of a day"),
]


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_a_change_is_a_value(change: Change) -> None:
    assert pickle.loads(pickle.dumps(change)) == change
    assert hash(change) == hash(pickle.loads(pickle.dumps(change)))
    assert type(change).__name__ in repr(change)
    assert change.note
    with pytest.raises(AttributeError):
        change.only = ("other",)  # type: ignore[misc]


REFUSED = [
    pytest.param(lambda: UseBatch("1.1"), id="more than all"),
    pytest.param(lambda: UseBatch(-1), id="less than none"),
    pytest.param(lambda: CacheShare("half"), id="a word for a share"),
    pytest.param(lambda: CacheShare(True), id="a truth for a share"),
    pytest.param(lambda: ScaleVolume(float("nan")), id="no number"),
    pytest.param(lambda: ScaleVolume("1e999999999"), id="a number beyond all memory"),
    pytest.param(lambda: Growth("-1.5"), id="fewer calls than none"),
    pytest.param(lambda: Growth("0.1", months=-1), id="months that were"),
    pytest.param(lambda: MoveSku("GlobalProvisionedManaged"), id="a type that is bought"),
    pytest.param(lambda: MoveSku("Premium"), id="an unknown type"),
    pytest.param(lambda: MoveRegion(""), id="no region"),
    pytest.param(lambda: ServiceTier("fast"), id="an unknown tier"),
    pytest.param(lambda: CapOutput(0), id="no answer at all"),
    pytest.param(lambda: CapOutput(1.5), id="half a token"),  # type: ignore[arg-type]
    pytest.param(lambda: DownscaleImages(), id="no size"),
    pytest.param(lambda: DownscaleImages(detail="low", max_side_px=5), id="two sizes"),
    pytest.param(lambda: BuyPtu("many"), id="a word for units"),  # type: ignore[arg-type]
    pytest.param(lambda: BuyPtu(15, sku="Standard"), id="units of a type without"),
    pytest.param(lambda: BuyPtu(15, term="2_years"), id="an unknown term"),
    pytest.param(lambda: ContractDiscount("0.1", only="chat"), id="a discount for a deployment"),
    pytest.param(lambda: PriceAsOf("2026-11-01"), id="a text for a day"),  # type: ignore[arg-type]
    pytest.param(lambda: UseBatch(only="contoso/"), id="an account without a deployment"),
    pytest.param(lambda: UseBatch(only=[3]), id="a number for a name"),  # type: ignore[list-item]
    pytest.param(lambda: SwapModel("gpt-4o", 4), id="a number for a model"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", REFUSED)
def test_a_value_without_a_meaning_is_refused(make: Any) -> None:
    with pytest.raises(RequestError):
        make()


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="gpt-4o-minni"):
        SwapModel("gpt-4o", "gpt-4o-minni")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(UseBatch(only="chta"), id="a name that is not there"),
        pytest.param(UseBatch(only="fabrikam/chat"), id="another account's"),
        pytest.param(SwapModel("gpt-4.1", "gpt-4o"), id="a model that is not there"),
        pytest.param(BuyPtu(only="tuned"), id="units for a fine-tuned model"),
    ],
)
def test_a_change_that_finds_nothing_is_refused(change: Change) -> None:
    with pytest.raises(RequestError, match="the log has no calls"):
        changed(read(CHAT), change)


@pytest.mark.parametrize(
    "change", [pytest.param(CapOutput(5), id="shorter answers"), pytest.param(BuyPtu(15), id="provisioned units")]
)
def test_sums_do_not_tell_single_calls(change: Change) -> None:
    sums = sum_usage(table(CHAT), columns={name: name for name in NAMES})
    with pytest.raises(RequestError, match="give what read_usage returns"):
        changed(sums, change)


def test_images_that_nobody_saw_are_not_made_smaller() -> None:
    with pytest.raises(RequestError, match="recount"):
        changed(read(CHAT), DownscaleImages(detail="low"))


def test_a_log_and_a_change_are_asked_for() -> None:
    with pytest.raises(RequestError, match="read_usage"):
        what_if("examples/logs", UseBatch())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="changes"):
        what_if(read(CHAT), "batch")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="axes"):
        compare(read(CHAT), {"cost": {"a": None}})


def test_what_azure_does_not_sell_stays_and_is_named() -> None:
    found = changed(read(CHAT, REGIONAL), UseBatch())
    frame = found.after.frame.query("deployment == 'chat'")
    skus = dict(zip(frame["sku"], frame["cost"], strict=True))
    # gpt-4o as a batch: half of 2.50 and 10; gpt-4.1 stays in its region, where no batch is sold.
    assert skus["GlobalBatch"] == Decimal("1.75")
    before = found.before.frame.query("deployment == 'chat' and sku == 'Standard'")
    assert [skus["Standard"]] == before["cost"].tolist()
    assert "GlobalStandard" not in skus
    assert any("chat (Standard)" in note and "left as they are" in note for note in found.notes)


def test_a_model_without_a_price_makes_the_difference_unknown() -> None:
    found = changed(read(CHAT), MoveSku("DeveloperTier", only="chat"))
    assert found.difference is None
    assert found.after.certainty == "lower_bound"
    assert set(found.after.unpriced["meter"]) == {"input", "output"}
    assert any("no price is known for chat (gpt-4o)" in note for note in found.notes)
    assert found.frame["difference"].isna().any()
    assert "the difference is not known" in found._repr_html_()


def test_what_had_no_price_before_does_not_hide_the_difference() -> None:
    log = read(CHAT, ("contoso", "pilot", 1_000, 10))
    for change in (UseBatch("0.5"), CacheShare("0.5"), ScaleVolume(2)):
        found = changed(log, change)
        assert found.difference == changed(read(CHAT), change).difference
        assert found.before.certainty == found.after.certainty == "lower_bound"


def test_cached_input_is_left_alone_where_it_has_no_price() -> None:
    found = changed(read(("contoso", "embed", 1_000_000, 0)), CacheShare("0.5"))
    assert found.difference == 0
    assert found.after.certainty == found.before.certainty


def test_a_fine_tuned_model_changes_only_by_name() -> None:
    log = read(CHAT, ("contoso", "tuned", 1_000, 10))
    with pytest.raises(RequestError, match="no calls to gpt-4o-mini"):
        changed(log, SwapModel("gpt-4o-mini", "gpt-4.1"))
    by_name = changed(log, SwapModel("gpt-4o-mini", "gpt-4.1", only="tuned"))
    # Hosting of 1.70 an hour is given up with the fine-tuned model.
    assert by_name.difference is not None
    assert by_name.difference < Decimal("-40")


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(RequestError, match="embedding"):
        changed(read(CHAT), SwapModel("gpt-4o", "text-embedding-3-large"))


def test_a_model_that_counts_otherwise_is_an_estimate() -> None:
    exact = changed(read(CHAT), SwapModel("gpt-4o", "gpt-4.1"))
    assert exact.after.certainty == exact.before.certainty == "exact"
    found = changed(read(CHAT), SwapModel("gpt-4o", "gpt-4o-mini"))
    assert found.after.certainty == "estimated"
    assert any("not read with recount=: 1" in note for note in found.notes)


def test_a_sum_of_calls_is_cut_as_if_they_were_equal() -> None:
    log = read(("contoso", "chat", 10_000, 5_000), requests=10)
    # Ten calls of 500 tokens each: a cap of 400 leaves 4,000.
    found = changed(log, CapOutput(400))
    assert found.after.frame["output"].sum() == 4_000
    assert found.after.certainty == "estimated"


def test_a_reservation_costs_its_days() -> None:
    log = read(CHAT)
    hourly, month, year = (
        changed(log, BuyPtu(50, term=term, only="contoso/chat")).after for term in ("hourly", "1_month", "1_year")
    )
    asked = {"model": "gpt-4o", "version": "2024-11-20", "sku": "GlobalProvisionedManaged"}
    units = BOOK.rate(**asked, meter="ptu_reservation", variant="1_month", on=date(2026, 10, 14))
    hosting = changed(log).before.total - Decimal("3.5")
    assert round(month.total - hosting, 12) == round(Decimal(50 * 24) / 730 * units.amount, 12)
    assert year.total < month.total < hourly.total


def test_notes_say_each_thing_once() -> None:
    found = changed(read(CHAT), ScaleVolume(2), ScaleVolume(2))
    assert found.notes == (ScaleVolume(2).note,)
    assert found.changes == (ScaleVolume(2), ScaleVolume(2))
    assert found.after.frame["input"].sum() == 4_000_000


def test_growth_is_compound() -> None:
    assert Growth("0.05", months=6).factor == Fraction(21, 20) ** 6
    assert Growth("-0.5", months=1).factor == Fraction(1, 2)


def test_a_workload_is_left_as_it_is() -> None:
    log = read(CHAT, REGIONAL)
    before = changed(log).after.total
    for change in (UseBatch(), CapOutput(1), BuyPtu(50), SwapModel("gpt-4o", "gpt-4o-mini")):
        changed(log, change)
    assert changed(log).after.total == before
    assert int(log.frame["completion_tokens"].sum()) == 200_000


def test_hostile_names_do_nothing_in_a_page() -> None:
    name = "<script>alert(1)</script>"
    rows = table(CHAT).assign(deployment=name)
    file = Deployments([Deployment("contoso", name, "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral")])
    log = read_usage(rows, columns={one: one for one in NAMES})
    page = what_if(log, UseBatch(only=name), deployments=file, prices=BOOK)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_errors_are_of_the_package() -> None:
    with pytest.raises(AoaiCostError):
        changed(read(CHAT), BuyPtu(17))
