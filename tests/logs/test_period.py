"""Since and until: which hours are read, which calls count, and what becomes of the others."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from log_rows import (
    ACCOUNT,
    attempt_row,
    body_row,
    check_counts,
    lines_of,
    metrics_answer,
    status_row,
    usage_row,
)

from aoai_cost import RequestError, UsageFormatError, UsageLog, cost_report, read_usage
from aoai_cost.logs import sum_usage
from aoai_cost.sources.period import Period, asked_period

DAY = datetime(2026, 10, 14, tzinfo=UTC)
RESOURCE = f"resourceId={ACCOUNT.upper()}"


def at(hour: float, day: datetime = DAY) -> datetime:
    return day + timedelta(hours=hour)


def call_at(when: datetime, name: str) -> dict[str, Any]:
    return usage_row(name, EnqueueTime=f"{when:%Y-%m-%dT%H:%M:%S.%f}")


def status_at(when: datetime, name: str) -> dict[str, Any]:
    return status_row(name, time=f"{when:%Y-%m-%dT%H:%M:%S.%f}Z")


def write_hours(folder: Path, hours: Mapping[datetime, Sequence[Any]], container: str = "insights-logs-x") -> Path:
    """Write rows as Azure Monitor does, into the hours that received them."""
    for hour, rows in hours.items():
        file = folder / container / f"{RESOURCE}/y={hour:%Y}/m={hour:%m}/d={hour:%d}/h={hour:%H}/m=00/PT1H.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(lines_of(rows))
    return folder


def hours_read(log: UsageLog) -> list[str]:
    return sorted(one.source_file.partition("/d=")[2][:7] for one in log.counts.files)


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A call in the middle of each hour of a day."""
    hours = [at(hour) for hour in range(24)]
    return write_hours(tmp_path, {hour: [call_at(hour + timedelta(minutes=30), f"{hour:%H}")] for hour in hours})


@pytest.mark.parametrize(
    ("since", "until", "calls", "read"),
    [
        pytest.param(at(4), at(6), ["04", "05"], range(3, 7), id="whole hours, and one more on both sides"),
        pytest.param(at(4.75), at(6.75), ["05", "06"], range(3, 8), id="parts of hours"),
        pytest.param(at(4.5), at(5.5), ["04"], range(3, 7), id="a call at the beginning is in, one at the end is not"),
        pytest.param(at(22), None, ["22", "23"], range(21, 24), id="since alone"),
        pytest.param(None, at(2), ["00", "01"], range(3), id="until alone"),
        pytest.param(date(2026, 10, 14), date(2026, 10, 15), [f"{i:02}" for i in range(24)], range(24), id="dates"),
        pytest.param(datetime(2026, 10, 14, 4), at(5), ["04"], range(3, 6), id="without a zone it is UTC"),
        pytest.param(
            at(4).astimezone(timezone(timedelta(hours=-7))), at(5), ["04"], range(3, 6), id="another zone is converted"
        ),
        pytest.param(pd.Timestamp(at(4)), pd.Timestamp(at(5)), ["04"], range(3, 6), id="timestamps of pandas"),
    ],
)
def test_only_the_hours_asked_for_are_read(day: Path, since: Any, until: Any, calls: list[str], read: range) -> None:
    log = read_usage(day, since=since, until=until)
    assert log.frame["request_id"].tolist() == calls
    assert hours_read(log) == [f"14/h={hour:02}" for hour in read]
    assert log.counts.total.ignored == len(read) - len(calls)
    check_counts(log)
    sums = sum_usage(day, since=since, until=until)
    assert sums.counts.as_dict() == log.counts.as_dict()
    assert sum(group.requests for _, group in sums.groups) == len(calls)


def test_other_hours_are_not_even_opened(day: Path) -> None:
    for file in day.rglob("PT1H.json"):
        if "h=05" not in str(file):
            file.write_bytes(b"not a log\n")
    with pytest.raises(UsageFormatError, match="cannot be read"):
        read_usage(day, since=at(5), until=at(6), strict=True)
    for hour in (4, 6):
        next(day.rglob(f"h={hour:02}/m=00/PT1H.json")).write_bytes(b"")
    assert len(read_usage(day, since=at(5), until=at(6), strict=True).frame) == 1


def test_the_rows_of_a_call_are_joined_across_the_ends(tmp_path: Path) -> None:
    moment = timedelta(seconds=1)
    first, last = at(5), at(6)
    write_hours(
        tmp_path,
        {
            at(4): [call_at(first - moment, "begins before")],
            at(5): [
                status_at(first + moment, "begins before"),
                call_at(last - moment, "is late"),
                status_at(last - moment, "was early"),
            ],
            at(6): [status_at(last - moment, "is late"), call_at(last + moment, "was early")],
        },
    )
    log = read_usage(tmp_path, since=first, until=last)
    assert sorted(log.frame["request_id"]) == ["begins before", "is late", "was early"]
    assert log.counts.total.joined == 3
    assert log.counts.total.unmetered == 0
    check_counts(log)


@pytest.mark.parametrize("seed", range(5))
def test_periods_side_by_side_count_every_call_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    hours: dict[datetime, list[Any]] = {at(hour): [] for hour in range(50)}
    for number in range(200):
        when = at(chance.uniform(0, 48))
        for row in (call_at(when, f"{number}"), status_at(when + timedelta(seconds=chance.random()), f"{number}")):
            received = when + timedelta(hours=chance.choice([0, 0, 0.5, 0.99]))
            hours[received.replace(minute=0, second=0, microsecond=0)].append(row)
    write_hours(tmp_path, hours)
    whole = read_usage(tmp_path)
    cuts = [None, *sorted([at(24), *(at(chance.uniform(0, 48)) for _ in range(3))]), None]
    parts = [read_usage(tmp_path, since=a, until=b) for a, b in pairwise(cuts)]
    for part in parts:
        check_counts(part)
    together = pd.concat([part.frame for part in parts])
    assert together["request_id"].tolist() == whole.frame["request_id"].tolist()
    assert whole.counts.total.unmetered == sum(part.counts.total.unmetered for part in parts) == 0


def test_files_outside_the_layout_are_read_as_a_whole_and_counted_alike(tmp_path: Path) -> None:
    rows = [attempt_row(f"{hour:02}", time=f"2026-10-14T{hour:02}:30:00Z") for hour in range(10)]
    (tmp_path / "usage.jsonl").write_bytes(lines_of(rows))
    log = read_usage(tmp_path, since=at(3), until=at(5))
    assert len(log.frame) == 2
    assert (log.counts.total.rows, log.counts.total.ignored) == (10, 8)
    check_counts(log)


def test_a_table_is_counted_alike() -> None:
    table = pd.DataFrame({"when": ["2026-10-14T02:00:00Z", "2026-10-14T03:00:00Z", None], "in": [1, 2, 4]})
    columns = {"timestamp": "when", "prompt_tokens": "in"}
    log = read_usage(table, columns=columns, since=at(3))
    assert log.frame["prompt_tokens"].tolist() == [2]
    assert (log.counts.total.ignored, log.counts.total.rejected) == (1, 1)
    check_counts(log)


def test_a_call_without_a_time_is_rejected_with_its_line(tmp_path: Path) -> None:
    embedding = {
        "object": "list",
        "data": [],
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    file = tmp_path / "bodies.jsonl"
    file.write_bytes(lines_of([body_row("a"), embedding]) + b"{broken\n" + lines_of([embedding]))
    assert len(read_usage(file).frame) == 3
    log = read_usage(file, since=date(2026, 1, 1))
    assert log.frame["request_id"].tolist() == ["chatcmpl-a"]
    assert log.rejected["line"].tolist() == [2, 3, 4]
    assert log.rejected["reason"].str.contains("does not tell its time").tolist() == [True, False, True]
    check_counts(log)
    file.write_bytes(lines_of([body_row("a"), embedding]))
    with pytest.raises(UsageFormatError, match="line 2: the call does not tell its time"):
        read_usage(file, since=date(2026, 1, 1), strict=True)


def test_what_is_unknown_of_other_calls_is_not_reported(tmp_path: Path) -> None:
    """A contradiction and missing tokens at 02:03, and a whole call at 05:00."""
    rows = [usage_row("a", 100), usage_row("a", 200), status_row("b"), call_at(at(5), "c")]
    (tmp_path / "log.json").write_bytes(lines_of(rows))
    everything = read_usage(tmp_path).counts.total
    assert (everything.unmetered, everything.conflicts) == (1, 1)
    later = read_usage(tmp_path, since=at(5)).counts.total
    assert (later.requests, later.unmetered, later.conflicts) == (1, 0, 0)
    assert (later.ignored, later.duplicates) == (2, 1)


def test_a_sum_goes_by_where_it_begins(tmp_path: Path) -> None:
    sums = {"01:00": 1.0, "02:00": 2.0, "03:00": 4.0}
    answer = metrics_answer(("ProcessedPromptTokens", {}, sums), ("GeneratedTokens", {}, dict.fromkeys(sums, 0.0)))
    (tmp_path / "metrics.json").write_text(json.dumps(answer))
    log = read_usage(tmp_path, since=at(1.5), until=at(2.5))
    assert log.frame["prompt_tokens"].tolist() == [2]
    check_counts(log)


def test_sums_of_an_hour_with_logged_calls_stay_duplicates_wherever_it_is_cut(tmp_path: Path) -> None:
    dimensions = {"ModelDeploymentName": "chat"}
    answer = metrics_answer(
        ("ProcessedPromptTokens", dimensions, {"02:00": 100.0}), ("GeneratedTokens", dimensions, {"02:00": 10.0})
    )
    (tmp_path / "metrics.json").write_text(json.dumps(answer))
    (tmp_path / "calls.json").write_bytes(lines_of([call_at(at(2.75), "a")]))
    parts = [read_usage(tmp_path, until=at(2.5)), read_usage(tmp_path, since=at(2.5))]
    assert [len(part.frame) for part in parts] == [0, 1]
    for part in parts:
        check_counts(part)


@pytest.mark.parametrize(
    ("since", "until", "reason"),
    [
        pytest.param(at(5), at(5), "since must be before until", id="nothing between"),
        pytest.param(date(2026, 10, 15), at(5), "since must be before until", id="the wrong way round"),
        pytest.param("2026-10-14", None, "since must be a date or a datetime", id="a text"),
        pytest.param(None, 20261014, "until must be a date or a datetime", id="a number"),
        pytest.param(pd.NaT, None, "since must be a date or a datetime", id="not a time"),
    ],
)
def test_a_period_that_cannot_be_is_refused(day: Path, since: Any, until: Any, reason: str) -> None:
    with pytest.raises(UsageFormatError, match=reason):
        read_usage(day, since=since, until=until)


def test_hours_that_nobody_wrote_are_an_error(day: Path) -> None:
    with pytest.raises(UsageFormatError, match="no file of the hours that since and until ask for"):
        read_usage(day, since=date(2026, 11, 1))


def test_of_many_paths_those_of_other_hours_are_left_out(day: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = sorted(day.rglob("PT1H.json"))
    later = write_hours(tmp_path_factory.mktemp("later"), {at(40): [call_at(at(40), "later")]})
    log = read_usage(*files, later, since=at(4), until=at(6))
    assert (hours_read(log), len(log.frame)) == ([f"14/h={i:02}" for i in range(3, 7)], 2)
    with pytest.raises(UsageFormatError, match="no file of the hours"):
        read_usage(*files[:3], since=at(6))


def test_a_log_that_was_read_has_its_period(day: Path) -> None:
    log = read_usage(day)
    for name, value in (("since", at(5)), ("until", at(5)), ("storage_options", {})):
        with pytest.raises(RequestError, match=name):
            cost_report(log, **{name: value})
    assert cost_report(str(day), since=at(5), until=at(7)).requests == 2


HOUR = f"logs/{RESOURCE}/y=2026/m=10/d=14/h=05"


@pytest.mark.parametrize(
    ("path", "may", "whole"),
    [
        pytest.param(HOUR, True, True, id="the hour"),
        pytest.param(f"{HOUR}/m=00/PT1H.json", True, True, id="its blob"),
        pytest.param(HOUR.replace("h=05", "h=04"), True, True, id="the hour before"),
        pytest.param(HOUR.replace("h=05", "h=03"), False, False, id="two hours before"),
        pytest.param(HOUR.replace("h=05", "h=07"), False, False, id="two hours after"),
        pytest.param(HOUR[:-5], True, False, id="its day"),
        pytest.param(HOUR.replace("/d=14/h=05", "/d=13"), False, False, id="another day"),
        pytest.param(HOUR[:-10], True, False, id="its month"),
        pytest.param(HOUR.replace("m=10/d=14/h=05", "m=12"), False, False, id="December"),
        pytest.param(HOUR.replace("/m=10/d=14/h=05", ""), True, False, id="its year"),
        pytest.param(HOUR.replace("2026", "2025"), False, False, id="another year"),
        pytest.param(f"logs/{RESOURCE}", True, False, id="above the years"),
        pytest.param(HOUR.replace("resourceId=", "x"), True, False, id="years of something else"),
        pytest.param(HOUR.replace("resourceId", "resourceid").replace("h=05", "h=03"), False, False, id="lower case"),
        pytest.param(HOUR.replace("m=10", "m=13"), True, False, id="no month"),
        pytest.param(HOUR.replace("h=05", "h=24"), True, False, id="no hour"),
        pytest.param(HOUR.replace("y=2026", "y=0000"), True, False, id="no year"),
    ],
)
def test_a_folder_tells_whether_it_can_hold_the_time(path: str, may: bool, whole: bool) -> None:
    period = asked_period(at(5), at(6))
    names = path.split("/")
    assert (period.may_be_in(names), period.is_all_of(names)) == (may, whole)
    assert Period().may_be_in(names)
    assert Period().is_all_of(names)


def test_long_periods_hold_days_months_and_years_whole() -> None:
    period = asked_period(date(2026, 2, 1), date(2028, 1, 1))
    start = f"{RESOURCE}/y="
    whole = ["2026/m=02", "2026/m=12", "2027", "2026/m=02/d=28", "2026/m=01/d=31/h=23"]
    parts = ["2026", "2026/m=01", "2026/m=01/d=31", "2028", "2028/m=01/d=01"]
    assert all(period.is_all_of(f"{start}{one}".split("/")) for one in whole)
    assert all(
        period.may_be_in(f"{start}{one}".split("/")) and not period.is_all_of(f"{start}{one}".split("/"))
        for one in parts
    )
