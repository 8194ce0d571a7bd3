"""A room imports only from lower levels, and each outside package has its rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "aoai_cost"
LEVELS = {
    "errors": 0,
    "markup": 0,
    "version": 0,
    "whole_file": 0,
    "sources": 1,
    "tomlfile": 1,
    "_fast": 2,
    "usage": 2,
    "catalog": 2,
    "tokens": 3,
    "prices": 3,
    "estimate": 4,
    "jobs": 4,
    "logs": 4,
    "client": 5,
    "report": 5,
    "billing": 6,
    "forecasts": 6,
    "spark": 6,
    "whatif": 6,
    "render": 7,
    "cli": 8,
    "notebook": 8,
    "pandas": 8,
}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
OUTSIDE = {
    "tiktoken": {"tokens/vocabulary.py"},
    "PIL": {"tokens/images.py"},
    "openai": set(),
    "httpx": set(),
    "httpx2": set(),
    "filelock": {"client", "logs/workers.py"},
    "pydantic": set(),
    "fsspec": {"sources/remote.py"},
    "adlfs": {"sources/remote.py"},
    "azure": {"sources/remote.py"},
    "pyarrow": {"sources/tables.py", "spark", "render/parquet.py"},
    "xlsxwriter": {"render/excel.py"},
    "pyspark": {"spark"},
    "zstandard": {"sources/unpack.py"},
    "requests": {"prices/refresh.py"},
    "urllib3": {"prices/refresh.py"},
    "vl_convert": {"render/chart_library.py"},
    "platformdirs": {"prices/captures.py"},
    "pandas": {"logs", "report", "billing", "forecasts.py", "render", "spark", "whatif", "pandas.py"},
    "IPython": {"notebook"},
    "ipywidgets": {"notebook"},
    "click": {"cli"},
    "rich": {"cli", "render"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Yield the absolute dotted name of every module that a file imports, at any depth."""
    here = ["aoai_cost", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_every_room_has_a_level() -> None:
    assert {room_of(path) for path in FILES} == set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "aoai_cost":
            continue
        other = parts[1] if len(parts) > 1 else ""
        assert other in LEVELS, f"{path.name} imports {name}: rooms do not import the package's face"
        if other != room:
            assert LEVELS[other] < LEVELS[room], f"{room} must not import {other}"
            assert other != "_fast" or room in ("tokens", "logs"), f"{room} must not import _fast"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_outside_packages_stay_in_their_rooms(path: Path) -> None:
    where = path.relative_to(PACKAGE).as_posix()
    for name in imports_of(path):
        rooms = OUTSIDE.get(name.split(".")[0])
        if rooms is not None:
            assert where in rooms or where.split("/")[0] in rooms, f"{where} must not import {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_the_library_never_opens_a_connection(path: Path) -> None:
    reaching = {"socket", "ssl", "http", "urllib", "requests", "httpx", "httpx2", "urllib3", "aiohttp", "ftplib"}
    # The one place that may, and only when it is asked to; blobs come through fsspec and adlfs, see OUTSIDE.
    if path == PACKAGE / "prices" / "refresh.py":
        return
    names = [name for name in imports_of(path) if not name.startswith("urllib.parse.")]
    assert not [name for name in names if name.split(".")[0] in reaching]
