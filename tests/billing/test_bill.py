"""Bills read: every format, every trap of Cost Management's exports, and what becomes of every row."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pytest
import zstandard
from bill_rows import ACCOUNT, BLOCKS, EA_COLUMNS, FORMATS, Charge, csv_text, ea_row, focus_row, table, write
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from aoai_cost import Bill, BillError, MissingExtraError, RequestError, read_bill
from aoai_cost.billing import bill as reading

INPUT = Charge()
CACHED = Charge("13.312", "0.01664", meter="gpt 4o 1120 cached Inp glbl Tokens")
OUTPUT = Charge("2.689", "0.02689", meter="gpt 4o 1120 Outp glbl Tokens")
MINI = Charge("0.25", "0.0625", meter="GPT 5 Mini Inpt Glbl 1M Tokens", product="Azure OpenAI GPT5", unit="1M")
PTU = Charge("360", "360", meter="Provisioned Managed Global Unit", unit="1/Hour")
STORAGE = Charge("10", "0.2", meter="Hot LRS Data Stored", product="Tiered Block Blob", unit="1 GB/Month")


def assert_accounts(bill: Bill) -> None:
    """Every row of every file became one thing."""
    for one in bill.files:
        assert one.rows == one.counted + one.ignored + one.superseded + one.rejected, one
    assert sum(one.counted for one in bill.files) == len(bill.rows)


def quantities(bill: Bill) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for row in bill.rows:
        assert row.quantity is not None
        found[row.reading.meter] += row.quantity
    return dict(found)


def only(bill: Bill) -> reading.BillRow:
    assert len(bill.rows) == 1
    return bill.rows[0]


# The samples


def test_the_sample_of_an_enterprise_agreement_adds_up(test_data: Path) -> None:
    samples = test_data / "samples"
    expected = json.loads((samples / "EXPECTED.json").read_text("utf-8"), parse_float=Decimal)
    told = expected["cost-management/EA_ActualCost.csv"]
    bill = read_bill(samples / "cost-management" / "EA_ActualCost.csv")
    assert bill.totals == {"USD": told["aoai_cost"]}
    tokens = [row for row in bill.rows if row.unit == "token"]
    assert sum(row.cost for row in tokens) == told["aoai_token_cost"]
    found = quantities(bill)
    assert {meter: found[meter] for meter in told["tokens"]} == told["tokens"]
    assert found["ptu"] == 1200 * 3_600_000
    assert (bill.view, bill.files[0].rows, bill.files[0].ignored) == ("actual", 7, 1)
    assert len({row.resource for row in bill.rows}) == 1  # written in two cases
    assert all(not row.reason for row in bill.rows)
    assert_accounts(bill)


def test_the_amortized_sample_is_another_view_of_the_same(test_data: Path) -> None:
    folder = test_data / "samples" / "cost-management"
    expected = json.loads((folder.parent / "EXPECTED.json").read_text("utf-8"), parse_float=Decimal)
    bill = read_bill(folder / "EA_AmortizedCost.csv")
    assert (bill.view, bill.totals) == (
        "amortized",
        {"USD": expected["cost-management/EA_AmortizedCost.csv"]["aoai_cost"]},
    )
    with pytest.raises(BillError, match="give view="):
        read_bill(folder)
    for view, total in (("actual", "1200.188625"), ("amortized", "432.188625")):
        chosen = read_bill(folder, view=view)  # type: ignore[arg-type]
        assert (chosen.view, chosen.totals) == (view, {"USD": Decimal(total)})
        assert sorted(one.superseded for one in chosen.files) == [0, 6]
        assert any("left out" in note for note in chosen.notes)
        assert_accounts(chosen)


# Formats


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("packed", ["csv", "csv.gz", "csv.zst", "parquet"])
def test_every_format_bills_the_same(form: str, packed: str, tmp_path: Path) -> None:
    refund = INPUT.with_(quantity="-1.000", cost="-0.0025", charge="Refund", day=date(2026, 10, 15))
    charges = [INPUT, CACHED, OUTPUT, MINI, PTU, STORAGE, refund]
    columns, rows = table(form, charges)
    path = tmp_path / f"bill.{packed}"
    text = csv_text(columns, rows).encode()
    if packed == "parquet":
        numbers = ("quantity", "cost")
        arrays = {}
        for name in columns:
            values = [row[name] for row in rows]
            if name.lower() in numbers or name in ("BilledCost", "PricingQuantity", "costInBillingCurrency"):
                arrays[name] = pyarrow.array([Decimal(one) for one in values], pyarrow.decimal128(38, 18))
            elif name == "ChargePeriodStart":
                days = [datetime.fromisoformat(one) for one in values]
                arrays[name] = pyarrow.array(days, pyarrow.timestamp("us", tz="UTC"))
            else:
                arrays[name] = pyarrow.array(values)
        parquet.write_table(pyarrow.table(arrays), path)
    else:
        path.write_bytes({"csv.gz": gzip.compress, "csv.zst": zstandard.compress}.get(packed, bytes)(text))
    bill = read_bill(path)
    assert quantities(bill) == {
        "input": 10_000 - 1_000 + 250_000,
        "cached_input": 13_312,
        "output": 2_689,
        "ptu": 360 * 3_600_000,
    }
    assert bill.totals == {"USD": Decimal("360.128530")}
    assert [(row.day, row.resource) for row in bill.rows[:1]] == [(date(2026, 10, 14), ACCOUNT.lower())]
    assert (bill.files[0].rows, bill.files[0].ignored, len(bill.rejected)) == (7, 1, 0)
    assert not any(row.reason for row in bill.rows)
    assert_accounts(bill)


@pytest.mark.parametrize("form", FORMATS)
def test_the_case_of_a_header_says_nothing(form: str, tmp_path: Path) -> None:
    columns, rows = table(form, [INPUT])
    path = tmp_path / "bill.csv"
    path.write_text(csv_text([name.upper() for name in columns], [{k.upper(): v for k, v in rows[0].items()}]))
    assert quantities(read_bill(path)) == {"input": 10_000}


@pytest.mark.parametrize("missing", ["MeterName", "Date", "Cost", "UnitOfMeasure", "ResourceId", "BillingCurrency"])
def test_a_file_without_a_column_that_counts_is_no_bill(missing: str, tmp_path: Path) -> None:
    columns, rows = table("EA", [INPUT])
    columns.remove(missing)
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(columns, [{name: rows[0][name] for name in columns}]))
    with pytest.raises(BillError, match=f"no column for .*{missing.lower()}"):
        read_bill(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    columns, rows = table("EA", [INPUT])
    path = tmp_path / "bill.csv"
    path.write_text(csv_text([*columns, "TAGS"], [rows[0] | {"TAGS": ""}]))
    assert len(read_bill(path).rows) == 1  # of no use here
    path.write_text(csv_text([*columns, "COST"], [rows[0] | {"COST": "1"}]))
    with pytest.raises(BillError, match="two columns 'cost'"):
        read_bill(path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": 1}\n', id="JSON"),
        pytest.param("no table at all\n", id="one column"),
        pytest.param("a,b\n1,2\n", id="another table"),
    ],
)
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(text)
    with pytest.raises(BillError, match=r"bill\.csv.*is no export of costs"):
        read_bill(path)


def test_paths_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    for paths in ((), (tmp_path / "no.csv",), (tmp_path,), ("",)):
        with pytest.raises(BillError, match="bill"):
            read_bill(*paths)
    with pytest.raises(RequestError, match="actual or amortized"):
        read_bill(tmp_path, view="both")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="mdy"):
        read_bill(tmp_path, dates="ymd")  # type: ignore[arg-type]


def test_an_export_without_rows_is_a_bill_of_nothing_and_says_so(tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "bill.csv"))
    assert (bill.rows, bill.totals, bill.files[0].rows) == ((), {}, 0)
    assert any("no row of the bill is of an Azure OpenAI product" in note for note in bill.notes)


def test_parquet_without_pyarrow_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bill.parquet"
    parquet.write_table(pyarrow.table({"a": [1]}), path)
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="parquet"):
        read_bill(path)


def test_a_damaged_file_keeps_its_rows_and_says_what_is_lost(tmp_path: Path) -> None:
    text = csv_text(*table("EA", [INPUT.with_(day=date(2026, 10, 1 + i % 28)) for i in range(2_000)])).encode()
    path = tmp_path / "bill.csv.gz"
    path.write_bytes(gzip.compress(text)[:-4_000])
    bill = read_bill(path)
    assert len(bill.rejected) >= 1
    assert 0 < len(bill.rows) < 2_000
    assert_accounts(bill)


def test_a_row_of_too_many_cells_is_rejected_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", INPUT)
    with path.open("a") as file:
        file.write("a,b,c\n")
    bill = read_bill(path)
    assert bill.rejected.to_dict("records") == [
        {"source_file": str(path), "line": 3, "reason": f"the row has 3 cells where the header has {len(EA_COLUMNS)}"}
    ]
    assert (bill.files[0].rows, bill.files[0].rejected, len(bill.rows)) == (2, 1, 1)


# Which rows are of Azure OpenAI


def test_rows_of_other_services_are_ignored_and_other_products_of_the_accounts_named(tmp_path: Path) -> None:
    speech = INPUT.with_(product="Azure Speech", meter="S1 Speech To Text", unit="1 Hour")
    bill = read_bill(write(tmp_path / "bill.csv", INPUT, STORAGE.with_(resource="/subscriptions/0/x"), speech))
    assert (len(bill.rows), bill.files[0].ignored) == (1, 2)
    assert [note for note in bill.notes if "other products" in note] == [
        "rows of other products of such accounts are ignored: 1 ('Azure Speech')"
    ]


def test_the_category_may_be_called_as_it_likes(tmp_path: Path) -> None:
    for i, category in enumerate(("Cognitive Services", "Foundry Models", "Foundry Tools", "")):
        path = tmp_path / f"{i}.csv"
        path.write_text(csv_text(EA_COLUMNS, [{"MeterCategory": category, **_rest("MeterCategory")}]))
        assert len(read_bill(path).rows) == 1


def test_a_reservation_of_provisioned_throughput_is_listed_as_bought(tmp_path: Path) -> None:
    product = "Azure AI Foundry Provisioned Throughput Reservation"
    bought = Charge("1", "260", meter="Global", product=product, unit="1", charge="Purchase", model="Reservation")
    bill = read_bill(write(tmp_path / "bill.csv", bought.with_(resource="/providers/Microsoft.Capacity/x")))
    assert (only(bill).reason, bill.totals) == ("a charge of the type 'purchase', not usage", {"USD": Decimal(260)})


def _rest(without: str) -> dict[str, str]:
    return {name: value for name, value in ea_row(INPUT).items() if name != without}


def test_an_account_is_meant_by_what_is_within_it(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", INPUT.with_(resource=ACCOUNT.upper() + "/projects/first"))
    assert only(read_bill(path)).resource == ACCOUNT.lower()


def test_a_meter_that_is_not_known_is_listed_with_its_cost(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", INPUT.with_(meter="gpt 9 tiny Inp glbl Tokens", cost="7.5"))
    row = only(read_bill(path))
    assert (row.cost, row.quantity, row.unit) == (Decimal("7.5"), Decimal(10), "1K")
    assert "fits no model" in row.reason


@pytest.mark.parametrize(
    ("charge", "reason"),
    [
        ("Purchase", "a charge of the type 'purchase', not usage"),
        ("UnusedReservation", "a commitment that was not used"),
        ("RoundingAdjustment", "a charge of the type 'roundingadjustment', not usage"),
        ("Usage", ""),
        ("Refund", ""),
    ],
)
@pytest.mark.parametrize("form", FORMATS)
def test_a_charge_that_is_no_usage_says_so(charge: str, reason: str, form: str, tmp_path: Path) -> None:
    assert only(read_bill(write(tmp_path / "bill.csv", PTU.with_(charge=charge), form=form))).reason == reason


# Units


@pytest.mark.parametrize(
    ("unit", "meter", "product", "quantity", "expected"),
    [
        ("1K", "gpt 4o 1120 Inp glbl Tokens", "Azure OpenAI", "34.038", (34_038, "token")),
        ("1000", "gpt 4o 1120 Inp glbl Tokens", "Azure OpenAI", "34.038", (34_038, "token")),
        ("1000 ", "gpt 4o 1120 Inp glbl Tokens", "Azure OpenAI", "34.038", (34_038, "token")),
        ("1M", "GPT 5 Mini Inpt Glbl 1M Tokens", "Azure OpenAI GPT5", "0.25", (250_000, "token")),
        ("1000000", "GPT 5 Mini Inpt Glbl 1M Tokens", "Azure OpenAI GPT5", "0.25", (250_000, "token")),
        ("100", "Image-Dall-E-3 HD HighRes-glbl Images", "Azure OpenAI", "0.03", (3, "image")),
        ("1/Hour", "Provisioned Managed Global Unit", "Azure OpenAI", "360", (360 * 3_600_000, "PTU-millisecond")),
        ("1 /Hour", "Provisioned Managed Global Unit", "Azure OpenAI", "360", (360 * 3_600_000, "PTU-millisecond")),
        ("1 Hour", "gpt-4o-mini-0718-FT-Hstng-glbl Unit", "Azure OpenAI", "24", (24 * 3_600_000, "millisecond")),
    ],
)
def test_a_quantity_is_in_blocks_of_its_unit(
    unit: str, meter: str, product: str, quantity: str, expected: tuple[int, str], tmp_path: Path
) -> None:
    charge = Charge(quantity, "0", meter=meter, product=product, unit=unit)
    row = only(read_bill(write(tmp_path / "bill.csv", charge)))
    assert (row.quantity, row.unit) == expected
    assert row.reason == ""


@pytest.mark.parametrize("unit", ["10 Widgets", "1 GB/Month", "", "1/Fortnight", "2K"])
def test_a_unit_that_is_not_known_is_listed_and_not_guessed(unit: str, tmp_path: Path) -> None:
    row = only(read_bill(write(tmp_path / "bill.csv", INPUT.with_(unit=unit, cost="3.25"))))
    assert row.cost == Decimal("3.25")
    assert row.quantity == 10
    assert row.reason


@pytest.mark.parametrize("form", ["EA", "MCA"])
def test_a_price_off_by_the_whole_block_says_that_the_quantity_counts_tokens(form: str, tmp_path: Path) -> None:
    # 34,038 tokens at 2.50 a million, less 12 %; the unit of measure says thousands.
    free = INPUT.with_(quantity="500", cost="0", day=date(2026, 10, 13))
    bill = read_bill(write(tmp_path / "bill.csv", INPUT.with_(quantity="34038", cost="0.0748836"), free, form=form))
    assert [row.quantity for row in bill.rows] == [34_038, 500]
    assert any("do not count in '1K'" in note and "one is 1 tokens" in note for note in bill.notes)


def test_a_focus_export_that_divides_by_the_block_twice_is_seen_by_its_price(tmp_path: Path) -> None:
    rows = [{**focus_row(INPUT.with_(quantity="34.038", cost="0.085095")), "PricingQuantity": "0.034038"}]
    path = tmp_path / "bill.csv"
    path.write_text(
        csv_text(FORMATS["FOCUS 1.0"][0], [{k: v for k, v in rows[0].items() if k in FORMATS["FOCUS 1.0"][0]}])
    )
    bill = read_bill(path)
    assert only(bill).quantity == 34_038
    assert any("one is 1000000 tokens" in note for note in bill.notes)


def test_a_discount_is_no_other_unit(tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "bill.csv", INPUT.with_(quantity="34.038", cost="0.0085095")))  # 90 % off
    assert only(bill).quantity == 34_038
    assert not any("do not count" in note for note in bill.notes)


def test_without_dollars_nothing_is_concluded_from_a_price(tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "bill.csv", INPUT.with_(quantity="34.038", cost="13.27", currency="JPY")))
    assert only(bill).quantity == 34_038


def test_focus_without_a_pricing_quantity_tells_what_was_consumed(tmp_path: Path) -> None:
    columns, rows = table("FOCUS 1.2", [INPUT])
    rows[0]["PricingQuantity"] = ""
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(columns, rows))
    assert only(read_bill(path)).quantity == 10_000


def test_what_was_consumed_is_in_single_units_without_a_price_to_tell(tmp_path: Path) -> None:
    columns, rows = table("FOCUS 1.2", [INPUT.with_(cost="0")])
    rows[0]["PricingQuantity"] = ""
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(columns, rows))
    assert only(read_bill(path)).quantity == 10_000


def test_a_charge_that_is_no_usage_tells_nothing_of_units(tmp_path: Path) -> None:
    tax = INPUT.with_(quantity="0.01", cost="25", charge="Tax")
    assert read_bill(write(tmp_path / "bill.csv", INPUT, tax)).rows[0].quantity == 10_000


def test_a_row_without_a_quantity_is_listed(tmp_path: Path) -> None:
    row = only(read_bill(write(tmp_path / "bill.csv", INPUT.with_(quantity=""))))
    assert (row.quantity, row.reason, row.cost) == (None, "the row has no quantity", Decimal("0.025"))


# Numbers


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1.5E-05", "0.000015"),
        ("2e3", "2000"),
        ("-0.000", "0"),
        ("+.5", "0.5"),
        ("0.1234567890123456789012345678901234567890", "0.1234567890123456789012345678901234567890"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    ],
)
def test_numbers_are_exact_as_written(text: str, amount: str, tmp_path: Path) -> None:
    assert only(read_bill(write(tmp_path / "bill.csv", INPUT.with_(cost=text)))).cost == Decimal(amount)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1,5", "1.234,50", "1e999", "0x10", "", "12 USD", "9" * 200, "１"])
def test_what_is_no_number_rejects_its_row(text: str, tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "bill.csv", INPUT, OUTPUT.with_(cost=text)))
    assert (len(bill.rows), bill.files[0].rejected) == (1, 1)
    assert list(bill.rejected["line"]) == [3]
    assert len(bill.rejected["reason"][0]) < 200
    assert_accounts(bill)


def test_floats_of_a_parquet_file_are_their_shortest_form(tmp_path: Path) -> None:
    columns, rows = table("EA", [INPUT])
    arrays = {name: [rows[0][name]] for name in columns} | {"Cost": [0.1], "Quantity": [34.038]}
    parquet.write_table(pyarrow.table(arrays), tmp_path / "bill.parquet")
    row = only(read_bill(tmp_path / "bill.parquet"))
    assert (row.cost, row.quantity) == (Decimal("0.1"), 34_038)


# Dates


def test_the_end_of_the_period_tells_how_dates_are_written(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", INPUT.with_(day=date(2026, 10, 4)))
    assert only(read_bill(path)).day == date(2026, 10, 4)
    text = path.read_text("utf-8-sig").replace("10/04/2026", "04/10/2026")
    path.write_text(text.replace("10/01/2026", "01/10/2026").replace("10/31/2026", "31/10/2026"))
    assert only(read_bill(path)).day == date(2026, 10, 4)


def test_dates_of_which_nothing_tells_the_order_are_refused_until_it_is_said(tmp_path: Path) -> None:
    row = {**ea_row(INPUT), "Date": "04/10/2026", "BillingPeriodStartDate": "", "BillingPeriodEndDate": ""}
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(EA_COLUMNS, [row]))
    with pytest.raises(BillError, match="month first or day first"):
        read_bill(path)
    assert only(read_bill(path, dates="mdy")).day == date(2026, 4, 10)
    assert only(read_bill(path, dates="dmy")).day == date(2026, 10, 4)


def test_dates_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    rows = [{**ea_row(INPUT), "Date": day} for day in ("25/10/2026", "10/26/2026")]
    path.write_text(csv_text(EA_COLUMNS, rows))
    with pytest.raises(BillError, match="month first or day first"):
        read_bill(path)


@pytest.mark.parametrize("day", ["2026-10-14", "2026-10-14T00:00Z", "10/14/2026 00:00:00", "10/14/2026 12:00:00 AM"])
def test_a_day_is_read_with_or_without_its_time(day: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(EA_COLUMNS, [{**ea_row(INPUT), "Date": day}]))
    assert only(read_bill(path)).day == date(2026, 10, 14)


@pytest.mark.parametrize("day", ["", "soon", "2026-13-01", "02/30/2026", "2026-10-14T00:00:00+02:00"])
def test_a_day_that_is_none_rejects_its_row(day: str, tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(EA_COLUMNS, [ea_row(INPUT), {**ea_row(INPUT), "Date": day}]))
    bill = read_bill(path)
    assert (len(bill.rows), bill.files[0].rejected) == (1, 1)


def test_the_newest_days_are_provisional(tmp_path: Path) -> None:
    charges = [INPUT.with_(day=date(2026, 10, day)) for day in range(1, 11)]
    bill = read_bill(write(tmp_path / "bill.csv", *charges, STORAGE.with_(day=date(2026, 10, 11))))
    assert [row.day.day for row in bill.rows if row.provisional] == [9, 10]


def test_what_a_run_reports_long_after_is_not_provisional(tmp_path: Path) -> None:
    write_run(tmp_path / "late", "2026-10-20T06:00:00Z", [INPUT.with_(day=date(2026, 10, day)) for day in (16, 17, 18)])
    assert [row.day.day for row in read_bill(tmp_path).rows if row.provisional] == [18]


# Currencies


@pytest.mark.parametrize("form", ["MCA", "FOCUS 1.0", "FOCUS 1.2"])
def test_the_file_tells_a_cost_in_other_currencies(form: str, tmp_path: Path) -> None:
    charge = INPUT.with_(cost="0.023", currency="EUR", rate="0.92")
    row = only(read_bill(write(tmp_path / "bill.csv", charge, form=form)))
    assert (row.cost, row.currency) == (Decimal("0.023"), "EUR")
    assert dict(row.amounts) == {"EUR": Decimal("0.023"), "USD": Decimal("0.025")}


def test_only_the_rate_in_the_file_converts(tmp_path: Path) -> None:
    columns, rows = table("FOCUS 1.0", [INPUT.with_(cost="0.023", currency="EUR", rate="0.92", pricing_currency="GBP")])
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(columns, rows))
    assert dict(only(read_bill(path)).amounts) == {"EUR": Decimal("0.023"), "GBP": Decimal("0.025")}
    rows[0]["x_BillingExchangeRate"] = ""
    path.write_text(csv_text(columns, rows))
    assert dict(only(read_bill(path)).amounts) == {"EUR": Decimal("0.023")}


def test_an_amount_in_the_file_goes_before_a_rate_and_that_of_the_bill_before_all(tmp_path: Path) -> None:
    columns, rows = table("MCA", [INPUT.with_(cost="0.023", currency="EUR", rate="0.92")])
    rows[0] |= {"costInPricingCurrency": "0.02501", "costInUsd": "0.02502"}
    path = tmp_path / "bill.csv"
    path.write_text(csv_text(columns, rows))
    assert dict(only(read_bill(path)).amounts) == {"EUR": Decimal("0.023"), "USD": Decimal("0.02501")}
    rows[0] |= {"billingCurrency": "USD"}
    path.write_text(csv_text(columns, rows))
    assert dict(only(read_bill(path)).amounts) == {"USD": Decimal("0.023")}


def test_totals_keep_currencies_apart(tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "bill.csv", INPUT, OUTPUT.with_(currency="EUR")))
    assert bill.totals == {"EUR": Decimal("0.02689"), "USD": Decimal("0.025")}


@pytest.mark.parametrize("currency", ["", "Dollar", "US1"])
def test_a_row_without_a_currency_is_rejected(currency: str, tmp_path: Path) -> None:
    assert read_bill(write(tmp_path / "bill.csv", INPUT.with_(currency=currency))).files[0].rejected == 1


# Views


@pytest.mark.parametrize(
    ("charges", "view"),
    [
        ([PTU.with_(model="Reservation", cost="0")], "actual"),
        ([PTU.with_(model="Reservation", charge="Purchase", cost="600")], "actual"),
        ([PTU.with_(model="Reservation", charge="Refund", cost="-600")], "actual"),
        ([PTU.with_(model="Reservation", cost="130")], "amortized"),
        ([PTU.with_(model="Reservation", charge="UnusedReservation", cost="5")], "amortized"),
    ],
)
def test_what_a_commitment_costs_tells_the_view(charges: list[Charge], view: str, tmp_path: Path) -> None:
    assert read_bill(write(tmp_path / "bill.csv", INPUT, *charges)).view == view


def test_a_commitment_of_another_service_tells_the_view_too(tmp_path: Path) -> None:
    path = write(tmp_path / "bill.csv", INPUT, STORAGE.with_(model="SavingsPlan", cost="0.1"))
    assert read_bill(path).view == "amortized"
    with pytest.raises(BillError, match="the amortized view, not the actual one"):
        read_bill(path, view="actual")


@pytest.mark.parametrize(
    ("name", "view"),
    [("EA_ActualCost.csv", "actual"), ("EA-amortised.csv", "amortized"), ("factual.csv", "actual")],
)
def test_the_name_of_a_file_tells_the_view_where_nothing_else_does(name: str, view: str, tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "x" / name, INPUT))
    assert bill.view == view
    assert any("nothing in the bill tells" in note for note in bill.notes) == (name == "factual.csv")


def test_an_export_of_which_nothing_tells_the_view_is_of_the_wanted_one(tmp_path: Path) -> None:
    bill = read_bill(write(tmp_path / "bill.csv", INPUT), view="amortized")
    assert (bill.view, len(bill.rows)) == ("amortized", 1)


@pytest.mark.parametrize("form", ["FOCUS 1.0", "FOCUS 1.2"])
def test_focus_has_both_views(form: str, tmp_path: Path) -> None:
    covered = PTU.with_(model="Reservation", cost="0", effective_cost="130")
    path = write(tmp_path / "bill.csv", covered, form=form)
    assert (read_bill(path).totals, read_bill(path).view) == ({"USD": Decimal(0)}, "actual")
    amortized = read_bill(path, view="amortized")
    assert (amortized.totals, amortized.view) == ({"USD": Decimal(130)}, "amortized")


# Runs


def write_run(folder: Path, submitted: str, *parts: list[Charge], kind: str = "ActualCost", rows: int = 0) -> None:
    """Write a run as Cost Management does, with the manifest of its documentation."""
    blobs = []
    for i, charges in enumerate(parts):
        name = f"part_{i}_0001.csv"
        write(folder / name, *charges)
        blobs.append({"blobName": f"exports/daily/x/{name}", "byteCount": 1, "dataRowCount": len(charges) + rows})
    manifest = {
        "manifestVersion": "2024-04-01",
        "blobCount": len(blobs),
        "exportConfig": {"exportName": "daily", "resourceId": "/x/exports/daily", "type": kind},
        "runInfo": {"submittedTime": submitted, "startDate": "2026-10-01T00:00:00", "endDate": f"{submitted[:10]}Z"},
        "blobs": blobs,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


DAY_1, DAY_2 = (INPUT.with_(day=date(2026, 10, day)) for day in (1, 2))


def test_of_the_runs_of_an_export_the_newest_counts_with_all_its_parts(tmp_path: Path) -> None:
    month = tmp_path / "daily" / "20261001-20261031"
    write_run(month / "a", "2026-10-02T06:00:00.1234567Z", [DAY_1])
    write_run(month / "b", "2026-10-03T06:00:00.1234567Z", [DAY_1.with_(cost="0.03")], [DAY_2])
    bill = read_bill(tmp_path)
    assert [row.cost for row in bill.rows] == [Decimal("0.03"), Decimal("0.025")]
    assert [one.superseded for one in bill.files] == [1, 0, 0]
    assert any("older run of the same export" in note for note in bill.notes)
    assert_accounts(bill)


def test_folders_tell_the_runs_where_a_manifest_is_not_at_hand(tmp_path: Path) -> None:
    month = tmp_path / "202701010000" / "20250101-20261231" / "daily" / "20261001-20261031"
    write(month / "202610020600" / "guid-1" / "part_0_0001.csv", DAY_1)
    write(month / "202610030600" / "guid-2" / "part_0_0001.csv", DAY_1.with_(cost="0.03"))
    write(month / "202610030600" / "guid-2" / "part_1_0001.csv", DAY_2)
    bill = read_bill(*sorted(month.rglob("*.csv"), reverse=True))
    assert bill.totals == {"USD": Decimal("0.055")}
    assert_accounts(bill)


def test_other_months_and_other_exports_all_count(tmp_path: Path) -> None:
    years = tmp_path / "20250101-20261231"
    september = INPUT.with_(day=date(2026, 9, 30))
    write(years / "daily" / "20260901-20260930" / "202610010600" / "a" / "part_0_0001.csv", september)
    write(years / "daily" / "20261001-20261031" / "202610020600" / "b" / "part_0_0001.csv", DAY_1)
    elsewhere = DAY_1.with_(resource=ACCOUNT + "-2")
    write(tmp_path / "other" / "20261001-20261031" / "202610020600" / "c" / "part_0_0001.csv", elsewhere)
    assert len(read_bill(tmp_path).rows) == 3


def test_a_run_of_which_a_part_is_missing_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "2026-10-02T06:00:00Z", [DAY_1], [DAY_2])
    (tmp_path / "run" / "part_1_0001.csv").unlink()
    bill = read_bill(tmp_path)
    assert list(bill.rejected["reason"]) == ["the part 'part_1_0001.csv' of its manifest is not here"]
    assert_accounts(bill)


def test_a_part_with_other_rows_than_its_manifest_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "2026-10-02T06:00:00Z", [DAY_1], rows=4)
    bill = read_bill(tmp_path)
    assert list(bill.rejected["reason"]) == ["the manifest says 5 rows, the file has 1"]
    assert_accounts(bill)


def test_a_manifest_tells_the_view(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "2026-10-02T06:00:00Z", [DAY_1])
    write_run(tmp_path / "b", "2026-10-02T06:00:00Z", [DAY_1], kind="AmortizedCost")
    with pytest.raises(BillError, match="actual and the amortized view"):
        read_bill(tmp_path)
    assert len(read_bill(tmp_path, view="amortized").rows) == 1


def test_a_manifest_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "part_0_0001.csv", DAY_1)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BillError, match="manifest"):
        read_bill(tmp_path)


def test_of_two_files_for_the_same_usage_the_one_that_reaches_further_counts(tmp_path: Path) -> None:
    write(tmp_path / "early.csv", DAY_1)
    write(tmp_path / "late.csv", DAY_1.with_(cost="0.03"), DAY_2)
    bill = read_bill(tmp_path)
    assert bill.totals == {"USD": Decimal("0.055")}
    assert any("only the later counts" in note for note in bill.notes)
    assert_accounts(bill)


@pytest.mark.parametrize("form", ["EA", "FOCUS 1.0"])
def test_two_files_for_the_same_usage_are_refused_where_nothing_tells_the_newer(form: str, tmp_path: Path) -> None:
    write(tmp_path / "one.csv", DAY_1)
    write(tmp_path / "two.csv", DAY_1, form=form)
    with pytest.raises(BillError, match=r"bill the same usage.*give one of them"):
        read_bill(tmp_path)


def test_two_runs_of_one_minute_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, "2026-10-02T06:00:00Z", [DAY_1])
    with pytest.raises(BillError, match="nothing tells which of them counts"):
        read_bill(tmp_path)


def test_a_file_without_a_time_is_compared_by_its_last_day(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "2026-10-03T06:00:00Z", [DAY_1.with_(cost="0.03"), DAY_2])
    write(tmp_path / "early.csv", DAY_1)
    assert read_bill(tmp_path).totals == {"USD": Decimal("0.055")}


def test_of_a_file_for_two_subscriptions_only_what_is_billed_again_is_left_out(tmp_path: Path) -> None:
    other = DAY_1.with_(subscription="b", resource=ACCOUNT + "-b")
    write(tmp_path / "both.csv", DAY_1, other)
    write(tmp_path / "one.csv", DAY_1.with_(cost="0.03"), DAY_2)
    bill = read_bill(tmp_path)
    assert sorted(row.cost for row in bill.rows) == [Decimal("0.025"), Decimal("0.025"), Decimal("0.03")]
    assert_accounts(bill)


def test_files_that_share_only_some_usage_are_refused(tmp_path: Path) -> None:
    # A bill that somebody cut in two, through a day: neither half has all of it.
    write(tmp_path / "1.csv", DAY_1, DAY_2)
    write(tmp_path / "2.csv", DAY_2.with_(cost="0.01"), INPUT)
    with pytest.raises(BillError, match="nothing tells which of them counts"):
        read_bill(tmp_path)


def test_files_for_different_days_all_count(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", DAY_1)
    write(tmp_path / "2.csv", DAY_2)
    bill = read_bill(tmp_path)
    assert len(bill.rows) == 2
    assert [one.superseded for one in bill.files] == [0, 0]


def test_a_later_period_that_corrects_an_earlier_day_is_no_second_bill(tmp_path: Path) -> None:
    september = INPUT.with_(day=date(2026, 9, 30))
    write(tmp_path / "september.csv", september)
    correction = september.with_(cost="-0.01", quantity="-4", charge="Refund", period=date(2026, 10, 1))
    write(tmp_path / "october.csv", correction, DAY_1)
    assert len(read_bill(tmp_path).rows) == 3


# All rows


MIXED = st.builds(
    Charge,
    quantity=st.sampled_from(["1", "-1", "0.5", "x", ""]),
    cost=st.sampled_from(["1", "-0.5", "1e-7", "NaN", ""]),
    day=st.dates(date(2026, 10, 1), date(2026, 10, 31)),
    meter=st.sampled_from([INPUT.meter, OUTPUT.meter, "gpt 9 tiny Inp glbl Tokens", ""]),
    product=st.sampled_from(["Azure OpenAI", "azure openai gpt5", "Azure Speech", ""]),
    unit=st.sampled_from([*BLOCKS, "10 Widgets"]),
    currency=st.sampled_from(["USD", "EUR", "?"]),
    charge=st.sampled_from(["Usage", "Refund", "Purchase", "Tax"]),
)


@given(charges=st.lists(MIXED, max_size=12))
def test_every_row_becomes_one_thing(charges: list[Charge], tmp_path_factory: pytest.TempPathFactory) -> None:
    bill = read_bill(write(tmp_path_factory.mktemp("bill") / "bill.csv", *charges))
    assert bill.files[0].rows == len(charges)
    assert_accounts(bill)
    assert bill.files[0].ignored == sum(not one.product.lower().startswith("azure openai") for one in charges)
    counted = [one for one in charges if _counts(one)]
    for currency, total in bill.totals.items():
        assert total == sum(Decimal(one.cost) for one in counted if one.currency == currency)


WHOLE = csv_text(*table("EA", [INPUT, OUTPUT, PTU, STORAGE])).encode()


@given(
    at=st.integers(0, len(WHOLE)),
    put=st.binary(max_size=12) | st.sampled_from([b'"', b"\n", b"\0", b",", b"\xff", b"1e99", b"\r"]),
    drop=st.integers(0, 40),
)
def test_a_bill_that_was_tampered_with_is_refused_or_accounted_for(
    at: int, put: bytes, drop: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bill") / "bill.csv"
    path.write_bytes(WHOLE[:at] + put + WHOLE[at + drop :])
    try:
        bill = read_bill(path)
    except BillError:
        return
    assert_accounts(bill)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_or_a_bill_of_nothing(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("bill") / "bill.csv"
    path.write_bytes(data)
    try:
        bill = read_bill(path)
    except BillError:
        return
    assert not bill.rows
    assert_accounts(bill)


def _counts(one: Charge) -> bool:
    return (
        one.product.lower().startswith("azure openai")
        and one.cost not in ("NaN", "")
        and one.quantity != "x"
        and one.currency != "?"
    )
