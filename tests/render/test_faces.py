"""Every face of a report: the same total to the last digit, the same bytes again, and names that stay text."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt
from report_strategies import HOSTILE, line, make_report, named_report, reports

from aoai_cost import CostReport, cost_report
from aoai_cost.prices import exact_sum
from aoai_cost.render import report_csv, report_focus, report_json, report_markdown, writer_of
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
    for name in ("BilledCost", "EffectiveCost", "ContractedCost", "ListCost"):
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


@settings(max_examples=60)
@given(reports())
def test_every_face_of_any_report_adds_up_to_its_total(report: CostReport) -> None:
    check_totals(report)
    check_bytes(report)
    jsonschema.validate(json.loads(written(report, "json")), SCHEMA)


@settings(max_examples=60)
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
