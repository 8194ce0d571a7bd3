"""The sheets hold every collected fact once, the table is generated from them, and no two rows answer one question."""

from __future__ import annotations

import csv
import itertools
import runpy
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from aoai_cost.catalog import SKUS, TIERS, get_model
from aoai_cost.errors import PriceSheetError
from aoai_cost.prices import PriceBook, PriceRow
from aoai_cost.prices.compile import SHEETS, TABLE, compile_sheets
from aoai_cost.prices.rows import UNITS, table_bytes
from aoai_cost.usage import METER_UNITS

ROOT = Path(__file__).resolve().parents[2]
ROWS = tuple(PriceBook.bundled().rows())
ANSWERING = tuple(row for row in ROWS if not row.unmatched)


def test_the_table_is_generated_from_the_sheets() -> None:
    assert table_bytes(compile_sheets(sorted(SHEETS.glob("*.toml")))) == TABLE.read_bytes()


def test_the_page_of_what_is_covered_is_generated_from_the_sheets() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert page["coverage"]() == (ROOT / "docs" / "coverage.md").read_text("utf-8")
    assert page["coverage"]().count("| no fact |") > 100


def read_facts(test_data: Path) -> list[dict[str, str]]:
    with (test_data / "facts/prices/azure_openai_prices.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


FEED_METERS = {
    "hosting_hour": ("hosting", ""),
    "ptu_hour": ("ptu", ""),
    "characters": ("character", ""),
    "audio_hour": ("audio", ""),
    "audio_second": ("audio", ""),
    "video_second": ("video", ""),
    "session": ("session", "code_interpreter"),
    "calls_1k": ("tool_call", "file_search"),
    "gb_day": ("storage", "file_search"),
}


def as_words(fact: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Write a row of the collected facts in the words of this package; one price of both ways is two rows."""
    if fact["meter"] == "tokens_flat":
        for way in ("input", "output"):
            yield from as_words(fact | {"meter": way})
        return
    meter, modality, variant = fact["meter"], fact["modality"], ""
    if meter in FEED_METERS:
        meter, variant = FEED_METERS[meter]
    elif meter == "training" and fact["unit"] == "1 hour":
        meter = "training_time"
    elif meter in ("input_image", "output_image"):
        meter, modality = meter.split("_")
    elif meter.startswith("image_"):
        meter, variant = "image", meter.removeprefix("image_")
    elif meter.startswith("ptu_reservation_"):
        meter, variant = "ptu_reservation", meter.removeprefix("ptu_reservation_")
    elif meter.startswith("video_second_"):
        meter, variant = "video", meter.removeprefix("video_second_")
    model = "*" if fact["model"].startswith(("(PTU)", "(tool)")) else fact["model"]
    shared = ("version", "deployment_type", "service_tier", "region_scope", "context_band", "fine_tuned")
    rest = ("unit", "price_usd", "effective_from", "effective_to", "source", "source_date", "product_name")
    yield (
        model,
        *(fact[name] for name in shared),
        meter,
        modality,
        variant,
        *(fact[name] for name in rest),
        fact["meter_name"],
        fact["regions"],
        fact["note"],
    )


def from_row(row: PriceRow) -> tuple[str, ...]:
    def day(value: date | None) -> str:
        return value.isoformat() if value else ""

    return (
        row.model,
        *(row.version, row.sku, row.tier, row.scope, row.band, row.fine_tuned),
        *(row.meter, row.modality, row.variant, row.unit, row.amount),
        "" if row.start_assumed else day(row.effective_from),
        day(row.effective_to),
        *(row.source, day(row.captured), row.product, row.meter_name),
        ";".join(row.regions) or row.regions_described,
        row.note,
    )


def test_every_collected_fact_is_in_the_sheets_once_and_nothing_else_is(test_data: Path) -> None:
    facts = read_facts(test_data)
    assert len(facts) == 3084
    words = Counter(itertools.chain.from_iterable(map(as_words, facts)))
    assert Counter(map(from_row, ROWS)) == words


def test_a_start_that_no_source_states_is_the_end_of_the_price_before(test_data: Path) -> None:
    told = "fills the gap after the S1 row that ended 2026-08-01"
    assumed = [row for row in ROWS if row.start_assumed]
    assert len(assumed) == sum(told in fact["note"] for fact in read_facts(test_data)) == 54
    assert all(row.effective_from == date(2026, 8, 1) and row.assumed and told in row.note for row in assumed)


def test_every_answering_row_is_written_in_known_words() -> None:
    sources = PriceBook.bundled().sources
    for row in ANSWERING:
        assert row.sku in SKUS
        assert row.tier in TIERS
        assert (row.tier == "batch") == row.sku.endswith("Batch")
        assert row.band in ("", "short", "long")
        assert UNITS[row.unit].measures == METER_UNITS[row.meter]
        assert row.currency == "USD"
        assert row.source in sources
        assert row.captured is not None
        assert Decimal(row.amount) > 0


def test_all_answering_rows_are_of_catalogued_models() -> None:
    for model, version in {(row.model, row.version) for row in ANSWERING if row.model != "*"}:
        assert get_model(model, version or None).name == model


def test_rows_that_answer_nothing_say_why() -> None:
    reasons = Counter(row.unmatched for row in ROWS if row.unmatched)
    assert sum(reasons.values()) == len(ROWS) - len(ANSWERING) == 132
    assert reasons["the tokens of a model grader, which is no deployment"] == 53
    assert reasons["the meter states no deployment type"] == 36
    assert reasons["the feed's own value looks wrong: check an invoice"] == 17
    assert all("ANOMALY" not in row.note for row in ANSWERING)
    assert all(not row.sku.startswith("(") for row in ANSWERING)
    assert tuple(PriceBook.bundled().listed()) == tuple(row for row in ROWS if row.unmatched)


def questions(row: PriceRow, banded: set[str]) -> Iterator[tuple[str, ...]]:
    """Name everything that a row answers at first hand, but for the day; written apart from the package."""
    bands = [row.band] if row.band else ["short"] if row.model in banded else ["short", "long"]
    text = METER_UNITS[row.meter] == "token" and row.modality in ("", "text")
    modality = "text" if text else row.modality
    for place in row.regions or row.scope.split(":")[-1].split("+"):
        for band in bands:
            key = (row.model, row.version, row.sku, row.tier, row.fine_tuned, row.meter, modality, row.variant)
            yield (*key, band, place if row.regions else f"scope {place}")


def test_no_two_rows_answer_one_question_on_one_day() -> None:
    banded = {row.model for row in ANSWERING if row.band == "long"}
    spans = defaultdict(list)
    for row in ANSWERING:
        for question in questions(row, banded):
            spans[question].append((row.effective_from or date.min, row.effective_to or date.max, row.meter_name))
    assert len(spans) > 20_000
    for question, found in spans.items():
        found.sort()
        for (_, end, _), (start, _, _) in itertools.pairwise(found):
            assert end <= start, (question, found)


def test_a_global_price_is_one_price_in_every_public_region() -> None:
    """What lets a global row stand for a region that it does not list."""
    prices = defaultdict(list)
    for row in ANSWERING:
        if row.scope == "global":
            key = (
                row.model,
                row.version,
                row.sku,
                row.tier,
                row.band,
                row.fine_tuned,
                row.meter,
                row.modality,
                row.variant,
            )
            prices[key].append(row)
    for key, rows in prices.items():
        for day in {row.effective_from for row in rows} | {row.effective_to for row in rows}:
            if day is not None:
                assert len({Decimal(row.amount) for row in rows if row.in_force(day)}) <= 1, key


def test_the_scope_labels_bear_out_the_geographies() -> None:
    geography = compile_sheets([SHEETS / "geographies.toml"])["geography"]
    for row in ANSWERING:
        if row.regions and ":" in row.scope:
            assert {geography[region] for region in row.regions} == set(row.scope.split(":")[1].split("+"))
        elif row.regions:
            assert all(geography[region] != "gov" for region in row.regions)


RATE = '[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\n'
INPUT = 'price.input = "2"\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("[[rate", "is not TOML", id="not TOML"),
        pytest.param("rates = 1", "unknown key 'rates'", id="an unknown key of the sheet"),
        pytest.param('currency = "dollar"', "three letters", id="a currency that is no code"),
        pytest.param("rate = 1", "two brackets", id="rate is no list"),
        pytest.param("source = 1", "must be tables", id="source is no table"),
        pytest.param('[geography]\nus = "eastus"', "list of regions", id="a geography that is no list"),
        pytest.param(RATE, "has no price", id="no price"),
        pytest.param('[[rate]]\nmodel = "gpt-4o"\n' + INPUT, "has no sku", id="no sku"),
        pytest.param(RATE + 'skuu = "x"\n' + INPUT, "unknown key 'skuu'", id="an unknown key of the rate"),
        pytest.param(RATE + "version = 613\n" + INPUT, "version must be a text", id="a version without quotes"),
        pytest.param(RATE + 'from = "2026-01-01"\n' + INPUT, "must be a day", id="a day in quotes"),
        pytest.param(RATE + 'regions = "eastus"\n' + INPUT, "list of names", id="regions that are no list"),
        pytest.param(RATE + 'scope = "moon"\n' + INPUT, "scope 'moon'", id="an unknown scope"),
        pytest.param(RATE + "from = 2026-01-02\nto = 2026-01-02\n" + INPUT, "must come after", id="no days at all"),
        pytest.param(RATE + "price.input = 2.5\n", "must be a text", id="a price that is no text"),
        pytest.param(RATE + 'price.input = "cheap"\n', "not an amount", id="a price that is no number"),
        pytest.param(RATE + 'price.input = "-1"\n', "not an amount", id="a price below zero"),
        pytest.param(RATE + 'price.input = "NaN"\n', "not an amount", id="a price that is not a number"),
        pytest.param(RATE + 'price.input = "1e-99999"\n', "not an amount", id="a price too small to be one"),
        pytest.param(RATE + 'price.tokens = "1"\n', "is not a meter", id="an unknown meter"),
        pytest.param(
            RATE + 'price.hosting = "1"\n', "unit of hosting is one of 1 hour", id="hours priced by the token"
        ),
        pytest.param(
            RATE + INPUT + RATE + 'price.input = "3"\n', "shares places and days", id="two prices of one thing"
        ),
        pytest.param(
            RATE + "from = 2026-01-01\n" + INPUT + RATE + "to = 2026-06-01\n" + INPUT,
            "shares places",
            id="a part in common",
        ),
    ],
)
def test_a_sheet_that_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PriceSheetError) as caught:
        PriceBook.read(path)
    assert reason in caught.value.reason
    assert caught.value.path == str(path)


def test_a_missing_sheet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceSheetError, match="cannot be read"):
        PriceBook.read(tmp_path / "absent.toml")


def test_the_second_of_two_equal_prices_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(RATE + INPUT + RATE + "from = 2026-01-01\n" + INPUT, encoding="utf-8")
    first, second = (row for row in PriceBook.read(path).rows("gpt-4o") if row.amount == "2")
    assert first.unmatched == ""
    assert second.unmatched.startswith("the same price as")
