"""Calls that a provisioned deployment had no room for: who served them, as far as a log tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from answer_rows import logged_row
from log_rows import attempt_row, check_counts, gateway_row, read_rows, usage_row

from aoai_cost import read_usage
from aoai_cost.logs import sum_usage
from aoai_cost.logs.schema import Facets

SPILLED = {"x-ms-spillover-from-deployment": "chat", "x-ms-deployment-name": "chat-standard"}


def gateway(call: str = "a", headers: Any = None, name: str = "backendResponseHeaders") -> dict[str, Any]:
    """A row of the gateway's log, to the deployment ``chat``, with headers of its answer."""
    row = logged_row(call)
    return {**row, "properties": {**row["properties"], name: headers}}


def told(log: Any) -> list[tuple[str | None, bool | None]]:
    frame = log.frame[["deployment", "spillover"]]
    return [(None if pd.isna(a) else a, None if pd.isna(b) else bool(b)) for a, b in frame.itertuples(index=False)]


@pytest.mark.parametrize(
    ("headers", "deployment", "spillover"),
    [
        pytest.param(SPILLED, "chat-standard", True, id="spilled"),
        pytest.param(json.dumps(SPILLED), "chat-standard", True, id="as a text"),
        pytest.param({name.title(): [value] for name, value in SPILLED.items()}, "chat-standard", True, id="as lists"),
        pytest.param({"x-ms-spillover-from-deployment": "chat"}, None, True, id="nobody says who served"),
        pytest.param({"x-ms-deployment-name": "Chat"}, "chat", False, id="not spilled"),
        pytest.param({"x-ms-deployment-name": "other"}, "chat", None, id="another name alone says nothing"),
        pytest.param({"content-type": "application/json"}, "chat", None, id="other headers"),
        pytest.param({"x-ms-spillover-from-deployment": {}}, "chat", None, id="no text"),
        pytest.param({"x-ms-spillover-from-deployment": "c" * 5_000}, "chat", None, id="no name"),
        pytest.param(["x-ms-spillover-from-deployment"], "chat", None, id="no headers"),
        pytest.param("{", "chat", None, id="no JSON"),
        pytest.param(None, "chat", None, id="nothing"),
    ],
)
def test_headers_tell_who_served(tmp_path: Path, headers: Any, deployment: str | None, spillover: bool | None) -> None:
    for name in ("backendResponseHeaders", "responseHeaders"):
        log = read_rows(tmp_path, [gateway(headers=headers, name=name)])
        check_counts(log)
        assert told(log) == [(deployment, spillover)]
        assert log.frame["spillover"].dtype == "boolean"
        assert log.counts.total.rejected == 0
        [(key, group)] = log.sums.groups
        assert (key.deployment, group.spilled, group.requests) == (deployment, int(spillover is True), 1)
        assert sum_usage(tmp_path).groups == log.sums.groups


@pytest.mark.parametrize("served", ["chat-standard", None])
def test_a_row_that_names_what_was_asked_gives_way(tmp_path: Path, served: str | None) -> None:
    """The table of tokens knows the deployment that the client named, the gateway's headers the one that served."""
    headers = SPILLED if served is not None else {"x-ms-spillover-from-deployment": "chat"}
    rows = [gateway_row("a", i) for i in range(3)] + [gateway("a", headers)]
    for order in (rows, rows[::-1], rows[1:] + rows[:1]):
        log = read_rows(tmp_path, order)
        check_counts(log)
        assert told(log) == [(served, True)]
        assert log.frame["prompt_tokens"].tolist() == [100]
        assert [group.spilled for _, group in log.sums.groups] == [1]


def test_a_query_that_joined_both_tables_tells_too(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [gateway_row("a", BackendResponseHeaders=json.dumps(SPILLED)), gateway_row("b")])
    assert sorted(told(log), key=str) == [("chat", None), ("chat-standard", True)]


def test_a_watched_client_tells(tmp_path: Path) -> None:
    rows = [
        attempt_row("a", served_by="chat-standard", spillover=True),
        attempt_row("b", served_by="chat", spillover=False),
        attempt_row("c"),
        attempt_row("d", spillover=True),
    ]
    log = read_rows(tmp_path, rows)
    assert sorted(told(log), key=str) == [("chat", False), ("chat", None), ("chat-standard", True), (None, True)]
    assert sum(group.spilled for _, group in log.sums.groups) == 2
    assert sum(group.plus(group).spilled for _, group in log.sums.groups) == 4


def test_other_logs_do_not_tell(tmp_path: Path) -> None:
    log = read_rows(tmp_path, [usage_row()])
    assert told(log) == [("chat", None)]
    assert [group.spilled for _, group in log.sums.groups] == [0]


def test_a_table_of_ones_own_may(tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["a", "b", "c"], "spilled": [True, False, None], "tokens": [1, 2, 3]})
    columns = {"deployment": "name", "spillover": "spilled", "prompt_tokens": "tokens"}
    log = read_usage(frame, columns=columns)
    assert sorted(told(log)) == [("a", True), ("b", False), ("c", None)]
    assert [group.spilled for _, group in log.sums.groups] == [1, 0, 0]


def test_what_is_filled_in_does_not_hang_on_the_order() -> None:
    asked, served = Facets(deployment="ptu", model="m"), Facets(deployment="standard", spillover=True)
    nobody = Facets(spillover=True, user="u")
    assert asked.filled(served) == Facets(deployment="standard", model="m", spillover=True)
    assert served.filled(asked) == asked.filled(served)
    assert asked.filled(nobody) == nobody.filled(asked) == Facets(model="m", user="u", spillover=True)
    assert asked.filled(nobody).filled(asked).deployment is None
    assert asked.filled(Facets(deployment="x", spillover=False)).deployment == "ptu"
    assert nobody.filled(served).deployment == "standard"
