"""The panel of sliders: what its controls say is what `what_if` is asked, and what that answers is shown."""

from __future__ import annotations

import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from aoai_cost import (
    CacheShare,
    ContractDiscount,
    Deployment,
    Deployments,
    MissingExtraError,
    ScaleVolume,
    SwapModel,
    UsageLog,
    UseBatch,
    markup,
    read_usage,
    what_if,
    whatif_panel,
)

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DEPLOYMENTS = EXAMPLES / "deployments.toml"


@pytest.fixture(scope="module")
def log() -> UsageLog:
    return read_usage(EXAMPLES / "logs")


def controls_of(panel: Any) -> dict[str, Any]:
    left, _ = panel.widget.children
    return {one.description: one for one in left.children}


def shown_by(panel: Any) -> str:
    return re.sub(r"<style>.*?</style>|<[^>]*>", " ", panel.widget.children[1].value, flags=re.DOTALL)


def test_at_first_all_is_as_logged(log: UsageLog) -> None:
    panel = whatif_panel(log, deployments=DEPLOYMENTS)
    assert panel.changes == ()
    assert panel.comparison.difference == 0
    assert f" {markup.amount(what_if(log, deployments=DEPLOYMENTS).after.total)} USD, at least" in shown_by(panel)


@pytest.mark.parametrize(
    ("moved", "changes"),
    [
        ({"Calls, %": 150}, (ScaleVolume("1.5"),)),
        ({"Calls, %": 0}, (ScaleVolume(0),)),
        ({"In batches, %": 30}, (UseBatch("0.3"),)),
        ({"Input from cache": 0}, (CacheShare(0),)),
        ({"Input from cache": 55}, (CacheShare("0.55"),)),
        ({"Discount, %": 7}, (ContractDiscount("0.07"),)),
        (
            {"Discount, %": 7, "In place of": "gpt-4o", "ask": "gpt-4.1-mini", "Calls, %": 110},
            (SwapModel("gpt-4o", "gpt-4.1-mini"), ScaleVolume("1.1"), ContractDiscount("0.07")),
        ),
    ],
    ids=str,
)
def test_what_the_controls_say_is_what_is_asked(log: UsageLog, moved: dict[str, Any], changes: tuple[Any, ...]) -> None:
    panel = whatif_panel(log, deployments=DEPLOYMENTS)
    controls = controls_of(panel)
    for name, value in moved.items():
        controls[name].value = value
    assert panel.changes == changes
    wanted = what_if(log, *changes, deployments=DEPLOYMENTS)
    assert panel.comparison.after.total == wanted.after.total
    assert panel.comparison.difference == wanted.difference != 0
    shown = shown_by(panel)
    assert f" {markup.amount(wanted.after.total)} USD, at least" in shown
    assert all(note.replace("'", "&#x27;") in shown for note in wanted.notes[:10])
    for control in controls.values():
        assert not getattr(control, "continuous_update", False), "a slider that is dragged asks once"


def test_the_models_are_those_of_the_log_and_of_one_kind(log: UsageLog) -> None:
    panel = whatif_panel(log, deployments=DEPLOYMENTS)
    controls = controls_of(panel)
    assert [label for label, _ in controls["In place of"].options][:2] == ["as logged", "dall-e-3"]
    assert "contoso-chat" not in dict(controls["In place of"].options)
    assert controls["ask"].disabled
    controls["In place of"].value = "text-embedding-3-large"
    assert set(controls["ask"].options) >= {"text-embedding-3-small", "text-embedding-ada-002"}
    assert not set(controls["ask"].options) & {"gpt-4o", "text-embedding-3-large"}
    controls["In place of"].value = ""
    assert panel.changes == ()


def test_the_amounts_by_deployment_add_up_to_the_total(log: UsageLog) -> None:
    panel = whatif_panel(log, deployments=DEPLOYMENTS)
    controls_of(panel)["Discount, %"].value = 50
    html = panel.widget.children[1].value
    cells = re.findall(r'<td class="n">([^<]*)</td>', html)
    would = [Decimal(one.replace(",", "")) for one in cells[1::3] if one != "?"]
    assert abs(sum(would) - panel.comparison.after.total) < Decimal("0.01")
    widths = [float(one) for one in re.findall(r'<rect class="less" x="[0-9.]+" y="1" width="([0-9.]+)"', html)]
    assert (len(widths), max(widths)) == (8, 50.0)


def test_what_cannot_be_told_is_said_and_the_panel_goes_on(log: UsageLog) -> None:
    own = Deployments([Deployment("c", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")])
    panel = whatif_panel(log, deployments=own)
    controls = controls_of(panel)
    controls["In batches, %"].value = 10
    assert "This cannot be told" in shown_by(panel)
    controls["In batches, %"].value = 0
    assert "This cannot be told" not in shown_by(panel)


def test_hostile_names_are_escaped(log: UsageLog) -> None:
    hostile = "<script>alert(1)</script>"
    chat = Deployment("c", hostile, "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    frame = pd.DataFrame({"when": ["2026-10-14T00:00:00Z"], "n": [1_000_000], "d": [hostile]})
    columns = {"timestamp": "when", "prompt_tokens": "n", "deployment": "d"}
    panel = whatif_panel(read_usage(frame, columns=columns), deployments=Deployments([chat]))
    html = panel.widget.children[1].value
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_a_panel_shows_itself_and_sums_are_enough(log: UsageLog) -> None:
    panel = whatif_panel(log.sums, deployments=DEPLOYMENTS)
    assert "application/vnd.jupyter.widget-view+json" in panel._repr_mimebundle_()
    controls_of(panel)["Calls, %"].value = 200
    assert panel.comparison.difference > 0


def test_without_ipywidgets_it_says_what_to_install(log: UsageLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingExtraError, match=r'pip install "aoai-cost\[notebook\]"'):
        whatif_panel(log)
