"""``aoai-cost ptu``: tables for people, exact numbers in JSON, and what is missing on stderr."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aoai_cost.cli import main

CHAT = "--model gpt-4o --rpm 300 --prompt 1500 --response 300 --cache 0.4 --on 2026-10-15"


def run(words: str) -> Result:
    result = CliRunner().invoke(main, ["ptu", *words.split()])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def data(words: str) -> Any:
    return json.loads(run(f"{words} --json").stdout)


def test_the_tables_say_size_cost_and_break_even() -> None:
    result = run(CHAT)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in (
        "model gpt-4o 2024-11-20",
        "traffic 630,000 normalized tokens a minute",
        "PTUs needed 252",
        "PTUs to deploy 255 (at least 15, in steps of 5)",
        "hourly 1 per PTU-hour 186,150 never (233.3 %)",
        "1 month 260 per PTU-month 66,300 64.4 % 83.1 %",
        "1 year 2652 per PTU-year 56,355 69.7 % 70.6 %",
        "pay as you go, at the peak all month 78,840",
    ):
        assert line in lines
    assert any(line.startswith("document P1 of 2026-09-23: ") for line in lines)
    assert "note: gpt-4o: the weight of output was 3 in P3 of 2025-H1; 4 is taken" in result.stderr
    assert "note" not in result.stdout


def test_json_is_exact() -> None:
    found = data(CHAT)
    assert (found["raw_units"], found["needed_units"], found["units"]) == ("252", 255, 255)
    assert found["tokens_per_request"] == {"input": "900", "cached_input": "600", "output": "300"}
    assert found["document"]["date"] == "2026-09-23"
    hourly, _, year = found["terms"]
    assert (year["term"], year["price"], year["month"], year["source"]) == ("1_year", "2652", "56355", "S2")
    assert (hourly["saving"], found["request"], found["pay_as_you_go_month"]) == ("0", "0.006", "78840")
    # 7/3 does not end: it is rounded at the 40th place.
    assert Decimal(hourly["break_even"]) == Decimal("2." + "3" * 40)
    assert found["loads"] == []


def test_a_load_is_priced_on_the_units_and_on_the_cheapest_number() -> None:
    words = f"{CHAT} --units 105 --load 300:100 --load 100:600 --load 300:30"
    found = data(words)["loads"]
    assert [(one["term"], one["units"], one["cheapest"]) for one in found[:3]] == [
        ("hourly", 105, False),
        ("1_month", 105, False),
        ("1_year", 105, False),
    ]
    # 105 PTUs serve 125 of 300 requests a minute, in 130 of the 730 hours.
    assert Fraction(found[0]["spilled_amount"]) == 175 * 60 * 130 * Fraction("0.006")
    assert found[2]["ptu_amount"] == str(105 * 221)
    assert [one["cheapest"] for one in found[3:]] == [True] * 3
    for bought, best in zip(found[:3], found[3:], strict=True):
        assert Decimal(best["amount"]) <= Decimal(bought["amount"])
    table = run(words).stdout
    assert "PTUs priced" in table
    assert "1 year, cheapest" in table


def test_what_has_no_price_is_named_and_the_exit_code_says_so() -> None:
    words = "--model gpt-5.2 --rpm 10 --prompt 100 --response 10 --sku provisionedmanaged --on 2026-10-15 --load 10:1"
    result = run(words)
    assert result.exit_code == 3
    assert "PTUs to deploy" in result.stdout
    assert "prices differ by region, so name a region" in result.stderr
    found = data(f"{words} --region swedencentral")
    assert [term["term"] for term in found["terms"]] == ["hourly"]
    assert (found["terms"][0]["break_even"], found["request"], found["loads"]) == (None, None, [])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param("--model gpt-4o --rpm 1", 2, "--prompt", id="no prompt"),
        pytest.param("--model gpt-4o --rpm -1 --prompt 1", 2, "at least 0", id="less than nothing"),
        pytest.param("--model gpt-4o --rpm 1 --prompt 1 --load 3", 2, "RPM:HOURS", id="a load without hours"),
        pytest.param("--model gpt-4o --rpm 1 --prompt 1 --load a:b", 2, "at least 0", id="a load of no numbers"),
        pytest.param("--model gpt-4o --rpm 1 --prompt 1 --sku Standard", 1, "none of Global", id="a sku without PTUs"),
        pytest.param("--model gpt-4o --rpm 1 --prompt 1 --cache 40", 1, "from 0 to 1", id="per cent for a share"),
        pytest.param("--model gpt-5-nano --rpm 1 --prompt 1", 1, "are published", id="no published parameters"),
        pytest.param("--model gpt-4oo --rpm 1 --prompt 1", 1, "did you mean gpt-4o", id="a slip of the key"),
        pytest.param("--model gpt-4o --rpm 1 --prompt 1 --units 7", 1, "steps of 5", id="units that nobody deploys"),
    ],
)
def test_what_cannot_be_sized(words: str, code: int, said: str) -> None:
    result = run(words)
    assert result.exit_code == code
    assert said in result.stderr.replace("'", "")
    assert result.stdout == ""


def test_nothing_but_the_command_loads_the_parameters() -> None:
    program = "import aoai_cost, sys; aoai_cost.PriceBook.bundled(); print('tomllib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_load_beyond_all_measure_is_wrong_usage() -> None:
    result = run("--model gpt-4o --rpm 1 --prompt 1 --load 1:1e999999")
    assert result.exit_code == 2
    assert "is more than" in result.stderr
