"""The report page without a browser: its policy, its data, its size, its colours and the chart library's copy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from report_rows import DEPLOYMENTS, busy_sums, group, usage_sums

from aoai_cost import CostReport, Deployment, Deployments, PriceBook, cost_report
from aoai_cost.logs import Counts
from aoai_cost.render import chart_library as chart_library_file
from aoai_cost.render import report_html
from aoai_cost.render.chart_library import ChartLibrary, chart_library

BOOK = PriceBook.bundled()
HOSTILE = ["</script><script>alert(1)</script>", "<!--", "<img src=x onerror=alert(1)>", "lone \ud800", "\u202egnp.exe"]
FAKE = ChartLibrary("window.vegaEmbed = () => {};", "charts 1.0", "Copyright somebody")


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart library of a few letters: the real one comes with an extra, and `make browser` draws with it."""
    monkeypatch.setattr("aoai_cost.render.html.chart_library", lambda: FAKE)


class Parts(HTMLParser):
    """Collects what a browser would run, and every element."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.held: list[tuple[dict[str, str | None], str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag in ("script", "style"):
            self.held.append(({"tag": tag} | dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in ("script", "style") and self.held:
            attributes, content = self.held[-1]
            self.held[-1] = (attributes, content + data)

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")


def busy_report() -> CostReport:
    return cost_report(busy_sums(), deployments=DEPLOYMENTS, prices=BOOK)


def hostile_report() -> CostReport:
    known = Deployments(Deployment("aoai", name, "gpt-4o", "2024-11-20", "GlobalStandard") for name in HOSTILE)
    groups = [group(one, 0, 9, user=one.name, app=one.name) for one in known]
    return cost_report(usage_sums(groups, notes=HOSTILE[0]), deployments=known, prices=BOOK)


def test_the_policy_names_what_the_page_holds_and_nothing_else() -> None:
    page = report_html(busy_report())
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert found
    policy = dict(part.strip().split(" ", 1) for part in unescape(found[1]).split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert set(policy) == {"default-src", "base-uri", "form-action", "script-src", "style-src"}

    def digests(tag: str) -> list[str]:
        texts = [text for attributes, text in Parts(page).held if attributes["tag"] == tag and "type" not in attributes]
        return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]

    assert policy["script-src"].split() == digests("script")
    assert policy["style-src"].split() == digests("style")
    assert len(digests("script")) == 2
    assert "\r" not in page  # a browser would take it for a line feed, and the digests would be others


def test_hostile_names_stay_in_their_texts() -> None:
    calm, found = Parts(report_html(busy_report())), Parts(report_html(hostile_report()))
    assert set(found.tags) <= set(calm.tags)
    assert found.attributes <= calm.attributes
    assert found.tags.count("script") == calm.tags.count("script") == 4
    data = next(text for attributes, text in found.held if attributes.get("id") == "data")
    assert "<" not in data
    names = {name for name, _ in json.loads(data)["deployments"]}
    assert {"</script><script>alert(1)</script>", "lone \\ud800", "\\u202egnp.exe"} <= names


def test_the_data_adds_up_to_the_total() -> None:
    report = busy_report()
    data = next(text for attributes, text in Parts(report_html(report)).held if attributes.get("id") == "data")
    found = json.loads(data)
    total = 0
    for (*_, which), row in zip(found["series"], found["rows"], strict=True):
        total += int(found["prices"][which][0]) * sum(map(int, row[1::2]))
    assert Fraction(total, int(found["scale"])) == Fraction(report.total)
    assert sum(calls for _, calls in found["deployments"]) == report.requests


def test_numbers_that_javascript_would_round_are_texts() -> None:
    one = Deployment("aoai", "chat", "gpt-4o", "2024-11-20", "GlobalStandard")
    report = cost_report(usage_sums([group(one, 0, 10**13)]), deployments=Deployments([one]), prices=BOOK)
    data = next(text for attributes, text in Parts(report_html(report)).held if attributes.get("id") == "data")
    assert str(1_237 * 10**13) in [value for row in json.loads(data)["rows"] for value in row]


def many(deployments: int, days: int) -> CostReport:
    known = [
        Deployment("aoai", f"chat-{i:05}", "gpt-4o", "2024-11-20", "GlobalStandard", "eastus2")
        for i in range(deployments)
    ]
    groups = [group(one, day, day + i + 1, user=f"user-{i % 50}") for i, one in enumerate(known) for day in range(days)]
    return cost_report(usage_sums(groups, days), deployments=Deployments(known), prices=BOOK)


@pytest.mark.parametrize(("deployments", "days"), [(200, 50), (10_000, 1)], ids=["200 x 50 days", "10,000 names"])
def test_ten_thousand_groups_stay_under_two_megabytes(
    deployments: int, days: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As large as the bundle of vl-convert.
    monkeypatch.setattr("aoai_cost.render.html.chart_library", lambda: FAKE._replace(script="/" * 900_000))
    report = many(deployments, days)
    page = report_html(report)
    assert len(page.encode()) < 2_000_000
    assert "rows; --json lists them all" in page or deployments < 1_000
    data = json.loads(next(text for attributes, text in Parts(page).held if attributes.get("id") == "data"))
    assert sum(calls for _, calls in data["deployments"]) == report.requests
    assert len(data["deployments"]) <= 201


def named_after(names: Iterable[str], users: Iterable[str] = ("ann",)) -> CostReport:
    known = [Deployment("aoai", name, "gpt-4o", "2024-11-20", "GlobalStandard", "eastus2") for name in names]
    groups = [group(one, 0, i + 1, user=user, app=user) for i, one in enumerate(known) for user in users]
    return cost_report(usage_sums(groups, 1), deployments=Deployments(known), prices=BOOK)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        pytest.param("模型" * 100, 5_000, id="letters of three bytes"),
        pytest.param("<\"&'>" * 60, 5_000, id="escapes"),
        pytest.param("ü" * 2_000, 300, id="long names"),
    ],
)
def test_names_of_others_do_not_make_a_page_too_large(name: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aoai_cost.render.html.chart_library", lambda: FAKE._replace(script="/" * 920_000))
    page = report_html(named_after((f"{i}-{name}" for i in range(count)), (name,)))
    assert len(page.encode()) < 2_000_000
    assert "rows; --json lists them all" in page


def test_many_provisioned_deployments_do_not_make_a_page_too_large() -> None:
    known = [
        Deployment("aoai", f"ptu-{i}", "gpt-4.1", "2025-04-14", "GlobalProvisionedManaged", "eastus2", ptu_units=15)
        for i in range(3_000)
    ]
    sums = usage_sums([group(known[0], 0, 3)], 1)
    page = report_html(cost_report(sums, deployments=Deployments(known), prices=BOOK))
    assert len(page.encode()) < 2_000_000
    assert "report_facts(report).findings lists them all" in page


def test_many_users_of_many_deployments_are_one_in_the_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aoai_cost.report.breakdown._MOST_QUANTITIES", 500)
    report = named_after([f"chat-{i}" for i in range(20)], [f"user-{i}" for i in range(10)])
    page = report_html(report)
    data = json.loads(next(text for attributes, text in Parts(page).held if attributes.get("id") == "data"))
    assert data["names"]["user"] == ["10 others"]
    assert len(data["series"]) == 60
    total = sum(
        int(data["prices"][which][0]) * sum(map(int, row[1::2]))
        for (*_, which), row in zip(data["series"], data["rows"], strict=True)
    )
    assert Fraction(total, int(data["scale"])) == Fraction(report.total)
    assert 'data-chart="user"' not in page
    assert "<h2>Cost by user</h2>" in page


@pytest.mark.parametrize(
    ("by", "title"),
    [
        (["deployment"], "Cost by deployment"),
        (["resource"], "Cost by resource"),
        (["user"], "Cost by user"),
        (["sku", "region"], "Cost by SKU and region"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_first_table_says_what_the_report_is_split_by(by: list[str], title: str) -> None:
    page = report_html(cost_report(busy_sums(4), deployments=DEPLOYMENTS, prices=BOOK, by=by))
    assert "Cost by period" not in page
    tables = page[page.index("<h2>What if</h2>") :]
    assert re.findall("<h2>(Cost by .*?)</h2>", tables)[0] == title


def test_what_has_no_price_is_said_to_be_in_no_slider() -> None:
    said = "Quantities without a price are in none of these sums"
    unknown = Deployment("aoai", "unknown", "contoso-chat", "1", "GlobalStandard", "eastus2")
    known = [*DEPLOYMENTS, unknown]
    sums = usage_sums([group(one, 25, 2) for one in known])
    assert said in report_html(cost_report(sums, deployments=Deployments(known), prices=BOOK))
    sums = usage_sums([group(one, 25, 2) for one in DEPLOYMENTS if one.name == "chat"])
    assert said not in report_html(cost_report(sums, deployments=Deployments(list(DEPLOYMENTS)[:2]), prices=BOOK))


def test_an_assumed_count_is_no_assumed_price() -> None:
    key, calls = group(next(iter(DEPLOYMENTS)), 0, 10)
    sums = replace(usage_sums([(key, calls._replace(estimated=5))], 1), counts=Counts((), ()))
    page = report_html(cost_report(sums, deployments=DEPLOYMENTS, prices=BOOK))
    assert "USD, estimated" in page
    assert "a price or a count rests on an assumption" in page


def test_days_are_summed_by_month_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aoai_cost.report.breakdown._MOST_QUANTITIES", 50)
    page = report_html(busy_report())
    data = json.loads(next(text for attributes, text in Parts(page).held if attributes.get("id") == "data"))
    assert data["days"] == ["2026-08-01", "2026-09-01", "2026-10-01"]
    assert 'value="day"' not in page


def test_without_the_extra_the_page_says_where_charts_come_from(monkeypatch: pytest.MonkeyPatch) -> None:
    with_charts = report_html(busy_report())
    assert "Copyright somebody" in with_charts
    assert "charts 1.0" in with_charts
    monkeypatch.setattr("aoai_cost.render.html.chart_library", lambda: None)
    without = report_html(busy_report())
    assert 'pip install "aoai-cost[report]"' in without
    assert 'pip install "aoai-cost[report]"' not in with_charts
    assert 'id="charts"' not in without
    assert 'id="discount"' in without


def test_a_report_without_costs_has_no_script() -> None:
    page = report_html(cost_report(usage_sums([]), deployments=Deployments([]), prices=BOOK))
    assert "<script" not in page
    assert "script-src" not in page


# ---- colours ----


def themes() -> Iterator[tuple[str, dict[str, str]]]:
    css = (Path(chart_library_file.__file__).with_name("page.css")).read_text("utf-8")
    light, dark = (dict(re.findall(r"(--[a-z0-9-]+): (#[0-9a-f]{6});", block)) for block in css.split("@media", 2)[:2])
    yield "light", light
    yield "dark", light | dark


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("name", "theme"), list(themes()), ids=["light", "dark"])
def test_texts_and_marks_can_be_told_from_the_paper(name: str, theme: dict[str, str]) -> None:
    assert len(theme) == 13
    for paper in ("--paper", "--panel"):
        for ink in ("--ink", "--soft", "--mark"):
            assert contrast(theme[ink], theme[paper]) >= 4.5, (name, ink, paper)
    for i in range(7):
        assert contrast(theme[f"--series-{i}"], theme["--paper"]) >= 3, (name, i)


# ---- the chart library's copy ----


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A stand-in for vl-convert, of which each call is noted."""
    calls: list[str] = []

    def javascript_bundle(snippet: str) -> str:
        calls.append(snippet)
        return "const a = '</script><!--';\n" + snippet

    fake = ModuleType("vl_convert")
    fake.__dict__["javascript_bundle"] = javascript_bundle
    monkeypatch.setitem(sys.modules, "vl_convert", fake)
    installed = SimpleNamespace(version="9.9", files=[])
    monkeypatch.setattr(chart_library_file, "distribution", lambda name: installed)
    chart_library_file._library.cache_clear()
    yield calls
    chart_library_file._library.cache_clear()


def another_process() -> ChartLibrary | None:
    chart_library_file._library.cache_clear()
    return chart_library()


def test_the_library_is_made_once_and_then_read(made: list[str], data_folder: Path) -> None:
    first = chart_library()
    assert first is not None
    assert "</script" not in first.script
    assert "<!--" not in first.script
    assert chart_library() is first
    assert another_process() == first
    assert len(made) == 1
    assert sorted(path.name for path in (data_folder / "charts").iterdir()) == ["9.9.js", "9.9.json"]


@pytest.mark.parametrize("name", ["9.9.js", "9.9.json"])
def test_a_copy_that_was_changed_is_made_again(name: str, made: list[str], data_folder: Path) -> None:
    first = chart_library()
    (data_folder / "charts" / name).write_text("alert(1)", "utf-8")
    assert another_process() == first
    assert len(made) == 2
    assert another_process() == first
    assert len(made) == 2


def test_a_folder_that_cannot_be_written_to_costs_only_time(made: list[str], data_folder: Path) -> None:
    (data_folder / "charts").write_text("in the way", "utf-8")
    assert chart_library() == another_process() is not None
    assert len(made) == 2


def test_without_the_package_there_is_no_library(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise chart_library_file.PackageNotFoundError(name)

    monkeypatch.setattr(chart_library_file, "distribution", missing)
    assert chart_library() is None
    assert made == []


def test_price_rows_name_their_sources_and_the_list_price() -> None:
    discounted = BOOK.with_discount("0.1")
    report = cost_report(busy_sums(4), deployments=DEPLOYMENTS, prices=discounted)
    page = report_html(report)
    assert "2.25 per 1M tokens, list price 2.5" in re.sub(r"0+(?= per|<)", "", page)
    assert ", list price" not in report_html(busy_report())
    for source in set(report.lines["source"]):
        assert BOOK.sources[source]["title"] in page
        assert BOOK.sources[source]["date"] in page


def test_the_last_day_is_provisional() -> None:
    report = busy_report()
    assert report.period is not None
    assert (report.period[1] - timedelta(days=1)).isoformat() in report_html(report)
