"""Changes as values, what they refuse, what they leave alone, and what they say."""

from __future__ import annotations

import decimal
import pickle
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aoai_cost import (
    AoaiCostError,
    BuyPtu,
    CacheShare,
    CapOutput,
    Change,
    Comparison,
    ContractDiscount,
    Deployment,
    Deployments,
    DownscaleImages,
    Growth,
    MoveRegion,
    MoveSku,
    PriceAsOf,
    PriceBook,
    RequestError,
    ScaleVolume,
    ServiceTier,
    SwapModel,
    UnknownNameError,
    UsageLog,
    UseBatch,
    compare,
    read_usage,
    what_if,
)
from aoai_cost.logs import sum_usage
from aoai_cost.logs.schema import Tokens
from aoai_cost.render import comparison_json
from aoai_cost.whatif.calls import Beside, Calls
from aoai_cost.whatif.single_calls import _with_prompt

FILE = Deployments(
    [
        Deployment("contoso", "chat", "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral"),
        Deployment("fabrikam", "chat", "gpt-4.1", "2025-04-14", "Standard", "eastus2"),
        Deployment("contoso", "pilot", "contoso-chat", "1", "GlobalStandard", "swedencentral"),
        Deployment("contoso", "embed", "text-embedding-3-large", "1", "GlobalStandard", "swedencentral"),
        Deployment("contoso", "tuned", "gpt-4o-mini", "2024-07-18", "Standard", "swedencentral", fine_tuned="ft"),
    ]
)
FILE_OF = {(one.resource, one.name): one for one in FILE}
BOOK = PriceBook.bundled()
NAMES = ("timestamp", "resource", "deployment", "model", "version", "prompt_tokens", "completion_tokens", "requests")


def table(*calls: tuple[str, str, int, int], requests: int = 1, model: bool = True) -> pd.DataFrame:
    known = {(one.resource, one.name): one for one in FILE}
    rows = [
        {
            "timestamp": datetime(2026, 10, 14, 12, i, tzinfo=UTC),
            "resource": resource,
            "deployment": name,
            "model": known[resource, name].model if model else None,
            "version": known[resource, name].version if model else None,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "requests": requests,
        }
        for i, (resource, name, prompt, completion) in enumerate(calls)
    ]
    return pd.DataFrame(rows)


def read(*calls: tuple[str, str, int, int], **options: Any) -> UsageLog:
    return read_usage(table(*calls, **options), columns={name: name for name in NAMES})


CHAT = ("contoso", "chat", 1_000_000, 100_000)
REGIONAL = ("fabrikam", "chat", 1_000_000, 100_000)


def changed(log: Any, *changes: Change) -> Any:
    return what_if(log, *changes, deployments=FILE, prices=BOOK, by=("deployment", "sku"))


EVERY_CHANGE = [
    pytest.param(SwapModel("gpt-4o", "gpt-4.1", only="chat"), id="another model"),
    pytest.param(MoveSku("DataZoneStandard"), id="another type"),
    pytest.param(MoveRegion("eastus2"), id="another region"),
    pytest.param(UseBatch("0.3"), id="batches"),
    pytest.param(CacheShare("0.3"), id="a cached share"),
    pytest.param(ServiceTier("priority"), id="another tier"),
    pytest.param(ScaleVolume(2), id="more calls"),
    pytest.param(Growth("0.05", months=3), id="growth"),
    pytest.param(CapOutput(100), id="shorter answers"),
    pytest.param(DownscaleImages(max_side_px=512), id="smaller images"),
    pytest.param(BuyPtu(50, only=["contoso/chat"]), id="provisioned units"),
    pytest.param(ContractDiscount("0.1"), id="a discount"),
    pytest.param(PriceAsOf(date(2026, 11, 1)), id="the prices of a day"),
]


@pytest.mark.parametrize("change", EVERY_CHANGE)
def test_a_change_is_a_value(change: Change) -> None:
    assert pickle.loads(pickle.dumps(change)) == change
    assert hash(change) == hash(pickle.loads(pickle.dumps(change)))
    assert type(change).__name__ in repr(change)
    assert change.note
    with pytest.raises(AttributeError):
        change.only = ("other",)  # type: ignore[misc]


REFUSED = [
    pytest.param(lambda: UseBatch("1.1"), id="more than all"),
    pytest.param(lambda: UseBatch(-1), id="less than none"),
    pytest.param(lambda: CacheShare("half"), id="a word for a share"),
    pytest.param(lambda: CacheShare(True), id="a truth for a share"),
    pytest.param(lambda: ScaleVolume(float("nan")), id="no number"),
    pytest.param(lambda: ScaleVolume("1e999999999"), id="a number beyond all memory"),
    pytest.param(lambda: Growth("-1.5"), id="fewer calls than none"),
    pytest.param(lambda: Growth("0.1", months=-1), id="months that were"),
    pytest.param(lambda: MoveSku("GlobalProvisionedManaged"), id="a type that is bought"),
    pytest.param(lambda: MoveSku("Premium"), id="an unknown type"),
    pytest.param(lambda: MoveRegion(""), id="no region"),
    pytest.param(lambda: ServiceTier("fast"), id="an unknown tier"),
    pytest.param(lambda: CapOutput(0), id="no answer at all"),
    pytest.param(lambda: CapOutput(1.5), id="half a token"),  # type: ignore[arg-type]
    pytest.param(lambda: DownscaleImages(), id="no size"),
    pytest.param(lambda: DownscaleImages(detail="low", max_side_px=5), id="two sizes"),
    pytest.param(lambda: BuyPtu("many"), id="a word for units"),  # type: ignore[arg-type]
    pytest.param(lambda: BuyPtu("cheapest", spillover=False), id="the cheapest way to refuse calls"),
    pytest.param(lambda: BuyPtu(15, sku="Standard"), id="units of a type without"),
    pytest.param(lambda: BuyPtu(15, term="2_years"), id="an unknown term"),
    pytest.param(lambda: ContractDiscount("0.1", only="chat"), id="a discount for a deployment"),
    pytest.param(lambda: PriceAsOf("2026-11-01"), id="a text for a day"),  # type: ignore[arg-type]
    pytest.param(lambda: UseBatch(only="contoso/"), id="an account without a deployment"),
    pytest.param(lambda: UseBatch(only=5), id="a number for names"),  # type: ignore[arg-type]
    pytest.param(lambda: UseBatch(only=[3]), id="a number for a name"),  # type: ignore[list-item]
    pytest.param(lambda: SwapModel("gpt-4o", 4), id="a number for a model"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", REFUSED)
def test_a_value_without_a_meaning_is_refused(make: Any) -> None:
    with pytest.raises(RequestError):
        make()


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="gpt-4o-minni"):
        SwapModel("gpt-4o", "gpt-4o-minni")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(UseBatch(only="chta"), id="a name that is not there"),
        pytest.param(UseBatch(only="fabrikam/chat"), id="another account's"),
        pytest.param(SwapModel("gpt-4.1", "gpt-4o"), id="a model that is not there"),
        pytest.param(BuyPtu(only="tuned"), id="units for a fine-tuned model"),
    ],
)
def test_a_change_that_finds_nothing_is_refused(change: Change) -> None:
    with pytest.raises(RequestError, match="the log has no calls"):
        changed(read(CHAT), change)


@pytest.mark.parametrize(
    "change", [pytest.param(CapOutput(5), id="shorter answers"), pytest.param(BuyPtu(15), id="provisioned units")]
)
def test_sums_do_not_tell_single_calls(change: Change) -> None:
    sums = sum_usage(table(CHAT), columns={name: name for name in NAMES})
    with pytest.raises(RequestError, match="give what read_usage returns"):
        changed(sums, change)


def test_images_that_nobody_saw_are_not_made_smaller() -> None:
    with pytest.raises(RequestError, match="recount"):
        changed(read(CHAT), DownscaleImages(detail="low"))


def test_a_log_and_a_change_are_asked_for() -> None:
    with pytest.raises(RequestError, match="read_usage"):
        what_if("examples/logs", UseBatch())  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="changes"):
        what_if(read(CHAT), "batch")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="axes"):
        compare(read(CHAT), {"cost": {"a": None}})
    with pytest.raises(RequestError, match="'batch' must map names to changes; found list"):
        compare(read(CHAT), {"batch": [None, UseBatch("0.5")]})  # type: ignore[dict-item]
    with pytest.raises(RequestError, match="must map names to choices; found UseBatch"):
        compare(read(CHAT), UseBatch("0.5"))  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="'half' of 'batch' must be a change, several or None; found float"):
        compare(read(CHAT), {"batch": {"half": 0.5}})  # type: ignore[dict-item]


def test_what_azure_does_not_sell_stays_and_is_named() -> None:
    found = changed(read(CHAT, REGIONAL), UseBatch())
    frame = found.after.frame.query("deployment == 'chat'")
    skus = dict(zip(frame["sku"], frame["cost"], strict=True))
    # gpt-4o as a batch: half of 2.50 and 10; gpt-4.1 stays in its region, where no batch is sold.
    assert skus["GlobalBatch"] == Decimal("1.75")
    before = found.before.frame.query("deployment == 'chat' and sku == 'Standard'")
    assert [skus["Standard"]] == before["cost"].tolist()
    assert "GlobalStandard" not in skus
    assert any("chat (Standard)" in note and "left as they are" in note for note in found.notes)


def test_a_model_without_a_price_makes_the_difference_unknown() -> None:
    found = changed(read(CHAT), MoveSku("DeveloperTier", only="chat"))
    assert found.difference is None
    assert found.after.certainty == "lower_bound"
    assert set(found.after.unpriced["meter"]) == {"input", "output"}
    assert any("no price is known for chat (input)" in note for note in found.notes)
    assert found.frame["difference"].isna().any()
    assert "the difference is not known" in found._repr_html_()


def test_what_had_no_price_before_does_not_hide_the_difference() -> None:
    log = read(CHAT, ("contoso", "pilot", 1_000, 10))
    for change in (UseBatch("0.5"), CacheShare("0.5"), ScaleVolume(2)):
        found = changed(log, change)
        assert found.difference == changed(read(CHAT), change).difference
        assert found.before.certainty == found.after.certainty == "lower_bound"


def test_cached_input_is_left_alone_where_it_has_no_price() -> None:
    found = changed(read(("contoso", "embed", 1_000_000, 0)), CacheShare("0.5"))
    assert found.difference == 0
    assert found.after.certainty == found.before.certainty


def test_a_fine_tuned_model_changes_only_by_name() -> None:
    log = read(CHAT, ("contoso", "tuned", 1_000, 10))
    with pytest.raises(RequestError, match="no calls to gpt-4o-mini"):
        changed(log, SwapModel("gpt-4o-mini", "gpt-4.1"))
    by_name = changed(log, SwapModel("gpt-4o-mini", "gpt-4.1", only="tuned"))
    # Hosting of 1.70 an hour is given up with the fine-tuned model.
    assert by_name.difference is not None
    assert by_name.difference < Decimal("-40")


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(RequestError, match="embedding"):
        changed(read(CHAT), SwapModel("gpt-4o", "text-embedding-3-large"))


def test_a_model_that_counts_otherwise_is_an_estimate() -> None:
    exact = changed(read(CHAT), SwapModel("gpt-4o", "gpt-4.1"))
    assert exact.after.certainty == exact.before.certainty == "exact"
    found = changed(read(CHAT), SwapModel("gpt-4o", "gpt-4o-mini"))
    assert found.after.certainty == "estimated"
    assert any("not read with recount=: 1" in note for note in found.notes)


def test_a_sum_of_calls_is_cut_as_if_they_were_equal() -> None:
    log = read(("contoso", "chat", 10_000, 5_000), requests=10)
    # Ten calls of 500 tokens each: a cap of 400 leaves 4,000.
    found = changed(log, CapOutput(400))
    assert found.after.frame["output"].sum() == 4_000
    assert found.after.certainty == "estimated"


def test_a_reservation_costs_its_days() -> None:
    log = read(CHAT)
    hourly, month, year = (
        changed(log, BuyPtu(50, term=term, only="contoso/chat")).after for term in ("hourly", "1_month", "1_year")
    )
    asked = {"model": "gpt-4o", "version": "2024-11-20", "sku": "GlobalProvisionedManaged"}
    units = BOOK.rate(**asked, meter="ptu_reservation", variant="1_month", on=date(2026, 10, 14))
    hosting = changed(log).before.total - Decimal("3.5")
    assert round(month.total - hosting, 12) == round(Decimal(50 * 24) / 730 * units.amount, 12)
    assert year.total < month.total < hourly.total


def test_notes_say_each_thing_once() -> None:
    found = changed(read(CHAT), ScaleVolume(2), ScaleVolume(2))
    assert found.notes == (ScaleVolume(2).note,)
    assert found.changes == (ScaleVolume(2), ScaleVolume(2))
    assert found.after.frame["input"].sum() == 4_000_000


def test_growth_is_compound() -> None:
    assert Growth("0.05", months=6).factor == Fraction(21, 20) ** 6
    assert Growth("-0.5", months=1).factor == Fraction(1, 2)


def test_a_workload_is_left_as_it_is() -> None:
    log = read(CHAT, REGIONAL)
    before = changed(log).after.total
    for change in (UseBatch(), CapOutput(1), BuyPtu(50), SwapModel("gpt-4o", "gpt-4o-mini")):
        changed(log, change)
    assert changed(log).after.total == before
    assert int(log.frame["completion_tokens"].sum()) == 200_000


def test_hostile_names_do_nothing_in_a_page() -> None:
    name = "<script>alert(1)</script>"
    rows = table(CHAT).assign(deployment=name)
    file = Deployments([Deployment("contoso", name, "gpt-4o", "2024-11-20", "GlobalStandard", "swedencentral")])
    log = read_usage(rows, columns={one: one for one in NAMES})
    page = what_if(log, UseBatch(only=name), deployments=file, prices=BOOK)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_errors_are_of_the_package() -> None:
    with pytest.raises(AoaiCostError):
        changed(read(CHAT), BuyPtu(17))


def test_a_cached_share_outlives_what_looks_at_single_calls() -> None:
    log = read(CHAT)
    for change in (CapOutput(50_000), SwapModel("gpt-4o", "gpt-4.1")):
        orders = [(CacheShare("0.5"), change), (change, CacheShare("0.5"))]
        first, second = (changed(log, *order).after for order in orders)
        assert first.total == second.total
        assert first.frame["cached_input"].sum() == second.frame["cached_input"].sum() == 500_000


def needed(found: Comparison) -> float:
    number = re.search(r"needs ([0-9,.]+),", " ".join(found.notes))
    assert number is not None
    return float(number[1].replace(",", ""))


def test_units_are_sized_for_the_calls_that_there_would_be() -> None:
    log = read(CHAT)
    peak = {
        name: needed(changed(log, *before, BuyPtu("peak")))
        for name, before in {
            "as it is": (), "triple": (ScaleVolume(3),), "a tenth": (UseBatch("0.9"),), "all cached": (CacheShare(1),),
        }.items()
    }  # fmt: skip
    assert peak["triple"] == 3 * peak["as it is"]
    assert peak["a tenth"] * 10 == peak["as it is"]
    # gpt-4o on units: cached input weighs nothing, output four times input.
    assert peak["all cached"] / peak["as it is"] == pytest.approx(400 / 1_400, abs=1e-3)


def test_long_prompts_weigh_on_units_what_is_published_for_them() -> None:
    file = Deployments([Deployment("contoso", "six", "gpt-6-sol", "2026-09-22", "GlobalStandard", "swedencentral")])
    rows = table(CHAT).assign(deployment="six", model="gpt-6-sol", version="2026-09-22", prompt_tokens=300_000)
    log = read_usage(rows, columns={name: name for name in NAMES})
    notes = " ".join(what_if(log, BuyPtu("peak"), deployments=file, prices=BOOK).notes)
    # 3,000 input tokens a minute on a unit; above 272,000 tokens input weighs 2 and output 7.5.
    assert f"needs {(300_000 * 2 + 100_000 * 7.5) / 3_000:,.1f}" in notes


RESERVED = BuyPtu(50, term="1_year", only="contoso/chat")


def test_a_reservation_is_no_call() -> None:
    log = read(CHAT)
    alone = changed(log, RESERVED).after
    for change in (ScaleVolume(2), CapOutput(5), CacheShare("0.5"), UseBatch("0.5")):
        assert changed(log, RESERVED, change).after.total == alone.total
    given_back = changed(log, RESERVED, MoveSku("GlobalStandard", only="contoso/chat"))
    assert given_back.difference == 0


def test_calls_without_a_time_do_not_hide_a_loss() -> None:
    rows = pd.concat([table(CHAT), table(CHAT).assign(timestamp=None)])
    log = read_usage(rows, columns={name: name for name in NAMES})
    found = changed(log, MoveSku("DeveloperTier", only="chat"))
    assert found.difference is None
    assert changed(log, UseBatch(only="chat")).difference is not None


def test_a_price_that_there_was_not_before_makes_the_difference_unknown() -> None:
    file = Deployments([replace(FILE_OF["contoso", "chat"], sku="DeveloperTier")])
    found = what_if(read(CHAT), MoveSku("GlobalStandard"), deployments=file, prices=BOOK)
    assert found.before.certainty == "lower_bound"
    assert found.after.total == Decimal("3.5")
    assert found.difference is None
    assert found.frame["difference"].tolist() == [None]
    assert any("as it was" in note for note in found.notes)


def test_a_row_that_loses_a_part_of_its_price_has_no_difference() -> None:
    # One call has a price in DeveloperTier for nothing, the other deployment stays as it is.
    log = read(CHAT, REGIONAL)
    found = what_if(log, MoveSku("DeveloperTier", only="contoso/chat"), deployments=FILE, prices=BOOK, by=("app",))
    assert found.difference is None
    assert found.frame["difference"].tolist() == [None]


def test_a_name_that_is_not_there_is_refused_beside_others() -> None:
    for change in (UseBatch("0.5", only=["chat", "chta"]), BuyPtu(50, only=["contoso/chat", "chta"])):
        with pytest.raises(RequestError, match="chta"):
            changed(read(CHAT), change)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("CONTOSO/Chat", id="another case"),
        pytest.param("/subscriptions/0/resourceGroups/g/providers/x/accounts/Contoso/chat", id="the account's ARM id"),
        pytest.param("/subscriptions/0/resourceGroups/g/providers/x/accounts/Contoso/deployments/chat", id="an ARM id"),
    ],
)
def test_a_deployment_is_named_as_azure_names_it(name: str) -> None:
    log = read(CHAT, REGIONAL)
    assert changed(log, ScaleVolume(2, only=name)).difference == changed(read(CHAT), ScaleVolume(2)).difference


def test_units_leave_alone_what_nobody_published_weights_for() -> None:
    log = read(CHAT, ("contoso", "embed", 1_000, 0), ("contoso", "pilot", 1_000, 10))
    found = changed(log, BuyPtu(50))
    assert any("contoso/embed (text-embedding-3-large), contoso/pilot (contoso-chat)" in note for note in found.notes)
    assert found.after.frame.query("sku == 'GlobalProvisionedManaged'")["deployment"].tolist() == ["chat"]
    with pytest.raises(RequestError, match="no PTU parameters of text-embedding-3-large"):
        changed(log, BuyPtu(50, only=["contoso/chat", "embed"]))


def test_batches_of_batches_are_more_batches() -> None:
    found = changed(read(CHAT), UseBatch("0.3"), UseBatch("0.5"))
    assert not any("not sold" in note for note in found.notes)
    # 0.7 * 0.5 stays, at 3.5; the rest is half of that.
    assert found.difference == -Decimal("3.5") * Decimal("0.65") / 2


def test_models_without_a_price_of_cached_input_are_named() -> None:
    found = changed(read(CHAT, ("contoso", "embed", 1_000, 0)), CacheShare("0.5"))
    assert any(
        "left as they are: contoso/embed (text-embedding-3-large, GlobalStandard)" in note for note in found.notes
    )


def test_a_row_that_does_not_tell_how_many_calls_it_is_is_not_cut() -> None:
    rows = table(CHAT).assign(requests=None)
    log = read_usage(rows, columns={name: name for name in NAMES})
    found = changed(log, CapOutput(5))
    assert found.difference == 0
    assert found.after.certainty == "estimated"
    assert any("were not cut: 1" in note for note in found.notes)


def test_calls_that_were_split_are_counted_once() -> None:
    found = changed(read(CHAT), UseBatch("0.5"), CacheShare("0.5"), SwapModel("gpt-4o", "gpt-4o-mini"))
    assert any(note.endswith("recount=: 1") for note in found.notes)


def test_an_unknown_model_that_is_swapped_was_never_priced() -> None:
    found = changed(read(CHAT, ("contoso", "pilot", 1_000, 10)), SwapModel("contoso-chat", "gpt-4o"))
    assert found.difference is None
    assert found.after.certainty == "estimated"
    assert found.after.total > found.before.total


def test_shares_do_not_hang_on_the_context_of_decimals() -> None:
    wide = changed(read(CHAT), ContractDiscount("0.12345"))
    with decimal.localcontext(prec=3):
        narrow = changed(read(CHAT), ContractDiscount("0.12345"))
        shown = comparison_json(narrow)
    assert narrow.difference == wide.difference == -wide.before.total * Decimal("0.12345")
    assert shown["changes"][0]["share"] == "0.12345"


def test_an_unknown_period_is_refused() -> None:
    with pytest.raises(RequestError, match="every"):
        what_if(read(CHAT), deployments=FILE, prices=BOOK, every="week")  # type: ignore[arg-type]


def test_fewer_calls_are_said_in_words() -> None:
    assert Growth("-0.05").note.startswith("5 % fewer calls a month for 1 month,")
    assert Growth("0.05", months=6).note.startswith("5 % more calls a month for 6 months,")


def test_parts_of_a_prompt_never_exceed_it() -> None:
    # Cached audio and image in a prompt that gets shorter: each part rounded by itself exceeded it.
    tokens = np.zeros((1, len(Tokens._fields)), np.int64)
    whole = {
        "prompt_tokens": 18,
        "cached_tokens": 10,
        "cached_audio": 3,
        "cached_image": 5,
        "audio_in": 6,
        "image_in": 10,
    }
    for name, count in whole.items():
        tokens[0, Tokens._fields.index(name)] = count
    one = np.ones(1, np.int64)
    calls = Calls(
        one * 0, one, one, one.astype(np.int8) * 0, one, one > 1, tokens, tokens[:, [0, 3]], Beside({}, one, {}, {})
    )
    for prompt in range(19):
        usage = _with_prompt(calls, one * prompt).group().usage
        assert usage.tokens == prompt


def test_units_that_serve_several_models_say_so() -> None:
    file = Deployments([replace(FILE_OF["contoso", "chat"], version=None)])
    rows = pd.concat([table(CHAT), table(CHAT).assign(model="gpt-4.1", version="2025-04-14")])
    rows["timestamp"] = [datetime(2026, 10, 13, 12, tzinfo=UTC), datetime(2026, 10, 14, 12, tzinfo=UTC)]
    log = read_usage(rows, columns={name: name for name in NAMES})
    notes = what_if(log, BuyPtu(15), deployments=file, prices=BOOK).notes
    assert any("the units of gpt-4.1 served calls to gpt-4o as well" in note for note in notes)


def test_the_cheapest_units_are_those_of_all_days(tmp_path: Path) -> None:
    # Units cost next to nothing on the first day, and very much on the second one.
    sheet = tmp_path / "own.toml"
    text = 'currency = "USD"\n[source.own]\ntitle = "our agreement"\n'
    for first, last, price in (("14", "15", "0.000001"), ("15", "16", "5000")):
        text += '[[rate]]\nmodel = "gpt-4o"\nversion = "2024-11-20"\nsku = "GlobalProvisionedManaged"\n'
        text += f'from = 2026-10-{first}\nto = 2026-10-{last}\nsource = "own"\n'
        text += f'price.ptu = {{ amount = "{price}", unit = "1 PTU-hour" }}\n'
    sheet.write_text(text)
    rows = pd.concat([table(*[CHAT] * 40), table(CHAT).assign(timestamp=datetime(2026, 10, 15, 12, tzinfo=UTC))])
    log = read_usage(rows, columns={name: name for name in NAMES})
    found = what_if(log, BuyPtu("cheapest"), deployments=FILE, prices=PriceBook.read(sheet))
    assert found.difference == 0
    assert any("no units of gpt-4o cost less" in note for note in found.notes)


def test_units_are_paid_while_their_deployment_lives() -> None:
    # Provisioned until the 14th, paid by the token from then on.
    chat, cut = FILE_OF["contoso", "chat"], date(2026, 10, 14)
    file = Deployments(
        [
            replace(chat, sku="GlobalProvisionedManaged", ptu_units=50, active_to=cut),
            replace(chat, active_from=cut),
        ]
    )
    rows = pd.concat([table(CHAT).assign(timestamp=datetime(2026, 10, 12, 12, tzinfo=UTC)), table(CHAT)])
    log = read_usage(rows, columns={name: name for name in NAMES})
    hourly = what_if(log, BuyPtu(50), deployments=file, prices=BOOK)
    # Two days were bought, and the third one is now.
    assert hourly.before.total == 2 * 1_200 + Decimal("3.5")
    assert hourly.after.total == 3 * 1_200
    year = what_if(log, BuyPtu(50, term="1_year"), deployments=file, prices=BOOK)
    assert year.after.total - 2 * 1_200 < 1_200


def test_notes_tell_accounts_apart() -> None:
    notes = " ".join(changed(read(CHAT, REGIONAL), BuyPtu(50)).notes)
    assert "contoso/chat: 50 PTUs" in notes
    assert "fabrikam/chat: 50 PTUs" in notes


def test_only_calls_with_tokens_are_counted_beside_units() -> None:
    rows = pd.concat([table(CHAT)] + [table(CHAT).assign(prompt_tokens=None, completion_tokens=None)] * 3)
    log = read_usage(rows, columns={name: name for name in NAMES})
    assert "0 of 1 calls exceed" in " ".join(changed(log, BuyPtu("peak")).notes)
