"""A cost report as one HTML page that opens offline, prints well and loads nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from ..markup import element, empty, page, table, text
from ..report.facts import report_facts
from ..report.finding import named
from .chart_library import ChartLibrary, chart_library
from .charts import chart_specs
from .page_data import page_data
from .page_tables import report_tables, section
from .words import CERTAINTY, amount, heading, period, plain, share, whole

if TYPE_CHECKING:
    from ..report import CostReport
    from ..report.facts import ReportFacts

__all__ = ["report_html"]

# A page is for reading: its tables share what there is up to this size; files carry all rows of any report.
_PAGE_BYTES = 1_950_000
_SHOWN_FINDINGS = 50

_FACETS = {
    "deployment": "Cost by deployment",
    "model": "Cost by model",
    "kind": "Cost by kind of token or time",
    "user": "Cost by user",
    "app": "Cost by app",
}
_WITHOUT_CHARTS = (
    'These are tables with bars; charts to hover over come with <code>pip install "aoai-cost[report]"</code>.'
)


def report_html(report: CostReport) -> str:
    """Return the report as one HTML document.

    Every value from the log is escaped, and the policy of the page lets its own scripts run and nothing else. Its
    charts need the ``report`` extra; without it the page has all numbers, the filter and the sliders.
    """
    facts = report_facts(report)
    library = chart_library() if facts.breakdown.series else None
    sections = [_headline(report), _figures(report, facts)]
    if facts.findings:
        sections.append(_findings(facts))
    if facts.breakdown.series:
        sections += [_controls(report, facts), _charts(report, facts, library), _what_if(report, facts, library)]
    data: dict[str, str] = {}
    scripts: list[str] = []
    if facts.breakdown.series:
        data["data"] = page_data(report, facts.breakdown)
        scripts.append(_file("page.js"))
    if library is not None:
        data["charts"] = orjson.dumps(chart_specs()).decode()
        scripts.insert(0, library.script)
    footer = _footer(library)
    # A "<" in the data is written as an escape.
    written = (*sections, *(one.replace("<", "\\u003c") for one in data.values()), *scripts, footer)
    taken = sum(len(one.encode("utf-8", "replace")) for one in written)
    sections += report_tables(report, facts, max(0, _PAGE_BYTES - taken))
    sections.append(footer)
    title = f"Azure OpenAI cost {period(report)}"
    return page(title, _file("page.css"), "\n".join(sections), data=data, scripts=scripts)


@cache
def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text("utf-8")


def _headline(report: CostReport) -> str:
    bound, meaning = CERTAINTY[report.certainty]
    unit = ", ".join(filter(None, (report.currency, bound)))
    total = element("output", text(amount(report.total)), id="total")
    money = f"{total} {element('small', text(unit))} {element('small', '', id='part')}"
    calls = f"{element('output', whole(report.requests), id='calls')} calls, {text(period(report))}; {text(meaning)}."
    return element(
        "header",
        element("h1", "Azure OpenAI cost") + element("p", money, class_="total") + element("p", calls, class_="soft"),
    )


def _figures(report: CostReport, facts: ReportFacts) -> str:
    shown = [
        ("Certainty", report.certainty.replace("_", " "), CERTAINTY[report.certainty][1]),
        ("Quantities without a price", whole(len(report.unpriced)), "not in the total"),
        ("Calls without tokens", whole(report.unmetered), "not in the total"),
        ("Rows that could not be read", whole(report.counts.total.rejected), "not in the total"),
        ("Failed calls", whole(facts.failed), f"{whole(facts.throttled)} of them throttled"),
    ]
    if facts.spilled:
        shown.append(("Calls that spilled over", whole(facts.spilled), "from provisioned deployments"))
    if facts.provisional_days:
        last = facts.provisional_days[0].isoformat()
        shown.append(("Provisional", last, "the last day: logs may still come"))
    if facts.cached_share is not None:
        saved = f"saved {amount(facts.cache_savings)} {report.currency}"
        shown.append(("Prompt tokens from the cache", share(facts.cached_share), saved))
    if facts.batch_share is not None:
        shown.append(("Spent on batch", share(facts.batch_share), "of the total"))
        shown.append(("Spent in the priority tier", share(facts.priority_share), "of the total"))
    inner = "".join(
        element("div", element("dt", text(name)) + element("dd", text(value) + element("small", text(more))))
        for name, value, more in shown
    )
    return element("dl", inner, class_="figures")


def _findings(facts: ReportFacts) -> str:
    listed = "\n".join(
        element("li", text(plain(one.sentence)) + " " + element("small", text(f"[{one.formula}]"), class_="soft"))
        for one in facts.findings[:_SHOWN_FINDINGS]
    )
    more = len(facts.findings) - _SHOWN_FINDINGS
    said = f"and {whole(more)} more; report_facts(report).findings lists them all"
    left_out = element("p", text(said), class_="soft") if more > 0 else ""
    return section("Findings", element("ul", listed) + left_out)


def _controls(report: CostReport, facts: ReportFacts) -> str:
    buttons = "".join(
        element("button", text(words), type="button", id=f"choose-{name}") + " "
        for name, words in (("all", "All"), ("none", "None"))
    )
    chosen = element("summary", f"Deployments: {element('output', '', id='chosen')}")
    choices = element("div", "", id="choices", class_="choices", role="group", aria_label="Deployments")
    every = [("day", "Daily", {"checked": ""}), ("month", "Monthly", {})]
    if facts.breakdown.by_month:
        every = [("month", "Monthly", {"checked": ""})]
    radios = "".join(
        element("label", empty("input", type="radio", name="every", value=value, **more) + f" {text(words)}")
        for value, words, more in every
    )
    return element(
        "form",
        element("details", chosen + buttons + choices, class_="filter")
        + element("fieldset", radios, aria_label="Period of the chart over time")
        + element("output", f"{amount(report.total)} {text(report.currency)}", id="now", class_="now"),
        class_="controls",
        hidden="",
        data_script="",
    )


def _charts(report: CostReport, facts: ReportFacts, library: ChartLibrary | None) -> str:
    breakdown = facts.breakdown
    told = {"user": breakdown.users, "app": breakdown.apps}
    drawn = [_figure("time", f"Cost over time, {report.currency}", ("Period", "Cost"), broad=True)]
    for name, title in _FACETS.items():
        # Users and apps are drawn where the log tells them.
        if name not in told or any(member.name not in ((None,), ()) for member in told[name]):
            drawn.append(_figure(name, f"{title}, {report.currency}", (heading(name), "Cost")))
    missing = "" if library is not None else element("p", _WITHOUT_CHARTS, class_="soft")
    inner = element("h2", "Charts") + missing + element("div", "\n".join(drawn), class_="charts")
    tip = element("div", "", id="tip", class_="tip", role="tooltip", hidden="")
    return element("section", inner + tip, hidden="", data_script="")


def _figure(name: str, title: str, headings: Sequence[str], *, broad: bool = False) -> str:
    """Return the place of a chart, and the table of its numbers."""
    numbers = table(headings, (), numeric=range(1, len(headings)))
    inner = element("figcaption", text(title)) + element("div", "", class_="plot")
    inner += element("details", element("summary", "As a table") + numbers, class_="screen")
    return element("figure", inner, data_chart=name, **({"class_": "broad"} if broad else {}))


def _what_if(report: CostReport, facts: ReportFacts, library: ChartLibrary | None) -> str:
    sliders = "\n".join(
        element(
            "div",
            element("label", text(words), for_=name)
            + element("output", text(shown), id=f"{name}-is", for_=name)
            + empty("input", type="range", id=name, min="0", max=str(most), value=str(value)),
        )
        for name, words, most, value, shown in _sliders(facts)
    )
    outcome = "".join(
        element("div", element("dt", text(words)) + element("dd", element("output", "", id=name) + unit))
        for name, words, unit in (
            ("before", "As logged", f" {text(report.currency)}"),
            ("after", "What if", f" {text(report.currency)}"),
            ("difference", "Difference", f" {text(report.currency)}"),
        )
    )
    said = (
        "Volume scales the calls, not the hours of PTUs and hosting. Batch takes this share of the calls to Global and "
        "Data Zone Standard deployments, where batch has a price for them. The cache holds this share of the text "
        "input that is not written to it. The discount is off every price."
    )
    if facts.breakdown.without_batch:
        some = ", ".join(plain(named(name)) for name in facts.breakdown.without_batch[:5])
        more = len(facts.breakdown.without_batch) - 5
        said += f" No batch price for calls of {some}{f' and {whole(more)} more' if more > 0 else ''}: they stay."
    if len(report.unpriced):
        said += " Quantities without a price are in none of these sums, whatever is moved."
    reset = element("button", "Back to as logged", type="button", id="as-logged")
    inner = element(
        "form", element("div", sliders, class_="sliders") + element("dl", outcome, class_="outcome") + reset
    )
    inner += element("p", text(said), class_="soft")
    pairs = _figure(
        "what-if",
        f"Cost by deployment as logged and what if, {report.currency}",
        ("Deployment", "As logged", "What if"),
    )
    body = element("h2", "What if") + inner + element("div", pairs, class_="charts")
    return element("section", body, hidden="", data_script="", class_="screen")


def _sliders(facts: ReportFacts) -> Iterable[tuple[str, str, int, int, str]]:
    cached = 0 if facts.cached_share is None else round(facts.cached_share * 100)
    yield "volume", "Volume of calls", 300, 100, "100 %"
    yield "batch", "Calls sent as batches", 100, 0, "0 %"
    yield "cached", "Input read from the cache", 100, cached, "as logged"
    yield "discount", "Contract discount", 100, 0, "0 %"


def _footer(library: ChartLibrary | None) -> str:
    if library is None:
        return ""
    said = f"Charts: Vega, Vega-Lite, Vega-Embed (BSD 3-Clause) and D3 (ISC), as {library.name} bundles them."
    licence = element(
        "details", element("summary", "Licence of the chart library") + element("pre", text(library.licence))
    )
    return element("footer", element("p", text(said)) + licence, class_="screen")
