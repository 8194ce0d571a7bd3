"""``aoai-cost whatif``."""

from __future__ import annotations

import json
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
        pytest.param(["--only", "agnet", "--batch", "0.1"], "agnet", id="a name that is not there"),
        pytest.param(["--swap", "gpt-4o"], "does not name two models", id="one model"),
        pytest.param(["--priced-on", "yesterday"], "--priced-on", id="no day"),
        pytest.param(["--batch", "1.5"], "--batch", id="more than all"),
    ],
)
def test_what_is_wrong_is_said(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code not in (0, 3)
    assert said in result.stderr
