"""Recorded requests: what is counted beside what the service billed, as docs/accuracy.md says it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "accuracy.py"))


@pytest.fixture(scope="module")
def scored(page: dict[str, Any], test_data: Path) -> list[Any]:
    found: list[Any] = page["score"](test_data)
    return found


@pytest.fixture(scope="module")
def dated(page: dict[str, Any], test_data: Path) -> list[Any]:
    found: list[Any] = page["score"](test_data, dated=True)
    return found


def test_the_page_says_what_is_counted_now(page: dict[str, Any], scored: list[Any], dated: list[Any]) -> None:
    assert page["accuracy"](scored, dated) == (ROOT / "docs" / "accuracy.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("category", "percent"),
    [
        ("plain", 97),
        ("multi_turn", 96),
        ("tools", 95),
        ("tool_history", 90),
        ("json_schema", 100),
        ("json_schema+tools", 100),
        ("embeddings", 100),
        ("completions", 100),
        ("image_inline", 90),
        ("name", 100),
        ("json_mode", 100),
    ],
)
def test_recorded_requests_cost_what_the_service_billed(
    page: dict[str, Any], scored: list[Any], category: str, percent: int
) -> None:
    assert page["exact_percent"](page["by"](scored, "category")[category]) >= percent


@pytest.mark.parametrize(("certainty", "share"), [("exact", 0.98), ("estimated", 0.85), ("lower_bound", 1)])
def test_the_bounds_hold_what_the_service_billed(scored: list[Any], certainty: str, share: float) -> None:
    group = [one for one in scored if one.certainty == certainty]
    assert len(group) > 20
    assert sum(one.contained for one in group) / len(group) >= share


@pytest.mark.parametrize("category", ["file", "audio"])
def test_the_bounds_of_files_and_audio_hold_every_bill(page: dict[str, Any], scored: list[Any], category: str) -> None:
    assert all(one.contained for one in page["by"](scored, "category")[category])
