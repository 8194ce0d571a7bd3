"""The chart library's JavaScript, from the `report` extra, kept in the user's data folder once it was made."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import NamedTuple

from ..prices.captures import data_folder
from ..whole_file import write_whole

__all__ = ["ChartLibrary", "chart_library"]

_PACKAGE = "vl-convert-python"


class ChartLibrary(NamedTuple):
    """The library as one script that sets ``vegaEmbed``, and whose it is."""

    script: str
    name: str
    licence: str


def chart_library() -> ChartLibrary | None:
    """Return the chart library, or None without the `report` extra."""
    try:
        installed = distribution(_PACKAGE)
    except PackageNotFoundError:
        return None
    texts = [file.read_text("utf-8") for file in installed.files or () if file.name.upper().startswith("LICENSE")]
    return _library(installed.version, "\n".join(texts))


@cache
def _library(version: str, licence: str) -> ChartLibrary | None:
    script = _kept(version)
    if script is None:
        try:
            import vl_convert  # making the bundle takes seconds, and so does nothing else here
        except ImportError:
            return None
        # Its names stay its own, and no text in it ends the element that it stands in.
        bundle = (
            vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
            .replace("</script", "<\\/script")
            .replace("<!--", "<\\!--")
        )
        script = f"(() => {{{bundle}\n}})();"
        _keep(version, script)
    return ChartLibrary(script, f"{_PACKAGE} {version}", licence)


def _kept(version: str) -> str | None:
    """Return what an earlier process made with this version, if it is what was written."""
    folder = data_folder() / "charts"
    try:
        data = (folder / f"{version}.js").read_bytes()
        digest = json.loads((folder / f"{version}.json").read_bytes())["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return data.decode("utf-8") if hashlib.sha256(data).hexdigest() == digest else None


def _keep(version: str, script: str) -> None:
    folder, data = data_folder() / "charts", script.encode("utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{version}.js", data)
        write_whole(folder / f"{version}.json", json.dumps({"sha256": hashlib.sha256(data).hexdigest()}).encode())
    except OSError:
        pass  # a folder that cannot be written to costs the next process its seconds, and nothing else
