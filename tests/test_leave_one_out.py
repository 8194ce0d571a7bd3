"""The token rules without the repository they were seen in, as docs/leave-one-out.md says it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "leave-one-out.md").read_text("utf-8")
# | all | 952 | 461 | 817 | 85.8 % | 919 | 96.5 % |
ROW = re.compile(
    r"^\| (?P<name>\S+) \| (?P<requests>\d+) \| \d+ \| (?P<left_out>\d+) \| \S+ % \| (?P<used>\d+) \|", re.M
)


@pytest.fixture(scope="module")
def loo() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "leave_one_out"))


@pytest.fixture(scope="module")
def scored(loo: dict[str, Any], test_data: Path) -> list[Any]:
    found: list[Any] = loo["score"](test_data)
    return found


def test_the_page_is_of_the_rules_and_counts_of_now(loo: dict[str, Any], scored: list[Any]) -> None:
    assert f"Rules and counts: {loo['fingerprint'](scored)}" in PAGE, "make leave-one-out"


def test_the_rules_in_use_count_as_the_package_does(loo: dict[str, Any], scored: list[Any], test_data: Path) -> None:
    bench = loo["Bench"](scored, test_data)
    counted = {one.recording.index: one.tokens for one in bench.counts(loo["in_use"]())}
    assert counted == {i: one.counted for i, one in enumerate(scored)}


def test_a_parameter_left_to_its_neighbour_has_the_value_of_it(loo: dict[str, Any]) -> None:
    theory, ours = loo["in_use"](), loo["Parameter"]("tool_rule.o-series.chat", "call_tokens")
    changed = theory | {ours: loo["published"](ours), loo["Parameter"]("tool_rule.classic.chat", "call_tokens"): 11}
    assert loo["resolve"](theory, *ours) == 9
    assert loo["resolve"](changed, *ours) == 11


def test_most_counts_are_exact_by_rules_fitted_elsewhere() -> None:
    rows = {row["name"]: row for row in ROW.finditer(PAGE)}
    assert len(rows) > 20
    assert all(int(row["left_out"]) <= int(row["used"]) <= int(row["requests"]) for row in rows.values())
    for name, percent in (("all", 85), ("plain", 97), ("multi_turn", 97), ("tools", 80), ("tool_history", 75)):
        assert 100 * int(rows[name]["left_out"]) / int(rows[name]["requests"]) >= percent, name


@pytest.mark.deep
def test_the_page_says_what_the_fits_come_to(loo: dict[str, Any], scored: list[Any], test_data: Path) -> None:
    assert loo["page"](scored, test_data) == PAGE
