"""Every face of a report: the same total to the last digit, the same bytes again, and names that stay text."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, localcontext
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt
from report_strategies import HOSTILE, line, make_report, named_report, reports

from aoai_cost import (
    ContractDiscount,
    CostReport,
    MissingExtraError,
    PriceBook,
    RequestError,
    ScaleVolume,
    UseBatch,
    cost_report,
    read_usage,
    what_if,
    write_report,
)
from aoai_cost.prices import exact_sum
from aoai_cost.render import excel, report_csv, report_focus, report_json, report_markdown, writer_of
from aoai_cost.render.words import plain

ROOT = Path(__file__).resolve().parent.parent.parent
FORMS = ("csv", "html", "json", "md", "parquet", "xlsx", "focus")
SCHEMA = json.loads((ROOT / "src/aoai_cost/render/report.schema.json").read_text("utf-8"))
STARTS = tuple("=+-@＝＋－＠")
JUNK = ' \t\r\n\v\f\0\ufeff\u200b\xa0"%;,|._:/\\()[]{}<>!?*&^~`#$'


@cache
def example(every: Any = "month", by: tuple[str, ...] = ("deployment",)) -> CostReport:
    folder = ROOT / "examples"
    return cost_report(folder / "logs", deployments=folder / "deployments.toml", every=every, by=by)


EXAMPLES = {
    "by month and deployment": {},
    "by day, model and user": {"every": "day", "by": ("model", "user")},
}


def written(report: CostReport, form: str) -> bytes:
    return writer_of("x", form)(report)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def workbook(report: CostReport) -> Any:
    return openpyxl.load_workbook(io.BytesIO(written(report, "xlsx")))


def sheet_rows(book: Any, name: str) -> list[dict[str, Any]]:
    head, *rows = book[name].iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in rows]


def parquet(report: CostReport) -> Any:
    return pq.read_table(io.BytesIO(written(report, "parquet")))


def check_totals(report: CostReport) -> None:
    total = report.total
    assert exact_sum(Decimal(row["cost"] or 0) for row in rows_of(report_csv(report))) == total
    told = report_json(report)
    assert exact_sum(Decimal(row["cost"] or 0) for row in told["rows"]) == total == Decimal(told["total"])
    assert exact_sum(Decimal(row["amount"]) for row in told["lines"]) == total
    for name in ("BilledCost", "EffectiveCost", "ContractedCost"):
        assert exact_sum(Decimal(row[name]) for row in rows_of(report_focus(report))) == total
    table = parquet(report)
    assert exact_sum(Decimal(one) for one in table["amount_exact"].to_pylist()) == total
    rounded = exact_sum(table["amount"].to_pylist())
    assert abs(rounded - total) <= len(table) * Decimal("1e-20")
    assert Decimal(json.loads(table.schema.metadata[b"aoai_cost.report"])["total"]) == total
    exact = re.search(r"to the last digit \| ([0-9.]+) \|", report_markdown(report))
    assert exact
    assert Decimal(exact[1]) == total
    book = workbook(report)
    for sheet, column in (("Costs", "cost"), ("Lines", "amount"), ("Days", "amount")):
        rows = sheet_rows(book, sheet)
        assert exact_sum(Decimal(row[f"{column}_exact"] or 0) for row in rows) == total
        assert sum(row[column] or 0 for row in rows) == pytest.approx(float(total), rel=1e-12)
    assert book["Summary"]["B2"].value == pytest.approx(float(total), rel=1e-15)
    assert Decimal(book["Summary"]["B4"].value) == total


def check_bytes(report: CostReport) -> None:
    for form in FORMS:
        assert written(report, form) == written(report, form)


@pytest.mark.parametrize("options", EXAMPLES.values(), ids=EXAMPLES)
def test_every_face_of_the_example_adds_up_to_its_total(options: dict[str, Any]) -> None:
    report = example(**options)
    check_totals(report)
    check_bytes(report)
    jsonschema.validate(report_json(report), SCHEMA)
    assert report.total > 1_600


@settings(max_examples=25)
@given(reports())
def test_every_face_of_any_report_adds_up_to_its_total(report: CostReport) -> None:
    check_totals(report)
    check_bytes(report)
    jsonschema.validate(json.loads(written(report, "json")), SCHEMA)


@settings(max_examples=25)
@given(reports())
def test_names_in_any_report_stay_text(report: CostReport) -> None:
    check_csv(report_csv(report))
    check_csv(report_focus(report))
    check_workbook(written(report, "xlsx"))
    check_markdown(report)


def hostile(test_data: Path) -> Iterator[str]:
    for name in ("formula/payloads.jsonl", "names/names.jsonl", "xss/payloadbox_sample.jsonl"):
        for row in (test_data / "hostile" / name).read_text("utf-8").splitlines():
            yield json.loads(row)["s"]


def test_hostile_names_of_others_stay_text(test_data: Path) -> None:
    texts = [*HOSTILE, *hostile(test_data)]
    assert len(texts) > 1_100
    report = make_report([line(text) for text in texts], (), texts[:50], texts)
    check_csv(report_csv(report))
    check_csv(report_focus(report))
    book = check_workbook(written(report, "xlsx"))
    assert [row["deployment"] for row in sheet_rows(book, "Days")] == [plain(text) for text in texts]
    check_markdown(report)
    for text in texts[::10]:
        check_markdown(named_report(text))
    assert parquet(report)["deployment"].to_pylist() == [text.encode("utf-8", "replace").decode() for text in texts]


def is_run(cell: str) -> bool:
    """Whether a program that strips whatever is no letter, digit or quote mark may take a cell for a formula."""
    if re.fullmatch(r"-?\d+(\.\d+)?", cell):
        return False
    return cell.lstrip(JUNK).startswith(STARTS)


def check_csv(text: str) -> None:
    """No cell is run, at whatever sign the columns are parted."""
    n_columns = {len(row) for row in csv.reader(io.StringIO(text))}
    assert len(n_columns) == 1
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            assert [cell for cell in row if is_run(cell)] == []


def check_workbook(data: bytes) -> Any:
    """No cell is a formula, and nothing is a link."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        for name in packed.namelist():
            text = packed.read(name).decode("utf-8")
            # Charts name their cells in <c:f>; a formula of a cell would be <f>.
            assert not re.search(r"<f[ >]|hyperlink|ddeLink|externalLink|<definedName [^>]*>=", text), name
            assert packed.getinfo(name).date_time == (1980, 1, 1, 0, 0, 0)
        # The clock is in no file: one report is the same bytes tomorrow.
        assert (
            re.findall(r"\d{4}-\d\d-\d\dT[\d:]+", packed.read("docProps/core.xml").decode())
            == ["2000-01-01T00:00:00"] * 2
        )
    book = openpyxl.load_workbook(io.BytesIO(data))
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type in ("s", "n", "d", "b")
                assert cell.hyperlink is None
                assert cell.data_type != "s" or cell.row == 1 or cell.quotePrefix or sheet.title == "Summary"
    return book


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
ALLOWED = {"text", "code_inline", "strong_open", "strong_close", "softbreak"}


def check_markdown(report: CostReport) -> None:
    """Nothing but our own tables, lists and folds is in it; what might be linked or run stands in code."""
    text = report_markdown(report)
    text.encode("utf-8")
    tokens = MARKDOWN.parse(text)
    for token in tokens:
        if token.type == "html_block":
            for row in token.content.splitlines():
                assert re.fullmatch(r"<details><summary>[\w ,:]+</summary>|</details>", row)
        for inner in token.children or ():
            assert inner.type in ALLOWED, inner
            if inner.type == "text":
                assert not re.search(r"[@#<>`|$*_~\[\]]|://|www\.", inner.content), inner.content
    kinds = [token.type for token in tokens]
    assert set(kinds) <= {
        *("heading_open", "inline", "heading_close", "paragraph_open", "paragraph_close", "html_block"),
        *("table_open", "thead_open", "tr_open", "th_open", "th_close", "tr_close", "thead_close", "tbody_open"),
        *("td_open", "td_close", "tbody_close", "table_close"),
        *("bullet_list_open", "list_item_open", "list_item_close", "bullet_list_close"),
    }
    assert kinds.count("tr_open") == sum(row.startswith("| ") for row in text.splitlines()) - kinds.count("table_open")
    assert kinds.count("list_item_open") == sum(row.startswith("- ") for row in text.splitlines())
    widths = set()
    for i, kind in enumerate(kinds):
        if kind == "table_open":
            widths = set()
        elif kind == "tr_open":
            row = kinds[i : kinds.index("tr_close", i)]
            widths.add(row.count("td_open") + row.count("th_open"))
            assert len(widths) == 1


def test_only_a_report_is_written(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="report: must be what cost_report returns; found str"):
        write_report("examples/logs", tmp_path / "report.csv")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["csv", "focus"])
@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("chat-prod", "chat-prod"),
        ("a=b, c", "a=b, c"),
        ("2024-11-20", "2024-11-20"),
        ("a; b", "a; b"),
        ("=1+1", "'=1+1"),
        ("  -1", "'  -1"),
        ("%=1", "'%=1"),
        ("(+1)", "'(+1)"),
        ("'quoted'", "''quoted'"),
        ("a;=1", "a\\u003b=1"),
        ("a;b; ;@x;y", "a;b\\u003b \\u003b@x;y"),
        (";=1", "\\u003b=1"),
        ("\t=1", "\\t=1"),
        ("\ufeff=1", "\\ufeff=1"),
    ],
)
def test_a_text_in_csv_is_changed_only_where_it_might_be_run(form: str, name: str, cell: str) -> None:
    report = make_report([line(name)])
    (row,) = rows_of(written(report, form).decode())
    assert row["deployment" if form == "csv" else "x_Deployment"] == cell
    if form == "focus":
        assert json.loads(row["Tags"]) == {"deployment": name, "user": name, "app": name}


def test_numbers_in_csv_are_numbers_negative_ones_too() -> None:
    report = make_report([line("chat", amount=Decimal("-1E-12"))])
    (row,) = rows_of(report_csv(report))
    assert (row["cost"], row["requests"]) == ("-0.000000000001", "1")
    assert rows_of(report_focus(report))[0]["BilledCost"] == "-0.000000000001"


def test_a_column_of_a_bill_has_a_value_that_the_specification_allows() -> None:
    rows = rows_of(report_focus(example()))
    mandatory = {
        *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
        *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
        *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
        *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
    }
    assert mandatory < set(rows[0])
    assert all(re.fullmatch(r"x_\w+|[A-Z][A-Za-z]+", name) for name in rows[0])
    number = re.compile(r"-?\d+(\.\d+)?")
    for row in rows:
        for name in ("BilledCost", "ListCost", "ContractedUnitPrice", "PricingQuantity", "ConsumedQuantity"):
            assert number.fullmatch(row[name]), name
        assert Decimal(row["ContractedUnitPrice"]) * Decimal(row["PricingQuantity"]) == Decimal(row["ContractedCost"])
        assert (row["ChargeCategory"], row["ServiceCategory"]) == ("Usage", "AI and Machine Learning")
        first, end = (datetime.fromisoformat(row[f"ChargePeriod{side}"]) for side in ("Start", "End"))
        assert (end - first).days == 1
        billed = [datetime.fromisoformat(row[f"BillingPeriod{side}"]) for side in ("Start", "End")]
        assert billed[0] <= first < end <= billed[1]
        assert (billed[0].day, billed[1].day, (billed[1] - billed[0]).days) == (1, 1, 31)
        assert row["SubAccountId"] == "/subscriptions/00000000-0000-0000-0000-000000000000"
        assert row["x_CostCertainty"] == "lower_bound"
        # What no log tells is empty, and made up nowhere.
        assert (row["BillingAccountId"], row["SkuPriceId"]) == ("", "")
        assert (row["ListUnitPrice"], row["ListCost"]) == (row["ContractedUnitPrice"], row["ContractedCost"])
    assert {row["ResourceName"] for row in rows} == {"aoai-research", "aoai-shop-eastus2", "aoai-shop-sweden"}
    assert {row["PricingUnit"] for row in rows} == {"1000000 Tokens", "PTU-Hours", "Hours"}


def test_a_bill_has_the_cost_before_discounts_beside_it() -> None:
    folder = ROOT / "examples"
    prices = PriceBook.bundled().with_discount("0.12", sku="GlobalStandard")
    report = cost_report(folder / "logs", deployments=folder / "deployments.toml", prices=prices)
    rows = rows_of(report_focus(report))
    assert {row["x_DeploymentSku"] == "GlobalStandard" for row in rows} == {True, False}
    for row in rows:
        share = Decimal("0.88") if row["x_DeploymentSku"] == "GlobalStandard" else 1
        assert Decimal(row["ContractedUnitPrice"]) == Decimal(row["ListUnitPrice"]) * share
        assert Decimal(row["BilledCost"]) == Decimal(row["ListCost"]) * share
        assert Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"]) == Decimal(row["ListCost"])
    listed = exact_sum(Decimal(row["ListCost"]) for row in rows)
    undiscounted = cost_report(folder / "logs", deployments=folder / "deployments.toml", prices=PriceBook.bundled())
    assert listed == undiscounted.total > report.total


def test_hours_that_do_not_end_are_cut_in_a_bill() -> None:
    report = make_report([line("tuned", meter="hosting", unit="millisecond", price_unit="1 hour", quantity=1)])
    (row,) = rows_of(report_focus(report))
    assert row["PricingQuantity"] == "0." + "0" * 6 + "2" + "7" * 32 + "8"
    assert (row["PricingUnit"], row["ConsumedUnit"], row["ConsumedQuantity"]) == ("Hours", "Milliseconds", "1")


def test_a_bill_of_a_report_without_days_is_by_its_periods() -> None:
    report = make_report([line("chat"), line("embed")])
    months = rows_of(report_focus(replace(report, days=report.days.head(0))))
    assert [row["ChargePeriodStart"] for row in months] == ["2026-10-14T00:00:00Z"] * 2
    assert [row["ChargePeriodEnd"] for row in months] == ["2026-10-15T00:00:00Z"] * 2
    whole = rows_of(report_focus(replace(report, days=report.days.head(0), period=None)))
    assert {(row["ChargePeriodStart"], row["ChargePeriodEnd"]) for row in whole} == {
        ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z")
    }
    assert exact_sum(Decimal(row["BilledCost"]) for row in months) == report.total


def test_parquet_has_types_that_everybody_reads() -> None:
    table = parquet(example())
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert types["day"] == types["effective_from"] == "date32[day]"
    assert types["amount"] == types["price"] == types["list_price"] == "decimal128(38, 20)"
    assert (types["amount_exact"], types["quantity"]) == ("string", "int64")
    assert types["deployment"] == types["currency"] == "dictionary<values=string, indices=int32, ordered=0>"
    told = json.loads(table.schema.metadata[b"aoai_cost.report"])
    assert told["unpriced"] == report_json(example())["unpriced"]
    assert told["certainty"] == "lower_bound"
    assert b"pandas" not in table.schema.metadata
    huge = make_report([line("chat", amount=Decimal(10) ** 18)])
    with pytest.raises(RequestError, match="more digits before the point"):
        written(huge, "parquet")


def test_a_workbook_has_numbers_days_filters_and_charts() -> None:
    report = example()
    book = workbook(report)
    assert book.sheetnames == [
        *("Summary", "Costs", "Lines", "Days", "Unpriced", "Rejected", "Rejected by reason", "Other sources", "Files"),
        "Chart data",
    ]
    for name in book.sheetnames[1:-1]:
        assert book[name].freeze_panes == "A2"
        assert book[name].auto_filter.ref.startswith("A1:")
    days = sheet_rows(book, "Days")
    assert len(days) == len(report.days)
    assert days[0]["day"] == datetime(2026, 10, 12)
    assert book["Days"]["A2"].number_format == "yyyy-mm-dd"
    assert isinstance(days[0]["quantity"], int)
    costs = sheet_rows(book, "Costs")
    assert [row["complete"] for row in costs] == report.frame["complete"].tolist()
    assert [row["requests"] for row in costs] == report.frame["requests"].tolist()
    assert [row["cost"] is None for row in costs] == [cost is None for cost in report.frame["cost"]]
    assert len(sheet_rows(book, "Files")) == len(report.counts.files)
    assert sheet_rows(book, "Unpriced")[0]["reason"] == report.unpriced["reason"][0]
    summary = {row[0].value: row[1].value for row in book["Summary"].iter_rows(min_row=2)}
    assert (summary["Currency"], summary["Calls"]) == ("USD", 229)
    assert summary["First day (UTC)"] == datetime(2026, 10, 12)
    assert summary["Certainty"].startswith("at least: ")
    assert summary["Not in the total: quantities, see Unpriced"] == 4
    bars, columns = book["Summary"]._charts
    chart = sheet_rows(book, "Chart data")
    assert chart[0]["deployment"] == "aoai-shop-eastus2/support-ptu"
    for chart_of, cells, n in ((bars, "$B$2:$B$", 10), (columns, "$E$2:$E$", 4)):
        assert chart_of.series[0].val.numRef.f == f"'Chart data'!{cells}{n + 1}"
    by_day = [row[4].value for row in book["Chart data"].iter_rows(min_row=2, max_row=5)]
    assert sum(by_day) == pytest.approx(float(report.total))


def test_many_deployments_are_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    report = make_report([line(f"chat-{i}", amount=Decimal(i)) for i in range(20)])
    chart = [row[:2] for row in workbook(report)["Chart data"].iter_rows(min_row=2, max_row=17, values_only=True)]
    assert chart[0] == ("chat-19/chat-19", 19)
    assert chart[-1] == ("5 others", 0 + 1 + 2 + 3 + 4)


def test_what_excel_has_no_room_for_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "😀" * 20_000
    monkeypatch.setattr(excel, "MOST_ROWS", 4)
    book = workbook(make_report([line(f"chat-{i}") for i in range(5)], (), ["short", long]))
    assert len(sheet_rows(book, "Days")) == 3
    rows = sheet_rows(book, "Rejected")
    assert rows[1]["reason"] == "😀" * 16_383  # 32,767 units of UTF-16, of which a half character is none
    said = [
        row[1].value for row in book["Summary"].iter_rows(min_row=2) if row[0].value == "Cut, for Excel has no room"
    ]
    assert said[0].startswith("sheet Costs: the first 3 of 5 rows; Parquet has all days, JSON all else")
    assert "sheet Days: the first 3 of 5 rows; Parquet has all days, JSON all else" in said
    assert "sheet Rejected: 3 texts of more than 32,767 characters, cut; Parquet has all days, JSON all else" in said
    monkeypatch.undo()
    assert not [row for row in workbook(example())["Summary"].iter_rows() if "no room" in str(row[0].value)]


def test_whole_numbers_that_excel_would_round_are_texts() -> None:
    book = workbook(make_report([line("chat", quantity=2**53), line("chat", quantity=2**53 + 1)]))
    assert [row["quantity"] for row in sheet_rows(book, "Days")] == [2**53, str(2**53 + 1)]
    old = make_report([line("chat", effective_from=date(1, 1, 1))])
    assert sheet_rows(workbook(old), "Days")[0]["effective_from"] == "0001-01-01"


def test_markdown_is_short_and_says_what_it_leaves_out() -> None:
    report = make_report([line(f"chat-{i:03d}", amount=Decimal(i)) for i in range(100)])
    text = report_markdown(report)
    assert text.startswith("## Azure OpenAI cost: **4,950.00 USD**\n")
    assert "| `chat-099/chat-099` | 1 | 10 | 5 | 99.00 |" in text
    assert "chat-079" not in text.split("<details>")[0]
    # Of the 100 rows 80 are one, which has all their calls and costs.
    assert "| 80 more | 80 | 800 | 400 | 3,160.00 |" in text
    assert "| **Total** | 100 | 1,000 | 500 | **4,950.00** |" in text
    assert "and 80 more; the JSON of the report lists them all" in text
    assert len(report_markdown(example())) < 8_000
    assert "| Period | Model | User | Requests |" in report_markdown(example("day", ("model", "user")))
    long = report_markdown(named_report("x" * 5_000))
    assert len(long) < 6_000
    assert "x" * 81 not in long.split("### Notes")[0].split("<details>")[0]


@pytest.mark.parametrize(
    ("note", "shown"),
    [
        ("chat, fast and 2 more: list prices as captured on 2026-08-11", None),
        ("naïve résumé (UTC), 12.5 % of 1,234 calls; it's fine!", None),
        ("ask @someone about #1", "ask `@someone` about `#1`"),
        ("<b> a|b `c`", "`<b> a\\x7cb \\x60c\\x60`"),
        ("see http://127.0.0.1/x and www.example.invalid", "see `http://127.0.0.1/x` and `www.example.invalid`"),
        ("1. first", "`1.` first"),
        ("**bold** _it_", "`**bold** _it_`"),
    ],
)
def test_words_of_a_note_stay_words(note: str, shown: str | None) -> None:
    text = report_markdown(make_report([line("chat")], notes=[note]))
    (item,) = [row for row in text.splitlines() if row.startswith("- ")]
    assert item.startswith(f"- {note if shown is None else shown}")
    assert plain(note).replace("`", "\\x60").replace("|", "\\x7c") == item[2:].replace("`", "")


@pytest.mark.parametrize(("form", "module", "extra"), [("xlsx", "excel", "report"), ("parquet", "parquet", "parquet")])
def test_a_form_without_its_extra_says_how_to_get_it(
    form: str, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"aoai_cost.render.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "xlsxwriter" if form == "xlsx" else "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        write_report(make_report([line("chat")]), tmp_path / f"report.{form}")
    assert caught.value.extra == extra
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("r.csv", b"period,"),
        ("r.FOCUS.csv", b"BilledCost,"),
        ("focus.csv", b"period,"),
        ("r.md", b"## Azure"),
        ("r.parquet", b"PAR1"),
        ("r.XLSX", b"PK\x03\x04"),
        ("r.json", b"{"),
        ("r.html", b"<!doctype"),
    ],
)
def test_the_suffix_says_the_form(name: str, start: bytes, tmp_path: Path) -> None:
    write_report(make_report([line("chat")]), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_money_does_not_hang_on_the_context_of_the_caller() -> None:
    report = make_report([line("chat", amount=Decimal("1234567890.1234567890123456789012345678"))])
    expected = [written(report, form) for form in FORMS]
    with localcontext() as context:
        context.prec = 3
        assert [written(report, form) for form in FORMS] == expected


def test_json_may_hold_names_that_are_no_utf8() -> None:
    told = json.loads(written(named_report("lone \ud800"), "json"))
    assert told["rows"][0]["deployment"] == "lone ?"
    assert told["reading"]["files"][0]["source_file"] == told["reading"]["reasons"][0]["reason"] == "lone ?"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"total": 1.5}, "string"),
        ({"total": "1E+3"}, "match"),
        ({"certainty": "sure"}, "one of"),
        ({"rows": [{}]}, "required"),
        ({"schema": "aoai_cost.report/2"}, "expected"),
        ({"lines": [{"amount": None}]}, "required"),
        ({"reading": {"total": {}, "reasons": [], "files": []}}, "required"),
    ],
)
def test_the_schema_refuses_what_is_no_report(change: dict[str, Any], said: str) -> None:
    told = report_json(make_report([line("chat")]))
    jsonschema.validate(told, SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match=said):
        jsonschema.validate(told | change, SCHEMA)


def test_the_schema_travels_in_the_package_and_names_every_field() -> None:
    packed = json.loads(files("aoai_cost.render").joinpath("report.schema.json").read_text("utf-8"))
    assert packed == SCHEMA
    told = report_json(example())
    assert set(told) == set(SCHEMA["properties"])
    quantity = set(SCHEMA["$defs"]["quantity"]["properties"])
    for name in ("rows", "lines", "unpriced", "rejected", "comparison"):
        of_name = SCHEMA["properties"][name]["items"]
        known = set(of_name["properties"]) | (quantity if "$ref" in of_name else set())
        frame = {"rows": "frame"}.get(name, name)
        assert {str(column) for column in getattr(example(), frame).columns} <= known
    assert set(told["reading"]["total"]) == set(SCHEMA["$defs"]["reading"]["properties"])


def test_every_face_of_what_would_have_been_adds_up_to_its_total() -> None:
    folder = ROOT / "examples"
    changes = (UseBatch("0.3"), ScaleVolume("1.07"), ContractDiscount("0.123"))
    found = what_if(read_usage(folder / "logs"), *changes, deployments=folder / "deployments.toml")
    assert found.after.total not in (0, found.before.total)
    check_totals(found.after)
    jsonschema.validate(report_json(found.after), SCHEMA)


def test_the_page_on_reports_names_every_column_of_every_face() -> None:
    page = (ROOT / "docs/reports.md").read_text("utf-8")
    named = set(re.findall(r"`(\w+)`", page)) | {"model", "version", "sku", "region"}
    report = example()
    frames = (report.frame, report.lines, report.days, report.unpriced, report.rejected, report.comparison)
    columns = {str(name) for frame in frames for name in frame.columns}
    columns |= set(rows_of(report_focus(report))[0]) | set(parquet(report).column_names)
    columns |= set(report_json(report)["reading"]["total"])
    assert columns - named == set()
