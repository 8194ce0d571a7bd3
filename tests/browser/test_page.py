"""The report page in headless Chromium: silent, offline, and to the cent what the library says."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest
from report_rows import DEPLOYMENTS, busy_sums, group, usage_sums

from aoai_cost import (
    CacheShare,
    ContractDiscount,
    CostReport,
    Deployment,
    Deployments,
    PriceBook,
    ScaleVolume,
    Usage,
    UseBatch,
    cost_report,
    what_if,
)
from aoai_cost.prices import exact_sum
from aoai_cost.render import report_html
from aoai_cost.render.words import amount, plain

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent.parent
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
BOOK = PriceBook.bundled()

Open = Callable[..., "Page"]


@cache
def busy_report() -> CostReport:
    return cost_report(busy_sums(), deployments=DEPLOYMENTS, prices=BOOK)


@cache
def busy_page() -> str:
    return report_html(busy_report())


@cache
def example_page() -> str:
    deployments = ROOT / "examples" / "deployments.toml"
    return report_html(cost_report(ROOT / "examples" / "logs", deployments=deployments, prices=BOOK))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open HTML from a file; whatever the page says, asks for or reaches for fails the test at its end."""
    heard: list[str] = []
    contexts = []

    def show(html: str, *, width: int = 1280, dark: bool = False) -> Page:
        path = tmp_path / "bill.html"
        path.write_bytes(html.encode("utf-8"))
        scheme = "dark" if dark else "light"
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (heard.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url == path.as_uri() or heard.append(f"request: {request.url}"))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        return page

    yield show
    for context in contexts:
        for page in context.pages:
            page.wait_for_timeout(200)
        context.close()
    assert not heard, "\n".join(heard)


def cut(name: str) -> str:
    """A name as the filter has room for it."""
    return name if len(name) <= 120 else f"{name[:120]}…"


def wait_for_charts(page: Page, count: int) -> None:
    # Not by a function in the page: the policy lets nothing be evaluated there.
    until(lambda: page.locator(".plot svg").count() == count)


def until(done: Callable[[], bool], seconds: float = 20) -> None:
    end = monotonic() + seconds
    while not done():
        assert monotonic() < end, "waited in vain"
        sleep(0.05)


def table_of(page: Page, chart: str) -> list[tuple[str, ...]]:
    """The numbers behind a chart, without the cell of a bar."""
    rows = page.locator(f"figure[data-chart={chart}] tbody tr").all()
    return [tuple(cell.text_content() or "" for cell in row.locator("td:not(.bar)").all()) for row in rows]


def choose(page: Page, *names: str) -> None:
    page.locator(".filter > summary").click()
    page.locator("#choose-none").click()
    for name in names:
        page.get_by_role("checkbox", name=name, exact=True).check()


def slide(page: Page, **settings: int | None) -> None:
    for name, value in settings.items():
        if value is not None:
            page.locator(f"#{name}").fill(str(value))
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def of_deployments(report: CostReport, names: set[tuple[str, str]]) -> Decimal:
    rows = report.days.itertuples(index=False)
    return exact_sum(row.amount for row in rows if (row.resource, row.deployment) in names)


def sums_by(report: CostReport, key: Callable[[Any], Any]) -> list[tuple[Any, Decimal]]:
    found: dict[Any, list[Decimal]] = defaultdict(list)
    for row in report.days.itertuples(index=False):
        found[key(row)].append(row.amount)
    return sorted(((name, exact_sum(amounts)) for name, amounts in found.items()), key=lambda one: -one[1])


@pytest.mark.parametrize("html", [pytest.param(example_page, id="example"), pytest.param(busy_page, id="busy")])
def test_the_page_is_silent_and_draws_all_its_charts(html: Callable[[], str], open_page: Open) -> None:
    page = open_page(html())
    wait_for_charts(page, page.locator("figure").count())
    assert page.locator("figure").count() >= 5
    for box in page.locator(".plot").all():
        assert box.locator("[aria-roledescription=bar]").count() > 0


def test_the_charts_show_what_the_library_says(open_page: Open) -> None:
    report, page = busy_report(), open_page(busy_page())
    assert page.locator("#total").text_content() == amount(report.total)
    assert page.locator("#calls").text_content() == f"{report.requests:,}"
    by_model = sums_by(report, lambda row: f"{row.model} {row.version}")
    assert table_of(page, "model") == [(name, amount(cost)) for name, cost in by_model]
    by_day = dict(sums_by(report, lambda row: row.day.isoformat()))
    assert table_of(page, "time") == [(day, amount(by_day[day])) for day in sorted(by_day)]
    assert dict(table_of(page, "user")) == {
        plain(name): amount(cost) for name, cost in sums_by(report, lambda r: r.user)
    }
    kinds = dict(table_of(page, "kind"))
    assert kinds["Cached input"] == amount(dict(sums_by(report, lambda row: row.meter))["cached_input"])


def test_months_are_the_sums_of_their_days(open_page: Open) -> None:
    page = open_page(busy_page())
    page.get_by_role("radio", name="Monthly").check()
    by_month = dict(sums_by(busy_report(), lambda row: row.day.isoformat()[:7]))
    assert len(by_month) > 2
    assert table_of(page, "time") == [(month, amount(by_month[month])) for month in sorted(by_month)]
    page.get_by_role("radio", name="Daily").check()
    assert len(table_of(page, "time")) == 60


def test_the_filter_acts_on_every_number_and_chart(open_page: Open) -> None:
    report, page = busy_report(), open_page(busy_page())
    wait_for_charts(page, page.locator("figure").count())
    chosen = {("aoai-one", "chat"), ("aoai-two", "ptu")}
    choose(page, "chat (aoai-one)", "ptu")
    rows = [row for row in report.days.itertuples(index=False) if (row.resource, row.deployment) in chosen]
    shown = amount(of_deployments(report, chosen))
    assert page.locator("#total").text_content() == page.locator("#before").text_content() == shown
    assert page.locator("#now").text_content() == f"{shown} USD"
    assert page.locator("#part").text_content() == "2 of 8 deployments"
    calls = sum(row.requests for row in report.calls.itertuples() if (row.resource, row.deployment) in chosen)
    assert page.locator("#calls").text_content() == f"{calls:,}"
    assert {name for name, *_ in table_of(page, "deployment")} == {"chat (aoai-one)", "ptu"}
    assert {name for name, *_ in table_of(page, "model")} == {f"{row.model} {row.version}" for row in rows}
    until(lambda: page.locator("[data-chart=deployment] [aria-roledescription=bar]").count() == 2)
    page.locator("#choose-none").click()
    assert page.locator("#total").text_content() == "0.00"
    page.locator("#choose-all").click()
    assert page.locator("#total").text_content() == amount(report.total)


@pytest.mark.parametrize(
    ("volume", "batch", "cached", "discount"),
    [
        pytest.param(100, 0, None, 0, id="nothing moved"),
        pytest.param(150, 0, None, 0, id="half as many calls again"),
        pytest.param(0, 0, None, 0, id="no calls"),
        pytest.param(100, 35, None, 0, id="a third in batch"),
        pytest.param(100, 100, None, 0, id="all in batch"),
        pytest.param(100, 0, 0, 0, id="nothing cached"),
        pytest.param(100, 0, 83, 0, id="much cached"),
        pytest.param(100, 0, None, 12, id="a discount"),
        pytest.param(237, 61, 47, 13, id="all four"),
        pytest.param(300, 100, 100, 100, id="all the way"),
    ],
)
def test_sliders_reckon_as_the_library_does(
    open_page: Open, volume: int, batch: int, cached: int | None, discount: int
) -> None:
    page = open_page(busy_page())
    slide(page, volume=volume, batch=batch, cached=cached, discount=discount)
    changes = [ScaleVolume(Fraction(volume, 100))]
    changes += [CacheShare(Fraction(cached, 100))] if cached is not None else []  # type: ignore[list-item]
    changes += [UseBatch(Fraction(batch, 100)), ContractDiscount(Fraction(discount, 100))]  # type: ignore[list-item]
    found = what_if(busy_sums(), *changes, deployments=DEPLOYMENTS, prices=BOOK)
    assert page.locator("#before").text_content() == amount(found.before.total)
    assert page.locator("#after").text_content() == amount(found.after.total)
    assert page.locator("#difference").text_content() == amount(found.difference)
    by_deployment = {
        f"{name} ({resource})" if name == "chat" else name: cost
        for (resource, name), cost in sums_by(found.after, lambda row: (row.resource, row.deployment))
    }
    if volume:
        assert {name: after for name, _, after in table_of(page, "what-if")} == {
            name: amount(cost) for name, cost in by_deployment.items()
        }
    page.locator("#as-logged").click()
    assert page.locator("#difference").text_content() == "0.00"
    assert page.locator("#cached-is").text_content() == "as logged"


def test_sliders_and_filter_together(open_page: Open) -> None:
    page = open_page(busy_page())
    choose(page, "agent", "nightly", "chat (aoai-two)")
    slide(page, volume=80, batch=40, cached=60, discount=7)
    changes = ScaleVolume("0.8"), CacheShare("0.6"), UseBatch("0.4"), ContractDiscount("0.07")
    found = what_if(busy_sums(), *changes, deployments=DEPLOYMENTS, prices=BOOK)
    chosen = {("aoai-one", "agent"), ("aoai-one", "nightly"), ("aoai-two", "chat")}
    assert page.locator("#after").text_content() == amount(of_deployments(found.after, chosen))


def test_what_was_imagined_can_be_a_page_too(open_page: Open) -> None:
    found = what_if(busy_sums(), ScaleVolume("0.333"), deployments=DEPLOYMENTS, prices=BOOK)
    page = open_page(report_html(found.after))
    assert page.locator("#total").text_content() == amount(found.after.total)


def test_amounts_below_a_cent_are_rounded_as_the_library_does(open_page: Open) -> None:
    known = [
        Deployment("aoai", f"d{cached}", "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral")
        for cached in (*range(90, 130), 1, 3, 7, 8, 2_719, 7_999)
    ]
    groups = [group(one, 0, 1) for one in known]
    # At 1.25 per million; halves of the last digit are where floats go astray.
    groups = [
        (key, calls._replace(usage=Usage({"cached_input": int(one.name[1:])})))
        for one, (key, calls) in zip(known, groups, strict=True)
    ]
    report = cost_report(usage_sums(groups, 1), deployments=Deployments(known), prices=BOOK)
    page = open_page(report_html(report))
    assert page.locator("#total").text_content() == amount(report.total)
    page.locator(".filter > summary").click()
    for name, cost in sums_by(report, lambda row: row.deployment):
        page.locator("#choose-none").click()
        page.get_by_role("checkbox", name=name, exact=True).check()
        assert page.locator("#total").text_content() == amount(cost)


def test_everything_can_be_done_with_the_keyboard(open_page: Open) -> None:
    page = open_page(busy_page())
    seen = []
    for _ in range(200):
        page.keyboard.press("Tab")
        focused = page.evaluate("(document.activeElement.id || document.activeElement.textContent).trim()")
        seen.append(focused)
        if focused.startswith("Deployments:"):
            page.keyboard.press("Enter")
        if focused == "choose-none":
            page.keyboard.press("Enter")
            assert page.locator("#total").text_content() == "0.00"
        if focused == "choose-all":
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if focused == "discount":
            break
    assert {"choose-all", "choose-none", "volume", "batch", "cached", "discount", "As a table"} <= set(seen)
    page.locator("#choose-all").press("Space")
    assert page.locator("#total").text_content() == amount(busy_report().total)
    page.locator("#discount").focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    slide(page)
    found = what_if(busy_sums(), ContractDiscount("0.1"), deployments=DEPLOYMENTS, prices=BOOK)
    assert page.locator("#after").text_content() == amount(found.after.total)
    # Changes are told to who cannot see them, and every slider has a name.
    assert page.locator("#total").evaluate("(one) => one.tagName") == "OUTPUT"
    for name in ("Volume of calls", "Calls sent as batches", "Input read from the cache", "Contract discount"):
        assert page.get_by_role("slider", name=name).count() == 1


def test_a_bar_tells_its_amount(open_page: Open) -> None:
    page = open_page(busy_page())
    wait_for_charts(page, page.locator("figure").count())
    bar = page.locator("figure[data-chart=deployment] [aria-roledescription=bar]").first
    bar.hover()
    name, cost = sums_by(busy_report(), lambda row: row.deployment)[0]
    page.wait_for_selector("#tip:not([hidden])")
    assert page.locator("#tip").text_content() == f"{name}\n{amount(cost)} USD" == bar.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()


def test_dark_and_light(open_page: Open) -> None:
    page = open_page(busy_page(), dark=True)
    wait_for_charts(page, page.locator("figure").count())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 28)"
    bar = page.locator("[data-chart=deployment] [aria-roledescription=bar]").first
    fill = "(one) => getComputedStyle(one).fill"
    assert bar.evaluate(fill) == "rgb(108, 176, 255)"
    page.emulate_media(color_scheme="light")
    assert bar.evaluate(fill) == "rgb(11, 98, 196)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    # Paper is light, whatever the screen is.
    page.emulate_media(color_scheme="dark", media="print")
    assert bar.evaluate(fill) == "rgb(11, 98, 196)"


@pytest.mark.parametrize("html", [pytest.param(example_page, id="example"), pytest.param(busy_page, id="busy")])
def test_a_phone_shows_it_without_scrolling_sideways(html: Callable[[], str], open_page: Open) -> None:
    page = open_page(html(), width=390)
    wait_for_charts(page, page.locator("figure").count())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for box in page.locator(".plot svg").all():
        found = box.bounding_box()
        assert found is not None
        assert found["x"] + found["width"] <= 390


def test_it_prints(open_page: Open) -> None:
    page = open_page(busy_page(), dark=True)
    wait_for_charts(page, page.locator("figure").count())
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.locator(".plot svg").first.is_visible()
    assert not page.locator(".controls, #discount, footer").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_the_chart_library_all_but_the_charts_is_there(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aoai_cost.render.html.chart_library", lambda: None)
    page = open_page(report_html(busy_report()))
    assert page.get_by_text('pip install "aoai-cost[report]"').is_visible()
    assert page.locator(".plot svg").count() == 0
    assert page.locator("figure[data-chart=deployment] .bar i").first.is_visible()
    choose(page, "agent")
    slide(page, discount=50)
    half = of_deployments(busy_report(), {("aoai-one", "agent")}) / 2
    assert page.locator("#after").text_content() == amount(half)


def hostile_names(test_data: Path) -> list[str]:
    names = ["__proto__", "constructor", "toString", "</script><script>alert(1)</script>", "<!--", "]]>", "{{7*7}}"]
    for path in ("xss/payloadbox_sample.jsonl", "names/names.jsonl"):
        names += [json.loads(line)["s"] for line in (test_data / "hostile" / path).read_text("utf-8").splitlines()]
    return names


def test_hostile_names_do_nothing(open_page: Open, test_data: Path) -> None:
    names = hostile_names(test_data)
    known = {name.lower(): Deployment("aoai", name, "gpt-4o", "2024-11-20", "GlobalStandard") for name in names if name}
    groups = []
    for i, deployment in enumerate(known.values()):
        name = deployment.name
        key, calls = group(deployment, i % 60, len(known) - i, user=name, app=name)
        groups.append((key, calls))
        groups.append((key._replace(model=name, version=name, resource=name, region=name), calls))
    report = cost_report(usage_sums(groups, notes=names[3]), deployments=Deployments(known.values()), prices=BOOK)
    report = replace(report, notes=(*report.notes, *names))
    page = open_page(report_html(report))
    wait_for_charts(page, page.locator("figure").count())
    for details in page.locator("details").all():
        details.evaluate("(one) => { one.open = true; }")
    # Nothing but what the page is made of: elements, attributes that load or run something, and texts.
    calm = re.findall(r"<([a-z0-9]+)", busy_page().split("<script", 1)[0])
    found = page.evaluate("[...new Set([...document.body.querySelectorAll('*')].map((one) => one.localName))]")
    assert set(found) <= {*calm, "svg", "g", "path", "line", "text", "defs", "clipPath", "rect", "script", "tr", "td"}
    loud = "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
    assert not [name for name in page.evaluate(loud) if name.startswith("on") or name in ("src", "href", "action")]
    shown = page.locator(".choices label").all_text_contents()
    assert len(shown) == 201
    # The costliest are those that come first; each is shown as its text.
    assert shown[:200] == [f" {cut(plain(one.name))}" for one in list(known.values())[:200]]
    page.locator("figure[data-chart=deployment] [aria-roledescription=bar]").first.hover()
    page.get_by_role("checkbox").last.uncheck()
    page.get_by_role("checkbox").last.check()
    slide(page, volume=110)
    assert page.locator("#difference").text_content() == amount(report.total / 10)


def test_the_example_reads_as_it_did(open_page: Open) -> None:
    page = open_page(example_page())
    assert page.locator("#total").text_content() == "1,607.91"
    assert page.get_by_text(
        "support-ptu costs most of all deployments: 1,440.00 USD, 89.6 % of the total."
    ).is_visible()
    assert page.get_by_text("2027-02-09").count() >= 1
    assert date(2026, 10, 15).isoformat() in (page.locator(".figures").text_content() or "")
