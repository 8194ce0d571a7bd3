"""How many PTUs: the worked examples of Azure's documents, both formulas written out again, and what is refused."""

from __future__ import annotations

import csv
import math
import pickle
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import list_models
from aoai_cost.errors import RequestError, UnknownNameError
from aoai_cost.prices import PTU_SKUS, PriceBook, PtuParameters, PtuSize, Traffic, list_ptu_parameters, size_ptu

GLOBAL, ZONE, REGIONAL = PTU_SKUS
ROWS = list_ptu_parameters()


def size(model: str, rpm: Any, prompt: Any, response: Any = 0, cached: Any = 0, **more: Any) -> PtuSize:
    asked = {name: more.pop(name) for name in ("version", "sku", "on") if name in more}
    traffic = Traffic(
        requests_per_minute=rpm, prompt_tokens=prompt, response_tokens=response, cached_share=cached, **more
    )
    return size_ptu(traffic, model=model, **asked)


# MicrosoftDocs/azure-ai-docs, below articles/foundry/openai: the repository at a commit, and the page's own date.
SIZING = "how-to/provisioned-throughput-sizing.md @07d8467c 2026-05-21, and its include @f4a20819 2026-09-23"
REQUIREMENTS = "how-to/determine-ptu-requirements.md @47c247b6, 2026-05-21"
CONCEPTS = "concepts/provisioned-throughput.md @09cf11c4, 2026-05-13"
IMAGES = "includes/how-to-provisioned-throughput-sizing.md @f4a20819, 2026-09-23"


@pytest.mark.parametrize(
    ("found", "normalized_tpm", "raw", "units"),
    [
        pytest.param(size("gpt-5.2", 1000, 200, 20, sku=ZONE), 360_000, "105.88", 110, id=f"no cache: {SIZING}"),
        pytest.param(size("gpt-5.2", 1000, 200, 20, 0.5, sku=ZONE), 260_000, "76.47", 80, id=f"half cached: {SIZING}"),
        pytest.param(size("gpt-5.2", 1000, 200, 20, sku=REGIONAL), 360_000, "105.88", 150, id=f"1: {REQUIREMENTS}"),
        pytest.param(size("gpt-5.2", 1000, 200, 20, 0.5, sku=REGIONAL), 260_000, "76.47", 100, id=f"2: {REQUIREMENTS}"),
        pytest.param(size("gpt-5.2", 1000, 100, 50, sku=REGIONAL), 500_000, "147.06", 150, id=f"regional: {CONCEPTS}"),
        pytest.param(
            size("gpt-image-2", 10, 2000, image_input_tokens=1229, image_output_tokens=7024),
            461_104,
            "384.25",
            400,
            id=f"images: {IMAGES}",
        ),
    ],
)
def test_the_worked_examples_of_azures_documents(found: PtuSize, normalized_tpm: int, raw: str, units: int) -> None:
    assert found.normalized_tpm == normalized_tpm
    assert f"{float(found.raw_units):.2f}" == raw
    assert found.units == units


def test_a_normalized_image_request_of_the_document() -> None:
    found = size("gpt-image-2", 10, 2000, image_input_tokens=1229, image_output_tokens=7024)
    assert found.normalized_tokens == Fraction("46110.4")


@pytest.mark.parametrize(
    ("found", "raw", "units"),
    [
        pytest.param(size("gpt-4o", 300, 1500, 300, "0.4"), 252, 255, id="the example of the command"),
        pytest.param(size("gpt-4o", 250, 150, 0), 15, 15, id="exactly the minimum"),
        pytest.param(size("gpt-4o", 250, 200, 0), 20, 20, id="exactly a size"),
        pytest.param(size("gpt-4o", 250, Decimal("200.01"), 0), "20.001", 25, id="a little more than a size"),
        pytest.param(size("gpt-4o", 0, 1000, 100), 0, 15, id="no traffic needs the minimum"),
        pytest.param(size("gpt-4o", 300, 1500, 0, 1), 0, 15, id="all cached weighs nothing up to GPT-5.6"),
        pytest.param(size("gpt-4o-mini", 1000, 370, 0, sku=REGIONAL), 10, 25, id="the smaller regional step"),
        pytest.param(size("o1", 1, 230, sku=REGIONAL), 1, 50, id="a minimum that is no step gives a whole step"),
        pytest.param(size("gpt-5.6-sol", 12, 100, 0, cache_write_share=1), 1, 15, id="writes are input up to GPT-5.6"),
        # 1,000 x (1000 x 0.1) + 1,000 x (200 x 5) = 1,100,000 of 3,000 each.
        pytest.param(size("gpt-6-sol", 1000, 1000, 200, 1), Fraction(1100, 3), 370, id="cached input of GPT-6 weighs"),
        # 100 x (500 x 1 + 400 x 0.1 + 100 x 1.25 + 60 x 5) = 96,500 of 600 each.
        pytest.param(
            size("gpt-6-astra", 100, 1000, 60, "0.4", cache_write_share="0.1", sku=REGIONAL),
            Fraction(96_500, 600),
            200,
            id="every kind of token of a short context",
        ),
        # 10 x (50,000 x 2 + 40,000 x 0.2 + 10,000 x 2.5 + 2,000 x 7.5) = 1,480,000 of 3,000 each.
        pytest.param(
            size("gpt-6-sol", 10, 100_000, 2000, "0.4", cache_write_share="0.1", long_share=1),
            Fraction(1480, 3),
            495,
            id="every kind of token of a long context",
        ),
    ],
)
def test_sizes_typed_by_hand(found: PtuSize, raw: Any, units: int) -> None:
    assert found.raw_units == Fraction(raw)
    assert found.units == units


@pytest.mark.parametrize(
    ("on", "source", "weight"),
    [
        pytest.param(date(2024, 12, 1), "P4", 3, id="late 2024"),
        pytest.param(date(2025, 1, 1), "P3", 3, id="early 2025"),
        pytest.param(date(2025, 3, 30), "P3", 3, id="the last day of that revision"),
        pytest.param(date(2026, 9, 23), "P1", 4, id="the newest"),
        pytest.param(datetime(2026, 9, 23, 12), "P1", 4, id="an hour of a day"),
        pytest.param(None, "P1", 4, id="no day is the newest"),
    ],
)
def test_a_day_takes_the_newest_document_of_before(on: date | None, source: str, weight: int) -> None:
    found = size("gpt-4o", 100, 0, 100, on=on)
    assert (found.parameters.source, found.normalized_tokens) == (source, 100 * weight)


def test_what_documents_disagree_on_is_said() -> None:
    assert size("gpt-4o", 1, 1).notes == (
        "gpt-4o: the weight of output was 3 in P4 of 2024-12; 4 is taken",
        "gpt-4o: the weight of output was 3 in P3 of 2025-H1; 4 is taken",
    )
    assert size("gpt-4o", 1, 1, on=date(2024, 12, 31)).notes == ()
    assert size("o1", 1, 1, sku=REGIONAL).notes == (
        "o1: the minimum was 50 in P3 of 2025-H1; 25 is taken",
        "o1: the weight of output was 3 in P3 of 2025-H1; 4 is taken",
        "o1: the minimum of 25 PTUs is no multiple of the increment of 50",
    )
    assert size("gpt-5", 1, 1).notes == ()
    assert "no request of more than 128K" in size("gpt-4.1", 1, 128_000).notes[0]


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        pytest.param({"model": "gpt-4o"}, "2024-11-20", id="the newest that the catalogue knows"),
        pytest.param({"model": "gpt-4o", "on": date(2024, 12, 9)}, "2024-08-06", id="the newest of the document"),
        pytest.param({"model": "gpt-4o-2024-05-13"}, "2024-05-13", id="the one in the name"),
        pytest.param({"model": "GPT-5.2", "version": "2025-12-11"}, "2025-12-11", id="the one beside it"),
    ],
)
def test_the_version_that_is_sized(asked: dict[str, Any], version: str) -> None:
    assert size_ptu(Traffic(requests_per_minute=1, prompt_tokens=1), **asked).version == version


def refuse(*said: str, **asked: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        size(*asked.pop("args", ("gpt-4o", 1, 1, 1)), **asked)
    assert all(part in str(caught.value) for part in said), str(caught.value)
    return caught.value


def test_a_model_without_published_parameters_is_refused() -> None:
    refuse("gpt-5-nano are published", "gpt-5-mini", args=("gpt-5-nano", 1, 1))
    refuse("gpt-4.1 are published from 2025-03-31", args=("gpt-4.1", 1, 1), on=date(2025, 1, 1))
    refuse("version 2024-11-20 are published from", version="2024-11-20", on=date(2024, 12, 9))
    refuse("base models alone", args=("gpt-4o-2024-08-06.ft-0123456789abcdef", 1, 1))
    refuse("none of GlobalProvisionedManaged", sku="GlobalStandard")
    with pytest.raises(UnknownNameError) as caught:
        size("gpt-4oo", 1, 1)
    assert "gpt-4o" in caught.value.near


def test_tokens_without_a_published_weight_are_refused() -> None:
    refuse("P5 of 2025-03-31 prints no weight of output", "left to the calculator", on=date(2026, 9, 22))
    assert size("gpt-4o", 1, 2500, on=date(2026, 9, 22)).raw_units == 1
    refuse("no weight of long_input, long_output for gpt-5.5", args=("gpt-5.5", 1, 1, 1), long_share=1)
    refuse("no weight of output for gpt-image-2", args=("gpt-image-2", 1, 1, 1))
    refuse("no weight of cached_input for gpt-image-2", args=("gpt-image-2", 1, 1, 0, 1))
    refuse("no weight of image_input for gpt-4o", image_input_tokens=85)
    refuse("no request of more than 128K", args=("gpt-5.4", 1, 128_001))


@pytest.mark.parametrize("value", [-1, "-0.1", "NaN", "inf", float("nan"), float("inf"), True, None, "", "x", "1/2"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        Traffic(requests_per_minute=1, prompt_tokens=value)
    assert caught.value.field == "prompt_tokens"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("1e999999999", id="a gigabyte of digits"),
        pytest.param("1e-999999999", id="a gigabyte of decimals"),
        pytest.param("9" * 1_000_000, id="a megabyte of digits"),
        pytest.param(10**5000, id="more digits than Python writes"),
        pytest.param(-(10**5000), id="and below zero"),
        pytest.param(10**15 + 1, id="one too many"),
    ],
)
def test_what_is_too_large_is_refused_at_once_and_in_few_words(value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        Traffic(requests_per_minute=value, prompt_tokens=1)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("name", ["cached_share", "cache_write_share", "long_share"])
def test_a_share_is_at_most_one(name: str) -> None:
    Traffic(requests_per_minute=1, prompt_tokens=1, **{name: 1})
    with pytest.raises(RequestError, match="from 0 to 1,"):
        Traffic(requests_per_minute=1, prompt_tokens=1, **{name: 1.01})


def test_shares_of_one_prompt_are_at_most_one_together() -> None:
    with pytest.raises(RequestError, match="together"):
        Traffic(requests_per_minute=1, prompt_tokens=1, cached_share="0.6", cache_write_share="0.41")


@pytest.mark.parametrize("value", [0.4, "0.4", "4e-1", Decimal("0.4"), Fraction(2, 5)], ids=repr)
def test_numbers_are_taken_as_they_are_written(value: Any) -> None:
    traffic = Traffic(requests_per_minute=1, prompt_tokens=100, cached_share=value)
    assert traffic.tokens() == {"input": 60, "cached_input": 40}


def test_a_size_survives_pickling() -> None:
    found = size("gpt-6-sol", 100, 1000, 60, "0.4")
    assert pickle.loads(pickle.dumps(found)) == found
    assert hash(found)


# The weights of GPT-6 as document P1 prints them, by hand.
GPT_6 = {"input": 1, "cached": "0.1", "write": "1.25", "output": 5}
GPT_6_LONG = {"input": 2, "cached": "0.2", "write": "2.5", "output": "7.5"}

counts = st.integers(0, 10**6) | st.decimals(0, 10**6, places=3)
shares = st.fractions(0, 1, max_denominator=100)
text_models = st.sampled_from(sorted({row.model for row in ROWS if row.source == "P1"} - {"gpt-image-2"}))
old_models = text_models.filter(lambda name: not name.startswith("gpt-6"))
skus = st.sampled_from(PTU_SKUS)


def newest(model: str) -> PtuParameters:
    return next(row for row in list_ptu_parameters(model) if row.source == "P1")


@given(old_models, counts, st.integers(0, 128_000), counts, shares)
def test_up_to_gpt_5_6_the_need_is_the_published_formula(
    model: str, rpm: Any, prompt: int, response: Any, cached: Fraction
) -> None:
    said = newest(model)
    ratio = dict(said.weights)["output"]
    input_tpm, output_tpm = Fraction(rpm) * prompt, Fraction(rpm) * Fraction(response)
    expected = (input_tpm * (1 - cached) + ratio * output_tpm) / said.input_tpm_per_ptu
    assert size(model, rpm, prompt, response, cached).raw_units == expected


@given(st.sampled_from([("gpt-6-sol", 3000), ("gpt-6-astra", 600)]), counts, counts, counts, shares, shares, shares)
def test_from_gpt_6_on_the_need_is_the_sum_of_normalized_tokens(
    model: tuple[str, int], rpm: Any, prompt: Any, response: Any, cached: Fraction, write: Fraction, long: Fraction
) -> None:
    write *= 1 - cached
    need = Fraction()
    for part, weights in ((1 - long, GPT_6), (long, GPT_6_LONG)):
        weight = {name: Fraction(value) for name, value in weights.items()}
        need += part * (
            Fraction(prompt)
            * ((1 - cached - write) * weight["input"] + cached * weight["cached"] + write * weight["write"])
            + Fraction(response) * weight["output"]
        )
    found = size(model[0], rpm, prompt, response, cached, cache_write_share=write, long_share=long)
    assert found.raw_units == Fraction(rpm) * need / model[1]


@given(text_models, skus, counts, st.integers(0, 128_000), counts, shares)
def test_a_size_is_the_least_that_can_be_deployed_and_serves_the_traffic(
    model: str, sku: str, rpm: Any, prompt: int, response: Any, cached: Fraction
) -> None:
    found = size(model, rpm, prompt, response, cached, sku=sku)
    minimum, increment = found.parameters.size_of(sku)
    assert found.units % increment == 0
    assert found.units >= minimum
    assert found.units >= found.raw_units
    less = found.units - increment
    assert less < minimum or less < found.raw_units


@given(
    text_models, skus, counts, st.integers(0, 64_000), counts, shares, st.sampled_from(["rpm", "prompt", "response"])
)
def test_more_traffic_never_needs_less(
    model: str, sku: str, rpm: Any, prompt: int, response: Any, cached: Fraction, more: str
) -> None:
    numbers = {"rpm": rpm, "prompt": prompt, "response": response}
    least = size(model, cached=cached, sku=sku, **numbers)
    most = size(model, cached=cached, sku=sku, **numbers | {more: 2 * numbers[more]})
    assert (most.units, most.raw_units) >= (least.units, least.raw_units)
    assert size(model, cached=cached / 2, sku=sku, **numbers).raw_units >= least.raw_units


def test_the_data_is_whole() -> None:
    assert len(ROWS) == 42
    assert len({(row.source, row.model) for row in ROWS}) == 42
    known: dict[str, set[str]] = {}
    for model in list_models():
        known.setdefault(model.name, set()).add(model.version)
    days = {row.source: (row.doc_date, row.known_from) for row in ROWS}
    assert days == {
        "P4": ("2024-12", date(2024, 12, 1)),
        "P3": ("2025-H1", date(2025, 1, 1)),
        "P5": ("2025-03-31", date(2025, 3, 31)),
        "P2": ("2026-05-22", date(2026, 5, 22)),
        "P1": ("2026-09-23", date(2026, 9, 23)),
    }
    for row in ROWS:
        assert known[row.model] >= set(row.versions)
        assert row.versions == tuple(sorted(row.versions))
        assert row.input_tpm_per_ptu > 0
        assert dict(row.weights)["input"] == 1
        for sku in PTU_SKUS:
            minimum, increment = row.size_of(sku)
            assert increment > 0
            assert minimum % increment == 0 or (row.model, sku, minimum, increment) == ("o1", REGIONAL, 25, 50)
        assert row.size_of(GLOBAL) == row.size_of(ZONE)


def as_printed(row: PtuParameters) -> list[str]:
    weights = {name: str(float(value)) for name, value in row.weights}
    names = ("cached_input", "cache_write", "long_input", "long_cached_input", "long_cache_write", "long_output")
    if weights.get("cached_input") == "0.0":
        del weights["cache_write"]  # taken from the formula, not printed in the table
    sizes = (*row.size_of(GLOBAL), *row.size_of(REGIONAL))
    return [
        *(row.model, ";".join(row.versions), row.doc_date, *map(str, sizes), str(row.input_tpm_per_ptu)),
        *(weights.get(name, "") for name in ("output", *names, "image_input", "image_output")),
        *(row.long_context, row.latency, row.source, row.note),
    ]


def read_facts(test_data: Path) -> list[dict[str, str]]:
    with (test_data / "facts/prices/ptu.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def numbers(values: Iterable[str]) -> list[str]:
    return [str(float(value)) if value else "" for value in values]


def test_every_collected_row_stands_and_blanks_stay_blank(test_data: Path) -> None:
    facts = read_facts(test_data)
    columns = list(facts[0])
    sizes, weights = columns[3:8], columns[8:17]
    assert (sizes[0], weights[0], weights[-1]) == (
        "min_ptu_global_datazone",
        "output_to_input_ratio",
        "image_output_weight",
    )
    expected = [
        [
            *(fact[name] for name in ("model", "version", "doc_date", *sizes)),
            *numbers(fact[name] for name in weights),
            *(fact[name] for name in ("long_context_on_ptu", "latency_target", "source", "note")),
        ]
        for fact in facts
    ]
    assert [as_printed(row) for row in ROWS] == expected


def test_the_prices_of_ptus_are_those_of_the_book(test_data: Path) -> None:
    book, on = PriceBook.bundled(), date(2026, 9, 23)
    places = {
        "global": (GLOBAL, "swedencentral"),
        "datazone": (ZONE, "swedencentral"),
        "datazone_apac": (ZONE, "japaneast"),
        "regional_us": (REGIONAL, "eastus"),
        "regional": (REGIONAL, "eastus"),
    }
    facts = [fact for fact in read_facts(test_data) if fact["source"] == "P1"]
    for column in (name for name in facts[0] if name.startswith("price_")):
        _, term, place = column.removesuffix("_usd").split("_", 2)
        sku, region = places[place]
        key = {"meter": "ptu"} if term == "hour" else {"meter": "ptu_reservation", "variant": f"1_{term[1:]}"}
        rate = book.rate(model="gpt-4o", sku=sku, region=region, on=on, **key)
        assert {Decimal(fact[column]) for fact in facts} == {rate.amount}, column


def test_a_need_in_floats_is_near() -> None:
    """A look with other eyes: the sum in binary floats, for a mix of everything."""
    found = size("gpt-6-astra", 73, 12_345, 678, "0.31", cache_write_share="0.17", long_share="0.23")
    short = 12_345 * (0.52 + 0.31 * 0.1 + 0.17 * 1.25) + 678 * 5
    long = 12_345 * (0.52 * 2 + 0.31 * 0.2 + 0.17 * 2.5) + 678 * 7.5
    assert math.isclose(float(found.raw_units), 73 * (0.77 * short + 0.23 * long) / 600)
