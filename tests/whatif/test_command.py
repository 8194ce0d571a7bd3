"""``aoai-cost whatif``."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aoai_cost import BuyPtu, PriceBook, UseBatch, read_usage, what_if
from aoai_cost.cli import main

ROOT = Path(__file__).resolve().parent.parent.parent
LOGS, DEPLOYMENTS = str(ROOT / "examples/logs"), str(ROOT / "examples/deployments.toml")


def run(*words: str) -> Result:
    result = CliRunner().invoke(main, ["whatif", LOGS, "--deployments", DEPLOYMENTS, *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("order", [pytest.param(1, id="as they stand"), pytest.param(-1, id="the other way round")])
def test_changes_apply_in_the_order_in_which_they_stand(order: int) -> None:
    only = "aoai-shop-sweden/chat"
    words, changes = [("--batch", "0.3"), ("--ptu", "50")][::order], [UseBatch("0.3", only=only), BuyPtu(50, only=only)]
    result = run("--only", only, *(word for pair in words for word in pair), "--json")
    shown = json.loads(result.stdout)
    log = read_usage(LOGS)
    found = what_if(log, *changes[::order], deployments=DEPLOYMENTS, prices=PriceBook.current())
    assert found.difference is not None
    assert Decimal(shown["difference"]) == found.difference
    assert [one["change"] for one in shown["changes"]] == [type(one).__name__ for one in changes[::order]]
    # The example log has calls without a price.
    assert result.exit_code == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param([], "nothing is changed", id="no change"),
        pytest.param(["--only", "agent", "--discount", "0.1"], "--discount is for all deployments", id="a part of all"),
        pytest.param(["--only", "agnet", "--batch", "0.1"], "'agnet'; it has those of", id="a name that is not there"),
        pytest.param(["--swap", "gpt-4o"], "does not name two models", id="one model"),
        pytest.param(
            ["--priced-on", "yesterday"], "--priced-on: 'yesterday' is not a date like 2026-10-31", id="no day"
        ),
        pytest.param(["--batch", "1.5"], "--batch: must be a number from 0 to 1, found '1.5'", id="more than all"),
        pytest.param(
            ["--swap", "gpt-4o=gpt-4.l"], "--swap: unknown model 'gpt-4.l'; did you mean", id="a typing error"
        ),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code not in (0, 3)
    assert said in result.stderr


def test_what_does_not_change_is_one_row() -> None:
    shown = run("--only", "agent", "--cached", "0.8").stdout
    assert re.search(r"aoai-shop-sweden +agent +3\.99 +3\.31 +-0\.68 \n", shown)
    # The other twelve rows of the report, three of them without a price.
    assert re.search(r"12 unchanged +1,603\.93 \+ \? +1,603\.93 \+ \? +0\.00 \n", shown)
    assert "embed" not in shown
    assert max(map(len, shown.splitlines()[:8])) <= 80


def test_a_lost_price_is_told_with_its_reason_once() -> None:
    shown = re.sub(r"\s+", " ", run("--region", "swedncentral").stdout)
    assert shown.count("no price for model 'gpt-4o' version '2024-11-20', sku 'DataZoneStandard'") == 1
    assert "in 'swedncentral'" in shown
    # It had no price before.
    assert "contoso-chat" not in shown


def test_further_lines_of_a_note_stand_below_its_first_word() -> None:
    lines = run("--only", "chat", "--ptu", "50").stdout.splitlines()
    after = lines[next(i for i, line in enumerate(lines) if line.startswith("note: calls were served by")) + 1]
    assert re.match(r" {6}\S", after)


def test_a_log_without_a_deployments_file_says_so() -> None:
    result = CliRunner().invoke(main, ["whatif", LOGS, "--cached", "0.5"])
    assert result.exit_code == 1
    assert "no call of the log is of a deployment in a deployments file" in result.stderr


def test_an_empty_log_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    result = CliRunner().invoke(main, ["whatif", str(empty), "--cached", "0.5"])
    assert result.exit_code == 1
    assert result.stderr == "error: CacheShare: the log has no calls\n"
