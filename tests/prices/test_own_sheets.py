"""A price sheet of the user's own: it wins where it speaks, in whatever spelling, and what cannot answer is refused."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aoai_cost.cli import main
from aoai_cost.errors import MissingPriceError, PriceSheetError
from aoai_cost.prices import PriceBook

ROOT = Path(__file__).resolve().parents[2]
DAY = date(2026, 10, 1)
OWN = Decimal("1.11")


def sheet(folder: Path, text: str) -> PriceBook:
    path = folder / "own.toml"
    path.write_text(f'[[rate]]\n{text}\nprice.input = "{OWN}"\n', "utf-8")
    return PriceBook.read(path)


def ask(book: PriceBook, model: str = "gpt-4o", sku: str = "GlobalStandard", **more: Any) -> Decimal:
    return book.rate(model=model, sku=sku, **({"meter": "input", "on": DAY} | more)).amount


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        pytest.param('model="gpt-4o"\nsku="globalstandard"', {}, id="a sku in small letters"),
        pytest.param('model="GPT-4o"\nsku="GlobalStandard"', {}, id="a model in capitals"),
        pytest.param(
            'model="gpt-4o-2024-11-20"\nsku="GlobalStandard"', {"version": "2024-11-20"}, id="a version in the name"
        ),
        pytest.param('model="gpt-3.5-turbo"\nsku="GlobalStandard"', {"model": "gpt-35-turbo"}, id="the other spelling"),
        pytest.param('model="gpt-4o"\nsku="GlobalBatch"', {"sku": "GlobalBatch"}, id="a batch sku without a tier"),
        pytest.param('model="gpt-4o"\nsku="GlobalStandard"\ntier="Priority"', {"tier": "priority"}, id="a tier"),
        pytest.param('model="gpt-4o"\nsku="GlobalStandard"\nfine_tuned="FT"', {"fine_tuned": "ft"}, id="fine-tuned"),
        pytest.param(
            'model="gpt-4o"\nsku="Standard"\nregions=["East US"]',
            {"sku": "Standard", "region": "eastus"},
            id="a region",
        ),
        pytest.param(
            'model="gpt-4o"\nsku="Standard"\nscope="data_zone:eu"',
            {"sku": "Standard", "region": "swedencentral"},
            id="a geography that only the bundled sheets know the regions of",
        ),
        pytest.param(
            'model="gpt-5.4"\nsku="GlobalStandard"\nband="Long"', {"model": "gpt-5.4", "band": "long"}, id="band"
        ),
    ],
)
def test_an_own_price_wins_however_it_is_spelled(tmp_path: Path, text: str, asked: dict[str, Any]) -> None:
    assert ask(sheet(tmp_path, text), **asked) == OWN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('sku="GlobalStd"', "sku 'GlobalStd' is not one of"),
        ('sku="GlobalStandard"\ntier="fast"', "tier 'fast'"),
        ('sku="GlobalStandard"\nband="medium"', "band 'medium'"),
        ('sku="GlobalStandard"\nfine_tuned="lora"', "fine_tuned 'lora'"),
        ('sku="Standard"\nscope="data_zone:moon"', "geography"),
        ('sku="Standard"\nscope="regional"', "lists its regions"),
        ('sku="Standard"\nscope="unstated"', "say why in unmatched"),
        ('sku="Standard"\nscope="solar"', "scope 'solar'"),
    ],
)
def test_a_row_that_could_never_answer_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(PriceSheetError, match=reason):
        sheet(tmp_path, f'model="gpt-4o"\n{text}')


def test_a_version_said_twice_must_agree(tmp_path: Path) -> None:
    with pytest.raises(PriceSheetError, match="name says version 2024-11-20"):
        sheet(tmp_path, 'model="gpt-4o-2024-11-20"\nversion="2024-05-13"\nsku="GlobalStandard"')


def test_an_own_price_without_a_band_leaves_long_contexts_to_the_list(tmp_path: Path) -> None:
    book = sheet(tmp_path, 'model="gpt-5.4"\nsku="GlobalStandard"')
    assert ask(book, "gpt-5.4") == OWN
    assert ask(book, "gpt-5.4", band="long") == ask(PriceBook.bundled(), "gpt-5.4", band="long") != OWN


def test_an_own_price_of_one_version_does_not_answer_for_all(tmp_path: Path) -> None:
    book = sheet(tmp_path, 'model="gpt-4o"\nversion="2024-05-13"\nsku="GlobalStandard"')
    assert ask(book, version="2024-05-13") == OWN
    assert ask(book, version="2024-11-20") == Decimal("2.5")
    with pytest.raises(MissingPriceError, match="only version '2024-05-13'"):
        ask(book)


def test_an_own_price_of_the_only_version_answers_for_the_model(tmp_path: Path) -> None:
    book = sheet(tmp_path, 'model="gpt-4.1-mini"\nversion="2025-04-14"\nsku="GlobalStandard"')
    assert ask(book, "gpt-4.1-mini") == OWN


def test_an_own_price_of_one_region_does_not_answer_for_all(tmp_path: Path) -> None:
    book = sheet(tmp_path, 'model="gpt-4o"\nversion="2024-11-20"\nsku="Standard"\nregions=["eastus"]')
    assert ask(book, sku="Standard", version="2024-11-20", region="eastus") == OWN
    with pytest.raises(MissingPriceError, match="only 'eastus'"):
        ask(book, sku="Standard", version="2024-11-20")


def test_a_rate_of_the_version_answers_before_one_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    rate = '[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\n{}price.input = "{}"\n'
    path.write_text(rate.format("", "1") + rate.format('version = "2024-11-20"\n', "2"), "utf-8")
    book = PriceBook.read(path)
    assert [ask(book, version=one) for one in ("2024-11-20", "2024-05-13")] == [Decimal(2), Decimal(1)]


def test_own_geographies_place_regions_before_the_bundled_ones(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    rate = '[[rate]]\nmodel = "gpt-4o"\nsku = "Standard"\nscope = "data_zone:us"\nprice.input = "1.11"\n'
    asked = {"sku": "Standard", "region": "westus", "version": "2024-11-20"}
    path.write_text(rate, "utf-8")
    assert ask(PriceBook.read(path), **asked) == OWN
    path.write_text('[geography]\nuk = ["westus"]\n' + rate, "utf-8")
    assert ask(PriceBook.read(path), **asked) == ask(PriceBook.bundled(), **asked) != OWN


def test_own_prices_that_differ_are_not_passed_over_for_the_list(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    rate = '[[rate]]\nmodel = "gpt-5-mini"\nsku = "GlobalStandard"\nversion = "{}"\nprice.input = "{}"\n'
    path.write_text(rate.format("2025-08-07", "1") + rate.format("2031-01-01", "2"), "utf-8")
    assert ask(PriceBook.bundled(), "gpt-5-mini") > 0
    with pytest.raises(MissingPriceError, match="versions differ"):
        ask(PriceBook.read(path), "gpt-5-mini")


def test_an_own_price_for_every_version_and_region_answers_open_questions(tmp_path: Path) -> None:
    assert ask(sheet(tmp_path, 'model="gpt-4o"\nsku="Standard"'), sku="Standard") == OWN


def test_a_model_of_the_own_sheet_alone_says_where_it_has_prices(tmp_path: Path) -> None:
    book = sheet(tmp_path, 'model="contoso-chat"\nsku="Standard"\nregions=["eastus"]')
    assert ask(book, "contoso-chat", "Standard") == OWN
    with pytest.raises(MissingPriceError, match="have it in 'eastus'"):
        ask(book, "contoso-chat", "Standard", region="westus")


@pytest.mark.parametrize("text", ["x = " + "9" * 5_000, "x = " + "[" * 3_000], ids=["a huge number", "deep brackets"])
def test_toml_that_trips_its_reader_is_a_sheet_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.toml").write_text(text, "utf-8")
    with pytest.raises(PriceSheetError, match="is not TOML that can be read"):
        PriceBook.read(tmp_path / "own.toml")


def test_a_path_that_is_none_is_a_sheet_error() -> None:
    with pytest.raises(PriceSheetError):
        PriceBook.read("a\0b")


BROKEN = """\
currency = "USD"

[[discount]]
share = "1.5"

[[rate]]
model = "gpt-4o"
sku = "GlobalStandard"
version = 2024

[[rate]]
model = "gpt-4.1"
sku = "GlobalStandard"
note = '''
[[rate]]
model = "not an entry"
'''
price.input = "2"
price.output = { amount = "8", unit = "1 hour" }

[[rate]]
model = "gpt-4.1"
sku = "GlobalStandard"
price.input = "2"
regions = ["eastus"]

[[rate]]
model = "gpt-4.1"
sku = "GlobalStandard"
price.input = "3"
regions = ["East US", "westus"]
"""


def test_a_check_finds_every_problem_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(BROKEN, "utf-8")
    result = CliRunner().invoke(main, ["prices", "check", str(path), "--json"])
    assert result.exit_code == 1
    found = [(one["entry"], one["reason"].split(",")[0].split(";")[0]) for one in json.loads(result.stdout)["problems"]]
    assert found == [
        ("line 9, rate 1 ('gpt-4o')", "version must be a text in quotes"),
        ("line 19, rate 2 ('gpt-4.1')", "the unit of output is one of 1M tokens"),
        ("line 4, discount 1", 'share must be a text from "0" to "1"'),
        ("line 27, rate 4 ('gpt-4.1')", "input at 3 from None shares places and days with another entry"),
    ]
    assert result.stderr.count("\n") == len(found)
    with pytest.raises(PriceSheetError, match="line 9"):
        PriceBook.read(path)


def test_a_check_of_a_good_sheet_counts_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('currency = "EUR"\n[[rate]]\nmodel = "gpt-4o"\nsku = "Standard"\nprice.input = "2"\n', "utf-8")
    result = CliRunner().invoke(main, ["prices", "check", str(path)])
    assert (result.exit_code, result.stdout) == (0, "good: 1 prices and 0 discounts in EUR\n")


def test_a_check_names_what_nobody_else_knows(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    rate = (
        '[[rate]]\nmodel = "gtp-4o"\nsku = "Standard"\nregions = ["Sweeden Central"]\nsource = "x"\nprice.input = "2"\n'
    )
    path.write_text(rate + '[[discount]]\nshare = "0.1"\nmodel = "gpt-4o"\nversion = "2024-11-02"\n', "utf-8")
    result = CliRunner().invoke(main, ["prices", "check", str(path), "--json"])
    notes = json.loads(result.stdout)["notes"]
    assert result.exit_code == 0
    assert [note.split(";")[0].split(" is ")[0] for note in notes] == [
        "unknown model 'gpt-4o-2024-11-02'",
        "unknown model 'gtp-4o'",
        "no list knows the region 'sweedencentral'",
        "the source 'x'",
    ]
    good = CliRunner().invoke(main, ["prices", "check", str(ROOT / "examples" / "contract.toml")])
    assert (good.exit_code, good.stderr) == (0, "")


def test_sheets_of_two_currencies_make_no_book(tmp_path: Path) -> None:
    for currency in ("USD", "EUR"):
        (tmp_path / f"{currency}.toml").write_text(f'currency = "{currency}"\n', "utf-8")
    with pytest.raises(PriceSheetError, match="is in USD, and the sheets before it in EUR"):
        PriceBook.read(tmp_path / "EUR.toml", tmp_path / "USD.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param('[geography]\nusa = ["eastus"]', "'usa' is none of apac", id="a geography that is none"),
        pytest.param('[[discount]]\nshare = "0.1"\nmodel = "*"', "names none", id="a discount for every model"),
        pytest.param(
            '[[discount]]\nshare = "0.1"\nsku = "GlobalBatch"\ntier = "default"', "batch alone", id="a tier of no batch"
        ),
        pytest.param(
            '[[rate]]\nmodel = "gpt-4o"\nsku = "GlobalStandard"\nprice."input/audo" = "1"',
            "'audo' is not a modality",
            id="a modality that is none",
        ),
    ],
)
def test_what_would_silently_never_hold_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(PriceSheetError) as caught:
        PriceBook.read(path)
    assert reason in caught.value.reason
