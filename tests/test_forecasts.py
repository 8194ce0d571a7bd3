"""A forecast is exact where nothing is random, and its interval holds as often as it says where something is."""

from __future__ import annotations

import json
import math
import re
import shlex
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from aoai_cost import (
    BuyPtu,
    CostReport,
    Forecast,
    RequestError,
    cost_report,
    forecast,
    read_deployments,
    read_usage,
    what_if,
)
from aoai_cost.catalog import Deployments
from aoai_cost.cli import main
from aoai_cost.forecasts import _ways

CHAT = """
[[deployment]]
resource = "contoso"
name = "chat"
model = "gpt-4o"
version = "2024-11-20"
sku = "GlobalStandard"
region = "swedencentral"
"""
PTU = """
[[deployment]]
resource = "contoso"
name = "reserved"
model = "gpt-4o"
version = "2024-11-20"
sku = "GlobalProvisionedManaged"
region = "swedencentral"
ptu_units = 15
"""
# 15 units at 1 USD an hour.
PTU_DAY = Decimal(15 * 24)
COLUMNS = {
    "timestamp": "day",
    "prompt_tokens": "tokens",
    "completion_tokens": "out",
    "deployment": "name",
    "resource": "account",
}
# So many input tokens of gpt-4o cost a dollar.
DOLLAR = 400_000
WEEK = (100, 110, 110, 105, 90, 35, 30)
ASKED = {"on": date(2026, 10, 15), "until": date(2026, 11, 1)}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Read deployments from the text of a file."""
    folder = tmp_path_factory.mktemp("deployments")

    def read(text: str) -> Deployments:
        path = folder / "d.toml"
        path.write_text(text, "utf-8")
        return read_deployments(path)

    return read


def table(tokens: Sequence[int | None], first: date, name: str = "chat") -> pd.DataFrame:
    """One row per day; None is a day without calls."""
    days = [(first + timedelta(days=i), count) for i, count in enumerate(tokens) if count is not None]
    rows = [{"day": day, "tokens": count, "out": 0, "name": name, "account": "contoso"} for day, count in days]
    return pd.DataFrame(rows, columns=list(COLUMNS.values()))


@pytest.fixture(scope="module")
def report(known: Any) -> Any:
    """Make a report of a deployment that uses so many tokens day by day."""

    def make(
        tokens: Sequence[int | None], first: date = date(2026, 8, 3), deployments: str = CHAT, **more: Any
    ) -> CostReport:
        return cost_report(table(tokens, first), deployments=known(deployments), columns=COLUMNS, **more)

    return make


def noisy(draw: int, days: int, growth: float = 0.0, walk: float = 0.0) -> list[int]:
    """Weeks and weekends with noise of 20 %, growth by day, and a level that walks at random."""
    random = np.random.default_rng([20261014, draw])
    levels = np.exp(growth * np.arange(days) + np.cumsum(random.normal(0, walk, days)) if walk else 0.0)
    costs = np.resize(WEEK, days) * levels * np.exp(growth * np.arange(days) + random.normal(0, 0.2, days))
    return [int(cost * DOLLAR) for cost in costs]


def same(one: Forecast, other: Forecast) -> bool:
    names = [name for name in Forecast.__slots__ if name != "days"]
    return one.days.equals(other.days) and all(getattr(one, name) == getattr(other, name) for name in names)


def test_constant_costs_are_forecast_exactly_and_without_doubt(report: Any) -> None:
    found = forecast(report([3 * DOLLAR + 1] * 73))
    day = 3 + Decimal("0.0000025")
    assert (found.on, found.period) == (date(2026, 10, 14), (date(2026, 10, 1), date(2026, 11, 1)))
    assert found.spent == 14 * day
    assert found.expected == found.low == found.high == Decimal("93.00")
    assert found.coverage == (17, 17)
    assert found.certainty == "estimated"


def test_a_pattern_of_weekdays_is_found(report: Any) -> None:
    tokens = [WEEK[i % 7] * DOLLAR for i in range(90)]
    found = forecast(report(tokens[:73]))
    assert found.spent == sum(tokens[59:73]) // DOLLAR
    assert found.expected == found.low == found.high == sum(tokens[59:90]) // DOLLAR
    assert found.method.startswith("the means of the weekdays over the last 28 days;")


def test_a_steady_growth_is_followed(report: Any) -> None:
    tokens = [(100 + 2 * i) * WEEK[i % 7] * DOLLAR // 100 for i in range(90)]
    found = forecast(report(tokens[:73]))
    assert "trend" in found.method
    assert abs(found.expected / (sum(tokens[59:]) // DOLLAR) - 1) < Decimal("0.05")


@pytest.mark.parametrize("factor", [10, 1000])
def test_costs_of_a_multiple_are_forecast_as_the_multiple(report: Any, factor: int) -> None:
    tokens = noisy(1, 73)
    one, many = forecast(report(tokens)), forecast(report([factor * count for count in tokens]))
    assert (many.spent, many.coverage, many.method) == (factor * one.spent, one.coverage, one.method)
    for name in ("expected", "low", "high"):
        assert abs(getattr(many, name) - factor * getattr(one, name)) <= factor * Decimal("0.005")


def test_the_order_of_the_rows_means_nothing(known: Any) -> None:
    frame = table(noisy(2, 73), date(2026, 8, 3))
    shuffled = frame.sample(frac=1, random_state=7)
    one, other = (forecast(cost_report(rows, deployments=known(CHAT), columns=COLUMNS)) for rows in (frame, shuffled))
    assert same(one, other)


@pytest.mark.parametrize("every", ["month", "day"])
def test_any_report_of_the_log_will_do(report: Any, every: str) -> None:
    tokens = noisy(2, 73)
    assert same(forecast(report(tokens, every=every, by=["model"])), forecast(report(tokens)))


def test_hours_of_provisioned_throughput_are_known_ahead(report: Any) -> None:
    tokens = noisy(3, 73)
    plain, found = (forecast(report(tokens, deployments=text)) for text in (CHAT, CHAT + PTU))
    assert found.spent == plain.spent + 14 * PTU_DAY
    for name in ("expected", "low", "high"):
        assert getattr(found, name) == getattr(plain, name) + 31 * PTU_DAY
    assert (found.coverage, found.method) == (plain.coverage, plain.method)
    assert any("known ahead" in note for note in found.notes)
    assert not any("known ahead" in note for note in plain.notes)


@pytest.mark.parametrize(
    ("lives", "days"),
    [
        pytest.param("active_from = 2026-10-12", 20, id="begun in the month"),
        pytest.param("active_from = 2026-10-20", 12, id="still to begin"),
        pytest.param("active_to = 2026-10-20", 19, id="to end in the month"),
        pytest.param("active_to = 2026-10-14", 13, id="ended"),
    ],
)
def test_hours_count_on_the_days_on_which_a_deployment_lives(report: Any, lives: str, days: int) -> None:
    found = forecast(report([DOLLAR] * 73, deployments=f"{CHAT}{PTU}{lives}\n"))
    assert found.expected == found.low == found.high == 31 + days * PTU_DAY


def test_hours_alone_are_certain(report: Any) -> None:
    found = forecast(report([0] * 73, deployments=CHAT + PTU))
    assert found.expected == found.low == found.high == 31 * PTU_DAY
    assert found.coverage == (17, 17)


def test_units_that_are_imagined_are_known_ahead_too(known: Any) -> None:
    log = read_usage(table([1000] * 73, date(2026, 8, 3)), columns=COLUMNS)
    found = what_if(log, BuyPtu(units=15), deployments=known(CHAT))
    before, after = (forecast(one) for one in (found.before, found.after))
    assert before.expected == round(31 * Decimal("0.0025"), 2)
    assert after.expected == after.low == after.high == 31 * PTU_DAY


def test_hours_without_a_price_make_a_lower_bound(report: Any) -> None:
    later = PTU.replace('"gpt-4o"', '"contoso-chat"').replace("ptu_units = 15", "ptu_units = 15\nfine_tuned = 'ft'")
    found = forecast(report([DOLLAR] * 73, deployments=f"{CHAT}{later}active_from = 2026-10-20\n"))
    assert report([DOLLAR] * 73, deployments=f"{CHAT}{later}active_from = 2026-10-20\n").certainty != "lower_bound"
    assert found.certainty == "lower_bound"
    assert any("no price on the days to come" in note for note in found.notes)


def test_what_has_no_price_makes_a_lower_bound(known: Any) -> None:
    frame = pd.concat([table([DOLLAR] * 73, date(2026, 8, 3)), table([5], date(2026, 9, 9), "unknown")])
    found = forecast(cost_report(frame, deployments=known(CHAT), columns=COLUMNS))
    assert found.certainty == "lower_bound"
    assert any("lower bound" in note for note in found.notes)


def test_a_day_without_calls_is_a_day_without_costs(report: Any) -> None:
    sparse: list[int | None] = [None if i % 7 > 4 else DOLLAR for i in range(73)]
    # 14 October is a Wednesday, and of the 31 days of October 22 are working days.
    found = forecast(report(sparse))
    assert found.expected == found.low == found.high == 22
    assert len(found.days) == 31


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(DOLLAR // 5, Decimal(31), id="of which a fifth is over"),
        pytest.param(3 * DOLLAR, Decimal(33), id="that has more than a whole one"),
    ],
)
def test_the_last_day_is_not_learnt_from(report: Any, last: int, expected: Decimal) -> None:
    found = forecast(report([DOLLAR] * 72 + [last]))
    assert found.spent == 13 + Decimal(last) / DOLLAR
    assert found.expected == found.low == found.high == expected


def test_the_day_after_the_last_one_says_that_it_is_whole(report: Any) -> None:
    found = forecast(report([DOLLAR] * 72 + [0]), on=date(2026, 10, 15))
    assert found.spent == 13
    assert found.expected < 31
    assert found.days["kind"].tolist().count("actual") == 14
    ended = forecast(report([DOLLAR] * 90, deployments=CHAT + PTU), on=date(2026, 11, 1))
    assert (ended.spent, ended.expected) == (0, 30 + 30 * PTU_DAY)
    assert ended.period == (date(2026, 11, 1), date(2026, 12, 1))


def test_a_forecast_is_what_it_would_have_been_then(report: Any) -> None:
    tokens = noisy(4, 90)
    then = forecast(report(tokens, deployments=CHAT + PTU), on=date(2026, 10, 14))
    assert same(then, forecast(report(tokens[:73], deployments=CHAT + PTU)))


def test_what_the_last_day_has_is_in_no_doubt(report: Any) -> None:
    tokens = [DOLLAR * (1 + 9 * (i % 3 == i % 5)) for i in range(89)] + [50 * DOLLAR]
    found = forecast(report(tokens, first=date(2026, 8, 2), deployments=CHAT + PTU))
    assert found.on == date(2026, 10, 30)
    assert found.low == found.spent + PTU_DAY < found.expected
    today = found.days.iloc[29]
    assert today["low"] == today["cost"] == 50 + PTU_DAY < today["high"]


def test_the_days_add_up_to_what_is_spent_and_expected(report: Any) -> None:
    found = forecast(report(noisy(5, 73), deployments=CHAT + PTU))
    days = found.days
    assert list(days.columns) == ["day", "cost", "kind", "low", "high"]
    assert days["day"].tolist() == [date(2026, 10, day) for day in range(1, 32)]
    assert days["kind"].tolist() == ["actual"] * 13 + ["forecast"] * 18
    assert abs(sum(days["cost"]) - found.expected) < Decimal("0.0051")
    assert (days["low"] <= days["cost"]).all()
    assert (days["cost"] <= days["high"]).all()
    assert (days["low"][13:] < days["high"][13:]).all()
    assert (days["low"][:13] == days["high"][:13]).all()


@pytest.mark.parametrize(
    ("growth", "walk"),
    [
        pytest.param(0.0, 0.0, id="steady"),
        pytest.param(0.005, 0.0, id="growing"),
        pytest.param(0.0, 0.03, id="walking"),
    ],
)
def test_intervals_hold_about_as_often_as_they_say(report: Any, growth: float, walk: float) -> None:
    draws, held, said = 60, 0, np.zeros(2)
    for draw in range(draws):
        whole = report(noisy(draw, 90, growth, walk))
        found = forecast(whole, **ASKED)
        truth = sum(whole.days["amount"][whole.days["day"] >= date(2026, 10, 1)])
        held += found.low <= truth <= found.high
        said += found.coverage
    # 60 draws of 0.8 are within 0.65 and 0.95 in 99 of 100 cases; the intervals rather hold too often.
    assert 0.68 <= held / draws <= 0.97
    assert abs(said[0] / said[1] - held / draws) < 0.15


def test_a_change_of_regime_shows_in_the_coverage(report: Any) -> None:
    steady = noisy(6, 73)
    changed = [count * (4 if i >= 50 else 1) for i, count in enumerate(steady)]
    before, after = forecast(report(steady)), forecast(report(changed))
    assert before.coverage[1] == after.coverage[1] == 17
    assert before.coverage[0] >= 15
    # All windows that are checked end after the change, and begin before it or just after.
    assert after.coverage[0] <= 8
    assert any("less often than they should" in note for note in after.notes)
    assert not any("less often" in note for note in before.notes)


def coverage_twin(costs: list[float], ahead: int, level: float) -> tuple[int, int]:
    """The slow and obvious way: each interval from windows that were over, without a look at a later day."""

    def errors(history: list[float], begin: int) -> list[float]:
        """By how much each way would have missed the window that begins on a day."""
        size = ahead * sum(history[max(0, begin - 28) : begin]) / min(28, begin)
        truth = sum(history[begin : begin + ahead])
        missed = [truth - sum(way) for way in _ways(np.array(history[:begin]), ahead).tolist()]
        return [0.0 if miss == 0 else miss / size if size else float("inf") for miss in missed]

    held = tried = 0
    for begin in range(14, len(costs) - ahead + 1):
        history = costs[:begin]
        past = [errors(history, earlier) for earlier in range(14, begin - ahead + 1)]
        if len(past) < 7:
            continue
        finite = [one for one in past if max(map(abs, one)) < float("inf")]
        means = [round(sum(abs(one[way]) for one in finite), 6) for way in range(5)]
        way = means.index(min(means))
        off = sorted(abs(one[way]) for one in past)
        reach = off[math.ceil(level * (len(off) - 1))] * (1 + ahead / len(off))
        missed = abs(errors(costs, begin)[way])
        held += missed != float("inf") and missed <= reach + 1e-9
        tried += 1
    return held, tried


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    "used",
    [
        pytest.param({*range(110)}, id="every day"),
        pytest.param({*range(70, 110)}, id="from a day on"),
        pytest.param({*range(30, 34), *range(85, 89)}, id="now and then"),
    ],
)
def test_coverage_is_that_of_intervals_made_from_the_days_before(report: Any, level: float, used: set[int]) -> None:
    for draw in range(20, 23):
        tokens = [count if i in used else 0 for i, count in enumerate(noisy(draw, 110, walk=0.05))]
        found = forecast(report(tokens, first=date(2026, 6, 27)), level=level)
        assert found.coverage == coverage_twin([count / DOLLAR for count in tokens[:-1]], 18, level)


def test_a_surer_interval_is_wider(report: Any) -> None:
    tokens = noisy(8, 73)
    found = [forecast(report(tokens), level=level) for level in (0.5, 0.8, 0.95)]
    widths = [one.high - one.low for one in found if one.high is not None and one.low is not None]
    assert sorted(widths) == widths
    assert widths[0] < widths[2]
    assert len({one.expected for one in found}) == 1


def test_more_days_ahead_than_can_be_tried_widen_the_interval(report: Any) -> None:
    tokens = noisy(9, 45)
    near, far = (forecast(report(tokens), until=until) for until in (date(2026, 9, 24), date(2026, 10, 15)))
    assert any("too short to try 29 days ahead" in note for note in far.notes)
    assert not any("too short" in note for note in near.notes)
    # As much more per day as the root of how much longer it is.
    assert float((far.high - far.low) / (near.high - near.low)) == pytest.approx((29 / 8) ** 1.5, rel=1e-3)


@pytest.mark.parametrize("days", [1, 2, 8, 26])
def test_a_short_history_gives_a_run_rate_and_no_interval(report: Any, days: int) -> None:
    found = forecast(report([2 * DOLLAR] * days, first=date(2026, 10, 1)))
    assert found.spent == 2 * days
    assert found.expected == 62
    assert (found.low, found.high, found.coverage) == (None, None, (0, 0))
    assert "not tried" in found.method
    assert any("too short" in note for note in found.notes)
    assert set(found.days["low"][days:]) == {None}


def test_a_run_rate_is_of_whole_weeks(report: Any) -> None:
    found = forecast(report([*(WEEK[i % 7] * DOLLAR for i in range(9)), 0], first=date(2026, 10, 1)))
    assert found.method.startswith("the mean of the last 7 days,")
    assert found.expected == sum(WEEK[i % 7] for i in range(9)) + round(22 * Decimal(sum(WEEK)) / 7, 2)


def test_four_weeks_give_an_interval_that_cannot_be_checked(report: Any) -> None:
    found = forecast(report(noisy(10, 30), first=date(2026, 9, 10)))
    assert found.low < found.expected < found.high
    assert found.coverage == (0, 0)
    assert any("how often such intervals held" in note for note in found.notes)


def test_costs_of_nothing_are_forecast_as_nothing(report: Any) -> None:
    found = forecast(report([0] * 73))
    assert (found.spent, found.expected, found.low, found.high) == (0, 0, 0, 0)


def test_costs_that_come_from_nothing_have_no_interval(report: Any) -> None:
    found = forecast(report([0] * 20 + [DOLLAR] * 10))
    assert (found.low, found.high) == (None, None)
    assert any("came from nothing" in note for note in found.notes)
    stopped = forecast(report([DOLLAR] * 40 + [0] * 33))
    assert (stopped.expected, stopped.high) == (0, None)


def test_less_than_a_cent_is_not_rounded_below_what_is_spent(report: Any) -> None:
    found = forecast(report([10] * 73))
    assert found.spent == 14 * Decimal("0.000025")
    assert found.spent <= found.low <= found.expected <= found.high


@pytest.mark.parametrize(
    ("on", "end"),
    [
        (date(2026, 2, 10), date(2026, 3, 1)),
        (date(2028, 2, 10), date(2028, 3, 1)),
        (date(2026, 12, 31), date(2027, 1, 1)),
        (date(2026, 4, 30), date(2026, 5, 1)),
        (date(2026, 1, 1), date(2026, 2, 1)),
    ],
    ids=str,
)
def test_a_month_ends_where_it_does(report: Any, on: date, end: date) -> None:
    found = forecast(report([DOLLAR] * 60, first=on - timedelta(days=59)))
    assert found.period == (on.replace(day=1), end)
    assert found.expected == found.low == found.high == monthrange(on.year, on.month)[1] == len(found.days)


def test_a_log_that_begins_within_the_month_says_so(report: Any) -> None:
    found = forecast(report([DOLLAR] * 5, first=date(2026, 10, 10)))
    assert found.expected == 22
    assert any("begins on 2026-10-10" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"level": 0}, "between 0 and 1", id="level 0"),
        pytest.param({"level": 1}, "between 0 and 1", id="level 1"),
        pytest.param({"level": "0.8"}, "between 0 and 1", id="level as text"),
        pytest.param({"on": date(2026, 8, 2)}, "from 2026-08-03 to 2026-10-15", id="before the log"),
        pytest.param({"on": date(2026, 10, 16)}, "from 2026-08-03 to 2026-10-15", id="after the log"),
        pytest.param({"on": datetime(2026, 10, 14, 12)}, "must be a date", id="a time"),
        pytest.param({"until": "2026-11-01"}, "must be a date", id="a day as text"),
        pytest.param({"until": date(2026, 10, 14)}, "must be after 2026-10-14, by at most 366 days", id="no day ahead"),
        pytest.param({"until": date(2027, 10, 16)}, "at most 366 days", id="too many days ahead"),
    ],
)
def test_what_cannot_be_asked_is_refused(report: Any, options: Any, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        forecast(report([DOLLAR] * 73), **options)


def test_a_log_is_no_report() -> None:
    with pytest.raises(RequestError, match="report: must be what cost_report returns; found str"):
        forecast("examples/logs")  # type: ignore[arg-type]


def test_nothing_can_be_forecast_from_no_calls(known: Any) -> None:
    frame = table([], date(2026, 8, 3))
    with pytest.raises(RequestError, match="no call with a date"):
        forecast(cost_report(frame, deployments=known(CHAT), columns=COLUMNS))


def test_a_budget_is_exceeded_surely_probably_or_possibly(report: Any) -> None:
    found = forecast(report(noisy(11, 73)))
    cent = Decimal("0.01")
    assert [found.exceeds(one) for one in (found.spent - cent, found.spent)] == ["spent", "expected"]
    assert [found.exceeds(one) for one in (found.expected - cent, found.expected)] == ["expected", "possible"]
    assert found.high is not None
    assert [found.exceeds(one) for one in (found.high - cent, found.high)] == ["possible", ""]
    assert found.exceeds("1e6") == ""
    assert forecast(report([DOLLAR] * 5)).exceeds(31) == ""
    for wrong in (0.5, -1, "much", True, Decimal("NaN"), None):
        with pytest.raises(RequestError, match="budget"):
            found.exceeds(wrong)


def test_a_notebook_shows_it(report: Any) -> None:
    found = forecast(report(noisy(12, 73)))
    page = found._repr_html_()
    assert found.low is not None
    assert found.high is not None
    assert f"{found.expected:,.2f} USD expected, {found.spent:,.2f} USD spent" in page
    assert f"{found.low:,.2f} to {found.high:,.2f} USD" in page
    assert "{} of {} such intervals held".format(*found.coverage) in page
    assert ">interval<" not in forecast(report([DOLLAR] * 5))._repr_html_()


def run(folder: Path, tokens: Sequence[int], *words: str, command: str = "forecast", name: str = "chat") -> Result:
    table(tokens, date(2026, 8, 3), name).to_csv(folder / "log.csv", index=False)
    (folder / "d.toml").write_text(CHAT, "utf-8")
    columns = ",".join(f"{target}={column}" for target, column in COLUMNS.items())
    files = [str(folder / "log.csv"), "--deployments", str(folder / "d.toml"), "--columns", columns]
    result = CliRunner().invoke(main, [command, *files, *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param([], 0, "", id="no budget"),
        pytest.param(["--budget", "31"], 0, "", id="a budget that is just enough"),
        pytest.param(["--budget", "30.99"], 4, "will be exceeded: 31.00 are expected by 2026-10-31", id="expected"),
        pytest.param(["--budget", "30.99", "--alarm", "spent"], 0, "", id="expected, but only spending alarms"),
        pytest.param(["--budget", "13", "--alarm", "spent"], 4, "14.00 are spent by 2026-10-14", id="spent"),
        pytest.param(["--budget", "13", "--alarm", "possible"], 4, "is exceeded: 14.00 are spent", id="the surest"),
        pytest.param(["--budget", "25", "--until", "2026-10-25"], 0, "", id="until a day"),
        pytest.param(["--budget", "23", "--until", "2026-10-25"], 4, "expected by 2026-10-24", id="over until a day"),
        pytest.param(["--budget", "31 usd"], 0, "", id="a budget with its currency"),
        pytest.param(["--budget", "31 EUR"], 2, "--budget is in EUR, and the prices are in USD", id="another currency"),
        pytest.param(["--budget", "31 coins"], 2, "not a code of three letters", id="no currency"),
        pytest.param(["--budget", "NaN"], 2, "not an amount", id="no amount"),
        pytest.param(["--level", "1"], 2, "not in the range", id="no level"),
        pytest.param(["--until", "2026-10-14"], 1, "must be after 2026-10-14", id="no day ahead"),
        pytest.param(["--on", "2026-09-30", "--budget", "29"], 4, "by 2026-09-30", id="as it was then"),
        pytest.param(["--since", "2027-01-01"], 1, "no call with a date", id="no history"),
    ],
)
def test_the_exit_code_says_whether_the_budget_is_kept(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    result = run(tmp_path, [DOLLAR] * 73, *words)
    assert (result.exit_code, said in result.stderr) == (code, True)
    assert bool(result.stderr) == bool(said)


def test_the_upper_end_alarms_where_it_is_asked_to(tmp_path: Path) -> None:
    tokens = noisy(13, 73)
    told = json.loads(run(tmp_path, tokens, "--json").stdout)
    words = ["--budget", told["expected"]]
    assert (
        run(tmp_path, tokens, *words).exit_code,
        run(tmp_path, tokens, *words, "--alarm", "possible").exit_code,
    ) == (
        0,
        4,
    )
    unsure = run(tmp_path, tokens[:9], "--budget", "1000000", "--alarm", "possible")
    assert (unsure.exit_code, "without an interval" in unsure.stderr) == (0, True)


def test_a_lower_bound_exits_with_3_unless_it_is_over_the_budget(tmp_path: Path) -> None:
    result = run(tmp_path, [DOLLAR] * 73, "--budget", "1", name="unknown")
    assert (result.exit_code, "at least" in result.stdout) == (3, True)
    log = table([DOLLAR] * 73, date(2026, 8, 3))
    log = pd.concat([log, log.assign(name="unknown")])
    log.to_csv(tmp_path / "both.csv", index=False)
    both = run(tmp_path, [DOLLAR], str(tmp_path / "both.csv"), "--budget", "30")
    assert both.exit_code == 4


def test_the_table_and_json_say_the_same(tmp_path: Path, report: Any) -> None:
    tokens = noisy(14, 73)
    found = forecast(report(tokens))
    told = json.loads(run(tmp_path, tokens, "--budget", "1e6", "--json").stdout)
    assert {name: told[name] for name in ("spent", "expected", "low", "high")} == {
        name: f"{getattr(found, name):f}" for name in ("spent", "expected", "low", "high")
    }
    assert (told["coverage"], told["exceeds"]) == (dict(zip(("held", "tried"), found.coverage, strict=True)), "")
    assert len(told["days"]) == 31
    shown = run(tmp_path, tokens, "--budget", "1e6").stdout
    held, tried = found.coverage
    for words in (f"{found.expected:,}", f"{found.low:,} to {found.high:,}", f"held {held} of {tried} times", "kept"):
        assert words in shown


def test_the_page_shows_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parent.parent
    monkeypatch.chdir(root)
    page = (root / "docs" / "forecast.md").read_text("utf-8")
    words = shlex.split(re.findall(r"`aoai-cost (forecast [^`]+)`", page)[0])
    printed = CliRunner().invoke(main, words).stdout.splitlines()
    assert [line.rstrip() for line in printed] == page.split("```console\n")[1].split("\n```")[0].splitlines()


@pytest.mark.parametrize(
    ("budget", "code", "said"),
    [
        ("73", 0, ""),
        ("72.99", 4, "the total of 73.0 USD is over the budget of 72.99"),
        ("73 EUR", 2, "--budget is in EUR"),
    ],
)
def test_a_report_over_its_budget_exits_with_4(tmp_path: Path, budget: str, code: int, said: str) -> None:
    result = run(tmp_path, [DOLLAR] * 73, "--budget", budget, command="report")
    assert result.exit_code == code
    assert said in result.stderr
