"""A bill held against a report: exact sums, nothing lost, nothing claimed that billing does not tell."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from bill_rows import ACCOUNT, Charge, write
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from aoai_cost import PriceBook, Reconciliation, RequestError, cost_report, read_bill, reconcile
from aoai_cost.billing.match import _log_key, _reading_key
from aoai_cost.cli import main
from aoai_cost.prices.meters import read_meter_name
from aoai_cost.render import reconciliation_json, reconciliation_table, report_json

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
INPUT = Charge()
NAMES = {
    "input": ("gpt 4o 1120 Inp glbl Tokens", "2.5"),
    "cached_input": ("gpt 4o 1120 cached Inp glbl Tokens", "1.25"),
    "output": ("gpt 4o 1120 Outp glbl Tokens", "10"),
}


def line(quantity: int = 10_000, meter: str = "input", **changes: Any) -> dict[str, Any]:
    """A line of a report of gpt-4o at list prices."""
    name, price = NAMES.get(meter, ("", "1"))
    told = {
        "period": "2026-10-14",
        "resource": ACCOUNT.lower(),
        "deployment": "chat",
        "model": "gpt-4o",
        "version": "2024-11-20",
        "sku": "GlobalStandard",
        "region": None,
        "tier": "default",
        "band": "short",
        "meter": meter,
        "modality": "text",
        "variant": "",
        "quantity": quantity,
        "unit": "token",
        "price": price,
        "price_unit": "1M tokens",
        "amount": f"{Decimal(price) * quantity / 10**6:f}",
        "meter_name": name,
        "source": "S1",
        "effective_from": None,
    }
    return told | changes


def unpriced(quantity: int = 10_000, **changes: Any) -> dict[str, Any]:
    dropped = ("band", "price", "price_unit", "amount", "meter_name", "source", "effective_from")
    return {name: value for name, value in line(quantity).items() if name not in dropped} | {"reason": "?"} | changes


def report(*lines: dict[str, Any], left: Sequence[dict[str, Any]] = (), **changes: Any) -> dict[str, Any]:
    told = {
        "schema": "aoai_cost.report/1",
        "period": ["2026-10-14", "2026-10-15"],
        "currency": "USD",
        "certainty": "exact",
        "lines": list(lines),
        "unpriced": list(left),
    }
    return told | changes


@pytest.fixture
def bill(tmp_path: Path) -> Any:
    """A bill of charges, in a file of its own."""
    return lambda *charges, form="EA": write(tmp_path / "bill.csv", *charges, form=form)


def assert_adds_up(found: Reconciliation) -> None:
    """Every amount of both sides is in one place, to the last digit; shares may have forty of them."""
    with localcontext(prec=300):
        for total in found.totals:
            assert total.billed == total.matched + total.only_in_bill
            parts = [
                (found.matched, "billed_cost", total.matched),
                (found.only_in_bill, "cost", total.only_in_bill),
            ]
            for frame, column, amount in parts:
                assert amount == sum(frame[column][frame["currency"] == total.currency], Decimal(0))
        assert found.total.billed == (
            found.logged
            - found.only_in_log_cost
            - found.in_other_currencies
            + found.price_difference
            + found.without_price
            + found.total.only_in_bill
        )
        assert found.total.billed == sum((amount for _, amount in found.steps), Decimal(0))


# The example


@pytest.fixture(scope="module")
def example() -> Reconciliation:
    told = cost_report(
        EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml", prices=PriceBook.bundled(), every="day"
    )
    return reconcile(told, EXAMPLES / "bill.csv")


def test_the_example_finds_what_was_put_into_its_bill(example: Reconciliation) -> None:
    assert_adds_up(example)
    assert (example.every, example.complete, example.currency) == ("day", True, "USD")
    found = {(row.meter_name, row.reason): row for row in example.only_in_bill_by_meter().itertuples()}
    assert {(name, reason): row.quantity for (name, reason), row in found.items()} == {
        ("Image-Dall-E-3 Std LowRes-regnl EP Images", "not in the log"): 2,
        ("gpt-4o-0806-Inp-glbl Tokens", "not in the days of the report"): 18_000,
        ("gpt-4o-0806-Outp-glbl Tokens", "not in the days of the report"): 2_400,
        # A call whose other half is not in the log, and one whose line breaks off.
        ("gpt 4o 1120 Inp Data Zone Tokens", "more than in the log"): 2_100,
        ("gpt 4o 1120 Outp Data Zone Tokens", "more than in the log"): 340,
        ("GPT 5 Mini Inpt DZone 1M Tokens", "more than in the log"): 1_430,
        ("GPT 5 Mini outpt DZone 1M Tokens", "more than in the log"): 349,
        ("GPT 5 Mini cchd Inpt DZone 1M Tokens", "not in the log"): 1_024,
    }
    left = {(row.model, row.meter): row.quantity for row in example.only_in_log_by_meter().itertuples()}
    assert left == {
        ("text-embedding-3-large", "input"): 1_000,  # the refund
        ("contoso-chat", "input"): 25_954,
        ("contoso-chat", "output"): 5_295,
    }
    costs = list(example.matched_by_meter()["billed_cost"])
    assert costs == sorted(costs, reverse=True)
    outside = Decimal(18) * Decimal("0.0025") + Decimal("2.4") * Decimal("0.01")
    assert example.total.outside == outside


def test_the_example_shows_discounts_and_nothing_else_as_differences_in_price(example: Reconciliation) -> None:
    off = {}
    for row in example.matched_by_meter().itertuples():
        if row.discount is None:
            assert (row.model, row.sku) == ("gpt-4o-mini", "GlobalStandard")  # not in the deployments file
            assert row.logged_price is None
        else:
            off[row.model] = row.discount
    assert {model for model, share in off.items() if share} == {"gpt-5-mini"}
    assert off["gpt-5-mini"] == Decimal("0.1")
    assert example.price_difference < 0 < example.without_price


def test_a_report_and_its_json_compare_alike(example: Reconciliation, tmp_path: Path) -> None:
    told = cost_report(
        EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml", prices=PriceBook.bundled(), every="day"
    )
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report_json(told)))
    bill = read_bill(EXAMPLES / "bill.csv")
    for same in (reconcile(path, bill), reconcile(json.loads(path.read_text()), bill)):
        assert reconciliation_json(same) == reconciliation_json(example) | {
            "files": [one._asdict() for one in bill.files]
        }


def test_a_report_by_month_is_compared_by_month_and_only_on_its_days(example: Reconciliation) -> None:
    told = cost_report(EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml", prices=PriceBook.bundled())
    found = reconcile(told, EXAMPLES / "bill.csv")
    assert_adds_up(found)
    assert (found.every, set(found.matched["period"])) == ("month", {"2026-10"})
    assert (found.total.billed, found.total.outside) == (example.total.billed, example.total.outside)
    assert any("by month, and so is the comparison" in note for note in found.notes)


# One thing at a time


def test_what_both_have_is_matched(bill: Any) -> None:
    found = reconcile(report(line()), bill(INPUT))
    assert_adds_up(found)
    row = next(found.matched.itertuples())
    assert (row.quantity, row.billed_cost, row.logged_cost, row.price_difference) == (
        10_000, Decimal("0.025"), Decimal("0.025"), 0,
    )  # fmt: skip
    assert (row.billed_price, row.logged_price, row.price_unit) == (Decimal("2.5"), Decimal("2.5"), "1M tokens")
    assert (len(found.only_in_bill), len(found.only_in_log), found.total.explained) == (0, 0, 1)
    assert found.complete
    assert row.provisional


def test_a_discount_is_a_difference_in_price_and_not_in_quantity(bill: Any) -> None:
    found = reconcile(report(line()), bill(INPUT.with_(cost="0.0225")))
    assert_adds_up(found)
    row = next(found.matched.itertuples())
    assert (row.billed_price, row.logged_price) == (Decimal("2.25"), Decimal("2.5"))
    assert (found.price_difference, found.total.explained) == (Decimal("-0.0025"), 1)


def test_more_in_the_bill_than_in_the_log_is_only_in_the_bill(bill: Any) -> None:
    found = reconcile(report(line(9_000)), bill(INPUT))
    assert_adds_up(found)
    row = next(found.only_in_bill.itertuples())
    assert (row.quantity, row.cost, row.reason) == (1_000, Decimal("0.0025"), "more than in the log")
    assert found.total.explained == Decimal("0.9")


def test_more_in_the_log_than_in_the_bill_is_only_in_the_log(bill: Any) -> None:
    found = reconcile(report(line(), line(5_000, deployment="other"), line(70, "output")), bill(INPUT))
    assert_adds_up(found)
    left = {row.meter: (row.quantity, row.cost) for row in found.only_in_log.itertuples()}
    assert left == {"input": (5_000, Decimal("0.0125")), "output": (70, Decimal("0.0007"))}
    assert found.only_in_log_cost == Decimal("0.0132")


def test_deployments_of_one_model_meet_the_bill_together(bill: Any) -> None:
    found = reconcile(report(line(4_000), line(6_000, deployment="other")), bill(INPUT))
    assert (len(found.matched), len(found.only_in_bill), len(found.only_in_log)) == (1, 0, 0)
    assert "deployment" not in found.matched


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"day": date(2026, 10, 13)}, id="another day"),
        pytest.param({"resource": ACCOUNT + "2"}, id="another account"),
        pytest.param({"resource": ACCOUNT.replace("aoai-east", "x").replace("RG-AOAI", "aoai-east")}, id="its group"),
        pytest.param({"meter": "gpt-4o-mini-0718-Inp-glbl Tokens"}, id="a longer name of a model"),
        pytest.param({"meter": "gpt 4o 1120 Inp Data Zone Tokens"}, id="another deployment type"),
        pytest.param({"meter": "gpt 4o 1120 Batch Inp glbl Tokens"}, id="batch"),
        pytest.param({"meter": "gpt 4o 1120 Outp glbl Tokens"}, id="output"),
        pytest.param({"meter": "gpt 4o 1120 cached Inp glbl Tokens"}, id="cached input"),
        pytest.param({"meter": "gpt-4o-0806-FT-inp-glbl Tokens"}, id="a tuned model"),
    ],
)
def test_what_differs_is_in_both_lists(changes: dict[str, Any], bill: Any) -> None:
    found = reconcile(report(line(), period=["2026-10-13", "2026-10-15"]), bill(INPUT.with_(**changes)))
    assert_adds_up(found)
    assert (len(found.matched), len(found.only_in_bill), len(found.only_in_log)) == (0, 1, 1)
    assert found.only_in_bill["reason"][0] == "not in the log"
    assert found.complete


def test_versions_of_a_model_are_one_family(bill: Any) -> None:
    found = reconcile(report(line()), bill(INPUT.with_(meter="gpt-4o-0806-Inp-glbl Tokens")))
    assert len(found.matched) == 1


def test_a_refund_takes_off_its_day_or_stands_alone(bill: Any) -> None:
    refund = INPUT.with_(quantity="-1", cost="-0.0025", charge="Refund")
    same_day = reconcile(report(line(9_000)), bill(INPUT, refund))
    assert (same_day.total.billed, same_day.total.explained) == (Decimal("0.0225"), 1)
    two_days = report(line(), period=["2026-10-14", "2026-10-16"])
    alone = reconcile(two_days, bill(INPUT, refund.with_(day=date(2026, 10, 15))))
    assert_adds_up(alone)
    row = next(alone.only_in_bill.itertuples())
    assert (row.quantity, row.cost, row.reason) == (-1_000, Decimal("-0.0025"), "a refund")


def test_a_meter_that_is_not_known_is_only_in_the_bill_and_the_result_incomplete(bill: Any) -> None:
    found = reconcile(report(line()), bill(INPUT, INPUT.with_(meter="gpt 9 tiny Inp glbl Tokens", cost="7.5")))
    assert_adds_up(found)
    row = next(found.only_in_bill.itertuples())
    assert (row.cost, row.meter_name, row.unit) == (Decimal("7.5"), "gpt 9 tiny Inp glbl Tokens", "1K")
    assert "fits no model" in row.reason
    assert not found.complete


def test_a_purchase_is_only_in_the_bill(bill: Any) -> None:
    ptu = Charge("1", "260", meter="Provisioned Managed Global Unit", unit="1/Hour", charge="Purchase")
    found = reconcile(report(line()), bill(INPUT, ptu))
    assert list(found.only_in_bill["reason"]) == ["a charge of the type 'purchase', not usage"]
    assert_adds_up(found)
    assert found.complete


def test_days_beside_the_report_are_apart(bill: Any) -> None:
    found = reconcile(report(line()), bill(INPUT, INPUT.with_(day=date(2026, 10, 15), cost="3")))
    assert_adds_up(found)
    assert list(found.only_in_bill["reason"]) == ["not in the days of the report"]
    assert (found.total.outside, found.total.explained) == (3, 1)
    assert found.complete


def test_what_the_report_has_no_price_of_gets_one_from_the_bill(bill: Any) -> None:
    found = reconcile(report(left=[unpriced(4_000), unpriced(6_000)]), bill(INPUT))
    assert_adds_up(found)
    row = next(found.matched.itertuples())
    assert (row.quantity, row.billed_price, row.logged_cost, row.logged_price) == (10_000, Decimal("2.5"), None, None)
    assert (found.without_price, found.price_difference) == (Decimal("0.025"), 0)


def test_a_part_without_a_price_makes_the_price_unknown(bill: Any) -> None:
    found = reconcile(report(line(4_000), left=[unpriced(6_000)]), bill(INPUT))
    assert_adds_up(found)
    assert found.matched["logged_price"][0] is None
    assert found.without_price == Decimal("0.015")


def test_an_unknown_deployment_type_meets_the_one_that_is_billed(bill: Any) -> None:
    unknown = unpriced(sku=None, tier=None)
    found = reconcile(report(left=[unknown]), bill(INPUT))
    assert (found.matched["sku"][0], found.matched["tier"][0]) == ("GlobalStandard", "default")
    two = reconcile(report(left=[unknown]), bill(INPUT, INPUT.with_(meter="gpt 4o 1120 Inp Data Zone Tokens")))
    assert (len(two.matched), len(two.only_in_bill), len(two.only_in_log)) == (0, 2, 1)
    assert_adds_up(two)


def test_a_meter_that_leaves_the_deployment_type_open_meets_the_one_that_was_used(bill: Any) -> None:
    regional = line(model="text-embedding-ada-002", version="2", sku="Standard", meter_name="", amount="0.001")
    found = reconcile(report(regional), bill(INPUT.with_(meter="Az-Embeddings-Ada Tokens", cost="0.001")))
    assert (found.matched["sku"].tolist(), found.complete) == (["Standard"], True)
    assert_adds_up(found)


def test_cached_input_that_is_priced_as_input_is_billed_as_input(bill: Any) -> None:
    stand_in = line(3_000, "cached_input", meter_name=NAMES["input"][0], amount="0.0075")
    found = reconcile(report(line(7_000), stand_in), bill(INPUT))
    assert (len(found.matched), found.total.explained) == (1, 1)


def test_prices_of_ones_own_without_a_meter_name_match_too(bill: Any) -> None:
    own = line(meter_name="", amount="0.022")
    ptu = line(360 * 3_600_000, "ptu", unit="PTU-millisecond", price_unit="1 PTU-hour", meter_name="",
               sku="GlobalProvisionedManaged", amount="288")  # fmt: skip
    tuned = line(5_000, "output", meter_name="", model="gpt-4o-mini", amount="0.003")
    billed = (
        INPUT,
        Charge("360", "360", meter="Provisioned Managed Global Unit", unit="1/Hour"),
        Charge("5", "0.003", meter="gpt-4o-mini-0718-FT-Outp-glbl Tokens"),
    )
    found = reconcile(report(own, ptu, tuned), bill(*billed))
    assert_adds_up(found)
    assert (len(found.matched), len(found.only_in_bill), len(found.only_in_log)) == (3, 0, 0)
    assert found.price_difference == Decimal("72.003")


@pytest.mark.parametrize(
    ("changes", "meter", "matched"),
    [
        pytest.param({}, "gpt 4o 1120 Inp Data Zone Tokens", 0, id="another deployment type"),
        pytest.param({"sku": "GlobalBatch"}, "gpt 4o 1120 Batch Inp glbl Tokens", 1, id="batch"),
        pytest.param({"sku": "GlobalBatch"}, "gpt 4o 1120 Inp glbl Tokens", 0, id="batch is no standard"),
    ],
)
def test_without_a_meter_name_the_deployment_type_still_counts(
    changes: dict[str, Any], meter: str, matched: int, bill: Any
) -> None:
    found = reconcile(report(line(meter_name="", **changes)), bill(INPUT.with_(meter=meter)))
    assert len(found.matched) == matched
    assert_adds_up(found)


@pytest.mark.parametrize("name", ["aoai-east", "AOAI-East", ACCOUNT, ACCOUNT.upper() + "/"])
def test_a_resource_is_the_account_that_it_names(name: str, bill: Any) -> None:
    assert len(reconcile(report(line(resource=name)), bill(INPUT)).matched) == 1


def test_a_bare_name_of_two_accounts_is_not_guessed(bill: Any) -> None:
    other = ACCOUNT.replace("RG-AOAI", "RG-OTHER")
    found = reconcile(report(line(resource="aoai-east")), bill(INPUT, INPUT.with_(resource=other)))
    assert (len(found.matched), len(found.only_in_bill), len(found.only_in_log)) == (0, 2, 1)
    assert any("several accounts" in note for note in found.notes)
    assert_adds_up(found)


def test_calls_without_a_resource_or_a_day_are_only_in_the_log(bill: Any) -> None:
    nowhere = INPUT.with_(resource="")
    found = reconcile(report(line(resource=None), left=[unpriced(period="undated")]), bill(INPUT, nowhere))
    assert (len(found.matched), len(found.only_in_bill), len(found.only_in_log)) == (0, 2, 2)
    assert_adds_up(found)


@pytest.mark.parametrize("form", ["MCA", "FOCUS 1.0", "FOCUS 1.2"])
def test_a_bill_in_another_currency_is_compared_in_that_of_the_report_where_it_tells(form: str, bill: Any) -> None:
    found = reconcile(report(line()), bill(INPUT.with_(cost="0.023", currency="EUR", rate="0.92"), form=form))
    assert_adds_up(found)
    assert (found.total.currency, found.total.matched, found.price_difference) == ("USD", Decimal("0.025"), 0)
    assert (len(found.totals), found.complete) == (1, True)


def test_a_currency_that_nothing_converts_is_matched_by_quantity_alone(bill: Any) -> None:
    found = reconcile(report(line(), line(500, "output")), bill(INPUT.with_(cost="0.023", currency="EUR")))
    assert_adds_up(found)
    dollars, euros = found.totals
    assert (dollars.billed, euros.currency, euros.matched, euros.explained) == (0, "EUR", Decimal("0.023"), 1)
    assert found.matched["price_difference"][0] is None
    assert (found.in_other_currencies, found.only_in_log_cost) == (Decimal("0.025"), Decimal("0.005"))
    assert not found.complete
    assert any("quantities are matched, prices are not compared" in note for note in found.notes)


def test_a_report_in_the_currency_of_the_bill_is_compared_in_it(bill: Any) -> None:
    found = reconcile(report(line(), currency="EUR"), bill(INPUT.with_(currency="EUR")))
    assert (found.total.currency, found.price_difference, found.complete) == ("EUR", 0, True)


def test_a_row_that_cannot_be_read_makes_the_result_incomplete(bill: Any) -> None:
    assert not reconcile(report(line()), bill(INPUT, INPUT.with_(cost="NaN"))).complete


@pytest.mark.parametrize(
    "told",
    [
        {},
        [],
        {"schema": "aoai_cost.report/2"},
        report(line(amount="much")),
        report(line(amount="NaN")),
        report(line() | {"quantity": 1.5}),
        report(line(model=["gpt-4o"])),
        report(line(period="2026-10-14"), line(period="2026-10")),
        report({"period": "2026-10-14"}),
        report(period=["soon", "later"]),
    ],
)
def test_what_is_no_report_is_refused(told: Any, bill: Any, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--every day --json"):
        reconcile(told, bill(INPUT))
    path = tmp_path / "report.json"
    path.write_text(json.dumps(told))
    with pytest.raises(RequestError, match="--every day --json"):
        reconcile(path, bill(INPUT))
    path.write_text("{")
    with pytest.raises(RequestError, match="no JSON"):
        reconcile(path, bill(INPUT))


def test_a_report_without_days_explains_nothing_and_says_so(bill: Any) -> None:
    found = reconcile(report(period=None), bill(INPUT))
    assert (found.total.explained, found.total.outside) == (None, Decimal("0.025"))
    assert any("has no days" in note for note in found.notes)


def test_one_bill_is_enough(bill: Any) -> None:
    once = read_bill(bill(INPUT))
    with pytest.raises(RequestError, match="one Bill"):
        reconcile(report(line()), once, bill(INPUT))


# Every meter of the price list


def test_every_meter_of_the_price_list_is_the_same_in_a_bill_and_in_a_report() -> None:
    units = {"1M tokens": ("1K", "1M"), "1 image": ("100",), "1M characters": ("1M",), "1K calls": ("1K",)}
    written = {"1 PTU-hour": "1/Hour", "1 GB-day": "1 GB/Day", "1 session": "1"}
    compared = set()
    for row in PriceBook.bundled().rows():
        if row.unmatched or row.source not in ("S1", "S3"):
            continue
        told = {name: getattr(row, name) for name in ("model", "sku", "tier", "meter", "variant", "meter_name")}
        told |= {"period": "2026-10-14", "band": row.band or "short", "modality": row.modality, "price_unit": row.unit}
        for unit in units.get(row.unit, (written.get(row.unit, row.unit),)):
            reading = read_meter_name(row.product, row.meter_name, unit)
            if not reading.unmatched:
                assert _log_key(told, "x") == _reading_key("2026-10-14", "x", reading), row.meter_name
                compared.add(row.meter_name)
    assert len(compared) > 1_200


# Any bill and any report


QUANTITIES = st.sampled_from(["0", "1", "-1", "0.5", "0.333333", "12.345678901234567890", "1e3"])
CHARGES = st.builds(
    Charge,
    quantity=QUANTITIES,
    cost=st.decimals(-10, 1_000, places=9).map(lambda one: f"{one:f}") | st.sampled_from(["1e-40", "1e30", "-1e30"]),
    day=st.sampled_from([date(2026, 10, 13), date(2026, 10, 14), date(2026, 10, 15)]),
    meter=st.sampled_from([name for name, _ in NAMES.values()] + ["gpt 9 tiny Inp glbl Tokens"]),
    resource=st.sampled_from([ACCOUNT, ACCOUNT.upper(), ACCOUNT + "-2"]),
    currency=st.sampled_from(["USD", "USD", "EUR"]),
    charge=st.sampled_from(["Usage", "Usage", "Refund", "Purchase"]),
)
COUNTS = st.integers(1, 20_000)
LINES = st.builds(
    line,
    COUNTS,
    st.sampled_from(sorted(NAMES)),
    resource=st.sampled_from([ACCOUNT, "aoai-east-2", None]),
    period=st.sampled_from(["2026-10-13", "2026-10-14"]),
)
LEFT = st.builds(unpriced, COUNTS, sku=st.sampled_from(["GlobalStandard", None]), tier=st.just("default"))


@given(
    charges=st.lists(CHARGES, max_size=10),
    lines=st.lists(LINES, max_size=6),
    left=st.lists(LEFT, max_size=3),
    seed=st.randoms(use_true_random=False),
)
def test_amounts_add_up_exactly_and_the_order_of_rows_means_nothing(
    charges: list[Charge],
    lines: list[dict[str, Any]],
    left: list[dict[str, Any]],
    seed: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("bill")
    told = report(*lines, left=left, period=["2026-10-13", "2026-10-15"])
    found = reconcile(told, write(folder / "bill.csv", *charges))
    assert_adds_up(found)
    for currency in ("USD", "EUR"):
        billed = sum(Fraction(one.cost) for one in charges if one.currency == currency)
        assert billed == next((Fraction(one.billed) for one in found.totals if one.currency == currency), 0)
    assert shown(found)
    assert Fraction(found.logged) == sum(Fraction(one["amount"]) for one in lines)
    logged = sum(one["quantity"] for one in (*lines, *left))
    assert sum(map(Fraction, (*found.matched["quantity"], *found.only_in_log["quantity"]))) == logged
    for mixed in (charges, lines, left):
        seed.shuffle(mixed)
    again = report(*lines, left=left, period=["2026-10-13", "2026-10-15"])
    same = reconciliation_json(reconcile(again, write(folder / "bill.csv", *charges)))
    assert same == reconciliation_json(found)


def test_the_callers_decimal_context_plays_no_part(example: Reconciliation) -> None:
    told = cost_report(
        EXAMPLES / "logs", deployments=EXAMPLES / "deployments.toml", prices=PriceBook.bundled(), every="day"
    )
    with localcontext(prec=4):
        found = reconcile(told, EXAMPLES / "bill.csv")
    assert reconciliation_json(found) == reconciliation_json(example)


# How it is shown


def shown(found: Reconciliation, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    console.print(reconciliation_table(found))
    return console.export_text()


def test_the_terminal_shows_the_way_from_the_report_to_the_bill(example: Reconciliation) -> None:
    text = shown(example)
    for words in (
        "by day",
        "What the report says                                 1,607.91",
        "What Azure billed                                    1,608.09",
        "99.99 % of 1,608.03 USD billed on these days is found in the log",
        "10.0 %",
        "94 counted, 0 superseded, 4 ignored, 0 rejected",
    ):
        assert words in text
    assert text.index("gpt-5-mini output") < text.index("ptu,")  # what differs comes first


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_no_number_is_cut_in_a_narrow_terminal(width: int, example: Reconciliation) -> None:
    text = shown(example, width)
    assert "1,608.09" in text
    assert "1,440.00" in text
    assert "…" not in text


def test_a_strangers_text_does_nothing(bill: Any) -> None:
    hostile = "\x1b[2J[bold]gpt 9[/bold] Inp"
    found = reconcile(report(line()), bill(INPUT.with_(meter=hostile, product="Azure OpenAI \x1b[31m")))
    text = shown(found)
    assert "\x1b" not in text
    assert "\\x1b[2J[bold]" in text
    json.dumps(reconciliation_json(found))


def test_the_json_is_plain_and_exact(bill: Any) -> None:
    told = reconciliation_json(reconcile(report(line(9_000)), bill(INPUT.with_(cost="0.02500000000000000000001"))))
    again = json.loads(json.dumps(told))
    assert again == told
    assert told["totals"][0]["billed"] == "0.02500000000000000000001"
    parts = Decimal(told["matched"][0]["billed_cost"]) + Decimal(told["only_in_bill"][0]["cost"])
    assert parts == Decimal("0.02500000000000000000001")
    assert told["files"][0]["rows"] == 1


# The command


def run(*words: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(main, ["reconcile", *words], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def told(tmp_path: Path) -> str:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(line())))
    return str(path)


def test_the_command_says_by_its_exit_code_how_it_went(told: str, bill: Any) -> None:
    good = run("--report", told, "--billing", str(bill(INPUT)))
    assert (good.exit_code, "100 % of" in good.stdout) == (0, True)
    unknown = run("--report", told, str(bill(INPUT.with_(meter="gpt 9 tiny Inp glbl Tokens"))), "--json")
    assert (unknown.exit_code, json.loads(unknown.stdout)["complete"]) == (3, False)


def test_the_report_may_come_from_another_command(told: str, bill: Any) -> None:
    piped = run("--report", "-", str(bill(INPUT)), "--json", stdin=Path(told).read_text())
    assert json.loads(piped.stdout)["totals"][0]["explained"] == "1.000000"
    assert run("--report", "-", str(bill(INPUT)), stdin="{").exit_code == 1


def test_a_mistake_ends_in_one_line(told: str, bill: Any, tmp_path: Path) -> None:
    for words, code, said in (
        (["--report", told], 2, "name an export"),
        (["--billing", str(bill(INPUT))], 2, "--report"),
        (["--report", told, "no.csv"], 1, "no such file"),
        (["--report", str(tmp_path / "no.json"), str(bill(INPUT))], 1, "no.json"),
        (["--report", str(bill(INPUT)), str(bill(INPUT))], 1, "no JSON"),
        (["--report", told, "--view", "both", "x"], 2, "amortized"),
        (["--report", told, told], 1, "is no export of costs"),
    ):
        result = run(*words)
        assert (result.exit_code, result.stdout) == (code, "")
        assert said in result.stderr
        assert "Traceback" not in result.stderr


def test_options_reach_the_bill(told: str, bill: Any) -> None:
    covered = Charge("360", "0", meter="Provisioned Managed Global Unit", unit="1/Hour", effective_cost="130")
    path = str(bill(INPUT, covered, form="FOCUS 1.0"))
    found = json.loads(run("--report", told, path, "--view", "amortized", "--json").stdout)
    assert (found["view"], found["totals"][0]["billed"]) == ("amortized", "130.025")
    assert run("--report", told, path, "--dates", "dmy").exit_code == 0
