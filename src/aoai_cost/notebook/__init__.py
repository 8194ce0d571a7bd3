"""In a notebook: a text in coloured tokens, and a panel of sliders."""

from __future__ import annotations

from typing import Any

from .magic import load_ipython_extension

__all__ = ["load_ipython_extension", "whatif_panel"]


def __getattr__(name: str) -> Any:
    # The panel reads logs, with all that takes; the tokens of a text do without.
    if name == "whatif_panel":
        from .panel import whatif_panel

        return whatif_panel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
