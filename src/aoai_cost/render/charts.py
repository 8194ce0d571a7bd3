"""The charts of a report page as Vega-Lite specifications; page.js fills in rows, colours and domains."""

from __future__ import annotations

from typing import Any

__all__ = ["chart_specs"]

_FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif'
# Colours are those of page.css, so that they follow the reader's theme, and paper is always light. The last one is of
# what is less in focus: all others, or what was.
_COLOURS = [f"var(--series-{i})" for i in range(7)]
# What is not a series has the colour of the text around the chart, in light and dark alike.
_INK = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12}
_CONFIG: dict[str, Any] = {
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        **_INK,
        "titleFontWeight": "normal",
        "gridColor": "currentColor",
        "gridOpacity": 0.2,
        "domainColor": "currentColor",
        "domainOpacity": 0.4,
        "tickColor": "currentColor",
        "tickOpacity": 0.4,
    },
    "legend": {**_INK, "orient": "bottom", "symbolType": "square", "labelLimit": 220, "titleLimit": 0},
}


def chart_specs() -> dict[str, Any]:
    """Return the charts by kind: ``stacked`` over time, ``bars`` by name, ``paired`` bars by name; and axis labels."""
    # Not the amount, which is drawn as a float, but its label is shown: it holds the exact one.
    told = {"tooltip": {"field": "label"}, "description": {"field": "label"}}
    cost: dict[str, Any] = {"field": "cost", "type": "quantitative"}
    # Names are looked up by their place: some names of a stranger's ("__proto__") are not safe as keys in there.
    by_place = {"labelExpr": "names[datum.value]"}
    name: dict[str, Any] = {
        "field": "place",
        "type": "nominal",
        "sort": None,
        "axis": {**by_place, "title": None, "ticks": False, "domain": False},
    }
    spec: dict[str, Any] = {
        "data": {"values": []},
        "params": [{"name": "names", "value": []}],
        "width": "container",
        "config": _CONFIG,
    }
    stacked = spec | {
        "height": 260,
        "mark": {"type": "bar"},
        "encoding": {
            "x": {
                "field": "period",
                "type": "ordinal",
                "scale": {"domain": []},
                "axis": {"title": None, "labelAngle": 0, "labelPadding": 8, "ticks": False},
            },
            "y": cost | {"stack": "zero", "axis": {"title": None, "tickCount": 4, "domain": False, "ticks": False}},
            "color": {
                "field": "place",
                "type": "nominal",
                "scale": {"domain": [], "range": _COLOURS},
                "legend": {**by_place, "title": None, "columns": 3},
            },
            "order": {"field": "place", "type": "quantitative"},
            **told,
        },
    }
    # The amount stands beside its bar: a small one cannot be seen, and paper does not answer to a mouse.
    text: dict[str, Any] = {
        "mark": {"type": "text", "align": "left", "dx": 4, "color": "currentColor", "tooltip": None, "aria": False},
        "encoding": {"text": {"field": "shown"}},
    }
    bar = {"type": "bar", "cornerRadiusEnd": 2, "color": _COLOURS[0]}
    length = cost | {"axis": None, "stack": None}
    bars = spec | {
        "encoding": {"y": name, "x": length},
        "layer": [{"mark": bar, "encoding": told}, text],
    }
    which = {
        "field": "which",
        "type": "nominal",
        "scale": {"domain": ["as logged", "what if"], "range": [_COLOURS[6], _COLOURS[0]]},
        "legend": {"title": None},
    }
    paired = spec | {
        "encoding": {"y": name, "yOffset": {"field": "which", "sort": None}, "x": length},
        "layer": [{"mark": bar, "encoding": told | {"color": which}}, text],
    }
    labels = {"day": "utcFormat(toDate(datum.value), '%-d %b')", "month": "utcFormat(toDate(datum.value), '%b %Y')"}
    return {"stacked": stacked, "bars": bars, "paired": paired, "labels": labels}
