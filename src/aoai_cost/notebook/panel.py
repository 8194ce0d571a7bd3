"""Sliders that change a log on paper, and what it would have cost."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .. import markup
from ..catalog import Deployments, get_model, list_models, read_deployments
from ..errors import AoaiCostError, MissingExtraError, UnknownNameError
from ..logs import UsageLog, UsageSums
from ..prices import PriceBook, exact_sum
from ..whatif import CacheShare, Change, Comparison, ContractDiscount, ScaleVolume, SwapModel, UseBatch, what_if

__all__ = ["WhatIfPanel", "whatif_panel"]

_STYLE = """
.aoai-cost table.panel { border-collapse: collapse; margin: .5em 0; }
.aoai-cost table.panel th, .aoai-cost table.panel td { padding: .1em .6em; line-height: 1.6; vertical-align: middle; }
.aoai-cost table.panel td { white-space: nowrap; }
.aoai-cost p, .aoai-cost li { line-height: 1.5; margin: .2em 0; }
.aoai-cost table.panel svg { display: block; width: 10em; height: 1em; }
.aoai-cost .less { fill: #2a9d5c; }
.aoai-cost .more { fill: #d9822b; }
.aoai-cost .axis { stroke: currentColor; stroke-opacity: .35; }
"""
_AS_LOGGED = "as logged"
_STYLED = {"description_width": "9em"}


def whatif_panel(
    log: UsageLog | UsageSums,
    *,
    deployments: Deployments | str | os.PathLike[str] | None = None,
    prices: PriceBook | None = None,
) -> WhatIfPanel:
    """Show sliders that change a log on paper, and what it would have cost, by deployment.

    The sliders are `ScaleVolume`, `UseBatch`, `CacheShare`, `ContractDiscount` and `SwapModel`; where they stand is in
    ``panel.changes``, and what `what_if` says to that in ``panel.comparison``.

    Parameters
    ----------
    log, deployments, prices
        As `what_if`.

    Raises
    ------
    MissingExtraError
        Without ipywidgets.
    RequestError, DeploymentsError
        As `what_if`.
    """
    return WhatIfPanel(log, deployments, prices)


class WhatIfPanel:
    """What `whatif_panel` shows; ``widget`` is the whole of it, for a layout of your own."""

    def __init__(
        self,
        log: UsageLog | UsageSums,
        deployments: Deployments | str | os.PathLike[str] | None,
        prices: PriceBook | None,
    ) -> None:
        try:
            import ipywidgets
        except ImportError:
            raise MissingExtraError("notebook") from None
        if deployments is not None and not isinstance(deployments, Deployments):
            deployments = read_deployments(deployments)
        self._log, self._deployments, self._prices = log, deployments, prices
        self._logged = what_if(log, deployments=self._deployments, prices=prices)

        def percent(name: str, value: int, most: int, step: int) -> Any:
            return ipywidgets.IntSlider(
                value, 0, most, step, description=f"{name}, %", continuous_update=False, style=_STYLED
            )

        # ipywidgets takes None for no choice at all.
        shares = [(_AS_LOGGED, -1), *((f"{share} %", share) for share in range(0, 101, 5))]
        self._volume = percent("Calls", 100, 300, 5)
        self._batch = percent("In batches", 0, 100, 5)
        self._cached = ipywidgets.SelectionSlider(
            options=shares, description="Input from cache", continuous_update=False, style=_STYLED
        )
        self._discount = percent("Discount", 0, 50, 1)
        models = [(_AS_LOGGED, ""), *((name, name) for name in self._models())]
        self._model = ipywidgets.Dropdown(options=models, description="In place of", style=_STYLED)
        self._to = ipywidgets.Dropdown(options=[""], disabled=True, description="ask", style=_STYLED)
        self._shown = ipywidgets.HTML(layout={"flex": "1 1 42em", "min_width": "0"})
        controls = (self._volume, self._batch, self._cached, self._discount, self._model, self._to)
        left = ipywidgets.VBox(controls, layout={"flex": "0 0 auto", "width": "25em"})
        self.widget = ipywidgets.HBox([left, self._shown], layout={"flex_flow": "row wrap", "grid_gap": "1.5em"})
        self._model.observe(self._offer, "value")
        for control in controls:
            control.observe(self._update, "value")
        self._update()

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the controls say, in the order in which it is applied."""
        told: list[Change | None] = [
            SwapModel(self._model.value, self._to.value) if self._model.value and self._to.value else None,
            None if self._cached.value < 0 else CacheShare(Fraction(self._cached.value, 100)),
            UseBatch(Fraction(self._batch.value, 100)) if self._batch.value else None,
            None if self._volume.value == 100 else ScaleVolume(Fraction(self._volume.value, 100)),
            ContractDiscount(Fraction(self._discount.value, 100)) if self._discount.value else None,
        ]
        return tuple(one for one in told if one is not None)

    @property
    def comparison(self) -> Comparison:
        """The log as it was, and as it would have been.

        Raises
        ------
        RequestError, MissingPriceError
            As `what_if`, where the controls ask for what cannot be.
        """
        changes = self.changes
        if not changes:
            return self._logged
        return what_if(self._log, *changes, deployments=self._deployments, prices=self._prices)

    def _models(self) -> list[str]:
        """Return the models of the log that the catalogue knows."""
        names = {*self._logged.before.calls["model"].dropna()}
        return sorted(name for name in names if _same_kind(name))

    def _offer(self, _: object) -> None:
        """Offer the models that can do what the chosen one does."""
        name = self._model.value
        self._to.disabled = not name
        # Setting the options sets the value, and so updates.
        self._to.options = [one for one in _same_kind(name) if one != name] or [""]

    def _update(self, _: object = None) -> None:
        try:
            self._shown.value = _face(self.comparison)
        except AoaiCostError as error:
            self._shown.value = markup.result("This cannot be told", markup.element("p", markup.text(error)))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs)


def _same_kind(name: str) -> list[str]:
    try:
        kind = get_model(name).kind
    except UnknownNameError:
        return []
    return sorted({one.name for one in list_models() if one.kind == kind})


def _face(found: Comparison) -> str:
    before, after, change = found.before.total, found.after.total, found.difference
    bound = {"exact": "", "estimated": ", estimated", "lower_bound": ", at least"}[found.after.certainty]
    rows = _by_deployment(found)
    most = max((abs(one) for *_, one in rows if one is not None), default=Decimal(0))
    share = "" if not change or not before else f" ({float(change / before):+.1%})"
    told = f"as logged {markup.amount(before)}, a difference of {_money(change, sign=True)}{share}"
    head = ("deployment", "as logged", "would be", "difference", "")
    body = [
        [markup.text(name), _money(was), _money(would), _money(one, sign=True), _bar(one, most)]
        for name, was, would, one in rows
    ]
    return markup.result(
        f"{markup.amount(after)} {found.after.currency}{bound}",
        markup.element("style", _STYLE),
        markup.element("p", markup.text(told)),
        markup.element("table", _row("th", head) + "".join(_row("td", cells) for cells in body), class_="panel"),
        notes=found.notes,
    )


def _row(tag: str, cells: Sequence[str]) -> str:
    made = [markup.element(tag, cell, class_="n" if 0 < i < 4 else "") for i, cell in enumerate(cells)]
    return markup.element("tr", "".join(made))


def _by_deployment(found: Comparison) -> list[tuple[str, Decimal | None, Decimal | None, Decimal | None]]:
    """Return (name, before, after, difference) of each deployment that costs anything, the dearest first."""
    sums: dict[str, list[tuple[Decimal | None, ...]]] = defaultdict(list)
    for row in found.frame.itertuples(index=False):
        sums[f"{markup.account(row.resource)}/{markup.plain(row.deployment)}"].append(tuple(row[-3:]))
    rows = []
    for name, parts in sums.items():
        was, would, change = map(_sum, zip(*parts, strict=True))
        if was != 0 or would != 0:
            rows.append((name, was, would, change))
    return sorted(rows, key=lambda row: (-(row[1] or Decimal(0)), row[0]))


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    told = list(amounts)
    return None if None in told else exact_sum(one for one in told if one is not None)


def _money(value: Decimal | None, *, sign: bool = False) -> str:
    if value is None:
        return "?"
    return ("+" if sign and value > 0 else "") + markup.amount(value)


def _bar(change: Decimal | None, most: Decimal) -> str:
    """Return a bar from the middle: to the left for what is saved, to the right for what is added."""
    width = 0.0 if change is None or not most else float(abs(change) / most) * 50
    left = 50 - width if change is not None and change < 0 else 50
    kind = "less" if left < 50 else "more"
    bar = f'<rect class="{kind}" x="{left:.2f}" y="1" width="{width:.2f}" height="8"></rect>'
    axis = '<line class="axis" x1="50" x2="50" y1="0" y2="10" vector-effect="non-scaling-stroke"></line>'
    return f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{bar}{axis}</svg>'
